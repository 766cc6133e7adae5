/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening for the host on a vsock port.
 */
#include "vsock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/vsock.h>

#include "agent.h"

static int who_is(const struct listener *l, int fd)
{
	struct sockaddr_vm peer = { .svm_cid = VMADDR_CID_ANY };
	socklen_t len = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && len >= sizeof(peer) &&
	    peer.svm_cid == VMADDR_CID_HOST)
		return CLIENT_HOST;
	log_warning("%s: CID %u is not the host and is turned away", l->path, peer.svm_cid);
	return -EACCES;
}

static int listen_at(const struct sockaddr_vm *at)
{
	ls_autoclose int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ||
	    listen(fd, AGENT_CLIENTS_MAX) < 0)
		return -errno;
	return ls_steal_fd(&fd);
}

static const char *advice(int code)
{
	switch (-code) {
	case EAFNOSUPPORT:
		return "; try: modprobe vmw_vsock_virtio_transport";
	case EADDRNOTAVAIL:
		return ": this guest has another CID; give only the port";
	default:
		return "";
	}
}

int vsock_open(struct agent *a, const char *where, struct ls_err *err)
{
	ls_autoclose int fd = -1;
	struct sockaddr_vm at;
	char name[48];
	int r;

	if (ls_vsock_parse(where, &at) < 0)
		return ls_err_set(err, -EINVAL, "vsock %s: PORT or CID:PORT is meant, in numbers",
				  where);
	snprintf(name, sizeof(name), "vsock %s", where);
	fd = listen_at(&at);
	r = fd < 0 ? fd : listen_on(&a->listener, a, fd, name, who_is);
	if (r < 0)
		return ls_err_set(err, r, "%s: %s%s", name, strerror(-r), advice(r));
	ls_steal_fd(&fd);
	return 0;
}
