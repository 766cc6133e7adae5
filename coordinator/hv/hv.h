/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest on one QEMU, as the engine's driver sees it: look at it, ask it for a
 * verb, hear that something happened. Nothing here blocks, nothing here decides.
 */
#ifndef COORDINATOR_HV_H
#define COORDINATOR_HV_H

#include <systemd/sd-event.h>

#include "../core/table.h"

struct hv;
struct json_object;

/**
 * struct hv_listener - Who hears of what happens to the guest by itself
 * @hint: something happened (the event's name, for the log): look again
 * @lost: the monitor's connection is gone; what was asked has been answered
 * @says: the guest's own word about what it was asked for, for whoever waits: a look has
 *        still to be had before anything is decided; NULL allowed
 */
struct hv_listener {
	void (*hint)(void *arg, const char *what);
	void (*lost)(void *arg);
	void *arg;
	void (*says)(void *arg, const char *text);
};

/**
 * hv_new() - A guest behind a monitor and, if there is one, an agent's channel
 * @loop:     event loop that all of it runs on
 * @name:     of the guest, for messages; borrowed
 * @qmp:      libqmp address of the monitor; borrowed
 * @agent:    of the agent's channel; NULL none; borrowed
 * @listener: copied
 *
 * Connects with the first look. Return: NULL when out of memory.
 */
struct hv *hv_new(sd_event *loop, const char *name, const char *qmp, const char *agent,
		  const struct hv_listener *listener);
void hv_free(struct hv *hv);

/**
 * typedef hv_look_fn - Gets one observation
 * @vm: the receiver's to keep and vm_done()
 */
typedef void (*hv_look_fn)(void *arg, struct vm *vm);

/**
 * hv_look() - Observe everything, once
 *
 * Connects where there is no connection, within the look's own time. @fn is always
 * called, later, from the loop: with vm.answers false if QEMU did not answer in
 * HV_LOOK_MS. A look that is still out is replaced: its @fn is not called.
 */
void hv_look(struct hv *hv, hv_look_fn fn, void *arg);

#define HV_LOOK_MS   3000  /* for QEMU to answer */
#define HV_AGENT_MS  3000  /* for the agent, if the guest runs */
#define HV_ASK_MS    10000 /* for any one request, unless its row says more */
#define HV_DOCTOR_MS 60000 /* to compare, and with fix to take CPUs off and on again */

/* Gets what was wrong with one item of it, before that; may be called more than once. */
typedef void (*hv_bad_fn)(void *arg, unsigned item, const struct ls_err *err);

/* Gets the one reply to a request; @err has code 0 if it was good. */
typedef void (*hv_reply_fn)(void *arg, const struct ls_err *err);

/**
 * struct hv_request - One verb
 * @verb:  see table.h
 * @t:     the transaction that asks
 * @view:  what was seen last; both sides
 * @side:  which of them this guest is
 * @todo:  items, @n of them
 * @level: by item
 * @limit_ms: for the answer, if that is more than HV_ASK_MS
 * @bad:   with the reply's argument; NULL: nobody asks
 *
 * All borrowed for the call.
 */
struct hv_request {
	enum verb verb;
	const struct txn *t;
	const struct view *view;
	enum side side;
	const unsigned *todo;
	unsigned n;
	const uint64_t *level;
	unsigned limit_ms;
	hv_bad_fn bad;
};

/**
 * hv_ask() - Send what a verb takes
 *
 * @fn is called once, later, from the loop. A verb of several commands has failed if
 * one of them has; the first error is told.
 */
void hv_ask(struct hv *hv, const struct hv_request *rq, hv_reply_fn fn, void *arg);

/**
 * hv_dry() - What hv_ask() would send, from the same functions; nothing is sent or noted
 * @fn: gets each command: for "qemu" or the "agent"; @args borrowed, may be NULL
 */
typedef void (*hv_sink_fn)(void *arg, const char *to, const char *name, struct json_object *args);
void hv_dry(struct hv *hv, const struct hv_request *rq, hv_sink_fn fn, void *arg);

/**
 * hv_doctor() - The agent's doctor
 * @fix: heal
 * @fn:  gets the findings (a "findings" array, borrowed), or an error; -EINPROGRESS: the
 *       agent was asked to heal and nobody knows whether it did
 */
typedef void (*hv_value_fn)(void *arg, struct json_object *value, const struct ls_err *err);
void hv_doctor(struct hv *hv, bool fix, unsigned limit_ms, hv_value_fn fn, void *arg);

/* The process behind the monitor, "BOOT:NAMESPACE:PID:START"; empty if it is not known. */
void hv_process(const struct hv *hv, char *ret_name, size_t len);

/* It was this process: if it has ended, and nobody answers, the guest is proven gone. */
void hv_expect_process(struct hv *hv, const char *name);

/* Not the QEMU that was meant: nothing is sent to it any more, the guest meant is gone. */
void hv_presume_gone(struct hv *hv);

/*
 * Of a new connection: whether an unplug of the device @id, one of @vm's, was asked for
 * on an earlier one and has not been answered.
 */
void hv_expect_unplug(struct hv *hv, const struct vm *vm, const char *id, bool pending);

/* The transaction that is about to run: a lease that it holds already is renewed. */
void hv_expect_lease(struct hv *hv, const char *txn);

/* Why the last look got no answer. */
const struct ls_err *hv_error(const struct hv *hv);

/**
 * hv_store_read() - The newest journal record in this QEMU
 * @fn: gets "side src" or "side dst", a newline, and the record, as a JSON string; NULL: none
 *
 * hv_store_write() puts one there, for the side that this guest is, and deletes the one
 * before; hv_store_clear() deletes all there are. All are bounded by HV_ASK_MS.
 */
void hv_store_read(struct hv *hv, hv_value_fn fn, void *arg);
void hv_store_write(struct hv *hv, enum side side, const char *record, hv_reply_fn fn, void *arg);
void hv_store_clear(struct hv *hv, hv_reply_fn fn, void *arg);

/**
 * hv_break_claim() - Clean up after a coordinator that died before its first record
 * @txn: its transaction
 *
 * Removes the claim object; gives back the agent's lock, closes its window.
 */
void hv_break_claim(struct hv *hv, const char *txn, hv_reply_fn fn, void *arg);

#endif
