/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope-bound release of memory, descriptors and locks.
 *
 *	ls_autofree char *name = NULL;
 *	ls_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	ls_guard(&vm->lock);                      held to the end of the block
 *	...
 *	*ret_fd = ls_steal_fd(&fd);               success hands ownership out
 */
#ifndef LOCKSTEP_CLEANUP_H
#define LOCKSTEP_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define ls_cleanup(fn) __attribute__((cleanup(fn)))

static inline void ls_freep(void *p)
{
	free(*(void **)p);
}

static inline void ls_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

#define ls_autofree  ls_cleanup(ls_freep)
#define ls_autoclose ls_cleanup(ls_closep)

static inline int ls_steal_fd(int *fd)
{
	int was = *fd;

	*fd = -1;
	return was;
}

#define ls_steal_ptr(pp)                                                                           \
	({                                                                                         \
		__typeof__(*(pp)) ls_was = *(pp);                                                  \
		*(pp) = NULL;                                                                      \
		ls_was;                                                                            \
	})

static inline pthread_mutex_t *ls_lock(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

static inline void ls_unlockp(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

#define LS_PASTE_(a, b) a##b
#define LS_PASTE(a, b)	LS_PASTE_(a, b)

/* Take a mutex until the end of the enclosing block. */
#define ls_guard(m)                                                                                \
	ls_cleanup(ls_unlockp) pthread_mutex_t *LS_PASTE(ls_guard_, __LINE__)                      \
		__attribute__((unused)) = ls_lock(m)

#endif
