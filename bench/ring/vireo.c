/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <vireo/devq.h>
#include <vireo/drvq.h>

#include "exchange.h"

/* Vireo's two roles. */

static struct vio_features features_of(const struct bench_case *c)
{
	struct vio_features f = vio_features_low(0);

	vio_features_set(&f, VIRTIO_F_VERSION_1);
	if (c->bits & BENCH_PACKED)
		vio_features_set(&f, VIRTIO_F_RING_PACKED);
	if (c->bits & BENCH_EVENT_IDX)
		vio_features_set(&f, VIRTIO_F_EVENT_IDX);
	if (c->bits & BENCH_IN_ORDER)
		vio_features_set(&f, VIRTIO_F_IN_ORDER);
	if (c->bits & BENCH_INDIRECT)
		vio_features_set(&f, VIRTIO_F_INDIRECT_DESC);
	return f;
}

struct driver {
	struct vio_drvq q;
	void *storage;
	unsigned slots;
	int kick_fd;
	struct vio_sg sg[BENCH_CHAINS_MAX];
	struct vio_drvq_buffer buffers[BENCH_WINDOW_MAX];
};

static void ring_bell(int fd)
{
	/* Only an eventfd that was rung 2^64 times and not heard would refuse. */
	if (eventfd_write(fd, 1))
		abort();
}

static void kick_device(void *context, struct vio_drvq *q)
{
	struct driver *d = context;

	ring_bell(d->kick_fd);
}

/* Each buffer is its own token. */
static void driver_prepare(struct driver *d, const struct bench_memory *memory)
{
	unsigned slot, i;

	for (slot = 0; slot < memory->slots; slot++) {
		struct vio_sg *sg = &d->sg[slot * memory->chain];

		for (i = 0; i < memory->chain; i++) {
			const uint8_t *host =
				memory->data + (size_t)slot * BENCH_SLOT_BYTES + i * BENCH_BYTES;

			sg[i] = (struct vio_sg){ vio_addr_make((uintptr_t)host), BENCH_BYTES };
		}
		d->buffers[slot] = (struct vio_drvq_buffer){ sg, 1, memory->chain - 1, &d->buffers[slot] };
	}
}

static void *driver_start(const struct bench_case *c, struct bench_memory *memory)
{
	struct driver *d = bench_alloc(sizeof(*d));
	struct vio_drvq_config config = { .size = (uint16_t)memory->ring_size };

	if (!d)
		return NULL;
	d->storage = bench_alloc(vio_drvq_storage_bytes(config.size));
	d->slots = memory->slots;
	d->kick_fd = memory->kick_fd;
	config.features = features_of(c);
	config.ring = (struct vio_shared){ memory->descriptor_area,
					   vio_addr_make((uintptr_t)memory->descriptor_area) };
	config.storage = d->storage;
	if (c->bits & BENCH_INDIRECT) {
		config.indirect =
			(struct vio_shared){ memory->tables, vio_addr_make((uintptr_t)memory->tables) };
		config.indirect_max = BENCH_CHAIN;
	}
	config.context = d;
	config.notify_device = kick_device;
	if (!d->storage || vio_drvq_start(&d->q, &config)) {
		free(d->storage);
		free(d);
		return NULL;
	}
	memory->driver_area = (uint8_t *)(uintptr_t)vio_drvq_driver_area(&d->q).raw;
	memory->device_area = (uint8_t *)(uintptr_t)vio_drvq_device_area(&d->q).raw;
	driver_prepare(d, memory);
	if (c->mode != BENCH_SLEEP)
		vio_drvq_disable_cb(&d->q);
	return d;
}

static void driver_stop(void *state)
{
	struct driver *d = state;

	free(d->storage);
	free(d);
}

static bool driver_add(void *state, unsigned first, unsigned count)
{
	struct driver *d = state;
	const struct vio_drvq_buffer *b = &d->buffers[first];

	if (count == 1)
		return !vio_drvq_add(&d->q, b->sg, b->readable, b->writable, b->token);
	return vio_drvq_add_many(&d->q, b, count) == (int)count;
}

static void driver_show(void *state)
{
	struct driver *d = state;

	vio_drvq_publish(&d->q);
}

static void driver_kick(void *state)
{
	struct driver *d = state;

	vio_drvq_kick(&d->q);
}

static int driver_get(void *state, unsigned next, unsigned max)
{
	struct driver *d = state;
	void *tokens[BENCH_BATCH_MAX];
	uint32_t written[BENCH_BATCH_MAX];
	unsigned count, i;

	if (max == 1) {
		tokens[0] = vio_drvq_get(&d->q, written);
		count = tokens[0] != NULL;
	} else {
		count = vio_drvq_get_many(&d->q, tokens, written, max);
	}
	for (i = 0; i < count; i++) {
		if (tokens[i] != &d->buffers[next])
			return -1;
		next = next + 1 == d->slots ? 0 : next + 1;
	}
	return count || !vio_drvq_broken(&d->q) ? (int)count : -1;
}

