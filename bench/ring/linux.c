/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/err.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "exchange.h"

/*
 * The driver's side of the Linux kernel as one of those that exchange: its virtio_ring.c, built for
 * user space with the headers that its own tests use. scripts/bench-ring builds this, outside of the
 * tree, against the device of the floor.
 */

/* What the user-space headers leave out. */
struct virtqueue *vring_create_virtqueue(unsigned int index, unsigned int num, unsigned int vring_align,
					 struct virtio_device *vdev, bool weak_barriers, bool may_reduce_num,
					 bool ctx, bool (*notify)(struct virtqueue *),
					 void (*callback)(struct virtqueue *), const char *name);
dma_addr_t virtqueue_get_desc_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_avail_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_used_addr(struct virtqueue *vq);
bool virtqueue_kick_prepare(struct virtqueue *vq);

/* What they want to be there. */
void *__kmalloc_fake, *__kfree_ignore_start, *__kfree_ignore_end;

#define RING_ALIGN 64

struct driver {
	struct virtio_device vdev;
	struct virtqueue *vq;
	unsigned slots, chain;
	struct scatterlist sg[BENCH_CHAINS_MAX];
	char tokens[BENCH_WINDOW_MAX]; /* their addresses */
};

static bool never_kicked(struct virtqueue *vq)
{
	return true;
}

static void never_called(struct virtqueue *vq)
{
}

/* Two lists for each slot: one readable element, and the writable ones. */
static void prepare(struct driver *d, const struct bench_memory *memory)
{
	unsigned slot, i;

	for (slot = 0; slot < memory->slots; slot++) {
		struct scatterlist *sg = &d->sg[slot * memory->chain];

		sg_init_table(sg, 1);
		if (memory->chain > 1)
			sg_init_table(sg + 1, memory->chain - 1);
		for (i = 0; i < memory->chain; i++)
			sg_set_buf(&sg[i], memory->data + (size_t)slot * BENCH_SLOT_BYTES + i * BENCH_BYTES,
				   BENCH_BYTES);
	}
}

static void find_areas(struct driver *d, const struct bench_case *c, struct bench_memory *memory)
{
	struct vring ring;

	if (c->bits & BENCH_PACKED) {
		memory->descriptor_area = (uint8_t *)(uintptr_t)virtqueue_get_desc_addr(d->vq);
		memory->driver_area = (uint8_t *)(uintptr_t)virtqueue_get_avail_addr(d->vq);
		memory->device_area = (uint8_t *)(uintptr_t)virtqueue_get_used_addr(d->vq);
		/* Their allocator doesn't clear what it is asked to. */
		memset(memory->descriptor_area, 0, memory->ring_size * 16);
		memset(memory->device_area, 0, 4);
	} else {
		vring_init(&ring, memory->ring_size, memory->descriptor_area, RING_ALIGN);
		memory->driver_area = (uint8_t *)ring.avail;
		memory->device_area = (uint8_t *)ring.used;
	}
}

static void *driver_start(const struct bench_case *c, struct bench_memory *memory)
{
	struct driver *d = bench_alloc(sizeof(*d));

	if (!d)
		return NULL;
	d->slots = memory->slots;
	d->chain = memory->chain;
	d->vdev.features = 1ull << VIRTIO_F_VERSION_1;
	if (c->bits & BENCH_PACKED)
		d->vdev.features |= 1ull << VIRTIO_F_RING_PACKED;
	if (c->bits & BENCH_EVENT_IDX)
		d->vdev.features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	if (c->bits & BENCH_INDIRECT)
		d->vdev.features |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	INIT_LIST_HEAD(&d->vdev.vqs);
	spin_lock_init(&d->vdev.vqs_list_lock);
	if (c->bits & BENCH_PACKED)
		d->vq = vring_create_virtqueue(0, memory->ring_size, RING_ALIGN, &d->vdev, true, false, false,
					       never_kicked, never_called, "bench");
	else
		d->vq = vring_new_virtqueue(0, memory->ring_size, RING_ALIGN, &d->vdev, true, false,
					    memory->descriptor_area, never_kicked, never_called, "bench");
	if (!d->vq) {
		free(d);
		return NULL;
	}
	find_areas(d, c, memory);
	prepare(d, memory);
	virtqueue_disable_cb(d->vq);
	return d;
}

static void driver_stop(void *state)
{
	struct driver *d = state;

	vring_del_virtqueue(d->vq);
	free(d);
}

static bool driver_add(void *state, unsigned first, unsigned count)
{
	struct driver *d = state;
	unsigned slot;
	int error;

	for (slot = first; slot < first + count; slot++) {
		struct scatterlist *sg = &d->sg[slot * d->chain];
		struct scatterlist *sgs[2] = { sg, sg + 1 };

		if (d->chain == 1)
			error = virtqueue_add_outbuf(d->vq, sg, 1, &d->tokens[slot], GFP_ATOMIC);
		else
			error = virtqueue_add_sgs(d->vq, sgs, 1, 1, &d->tokens[slot], GFP_ATOMIC);
		if (error)
			return false;
	}
	return true;
}

static void driver_show(void *state)
{
	struct driver *d = state;

	virtqueue_kick_prepare(d->vq);
}

static int driver_get(void *state, unsigned next, unsigned max)
{
	struct driver *d = state;
	unsigned count, length;

	for (count = 0; count < max; count++) {
		char *token = virtqueue_get_buf(d->vq, &length);

		if (!token)
			break;
		if (token != &d->tokens[next])
			return -1;
		next = next + 1 == d->slots ? 0 : next + 1;
	}
	return (int)count;
}

static void driver_wake(void *state)
{
}

static bool driver_sleep(void *state)
{
	return false;
}

static const struct bench_driver linux_driver = {
	.name = "linux",
	.without = BENCH_IN_ORDER,
	.without_sleep = true,
	.start = driver_start,
	.stop = driver_stop,
	.add = driver_add,
	.show = driver_show,
	.kick = driver_show,
	.get = driver_get,
	.wake = driver_wake,
	.sleep = driver_sleep,
};

const struct bench_pairing bench_pairings[] = {
	{ "linux", &linux_driver, &bench_floor_device, BENCH_DRIVER, 0 },
	{ NULL, NULL, NULL, BENCH_BOTH, 0 },
};
