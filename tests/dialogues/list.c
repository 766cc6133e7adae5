/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dialogues. The guests are as GUESTS says, unless they name others. */
#include "dialogues.h"

#define MIB UINT64_C(1048576)

#define VCPUS(n)                                                                                   \
	{                                                                                          \
		.kind = WISH_VCPUS, .value = (n), .node = NODE_ANY                                 \
	}
#define MEMORY(n)                                                                                  \
	{                                                                                          \
		.kind = WISH_MEMORY, .value = (n)*MIB, .node = NODE_ANY                            \
	}
#define OFF(...)                                                                                   \
	{                                                                                          \
		.kind = WISH_CPU_OFFLINE, .value = 1, .node = NODE_ANY, .which = { __VA_ARGS__ }   \
	}
#define ON(...)                                                                                    \
	{                                                                                          \
		.kind = WISH_CPU_ONLINE, .value = 1, .node = NODE_ANY, .which = { __VA_ARGS__ }    \
	}
#define DIMM(n)                                                                                    \
	{                                                                                          \
		.kind = WISH_DIMM_ADD, .value = (n)*MIB, .node = NODE_ANY                          \
	}
#define SIZE(n)                                                                                    \
	{                                                                                          \
		.kind = WISH_MEMORY_RESIZE, .value = (n)*MIB, .node = NODE_ANY, .device = "vmem0"  \
	}
#define UNDIMM                                                                                     \
	{                                                                                          \
		.kind = WISH_DIMM_REMOVE, .value = 1, .node = NODE_ANY, .device = "0"              \
	}
#define BALLOON(n)                                                                                 \
	{                                                                                          \
		.kind = WISH_BALLOON, .value = (n)*MIB, .node = NODE_ANY                           \
	}

#define MOVE "vmem=1G -- vmem=1G incoming"

/* What the firmware says of vCPUs (2) or DIMMs (3) does not reach the kernel, and does again. */
#define DEAF(gpe)  "echo mask >/sys/firmware/acpi/interrupts/gpe0" #gpe
#define HEARS(gpe) "echo unmask >/sys/firmware/acpi/interrupts/gpe0" #gpe

/* Memory that cannot be taken offline; it has come by itself, and nobody has it online yet. */
#define IN_USE                                                                                     \
	"cd /sys/devices/system/memory; until grep -q offline memory*/state; do usleep 20000; "    \
	"done; for m in memory*; do grep -q online $m/state && "                                   \
	"! grep -q offline $m/state || echo online_movable >$m/state; done; "                      \
	"echo -16 >/sys/kernel/debug/notifier-error-inject/memory/actions/MEM_GOING_OFFLINE/error"

