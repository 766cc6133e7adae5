/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `harness run`: many scenarios, a few at a time, as TAP.
 */
#ifndef HARNESS_REPORT_H
#define HARNESS_REPORT_H

/* Each gets the words after its own name and returns an exit status. */
int run_main(int argc, char **argv, const char *build);
int check_main(int argc, char **argv, const char *build);
int words_main(int argc, char **argv, const char *build);

#endif
