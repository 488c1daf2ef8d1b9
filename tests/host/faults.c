/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct faults faults;

void faults_reset(void)
{
	memset(&faults, 0, sizeof(faults));
	faults.times = -1;
	faults.glance_error = EAGAIN;
}

/* Several threads may ask at once: each time is one's, and below 0 there is no end to them. */
static bool fails(atomic_int *error)
{
	int times = atomic_load(&faults.times);

	if (!atomic_load(error))
		return false;
	while (times > 0 && !atomic_compare_exchange_weak(&faults.times, &times, times - 1))
		;
	if (!times)
		return false;
	errno = atomic_load(error);
	return true;
}

static bool is_bad(const struct iovec *iov, int count, off_t offset)
{
	const uint64_t first = (uint64_t)offset;
	uint64_t end = first;

	errno = atomic_load(&faults.bad_error);
	if (!errno)
		return false;
	while (count--)
		end += iov++->iov_len;
	return first < atomic_load(&faults.bad_end) && atomic_load(&faults.bad_first) < end;
}

/* As many of the spans as `short_bytes` allows, into `cut`. */
static int cut_short(const struct iovec *iov, int count, struct iovec *cut)
{
	size_t room = atomic_load(&faults.short_bytes);
	int kept;

	for (kept = 0; kept < count && kept < IOV_MAX && room; kept++) {
		cut[kept] = iov[kept];
		if (cut[kept].iov_len > room)
			cut[kept].iov_len = room;
		room -= cut[kept].iov_len;
	}
	return kept;
}

static ssize_t transfer(long call, int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct iovec cut[IOV_MAX];

	if (atomic_load(&faults.short_bytes)) {
		count = cut_short(iov, count, cut);
		iov = cut;
	}
	if (is_bad(iov, count, offset))
		return -1;
	return syscall(call, fd, iov, count, (long)offset, 0L, flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (flags & RWF_NOWAIT) {
		atomic_fetch_add(&faults.glances, 1);
		errno = atomic_load(&faults.glance_error);
		if (errno)
			return -1;
		flags &= ~RWF_NOWAIT; /* which not all file systems know */
	}
	atomic_fetch_add(&faults.reads, 1);
	return fails(&faults.read_error) ? -1 : transfer(SYS_preadv2, fd, iov, count, offset, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (flags & RWF_DSYNC) {
		atomic_fetch_add(&faults.stables, 1);
		if (fails(&faults.stable_error))
			return -1;
	}
	atomic_fetch_add(&faults.writes, 1);
	return fails(&faults.write_error) ? -1 : transfer(SYS_pwritev2, fd, iov, count, offset, flags);
}

int fdatasync(int fd)
{
	atomic_fetch_add(&faults.syncs, 1);
	return fails(&faults.sync_error) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		atomic_fetch_add(&faults.punches, 1);
		if (fails(&faults.punch_error))
			return -1;
	} else {
		atomic_fetch_add(&faults.zeros, 1);
		if (fails(&faults.zero_error))
			return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

#ifndef __SANITIZE_THREAD__
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *context)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (atomic_load(&faults.no_threads))
		return EAGAIN;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attributes, start, context);
}
#endif
