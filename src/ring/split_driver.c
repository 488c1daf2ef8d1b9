/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "base/atomic.h"
#include "ring/split.h"

#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)
#define CACHE_LINE      64u
#define LIST_END        UINT16_MAX

/*
 * What the driver knows about a descriptor without asking shared memory. Free
 * descriptors are listed through next; those of a buffer are chained by it.
 */
struct vio_drvq_shadow {
	void *token;       /* of the buffer that this is the head of; NULL: not a head */
	uint64_t writable; /* bytes of that buffer */
	uint16_t next;
	uint16_t last;      /* of the chain, valid in the head */
	uint16_t count;     /* descriptors of the chain, valid in the head */
	uint16_t avail_idx; /* index at which the head was put into the available ring */
	uint16_t ring;      /* not of the descriptor: the head in this slot of the available ring */
};

static void fault(struct vio_drvq *q, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	q->fault = (struct vio_fault){ kind, q->index, index, value };
}

static inline size_t driver_area_offset(uint16_t size)
{
	return 16u * (size_t)size;
}

/* On cache lines of its own, as the device writes it, or as a legacy transport has it. */
static inline size_t device_area_offset(uint16_t size, uint32_t device_align)
{
	size_t align = device_align ? device_align : CACHE_LINE;

	return (driver_area_offset(size) + 6 + 2u * (size_t)size + align - 1) & ~(align - 1);
}

size_t vio_drvq_ring_bytes(uint16_t size)
{
	return vio_drvq_ring_bytes_aligned(size, CACHE_LINE);
}

size_t vio_drvq_ring_bytes_aligned(uint16_t size, uint32_t device_align)
{
	return device_area_offset(size, device_align) + 6 + 8u * (size_t)size;
}

size_t vio_drvq_storage_bytes(uint16_t size)
{
	return size * sizeof(struct vio_drvq_shadow);
}

struct vio_addr vio_drvq_descriptor_area(const struct vio_drvq *q)
{
	return q->ring_addr;
}

struct vio_addr vio_drvq_driver_area(const struct vio_drvq *q)
{
	return vio_addr_make(q->ring_addr.raw + driver_area_offset(q->size));
}

struct vio_addr vio_drvq_device_area(const struct vio_drvq *q)
{
	size_t offset = (size_t)((const uint8_t *)q->used - (const uint8_t *)q->desc);

	return vio_addr_make(q->ring_addr.raw + offset);
}

uint16_t vio_drvq_notification_data(const struct vio_drvq *q)
{
	return q->avail_visible;
}

static bool config_legal(const struct vio_drvq_config *config)
{
	if (!vio_is_power_of_two(config->size) || config->size > VIRTQ_SIZE_MAX)
		return false;
	/* spec: DRV-SPLIT-001 */
	if (!config->ring.host || (uintptr_t)config->ring.host % VIRTQ_DESC_ALIGN ||
	    config->ring.addr.raw % VIRTQ_DESC_ALIGN || !config->storage)
		return false;
	if (config->device_align && (!vio_is_power_of_two(config->device_align) ||
				     config->device_align < VIRTQ_USED_ALIGN))
		return false;
	if (!config->indirect_max)
		return true;
	/* spec: DRV-SPLIT-008 */
	return vio_features_has(&config->features, VIRTIO_F_INDIRECT_DESC) && config->indirect.host &&
	       !((uintptr_t)config->indirect.host % VIRTQ_DESC_ALIGN);
}

int vio_drvq_start(struct vio_drvq *q, const struct vio_drvq_config *config)
{
	uint8_t *ring = config->ring.host;
	uint16_t size = config->size, i;

	if (!config_legal(config))
		return -VIO_EINVAL;
	memset(q, 0, sizeof(*q));
	memset(ring, 0, vio_drvq_ring_bytes_aligned(size, config->device_align)); /* spec: DRV-SPLIT-019 */
	q->index = config->index;
	q->size = size;
	q->event_idx = vio_features_has(&config->features, VIRTIO_F_EVENT_IDX);
	q->desc = (struct virtq_desc *)(void *)ring;
	q->avail = (struct virtq_avail *)(void *)(ring + driver_area_offset(size));
	q->used = (struct virtq_used *)(void *)(ring + device_area_offset(size, config->device_align));
	q->ring_addr = config->ring.addr;
	q->indirect = config->indirect;
	q->indirect_max = config->indirect_max;
	q->context = config->context;
	q->notify_device = config->notify_device;
	q->free_count = size;
	q->shadow = config->storage;
	memset(q->shadow, 0, vio_drvq_storage_bytes(size));
	for (i = 0; i < size; i++)
		q->shadow[i].next = i + 1u < size ? (uint16_t)(i + 1) : LIST_END;
	return 0;
}

static void descriptor_store(struct virtq_desc *to, const struct vio_sg *sg, unsigned flags, unsigned next)
{
	vio_store_le64(&to->addr, sg->addr.raw);
	vio_store_le32(&to->len, sg->length);
	vio_store_le16(&to->flags, (uint16_t)flags);
	vio_store_le16(&to->next, (uint16_t)next);
}

