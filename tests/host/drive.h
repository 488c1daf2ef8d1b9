/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_HOST_DRIVE_H
#define TEST_HOST_DRIVE_H

#include "host/engines.h"

#include <vireo/host.h>

/* Storage that is opened for a test, and requests made of it one at a time. */
struct drive {
	struct vio_loop *loop;
	struct vio_host_block_options options;
	struct vio_message message;
	struct vio_block *block;
	unsigned changed; /* calls */
};

/* What a request in flight is made of. */
struct drive_request {
	struct vio_block_request request;
	unsigned done; /* times */
	int result;
};

/* A drive with default options; options.path is a new file of `bytes` zeros in `folder`. */
void drive_make_file(struct drive *drive, struct vio_loop *loop, const char *folder, uint64_t bytes);
/* Sets an option by its name. */
void drive_set(struct drive *drive, const char *name, const char *value);
/* Opens it; fails the test when that fails. */
void drive_open(struct drive *drive);
/* Opens it, which has to fail with this code and these words in the message. */
void drive_refuses(struct drive *drive, int error, const char *words);
/* Opens it with direct on; skips the test where the file system has no direct I/O. */
void drive_open_direct(struct drive *drive);
void drive_close(struct drive *drive);
/* Removes the file as well. */
void drive_remove(struct drive *drive);

void drive_submit(struct drive *drive, struct drive_request *request);
void drive_wait(struct drive *drive, struct drive_request *request);

/* Submits, waits, returns the result. */
int drive_read(struct drive *drive, uint64_t offset, void *bytes, size_t length);
int drive_write(struct drive *drive, uint64_t offset, const void *bytes, size_t length, unsigned flags);
int drive_run(struct drive *drive, enum vio_block_op op, uint64_t offset, uint64_t length, unsigned flags);

/* Fills memory with bytes that a seed decides. */
void drive_pattern(void *bytes, size_t length, unsigned seed);
bool drive_is_zero(const void *bytes, size_t length);

#endif
