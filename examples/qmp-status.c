/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ask a QEMU what it is doing: blocking calls with a deadline.
 *
 *	qmp-status unix:/run/vm1.qmp
 */
#include <errno.h>
#include <stdio.h>

#include <json-c/json.h>

#include <qmp.h>

#define DEADLINE_MS 2000

static int print_status(struct qmp *q, struct ls_err *err)
{
	struct json_object *status;
	int r;

	r = qmp_command(q, "query-status", NULL, qmp_now_ms() + DEADLINE_MS, err, &status);
	if (r < 0)
		return r;
	printf("%s: %s%s\n", qmp_address(q), qmp_get_str(status, "status", "unknown"),
	       qmp_get_bool(status, "running", false) ? ", vCPUs run" : "");
	json_object_put(status);
	return 0;
}

int main(int argc, char **argv)
{
	struct ls_err err;
	struct qmp *q;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: qmp-status unix:PATH | tcp:HOST:PORT | ssh:HOST:PATH\n");
		return 2;
	}
	r = qmp_open(argv[1], NULL, qmp_now_ms() + DEADLINE_MS, &err, &q);
	if (r == 0) {
		r = print_status(q, &err);
		qmp_close(q);
	}
	if (r < 0)
		fprintf(stderr, "qmp-status: %s\n", err.text);
	return r < 0;
}
