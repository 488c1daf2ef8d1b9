/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/vssd.h>

#include "device.h"

/*
 * A driver that hands back and takes blocks, rightly and wrongly, while it reads and writes and while the
 * owner begins and withdraws resizes, over two storages that answer late, in any order and with errors.
 * Whatever happens: what isn't provisioned by the last record is neither read nor written for a driver;
 * each record is whole and says what the configuration says once it is written; every request comes back
 * once.
 */
#define PENDING_MAX 64u
#define UNIT        4096u
#define BLOCKS      24u
#define DISK_BYTES  (BLOCKS * UNIT)
#define MAP_BYTES   (4 * VIO_VSSD_SLOT_ALIGN)

struct storage {
	struct vio_block block;
	struct world *world;
	struct vio_block_request *pending[PENDING_MAX];
	unsigned pending_count;
};

struct world {
	struct fuzz_input *input;
	struct storage data, map;
	uint8_t map_bytes[MAP_BYTES];
	uint32_t recorded; /* blocks provisioned by the last record, a bit each */
	struct fuzz_device device;
};

static struct storage *storage_of(struct vio_block *block)
{
	return VIO_CONTAINER_OF(block, struct storage, block);
}

static struct virtio_vssd_config config_of(struct world *w)
{
	struct virtio_vssd_config config;

	vio_device_read_config(&w->device.dev, 0, &config, sizeof(config));
	return config;
}

static void check_data(struct world *w, const struct vio_block_request *request)
{
	FUZZ_CHECK(request->offset <= DISK_BYTES && request->length <= DISK_BYTES - request->offset);
	FUZZ_CHECK(request->op != VIO_BLOCK_FLUSH || !request->length);
	if (request->op != VIO_BLOCK_READ && request->op != VIO_BLOCK_WRITE &&
	    request->op != VIO_BLOCK_DISCARD)
		return;
	for (uint64_t at = request->offset; at < request->offset + request->length; at += 512)
		FUZZ_CHECK(w->recorded >> (at / UNIT) & 1);
	for (unsigned i = 0; i < request->span_count; i++)
		FUZZ_CHECK(fuzz_device_lent(&w->device, request->spans[i].host, request->spans[i].length));
}

static void move_map(struct world *w, const struct vio_block_request *request)
{
	uint64_t at = request->offset;

	for (unsigned i = 0; i < request->span_count; i++) {
		const struct vio_span *span = &request->spans[i];

		FUZZ_CHECK(at <= MAP_BYTES && span->length <= MAP_BYTES - at);
		if (request->op == VIO_BLOCK_READ)
			memcpy(span->host, w->map_bytes + at, span->length);
		else
			memcpy(w->map_bytes + at, span->host, span->length);
		at += span->length;
	}
	if (request->op == VIO_BLOCK_READ)
		return;
	FUZZ_CHECK(request->op == VIO_BLOCK_WRITE && request->flags & VIO_BLOCK_STABLE);
	w->recorded = 0;
	for (unsigned i = 0; i < BLOCKS / 8; i++)
		w->recorded |= (uint32_t)w->map_bytes[request->offset + VIO_VSSD_SLOT_ALIGN + i] << 8 * i;
}

static void finish(struct storage *storage, unsigned index, int result)
{
	struct vio_block_request *request = storage->pending[index];
	struct world *w = storage->world;

	storage->pending[index] = storage->pending[--storage->pending_count];
	if (!result && storage == &w->map)
		move_map(w, request);
	request->done(request, result);
}

static void storage_submit(struct vio_block *block, struct vio_block_request *request)
{
	struct storage *storage = storage_of(block);
	struct world *w = storage->world;

	if (storage == &w->data)
		check_data(w, request);
	FUZZ_CHECK(storage->pending_count < PENDING_MAX);
	storage->pending[storage->pending_count++] = request;
	if (fuzz_u8(w->input) & 1)
		finish(storage, storage->pending_count - 1, 0);
}

