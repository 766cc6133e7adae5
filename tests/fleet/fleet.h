/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many guests in one process: for each a monitor and an agent, on a unix socket each.
 *
 * They know what a vCPU's way up and down needs, in a kernel that does everything at once.
 * Their words are held to a real QEMU's and a real agent's by test_fleet_dialogue.c, which
 * asks both what was once recorded (vcpus.dialogue).
 *
 * fleet.c    sockets and the loop;  fake_qemu.c, fake_agent.c: the verbs
 * daemon.c   a real lockstepd over such guests, and what it costs
 * load.c     requests to it, and how long they take
 * hostile.c  guests that do what none should; hostile_agent.c, hostile_qemu.c: what they do
 */
#ifndef FLEET_H
#define FLEET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include <lockstep/limits.h>
#include <qmp_serve.h>

#define FLEET_SLOTS	8
#define FLEET_BOOT_CPUS 2 /* there since the start, not removable */
#define FLEET_OBJECTS	8

struct fleet;
struct fleet_guest;
struct hostile;
struct json_object;

/**
 * struct fleet_port - One socket of a guest: its monitor or its agent's
 * @listening, @io: the socket, and whom the loop calls
 * @peer, @peer_io: who is connected; one at a time, as with a real one
 * @hostile: what stands between them and does harm; NULL: nothing
 * @mood:    its state; @connections: so far
 */
struct fleet_port {
	struct fleet_guest *guest;
	bool is_agent;
	int listening;
	sd_event_source *io, *peer_io;
	struct qmp_peer *peer;
	const struct hostile *hostile;
	struct mood *mood;
	unsigned connections;
};

/* A vCPU slot; @touched: the agent has changed it. */
struct fleet_cpu {
	bool plugged, online, touched;
	char id[LS_NAME_BYTES];
};

/* What object-add made. */
struct fleet_object {
	char id[LS_NAME_BYTES];
	char *data;
};

/**
 * struct fleet_guest - One guest, host side and guest side
 * @lock: transaction that holds the agent's lock; @epoch: highest seen
 */
struct fleet_guest {
	struct fleet *fleet;
	char name[16];
	struct fleet_port qemu, agent;
	struct fleet_cpu cpu[FLEET_SLOTS];
	struct fleet_object object[FLEET_OBJECTS];
	char lock[LS_TXN_BYTES];
	int64_t epoch;
	bool subscribed;
};

struct fleet {
	sd_event *loop;
	char dir[64];
	struct fleet_guest *guest;
	unsigned n;
};

/**
 * fleet_new() - Guests g0, g1, ... in a new directory of $TMPDIR, with guests.d for the daemon
 *
 * Ends the program with a reason if there is no room for them.
 */
struct fleet *fleet_new(sd_event *loop, unsigned n);
void fleet_free(struct fleet *f);

/* Serve a connected descriptor as a good one. */
void port_serve(struct fleet_port *p, int fd);

/* Let go of whoever is connected: the next one may come. */
void port_hang_up(struct fleet_port *p);

/* To whoever is connected: data is JSON text. */
void port_event(struct fleet_port *p, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Answer with JSON text. */
void say(struct qmp_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct json_object *json_of(const char *fmt, va_list ap);

/* The guest's kernel gives up a CPU, whether it was asked to or not. */
void fake_eject(struct fleet_guest *g, unsigned slot);

/* fake_qemu.c, fake_agent.c */
extern const struct qmp_verb fake_qemu_verbs[], fake_agent_verbs[];
struct json_object *fake_qemu_greeting(void);
struct json_object *fake_agent_status(const struct fleet_guest *g);
void fake_agent_changed(struct fleet_guest *g, const char *kind, int id, const char *state,
			const char *by);

#endif
