/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses of AF_VSOCK as people write them, for both ends.
 */
#ifndef LOCKSTEP_VSOCK_H
#define LOCKSTEP_VSOCK_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

/* A decimal number up to the last but one: the last means "any" in both fields. */
static inline int ls_vsock_number(const char *text, size_t len, uint32_t *ret)
{
	uint64_t n = 0;

	if (!len || len > 10 || strspn(text, "0123456789") < len)
		return -EINVAL;
	while (len--)
		n = n * 10 + (uint64_t)(*text++ - '0');
	if (n >= VMADDR_CID_ANY)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

/**
 * ls_vsock_parse() - "CID:PORT" or "PORT"
 * @text:     e.g. "3:1024"
 * @ret_addr: its CID is VMADDR_CID_ANY if none was given
 *
 * Return: 0, -EINVAL (no decimal numbers, port 0, out of range).
 */
static inline int ls_vsock_parse(const char *text, struct sockaddr_vm *ret_addr)
{
	const char *colon = strchr(text, ':'), *port = colon ? colon + 1 : text;
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };

	if (colon && ls_vsock_number(text, (size_t)(colon - text), &addr.svm_cid) < 0)
		return -EINVAL;
	if (ls_vsock_number(port, strlen(port), &addr.svm_port) < 0 || !addr.svm_port)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

#endif
