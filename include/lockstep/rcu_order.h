/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What liburcu orders, said to ThreadSanitizer: it does not see the order that
 * membarrier(2) and inline assembly make. A reader comes after the publishing of
 * what it reads; a grace period's end comes after the readers before it.
 *
 * Otherwise read sections are inline, which liburcu allows to LGPL code.
 */
#ifndef LOCKSTEP_RCU_ORDER_H
#define LOCKSTEP_RCU_ORDER_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define rcu_order_after(p)  __tsan_acquire(p)
#define rcu_order_before(p) __tsan_release(p)
#else
#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE
#endif
#define rcu_order_after(p)  (void)(p)
#define rcu_order_before(p) (void)(p)
#endif

#endif
