/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope-bound ownership. Declare with the attribute, initialise (NULL or -1), hand over with TAKE_PTR/TAKE_FD.
 *
 *	CLEANUP_FREE char *name = NULL;
 *	CLEANUP_FD int fd = -1;
 *	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;	  -- with DEFINE_CLEANUP(struct snapshot *, snapshot_unref)
 */
#ifndef OFFKUBE_BASE_CLEANUP_H
#define OFFKUBE_BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines <fn>p(T *p), which calls fn(*p) unless *p is NULL. T is a pointer type. */
#define DEFINE_CLEANUP(T, fn)          \
	static inline void fn##p(T *p) \
	{                              \
		if (*p)                \
			fn(*p);        \
	}                              \
	struct swallow_semicolon

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing sensible can be done */
	errno = saved;
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* writers check fclose themselves and set NULL */
}

#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD CLEANUP(cleanup_fd)
#define CLEANUP_FILE CLEANUP(cleanup_file)

#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#endif
