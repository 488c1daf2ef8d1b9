/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVER_H
#define VIREO_DRIVER_H

#include <vireo/config.h>
#include <vireo/drvq.h>
#include <vireo/platform.h>
#include <vireo/spec/virtio_ids.h>

/*
 * The driver's half of a device's life. Phases are verbs:
 *
 *   vio_dev_begin()      reset, ACKNOWLEDGE, DRIVER; the offered features are read
 *   vio_dev_accept()     features are chosen, FEATURES_OK
 *   vio_dev_add_queue()  once for each queue
 *   vio_dev_ready()      DRIVER_OK: from here the device works
 *     ... vio_drvq_add(), vio_drvq_kick(), vio_drvq_get() ...
 *   vio_dev_reset()      the device lets go of everything; buffers may be detached
 *   vio_dev_end()        queues and memory are gone
 *
 * A verb out of phase is refused with -VIO_EPHASE and changes nothing. Giving up
 * is legal in every phase: vio_dev_end() leaves the device reset (and FAILED
 * before that when it gave up during set-up).
 *
 * Buffers may be added and kicked as soon as there is a queue; the device is told
 * when it is ready.
 *
 * Nothing the device answers is trusted: sizes are cut, waits end, a status of all
 * ones is a device that was pulled out (-VIO_EHANGUP). Memory that a device was
 * given is never given back before the device finished a reset or is gone.
 *
 * struct vio_dev is the device as a driver sees it; a transport fills in the
 * first group, vio_driver_bind() the second.
 */
struct vio_dev;
struct vio_driver;

/* Where a device is in its life with a driver; what is legal stands behind it. vio_dev_reset() always is. */
enum vio_dev_phase {
	VIO_DEV_FOUND,     /* begin */
	VIO_DEV_BEGUN,     /* accept, read_config, end */
	VIO_DEV_ACCEPTED,  /* add_queue, read_config, write_config, ready, end */
	VIO_DEV_READY,     /* everything on queues, config, reset_queue, suspend, end */
	VIO_DEV_SUSPENDED, /* stands still with all that it has: read_config, resume, end */
	VIO_DEV_RESET,     /* vio_drvq_detach_unused(), begin, end */
	VIO_DEV_FAILED,    /* set-up failed and the device was told: begin, end */
	VIO_DEV_STUCK,     /* a reset didn't end in time, the device may still write to memory: begin, end */
	VIO_DEV_GONE,      /* pulled out: vio_drvq_detach_unused(), end */
};

/* How the ring of a queue is told to the device. */
struct vio_queue_place {
	uint16_t size;
	struct vio_addr descriptor_area;
	struct vio_addr driver_area;
	struct vio_addr device_area;
};

/* A queue has the size that queue_size_max says, as with legacy PCI: a driver can't choose a smaller one. */
#define VIO_TRANSPORT_SIZE_FIXED 1u

#define VIO_INTERRUPT_QUEUE  1u /* some queue has used buffers */
#define VIO_INTERRUPT_CONFIG 2u /* the configuration or NEEDS_RESET changed */

/*
 * The driver's half of a transport: one const table for each. No function waits;
 * the core does that, with the platform's clock. A status of all ones means that
 * nobody is there.
 *
 * A configuration access of 1, 2, 4 or 8 bytes at a multiple of its length is one
 * field and is made with its natural width; any other is made byte by byte. Their
 * end doesn't wrap; a transport returns -VIO_ERANGE when they lie outside what it
 * knows to be there.
 */
struct vio_transport_ops {
	const char *name; /* "virtio-mmio", ... */
	struct vio_features
		carried;       /* features this transport can carry, VERSION_1 only where it isn't legacy */
	unsigned flags;        /* VIO_TRANSPORT_... */
	uint32_t device_align; /* as in struct vio_drvq_config */
	uint8_t (*get_status)(struct vio_dev *dev);
	void (*set_status)(struct vio_dev *dev, uint8_t status); /* 0 begins a reset */
	struct vio_features (*get_features)(struct vio_dev *dev);
	void (*set_features)(struct vio_dev *dev, const struct vio_features *features);
	uint32_t (*get_generation)(struct vio_dev *dev); /* legacy: 0 */
	int (*read_config)(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length);
	int (*write_config)(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length);
	/* Largest size of a queue, as the device says it; 0: there is no such queue. */
	uint32_t (*queue_size_max)(struct vio_dev *dev, uint16_t queue);
	/* Shows a queue and checks that the device took it: -VIO_EPEER when it didn't. */
	int (*queue_enable)(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place);
	/* Begins a queue reset; NULL where the transport has none. Over when queue_resetting is false. */
	int (*queue_reset)(struct vio_dev *dev, uint16_t queue);
	bool (*queue_resetting)(struct vio_dev *dev, uint16_t queue);
	void (*queue_notify)(struct vio_dev *dev, struct vio_drvq *q);
	/* Which VIO_INTERRUPT_... are pending; acknowledges them, so that later ones count anew. */
	unsigned (*take_interrupts)(struct vio_dev *dev);
	/* Lets go of what the transport holds for the device (vectors, mappings, sockets). May be NULL. */
	void (*close)(struct vio_dev *dev);
};

