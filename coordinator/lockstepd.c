/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstepd: options, signals, systemd and the log. The daemon itself is daemon.h.
 */
#include "daemon/daemon.h"

#include <argp.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include <lockstep/log.h>
#include <qmp.h>
#include <systemd/sd-daemon.h>

#include "daemon/ctl.h"
#include "daemon/daemon_log.h"
#include "daemon/files.h"
#include "cli/session.h"
#include "cli/tell.h"
#include "report/words.h"

#define LOG_BYTES 1024

/* A block of this size is given back to the kernel as soon as it is free: large messages and
 * records come and go, and what they took would stay where one guest has had many. */
#define LARGE_BYTES (64 * 1024)

/* ---- the log ------------------------------------------------------------------- */

/* What is about a guest comes through log_about(). */
void log_sink(int priority, const char *fmt, ...)
{
	char line[LOG_BYTES];
	va_list ap;

	if (priority > LOG_INFO && !getenv("LOCKSTEP_DEBUG"))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (log_journal(priority, NULL, line))
		return;
	fputs("lockstepd: ", stderr);
	words_put(stderr, line); /* it may have words of a guest's */
	fputc('\n', stderr);
}

/* ---- stopping and reloading ------------------------------------------------------- */

static int on_late(sd_event_source *s, uint64_t now, void *arg)
{
	struct daemon *d = arg;

	(void)s, (void)now;
	log_warning("%u transactions have not ended in time: they are left to the journal",
		    daemon_busy(d));
	return sd_event_exit(d->loop, 0);
}

/* After each turn of the loop: whether the last one has ended. */
static int on_turn(sd_event_source *s, void *arg)
{
	struct daemon *d = arg;

	(void)s;
	return daemon_busy(d) ? 0 : sd_event_exit(d->loop, 0);
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct daemon *d = arg;

	(void)s, (void)si;
	if (d->stopping)
		return 0;
	d->stopping = true;
	sd_notify(0, "STOPPING=1");
	log_info("stopping; %u transactions run", daemon_busy(d));
	for (unsigned i = 0; i < d->n_lanes; i++)
		lane_close(d->lanes[i]);
	sd_event_add_time_relative(d->loop, NULL, CLOCK_MONOTONIC,
				   (uint64_t)d->config.stop_ms * 1000, 0, on_late, d);
	sd_event_add_post(d->loop, NULL, on_turn, d);
	return on_turn(NULL, d); /* there may be no other turn for long */
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct daemon *d = arg;
	struct ls_err err;

	(void)s, (void)si;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)qmp_now_ms() * 1000);
	if (daemon_load(d, false, &err) < 0)
		log_error("reload: %s; everything stays as it was", err.text);
	else
		log_info("reloaded: %u guests", d->n_lanes);
	sd_notify(0, "READY=1");
	return 0;
}

