/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saved running guests: a guest is booted once for each set of settings; later
 * starts load it in a tenth of the time.
 */
#ifndef HARNESS_WARM_H
#define HARNESS_WARM_H

#include "lab.h"

#define WARM_PATH_BYTES 640

/**
 * warm_image() - The saved guest with these settings; makes it if there is none
 * @g:        settings; need not be running
 * @err:      why not
 * @ret_path: file for guest_resume()
 *
 * Context: several processes may ask for the same one: one makes it.
 * Return:  0, 1 it was made now (@g->boot_ms says how long its boot took), or -errno.
 */
int warm_image(struct guest *g, struct ls_err *err, char ret_path[WARM_PATH_BYTES]);

#endif
