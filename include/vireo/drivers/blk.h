/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_BLK_H
#define VIREO_DRIVERS_BLK_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_blk.h>

/*
 * A driver for the block device (5.2).
 *
 * A request is a struct vio_blk_io of the caller's: vio_blk_submit() judges it and shows its memory to
 * the device, vio_blk_kick() tells the device of a batch, and `done` is called once for each, from
 * vio_blk_poll() or, where interrupts arrive (vio_dev_interrupt()), from there. Requests complete in any
 * order. Nothing is split and nothing is copied: what the device couldn't take is refused before it
 * sees it, and the limits are in struct vio_blk_identity. vio_blk_read() and those behind it are one
 * request each, and wait for it.
 *
 * A device that doesn't answer or lies is reset by vio_blk_stop(), which hands back every request;
 * vio_blk_start() begins anew. Unbinding hands them back as well, when it succeeds.
 *
 * No locks: one thread at a time, or interrupts off, for all of a device.
 */
VIO_API extern const struct vio_driver vio_blk_driver;

#define VIO_BLK_QUEUES_MAX 8u  /* used of those that the device has */
#define VIO_BLK_PARTS_MAX  32u /* of a request's data */
#define VIO_BLK_TIMEOUT_NS UINT64_C(30000000000)

/* What the device says of itself. Numbers that it doesn't give are those of a plain disk. */
struct vio_blk_identity {
	uint64_t capacity;          /* in sectors of 512 bytes; may change, see vio_blk.changed */
	uint32_t parts_max;         /* pieces of a request's data, 1..VIO_BLK_PARTS_MAX */
	uint32_t part_bytes_max;    /* UINT32_MAX: no limit */
	uint32_t block_bytes;       /* logical block: better a multiple of it; 512 when not said */
	uint32_t physical_exponent; /* physical block: block_bytes << this */
	uint32_t aligned_block;     /* first logical block that begins a physical one */
	uint32_t least_io_blocks;   /* suggested, in logical blocks; 0: not said */
	uint32_t best_io_blocks;    /* likewise */
	uint32_t cylinders, heads, sectors_per_track; /* 0: not said */
	uint32_t queue_count;                         /* 1..VIO_BLK_QUEUES_MAX in use */
	uint32_t discard_sectors_max;                 /* of one range; 0: no discards */
	uint32_t discard_ranges_max;
	uint32_t discard_alignment;  /* in sectors */
	uint32_t zeroes_sectors_max; /* of one range; 0: no write zeroes */
	uint32_t zeroes_ranges_max;
	uint32_t zeroes_may_unmap; /* boolean */
	uint32_t writeback;        /* boolean: writes may be lost until they are flushed */
	bool read_only;
};

/* A request. Zeroed before the first use; may be used again when it was done. */
struct vio_blk_io {
	/* The caller's, unchanged while it is in flight; so is the array, and the memory is the device's. */
	uint32_t type;   /* VIRTIO_BLK_T_... IN, OUT, FLUSH, GET_ID, DISCARD or WRITE_ZEROES */
	uint16_t queue;  /* below queue_count */
	uint64_t sector; /* of IN and OUT */
	/*
	 * The data: whole sectors for IN and OUT, 20 bytes for GET_ID, one part with an array of struct
	 * virtio_blk_discard_write_zeroes for DISCARD and WRITE_ZEROES, none for FLUSH.
	 */
	const struct vio_part *parts;
	unsigned part_count;
	/* May submit again, this one too; may be NULL. */
	void (*done)(struct vio_dev *dev, struct vio_blk_io *io);
	void *owner;

	/*
	 * When it is done: 0, -VIO_EIO or -VIO_ENOTSUP as the device says, -VIO_EPEER for an answer that
	 * is none (the data is undefined), -VIO_EAGAIN when a reset cancelled it, -VIO_EHANGUP when the
	 * device is gone.
	 */
	int result;
	bool busy; /* in flight */

	/* Private. */
	uint32_t answer_bytes; /* that the device has to write for success */
	struct {
		struct virtio_blk_req header;
		uint8_t status;
	} frame; /* of the data, shared in one piece */
	struct vio_sg sg[VIO_BLK_PARTS_MAX + 2];
};

