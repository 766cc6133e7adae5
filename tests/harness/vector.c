/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Take, keep and compare state vectors. */
#include "vector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>

#include "expect.h"
#include "show.h"

/*
 * One line per CPU, then the memory: the number in the guest, the host's slot by
 * its ACPI name, the driver core's view, the kernel's mask.
 */
static const char vector_shell[] =
	"cd /sys/devices/system/cpu; "
	"mask=\" $(tr , '\\n' <online | "
	"awk -F- '{ for (i = $1; i <= (NF > 1 ? $2 : $1); i++) printf \"%d \", i }')\"; "
	"for c in cpu[0-9]*; do "
	"slot=$(cat $c/firmware_node/path 2>/dev/null); slot=${slot##*.}; "
	"device=on; [ -e $c/online ] && [ $(cat $c/online) = 0 ] && device=off; "
	"case $mask in *\" ${c#cpu} \"*) kernel=on ;; *) kernel=off ;; esac; "
	"echo \"$c slot ${slot:-none} device $device kernel $kernel\"; done";

/* A line of what another observer sees. */
static int vector_add(struct guest *g, const char *property, const char *by, FILE *out,
		      struct ls_err *err)
{
	const struct view *v = view_find(property, by);
	char value[VIEW_VALUE_BYTES];
	int r = v->read(g, v, NULL, value, err);

	if (r == 0)
		fprintf(out, "%s %s, by %s\n", property, value, by);
	return r;
}

int vector_take(struct guest *g, char **ret_text, struct ls_err *err)
{
	ls_autofree char *cpus = NULL;
	size_t len;
	FILE *out;
	int r = console_run(g->console, vector_shell, qmp_now_ms() + LAB_ASK_MS, err, &cpus);

	if (r < 0)
		return r;
	out = open_memstream(ret_text, &len);
	if (!out)
		return -ENOMEM;
	fprintf(out, "%s\n", cpus);
	r = vector_add(g, "memory", "console", out, err);
	if (r == 0)
		r = vector_add(g, "vcpus", "qemu", out, err);
	if (r == 0)
		r = vector_add(g, "memory", "qemu", out, err);
	fclose(out);
	return r;
}

static struct vector *vector_find(struct run *r, const char *name)
{
	for (int i = 0; i < r->n_vectors; i++)
		if (!strcmp(r->vectors[i].name, name))
			return &r->vectors[i];
	return NULL;
}

int verb_remember(struct args *a)
{
	struct run *r = a->run;
	struct vector *v;
	struct ls_err err;
	struct guest *g;
	const char *name;

	if (args_new_name(a, &name) < 0)
		return -EINVAL;
	if (vector_find(r, name) || r->n_vectors == RUN_VECTORS_MAX)
		return args_fail(a, "this name is in use, or too many are");
	if (args_guest(a, &g) < 0 || args_end(a) < 0)
		return -EINVAL;
	v = &r->vectors[r->n_vectors++];
	snprintf(v->name, sizeof(v->name), "%s", name);
	if (!r->dry && vector_take(g, &v->text, &err) < 0)
		return args_fail(a, "%s: %s", g->name, err.text);
	return 0;
}

/* Side by side, a mark where they differ. Returns how many lines do. */
static int vector_print(const struct vector *one, const struct vector *two, FILE *out)
{
	const char *a = one->text, *b = two->text;
	int differ = 0;

	fprintf(out, "  %-42s %s\n", one->name, two->name);
	while (*a || *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");
		bool same = la == lb && !strncmp(a, b, la);

		fprintf(out, "%c %-42.*s %.*s\n", same ? ' ' : '!', (int)la, a, (int)lb, b);
		differ += !same;
		a += la + (a[la] == '\n');
		b += lb + (b[lb] == '\n');
	}
	return differ;
}

static int args_vector(struct args *a, struct vector **ret_vector)
{
	const struct word *w;

	if (args_word(a, "the name of a state vector", &w) < 0)
		return -EINVAL;
	*ret_vector = vector_find(a->run, w->text);
	return *ret_vector ? 0 : args_fail(a, "nothing is remembered as \"%s\"", w->text);
}

int verb_compare(struct args *a)
{
	struct vector *one, *two;
	char *text = NULL;
	size_t len;
	int differ;
	FILE *out;

	if (args_vector(a, &one) < 0 || args_vector(a, &two) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	out = open_memstream(&text, &len);
	if (!out)
		return args_fail(a, "out of memory");
	differ = vector_print(one, two, out);
	fclose(out);
	run_say(a->run, text);
	show_output(a->run, text);
	if (differ)
		return args_fail(a, "%s and %s differ in %d lines", one->name, two->name, differ);
	show_held(a->run, "both state vectors are equal");
	return 0;
}
