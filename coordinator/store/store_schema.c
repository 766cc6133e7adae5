/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal's file: made whole or not at all, locked, and looked at before it is
 * believed.
 */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "rival.h"

#define APPLICATION_ID "1819501420" /* "lstl": file(1) can tell */
#define VERSION	       1
#define TO_TEXT_(x)    #x
#define TO_TEXT(x)     TO_TEXT_(x)
#define BUSY_MS	       1000 /* somebody's sqlite3 that looks at the file */

/* What is in it, in words: docs/journal.md. The text is last: lists do not read it. */
static const char schema[] =
	"PRAGMA locking_mode=EXCLUSIVE;"
	"CREATE TABLE txn("
	"  id TEXT PRIMARY KEY, guest TEXT NOT NULL, op TEXT NOT NULL, ended TEXT, reason TEXT,"
	"  keep INT NOT NULL, seq INT NOT NULL, began_ms INT NOT NULL, changed_ms INT NOT NULL,"
	"  deadline_ms INT NOT NULL, sum INT NOT NULL, text TEXT NOT NULL);"
	"CREATE INDEX txn_changed ON txn(changed_ms);"
	"CREATE TABLE step("
	"  txn TEXT NOT NULL REFERENCES txn ON DELETE CASCADE, seq INT NOT NULL,"
	"  row TEXT NOT NULL, boot TEXT NOT NULL, boottime_ms INT NOT NULL,"
	"  realtime_ms INT NOT NULL, PRIMARY KEY(txn, seq)) WITHOUT ROWID;"
	"CREATE TABLE pending("
	"  guest TEXT NOT NULL, item TEXT NOT NULL, slot INT NOT NULL, txn TEXT NOT NULL,"
	"  since_ms INT NOT NULL, PRIMARY KEY(guest, item)) WITHOUT ROWID;"
	"PRAGMA application_id=" APPLICATION_ID ";"
	"PRAGMA user_version=" TO_TEXT(VERSION) ";"
						"PRAGMA journal_mode=WAL;";

/*
 * EXCLUSIVE: no shared memory, which a full tmpfs answers with SIGBUS. The log is cut
 * by db_tidy(): SQLite's own way leaves an old log beside a newer file, and a log that
 * loses its end then is not noticed.
 */
static const char settings[] = "PRAGMA synchronous=FULL;"
			       "PRAGMA foreign_keys=ON;"
			       "PRAGMA wal_autocheckpoint=0;"
			       "PRAGMA cache_size=-256;";

/* ---- errors ------------------------------------------------------------- */

static int errno_of(sqlite3 *sql, int code)
{
	/* Out of memory may be ours: then the connection knows nothing of it. */
	if (code != SQLITE_NOMEM)
		code = sqlite3_extended_errcode(sql);
	switch (code & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
		return EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* a table is missing */
		return EUCLEAN;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		if (code == SQLITE_IOERR_NOMEM)
			return ENOMEM;
		return sqlite3_system_errno(sql) ? sqlite3_system_errno(sql) : EIO;
	default:
		return EIO;
	}
}

int db_error(const struct db *db, int code, const char *doing, struct ls_err *err)
{
	int e = errno_of(db->sql, code);

	return ls_err_set(err, -e, "%.150s: %s: %s%s", db->path, doing, strerror(e),
			  e == ENOSPC ? ": make room on it, the next record is tried again" : "");
}

/* The directory is what an administrator moves: the file never goes without its log. */
static int damaged(const struct db *db, const char *what, struct ls_err *err)
{
	int dir = (int)(strrchr(db->path, '/') - db->path);

	return ls_err_set(err, -EUCLEAN,
			  "%.100s: damaged: %.60s; nothing was changed. To begin a new one: cd "
			  "%.*s && mkdir bad && mv " STORE_FILE "* bad",
			  db->path, what, dir < 60 ? dir : 60, db->path);
}

/* ---- the directory and its lock ------------------------------------------ */

