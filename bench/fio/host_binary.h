/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_FIO_HOST_BINARY_H
#define BENCH_FIO_HOST_BINARY_H

#include "host.h"

/*
 * What has to be known of fio 3.33 on x86-64 to be an engine of it: where a few members lie, in bytes, and
 * what the two tables look like that an engine shows. host_source.c holds all of it against fio's own
 * headers where it is built with those of that version.
 */
#define FIO_VERSION_KNOWN "fio-3.33"
#define FIO_OPS_VERSION   31

#define FIO_THREAD_OPTIONS     24u   /* struct thread_options */
#define FIO_THREAD_ENGINE      4216u /* the engine's options */
#define FIO_THREAD_FILES       188832u
#define FIO_THREAD_FILE_COUNT  188852u
#define FIO_THREAD_BUFFER      189056u
#define FIO_THREAD_BUFFER_SIZE 189064u
#define FIO_THREAD_OPS         189952u
#define FIO_THREAD_PRIVATE     189968u

#define FIO_FILE_NAME 40u
#define FIO_FILE_SIZE 48u

#define FIO_IO_FILE   32u
#define FIO_IO_DDIR   44u
#define FIO_IO_OFFSET 72u
#define FIO_IO_BUFFER 104u
#define FIO_IO_LENGTH 112u
#define FIO_IO_ERROR  144u

/* Kinds of options, and their category. */
#define FIO_STORES_STR_STORE 6
#define FIO_STORES_INT       8
#define FIO_STORES_BOOL      10
#define FIO_CATEGORY_ENGINE  0x40u

/* Engine: needs no disk of this machine, and doesn't grow files. */
#define FIO_FLAGS_DISKLESS 4
#define FIO_FLAGS_NOEXTEND 8

struct fio_table_option {
	const char *name, *long_name, *alias;
	int kind;
	unsigned int offset[6];
	unsigned long long most;
	int least;
	double most_float, least_float;
	unsigned int interval, length_max;
	int negated, priority;
	void *callback;
	const char *help, *standard;
	char values[1280];
	const char *parent;
	int hide[2];
	const char *inverse;
	void *inverse_option;
	int (*verify)(const void *option, void *value);
	const char *profile;
	void *profile_options;
	uint64_t category, group;
	void *gui;
	int is_seconds, is_time, no_warning, power_of_2, no_free;
};

struct fio_table_engine {
	void *list[2];
	const char *name;
	int version, flags;
	void *handle;
	int (*setup)(struct thread_data *td);
	int (*init)(struct thread_data *td);
	void *post_init, *prep;
	int (*queue)(struct thread_data *td, struct io_u *io_u);
	int (*commit)(struct thread_data *td);
	int (*getevents)(struct thread_data *td, unsigned int min, unsigned int max,
			 const struct timespec *time);
	struct io_u *(*event)(struct thread_data *td, int event);
	void *errdetails, *cancel;
	void (*cleanup)(struct thread_data *td);
	int (*open_file)(struct thread_data *td, void *file);
	int (*close_file)(struct thread_data *td, void *file);
	int (*invalidate)(struct thread_data *td, void *file);
	void *unlink_file, *get_file_size, *prepopulate_file, *terminate;
	int (*iomem_alloc)(struct thread_data *td, size_t bytes);
	void (*iomem_free)(struct thread_data *td);
	void *io_u_init, *io_u_free, *zones[4];
	int options_bytes;
	struct fio_table_option *options;
};

#endif
