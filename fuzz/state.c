/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/adder.h>
#include <vireo/devices/blk.h>
#include <vireo/devices/caesar.h>
#include <vireo/devices/console.h>
#include <vireo/devices/input.h>
#include <vireo/devices/net.h>
#include <vireo/devices/rng.h>
#include <vireo/devices/vssd.h>

#include "input.h"

/*
 * Saved states of every type that were damaged with care: the checksum is right again. Whatever is in
 * one: loading takes it, or refuses it, names what was wrong and leaves the device as it was; what was
 * taken can be saved and loaded again. hostile: G2 G16
 */
#define RING_BASE      UINT64_C(0x10000)
#define RING_BYTES     0x2000u
#define BLOB_BYTES_MAX 8192u
#define DISK_BYTES     0x10000u
#define MAP_BYTES      (4 * VIO_VSSD_SLOT_ALIGN)
#define QUEUES_MAX     8u
#define HEADER_BYTES   16u
#define GENERATION_AT  (HEADER_BYTES + 16 + 4 + 4 + 16 + 1)

struct backends {
	struct vio_block disk, map;
	void *map_memory;
	struct vio_network network;
	struct vio_terminal terminals[2];
	struct vio_event_source source;
	struct vio_entropy entropy;
};

struct instance {
	struct vio_device dev;
	struct backends backends;
	void *state;
	void *storage;
};

struct world {
	struct fuzz_input *input;
	const struct type *type;
	struct vio_region regions[1];
	struct vio_mem mem;
	uint8_t *ring;
	uint8_t map[MAP_BYTES]; /* what all instances find there */
	struct instance from, to, again;
};

/* A device type, and how it gets its backends. */
struct type {
	const struct vio_device_class *class;
	void (*furnish)(struct world *w, struct instance *instance);
};

/* Backends that do at once what there is to do. */

static void disk_submit(struct vio_block *block, struct vio_block_request *request)
{
	FUZZ_CHECK(block->size_bytes == DISK_BYTES);
	request->done(request, 0);
}

static void disk_drain(struct vio_block *block)
{
	FUZZ_CHECK(block != NULL);
}

/* Each instance may read and write what the others have there; changed_context is nobody's here. */
static void map_submit(struct vio_block *block, struct vio_block_request *request)
{
	struct world *w = block->changed_context;
	uint64_t at = request->offset;

	for (unsigned i = 0; i < request->span_count; i++) {
		const struct vio_span *span = &request->spans[i];

		FUZZ_CHECK(at <= MAP_BYTES && span->length <= MAP_BYTES - at);
		if (request->op == VIO_BLOCK_READ)
			memcpy(span->host, w->map + at, span->length);
		else
			memcpy(w->map + at, span->host, span->length);
		at += span->length;
	}
	request->done(request, 0);
}

static const struct vio_block_ops disk_ops = { .submit = disk_submit, .drain = disk_drain };
static const struct vio_block_ops map_ops = { .submit = map_submit, .drain = disk_drain };

static void network_send(struct vio_network *network, struct vio_network_send *send)
{
	FUZZ_CHECK(network->link_up);
	send->done(send, 0);
}

static void network_drain(struct vio_network *network)
{
	FUZZ_CHECK(network->link_up);
}

static const struct vio_network_ops network_ops = { .send = network_send, .drain = network_drain };

static size_t terminal_read(struct vio_terminal *terminal, void *to, size_t length)
{
	FUZZ_CHECK(terminal && to && length);
	return 0;
}

static size_t terminal_write(struct vio_terminal *terminal, const void *from, size_t length)
{
	FUZZ_CHECK(terminal && from);
	return length;
}

static const struct vio_terminal_ops terminal_ops = { .read = terminal_read, .write = terminal_write };
static const struct vio_event_source_ops source_ops = { NULL, NULL, NULL };

static int entropy_fill(struct vio_entropy *entropy, void *to, size_t length)
{
	FUZZ_CHECK(entropy->context == NULL);
	memset(to, 1, length);
	return (int)length;
}

static void furnish_nothing(struct world *w, struct instance *instance)
{
	FUZZ_CHECK(w && instance);
}

static void furnish_rng(struct world *w, struct instance *instance)
{
	FUZZ_CHECK(w != NULL);
	instance->backends.entropy.fill = entropy_fill;
	FUZZ_CHECK(vio_rng_attach(&instance->dev, &instance->backends.entropy) == 0);
}

static struct vio_block make_disk(const struct vio_block_ops *ops, uint64_t bytes)
{
	return (struct vio_block){
		.ops = ops, .size_bytes = bytes, .block_bytes = 512, .physical_bytes = 512
	};
}

