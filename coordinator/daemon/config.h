/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's configuration file: INI, read with inih.
 *
 *	[lockstepd]
 *	max-queue = 16
 *	reconnect-limit = 30s
 *
 *	[access]
 *	hotplug = alice @operators
 *
 *	[memory]
 *	folders = /dev/hugepages /srv/guests
 *
 *	[metrics]
 *	listen = unix:/run/lockstep/metrics.sock
 */
#ifndef COORDINATOR_CONFIG_H
#define COORDINATOR_CONFIG_H

#include "access.h"
#include "../core/backing.h"
#include "metrics_http.h"

#define CONFIG_FILE "/etc/lockstep/lockstepd.conf"

#define CONFIG_FOLDERS_BYTES 1024

enum config_unit { CONFIG_COUNT, CONFIG_MS };

/* Every limit there is. X(field, key, unit, default, least, most, help) */
#define CONFIG_LIMITS(X)                                                                           \
	X(max_guests, "max-guests", COUNT, 1000, 1, 10000, "guests at one time")                   \
	X(max_clients, "max-clients", COUNT, 64, 1, 4096, "connections to the control socket")     \
	X(max_queue, "max-queue", COUNT, 16, 1, 1024, "requests that wait for one guest")          \
	X(hello_ms, "hello-limit", MS, 10000, 100, 600000,                                         \
	  "for a client to say its first word; then it is hung up")                                \
	X(reconnect_ms, "reconnect-limit", MS, 30000, 500, 3600000,                                \
	  "between two attempts to reach a guest; they begin at half a second and double")         \
	X(disk_ms, "disk-limit", MS, 10000, 100, 600000,                                           \
	  "for the disk to take a record; then the row fails")                                     \
	X(keep_days, "keep-days", COUNT, 30, 0, 36500,                                             \
	  "that an ended transaction is kept in the journal; 0: for ever")                         \
	X(stop_ms, "stop-limit", MS, 20000, 0, 600000,                                             \
	  "for what runs to end when lockstepd stops; what has not is taken back at its next "     \
	  "start")

/**
 * struct config - All of it, with defaults where the file says nothing
 * @access:  who may what
 * @folders: where the files of DIMMs may be; none if it is empty
 * @metrics: where they are served; empty: nowhere
 */
struct config {
#define X(field, key, unit, otherwise, lo, hi, help) unsigned field;
	CONFIG_LIMITS(X)
#undef X
	struct access access;
	char folders[CONFIG_FOLDERS_BYTES];
	char metrics[METRICS_ADDRESS_BYTES];
};

/**
 * config_load() - Read the file
 * @path:     it may be missing if it is CONFIG_FILE: then all defaults hold
 * @err:      names file, line, key, and what would be right
 * @ret_conf: complete; untouched on failure
 *
 * Return: 0, -EINVAL, -errno.
 */
int config_load(const char *path, struct ls_err *err, struct config *ret_conf);

#endif
