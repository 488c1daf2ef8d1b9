/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/harness.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_BASE  UINT64_C(0x780000000) /* far from any host address and above 4 GiB */
#define CANARY_BYTES 16u
#define CANARY       0xc5

static void queue_interrupt(void *context, uint16_t queue)
{
	struct harness *h = context;

	assert_in_range(queue, 0, HARNESS_QUEUES_MAX - 1);
	h->queues[queue].interrupts++;
}

static void config_interrupt(void *context)
{
	struct harness *h = context;

	h->config_interrupts++;
}

static void kick_again(void *context, uint16_t queue)
{
	struct harness *h = context;

	assert_in_range(queue, 0, HARNESS_QUEUES_MAX - 1);
	h->again++;
	if (!h->queues[queue].again)
		h->queues[queue].again = h->again;
}

static void fault(void *context, const struct vio_fault *what)
{
	struct harness *h = context;

	h->faults++;
}

static const struct vio_device_events events = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.kick_again = kick_again,
	.fault = fault,
};

static void ring_bell(void *context, struct vio_drvq *q)
{
	struct harness *h = context;

	vio_device_kick(&h->dev, q->index);
}

void harness_make(struct harness *h, const struct vio_device_class *class)
{
	memset(h, 0, sizeof(*h));
	h->state = malloc(class->state_bytes ? class->state_bytes : 1);
	h->memory = aligned_alloc(4096, HARNESS_MEMORY_BYTES);
	assert_non_null(h->state);
	assert_non_null(h->memory);
	memset(h->memory, 0, HARNESS_MEMORY_BYTES);
	vio_device_init(&h->dev, class, h->state);
}

int harness_try_set(struct harness *h, const char *name, const char *value)
{
	return vio_device_set_property(&h->dev, name, strlen(name), value);
}

void harness_set(struct harness *h, const char *name, const char *value)
{
	assert_int_equal(harness_try_set(h, name, value), 0);
}

void harness_realize(struct harness *h)
{
	struct vio_features all = { { UINT64_MAX, UINT64_MAX } };
	struct vio_region region = {
		.base = vio_addr_make(MEMORY_BASE),
		.size = HARNESS_MEMORY_BYTES,
		.host = h->memory,
		.rights = VIO_MEM_READ | VIO_MEM_WRITE,
	};

	assert_int_equal(vio_device_realize(&h->dev), 0);
	assert_true(h->dev.queue_count <= HARNESS_QUEUES_MAX);
	h->storage = malloc(vio_device_storage_bytes(&h->dev));
	assert_non_null(h->storage);
	memset(h->storage, 0xee, vio_device_storage_bytes(&h->dev));
	vio_device_provide(&h->dev, h->storage);
	vio_mem_init(&h->mem, &h->region, 1);
	assert_int_equal(vio_mem_add(&h->mem, &region), 0);
	vio_device_attach(&h->dev, &h->mem, &all, &events, h);
}

void harness_free(struct harness *h)
{
	vio_device_detach(&h->dev);
	vio_device_unrealize(&h->dev);
	for (unsigned i = 0; i < HARNESS_QUEUES_MAX; i++)
		free(h->queues[i].storage);
	free(h->storage);
	free(h->state);
	free(h->memory);
}

uint64_t harness_offer(struct harness *h)
{
	return vio_device_features(&h->dev).word[0];
}

uint8_t harness_negotiate(struct harness *h, uint64_t features)
{
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;

	vio_device_write_status(&h->dev, status);
	status |= VIRTIO_CONFIG_S_DRIVER;
	vio_device_write_status(&h->dev, status);
	h->features = vio_features_low(features | UINT64_C(1) << VIRTIO_F_VERSION_1);
	vio_device_write_features(&h->dev, &h->features);
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	return vio_device_write_status(&h->dev, status);
}

