/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What client and server need of the framer beside qmp.h: reading a descriptor
 * straight into it, and the length of what came out.
 */
#ifndef QMP_FRAME_H
#define QMP_FRAME_H

#include <qmp.h>

/* Room for @len bytes from the peer, NULL when out of memory; then framer_added(). */
char *framer_reserve(struct qmp_framer *f, size_t len);
void framer_added(struct qmp_framer *f, size_t len);

/* Length of the value that qmp_framer_next() gave last, as it was sent. */
size_t framer_value_bytes(const struct qmp_framer *f);

/* Bytes are left that qmp_framer_next() has not seen: calling it makes sense. */
bool framer_has_unseen(const struct qmp_framer *f);

#endif
