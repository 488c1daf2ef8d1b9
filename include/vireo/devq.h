/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVQ_H
#define VIREO_DEVQ_H

#include <vireo/fault.h>
#include <vireo/features.h>
#include <vireo/memory.h>
#include <vireo/spec/virtio_ring.h>

/*
 * A virtqueue as the device sees it.
 *
 * The driver makes buffers available; the device takes one with vio_devq_pop(),
 * reads its readable part and fills its writable part through the cursors of
 * struct vio_buf, and gives it back with vio_devq_push(). Buffers may be given
 * back in any order and at any later time: a vio_buf is plain data, and keeping
 * (or copying) it is how a device goes asynchronous. vio_devq_notify() makes
 * what was pushed visible to the driver and interrupts it when it asked for
 * that; call it once for a batch, and always before going idle.
 *
 * Split or packed, in order or not is a matter between the queue and the driver: all
 * of it looks the same from here. With VIRTIO_F_IN_ORDER the queue keeps back what was
 * pushed until everything taken before it is there; until it is shown by vio_devq_notify()
 * its head counts as taken, and a driver that makes it available again breaks the queue.
 *
 * Everything the driver writes is hostile. A descriptor is read from shared
 * memory once and judged from the copy; the first violation is recorded as a
 * fault, breaks the queue, and from then on pop returns false until the queue is
 * started again. Pushing on a broken or stopped queue is allowed and drops the
 * buffer.
 *
 * No allocation: the caller gives one block of storage, whose size comes from
 * vio_devq_storage_bytes(). No locks: one thread at a time.
 */

struct vio_devq;
struct vio_devq_done;
struct vio_devq_log;

/*
 * A buffer that the device has taken. The spans lie in the queue's storage:
 * first the readable ones, then the writable ones; vio_read() and vio_write()
 * eat them from the front, so that what is left is always an array that can be
 * handed to readv() or writev() as it is.
 */
struct vio_buf {
	struct vio_span *readable; /* what is left to read, readable_count spans */
	struct vio_span *writable; /* what is left to fill, writable_count spans */
	uint16_t readable_count;
	uint16_t writable_count;
	uint16_t head; /* what names the buffer in the ring: a descriptor's index or, packed, an id */
	uint16_t slot; /* private to the queue, as are the next two */
	uint32_t generation;
	uint32_t writable_limit;
	uint64_t readable_bytes; /* left to read */
	uint64_t writable_bytes; /* left to fill */
	void *request;           /* request_bytes for the device's own use while it holds the buffer */
	uint16_t entries;        /* private to the queue: what it takes of a packed ring; 1 */
	bool receives;           /* private to the queue: nothing was readable */
	/*
	 * More spans than spans_max: only the first ones and the very last are here. The counts of
	 * bytes are still those of the whole buffer.
	 */
	bool truncated;
};

/* Copies up to `length` bytes out of the readable part; returns how many there were. */
VIO_API size_t vio_read(struct vio_buf *buf, void *to, size_t length);

/* Copies up to `length` bytes into the writable part; returns how many it took. */
VIO_API size_t vio_write(struct vio_buf *buf, const void *from, size_t length);

/* Passes over up to `length` readable bytes; returns how many there were. */
VIO_API size_t vio_skip(struct vio_buf *buf, size_t length);

/*
 * Cuts the last byte off the writable part and returns its address, or NULL when
 * there is none: where block and SCSI keep their status.
 */
VIO_API uint8_t *vio_buf_take_last(struct vio_buf *buf);

/*
 * Where a queue stands. Split: indices modulo 2^16, of which `used` isn't read by
 * vio_devq_start() as the ring itself holds it; all 0 in a queue that never ran. Packed:
 * offsets with PVIRTQ_WRAP on top; both PVIRTQ_WRAP in a queue that never ran.
 */
struct vio_devq_position {
	uint16_t avail; /* next to take */
	uint16_t used;  /* next to fill */
};

/* That of a queue that never ran, or was reset. */
static inline struct vio_devq_position vio_devq_position_first(const struct vio_features *features)
{
	const uint16_t first = vio_features_has(features, VIRTIO_F_RING_PACKED) ? PVIRTQ_WRAP : 0;

	return (struct vio_devq_position){ first, first };
}

