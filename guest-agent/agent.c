/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep-agent: the guest's half of lockstep. Options, help, and where its log
 * goes; the rest is in run.c (see agent.h for the map).
 */
#include "agent.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>

#include "expedite.h"
#include "hooks.h"
#include "incli.h"
#include "local.h"
#include "sysfs.h"

#define DEFAULT_PORT  "/dev/virtio-ports/" LS_WIRE_CHANNEL
#define DEFAULT_STATE "/run/lockstep"

static int log_up_to = LOG_INFO;
static bool log_to_syslog;
static bool restore_only;

void log_sink(int priority, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (priority > log_up_to)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (log_to_syslog)
		syslog(priority, "%s", line);
	else
		fprintf(stderr, "lockstep-agent: %s\n", line);
}

static const char help[] =
	"Usage: lockstep-agent [OPTION]...\n"
	"       lockstep-agent [-t DIR] COMMAND\n"
	"\n"
	"Runs in a guest. Brings CPUs and memory blocks online and takes them offline for\n"
	"lockstep on the host, through the kernel's own device interface and under one\n"
	"hotplug lock; holds CPUs online during a live migration and restores them after it;\n"
	"finds and heals CPUs on which the driver core and the kernel disagree.\n"
	"\n"
	"  -m, --method METHOD  how the host reaches us:\n"
	"                         virtio-serial  a port of the guest (default)\n"
	"                         vsock-listen   a vsock port of the guest; only the host\n"
	"                                        (CID 2) is let in\n"
	"                         unix-listen    a socket in the guest\n"
	"  -p, --path PATH      of the port or socket; without udev the port is looked up\n"
	"                       by the last part of PATH. With vsock-listen: PORT or CID:PORT\n"
	"                       (default " DEFAULT_PORT ")\n"
	"  -t, --statedir DIR   keeps an open migration window over a restart of the agent,\n"
	"                       and the socket for the commands below;\n"
	"                       must not outlive a boot (default " DEFAULT_STATE ")\n"
	"      --local-group GROUP  the members of this group may use status, watch and doctor\n"
	"                       (without --fix), too; by default nobody but root\n"
	"      --hooks DIR      programs of the guest that are asked and told of every change\n"
	"                       (default " HOOKS_DIR "; see docs/hooks.md)\n"
	"      --hook-ms N      how long one of them may take (default 10000)\n"
	"      --guard MODE     what others' writes to the kernel's hotplug files meet while a\n"
	"                       transaction of lockstep has the hotplug lock:\n"
	"                         hold    they wait, and happen afterwards (default)\n"
	"                         refuse  EPERM at once\n"
	"                         watch   they happen, and the window's end honours them\n"
	"                         off     they happen, and nobody is watching\n"
	"      --guard-bound S  a write waits at most S seconds, then EPERM (default 150,\n"
	"                       at most 170: udev gives up at 180)\n"
	"      --expedite MODE  expedited RCU while two or more CPUs change, for at most 5 s:\n"
	"                         on       in guests that have no isolated, nohz_full or realtime\n"
	"                                  CPUs, and where nobody else has set it\n"
	"                         off      never (default)\n"
	"                         restore  only put back what an agent that was killed has left\n"
	"                                  set, and end: for what runs after the agent\n"
	"      --auto-online MODE  memory that the kernel brings online by itself:\n"
	"                         movable  as movable, so that it can be given back (default)\n"
	"                         keep     as the kernel is set to\n"
	"  -v, --verbose        log what is done, not only what is remarkable\n"
	"      --syslog         log to syslog instead of standard error\n"
	"      --sysfs DIR      use DIR instead of /sys: for tests\n"
	"  -V, --version        print the version and end\n"
	"  -h, --help           print this and end\n"
	"\n"
	"The host adds to the guest's QEMU:\n"
	"  -device virtio-serial -chardev socket,id=ls,path=/run/vm1.agent,server=on,wait=off\n"
	"  -device virtserialport,chardev=ls,name=" LS_WIRE_CHANNEL "\n"
	"and then `lockstep status --agent /run/vm1.agent ...` shows what the agent says.\n"
	"With vsock: -device vhost-vsock-pci,guest-cid=3 and --agent vsock:3:PORT\n"
	"\n"
	"SIGTERM ends it with status 0. An open window stays open: its lease goes on when\n"
	"the agent is started again.\n"
	"\n";

