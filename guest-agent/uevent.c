/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening to kernel uevents over netlink.
 */
#include "uevent.h"

#include <ctype.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "announced.h"

#define KERNEL_GROUP  1
#define UEVENT_BYTES  8192	   /* a kernel uevent is at most 2 KiB of environment */
#define RECEIVE_BYTES (256 * 1024) /* a DIMM of 16 GiB is 128 events at once */

int uevent_open(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);
	int bytes = RECEIVE_BYTES, r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

bool uevent_matters(const char *msg, size_t len)
{
	const char *end = msg + len, *s;

	for (s = msg; s < end; s += strnlen(s, (size_t)(end - s)) + 1) {
		size_t left = (size_t)(end - s);

		if (strnlen(s, left) == left)
			return false; /* cut short */
		if (!strcmp(s, "SUBSYSTEM=cpu") || !strcmp(s, "SUBSYSTEM=memory"))
			return true;
	}
	return false;
}

static const char *after(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s && !strncmp(s, prefix, len) ? s + len : NULL;
}

/* "online@/devices/system/cpu/cpu3": its number, or -1. */
static int changed_cpu(const char *head)
{
	const char *s = after(head, "online@");
	char *end;
	long cpu;

	s = after(s ? s : after(head, "offline@"), "/devices/system/cpu/cpu");
	if (!s || !isdigit((unsigned char)*s))
		return -1;
	cpu = strtol(s, &end, 10);
	return *end || cpu >= LS_CPUS_MAX ? -1 : (int)cpu;
}

/* Who writes "online" to a file uevent makes the kernel say so, and changes nothing. */
int uevent_cpu(const char *msg, size_t len)
{
	const char *end = msg + len, *s;

	if (!len || msg[len - 1])
		return -1;
	for (s = msg; s < end; s += strlen(s) + 1)
		if (after(s, "SYNTH_UUID="))
			return -1;
	return changed_cpu(msg);
}

/* A message from another process is no uevent: the kernel's port is 0. */
static ssize_t receive(int fd, char *buf, size_t size)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { buf, size };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1
	};
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0)
		return -errno;
	return from.nl_pid ? 0 : n;
}

static bool heed(const char *msg, size_t len, struct announced *announced)
{
	int cpu = uevent_cpu(msg, len);

	if (cpu >= 0)
		announced_add(announced, cpu);
	return uevent_matters(msg, len);
}

int uevent_drain(int fd, struct announced *announced)
{
	char buf[UEVENT_BYTES];
	int matters = 0;
	ssize_t n;

	for (;;) {
		n = receive(fd, buf, sizeof(buf));
		if (n == -EAGAIN)
			return matters;
		if (n < 0 && n != -ENOBUFS && n != -EINTR)
			return (int)n;
		if (n == -ENOBUFS)
			announced_add(announced, -1);
		if (n == -ENOBUFS || (n > 0 && heed(buf, (size_t)n, announced)))
			matters = 1;
	}
}
