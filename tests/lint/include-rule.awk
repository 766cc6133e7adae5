# SPDX-License-Identifier: LGPL-2.1-or-later
# Who may include whom (docs/architecture.md): prints every #include that breaks it.
#
#	awk -f tests/lint/include-rule.awk $(git ls-files '*.c' '*.h')
#
#   include/           its own headers
#   qmp/               include/ and its own
#   guest-agent/       include/ and its own; never the coordinator's
#   coordinator/       include/ and its own; never the agent's. Of its folders each uses those
#                      that are listed for it in "below" alone
#   coordinator/core/  pure: its own, the headers of include/lockstep that do no I/O,
#                      and the few system headers listed below
#   examples/          what is installed
#   tests/, mk/        whatever they test

BEGIN {
	n = split("assert ctype errno inttypes limits stdarg stdbool stddef stdint stdio " \
		  "stdlib string", words, " ")
	for (i = 1; i <= n; i++)
		pure["<" words[i] ".h>"] = 1
	n = split("cleanup err limits log step", words, " ")
	for (i = 1; i <= n; i++)
		pure["<lockstep/" words[i] ".h>"] = 1
	installed["<qmp.h>"] = installed["<qmp_serve.h>"] = installed["<qmp_cmd.h>"] = 1
	installed["<lockstep/err.h>"] = 1
	below["hv"] = "core"
	below["run"] = "core hv"
	below["report"] = "core hv run"
	below["store"] = "core"
	below["daemon"] = "core hv run report store"
	below["cli"] = "core hv run report"
	words_of_the_socket = "coordinator/daemon/ctl.h"
}

function folder(path)
{
	sub(/[^\/]*$/, "", path)
	return path
}

# The file that "name" means: as gcc does, beside the includer, else from the root.
function resolve(name,    path, was)
{
	path = folder(FILENAME) name
	do {
		was = path
		sub(/[^\/.][^\/]*\/\.\.\//, "", path)
	} while (path != was)
	return path
}

# Of "coordinator/hv/conn.c": "hv"; of a program's own file: nothing.
function part(path)
{
	return path ~ /^coordinator\/[^\/]*\// ? substr(path, 13, index(substr(path, 13), "/") - 1) : ""
}

function from_below(own,    here)
{
	here = part(FILENAME)
	return here == "" || here == part(own) || own == words_of_the_socket && here == "cli" ||
	       index(" " below[here] " ", " " part(own) " ")
}

function broken(why)
{
	printf "%s:%d: %s: %s\n", FILENAME, FNR, what, why
	bad = 1
}

/^[ \t]*#[ \t]*include[ \t]/ {
	what = $0
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", what)
	sub(/[ \t].*$/, "", what)
	own = ""
	if (what ~ /^"/) {
		own = substr(what, 2, length(what) - 2)
		own = resolve(own)
	}
	if (FILENAME ~ /^coordinator\/core\//) {
		if (own != "" && own !~ /^coordinator\/core\//)
			broken("core/ includes only its own")
		if (own == "" && !(what in pure))
			broken("core/ does no I/O; not among the headers it may use")
	} else if (FILENAME ~ /^(include|qmp|guest-agent|coordinator)\//) {
		match(FILENAME, /^[^\/]*\//)
		if (own != "" && index(own, substr(FILENAME, 1, RLENGTH)) != 1)
			broken("only include/ and its own folder")
		if (what ~ /^<(qmp|guest-agent|coordinator|tests)\//)
			broken("only include/ and its own folder")
		if (own != "" && !from_below(own))
			broken("coordinator/: a folder uses those below it")
	} else if (FILENAME ~ /^examples\//) {
		if (own != "" && own !~ /^examples\//)
			broken("an example uses what is installed")
		if (what ~ /^<lockstep\// && !(what in installed))
			broken("not an installed header")
	}
}

END { exit bad }
