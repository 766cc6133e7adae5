/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's thread: reads the kernel's questions and answers them.
 *
 * DOC: one round
 *
 * Everything that the kernel has queued is read. Readers, our own threads, and all
 * while the lock is free are answered on the spot; a writer that has to wait goes to
 * a table. Then the table is looked at: the lock may be free again, or a bound may be
 * over. Then the thread sleeps until the kernel asks, the lock changes, or the next
 * bound is over.
 *
 * Nothing in a round waits for another thread of ours, which may itself be waiting
 * for an answer: no lock, no allocation, no log. What is to be told goes to the loop
 * as a bit and an eventfd.
 */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include <qmp.h>

#include "hooks.h"

#define STACK_BYTES  (128 * 1024)
#define EVENTS_BYTES 4096
#define SETTLE_MS    200  /* for the thread to empty its queue; it takes microseconds */
#define ERRORS_MAX   1024 /* events in a row whose file is gone already */

/* clang-format off */
#define get(field)	  __atomic_load_n(&(field), __ATOMIC_SEQ_CST)
#define set(field, value) __atomic_store_n(&(field), (value), __ATOMIC_SEQ_CST)
/* clang-format on */

static void kick(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable, which is all that is wanted */
}

static void drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return; /* empty */
}

/* ---- answers ------------------------------------------------------------- */

static void answer(int fan, int fd, bool allow)
{
	const struct fanotify_response r = { .fd = fd, .response = allow ? FAN_ALLOW : FAN_DENY };

	if (write(fan, &r, sizeof(r)) < 0)
		return; /* it has been killed meanwhile */
}

static void hold(struct guard *g, int fan, int fd)
{
	if (g->n_held == GUARD_HELD_MAX) {
		answer(fan, fd, false);
		close(fd);
		return;
	}
	g->held[g->n_held] = (struct guard_held){ fan, fd, qmp_now_ms() + g->bound_ms };
	set(g->n_held, g->n_held + 1);
}

/* Let go of whom nothing holds any more, in the order in which they came. */
static void review_held(struct guard *g)
{
	uint64_t now_ms = qmp_now_ms();
	bool engaged = get(g->engaged);
	unsigned i, kept = 0;

	for (i = 0; i < g->n_held; i++) {
		struct guard_held *h = &g->held[i];

		if (engaged && now_ms < h->until_ms) {
			g->held[kept++] = *h;
			continue;
		}
		answer(h->fan, h->fd, !engaged);
		close(h->fd);
	}
	set(g->n_held, kept);
}

/* ---- events --------------------------------------------------------------- */

static unsigned find_own(const struct guard *g, pid_t tid)
{
	unsigned i = 0;

	while (i < GUARD_OWN_MAX && (tid <= 0 || g->own[i] != tid))
		i++;
	return i;
}

/* An open is where a thread is surely alive: whether it is ours is found out here. */
static bool learn_own(struct guard *g, pid_t tid)
{
	bool own = opener_is_own(tid);
	unsigned i = find_own(g, tid);

	if (own && i == GUARD_OWN_MAX)
		g->own[g->own_next++ % GUARD_OWN_MAX] = tid;
	else if (!own && i < GUARD_OWN_MAX)
		g->own[i] = 0; /* its number has been used again */
	return own;
}

/* The loop is told of the first: there may be thousands. */
static void meet(struct guard *g, pid_t tid)
{
	if (get(g->met))
		return;
	set(g->met, tid);
	kick(g->news);
}

static void on_open(struct guard *g, int fan, const struct fanotify_event_metadata *ev)
{
	struct guard_open open = { .own = learn_own(g, ev->pid) };
	bool engaged = get(g->engaged);
	enum guard_verdict verdict;

	if (engaged && !open.own) {
		open.writes = opener_writes(ev->pid);
		open.hook = open.writes &&
			    (opener_is_child(ev->pid, g->agent) || hooks_is_ours(ev->pid));
	}
	verdict = guard_judge(g->mode, engaged, &open);
	if (verdict != GUARD_ALLOW && !open.hook)
		meet(g, ev->pid);
	if (verdict == GUARD_WAIT) {
		hold(g, fan, ev->fd);
		return;
	}
	answer(fan, ev->fd, verdict == GUARD_ALLOW);
	close(ev->fd);
}

/* The CPU whose file this is: -1 none. */
static int cpu_of(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -1;
	path[n] = '\0';
	return guard_parse_cpu(path);
}

static void on_write(struct guard *g, const struct fanotify_event_metadata *ev)
{
	int cpu;

	if (ev->fd >= 0 && find_own(g, ev->pid) < GUARD_OWN_MAX) {
		close(ev->fd);
		return;
	}
	cpu = ev->fd >= 0 ? cpu_of(ev->fd) : -1;
	if (cpu >= 0)
		__atomic_or_fetch(&g->touched.bits[cpu / 64], 1ULL << (cpu % 64), __ATOMIC_SEQ_CST);
	if (ev->fd >= 0)
		close(ev->fd);
	kick(g->news);
}

static void read_events(struct guard *g, int fan)
{
	char buf[EVENTS_BYTES] __attribute__((aligned(8)));
	const struct fanotify_event_metadata *ev;
	int errors = 0;
	ssize_t n;

	while (errors < ERRORS_MAX) {
		n = read(fan, buf, sizeof(buf));
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			errors++;
		for (ev = (void *)buf; FAN_EVENT_OK(ev, n); ev = FAN_EVENT_NEXT(ev, n))
			if (ev->mask & FAN_OPEN_PERM)
				on_open(g, fan, ev);
			else
				on_write(g, ev);
	}
}

