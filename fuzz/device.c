/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <string.h>

static void ring_bell(void *context, struct vio_drvq *q)
{
	struct fuzz_queue *queue = context;

	FUZZ_CHECK(q == &queue->q);
	vio_device_kick(&queue->device->dev, q->index);
}

static void queue_interrupt(void *context, uint16_t queue)
{
	const struct fuzz_device *device = context;

	FUZZ_CHECK(queue < device->dev.queue_count);
}

static void config_interrupt(void *context)
{
	FUZZ_CHECK(context != NULL);
}

/* Queues here are shorter than the budget of a kick. */
static void kick_again(void *context, uint16_t queue)
{
	FUZZ_CHECK(!context || queue == UINT16_MAX);
}

void fuzz_device_set(struct fuzz_device *device, const char *name, const char *value)
{
	FUZZ_CHECK(vio_device_set_property(&device->dev, name, strlen(name), value) == 0);
}

void fuzz_device_make(struct fuzz_device *device, const struct vio_device_class *class,
		      struct fuzz_input *input)
{
	memset(device, 0, sizeof(*device));
	device->input = input;
	device->state = calloc(1, class->state_bytes ? class->state_bytes : 1);
	device->rings = calloc(FUZZ_QUEUES_MAX, FUZZ_RING_BYTES);
	device->data = calloc(1, FUZZ_DATA_BYTES);
	FUZZ_CHECK(device->state && device->rings && device->data);
	vio_device_init(&device->dev, class, device->state);
	fuzz_device_set(device, "queue-size", "16"); /* its storage is most of what a run takes */
	vio_mem_init(&device->mem, device->regions, 2);
	device->regions[0] = (struct vio_region){ vio_addr_make(FUZZ_RING_BASE),
						  FUZZ_QUEUES_MAX * FUZZ_RING_BYTES, device->rings, 3 };
	device->regions[1] =
		(struct vio_region){ vio_addr_make(FUZZ_DATA_BASE), FUZZ_DATA_BYTES, device->data, 3 };
	device->mem.count = 2;
}

void fuzz_device_realize(struct fuzz_device *device)
{
	static const struct vio_device_events events = { queue_interrupt, config_interrupt, kick_again,
							 NULL };
	const struct vio_features carried = { { UINT64_MAX, 0 } };

	FUZZ_CHECK(vio_device_realize(&device->dev) == 0);
	FUZZ_CHECK(device->dev.queue_count <= FUZZ_QUEUES_MAX);
	device->storage = malloc(vio_device_storage_bytes(&device->dev));
	FUZZ_CHECK(device->storage && vio_drvq_ring_bytes(FUZZ_QUEUE_SIZE) <= FUZZ_RING_BYTES);
	for (unsigned i = 0; i < device->dev.queue_count; i++) {
		device->queues[i].device = device;
		device->queues[i].shadow = malloc(vio_drvq_storage_bytes(FUZZ_QUEUE_SIZE));
		FUZZ_CHECK(device->queues[i].shadow != NULL);
	}
	vio_device_provide(&device->dev, device->storage);
	vio_device_attach(&device->dev, &device->mem, &carried, &events, device);
}

void fuzz_device_reset(struct fuzz_device *device)
{
	if (!device->running)
		return;
	vio_device_write_status(&device->dev, 0);
	FUZZ_CHECK(device->dev.status == 0);
	for (unsigned i = 0; i < device->dev.queue_count; i++) {
		while (vio_drvq_detach_unused(&device->queues[i].q))
			device->queues[i].in_flight--;
		FUZZ_CHECK(device->queues[i].in_flight == 0);
	}
	device->running = false;
}

static void start_queue(struct fuzz_device *device, uint16_t index, const struct vio_features *features)
{
	struct fuzz_queue *queue = &device->queues[index];
	uint8_t *ring = device->rings + index * FUZZ_RING_BYTES;
	const struct vio_drvq_config driver = {
		.index = index,
		.size = FUZZ_QUEUE_SIZE,
		.ring = { ring, vio_addr_make(FUZZ_RING_BASE + index * FUZZ_RING_BYTES) },
		.storage = queue->shadow,
		.context = queue,
		.notify_device = ring_bell,
		.features = *features,
	};
	struct vio_devq_config config = { .size = FUZZ_QUEUE_SIZE, .at = vio_devq_position_first(features) };

	memset(ring, 0, FUZZ_RING_BYTES);
	FUZZ_CHECK(vio_drvq_start(&queue->q, &driver) == 0);
	config.features = *features;
	config.descriptor_area = vio_drvq_descriptor_area(&queue->q);
	config.driver_area = vio_drvq_driver_area(&queue->q);
	config.device_area = vio_drvq_device_area(&queue->q);
	FUZZ_CHECK(vio_device_queue_start(&device->dev, index, &config) == 0);
}

