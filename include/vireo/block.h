/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_BLOCK_H
#define VIREO_BLOCK_H

#include <vireo/memory.h>

/*
 * Storage that a block device stands on: a table of asynchronous operations.
 *
 * Whoever makes requests fills a struct vio_block_request (typically inside
 * vio_buf.request) and submits it; `done` is called once for each, in the thread
 * that drives the storage, possibly from inside submit. Requests may complete in
 * any order. The spans and the memory they name must stay until done.
 *
 * Ordering is the caller's business, except for this promise: what was reported
 * done before a FLUSH was submitted is on stable storage when that FLUSH is done.
 */
enum vio_block_op {
	VIO_BLOCK_READ,
	VIO_BLOCK_WRITE,
	VIO_BLOCK_FLUSH,
	VIO_BLOCK_DISCARD,      /* contents undefined afterwards */
	VIO_BLOCK_WRITE_ZEROES, /* reads as zeros afterwards */
};

#define VIO_BLOCK_UNMAP  1u /* WRITE_ZEROES: storage may be given back */
#define VIO_BLOCK_STABLE 2u /* WRITE, WRITE_ZEROES, DISCARD: on stable storage when done */

struct vio_block_request {
	enum vio_block_op op;
	unsigned flags;
	uint64_t offset;        /* bytes, a multiple of block_bytes, for all but FLUSH */
	uint64_t length;        /* bytes, likewise; for READ and WRITE the sum of the spans */
	struct vio_span *spans; /* READ: filled, WRITE: read. Storage may modify the array. */
	unsigned span_count;

	/* result: 0, -VIO_EIO, -VIO_ENOSPC, -VIO_ERANGE (beyond the end), -VIO_ENOTSUP, -VIO_EACCES */
	void (*done)(struct vio_block_request *request, int result);

	uint64_t storage_private[16]; /* for the storage while it holds the request */
};

struct vio_block;

struct vio_block_ops {
	void (*submit)(struct vio_block *block, struct vio_block_request *request);
	/* Returns when every request submitted has been done. */
	void (*drain)(struct vio_block *block);
	/* Frees it; nothing is in flight. */
	void (*close)(struct vio_block *block);
	/*
	 * Optional, all or none: from hold until release the storage may keep what is submitted, to carry out
	 * together what belongs together. settle, in between, does what can be done at once; release begins
	 * all that is left. Requests may be done inside of either.
	 */
	void (*hold)(struct vio_block *block);
	void (*settle)(struct vio_block *block);
	void (*release)(struct vio_block *block);
};

/* Filled by the storage; read by the device. */
struct vio_block {
	const struct vio_block_ops *ops;
	uint64_t size_bytes;     /* may change at any time, see changed */
	uint32_t block_bytes;    /* smallest unit of transfer: 512 or 4096 */
	uint32_t physical_bytes; /* power of two multiple of block_bytes */
	uint32_t optimal_bytes;  /* preferred transfer, multiple of block_bytes; 0 unknown */
	uint32_t discard_bytes;  /* alignment of discards; 0: the storage can't discard */
	uint32_t zeroes_unmap;   /* WRITE_ZEROES with VIO_BLOCK_UNMAP may give storage back */
	uint32_t read_only;
	uint32_t volatile_cache; /* writes without VIO_BLOCK_STABLE need a FLUSH */

	/* Set by the device: called in the storage's thread when size_bytes changed. */
	void (*changed)(void *context, struct vio_block *block);
	void *changed_context;

	/*
	 * For storage that completes several requests in one go, by the two functions below.
	 * In between, the device may keep what it owes the driver; batch_done, set by the
	 * device, is called with changed_context.
	 */
	bool batching;
	void (*batch_done)(void *context, struct vio_block *block);
};

/*
 * What a queue of a block device has done since the device was made. A request that failed
 * counts as one, and its bytes don't.
 */
enum vio_block_kind {
	VIO_BLOCK_KIND_READ,
	VIO_BLOCK_KIND_WRITE,
	VIO_BLOCK_KIND_FLUSH,
	VIO_BLOCK_KIND_OTHER, /* discard, write zeroes, the serial number, what isn't known */
};

#define VIO_BLOCK_KINDS     4u
#define VIO_BLOCK_LATENCIES 36u

struct vio_block_counters {
	uint64_t requests[VIO_BLOCK_KINDS];
	uint64_t errors[VIO_BLOCK_KINDS]; /* of these */
	uint64_t bytes[VIO_BLOCK_KINDS];  /* of data that were read, written, discarded or zeroed */
	uint64_t total_ns[VIO_BLOCK_KINDS];
	/* How many took from 2^i up to 2^(i+1) - 1 ns, from being taken to being given back. */
	uint64_t latencies[VIO_BLOCK_KINDS][VIO_BLOCK_LATENCIES];
};

/* What a block device needs of its owner to measure and to hold requests back. */
struct vio_block_meter {
	void *context;
	uint64_t (*now_ns)(void *context); /* never goes back */
	/*
	 * Calls the device's resume function for the queues that `block` serves, in their thread, in
	 * delay_ns or later; one that is asked for already moves.
	 */
	void (*wake)(void *context, const struct vio_block *block, uint64_t delay_ns);
	struct vio_block_counters *counters; /* one for each queue */
};

/* Before the first `done` of several. Optional: without it each one counts by itself. */
static inline void vio_block_begin_batch(struct vio_block *block)
{
	block->batching = true;
}

/* After the last. */
static inline void vio_block_end_batch(struct vio_block *block)
{
	block->batching = false;
	if (block->batch_done)
		block->batch_done(block->changed_context, block);
}

#endif
