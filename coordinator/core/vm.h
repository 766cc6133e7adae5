/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state vector: one observation of one guest, host side and guest side.
 *
 * An operation is done only when the whole vector agrees. Nothing here knows how
 * it was observed; nothing here changes anything.
 */
#ifndef CORE_VM_H
#define CORE_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lockstep/limits.h>

/* A fact that QEMU cannot always tell. */
enum tri { TRI_NO, TRI_YES, TRI_UNKNOWN };

#define VM_THREADS_MAX 8 /* vCPUs of one slot: the threads of a POWER core */

/**
 * struct vm_cpu - One vCPU slot of the machine; its index in struct vm is the slot
 * @vcpus:     vCPUs that one plug of this slot adds: on a pSeries a core's threads
 * @number:    the guest's name for the slot
 * @node:      its NUMA node, -1 none
 * @plugged:   QEMU has it
 * @id:        the device's id; empty: free, or there since the start and not removable
 * @unplug:    asked for and not answered yet
 * @refused:   the guest refused its unplug, since it was last asked for it
 * @guest_cpu: the guest's numbers for its vCPUs, @present of them
 * @present:   how many of its vCPUs the guest's kernel has a device for
 * @device:    how many are online for the driver core; @devices: which, bit by @guest_cpu
 * @kernel:    how many are online in the kernel's mask; @kernels: which
 * @fixed:     the guest cannot take one of them offline; @fixeds: which
 */
struct vm_cpu {
	unsigned vcpus;
	unsigned number;
	int node;
	bool plugged;
	char id[LS_NAME_BYTES];
	enum tri unplug;
	bool refused;
	int guest_cpu[VM_THREADS_MAX];
	unsigned present, device, kernel;
	bool fixed;
	unsigned devices, kernels, fixeds;
};

/* One vCPU of a slot, as the guest has it. */
struct vm_thread {
	bool device, kernel, fixed;
};

static inline struct vm_thread vm_cpu_thread(const struct vm_cpu *c, unsigned thread)
{
	return (struct vm_thread){ c->devices >> thread & 1, c->kernels >> thread & 1,
				   c->fixeds >> thread & 1 };
}

enum vm_mem_kind { VM_DIMM, VM_VIRTIO_MEM };

/**
 * struct vm_mem - One memory device
 * @kind:          see above
 * @id:            the device's id
 * @backend:       id of its memory backend
 * @plugged:       QEMU has the device (a backend alone may exist without it)
 * @slot:          DIMM slot, -1 for virtio-mem
 * @addr:          guest physical address, bytes
 * @size:          bytes that the guest can use of it now
 * @requested:     virtio-mem: what was asked of the guest; DIMM: equal to @size
 * @max:           bytes at most: the backend's size
 * @granule:       bytes: sizes are multiples of this
 * @removable:     made by hot plug
 * @anonymous:     its backend is plain memory, which can be made again elsewhere
 * @unplug:        of a DIMM: asked for and not answered yet
 * @refused:       the guest refused its unplug, since it was last asked for it
 * @guest_present: bytes of its range that the guest has memory blocks for
 * @guest_online:  bytes of them online
 */
struct vm_mem {
	enum vm_mem_kind kind;
	char id[LS_NAME_BYTES];
	char backend[LS_NAME_BYTES];
	bool plugged;
	int slot;
	uint64_t addr, size, requested, max, granule;
	enum tri unplug;
	bool removable, anonymous, refused;
	uint64_t guest_present, guest_online;
};

enum vm_run {
	VM_GONE,
	VM_RUNNING,
	VM_PAUSED,
	VM_INMIGRATE,
	VM_POSTMIGRATE,
	VM_BROKEN,
	VM_RUN_COUNT
};

const char *vm_run_name(enum vm_run run);

