/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors: reading and writing without blocking and without SIGPIPE, and the
 * connect() of a unix socket; and the clock that deadlines are on.
 */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <qmp.h>

uint64_t qmp_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

ssize_t fd_read(int fd, bool socket, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = socket ? recv(fd, buf, len, MSG_DONTWAIT) : read(fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/*
 * write() is for character devices, such as a virtio-serial port in a guest: they
 * know no SIGPIPE, and neither does a descriptor that can be read as well.
 */
ssize_t fd_write(int fd, bool socket, const void *buf, size_t len)
{
	ssize_t n;

	do {
		n = socket ? send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

bool fd_is_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

int fd_prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/*
 * A unix socket whose accept queue is full cannot be polled for room; a blocking
 * connect() with a send timeout is the only way to wait for it.
 */
static int connect_waiting(int fd, const struct sockaddr_un *sun, uint64_t deadline_ms)
{
	uint64_t now = qmp_now_ms(), left = deadline_ms > now ? deadline_ms - now : 1;
	struct timeval tv = { left / 1000, left % 1000 * 1000 };
	int r;

	if (deadline_ms && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? -errno : 0;
	return r < 0 ? r : fd_prepare(fd);
}

int unix_connect(const char *path, bool may_block, uint64_t deadline_ms)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	ls_autoclose int fd = -1;
	int r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	if (r == -EAGAIN && may_block)
		r = connect_waiting(fd, &sun, deadline_ms);
	return r < 0 ? r : ls_steal_fd(&fd);
}
