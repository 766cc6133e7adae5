/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world_acpi.h"

#define EJECT_MS      200   /* until it gives one back */
#define LATE_EJECT_MS 25000 /* until a slow one does: after everybody has given up */

void acpi_says(struct world *w, int side, const char *kind, unsigned slot, int what, int status)
{
	world_says(w, (enum side)side, "%s %u: ACPI_DEVICE_OST %d %d", kind, slot, what, status);
}

void acpi_says_gone(struct world *w, int side, const char *kind, unsigned slot)
{
	world_says(w, (enum side)side, "%s %u: DEVICE_DELETED", kind, slot);
	acpi_says(w, side, kind, slot, OST_EJECT, OST_GOOD);
}

enum w_mood acpi_mood(const struct world *w, enum w_mood own)
{
	return own == GUEST_GIVES ? w->mood : own;
}

uint64_t acpi_eject_ms(const struct world *w, enum w_mood own)
{
	return acpi_mood(w, own) == GUEST_LATE ? LATE_EJECT_MS : EJECT_MS;
}

bool acpi_boots(const struct world *w, enum side side)
{
	return w->now_ms < w->qemu[side].boots_until;
}

uint64_t acpi_boot_left_ms(const struct world *w, enum side side)
{
	return w->qemu[side].boots_until - w->now_ms;
}

bool acpi_hears(const struct world *w, enum side side, enum w_mood own)
{
	return acpi_mood(w, own) != GUEST_SILENT && !acpi_boots(w, side);
}

bool acpi_waits(struct world *w, const struct later *l)
{
	if (w->qemu[l->side].gives)
		world_later(w, ACPI_GONE_MS, *l);
	return w->qemu[l->side].gives;
}
