/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the QMP back end share:
 *
 * hv.c        a guest's life: connections, process, events
 * hv_process.c the process behind the monitor, and the proof of its death
 * hv_backend.c what a DIMM's memory is made of
 * hv_batch.c  several commands as one request
 * hv_qmp.c    the verbs that QEMU answers; hv_guest.c those that the agent answers;
 *             hv_guest_read.c what it says of itself
 * hv_plug.c   the host's hooks, told of new vCPUs
 * hv_lease.c  the lease on what the agent holds for a transaction
 * hv_look.c   one observation, hv_look_agent.c the agent's part of it; hv_query.c its
 *             questions; hv_read.c what QEMU's answers mean for it, hv_vector.c put together
 * hv_store.c  the journal in QEMU
 * hv_mark.c   marks in QEMU of unplugs that were asked for
 */
#ifndef COORDINATOR_HV_PRIVATE_H
#define COORDINATOR_HV_PRIVATE_H

#include <json-c/json.h>

#include <lockstep/cleanup.h>
#include <lockstep/wire.h>
#include <qmp_commands.h>

#include "conn.h"
#include "hv.h"

#define CLAIM_ID	"lockstep-claim"
#define SURRENDERED_ID	"lockstep-surrendered"
#define JOURNAL_PREFIX	"lockstep-journal-"
#define PERIPHERAL_PATH "/machine/peripheral/"

/* Asked for at every renewal; the agent cuts the first one. Renewed at a quarter of it. */
#define LEASE_MS 20000

#define BOOT_ID_BYTES 65

/* One slot as QEMU wants it back in device_add; and what is known of an unplug of it. */
struct hv_slot {
	char type[QMP_TYPE_BYTES];
	struct json_object *props;
	bool asked, refused;
};

/* What is known of the unplug of a memory device. */
struct hv_unplug {
	char id[LS_NAME_BYTES];
	bool asked, refused;
};

/**
 * struct batch - Several commands that make one request
 * @pending: replies still to come, plus one while commands are being sent
 * @fn:      NULL when the limit was reached and told; @arg is not to be used then
 * @bad:     told of each item that failed, with @arg; may be NULL
 * @parts:   what is known of its commands
 * @sink:    gets the commands instead of whom they are for, with @arg; NULL: they are sent
 * @err:     the first error
 */
struct batch {
	struct hv *hv;
	unsigned pending, limit_ms;
	struct ls_err err;
	hv_bad_fn bad;
	hv_reply_fn fn;
	void *arg;
	struct part *parts;
	hv_sink_fn sink;
	struct batch *next;
	sd_event_source *limit;
};

struct look;
struct query;
struct plug;

/**
 * struct hv_facts - What a QEMU never changes: asked once a connection
 * @link:      which one it was (conn.opened); 0: none
 * @version:   as in struct vm, and the other members likewise
 * @core_step: a pSeries machine's "vsmt": between the numbers of two cores in the guest
 */
struct hv_facts {
	unsigned link;
	unsigned version;
	char machine[LS_NAME_BYTES];
	uint64_t mem_boot, mem_max;
	unsigned mem_slots, core_step;
};

/**
 * struct hv - One guest
 * @monitor, @agent: connections; @has_agent: there is a channel at all
 * @pid:        the process behind the monitor, 0 unknown; @ended: it has; @gone: proven dead
 * @facts:      fixed ones, of the connection that they were asked on
 * @slots:      by slot, as of the last look
 * @unplugs:    of memory devices that were asked for or refused; @n_unplugs of them
 * @kind:       of agent last seen; @agent_tried: whether there was time to answer once;
 *              @agent_why: what came of the wait for it, when one was in vain
 * @boots:      noticed: resets, and another boot id than @boot_id; @boot_until_ms: it was
 *              reset and its agent has not answered since, for so long; 0: it has
 * @running:    by the last status or event; a guest that stands still has a silent agent
 * @journal_first, @journal_seq: numbers of records in this QEMU, 0 none; @journal_known: read
 * @lease_until_ms: when the agent gives the lock or window back; 0 none held
 * @lease_txn:  by whom held; @lease_verb: how to renew; @lease_over: given back
 * @lease_taken_ms: when lock or open was sent; @lease_sent_ms: the last renewal
 * @lease_out:  that is not answered, on the connection that was the @lease_link-th
 */
