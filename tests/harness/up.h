/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests by hand: `harness up`, `harness console`, `harness warm`.
 */
#ifndef HARNESS_UP_H
#define HARNESS_UP_H

/* Each gets the words after its own name and returns an exit status. */
int up_main(int argc, char **argv, const char *build);
int console_main(int argc, char **argv, const char *build);
int warm_main(int argc, char **argv, const char *build);

#endif
