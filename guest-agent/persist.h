/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One small record that outlives the agent, but not the guest's boot: it carries
 * the kernel's boot id, and is nothing to an agent that finds another one.
 */
#ifndef AGENT_PERSIST_H
#define AGENT_PERSIST_H

#define BOOT_ID_BYTES 64

struct json_object;

/**
 * struct persist - Where the record is, and in which boot we are
 * @dir:     made if it is not there; NULL: nothing is kept
 * @boot_id: of the running kernel
 */
struct persist {
	const char *dir;
	char boot_id[BOOT_ID_BYTES];
};

/* @boot_id_file: NULL for the kernel's own; tests bring one. */
void persist_init(struct persist *p, const char *dir, const char *boot_id_file);

/**
 * persist_save() - Replace the record, all or nothing
 * @record: object; borrowed; its "boot-id" is set here
 *
 * Return: 0 or -errno.
 */
int persist_save(const struct persist *p, struct json_object *record);

/**
 * persist_load() - The record of this boot
 * @ret_record: caller drops it with json_object_put()
 *
 * Return: 0, -ENOENT (none, or of another boot), -EPROTO (damaged), -errno.
 */
int persist_load(const struct persist *p, struct json_object **ret_record);

#endif
