/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/blk.h>
#include <vireo/drvq.h>

#include "input.h"

/*
 * A driver that asks the block device for anything, in any pieces, against a
 * storage that answers late, in any order and with errors. Whatever it asks: the
 * storage hears of nothing that is beyond its end, in parts of blocks or not the
 * size of its spans; every request comes back once; reset waits for the storage.
 */
#define RING_BASE    UINT64_C(0x10000)
#define RING_BYTES   0x1000u
#define DATA_BASE    UINT64_C(0x100000)
#define DATA_BYTES   0x4000u
#define QUEUE_SIZE   16u
#define ELEMENTS_MAX 8u
#define PENDING_MAX  64u
#define DISK_BYTES   0x10000u

struct world {
	struct fuzz_input *input;
	struct vio_block block;
	struct vio_block_request *pending[PENDING_MAX];
	unsigned pending_count;
	struct vio_device dev;
	struct vio_drvq q;
	uint8_t *ring;
	uint8_t *data;
	void *shadow;
	unsigned in_flight;
	bool running;
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
		bool in_data = span->host >= w->data && span->length <= DATA_BYTES &&
			       (size_t)(span->host - w->data) <= DATA_BYTES - span->length;
		bool in_ring = span->host >= w->ring && span->length <= RING_BYTES &&
			       (size_t)(span->host - w->ring) <= RING_BYTES - span->length;

