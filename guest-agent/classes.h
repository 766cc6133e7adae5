/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An error that already knows the class it has on the wire.
 */
#ifndef AGENT_CLASSES_H
#define AGENT_CLASSES_H

#include <lockstep/err.h>

/* With one of the LS_CLASS_... of wire.h; NULL for QEMU's GenericError. */
#define class_set ls_err_class

#endif
