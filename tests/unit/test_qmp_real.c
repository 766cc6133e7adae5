/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqmp against a real QEMU; and the server half, which plays QEMU in the other
 * tests, held against it: the same bytes must get the same answers.
 */
#include "qmp_fixture.h"
#include "qmp_qemu.h"

#include <qmp_commands.h>

#define BUSY_MS	    300
#define ANSWERS_MAX 8
#define MARK	    "{\"execute\": \"no-such-command\", \"id\": \"mark\"}\n"

static const char *const machine_none[] = { "-machine", "none", NULL };
static const char *const machine_q35[] = {
	"-machine",
	"q35",
	"-accel",
	"tcg",
	"-S",
	"-m",
	"512,slots=4,maxmem=4G",
	"-smp",
	"2,maxcpus=8",
	"-object",
	"memory-backend-ram,id=vmem0,size=512M",
	"-device",
	"virtio-mem-pci,id=vm0,memdev=vmem0,requested-size=0",
	NULL,
};

static uint64_t soon(void)
{
	return qmp_now_ms() + HANG_MS;
}

static void start_or_skip(struct qemu *v, const char *const args[])
{
	if (!qemu_is_installed()) {
		print_message("# skipped: no " QEMU " in PATH\n");
		skip();
	}
	assert_int_equal(qemu_start(v, args), 0);
}

static struct qmp *open_qemu(struct qemu *v, const struct qmp_options *options)
{
	struct ls_err err = { 0 };
	struct qmp *q = NULL;

	if (qmp_open(v->path, options, soon(), &err, &q) < 0)
		fail_msg("%s", err.text);
	return q;
}

static struct json_object *ask(struct qmp *q, const char *name, struct json_object *args)
{
	struct json_object *v = NULL;
	struct ls_err err = { 0 };

	if (qmp_command(q, name, args, soon(), &err, &v) < 0)
		fail_msg("%s: %s", name, err.text);
	return v;
}

/* ---- the same dialogue with both ---------------------------------------- */

/**
 * struct end - Something that speaks QMP: a QEMU, or our server half in this thread
 */
struct end {
	int fd;
	struct qmp_peer *p;
	struct qmp_framer *in;
};

struct answer {
	char class[LS_ERR_CLASS_BYTES], desc[LS_ERR_TEXT_BYTES], id[64];
};

struct answers {
	struct answer list[ANSWERS_MAX];
	unsigned n;
};

/* Wait for bytes; the server half gets its turns meanwhile. */
static void end_read(struct end *e)
{
	struct pollfd pfds[2] = { { e->fd, POLLIN, 0 }, { -1, 0, 0 } };
	char buf[4096];
	ssize_t n;

	if (e->p)
		pfds[1] = (struct pollfd){ qmp_peer_fd(e->p), qmp_peer_poll_events(e->p), 0 };
	if (poll(pfds, 2, HANG_MS) < 1)
		fail_msg("no answer");
	if (pfds[1].revents)
		assert_int_equal(qmp_peer_dispatch(e->p, pfds[1].revents), 0);
	n = recv(e->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0)
		assert_int_equal(qmp_framer_feed(e->in, buf, n), 0);
}

static struct json_object *end_next(struct end *e)
{
	struct json_object *v = NULL;
	int r;

	while ((r = qmp_framer_next(e->in, NULL, &v)) == 0)
		end_read(e);
	assert_int_equal(r, 1);
	return v;
}

static void note_answer(struct answers *a, struct json_object *v)
{
	struct json_object *error = qmp_get_obj(v, "error"), *id = NULL;
	struct answer *to = &a->list[a->n++];

	assert_true(a->n <= ANSWERS_MAX);
	memset(to, 0, sizeof(*to));
	if (error) {
		snprintf(to->class, sizeof(to->class), "%s", qmp_get_str(error, "class", ""));
		snprintf(to->desc, sizeof(to->desc), "%s", qmp_get_str(error, "desc", ""));
	}
	if (json_object_object_get_ex(v, "id", &id))
		snprintf(to->id, sizeof(to->id), "%s",
			 json_object_to_json_string_ext(id, JSON_C_TO_STRING_PLAIN));
}

