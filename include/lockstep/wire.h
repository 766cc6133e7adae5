/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What host and guest say to each other, as one table: the agent checks arguments
 * against it, the coordinator checks replies against it, docs/protocol.md is
 * printed from it. Nothing about the protocol is written down anywhere else.
 *
 * The agent also serves the commands of QEMU's guest agent that it shares a purpose
 * with (guest-sync, guest-get-vcpus, ...); their shapes are QEMU's (qga-ref).
 *
 * Line shapes below:  F(name, type, optional, lo, hi, count, doc)
 */
#ifndef LOCKSTEP_WIRE_H
#define LOCKSTEP_WIRE_H

#include <lockstep/limits.h>
#include <qmp.h>

/* The channel's name: virtio-serial port, and the libvirt channel target. */
#define LS_WIRE_CHANNEL "org.lockstep.agent.0"
#define LS_WIRE_VERSION 1

/* clang-format off */

/* ---- pieces ----------------------------------------------------------- */

#define LS_F_TXN(F)   F("txn", QMP_STRING, 0, 1, LS_TXN_BYTES - 1, 0, "the transaction that asks; it owns the hotplug lock")
#define LS_F_EPOCH(F) F("epoch", QMP_INT, 0, 0, INT64_MAX, 0, "the coordinator's claim; an epoch below the highest seen is refused")
#define LS_F_LEASE(F) F("lease-ms", QMP_INT, 0, LS_LEASE_MIN_MS, LS_LEASE_MAX_MS, 0, "given back by itself after this long without a renew; the first is cut to 5000")
#define LS_F_CPUS(F)  F("cpus", QMP_INTS, 0, 0, LS_CPUS_MAX - 1, LS_CPUS_MAX, "guest CPU numbers")
#define LS_F_RANGE(F) \
	F("start", QMP_INT, 0, 0, INT64_MAX, 0, "guest physical address, bytes") \
	F("length", QMP_INT, 0, 1, INT64_MAX, 0, "bytes; every block that lies wholly inside is meant")

/* ---- objects inside replies ------------------------------------------- */

#define LS_WIRE_OBJ_CPU(F) \
	F("cpu", QMP_INT, 0, 0, LS_CPUS_MAX - 1, 0, "the guest's number") \
	F("slot", QMP_INT, 0, -1, LS_CPUS_MAX - 1, 0, "host slot: ACPI name (x86), or the number of its core (pseries), which the threads of a core share; -1 unknown") \
	F("present", QMP_BOOL, 0, 0, 0, 0, "the kernel has a device for it") \
	F("device", QMP_BOOL, 0, 0, 0, 0, "online for the driver core: cpuN/online") \
	F("kernel", QMP_BOOL, 0, 0, 0, 0, "online in the kernel's mask: cpu/online") \
	F("fixed", QMP_BOOL, 0, 0, 0, 0, "has no online file: can never go offline") \
	F("row", QMP_STRING, 1, 1, 32, 0, "how far its table is done: offline, the last row done, online") \
	F("target", QMP_STRING, 1, 1, 32, 0, "offline or online: where the agent's last change of it was to lead; absent: there was none") \
	F("failed-row", QMP_STRING, 1, 1, 32, 0, "the row at which a change of it failed last, however many have succeeded since; absent: none has") \
	F("failed-code", QMP_INT, 1, -4095, -1, 0, "with what: a negative errno") \
	F("unverified", QMP_BOOL, 1, 0, 0, 0, "online, and no thread could be tied to it to show that it runs; absent: false") \
	F("stuck", QMP_BOOL, 1, 0, 0, 0, "an undo failed, too; it stands at its row; absent: false")

#define LS_WIRE_OBJ_BLOCKS(F) \
	F("first", QMP_INT, 0, 0, INT64_MAX, 0, "number of the first block of a run in one state") \
	F("count", QMP_INT, 0, 1, INT64_MAX, 0, "blocks in the run") \
	F("state", QMP_STRING, 0, 1, 32, 0, "online, offline, going-offline, in-kernel (a write has not come back)")