/* What add_queue is asked for. */
struct vio_queue_wish {
	uint16_t size;         /* at most; cut to what the device has and what the format can have; 0: 256 */
	uint16_t indirect_max; /* entries of an indirect table, 0: none; ignored when not negotiated */
	/* Something was used: called from vio_dev_interrupt(). NULL: the driver polls, with callbacks off. */
	void (*used)(struct vio_dev *dev, struct vio_drvq *q);
};

/* One for each queue; memory of the driver's, handed to vio_dev_begin(). */
struct vio_dev_queue {
	struct vio_drvq q;
	struct vio_shared ring, indirect, shadow; /* host NULL: not taken */
	size_t ring_bytes, indirect_bytes, shadow_bytes;
	uint16_t size;
	uint16_t indirect_max;
	void (*used)(struct vio_dev *dev, struct vio_drvq *q);
	uint64_t notify_place; /* the transport's own, from queue_enable on */
	uint16_t notify_value;
	bool enabled;   /* the device has it */
	bool kicked;    /* before the device was ready; made up for then */
	bool was_reset; /* by vio_dev_reset_queue(), to be re-enabled */
	bool held;      /* while the device is suspended */
};

struct vio_dev {
	/* Filled by the transport that found the device. */
	const struct vio_transport_ops *transport;
	void *transport_context;
	uint32_t id; /* virtio device id */
	uint32_t vendor;
	bool legacy; /* spoken to through the legacy interface */

	/* Filled by whoever binds a driver. */
	const struct vio_platform *platform;
	const struct vio_driver *driver;
	void *driver_state;
	void *owner; /* of the program that binds; Vireo doesn't look at it */

	enum vio_dev_phase phase;
	uint8_t status;              /* what the driver has set */
	struct vio_features offered; /* as far as the transport carries them */
	struct vio_features accepted;
	struct vio_dev_queue *queues; /* queue_max of them, given to begin */
	uint16_t queue_max;
	uint64_t timeout_ns; /* how long to wait for a reset; 0: VIO_DEV_TIMEOUT_NS */
};

#define VIO_DEV_TIMEOUT_NS UINT64_C(5000000000)

struct vio_driver {
	const char *name;
	const uint32_t *ids; /* virtio device ids, 0 at the end */
	size_t state_bytes;  /* of an instance */
	/* The driver that this one is and more, whose state its own begins with; or NULL. */
	const struct vio_driver *base;
	/* begin .. ready. On failure the driver gives back what it took; vio_dev_end() is called for it. */
	int (*probe)(struct vio_dev *dev);
	/*
	 * reset, detach; vio_dev_end() is called for it. Should the reset not end, the driver stays bound
	 * with all that it has, and remove is called once more when the device has let go: then the phase
	 * is RESET or GONE, and everything can be taken back.
	 */
	void (*remove)(struct vio_dev *dev);
	/* The configuration changed, or the device shows DEVICE_NEEDS_RESET. May be NULL. */
	void (*config_changed)(struct vio_dev *dev);
};

/* The first driver in the table (NULL at its end) that knows the device's id; NULL if none. */
VIO_API const struct vio_driver *vio_driver_match(const struct vio_driver *const *drivers,
						  const struct vio_dev *dev);

/*
 * Joins driver and device and probes. `state` has driver->state_bytes and is zeroed here. The
 * platform must outlive the binding. -VIO_EBUSY when there is a driver, else what probe says.
 * After a failure dev->phase may be VIO_DEV_STUCK: then `state` must stay, see vio_driver_unbind().
 */
VIO_API int vio_driver_bind(struct vio_dev *dev, const struct vio_driver *driver,
			    const struct vio_platform *platform, void *state);

/*
 * Removes the driver. -VIO_EAGAIN when the device didn't finish its reset: it may still write to the
 * queues, so the driver stays bound, and `state`, the platform and memory that it shared must stay. Call
 * again later, which doesn't wait.
 */
VIO_API int vio_driver_unbind(struct vio_dev *dev);