struct vio_blk_more;

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_blk {
	struct vio_blk_identity identity; /* may be read */
	/* Of a request that is waited for, VIO_BLK_TIMEOUT_NS at first; may be changed, 0: waits for ever. */
	uint64_t timeout_ns;
	/*
	 * May be set: capacity or cache mode may have changed, or vio_dev_broken(), which asks for
	 * vio_blk_stop(). Called from vio_dev_interrupt().
	 */
	void (*changed)(struct vio_dev *dev);
	struct vio_drvq *q[VIO_BLK_QUEUES_MAX]; /* for vio_drvq_disable_cb() and its like */

	bool waiting; /* on queue 0: its interrupts find somebody at work already */
	bool stopping;
	struct vio_part sync_part;
	struct virtio_blk_discard_write_zeroes sync_range;
	uint8_t id[VIRTIO_BLK_ID_BYTES];
	struct vio_blk_io sync;
	const struct vio_blk_more *more; /* of a driver that is this one and more */
	struct vio_dev_queue queues[VIO_BLK_QUEUES_MAX]; /* last, as it is large */
};

/*
 * Adds a request to its queue; the device hears of it with the next vio_blk_kick(). -VIO_ENOSPC: the
 * queue has no room now. -VIO_EBUSY: it is in flight. -VIO_ERANGE: beyond the capacity, parts_max,
 * part_bytes_max or another limit of the identity, or no such queue. -VIO_EINVAL: it makes no sense (an
 * empty part, no whole sectors, an unknown type), or another driver is bound. -VIO_EACCES: the device
 * is read-only. -VIO_ENOTSUP: the device can't do that. -VIO_EPHASE or -VIO_EPEER: it isn't at work. Or
 * what sharing says. After an error `done` isn't called.
 */
VIO_API int vio_blk_submit(struct vio_dev *dev, struct vio_blk_io *io);
VIO_API void vio_blk_kick(struct vio_dev *dev, uint16_t queue);

/*
 * Completes what the device has done on a queue, until nothing is left. How many, or -VIO_EPEER when the
 * queue is broken or stopped, -VIO_ERANGE, -VIO_EINVAL.
 */
VIO_API int vio_blk_poll(struct vio_dev *dev, uint16_t queue);

/*
 * Resets the device and hands back all requests with -VIO_EAGAIN. -VIO_EAGAIN when the reset doesn't end:
 * nothing is handed back, call again later. -VIO_EHANGUP when the device is gone: all were handed back
 * with that.
 */
VIO_API int vio_blk_stop(struct vio_dev *dev);
/* Begins the device's life again, after a vio_blk_stop(). -VIO_EBUSY in a `done` that a stop calls. */
VIO_API int vio_blk_start(struct vio_dev *dev);

/*
 * One request each, on queue 0, and the codes of submit and of vio_blk_io.result. -VIO_EAGAIN at the
 * timeout, -VIO_EPEER when the queue broke: vio_blk_stop() was called. If dev->phase is
 * VIO_DEV_STUCK then, the memory is still the device's.
 */
VIO_API int vio_blk_read(struct vio_dev *dev, uint64_t sector, void *to, uint32_t length);
VIO_API int vio_blk_write(struct vio_dev *dev, uint64_t sector, const void *from, uint32_t length);
/* What was written is stable when this is done. No request when the device has no cache. */
VIO_API int vio_blk_flush(struct vio_dev *dev);
/* The sectors may read as anything afterwards. spec: DRV-BLK-021 */
VIO_API int vio_blk_discard(struct vio_dev *dev, uint64_t sector, uint32_t sectors);
/* They read as zeros. `flags`: VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP to give storage back where possible. */
VIO_API int vio_blk_write_zeroes(struct vio_dev *dev, uint64_t sector, uint32_t sectors, uint32_t flags);
/* The serial number: VIRTIO_BLK_ID_BYTES at most, whatever they are, and a NUL. */
VIO_API int vio_blk_get_id(struct vio_dev *dev, char id[VIRTIO_BLK_ID_BYTES + 1]);

enum vio_blk_cache {
	VIO_BLK_WRITE_THROUGH, /* what was written is stable */
	VIO_BLK_WRITE_BACK,    /* it is after a flush */
};

/*
 * Chooses the cache mode; a change to write-through flushes. -VIO_ENOTSUP when the device leaves no
 * choice, -VIO_EPEER when it shows the other mode then.
 */
VIO_API int vio_blk_set_cache(struct vio_dev *dev, enum vio_blk_cache cache);

#endif
