/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs that change devices, for the table of all verbs.
 */
#ifndef AGENT_OPS_H
#define AGENT_OPS_H

struct json_object;
struct qmp_call;

void ops_cpu_online(struct qmp_call *call, struct json_object *args, void *arg);
void ops_cpu_offline(struct qmp_call *call, struct json_object *args, void *arg);
void ops_memory_online(struct qmp_call *call, struct json_object *args, void *arg);
void ops_memory_offline(struct qmp_call *call, struct json_object *args, void *arg);

#endif
