/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_FIO_HOST_H
#define BENCH_FIO_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * What the engine needs of fio, in a handful of functions. host_source.c has them from fio's own headers,
 * where Meson was given its source (-Dfio_source=DIR). host_binary.c has them for fio 3.33 on x86-64 as
 * distributions ship it, without headers: from the few facts of its layout in host_binary.h, each of which is
 * held against the running program before it is used.
 */

struct thread_data;
struct io_u;

/* The engine's options, as fio fills them in. */
struct engine_options {
	void *thread; /* fio's own */
	char *socket;
	unsigned int queues;
	unsigned int polls;
	unsigned int reconnects;
	unsigned int split;
	unsigned int mark; /* the host's */
};

/* Each as X(name, kind of fio's, member, what it says, what stands for it when it isn't given). */
#define ENGINE_OPTIONS(X)                                                             \
	X("socket", STR_STORE, socket, "Where the vhost-user back end listens", NULL) \
	X("queues", INT, queues, "Queues of the disk that a job uses in turn", "1")   \
	X("polls", BOOL, polls, "Look at the ring instead of sleeping", "0")          \
	X("reconnects", BOOL, reconnects, "Survive the death of the back end", "0")   \
	X("split", BOOL, split, "Split rings, also where there are packed ones", "0")

enum host_ddir {
	HOST_READ,
	HOST_WRITE,
	HOST_TRIM,
	HOST_SYNC,
	HOST_OTHER,
};

enum host_queued {
	HOST_COMPLETED,
	HOST_QUEUED,
	HOST_BUSY,
};

/* What the engine is, for the host's table of it. */
int engine_setup(struct thread_data *td);
int engine_init(struct thread_data *td);
int engine_queue(struct thread_data *td, struct io_u *io_u);
int engine_commit(struct thread_data *td);
int engine_getevents(struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *time);
struct io_u *engine_event(struct thread_data *td, int event);
void engine_cleanup(struct thread_data *td);
int engine_iomem_alloc(struct thread_data *td, size_t bytes);
void engine_iomem_free(struct thread_data *td);

/* NULL, or a sentence why this program can't be served. From the beginning of setup. */
const char *host_judge(struct thread_data *td);

const struct engine_options *host_options(const struct thread_data *td);
unsigned host_depth(const struct thread_data *td);
void *host_private(const struct thread_data *td);
void host_set_private(struct thread_data *td, void *own);
void host_set_buffer(struct thread_data *td, void *memory);
/* False: what fio wants memory for isn't what it keeps as the size of it. */
bool host_buffer_fits(const struct thread_data *td, size_t bytes);
/* One file, of so many bytes. */
bool host_set_file(struct thread_data *td, uint64_t bytes);

/* A request of fio's. */
struct host_io {
	enum host_ddir ddir;
	uint64_t offset, length;
	void *memory;
};

/* False: it isn't for the job's file. */
bool host_io_fits(const struct thread_data *td, const struct io_u *io_u);
struct host_io host_read_io(const struct io_u *io_u);
void host_set_error(struct io_u *io_u, int errno_value);

#endif
