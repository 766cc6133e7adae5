/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A migration's own process: it goes on when the terminal is gone, and is asked to
 * take the migration back when whoever started it goes away or says so.
 */
#ifndef COORDINATOR_JOB_H
#define COORDINATOR_JOB_H

#include "cli.h"

/**
 * typedef job_fn - What the process does
 * @cli:   its reports go to the watcher
 * @watch: becomes readable, or hangs up, when the migration is to be taken back
 *
 * Return: an exit code.
 */
typedef int (*job_fn)(struct cli *cli, int watch);

/**
 * job_run() - Run @fn in a process and a session of its own, and watch it
 *
 * SIGINT and SIGTERM here ask the job to take the migration back; its end is waited
 * for all the same. A killed watcher is the same request.
 *
 * Return: the job's exit code; XC_STUCK if it was killed.
 */
int job_run(struct cli *cli, job_fn fn);

#endif
