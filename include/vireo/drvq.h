/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRVQ_H
#define VIREO_DRVQ_H

#include <vireo/fault.h>
#include <vireo/features.h>
#include <vireo/memory.h>

/*
 * A virtqueue as the driver sees it: the field's five operations.
 *
 * vio_drvq_add() exposes a buffer (its readable elements, then its writable
 * ones) under a token, vio_drvq_kick() tells the device unless it asked not to
 * be told, vio_drvq_get() returns the token of a buffer that the device has used,
 * vio_drvq_disable_cb() and vio_drvq_enable_cb() say whether it should interrupt.
 *
 * The device is hostile, too: the queue keeps a private shadow of every
 * descriptor and never reads back what it wrote to shared memory; each index and
 * length that the device writes is checked against the shadow. The first lie is
 * recorded as a fault and breaks the queue: add returns -VIO_EPEER, get returns
 * NULL, until it is started again.
 *
 * Both formats of a ring, split and packed, are behind the same calls; the negotiated
 * features say which. With VIRTIO_F_IN_ORDER one used element may stand for many
 * buffers: each comes back by itself, those that it only implies with their whole
 * writable length. A device that predates VIRTIO_F_VERSION_1 may give a wrong used
 * length, which is cut to what is there instead of breaking the queue. With
 * VIRTIO_F_ORDER_PLATFORM the device is taken for hardware, and barriers are the
 * machine's for devices instead of those between processors.
 *
 * No allocation: the caller gives the ring memory (which the device sees) and
 * private storage. No locks: one thread at a time, except vio_drvq_disable_cb(),
 * which may be called from an interrupt handler at any time.
 */

/* One element of a buffer, as the device will address it. */
struct vio_sg {
	struct vio_addr addr;
	uint32_t length;
};

/* Memory that both the driver and the device see: first host byte and bus address. */
struct vio_shared {
	void *host;
	struct vio_addr addr;
};

struct vio_drvq;
struct vio_drvq_shadow;
struct virtq_desc;
struct virtq_avail;
struct virtq_used;
struct pvirtq_desc;
struct pvirtq_event_suppress;

struct vio_drvq_config {
	uint16_t index;               /* of the queue in its device */
	uint16_t size;                /* entries, 1..32768; split: a power of two */
	struct vio_features features; /* as negotiated */
	struct vio_shared ring;       /* vio_drvq_ring_bytes(size), 16 bytes aligned */
	uint32_t device_align;        /* bytes, of the device area in the ring: a power of two; 0: 64 */
	void *storage;                /* vio_drvq_storage_bytes(size), aligned for pointers */
	/* For VIRTIO_F_INDIRECT_DESC: `size` tables of indirect_max descriptors each; 0: not used. */
	struct vio_shared indirect;
	uint16_t indirect_max;
	void *context;
	void (*notify_device)(void *context, struct vio_drvq *q); /* rings the transport's bell */
};

struct vio_drvq {
	uint16_t index;
	uint16_t size;
	bool packed;
	bool in_order;
	bool event_idx;
	bool order_platform; /* the device is hardware */
	bool callbacks_off;
	bool lengths_ignored; /* what the device says of used lengths may be wrong, and is cut */
	uint16_t indirect_max;
	uint16_t free_count; /* descriptors not in use */
	uint16_t free_head;  /* split: the next descriptor; packed: the next buffer id */
	uint16_t in_flight;  /* buffers */
	/* Split: indices modulo 2^16. Packed: offsets with PVIRTQ_WRAP. */
	uint16_t avail_next;    /* next entry to fill */
	uint16_t avail_visible; /* the same as the device sees it */
	uint16_t used_next;     /* next entry to look at */
	uint16_t used_seen;     /* split: the device's idx as last read and judged */
	uint16_t event;         /* when the device was asked to interrupt, with EVENT_IDX */
	/* IN_ORDER: what the last used element stands for. */
	uint16_t batch_left;   /* buffers; packed: not 0 until the last one was taken */
	uint16_t batch_last;   /* packed: id of the last one */
	uint32_t batch_length; /* of the last one */
	struct vio_fault fault;
	union {
		struct virtq_desc *desc;
		struct pvirtq_desc *packed_desc;
	};
	union {
		struct virtq_avail *avail;
		struct pvirtq_event_suppress *driver_event;
	};
	union {
		struct virtq_used *used;
		struct pvirtq_event_suppress *device_event;
	};
	struct vio_drvq_shadow *shadow; /* one for each descriptor */
	uint64_t first_rest; /* packed: what makes the first buffer visible that isn't, and those behind it */
	uint64_t shows;      /* how often something was made visible */
	struct vio_addr ring_addr;
	struct vio_shared indirect;
	void *context;
	void (*notify_device)(void *context, struct vio_drvq *q);
};

