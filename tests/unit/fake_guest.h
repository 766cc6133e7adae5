/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest as the driver of coordinator/hv/ meets it: a QEMU and an agent that misbehave on
 * purpose, both served in this process, on the driver's own loop.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "../../coordinator/hv/hv_private.h"
#include "fake_server.h"

struct json_object;

#define HANG_MS	   20000 /* nothing here takes as long, unless it hangs */
#define FLUSH_MS   20	 /* what was answered has left by then */
#define FAKE_TEXT  1024
#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))

/**
 * struct fake_guest - What both answer, what they were told, and what the driver made of it
 * @cpus:             the slots, as QEMU lists them
 * @objects:          names of those in QEMU; empty: room for one
 * @vsmt:             of a pSeries machine; NULL: it is none
 * @no_id, @no_words: the device that QEMU does not want, and why
 * @cuts_at_the_end:  QEMU ends before the last question of a look is answered
 * @says:             what the agent says of the guest; NULL: an error
 * @stops_when_asked: the guest is stopped in the middle of a look
 * @refusals:         so many renewals are refused first; @renewals counts all
 * @held:             a call that is not answered before the test is over
 * @commands:         what changes something, a line each, as it came over the wire
 * @said:             the guest's own words, a line each
 * @seen:             by the last look
 * @reply:            to the last request
 */
struct fake_guest {
	sd_event *loop;
	struct server qemu, agent;
	struct hv *hv;
	const char *cpus, *vsmt, *no_id, *no_words, *says;
	bool cuts_at_the_end, stops_when_asked;
	unsigned renewals, refusals;
	struct qmp_call *held;
	char objects[8][MARK_BYTES];
	char commands[FAKE_TEXT], said[FAKE_TEXT];
	struct vm seen;
	struct ls_err reply;
};

extern struct fake_guest fake;

/* What an agent of any age says of its guest. */
#define FAKE_SAYS(version, boot, machine, cpus, more)                                              \
	"{\"version\":" version ",\"agent\":\"a\",\"boot-id\":\"" boot "\",\"machine\":\"" machine \
	"\",\"guard\":\"hold\",\"lock\":{\"held\":false},\"window\":{\"state\":\"closed\"},"       \
	"\"cpus\":[" cpus "]" more "}"
#define FAKE_CPU(cpu, slot, present, on)                                                           \
	"{\"cpu\":" #cpu ",\"slot\":" #slot ",\"present\":" #present ",\"device\":" #on            \
	",\"kernel\":" #on ",\"fixed\":false}"

/* A line more in @text: the command and its arguments. */
void fake_note(char text[FAKE_TEXT], const char *name, struct json_object *args);

/* Go on until it is false, or for so long. */
void fake_run_while(const bool *go_on, unsigned limit_ms);

/* One look, into fake.seen. Return: how long it took, in ms. */
uint64_t fake_look(void);

/* One request, and its end in fake.reply. */
void fake_ask(const struct hv_request *rq);

/* Another coordinator has the guest from now on: it knows what QEMU and the agent say. */
void fake_another(void);

/* The driver begins anew for each test, in a folder that all of them share. */
int fake_begin(void **state);
int fake_finish(void **state);
int fake_make_dir(void **state);
int fake_remove_dir(void **state);
#define FAKE_TEST(fn) cmocka_unit_test_setup_teardown(fn, fake_begin, fake_finish)

#endif
