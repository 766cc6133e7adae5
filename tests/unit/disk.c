/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VFS: every call goes to the real one unless it is to fail. Syncs are counted and
 * never done: a power cut is an image that the test makes.
 */
#include "disk.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include <lockstep/cleanup.h>

#define NOT_OURS DISK_FILES /* the file being made, its rollback journal */

const char *const disk_call_name[DISK_CALLS] = { "write", "sync", "truncate", "open", "malloc" };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* all that follows */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
	enum disk_call call;
	unsigned nth, seen;
	bool stays, failed;
} fault;
static bool hold, held;
static unsigned log_syncs;
static bool recording;
static struct disk_op *ops;
static size_t n_ops, ops_room;

static sqlite3_vfs *real, disk;
static sqlite3_mem_methods real_mem;

struct file {
	sqlite3_file base;
	enum disk_file which;
};

static sqlite3_file *under(sqlite3_file *f)
{
	return (sqlite3_file *)((struct file *)f + 1);
}

/* ---- faults ---------------------------------------------------------------- */

static bool fails(enum disk_call call)
{
	bool yes;
	ls_guard(&lock);

	if (!fault.nth || call != fault.call)
		return false;
	fault.seen++;
	yes = fault.seen == fault.nth || (fault.stays && fault.seen > fault.nth);
	fault.failed = fault.failed || yes;
	return yes;
}

void disk_fail(enum disk_call call, unsigned nth, bool stays)
{
	ls_guard(&lock);

	fault.call = call;
	fault.nth = nth;
	fault.stays = stays;
	fault.seen = 0;
	fault.failed = false;
}

bool disk_failed(void)
{
	ls_guard(&lock);
	return fault.failed;
}

static bool it_stays(void)
{
	ls_guard(&lock);
	return fault.stays;
}

static void *mem_malloc(int n)
{
	return fails(DISK_MALLOC) ? NULL : real_mem.xMalloc(n);
}

static void *mem_realloc(void *p, int n)
{
	return fails(DISK_MALLOC) ? NULL : real_mem.xRealloc(p, n);
}

/* ---- standing still -------------------------------------------------------- */

void disk_hold(void)
{
	ls_guard(&lock);
	hold = true;
}

void disk_await_held(void)
{
	ls_guard(&lock);

	while (!held)
		pthread_cond_wait(&changed, &lock);
}

void disk_release(void)
{
	ls_guard(&lock);
	hold = false;
	pthread_cond_broadcast(&changed);
}

static void stand_still(void)
{
	ls_guard(&lock);

	while (hold) {
		held = true;
		pthread_cond_broadcast(&changed);
		pthread_cond_wait(&changed, &lock);
	}
	held = false;
}

unsigned disk_log_syncs(void)
{
	ls_guard(&lock);
	return log_syncs;
}

/* ---- remembering ------------------------------------------------------------ */

static void remember(enum disk_op_kind kind, enum disk_file file, long at, const void *data,
		     size_t len)
{
	ls_guard(&lock);

	if (!recording || file == NOT_OURS)
		return;
	if (n_ops == ops_room) {
		ops_room = ops_room ? 2 * ops_room : 256;
		ops = realloc(ops, ops_room * sizeof(*ops));
		if (!ops)
			abort();
	}
	ops[n_ops] = (struct disk_op){ .kind = kind, .file = file, .at = at, .len = len };
	if (len) {
		ops[n_ops].data = malloc(len);
		if (!ops[n_ops].data)
			abort();
		memcpy(ops[n_ops].data, data, len);
	}
	n_ops++;
}

void disk_record(bool on)
{
	ls_guard(&lock);

	for (; on && n_ops; n_ops--)
		free(ops[n_ops - 1].data);
	if (on) {
		free(ops);
		ops = NULL;
		ops_room = 0;
	}
	recording = on;
}

void disk_note(long what)
{
	remember(OP_NOTE, DISK_MAIN, what, NULL, 0);
}

const struct disk_op *disk_ops(size_t *ret_n)
{
	*ret_n = n_ops;
	return ops;
}

/* ---- the calls --------------------------------------------------------------- */

static int file_close(sqlite3_file *f)
{
	return under(f)->pMethods ? under(f)->pMethods->xClose(under(f)) : SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at)
{
	return under(f)->pMethods->xRead(under(f), buf, n, at);
}

/* One that fails leaves half of it behind. */
static int file_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at)
{
	if (fails(DISK_WRITE)) {
		under(f)->pMethods->xWrite(under(f), buf, n / 2, at);
		return it_stays() ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	}
	remember(OP_WRITE, ((struct file *)f)->which, (long)at, buf, (size_t)n);
	return under(f)->pMethods->xWrite(under(f), buf, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	if (fails(DISK_TRUNCATE))
		return SQLITE_IOERR_TRUNCATE;
	remember(OP_TRUNCATE, ((struct file *)f)->which, (long)size, NULL, 0);
	return under(f)->pMethods->xTruncate(under(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
	enum disk_file which = ((struct file *)f)->which;

	(void)flags;
	if (which == DISK_LOG) {
		stand_still();
		pthread_mutex_lock(&lock);
		log_syncs++;
		pthread_mutex_unlock(&lock);
	}
	if (fails(DISK_SYNC)) {
		remember(OP_SYNC_FAILED, which, 0, NULL, 0);
		return SQLITE_IOERR_FSYNC;
	}
	remember(OP_SYNC, which, 0, NULL, 0);
	return SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return under(f)->pMethods->xFileSize(under(f), ret);
}

static int file_lock(sqlite3_file *f, int level)
{
	return under(f)->pMethods->xLock(under(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
	return under(f)->pMethods->xUnlock(under(f), level);
}

static int file_reserved(sqlite3_file *f, int *ret)
{
	return under(f)->pMethods->xCheckReservedLock(under(f), ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	return under(f)->pMethods->xFileControl(under(f), op, arg);
}

static int file_sector(sqlite3_file *f)
{
	return under(f)->pMethods->xSectorSize(under(f));
}

static int file_device(sqlite3_file *f)
{
	return under(f)->pMethods->xDeviceCharacteristics(under(f));
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
};

static enum disk_file which_file(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (n > 11 && !strcmp(name + n - 11, "/journal.db"))
		return DISK_MAIN;
	if (n > 15 && !strcmp(name + n - 15, "/journal.db-wal"))
		return DISK_LOG;
	return NOT_OURS;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	int r;

	(void)vfs;
	f->pMethods = NULL;
	if (fails(DISK_OPEN))
		return SQLITE_CANTOPEN;
	under(f)->pMethods = NULL;
	r = real->xOpen(real, name, under(f), flags, ret_flags);
	((struct file *)f)->which = which_file(name);
	if (!r)
		f->pMethods = &methods;
	return r;
}

void disk_init(void)
{
	sqlite3_mem_methods mem;

	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_mem);
	mem = real_mem;
	mem.xMalloc = mem_malloc;
	mem.xRealloc = mem_realloc;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &mem);
	real = sqlite3_vfs_find(NULL);
	disk = *real;
	disk.pNext = NULL;
	disk.zName = "disk";
	disk.szOsFile = (int)sizeof(struct file) + real->szOsFile;
	disk.xOpen = disk_open;
	sqlite3_vfs_register(&disk, 1);
}