static void storage_drain(struct vio_block *block)
{
	struct storage *storage = storage_of(block);

	while (storage->pending_count)
		finish(storage, 0, 0);
}

static const struct vio_block_ops storage_ops = { .submit = storage_submit, .drain = storage_drain };

static void complete(struct world *w)
{
	static const int results[] = { 0, 0, 0, 0, 0, -VIO_EIO, -VIO_ENOSPC, -VIO_ENOTSUP };
	uint8_t what = fuzz_u8(w->input);
	struct storage *storage = what & 128 ? &w->map : &w->data;

	if (!storage->pending_count)
		storage = storage == &w->map ? &w->data : &w->map;
	if (storage->pending_count)
		finish(storage, what % storage->pending_count, results[what / 16 % 8]);
}

static void write_request(struct fuzz_device *device, uint8_t *to)
{
	static const uint64_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD,
					  VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_FLUSH };
	struct virtio_blk_req header = {
		.type = vio_le32_make((uint32_t)fuzz_choose(device->input, types, VIO_ARRAY_SIZE(types))),
		.sector = vio_le64_make(4u * (fuzz_u8(device->input) % 52)),
	};
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = vio_le64_make(8u * (fuzz_u8(device->input) % 25)),
		.num_sectors = vio_le32_make(8u * (fuzz_u8(device->input) % 6)),
	};

	memcpy(to, &header, sizeof(header));
	memcpy(to + 16, &segment, sizeof(segment));
}

static void write_control(struct fuzz_device *device, uint8_t *to)
{
	static const uint64_t types[] = { VIRTIO_VSSD_T_EVICT,
					  VIRTIO_VSSD_T_CLAIM,
					  VIRTIO_VSSD_T_EVICT,
					  VIRTIO_VSSD_T_CLAIM,
					  VIRTIO_VSSD_T_DECLINE,
					  VIRTIO_VSSD_T_MAP,
					  4 };
	static const uint64_t wild[] = { 0, 1, BLOCKS, BLOCKS - 1, UINT64_MAX, UINT32_MAX };
	struct world *w = VIO_CONTAINER_OF(device, struct world, device);
	uint8_t what = fuzz_u8(device->input);
	struct virtio_vssd_control header = {
		.type = vio_le32_make((uint32_t)fuzz_choose(device->input, types, VIO_ARRAY_SIZE(types))),
		.ticket = config_of(w).ticket,
	};

	if (what & 64)
		header.ticket = vio_le32_make(what);
	memcpy(to, &header, sizeof(header));
	for (unsigned i = 0; i < 3; i++) {
		struct virtio_vssd_range range = {
			.first = vio_le64_make(fuzz_u8(device->input) % (BLOCKS + 1)),
			.count = vio_le64_make(1u + fuzz_u8(device->input) % 3),
		};

		if (what & 32)
			range.first = vio_le64_make(fuzz_choose(device->input, wild, VIO_ARRAY_SIZE(wild)));
		if (what & 16)
			range.count = vio_le64_make(fuzz_choose(device->input, wild, VIO_ARRAY_SIZE(wild)));
		memcpy(to + sizeof(header) + i * sizeof(range), &range, sizeof(range));
	}
}

/* What is told is one thing at any moment. */
static void check_config(struct world *w)
{
	struct virtio_vssd_config config = config_of(w);
	uint64_t provisioned = vio_le64_get(config.provisioned), target = vio_le64_get(config.target);
	uint32_t state = vio_le32_get(config.state);
	struct vio_vssd_report report;

	vio_vssd_get_report(&w->device.dev, &report);
	FUZZ_CHECK(vio_le64_get(config.total) == BLOCKS && provisioned <= BLOCKS && target <= BLOCKS);
	FUZZ_CHECK(state == (target < provisioned   ? VIRTIO_VSSD_STATE_SHRINKING
			     : target > provisioned ? VIRTIO_VSSD_STATE_GROWING
						    : VIRTIO_VSSD_STATE_IDLE));
	FUZZ_CHECK(vio_le64_get(config.blk.capacity) <= DISK_BYTES / 512 &&
		   report.provisioned == provisioned);
	if (w->data.pending_count || w->map.pending_count || report.outcome == VIO_VSSD_FAILED)
		return;
	FUZZ_CHECK((uint64_t)__builtin_popcount(w->recorded) == provisioned);
}

