/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent as a whole, and who may call whom:
 *
 *	agent.c    options, help, the log                          (the program)
 *	run.c      one agent from start to end                     (loop thread)
 *	news.c     what happens to devices                          (loop thread, any)
 *	serve.c    clients: virtio-serial, unix sockets, events    (loop thread)
 *	vsock.c    the way from the host by AF_VSOCK               (loop thread)
 *	ops*.c     lockstep's verbs      } admitted in the loop, worked on in the
 *	qga.c      QEMU's verbs          } transaction thread, answered in the loop
 *	guard.c    keeps others from hotplugging                   (a thread of its own)
 *	request.c  the way there and back
 *	listen.c   sockets on which clients come                    (loop thread)
 *	local.c    the socket for the guest's own root               (loop thread)
 *	hooks.c, hook_*.c  the guest's programs                      (transaction thread)
 *	incli*.c   the other end of the local socket               (another process)
 *	status.c, headroom.c, kmsg.c  what lockstep-status says     (loop thread)
 *	auto_online.c  asks the kernel to do as the agent does       (at start)
 *	device.c, cpuhp.c, memory*.c, window*.c, doctor.c           (transaction thread)
 *	uevent.c, announced.c              (counted in the loop, compared in the transaction thread)
 *	cpu_rows.c                         (transaction thread, and the CPU's worker)
 *	expedite.c                         (transaction thread; its time limit: loop thread)
 *	worker.c, workers.c, cpu_meet.c                            (one thread a CPU)
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include <qmp_serve.h>

#include "device.h"
#include "expedite.h"
#include "guard.h"
#include "kmsg.h"
#include "listen.h"
#include "lock.h"
#include "loop.h"
#include "persist.h"
#include "window.h"

struct client;
struct sysfs;
struct work;

#define AGENT_CLIENTS_MAX 16   /* unix-listen: at the same time */
#define AGENT_MEMBERS_MAX 8    /* of them those who may only look */
#define AGENT_CHANGES_MAX 1024 /* events not sent yet; they are hints, the first is enough */

/* Who a client is; what it may ask for follows from that alone. */
enum client_kind {
	CLIENT_HOST,   /* at the other end of the port, or of vsock: all but the tests' switch */
	CLIENT_ROOT,   /* on a socket of the guest's root: everything */
	CLIENT_MEMBER, /* of the group that may look: what changes nothing */
};

/**
 * struct agent_options - What the command line says
 * @method:    "virtio-serial", "vsock-listen" or "unix-listen"; NULL: only agent_serve_fd()
 * @path:      of the port or the socket; vsock: [CID:]PORT
 * @state_dir: where the window is kept; NULL: nowhere
 * @hooks_dir: programs that are asked and told; NULL: none
 * @hook_ms:   how long one of them may take
 * @local:     serve the guest's own root on a socket in @state_dir
 * @local_gid: and there the members of this group, who may look; 0: none
 * @signals:   end on SIGTERM and SIGINT
 * @guard:     what others' writes meet while the hotplug lock is held
 * @guard_bound_ms: a writer is held at most this long; 0: the default
 * @auto_online_keep: leave the kernel to bring memory online as it is set to
 * @sysfs_root: whose files are marked; needed unless @guard is GUARD_OFF
 * @expedite:  use expedited RCU for batches of CPUs
 */
struct agent_options {
	const char *method;
	const char *path;
	const char *state_dir;
	const char *hooks_dir;
	unsigned hook_ms;
	bool local;
	gid_t local_gid;
	bool signals;
	enum guard_mode guard;
	unsigned guard_bound_ms;
	const char *sysfs_root;
	bool expedite;
	bool auto_online_keep;
};

/**
 * struct changes - Events on their way to the subscribers
 * @lock: protects the rest; a leaf
 * @item: runs: neighbours with the same change are one
 */
struct changes {
	pthread_mutex_t lock;
	unsigned n;
	struct change item[AGENT_CHANGES_MAX];
};

/**
 * struct agent - One agent
 * @sysfs:       the kernel; borrowed
 * @lock:        the hotplug lock
 * @window:      the migration window
 * @model:       the devices; transaction thread, but for its snapshot
 * @hooks:       the guest's own programs; NULL: none
 * @expedite:    makes batches of CPUs faster
 * @work:        the transaction thread
 * @guard:       what others meet who write to sysfs
 * @clients:     list
 * @subscribers: how many of them want events
 * @kmsg:        the kernel's words
 * @scan_queued: a scan has been asked for and has not begun
 * @came_back:   writes that are back from the kernel, and keep the lock until a scan; atomic
 * @finished:    replies were given since the last round: clients may have room again
 */
struct agent {
	struct sysfs *sysfs;
	struct persist persist;
	struct hotplug_lock lock;
	struct window window;
	struct model model;
	struct hooks *hooks;
	struct expedite expedite;
	struct changes changes;
	struct guard guard;
	struct work *work;
	struct loop loop;
	struct source work_source;
	struct source signal_source;
	struct source uevent_source;
	struct source guard_source;
	struct client *clients;
	unsigned n_clients;
	struct listener listener;
	struct listener local;
	struct kmsg kmsg;
	bool scan_queued;
	unsigned came_back;
	bool finished;
};

/* ---- run.c ---------------------------------------------------------------- */

/**
 * agent_init() - Everything but the loop: scan, load the window, open the transport
 * @a:     caller's memory
 * @opt:   borrowed for the agent's life
 * @sysfs: the kernel; borrowed
 * @err:   what could not be opened
 *
 * Context: the thread that will run the loop; SIGTERM and SIGINT are blocked by
 *          the caller if @opt says signals.
 * Return: 0 or -errno.
 */
int agent_init(struct agent *a, const struct agent_options *opt, struct sysfs *sysfs,
	       struct ls_err *err);
/* Serve until SIGTERM or agent_stop(): 0 or -errno. */
int agent_run(struct agent *a);
/* Make agent_run() return; from any thread. */
void agent_stop(struct agent *a);
/* 0, or -ETIMEDOUT: a write is still in the kernel, nothing was released: exit. */
int agent_done(struct agent *a);

/* Act on leases that have run out, after reading what clients have sent already. */
void agent_expire(void *agent);

/* ---- news.c --------------------------------------------------------------- */

/* Tell subscribers; from any thread. */
void agent_tell(void *agent, const struct change *change);
/* The hotplug lock is "held" or "free" now. */
void agent_tell_lock(struct agent *a, const char *state);

/* Ask for a scan by the transaction thread; many asked for at once are one. */
void agent_scan(struct agent *a);

/* ---- serve.c -------------------------------------------------------------- */

int serve_open(struct agent *a, const struct agent_options *opt, struct ls_err *err);
void serve_close(struct agent *a);
/* One more client on a connected descriptor; ownership passes, also on failure. */
int agent_serve_fd(struct agent *a, int fd, enum client_kind kind);
/* Read what clients have sent already: before a lease's end is acted on. */
void serve_drain(struct agent *a);
/* Replies were given: clients may send more. */
void serve_refresh(struct agent *a);
/* Send what agent_tell() has gathered. */
void serve_changes(struct agent *a);
enum client_kind serve_kind(const void *client);
/* This client wants events from now on. */
void serve_subscribe(struct agent *a, void *client);

/* ---- ops.c, qga.c ---------------------------------------------------------- */

/* All verbs as this kind of client has them; ends with an empty row. */
const struct qmp_verb *ops_verbs(enum client_kind kind);
/* Bad arguments of our own verbs have classes; those of QEMU's are answered as QEMU does. */
bool ops_classed(const char *name);
/* QEMU's, to be put behind them. */
extern const struct qmp_verb qga_verbs[];
extern const unsigned qga_verbs_count;
/* The window's lease has run out: close it. */
void ops_close_expired(struct agent *a);

#endif
