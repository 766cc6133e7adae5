/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Setting the kernel's switch for expedited RCU, and putting it back.
 */
#include "expedite.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/log.h>
#include <qmp.h>

#include "cpu.h"
#include "sysfs.h"

#define SWITCH	 "kernel/rcu_expedited"
#define WRITE_MS 500 /* the kernel needs microseconds: this bounds a machine that stands still */

/* ---- where it must not be used -------------------------------------------------- */

/* A CPU list is empty, or "(null)" where the kernel has never made it. */
static bool lists_cpus(const char *text)
{
	return isdigit((unsigned char)text[strspn(text, " ")]);
}

static bool is_not_zero(const char *text)
{
	return strtol(text, NULL, 0) != 0;
}

/*
 * Expedited grace periods interrupt every CPU: what an isolated CPU or a realtime kernel
 * promises its users is just that this does not happen. With rcu_normal the kernel does not
 * look at the switch.
 */
static const struct obstacle {
	const char *path;
	bool (*stands)(const char *text);
	const char *why;
} obstacles[] = {
	{ CPU_DIR "/isolated", lists_cpus, "no: isolated CPUs" },
	{ "fs/cgroup/cpuset.cpus.isolated", lists_cpus, "no: CPUs isolated by a cpuset" },
	{ CPU_DIR "/nohz_full", lists_cpus, "no: nohz_full CPUs" },
	{ "kernel/realtime", is_not_zero, "no: a realtime kernel" },
	{ "kernel/rcu_normal", is_not_zero, "no: rcu_normal is set" },
	{ SWITCH, is_not_zero, "no: others have set rcu_expedited" },
};

/* The first bytes say it: 0 or -errno. */
static int read_start(struct sysfs *s, const char *path, char *text, size_t size)
{
	int n = sysfs_read_raw(s, text, size - 1, "%s", path);

	if (n < 0)
		return n;
	text[n] = '\0';
	return 0;
}

/* A file that is not there is no obstacle, but for the switch itself, the last. */
static const char *find_obstacle(struct sysfs *s)
{
	char text[32] = "";
	size_t i;
	int r = 0;

	for (i = 0; i < sizeof(obstacles) / sizeof(obstacles[0]); i++) {
		r = read_start(s, obstacles[i].path, text, sizeof(text));
		if (r < 0 && r != -ENOENT)
			return "no: the kernel's settings cannot be read";
		if (r == 0 && obstacles[i].stands(text))
			return obstacles[i].why;
	}
	return r < 0 ? "no: this kernel has no rcu_expedited" : NULL;
}

/* ---- the switch ------------------------------------------------------------------- */

static int write_switch(struct sysfs *s, int value, struct ls_err *err)
{
	static const struct sysfs_how how = { .deadline_ms = WRITE_MS };
	char text[12];

	snprintf(text, sizeof(text), "%d", value);
	return sysfs_write_str(s, &how, text, err, SWITCH);
}

int expedite_restore(struct sysfs *sysfs, struct ls_err *err)
{
	long long value;
	int r;

	if (sysfs_is_out(sysfs, SWITCH))
		return ls_err_set(err, -EBUSY, "%s: an earlier write is still in the kernel",
				  SWITCH);
	r = sysfs_read_num(sysfs, 10, &value, SWITCH);
	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return ls_err_set(err, r, "%s cannot be read: %s", SWITCH, strerror(-r));
	return value == EXPEDITE_MARK ? write_switch(sysfs, 0, err) : 1;
}

/* A write that is out may still happen: it is ours until we know better. */
static void set_locked(struct expedite *x)
{
	const char *why = find_obstacle(x->sysfs);
	struct ls_err err = { 0 };
	int r;

	if (why) {
		log_debug("rcu: not expedited, %s", why);
		return;
	}
	r = write_switch(x->sysfs, EXPEDITE_MARK, &err);
	if (r < 0)
		log_warning("rcu: not expedited: %s", err.text);
	if (r < 0 && r != -EINPROGRESS)
		return;
	x->ours = true;
	x->deadline_ms = qmp_now_ms() + x->limit_ms;
	if (x->on_set)
		x->on_set(x->on_set_arg);
}

/* What cannot be put back now is tried again by the loop. */
static void put_back_locked(struct expedite *x)
{
	struct ls_err err = { 0 };
	int r = expedite_restore(x->sysfs, &err);

	if (r < 0) {
		log_error("rcu: still expedited, tried again in %u ms: %s", x->limit_ms, err.text);
		x->deadline_ms = qmp_now_ms() + x->limit_ms;
		return;
	}
	if (r == 1)
		log_info("rcu: somebody else has written to rcu_expedited: left alone");
	x->ours = false;
	x->deadline_ms = 0;
}

/* ---- public ------------------------------------------------------------------------ */

void expedite_init(struct expedite *x, struct sysfs *sysfs, bool wanted)
{
	*x = (struct expedite){ .sysfs = sysfs, .wanted = wanted, .limit_ms = EXPEDITE_LIMIT_MS };
	pthread_mutex_init(&x->lock, NULL);
}

void expedite_done(struct expedite *x)
{
	pthread_mutex_destroy(&x->lock);
}

struct expedite *expedite_begin(struct expedite *x, int cpus)
{
	if (!x || cpus < EXPEDITE_CPUS_MIN)
		return NULL;
	ls_guard(&x->lock);
	if (x->users++ == 0 && x->wanted && !x->ours)
		set_locked(x);
	return x;
}

void expedite_end(struct expedite *x)
{
	if (!x)
		return;
	ls_guard(&x->lock);
	assert(x->users);
	if (--x->users == 0 && x->ours)
		put_back_locked(x);
}

void expedite_expire(struct expedite *x, uint64_t now_ms)
{
	ls_guard(&x->lock);
	if (!x->ours || now_ms < x->deadline_ms)
		return;
	if (x->users)
		log_info("rcu: expedited for %u ms: the batch goes on without", x->limit_ms);
	put_back_locked(x);
}

uint64_t expedite_deadline_ms(struct expedite *x)
{
	ls_guard(&x->lock);
	return x->deadline_ms;
}

void expedite_stop(struct expedite *x)
{
	ls_guard(&x->lock);
	x->wanted = false;
	if (x->ours)
		put_back_locked(x);
}

const char *expedite_state(struct expedite *x)
{
	const char *why;

	ls_guard(&x->lock);
	if (x->ours)
		return "active";
	if (!x->wanted)
		return "off";
	why = find_obstacle(x->sysfs);
	return why ? why : "on";
}
