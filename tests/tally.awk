# SPDX-License-Identifier: LGPL-2.1-or-later
# Count the TAP output of one test program.
#
#	awk -v name=test_qmp_frame -v status=0 -v counts=FILE -f tally.awk OUTPUT
#
# Prints what failed (with the lines around it) and what was skipped and why, and
# appends "passed failed skipped" to the file COUNTS.
#
# A program may print several plans (CMocka: one for each group). What it planned and
# did not report has failed, and so has a program that ends badly without saying so.
# CMocka 1.1.5 says "not ok N # SKIP" for a skip; the reason is the last line before it
# that begins with "# skip:", and a skip without a reason counts as a failure.

BEGIN { LINES = 30 } # shown of what a test printed after its failure

function fail(what)
{
	failed++
	printf "not ok %s: %s\n", name, what
}

/^1\.\.[0-9]+/ { planned += substr($1, 4); plans++; next }

/^# skip(ped)?:/ { reason = $0; sub(/^# skip(ped)?:[ \t]*/, "", reason) }

/^(not )?ok( |$)/ {
	seen++
	what = $0
	sub(/^(not )?ok[ \t]*[0-9]*[ \t-]*/, "", what)
	if (match(what, /# *(SKIP|skip)[ \t:]*/)) {
		told = substr(what, RSTART + RLENGTH)
		before = substr(what, 1, RSTART - 1)
		if (before != "" && told != "")
			reason = told
		if (reason == "")
			fail(before told " skipped without a reason")
		else {
			skipped++
			printf "skip   %s: %s: %s\n", name, before == "" ? told : before, reason
		}
		reason = ""
	} else if ($1 == "not") {
		fail(what)
		show = 1
		next
	} else {
		passed++
	}
	show = 0
	next
}

show && show++ <= LINES { print "       " $0 }
show == LINES + 2 { print "       ..."; show = 0 }

END {
	if (!plans)
		fail("printed no plan")
	if (seen < planned) {
		fail(planned - seen " planned but not reported")
		failed += planned - seen - 1
	}
	if (seen > planned && plans)
		fail(seen - planned " more results than planned")
	if (status == 124 || status == 137)
		fail("killed at its time limit")
	else if (status > 128)
		fail("killed by signal " status - 128)
	else if (status && !failed)
		fail("exit status " status)
	printf "%d %d %d\n", passed, failed, skipped >> counts
}
