/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the fakes share: fake_kinds.c has the table of misbehaviours,
 * fake_say.c their words, fake.c the sockets, fake_verbs.c the scenario's words.
 */
#ifndef HARNESS_FAKE_PRIVATE_H
#define HARNESS_FAKE_PRIVATE_H

#include "fake.h"

#define FAKE_CLIENTS_MAX 8

/* What a kind of fake does with a request. */
enum fake_answer {
	FAKE_NOTHING,  /* reads it */
	FAKE_GARBAGE,  /* bytes that are no JSON */
	FAKE_OTHER_ID, /* a good answer to another request */
	FAKE_HUGE,     /* a reply of 10 MiB */
	FAKE_DEEP_ONE, /* a reply nested 100,000 deep */
	FAKE_SLOW,     /* a good answer, one byte a second */
	FAKE_HALF,     /* the first half of a good answer, then nothing */
	FAKE_TYPES,    /* a reply of the wrong type */
	FAKE_UNKNOWN,  /* it knows no command */
	FAKE_CLOSE,    /* it hangs up */
};

/* What there is to connect to. */
enum fake_socket {
	FAKE_LISTENS,
	FAKE_ABSENT,	/* nothing */
	FAKE_DEAD,	/* a socket that nobody listens on */
	FAKE_FORBIDDEN, /* a listening one without permission for anybody */
};

/**
 * struct kind - A way to misbehave
 * @name:   word of the scenario
 * @agent:  an agent; otherwise a monitor
 * @hello:  said to whoever connects; NULL nothing
 * @play:   syncs (agent), negotiates (monitor) like a good one first
 * @answer: to everything else
 * @socket: what there is to connect to
 * @doc:    for the reference
 */
struct kind {
	const char *name;
	bool agent;
	const char *hello;
	bool play;
	enum fake_answer answer;
	enum fake_socket socket;
	const char *doc;
};

/**
 * struct fake_client - Somebody who connected
 * @fake:   to whom; NULL: free
 * @watch:  socket
 * @framer: cuts what it sends
 * @out:    what it is to get; allocated
 * @len:    of @out
 * @sent:   of @out
 */
struct fake_client {
	struct fake *fake;
	struct watch watch;
	struct qmp_framer *framer;
	char *out;
	size_t len, sent;
};

/**
 * struct fake - A server that misbehaves, or a client that holds a monitor
 * @pump:    drives it
 * @guest:   whose monitor is held; NULL for a server
 * @kind:    how
 * @watch:   listening or connected socket
 * @clients: connections
 */
struct fake {
	struct pump *pump;
	struct guest *guest;
	const struct kind *kind;
	struct watch watch;
	struct fake_client clients[FAKE_CLIENTS_MAX];
};

/* fake_kinds.c: the kind of that name, or NULL. */
const struct kind *kind_find(const char *name, bool agent);

/* fake_say.c: queue what this client gets in answer to a request. */
void client_say(struct fake_client *c, const char *text, size_t len);
void client_say_sync(struct fake_client *c, struct json_object *request, int shift);
bool request_is_sync(struct json_object *request);
void client_misbehave(struct fake_client *c, struct json_object *request);

/* fake.c: serve clients on a socket; 0 or -errno. */
int fake_listen(struct fake *f, const char *path);

#endif
