/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guests of the daemon: from guests.d, and from its state directory those that were
 * added by hand. Both hold the same files.
 */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "board.h"
#include "../hv/claim.h"
#include "ctl.h"
#include "daemon_log.h"
#include "files.h"
#include "journal.h"
#include "metrics.h"

/* ---- what is on disk --------------------------------------------------------- */

/**
 * struct wanted - The guests that there should be
 * @dir: where each was found, for messages
 */
struct wanted {
	struct guest *g;
	const char **dir;
	unsigned n;
};

static void wanted_done(struct wanted *w)
{
	free(w->g);
	free(w->dir);
}

static void added_dir(const struct daemon *d, char *buf, size_t len)
{
	snprintf(buf, len, "%s/guests.d", d->state_dir);
}

static int check_new(const struct wanted *w, const struct guest *g, const char *dir,
		     struct ls_err *err)
{
	for (unsigned i = 0; i < w->n; i++) {
		if (!strcmp(w->g[i].name, g->name))
			return ls_err_set(err, -EEXIST, "guest %.60s is in %.80s and in %.80s",
					  g->name, w->dir[i], dir);
		if (claim_same(w->g[i].qmp, g->qmp))
			return ls_err_set(err, -EEXIST,
					  "%.80s: %.60s and %.60s are the same monitor", dir,
					  w->g[i].name, g->name);
	}
	return 0;
}

static int want(struct wanted *w, const char *dir, const char *name, unsigned max,
		struct ls_err *err)
{
	struct guest g, *more;
	const char **dirs;
	int r = guest_load(dir, name, err, &g);

	if (r >= 0)
		r = check_new(w, &g, dir, err);
	if (r < 0)
		return r;
	if (w->n == max)
		return ls_err_set(err, -ENOSPC, "%s: more than %u guests (max-guests)", dir, max);
	more = realloc(w->g, (w->n + 1) * sizeof(*more));
	if (more)
		w->g = more;
	dirs = realloc(w->dir, (w->n + 1) * sizeof(*dirs));
	if (dirs)
		w->dir = dirs;
	if (!more || !dirs)
		return ls_err_set(err, -ENOMEM, "out of memory");
	w->g[w->n] = g;
	w->dir[w->n++] = dir;
	return 0;
}

static int want_all(struct wanted *w, const char *dir, unsigned max, struct ls_err *err)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	char name[NAME_MAX + 1];
	int r = 0;

	if (!d && errno != ENOENT)
		return ls_err_set(err, -errno, "%s: %s", dir, strerror(errno));
	while (d && r >= 0 && (de = readdir(d))) {
		size_t n = strlen(de->d_name);

		if (n <= 5 || de->d_name[0] == '.' || strcmp(de->d_name + n - 5, ".conf"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(n - 5), de->d_name);
		r = want(w, dir, name, max, err);
	}
	if (d)
		closedir(d);
	return r;
}

/* ---- what there is -------------------------------------------------------------- */

static unsigned index_of(const struct daemon *d, const char *name)
{
	unsigned i;

	for (i = 0; i < d->n_lanes; i++)
		if (!strcmp(lane_guest(d->lanes[i])->name, name))
			break;
	return i;
}

struct lane *daemon_find(const struct daemon *d, const char *name)
{
	unsigned i = index_of(d, name);

	return i < d->n_lanes ? d->lanes[i] : NULL;
}

static void on_ready(void *arg, const struct lane *l, enum lane_left left)
{
	struct daemon *d = arg;

	journal_ready(d, l, left);
	ctl_arrived(d->ctl, l, false);
}

static void on_away(void *arg, const struct lane *l)
{
	struct daemon *d = arg;

	ctl_arrived(d->ctl, l, false);
}

static int begin(struct daemon *d, const struct guest *g)
{
	const struct lane_ops ops = {
		.event = ctl_event,
		.record = journal_record,
		.ready = on_ready,
		.away = on_away,
		.unplug = journal_unplug,
		.arg = d,
		.board = d->board,
		.metrics = d->metrics,
	};
	const struct log_about about = { .message = LOG_GUESTS, .guest = g->name };
	struct lane **more = realloc(d->lanes, (d->n_lanes + 1) * sizeof(*more)), *l;

	if (!more)
		return -ENOMEM;
	d->lanes = more;
	l = lane_new(d->loop, g, &d->limits, &ops);
	if (!l)
		return -ENOMEM;
	journal_expect(d, l);
	d->lanes[d->n_lanes++] = l;
	log_about(LOG_INFO, &about, "added, %s", g->qmp);
	return 0;
}

static void end(struct daemon *d, unsigned i)
{
	const struct log_about about = { .message = LOG_GUESTS,
					 .guest = lane_guest(d->lanes[i])->name };

	log_about(LOG_INFO, &about, "removed");
	ctl_arrived(d->ctl, d->lanes[i], true);
	lane_free(d->lanes[i]);
	d->lanes[i] = d->lanes[--d->n_lanes];
}

static bool is_wanted(const struct wanted *w, const struct guest *g)
{
	for (unsigned i = 0; i < w->n; i++)
		if (!strcmp(w->g[i].name, g->name) && !strcmp(w->g[i].qmp, g->qmp) &&
		    !strcmp(w->g[i].agent, g->agent))
			return true;
	return false;
}