#define LS_WIRE_OBJ_RESULT(F) \
	F("id", QMP_INT, 0, 0, INT64_MAX, 0, "guest CPU or memory block") \
	F("code", QMP_INT, 0, -4095, 1, 0, "0 changed, 1 was so already, else negative errno") \
	F("error", QMP_STRING, 1, 0, 1024, 0, "what happened, where code is negative")

#define LS_WIRE_OBJ_FINDING(F) \
	F("kind", QMP_STRING, 0, 1, 32, 0, "cpu, memory, window, lock") \
	F("id", QMP_INT, 0, -1, INT64_MAX, 0, "guest CPU or memory block, -1 none") \
	F("text", QMP_STRING, 0, 1, 1024, 0, "what disagrees, in one sentence") \
	F("healed", QMP_BOOL, 0, 0, 0, 0, "fixed and verified")

#define LS_WIRE_OBJ_LOCK(F) \
	F("held", QMP_BOOL, 0, 0, 0, 0, "somebody holds the hotplug lock") \
	F("txn", QMP_STRING, 0, 0, LS_TXN_BYTES - 1, 0, "who; empty if nobody") \
	F("epoch", QMP_INT, 0, 0, INT64_MAX, 0, "highest epoch seen since boot") \
	F("lease-ms", QMP_INT, 0, 0, INT64_MAX, 0, "left of the lease")

#define LS_WIRE_OBJ_WINDOW(F) \
	F("state", QMP_STRING, 0, 1, 32, 0, "closed, open, restore-pending") \
	F("txn", QMP_STRING, 0, 0, LS_TXN_BYTES - 1, 0, "who opened it, or did so last") \
	F("mode", QMP_STRING, 0, 0, 8, 0, "force, hold, off; empty before the first") \
	F("forced", QMP_INTS, 0, 0, LS_CPUS_MAX - 1, LS_CPUS_MAX, "CPUs that the window brought online and close takes offline") \
	F("left-ms", QMP_INT, 0, 0, INT64_MAX, 0, "left of the lease")

#define LS_WIRE_OBJ_MEMORY(F) \
	F("block-bytes", QMP_INT, 0, 1, INT64_MAX, 0, "size of a memory block") \
	F("blocks", QMP_OBJECTS, 0, 0, 0, LS_BLOCKS_MAX, "runs of BLOCKS objects, ascending") \
	F("headroom-bytes", QMP_INT, 1, 0, INT64_MAX, 0, "that can be added now: so much does the kernel have room to describe (64 bytes a page, none of it movable); absent: not known, or new memory may describe itself (memmap_on_memory)")

/* ---- commands --------------------------------------------------------- */

#define LS_WIRE_ARGS_STATUS(F)
#define LS_WIRE_RETS_STATUS(F) \
	F("version", QMP_INT, 0, 1, INT64_MAX, 0, "LS_WIRE_VERSION of the agent") \
	F("agent", QMP_STRING, 0, 1, 64, 0, "name and release of the agent program") \
	F("boot-id", QMP_STRING, 0, 1, 64, 0, "the kernel's random/boot_id") \
	F("machine", QMP_STRING, 0, 1, 32, 0, "uname -m") \
	F("guard", QMP_STRING, 0, 1, 16, 0, "hold, refuse, watch, off, or advisory (the kernel cannot): the last two keep nobody from sysfs") \
	F("guard-held", QMP_INT, 1, 0, INT64_MAX, 0, "writers to sysfs that the guard holds now") \
	F("expedite", QMP_STRING, 1, 1, 64, 0, "expedited RCU for batches of CPUs: off, on, active (now), or no: and why the guest does not allow it") \
	F("lock", QMP_OBJECT, 0, 0, 0, 0, "a LOCK object") \
	F("window", QMP_OBJECT, 0, 0, 0, 0, "a WINDOW object") \
	F("cpus", QMP_OBJECTS, 0, 0, 0, LS_CPUS_MAX, "CPU objects, one for each CPU device") \
	F("kernel-says", QMP_STRING, 1, 1, LS_WORDS_BYTES - 1, 0, "while the lock is held: what the kernel has printed, since it was taken, about a CPU or memory that it did not give up; absent: nothing, or its log may not be read") \
	F("memory", QMP_OBJECT, 1, 0, 0, 0, "a MEMORY object; absent if the kernel has no memory blocks")