/* ---- the thread ------------------------------------------------------------ */

static int wait_ms(const struct guard *g)
{
	uint64_t now_ms = qmp_now_ms();

	if (!g->n_held)
		return -1;
	return g->held[0].until_ms > now_ms ? (int)(g->held[0].until_ms - now_ms) : 0;
}

static void one_round(struct guard *g)
{
	uint64_t asked;
	int i;

	drain(g->wake);
	asked = get(g->asked);
	for (i = 0; i < GUARD_GROUP_COUNT; i++)
		read_events(g, g->fan[i]);
	review_held(g);
	if (asked != g->answered) {
		set(g->answered, asked);
		kick(g->settled);
	}
}

static void *guard_thread(void *arg)
{
	struct guard *g = arg;
	struct pollfd fds[] = {
		{ g->fan[GUARD_READABLE], POLLIN, 0 },
		{ g->fan[GUARD_WRITE_ONLY], POLLIN, 0 },
		{ g->wake, POLLIN, 0 },
	};

	/* What there is now stays in memory once touched. Not what comes later: past a
	 * limit that would make other threads' allocations fail. */
	mlockall(MCL_CURRENT | MCL_ONFAULT);
	while (!get(g->stop)) {
		poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(g));
		one_round(g);
	}
	return NULL;
}

static int start_thread(struct guard *g)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = pthread_create(&g->thread, &attr, guard_thread, g);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	g->running = r == 0;
	return -r;
}

/* ---- start and end ----------------------------------------------------------- */

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_all(struct guard *g)
{
	int i;

	for (i = 0; i < GUARD_GROUP_COUNT; i++)
		close_one(&g->fan[i]);
	close_one(&g->wake);
	close_one(&g->news);
	close_one(&g->settled);
}

static int open_all(struct guard *g)
{
	static const unsigned how[] = { O_RDONLY, O_WRONLY };
	int i;

	for (i = 0; i < GUARD_GROUP_COUNT; i++) {
		g->fan[i] = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
						  FAN_REPORT_TID | FAN_UNLIMITED_QUEUE |
						  FAN_UNLIMITED_MARKS,
					  how[i] | O_CLOEXEC | O_LARGEFILE);
		if (g->fan[i] < 0)
			return -errno;
	}
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->settled = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return g->wake < 0 || g->news < 0 || g->settled < 0 ? -EMFILE : 0;
}

void guard_init(struct guard *g)
{
	memset(g, 0, sizeof(*g));
	g->fan[GUARD_READABLE] = g->fan[GUARD_WRITE_ONLY] = -1;
	g->wake = g->news = g->settled = -1;
}

int guard_start(struct guard *g, enum guard_mode mode, const char *root, unsigned bound_ms)
{
	int r;

	if (mode == GUARD_OFF)
		return 0;
	g->mode = mode;
	g->root = root;
	g->bound_ms = bound_ms ? bound_ms : GUARD_BOUND_MS;
	g->agent = getpid();
	r = open_all(g);
	if (r == 0)
		r = start_thread(g);
	if (r < 0) {
		close_all(g);
		g->mode = GUARD_ADVISORY;
		return r;
	}
	guard_mark(g);
	return 0;
}

void guard_stop(struct guard *g)
{
	unsigned i;

	if (g->running) {
		set(g->stop, true);
		kick(g->wake);
		pthread_join(g->thread, NULL);
	}
	for (i = 0; i < g->n_held; i++) {
		answer(g->held[i].fan, g->held[i].fd, true);
		close(g->held[i].fd);
	}
	g->n_held = 0;
	g->running = false;
	close_all(g);
}

void guard_engage(void *guard, bool held)
{
	struct guard *g = guard;

	if (held) {
		set(g->met, 0);
		set(g->met_told, false);
	}
	set(g->engaged, held);
	kick(g->wake);
}

/* ---- intents ------------------------------------------------------------------ */

static void settle(struct guard *g)
{
	uint64_t ticket = __atomic_add_fetch(&g->asked, 1, __ATOMIC_SEQ_CST);
	uint64_t until_ms = qmp_now_ms() + SETTLE_MS, now_ms;
	struct pollfd pfd = { g->settled, POLLIN, 0 };

	kick(g->wake);
	while (get(g->answered) < ticket && (now_ms = qmp_now_ms()) < until_ms) {
		poll(&pfd, 1, (int)(until_ms - now_ms));
		drain(g->settled);
	}
}

struct cpus guard_intents(void *guard)
{
	struct guard *g = guard;
	struct cpus taken = { 0 };
	size_t i;

	if (!g->running)
		return taken;
	settle(g);
	for (i = 0; i < sizeof(taken.bits) / sizeof(taken.bits[0]); i++)
		taken.bits[i] = __atomic_exchange_n(&g->touched.bits[i], 0, __ATOMIC_SEQ_CST);
	return taken;
}

pid_t guard_met(struct guard *g)
{
	pid_t tid = get(g->met);

	if (!tid || __atomic_exchange_n(&g->met_told, true, __ATOMIC_SEQ_CST))
		return 0;
	return tid;
}

unsigned guard_held_now(const struct guard *g)
{
	return get(g->n_held);
}
