/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/blk.h>

#include "device.h"

/*
 * A driver that asks the block device for anything, in any pieces, against a
 * storage that answers late, in any order and with errors. Whatever it asks: the
 * storage hears of nothing that is beyond its end, in parts of blocks or not the
 * size of its spans; every request comes back once; reset waits for the storage.
 */
#define PENDING_MAX 64u
#define DISK_BYTES  0x10000u

struct world {
	struct fuzz_input *input;
	struct vio_block block;
	struct vio_block_request *pending[PENDING_MAX];
	unsigned pending_count;
	struct fuzz_device device;
};

static struct world *world_of(struct vio_block *block)
{
	return VIO_CONTAINER_OF(block, struct world, block);
}

static void check_request(const struct world *w, const struct vio_block_request *request)
{
	uint64_t sum = 0;

	FUZZ_CHECK(request->op <= VIO_BLOCK_WRITE_ZEROES && request->done);
	FUZZ_CHECK(request->op == VIO_BLOCK_READ || request->op == VIO_BLOCK_FLUSH || !w->block.read_only);
	FUZZ_CHECK(request->op != VIO_BLOCK_DISCARD || w->block.discard_bytes);
	if (request->op == VIO_BLOCK_FLUSH)
		return;
	FUZZ_CHECK(request->offset % w->block.block_bytes == 0 &&
		   request->length % w->block.block_bytes == 0);
	FUZZ_CHECK(request->offset <= w->block.size_bytes);
	FUZZ_CHECK(request->length <= w->block.size_bytes - request->offset);
	if (request->op != VIO_BLOCK_READ && request->op != VIO_BLOCK_WRITE)
		return;
	for (unsigned i = 0; i < request->span_count; i++) {
		const struct vio_span *span = &request->spans[i];

		FUZZ_CHECK(fuzz_device_lent(&w->device, span->host, span->length));
		sum += span->length;
	}
	FUZZ_CHECK(sum == request->length);
}

static void finish(struct world *w, unsigned index, int result)
{
	struct vio_block_request *request = w->pending[index];

	w->pending[index] = w->pending[--w->pending_count];
	if (request->op == VIO_BLOCK_READ && !result)
		for (unsigned i = 0; i < request->span_count; i++)
			memset(request->spans[i].host, 0x5a, request->spans[i].length);
	request->done(request, result);
}

static void storage_submit(struct vio_block *block, struct vio_block_request *request)
{
	struct world *w = world_of(block);

	check_request(w, request);
	FUZZ_CHECK(w->pending_count < PENDING_MAX);
	w->pending[w->pending_count++] = request;
	if (fuzz_u8(w->input) & 1)
		finish(w, w->pending_count - 1, 0);
}

static void storage_drain(struct vio_block *block)
{
	struct world *w = world_of(block);

	while (w->pending_count)
		finish(w, 0, 0);
}

static const struct vio_block_ops storage_ops = { .submit = storage_submit, .drain = storage_drain };

static void complete(struct world *w)
{
	static const int results[] = { 0, 0, 0, -VIO_EIO, -VIO_ENOSPC, -VIO_ENOTSUP };
	uint8_t what = fuzz_u8(w->input);

	if (w->pending_count)
		finish(w, what % w->pending_count, results[what / 16 % VIO_ARRAY_SIZE(results)]);
}

static void resize(struct world *w)
{
	w->block.size_bytes = DISK_BYTES - fuzz_u8(w->input) * w->block.block_bytes / 4;
	/* What was asked of a larger disk may be beyond the end now: the storage's business. */
	storage_drain(&w->block);
	if (w->block.changed)
		w->block.changed(w->block.changed_context, &w->block);
}

static void start(struct world *w)
{
	uint64_t choice = fuzz_u64(w->input, 4), without = choice & 0x0003ffff;

	fuzz_device_start(&w->device, choice >> 31 ? without : without | UINT64_C(1) << VIRTIO_F_RING_PACKED);
	FUZZ_CHECK(w->device.running || w->pending_count == 0);
}

/* A header somewhere in the data page, of a type and sector that mean something. */
static void write_header(struct fuzz_device *device, uint8_t *to)
{
	static const uint64_t types[] = { VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_OUT,
					  VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_DISCARD,
					  VIRTIO_BLK_T_WRITE_ZEROES,
					  VIRTIO_BLK_T_GET_ID,
					  VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_OUT,
					  2,
					  26,
					  10,
					  14 };
	static const uint64_t sectors[] = { 0,       1, 8, 120, 127, 128, 129, UINT64_MAX, UINT64_MAX / 512,
					    1u << 31 };
	static const uint64_t counts[] = { 8, 1, 0, 128, 129, UINT32_MAX };
	struct fuzz_input *input = device->input;
	struct virtio_blk_req header = {
		.type = vio_le32_make((uint32_t)fuzz_choose(input, types, VIO_ARRAY_SIZE(types))),
		.sector = vio_le64_make(fuzz_choose(input, sectors, VIO_ARRAY_SIZE(sectors))),
	};

	memcpy(to, &header, sizeof(header));
	for (unsigned i = 0; i < 4; i++) {
		struct virtio_blk_discard_write_zeroes segment = {
			.sector = vio_le64_make(fuzz_choose(input, sectors, VIO_ARRAY_SIZE(sectors))),
			.num_sectors =
				vio_le32_make((uint32_t)fuzz_choose(input, counts, VIO_ARRAY_SIZE(counts))),
			.flags = vio_le32_make(fuzz_u8(input) & 3),
		};

		memcpy(to + 16 + i * sizeof(segment), &segment, sizeof(segment));
	}
}

static void request(struct world *w)
{
	static const struct fuzz_ask ask = { 16, 1, write_header };

	fuzz_device_ask(&w->device, 0, &ask);
}

static void collect(struct world *w)
{
	fuzz_device_collect(&w->device);
}

static void configure(struct world *w)
{
	fuzz_device_configure(&w->device);
}

static void step(struct world *w)
{
	static void (*const steps[])(struct world * w) = { request, request,  collect,  complete,
							   request, complete, configure };
	uint8_t choice = fuzz_u8(w->input);

	if (choice == 254)
		resize(w);
	else if (choice == 255)
		start(w);
	else
		steps[choice % VIO_ARRAY_SIZE(steps)](w);
}

static void open_world(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);

	w->block = (struct vio_block){
		.ops = &storage_ops,
		.size_bytes = DISK_BYTES,
		.block_bytes = what & 1 ? 4096 : 512,
		.physical_bytes = 4096,
		.discard_bytes = what & 2 ? 4096 : 0,
		.read_only = what >> 2 & 1,
		.volatile_cache = what >> 3 & 1,
		.zeroes_unmap = what >> 4 & 1,
	};
}

void fuzz_run(struct fuzz_input *input)
{
	struct world w = { .input = input };

	open_world(&w);
	fuzz_device_make(&w.device, &vio_blk_class, input);
	FUZZ_CHECK(vio_blk_attach(&w.device.dev, &w.block) == 0);
	fuzz_device_realize(&w.device);
	start(&w);
	for (unsigned steps = 0; input->left && steps < 300; steps++)
		step(&w);
	storage_drain(&w.block);
	fuzz_device_collect(&w.device);
	/* What a broken queue holds comes back by reset only. */
	FUZZ_CHECK(!w.device.queues[0].in_flight || w.device.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	fuzz_device_close(&w.device);
	FUZZ_CHECK(w.pending_count == 0);
}
