/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a client reaches a server: a descriptor to read and write, and one to poll.
 */
#ifndef QMP_TRANSPORT_H
#define QMP_TRANSPORT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <lockstep/err.h>

struct addrinfo;
struct ssh;

/**
 * struct transport - One connection, perhaps still on its way
 * @sock:     the connected or connecting descriptor, -1 while there is none
 * @set:      an epoll set around everything that must be watched (tcp, vsock, ssh), so
 *            that the user's descriptor stays the same while attempts change; -1
 *            where @sock is all there is
 * @socket:   @sock is a socket, not a character device: send() and recv() work
 * @vsock:    it goes to a guest by AF_VSOCK
 * @pending:  not connected yet
 * @want_out: bytes are waiting to be written
 * @hosts:    tcp: all addresses of the name; @host: the one being tried
 * @ssh:      the helper program, or NULL
 */
struct transport {
	int sock;
	int set;
	bool socket;
	bool vsock;
	bool pending;
	bool want_out;
	struct addrinfo *hosts, *host;
	struct ssh *ssh;
};

/**
 * transport_open() - Begin to connect
 * @t:           to be set up; on failure there is nothing to close
 * @address:     as in qmp_open()
 * @may_block:   a full accept queue is waited for until @deadline_ms
 * @deadline_ms: 0 waits for ever
 * @err:         names the address
 *
 * Return: 0, -EINVAL, -ENOENT, -EACCES, -ECONNREFUSED, -EBUSY (accept queue full),
 *         another -errno of connect().
 */
int transport_open(struct transport *t, const char *address, bool may_block, uint64_t deadline_ms,
		   struct ls_err *err);

/* Go on connecting: 1 connected, 0 not yet, -errno. */
int transport_step(struct transport *t, struct ls_err *err);

/* What to poll, and for what. */
int transport_fd(const struct transport *t);
short transport_events(const struct transport *t);
void transport_want_out(struct transport *t, bool want);

/* As read() and write(), but -errno; -EAGAIN when it would block; never SIGPIPE. */
ssize_t transport_read(struct transport *t, void *buf, size_t len);
ssize_t transport_write(struct transport *t, const void *buf, size_t len);

/* What a helper program has said so far, or ""; to be called once per turn of the loop. */
const char *transport_said(struct transport *t);
void transport_close(struct transport *t);

/* The same two for a bare descriptor; used by the server half, too. */
ssize_t fd_read(int fd, bool socket, void *buf, size_t len);
ssize_t fd_write(int fd, bool socket, const void *buf, size_t len);
bool fd_is_socket(int fd);

/* Non-blocking and close-on-exec: 0 or -errno. */
int fd_prepare(int fd);

/* Connect a new unix socket: the descriptor or -errno; see transport_open(). */
int unix_connect(const char *path, bool may_block, uint64_t deadline_ms);

#endif