struct hv {
	sd_event *loop;
	const char *name;
	struct hv_listener listener;
	struct conn monitor, agent;
	bool has_agent;
	int pid, pidfd;
	bool ended, gone;
	sd_event_source *pid_source;
	struct hv_facts facts;
	struct hv_slot *slots;
	unsigned n_slots;
	struct hv_unplug *unplugs;
	unsigned n_unplugs;
	enum vm_agent kind;
	bool agent_tried, running, subscribed;
	unsigned boots;
	char boot_id[BOOT_ID_BYTES];
	uint64_t boot_until_ms;
	char agent_why[sizeof(((struct vm *)NULL)->agent_text)];
	uint64_t lease_until_ms;
	char lease_txn[LS_TXN_BYTES];
	bool lease_over, lease_out;
	uint64_t lease_taken_ms, lease_sent_ms;
	unsigned lease_link;
	enum ls_wire_command lease_verb;
	sd_event_source *lease_timer;
	struct look *look;
	uint32_t looks;
	struct query *queries;
	unsigned journal_first, journal_seq;
	bool journal_known;
	struct batch *batches;
	struct plug *plugs;
};

/* hv.c */
uint64_t hv_now_ms(void);
struct hv_unplug *hv_unplug(struct hv *hv, const char *id, bool make);
sd_event_source *hv_after(struct hv *hv, uint64_t ms, sd_event_time_handler_t fn, void *arg);

/* hv_process.c; connected: -ESHUTDOWN if it is not the QEMU that it was */
int process_connected(struct hv *hv, struct ls_err *err);
void process_monitor_lost(struct hv *hv);

/* hv_backend.c: arguments of object-add for a DIMM made of @backing. */
struct json_object *backend_args(const char *backing, const char *id, uint64_t size);

/* hv_mark.c */
#define MARK_BYTES QMP_ID_BYTES

/* What a mark is about; @backend: of a DIMM, else empty. */
struct unplug_mark {
	char device[LS_NAME_BYTES], backend[LS_NAME_BYTES];
};

void mark_name(char *ret_name, const char *device, const char *backend);
bool mark_read(const char *name, struct unplug_mark *ret_mark); /* false: it is none */
void mark_set(struct batch *b, const char *name, const char *txn);
void mark_remove(struct hv *hv, const char *name); /* nobody waits for it */

/* hv_batch.c */
struct batch *batch_new(struct hv *hv, hv_reply_fn fn, void *arg);
void batch_add(struct batch *b, struct conn *c, const char *name, struct json_object *args);
void batch_add_fn(struct batch *b, struct conn *c, const char *name, struct json_object *args,
		  qmp_reply_fn fn);
void batch_add_item(struct batch *b, struct conn *c, const char *name, struct json_object *args,
		    unsigned item); /* whose failure is that of the item */
void batch_fail(struct batch *b, const struct ls_err *err);
void batch_bad(struct batch *b, unsigned item, const struct ls_err *err);

/**
 * struct part - A command of a batch: the argument of its reply function
 * @items: that it is about, @n of them; @id: what each of them is in the reply
 * @mark:  that was set for it, else empty
 */
struct part {
	struct batch *b;
	char mark[MARK_BYTES];
	unsigned n, size;
	struct part_item {
		unsigned item;
		int64_t id;
	} * items;
	struct part *next;
};

struct part *part_new(struct batch *b); /* the batch's own */
void part_item(struct part *p, unsigned item, int64_t id);
void batch_add_part(struct part *p, struct conn *c, const char *name, struct json_object *args,
		    qmp_reply_fn fn);
void batch_done(struct batch *b); /* one of its commands was answered, or all were sent */
void batch_limit(struct batch *b, unsigned ms); /* instead of HV_ASK_MS */
void batch_free(struct batch *b);
void batch_free_parts(struct batch *b);

/* hv_plug.c: batch_new() for vCPUs that are added; the host's hooks are told before @fn is. */
struct batch *plug_batch(struct hv *hv, const struct hv_request *rq, hv_reply_fn fn, void *arg);
void plugs_free(struct hv *hv);

/* ---- looks ------------------------------------------------------------- */

