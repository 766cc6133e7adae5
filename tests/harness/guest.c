/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From settings as a scenario writes them to a QEMU command line. */
#include "guest.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kind.h"

#define GUEST_CPUS_MAX 255	     /* q35 without an interrupt remapper */
#define GUEST_MIB_MAX  (1024 * 1024) /* 1 TiB */

void guest_config_init(struct guest_config *c)
{
	*c = (struct guest_config){
		.smp = 2,
		.maxcpus = 8,
		.mem_mib = 512,
		.slots = 4,
		.maxmem_mib = 8192,
		.vmem_mib = kind_now()->vmem ? 2048 : 0,
		.threads = 1,
		.agent = "lockstep",
		.cold = kind_now()->cold,
	};
}

int guest_parse_mib(const char *text, unsigned *ret_mib)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || n > GUEST_MIB_MAX)
		return -EINVAL;
	if (!strcmp(end, "G"))
		n *= 1024;
	else if (strcmp(end, "M") != 0 && n != 0)
		return -EINVAL;
	*ret_mib = (unsigned)n;
	return n <= GUEST_MIB_MAX ? 0 : -EINVAL;
}

enum setting_kind { SETTING_NUMBER, SETTING_MIB, SETTING_AGENT, SETTING_FLAG, SETTING_TEXT };

/* clang-format off */
static const struct setting {
	const char *name;
	enum setting_kind kind;
	size_t offset;
	unsigned lo, hi;
	const char *doc;
} settings[] = {
#define AT(field) offsetof(struct guest_config, field)
	{ "smp",      SETTING_NUMBER, AT(smp),        1, GUEST_CPUS_MAX, "vCPUs at boot (2)" },
	{ "maxcpus",  SETTING_NUMBER, AT(maxcpus),    1, GUEST_CPUS_MAX, "vCPU slots (8)" },
	{ "threads",  SETTING_NUMBER, AT(threads),    1, 8,              "vCPUs of one core (1)" },
	{ "nodes",    SETTING_NUMBER, AT(nodes),      1, 8,              "NUMA nodes, each with its part of the slots and of the memory at boot" },
	{ "mem",      SETTING_MIB,    AT(mem_mib),    256, GUEST_MIB_MAX, "memory at boot (512M)" },
	{ "slots",    SETTING_NUMBER, AT(slots),      0, 256,            "DIMM slots (4)" },
	{ "maxmem",   SETTING_MIB,    AT(maxmem_mib), 256, GUEST_MIB_MAX, "greatest memory (8G)" },
	{ "vmem",     SETTING_MIB,    AT(vmem_mib),   0, GUEST_MIB_MAX,  "size of virtio-mem device vmem0, 0 for none (2G; no such device on ppc64el)" },
	{ "agent",    SETTING_AGENT,  AT(agent),      0, 0, "yes, no, qga for QEMU's own, systemd or openrc: ours under Debian's init, host: ours in a guest that can be a host (yes)" },
	{ "vsock",    SETTING_NUMBER, AT(vsock_cid),  3, 65535,          "CID of a vhost-vsock device; the agent's port is not waited for" },
	{ "append",   SETTING_TEXT,   AT(append),     0, 0, "added to the kernel's command line" },
	{ "offline-blocks", SETTING_FLAG, AT(offline_blocks), 0, 0, "memory that comes stays offline, whatever this kernel's default is" },
	{ "disk",     SETTING_FLAG,   AT(disk),       0, 0, "a qcow2 disk, shared by all guests of the scenario that have one" },
	{ "balloon",  SETTING_FLAG,   AT(balloon),    0, 0, "a virtio-balloon device" },
	{ "incoming", SETTING_FLAG,   AT(incoming),   0, 0, "a destination: paused, waits for a migration" },
	{ "cold",     SETTING_FLAG,   AT(cold),       0, 0, "boot it, even where a saved running guest is at hand" },
#undef AT
};
/* clang-format on */

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static int setting_number(const struct setting *s, const char *value, void *at)
{
	unsigned n;
	char *end;

	if (s->kind == SETTING_MIB) {
		if (guest_parse_mib(value, &n) < 0)
			return -EINVAL;
	} else {
		n = (unsigned)strtoul(value, &end, 10);
		if (end == value || *end)
			return -EINVAL;
	}
	if (n < s->lo || n > s->hi)
		return -EINVAL;
	*(unsigned *)at = n;
	return 0;
}