static void start_queue(struct harness *h, uint16_t index, uint16_t size)
{
	struct harness_queue *queue = &h->queues[index];
	struct vio_drvq_config config = {
		.index = index,
		.size = size,
		.features = h->features,
		.context = h,
		.notify_device = ring_bell,
	};
	struct vio_devq_config device_config = { .size = size, .at = vio_devq_position_first(&h->features) };

	config.ring.host = harness_take(h, vio_drvq_ring_bytes(size));
	config.ring.addr = harness_sg(h, config.ring.host, 0).addr;
	if (vio_features_has(&h->features, VIRTIO_F_INDIRECT_DESC)) {
		config.indirect_max = 8;
		config.indirect.host = harness_take(h, vio_drvq_indirect_bytes(size, config.indirect_max));
		config.indirect.addr = harness_sg(h, config.indirect.host, 0).addr;
	}
	free(queue->storage);
	queue->storage = malloc(vio_drvq_storage_bytes(size));
	assert_non_null(queue->storage);
	config.storage = queue->storage;
	assert_int_equal(vio_drvq_start(&queue->q, &config), 0);
	device_config.descriptor_area = vio_drvq_descriptor_area(&queue->q);
	device_config.driver_area = vio_drvq_driver_area(&queue->q);
	device_config.device_area = vio_drvq_device_area(&queue->q);
	assert_int_equal(vio_device_queue_start(&h->dev, index, &device_config), 0);
}

void harness_start(struct harness *h, uint64_t features, uint16_t size)
{
	uint8_t status = harness_negotiate(h, features);

	assert_true(status & VIRTIO_CONFIG_S_FEATURES_OK);
	for (uint16_t i = 0; i < h->dev.queue_count; i++)
		start_queue(h, i, size);
	status |= VIRTIO_CONFIG_S_DRIVER_OK;
	assert_int_equal(vio_device_write_status(&h->dev, status), status);
}

void harness_reset(struct harness *h)
{
	assert_int_equal(vio_device_write_status(&h->dev, 0), 0);
	h->used = 0;
}

void harness_move(struct harness *h, struct harness *to)
{
	uint8_t blob[4096];
	size_t bytes = vio_device_save(&h->dev, blob, sizeof(blob));

	assert_in_range(bytes, 1, sizeof(blob));
	vio_device_detach(&h->dev);
	memcpy(to->memory, h->memory, HARNESS_MEMORY_BYTES);
	/* Every byte counts: what is cut off or flipped is refused and changes nothing. hostile: G1, G16 */
	for (size_t i = 0; i < bytes; i++) {
		assert_int_equal(vio_device_load(&to->dev, blob, i), -VIO_ESTATE);
		blob[i] ^= 0x10;
		assert_int_equal(vio_device_load(&to->dev, blob, bytes), -VIO_ESTATE);
		blob[i] ^= 0x10;
		assert_int_equal(to->dev.status, 0);
	}
	assert_int_equal(vio_device_load(&to->dev, blob, bytes), 0);
}

void *harness_take(struct harness *h, size_t bytes)
{
	uint8_t *taken;

	h->used = (h->used + 63) & ~(size_t)63;
	assert_true(bytes <= HARNESS_MEMORY_BYTES - h->used);
	taken = h->memory + h->used;
	h->used += bytes;
	memset(taken, 0, bytes);
	return taken;
}

struct vio_sg harness_sg(const struct harness *h, const void *host, size_t bytes)
{
	uint64_t offset = (uint64_t)((const uint8_t *)host - h->memory);

	return (struct vio_sg){ vio_addr_make(MEMORY_BASE + offset), (uint32_t)bytes };
}

unsigned harness_split(const struct harness *h, const void *host, size_t bytes, size_t piece,
		       struct vio_sg *sg)
{
	const uint8_t *at = host;
	unsigned count = 0;

	if (!piece)
		piece = bytes;
	while (bytes) {
		size_t now = bytes < piece ? bytes : piece;

		assert_true(count < HARNESS_SG_MAX);
		sg[count++] = harness_sg(h, at, now);
		at += now;
		bytes -= now;
	}
	return count;
}