#define LS_WIRE_ARGS_SUBSCRIBE(F)
#define LS_WIRE_RETS_SUBSCRIBE(F)

#define LS_WIRE_ARGS_LOCK(F) LS_F_TXN(F) LS_F_EPOCH(F) LS_F_LEASE(F)
#define LS_WIRE_RETS_LOCK(F) \
	F("already", QMP_BOOL, 0, 0, 0, 0, "this transaction held it before")

#define LS_WIRE_ARGS_RENEW(F) LS_F_TXN(F) LS_F_LEASE(F)
#define LS_WIRE_RETS_RENEW(F)

#define LS_WIRE_ARGS_UNLOCK(F) LS_F_TXN(F)
#define LS_WIRE_RETS_UNLOCK(F) \
	F("already", QMP_BOOL, 0, 0, 0, 0, "nobody held it")

#define LS_WIRE_ARGS_CPU_ONLINE(F) LS_F_TXN(F) LS_F_CPUS(F)
#define LS_WIRE_RETS_CPU_ONLINE(F) \
	F("results", QMP_OBJECTS, 0, 0, 0, LS_CPUS_MAX, "RESULT objects, in the order asked")

#define LS_WIRE_ARGS_CPU_OFFLINE(F) LS_F_TXN(F) LS_F_CPUS(F)
#define LS_WIRE_RETS_CPU_OFFLINE(F) LS_WIRE_RETS_CPU_ONLINE(F)

#define LS_WIRE_ARGS_MEMORY_ONLINE(F) LS_F_TXN(F) LS_F_RANGE(F) \
	F("zone", QMP_STRING, 1, 1, 16, 0, "movable (default: can be unplugged again), kernel, auto")
#define LS_WIRE_RETS_MEMORY_ONLINE(F) \
	F("present", QMP_INT, 0, 0, LS_BLOCKS_MAX, 0, "blocks that exist in the range") \
	F("online", QMP_INT, 0, 0, LS_BLOCKS_MAX, 0, "of them online now") \
	F("changed", QMP_INT, 0, 0, LS_BLOCKS_MAX, 0, "of them changed by this request") \
	F("failed", QMP_OBJECTS, 0, 0, 0, LS_BLOCKS_MAX, "RESULT objects of those that could not be changed")

#define LS_WIRE_ARGS_MEMORY_OFFLINE(F) LS_F_TXN(F) LS_F_RANGE(F)
#define LS_WIRE_RETS_MEMORY_OFFLINE(F) LS_WIRE_RETS_MEMORY_ONLINE(F)

#define LS_WIRE_ARGS_WINDOW_OPEN(F) LS_F_TXN(F) LS_F_EPOCH(F) LS_F_LEASE(F) \
	F("mode", QMP_STRING, 0, 1, 8, 0, "force: online every present CPU; hold: lock only; off: nothing")
#define LS_WIRE_RETS_WINDOW_OPEN(F) \
	F("already", QMP_BOOL, 0, 0, 0, 0, "this transaction had it open before") \
	F("forced", QMP_INTS, 0, 0, LS_CPUS_MAX - 1, LS_CPUS_MAX, "CPUs brought online") \
	F("left-out", QMP_OBJECTS, 0, 0, 0, LS_CPUS_MAX, "RESULT objects of CPUs that may not go online (smt control)")

#define LS_WIRE_ARGS_WINDOW_RENEW(F) LS_F_TXN(F) LS_F_LEASE(F)
#define LS_WIRE_RETS_WINDOW_RENEW(F)

#define LS_WIRE_ARGS_WINDOW_CLOSE(F) LS_F_TXN(F)
#define LS_WIRE_RETS_WINDOW_CLOSE(F) \
	F("already", QMP_BOOL, 0, 0, 0, 0, "it was closed before, by whatever way") \
	F("restored", QMP_INTS, 0, 0, LS_CPUS_MAX - 1, LS_CPUS_MAX, "CPUs taken offline again") \
	F("pending", QMP_OBJECTS, 0, 0, 0, LS_CPUS_MAX, "RESULT objects of CPUs that could not be: restore-pending")

