/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logging: one sink per program, declared here and defined by the program
 * (terminal, journal, the guest's syslog, a test's capture buffer).
 *
 * A line names its subject first: "vm7 txn12 qemu:cpu: ...". libqmp never logs.
 */
#ifndef LOCKSTEP_LOG_H
#define LOCKSTEP_LOG_H

#include <syslog.h>

/**
 * log_sink() - Where log lines go; each program has exactly one
 * @priority: LOG_ERR, LOG_WARNING, LOG_INFO or LOG_DEBUG of syslog(3)
 * @fmt:      one line without a newline
 *
 * Context: any thread; never inside an RCU read section.
 */
void log_sink(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_sink(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_sink(LOG_WARNING, __VA_ARGS__)
#define log_info(...)	 log_sink(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_sink(LOG_DEBUG, __VA_ARGS__)

#endif
