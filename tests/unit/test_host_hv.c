/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest as the driver sees it, against a QEMU and an agent that misbehave on
 * purpose: both are served in this process, on the same event loop.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <lockstep/log.h>
#include <qmp_serve.h>

#include "../../coordinator/hv/hv_private.h"

#define HANG_MS	 20000 /* nothing here takes as long, unless it hangs */
#define FLUSH_MS 20    /* what was answered has left by then */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void log_sink(int priority, const char *fmt, ...)
{
	(void)priority, (void)fmt;
}

/* ---- a server on the loop ------------------------------------------------ */

/**
 * struct server - A fake QEMU or agent behind a socket of its own
 * @closes: it hangs up on whoever connects; @opened counts them
 */
struct server {
	enum qmp_dialect dialect;
	const struct qmp_verb *verbs;
	bool closes;
	unsigned opened;
	int fd;
	char path[64];
	struct qmp_peer *peer;
	sd_event_source *listening, *io, *flush;
};

static sd_event *loop;
static struct server qemu, agent;
static struct hv *hv;
static char dir[] = "/tmp/lockstep-hv-XXXXXX";

static void hang_up(struct server *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	s->flush = sd_event_source_disable_unref(s->flush);
	qmp_peer_free(s->peer);
	s->peer = NULL;
}

static void turn(struct server *s, uint32_t revents)
{
	if (qmp_peer_dispatch(s->peer, (short)revents) < 0)
		hang_up(s);
	else
		sd_event_source_set_io_events(s->io, (uint32_t)qmp_peer_poll_events(s->peer));
}

static int on_io(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	(void)src, (void)fd;
	turn(arg, revents);
	return 0;
}

static int on_connect(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct qmp_peer_options options = { .calls = 64 };
	struct server *s = arg;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)src, (void)revents;
	s->opened++;
	if (s->closes || s->peer) {
		close(peer);
		return 0;
	}
	options.dialect = s->dialect;
	options.verbs = s->verbs;
	s->peer = qmp_peer_new(peer, &options);
	sd_event_add_io(loop, &s->io, qmp_peer_fd(s->peer), EPOLLIN, on_io, s);
	turn(s, 0);
	return 0;
}

static void serve(struct server *s, const char *name, enum qmp_dialect dialect,
		  const struct qmp_verb *verbs)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	*s = (struct server){ .dialect = dialect, .verbs = verbs };
	snprintf(s->path, sizeof(s->path), "%s/%s", dir, name);
	memcpy(sun.sun_path, s->path, sizeof(s->path));
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	sd_event_add_io(loop, &s->listening, s->fd, EPOLLIN, on_connect, s);
}

static void end(struct server *s)
{
	hang_up(s);
	sd_event_source_disable_unref(s->listening);
	close(s->fd);
	unlink(s->path);
}

/* ---- what QEMU says ------------------------------------------------------ */

static const char *cpus = "[]";
static struct qmp_call *held; /* a call that is not answered before the test is over */
static bool cuts_at_the_end;  /* QEMU ends before the last question of a look is answered */

static void answer(struct qmp_call *call, const char *text)
{
	struct json_object *v = NULL;

	assert_int_equal(qmp_parse(text, strlen(text), NULL, NULL, &v), 0);
	qmp_reply(call, v);
}

static int on_flushed(sd_event_source *src, uint64_t now, void *arg)
{
	(void)src, (void)now;
	hang_up(arg);
	return 0;
}

static void do_status(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, "{\"running\":true,\"singlestep\":false,\"status\":\"running\"}");
}

static void do_version(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, "{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22},\"package\":\"\"}");
}

/* The answers before this one leave; this one never does. */
static void cut(struct qmp_call *call)
{
	held = call;
	sd_event_add_time_relative(loop, &qemu.flush, CLOCK_MONOTONIC, FLUSH_MS * 1000, 1,
				   on_flushed, &qemu);
}

static const char *vsmt; /* of a pSeries machine */

static void do_get(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *path = qmp_get_str(args, "path", "");

	(void)arg;
	if (!strcmp(qmp_get_str(args, "property", ""), "type"))
		answer(call, "\"pc-q35-7.2-machine\"");
	else if (vsmt && !strcmp(qmp_get_str(args, "property", ""), "vsmt"))
		answer(call, vsmt);
	else if (cuts_at_the_end && strstr(path, SURRENDERED_ID))
		cut(call);
	else
		qmp_reply_error(call, "GenericError", "no such thing");
}