/* One descriptor that points to a table of all elements; returns it. */
static uint16_t add_indirect(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned count)
{
	uint16_t head = q->free_head;
	size_t offset = (size_t)head * q->indirect_max * sizeof(struct virtq_desc);
	struct virtq_desc *table = (struct virtq_desc *)(void *)((uint8_t *)q->indirect.host + offset);
	struct vio_sg all = { vio_addr_make(q->indirect.addr.raw + offset), count * 16 };
	unsigned i;

	for (i = 0; i < count; i++) /* spec: DRV-SPLIT-009 */
		descriptor_store(&table[i], &sg[i],
				 (i >= readable ? VIRTQ_DESC_F_WRITE : 0u) |
					 (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u),
				 i + 1 < count ? i + 1 : 0);
	descriptor_store(&q->desc[head], &all, VIRTQ_DESC_F_INDIRECT, 0); /* spec: DRV-SPLIT-011 */
	q->free_head = q->shadow[head].next;
	q->shadow[head].last = head;
	q->shadow[head].count = 1;
	return head;
}

static uint16_t add_direct(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned count)
{
	uint16_t head = q->free_head, at = head, last = head;
	unsigned i;

	for (i = 0; i < count; i++) { /* spec: DRV-SPLIT-004 */
		uint16_t next = q->shadow[at].next;

		descriptor_store(&q->desc[at], &sg[i],
				 (i >= readable ? VIRTQ_DESC_F_WRITE : 0u) |
					 (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u),
				 i + 1 < count ? next : 0);
		last = at;
		at = next;
	}
	q->free_head = at;
	q->shadow[head].last = last;
	q->shadow[head].count = (uint16_t)count;
	return head;
}

int vio_drvq_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned writable,
		 void *token)
{
	unsigned count = readable + writable, i;
	uint64_t total = 0, writable_bytes = 0;
	bool indirect;
	uint16_t head;

	if (vio_drvq_broken(q))
		return -VIO_EPEER;
	/* spec: DRV-SPLIT-010, which holds for tables as well */
	if (!token || !count || readable > q->size || writable > q->size || count > q->size)
		return -VIO_EINVAL;
	for (i = 0; i < count; i++) {
		if (!sg[i].length)
			return -VIO_EINVAL;
		total += sg[i].length;
		if (i >= readable)
			writable_bytes += sg[i].length;
	}
	if (total > CHAIN_BYTES_MAX) /* spec: DRV-SPLIT-006 */
		return -VIO_EINVAL;

	indirect = count > 1 && count <= q->indirect_max;
	if (q->free_count < (indirect ? 1 : count))
		return -VIO_ENOSPC;
	head = indirect ? add_indirect(q, sg, readable, count) : add_direct(q, sg, readable, count);
	q->free_count = (uint16_t)(q->free_count - q->shadow[head].count);
	q->in_flight++;
	q->shadow[head].token = token;
	q->shadow[head].writable = writable_bytes;
	q->shadow[head].avail_idx = q->avail_next;
	vio_store_le16(&q->avail->ring[q->avail_next & (q->size - 1u)], head);
	q->shadow[q->avail_next & (q->size - 1u)].ring = head;
	q->avail_next++;
	return 0;
}