/* clang-format off */
const struct dialogue dialogues[] = {
	{ "vcpus-one-more",      .wish = VCPUS(3) },
	{ "vcpus-all",           .wish = VCPUS(8) },
	{ "vcpus-as-they-are",   .wish = VCPUS(2) },
	{ "vcpus-too-many",      .wish = VCPUS(9) },
	{ "vcpus-less",          .first = VCPUS(4), .wish = VCPUS(2) },
	{ "vcpus-cancel-plug",   .wish = VCPUS(4), .at = "qemu:cpu", .harm = HARM_CANCEL },
	{ "vcpus-cancel-online", .wish = VCPUS(4), .at = "guest:online", .harm = HARM_CANCEL },
	{ "vcpus-cancel-offline", .first = VCPUS(3), .wish = VCPUS(2), .at = "guest:online", .harm = HARM_CANCEL },
	{ "cpu-offline",         .wish = OFF(1, { [1] = true }) },
	{ "cpu-online",          .first = OFF(1, { [1] = true }), .wish = ON(1, { [1] = true }) },
	{ "cpu-never-offline",   .wish = OFF(1, { [0] = true }) },
	{ "cpu-cancel-offline",  .wish = OFF(1, { [1] = true }), .at = "guest:online", .harm = HARM_CANCEL },
	{ "memory-device",       .wish = MEMORY(1024) },
	{ "memory-dimm-too",     .wish = MEMORY(1792) },
	{ "memory-cancel-backend", .wish = MEMORY(1792), .at = "qemu:backend", .harm = HARM_CANCEL },
	{ "memory-cancel-dimm",  .wish = MEMORY(1792), .at = "qemu:dimm", .harm = HARM_CANCEL },
	{ "memory-less",         .first = MEMORY(1024), .wish = MEMORY(512) },
	{ "memory-cancel-less",  .first = MEMORY(1024), .wish = MEMORY(512), .at = "qemu:requested", .harm = HARM_CANCEL },
	{ "memory-no-block",     .wish = MEMORY(1600) },
	{ "dimm-add",            .wish = DIMM(256) },
	{ "device-resize",       .wish = SIZE(512) },
	{ "balloon-fill",        .wish = BALLOON(384) },
	{ "balloon-empty",       .first = BALLOON(384), .wish = BALLOON(512) },
	{ "balloon-too-far",     .wish = BALLOON(16) },
	{ "claim-taken",         .wish = VCPUS(3), .rival = VERB_CLAIM },
	{ "lock-taken",          .wish = VCPUS(3), .rival = VERB_GUEST_LOCK },
	{ "ask-claim-twice",     .wish = VCPUS(3), .asks = { VERB_CLAIM, VERB_CLAIM, VERB_UNCLAIM, VERB_UNCLAIM } },
	{ "ask-lock-twice",      .wish = VCPUS(3), .asks = { VERB_GUEST_LOCK, VERB_GUEST_LOCK, VERB_GUEST_UNLOCK, VERB_GUEST_UNLOCK } },
	{ "ask-vcpu-twice",      .wish = VCPUS(3), .asks = { VERB_CPU_ADD, VERB_CPU_ADD } },
	{ "ask-no-vcpu",         .wish = VCPUS(3), .asks = { VERB_CPU_DEL } },
	{ "ask-backend-twice",   .wish = DIMM(256), .asks = { VERB_BACKEND_ADD, VERB_BACKEND_ADD, VERB_BACKEND_DEL, VERB_BACKEND_DEL } },
	{ "ask-no-backend",      .wish = DIMM(256), .asks = { VERB_DIMM_ADD } },
	{ "ask-backend-in-use",  .wish = DIMM(256), .asks = { VERB_BACKEND_ADD, VERB_DIMM_ADD, VERB_BACKEND_DEL } },
	{ "ask-dimm-twice",      .wish = DIMM(256), .asks = { VERB_BACKEND_ADD, VERB_DIMM_ADD, VERB_DIMM_ADD } },

	/* A guest that is asked for what it has. */
	{ "dimm-remove",         .first = DIMM(256), .wish = UNDIMM },
	{ "dimm-refused",        .guests = "agent=no", .first = DIMM(384), .wish = UNDIMM, .console = IN_USE, .mood = GUEST_REFUSES },
	{ "dimm-silent",         .first = DIMM(256), .wish = UNDIMM, .console = DEAF(3), .mood = GUEST_SILENT, .limit_s = 8 },
	{ "dimm-late",           .first = DIMM(256), .wish = UNDIMM, .console = DEAF(3), .later = HEARS(3), .mood = GUEST_LATE, .limit_s = 8 },
	{ "vcpu-silent",         .first = VCPUS(3), .wish = VCPUS(2), .console = DEAF(2), .mood = GUEST_SILENT, .limit_s = 8 },
	{ "vcpu-late",           .first = VCPUS(3), .wish = VCPUS(2), .console = DEAF(2), .later = HEARS(2), .mood = GUEST_LATE, .limit_s = 8 },
	{ "ask-unplug-twice",    .first = VCPUS(3), .wish = VCPUS(2), .asks = { VERB_CPU_DEL, VERB_CPU_DEL }, .console = DEAF(2), .mood = GUEST_SILENT },
	{ "ask-unplug-again",    .first = VCPUS(3), .wish = VCPUS(2), .asks = { VERB_GUEST_LOCK, VERB_CPU_OFFLINE, VERB_CPU_DEL, VERB_CPU_DEL } },
	{ "ask-without-lock",    .first = VCPUS(3), .wish = VCPUS(2), .asks = { VERB_CPU_OFFLINE, VERB_CPU_ONLINE } },
	{ "ask-dimm-unplug-twice", .first = DIMM(256), .wish = UNDIMM, .asks = { VERB_DIMM_DEL, VERB_DIMM_DEL }, .console = DEAF(3), .mood = GUEST_SILENT },
	{ "ask-dimm-online",     .first = DIMM(256), .wish = UNDIMM, .asks = { VERB_DIMM_DEL, VERB_BACKEND_DEL, VERB_DIMM_DEL } },
	{ "ask-dimm-refused",    .guests = "agent=no", .first = DIMM(384), .wish = UNDIMM, .asks = { VERB_DIMM_DEL, VERB_DIMM_DEL }, .console = IN_USE, .mood = GUEST_REFUSES },

	/* What befalls a guest in the middle. */
	{ "reset-plug",          .wish = VCPUS(3), .at = "qemu:cpu", .harm = HARM_RESET },
	{ "reset-online",        .wish = VCPUS(3), .at = "guest:online", .harm = HARM_RESET },
	{ "reset-unplug-pending", .first = DIMM(256), .wish = UNDIMM, .console = DEAF(3), .mood = GUEST_SILENT, .at = "qemu:dimm", .harm = HARM_RESET },
	{ "agent-dies-vcpus",    .wish = VCPUS(3), .at = "guest:online", .harm = HARM_AGENT_DIES },
	{ "agent-dies-memory",   .wish = MEMORY(1024), .at = "guest:online", .harm = HARM_AGENT_DIES },
	{ "agent-silent",        .wish = VCPUS(3), .console = "kill -STOP $(pidof lockstep-agent)", .mute = true, .limit_s = 8 },

	/* Moves. */
	{ "move",                .guests = MOVE, .moves = true },
	{ "move-with-devices",   .guests = MOVE, .first = VCPUS(3), .moves = true },
	{ "move-cancel-incoming", .guests = MOVE, .moves = true, .at = "dst:incoming", .harm = HARM_CANCEL },
	{ "move-cancel-migrate", .guests = MOVE, .moves = true, .at = "src:migrate", .harm = HARM_CANCEL },
	{ "move-destination-dies", .guests = MOVE, .moves = true, .at = "dst:incoming", .harm = HARM_DST_DIES },
};
/* clang-format on */

const unsigned n_dialogues = sizeof(dialogues) / sizeof(dialogues[0]);
