/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dialogues. The guest has 2 of 8 vCPUs, 512 MiB, a virtio-mem device of 1 GiB, 4 DIMM
 * slots and a balloon.
 */
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
#define BALLOON(n)                                                                                 \
	{                                                                                          \
		.kind = WISH_BALLOON, .value = (n)*MIB, .node = NODE_ANY                           \
	}

/* clang-format off */
const struct dialogue dialogues[] = {
	{ "vcpus-one-more",      .wish = VCPUS(3) },
	{ "vcpus-all",           .wish = VCPUS(8) },
	{ "vcpus-as-they-are",   .wish = VCPUS(2) },
	{ "vcpus-too-many",      .wish = VCPUS(9) },
	{ "vcpus-less",          .first = VCPUS(4), .wish = VCPUS(2) },
	{ "vcpus-cancel-plug",   .wish = VCPUS(4), .cancel = "qemu:cpu" },
	{ "vcpus-cancel-online", .wish = VCPUS(4), .cancel = "guest:online" },
	{ "vcpus-cancel-offline", .first = VCPUS(3), .wish = VCPUS(2), .cancel = "guest:online" },
	{ "cpu-offline",         .wish = OFF(1, { [1] = true }) },
	{ "cpu-online",          .first = OFF(1, { [1] = true }), .wish = ON(1, { [1] = true }) },
	{ "cpu-never-offline",   .wish = OFF(1, { [0] = true }) },
	{ "cpu-cancel-offline",  .wish = OFF(1, { [1] = true }), .cancel = "guest:online" },
	{ "memory-device",       .wish = MEMORY(1024) },
	{ "memory-dimm-too",     .wish = MEMORY(1792) },
	{ "memory-cancel-backend", .wish = MEMORY(1792), .cancel = "qemu:backend" },
	{ "memory-cancel-dimm",  .wish = MEMORY(1792), .cancel = "qemu:dimm" },
	{ "memory-less",         .first = MEMORY(1024), .wish = MEMORY(512) },
	{ "memory-cancel-less",  .first = MEMORY(1024), .wish = MEMORY(512), .cancel = "qemu:requested" },
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
};
/* clang-format on */

const unsigned n_dialogues = sizeof(dialogues) / sizeof(dialogues[0]);