bool vio_drvq_kick_prepare(struct vio_drvq *q)
{
	uint16_t before = q->avail_visible;

	if (before == q->avail_next || vio_drvq_broken(q))
		return false;
	/* Pairs with the acquire in avail_refresh() of the device: descriptors and entries before idx. */
	vio_store_release_le16(&q->avail->idx, q->avail_next); /* spec: DRV-SPLIT-013 DRV-SPLIT-026 */
	q->avail_visible = q->avail_next;
	/* Pairs with the one in vio_devq_enable_kick(): the device sees idx or we see that it asks. */
	vio_full_barrier(); /* spec: DRV-SPLIT-027 */
	if (q->event_idx)   /* spec: DRV-SPLIT-023 DRV-SPLIT-024 DRV-SPLIT-025 */
		return split_event_passed(vio_load_le16(split_avail_event(q->used, q->size)), q->avail_next,
					  before);
	/* spec: DRV-SPLIT-020 DRV-SPLIT-021 DRV-SPLIT-022 */
	return !(vio_load_le16(&q->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
}

void vio_drvq_notify(struct vio_drvq *q)
{
	q->notify_device(q->context, q);
}

void vio_drvq_kick(struct vio_drvq *q)
{
	if (vio_drvq_kick_prepare(q))
		vio_drvq_notify(q);
}

static inline bool callbacks_off(const struct vio_drvq *q)
{
	return __atomic_load_n(&q->callbacks_off, __ATOMIC_RELAXED);
}

bool vio_drvq_pending(const struct vio_drvq *q)
{
	/* Pairs with the release in vio_devq_notify(): entries and payload are visible with idx. */
	return !vio_drvq_broken(q) && vio_load_acquire_le16(&q->used->idx) != q->used_next;
}

static void event_store(struct vio_drvq *q, uint16_t event)
{
	if (q->event_idx) /* spec: DRV-SPLIT-015, flags stay 0 */
		vio_store_le16(split_used_event(q->avail, q->size), event);
	else
		vio_store_le16(&q->avail->flags, 0); /* spec: DRV-SPLIT-014 */
}

void vio_drvq_disable_cb(struct vio_drvq *q)
{
	__atomic_store_n(&q->callbacks_off, true, __ATOMIC_RELAXED);
	/* With EVENT_IDX the event index lies behind soon enough. */
	if (!q->event_idx)
		vio_store_le16(&q->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
}

static bool enable_cb(struct vio_drvq *q, uint16_t event)
{
	__atomic_store_n(&q->callbacks_off, false, __ATOMIC_RELAXED);
	event_store(q, event);
	/* Pairs with the one in vio_devq_notify(): we see its idx or it sees that we want to hear. */
	vio_full_barrier();
	return (uint16_t)(vio_load_acquire_le16(&q->used->idx) - q->used_next) <=
	       (uint16_t)(event - q->used_next);
}

bool vio_drvq_enable_cb(struct vio_drvq *q)
{
	return enable_cb(q, q->used_next);
}

bool vio_drvq_enable_cb_delayed(struct vio_drvq *q)
{
	/* Without EVENT_IDX the first used buffer interrupts; asking for less isn't possible. */
	uint16_t wait = q->event_idx ? (uint16_t)(q->in_flight * 3u / 4) : 0;

	return enable_cb(q, (uint16_t)(q->used_next + wait));
}

/* The device's idx, if it isn't a lie: it can't have used more than it was shown. */
static bool used_some(struct vio_drvq *q)
{
	/* Pairs with the release in vio_devq_notify(). */
	uint16_t idx = vio_load_acquire_le16(&q->used->idx);
	uint16_t shown = (uint16_t)(q->in_flight - (uint16_t)(q->avail_next - q->avail_visible));

	if ((uint16_t)(idx - q->used_next) > shown) {
		fault(q, VIO_FAULT_USED_IDX, 0, idx); /* hostile: B13 B14 B15 */
		return false;
	}
	return idx != q->used_next;
}

/*
 * Whether a buffer in flight was shown to the device: it wasn't when it stands
 * between what is visible and what was added. Indices wrap while a slow buffer is
 * out, so the slot has to name it, too.
 */
static bool shown(const struct vio_drvq *q, uint16_t head)
{
	uint16_t idx = q->shadow[head].avail_idx;

	return (uint16_t)(idx - q->avail_visible) >= (uint16_t)(q->avail_next - q->avail_visible) ||
	       q->shadow[idx & (q->size - 1u)].ring != head;
}

static void chain_free(struct vio_drvq *q, uint16_t head)
{
	struct vio_drvq_shadow *shadow = &q->shadow[head];

	q->shadow[shadow->last].next = q->free_head;
	q->free_head = head;
	q->free_count = (uint16_t)(q->free_count + shadow->count);
	q->in_flight--;
	shadow->token = NULL;
}

void *vio_drvq_get(struct vio_drvq *q, uint32_t *written)
{
	struct vio_drvq_shadow *shadow;
	uint32_t slot, id, length;
	void *token;

	if (vio_drvq_broken(q))
		return NULL;
	if (!used_some(q)) {
		/* About to say nothing: where callbacks are on, ask for the next one and look once more. */
		if (vio_drvq_broken(q) || !q->event_idx || callbacks_off(q) || vio_drvq_enable_cb(q) ||
		    !used_some(q))
			return NULL;
	}
	slot = q->used_next & (q->size - 1u);
	id = vio_load_le32(&q->used->ring[slot].id);
	length = vio_load_le32(&q->used->ring[slot].len);
	shadow = id < q->size ? &q->shadow[id] : NULL;
	if (!shadow) {
		fault(q, VIO_FAULT_USED_ID, slot, id); /* hostile: B1 B2 */
		return NULL;
	}
	/* hostile: B3 B4 B5 B7 */
	if (!shadow->token || !shown(q, (uint16_t)id)) {
		fault(q, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, id);
		return NULL;
	}
	if (length > shadow->writable && q->lengths_ignored)
		length = shadow->writable;
	if (length > shadow->writable) {
		fault(q, VIO_FAULT_USED_LENGTH, slot, length);
		return NULL;
	}
	token = shadow->token;
	chain_free(q, (uint16_t)id);
	q->used_next++;
	if (written)
		*written = length; /* spec: DRV-SPLIT-017 */
	return token;
}

void *vio_drvq_detach_unused(struct vio_drvq *q)
{
	/* The last one found is the first free one, so that the next search goes on from there. */
	uint16_t first = q->free_head == LIST_END ? 0 : q->free_head;
	unsigned i;

	if (!q->in_flight)
		return NULL;
	for (i = 0; i < q->size; i++) {
		uint16_t head = (first + i) & (q->size - 1u);
		void *token = q->shadow[head].token;

		if (token) {
			chain_free(q, head);
			return token;
		}
	}
	return NULL;
}
