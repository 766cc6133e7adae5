/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process behind a monitor, and the one proof of its death that counts.
 *
 * A closed socket proves nothing: a QEMU may have dropped us and go on running its
 * guest. Dead is a QEMU whose process was seen to end (a pidfd, or its absence from
 * the host and pid namespace that a record names) and to which there is no connection
 * either: where somebody else opened the socket for it, the process known to us is his.
 */
#include "hv_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void settle(struct hv *hv)
{
	if (!hv->ended || hv->gone || hv->monitor.q)
		return;
	hv->gone = true;
	hv->listener.hint(hv->listener.arg, "QEMU has ended");
}

static int on_process_end(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct hv *hv = arg;

	(void)fd, (void)revents;
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	hv->ended = true;
	settle(hv);
	return 0;
}

void process_monitor_lost(struct hv *hv)
{
	settle(hv);
}

static void watch(struct hv *hv, int pid)
{
	hv->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (hv->pidfd < 0)
		return;
	hv->pid = pid;
	sd_event_add_io(hv->loop, &hv->pid_source, hv->pidfd, EPOLLIN, on_process_end, hv);
}

int process_connected(struct hv *hv, struct ls_err *err)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (getsockopt(qmp_fd(hv->monitor.q), SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    cred.pid <= 0)
		return 0; /* tcp, ssh: no process of this host to watch */
	if (hv->ended || (hv->pid && hv->pid != cred.pid))
		return ls_err_set(err, -ESHUTDOWN,
				  "%s: another QEMU (process %d) answers where process %d did",
				  hv->monitor.address, (int)cred.pid, hv->pid);
	if (!hv->pid)
		watch(hv, cred.pid);
	return 0;
}

/* ---- the name of a process --------------------------------------------- */

static void read_line(const char *path, char *buf, size_t len)
{
	ls_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, len - 1);

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/* Field 22 of /proc/PID/stat, behind a command that may hold anything; 0: no such process. */
static unsigned long long start_time(int pid)
{
	unsigned long long start = 0;
	char path[32], stat[1024], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	read_line(path, stat, sizeof(stat));
	at = strrchr(stat, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		sscanf(at, "%llu", &start);
	return start;
}

/* "BOOT:NAMESPACE": where a process number means something. */
static void where(char *buf, size_t len)
{
	struct stat ns = { 0 };
	char boot[64];

	read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	stat("/proc/self/ns/pid", &ns);
	snprintf(buf, len, "%s:%lu", boot, (unsigned long)ns.st_ino);
}

void hv_process(const struct hv *hv, char *ret_name, size_t len)
{
	char here[100];

	ret_name[0] = '\0';
	if (!hv->pid)
		return;
	where(here, sizeof(here));
	snprintf(ret_name, len, "%s:%d:%llu", here, hv->pid, start_time(hv->pid));
}

void hv_expect_process(struct hv *hv, const char *name)
{
	char here[100];
	size_t n;
	unsigned long long start;
	int pid;

	where(here, sizeof(here));
	n = strlen(here);
	if (hv->pid || strncmp(name, here, n) || sscanf(name + n, ":%d:%llu", &pid, &start) != 2 ||
	    pid <= 0)
		return; /* of another host, another namespace, or not known: nothing is proven */
	hv->pid = pid;
	if (start_time(pid) == start)
		watch(hv, pid);
	else
		hv->ended = true;
	settle(hv);
}

void hv_presume_gone(struct hv *hv)
{
	conn_drop(&hv->monitor);
	conn_drop(&hv->agent);
	hv->ended = hv->gone = true;
}