static void driver_wake(void *state)
{
	struct driver *d = state;

	vio_drvq_disable_cb(&d->q);
}

static bool driver_sleep(void *state)
{
	struct driver *d = state;

	return vio_drvq_enable_cb(&d->q);
}

static const struct bench_driver vireo_driver = {
	.name = "vireo",
	.start = driver_start,
	.stop = driver_stop,
	.add = driver_add,
	.show = driver_show,
	.kick = driver_kick,
	.get = driver_get,
	.wake = driver_wake,
	.sleep = driver_sleep,
};

struct device {
	struct vio_devq q;
	bool polling; /* the driver is known to */
	struct vio_mem mem;
	struct vio_region region;
	void *storage;
	int call_fd;
};

static void interrupt_driver(void *context, struct vio_devq *q)
{
	struct device *d = context;

	ring_bell(d->call_fd);
}

static void *device_start(const struct bench_case *c, const struct bench_memory *memory)
{
	struct device *d = bench_alloc(sizeof(*d));
	const uint16_t size = (uint16_t)memory->ring_size;
	struct vio_devq_config config = { .size = size };

	if (!d)
		return NULL;
	d->storage = bench_alloc(vio_devq_storage_bytes(size, BENCH_CHAIN, 0));
	d->call_fd = memory->call_fd;
	/* Where the device's part counts alone it is pop and push, without a word to the driver. */
	d->polling = c->mode == BENCH_POLL || c->part == BENCH_DEVICE;
	d->region = (struct vio_region){ vio_addr_make((uintptr_t)memory->arena), BENCH_ARENA_BYTES,
					 memory->arena, VIO_MEM_READ | VIO_MEM_WRITE };
	vio_mem_init(&d->mem, &d->region, 1);
	d->mem.count = 1;
	config.features = features_of(c);
	config.at = vio_devq_position_first(&config.features);
	config.descriptor_area = vio_addr_make((uintptr_t)memory->descriptor_area);
	config.driver_area = vio_addr_make((uintptr_t)memory->driver_area);
	config.device_area = vio_addr_make((uintptr_t)memory->device_area);
	if (d->storage)
		vio_devq_init(&d->q, 0, size, BENCH_CHAIN, 0, d->storage, d, interrupt_driver);
	if (!d->storage || vio_devq_start(&d->q, &d->mem, &config)) {
		free(d->storage);
		free(d);
		return NULL;
	}
	return d;
}

static void device_stop(void *state)
{
	struct device *d = state;

	free(d->storage);
	free(d);
}

static inline void device_show(struct device *d)
{
	if (d->polling)
		vio_devq_publish(&d->q);
	else
		vio_devq_notify(&d->q);
}

/* The spans of a buffer lie behind each other, readable ones first. */
static inline uint64_t weigh_buffer(const struct vio_buf *buf)
{
	const struct vio_span *span = buf->readable;
	unsigned count = buf->readable_count + buf->writable_count;
	uint64_t sum = 0;

	for (; count; count--, span++)
		sum += bench_weigh(span->host, span->length);
	return sum;
}

static int device_serve(void *state, unsigned max, uint64_t *sum)
{
	struct device *d = state;
	struct vio_buf buffers[BENCH_BATCH_MAX];
	uint32_t written[BENCH_BATCH_MAX];
	unsigned count, i;

	if (max == 1) {
		if (!vio_devq_pop(&d->q, buffers))
			return vio_devq_broken(&d->q) ? -1 : 0;
		*sum += weigh_buffer(buffers);
		vio_devq_push(&d->q, buffers, (uint32_t)buffers->writable_bytes);
		device_show(d);
		return 1;
	}
	count = vio_devq_pop_many(&d->q, buffers, max);
	if (!count)
		return vio_devq_broken(&d->q) ? -1 : 0;
	for (i = 0; i < count; i++) {
		*sum += weigh_buffer(&buffers[i]);
		written[i] = (uint32_t)buffers[i].writable_bytes;
	}
	vio_devq_push_many(&d->q, buffers, written, count);
	device_show(d);
	return (int)count;
}

static void device_poll(void *state)
{
	struct device *d = state;

	vio_devq_disable_kick(&d->q);
}

static const struct bench_device vireo_device = {
	.name = "vireo",
	.start = device_start,
	.stop = device_stop,
	.serve = device_serve,
	.poll = device_poll,
};

const struct bench_pairing bench_pairings[] = {
	{ "vireo", &vireo_driver, &vireo_device, BENCH_BOTH, 0 },
	{ "driver", &vireo_driver, &bench_floor_device, BENCH_DRIVER, 0 },
	{ "device", &bench_floor_driver, &vireo_device, BENCH_DEVICE, 0 },
	{ "floor", &bench_floor_driver, &bench_floor_device, BENCH_BOTH, BENCH_EVENT_IDX | BENCH_IN_ORDER },
	{ NULL, NULL, NULL, BENCH_BOTH, 0 },
};
