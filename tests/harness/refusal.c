/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How soon lockstep tells that a guest has refused a device: its own events, with the time
 * in each, beside the _OST as QEMU dated it. Both clocks are the host's.
 */
#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <lockstep/cleanup.h>

#include "show.h"

/* ACPI 6.4, 6.3.5: an eject request, and a status that says no. */
void refusal_note(struct run *r, const struct qmp_event *event)
{
	struct json_object *info = qmp_get_obj(event->data, "info");
	int64_t source = qmp_get_int(info, "source", 0), status = qmp_get_int(info, "status", 0);

	if (strcmp(event->name, "ACPI_DEVICE_OST") || (source != 3 && source != 0x103))
		return;
	if (status == 1 || (status >= 0x80 && status <= 0x83))
		r->refused_us = event->time_us;
}

/* The line of lockstep's that says @event of a row that takes a device away, and when. */
static uint64_t told(const char *said, const char *event, const char *text)
{
	ls_autofree char *copy = strdup(said ? said : "");
	char *rest = copy, *line;
	uint64_t at = 0;

	while (copy && !at && (line = strsep(&rest, "\n"))) {
		struct json_object *o = json_tokener_parse(line);

		if (!strcmp(qmp_get_str(o, "event", ""), event) &&
		    strstr(qmp_get_str(o, "text", ""), text))
			at = (uint64_t)qmp_get_int(o, "at-us", 0);
		json_object_put(o);
	}
	return at;
}

/*
 * "refusal told|decided within N % or N ms": of the guest's time, or later than it; by the
 * last --json. What is told is the guest's word, what is decided has been looked at.
 */
int expect_refusal(struct args *a)
{
	uint64_t asked, ost, at;
	double ratio;
	int percent, ms;
	bool decided = args_take(a, "decided");

	if ((!decided && !args_take(a, "told")) || !args_take(a, "within") ||
	    args_number(a, "per cent of the guest's time", &percent) < 0 || !args_take(a, "%") ||
	    !args_take(a, "or") || args_number(a, "milliseconds", &ms) < 0 || !args_take(a, "ms") ||
	    args_end(a) < 0)
		return args_fail(a, "\"refusal told within 110 %% or 250 ms\" is meant, perhaps");
	if (a->run->dry)
		return 0;
	asked = told(a->run->said, "row", "device_del");
	at = decided ? told(a->run->said, "row-failed", "refused")
		     : told(a->run->said, "warning", "refuses");
	ost = a->run->refused_us;
	if (!asked || !at || ost < asked)
		return args_fail(a,
				 "asked at %" PRIu64 ", _OST at %" PRIu64 ", told at %" PRIu64
				 ": one of them is missing",
				 asked, ost, at);
	ratio = (double)(at - asked) / (double)(ost - asked);
	dprintf(a->run->report,
		"refused by _OST after %.1f ms, %s after %.1f ms: %.3f times as long\n",
		(double)(ost - asked) / 1000, decided ? "decided" : "told",
		(double)(at - asked) / 1000, ratio);
	if (ratio * 100 > percent && at - ost > (uint64_t)ms * 1000)
		return args_fail(a, "told after %.3f times the guest's time", ratio);
	show_held(a->run, a->line->text);
	return 0;
}