/* QEMU's MigrationStatus, plus "none": no migration was ever asked for. */
enum vm_mig {
	MIG_NONE,
	MIG_SETUP,
	MIG_ACTIVE,
	MIG_PRE_SWITCHOVER,
	MIG_DEVICE,
	MIG_POSTCOPY_ACTIVE,
	MIG_POSTCOPY_PAUSED,
	MIG_POSTCOPY_RECOVER,
	MIG_CANCELLING,
	MIG_CANCELLED,
	MIG_FAILED,
	MIG_COMPLETED,
	MIG_WAIT_UNPLUG,
	MIG_UNKNOWN, /* a newer QEMU's: never decided upon */
	MIG_COUNT
};

const char *vm_mig_name(enum vm_mig mig);

/* True from the request until QEMU has ended it, one way or the other. */
bool vm_mig_under_way(enum vm_mig mig);

/**
 * struct vm_progress - How far a migration is
 * @remaining, @total, @transferred: bytes
 * @dirty_rate:  pages per second
 * @page_bytes:  of one page
 * @mbps:        throughput, megabits per second
 * @pass:        number of the pass over the memory, from 1
 * @downtime_ms: expected while it runs, measured at the end
 * @total_ms:    since it began
 */
struct vm_progress {
	uint64_t remaining, total, transferred;
	uint64_t dirty_rate, page_bytes;
	double mbps;
	unsigned pass;
	uint64_t downtime_ms, total_ms;
};

#define VM_BOOT_MS 180000 /* a guest whose agent has not answered by then has none any more */

enum vm_agent {
	AGENT_NONE, /* nobody answers on the channel, or there is no channel */
	AGENT_QGA,  /* QEMU's guest agent: onlines CPUs, has no lock, no window */
	AGENT_LOCKSTEP,
};

/* Bits of struct vm.caps: the migration capabilities that we switch. */
enum {
	CAP_EVENTS = 1 << 0,
	CAP_RETURN_PATH = 1 << 1,
	CAP_PAUSE_BEFORE_SWITCHOVER = 1 << 2,
	CAP_LATE_BLOCK_ACTIVATE = 1 << 3,
	CAP_OURS = (1 << 4) - 1,
};

/**
 * struct vm - One observation of one guest on one QEMU
 *
 * Host side:
 * @run:         what QEMU says of it; VM_GONE: its process is proven dead
 * @answers:     QEMU answered this look at all; if false only @run is meant
 * @version:     QEMU's, as major * 10000 + minor * 100 + micro
 * @machine:     machine type with its version
 * @cpus:        one for each slot
 * @mems:        each memory device, each backend of ours without a device
 * @mem_boot:    bytes at start; @mem_max: bytes at most; @mem_slots: DIMM slots
 * @has_balloon: there is such a device, and its driver; @balloon: bytes that it leaves to
 *                the guest of its boot memory and DIMMs
 * @mig:         status; @mig_error: QEMU's words; @progress: numbers
 * @caps:        CAP_ bits that are on; @caps_known: that exist here
 * @claimed_by:  transaction in the claim object, empty if there is none
 * @claim_epoch: the epoch in it; @claim_host: the host that coordinator runs on
 * @surrendered: this QEMU has given its guest away and may never continue it
 *
 * Guest side, as the agent said; @agent_answers tells whether it did this time:
 * @has_agent:   a channel to one is configured: the guest is to have one
 * @agent:       kind last seen; @agent_text: why it did not answer, in words
 * @boots:       how many boots of the guest were noticed: another number, another kernel
 * @booting:     it was reset, and its agent has not answered since
 * @guard:       whom the agent keeps from sysfs: "hold" ... "advisory"; empty: not known
 * @lock_txn:    who holds the hotplug lock; @window_txn: whose window is open
 * @kernel_says: what its kernel printed about what it did not give up to @lock_txn
 * @epoch:       highest seen by the agent
 * @lease_ms:    left of the lock's or the window's lease
 * @forced:      CPUs that the window has forced, by guest number
 * @block_bytes: size of a memory block, 0 unknown
 * @headroom_known: the agent told @headroom: bytes that its kernel has room to describe
 * @guest_cpus, @guest_cpus_online: counts; the only thing that qemu-ga can tell
 */
