/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guests.d: one small INI file a guest, read with inih.
 */
#include "guests.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/vsock.h>

#include "ini_file.h"

static bool has_port(const char *where)
{
	const char *colon = strrchr(where, ':');

	return colon && colon > where && colon[1];
}

/* "vnc:/run/x" is a mistake, "./a:b" and "/a:b" are paths. */
static bool has_unknown_scheme(const char *address)
{
	static const char *const known[] = { "unix:", "tcp:", "ssh:", "vsock:", "fd:" };
	size_t n = strcspn(address, ":/");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strncmp(address, known[i], strlen(known[i])))
			return false;
	return address[n] == ':';
}

int guest_name_check(const char *name, struct ls_err *err)
{
	if (name[0] && name[0] != '.' && !name[strcspn(name, "/ \t\n")] &&
	    strlen(name) < LS_NAME_BYTES)
		return 0;
	return ls_err_set(
		err, -EINVAL,
		"\"%.80s\" cannot be a guest's name: it has up to %d characters, no \"/\" "
		"and no blank, and no dot in front",
		name, LS_NAME_BYTES - 1);
}

int guest_address_check(const char *address, struct ls_err *err)
{
	const char *path = !strncmp(address, "unix:", 5) ? address + 5 : address;
	struct sockaddr_vm vsock;

	if (strlen(address) >= GUEST_ADDRESS_BYTES)
		return ls_err_set(err, -EINVAL, "an address has at most %d characters",
				  GUEST_ADDRESS_BYTES - 1);
	if (!path[0])
		return ls_err_set(err, -EINVAL, "an address is empty");
	if (has_unknown_scheme(address))
		return ls_err_set(
			err, -EINVAL,
			"%s: unix:PATH, tcp:HOST:PORT, ssh:HOST:/PATH or vsock:CID:PORT is "
			"meant",
			address);
	if (!strncmp(address, "tcp:", 4) && !has_port(address + 4))
		return ls_err_set(err, -EINVAL, "%s: tcp:HOST:PORT is meant", address);
	if (!strncmp(address, "vsock:", 6) &&
	    (ls_vsock_parse(address + 6, &vsock) < 0 || vsock.svm_cid == VMADDR_CID_ANY))
		return ls_err_set(err, -EINVAL, "%s: vsock:CID:PORT is meant", address);
	if (!strncmp(address, "ssh:", 4) && !strstr(address + 4, ":/"))
		return ls_err_set(err, -EINVAL, "%s: ssh:HOST:/PATH is meant", address);
	return 0;
}

static int on_key(void *arg, const char *section, const char *key, const char *value,
		  struct ls_err *err)
{
	struct guest *g = arg;
	char *to = NULL;

	if (!strcmp(section, "guest") && !strcmp(key, "qmp"))
		to = g->qmp;
	else if (!strcmp(section, "guest") && !strcmp(key, "agent"))
		to = g->agent;
	if (!to)
		return ls_err_set(err, -EINVAL,
				  "unknown; known are qmp and agent in the section [guest]");
	if (to[0])
		return ls_err_set(err, -EINVAL, "it stands here a second time");
	if (value[0] && guest_address_check(value, err) < 0)
		return -EINVAL;
	snprintf(to, GUEST_ADDRESS_BYTES, "%s", value);
	return 0;
}

/* "known here: a, b": what the user may have meant. */
static void list_names(const char *dir, char *buf, size_t len)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	size_t at = 0;

	buf[0] = '\0';
	while (d && (de = readdir(d)) && at < len) {
		size_t n = strlen(de->d_name);

		if (n > 5 && !strcmp(de->d_name + n - 5, ".conf"))
			at += (size_t)snprintf(buf + at, len - at, "%s%.*s", at ? ", " : "",
					       (int)(n - 5), de->d_name);
	}
	if (d)
		closedir(d);
}

static int not_found(const char *dir, const char *name, struct ls_err *err)
{
	char names[100];

	list_names(dir, names, sizeof(names));
	return ls_err_set(err, -ENOENT, "no guest \"%s\" in %s%s%s; or name it by --qmp SOCKET",
			  name, dir, names[0] ? "; known there: " : " (which names none)", names);
}

int guest_load(const char *dir, const char *name, struct ls_err *err, struct guest *ret_guest)
{
	struct guest g = { 0 };
	char path[512];
	int r;

	if (!dir)
		dir = getenv("LOCKSTEP_GUESTS_D");
	if (!dir)
		dir = GUESTS_DIR;
	if (guest_name_check(name, err) < 0)
		return -EINVAL;
	snprintf(g.name, sizeof(g.name), "%s", name);
	snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
	r = ini_file_read(path, on_key, &g, err);
	if (r == -ENOENT)
		return not_found(dir, name, err);
	if (r < 0)
		return r;
	if (!g.qmp[0])
		return ls_err_set(err, -EINVAL, "%s: no \"qmp = SOCKET\" in it", path);
	*ret_guest = g;
	return 0;
}
