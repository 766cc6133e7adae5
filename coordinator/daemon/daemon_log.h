/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon logs about a guest: a line for people, and in systemd's journal the same
 * as fields:
 *
 *	journalctl -u lockstepd GUEST=vm7
 *	journalctl -u lockstepd MESSAGE_ID=24b6a9321ee54d5ca5e6a0dc57a65d86 -o json
 */
#ifndef COORDINATOR_DAEMON_LOG_H
#define COORDINATOR_DAEMON_LOG_H

#include <stdbool.h>

#include <lockstep/err.h>
#include <lockstep/log.h>

/* Kinds of lines, by MESSAGE_ID. X(name, id, when); the ids never change. */
#define LOG_MESSAGES(X)                                                                            \
	X(ASKED, "56a4090ef5ad499286a9cae966bdd4b7", "a client has asked for a transaction")       \
	X(ROW, "24b6a9321ee54d5ca5e6a0dc57a65d86",                                                 \
	  "a row of a transaction was entered, done, failed or taken back")                        \
	X(ENDED, "7663429762a84dcb9f655c9b4f094436", "a transaction has ended")                    \
	X(REFUSED, "a51125e2b7904624ad2968aaa11653b0",                                             \
	  "a request was refused: nothing was changed")                                            \
	X(AWAY, "8e9985ca96094032a8be7aec5eb7439f",                                                \
	  "a guest cannot be reached; it is tried again")                                          \
	X(READY, "77951f24a4f5483da187dd9615088e0f",                                               \
	  "a guest is reached, and nothing interrupted is left in it")                             \
	X(INTERRUPTED, "86d88a2530c2430b93fa1804be4404ab",                                         \
	  "a transaction was found that nobody has ended")                                         \
	X(UNPLUG, "c1b0c0f4b7f54c0d9a3f9a5c2a7d8e61",                                              \
	  "a pending unplug was answered late, or is not pending any more")                        \
	X(GUESTS, "0ff0f99676a644a8a7c9d2682dd8af5d", "a guest was added, or removed")

enum log_message {
#define X(name, id, when) LOG_##name,
	LOG_MESSAGES(X)
#undef X
		LOG_MESSAGE_COUNT
};

const char *log_message_id(enum log_message m);

/**
 * struct log_about - What a line is about; NULL where there is none
 * @guest: its name, GUEST
 * @txn:   id of the transaction, TXN
 * @row:   of its table, ROW
 * @err:   what went wrong: its class, or the name of its errno, is ERROR_CLASS
 */
struct log_about {
	enum log_message message;
	const char *guest, *txn, *row;
	const struct ls_err *err;
};

/**
 * log_about() - Log a line that begins with its guest, transaction and row
 *
 * To the journal if standard error is connected to it; else through log_sink().
 */
void log_about(int priority, const struct log_about *about, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * log_journal() - Send a finished line to the journal
 * @about: NULL: the line has no subject
 *
 * Return: false if there is no journal here.
 */
bool log_journal(int priority, const struct log_about *about, const char *line);

#endif
