/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small world in virtual time, for unit tests of the engine and for the simulation:
 * two QEMUs, a guest, its agent, a journal, and a coordinator that carries out what the
 * engine asks for.
 *
 * Nothing is done at once. A vCPU is plugged before the guest knows it, an unplug is
 * accepted and then done, refused or forgotten, memory comes and goes block by block,
 * a look is old by the time it arrives, a reply may be lost or lie. Everything that
 * happens is one entry of a queue ordered by time and then by number, so that every
 * run of a test is the same run.
 *
 * The rules that hold at every moment are checked after each entry (world_check());
 * a broken one ends the test there.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include "../../coordinator/core/engine.h"
#include "../../coordinator/core/plan.h"

#define W_CPUS	   8
#define W_MEMS	   6
#define W_LATER	   512 /* many are hints that come late */
#define W_MIB	   (UINT64_C(1) << 20)
#define W_BLOCK	   (128 * W_MIB)
#define W_BOOT	   (512 * W_MIB)
#define W_NODES	   2		       /* slots are on them in turns */
#define W_HEADROOM (64 * 1024 * W_MIB) /* there is room to describe all that can be added */
#define W_LEASE_MS 5000

/* How the guest takes being asked for a device. */
enum w_mood { GUEST_GIVES, GUEST_REFUSES, GUEST_SILENT, GUEST_LATE };

struct w_cpu {
	bool plugged, removing, refused, fixed;
	bool present, device, kernel;
	char id[LS_NAME_BYTES];
	enum w_mood mood;
	unsigned asked; /* how often the agent was: the last request is the last to be done */
	bool busy, goal;
};

struct w_mem {
	bool exists, plugged, removing, refused;
	enum w_mood mood;
	enum vm_mem_kind kind;
	int slot;
	char id[LS_NAME_BYTES], backend[LS_NAME_BYTES];
	uint64_t size, requested, max;
	uint64_t present, online;
	unsigned asked;	   /* how often the agent was: only the last request counts */
	unsigned requests; /* of a size: the driver follows the last */
};

/**
 * struct w_qemu - One QEMU, and the guest that is in it
 * @run:        VM_GONE: the process has ended
 * @ran:        it has run a guest since the test began
 * @boots_until: until then the guest only starts; @boots: how often it has
 * @lock:       transaction in the agent's hotplug lock; @lock_until: its lease
 * @window:     the same of the migration window; @forced: CPUs that it brought online
 */
struct w_qemu {
	enum vm_run run;
	enum vm_mig mig;
	unsigned caps;
	bool surrendered, ran;
	char claim[LS_TXN_BYTES];
	struct w_cpu cpus[W_CPUS];
	struct w_mem mems[W_MEMS];
	uint64_t balloon, balloon_goal; /* left to the guest; what it was asked for */
	bool agent_up;
	char lock[LS_TXN_BYTES], window[LS_TXN_BYTES];
	uint64_t lock_until, window_until;
	bool forced[W_CPUS];
	bool gives; /* its kernel has a device in hand that it gives: the next one waits */
	uint64_t boots_until;
	unsigned boots;
};

/* What becomes of one reply. */
enum w_reply {
	REPLY_GOOD,
	REPLY_LOST,	   /* done, then the connection breaks */
	REPLY_LATE,	   /* done, the reply comes after a minute */
	REPLY_FALSE_ERROR, /* done, the reply says error */
	REPLY_FALSE_OK,	   /* not done, the reply says good */
	REPLY_ERROR,	   /* not done, the reply says so */
	REPLY_DROPPED,	   /* not done, the connection breaks before it got there */
	REPLY_TWICE,	   /* done, and said twice */
	REPLY_COUNT
};

struct world;
struct later;
typedef void (*later_fn)(struct world *w, const struct later *l);

/**
 * struct later - Something that will happen
 * @level: of a reply: bit by item that failed
 * @coordinator: it dies with the coordinator; @line: it dies with its connections, too
 * @guest:       it is the guest's doing: not while that stands still, and wherever it is
 * @exact:       it takes as long in every world: a lease, a fault
 */
struct later {
	uint64_t at_ms, number;
	later_fn fn;
	bool coordinator, line, exact, guest;
	int side;
	unsigned item;
	uint64_t level;
	uint32_t req;
	struct ls_err err;
};

/**
 * struct w_seams - What the simulation hangs into the world
 * @ms:     how long something takes this time that usually takes @usual_ms
 * @action: the engine wants this done; faults that wait for it strike now
 * @said:   a line of the story; @coordinator: of the coordinator, else of the world
 * @event:  one of a QEMU's events, in short ("CPU 2: ACPI_DEVICE_OST 3 132"); may be NULL
 */
struct w_seams {
	uint64_t (*ms)(struct world *w, uint64_t usual_ms);
	void (*action)(struct world *w, const struct action *a);
	void (*said)(struct world *w, bool coordinator, const char *line);
	void (*event)(struct world *w, enum side side, const char *event);
};

