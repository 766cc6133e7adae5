/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a DIMM's memory is made of on the host: a white-list of what QEMU offers.
 *
 * As text, the same on the command line, in a request and in the journal: a kind, then
 * options, with commas between.
 *
 *	ram                          anonymous memory, the default
 *	memfd                        the same, which can be shared by descriptor
 *	file=PATH                    a file, or a new one in a folder
 *
 *	share                        with other processes (vhost-user)
 *	prealloc                     all of it now, or not at all
 *	hugepages=SIZE               of memfd: 2M, 1G
 *	nodes=LIST                   host NUMA nodes: 0, 0-1, 0+2
 *	policy=bind|preferred|interleave  of the nodes; bind if it is not said
 */
#ifndef CORE_BACKING_H
#define CORE_BACKING_H

#include <stdbool.h>
#include <stdint.h>

#include <lockstep/err.h>

#define BACKING_TEXT_BYTES 320
#define BACKING_PATH_BYTES 200
#define BACKING_NODES	   64 /* host NUMA nodes: 0 .. 63 */

enum backing_kind { BACKING_RAM, BACKING_MEMFD, BACKING_FILE, BACKING_COUNT };

/**
 * struct backing - One of them
 * @path:     BACKING_FILE; absolute, without "." and ".."
 * @hugepage: bytes of a page; 0: QEMU's default
 * @nodes:    bit per host node; 0: none is asked for
 * @policy:   of the nodes, in QEMU's word; NULL without nodes
 */
struct backing {
	enum backing_kind kind;
	char path[BACKING_PATH_BYTES];
	uint64_t hugepage;
	bool share, prealloc;
	uint64_t nodes;
	const char *policy;
};

/**
 * backing_parse() - From text; empty is "ram"
 *
 * Return: 0; -EINVAL with what is wrong and what there is.
 */
int backing_parse(const char *text, struct ls_err *err, struct backing *ret_backing);

/**
 * backing_allowed() - Whether a file is where files may be
 * @folders: absolute, with spaces between
 *
 * Return: 0; -EPERM, which names them.
 */
int backing_allowed(const struct backing *b, const char *folders, struct ls_err *err);

/* Absolute, no "//", no "." or "..", none of our separators. */
bool backing_path_ok(const char *path);

/* Where files may be if nobody says otherwise. */
#define BACKING_FOLDERS "/dev/hugepages /dev/shm"

#endif
