/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AF_VSOCK without a hypervisor: the calls of the C library that matter are replaced in
 * the program that includes this, and a unix socket stands where a vsock was asked for.
 * What the code under test says and sees is vsock's: family, CID and port.
 */
#ifndef FAKE_VSOCK_H
#define FAKE_VSOCK_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

/**
 * struct fake_vsock - What the kernel of the test knows
 * @path:     the unix socket that stands for the port
 * @at:       what was bound or connected to last
 * @peer_cid: who is said to connect; set while the code under test may run
 * @none:     this kernel has no vsock
 * @error:    what connect() fails with, as a positive errno
 * @late:     the same, told when the connection is decided
 */
static struct fake_vsock {
	struct sockaddr_un path;
	struct sockaddr_vm at;
	unsigned peer_cid;
	bool none;
	int error;
	int late;
} fake_vsock;

static inline int fake_fails(int code)
{
	errno = code;
	return -1;
}

int socket(int domain, int type, int protocol)
{
	if (domain == AF_VSOCK && fake_vsock.none)
		return fake_fails(EAFNOSUPPORT);
	return (int)syscall(SYS_socket, domain == AF_VSOCK ? AF_UNIX : domain, type, protocol);
}

/* Whether an address is vsock's: then it is noted, and the unix socket's used instead. */
static bool fake_takes(const struct sockaddr **addr, socklen_t *len)
{
	if ((*addr)->sa_family != AF_VSOCK)
		return false;
	memcpy(&fake_vsock.at, *addr, sizeof(fake_vsock.at));
	*addr = (const struct sockaddr *)&fake_vsock.path;
	*len = sizeof(fake_vsock.path);
	return true;
}

int bind(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	const struct sockaddr *to = addr.__sockaddr__;

	fake_takes(&to, &len);
	return (int)syscall(SYS_bind, fd, to, len);
}

int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	const struct sockaddr *to = addr.__sockaddr__;

	if (fake_takes(&to, &len) && (fake_vsock.error || fake_vsock.late))
		return fake_fails(fake_vsock.error ? fake_vsock.error : EINPROGRESS);
	return (int)syscall(SYS_connect, fd, to, len);
}

int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	struct sockaddr_vm peer = { .svm_family = AF_VSOCK };

	(void)fd;
	peer.svm_cid = __atomic_load_n(&fake_vsock.peer_cid, __ATOMIC_SEQ_CST);
	memcpy(addr.__sockaddr__, &peer, *len < sizeof(peer) ? *len : sizeof(peer));
	*len = sizeof(peer);
	return 0;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int r = (int)syscall(SYS_getsockopt, fd, level, name, value, len);

	if (r == 0 && level == SOL_SOCKET && name == SO_ERROR && fake_vsock.late)
		memcpy(value, &fake_vsock.late, sizeof(fake_vsock.late));
	return r;
}

#endif