struct vm {
	enum vm_run run;
	bool answers;
	unsigned version;
	char machine[LS_NAME_BYTES];
	struct vm_cpu *cpus;
	unsigned n_cpus;
	struct vm_mem *mems;
	unsigned n_mems;
	uint64_t mem_boot, mem_max;
	unsigned mem_slots;
	bool has_balloon;
	uint64_t balloon;
	enum vm_mig mig;
	char mig_error[160];
	struct vm_progress progress;
	unsigned caps, caps_known;
	char claimed_by[LS_TXN_BYTES];
	uint64_t claim_epoch;
	char claim_host[LS_NAME_BYTES];
	bool surrendered;

	bool has_agent;
	enum vm_agent agent;
	bool agent_answers;
	char agent_text[160];
	unsigned boots;
	bool booting;
	char guard[LS_NAME_BYTES];
	char lock_txn[LS_TXN_BYTES];
	char kernel_says[LS_WORDS_BYTES];
	char window_txn[LS_TXN_BYTES];
	bool restore_pending;
	uint64_t epoch;
	uint64_t lease_ms;
	unsigned *forced;
	unsigned n_forced;
	uint64_t block_bytes;
	bool headroom_known;
	uint64_t headroom;
	unsigned guest_cpus, guest_cpus_online;
};

/* Release what @vm points to; the struct itself is the caller's, and empty afterwards. */
void vm_done(struct vm *vm);

/* A copy with memory of its own, for vm_done(). Return: 0; -ENOMEM, and it is empty. */
int vm_copy(const struct vm *from, struct vm *ret);

/* The two guests of a migration; every other operation has only the first. */
enum side { SIDE_SRC, SIDE_DST, SIDE_COUNT };

/**
 * struct view - One look at the world
 * @look: number of the look, so that an old one cannot pass for a new one
 * @vm:   by side
 */
struct view {
	uint32_t look;
	struct vm vm[SIDE_COUNT];
};

/* A vCPU that is plugged; NULL: none. */
struct vm_cpu *vm_cpu_by_id(const struct vm *vm, const char *id);
struct vm_mem *vm_mem_by_id(const struct vm *vm, const char *id);

/* vCPUs that QEMU has; those that could be had at most. */
unsigned vm_vcpus(const struct vm *vm);
unsigned vm_vcpus_max(const struct vm *vm);

/* Of one slot; and of all that are plugged: vCPUs that are online in every view. */
unsigned vm_cpu_online(const struct vm_cpu *c);

/* A core is where it is wanted when all its threads are: @n of them; those online. */
bool vm_cpu_all(const struct vm_cpu *c, unsigned n);
bool vm_cpu_all_online(const struct vm_cpu *c);
unsigned vm_vcpus_online(const struct vm *vm);

/* Bytes: boot memory and everything plugged; the same as far as the guest has it online. */
uint64_t vm_memory(const struct vm *vm);
uint64_t vm_memory_online(const struct vm *vm);

/* Of one device, and never more than it has given. */
uint64_t vm_mem_online(const struct vm_mem *m);

/**
 * vm_cpu_trouble() - Whether the views of one CPU agree
 * @vm:   the guest
 * @slot: the CPU
 *
 * Return: NULL if they do, else what disagrees, in plain words.
 */
const char *vm_cpu_trouble(const struct vm *vm, unsigned slot);
const char *vm_mem_trouble(const struct vm *vm, const struct vm_mem *m);

/**
 * vm_same_inventory() - Whether a guest of one QEMU would find its devices on another;
 * a backend alone is none
 * @a, @b: the guests
 * @text:  the first difference in words
 * @len:   size of @text
 */
bool vm_same_inventory(const struct vm *a, const struct vm *b, char *text, size_t len);

#endif
