/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_FAKE_BLOCK_H
#define TESTS_DEVICES_FAKE_BLOCK_H

#include <vireo/block.h>

#define FAKE_PENDING_MAX 2048u

/*
 * Storage in memory that does as the test says: completes inside submit or when
 * told, in any order, with any result. It has a volatile cache: `durable` is what
 * a power cut would leave.
 */
struct fake_block {
	struct vio_block block;
	uint8_t *data;
	uint8_t *durable;
	bool later;              /* keep requests until fake_block_complete() or drain */
	bool backwards;          /* drain completes the last one first */
	bool shallow;            /* drain doesn't wait for what is submitted meanwhile */
	int result;              /* of requests from now on; nothing is done if it isn't 0 */
	int result_after;        /* so many succeed first; -1: result is for all */
	struct vio_block_request *pending[FAKE_PENDING_MAX];
	unsigned pending_count;
	unsigned submitted[5];   /* by operation */
	unsigned done;
	unsigned depth, depth_max; /* of submit inside submit */
	unsigned drains;
	struct vio_block_request last; /* as submitted */
};

void fake_block_init(struct fake_block *fake, uint64_t size_bytes, uint32_t block_bytes);
void fake_block_free(struct fake_block *fake);

/* Carries out and completes the index-th of those pending. */
void fake_block_complete(struct fake_block *fake, unsigned index);

/* Tells the device of a new size, at most the first one. */
void fake_block_resize(struct fake_block *fake, uint64_t size_bytes);

unsigned fake_block_total(const struct fake_block *fake);

#endif