static void furnish_blk(struct world *w, struct instance *instance)
{
	FUZZ_CHECK(w != NULL);
	instance->backends.disk = make_disk(&disk_ops, DISK_BYTES);
	FUZZ_CHECK(vio_blk_attach(&instance->dev, &instance->backends.disk) == 0);
}

static void furnish_vssd(struct world *w, struct instance *instance)
{
	struct backends *backends = &instance->backends;
	struct vio_vssd_storage storage = { &backends->disk, &backends->map, NULL };

	FUZZ_CHECK(vio_device_set_property(&instance->dev, "unit", 4, "4K") == 0);
	FUZZ_CHECK(vio_vssd_map_bytes(&instance->dev, DISK_BYTES) <= MAP_BYTES);
	backends->disk = make_disk(&disk_ops, DISK_BYTES);
	backends->map = make_disk(&map_ops, MAP_BYTES);
	backends->map.changed_context = w;
	backends->map_memory = malloc((size_t)vio_vssd_memory_bytes(&instance->dev, DISK_BYTES));
	storage.memory = backends->map_memory;
	FUZZ_CHECK(storage.memory && vio_vssd_attach(&instance->dev, &storage) == 0);
}

static void furnish_net(struct world *w, struct instance *instance)
{
	FUZZ_CHECK(w != NULL);
	instance->backends.network = (struct vio_network){ .ops = &network_ops, .link_up = true };
	FUZZ_CHECK(vio_device_set_property(&instance->dev, "pairs", 5, "2") == 0);
	FUZZ_CHECK(vio_net_attach(&instance->dev, &instance->backends.network) == 0);
}

static void furnish_console(struct world *w, struct instance *instance)
{
	FUZZ_CHECK(vio_device_set_property(&instance->dev, "max-ports", 9, "3") == 0);
	for (unsigned i = 0; i < 2; i++) {
		instance->backends.terminals[i].ops = &terminal_ops;
		FUZZ_CHECK(w && vio_console_attach(&instance->dev, i, &instance->backends.terminals[i],
						   "name", 0) == 0);
	}
}

static void furnish_input(struct world *w, struct instance *instance)
{
	instance->backends.source.ops = &source_ops;
	FUZZ_CHECK(w && vio_input_attach(&instance->dev, &instance->backends.source) == 0);
}

static const struct type types[] = {
	{ &vio_caesar_class, furnish_nothing },  { &vio_adder_class, furnish_nothing },
	{ &vio_rng_class, furnish_rng },         { &vio_blk_class, furnish_blk },
	{ &vio_vssd_class, furnish_vssd },       { &vio_net_class, furnish_net },
	{ &vio_console_class, furnish_console }, { &vio_input_class, furnish_input },
};

/* Instances. */

static void queue_interrupt(void *context, uint16_t queue)
{
	FUZZ_CHECK(context && queue < QUEUES_MAX);
}

static void config_interrupt(void *context)
{
	FUZZ_CHECK(context != NULL);
}

static void open_instance(struct world *w, struct instance *instance)
{
	static const struct vio_device_events events = { queue_interrupt, config_interrupt, NULL, NULL };
	const struct vio_features carried = { { UINT64_MAX, 0 } };
	const struct vio_device_class *class = w->type->class;

	instance->state = calloc(1, class->state_bytes);
	FUZZ_CHECK(instance->state != NULL);
	vio_device_init(&instance->dev, class, instance->state);
	FUZZ_CHECK(vio_device_set_property(&instance->dev, "queue-size", 10, "32") == 0);
	w->type->furnish(w, instance);
	FUZZ_CHECK(vio_device_realize(&instance->dev) == 0 && instance->dev.queue_count <= QUEUES_MAX);
	instance->storage = malloc(vio_device_storage_bytes(&instance->dev));
	FUZZ_CHECK(instance->storage != NULL);
	vio_device_provide(&instance->dev, instance->storage);
	vio_device_attach(&instance->dev, &w->mem, &carried, &events, w);
}

static void close_instance(struct instance *instance)
{
	vio_device_detach(&instance->dev);
	vio_device_unrealize(&instance->dev);
	free(instance->backends.map_memory);
	free(instance->storage);
	free(instance->state);
}

static void start_queue(struct instance *instance, uint16_t queue, const struct vio_features *features,
			uint16_t size)
{
	const uint64_t base = RING_BASE + queue * RING_BYTES;
	struct vio_devq_config config = {
		.size = size,
		.at = vio_devq_position_first(features),
		.descriptor_area = vio_addr_make(base),
		.driver_area = vio_addr_make(base + 0x800),
		.device_area = vio_addr_make(base + 0x1000),
		.features = *features,
	};

	FUZZ_CHECK(vio_device_queue_start(&instance->dev, queue, &config) == 0);
}