/* Say something and a mark; what is answered before the mark's answer belongs to it. */
static void converse(struct end *e, const char *words, struct answers *a)
{
	bool marked = false;

	a->n = 0;
	say(e->fd, words);
	say(e->fd, MARK);
	while (!marked) {
		struct json_object *v = end_next(e);

		marked = !strcmp(qmp_get_str(v, "id", ""), "mark");
		if (!marked && !qmp_get_str(v, "event", NULL))
			note_answer(a, v);
		json_object_put(v);
	}
}

enum { SAME, SAME_CLASS, PARSE_ERROR };

static const struct {
	int how;
	const char *words;
} dialogue[] = {
	{ SAME, "{\"execute\": \"query-version\", \"id\": 1}\n" },
	{ SAME, "{\"execute\": \"nothing\"}\n" },
	{ SAME_CLASS,
	  "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"x\"]}}\n" },
	{ SAME_CLASS, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": 5}}\n" },
	{ SAME, "{\"execute\": \"qmp_capabilities\", \"id\": [1]}\n" },
	{ SAME, "{\"execute\": \"qmp_capabilities\"}\n" },
	{ SAME, "{\"execute\": \"nothing\", \"id\": {\"a\": 1.5}}\n" },
	{ SAME, "{\"execute\": \"nothing\", \"id\": null}\n" },
	{ SAME, "{\"execute\": \"nothing\", \"id\": \"x\"}\n" },
	{ SAME, "{\"execute\": \"query-version\", \"id\": 18446744073709551615}\n" },
	{ SAME, "[]\n" },
	{ SAME, "5\n" },
	{ SAME, "null\n" },
	{ SAME, "\"x\"\n" },
	{ SAME, "{}\n" },
	{ SAME, "{\"id\": 4}\n" },
	{ SAME, "{\"execute\": 5}\n" },
	{ SAME, "{\"execute\": \"query-version\", \"extra\": 1, \"id\": 3}\n" },
	{ SAME, "{\"execute\": \"query-version\", \"arguments\": []}\n" },
	{ SAME, "{\"execute\": \"query-version\", \"arguments\": null}\n" },
	{ SAME, "{\"execute\": \"query-version\", \"arguments\": {\"a\": 1}}\n" },
	{ SAME, "{\"execute\": \"qom-list\", \"arguments\": {}}\n" },
	{ SAME_CLASS,
	  "{\"execute\": \"qom-list\", \"arguments\": {\"path\": 5}, \"id\": \"q\"}\n" },
	{ SAME, "{\"exec-oob\": \"query-version\"}\n" },
	{ SAME, "{\"execute\": \"query-version\"}{\"execute\": \"query-version\", \"id\": 2}\n" },
	{ PARSE_ERROR, "{\"execute\": foo}\n" },
	{ PARSE_ERROR, "{\"execute\": \"a\nb\"}\n" },
	{ PARSE_ERROR, "{\"execute\": \"query-version\", \"id\": NaN}\n" },
	{ PARSE_ERROR, "{\"execute\": \"query-version\", \"id\": \"\\ud800\"}\n" },
	{ PARSE_ERROR, "}\n" },
	{ PARSE_ERROR, "]\n" },
	{ PARSE_ERROR, "{\"execute\" \"query-version\"}\n" },
};

