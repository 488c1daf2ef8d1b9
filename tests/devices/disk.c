/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/disk.h"

#include <stdlib.h>
#include <string.h>

void disk_make(struct disk *d, uint64_t sectors, uint32_t block_bytes)
{
	fake_block_init(&d->fake, sectors * SECTOR, block_bytes);
	harness_make(&d->h, &vio_blk_class);
	assert_int_equal(vio_blk_attach(&d->h.dev, &d->fake.block), 0);
}

void disk_start(struct disk *d, uint64_t without, uint16_t queue_size)
{
	if (!d->h.storage)
		harness_realize(&d->h);
	harness_start(&d->h, harness_offer(&d->h) & ~without, queue_size);
}

void disk_free(struct disk *d)
{
	harness_free(&d->h);
	fake_block_free(&d->fake);
}

static struct virtio_blk_req make_header(const struct disk_request *request)
{
	return (struct virtio_blk_req){
		.type = vio_le32_make(request->type),
		.reserved = vio_le32_make(0x5a5a5a5a), /* to be ignored */
		.sector = vio_le64_make(request->sector),
	};
}

static void make_io(const struct disk_request *request, uint8_t *out, struct harness_io *io)
{
	struct virtio_blk_req header = make_header(request);

	memcpy(out, &header, sizeof(header));
	if (request->out_bytes)
		memcpy(out + sizeof(header), request->out, request->out_bytes);
	*io = (struct harness_io){
		.out = out,
		.out_bytes = sizeof(header) + request->out_bytes,
		.in_bytes = request->in_bytes + 1,
		.piece = request->piece,
	};
}

int64_t disk_call(struct disk *d, unsigned queue, struct disk_request *request)
{
	uint8_t *out = malloc(sizeof(struct virtio_blk_req) + request->out_bytes);
	uint8_t *in = malloc(request->in_bytes + 1);
	struct harness_io io;
	int64_t written;

	assert_true(out && in);
	make_io(request, out, &io);
	io.in = in;
	memset(in, 0, request->in_bytes + 1);
	written = harness_call(&d->h, queue, &io);
	if (request->in_bytes)
		memcpy(request->in, in, request->in_bytes);
	request->status = in[request->in_bytes];
	free(in);
	free(out);
	return written;
}

void disk_add(struct disk *d, unsigned queue, struct disk_request *request)
{
	uint8_t *out = malloc(sizeof(struct virtio_blk_req) + request->out_bytes);
	struct harness_io io;

	assert_non_null(out);
	make_io(request, out, &io);
	request->completed = 0;
	request->in_memory = harness_add(&d->h, queue, &io, request);
	free(out);
}

unsigned disk_collect(struct disk *d, unsigned queue)
{
	struct disk_request *request;
	uint32_t written;
	unsigned count = 0;

	while ((request = harness_get(&d->h, queue, &written))) {
		request->written = written;
		request->completed++;
		request->status = request->in_memory[request->in_bytes];
		if (request->in)
			memcpy(request->in, request->in_memory, request->in_bytes);
		count++;
	}
	assert_false(vio_drvq_broken(&d->h.queues[queue].q));
	return count;
}

struct virtio_blk_config disk_config(struct disk *d)
{
	struct virtio_blk_config config;

	vio_device_read_config(&d->h.dev, 0, &config, sizeof(config));
	return config;
}

struct virtio_blk_discard_write_zeroes disk_segment(uint64_t sector, uint32_t sectors, uint32_t flags)
{
	return (struct virtio_blk_discard_write_zeroes){
		.sector = vio_le64_make(sector),
		.num_sectors = vio_le32_make(sectors),
		.flags = vio_le32_make(flags),
	};
}
