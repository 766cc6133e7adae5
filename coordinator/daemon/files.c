/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The limit of open files.
 */
#include "files.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include <lockstep/log.h>

void files_raise(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_warning("the limit of open files cannot be raised: %s", strerror(errno));
}

void files_check(unsigned guests, unsigned clients)
{
	unsigned needed = files_needed(guests, clients);
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= needed)
		return;
	log_warning("%u guests and %u clients take up to %u open files, and the limit is %llu: "
		    "guests beyond it stay away; LimitNOFILE=%u in the unit "
		    "(systemctl edit lockstepd), or \"ulimit -Hn %u\" before lockstepd",
		    guests, clients, needed, (unsigned long long)files.rlim_cur, needed, needed);
}
