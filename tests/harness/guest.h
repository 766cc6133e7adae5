/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a lab guest is made of, and the QEMU command line that makes it.
 */
#ifndef HARNESS_GUEST_H
#define HARNESS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <lockstep/err.h>
#include <lockstep/limits.h>

#include "proc.h"

/**
 * struct guest_config - The settings of one guest
 * @smp:      vCPUs at boot
 * @maxcpus:  vCPUs at most
 * @threads:  of one core; on a pSeries one slot has them all
 * @nodes:    NUMA nodes that slots and memory are divided among; 0: no NUMA
 * @mem_mib:  memory at boot
 * @slots:    DIMM slots
 * @maxmem_mib: greatest address space for memory
 * @vmem_mib: size of the virtio-mem device vmem0, all of it unplugged; 0: no device
 * @balloon:  a virtio-balloon device
 * @agent:    what answers on the agent's port, and the initrd with it: "lockstep", "qga",
 *            "none", "host", "systemd", "openrc"
 * @vsock_cid: of a vhost-vsock device, by which the agent is reached; 0: no device
 * @disk:     qcow2 image on virtio-blk, shared by the guests of a directory; "" none
 * @append:   added to the kernel's command line
 * @offline_blocks: memory that comes stays offline
 * @incoming: a destination: paused, waiting for a migration
 * @cold:     boot it, even if a saved one could be used
 */
struct guest_config {
	unsigned smp, maxcpus, threads, nodes, mem_mib, slots, maxmem_mib, vmem_mib;
	char agent[16];
	unsigned vsock_cid;
	bool disk, balloon;
	char append[256];
	bool offline_blocks;
	bool incoming;
	bool cold;
};

/**
 * struct guest_paths - Where one guest's files are
 * @qmp:   monitor for lockstep
 * @peer:  monitor for the harness's own eyes
 * @agent: agent's port
 * @con:   serial console
 * @log:   what QEMU says
 * @disk:  image
 */
struct guest_paths {
	char qmp[LS_PATH_BYTES], peer[LS_PATH_BYTES], agent[LS_PATH_BYTES], con[LS_PATH_BYTES];
	char log[LS_PATH_BYTES], disk[LS_PATH_BYTES];
};

/* 2 of 8 vCPUs, 512 MiB, 4 DIMM slots, 2 GiB of virtio-mem, with an agent. */
void guest_config_init(struct guest_config *c);

/**
 * guest_config_set() - Take one setting as it is written in a scenario
 * @c:    settings
 * @text: "smp=4", "mem=1G", "agent=no", "incoming", ...
 * @err:  names what is wrong, and what would be right
 *
 * Return: 0 or -EINVAL.
 */
int guest_config_set(struct guest_config *c, const char *text, struct ls_err *err);

/* One line for each setting of guest_config_set(). */
const char *guest_config_help(void);

/* Fill in the paths of guest @name in @dir. Return: 0 or -ENAMETOOLONG. */
int guest_paths_set(struct guest_paths *p, const char *dir, const char *name, struct ls_err *err);

/**
 * guest_argv() - QEMU's command line
 * @a:      empty; released by the caller
 * @c:      settings
 * @p:      paths
 * @lab:    directory of kernel and initrds, of the kind that is now
 * @paused: wait for a migration instead of booting (-incoming defer -S)
 */
void guest_argv(struct argv *a, const struct guest_config *c, const struct guest_paths *p,
		const char *lab, bool paused);

/* "512M", "2G" or bytes in MiB; -EINVAL. */
int guest_parse_mib(const char *text, unsigned *ret_mib);

#endif