#define LS_WIRE_ARGS_DOCTOR(F) \
	F("fix", QMP_BOOL, 1, 0, 0, 0, "heal, under the hotplug lock, and verify")
#define LS_WIRE_RETS_DOCTOR(F) \
	F("findings", QMP_OBJECTS, 0, 0, 0, LS_BLOCKS_MAX, "FINDING objects; empty: all is well")

#define LS_WIRE_ARGS_FAIL(F) \
	F("cpu", QMP_INT, 0, 0, LS_CPUS_MAX - 1, 0, "guest CPU number") \
	F("row", QMP_STRING, 0, 1, 32, 0, "a row of the CPU table, as in the CPU object")
#define LS_WIRE_RETS_FAIL(F)

/* C(ID, name, doc) */
#define LS_WIRE_COMMANDS(C) \
	C(STATUS, "lockstep-status", "The guest's truth: CPUs, memory blocks, lock, window. Takes no lock.") \
	C(SUBSCRIBE, "lockstep-subscribe", "From now on this connection gets LOCKSTEP_CHANGE events, until it syncs again: then it may be another client's.") \
	C(LOCK, "lockstep-lock", "Take the hotplug lock for a transaction. Again by the same one: a renew.") \
	C(RENEW, "lockstep-renew", "Extend the lock's lease from now.") \
	C(UNLOCK, "lockstep-unlock", "Give the hotplug lock back.") \
	C(CPU_ONLINE, "lockstep-cpu-online", "device_online() each CPU; stops at nothing, one result each.") \
	C(CPU_OFFLINE, "lockstep-cpu-offline", "device_offline() each CPU, the highest number first.") \
	C(MEMORY_ONLINE, "lockstep-memory-online", "Bring every memory block of a range online, as one batch.") \
	C(MEMORY_OFFLINE, "lockstep-memory-offline", "Take every memory block of a range offline, as one batch.") \
	C(WINDOW_OPEN, "lockstep-window-open", "Open the migration window: take the lock, force CPUs online, remember which.") \
	C(WINDOW_RENEW, "lockstep-window-renew", "Extend the window's lease from now.") \
	C(WINDOW_CLOSE, "lockstep-window-close", "Take offline again what open forced, and always release the lock.") \
	C(DOCTOR, "lockstep-doctor", "Name every disagreement between driver core and kernel; heal on request.") \
	C(FAIL, "lockstep-fail", "The next visit of one row of one CPU's table fails, once: for tests of what comes after. Not for the host.")

/* O(ID, doc) */
#define LS_WIRE_OBJECTS(O) \
	O(CPU, "one CPU device of the guest") \
	O(BLOCKS, "a run of memory blocks in one state") \
	O(MEMORY, "the guest's memory blocks") \
	O(RESULT, "what came of one device") \
	O(FINDING, "one disagreement") \
	O(LOCK, "the hotplug lock") \
	O(WINDOW, "the migration window")

/* E(ID, class, doc) */
#define LS_WIRE_ERRORS(E) \
	E(ARG_MISSING, QMP_CLASS_MISSING, "a parameter is not there") \
	E(ARG_UNEXPECTED, QMP_CLASS_UNEXPECTED, "the command has no parameter of that name") \
	E(ARG_TYPE, QMP_CLASS_TYPE, "a parameter is of another JSON type") \
	E(ARG_VALUE, QMP_CLASS_VALUE, "a parameter has a value that it may not have: negative, too large or too long, no word that is known") \
	E(ARG_TWICE, QMP_CLASS_TWICE, "a list names the same number twice") \
	E(LOCK_HELD, "LockHeld", "another transaction holds the hotplug lock; it is named") \
	E(NOT_HELD, "LockNotHeld", "the request needs the hotplug lock and this transaction does not hold it") \
	E(LEASE_EXPIRED, "LeaseExpired", "the transaction had the lock or the window and did not renew its lease in time") \
	E(LOWER_EPOCH, "LowerEpoch", "a newer coordinator has claimed this guest") \
	E(WRONG_TXN, "WrongTransaction", "the window was opened by another transaction") \
	E(WINDOW_OPEN, "WindowOpen", "a migration window is open; wait for it to close") \
	E(NO_DEVICE, "DeviceNotFound", "no such CPU or memory block in this guest") \
	E(BLOCK_FIXED, "BlockFixed", "the kernel cannot take the memory block offline: its file removable says so") \
	E(CPU_FIXED, "CpuFixed", "the CPU has no online file: it can never go offline") \
	E(LAST_CPU, "LastCpu", "the request would leave the guest without a running CPU") \
	E(NOT_FORCED, "ForceFailed", "a CPU could not be brought online; those done were taken back, the lock is free") \
	E(NOT_RECORDED, "NotRecorded", "the agent cannot keep a record of the window, which it would have to know after being killed; nothing was changed. Its message says what to do") \
	E(HOOK_VETO, "HookVeto", "a program of the guest does not allow it; its message follows. See docs/hooks.md")