/* Steps. */

static void request(struct world *w)
{
	static const struct fuzz_ask ask = { 16, 1, write_request };

	fuzz_device_ask(&w->device, fuzz_u8(w->input) % 8 == 7, &ask);
}

static void list(struct world *w)
{
	const struct fuzz_ask ask = { 8 + 16 * (fuzz_u8(w->input) % 4u), 16, write_control };

	fuzz_device_ask(&w->device, vio_device_has_feature(&w->device.dev, VIRTIO_BLK_F_MQ) ? 2 : 1, &ask);
}

static void own(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	int result;

	if (what & 128) {
		vio_vssd_withdraw(&w->device.dev, what & 64 ? VIO_VSSD_EXPIRED : VIO_VSSD_CANCELLED);
		return;
	}
	result = vio_vssd_resize(&w->device.dev, what % (BLOCKS + 2));
	FUZZ_CHECK(!result || result == -VIO_ERANGE || result == -VIO_EBUSY || result == -VIO_EAGAIN ||
		   result == -VIO_EPHASE || result == -VIO_EIO);
}

static void collect(struct world *w)
{
	fuzz_device_collect(&w->device);
	check_config(w);
}

static void configure(struct world *w)
{
	fuzz_device_configure(&w->device);
}

static void start(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	uint64_t without = fuzz_device_ring_bits(what);

	if ((what & 12) == 12)
		without |= UINT64_C(1) << VIRTIO_VSSD_F_RESIZE;
	if (what & 16)
		without |= UINT64_C(1) << VIRTIO_BLK_F_MQ;
	fuzz_device_start(&w->device, without);
}

static void open_storage(struct storage *storage, struct world *w, uint64_t bytes)
{
	storage->world = w;
	storage->block = (struct vio_block){
		.ops = &storage_ops,
		.size_bytes = bytes,
		.block_bytes = 512,
		.physical_bytes = 4096,
		.discard_bytes = 4096,
		.zeroes_unmap = 1,
	};
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = { request,  list,    complete, own,      collect,
							   complete, request, list,     complete, configure };
	struct world *w = calloc(1, sizeof(*w));
	struct vio_vssd_storage storage;

	FUZZ_CHECK(w != NULL);
	w->input = input;
	open_storage(&w->data, w, DISK_BYTES);
	open_storage(&w->map, w, MAP_BYTES);
	fuzz_device_make(&w->device, &vio_vssd_class, input);
	fuzz_device_set(&w->device, "in-order", "on");
	fuzz_device_set(&w->device, "unit", "4K");
	fuzz_device_set(&w->device, "num-queues", "2");
	FUZZ_CHECK(vio_vssd_map_bytes(&w->device.dev, DISK_BYTES) <= MAP_BYTES);
	storage = (struct vio_vssd_storage){ &w->data.block, &w->map.block,
					     malloc((size_t)vio_vssd_memory_bytes(&w->device.dev,
										  DISK_BYTES)) };
	FUZZ_CHECK(storage.memory && vio_vssd_attach(&w->device.dev, &storage) == 0);
	fuzz_device_realize(&w->device);
	start(w);
	fuzz_walk(input, w, steps, VIO_ARRAY_SIZE(steps), start, 300);
	fuzz_device_reset(&w->device);
	check_config(w);
	fuzz_device_close(&w->device);
	FUZZ_CHECK(!w->data.pending_count && !w->map.pending_count);
	free(storage.memory);
	free(w);
}
