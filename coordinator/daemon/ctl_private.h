/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ctl.c and ctl_verbs.c share.
 */
#ifndef COORDINATOR_CTL_PRIVATE_H
#define COORDINATOR_CTL_PRIVATE_H

#include <qmp_serve.h>

#include "ctl.h"

/**
 * struct pending - A request that is not on record yet: its call is still open
 * @txn: which
 */
struct pending {
	char txn[LS_TXN_BYTES];
	struct qmp_call *call;
	struct pending *next;
};

/**
 * struct arrival - A guest that was added, and of which nobody knows yet whether it is there
 * @guest: its name
 */
struct arrival {
	char guest[LS_NAME_BYTES];
	struct qmp_call *call;
	struct arrival *next;
};

/**
 * struct client - One connection
 * @number:     never given twice, so that a request outlives it without harm
 * @spoke:      it has given a command
 * @subscribed: to all transactions
 */
struct client {
	struct ctl *c;
	uint64_t number;
	struct qmp_peer *peer;
	struct access_peer who;
	sd_event_source *io, *hello;
	bool spoke, subscribed;
	struct client *next;
};

/**
 * struct ctl - The socket
 * @fds, @io: listening, @n_fds of them
 * @arrivals: who waits for a guest to be reached
 * @spare:    given up for a client that there is no descriptor for, to tell it so
 * @path:     to be removed at the end; NULL: systemd's
 */
#define CTL_FDS_MAX 4
struct ctl {
	struct daemon *d;
	int fds[CTL_FDS_MAX];
	sd_event_source *io[CTL_FDS_MAX];
	unsigned n_fds;
	int spare;
	char *path;
	struct client *clients;
	unsigned n_clients;
	uint64_t numbers;
	struct pending *pending;
	struct arrival *arrivals;
};

/* ctl_verbs.c */
extern const struct qmp_verb ctl_verbs[];
void ctl_answer_pending(struct ctl *c, const char *txn, struct json_object *o);
void ctl_verbs_done(struct ctl *c);
void ctl_fail(struct qmp_call *call, int r, const struct ls_err *err);

/* The call is answered when the transaction is on record, or refused. */
void ctl_remember(struct ctl *c, struct qmp_call *call, const char *txn);
/* The lane of the "guest" that is meant; NULL: the call has been answered. */
struct lane *ctl_lane(struct qmp_call *call, struct json_object *args, struct daemon *d);
struct client *ctl_client(const struct qmp_call *call);

/* ctl_guests.c: handlers of verbs */
void do_add(struct qmp_call *call, struct json_object *args, struct daemon *d);
void do_remove(struct qmp_call *call, struct json_object *args, struct daemon *d);
void do_reload(struct qmp_call *call, struct json_object *args, struct daemon *d);
void ctl_guests_done(struct ctl *c);

/* ctl_doctor.c, ctl_txn.c: handlers of verbs */
void do_doctor(struct qmp_call *call, struct json_object *args, struct daemon *d);
void do_txn_list(struct qmp_call *call, struct json_object *args, struct daemon *d);
void do_txn_show(struct qmp_call *call, struct json_object *args, struct daemon *d);
void do_txn_resume(struct qmp_call *call, struct json_object *args, struct daemon *d);
void do_txn_undo(struct qmp_call *call, struct json_object *args, struct daemon *d);
void do_txn_forget(struct qmp_call *call, struct json_object *args, struct daemon *d);

#endif
