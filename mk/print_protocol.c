/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Print docs/protocol.md from the tables of include/lockstep/wire.h (`make docs`).
 */
#include <inttypes.h>
#include <stdio.h>

#include <lockstep/wire.h>

static const char head[] =
	"<!-- Printed by mk/print_protocol.c from include/lockstep/wire.h: `make docs`. -->\n"
	"# The protocol between lockstep and its agent\n"
	"\n"
	"The agent speaks the dialect of QEMU's guest agent: JSON values, one after the other,\n"
	"no greeting, `guest-sync-delimited` to find one's place in the stream. It serves those\n"
	"commands of qemu-ga that it shares a purpose with, in qemu-ga's shapes, and the ones\n"
	"below. Version %d. The channel is the virtio-serial port `%s`,\n"
	"or a vsock port of the guest ([guest.md](guest.md)).\n"
	"\n"
	"    -> {\"execute\": NAME, \"arguments\": {...}, \"id\": any}\n"
	"    <- {\"return\": {...}, \"id\": any}\n"
	"    <- {\"error\": {\"class\": CLASS, \"desc\": TEXT}, \"id\": any}\n"
	"\n"
	"An argument that is not listed is an error. A member of a reply that is not listed is\n"
	"ignored: a newer agent may say more. Both sides check the bounds below on arrival.\n";

/* A length or a value; the far ends of int64 are "no bound". */
static void print_bound(int64_t lo, int64_t hi, const char *unit)
{
	if (hi == INT64_MAX)
		printf("%" PRId64 " or more%s", lo, unit);
	else
		printf("%" PRId64 " to %" PRId64 "%s", lo, hi, unit);
}

static void print_type(const struct qmp_field *f)
{
	switch (f->type) {
	case QMP_BOOL:
		printf("true or false");
		break;
	case QMP_INT:
		print_bound(f->lo, f->hi, "");
		break;
	case QMP_STRING:
		printf("string, ");
		print_bound(f->lo, f->hi, " bytes");
		break;
	case QMP_INTS:
		printf("at most %u different integers, each ", f->count);
		print_bound(f->lo, f->hi, "");
		break;
	case QMP_OBJECT:
		printf("object");
		break;
	case QMP_OBJECTS:
		printf("at most %u objects", f->count);
		break;
	default:
		printf("anything");
		break;
	}
}

static void print_fields(const char *title, const struct qmp_field *fields, size_t n)
{
	size_t i;

	if (!n) {
		printf("\n%s: none.\n", title);
		return;
	}
	printf("\n| %s | value | |\n|---|---|---|\n", title);
	for (i = 0; i < n; i++) {
		printf("| `%s`%s | ", fields[i].name, fields[i].optional ? " (optional)" : "");
		print_type(&fields[i]);
		printf(" | %s |\n", fields[i].doc);
	}
}

static void print_commands(void)
{
	size_t i;

	printf("\n## Commands\n");
	for (i = 0; i < LS_WIRE_COMMAND_COUNT; i++) {
		printf("\n### %s\n\n%s\n", ls_wire[i].name, ls_wire[i].doc);
		print_fields("arguments", ls_wire[i].args, ls_wire[i].n_args);
		print_fields("return", ls_wire[i].rets, ls_wire[i].n_rets);
	}
}

static void print_objects(void)
{
	printf("\n## Objects inside replies\n");
#define PRINT_(id, doc)                                                                            \
	printf("\n### %s\n\n%c%s.\n", #id, (doc)[0] - 'a' + 'A', (doc) + 1);                       \
	print_fields("member", ls_wire_obj_##id, LS_WIRE_N(ls_wire_obj_##id));
	LS_WIRE_OBJECTS(PRINT_)
#undef PRINT_
}

static void print_errors(void)
{
	printf("\n## Error classes\n\nAn unknown command is `CommandNotFound`; everything else, "
	       "and every\n"
	       "bad argument of QEMU's own commands, is `GenericError`.\n\n"
	       "| class | when |\n|---|---|\n");
#define PRINT_(id, class, doc) printf("| `%s` | %s |\n", class, doc);
	LS_WIRE_ERRORS(PRINT_)
#undef PRINT_
}

static void print_event(void)
{
	printf("\n## The event\n\n"
	       "Connections that have sent `lockstep-subscribe` get `%s`. It is a hint to look,\n"
	       "never a fact to act on.\n\n"
	       "    {\"event\": \"%s\", \"data\": {\"kind\": \"cpu\" | \"memory\" | \"window\" | "
	       "\"lock\",\n"
	       "      \"id\": first, \"count\": n, \"state\": \"online\" | \"offline\" | "
	       "\"present\" | \"gone\" |\n"
	       "      \"open\" | \"closed\" | \"held\" | \"free\", \"by\": \"agent\" | "
	       "\"foreign\"}}\n",
	       LS_WIRE_EVENT, LS_WIRE_EVENT);
}

int main(void)
{
	printf(head, LS_WIRE_VERSION, LS_WIRE_CHANNEL);
	print_commands();
	print_objects();
	print_errors();
	print_event();
	return 0;
}