static int setting_agent(const char *value, char *at)
{
	static const char *const names[][2] = { { "yes", "lockstep" },	  { "no", "none" },
						{ "qga", "qga" },	  { "host", "host" },
						{ "systemd", "systemd" }, { "openrc", "openrc" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(value, names[i][0])) {
			strcpy(at, names[i][1]);
			return 0;
		}
	return -EINVAL;
}

static int setting_take(const struct setting *s, const char *value, struct guest_config *c)
{
	void *at = (char *)c + s->offset;

	if ((s->kind == SETTING_FLAG) != !value)
		return -EINVAL;
	switch (s->kind) {
	case SETTING_FLAG:
		*(bool *)at = true;
		return 0;
	case SETTING_TEXT:
		return snprintf(at, sizeof(c->append), "%s", value) < (int)sizeof(c->append)
			       ? 0
			       : -EINVAL;
	case SETTING_AGENT:
		return setting_agent(value, at);
	default:
		return setting_number(s, value, at);
	}
}

int guest_config_set(struct guest_config *c, const char *text, struct ls_err *err)
{
	size_t len = strcspn(text, "=");
	const char *value = text[len] ? text + len + 1 : NULL;

	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *s = &settings[i];

		if (strlen(s->name) != len || strncmp(s->name, text, len) != 0)
			continue;
		if (setting_take(s, value, c) < 0)
			return ls_err_set(err, -EINVAL, "\"%s\" is not possible; %s: %s", text,
					  s->name, s->doc);
		return 0;
	}
	return ls_err_set(err, -EINVAL, "a guest has no setting \"%.*s\"", (int)len, text);
}

const char *guest_config_help(void)
{
	static char text[2048];
	size_t at = 0;

	for (size_t i = 0; i < N_SETTINGS && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  %-9s %s\n",
				       settings[i].name, settings[i].doc);
	return text;
}

int guest_paths_set(struct guest_paths *p, const char *dir, const char *name, struct ls_err *err)
{
	const struct {
		char *to;
		const char *suffix;
	} files[] = {
		{ p->qmp, "qmp" }, { p->peer, "peer" }, { p->agent, "agent" },
		{ p->con, "con" }, { p->log, "log" },
	};

	/* The longest of them is the one with ".con.log". */
	if (strlen(dir) + strlen(name) + sizeof("/.con.log") > LS_PATH_BYTES)
		return ls_err_set(err, -ENAMETOOLONG, "%s/%s: too long for a socket's path", dir,
				  name);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		snprintf(files[i].to, LS_PATH_BYTES, "%s/%s.%s", dir, name, files[i].suffix);
	snprintf(p->disk, sizeof(p->disk), "%s/disk.qcow2", dir);
	return 0;
}

/* x86 counts in sockets; a pSeries plugs whole cores. */
static void argv_smp(struct argv *a, const struct guest_config *c)
{
	argv_add(a, "-smp");
	argv_add(a, "%u,maxcpus=%u,sockets=%u,cores=1,threads=%u", c->smp, c->maxcpus,
		 c->maxcpus / c->threads, c->threads);
}

static void argv_cpu(struct argv *a, bool kvm)
{
	argv_add(a, "-cpu");
	argv_add(a, "%s", kvm ? "host" : kind_now()->cpu);
	if (kvm || !kind_now()->smbios)
		return;
	argv_add(a, "-smbios");
	argv_add(a, "%s", kind_now()->smbios);
}

static void argv_machine(struct argv *a, const struct guest_config *c, const char *lab)
{
	const char *accel = getenv("LOCKSTEP_ACCEL"), *qemu = getenv("LOCKSTEP_QEMU");
	bool kvm = accel && !strcmp(accel, "kvm");

	if (!qemu)
		qemu = kind_now()->qemu;
	argv_add(a, "%s%s", *qemu == '/' && qemu == kind_now()->qemu ? lab : "", qemu);
	argv_add(a, "-machine");
	argv_add(a, "%s", kind_now()->machine);
	argv_add(a, "-accel");
	argv_add(a, kvm ? "kvm" : "tcg");
	argv_cpu(a, kvm);
	/* A default NIC's boot ROM alone costs up to 20 s under TCG. */
	argv_add(a, "-nodefaults");
	argv_add(a, "-nic");
	argv_add(a, "none");
	argv_add(a, "-display");
	argv_add(a, "none");
	argv_smp(a, c);
	argv_add(a, "-m");
	if (c->maxmem_mib > c->mem_mib)
		argv_add(a, "%uM,slots=%u,maxmem=%uM", c->mem_mib, c->slots, c->maxmem_mib);
	else
		argv_add(a, "%uM", c->mem_mib);
}

