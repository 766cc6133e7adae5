/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's list of pending unplugs: the store's table of them, in memory. A guest that
 * is taken into the list of guests again, by hand or by a reload, finds its own there.
 */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"

struct unplug {
	struct store_pending p;
	struct unplug *next;
};

static int keep(void *arg, const struct store_pending *p)
{
	struct unplug *u = malloc(sizeof(*u));
	struct daemon *d = arg;

	if (!u)
		return -ENOMEM;
	*u = (struct unplug){ *p, d->unplugs };
	d->unplugs = u;
	return 0;
}

/* Those of @guest and @item, or of @txn; NULL: any. */
static void drop(struct daemon *d, const char *guest, const char *item, const char *txn)
{
	for (struct unplug **at = &d->unplugs; *at;) {
		struct unplug *u = *at;

		if ((guest && strcmp(u->p.guest, guest)) || (item && strcmp(u->p.item, item)) ||
		    (txn && strcmp(u->p.txn, txn))) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		free(u);
	}
}

static int set(struct daemon *d, const struct lane *l, const struct lane_unplug *u,
	       struct ls_err *err)
{
	struct store_pending p = { .slot = u->slot, .since_ms = u->since_ms };

	memcpy(p.guest, lane_guest(l)->name, sizeof(p.guest));
	memcpy(p.item, u->item, sizeof(p.item));
	memcpy(p.txn, u->txn, sizeof(p.txn));
	if (keep(d, &p) < 0)
		return ls_err_set(err, -ENOMEM, "out of memory");
	return store_pending_set(d->store, &p, journal_done, NULL, err);
}

void journal_unplug(void *arg, const struct lane *l, const struct lane_unplug *u, bool pending)
{
	const char *guest = lane_guest(l)->name;
	struct daemon *d = arg;
	struct ls_err err;
	int r;

	drop(d, guest, u->item, NULL);
	r = pending ? set(d, l, u, &err)
		    : store_pending_clear(d->store, guest, u->item, journal_done, NULL, &err);
	if (r < 0)
		journal_done(NULL, &err);
}

void journal_expect(const struct daemon *d, struct lane *l)
{
	for (const struct unplug *known = d->unplugs; known; known = known->next) {
		struct lane_unplug u = { .slot = known->p.slot, .since_ms = known->p.since_ms };

		if (strcmp(known->p.guest, lane_guest(l)->name))
			continue;
		memcpy(u.item, known->p.item, sizeof(u.item));
		memcpy(u.txn, known->p.txn, sizeof(u.txn));
		lane_expect_unplug(l, &u);
	}
}

/* Each device that it was to take away: the next look clears those that have gone. */
void journal_unplugs_of(struct daemon *d, const char *guest, const char *record)
{
	struct lane *l = daemon_find(d, guest);
	struct ls_err err;
	struct txn *t;

	if (!l || txn_load(record, &err, &t) < 0)
		return;
	for (unsigned i = 0; i < t->n; i++) {
		struct lane_unplug u = { .slot = t->items[i].slot, .since_ms = lane_real_ms() };

		if (t->items[i].kind != VM_DIMM ||
		    t->items[i].goal) /* a vCPU is no virtio-mem, too */
			continue;
		memcpy(u.item, t->items[i].id, sizeof(u.item));
		memcpy(u.txn, t->id, sizeof(u.txn));
		lane_expect_unplug(l, &u);
		journal_unplug(d, l, &u, true);
	}
	txn_free(t);
}

void journal_forgotten(struct daemon *d, const char *txn)
{
	drop(d, NULL, NULL, txn);
	for (unsigned i = 0; i < d->n_lanes; i++)
		lane_forget(d->lanes[i], txn);
}

int journal_unplugs_read(struct daemon *d, struct ls_err *err)
{
	return store_each_pending(d->store, keep, d, err);
}

void journal_unplugs_done(struct daemon *d)
{
	drop(d, NULL, NULL, NULL);
}