static void watch_signals(struct daemon *d)
{
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sigaddset(&set, all[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sd_event_add_signal(d->loop, NULL, SIGTERM, on_stop, d);
	sd_event_add_signal(d->loop, NULL, SIGINT, on_stop, d);
	sd_event_add_signal(d->loop, NULL, SIGHUP, on_reload, d);
}

/* ---- starting ------------------------------------------------------------------------ */

static int start(struct daemon *d, const char *socket, struct ls_err *err)
{
	int fds[4], n = sd_listen_fds(1), r;

	for (int i = 0; i < n && i < 4; i++)
		fds[i] = SD_LISTEN_FDS_START + i;
	files_raise();
	watch_signals(d);
	r = ctl_new(d, fds, n > 0 ? (unsigned)n : 0, socket, err);
	if (r >= 0)
		r = daemon_load(d, false, err);
	if (r < 0)
		return r;
	sd_event_set_watchdog(d->loop, 1);
	sd_notify(0, "READY=1");
	log_info("ready: %u guests, socket %s", d->n_lanes, n > 0 ? "by systemd" : socket);
	return 0;
}

static int run(struct daemon *d, const char *socket)
{
	struct ls_err err = { 0 };
	int r = sd_event_default(&d->loop);

	if (r >= 0)
		r = start(d, socket, &err);
	if (r < 0)
		log_error("%s", err.code ? err.text : strerror(-r));
	else
		r = sd_event_loop(d->loop);
	daemon_done(d);
	ctl_free(d->ctl);
	sd_event_unref(d->loop);
	return r < 0 ? XC_USAGE : XC_OK;
}

/* ---- options ------------------------------------------------------------------------- */

/**
 * struct options - The command line
 * @check: only look for mistakes
 */
struct options {
	struct daemon d;
	const char *socket;
	bool check;
};

/* clang-format off */
static const struct argp_option option_table[] = {
	{ "config", 'c', "FILE", 0, "configuration (default: " CONFIG_FILE ", if it is there)", 0 },
	{ "guests", 'd', "DIR",  0, "guests (default: $LOCKSTEP_GUESTS_D, " GUESTS_DIR ")", 0 },
	{ "socket", 's', "PATH", 0, "control socket (default: $" DAEMON_SOCKET_ENV ", " DAEMON_SOCKET
	                            "); systemd's has precedence", 0 },
	{ "state",  'S', "DIR",  0, "what outlives lockstepd (default: $STATE_DIRECTORY, "
	                            DAEMON_STATE ")", 0 },
	{ "check",  'C', NULL,   0, "read the configuration and the guests, name the first mistake, end", 0 },
	{ 0 }
};
/* clang-format on */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'c':
		o->d.config_path = arg;
		return 0;
	case 'd':
		o->d.guests_dir = arg;
		return 0;
	case 's':
		o->socket = arg;
		return 0;
	case 'S':
		o->d.state_dir = arg;
		return 0;
	case 'C':
		o->check = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.doc = "The coordinator for all guests of a host.\v"
	       "Holds the claim and the connections of each guest, takes requests on its control "
	       "socket (\"lockstep\" does so by itself where the daemon knows the guest), and ends "
	       "what a lockstep that was killed has left. SIGHUP reads configuration and guests "
	       "again.",
};

static const char *env_or(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && value[0] ? value : otherwise;
}

/* What lane_life.c starts: one recovery, as "lockstep recover" does it, told in our log. */
static int recover(char **argv)
{
	struct cli cli = { .watcher = -1 };
	struct run_ops ops;
	struct session s;
	int code;

	snprintf(cli.guest.name, sizeof(cli.guest.name), "%s", argv[0]);
	snprintf(cli.guest.qmp, sizeof(cli.guest.qmp), "%s", argv[1]);
	snprintf(cli.guest.agent, sizeof(cli.guest.agent), "%s", argv[2]);
	tell_ops(&cli, &ops);
	code = session_open(&s, &cli, SESSION_RECOVER, NULL, &ops);
	session_close(&s);
	return code;
}

int main(int argc, char **argv)
{
	struct options o = {
		.d = { .config_path = CONFIG_FILE,
		       .guests_dir = env_or("LOCKSTEP_GUESTS_D", GUESTS_DIR),
		       .state_dir = env_or("STATE_DIRECTORY", DAEMON_STATE) },
		.socket = env_or(DAEMON_SOCKET_ENV, DAEMON_SOCKET),
	};
	struct ls_err err;
	int n;

	if (argc == 5 && !strcmp(argv[1], "--recover"))
		return recover(argv + 2);
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* a line, not a character, is a write */
	argp_err_exit_status = XC_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (!o.check)
		return run(&o.d, o.socket);
	n = daemon_load(&o.d, true, &err);
	if (n < 0)
		fprintf(stderr, "lockstepd: %s\n", err.text);
	else
		printf("lockstepd: no mistake in the configuration, and none in %d guest%s\n", n,
		       n == 1 ? "" : "s");
	return n < 0 ? XC_USAGE : XC_OK;
}
