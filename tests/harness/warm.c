/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DOC: An image's name says what it was made of: the QEMU, the kernel and initrd
 * (by size and time of change; the builder leaves them alone when they would not
 * change), and every word of the command line except paths of sockets. A guest
 * with other settings has an image of its own. Images of an initrd that is there
 * no more are removed when a new one is made, ten minutes after their last use.
 */
#include "warm.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "kind.h"

#define WARM_SAVE_MS  60000 /* 97 MiB through a pipe take 0.2 s on an idle machine */
#define WARM_LOOK_MS  10    /* between two looks at a file */
#define WARM_UNUSED_S 600   /* after that nobody comes back to an image of other files */

static uint64_t warm_mix(uint64_t sum, const void *data, size_t len)
{
	const unsigned char *at = data;

	while (len--)
		sum = (sum ^ *at++) * 0x100000001b3ULL; /* FNV-1a */
	return sum;
}

static uint64_t warm_mix_file(uint64_t sum, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return sum;
	sum = warm_mix(sum, &st.st_size, sizeof(st.st_size));
	return warm_mix(sum, &st.st_mtim, sizeof(st.st_mtim));
}

static uint64_t warm_files_sum(const struct guest *g)
{
	uint64_t sum = 0xcbf29ce484222325ULL;
	char path[640];

	snprintf(path, sizeof(path), "%s/%s/vmlinuz", g->lab->build, kind_now()->lab);
	sum = warm_mix_file(sum, path);
	snprintf(path, sizeof(path), "%s/%s/initrd.%s", g->lab->build, kind_now()->lab,
		 g->config.agent);
	sum = warm_mix_file(sum, path);
	snprintf(path, sizeof(path), "/usr/bin/%s", kind_now()->qemu);
	return warm_mix_file(sum, path);
}

static uint64_t warm_config_sum(const struct guest *g)
{
	static const struct guest_paths nowhere;
	uint64_t sum = 0xcbf29ce484222325ULL;
	struct argv a = { 0 };

	guest_argv(&a, &g->config, &nowhere, "", false);
	for (int i = 0; i < a.n; i++)
		sum = warm_mix(sum, a.v[i], strlen(a.v[i]) + 1);
	argv_done(&a);
	return sum;
}

/* Loading touches an image: one that another run is about to load is not old. */
static bool warm_is_old(const char *path)
{
	struct stat st;
	time_t used;

	if (stat(path, &st) < 0)
		return false;
	used = st.st_atime > st.st_mtime ? st.st_atime : st.st_mtime;
	return time(NULL) - used > WARM_UNUSED_S;
}

/* Images of this agent that were made of other files than today's. */
static void warm_prune(const struct guest *g, uint64_t files)
{
	char pattern[WARM_PATH_BYTES], keep[32];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/%s/warm-%s-*.img", g->lab->build, kind_now()->lab,
		 g->config.agent);
	snprintf(keep, sizeof(keep), "-%016" PRIx64 "-", files);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (!strstr(found.gl_pathv[i], keep) && warm_is_old(found.gl_pathv[i]))
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

/* QEMU says "completed" while the program at the end of its pipe still writes. */
static int warm_await(struct guest *seed, const char *path, uint64_t deadline_ms,
		      struct ls_err *err)
{
	while (access(path, R_OK) < 0) {
		if (qmp_now_ms() >= deadline_ms)
			return ls_err_set(err, -ETIMEDOUT, "%s: not written", path);
		pump_once(&seed->lab->pump, qmp_now_ms() + WARM_LOOK_MS);
	}
	return 0;
}

/* Stopped first: a paused guest's memory is written once, and nothing is lost. */
static int warm_save(struct guest *seed, const char *image, const char *made, struct ls_err *err)
{
	uint64_t deadline_ms = qmp_now_ms() + WARM_SAVE_MS;
	struct json_object *args = json_object_new_object();
	ls_autofree char *uri = NULL;
	int r;

	if (asprintf(&uri, "exec:cat > '%s.new' && mv '%s.new' '%s'", image, image, made) < 0)
		return -ENOMEM;
	json_object_object_add(args, "uri", json_object_new_string(uri));
	r = peer_call(seed->peer, "stop", NULL, deadline_ms, err, NULL);
	if (r < 0) {
		json_object_put(args);
		return r;
	}
	r = peer_call(seed->peer, "migrate", args, deadline_ms, err, NULL);
	if (r == 0)
		r = guest_migrated(seed, deadline_ms, err);
	if (r == 0)
		r = warm_await(seed, made, deadline_ms, err);
	return r;
}

static int warm_make(struct guest *g, const char *image, struct ls_err *err)
{
	ls_autofree char *made = NULL;
	struct guest *seed;
	int r;

	if (asprintf(&made, "%s.made", image) < 0)
		return -ENOMEM;
	unlink(made);
	r = guest_new(g->lab, "warm-up", &g->config, err, &seed);
	if (r < 0)
		return r;
	r = guest_boot(seed, err);
	if (r == 0)
		r = warm_save(seed, image, made, err);
	g->boot_ms = seed->took_ms;
	guest_free(seed);
	if (r == 0 && rename(made, image) < 0)
		r = ls_err_set(err, -errno, "%s: %s", image, strerror(errno));
	return r;
}

int warm_image(struct guest *g, struct ls_err *err, char ret_path[WARM_PATH_BYTES])
{
	uint64_t files = warm_files_sum(g);
	char lock[WARM_PATH_BYTES + 8];
	ls_autoclose int fd = -1;
	int r;

	snprintf(ret_path, WARM_PATH_BYTES, "%s/%s/warm-%s-%016" PRIx64 "-%016" PRIx64 ".img",
		 g->lab->build, kind_now()->lab, g->config.agent, files, warm_config_sum(g));
	/* The time of use is for warm_prune(). */
	if (utimensat(AT_FDCWD, ret_path, NULL, 0) == 0)
		return 0;
	snprintf(lock, sizeof(lock), "%s/%s/warm.lock", g->lab->build, kind_now()->lab);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return ls_err_set(err, -errno, "%s: %s", lock, strerror(errno));
	if (access(ret_path, R_OK) == 0)
		return 0;
	warm_prune(g, files);
	r = warm_make(g, ret_path, err);
	return r < 0 ? r : 1;
}
