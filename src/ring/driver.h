/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_RING_DRIVER_H
#define VIO_RING_DRIVER_H

#include <vireo/config.h>
#include <vireo/drvq.h>

#include "base/atomic.h"

/* What the files of the driver's side share. */

#define VIO_DRVQ_LIST_END UINT16_MAX

/*
 * What the driver knows about a descriptor (split) or buffer id (packed) without asking shared
 * memory. Free ones are listed through next.
 */
struct vio_drvq_shadow {
	void *token;       /* of the buffer that this is the head of; NULL: not a head in flight */
	uint32_t writable; /* bytes of that buffer, as far as a used length can tell */
	uint16_t count;    /* its descriptors */
	uint16_t next;     /* split: chains the descriptors of a buffer, too */
	union {
		struct {
			uint16_t last;      /* descriptor of the chain */
			uint16_t avail_idx; /* index at which the head was put into the available ring */
			uint16_t ring;      /* not of the descriptor: the head in this slot of that ring */
		} split;
		uint64_t shows; /* packed: of the queue, when the buffer was added */
	};
};

static inline bool vio_drvq_is_packed(const struct vio_drvq *q)
{
	return VIO_CONFIG_PACKED && q->packed;
}

static inline bool vio_drvq_in_order(const struct vio_drvq *q)
{
	return VIO_CONFIG_IN_ORDER && q->in_order;
}

static inline bool vio_drvq_order_platform(const struct vio_drvq *q)
{
	return VIO_CONFIG_ORDER_PLATFORM && q->order_platform;
}

/* Whether the compiler was asked for small code. What is here to be fast alone is left out then. */
#ifdef __OPTIMIZE_SIZE__
#define VIO_DRVQ_SMALL 1
#else
#define VIO_DRVQ_SMALL 0
#endif

/* Breaks the queue; in small code alone. */
void vio_drvq_break(struct vio_drvq *q, enum vio_fault_kind kind, uint32_t index, uint64_t value);

/* The same because of what the device did: false. */
static inline bool vio_drvq_fault(struct vio_drvq *q, enum vio_fault_kind kind, uint32_t index,
				  uint64_t value)
{
	if (VIO_DRVQ_SMALL)
		vio_drvq_break(q, kind, index, value);
	else /* no call, which would cost registers where nothing is wrong */
		q->fault = (struct vio_fault){ kind, q->index, index, value };
	return false;
}

/*
 * Which barrier orders both sides, by VIRTIO_F_ORDER_PLATFORM. spec: DRV-BASIC-042
 *
 * Between processors a release store or an acquire load says it all, and these two add nothing.
 */
static inline void vio_drvq_before_release(const struct vio_drvq *q)
{
	if (vio_drvq_order_platform(q))
		vio_platform_write_barrier();
}

static inline void vio_drvq_after_acquire(const struct vio_drvq *q)
{
	if (vio_drvq_order_platform(q))
		vio_platform_read_barrier();
}

static inline void vio_drvq_full_barrier(const struct vio_drvq *q)
{
	if (vio_drvq_order_platform(q))
		vio_platform_barrier();
	else
		vio_full_barrier();
}

/* Whether a get that finds nothing asks for the next interrupt. */
static inline bool vio_drvq_asks(const struct vio_drvq *q)
{
	return q->event_idx && !__atomic_load_n(&q->callbacks_off, __ATOMIC_RELAXED);
}

/* Descriptors that a buffer takes. */
static inline unsigned vio_drvq_room_for(const struct vio_drvq *q, unsigned count)
{
	return VIO_CONFIG_INDIRECT && count > 1 && count <= q->indirect_max ? 1 : count;
}

/* A buffer of one element, with nothing to complain of. */
static inline bool vio_drvq_is_single(const struct vio_drvq_buffer *b)
{
	return b->readable <= 1 && b->readable + b->writable == 1 && b->token && b->sg->length;
}

#define VIO_DRVQ_BUFFER_BYTES_MAX (UINT64_C(1) << 32)

