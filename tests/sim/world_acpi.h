/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What passes between a QEMU and its guest's kernel about vCPUs and DIMMs: what the kernel
 * hears of, and the events by which QEMU tells what it says.
 */
#ifndef TESTS_WORLD_ACPI_H
#define TESTS_WORLD_ACPI_H

#include "world.h"

#define ACPI_GONE_MS 20 /* until QEMU has removed what was given back */

/* Source and status of an _OST (ACPI 6.4, 6.3.5), as Linux 6.1 sends them. */
enum { OST_PLUG = 1, OST_EJECT = 3 };
enum { OST_GOOD = 0, OST_BUSY = 130, OST_EJECTING = 132 };

/* ACPI_DEVICE_OST of "CPU" or "DIMM" number @slot. */
void acpi_says(struct world *w, int side, const char *kind, unsigned slot, int what, int status);

/* QEMU has removed it. */
void acpi_says_gone(struct world *w, int side, const char *kind, unsigned slot);

/* How the guest takes it that it is asked for a device, with a mood of the device's own. */
enum w_mood acpi_mood(const struct world *w, enum w_mood own);
uint64_t acpi_eject_ms(const struct world *w, enum w_mood own);

/*
 * What is plugged while the guest boots its firmware finds: a new kernel has it from the start,
 * and sends no _OST.
 */
bool acpi_boots(const struct world *w, enum side side);
uint64_t acpi_boot_left_ms(const struct world *w, enum side side);

/* Of an unplug. A kernel that only starts does not hear of it, and has to be asked again. */
bool acpi_hears(const struct world *w, enum side side, enum w_mood own);

/* A kernel serves such requests one after the other: true, and @l comes again. */
bool acpi_waits(struct world *w, const struct later *l);

#endif
