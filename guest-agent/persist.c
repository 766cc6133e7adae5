/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saving and loading the agent's record.
 */
#include "persist.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <lockstep/log.h>
#include <qmp.h>

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define RECORD_FILE  "state.json"
#define RECORD_BYTES 65536 /* 1024 CPU numbers are 5 kB */
#define PATH_BYTES   512

static int read_file(const char *path, char *buf, size_t size)
{
	ls_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (len < size && (n = read(fd, buf + len, size - len)) != 0) {
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	if (len == size)
		return -EMSGSIZE;
	buf[len] = '\0';
	return (int)len;
}

void persist_init(struct persist *p, const char *dir, const char *boot_id_file)
{
	char id[BOOT_ID_BYTES];

	p->dir = dir;
	snprintf(p->boot_id, sizeof(p->boot_id), "unknown");
	if (read_file(boot_id_file ? boot_id_file : BOOT_ID_FILE, id, sizeof(id)) > 0)
		snprintf(p->boot_id, sizeof(p->boot_id), "%.*s", (int)strcspn(id, "\n"), id);
	if (dir && mkdir(dir, 0700) < 0 && errno != EEXIST)
		log_warning("state: %s cannot be made: %s", dir, strerror(errno));
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int replace(const char *dir, const char *text)
{
	char tmp[PATH_BYTES], path[PATH_BYTES];
	ls_autoclose int fd = -1;
	int r;

	snprintf(tmp, sizeof(tmp), "%s/" RECORD_FILE ".new", dir);
	snprintf(path, sizeof(path), "%s/" RECORD_FILE, dir);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r < 0)
		return r;
	return rename(tmp, path) < 0 ? -errno : 0;
}

/* A record that is not true any more is worse than none: a window long closed would be open. */
static void forget(const char *dir)
{
	static const char *const names[] = { RECORD_FILE ".new", RECORD_FILE };
	char path[PATH_BYTES];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
}

/*
 * The directory may have been removed: what tidies up a guest knows nothing of it. Or it is
 * full, and the room of the old record is what is missing.
 */
static int replace_anyhow(const char *dir, const char *text)
{
	int r = replace(dir, text);

	if (r == -ENOENT && mkdir(dir, 0700) == 0)
		r = replace(dir, text);
	if (r == 0)
		return 0;
	forget(dir);
	r = replace(dir, text);
	if (r < 0)
		forget(dir);
	return r;
}

/* No fsync: the record is for an agent that was killed, never for a later boot. */
int persist_save(const struct persist *p, struct json_object *record)
{
	int r;

	if (!p->dir)
		return 0;
	json_object_object_add(record, "boot-id", json_object_new_string(p->boot_id));
	r = replace_anyhow(p->dir, json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN));
	if (r < 0)
		log_error("state: cannot be saved in %s: %s; an agent that is started again will "
			  "not know of an open window",
			  p->dir, strerror(-r));
	return r;
}

int persist_load(const struct persist *p, struct json_object **ret_record)
{
	ls_autofree char *buf = malloc(RECORD_BYTES);
	struct json_object *record = NULL;
	char path[PATH_BYTES];
	int n;

	if (!p->dir)
		return -ENOENT;
	if (!buf)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s/" RECORD_FILE, p->dir);
	n = read_file(path, buf, RECORD_BYTES);
	if (n < 0)
		return n;
	if (qmp_parse(buf, (size_t)n, NULL, NULL, &record) < 0)
		return -EPROTO;
	if (strcmp(qmp_get_str(record, "boot-id", ""), p->boot_id)) {
		json_object_put(record);
		return -ENOENT;
	}
	*ret_record = record;
	return 0;
}