/* What vio_devq_start() needs to know; all of it chosen by the driver or negotiated with it. */
struct vio_devq_config {
	uint16_t size;               /* entries, 1 .. size_max of vio_devq_init(); split: a power of two */
	struct vio_devq_position at; /* where to go on */
	struct vio_addr descriptor_area; /* 16 bytes aligned, 16 * size bytes */
	struct vio_addr driver_area;     /* 2 bytes aligned, 6 + 2 * size bytes; packed: 4, 4 */
	struct vio_addr device_area;     /* 4 bytes aligned, 6 + 8 * size bytes; packed: 4, 4 */
	struct vio_features features;    /* as accepted by the driver */
	struct vio_devq_log *log;        /* NULL: nobody keeps one */
	const struct vio_mem *mem;       /* for vio_device_queue_start(): NULL: the device's */
};

/* A buffer that an earlier device had taken, to be taken once more. */
struct vio_devq_again {
	uint16_t name;                         /* vio_buf.head */
	uint16_t entries;                      /* packed: of the ring */
	const struct pvirtq_desc *descriptors; /* packed: so many of them, as the ring had them */
};

/*
 * Keeps account of which buffers the device has, so that another one can go on when it dies. What
 * it wants to know it is told in the queue's thread, in the order in which it has to be remembered,
 * and before anybody else can know: a buffer is taken before pop returns it, what was pushed is about
 * to be shown, and was shown, when the driver can see it.
 *
 * A queue that starts with `again` > 0 first takes these once more, in the order of again(), with
 * config.at where the earlier device stood when all of them had been given back already.
 */
struct vio_devq_log_ops {
	/* `count` buffers were taken; packed: the entries of the first begin at `position`. */
	void (*taken)(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
		      unsigned count, uint16_t position);
	/* vio_devq_unpop(); one that came from again() is the next to come from it again. */
	void (*untaken)(struct vio_devq_log *log, const struct vio_buf *buf);
	void (*given)(struct vio_devq_log *log, uint16_t name);              /* can be shown from now on */
	void (*showing)(struct vio_devq_log *log, const struct vio_devq *q); /* all that was given */
	void (*shown)(struct vio_devq_log *log, const struct vio_devq *q);
	/* Fills in the next one, good until the next call; decrements log->again. */
	void (*again)(struct vio_devq_log *log, struct vio_devq_again *next);
	/*
	 * For who wants to know what of the driver's memory was written; all three or none. `count` buffers
	 * were taken, from the ring or once more; `buf` is pushed, by a device that says how much it filled;
	 * and where the device says which kicks it wants was written to.
	 */
	void (*popped)(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
		       unsigned count);
	void (*filled)(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buf,
		       uint32_t written);
	void (*asked)(struct vio_devq_log *log, const struct vio_devq *q);
	/*
	 * May be NULL. A buffer couldn't be taken, for what q->fault says. true: that is no fault, but
	 * something that is to come; it is as if there were no buffer until the queue is kicked again.
	 */
	bool (*absent)(struct vio_devq_log *log, const struct vio_devq *q);
};

struct vio_devq_log {
	const struct vio_devq_log_ops *ops;
	uint16_t again; /* buffers that are still to be taken once more */
};

/* In order: what one used entry can say, the last of `buffers`, which take so many ring entries. */
struct vio_devq_run {
	uint32_t written;
	uint16_t name;
	uint16_t entries;
	uint16_t buffers;
	bool open; /* another one may follow */
};

struct vio_devq {
	/* Set once. */
	uint16_t index;
	uint16_t size_max;
	uint16_t spans_max;
	uint32_t request_stride;
	void (*interrupt)(void *context, struct vio_devq *q);
	void *interrupt_context;
	void *owner; /* for the device core */

	/* While it runs. */
	const struct vio_mem *mem;
	struct vio_devq_log *log; /* or NULL */
	unsigned mem_hint;
	uint16_t size;
	bool running;
	bool packed;
	bool in_order;
	bool event_idx;
	bool indirect;
	bool notify_on_empty;
	bool kicks_off;          /* the driver is told not to kick */
	bool polling;            /* keep it so: vio_devq_disable_kick() */
	uint16_t avail_next;     /* next entry to take: an index or, packed, a position */
	uint16_t avail_seen;     /* split: the driver's idx as last read and judged */
	uint16_t used_next;      /* next entry to fill, as avail_next */
	uint16_t used_visible;   /* up to where the driver sees it */
	uint16_t in_flight;      /* buffers taken and not given back in the ring */
	uint16_t entries;        /* ring entries of those, and packed those that an earlier life lost */
	uint16_t order_next;     /* in order: the record of the next buffer to take */
	struct vio_devq_run run; /* in order: was given back, can be shown with what follows */
	uint32_t budget;         /* pops left; see vio_devq_set_budget() */
	uint32_t generation;     /* counts starts, so that buffers of an earlier life are dropped */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct pvirtq_desc *ring; /* packed */
	struct pvirtq_event_suppress *driver_event, *device_event;
	uint64_t used_first; /* packed: the entry at used_visible, which is shown last */
	struct vio_fault fault;

