/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening to kernel uevents over netlink.
 */
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

int uevent_drain(int fd)
{
	char buf[UEVENT_BYTES];
	int matters = 0;
	ssize_t n;

	for (;;) {
		n = receive(fd, buf, sizeof(buf));
		if (n == -EAGAIN)
			return matters;
		if (n == -ENOBUFS)
			matters = 1;
		else if (n < 0 && n != -EINTR)
			return (int)n;
		else if (n > 0 && uevent_matters(buf, (size_t)n))
			matters = 1;
	}
}