/* Contiguous runs of sockets: those of the vCPUs at boot are on the first node. */
static void argv_nodes(struct argv *a, const struct guest_config *c)
{
	unsigned sockets = c->maxcpus / c->threads;

	for (unsigned i = 0; i < c->nodes; i++) {
		argv_add(a, "-object");
		argv_add(a, "memory-backend-ram,id=node%u-ram,size=%uM", i, c->mem_mib / c->nodes);
		argv_add(a, "-numa");
		argv_add(a, "node,nodeid=%u,memdev=node%u-ram", i, i);
	}
	for (unsigned i = 0; i < sockets && c->nodes; i++) {
		argv_add(a, "-numa");
		argv_add(a, "cpu,node-id=%u,socket-id=%u", i * c->nodes / sockets, i);
	}
}

static void argv_memory_device(struct argv *a, const struct guest_config *c)
{
	if (!c->vmem_mib)
		return;
	argv_add(a, "-object");
	argv_add(a, "memory-backend-ram,id=vmem0-ram,size=%uM,reserve=off", c->vmem_mib);
	argv_add(a, "-device");
	argv_add(a, "virtio-mem-pci,id=vmem0,memdev=vmem0-ram,requested-size=0");
}

static void argv_balloon(struct argv *a, const struct guest_config *c)
{
	if (!c->balloon)
		return;
	argv_add(a, "-device");
	argv_add(a, "virtio-balloon-pci,id=balloon0");
}

static void argv_disk(struct argv *a, const struct guest_config *c, const struct guest_paths *p)
{
	if (!c->disk)
		return;
	argv_add(a, "-blockdev");
	argv_add(a,
		 "driver=qcow2,node-name=disk0,file.driver=file,file.filename=%s,file.locking=on",
		 p->disk);
	argv_add(a, "-device");
	argv_add(a, "virtio-blk-pci,id=blk0,drive=disk0");
}

static void argv_socket(struct argv *a, const char *id, const char *path, const char *log)
{
	argv_add(a, "-chardev");
	argv_add(a, "socket,id=%s,path=%s,server=on,wait=off%s%s", id, path, log ? ",logfile=" : "",
		 log ? log : "");
}

static void argv_channels(struct argv *a, const struct guest_config *c, const struct guest_paths *p)
{
	char log[LS_PATH_BYTES + 8];

	snprintf(log, sizeof(log), "%s.log", p->con);
	argv_socket(a, "qmp", p->qmp, NULL);
	argv_socket(a, "peer", p->peer, NULL);
	argv_socket(a, "agent", p->agent, NULL);
	argv_socket(a, "con", p->con, log);
	argv_add(a, "-mon");
	argv_add(a, "chardev=qmp,mode=control");
	argv_add(a, "-mon");
	argv_add(a, "chardev=peer,mode=control");
	argv_add(a, "-device");
	argv_add(a, "virtio-serial-pci,id=vser0");
	argv_add(a, "-device");
	argv_add(a, "virtserialport,id=agentport,chardev=agent,name=org.lockstep.agent.0");
	argv_add(a, "-serial");
	argv_add(a, "chardev:con");
	if (!c->vsock_cid)
		return;
	argv_add(a, "-device");
	argv_add(a, "vhost-vsock-pci,id=vsock0,guest-cid=%u", c->vsock_cid);
}

static void argv_append(struct argv *a, const struct guest_config *c)
{
	const char *offline = c->offline_blocks ? kind_now()->offline_blocks : NULL;

	argv_add(a, "-append");
	argv_add(a, "console=%s quiet loglevel=1 panic=-1 lab.agent=%s%s%s%s%s",
		 kind_now()->console, c->agent, offline ? " " : "", offline ? offline : "",
		 *c->append ? " " : "", c->append);
}

void guest_argv(struct argv *a, const struct guest_config *c, const struct guest_paths *p,
		const char *lab, bool paused)
{
	argv_machine(a, c, lab);
	argv_nodes(a, c);
	argv_memory_device(a, c);
	argv_balloon(a, c);
	argv_disk(a, c, p);
	argv_channels(a, c, p);
	argv_add(a, "-kernel");
	argv_add(a, "%s/vmlinuz", lab);
	argv_add(a, "-initrd");
	argv_add(a, "%s/initrd.%s", lab, c->agent);
	argv_append(a, c);
	if (paused) {
		argv_add(a, "-incoming");
		argv_add(a, "defer");
		argv_add(a, "-S");
	}
}
