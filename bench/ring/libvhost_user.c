/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "libvhost-user.h"

#include "exchange.h"

/*
 * QEMU's libvhost-user as one of those that exchange: its device's side of a split ring against the
 * floor's driver. scripts/bench-ring builds this, outside of the tree.
 */

static void panicked(VuDev *dev, const char *message)
{
	fprintf(stderr, "libvhost-user: %s\n", message);
	abort();
}

static void watch_set(VuDev *dev, int fd, int condition, vu_watch_cb callback, void *context)
{
}

static void watch_remove(VuDev *dev, int fd)
{
}

static uint64_t features_get(VuDev *dev)
{
	return 0;
}

static void features_set(VuDev *dev, uint64_t features)
{
}

static const VuDevIface interface = { .get_features = features_get, .set_features = features_set };

static void *device_start(const struct bench_case *c, const struct bench_memory *memory)
{
	VuDev *dev = calloc(1, sizeof(*dev));
	VuVirtq *q;

	if (!dev || !vu_init(dev, 1, 0, panicked, NULL, watch_set, watch_remove, &interface)) {
		free(dev);
		return NULL;
	}
	dev->regions[0] = (VuDevRegion){ .gpa = (uintptr_t)memory->arena,
					 .size = BENCH_ARENA_BYTES,
					 .qva = (uintptr_t)memory->arena,
					 .mmap_addr = (uintptr_t)memory->arena };
	dev->nregions = 1;
	dev->features = 1ull << 32 | (c->bits & BENCH_EVENT_IDX ? 1ull << 29 : 0) |
			(c->bits & BENCH_INDIRECT ? 1ull << 28 : 0);
	q = &dev->vq[0];
	q->vring.num = memory->ring_size;
	q->vring.desc = (void *)memory->descriptor_area;
	q->vring.avail = (void *)memory->driver_area;
	q->vring.used = (void *)memory->device_area;
	q->enable = 1;
	q->started = true;
	q->call_fd = q->kick_fd = q->err_fd = -1;
	return dev;
}

/* vu_deinit() would unmap the regions, which aren't its own. */
static void device_stop(void *state)
{
	VuDev *dev = state;

	free(dev->vq);
	free(dev);
}

static uint64_t weigh(const struct iovec *iov, unsigned count)
{
	uint64_t sum = 0;

	for (; count; count--, iov++)
		sum += bench_weigh(iov->iov_base, iov->iov_len);
	return sum;
}

static int device_serve(void *state, unsigned max, uint64_t *sum)
{
	VuDev *dev = state;
	VuVirtq *q = &dev->vq[0];
	unsigned count;

	for (count = 0; count < max; count++) {
		VuVirtqElement *e = vu_queue_pop(dev, q, sizeof(*e));

		if (!e)
			break;
		*sum += weigh(e->out_sg, e->out_num) + weigh(e->in_sg, e->in_num);
		vu_queue_fill(dev, q, e, 0, count);
		free(e);
	}
	if (count)
		vu_queue_flush(dev, q, count);
	return (int)count;
}

static void device_poll(void *state)
{
	VuDev *dev = state;

	vu_queue_set_notification(dev, &dev->vq[0], 0);
}

static const struct bench_device libvhost_user_device = {
	.name = "libvhost-user",
	.without_sleep = true,
	.start = device_start,
	.stop = device_stop,
	.serve = device_serve,
	.poll = device_poll,
};

const struct bench_pairing bench_pairings[] = {
	{ "libvhost-user", &bench_floor_driver, &libvhost_user_device, BENCH_DEVICE,
	  BENCH_PACKED | BENCH_IN_ORDER },
	{ NULL, NULL, NULL, BENCH_BOTH, 0 },
};