static void do_cpus(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, cpus);
}

static void do_nothing(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	qmp_reply(call, NULL);
}

static void do_empty_list(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, "[]");
}

/* Commands that change something, as they came over the wire. */
static char commands[1024];

static void note_command(const char *name, struct json_object *args)
{
	size_t at = strlen(commands);

	snprintf(commands + at, sizeof(commands) - at, "%s %s\n", name,
		 json_object_to_json_string_ext(args, JSON_C_TO_STRING_PLAIN));
}

static const char *no_id, *no_words; /* the device that QEMU does not want, and why */

static void do_change(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)arg;
	note_command(qmp_call_name(call), args);
	if (!strcmp(qmp_get_str(args, "id", ""), no_id))
		qmp_reply_error(call, "GenericError", "%s", no_words);
	else
		qmp_reply(call, NULL);
}

static const struct qmp_field device_fields[] = {
	{ "driver", QMP_STRING, true, 0, 200, 0, "type" },
	{ "id", QMP_STRING, false, 0, 200, 0, "of the device" },
	{ "core-id", QMP_INT, true, 0, 200, 0, "where" },
};

static const struct qmp_field get_fields[] = {
	{ "path", QMP_STRING, false, 0, 200, 0, "of an object" },
	{ "property", QMP_STRING, true, 0, 200, 0, "of it" },
};

static const struct qmp_verb qemu_verbs[] = {
	{ "query-status", do_status, NULL, 0 },
	{ "query-version", do_version, NULL, 0 },
	{ "qom-get", do_get, get_fields, COUNT(get_fields) },
	{ "qom-list", do_empty_list, get_fields, COUNT(get_fields) },
	{ "query-hotpluggable-cpus", do_cpus, NULL, 0 },
	{ "device_add", do_change, device_fields, COUNT(device_fields) },
	{ "device_del", do_change, device_fields, COUNT(device_fields) },
	{ "query-migrate", do_nothing, NULL, 0 },
	{ "query-migrate-capabilities", do_empty_list, NULL, 0 },
	{ 0 },
};

/* ---- what the agent says ------------------------------------------------- */

static bool stops_when_asked;  /* the guest is stopped in the middle of a look */
static const char *guest_says; /* of itself; NULL: an error */
static unsigned renewals, refusals;

static void do_guest_status(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	if (guest_says) {
		answer(call, guest_says);
		return;
	}
	if (!stops_when_asked) {
		qmp_reply_error(call, "GenericError", "not today");
		return;
	}
	held = call;
	qmp_peer_event(qemu.peer, "STOP", NULL);
	turn(&qemu, 0);
}

static void do_renew(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	if (renewals++ < refusals)
		qmp_reply_error(call, "GenericError", "a hiccup");
	else
		qmp_reply(call, NULL);
}

#define FIELDS(id) ls_wire_args_##id, LS_WIRE_N(ls_wire_args_##id)

static const struct qmp_verb agent_verbs[] = {
	{ "lockstep-status", do_guest_status, NULL, 0 },
	{ "lockstep-subscribe", do_nothing, NULL, 0 },
	{ "lockstep-lock", do_nothing, FIELDS(LOCK) },
	{ "lockstep-cpu-online", do_change, FIELDS(CPU_ONLINE) },
	{ "lockstep-renew", do_renew, FIELDS(RENEW) },
	{ 0 },
};

/* ---- a guest ------------------------------------------------------------- */

static void on_hint(void *arg, const char *what)
{
	(void)arg, (void)what;
}

static void on_lost(void *arg)
{
	(void)arg;
}

static char words[256]; /* the guest's own, a line each */

static void on_said(void *arg, const char *text)
{
	size_t at = strlen(words);

	(void)arg;
	snprintf(words + at, sizeof(words) - at, "%s\n", text);
}

