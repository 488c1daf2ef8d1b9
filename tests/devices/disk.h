/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_DISK_H
#define TESTS_DEVICES_DISK_H

#include "devices/fake_block.h"
#include "devices/harness.h"

#include <vireo/devices/blk.h>

#define BIT(number) (UINT64_C(1) << (number))
#define SECTOR VIRTIO_BLK_SECTOR_BYTES
#define DISK_DATA_MAX 131072u

/* The harness with a block device on a fake storage, and requests in the words of the standard. */
struct disk {
	struct harness h;
	struct fake_block fake;
};

/* One request. `out` and `in` are the data alone; header and status byte are put around them. */
struct disk_request {
	uint32_t type;
	uint64_t sector;
	const void *out;
	size_t out_bytes;
	void *in;
	size_t in_bytes;
	size_t piece;   /* of the framing, as in struct harness_io */
	uint8_t status; /* result */

	/* For those in flight. */
	uint8_t *in_memory;
	uint32_t written;
	unsigned completed; /* how often */
};

/* Storage of `sectors`, a device on it that isn't realized yet. */
void disk_make(struct disk *d, uint64_t sectors, uint32_t block_bytes);
/* Realizes and starts with all that is offered, less `without`. */
void disk_start(struct disk *d, uint64_t without, uint16_t queue_size);
void disk_free(struct disk *d);

/* As harness_call(); sets request->status. */
int64_t disk_call(struct disk *d, unsigned queue, struct disk_request *request);

/* Makes it available without a kick; the request has to stay. */
void disk_add(struct disk *d, unsigned queue, struct disk_request *request);

/* Takes back what was used; the number of requests. */
unsigned disk_collect(struct disk *d, unsigned queue);

struct virtio_blk_config disk_config(struct disk *d);

/* A segment of discard or write zeroes. */
struct virtio_blk_discard_write_zeroes disk_segment(uint64_t sector, uint32_t sectors, uint32_t flags);

#endif