/**
 * struct world - All of it
 *
 * The faults, set before the run; a count of 0 means never, n the nth one:
 * @crash_at:    after this action the coordinator is gone
 * @keep:        a record that was on its way then reached the disk
 * @cancel_at:   after this action somebody cancels
 * @lose_at:     after this action all connections break
 * @fail_write:  this record cannot be written; @fail_writes: none can from then on
 * @fault_at:    this request gets @fault as its reply
 * @fail_verb:   every request for one of these does nothing and says so
 * @mood:        of the guest, when asked for a device that has no mood of its own
 * @broken:      bit per slot: it does not come online
 * @best_effort: of the transactions that are planned
 * @lazy:        the guest never follows a virtio-mem request, or a balloon, beyond this many
 *               bytes; 0 it does
 * @dimms_offline: a guest that has booted has its DIMMs offline, as Linux 6.1; else online, as 6.12
 * @no_hints:    nobody tells the coordinator that something happened; @hint_ms: so much later
 * @silent_from, @silent_until: per side, time in which QEMU answers nobody
 * @agent:       kind of it; @old_agent: of a release that tells less
 * @kernel_says: what the guest's kernel has printed of what it does not give up; NULL: nothing
 *
 * Those that strike once, at the action that is carried out next:
 * @crash_now:   the coordinator is gone after it
 * @reply_now:   what becomes of its reply
 * @gate_ms:     the destination answers nobody for so long from pre-switchover on
 * @write_now:   it cannot be written; @look_ms: its answer takes so much longer
 *
 * @seams:       of a simulation; NULL in unit tests
 * @seams_arg:   whose they are
 * @deadline_ms: of the next transaction, on the world's clock; 0 none
 *
 * What it keeps:
 * @disk:        the record that a restart finds; empty none
 * @actions, @asks, @writes: how many there were
 * @code:        of the last end's reason
 * @kept_a_hold: a fault kept one from being given back; @unrecorded: a record from disk
 * @stranger:    somebody else has continued the source
 * @touched:     CPUs that the guest's user has switched himself
 * @killed:      per side, its end was none of the coordinator's doing
 * @most:        actions that one event led to, at most
 * @trace:       what happened, a line each
 */
struct world {
	unsigned crash_at, cancel_at, lose_at, fail_write, fault_at;
	bool keep, fail_writes, no_hints;
	enum w_reply fault;
	enum verb fail_verb[2];
	enum w_mood mood;
	unsigned broken;
	const char *kernel_says;
	bool best_effort;
	uint64_t lazy;
	bool dimms_offline;
	bool crash_now, write_now;
	enum w_reply reply_now;
	uint64_t look_ms, hint_ms, deadline_ms, gate_ms;
	const struct w_seams *seams;
	void *seams_arg;
	uint64_t silent_from[SIDE_COUNT], silent_until[SIDE_COUNT];
	enum vm_agent agent;
	bool old_agent;

	uint64_t now_ms, number;
	struct w_qemu qemu[SIDE_COUNT];
	struct w_qemu before[SIDE_COUNT];
	struct later later[W_LATER];
	unsigned n_later;

	struct txn *t;
	struct engine *e;
	uint64_t timer_ms;
	uint32_t look;
	struct view view, old;
	bool looked, over, dead;
	unsigned txns;
	char disk[TXN_RECORD_MAX], writing[TXN_RECORD_MAX];
	bool written_ahead;
	unsigned actions, asks, writes, most, steps;
	int code;
	bool kept_a_hold, unrecorded, stranger, killed[SIDE_COUNT], touched[W_CPUS];
	size_t trace_len;
	char trace[16384];
};

/* A guest with 2 of 8 vCPUs, 512 MiB, an empty virtio-mem device of 1 GiB, 4 DIMM slots. */
struct world *world_new(void);
void world_free(struct world *w);

/* A device that is there, online, and can be unplugged. */
void world_has_cpu(struct world *w, unsigned slot);
void world_removes_cpu(struct world *w, unsigned slot, uint64_t in_ms); /* asked for already */
void world_has_dimm(struct world *w, const char *id, uint64_t size);
void world_has_virtio_mem(struct world *w, uint64_t size);

/* The other QEMU, waiting with "-incoming defer -S". */
void world_has_destination(struct world *w);

/* Look, and plan; the transaction begins with the next world_run(). Return: as plan_*(). */
int world_vcpus(struct world *w, unsigned count, struct ls_err *err);
int world_node(struct world *w, int node, unsigned count, struct ls_err *err);
int world_slots(struct world *w, const struct numbers *which, bool plug, struct ls_err *err);
int world_memory(struct world *w, uint64_t bytes, struct ls_err *err);
int world_cpu(struct world *w, const struct numbers *which, bool online, struct ls_err *err);
int world_dimm_add(struct world *w, uint64_t bytes, struct ls_err *err);
int world_dimm_remove(struct world *w, const char *device, struct ls_err *err);
int world_mem_resize(struct world *w, const char *device, uint64_t bytes, struct ls_err *err);
int world_balloon(struct world *w, uint64_t bytes, struct ls_err *err);
int world_migrate(struct world *w, struct ls_err *err);

