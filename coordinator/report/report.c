/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a transaction goes: what happens becomes one JSON object each.
 */
#include "report.h"

#include <time.h>

#include <json-c/json.h>

#include "exit.h"
#include "json.h"

/* With the time, to be laid beside QEMU's own events. */
struct json_object *report_object(const char *event)
{
	struct timespec ts;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "event", json_object_new_string(event));
	clock_gettime(CLOCK_REALTIME, &ts);
	json_add_num(o, "at-us", (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	return o;
}

struct json_object *report_tell(const struct txn *t, const struct action *a)
{
	static const char *const names[] = {
		[TELL_ACCEPTED] = "accepted",	 [TELL_ROW] = "row",
		[TELL_ROW_DONE] = "row-done",	 [TELL_ROW_FAILED] = "row-failed",
		[TELL_ROLLBACK] = "taking-back", [TELL_WARN] = "warning",
	};
	struct json_object *o = report_object(names[a->tell]);

	json_add_str(o, "txn", t->id);
	json_add_str(o, "row", a->row ? a->row : "");
	json_add_str(o, "text", a->text);
	json_add_num(o, "ms", a->took_ms);
	return o;
}

struct json_object *report_progress(const struct vm_progress *p, enum vm_mig mig)
{
	struct json_object *o = report_object("progress");

	json_add_str(o, "status", vm_mig_name(mig));
	json_add_num(o, "total", p->total);
	json_add_num(o, "remaining", p->remaining);
	json_add_num(o, "transferred", p->transferred);
	json_add_num(o, "dirty-bytes-per-second", p->dirty_rate * p->page_bytes);
	json_add_num(o, "bytes-per-second", (uint64_t)(p->mbps * 1e6 / 8));
	json_add_num(o, "pass", p->pass);
	json_add_num(o, "ms", p->total_ms);
	return o;
}

struct json_object *report_items(const struct txn *t)
{
	struct json_object *list = json_object_new_array();
	char name[ITEM_NAME_BYTES];

	for (unsigned i = 0; i < t->n; i++) {
		struct json_object *o = json_object_new_object();

		txn_item_name(t, i, name);
		json_add_str(o, "item", name);
		json_add_str(o, "result", txn_item_result(t, i));
		if (t->items[i].why.code)
			json_add_str(o, "reason", t->items[i].why.text);
		json_object_array_add(list, o);
	}
	return list;
}

struct json_object *report_ended(const char *guest, const struct txn *t)
{
	struct json_object *o = report_object("end");

	json_add_str(o, "guest", guest);
	json_add_str(o, "txn", t->id);
	json_add_str(o, "operation", txn_op_name(t->op));
	json_add_str(o, "end", txn_end_name(t->end));
	json_add_str(o, "reason",
		     t->end == END_DONE	 ? ""
		     : t->reason.text[0] ? t->reason.text
					 : "what stopped it is not on record");
	json_add_num(o, "exit", (uint64_t)exit_of_end(t->end));
	if (t->guest_says[0])
		json_add_str(o, "guest-says", t->guest_says);
	json_object_object_add(o, "guest-seen", json_object_new_boolean(txn_guest_seen(t)));
	if (t->op != OP_MIGRATE)
		json_object_object_add(o, "items", report_items(t));
	return o;
}

struct json_object *report_awaiting(const struct vm *vm, unsigned limit_ms)
{
	struct json_object *o = report_object("warning");
	char text[sizeof(vm->agent_text) + 64];

	snprintf(text, sizeof(text), "waiting for the guest's agent, %u s at most: %s",
		 limit_ms / 1000, vm->agent_text);
	json_add_str(o, "row", "");
	json_add_str(o, "text", text);
	return o;
}

struct json_object *report_error(int code, const struct ls_err *err)
{
	struct json_object *o = report_object("error");

	json_add_str(o, "error", err->text);
	json_object_object_add(o, "errno", json_object_new_int(-err->code));
	json_object_object_add(o, "exit", json_object_new_int(code));
	return o;
}