/* clang-format on */

enum ls_wire_command {
#define LS_C_(id, name, doc) LS_WIRE_##id,
	LS_WIRE_COMMANDS(LS_C_) LS_WIRE_COMMAND_COUNT
#undef LS_C_
};

#define LS_F_ROW_(name, type, optional, lo, hi, count, doc)                                        \
	{ name, type, optional, lo, hi, count, doc },

/* Field tables: ls_wire_args_LOCK[], ls_wire_rets_LOCK[], ls_wire_obj_CPU[]; each ends with {}. */
#define LS_C_(id, name, doc)                                                                       \
	static const struct qmp_field ls_wire_args_##id[]                                          \
		__attribute__((unused)) = { LS_WIRE_ARGS_##id(LS_F_ROW_){ 0 } };                   \
	static const struct qmp_field ls_wire_rets_##id[]                                          \
		__attribute__((unused)) = { LS_WIRE_RETS_##id(LS_F_ROW_){ 0 } };
LS_WIRE_COMMANDS(LS_C_)
#undef LS_C_
#define LS_O_(id, doc)                                                                             \
	static const struct qmp_field ls_wire_obj_##id[]                                           \
		__attribute__((unused)) = { LS_WIRE_OBJ_##id(LS_F_ROW_){ 0 } };
LS_WIRE_OBJECTS(LS_O_)
#undef LS_O_

/* Length of a field table without its last, empty row. */
#define LS_WIRE_N(table) (sizeof(table) / sizeof((table)[0]) - 1)

/**
 * struct ls_wire_row - One command with both its tables
 * @name:   as on the wire
 * @args:   what the agent accepts
 * @rets:   what the coordinator expects
 * @doc:    one or two sentences
 */
struct ls_wire_row {
	const char *name;
	const struct qmp_field *args;
	size_t n_args;
	const struct qmp_field *rets;
	size_t n_rets;
	const char *doc;
};

static const struct ls_wire_row ls_wire[] __attribute__((unused)) = {
#define LS_C_(id, name, doc)                                                                       \
	[LS_WIRE_##id] = { name,                                                                   \
			   ls_wire_args_##id,                                                      \
			   LS_WIRE_N(ls_wire_args_##id),                                           \
			   ls_wire_rets_##id,                                                      \
			   LS_WIRE_N(ls_wire_rets_##id),                                           \
			   doc },
	LS_WIRE_COMMANDS(LS_C_)
#undef LS_C_
};

#define LS_E_(id, class, doc) static const char LS_CLASS_##id[] __attribute__((unused)) = class;
LS_WIRE_ERRORS(LS_E_)
#undef LS_E_

/*
 * The one event, to connections that have subscribed:
 *	{"event": "LOCKSTEP_CHANGE", "data": {"kind": "cpu" | "memory" | "window" | "lock",
 *	  "id": first, "count": n, "state": "online" | "offline" | "present" | "gone" |
 *	  "open" | "closed" | "held" | "free", "by": "agent" | "foreign"}}
 * It is a hint to look, as every event is.
 */
#define LS_WIRE_EVENT "LOCKSTEP_CHANGE"

#endif
