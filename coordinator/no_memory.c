/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where there is no memory the program ends.
 *
 * json-c leaves out what it finds no room for, a member or a piece of a text, and says
 * nothing. A DIMM without its node, a record without its text: that is worse than no request.
 * So no allocation of lockstep and lockstepd fails, in none of their libraries. The program
 * ends, and whoever comes next makes good what it was at, as after any other death.
 *
 * By "Replacing malloc" of glibc's manual; what is called is the next one, so that a test can
 * stand there. Not in libqmp, which is its user's to decide about.
 */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they have their own */

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *or_end(void *p, size_t size)
{
	static const char text[] = "no memory: what is under way is left to the next start\n";

	if (p || !size)
		return p;
	/* Whether anybody reads it or not, it ends. */
	(void)!write(STDERR_FILENO, text, strlen(text));
	abort();
}

/* Of libc, which allocates nothing when it finds a symbol. */
static void *next(const char *name)
{
	return or_end(dlsym(RTLD_NEXT, name), 1);
}

void *malloc(size_t size)
{
	static void *(*real)(size_t size);

	if (!real)
		real = next("malloc");
	return or_end(real(size), size);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved */
void *calloc(size_t n, size_t size)
{
	static void *(*real)(size_t n, size_t size);

	if (!real)
		real = next("calloc");
	return or_end(real(n, size), n && size);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved */
void *realloc(void *p, size_t size)
{
	static void *(*real)(void *p, size_t size);

	if (!real)
		real = next("realloc");
	return or_end(real(p, size), size);
}

#endif