		FUZZ_CHECK(in_data || in_ring);
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

static void ring_bell(void *context, struct vio_drvq *q)
{
	struct world *w = context;

	FUZZ_CHECK(q == &w->q);
	vio_device_kick(&w->dev, 0);
}

static void queue_interrupt(void *context, uint16_t queue)
{
	FUZZ_CHECK(context && queue == 0);
}

static void config_interrupt(void *context)
{
	FUZZ_CHECK(context != NULL);
}

static void reset(struct world *w)
{
	if (w->running) {
		vio_device_write_status(&w->dev, 0);
		FUZZ_CHECK(w->dev.status == 0 && w->pending_count == 0);
		while (vio_drvq_detach_unused(&w->q))
			w->in_flight--;
	}
	w->running = false;
}

static void start(struct world *w)
{
	struct vio_features features = vio_device_features(&w->dev);
	struct vio_drvq_config driver = {
		.size = QUEUE_SIZE,
		.ring = { w->ring, vio_addr_make(RING_BASE) },
		.storage = w->shadow,
		.context = w,
		.notify_device = ring_bell,
	};
	struct vio_devq_config device = { .size = QUEUE_SIZE };
	uint64_t choice;

	reset(w);
	choice = fuzz_u64(w->input, 4);
	features.word[0] &= ~(choice & 0x0003ffff);
	if (!(choice >> 31))
		vio_features_clear(&features, VIRTIO_F_RING_PACKED);
	vio_features_clear(&features, VIRTIO_F_INDIRECT_DESC);
	vio_device_write_status(&w->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	vio_device_write_features(&w->dev, &features);
	if (!(vio_device_write_status(&w->dev, 0x0b) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		vio_device_write_status(&w->dev, 0);
		return;
	}
	memset(w->ring, 0, RING_BYTES);
	driver.features = features;
	FUZZ_CHECK(vio_drvq_start(&w->q, &driver) == 0);
	device.features = features;
	device.at = vio_devq_position_first(&features);
	device.descriptor_area = vio_drvq_descriptor_area(&w->q);
	device.driver_area = vio_drvq_driver_area(&w->q);
	device.device_area = vio_drvq_device_area(&w->q);
	FUZZ_CHECK(vio_device_queue_start(&w->dev, 0, &device) == 0);
	vio_device_write_status(&w->dev, 0x0f);
	w->running = true;
}

/* A header somewhere in the data page, of a type and sector that mean something. */
static void write_header(struct world *w, uint8_t *to)
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
	struct virtio_blk_req header = {
		.type = vio_le32_make((uint32_t)fuzz_choose(w->input, types, VIO_ARRAY_SIZE(types))),
		.sector = vio_le64_make(fuzz_choose(w->input, sectors, VIO_ARRAY_SIZE(sectors))),
	};

	memcpy(to, &header, sizeof(header));
	for (unsigned i = 0; i < 4; i++) {
		struct virtio_blk_discard_write_zeroes segment = {
			.sector = vio_le64_make(fuzz_choose(w->input, sectors, VIO_ARRAY_SIZE(sectors))),
			.num_sectors = vio_le32_make(
				(uint32_t)fuzz_choose(w->input, counts, VIO_ARRAY_SIZE(counts))),
			.flags = vio_le32_make(fuzz_u8(w->input) & 3),
		};

		memcpy(to + 16 + i * sizeof(segment), &segment, sizeof(segment));
	}
}

static void request(struct world *w)
{
	static const uint64_t lengths[] = { 16, 512, 1, 4096, 15, 32, 20, 513, 8, 1024, 2, 48, 0x4000, 17 };
	struct vio_sg sg[ELEMENTS_MAX];
	uint8_t shape = fuzz_u8(w->input);
	unsigned readable = shape % 4, writable = shape / 4 % 4;
	uint64_t at = DATA_BASE + (fuzz_u8(w->input) & 0x3f) * 16;

	if (!w->running)
		return;
	write_header(w, w->data + (at - DATA_BASE));
	for (unsigned i = 0; i < readable + writable; i++) {
		sg[i].length = (uint32_t)fuzz_choose(w->input, lengths, VIO_ARRAY_SIZE(lengths));
		/* The first part of a good request is its header, the last its status. */
		if (shape & 0x80 && i == 0)
			sg[i].length = 16;
		if (shape & 0x40 && i + 1 == readable + writable)
			sg[i].length = 1;
		sg[i].addr = vio_addr_make(at);
		at += shape & 0x20 || sg[i].length > 0x2000 ? 0 : sg[i].length;
	}
	if (vio_drvq_add(&w->q, sg, readable, writable, w) == 0)
		w->in_flight++;
	vio_drvq_kick(&w->q);
}

static void collect(struct world *w)
{
	uint32_t written;

	if (!w->running)
		return;
	while (vio_drvq_get(&w->q, &written) != NULL) {
		FUZZ_CHECK(w->in_flight > 0);
		w->in_flight--;
	}
	/* The device's half never breaks the standard, unless a buffer was the ring. */
	FUZZ_CHECK(!vio_drvq_broken(&w->q));
}

static void configure(struct world *w)
{
	uint8_t bytes[sizeof(struct virtio_blk_config)];
	uint8_t at = fuzz_u8(w->input), value = fuzz_u8(w->input);

	vio_device_read_config(&w->dev, at, bytes, value % sizeof(bytes));
	vio_device_write_config(&w->dev, at, &value, 1);
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
	w->ring = calloc(1, RING_BYTES);
	w->data = calloc(1, DATA_BYTES);
	w->shadow = malloc(vio_drvq_storage_bytes(QUEUE_SIZE));
	FUZZ_CHECK(w->ring && w->data && w->shadow && vio_drvq_ring_bytes(QUEUE_SIZE) <= RING_BYTES);
}

void fuzz_run(struct fuzz_input *input)
{
	static const struct vio_device_events events = { queue_interrupt, config_interrupt, NULL, NULL };
	const struct vio_features carried = { { UINT64_MAX, 0 } };
	struct world w = { .input = input };
	struct vio_region regions[2];
	struct vio_mem mem;
	void *state = calloc(1, vio_blk_class.state_bytes), *storage;

	open_world(&w);
	vio_mem_init(&mem, regions, 2);
	regions[0] = (struct vio_region){ vio_addr_make(RING_BASE), RING_BYTES, w.ring, 3 };
	regions[1] = (struct vio_region){ vio_addr_make(DATA_BASE), DATA_BYTES, w.data, 3 };
	mem.count = 2;
	vio_device_init(&w.dev, &vio_blk_class, state);
	FUZZ_CHECK(vio_blk_attach(&w.dev, &w.block) == 0 && vio_device_realize(&w.dev) == 0);
	storage = malloc(vio_device_storage_bytes(&w.dev));
	FUZZ_CHECK(storage != NULL);
	vio_device_provide(&w.dev, storage);
	vio_device_attach(&w.dev, &mem, &carried, &events, &w);
	start(&w);
	for (unsigned steps = 0; w.input->left && steps < 300; steps++)
		step(&w);
	if (w.running) {
		storage_drain(&w.block);
		collect(&w);
		/* What a broken queue holds comes back by reset only. */
		FUZZ_CHECK(w.in_flight == 0 || w.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	reset(&w);
	FUZZ_CHECK(w.in_flight == 0);
	fuzz_note(input, w.dev.fault_count);
	fuzz_note_bytes(input, w.ring, RING_BYTES);
	fuzz_note_bytes(input, w.data, DATA_BYTES);
	vio_device_detach(&w.dev);
	vio_device_unrealize(&w.dev);
	free(storage);
	free(state);
	free(w.shadow);
	free(w.data);
	free(w.ring);
}
