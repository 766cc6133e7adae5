/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may ask the daemon for what: users and groups of the other end of its socket, as
 * the kernel says them.
 */
#ifndef COORDINATOR_ACCESS_H
#define COORDINATOR_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include <lockstep/err.h>

/*
 * Each class may all that the ones before it may. A verb that makes an agent work is no
 * read verb. X(name, key, who has it)
 */
#define ACCESS_CLASSES(X)                                                                          \
	X(READ, "read", "list, status, watch, txn list, txn show: what is known already")          \
	X(HOTPLUG, "hotplug", "vcpus, memory, balloon, cpu, doctor, cancel, txn resume, txn undo") \
	X(MIGRATE, "migrate", "moves of a guest: lockstepd has no such verb yet")                  \
	X(ADMIN, "admin", "add, remove, reload, txn forget")

enum access_class {
#define X(name, key, text) ACCESS_##name,
	ACCESS_CLASSES(X)
#undef X
		ACCESS_COUNT
};

const char *access_class_name(enum access_class class);

#define ACCESS_NAMES_MAX  64   /* users and groups of one class */
#define ACCESS_GROUPS_MAX 1024 /* supplementary groups of a client that are looked at */

/* The group that may read, if there is one and the configuration names nobody. */
#define ACCESS_DEFAULT_READ "lockstep"

struct access_who {
	bool group;
	id_t id;
};

/**
 * struct access - Who is in which class; root is in all
 * @who: of each class, @n of them
 */
struct access {
	struct access_who who[ACCESS_COUNT][ACCESS_NAMES_MAX];
	unsigned n[ACCESS_COUNT];
};

/**
 * struct access_peer - A client
 * @groups: supplementary, @n of them; allocated
 */
struct access_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	gid_t *groups;
	unsigned n;
};

/**
 * access_add() - Put a list into a class
 * @list: names apart by blanks; with "@" in front a group's: "alice @operators"
 *
 * Return: 0; -EINVAL with the name that is none.
 */
int access_add(struct access *a, enum access_class class, const char *list, struct ls_err *err);

/* What holds without a configuration. */
void access_default(struct access *a);

/* Who is at the other end. Return: 0 or -errno; access_peer_done() in the end. */
int access_peer_read(int fd, struct access_peer *ret_peer);
void access_peer_done(struct access_peer *p);

bool access_allows(const struct access *a, enum access_class class, const struct access_peer *p);

#endif
