/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/spec/virtio_ring.h>

#include "ring/driver.h"

VIO_STATIC_ASSERT(sizeof(struct vio_drvq_shadow) <= 24, "small, as it is looked up for each buffer");

/* What both formats have in common, and which of them it is. */

#define CACHE_LINE 64u

static inline size_t driver_area_offset(uint16_t size)
{
	return 16u * (size_t)size;
}

/*
 * On cache lines of its own, as the device writes it, or as a legacy transport has it. The two
 * small areas of a packed ring lie where those of a split one begin.
 */
static size_t device_area_offset(uint16_t size, uint32_t device_align)
{
	size_t align = device_align ? device_align : CACHE_LINE;

	return (driver_area_offset(size) + 6 + 2u * (size_t)size + align - 1) & ~(align - 1);
}

static inline size_t device_area_bytes(uint16_t size)
{
	return 6 + 8u * (size_t)size;
}

size_t vio_drvq_ring_bytes(uint16_t size)
{
	return vio_drvq_ring_bytes_aligned(size, 0);
}

/* Up to the last byte of the device area, and to where another could begin. spec: DRV-SPLIT-003 */
size_t vio_drvq_ring_bytes_aligned(uint16_t size, uint32_t device_align)
{
	size_t align = device_align ? device_align : 1;

	return (device_area_offset(size, device_align) + device_area_bytes(size) + align - 1) & ~(align - 1);
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

/* spec: DRV-PACKED-004, and the same for a split ring, whose index fills all 16 bits */
uint16_t vio_drvq_notification_data(const struct vio_drvq *q)
{
	return q->avail_visible;
}

#if VIO_DRVQ_SMALL
void vio_drvq_break(struct vio_drvq *q, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	q->fault = (struct vio_fault){ kind, q->index, index, value };
}
#endif

static bool size_legal(const struct vio_drvq_config *config)
{
	if (vio_features_has(&config->features, VIRTIO_F_RING_PACKED))
		return VIO_CONFIG_PACKED && config->size && config->size <= VIRTQ_SIZE_MAX;
	return vio_is_power_of_two(config->size); /* 16 bits have no greater one than VIRTQ_SIZE_MAX */
}

static bool config_legal(const struct vio_drvq_config *config)
{
	if (!size_legal(config))
		return false;
	/* spec: DRV-SPLIT-001 DRV-PACKED-001 */
	if (!config->ring.host || ((uintptr_t)config->ring.host | config->ring.addr.raw) % VIRTQ_DESC_ALIGN ||
	    !config->storage)
		return false;
	/* 0, or a power of two from VIRTQ_USED_ALIGN on */
	if (config->device_align & ((config->device_align - 1) | (VIRTQ_USED_ALIGN - 1)))
		return false;
	if (!config->indirect_max)
		return true;
	/* spec: DRV-SPLIT-008 DRV-PACKED-011 */
	return VIO_CONFIG_INDIRECT && vio_features_has(&config->features, VIRTIO_F_INDIRECT_DESC) &&
	       config->indirect.host && !((uintptr_t)config->indirect.host % VIRTQ_DESC_ALIGN);
}

int vio_drvq_start(struct vio_drvq *q, const struct vio_drvq_config *config)
{
	const struct vio_features *features = &config->features;
	uint8_t *ring = config->ring.host;
	uint16_t size = config->size;
	size_t device_area;

	if (!config_legal(config))
		return -VIO_EINVAL;
	device_area = device_area_offset(size, config->device_align);
	memset(q, 0, sizeof(*q));
	memset(ring, 0, device_area + device_area_bytes(size)); /* spec: DRV-SPLIT-019 */
	q->index = config->index;
	q->size = size;
	q->packed = VIO_CONFIG_PACKED && vio_features_has(features, VIRTIO_F_RING_PACKED);
	q->in_order = VIO_CONFIG_IN_ORDER && vio_features_has(features, VIRTIO_F_IN_ORDER);
	q->event_idx = vio_features_has(features, VIRTIO_F_EVENT_IDX);
	q->order_platform = VIO_CONFIG_ORDER_PLATFORM && vio_features_has(features, VIRTIO_F_ORDER_PLATFORM);
	q->lengths_ignored = !vio_features_has(features, VIRTIO_F_VERSION_1);
	q->desc = (struct virtq_desc *)(void *)ring;
	q->avail = (struct virtq_avail *)(void *)(ring + driver_area_offset(size));
	q->used = (struct virtq_used *)(void *)(ring + device_area);
	q->ring_addr = config->ring.addr;
	q->indirect = config->indirect;
	q->indirect_max = config->indirect_max;
	q->context = config->context;
	q->notify_device = config->notify_device;
	q->free_count = size;
	q->shadow = config->storage;
	memset(q->shadow, 0, vio_drvq_storage_bytes(size));
	if (vio_drvq_is_packed(q))
		vio_drvq_packed_start(q);
	else
		vio_drvq_split_start(q);
	return 0;
}

int vio_drvq_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned writable,
		 void *token)
{
	if (vio_drvq_is_packed(q))
		return vio_drvq_packed_add(q, sg, readable, writable, token);
	return vio_drvq_split_add(q, sg, readable, writable, token);
}