	/* Storage, divided. */
	uint16_t *slots;             /* stack of free slots; not in order */
	struct vio_devq_done *order; /* a record for each slot; in order, and in the same place */
	uint8_t *busy;               /* one for each head */
	struct vio_span *singles;    /* one for each slot */
	struct vio_span *spans;      /* spans_max for each */
	uint8_t *requests;
};

/*
 * How much storage a queue of up to `size_max` entries takes, whose buffers have
 * up to `spans_max` spans each (at least 1; longer ones arrive truncated) and
 * `request_bytes` of the device's own. Aligned as malloc() aligns.
 */
VIO_API size_t vio_devq_storage_bytes(uint16_t size_max, uint16_t spans_max, uint32_t request_bytes);

/*
 * Prepares a stopped queue over `storage`, which the caller owns and which must
 * outlive it. `interrupt` is called from vio_devq_notify() in the caller's thread.
 */
VIO_API void vio_devq_init(struct vio_devq *q, uint16_t index, uint16_t size_max, uint16_t spans_max,
			   uint32_t request_bytes, void *storage, void *context,
			   void (*interrupt)(void *context, struct vio_devq *q));

/*
 * Starts a stopped queue on rings in `mem`, which must outlive the run. Ring
 * areas must each lie in one piece of host memory. -VIO_EINVAL for an illegal
 * size, -VIO_EPEER (with VIO_FAULT_RING_MEMORY recorded) for rings that are
 * misaligned or not in memory, -VIO_ENOTSUP for features the ring can't do.
 */
VIO_API int vio_devq_start(struct vio_devq *q, const struct vio_mem *mem,
			   const struct vio_devq_config *config);

/*
 * Stops: no access to the rings after it. Buffers not given back are dropped (a
 * later push of one is ignored). Returns where to start again.
 */
VIO_API struct vio_devq_position vio_devq_stop(struct vio_devq *q);

/*
 * Takes the next buffer. false when there is none, when the budget is used up,
 * when the queue is stopped or broken, or when a fault was just recorded
 * (vio_devq_broken()). After false for want of buffers the driver will kick
 * again, unless vio_devq_disable_kick() is in force.
 */
VIO_API bool vio_devq_pop(struct vio_devq *q, struct vio_buf *buf);

/*
 * Gives a buffer back of which the first `written` writable bytes were filled.
 * The driver sees it after the next vio_devq_notify(). `written` is cut to the
 * size of the writable part.
 */
VIO_API void vio_devq_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);

/*
 * The same for many: takes up to `max` buffers at once, returns how many; gives
 * `count` back, written[i] bytes of buffers[i] filled. Cheaper by the buffer than one at
 * a time where the driver works in batches. Fewer than `max` may be what was known of: only
 * after 0 will the driver kick again, as after false of vio_devq_pop().
 */
VIO_API unsigned vio_devq_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max);
VIO_API void vio_devq_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
				unsigned count);

/* Publishes what was pushed and interrupts the driver if it wants to hear. Cheap when nothing was. */
VIO_API void vio_devq_notify(struct vio_devq *q);

/*
 * Makes what was pushed visible, nothing else: for a driver that is known to poll and never to sleep.
 * Cheaper than notify, which has to order this against its look at what the driver asked for.
 */
VIO_API void vio_devq_publish(struct vio_devq *q);

/*
 * Gives back the buffer that pop returned last as if it had never been taken;
 * only when nothing was popped since and it wasn't pushed. For a device that
 * finds that it can't serve it now.
 */
VIO_API void vio_devq_unpop(struct vio_devq *q, const struct vio_buf *buf);

/* For a device that polls: asks the driver not to kick, or to kick again. */
VIO_API void vio_devq_disable_kick(struct vio_devq *q);

/* false: more buffers came meanwhile, look again. */
VIO_API bool vio_devq_enable_kick(struct vio_devq *q);

#define VIO_DEVQ_NO_BUDGET UINT32_MAX

/*
 * Bounds how many buffers can be popped until the next call, so that a driver
 * that never stops adding can't hold the thread. VIO_DEVQ_NO_BUDGET after start.
 */
VIO_API void vio_devq_set_budget(struct vio_devq *q, uint32_t budget);

static inline bool vio_devq_exhausted(const struct vio_devq *q)
{
	return q->running && !q->budget;
}

static inline bool vio_devq_broken(const struct vio_devq *q)
{
	return q->fault.kind != VIO_FAULT_NONE;
}

#endif