static int check_dir(const char *dir, struct ls_err *err)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return ls_err_set(err, -errno, "%.150s: cannot be made: %s", dir, strerror(errno));
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return ls_err_set(err, -ENOTDIR, "%.150s: no directory", dir);
	if (st.st_mode & 022)
		return ls_err_set(err, -EPERM,
				  "%.100s: others may write into it: chmod go-w %.100s", dir, dir);
	return 0;
}

static int holder(int fd)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	return atoi(pid);
}

static int wait_for_lock(int fd, const char *dir, const char *path, struct ls_err *err)
{
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return ls_err_set(err, -errno, "%.150s: cannot be locked: %s", path,
					  strerror(errno));
		if (!rival_ends(holder(fd)))
			return ls_err_set(err, -EBUSY,
					  "%.100s: another lockstepd works with it: pid %d; stop "
					  "that one, or give this one a directory of its own",
					  dir, holder(fd));
	}
	return 0;
}

/* The number in the file is for people; on a full disk it may be missing. */
static int take_lock(struct db *db, const char *dir, struct ls_err *err)
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path) - 32)
		return ls_err_set(err, -ENAMETOOLONG, "%.100s...: too long a name", dir);
	db->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (db->lock < 0)
		return ls_err_set(err, -errno,
				  "%.150s: %s: the journal needs a directory that it can write",
				  path, strerror(errno));
	r = wait_for_lock(db->lock, dir, path, err);
	if (r < 0)
		return r;
	if (ftruncate(db->lock, 0) == 0)
		dprintf(db->lock, "%d\n", (int)getpid());
	return 0;
}

/* ---- a new file ---------------------------------------------------------- */