/* For whoever found the device: unbinds or ends, then the transport lets go. Codes of unbind. */
VIO_API int vio_dev_close(struct vio_dev *dev);

/*
 * For whoever handles interrupts: asks the transport for the cause, acknowledges it and calls
 * `used` of the queues that have something, and config_changed. Returns the causes; 0: it wasn't
 * this device, or it doesn't work yet.
 */
VIO_API unsigned vio_dev_interrupt(struct vio_dev *dev);
/* The same where the cause is known, as with MSI-X: one queue, or the configuration. */
VIO_API void vio_dev_interrupt_queue(struct vio_dev *dev, uint16_t queue);
VIO_API void vio_dev_interrupt_config(struct vio_dev *dev);

/* For drivers. */

/*
 * Resets the device and reads what it offers (in dev->offered). `queues` has `queue_max`
 * entries, as many as the driver will use, and must stay until vio_dev_end() is done. Queues
 * of an earlier life are given back. -VIO_EAGAIN when the reset never finished, -VIO_ENOTSUP
 * when the device offers no VERSION_1 and isn't legacy, or no ACCESS_PLATFORM where the platform
 * needs it.
 */
VIO_API int vio_dev_begin(struct vio_dev *dev, struct vio_dev_queue *queues, uint16_t queue_max);

/*
 * What a driver asks for that has no wishes: RING_PACKED (unless left out, see vireo/config.h), SUSPEND,
 * INDIRECT_DESC, EVENT_IDX, IN_ORDER, ORDER_PLATFORM, NOTIFICATION_DATA, RING_RESET.
 * One that can't do with some of it takes it out of the set.
 */
VIO_API struct vio_features vio_dev_ring_features(void);

/*
 * Accepts what is in `wanted` (device-type bits and ring features alike), was offered, and is
 * understood by ring and transport; VERSION_1, ACCESS_PLATFORM, NOTIF_CONFIG_DATA and, on a legacy
 * device, ANY_LAYOUT wherever they are offered. What needs another bit that isn't there is dropped by
 * the caller beforehand: vio_features_require(). -VIO_ENOTSUP when the device refuses; -VIO_EPEER when
 * the offer changed meanwhile.
 */
VIO_API int vio_dev_accept(struct vio_dev *dev, const struct vio_features *wanted);

/* False where legacy devices were left out, so that what is meant for them alone goes as well. */
static inline bool vio_dev_is_legacy(const struct vio_dev *dev)
{
	return VIO_CONFIG_LEGACY && dev->legacy;
}

/* Clears `bit` in the set unless all of `needs` (bit numbers, ended by -1) are in it. */
VIO_API void vio_features_require(struct vio_features *set, unsigned bit, const int *needs);

static inline bool vio_dev_has_feature(const struct vio_dev *dev, unsigned bit)
{
	return vio_features_has(&dev->accepted, bit);
}

/*
 * Takes memory, starts the ring and shows it to the device. *q may be used for vio_drvq_...() until
 * reset. -VIO_ERANGE when `queue` >= queue_max, -VIO_EEXIST when it was added, -VIO_ENOENT when the
 * device has no such queue, -VIO_ENOMEM, -VIO_EPEER when the device doesn't take it.
 */
VIO_API int vio_dev_add_queue(struct vio_dev *dev, uint16_t queue, const struct vio_queue_wish *wish,
			      struct vio_drvq **q);

/* -VIO_EPEER when the device shows DEVICE_NEEDS_RESET. */
VIO_API int vio_dev_ready(struct vio_dev *dev);

/*
 * Resets one queue (VIRTIO_F_RING_RESET, else -VIO_ENOTSUP) and waits for it; buffers may be
 * detached, then it can be re-enabled. -VIO_EAGAIN when the device doesn't finish: the queue is
 * lost until the whole device is reset.
 */
VIO_API int vio_dev_reset_queue(struct vio_dev *dev, uint16_t queue);
/* Starts a queue that was reset, empty. -VIO_EBUSY while it holds buffers that nobody detached. */
VIO_API int vio_dev_reenable_queue(struct vio_dev *dev, uint16_t queue);

/*
 * Has the device finish what it was given, and stand still with all that it has (VIRTIO_F_SUSPEND, else
 * -VIO_ENOTSUP). Until it goes on, its queues refuse as broken ones do, kicks wait, and `used` isn't called:
 * what it finished is there afterwards. -VIO_EPEER when it shows DEVICE_NEEDS_RESET, -VIO_EAGAIN when it
 * doesn't get there in time: then it is FAILED.
 */
VIO_API int vio_dev_suspend(struct vio_dev *dev);
VIO_API int vio_dev_resume(struct vio_dev *dev);