/* What the side looks like now; caller releases with vm_done(). */
void world_look(struct world *w, enum side side, struct vm *ret_vm);

/* Until the transaction has ended, or the coordinator crashed: then END_NONE. */
enum txn_end world_run(struct world *w);

/* Time passes with nobody there. */
void world_wait(struct world *w, uint64_t ms);

/* A new coordinator finds what is on the disk. Return: false when that is nothing. */
bool world_restart(struct world *w, bool take_back);

/* The rules that hold always, and those that hold once a transaction is over. */
void world_check(struct world *w);
void world_check_no_holds(struct world *w);
void world_check_as_before(struct world *w);
void world_check_each_whole(struct world *w); /* as before, or as was wanted */
void world_check_old_is_there(struct world *w);

/* What the coordinator does, and in a simulation what happens around it; both by lines. */
void world_say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_happens(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A QEMU sends an event. The coordinator takes any for a hint (world_changed()). */
void world_says(struct world *w, enum side side, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A rule does not hold: the run ends here. */
_Noreturn void world_fail(const struct world *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What that means to whoever runs the world: tests/unit/world_failed.c, sim.c. */
_Noreturn void world_failed(const struct world *w, const char *why);

/**
 * struct scenario - Something that a user wants, and a guest to want it of
 * @removes: the guest is asked for devices, and may keep us waiting
 * @partial: best effort: not all of what is wanted can be had
 * @reached: whether all of it is as was wanted
 * @another: asked again it is one more
 * @partly:  what was reached stays
 */
struct scenario {
	const char *name;
	void (*prepare)(struct world *w);
	int (*wish)(struct world *w, struct ls_err *err);
	bool (*reached)(struct world *w);
	bool removes, another, partly, partial;
};

enum {
	PLUG_CPUS,
	UNPLUG_CPUS,
	ADD_MEMORY,
	REMOVE_MEMORY,
	CPUS_ONLINE,
	CPUS_OFFLINE,
	PLUG_SOME,
	UNPLUG_SOME,
	ADD_DIMM,
	REMOVE_DIMM,
	RESIZE_DEVICE,
	FILL_BALLOON,
	EMPTY_BALLOON,
	MIGRATE,
	SCENARIOS
};
extern const struct scenario scenarios[SCENARIOS];

/* A prepared world with the wish begun. */
struct world *world_with(const struct scenario *s);
void world_wish(struct world *w, const struct scenario *s);

/* Nobody is there to renew: leases run out; a claim of the dead is broken. */
void world_forget_the_dead(struct world *w);

/*
 * Behind the planner's back, before the engine has looked: somebody else plugs, removes,
 * resizes or switches what is meant. @pick chooses.
 */
void world_goes_stale(struct world *w, unsigned pick);

/* From outside, at any moment: somebody cancels; all connections break. */
void world_cancel(struct world *w, uint64_t in_ms);
void world_lose(struct world *w, uint64_t in_ms);

/* What was to be seen when the transaction began comes again, as the answer to an old look. */
void world_shows_old(struct world *w, uint64_t in_ms);

/* The rest of what befalls a world (world_harm.c). @before goes along where it has to. */
void world_reset(struct world *w, uint64_t boot_ms);
void world_kill(struct world *w, enum side side);
void world_agent_away(struct world *w, uint64_t ms);
void world_user_writes(struct world *w, unsigned slot, bool on);
void world_loses_hold(struct world *w, unsigned which);
void world_rival(struct world *w, unsigned which, uint64_t ms);
void world_source_continued(struct world *w);
void world_migration_fails(struct world *w);
void world_clock_jumps(struct world *w, uint64_t ms);

/* Where the guest is: the source, until it runs at the destination or that is all there is. */
enum side world_guest_side(const struct world *w);

/* Between the files of the world. */
void world_event(struct world *w, struct event ev);
void world_drain(struct world *w);
void world_begin(struct world *w, struct txn *t);
void world_bury(struct world *w);
void world_forget(struct world *w, bool line_only);
void world_record(const struct world *w, struct txn **ret_txn);
bool world_is_silent(const struct world *w, enum side side);
void world_forget_view(struct view *v);
void world_later(struct world *w, uint64_t in_ms, struct later l);
void world_changed(struct world *w);
int world_ask(struct world *w, enum verb verb, enum side side, unsigned item, uint64_t level);
int world_guest_ask(struct world *w, enum verb verb, enum side side, unsigned item, uint64_t level);
bool world_guest_helps_itself(const struct world *w);
bool world_needs_lock(enum verb verb); /* of the agent's verbs */
void guest_drops_window(struct w_qemu *q);
int migration_ask(struct world *w, enum verb verb, enum side side);
void guest_follows_balloon(struct world *w, const struct later *l);
bool guest_at_work(const struct w_qemu *q);
void cpu_is(struct w_cpu *c, bool on);
void guest_takes_virtio_mem(struct world *w, const struct later *l);
struct w_mem *world_mem(struct world *w, enum side side, const char *id);

#endif
