/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/config.h>

#include "ring/packed.h"
#include "ring/walk.h"

/*
 * The storage, in this order: single spans, spans, requests, records or slots, busy bytes. Each
 * slot has a span for a buffer that needs no more, spans_max spans and a request. The single ones
 * lie side by side, since spans_max apart all of them compete for a few lines of a cache. Slots are
 * handed out last in, first out, so that a device that answers at once stays in the same few cache
 * lines; in order they go round, as a record stands at the slot of its buffer.
 */

static uint32_t request_stride(uint32_t request_bytes)
{
	const uint32_t align = _Alignof(max_align_t);

	return (request_bytes + align - 1) / align * align;
}

static size_t span_bytes(uint16_t size_max, uint16_t spans_max)
{
	const size_t align = _Alignof(max_align_t);

	return ((size_t)size_max * (1u + spans_max) * sizeof(struct vio_span) + align - 1) / align * align;
}

size_t vio_devq_storage_bytes(uint16_t size_max, uint16_t spans_max, uint32_t request_bytes)
{
	const size_t align = _Alignof(max_align_t);
	size_t bytes = span_bytes(size_max, spans_max) + (size_t)size_max * request_stride(request_bytes);

	bytes += (size_t)size_max * (sizeof(struct vio_devq_done) + 1);
	return (bytes + align - 1) / align * align;
}