enum {
	OPT_SYSFS = 256,
	OPT_SYSLOG,
	OPT_HOOKS,
	OPT_HOOK_MS,
	OPT_GUARD,
	OPT_GUARD_BOUND,
	OPT_EXPEDITE,
	OPT_LOCAL_GROUP,
	OPT_AUTO_ONLINE,
};

static const struct option long_options[] = {
	{ "method", required_argument, NULL, 'm' },
	{ "path", required_argument, NULL, 'p' },
	{ "statedir", required_argument, NULL, 't' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "syslog", no_argument, NULL, OPT_SYSLOG },
	{ "sysfs", required_argument, NULL, OPT_SYSFS },
	{ "local-group", required_argument, NULL, OPT_LOCAL_GROUP },
	{ "hooks", required_argument, NULL, OPT_HOOKS },
	{ "hook-ms", required_argument, NULL, OPT_HOOK_MS },
	{ "guard", required_argument, NULL, OPT_GUARD },
	{ "guard-bound", required_argument, NULL, OPT_GUARD_BOUND },
	{ "expedite", required_argument, NULL, OPT_EXPEDITE },
	{ "auto-online", required_argument, NULL, OPT_AUTO_ONLINE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "lockstep-agent: %s%s\nTry 'lockstep-agent --help'.\n", why, what);
	return 2;
}

/* Each takes its option's argument. Return: -1 go on, else the exit status. */

static int take_group(const char *text, struct agent_options *opt)
{
	if (local_group(text, &opt->local_gid) < 0)
		return usage("--local-group: this guest has no group ", text);
	return -1;
}

static int take_hook_ms(const char *text, struct agent_options *opt)
{
	char *end;
	unsigned long ms = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || !ms || ms > HOOK_DEADLINE_MAX)
		return usage("--hook-ms takes a number from 1 to 600000, not ", text);
	opt->hook_ms = (unsigned)ms;
	return -1;
}

static int take_guard(const char *text, struct agent_options *opt)
{
	if (guard_mode_parse(text, &opt->guard) < 0)
		return usage("--guard is hold, refuse, watch or off, not ", text);
	return -1;
}

static int take_bound(const char *text, struct agent_options *opt)
{
	char *end;
	long s = strtol(text, &end, 10);

	if (end == text || *end || s < 1 || s > GUARD_BOUND_MAX_MS / 1000)
		return usage("--guard-bound is 1 to 170 seconds, not ", text);
	opt->guard_bound_ms = (unsigned)s * 1000;
	return -1;
}

static int take_expedite(const char *text, struct agent_options *opt)
{
	restore_only = !strcmp(text, "restore");
	opt->expedite = !strcmp(text, "on");
	if (!restore_only && !opt->expedite && strcmp(text, "off"))
		return usage("--expedite is on, off or restore, not ", text);
	return -1;
}

static int take_auto_online(const char *text, struct agent_options *opt)
{
	opt->auto_online_keep = !strcmp(text, "keep");
	if (!opt->auto_online_keep && strcmp(text, "movable"))
		return usage("--auto-online is movable or keep, not ", text);
	return -1;
}

/**
 * struct taker - An option with an argument
 * @c:    as getopt_long() returns it
 * @text: of struct agent_options, where it is kept as it is
 * @fn:   or takes it
 */
struct taker {
	int c;
	size_t text;
	int (*fn)(const char *text, struct agent_options *opt);
};

