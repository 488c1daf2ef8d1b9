/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_HOST_FAULTS_H
#define TEST_HOST_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Storage that fails, stops short or can't do what is asked. The system calls that
 * the engine without io_uring makes come here, from its threads.
 */
struct faults {
	atomic_uint short_bytes; /* the most a transfer transfers; 0: all */
	atomic_int read_error, write_error, sync_error, punch_error, zero_error, stable_error;
	atomic_int times;        /* how often something fails; -1: always */
	atomic_int glance_error; /* of reads that don't wait */
	atomic_uint glances;
	atomic_uint reads, writes, syncs, punches, zeros, stables;
	atomic_bool no_threads;
	/* Transfers that touch these bytes fail; bad_error 0: none do. */
	atomic_int bad_error;
	atomic_uint bad_first, bad_end;
};

extern struct faults faults;

/* None, but that nothing is found in the page cache. */
void faults_reset(void);

#endif
