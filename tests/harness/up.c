/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Start guests for a person at a terminal, and talk to their consoles. */
#include "up.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "lab.h"
#include "super.h"

#define UP_GUESTS_MAX 8
#define WARM_TRIES    5 /* boots and warm starts, in turn */

static int up_fail(const struct ls_err *err)
{
	fprintf(stderr, "harness: %s\n", err->text);
	return 1;
}

/* Writes DIR/guests.d/NAME.conf, so that lockstep knows the guest by its name. */
static int up_conf(const struct guest *g, struct ls_err *err)
{
	char path[LS_PATH_BYTES + 128];
	FILE *conf;

	snprintf(path, sizeof(path), "%s/guests.d", g->lab->dir);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/guests.d/%s.conf", g->lab->dir, g->name);
	conf = fopen(path, "we");
	if (!conf)
		return ls_err_set(err, -errno, "%s: %s", path, strerror(errno));
	fprintf(conf, "[guest]\nqmp = unix:%s\n", g->paths.qmp);
	if (strcmp(g->config.agent, "none") != 0)
		fprintf(conf, "agent = unix:%s\n", g->paths.agent);
	fclose(conf);
	return 0;
}

/* Our console and monitor are let go: `harness console` wants them. */
static int up_start(struct guest *g, struct ls_err *err)
{
	int r = guest_start(g, err);

	if (r == 0)
		r = up_conf(g, err);
	if (r < 0)
		return r;
	console_close(g->console);
	peer_close(g->peer);
	g->console = NULL;
	g->peer = NULL;
	printf("%s: up in %u ms, qemu is process %d\n", g->name, g->took_ms, (int)g->proc->pid);
	printf("  lockstep's monitor   %s\n", g->paths.qmp);
	printf("  second monitor       %s\n", g->paths.peer);
	printf("  agent's port         %s\n", g->paths.agent);
	printf("  serial console       %s\n", g->paths.con);
	fflush(stdout);
	return 0;
}

/* Guest settings end at "--", which begins those of the next guest. */
static int up_settings(struct guest_config *c, int argc, char **argv, struct ls_err *err)
{
	int i;

	guest_config_init(c);
	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (guest_config_set(c, argv[i], err) < 0)
			return -EINVAL;
	return i;
}

static bool up_any(void *arg)
{
	struct guest **guests = arg;

	for (int i = 0; guests[i]; i++)
		if (guest_alive(guests[i]))
			return false;
	return true;
}

int up_main(int argc, char **argv, const char *build)
{
	struct guest *guests[UP_GUESTS_MAX + 1] = { 0 };
	struct guest_config config;
	struct ls_err err;
	struct lab lab;
	int n = 0;

	if (argc < 2 || strcmp(argv[0], "--dir") != 0) {
		fprintf(stderr,
			"usage: harness up --dir DIR [SETTING ...] [-- SETTING ...]\n"
			"Starts guest g1 (and after each \"--\" g2, g3 ...) in DIR; ends with "
			"them.\n%s",
			guest_config_help());
		return 2;
	}
	mkdir(argv[1], 0777);
	if (lab_build_guest(build, NULL, &err) < 0 || lab_init(&lab, argv[1], build, &err) < 0)
		return up_fail(&err);
	for (int at = 2; n == 0 || at < argc; n++) {
		int used = up_settings(&config, argc - at, argv + at, &err);
		char name[16];

		snprintf(name, sizeof(name), "g%d", n + 1);
		if (n == UP_GUESTS_MAX || used < 0 ||
		    guest_new(&lab, name, &config, &err, &guests[n]) < 0 ||
		    up_start(guests[n], &err) < 0)
			return up_fail(&err);
		at += used + 1;
	}
	/* No deadline: these guests are somebody's, until a signal or their own end. */
	pump_until(&lab.pump, up_any, guests, UINT64_MAX);
	for (int i = 0; i < n; i++)
		guest_free(guests[i]);
	return 0;
}

/* One start; returns its time in ms, or -errno. */
static int warm_start(struct lab *lab, const char *name, bool cold, struct ls_err *err)
{
	struct guest_config config;
	struct guest *g;
	int r;

	guest_config_init(&config);
	strcpy(config.agent, "none");
	config.cold = cold;
	r = guest_new(lab, name, &config, err, &g);
	if (r < 0)
		return r;
	r = guest_start(g, err);
	if (r == 0)
		r = (int)g->took_ms;
	guest_free(g);
	return r;
}

static int warm_job(const char *dir, int report, void *arg)
{
	struct ls_err err;
	struct lab lab;

	(void)report;
	if (lab_init(&lab, dir, arg, &err) < 0)
		return up_fail(&err);
	for (int i = 0; i < 2 * WARM_TRIES; i++) {
		bool cold = i % 2 == 0;
		int ms = warm_start(&lab, "timed", cold, &err);

		if (ms < 0)
			return up_fail(&err);
		printf("%s %4d ms\n", cold ? "boot      " : "warm start", ms);
		fflush(stdout);
	}
	return 0;
}

int warm_main(int argc, char **argv, const char *build)
{
	struct ls_err err;
	struct super job;

	(void)argc;
	(void)argv;
	if (lab_build_guest(build, NULL, &err) < 0 ||
	    super_start(warm_job, (void *)build, NULL, &err, &job) < 0)
		return up_fail(&err);
	return super_wait(&job);
}

int console_main(int argc, char **argv, const char *build)
{
	ls_autofree char *output = NULL;
	struct console *console;
	struct pump pump = { 0 };
	struct ls_err err;
	char path[512];
	int status;

	(void)build;
	if (argc != 3) {
		fprintf(stderr, "usage: harness console DIR GUEST 'COMMAND'\n"
				"Runs a shell command in a guest of `harness up`.\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/%s.con", argv[0], argv[1]);
	if (console_open(&pump, path, &err, &console) < 0)
		return up_fail(&err);
	status = console_run(console, argv[2], qmp_now_ms() + LAB_ASK_MS, &err, &output);
	console_close(console);
	if (status < 0)
		return up_fail(&err);
	if (*output)
		puts(output);
	return status;
}