static int sync_path(const char *path)
{
	ls_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Beside its place: whatever stands in its place is a whole journal, or was damaged. */
static int fill_new(struct db *db, struct ls_err *err)
{
	int fd = open(db->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return ls_err_set(err, -errno, "%.150s: %s", db->path, strerror(errno));
	close(fd);
	r = sqlite3_open_v2(db->path, &db->sql, SQLITE_OPEN_READWRITE, NULL);
	if (!r)
		r = sqlite3_exec(db->sql, schema, NULL, NULL, NULL);
	r = r ? db_error(db, r, "cannot be made", err) : 0;
	sqlite3_close(db->sql);
	db->sql = NULL;
	return r;
}

static int make(const char *dir, const char *path, struct ls_err *err)
{
	struct db new = { .lock = -1 };
	char log[sizeof(new.path) + 8];
	int r;

	snprintf(new.path, sizeof(new.path), "%.*s.new", (int)sizeof(new.path) - 5, path);
	snprintf(log, sizeof(log), "%s-journal", new.path);
	unlink(log);
	r = fill_new(&new, err);
	if (r < 0)
		return r;
	r = sync_path(new.path);
	if (!r && rename(new.path, path) < 0)
		r = -errno;
	if (!r)
		r = sync_path(dir);
	return r ? ls_err_set(err, r, "%.150s: cannot be made: %s", path, strerror(-r)) : 0;
}

static int make_missing(const struct db *db, const char *dir, struct ls_err *err)
{
	char log[sizeof(db->path) + 8];

	if (access(db->path, F_OK) == 0)
		return 0;
	if (errno != ENOENT)
		return ls_err_set(err, -errno, "%.150s: %s", db->path, strerror(errno));
	snprintf(log, sizeof(log), "%s-wal", db->path);
	if (access(log, F_OK) == 0)
		return damaged(db, "it is missing, and its -wal file is there", err);
	return make(dir, db->path, err);
}

/* ---- one that is there ---------------------------------------------------- */

/* Text of the first row's first column: at most a line. */
static int ask(struct db *db, const char *pragma, char *ret, size_t len)
{
	sqlite3_stmt *st;
	const unsigned char *text = NULL;
	int r = sqlite3_prepare_v2(db->sql, pragma, -1, &st, NULL);

	ret[0] = '\0';
	if (!r && sqlite3_step(st) == SQLITE_ROW)
		text = sqlite3_column_text(st, 0);
	if (text)
		snprintf(ret, len, "%s", text);
	r = sqlite3_finalize(st);
	return r ? r : text ? 0 : SQLITE_ERROR;
}

static int cannot_open(struct db *db, struct ls_err *err)
{
	struct ls_err why = { 0 };
	int r = db_error(db, sqlite3_errcode(db->sql), "cannot be opened", &why);

	if (r == -EUCLEAN)
		return damaged(db, sqlite3_errmsg(db->sql), err);
	return ls_err_set(err, r, "%s", why.text);
}

static int check_kind(struct db *db, struct ls_err *err)
{
	char text[64];

	if (ask(db, "PRAGMA application_id", text, sizeof(text)))
		return cannot_open(db, err);
	if (strcmp(text, APPLICATION_ID) != 0)
		return damaged(db, "this is no journal of lockstep's", err);
	if (ask(db, "PRAGMA user_version", text, sizeof(text)))
		return cannot_open(db, err);
	if (atoi(text) > VERSION)
		return ls_err_set(
			err, -ENOTSUP,
			"%.120s: of version %s, this lockstepd knows up to " TO_TEXT(
				VERSION) ": run the lockstepd that wrote it, or a newer one",
			db->path, text);
	if (atoi(text) != VERSION)
		return damaged(db, "its version does not exist", err);
	return 0;
}

/* SQLite's own eyes first, then ours: a record that is not what was written, or no step. */
static const char bad_rows[] =
	"SELECT count(*) FROM txn WHERE sum <> " DB_SUM_COLUMNS
	" OR NOT EXISTS (SELECT 1 FROM step WHERE step.txn = txn.id AND step.seq = txn.seq)";

static int check_content(struct db *db, struct ls_err *err)
{
	char text[64];

	if (ask(db, "PRAGMA quick_check(1)", text, sizeof(text)))
		return cannot_open(db, err);
	if (strcmp(text, "ok") != 0)
		return damaged(db, text, err);
	if (ask(db, bad_rows, text, sizeof(text)))
		return cannot_open(db, err);
	return strcmp(text, "0") != 0 ? damaged(db, "transactions have changed", err) : 0;
}

/* Until it is known to be good, closing it must not write the log back into it. */
static int open_file(struct db *db, struct ls_err *err)
{
	char mode[16];
	int r = sqlite3_open_v2(db->path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW,
				NULL);

	if (!db->sql)
		return ls_err_set(err, -ENOMEM, "%.150s: out of memory", db->path);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_busy_timeout(db->sql, BUSY_MS);
	if (r || db_add_sum(db) || ask(db, "PRAGMA locking_mode=EXCLUSIVE", mode, sizeof(mode)))
		return cannot_open(db, err);
	r = check_kind(db, err);
	if (!r)
		r = check_content(db, err);
	if (r)
		return r;
	if (ask(db, "PRAGMA journal_mode=WAL", mode, sizeof(mode)) ||
	    sqlite3_exec(db->sql, settings, NULL, NULL, NULL) || db_prepare(db))
		return cannot_open(db, err);
	if (strcmp(mode, "wal") != 0)
		return ls_err_set(err, -EROFS, "%.150s: cannot be written", db->path);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

int db_open(struct db *db, const char *dir, struct ls_err *err)
{
	int r;

	*db = (struct db){ .lock = -1 };
	r = check_dir(dir, err);
	if (!r)
		r = take_lock(db, dir, err);
	if (!r) {
		snprintf(db->path, sizeof(db->path), "%.*s/" STORE_FILE, PATH_MAX - 32, dir);
		r = make_missing(db, dir, err);
	}
	if (!r)
		r = open_file(db, err);
	if (r)
		db_close(db);
	return r;
}

void db_close(struct db *db)
{
	for (int i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(db->statement[i]);
	sqlite3_close(db->sql);
	ls_closep(&db->lock);
	*db = (struct db){ .lock = -1 };
}