void fuzz_device_start(struct fuzz_device *device, uint64_t without)
{
	struct vio_device *dev = &device->dev;
	struct vio_features features = vio_device_features(dev);

	fuzz_device_reset(device);
	features.word[0] &= ~without;
	vio_features_set(&features, VIRTIO_F_VERSION_1);
	vio_features_clear(&features, VIRTIO_F_INDIRECT_DESC);
	vio_device_write_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	vio_device_write_features(dev, &features);
	if (!(vio_device_write_status(dev, 0x0b) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		vio_device_write_status(dev, 0);
		return;
	}
	for (uint16_t i = 0; i < dev->queue_count; i++)
		start_queue(device, i, &features);
	vio_device_write_status(dev, 0x0f);
	device->running = true;
}

void fuzz_device_ask(struct fuzz_device *device, unsigned queue, const struct fuzz_ask *ask)
{
	static const uint64_t lengths[] = { 16, 512, 1, 4096, 15, 32, 20, 513, 8, 1024, 2, 48, 0x4000, 17 };
	struct fuzz_queue *it = &device->queues[queue];
	struct vio_sg sg[FUZZ_ELEMENTS];
	uint8_t shape = fuzz_u8(device->input);
	unsigned readable = shape % 4, writable = shape / 4 % 4;
	uint32_t at = (fuzz_u8(device->input) & 0x3fu) * 16;

	if (!device->running)
		return;
	if (ask->write)
		ask->write(device, device->data + at);
	for (unsigned i = 0; i < readable + writable; i++) {
		sg[i].length = (uint32_t)fuzz_choose(device->input, lengths, VIO_ARRAY_SIZE(lengths));
		if (shape & 0x80 && i == 0 && ask->first)
			sg[i].length = ask->first;
		if (shape & 0x40 && i + 1 == readable + writable && ask->last)
			sg[i].length = ask->last;
		sg[i].addr = vio_addr_make(FUZZ_DATA_BASE + at);
		at += shape & 0x20 || sg[i].length > 0x2000 ? 0 : sg[i].length;
	}
	if (vio_drvq_add(&it->q, sg, readable, writable, device) == 0)
		it->in_flight++;
	vio_drvq_kick(&it->q);
}

void fuzz_device_collect(struct fuzz_device *device)
{
	uint32_t written;

	for (unsigned i = 0; device->running && i < device->dev.queue_count; i++) {
		struct fuzz_queue *queue = &device->queues[i];

		while (vio_drvq_get(&queue->q, &written) != NULL) {
			FUZZ_CHECK(queue->in_flight > 0);
			queue->in_flight--;
			if (device->got)
				device->got(device, i, written);
		}
		/* The device's half never breaks the standard: no buffer is the ring. */
		FUZZ_CHECK(!vio_drvq_broken(&queue->q));
	}
}

void fuzz_device_configure(struct fuzz_device *device)
{
	uint8_t bytes[256];
	uint8_t at = fuzz_u8(device->input), value = fuzz_u8(device->input);

	FUZZ_CHECK(device->dev.config_bytes <= sizeof(bytes));
	vio_device_read_config(&device->dev, at, bytes,
			       device->dev.config_bytes ? value % device->dev.config_bytes : 0);
	vio_device_write_config(&device->dev, at, &value, 1);
}

bool fuzz_device_lent(const struct fuzz_device *device, const void *from, size_t length)
{
	const uint8_t *at = from;

	if (at >= device->data && length <= FUZZ_DATA_BYTES &&
	    (size_t)(at - device->data) <= FUZZ_DATA_BYTES - length)
		return true;
	return at >= device->rings && length <= FUZZ_QUEUES_MAX * FUZZ_RING_BYTES &&
	       (size_t)(at - device->rings) <= FUZZ_QUEUES_MAX * FUZZ_RING_BYTES - length;
}

void fuzz_device_close(struct fuzz_device *device)
{
	fuzz_device_collect(device);
	fuzz_device_reset(device);
	fuzz_note(device->input, device->dev.fault_count);
	for (unsigned i = 0; i < device->dev.queue_count; i++)
		fuzz_note_bytes(device->input, device->rings + i * FUZZ_RING_BYTES, 128);
	fuzz_note_bytes(device->input, device->data, FUZZ_HEAD_BYTES / 4);
	vio_device_detach(&device->dev);
	vio_device_unrealize(&device->dev);
	for (unsigned i = 0; i < FUZZ_QUEUES_MAX; i++)
		free(device->queues[i].shadow);
	free(device->storage);
	free(device->state);
	free(device->rings);
	free(device->data);
}
