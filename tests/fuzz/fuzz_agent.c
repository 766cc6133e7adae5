/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the whole agent behind its socket, above a kernel in memory.
 *
 * The first three bytes of the input set the kernel up (which of its writes fails, whether
 * it goes behind the driver core's back) and say who the client is. The rest is what it
 * sends: bytes as they are, or requests made out of the agent's own tables, so that
 * fuzzing gets past the argument checks. What must hold, beside no crash and no sanitizer
 * report:
 *
 *  - whatever is sent, the agent answers the next request of the same client
 *  - every request is answered once, with JSON
 *  - nothing stays pinned, and once the leases are over nobody has the hotplug lock and
 *    no window is open
 *  - a kernel that behaves has no CPU with two truths
 *  - who may only look has changed nothing
 *
 *	make fuzz
 */
#include "../unit/fake_sysfs.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>
#include <urcu.h>

#include "../../guest-agent/agent.h"
#include "../../guest-agent/work.h"

#define CPUS	     6
#define BLOCKS	     6
#define BYTES_MAX    4096 /* of one input */
#define REQUESTS_MAX 32
#define PATIENCE_MS  20000 /* only a bound on hanging */
#define LAST_ID	     424242

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What is left of the input; an empty one reads as zeros, as does a choice among nothing. */
struct input {
	const uint8_t *p;
	size_t n;
};

static unsigned take(struct input *in, unsigned below)
{
	if (!in->n || !below)
		return 0;
	in->n--;
	return *in->p++ % below;
}

/**
 * struct run - One agent and its client
 * @client:   who it is
 * @fd:       its end
 * @replies:  what has come there
 * @until_ms: later than this the agent hangs
 * @answered: replies, events not counted
 * @last:     the last request has been answered
 * @gone:     the agent has ended the session
 */
struct run {
	struct fake kernel;
	struct sysfs *sysfs;
	struct agent agent;
	enum client_kind client;
	int fd;
	struct qmp_framer *replies;
	uint64_t until_ms;
	unsigned answered;
	bool last;
	bool gone;
};

static struct run r;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* ---- requests out of the tables ------------------------------------------------ */

/* Words that mean something somewhere, and some that do not. */
static const char *const words[] = {
	"a",
	"b",
	"force",
	"hold",
	"off",
	"movable",
	"kernel",
	"auto",
	"online",
	"kernel:online",
	"worker:unpark",
	"ap:alive",
	"",
	"(doctor)",
	"0123456789012345678901234567890123456789",
};

static struct json_object *make_word(struct input *in)
{
	return json_object_new_string(words[take(in, sizeof(words) / sizeof(words[0]))]);
}

static struct json_object *make_int(struct input *in, const struct qmp_field *f)
{
	static const int64_t block = FAKE_BLOCK_MB * INT64_C(1048576);

	switch (take(in, 8)) {
	case 0:
		return json_object_new_int64(f->lo);
	case 1:
		return json_object_new_int64(f->hi);
	case 2:
		return json_object_new_int64(f->lo - (f->lo > INT64_MIN));
	case 3:
		return json_object_new_int64(f->hi + (f->hi < INT64_MAX));
	case 4:
		return json_object_new_int64(block * take(in, BLOCKS + 2));
	default:
		return json_object_new_int64(take(in, CPUS + 2));
	}
}

static struct json_object *make_ints(struct input *in)
{
	struct json_object *list = json_object_new_array();
	unsigned n = take(in, CPUS + 1);

	while (n--)
		json_object_array_add(list, json_object_new_int((int)take(in, CPUS + 1)));
	return list;
}

/* GuestLogicalProcessor or GuestMemoryBlock, or neither. */
static struct json_object *make_device(struct input *in)
{
	static const char *const keys[] = { "logical-id", "phys-index", "id" };
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, keys[take(in, 3)], json_object_new_int((int)take(in, 9) - 1));
	json_object_object_add(o, "online", json_object_new_boolean((int)take(in, 2)));
	return o;
}

static struct json_object *make_devices(struct input *in)
{
	struct json_object *list = json_object_new_array();
	unsigned n = take(in, 5);

	while (n--)
		json_object_array_add(list, make_device(in));
	return list;
}

static struct json_object *make_value(struct input *in, const struct qmp_field *f)
{
	switch (take(in, 16) ? f->type : (enum qmp_type)take(in, QMP_TYPE_COUNT)) {
	case QMP_BOOL:
		return json_object_new_boolean((int)take(in, 2));
	case QMP_INT:
		return make_int(in, f);
	case QMP_STRING:
		return make_word(in);
	case QMP_INTS:
		return make_ints(in);
	case QMP_OBJECTS:
		return make_devices(in);
	case QMP_OBJECT:
		return make_device(in);
	default:
		return NULL;
	}
}

static struct json_object *make_request(struct input *in)
{
	struct json_object *o = json_object_new_object(), *args = json_object_new_object();
	const struct qmp_verb *v = ops_verbs(CLIENT_ROOT);
	unsigned i, n = 0;

	while (v[n].name)
		n++;
	v += take(in, n);
	for (i = 0; i < v->n_fields; i++)
		if (take(in, 16) != 15)
			json_object_object_add(args, v->fields[i].name,
					       make_value(in, &v->fields[i]));
	json_object_object_add(o, "execute", json_object_new_string(v->name));
	json_object_object_add(o, "arguments", args);
	return o;
}