static void compare_row(size_t i, const struct answers *real, const struct answers *ours)
{
	const struct answer *a = real->list, *b = ours->list;

	if (dialogue[i].how == PARSE_ERROR) {
		assert_true(real->n >= 1 && ours->n >= 1);
		assert_string_equal(a->class, b->class);
		assert_memory_equal(a->desc, "JSON parse error", 16);
		assert_memory_equal(b->desc, "JSON parse error", 16);
		return;
	}
	assert_int_equal(real->n, ours->n);
	for (unsigned k = 0; k < real->n; k++, a++, b++) {
		assert_string_equal(a->class, b->class);
		assert_string_equal(a->id, b->id);
		if (dialogue[i].how == SAME && strcmp(a->desc, b->desc))
			fail_msg("%s: QEMU says \"%s\", we \"%s\"", dialogue[i].words, a->desc,
				 b->desc);
	}
}

static const struct qmp_field path_fields[] = {
	{ "path", QMP_STRING, false, 0, 100, 0, "where" },
};

static const struct qmp_verb qemu_verbs[] = {
	{ "query-version", do_now, NULL, 0 },
	{ "qom-list", do_now, path_fields, COUNT(path_fields) },
	{ 0 },
};

static void open_both(struct end *real, struct end *ours, struct qemu *v)
{
	char address[32];
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	strcpy(sun.sun_path, v->path);
	real->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(real->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ours->fd = pair(address);
	ours->p = qmp_peer_new(
		atoi(address + 3),
		&(struct qmp_peer_options){
			.verbs = qemu_verbs,
			.greeting = object("{\"version\": {\"qemu\": {\"major\": 7, "
					   "\"minor\": 2, \"micro\": 22}, \"package\": "
					   "\"\"}, \"capabilities\": [\"oob\"]}") });
	real->in = qmp_framer_new(NULL);
	ours->in = qmp_framer_new(NULL);
}

static void close_both(struct end *real, struct end *ours)
{
	qmp_framer_free(real->in);
	qmp_framer_free(ours->in);
	qmp_peer_free(ours->p);
	close(real->fd);
	close(ours->fd);
}

/* Greeting, order of negotiation, ids, refusals, damage: ours are QEMU's. */
static void test_when_qemu_and_our_server_hear_the_same_then_they_answer_the_same(void **state)
{
	static const struct qmp_field greeting[] = { { "QMP", QMP_OBJECT, false, 0, 0, 0, "" } };
	struct end real = { 0 }, ours = { 0 };
	struct json_object *a, *b;
	struct answers x, y;
	struct qemu v = { 0 };

	(void)state;
	start_or_skip(&v, machine_none);
	open_both(&real, &ours, &v);
	a = end_next(&real);
	b = end_next(&ours);
	assert_int_equal(qmp_fields_check(greeting, 1, true, a, NULL), 0);
	assert_int_equal(qmp_fields_check(greeting, 1, true, b, NULL), 0);
	assert_non_null(qmp_get_array(qmp_get_obj(a, "QMP"), "capabilities"));
	json_object_put(a);
	json_object_put(b);
	for (size_t i = 0; i < COUNT(dialogue); i++) {
		converse(&real, dialogue[i].words, &x);
		converse(&ours, dialogue[i].words, &y);
		compare_row(i, &x, &y);
	}
	close_both(&real, &ours);
	qemu_stop(&v);
}

/* ---- the client -------------------------------------------------------- */

/* A second client of one monitor: connected, not greeted, told so; the first is not hurt. */
static void test_when_a_monitor_has_a_client_then_the_second_one_is_busy(void **state)
{
	struct ls_err err = { 0 };
	struct qmp *first, *second = NULL;
	struct qemu v = { 0 };

	(void)state;
	start_or_skip(&v, machine_none);
	first = open_qemu(&v, NULL);
	assert_int_equal(qmp_open(v.path, NULL, qmp_now_ms() + BUSY_MS, &err, &second), -EBUSY);
	assert_non_null(strstr(err.text, v.path));
	assert_non_null(strstr(err.text, "another client"));
	json_object_put(ask(first, "query-status", NULL));
	qmp_close(first);
	qmp_close(open_qemu(&v, NULL));
	qemu_stop(&v);
}

/* A third one does not even fit into the queue: as busy, and within the deadline. */
static void test_when_a_monitor_s_queue_is_full_then_it_is_busy_too(void **state)
{
	struct ls_err err = { 0 };
	struct qmp *first, *waiting[8] = { 0 }, *late = NULL;
	struct qemu v = { 0 };
	size_t n = 0;
	int r = 0;

	(void)state;
	start_or_skip(&v, machine_none);
	first = open_qemu(&v, NULL);
	while (n < COUNT(waiting) && !r)
		r = qmp_start(v.path, NULL, &err, &waiting[n++]);
	assert_int_equal(r, -EBUSY);
	assert_int_equal(qmp_open(v.path, NULL, qmp_now_ms() + BUSY_MS, &err, &late), -EBUSY);
	for (size_t i = 0; i < n; i++)
		qmp_close(waiting[i]);
	qmp_close(first);
	qemu_stop(&v);
}

/* Out of band is negotiated and a command goes that way. */
static void test_when_oob_is_wanted_then_qemu_takes_a_command_out_of_band(void **state)
{
	const struct qmp_options options = { .oob = true };
	struct qemu v = { 0 };
	struct qmp *q;

	(void)state;
	start_or_skip(&v, machine_none);
	q = open_qemu(&v, &options);
	assert_true(qmp_has_oob(q));
	assert_int_equal(qmp_command_oob(q, "migrate-pause", NULL, soon(), NULL, NULL), -EREMOTEIO);
	assert_int_equal(qmp_command_oob(q, "query-status", NULL, soon(), NULL, NULL), -EREMOTEIO);
	json_object_put(ask(q, "query-status", NULL));
	qmp_close(q);
	qemu_stop(&v);
}

/* The largest real reply there is, and what it is good for. */
static void test_when_the_schema_is_asked_then_it_is_within_the_limits(void **state)
{
	static const char *const there[] = {
		"device_add",
		"migrate-continue",
		"ACPI_DEVICE_OST",
		"migrate/uri",
		"migrate-set-capabilities/capabilities/capability/return-path",
		"migrate-set-capabilities/capabilities/capability/late-block-activate",
	};
	struct json_object *schema;
	struct qemu v = { 0 };
	struct qmp *q;

	(void)state;
	start_or_skip(&v, machine_none);
	q = open_qemu(&v, NULL);
	schema = ask(q, "query-qmp-schema", NULL);
	for (size_t i = 0; i < COUNT(there); i++)
		if (!qmp_schema_has(schema, there[i]))
			fail_msg("%s was not found", there[i]);
	assert_false(qmp_schema_has(schema, "migrate-set-capabilities/capabilities/capability/x"));
	assert_false(qmp_schema_has(schema, "device_add_all"));
	json_object_put(schema);
	qmp_close(q);
	qemu_stop(&v);
}

/* QEMU goes away: its last event is there, then the connection is dead. */
static void test_when_qemu_quits_then_its_last_words_are_heard(void **state)
{
	struct ls_err err = { 0 };
	struct qmp_event e;
	struct qemu v = { 0 };
	struct qmp *q;

	(void)state;
	start_or_skip(&v, machine_none);
	q = open_qemu(&v, NULL);
	json_object_put(ask(q, "quit", NULL));
	assert_int_equal(qmp_event_wait(q, soon(), &err, &e), 0);
	assert_string_equal(e.name, "SHUTDOWN");
	assert_true(e.time_us > 0);
	qmp_event_done(&e);
	assert_int_equal(qmp_event_wait(q, soon(), &err, &e), -EPIPE);
	assert_int_equal(qmp_command(q, "cont", NULL, soon(), &err, NULL), -EPIPE);
	qmp_close(q);
	qemu_stop(&v);
}

/* ---- typed commands ---------------------------------------------------- */

static void check_cpus(struct qmp *q)
{
	struct json_object *v = ask(q, "query-hotpluggable-cpus", NULL);
	struct qmp_hotpluggable_cpu *slots;
	struct ls_err err = { 0 };
	size_t n, here = 0, free_slot = 0;

	if (qmp_decode_hotpluggable_cpus(v, &err, &slots, &n) < 0)
		fail_msg("%s", err.text);
	json_object_put(v);
	assert_int_equal(n, 8);
	for (size_t i = 0; i < n; i++) {
		here += slots[i].qom_path[0] != '\0';
		free_slot = slots[i].qom_path[0] ? free_slot : i;
	}
	assert_int_equal(here, 2);
	json_object_put(
		ask(q, "device_add",
		    qmp_args_device_add(slots[free_slot].type, "ls-1-x", slots[free_slot].props)));
	qmp_hotpluggable_cpus_free(slots, n);
}

static void check_cpus_after(struct qmp *q)
{
	struct json_object *v = ask(q, "query-cpus-fast", NULL);
	struct ls_err err = { 0 };
	struct qmp_cpu *cpus;
	size_t n;

	if (qmp_decode_cpus(v, &err, &cpus, &n) < 0)
		fail_msg("%s", err.text);
	json_object_put(v);
	assert_int_equal(n, 3);
	assert_true(cpus[2].thread_id > 0);
	assert_non_null(strstr(cpus[2].qom_path, "ls-1-x"));
	qmp_cpus_free(cpus, n);
}

static void check_memory(struct qmp *q)
{
	struct qmp_memory_device *m;
	struct qmp_memory_size size;
	struct json_object *v, *props = object("{\"memdev\": \"mem1\"}");
	size_t n;

	json_object_put(ask(q, "object-add", qmp_args_object_add_ram("mem1", 128 << 20, false)));
	json_object_put(ask(q, "device_add", qmp_args_device_add("pc-dimm", "dimm1", props)));
	json_object_put(props);
	v = ask(q, "query-memory-devices", NULL);
	assert_int_equal(qmp_decode_memory_devices(v, NULL, &m, &n), 0);
	json_object_put(v);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		if (m[i].kind == QMP_MEMORY_DIMM) {
			assert_string_equal(m[i].id, "dimm1");
			assert_string_equal(m[i].memdev, "/objects/mem1");
			assert_int_equal(m[i].size, 128 << 20);
			assert_true(m[i].hotplugged);
		} else {
			assert_int_equal(m[i].kind, QMP_MEMORY_VIRTIO_MEM);
			assert_string_equal(m[i].id, "vm0");
			assert_int_equal(m[i].max_size, 512 << 20);
			assert_int_equal(m[i].requested_size, 0);
		}
	free(m);
	v = ask(q, "query-memory-size-summary", NULL);
	assert_int_equal(qmp_decode_memory_size(v, NULL, &size), 0);
	json_object_put(v);
	assert_int_equal(size.base, 512 << 20);
	assert_int_equal(size.plugged, 128 << 20);
}

static void check_objects(struct qmp *q)
{
	struct qmp_property *list;
	struct ls_err err = { 0 };
	struct json_object *v;
	bool found = false;
	size_t n;

	json_object_put(ask(q, "object-add", qmp_args_object_add_secret("claim", "me")));
	assert_int_equal(qmp_command(q, "object-add", qmp_args_object_add_secret("claim", "you"),
				     soon(), &err, NULL),
			 -EREMOTEIO);
	v = ask(q, "qom-list", qmp_args_qom_list("/objects"));
	assert_int_equal(qmp_decode_properties(v, NULL, &list, &n), 0);
	json_object_put(v);
	for (size_t i = 0; i < n; i++)
		found |= !strcmp(list[i].name, "claim");
	assert_true(found);
	free(list);
	v = ask(q, "qom-get", qmp_args_qom_get("/objects/claim", "data"));
	assert_string_equal(json_object_get_string(v), "me");
	json_object_put(v);
	json_object_put(ask(q, "object-del", qmp_args_id("claim")));
	json_object_put(
		ask(q, "qom-set",
		    qmp_args_qom_set_int("/machine/peripheral/vm0", "requested-size", 4 << 20)));
}

static void check_migration(struct qmp *q)
{
	const struct qmp_capability on[] = { { "return-path", true },
					     { "pause-before-switchover", true } };
	const struct qmp_parameter params[] = { { "downtime-limit", 100 } };
	struct qmp_migration_info m;
	struct qmp_capability *caps;
	struct json_object *v;
	size_t n, set = 0;

	json_object_put(ask(q, "migrate-set-capabilities", qmp_args_capabilities(on, 2)));
	json_object_put(ask(q, "migrate-set-parameters", qmp_args_parameters(params, 1)));
	v = ask(q, "query-migrate-capabilities", NULL);
	assert_int_equal(qmp_decode_capabilities(v, NULL, &caps, &n), 0);
	json_object_put(v);
	for (size_t i = 0; i < n; i++)
		set += caps[i].on && (!strcmp(caps[i].name, "return-path") ||
				      !strcmp(caps[i].name, "pause-before-switchover"));
	assert_int_equal(set, 2);
	free(caps);
	v = ask(q, "query-migrate", NULL);
	assert_int_equal(qmp_decode_migration(v, NULL, &m), 0);
	assert_int_equal(m.status, QMP_MIGRATION_NONE);
	json_object_put(v);
}

static void check_rest(struct qmp *q)
{
	struct qmp_ospm_status *slots;
	struct json_object *v;
	struct qmp_version version;
	struct qmp_status status;
	struct qmp_block *disks;
	size_t n;

	v = ask(q, "query-acpi-ospm-status", NULL);
	assert_int_equal(qmp_decode_ospm_status(v, NULL, &slots, &n), 0);
	assert_int_equal(n, 4); /* CPUs come in when a guest has asked for modern CPU hotplug */
	assert_string_equal(slots[0].slot_type, "DIMM");
	free(slots);
	json_object_put(v);
	v = ask(q, "query-version", NULL);
	assert_int_equal(qmp_decode_version(v, NULL, &version), 0);
	assert_true(version.major >= 7);
	json_object_put(v);
	v = ask(q, "query-status", NULL);
	assert_int_equal(qmp_decode_status(v, NULL, &status), 0);
	assert_false(status.running);
	assert_string_equal(status.status, "prelaunch");
	json_object_put(v);
	v = ask(q, "query-block", NULL);
	assert_int_equal(qmp_decode_blocks(v, NULL, &disks, &n), 0);
	free(disks);
	json_object_put(v);
	json_object_put(ask(q, "announce-self", qmp_args_announce_self(50, 550, 5, 100)));
}

/* A machine with slots: what we build is taken, what we decode is what was built. */
static void test_when_typed_commands_meet_a_machine_then_both_understand(void **state)
{
	struct qemu v = { 0 };
	struct qmp *q;

	(void)state;
	start_or_skip(&v, machine_q35);
	q = open_qemu(&v, NULL);
	check_rest(q);
	check_cpus(q);
	check_cpus_after(q);
	check_memory(q);
	check_objects(q);
	check_migration(q);
	qmp_close(q);
	qemu_stop(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_qemu_and_our_server_hear_the_same_then_they_answer_the_same),
		test(test_when_a_monitor_has_a_client_then_the_second_one_is_busy),
		test(test_when_a_monitor_s_queue_is_full_then_it_is_busy_too),
		test(test_when_oob_is_wanted_then_qemu_takes_a_command_out_of_band),
		test(test_when_the_schema_is_asked_then_it_is_within_the_limits),
		test(test_when_qemu_quits_then_its_last_words_are_heard),
		test(test_when_typed_commands_meet_a_machine_then_both_understand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