static void run_driver(struct world *w, struct instance *instance, uint8_t size)
{
	struct vio_device *dev = &instance->dev;
	struct vio_features features = vio_device_features(dev);
	uint8_t what = fuzz_u8(w->input);

	if (!(what & 7))
		return;
	vio_device_write_status(dev, 3);
	if (what & 1)
		vio_features_clear(&features, VIRTIO_F_EVENT_IDX);
	if (what & 8)
		vio_features_clear(&features, VIRTIO_F_RING_PACKED);
	vio_device_write_features(dev, &features);
	FUZZ_CHECK(vio_device_write_status(dev, 11) == 11);
	for (uint16_t i = 0; i < dev->queue_count; i++)
		if (what & 2)
			start_queue(instance, i, &features, (uint16_t)(1u << size % 6));
	if (what & 4)
		vio_device_write_status(dev, 15);
	if (w->type->class == &vio_vssd_class && what & 16)
		vio_vssd_resize(dev, what >> 5);
	if (what & 32)
		vio_device_write_config(dev, what % dev->queue_count, &what, 1);
}

static void put_le32(uint8_t *to, uint32_t value)
{
	vio_le32 wire = vio_le32_make(value);

	memcpy(to, &wire, sizeof(wire));
}

static void seal(uint8_t *blob, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = HEADER_BYTES; i < size; i++) {
		crc ^= blob[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	put_le32(blob + 8, (uint32_t)(size - HEADER_BYTES));
	put_le32(blob + 12, ~crc);
}

static size_t damage(struct world *w, uint8_t *blob, size_t size)
{
	uint8_t changes = fuzz_u8(w->input) % 8;

	while (changes--)
		blob[fuzz_u64(w->input, 2) % size] = fuzz_u8(w->input);
	switch (fuzz_u8(w->input)) {
	case 255:
		return size / 2;
	case 254:
		return size - 1;
	case 253:
		size += 3;
		break;
	case 252:
		return size;
	default:
		break;
	}
	seal(blob, size);
	return size;
}

static size_t save(struct instance *instance, uint8_t *blob)
{
	size_t size = vio_device_save(&instance->dev, NULL, 0);

	memset(blob, 0, BLOB_BYTES_MAX);
	FUZZ_CHECK(size >= HEADER_BYTES && size + 4 < BLOB_BYTES_MAX);
	FUZZ_CHECK(vio_device_save(&instance->dev, blob, BLOB_BYTES_MAX) == size);
	return size;
}

static void load(struct world *w, const uint8_t *blob, size_t size)
{
	uint8_t before[BLOB_BYTES_MAX], after[BLOB_BYTES_MAX];
	size_t before_size = save(&w->to, before), after_size;
	int result = vio_device_load(&w->to.dev, blob, size);

	fuzz_note(w->input, (uint64_t)result);
	after_size = save(&w->to, after);
	fuzz_note_bytes(w->input, after, after_size);
	FUZZ_CHECK(!result == !w->to.dev.refusal.what);
	if (result) {
		FUZZ_CHECK(w->to.dev.status == 0);
		FUZZ_CHECK(before_size == after_size && memcmp(before, after, after_size) == 0);
		return;
	}
	FUZZ_CHECK(vio_device_load(&w->again.dev, after, after_size) == 0);
	/* The same but for the generation, which every load raises. */
	FUZZ_CHECK(save(&w->again, before) == after_size);
	memcpy(before + GENERATION_AT, after + GENERATION_AT, 4);
	seal(before, after_size);
	FUZZ_CHECK(memcmp(before, after, after_size) == 0);
	for (uint16_t i = 0; i < w->to.dev.queue_count; i++)
		vio_device_kick(&w->to.dev, i);
}

void fuzz_run(struct fuzz_input *input)
{
	struct world *w = calloc(1, sizeof(*w));
	uint8_t blob[BLOB_BYTES_MAX];
	uint8_t what = fuzz_u8(input);
	size_t size;

	FUZZ_CHECK(w != NULL);
	w->input = input;
	w->type = &types[what / 6 % VIO_ARRAY_SIZE(types)];
	w->ring = calloc(QUEUES_MAX, RING_BYTES);
	FUZZ_CHECK(w->ring != NULL);
	w->regions[0] = (struct vio_region){ vio_addr_make(RING_BASE), QUEUES_MAX * RING_BYTES, w->ring, 3 };
	w->mem = (struct vio_mem){ .regions = w->regions, .count = 1, .capacity = 1 };
	open_instance(w, &w->from);
	run_driver(w, &w->from, what);
	size = save(&w->from, blob);
	/* As in life: this one is no more when the others find its map. */
	close_instance(&w->from);
	open_instance(w, &w->to);
	open_instance(w, &w->again);
	size = damage(w, blob, size);
	load(w, blob, size);
	close_instance(&w->again);
	close_instance(&w->to);
	free(w->ring);
	free(w);
}
