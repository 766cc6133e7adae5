/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guests that the lab can build: a kernel, and the machine it runs on. All guests
 * of a run are of one kind, which the environment names.
 */
#ifndef HARNESS_KIND_H
#define HARNESS_KIND_H

#include <stdbool.h>

#include <lockstep/err.h>

/**
 * struct guest_kind - One of them
 * @name:    as in LOCKSTEP_GUEST
 * @lab:     its files, below the build directory
 * @qemu:    program; with a '/' in front: below @lab
 * @machine: value of -machine
 * @cpu:     value of -cpu under TCG
 * @smbios:  value of -smbios under TCG; NULL none
 * @console: the guest's serial line
 * @vmem:    QEMU has virtio-mem for this machine
 * @cold:    always booted: the guest does not come back from a saved state
 * @offline_blocks: on the kernel's command line, so that memory that comes stays offline;
 *           NULL: it does so anyway
 */
struct guest_kind {
	const char *name;
	const char *lab;
	const char *qemu;
	const char *machine;
	const char *cpu;
	const char *smbios;
	const char *console;
	bool vmem;
	bool cold;
	const char *offline_blocks;
};

/* What LOCKSTEP_GUEST says; the first one if it says nothing, or nothing that there is. */
const struct guest_kind *kind_now(void);

/* 0, or -EINVAL with the names that LOCKSTEP_GUEST may have. */
int kind_check(struct ls_err *err);

#endif