void vio_devq_init(struct vio_devq *q, uint16_t index, uint16_t size_max, uint16_t spans_max,
		   uint32_t request_bytes, void *storage, void *context,
		   void (*interrupt)(void *context, struct vio_devq *q))
{
	uint8_t *at = storage;

	memset(q, 0, sizeof(*q));
	q->index = index;
	q->size_max = size_max;
	q->spans_max = spans_max;
	q->request_stride = request_stride(request_bytes);
	q->interrupt = interrupt;
	q->interrupt_context = context;
	q->singles = storage;
	q->spans = q->singles + size_max;
	at += span_bytes(size_max, spans_max);
	q->requests = at;
	at += (size_t)size_max * q->request_stride;
	q->order = (struct vio_devq_done *)(void *)at;
	q->slots = (uint16_t *)(void *)at;
	at += (size_t)size_max * sizeof(struct vio_devq_done);
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

/* Bytes of the three areas. */
static void area_bytes(const struct vio_devq_config *config, bool packed, uint64_t bytes[3])
{
	bytes[0] = 16ull * config->size;
	bytes[1] = packed ? sizeof(struct pvirtq_event_suppress) : 6 + 2ull * config->size;
	bytes[2] = packed ? sizeof(struct pvirtq_event_suppress) : 6 + 8ull * config->size;
}

/* The three areas of `config` are disjoint (hostile: A75). They lie in memory, so no end wraps. */
static bool areas_disjoint(const struct vio_devq_config *config, const uint64_t bytes[3])
{
	const uint64_t begin[3] = { config->descriptor_area.raw, config->driver_area.raw,
				    config->device_area.raw };
	unsigned a, b;

	for (a = 0; a < 3; a++)
		for (b = a + 1; b < 3; b++)
			if (begin[a] < begin[b] + bytes[b] && begin[b] < begin[a] + bytes[a])
				return false;
	return true;
}

static int areas_find(struct vio_devq *q, const struct vio_mem *mem, const struct vio_devq_config *config)
{
	const unsigned both = VIO_MEM_READ | VIO_MEM_WRITE;
	uint64_t bytes[3];

	area_bytes(config, q->packed, bytes);
	if (q->packed) {
		q->ring = area(q, mem, config->descriptor_area, bytes[0], VIRTQ_DESC_ALIGN, both);
		q->driver_event =
			area(q, mem, config->driver_area, bytes[1], PVIRTQ_EVENT_ALIGN, VIO_MEM_READ);
		q->device_event = area(q, mem, config->device_area, bytes[2], PVIRTQ_EVENT_ALIGN, both);
	} else {
		q->desc = area(q, mem, config->descriptor_area, bytes[0], VIRTQ_DESC_ALIGN, VIO_MEM_READ);
		q->avail = area(q, mem, config->driver_area, bytes[1], VIRTQ_AVAIL_ALIGN, VIO_MEM_READ);
		q->used = area(q, mem, config->device_area, bytes[2], VIRTQ_USED_ALIGN, both);
	}
	if (!vio_devq_broken(q) && !areas_disjoint(config, bytes))
		q->fault = (struct vio_fault){ VIO_FAULT_RING_OVERLAP, q->index, 0, config->device_area.raw };
	return vio_devq_broken(q) ? -VIO_EPEER : 0;
}

/* Entries that a device at `at` had taken and not given back; -1: it can't have stood there. */
static int entries_between(const struct vio_devq_position *at, uint16_t size)
{
	int distance = packed_offset(at->avail) - packed_offset(at->used);

	if (packed_offset(at->avail) >= size || packed_offset(at->used) >= size)
		return -1;
	if ((at->avail ^ at->used) & PVIRTQ_WRAP)
		distance += size;
	return distance < 0 || distance > size ? -1 : distance;
}

/* Checks what the ring itself can't do or be, before anything changes. */
static int config_check(const struct vio_devq *q, const struct vio_devq_config *config)
{
	if (!config->size || config->size > VIRTQ_SIZE_MAX || config->size > q->size_max)
		return -VIO_EINVAL;
	if (!vio_features_has(&config->features, VIRTIO_F_RING_PACKED))
		return vio_is_power_of_two(config->size) ? 0 : -VIO_EINVAL;
	if (!VIO_CONFIG_PACKED)
		return -VIO_ENOTSUP;
	return entries_between(&config->at, config->size) < 0 ? -VIO_EINVAL : 0; /* hostile: A66 */
}

/* Private state at the beginning of a life. */
static void state_begin(struct vio_devq *q, const struct vio_devq_config *config)
{
	const struct vio_features *features = &config->features;
	const uint16_t size = config->size;
	unsigned slot;

	q->size = size;
	q->mem_hint = 0;
	q->event_idx = vio_features_has(features, VIRTIO_F_EVENT_IDX);
	q->indirect = vio_features_has(features, VIRTIO_F_INDIRECT_DESC);
	q->in_order = vio_features_has(features, VIRTIO_F_IN_ORDER);
	/* Bit 24 is only a legacy driver's. */
	q->notify_on_empty = vio_features_has(features, VIRTIO_F_NOTIFY_ON_EMPTY) &&
			     !vio_features_has(features, VIRTIO_F_VERSION_1);
	q->polling = false;
	q->kicks_off = false;
	q->avail_next = config->at.avail;
	q->avail_seen = config->at.avail;
	q->in_flight = 0;
	q->entries = 0;
	q->order_next = 0;
	q->run = (struct vio_devq_run){ .buffers = 0 };
	q->budget = VIO_DEVQ_NO_BUDGET;
	q->generation++;
	if (!q->in_order)
		for (slot = 0; slot < size; slot++)
			q->slots[slot] = (uint16_t)slot;
	memset(q->busy, 0, size);
}

/*
 * VIRTIO_F_ORDER_PLATFORM asks for nothing here: a device that is a program is one more
 * processor to the driver, and orders its accesses as for one always.
 */
int vio_devq_start(struct vio_devq *q, const struct vio_mem *mem, const struct vio_devq_config *config)
{
	int error;

	if (q->running)
		return -VIO_EBUSY;
	error = config_check(q, config);
	if (error)
		return error;
	q->fault = (struct vio_fault){ VIO_FAULT_NONE, q->index, 0, 0 };
	q->packed = vio_features_has(&config->features, VIRTIO_F_RING_PACKED);
	error = areas_find(q, mem, config);
	if (error)
		return error;
	q->mem = mem;
	q->log = config->log;
	state_begin(q, config);
	if (q->packed) {
		q->used_next = config->at.used;
		q->entries = (uint16_t)entries_between(&config->at, config->size);
		/* A queue that was stopped while polling left this at DISABLE. */
		vio_store_fields32(q->device_event, (uint32_t)RING_EVENT_FLAGS_ENABLE << 16);
	} else {
		/* Where the driver has seen us stop; 0 in a ring that never ran. */
		q->used_next = vio_load_le16(&q->used->idx);
		/* Stopped while polling it is still set; without EVENT_IDX kicks depend on it. */
		vio_store_le16(&q->used->flags, 0); /* spec: DEV-SPLIT-015 DEV-SPLIT-016 */
	}
	q->used_visible = q->used_next;
	q->running = true;
	return 0;
}

struct vio_devq_position vio_devq_stop(struct vio_devq *q)
{
	const struct vio_devq_position at = { q->avail_next, q->used_visible };

	/* spec: DEV-RING-001 DEV-RING-002 */
	q->running = false;
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	q->ring = NULL;
	q->driver_event = NULL;
	q->device_event = NULL;
	q->mem = NULL;
	q->log = NULL;
	return at;
}

void vio_devq_set_budget(struct vio_devq *q, uint32_t budget)
{
	q->budget = budget;
}

/* A constant where packed rings are left out, so that nothing refers to them, optimized or not. */
#define IS_PACKED(q) (VIO_CONFIG_PACKED && (q)->packed)

static inline bool is_live(const struct vio_devq *q)
{
	return q->running && !vio_devq_broken(q);
}

bool vio_devq_pop(struct vio_devq *q, struct vio_buf *buf)
{
	if (!is_live(q))
		return false;
	if (q->log)
		return vio_devq_logged_pop_many(q, buf, 1) == 1;
	return IS_PACKED(q) ? vio_packed_pop(q, buf) : vio_split_pop(q, buf);
}

unsigned vio_devq_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max)
{
	if (!is_live(q))
		return 0;
	if (q->log)
		return vio_devq_logged_pop_many(q, buffers, max);
	return IS_PACKED(q) ? vio_packed_pop_many(q, buffers, max) : vio_split_pop_many(q, buffers, max);
}

