/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devq.h>
#include <vireo/spec/virtio_ring.h>

#include "base/atomic.h"

/*
 * The storage, in this order: spans, requests, slots, busy bits. Each slot has
 * spans_max spans and a request; slots are handed out last in, first out, so that
 * a device that answers at once stays in the same few cache lines.
 */

static uint32_t request_stride(uint32_t request_bytes)
{
	const uint32_t align = _Alignof(max_align_t);

	return (request_bytes + align - 1) / align * align;
}

size_t vio_devq_storage_bytes(uint16_t size_max, uint16_t spans_max, uint32_t request_bytes)
{
	size_t bytes = (size_t)size_max * spans_max * sizeof(struct vio_span);
	const size_t align = _Alignof(max_align_t);

	bytes = (bytes + align - 1) / align * align;
	bytes += (size_t)size_max * request_stride(request_bytes);
	bytes += (size_t)size_max * sizeof(uint16_t);
	return (bytes + (size_max + 7u) / 8 + align - 1) / align * align;
}

void vio_devq_init(struct vio_devq *q, uint16_t index, uint16_t size_max, uint16_t spans_max,
		   uint32_t request_bytes, void *storage, void *context,
		   void (*interrupt)(void *context, struct vio_devq *q))
{
	size_t span_bytes = (size_t)size_max * spans_max * sizeof(struct vio_span);
	const size_t align = _Alignof(max_align_t);
	uint8_t *at = storage;

	memset(q, 0, sizeof(*q));
	q->index = index;
	q->size_max = size_max;
	q->spans_max = spans_max;
	q->request_stride = request_stride(request_bytes);
	q->interrupt = interrupt;
	q->interrupt_context = context;
	q->spans = storage;
	at += (span_bytes + align - 1) / align * align;
	q->requests = at;
	at += (size_t)size_max * q->request_stride;
	q->slots = (uint16_t *)(void *)at;
	at += (size_t)size_max * sizeof(uint16_t);
	q->busy = at;
}

static void *area(struct vio_devq *q, const struct vio_mem *mem, struct vio_addr addr, uint64_t bytes,
		  unsigned align, unsigned access)
{
	void *host = addr.raw % align ? NULL : vio_mem_pointer(mem, addr, bytes, access);

	/* hostile: A77 A78, rings outside of memory or in memory without the right. */
	if ((!host || (uintptr_t)host % align) && q->fault.kind == VIO_FAULT_NONE)
		q->fault = (struct vio_fault){ VIO_FAULT_RING_MEMORY, q->index, 0, addr.raw };
	return host;
}

/* The three areas of `config` are disjoint (hostile: A75). They lie in memory, so no end wraps. */
static bool areas_disjoint(const struct vio_devq_config *config)
{
	const uint64_t begin[3] = { config->descriptor_area.raw, config->driver_area.raw,
				    config->device_area.raw };
	const uint64_t end[3] = { begin[0] + 16ull * config->size, begin[1] + 6 + 2ull * config->size,
				  begin[2] + 6 + 8ull * config->size };
	unsigned a, b;

	for (a = 0; a < 3; a++)
		for (b = a + 1; b < 3; b++)
			if (begin[a] < end[b] && begin[b] < end[a])
				return false;
	return true;
}

int vio_devq_start(struct vio_devq *q, const struct vio_mem *mem, const struct vio_devq_config *config)
{
	uint16_t size = config->size;
	unsigned slot;

	if (q->running)
		return -VIO_EBUSY;
	if (!vio_is_power_of_two(size) || size > q->size_max)
		return -VIO_EINVAL;
	if (vio_features_has(&config->features, VIRTIO_F_RING_PACKED))
		return -VIO_ENOTSUP;
	q->fault = (struct vio_fault){ VIO_FAULT_NONE, q->index, 0, 0 };
	q->desc = area(q, mem, config->descriptor_area, 16ull * size, VIRTQ_DESC_ALIGN, VIO_MEM_READ);
	q->avail = area(q, mem, config->driver_area, 6 + 2ull * size, VIRTQ_AVAIL_ALIGN, VIO_MEM_READ);
	q->used = area(q, mem, config->device_area, 6 + 8ull * size, VIRTQ_USED_ALIGN,
		       VIO_MEM_READ | VIO_MEM_WRITE);
	if (!vio_devq_broken(q) && !areas_disjoint(config))
		q->fault = (struct vio_fault){ VIO_FAULT_RING_OVERLAP, q->index, 0, config->device_area.raw };
	if (vio_devq_broken(q))
		return -VIO_EPEER;

	q->mem = mem;
	q->mem_hint = 0;
	q->size = size;
	q->event_idx = vio_features_has(&config->features, VIRTIO_F_EVENT_IDX);
	q->indirect = vio_features_has(&config->features, VIRTIO_F_INDIRECT_DESC);
	q->polling = false;
	q->kicks_off = false;
	q->avail_next = config->at.avail;
	q->avail_seen = config->at.avail;
	/* Where the driver has seen us stop; 0 in a ring that never ran. */
	q->used_next = vio_load_le16(&q->used->idx);
	q->used_visible = q->used_next;
	q->in_flight = 0;
	q->budget = VIO_DEVQ_NO_BUDGET;
	q->generation++;
	for (slot = 0; slot < size; slot++)
		q->slots[slot] = (uint16_t)(size - 1 - slot);
	memset(q->busy, 0, (size + 7u) / 8);
	/* A queue that was stopped while polling left this set; without EVENT_IDX kicks depend on it. */
	vio_store_le16(&q->used->flags, 0); /* spec: DEV-SPLIT-015 DEV-SPLIT-016 */
	q->running = true;
	return 0;
}

struct vio_devq_position vio_devq_stop(struct vio_devq *q)
{
	const struct vio_devq_position at = { q->avail_next, q->used_next };

	/* spec: DEV-RING-001 DEV-RING-002 */
	q->running = false;
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	q->mem = NULL;
	return at;
}

void vio_devq_set_budget(struct vio_devq *q, uint32_t budget)
{
	q->budget = budget;
}
