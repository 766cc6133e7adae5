/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests to the daemon: a vCPU more, a vCPU less, for many guests at once.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#define REQUEST_MS 30000 /* a guest that is reset without end is waited for until then */
#define TURN_US	   50000

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void ask(struct under_test *d, unsigned guest);

/* @why: it failed, and its guest is asked no more; NULL: done. */
static void ended(struct under_test *d, unsigned guest, const char *why)
{
	struct asker *a = &d->asker[guest];
	struct load *l = d->load;

	if (!a->out)
		return;
	a->out = false;
	if (l && guest - l->first < l->n) {
		l->wanted -= why ? a->left + 1 : 1;
		if (!why)
			l->us[l->ended++] = now_us() - a->from_us;
		else if (!l->failed++)
			snprintf(l->text, sizeof(l->text), "g%u: %.200s", guest, why);
	}
	if (why)
		a->left = 0;
	if (a->left)
		ask(d, guest);
	else if (l && l->next < l->first + l->n)
		load_begin(d, l->next++, l->each);
}

/**
 * struct asked - Whose reply it is
 */
struct asked {
	struct under_test *d;
	unsigned guest;
};

static void on_reply(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct asked *asked = arg;

	(void)q, (void)value;
	if (err)
		ended(asked->d, asked->guest, err->text);
	free(asked);
}

static void ask(struct under_test *d, unsigned guest)
{
	struct json_object *args = json_object_new_object();
	struct asked *asked = malloc(sizeof(*asked));
	struct asker *a = &d->asker[guest];

	*asked = (struct asked){ d, guest };
	a->out = true;
	a->left--;
	a->count = a->count == FLEET_BOOT_CPUS + 1 ? FLEET_BOOT_CPUS : FLEET_BOOT_CPUS + 1;
	a->from_us = now_us();
	json_object_object_add(args, "guest", json_object_new_string(d->fleet->guest[guest].name));
	json_object_object_add(args, "count", json_object_new_int((int)a->count));
	json_object_object_add(args, "timeout-ms", json_object_new_int(REQUEST_MS));
	if (conn_submit(&d->conn[guest % DAEMON_CONNS], "vcpus", args, on_reply, asked, NULL) < 0)
		ended(d, guest, "lockstepd does not take it");
}

static void on_ready(void *arg)
{
	(void)arg;
}

static void on_lost(void *arg, const struct ls_err *err)
{
	struct under_test *d = arg;

	d->lost = true;
	if (d->may_die)
		return;
	fprintf(stderr, "fleet: lockstepd has hung up: %s\n", err->text);
	exit(1);
}

/* The last event of a request is "now"; its end was told before. */
static void on_event(void *arg, const struct qmp_event *event)
{
	const char *what = qmp_get_str(event->data, "event", "");
	const char *guest = qmp_get_str(event->data, "guest", "g0");
	struct under_test *d = arg;
	unsigned number = (unsigned)atoi(guest + 1);

	if (number >= d->fleet->n)
		return;
	if (!strcmp(what, "end") && strcmp(qmp_get_str(event->data, "end", ""), "done") != 0)
		ended(d, number, qmp_get_str(event->data, "reason", "it is not done"));
	else if (!strcmp(what, "now"))
		ended(d, number, NULL);
}

const struct conn_ops load_ops = { on_ready, on_event, on_lost };

void load_begin(struct under_test *d, unsigned guest, unsigned each)
{
	d->asker[guest].left = each;
	ask(d, guest);
}

bool load_run(struct under_test *d, unsigned first, unsigned n, unsigned each, unsigned limit_ms,
	      struct load *ret_load)
{
	uint64_t until_ms = qmp_now_ms() + limit_ms;
	double from_us = now_us();

	*ret_load = (struct load){ .first = first, .n = n, .each = each, .next = first };
	ret_load->wanted = n * each;
	ret_load->us = calloc((size_t)n * each, sizeof(double));
	d->load = ret_load;
	while (ret_load->next < first + n && ret_load->next < first + DAEMON_OUT)
		load_begin(d, ret_load->next++, each);
	while (ret_load->wanted && qmp_now_ms() < until_ms)
		sd_event_run(d->fleet->loop, TURN_US);
	ret_load->seconds = (now_us() - from_us) / 1e6;
	d->load = NULL;
	return !ret_load->wanted;
}

void load_done(struct load *l)
{
	free(l->us);
	l->us = NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double load_us(struct load *l, double part)
{
	if (!l->ended)
		return 0;
	qsort(l->us, l->ended, sizeof(double), compare);
	return l->us[(unsigned)(part * (l->ended - 1) + 0.5)];
}
