/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A store on a loop of its own, and a story whose every record can be told from its
 * number: record i is of transaction t(i mod 5) and has seq i.
 */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>

#include "../../coordinator/store/store.h"
#include "disk.h"

#define TXNS	  5
#define TEXT_MAX  9500
#define NOW_MS	  1763740800000ULL
#define RECORD_MS 1000

struct fixture {
	sd_event *loop;
	struct store *store;
	char dir[64];
	struct store_limits limits;
	struct ls_err err; /* the last answer's */
	unsigned asked, answered;
};

static inline void fixture_init(struct fixture *f)
{
	*f = (struct fixture){ .limits = { 1000, 1 << 24, 0, 60000, 1000 } };
	snprintf(f->dir, sizeof(f->dir), "%s/lockstep-store-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	assert_true(sd_event_new(&f->loop) >= 0);
}

static inline int fixture_open(struct fixture *f)
{
	return store_open(f->loop, f->dir, &f->limits, &f->err, &f->store);
}

static inline void fixture_must_open(struct fixture *f)
{
	int r = fixture_open(f);

	if (r)
		print_message("%s\n", f->err.text);
	assert_int_equal(r, 0);
}

static inline void fixture_close(struct fixture *f)
{
	f->store = store_close(f->store);
	assert_int_equal(f->asked, f->answered);
}

/* Thousands of times: a process for each would take longer than the test. */
static inline void remove_dir(const char *dir)
{
	static const char *const names[] = { "lock", "journal.db", "journal.db-wal",
					     "journal.db.new", "journal.db.new-journal" };
	char path[100];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	if (rmdir(dir) < 0) { /* a test has made more */
		snprintf(path, sizeof(path), "rm -r %s", dir);
		assert_int_equal(system(path), 0);
	}
}

static inline void fixture_done(struct fixture *f)
{
	fixture_close(f);
	sd_event_unref(f->loop);
	remove_dir(f->dir);
}

static inline int set_up(void **state)
{
	static struct fixture f;

	fixture_init(&f);
	*state = &f;
	return 0;
}

static inline int tear_down(void **state)
{
	disk_release(); /* a test that has failed may have left it standing */
	fixture_done(*state);
	return 0;
}

#define STORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

/*
 * How many to go on by where every one would take a minute: all of them in
 * `make check-long`, but not under the sanitizers.
 */
static inline unsigned stride(unsigned by)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return by;
#else
	return getenv("LOCKSTEP_LONG") ? 1 : by;
#endif
}

static inline void on_done(void *arg, const struct ls_err *err)
{
	struct fixture *f = arg;

	f->answered++;
	f->err = *err;
}

/* Until everything that was asked has been answered. */
static inline int wait_all(struct fixture *f)
{
	while (f->answered < f->asked)
		assert_true(sd_event_run(f->loop, 20000000) > 0);
	return f->err.code;
}

static inline void text_of(unsigned i, char *ret)
{
	size_t n = (i % 4 ? 300 : 9000) + i;

	memset(ret, 'a' + (int)(i % 26), n);
	ret[n] = '\0';
}

/* Ask for record @i, whose answer @done gets. Return: as store_write(). */
static inline int ask_record(struct fixture *f, unsigned i, store_done_fn done, void *arg,
			     struct ls_err *err)
{
	char text[TEXT_MAX], txn[8];
	struct store_record r = {
		.txn = txn,
		.guest = "vm1",
		.op = "vcpus",
		.row = "qemu:cpu",
		.seq = i,
		.text = text,
		.ended = i % 10 == 9 ? "done" : NULL,
		.reason = i % 10 == 9 ? "for a test" : NULL,
		.boot = "11111111-2222-3333-4444-555555555555",
		.boottime_ms = i,
		.realtime_ms = NOW_MS + (uint64_t)i * RECORD_MS,
	};
	int ret;

	text_of(i, text);
	snprintf(txn, sizeof(txn), "t%u", i % TXNS);
	ret = store_write(f->store, &r, done, arg, err);
	f->asked += !ret;
	return ret;
}

/* The same, and the answer is the fixture's. */
static inline int ask_write(struct fixture *f, unsigned i)
{
	return ask_record(f, i, on_done, f, &f->err);
}

/* Record @i, and its answer. */
static inline int write_one(struct fixture *f, unsigned i)
{
	int r = ask_write(f, i);

	return r ? r : wait_all(f);
}

/* ---- what is there ------------------------------------------------------------ */

struct found {
	struct fixture *f;
	unsigned n, seq[TXNS]; /* newest of each transaction; 0 none */
	unsigned steps[TXNS];
	char text[TEXT_MAX];
};

static inline void on_txns(void *arg, const struct store_txn *txns, unsigned n,
			   const struct ls_err *err)
{
	struct found *found = arg;

	found->f->answered++;
	found->f->err = *err;
	found->n = n;
	for (unsigned i = 0; i < n; i++) {
		unsigned t = (unsigned)atoi(txns[i].id + 1) % TXNS;

		found->seq[t] = txns[i].seq;
		found->steps[t] = txns[i].n_steps;
		if (txns[i].text)
			snprintf(found->text, sizeof(found->text), "%s", txns[i].text);
	}
}

static inline int list_all(struct fixture *f, struct found *ret)
{
	struct store_filter any = { 0 };
	int r;

	*ret = (struct found){ .f = f };
	r = store_list(f->store, &any, on_txns, ret, &f->err);
	f->asked += !r;
	return r ? r : wait_all(f);
}

static inline int show(struct fixture *f, const char *txn, struct found *ret)
{
	int r;

	*ret = (struct found){ .f = f };
	r = store_show(f->store, txn, on_txns, ret, &f->err);
	f->asked += !r;
	return r ? r : wait_all(f);
}

/* ---- files ---------------------------------------------------------------------- */

static inline unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline size_t file_get(const struct fixture *f, const char *name, unsigned char **ret)
{
	char path[100];
	FILE *file;
	long n;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "rbe");
	if (!file) {
		*ret = calloc(1, 1);
		return 0;
	}
	fseek(file, 0, SEEK_END);
	n = ftell(file);
	rewind(file);
	*ret = malloc((size_t)n + 1);
	assert_non_null(*ret);
	assert_int_equal(fread(*ret, 1, (size_t)n, file), n);
	fclose(file);
	return (size_t)n;
}

static inline void file_put(const struct fixture *f, const char *name, const void *data, size_t n)
{
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "wbe");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, n, file), n);
	fclose(file);
}

#endif