static int apply(struct daemon *d, const struct wanted *w, struct ls_err *err)
{
	for (unsigned i = d->n_lanes; i-- > 0;) {
		const struct guest *g = lane_guest(d->lanes[i]);
		const struct log_about about = { .message = LOG_GUESTS, .guest = g->name };

		if (is_wanted(w, g))
			continue;
		if (lane_state(d->lanes[i]) == LANE_BUSY)
			log_about(LOG_WARNING, &about,
				  "a transaction runs: it stays as it is until the next reload");
		else
			end(d, i);
	}
	for (unsigned i = 0; i < w->n; i++)
		if (!daemon_find(d, w->g[i].name) && begin(d, &w->g[i]) < 0)
			return ls_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int serve_metrics(struct daemon *d, const char *address, struct ls_err *err)
{
	const struct metrics_sources sources = { d->metrics, d->board, d->store };

	return metrics_http_at(&d->http, address, &sources, err);
}

static int first_time(struct daemon *d, struct ls_err *err)
{
	int r = journal_open(d, err);

	if (r < 0)
		return r;
	d->board = board_new();
	d->metrics = metrics_new();
	if (!d->board || !d->metrics)
		return ls_err_set(err, -ENOMEM, "out of memory");
	return serve_metrics(d, d->config.metrics, err);
}

int daemon_load(struct daemon *d, bool check, struct ls_err *err)
{
	struct wanted w = { 0 };
	struct config config;
	char added[PATH_MAX];
	int r = config_load(d->config_path, err, &config);

	added_dir(d, added, sizeof(added));
	if (r >= 0)
		r = want_all(&w, d->guests_dir, config.max_guests, err);
	if (r >= 0)
		r = want_all(&w, added, config.max_guests, err);
	if (r >= 0 && !check && d->store)
		r = serve_metrics(d, config.metrics, err);
	if (r >= 0 && !check) {
		d->config = config;
		d->limits = (struct lane_limits){ config.max_queue, config.reconnect_ms };
		r = d->store ? 0 : first_time(d, err);
	}
	if (r >= 0 && !check) {
		journal_set_limits(d);
		r = apply(d, &w, err);
		files_check(d->n_lanes, d->config.max_clients);
	}
	wanted_done(&w);
	return r >= 0 && check ? (int)w.n : r;
}

/* ---- by hand ------------------------------------------------------------------- */

static int save(const struct daemon *d, const struct guest *g, struct ls_err *err)
{
	char dir[PATH_MAX - 80], path[PATH_MAX], tmp[PATH_MAX];
	FILE *f;
	bool ok;

	added_dir(d, dir, sizeof(dir));
	mkdir(d->state_dir, 0700);
	mkdir(dir, 0700);
	snprintf(path, sizeof(path), "%s/%s.conf", dir, g->name);
	snprintf(tmp, sizeof(tmp), "%s/.%s", dir, g->name);
	f = fopen(tmp, "we");
	if (!f)
		return ls_err_set(err, -errno, "%.200s: %s", tmp, strerror(errno));
	ok = fprintf(f, "[guest]\nqmp = %s\nagent = %s\n", g->qmp, g->agent) > 0;
	ok &= fflush(f) == 0 && fsync(fileno(f)) == 0;
	ok &= fclose(f) == 0;
	if (!ok || rename(tmp, path) < 0)
		return ls_err_set(err, -errno, "%.200s: %s", path, strerror(errno));
	return 0;
}

/* A name becomes a file's; an address a line of it. */
static int check_words(const struct guest *g, struct ls_err *err)
{
	if (guest_name_check(g->name, err) < 0)
		return -EINVAL;
	if (g->qmp[strcspn(g->qmp, " \t\r\n;#")] || g->agent[strcspn(g->agent, " \t\r\n;#")])
		return ls_err_set(err, -EINVAL, "an address has no blanks, and no ; or #");
	return 0;
}

int daemon_add(struct daemon *d, const struct guest *g, struct ls_err *err)
{
	int r = check_words(g, err);

	if (r >= 0)
		r = guest_address_check(g->qmp, err);
	if (r >= 0 && g->agent[0])
		r = guest_address_check(g->agent, err);
	if (r >= 0 && d->n_lanes >= d->config.max_guests)
		r = ls_err_set(err, -ENOSPC, "there are %u guests already (max-guests)",
			       d->n_lanes);
	for (unsigned i = 0; i < d->n_lanes && r >= 0; i++) {
		const struct guest *o = lane_guest(d->lanes[i]);

		if (!strcmp(o->name, g->name) || claim_same(o->qmp, g->qmp))
			r = ls_err_set(err, -EEXIST, "guest %s is here already, at %.150s", o->name,
				       o->qmp);
	}
	if (r >= 0)
		r = save(d, g, err);
	if (r >= 0 && begin(d, g) < 0)
		r = ls_err_set(err, -ENOMEM, "out of memory");
	files_check(d->n_lanes, d->config.max_clients);
	return r;
}

int daemon_remove(struct daemon *d, const char *name, struct ls_err *err)
{
	unsigned i = index_of(d, name);
	char dir[PATH_MAX - 80], path[PATH_MAX];

	if (i == d->n_lanes)
		return ls_err_set(err, -ENOENT, "no guest \"%.60s\" here: lockstep list", name);
	if (lane_state(d->lanes[i]) == LANE_BUSY)
		return ls_err_set(err, -EBUSY,
				  "a transaction runs on it: wait, or lockstep cancel %.60s", name);
	added_dir(d, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return ls_err_set(err, -errno, "%.200s: %s", path, strerror(errno));
	end(d, i);
	return 0;
}

unsigned daemon_busy(const struct daemon *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_lanes; i++)
		n += lane_state(d->lanes[i]) == LANE_BUSY;
	return n;
}

void daemon_done(struct daemon *d)
{
	while (d->n_lanes)
		end(d, d->n_lanes - 1);
	free(d->lanes);
	d->lanes = NULL;
	d->http = metrics_http_free(d->http);
	journal_close(d);
	board_free(d->board);
	metrics_free(d->metrics);
	d->board = NULL;
	d->metrics = NULL;
}
