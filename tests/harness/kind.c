/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of guests; tests/lab/build-guest.sh makes what they boot. */
#include "kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * 6.12 allocates memory with cmpxchg16b %gs:(%rsi), which leaves garbage in the flags
 * under QEMU 7.2's TCG: 3 of 3 guests crashed within seconds, none of 3 without the instruction.
 *
 * And it takes CPUs that its ACPI tables list as absent for plugs to come only under a
 * hypervisor that it knows (acpi_is_processor_usable() in arch/x86/kernel/acpi/boot.c). TCG is
 * none. What QEMU can be taken for without KVM is VMware: the kernel asks its port, once the
 * machine's serial number says so and the CPU does not say that it is somebody else.
 */
#define CPU_6_12     "max,cx16=off,-hypervisor"
#define MACHINE_6_12 "q35,usb=off,vmport=on"
#define SMBIOS_6_12  "type=1,serial=VMware-lab"

/* It onlines what comes by itself (CONFIG_MEMORY_HOTPLUG_DEFAULT_ONLINE); the others do not. */
#define OFFLINE_6_12 "memhp_default_state=offline"

/*
 * TCG does not save a POWER CPU's decrementer (7.2 and 10.0): after a load no timer fires in
 * the guest, whose every sleep is for good.
 */

/* clang-format off */
static const struct guest_kind kinds[] = {
	{ "6.1",     "lab",         "qemu-system-x86_64", "q35,usb=off", "max",    NULL,        "ttyS0", true,  false, NULL },
	{ "6.12",    "lab/6.12",    "qemu-system-x86_64", MACHINE_6_12,  CPU_6_12, SMBIOS_6_12, "ttyS0", true,  false, OFFLINE_6_12 },
	{ "qemu10",  "lab/qemu10",  "/qemu",              "q35,usb=off", "max",    NULL,        "ttyS0", true,  false, NULL },
	{ "ppc64el", "lab/ppc64el", "qemu-system-ppc64",  "pseries",     "power9", NULL,        "hvc0",  false, true,  NULL },
	{ "ppc64el-smt", "lab/ppc64el", "/qemu",          "pseries",     "power9", NULL,        "hvc0",  false, true,  NULL },
};
/* clang-format on */

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* NULL: there is no such kind. */
static const struct guest_kind *kind_find(void)
{
	const char *name = getenv("LOCKSTEP_GUEST");

	if (!name || !*name)
		return &kinds[0];
	for (size_t i = 0; i < N_KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

const struct guest_kind *kind_now(void)
{
	const struct guest_kind *k = kind_find();

	return k ? k : &kinds[0];
}

int kind_check(struct ls_err *err)
{
	char names[128];
	int len = 0;

	if (kind_find())
		return 0;
	for (size_t i = 0; i < N_KINDS; i++)
		len += snprintf(names + len, sizeof(names) - (size_t)len, " %s", kinds[i].name);
	return ls_err_set(err, -EINVAL, "LOCKSTEP_GUEST=%s: there are%s", getenv("LOCKSTEP_GUEST"),
			  names);
}