/*
 * Resets, in every phase. -VIO_EAGAIN when the device didn't finish in time (then it is STUCK),
 * -VIO_EHANGUP when it is gone.
 */
VIO_API int vio_dev_reset(struct vio_dev *dev);
/*
 * Resets if that wasn't done and gives the memory of all queues back; back to FOUND. -VIO_EAGAIN when the
 * device didn't finish its reset and has memory: nothing is given back; call again later. Buffers not
 * detached are forgotten.
 */
VIO_API int vio_dev_end(struct vio_dev *dev);

/* True when the device is gone, stuck or failed, shows DEVICE_NEEDS_RESET, or a queue is broken. */
VIO_API bool vio_dev_broken(struct vio_dev *dev);

/*
 * Reads configuration fields consistently: again while the generation changes (from a legacy device:
 * until two reads agree), at most VIO_DEV_CONFIG_TRIES times, then -VIO_EAGAIN. -VIO_ERANGE beyond the
 * space. 1, 2, 4 or 8 aligned bytes are one field and read as such, see struct vio_transport_ops.
 * Little-endian as on the wire, in the driver's order from a legacy device.
 */
VIO_API int vio_dev_read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length);
VIO_API int vio_dev_write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length);
/* One field as a number. */
VIO_API int vio_dev_read_config8(struct vio_dev *dev, uint32_t offset, uint8_t *value);
VIO_API int vio_dev_read_config16(struct vio_dev *dev, uint32_t offset, uint16_t *value);
VIO_API int vio_dev_read_config32(struct vio_dev *dev, uint32_t offset, uint32_t *value);
VIO_API int vio_dev_read_config64(struct vio_dev *dev, uint32_t offset, uint64_t *value);
/* The same of 1, 2, 4 or 8 bytes, into a number that holds any. */
VIO_API int vio_dev_read_field(struct vio_dev *dev, uint32_t offset, uint32_t length, uint64_t *value);
VIO_API int vio_dev_write_config8(struct vio_dev *dev, uint32_t offset, uint8_t value);
VIO_API int vio_dev_write_config16(struct vio_dev *dev, uint32_t offset, uint16_t value);
VIO_API int vio_dev_write_config32(struct vio_dev *dev, uint32_t offset, uint32_t value);

#define VIO_DEV_CONFIG_TRIES 100u

/*
 * Waits until the queue has something to get, or for timeout_ns (0: for ever): polls, and
 * sleeps in platform->wait between, with callbacks on. 0, -VIO_EAGAIN at the timeout, -VIO_EPEER
 * when the queue or the device is broken, -VIO_EPHASE when the device isn't ready.
 */
VIO_API int vio_dev_wait(struct vio_dev *dev, struct vio_drvq *q, uint64_t timeout_ns);

/*
 * begin .. ready in one call, for a driver of queue 0 alone that accepts no bits of its type; an earlier
 * life is ended by a reset first. Codes of the five verbs.
 */
VIO_API int vio_dev_start(struct vio_dev *dev, struct vio_dev_queue *queue, const struct vio_queue_wish *wish,
			  struct vio_drvq **q);

/* A piece of a caller's memory that takes part in a request. */
struct vio_part {
	void *host;
	uint32_t length;
};

/* Memory that the device only reads. */
static inline struct vio_part vio_part_readable(const void *host, uint32_t length)
{
	return (struct vio_part){ (void *)(uintptr_t)host, length };
}

#define VIO_EXCHANGE_PARTS_MAX 8u

/*
 * One request from beginning to end: shares the parts (first `readable`, then `writable` ones), adds
 * them to a queue that holds nothing else, kicks, waits, and takes the memory back. *written (may be
 * NULL) is how many bytes of the writable parts the device filled; what lies behind them is undefined.
 *
 * Without an answer the device still has the memory, so it is reset before the parts are unshared: with
 * -VIO_EAGAIN after timeout_ns (0: waits for ever), -VIO_EPEER when queue or device is broken,
 * -VIO_EHANGUP when it is gone. If dev->phase is VIO_DEV_STUCK then, the reset didn't end either: the
 * parts stay shared and must stay untouched, in memory that stays. Where nothing was shown to the
 * device: -VIO_EINVAL for no parts, too many or an empty one, -VIO_EBUSY for a queue in use, -VIO_EPHASE,
 * -VIO_EPEER when the queue was broken or stopped before, or what sharing says.
 */
VIO_API int vio_dev_exchange(struct vio_dev *dev, struct vio_drvq *q, const struct vio_part *parts,
			     unsigned readable, unsigned writable, uint32_t *written, uint64_t timeout_ns);

#endif
