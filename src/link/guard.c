/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vireo/guard.h>

#include "link/guard.h"

#define GUARDS_MAX 4096u

/* One mapping as the handler sees it. `begin` is written last when it appears, and first when it goes. */
struct guard {
	atomic_uintptr_t begin; /* 0: a free place, 1: taken */
	atomic_size_t bytes;
	atomic_size_t granule;
	atomic_int socket;
	atomic_bool torn;
};

#define FREE  ((uintptr_t)0)
#define TAKEN ((uintptr_t)1)

struct guards {
	atomic_uint count; /* places that were ever in use */
	atomic_bool installed;
	struct sigaction before;
	struct guard places[GUARDS_MAX];
};

/* A signal handler is told nothing but an address, so what it needs has to be where it always finds it. */
static struct guards *guards(void)
{
	static struct guards all;

	return &all;
}

/* The mapping that `address` lies in. Nothing here waits: it runs in a signal handler. */
static struct guard *find(uintptr_t address)
{
	struct guards *all = guards();
	unsigned count = atomic_load(&all->count), i;

	for (i = 0; i < count; i++) {
		uintptr_t begin = atomic_load(&all->places[i].begin);

		if (begin > TAKEN && address - begin < atomic_load(&all->places[i].bytes))
			return &all->places[i];
	}
	return NULL;
}

/* What is beyond the end of the file from the address on becomes zeros. */
static bool mend(struct guard *guard, uintptr_t address)
{
	uintptr_t begin = atomic_load(&guard->begin);
	size_t offset = (address - begin) / atomic_load(&guard->granule) * atomic_load(&guard->granule);
	char *hole = (char *)begin + offset;

	return mmap(hole, atomic_load(&guard->bytes) - offset, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

/*
 * Without a handler before us. An access that fails comes again as soon as we return, and ends the process.
 * What somebody sent doesn't, so it is raised again. What the kernel says of memory that nobody used yet
 * (BUS_MCEERR_AO) asks for nothing.
 */
static void pass_on_to_nobody(const siginfo_t *info, const struct sigaction *before)
{
	const bool sent = info->si_code <= 0;

	if (info->si_code == BUS_MCEERR_AO || (sent && before->sa_handler == SIG_IGN))
		return;
	sigaction(SIGBUS, before, NULL);
	if (sent)
		raise(SIGBUS);
}

/* A bus error that is none of ours: as if we weren't here. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	const struct sigaction *before = &guards()->before;

	if (before->sa_flags & SA_SIGINFO && before->sa_sigaction)
		before->sa_sigaction(number, info, context);
	else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
		before->sa_handler(number);
	else
		pass_on_to_nobody(info, before);
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	const int saved = errno;
	struct guard *guard = info->si_code == BUS_ADRERR ? find((uintptr_t)info->si_addr) : NULL;

	if (guard && mend(guard, (uintptr_t)info->si_addr)) {
		atomic_store(&guard->torn, true);
		/* Its server sees the end of the stream, asks link_mapping_torn(), and ends it in order. */
		shutdown(atomic_load(&guard->socket), SHUT_RDWR);
	} else {
		pass_on(number, info, context);
	}
	errno = saved;
}

int vio_guard_memory(void)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct guards *all = guards();

	if (atomic_exchange(&all->installed, true))
		return 0;
	sigemptyset(&action.sa_mask);
	if (!sigaction(SIGBUS, &action, &all->before))
		return 0;
	atomic_store(&all->installed, false);
	return -VIO_ESYS;
}

