/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/caesar.h>

#include "input.h"

/*
 * Saved states that were damaged with care: the checksum is right again. Whatever
 * is in one: loading takes it or refuses it and leaves the device as it was; what
 * was taken can be saved and loaded again.
 */
#define RING_BASE      UINT64_C(0x10000)
#define RING_BYTES     0x2000u
#define BLOB_BYTES_MAX 1024u
#define HEADER_BYTES   16u
#define GENERATION_AT  (HEADER_BYTES + 16 + 4 + 4 + 16 + 1)

struct instance {
	struct vio_device dev;
	void *state;
	void *storage;
};

struct world {
	struct fuzz_input *input;
	struct vio_region regions[1];
	struct vio_mem mem;
	uint8_t *ring;
	struct instance from, to, again;
};

static void queue_interrupt(void *context, uint16_t queue)
{
	FUZZ_CHECK(context && queue == 0);
}

static void config_interrupt(void *context)
{
	FUZZ_CHECK(context != NULL);
}

static void open_instance(struct world *w, struct instance *instance)
{
	static const struct vio_device_events events = { queue_interrupt, config_interrupt, NULL, NULL };
	const struct vio_features carried = { { UINT64_MAX, 0 } };

	instance->state = calloc(1, vio_caesar_class.state_bytes);
	vio_device_init(&instance->dev, &vio_caesar_class, instance->state);
	FUZZ_CHECK(instance->state && vio_device_realize(&instance->dev) == 0);
	instance->storage = malloc(vio_device_storage_bytes(&instance->dev));
	FUZZ_CHECK(instance->storage != NULL);
	vio_device_provide(&instance->dev, instance->storage);
	vio_device_attach(&instance->dev, &w->mem, &carried, &events, w);
}

static void close_instance(struct instance *instance)
{
	vio_device_detach(&instance->dev);
	vio_device_unrealize(&instance->dev);
	free(instance->storage);
	free(instance->state);
}

static void run_driver(struct world *w, struct instance *instance)
{
	struct vio_device *dev = &instance->dev;
	struct vio_features features = vio_device_features(dev);
	struct vio_devq_config config = {
		.size = (uint16_t)(1u << fuzz_u8(w->input) % 6),
		.descriptor_area = vio_addr_make(RING_BASE),
		.driver_area = vio_addr_make(RING_BASE + 0x800),
		.device_area = vio_addr_make(RING_BASE + 0x1000),
	};
	uint8_t what = fuzz_u8(w->input);

	if (!(what & 7))
		return;
	vio_device_write_status(dev, 3);
	if (what & 1)
		vio_features_clear(&features, VIRTIO_F_EVENT_IDX);
	vio_device_write_features(dev, &features);
	FUZZ_CHECK(vio_device_write_status(dev, 11) == 11);
	config.features = features;
	if (what & 2)
		FUZZ_CHECK(vio_device_queue_start(dev, 0, &config) == 0);
	if (what & 4)
		vio_device_write_status(dev, 15);
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
	vio_device_kick(&w->to.dev, 0);
}

void fuzz_run(struct fuzz_input *input)
{
	struct world w = { .input = input, .ring = calloc(1, RING_BYTES) };
	uint8_t blob[BLOB_BYTES_MAX];
	size_t size;

	FUZZ_CHECK(w.ring != NULL);
	w.regions[0] = (struct vio_region){ vio_addr_make(RING_BASE), RING_BYTES, w.ring, 3 };
	w.mem = (struct vio_mem){ .regions = w.regions, .count = 1, .capacity = 1 };
	open_instance(&w, &w.from);
	open_instance(&w, &w.to);
	open_instance(&w, &w.again);
	run_driver(&w, &w.from);
	size = save(&w.from, blob);
	size = damage(&w, blob, size);
	load(&w, blob, size);
	close_instance(&w.again);
	close_instance(&w.to);
	close_instance(&w.from);
	free(w.ring);
}