/* Whether the buffer can be added now: 0 or what vio_drvq_add() says; *writable_bytes is set. */
static inline int vio_drvq_judge(const struct vio_drvq *q, const struct vio_sg *sg, unsigned readable,
				 unsigned writable, const void *token, uint32_t *writable_bytes)
{
	unsigned count = readable + writable, i;
	uint64_t total = 0, before = 0;

	if (vio_drvq_broken(q))
		return -VIO_EPEER;
	/* spec: DRV-SPLIT-010, which tables obey as well; DRV-PACKED-005 DRV-PACKED-006 DRV-PACKED-013 */
	if (!token || count - 1 >= q->size || readable > count) /* the last: their sum wrapped */
		return -VIO_EINVAL;
	/* The rest of this in short, as it is what most drivers add most. */
	if (!VIO_DRVQ_SMALL && count == 1 && sg->length) {
		*writable_bytes = writable ? sg->length : 0;
		return q->free_count ? 0 : -VIO_ENOSPC;
	}
	for (i = 0; i < count; i++) {
		if (!sg[i].length)
			return -VIO_EINVAL;
		if (i == readable)
			before = total;
		total += sg[i].length;
	}
	if (total > VIO_DRVQ_BUFFER_BYTES_MAX) /* spec: DRV-SPLIT-006 */
		return -VIO_EINVAL;
	total -= writable ? before : total;
	*writable_bytes = (uint32_t)(total - (total >> 32)); /* of 2^32 one less */
	/* spec: DRV-PACKED-008 DRV-PACKED-009 */
	return q->free_count < vio_drvq_room_for(q, count) ? -VIO_ENOSPC : 0;
}

/*
 * A used length of which at most `writable` can be true: false, and a fault, when it can't. From a
 * legacy device it is cut.
 * spec: DRV-BLK-031 DRV-CON-007 DRV-NET-015 DRV-BALLOON-011
 */
static inline bool vio_drvq_length_legal(struct vio_drvq *q, uint32_t writable, uint32_t index,
					 uint32_t *length)
{
	if (*length <= writable)
		return true;
	if (q->lengths_ignored) {
		*length = writable;
		return true;
	}
	return vio_drvq_fault(q, VIO_FAULT_USED_LENGTH, index, *length);
}

/* A buffer is the driver's again; its descriptors are in use no more. */
static inline void *vio_drvq_retire(struct vio_drvq *q, struct vio_drvq_shadow *shadow)
{
	void *token = shadow->token;

	q->free_count = (uint16_t)(q->free_count + shadow->count);
	q->in_flight--;
	shadow->token = NULL;
	return token;
}

/* The descriptor that comes first of those in use, where they lie in a row: with VIRTIO_F_IN_ORDER. */
static inline uint16_t vio_drvq_behind(const struct vio_drvq *q, uint16_t next)
{
	unsigned at = (unsigned)next + q->free_count;

	return (uint16_t)(at < q->size ? at : at - q->size);
}

/*
 * One format each; what they do is said where the public function of that name is. With `ask`,
 * get asks for the next interrupt before it says NULL.
 */
#define VIO_DRVQ_FORMAT(format)                                                                     \
	void vio_drvq_##format##_start(struct vio_drvq *q);                                         \
	int vio_drvq_##format##_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, \
				    unsigned writable, void *token);                                \
	int vio_drvq_##format##_add_many(struct vio_drvq *q, const struct vio_drvq_buffer *buffers, \
					 unsigned count);                                           \
	void vio_drvq_##format##_publish(struct vio_drvq *q);                                       \
	bool vio_drvq_##format##_kick_prepare(struct vio_drvq *q);                                  \
	void *vio_drvq_##format##_get(struct vio_drvq *q, uint32_t *written, bool ask);             \
	unsigned vio_drvq_##format##_get_many(struct vio_drvq *q, void **tokens, uint32_t *written, \
					      unsigned max);                                        \
	bool vio_drvq_##format##_pending(const struct vio_drvq *q);                                 \
	void vio_drvq_##format##_disable_cb(struct vio_drvq *q);                                    \
	bool vio_drvq_##format##_enable_cb(struct vio_drvq *q, bool delayed);                       \
	void *vio_drvq_##format##_detach_unused(struct vio_drvq *q)

VIO_DRVQ_FORMAT(split);
VIO_DRVQ_FORMAT(packed);

#endif
