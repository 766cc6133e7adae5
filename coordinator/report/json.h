/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What json-c leaves to write again and again.
 */
#ifndef COORDINATOR_JSON_H
#define COORDINATOR_JSON_H

#include <stdint.h>

struct json_object;

void json_add_str(struct json_object *o, const char *key, const char *value);
void json_add_num(struct json_object *o, const char *key, uint64_t value);

/* One line on standard output; @o is consumed. */
void json_print(struct json_object *o);

#endif