/* Bytes of ring memory for `size` entries, all three areas; the second with a device_align other than 0. */
VIO_API size_t vio_drvq_ring_bytes(uint16_t size);
VIO_API size_t vio_drvq_ring_bytes_aligned(uint16_t size, uint32_t device_align);

/* Bytes of private storage for `size` entries. */
VIO_API size_t vio_drvq_storage_bytes(uint16_t size);

/* Bytes of indirect tables. */
static inline size_t vio_drvq_indirect_bytes(uint16_t size, uint16_t indirect_max)
{
	return (size_t)size * indirect_max * 16;
}

/*
 * Starts a queue with nothing in it: writes the ring memory afresh. -VIO_EINVAL
 * for an illegal size, misaligned memory, or indirect tables without the feature.
 */
VIO_API int vio_drvq_start(struct vio_drvq *q, const struct vio_drvq_config *config);

/* Where the three areas are, for the transport. */
VIO_API struct vio_addr vio_drvq_descriptor_area(const struct vio_drvq *q);
VIO_API struct vio_addr vio_drvq_driver_area(const struct vio_drvq *q);
VIO_API struct vio_addr vio_drvq_device_area(const struct vio_drvq *q);

/*
 * Exposes a buffer of `readable` elements followed by `writable` elements.
 * `token` (not NULL) comes back from vio_drvq_get(). The memory belongs to the
 * device until then. -VIO_ENOSPC when the ring has no room now, -VIO_EINVAL for
 * no elements, a NULL token, an element of length 0, more elements than can ever fit or more
 * than 2^32 bytes, -VIO_EPEER when broken.
 */
VIO_API int vio_drvq_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned writable,
			 void *token);

/* A buffer, as vio_drvq_add() takes it. */
struct vio_drvq_buffer {
	const struct vio_sg *sg;
	unsigned readable, writable;
	void *token;
};

/*
 * Adds `count` buffers, in order, until one doesn't fit or isn't legal. How many were
 * added, or, when the first one wasn't, what vio_drvq_add() said of it.
 */
VIO_API int vio_drvq_add_many(struct vio_drvq *q, const struct vio_drvq_buffer *buffers, unsigned count);

/* Makes what was added visible and notifies the device unless it asked not to be. */
VIO_API void vio_drvq_kick(struct vio_drvq *q);

/* The first half of kick: true when vio_drvq_notify() is due, which may then happen outside of a lock. */
VIO_API bool vio_drvq_kick_prepare(struct vio_drvq *q);
VIO_API void vio_drvq_notify(struct vio_drvq *q);

/*
 * Makes what was added visible, nothing else: for a device that is known to poll and never to
 * sleep. Cheaper than kick, which has to order this against its look at what the device asked for.
 */
VIO_API void vio_drvq_publish(struct vio_drvq *q);

/*
 * The token of the next buffer that the device has used, or NULL. *written (may
 * be NULL) receives how many bytes it wrote to the writable part; what lies
 * behind them is undefined. Where callbacks are on, the next interrupt comes only
 * after get has returned NULL (or after vio_drvq_enable_cb()): drain the queue.
 */
VIO_API void *vio_drvq_get(struct vio_drvq *q, uint32_t *written);

/*
 * The same for up to `max` buffers; returns how many. `written` may be NULL. Fewer than `max` mean
 * what NULL from vio_drvq_get() means.
 */
VIO_API unsigned vio_drvq_get_many(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max);

/*
 * vio_drvq_get() that looks up to `budget` times before it says NULL, with a pause of the
 * processor between. Asks for no interrupt.
 */
VIO_API void *vio_drvq_poll(struct vio_drvq *q, uint32_t *written, unsigned budget);

/* Asks the device not to interrupt. Unreliable by nature: an interrupt may still come. */
VIO_API void vio_drvq_disable_cb(struct vio_drvq *q);

/* Asks for interrupts again. false: more arrived meanwhile, look again. */
VIO_API bool vio_drvq_enable_cb(struct vio_drvq *q);

/*
 * The same, but the interrupt may wait until most of what the device has was used, and what arrived
 * so far needn't make it false.
 */
VIO_API bool vio_drvq_enable_cb_delayed(struct vio_drvq *q);

/* True when vio_drvq_get() would find something (or a fault). */
VIO_API bool vio_drvq_pending(const struct vio_drvq *q);

/*
 * The token of a buffer that the device never used, or NULL when none is left.
 * Only after the device or the queue was reset.
 */
VIO_API void *vio_drvq_detach_unused(struct vio_drvq *q);

/* What a transport says with VIRTIO_F_NOTIFICATION_DATA: the next offset in 15 bits, its wrap bit on top. */
VIO_API uint16_t vio_drvq_notification_data(const struct vio_drvq *q);

static inline bool vio_drvq_broken(const struct vio_drvq *q)
{
	return q->fault.kind != VIO_FAULT_NONE;
}

#endif
