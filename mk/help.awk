# SPDX-License-Identifier: LGPL-2.1-or-later
# Take the --help of one of our programs apart: a record a line, fields separated by tabs.
#
#	usage  ARGUMENTS                    one for each form of the command line
#	text   PARAGRAPH                    what stands before and behind the options
#	option LETTER NAME VALUE TEXT       LETTER and VALUE may be empty; TEXT may have
#	                                    a "\n" where the next line is set deeper
#
# It expects ARGP_HELP_FMT=rmargin=9999,no-dup-args-note: argp does not break lines then.

function flush()
{
	if (kind == "option")
		print "option\t" letter "\t" name "\t" value "\t" text
	else if (kind == "text" && text != "")
		print "text\t" text
	kind = "text"
	text = ""
}

function join(line)
{
	text = text (text == "" ? "" : " ") line
}

/^Usage: |^  or:  / {
	sub(/^[^:]*: +/, "")
	print "usage\t" $0
	kind = "text"
	next
}

/^ +(-., )?--[a-z]/ {
	flush()
	kind = "option"
	letter = $1 ~ /^-.,$/ ? substr($1, 2, 1) : ""
	sub(/^ +(-., )?--/, "")
	match($0, /^[a-z-]+/)
	name = substr($0, 1, RLENGTH)
	$0 = substr($0, RLENGTH + 1)
	value = ""
	if (match($0, /^[ =][^ ]+/)) {
		value = substr($0, 2, RLENGTH - 1)
		$0 = substr($0, RLENGTH + 1)
	}
	sub(/^ +/, "")
	text = $0
	next
}

# Going on with an option; what stands deeper is a list of its values.
kind == "option" && /^                    / {
	deeper = match($0, /[^ ]/) > 24 && /^ +[a-z-]+  /
	sub(/^ +/, "")
	if (deeper)
		text = text "\\n" $0
	else
		join($0)
	next
}

/^$/ {
	flush()
	next
}

{
	if (kind == "option")
		flush()
	sub(/^ +/, "")
	join($0)
}

END { flush() }
