/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep memory
 */
#include "cli.h"

#include <errno.h>
#include <string.h>

enum { OPT_ADD_DIMM = 0x100, OPT_REMOVE_DIMM, OPT_DEVICE, OPT_BACKEND };

/* clang-format off */
static const struct argp_option options[] = {
	{ "add-dimm",    OPT_ADD_DIMM,    "SIZE", 0, "add one DIMM, in the lowest free slot; its id is ls-TXN-SLOT", 1 },
	{ "backend",     OPT_BACKEND,     "WHAT", 0, "what the new DIMM is made of: ram, memfd or file=PATH; then, with commas between, share, prealloc, "
	                                             "hugepages=2M (memfd), nodes=0-1, policy=bind|preferred|interleave", 1 },
	{ "remove-dimm", OPT_REMOVE_DIMM, "ID",   0, "take this DIMM offline and remove it; its slot's number will do", 1 },
	{ "device",      OPT_DEVICE,      "ID",   0, "SIZE is that of this virtio-mem device", 1 },
	{ 0 }
};
/* clang-format on */

int cli_size(const char *text, struct ls_err *err, uint64_t *ret)
{
	static const struct {
		const char *unit;
		unsigned shift;
	} units[] = { { "M", 20 },   { "MiB", 20 }, { "G", 30 },
		      { "GiB", 30 }, { "T", 40 },   { "TiB", 40 } };
	const char *rest;
	int r = cli_number(text, UINT64_MAX >> 40, ret, &rest);

	for (size_t i = 0; !r && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(rest, units[i].unit))
			continue;
		*ret <<= units[i].shift;
		return 0;
	}
	return ls_err_set(err, -EINVAL, "\"%s\" is no size: a number and M, G or T, as in 2G",
			  text);
}

static void take(struct cli *cli, enum wish_kind kind, const char *device)
{
	if (cli->wish.kind != WISH_VCPUS)
		cli_bad_option(cli,
			       "--add-dimm, --remove-dimm and --device: one of them at a time");
	else if (strlen(device) >= sizeof(cli->wish.device))
		cli_bad_option(cli, "\"%.80s...\" is no device's id: it is too long", device);
	else
		snprintf(cli->wish.device, sizeof(cli->wish.device), "%s", device);
	cli->wish.kind = kind;
}

static void take_backing(struct cli *cli, const char *text)
{
	struct ls_err err;

	if (strlen(text) >= sizeof(cli->wish.backing))
		cli_bad_option(cli, "--backend: \"%.80s...\" is too long", text);
	else
		snprintf(cli->wish.backing, sizeof(cli->wish.backing), "%s", text);
	/* Where lockstepd has the guest, it says which folders. */
	if (backing_parse(text, &err, &(struct backing){ 0 }) < 0)
		cli_bad_option(cli, "%s", err.text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;
	struct ls_err err;

	switch (key) {
	case OPT_ADD_DIMM:
		take(cli, WISH_DIMM_ADD, "");
		if (cli_size(arg, &err, &cli->wish.value) < 0)
			cli_bad_option(cli, "--add-dimm: %s", err.text);
		return 0;
	case OPT_BACKEND:
		take_backing(cli, arg);
		return 0;
	case OPT_REMOVE_DIMM:
		take(cli, WISH_DIMM_REMOVE, arg);
		return 0;
	case OPT_DEVICE:
		take(cli, WISH_MEMORY_RESIZE, arg);
		return 0;
	default:
		return cli_parse(key, arg, state);
	}
}

static const struct argp memory_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "GUEST SIZE\nGUEST --device ID SIZE\n"
		    "GUEST --add-dimm SIZE [--backend WHAT]\n"
		    "GUEST --remove-dimm ID",
	.doc = "Make it SIZE of memory (1536M, 2G), boot memory included, plugged and online; or "
	       "change one device of it.\v"
	       "More: virtio-mem devices grow first, one DIMM is added for the rest; the guest's "
	       "new blocks are brought online as movable, so that they can be given back. Less: "
	       "virtio-mem devices shrink first, whole DIMMs go for the rest. A size that the "
	       "devices cannot make is refused with the nearest that they can.\n\n"
	       "With --add-dimm, --remove-dimm or --device nothing but that device is touched; "
	       "\"lockstep status\" names them. Files may be in " BACKING_FOLDERS
	       ", or where lockstepd's configuration says.\n\n"
	       "More than the guest's kernel has room to describe is refused: it needs 1/64 of "
	       "it, free and not movable.\n\n"
	       "All or nothing, as \"lockstep vcpus\".",
	.children = cli_wishing,
};

static int parse_wish(struct cli *cli, struct ls_err *err)
{
	struct wish *w = &cli->wish;
	bool sized = w->kind != WISH_DIMM_ADD && w->kind != WISH_DIMM_REMOVE;

	if (w->kind == WISH_VCPUS) /* no option has said otherwise */
		w->kind = WISH_MEMORY;
	if (w->backing[0] && w->kind != WISH_DIMM_ADD)
		return ls_err_set(err, -EINVAL, "--backend is for --add-dimm");
	if (!cli->daemon && wish_allowed(w, BACKING_FOLDERS, err) < 0)
		return -EPERM;
	if (cli->n_args > sized)
		return ls_err_set(err, -EINVAL, "memory: \"%s\" is too much", cli->args[sized]);
	if (!sized)
		return 0;
	if (!cli->n_args)
		return ls_err_set(err, -EINVAL,
				  "how much? the memory afterwards, e.g. 2G or 1536M");
	return cli_size(cli->args[0], err, &w->value);
}

static int run_memory(struct cli *cli)
{
	struct ls_err err;

	if (parse_wish(cli, &err) < 0)
		return cli_error(cli, XC_USAGE, &err);
	return cli_change(cli, &cli->wish);
}

const struct command cmd_memory = { "memory",
				    "set the size of the memory, or change one device of it",
				    &memory_argp, run_memory };