int vio_drvq_add_many(struct vio_drvq *q, const struct vio_drvq_buffer *buffers, unsigned count)
{
	if (vio_drvq_is_packed(q))
		return vio_drvq_packed_add_many(q, buffers, count);
	return vio_drvq_split_add_many(q, buffers, count);
}

void vio_drvq_publish(struct vio_drvq *q)
{
	if (q->avail_visible == q->avail_next || vio_drvq_broken(q))
		return;
	if (vio_drvq_is_packed(q))
		vio_drvq_packed_publish(q);
	else
		vio_drvq_split_publish(q);
}

bool vio_drvq_kick_prepare(struct vio_drvq *q)
{
	if (q->avail_visible == q->avail_next || vio_drvq_broken(q))
		return false;
	if (vio_drvq_is_packed(q))
		return vio_drvq_packed_kick_prepare(q);
	return vio_drvq_split_kick_prepare(q);
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

void *vio_drvq_get(struct vio_drvq *q, uint32_t *written)
{
	if (vio_drvq_is_packed(q))
		return vio_drvq_packed_get(q, written, true);
	return vio_drvq_split_get(q, written, true);
}

unsigned vio_drvq_get_many(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max)
{
	if (vio_drvq_is_packed(q))
		return vio_drvq_packed_get_many(q, tokens, written, max);
	return vio_drvq_split_get_many(q, tokens, written, max);
}

void *vio_drvq_poll(struct vio_drvq *q, uint32_t *written, unsigned budget)
{
	void *token;

	while (budget--) {
		token = vio_drvq_is_packed(q) ? vio_drvq_packed_get(q, written, false)
					      : vio_drvq_split_get(q, written, false);
		if (token || vio_drvq_broken(q))
			return token;
		vio_pause();
	}
	return NULL;
}

bool vio_drvq_pending(const struct vio_drvq *q)
{
	if (vio_drvq_broken(q))
		return false;
	return vio_drvq_is_packed(q) ? vio_drvq_packed_pending(q) : vio_drvq_split_pending(q);
}

void vio_drvq_disable_cb(struct vio_drvq *q)
{
	__atomic_store_n(&q->callbacks_off, true, __ATOMIC_RELAXED);
	if (vio_drvq_is_packed(q))
		vio_drvq_packed_disable_cb(q);
	else
		vio_drvq_split_disable_cb(q);
}

static bool enable_cb(struct vio_drvq *q, bool delayed)
{
	__atomic_store_n(&q->callbacks_off, false, __ATOMIC_RELAXED);
	if (vio_drvq_is_packed(q))
		return vio_drvq_packed_enable_cb(q, delayed);
	return vio_drvq_split_enable_cb(q, delayed);
}

bool vio_drvq_enable_cb(struct vio_drvq *q)
{
	return enable_cb(q, false);
}

bool vio_drvq_enable_cb_delayed(struct vio_drvq *q)
{
	return enable_cb(q, true);
}

void *vio_drvq_detach_unused(struct vio_drvq *q)
{
	if (!q->in_flight)
		return NULL;
	return vio_drvq_is_packed(q) ? vio_drvq_packed_detach_unused(q) : vio_drvq_split_detach_unused(q);
}