static int guard_begin(struct link_mapping *mapping, size_t granule, int socket_fd)
{
	struct guards *all = guards();
	unsigned i;

	for (i = 0; i < GUARDS_MAX; i++) {
		struct guard *guard = &all->places[i];
		uintptr_t expected = FREE;
		unsigned count = atomic_load(&all->count);

		if (!atomic_compare_exchange_strong(&guard->begin, &expected, TAKEN))
			continue;
		atomic_store(&guard->bytes, mapping->bytes);
		atomic_store(&guard->granule, granule);
		atomic_store(&guard->socket, socket_fd);
		atomic_store(&guard->torn, false);
		atomic_store(&guard->begin, (uintptr_t)mapping->map);
		while (count <= i && !atomic_compare_exchange_weak(&all->count, &count, i + 1))
			;
		mapping->guard = i;
		return 0;
	}
	return -VIO_ENOSPC;
}

static int mmap_error(int errno_value)
{
	switch (errno_value) {
	case EACCES:
	case EPERM:
		return -VIO_EACCES;
	case ENOMEM:
		return -VIO_ENOMEM;
	default:
		return -VIO_ESYS;
	}
}

/* `size` of the file; `granule` is what it can be mapped by. */
static int make(struct link_mapping *mapping, int fd, uint64_t size, uint64_t granule, uint64_t offset,
		uint64_t bytes, int protection, int socket_fd, uint8_t **at)
{
	uint64_t end, begin;
	void *map;
	int error;

	/* hostile: C13 */
	if (!bytes || !vio_add_u64(offset, bytes, &end) || end > INT64_MAX)
		return -VIO_ERANGE;
	if (size < end)
		return -VIO_ERANGE;
	begin = offset / granule * granule;
	end = (end + granule - 1) / granule * granule;
	/* Where addresses have 32 bits. */
	if ((size_t)(end - begin) != end - begin)
		return -VIO_ERANGE;
	mapping->bytes = (size_t)(end - begin);
	/* Never executable, whatever the front end puts there. */
	map = mmap(NULL, mapping->bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, (off_t)begin);
	error = map == MAP_FAILED ? mmap_error(errno) : 0;
	if (!error) {
		mapping->map = map;
		madvise(map, mapping->bytes, MADV_DONTDUMP);
		error = guard_begin(mapping, granule, socket_fd);
		if (error)
			munmap(map, mapping->bytes);
	}
	if (error)
		*mapping = (struct link_mapping){ .bytes = 0 };
	else
		*at = mapping->map + (offset - begin);
	return error;
}

int link_mapping_make(struct link_mapping *mapping, int fd, uint64_t offset, uint64_t bytes, int protection,
		      int socket_fd, uint8_t **at)
{
	uint64_t granule = (uint64_t)sysconf(_SC_PAGESIZE);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -VIO_ESYS;
	if (!S_ISREG(st.st_mode))
		return -VIO_EINVAL;
	/* Huge pages can only be mapped whole; their file system says so in the block size. */
	if (st.st_blksize > 0 && vio_is_power_of_two((uint64_t)st.st_blksize) &&
	    (uint64_t)st.st_blksize > granule)
		granule = (uint64_t)st.st_blksize;
	return make(mapping, fd, (uint64_t)st.st_size, granule, offset, bytes, protection, socket_fd, at);
}

int link_mapping_make_untyped(struct link_mapping *mapping, int fd, uint64_t offset, uint64_t bytes,
			      int protection, uint8_t **at)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -VIO_ESYS;
	if (st.st_mode & S_IFMT)
		return link_mapping_make(mapping, fd, offset, bytes, protection, -1, at);
	return make(mapping, fd, INT64_MAX, (uint64_t)sysconf(_SC_PAGESIZE), offset, bytes, protection, -1,
		    at);
}

void link_mapping_drop(struct link_mapping *mapping)
{
	if (!mapping->bytes)
		return;
	/* First the memory: a place that is free again may be another's at once. */
	atomic_store(&guards()->places[mapping->guard].begin, TAKEN);
	munmap(mapping->map, mapping->bytes);
	atomic_store(&guards()->places[mapping->guard].begin, FREE);
	*mapping = (struct link_mapping){ .bytes = 0 };
}

bool link_mapping_torn(const struct link_mapping *mapping)
{
	return mapping->bytes && atomic_load(&guards()->places[mapping->guard].torn);
}