uint8_t *harness_add(struct harness *h, unsigned queue, const struct harness_io *io, void *token)
{
	struct vio_sg sg[HARNESS_SG_MAX * 2];
	uint8_t *out = harness_take(h, io->out_bytes);
	uint8_t *in = (uint8_t *)harness_take(h, io->in_bytes + 2 * CANARY_BYTES) + CANARY_BYTES;
	unsigned readable, writable;

	if (io->out_bytes)
		memcpy(out, io->out, io->out_bytes);
	memset(in - CANARY_BYTES, CANARY, io->in_bytes + 2 * CANARY_BYTES);
	readable = harness_split(h, out, io->out_bytes, io->piece, sg);
	writable = harness_split(h, in, io->in_bytes, io->piece, sg + readable);
	assert_int_equal(vio_drvq_add(&h->queues[queue].q, sg, readable, writable, token), 0);
	return in;
}

void harness_kick(struct harness *h, unsigned queue)
{
	vio_drvq_kick(&h->queues[queue].q);
}

void *harness_get(struct harness *h, unsigned queue, uint32_t *written)
{
	return vio_drvq_get(&h->queues[queue].q, written);
}

int64_t harness_call(struct harness *h, unsigned queue, const struct harness_io *io)
{
	size_t mark = h->used;
	uint32_t written = 0;
	uint8_t *in = harness_add(h, queue, io, h);
	const uint8_t *out = in - CANARY_BYTES - ((io->out_bytes + 63) & ~(size_t)63);
	void *token;

	harness_kick(h, queue);
	token = harness_get(h, queue, &written);
	assert_false(vio_drvq_broken(&h->queues[queue].q));
	if (!token)
		return -1;
	assert_ptr_equal(token, h);
	assert_true(written <= io->in_bytes);
	for (unsigned i = 1; i <= CANARY_BYTES; i++) {
		assert_int_equal(in[-(int)i], CANARY);
		assert_int_equal(in[io->in_bytes + i - 1], CANARY);
	}
	if (io->out_bytes)
		assert_memory_equal(out, io->out, io->out_bytes); /* spec: DEV-SPLIT-002 */
	if (io->in_bytes)
		memcpy(io->in, in, io->in_bytes);
	h->used = mark;
	return written;
}

void harness_poke_config(struct harness *h, uint64_t seed)
{
	uint32_t bytes = h->dev.config_bytes;
	uint8_t before[256], got[8], value[8];
	uint32_t far[] = { bytes, bytes + 1, UINT32_MAX - 8, UINT32_MAX - 1, UINT32_MAX };
	const uint8_t zeros[8] = { 0 };

	assert_true(bytes <= sizeof(before));
	for (uint32_t width = 1; width <= 8; width++) {
		for (uint32_t offset = 0; offset + width <= bytes + 8; offset++) {
			uint32_t left = offset < bytes ? bytes - offset : 0;
			uint32_t there = left < width ? left : width;

			vio_device_read_config(&h->dev, 0, before, bytes);
			vio_device_read_config(&h->dev, offset, got, width);
			assert_memory_equal(got, before + (offset < bytes ? offset : 0), there);
			assert_memory_equal(got + there, zeros, width - there);
			for (unsigned i = 0; i < sizeof(value); i++)
				value[i] = (uint8_t)harness_random(&seed);
			if (offset + width > bytes) {
				assert_int_equal(vio_device_write_config(&h->dev, offset, value, width),
						 -VIO_ERANGE);
				vio_device_read_config(&h->dev, 0, value, width < bytes ? width : bytes);
				assert_memory_equal(value, before, width < bytes ? width : bytes);
			} else {
				assert_int_equal(vio_device_write_config(&h->dev, offset, value, width), 0);
			}
		}
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(far); i++) {
			memset(got, 0xff, sizeof(got));
			vio_device_read_config(&h->dev, far[i], got, width);
			assert_memory_equal(got, zeros, width);
			assert_int_equal(vio_device_write_config(&h->dev, far[i], value, width), -VIO_ERANGE);
		}
	}
}