/*
 * A buffer of an earlier life is dropped. One of a broken queue frees its slot, and no more:
 * the driver isn't told.
 */
static bool may_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written)
{
	if (!devq_holds(q, buf))
		return false;
	if (!vio_devq_broken(q))
		return true;
	if (q->log)
		vio_devq_logged_filled(q, buf, written);
	if (!q->in_order)
		devq_release(q, buf);
	return false;
}

void vio_devq_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written)
{
	if (!may_push(q, buf, written))
		return;
	if (q->log)
		vio_devq_logged_given(q, buf, &written, 1);
	if (IS_PACKED(q))
		vio_packed_push(q, buf, written);
	else
		vio_split_push(q, buf, written);
}

void vio_devq_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			unsigned count)
{
	unsigned i;

	if (!is_live(q))
		for (i = 0; i < count; i++)
			may_push(q, &buffers[i], written[i]);
	if (!is_live(q))
		return;
	if (q->log)
		vio_devq_logged_given(q, buffers, written, count);
	if (IS_PACKED(q))
		vio_packed_push_many(q, buffers, written, count);
	else
		vio_split_push_many(q, buffers, written, count);
}

void vio_devq_notify(struct vio_devq *q)
{
	if (!is_live(q))
		return;
	if (IS_PACKED(q))
		vio_packed_notify(q);
	else
		vio_split_notify(q);
}

void vio_devq_publish(struct vio_devq *q)
{
	if (!is_live(q))
		return;
	if (IS_PACKED(q))
		vio_packed_publish(q);
	else
		vio_split_publish(q);
}

void vio_devq_unpop(struct vio_devq *q, const struct vio_buf *buf)
{
	if (!devq_holds(q, buf))
		return;
	if (q->log)
		q->log->ops->untaken(q->log, buf);
	if (q->in_order) {
		q->busy[buf->head] = 0;
		q->in_flight--;
		q->entries = (uint16_t)(q->entries - buf->entries);
		q->order_next = buf->slot;
	} else {
		devq_release(q, buf);
	}
	if (IS_PACKED(q))
		q->avail_next = packed_retreat(q->avail_next, buf->entries, q->size);
	else
		q->avail_next--;
	if (q->budget != VIO_DEVQ_NO_BUDGET)
		q->budget++;
}

bool vio_devq_enable_kick(struct vio_devq *q)
{
	q->polling = false;
	if (!is_live(q))
		return true;
	if (IS_PACKED(q))
		vio_packed_kicks_ask(q);
	else
		vio_split_kicks_ask(q);
	if (q->log)
		vio_devq_logged_asked(q);
	/* Pairs with the one in vio_drvq_kick_prepare(): we see its buffer or it sees that we ask. */
	vio_full_barrier();
	return !(IS_PACKED(q) ? vio_packed_pending(q) : vio_split_pending(q));
}

void vio_devq_disable_kick(struct vio_devq *q)
{
	q->polling = true;
	if (!is_live(q))
		return;
	if (IS_PACKED(q))
		vio_packed_kicks_refuse(q);
	else
		vio_split_kicks_refuse(q);
	if (q->log)
		vio_devq_logged_asked(q);
}

/*
 * A buffer that is skipped, that is, named by no used entry of its own, counts as written
 * to its last byte, so only one that was may be. Some drivers look at the length of each
 * buffer that they receive into, and never learn of one that was skipped: those with
 * nothing to read are told one by one.
 */
void vio_devq_order_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written)
{
	q->order[buf->slot] = (struct vio_devq_done){
		.written = devq_written(buf, written),
		.name = buf->head,
		.entries = buf->entries,
		.pushed = true,
		.whole = written >= buf->writable_limit && !buf->receives,
	};
}

bool vio_devq_order_next(struct vio_devq *q, struct vio_devq_run *run, bool all)
{
	/* The oldest record in flight: those in flight end just before order_next. */
	unsigned at = q->order_next + (q->order_next >= q->in_flight ? 0u : q->size) - q->in_flight;

	/* Ends: each round takes one out of flight. */
	while (q->in_flight && q->order[at].pushed && (q->run.open || !q->run.buffers)) {
		const struct vio_devq_done *done = &q->order[at];

		/* More than the ring is more than one entry can say; it takes a driver that doesn't wait. */
		if (q->run.entries + done->entries > q->size)
			break;
		q->run.name = done->name;
		q->run.written = done->written;
		q->run.buffers++;
		q->run.entries = (uint16_t)(q->run.entries + done->entries);
		q->run.open = done->whole;
		if (q->log)
			q->log->ops->given(q->log, done->name);
		q->busy[done->name] = 0;
		q->in_flight--;
		q->entries = (uint16_t)(q->entries - done->entries);
		at = at + 1 == q->size ? 0 : at + 1;
	}
	if (!q->run.buffers || (q->run.open && !all))
		return false;
	*run = q->run;
	q->run = (struct vio_devq_run){ .buffers = 0 };
	return true;
}