/* clang-format off */
#define TEXT(member) offsetof(struct agent_options, member), NULL
static const struct taker takers[] = {
	{ 'm',             TEXT(method) },
	{ 'p',             TEXT(path) },
	{ 't',             TEXT(state_dir) },
	{ OPT_SYSFS,       TEXT(sysfs_root) },
	{ OPT_HOOKS,       TEXT(hooks_dir) },
	{ OPT_HOOK_MS,     0, take_hook_ms },
	{ OPT_LOCAL_GROUP, 0, take_group },
	{ OPT_GUARD,       0, take_guard },
	{ OPT_GUARD_BOUND, 0, take_bound },
	{ OPT_EXPEDITE,    0, take_expedite },
	{ OPT_AUTO_ONLINE, 0, take_auto_online },
};
#undef TEXT
/* clang-format on */

static int take_argument(const struct taker *t, struct agent_options *opt)
{
	if (t->fn)
		return t->fn(optarg, opt);
	*(const char **)((char *)opt + t->text) = optarg;
	return -1;
}

/* Return: -1 go on, else the exit status. */
static int one_option(int c, struct agent_options *opt)
{
	size_t i;

	for (i = 0; i < sizeof(takers) / sizeof(takers[0]); i++)
		if (takers[i].c == c)
			return take_argument(&takers[i], opt);
	switch (c) {
	case 'v':
		log_up_to = LOG_DEBUG;
		return -1;
	case OPT_SYSLOG:
		log_to_syslog = true;
		return -1;
	case 'V':
		puts("lockstep-agent " LOCKSTEP_VERSION);
		return 0;
	case 'h':
		fputs(help, stdout);
		incli_help();
		return 0;
	default:
		fputs("Try 'lockstep-agent --help'.\n", stderr);
		return 2;
	}
}

static int check_options(struct agent_options *opt)
{
	bool port = !strcmp(opt->method, "virtio-serial");
	bool vsock = !strcmp(opt->method, "vsock-listen");

	if (!port && !vsock && strcmp(opt->method, "unix-listen"))
		return usage("no such method: ", opt->method);
	if (!opt->path && !port)
		return usage(opt->method,
			     vsock ? " needs a port: -p PORT" : " needs a path: -p PATH");
	if (!opt->path)
		opt->path = DEFAULT_PORT;
	return -1;
}

/* Before any thread is made: they inherit the mask, and the loop has a signalfd. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int run(const struct agent_options *opt)
{
	static struct agent agent;
	struct sysfs *sysfs = sysfs_new(opt->sysfs_root);
	struct ls_err err = { 0 };
	int r;

	if (!sysfs || agent_init(&agent, opt, sysfs, &err) < 0) {
		log_error("%s", sysfs ? err.text : "out of memory");
		return 1;
	}
	log_info("serving %s %s, state in %s", opt->method, opt->path, opt->state_dir);
	r = agent_run(&agent);
	if (agent_done(&agent) < 0)
		_exit(r < 0); /* a write is still in the kernel: nobody can wait for it */
	sysfs_free(sysfs);
	return r < 0;
}

static int restore(const struct agent_options *opt)
{
	struct sysfs *sysfs = sysfs_new(opt->sysfs_root);
	struct ls_err err = { 0 };
	int r = sysfs ? expedite_restore(sysfs, &err) : ls_err_set(&err, -ENOMEM, "out of memory");

	if (r < 0)
		log_error("rcu: still expedited: %s", err.text);
	else if (r == 0)
		log_info("rcu: put back to its usual pace");
	sysfs_free(sysfs);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct agent_options opt = { .method = "virtio-serial",
				     .state_dir = DEFAULT_STATE,
				     .hooks_dir = HOOKS_DIR,
				     .hook_ms = HOOK_DEADLINE_MS,
				     .local = true,
				     .signals = true,
				     .guard = GUARD_HOLD,
				     .sysfs_root = "/sys" };
	int c, r = -1;

	while (r < 0 && (c = getopt_long(argc, argv, "+m:p:t:vVh", long_options, NULL)) >= 0)
		r = one_option(c, &opt);
	if (r < 0 && restore_only)
		r = optind < argc ? usage("--expedite restore takes no command: ", argv[optind])
				  : restore(&opt);
	if (r < 0 && optind < argc)
		return (int)incli_run(argc - optind, argv + optind, opt.state_dir);
	if (r < 0)
		r = check_options(&opt);
	if (r >= 0)
		return r;
	block_signals();
	return run(&opt);
}