/* ---- the client ------------------------------------------------------------------ */

static void send_bytes(const void *bytes, size_t n)
{
	must(send(r.fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

/* Return: how many. */
static unsigned send_requests(struct input *in)
{
	unsigned n = 0;

	while (in->n && n < REQUESTS_MAX) {
		struct json_object *o = make_request(in);
		const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);

		send_bytes(text, strlen(text));
		json_object_put(o);
		n++;
	}
	return n;
}

/* The byte resets a parser that waits for the end of something. */
static void send_last(void)
{
	char text[80];
	int n = snprintf(text, sizeof(text),
			 "\xff\n{\"execute\":\"guest-sync\",\"arguments\":{\"id\":%d}}\n", LAST_ID);

	send_bytes(text, (size_t)n);
}

static void on_reply(struct json_object *v)
{
	bool is_event = json_object_object_get_ex(v, "event", NULL);

	must(is_event || json_object_object_get_ex(v, "return", NULL) ||
	     json_object_object_get_ex(v, "error", NULL));
	r.answered += !is_event;
	r.last |= qmp_get_int(v, "return", 0) == LAST_ID;
}

static void read_replies(void)
{
	struct json_object *v = NULL;
	char bytes[4096];
	ssize_t n;
	int got;

	while ((n = recv(r.fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		must(qmp_framer_feed(r.replies, bytes, (size_t)n) == 0);
	r.gone |= n == 0;
	while ((got = qmp_framer_next(r.replies, NULL, &v)) != 0) {
		must(got == 1);
		on_reply(v);
		json_object_put(v);
		v = NULL;
	}
}

/* ---- the agent --------------------------------------------------------------------- */

static void on_timer(void *arg)
{
	(void)arg;
	must(qmp_now_ms() < r.until_ms); /* it hangs */
}

static void after_round(void *arg)
{
	struct agent *a = arg;

	serve_refresh(a);
	serve_changes(a);
	read_replies();
	a->loop.stop = (r.last || r.gone) && work_idle(a->work);
}

static void run_loop(void)
{
	struct agent *a = &r.agent;

	r.until_ms = qmp_now_ms() + PATIENCE_MS;
	loop_wake_at(&a->loop, r.until_ms);
	a->loop.stop = false;
	work_kick(a->work);
	must(loop_run(&a->loop, after_round, a) == 0);
}

static void set_up(struct input *in)
{
	static const int errors[] = { -EBUSY, -EINVAL, -EPERM, -ENOMEM, -EAGAIN, -EIO };
	unsigned how = take(in, 256), at = take(in, 256);

	fake_init(&r.kernel, CPUS, CPUS - 2, BLOCKS);
	r.kernel.bypass = how & 2;
	if (how & 4)
		strcpy(r.kernel.ignore, "devices/system/cpu/cpu4/online");
	r.kernel.cpu[3].nameless = how & 8;
	fake_fail(&r.kernel, "", (int)(at & 15), (int)(how >> 4), errors[take(in, 6)]);
	r.client = (enum client_kind)((at >> 4) % 3);
}

static void begin(struct input *in)
{
	static const struct agent_options opt = { .guard = GUARD_OFF };
	int fds[2];

	memset(&r, 0, sizeof(r));
	set_up(in);
	r.sysfs = sysfs_new_ops(&fake_ops, &r.kernel);
	must(r.sysfs && agent_init(&r.agent, &opt, r.sysfs, NULL) == 0);
	r.agent.model.workers.ops = &fake_machine;
	r.agent.model.pause_ms = 0;
	r.agent.loop.on_timer = on_timer;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	must(agent_serve_fd(&r.agent, fds[1], r.client) == 0);
	r.fd = fds[0];
	r.replies = qmp_framer_new(NULL);
}

static void end_leases(void)
{
	struct agent *a = &r.agent;
	struct lock_view lock;
	struct window_view window;

	lock_expire(&a->lock, UINT64_MAX);
	if (window_expire(&a->window, UINT64_MAX))
		ops_close_expired(a);
	run_loop();
	lock_look(&a->lock, 0, &lock);
	window_look(&a->window, 0, &window);
	must(!lock.held && !a->lock.pins && window.state != WINDOW_OPEN);
}

static void check_kernel(void)
{
	int i;

	for (i = 0; i < CPUS && !r.kernel.bypass; i++)
		must(r.kernel.cpu[i].device == r.kernel.cpu[i].kernel);
	must(r.client != CLIENT_MEMBER || !r.kernel.n_writes);
}

static void end(void)
{
	must(agent_done(&r.agent) == 0);
	sysfs_free(r.sysfs);
	fake_done(&r.kernel);
	qmp_framer_free(r.replies);
	close(r.fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rcu_register_thread();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size < BYTES_MAX ? size : BYTES_MAX };
	bool raw = size && (data[0] & 1);
	unsigned sent = 0;

	begin(&in);
	if (raw)
		send_bytes(in.p, in.n);
	else
		sent = send_requests(&in);
	send_last();
	run_loop();
	must(raw || (!r.gone && r.answered == sent + 1));
	end_leases();
	check_kernel();
	end();
	return 0;
}