static int begin(void **state)
{
	const struct hv_listener listener = { on_hint, on_lost, NULL, on_said };

	(void)state;
	cpus = "[]";
	commands[0] = words[0] = '\0';
	no_id = no_words = "";
	cuts_at_the_end = stops_when_asked = false;
	guest_says = vsmt = NULL;
	renewals = refusals = 0;
	held = NULL;
	assert_int_equal(sd_event_new(&loop), 0);
	serve(&qemu, "qmp", QMP_DIALECT_QMP, qemu_verbs);
	serve(&agent, "agent", QMP_DIALECT_QGA, agent_verbs);
	hv = hv_new(loop, "g1", qemu.path, agent.path, &listener);
	return hv ? 0 : -1;
}

static int finish(void **state)
{
	(void)state;
	if (held)
		qmp_reply(held, NULL);
	hv_free(hv);
	end(&qemu);
	end(&agent);
	sd_event_unref(loop);
	return 0;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void run_while(const bool *go_on, uint64_t until_ms)
{
	while (*go_on && qmp_now_ms() < until_ms)
		assert_true(sd_event_run(loop, 50000) >= 0);
}

static struct vm seen;
static bool looking;

static void on_look(void *arg, struct vm *vm)
{
	(void)arg;
	seen = *vm;
	looking = false;
}

/* One look; returns how long it took. */
static uint64_t look(void)
{
	uint64_t since = qmp_now_ms();

	vm_done(&seen);
	looking = true;
	hv_look(hv, on_look, NULL);
	run_while(&looking, since + HANG_MS);
	assert_false(looking);
	return qmp_now_ms() - since;
}

/* ---- looks --------------------------------------------------------------- */

#define CORE(id, path)                                                                             \
	"{\"type\":\"power9-core\",\"vcpus-count\":2,\"props\":{\"core-id\":" #id "}" path "}"
#define CPU(cpu, slot, present, on)                                                                \
	"{\"cpu\":" #cpu ",\"slot\":" #slot ",\"present\":" #present ",\"device\":" #on            \
	",\"kernel\":" #on ",\"fixed\":false}"

/* Cores of two threads, 8 numbers apart: the guest's CPUs are put into the right ones. */
static void test_when_a_pseries_then_each_core_has_its_threads(void **state)
{
	(void)state;
	vsmt = "8";
	cpus = "[" CORE(4, "") "," CORE(2, ",\"qom-path\":\"/machine/peripheral/c1\"") "," CORE(
		0, ",\"qom-path\":\"/machine/unattached/device[1]\"") "]";
	guest_says =
		"{\"version\":1,\"agent\":\"a\",\"boot-id\":\"b\",\"machine\":\"ppc64le\","
		"\"guard\":\"hold\",\"lock\":{\"held\":false},\"window\":{\"state\":\"closed\"},"
		"\"cpus\":[" CPU(0, 0, true, true) "," CPU(1, 0, true, true) "," CPU(
			6, 8, true,
			false) "," CPU(7, 8, true,
				       true) "," CPU(9, 8, true,
						     true) "," CPU(8, 16, false,
								   false) "," CPU(3, 2, true,
										  true) "]}";
	look();
	assert_true(seen.agent_answers);
	assert_int_equal(seen.n_cpus, 3);
	assert_int_equal(seen.cpus[0].present, 2);
	assert_int_equal(vm_cpu_online(&seen.cpus[0]), 2);
	assert_int_equal(seen.cpus[1].present, 2);
	assert_int_equal(seen.cpus[1].guest_cpu[0], 6);
	assert_int_equal(seen.cpus[1].guest_cpu[1], 7);
	assert_int_equal(vm_cpu_online(&seen.cpus[1]), 1);
	assert_false(vm_cpu_thread(&seen.cpus[1], 0).kernel);
	assert_true(vm_cpu_thread(&seen.cpus[1], 1).kernel);
	assert_true(vm_cpu_thread(&seen.cpus[1], 1).device);
	assert_int_equal(seen.cpus[2].present, 0);
	assert_int_equal(vm_vcpus_online(&seen), 3);
}

/* What every agent says of itself, whatever its age. */
#define STATUS(version, cpu_more, more)                                                            \
	"{\"version\":" version ",\"agent\":\"a\",\"boot-id\":\"b\",\"machine\":\"x86_64\","       \
	"\"guard\":\"hold\",\"lock\":{\"held\":false},\"window\":{\"state\":\"closed\"},"          \
	"\"cpus\":[{\"cpu\":0,\"slot\":0,\"present\":true,\"device\":true,\"kernel\":true,"        \
	"\"fixed\":true" cpu_more "}]" more "}"

/* An older agent says less, and a newer one more: what both know is believed. */
static void test_when_agent_is_of_another_age_then_what_is_known_counts(void **state)
{
	static const char *const ages[] = {
		STATUS("1", "", ""),
		STATUS("99", ",\"colour\":\"blue\"", ",\"moon\":{\"phase\":[1,2]}"),
	};

	(void)state;
	cpus = "[{\"type\":\"max-x86_64-cpu\",\"vcpus-count\":1,\"props\":{\"socket-id\":0},"
	       "\"qom-path\":\"/machine/unattached/device[0]\"}]";
	for (size_t i = 0; i < COUNT(ages); i++) {
		guest_says = ages[i];
		look();
		assert_true(seen.agent_answers);
		assert_int_equal(seen.agent, AGENT_LOCKSTEP);
		assert_int_equal(vm_vcpus_online(&seen), 1);
	}
}

/* One that leaves out what must be there is not half believed; its age is the first guess. */
static void test_when_agent_says_too_little_then_not_believed_and_said(void **state)
{
	(void)state;
	guest_says = "{\"version\":1,\"agent\":\"a\"}";
	look();
	assert_true(seen.answers);
	assert_false(seen.agent_answers);
	assert_non_null(strstr(seen.agent_text, "of another release?"));
	assert_non_null(strstr(seen.agent_text, "is missing"));
}

/* ---- boots --------------------------------------------------------------- */

static int stop_waiting(sd_event_source *src, uint64_t now, void *arg)
{
	(void)src, (void)now;
	*(bool *)arg = false;
	return 0;
}

static void tell_reset(void)
{
	sd_event_source *timer = NULL;
	bool waiting = true;

	qmp_peer_event(qemu.peer, "RESET", NULL);
	turn(&qemu, 0);
	sd_event_add_time_relative(loop, &timer, CLOCK_MONOTONIC, FLUSH_MS * 1000, 1, stop_waiting,
				   &waiting);
	run_while(&waiting, qmp_now_ms() + HANG_MS);
	sd_event_source_unref(timer);
}

/* From a reset on it boots, until its agent says something; what it is kept is not forgotten. */
static void test_when_reset_then_it_boots_until_the_agent_answers(void **state)
{
	unsigned boots;

	(void)state;
	guest_says = STATUS("1", "", "");
	look();
	assert_false(seen.booting);
	boots = seen.boots;
	guest_says = NULL;
	tell_reset();
	look();
	assert_true(seen.answers && seen.booting && !seen.agent_answers);
	assert_int_equal(seen.agent, AGENT_LOCKSTEP);
	assert_int_equal(seen.boots, boots + 1);
	guest_says = STATUS("1", "", "");
	look();
	assert_true(seen.agent_answers && !seen.booting);
	assert_int_equal(seen.boots, boots + 1);
}

/* kexec: no reset is told, but it is another boot. */
static void test_when_the_boot_id_changes_then_another_boot(void **state)
{
	unsigned boots;

	(void)state;
	guest_says = STATUS("1", "", "");
	look();
	boots = seen.boots;
	look();
	assert_int_equal(seen.boots, boots);
	guest_says = "{\"version\":1,\"agent\":\"a\",\"boot-id\":\"c\",\"machine\":\"x86_64\","
		     "\"guard\":\"hold\",\"lock\":{\"held\":false},\"window\":{\"state\":"
		     "\"closed\"},\"cpus\":[]}";
	look();
	assert_true(seen.agent_answers && !seen.booting);
	assert_int_equal(seen.boots, boots + 1);
}

/* Where no agent was ever heard nobody could say when it is over. */
static void test_when_reset_without_an_agent_then_not_waited_for(void **state)
{
	(void)state;
	agent.closes = true;
	look();
	tell_reset();
	look();
	assert_false(seen.booting);
}

/* The guest is stopped after it was seen to run: its agent is not waited for. */
static void test_when_stopped_in_a_look_then_the_agent_is_not_waited_for(void **state)
{
	(void)state;
	stops_when_asked = true;
	assert_true(look() < HV_AGENT_MS / 3);
	assert_non_null(held);
	assert_true(seen.answers);
	assert_false(seen.agent_answers);
	assert_string_equal(seen.agent_text, "the guest stands still");
}

/* An agent that hangs up at once is tried a handful of times, and QEMU's part is there. */
static void test_when_agent_hangs_up_then_not_hammered(void **state)
{
	(void)state;
	agent.closes = true;
	look();
	assert_true(seen.answers);
	assert_false(seen.agent_answers);
	assert_in_range(agent.opened, 2, 6);
}

/* What was wrong with it is said by the looks that do not wait for it any more, too. */
static void test_when_agent_is_not_waited_for_then_the_reason_is_kept(void **state)
{
	char why[sizeof(seen.agent_text)];

	(void)state;
	agent.closes = true;
	look();
	memcpy(why, seen.agent_text, sizeof(why));
	assert_memory_equal(why, agent.path, strlen(agent.path));
	look();
	assert_string_equal(seen.agent_text, why);
}

/* A connection that is lost says nothing: least of all that the source was not given away. */
static void test_when_lost_before_the_last_answer_then_no_observation(void **state)
{
	(void)state;
	agent.closes = true; /* from the second look on it is not waited for */
	look();
	assert_true(seen.answers);
	cuts_at_the_end = true;
	look();
	assert_false(seen.answers);
}

/* Slots are ordered by their properties, however large those are. */
static void test_when_ids_are_large_then_slots_keep_their_order(void **state)
{
	(void)state;
	cpus = "[{\"type\":\"c\",\"vcpus-count\":1,\"qom-path\":\"/machine/peripheral/b\","
	       "\"props\":{\"socket-id\":0,\"core-id\":1024}},"
	       "{\"type\":\"c\",\"vcpus-count\":1,\"qom-path\":\"/machine/peripheral/c\","
	       "\"props\":{\"socket-id\":1,\"core-id\":0}},"
	       "{\"type\":\"c\",\"vcpus-count\":1,\"qom-path\":\"/machine/peripheral/a\","
	       "\"props\":{\"socket-id\":0,\"core-id\":3}}]";
	look();
	assert_int_equal(seen.n_cpus, 3);
	assert_string_equal(seen.cpus[0].id, "a");
	assert_string_equal(seen.cpus[1].id, "b");
	assert_string_equal(seen.cpus[2].id, "c");
}

/* ---- what is read -------------------------------------------------------- */

/* What is no number of a slot is none, least of all slot 0. */
static void test_when_slot_is_no_number_then_none(void **state)
{
	unsigned slot = 77;

	(void)state;
	assert_false(hv_slot_number("", 8, &slot));
	assert_false(hv_slot_number("x", 8, &slot));
	assert_false(hv_slot_number("-1", 8, &slot));
	assert_false(hv_slot_number("3x", 8, &slot));
	assert_false(hv_slot_number("8", 8, &slot));
	assert_int_equal(slot, 77);
	assert_true(hv_slot_number("7", 8, &slot));
	assert_int_equal(slot, 7);
}

/* A transaction's name is in an alphabet; whoever has another is not one of ours. */
static void test_when_txn_has_escapes_then_unreadable(void **state)
{
	char txn[LS_TXN_BYTES];

	(void)state;
	hv_copy_txn(txn, "18c2a.7f");
	assert_string_equal(txn, "18c2a.7f");
	hv_copy_txn(txn, "\033[2J");
	assert_string_equal(txn, "(unreadable)");
}

/* ---- the lease ----------------------------------------------------------- */

static bool asking;
static struct ls_err reply;

static void on_reply(void *arg, const struct ls_err *err)
{
	(void)arg;
	reply = *err;
	asking = false;
}

static void lock(void)
{
	struct txn t = { .id = "t1", .epoch = 1, .agent = AGENT_LOCKSTEP };
	struct hv_request rq = { .verb = VERB_GUEST_LOCK, .t = &t, .side = SIDE_SRC };

	asking = true;
	hv_ask(hv, &rq, on_reply, NULL);
	run_while(&asking, qmp_now_ms() + HANG_MS);
	assert_int_equal(reply.code, 0);
}

static void until_renewed(unsigned n)
{
	uint64_t until = qmp_now_ms() + HANG_MS;

	while (renewals < n && qmp_now_ms() < until)
		assert_true(sd_event_run(loop, 50000) >= 0);
	assert_true(renewals >= n);
}

/* ---- what is sent -------------------------------------------------------- */

static char dry[1024];

static void on_dry(void *arg, const char *to, const char *name, struct json_object *args)
{
	(void)arg, (void)to;
	memcpy(commands, dry, sizeof(commands));
	note_command(name, args);
	memcpy(dry, commands, sizeof(dry));
	commands[0] = '\0';
}

static unsigned bad_items[8], n_bad;

static void on_bad(void *arg, unsigned item, const struct ls_err *err)
{
	(void)arg;
	assert_int_not_equal(err->code, 0);
	bad_items[n_bad++] = item;
}

/* The cores of a pSeries; the last two are free, as are their slots' ids. */
static void look_at_cores(void)
{
	static const char c0[] = ",\"qom-path\":\"/machine/peripheral/c0\"";
	static const char c1[] = ",\"qom-path\":\"/machine/peripheral/c1\"";
	static char list[1024];
	size_t at = 0;

	for (unsigned i = 0; i < 5; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at,
				       "%s{\"type\":\"power9-core\",\"vcpus-count\":2,"
				       "\"props\":{\"core-id\":%u}%s}",
				       i ? "," : "[", i,
				       i == 0	? c0
				       : i == 1 ? c1
						: "");
	strcpy(list + at, "]");
	cpus = list;
	vsmt = "8";
	guest_says = "{\"version\":1,\"agent\":\"a\",\"boot-id\":\"b\",\"machine\":\"ppc64le\","
		     "\"guard\":\"hold\",\"lock\":{\"held\":false},"
		     "\"window\":{\"state\":\"closed\"},\"cpus\":["
		     "{\"cpu\":6,\"slot\":8,\"present\":true,\"device\":false,\"kernel\":false,"
		     "\"fixed\":false},"
		     "{\"cpu\":7,\"slot\":8,\"present\":true,\"device\":true,\"kernel\":true,"
		     "\"fixed\":false}]}";
	look();
}

static void ask(enum verb verb, const unsigned *todo, unsigned n)
{
	struct view view = { .vm = { seen } };
	struct item items[5] = { { .slot = 0 },
				 { .slot = 1, .id = "c1" },
				 { .slot = 2, .id = "ls-t1-2" },
				 { .slot = 3, .id = "ls-t1-3" },
				 { .slot = 4, .id = "ls-t1-4" } };
	struct txn t = { .id = "t1", .epoch = 1, .agent = AGENT_LOCKSTEP, .items = items, .n = 5 };
	struct hv_request rq = {
		.verb = verb, .t = &t, .view = &view, .todo = todo, .n = n, .bad = on_bad
	};

	commands[0] = dry[0] = '\0';
	n_bad = 0;
	hv_dry(hv, &rq, on_dry, NULL);
	asking = true;
	hv_ask(hv, &rq, on_reply, NULL);
	run_while(&asking, qmp_now_ms() + HANG_MS);
}

/* Byte for byte what goes over the wire, and a dry run alone sends and notes nothing. */
static void test_when_it_is_a_dry_run_then_told_what_is_sent(void **state)
{
	(void)state;
	look_at_cores();
	ask(VERB_CPU_ADD, (unsigned[]){ 2, 3 }, 2);
	assert_string_equal(
		commands,
		"device_add {\"driver\":\"power9-core\",\"id\":\"ls-t1-2\",\"core-id\":2}\n"
		"device_add {\"driver\":\"power9-core\",\"id\":\"ls-t1-3\",\"core-id\":3}\n");
	assert_string_equal(dry, commands);
	ask(VERB_CPU_DEL, (unsigned[]){ 3 }, 1);
	assert_string_equal(commands, "device_del {\"id\":\"ls-t1-3\"}\n");
	assert_string_equal(dry, commands);
	ask(VERB_CPU_ONLINE, (unsigned[]){ 1 }, 1);
	assert_string_equal(commands, "lockstep-cpu-online {\"txn\":\"t1\",\"cpus\":[6,7]}\n");
	assert_string_equal(dry, commands);
}

static void refuse_slot(unsigned slot)
{
	struct json_object *data;
	char text[160];

	snprintf(text, sizeof(text),
		 "{\"info\":{\"source\":3,\"status\":130,\"slot\":\"%u\",\"slot-type\":\"CPU\"}}",
		 slot);
	assert_int_equal(qmp_parse(text, strlen(text), NULL, NULL, &data), 0);
	qmp_peer_event(qemu.peer, "ACPI_DEVICE_OST", data);
	turn(&qemu, 0);
	look(); /* by then it has come */
}

/* Once, without a look, and only about what was asked for from here. */
static void test_when_the_guest_refuses_then_its_word_is_told_once(void **state)
{
	(void)state;
	look_at_cores();
	refuse_slot(0);
	assert_string_equal(words, "");
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	assert_string_equal(words, "");
	refuse_slot(1);
	refuse_slot(1);
	assert_string_equal(words, "the guest refuses to give up the vCPU in slot 1\n");
	assert_true(seen.cpus[1].refused);
}

/* It is pending only if QEMU has passed it on, now or earlier. */
static void test_when_qemu_does_not_take_an_unplug_then_none_is_pending(void **state)
{
	(void)state;
	look_at_cores();
	no_id = "c1";
	no_words = "device_del not allowed while migrating";
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	look();
	assert_int_equal(seen.cpus[1].unplug, TRI_NO);
	no_words = "Device c1 is already in the process of unplug";
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	look();
	assert_int_equal(seen.cpus[1].unplug, TRI_YES);
}

/* The command of one item fails: it is named, the others are not. */
static void test_when_one_item_fails_then_it_is_named(void **state)
{
	(void)state;
	look_at_cores();
	no_id = "ls-t1-4";
	ask(VERB_CPU_ADD, (unsigned[]){ 2, 4, 3 }, 3);
	assert_int_equal(reply.code, -EREMOTEIO);
	assert_int_equal(n_bad, 1);
	assert_int_equal(bad_items[0], 4);
}

/* A refused renewal is tried again, and before the first short lease is over. */
static void test_when_renewal_is_refused_then_tried_again_in_time(void **state)
{
	uint64_t since;

	(void)state;
	refusals = 1;
	look();
	since = qmp_now_ms();
	lock();
	until_renewed(2);
	assert_true(qmp_now_ms() - since < LS_LEASE_FIRST_MAX_MS / 2);
}

/* The connection goes while the lease is held: renewed as soon as there is another. */
static void test_when_connection_was_lost_then_renewed_on_the_next(void **state)
{
	(void)state;
	refusals = 1;
	look();
	lock();
	until_renewed(1);
	hang_up(&agent);
	look();
	until_renewed(2);
}

/* A lease counts from when it was asked for: what is known is never more than granted. */
static void test_when_granted_then_counted_from_the_sending(void **state)
{
	uint64_t now;

	(void)state;
	look();
	lock();
	until_renewed(1);
	now = qmp_now_ms();
	run_while(&(bool){ true }, now + FLUSH_MS);
	assert_true(hv->lease_until_ms > now + LS_LEASE_FIRST_MAX_MS);
	assert_true(hv->lease_until_ms <= now + LEASE_MS);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_agent_is_of_another_age_then_what_is_known_counts),
		test(test_when_agent_says_too_little_then_not_believed_and_said),
		test(test_when_reset_then_it_boots_until_the_agent_answers),
		test(test_when_the_boot_id_changes_then_another_boot),
		test(test_when_reset_without_an_agent_then_not_waited_for),
		test(test_when_stopped_in_a_look_then_the_agent_is_not_waited_for),
		test(test_when_agent_hangs_up_then_not_hammered),
		test(test_when_agent_is_not_waited_for_then_the_reason_is_kept),
		test(test_when_lost_before_the_last_answer_then_no_observation),
		test(test_when_a_pseries_then_each_core_has_its_threads),
		test(test_when_ids_are_large_then_slots_keep_their_order),
		test(test_when_it_is_a_dry_run_then_told_what_is_sent),
		test(test_when_one_item_fails_then_it_is_named),
		test(test_when_qemu_does_not_take_an_unplug_then_none_is_pending),
		test(test_when_the_guest_refuses_then_its_word_is_told_once),
		cmocka_unit_test(test_when_slot_is_no_number_then_none),
		cmocka_unit_test(test_when_txn_has_escapes_then_unreadable),
		test(test_when_renewal_is_refused_then_tried_again_in_time),
		test(test_when_connection_was_lost_then_renewed_on_the_next),
		test(test_when_granted_then_counted_from_the_sending),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