/**
 * struct look - The look that is out
 * @number:    tells answers to it from answers to one before it
 * @pending:   answers of QEMU still to come
 * @asked:     QEMU was asked; before that the connection is being made
 * @guest_out: the agent was asked and has not answered
 * @guest_tried: it was asked, or cannot be; @reopened: its connection was lost and tried again
 * @late:      when to give up; @agent_late: on the agent, at the last of @agent_tries
 */
struct look {
	struct hv *hv;
	uint32_t number;
	hv_look_fn fn;
	void *arg;
	struct vm vm;
	struct hv_facts facts;
	unsigned pending;
	bool asked, guest_out, guest_tried, reopened;
	unsigned agent_tries;
	struct ls_err err;
	sd_event_source *late, *agent_late, *tell, *retry;
	struct qmp_memory_device *mems;
	size_t n_mems;
	struct qmp_property *objects;
	size_t n_objects;
	struct qmp_ospm_status *ospm;
	size_t n_ospm;
};

/**
 * struct look_query - One question of a look
 * @name:     the command; @path and @property for qom-list and qom-get
 * @read:     puts the answer into the look's vm
 * @once:     of struct hv_facts
 * @may_fail: that QEMU refuses it means only that there is no such thing
 */
struct look_query {
	const char *name;
	const char *path, *property;
	int (*read)(struct look *k, struct json_object *value, struct ls_err *err);
	bool may_fail, once;
};

/* hv_read.c */
extern const struct look_query look_queries[];
extern const size_t look_n_queries;

/* An id that may go into a command to another QEMU, or to this one again. */
bool hv_id_ok(const char *id);

/* hv_vector.c */
void look_put_together(struct look *k); /* when every answer is there */

/* The migration capabilities that are set; by the bit of struct vm. */
#define HV_N_CAPS 4
extern const struct hv_cap {
	unsigned bit;
	const char *name;
} hv_caps[HV_N_CAPS];

/* A transaction's name by somebody's word: whoever it is, "(unreadable)" is not one of ours. */
void hv_copy_txn(char *ret_txn, const char *txn);

/* A slot's number in QEMU's words. Return: false if it is none, or not below @n. */
bool hv_slot_number(const char *text, unsigned n, unsigned *ret_slot);

/**
 * struct query - A question of a look that is out
 * @look: its number; @what: NULL if the agent was asked
 */
struct query {
	struct hv *hv;
	uint32_t look;
	const struct look_query *what;
	struct query *next;
};

/* hv_query.c */
struct query *query_new(struct look *k, const struct look_query *what);
struct look *query_look(const struct query *q); /* NULL: it was given up */
void query_free(struct query *q);
void query_drop(struct hv *hv, struct conn *c); /* close it: it answers no more */
void queries_free(struct hv *hv);

/* hv_look_agent.c */
void look_ask_agent(struct look *k);	   /* if it is time to, and it was not asked yet */
bool look_agent_due(const struct look *k); /* it still has to be waited for */
void look_agent_clock(struct look *k);	   /* give up on it in time */
void look_agent_lost(struct hv *hv);
void look_say_silence(struct look *k); /* why there is no answer, if there is none */

/* hv_look.c */
void look_step(struct look *k);
void look_connection(struct hv *hv); /* the agent's came, or the guest was stopped: go on */
void look_lost(struct hv *hv, const struct ls_err *err);
void look_free(struct hv *hv);

/* hv_guest.c: verbs of the agent. */
void guest_ask(struct hv *hv, const struct hv_request *rq, struct batch *b);

/* hv_guest_read.c: a status, and qemu-ga's list, as they came, into @vm. */
void guest_read_status(struct hv *hv, struct json_object *value, struct vm *vm);
void guest_read_vcpus(struct json_object *value, struct vm *vm);

/*
 * hv_lease.c: ask notes what a lock or an open that is being sent will have to be renewed
 * with; begin: it was granted, cut to LS_LEASE_FIRST_MAX_MS; adopt: what a look found held
 * for our transaction by a process that died before this one.
 */
void lease_ask(struct hv *hv, const char *txn, enum ls_wire_command renewal);
void lease_begin(struct hv *hv);
void lease_adopt(struct hv *hv, const struct vm *vm);
void lease_stop(struct hv *hv);

#endif
