/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVER_H
#define VIREO_DRIVER_H

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
 * struct vio_dev is the device as a driver sees it; a transport fills in the
 * first group, vio_driver_bind() the second.
 */
struct vio_dev;
struct vio_driver;

/* Where a device is in its life with a driver; what is legal stands behind it. */
enum vio_dev_phase {
	VIO_DEV_FOUND,      /* begin */
	VIO_DEV_BEGUN,      /* accept, read_config, end */
	VIO_DEV_ACCEPTED,   /* add_queue, read_config, write_config, ready, end */
	VIO_DEV_READY,      /* everything on queues, config, reset_queue, reset, end */
	VIO_DEV_RESET,      /* vio_drvq_detach_unused(), begin, end */
	VIO_DEV_GONE,       /* surprise removal or a reset that never finished: end */
};

/* How the ring of a queue is told to the device. */
struct vio_queue_place {
	uint16_t size;
	struct vio_addr descriptor_area;
	struct vio_addr driver_area;
	struct vio_addr device_area;
};

#define VIO_INTERRUPT_QUEUE 1u  /* some queue has used buffers */
#define VIO_INTERRUPT_CONFIG 2u /* the configuration or NEEDS_RESET changed */

/*
 * The driver's half of a transport: one const table for each. No function waits;
 * the core does that, with the platform's clock. Offsets and lengths of
 * configuration accesses were not judged by the device side: a transport returns
 * -VIO_ERANGE when they lie outside what it knows to be there.
 */
struct vio_transport_ops {
	const char *name;                  /* "virtio-mmio", ... */
	struct vio_features carried;       /* features this transport can carry */
	uint8_t (*get_status)(struct vio_dev *dev);
	void (*set_status)(struct vio_dev *dev, uint8_t status); /* 0 begins a reset */
	struct vio_features (*get_features)(struct vio_dev *dev);
	void (*set_features)(struct vio_dev *dev, const struct vio_features *features);
	uint32_t (*get_generation)(struct vio_dev *dev); /* legacy: 0 */
	int (*read_config)(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length);
	int (*write_config)(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length);
	/* Largest size of a queue; 0: there is no such queue. Legacy devices dictate the size. */
	uint32_t (*queue_size_max)(struct vio_dev *dev, uint16_t queue);
	int (*queue_enable)(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place);
	/* Begins a queue reset; NULL where the transport has none. Over when queue_resetting is false. */
	int (*queue_reset)(struct vio_dev *dev, uint16_t queue);
	bool (*queue_resetting)(struct vio_dev *dev, uint16_t queue);
	void (*queue_notify)(struct vio_dev *dev, struct vio_drvq *q);
	/* Which interrupts are pending, VIO_INTERRUPT_...; acknowledges them. */
	unsigned (*take_interrupts)(struct vio_dev *dev);
	/* Lets go of what the transport holds for the device (vectors, mappings, sockets). May be NULL. */
	void (*close)(struct vio_dev *dev);
};

/* What add_queue is asked for. */
struct vio_queue_wish {
	uint16_t size;         /* at most; cut to what the device has; 0: the device's maximum, at most 256 */
	uint16_t indirect_max; /* entries of an indirect table, 0: none; ignored when not negotiated */
	/* Used buffers are there: called from vio_dev_interrupt(). NULL: the driver polls and callbacks are off. */
	void (*used)(struct vio_dev *dev, struct vio_drvq *q);
};

/* One for each queue; memory of the driver's, handed to vio_dev_begin(). */
struct vio_dev_queue {
	struct vio_drvq q;
	struct vio_shared ring, indirect, shadow;
	size_t ring_bytes, indirect_bytes, shadow_bytes;
	void (*used)(struct vio_dev *dev, struct vio_drvq *q);
	bool present;
};

struct vio_dev {
	/* Filled by the transport that found the device. */
	const struct vio_transport_ops *transport;
	void *transport_context;
	uint32_t id;     /* virtio device id */
	uint32_t vendor;
	bool legacy;     /* spoken to through the legacy interface */

	/* Filled by whoever binds a driver. */
	const struct vio_platform *platform;
	const struct vio_driver *driver;
	void *driver_state;
	void *owner; /* of the program that binds; Vireo doesn't look at it */

	enum vio_dev_phase phase;
	struct vio_features offered;
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
	/* begin .. ready. On failure everything is given back and the device is reset. */
	int (*probe)(struct vio_dev *dev);
	/* reset, detach, end. */
	void (*remove)(struct vio_dev *dev);
	/* The configuration changed, or the device shows DEVICE_NEEDS_RESET. May be NULL. */
	void (*config_changed)(struct vio_dev *dev);
};

/* The first driver in the table (NULL at its end) that knows the device's id; NULL if none. */
VIO_API const struct vio_driver *vio_driver_match(const struct vio_driver *const *drivers, const struct vio_dev *dev);

/*
 * Joins driver and device and probes. `state` has driver->state_bytes and is zeroed here. The
 * platform must outlive the binding. -VIO_EBUSY when there is a driver, else what probe says.
 */
VIO_API int vio_driver_bind(struct vio_dev *dev, const struct vio_driver *driver, const struct vio_platform *platform,
			    void *state);
VIO_API void vio_driver_unbind(struct vio_dev *dev);

/* For whoever handles interrupts: asks the transport for the cause and calls `used` and config_changed. */
VIO_API void vio_dev_interrupt(struct vio_dev *dev);
/* The same where the cause is known, as with MSI-X: one queue, or the configuration. */
VIO_API void vio_dev_interrupt_queue(struct vio_dev *dev, uint16_t queue);
VIO_API void vio_dev_interrupt_config(struct vio_dev *dev);

/* For drivers. */

/*
 * Resets the device and reads what it offers (in dev->offered). `queues` has `queue_max`
 * entries, as many as the driver will use. -VIO_EAGAIN when the reset never finished,
 * -VIO_ENOTSUP when the device offers neither VERSION_1 nor is legacy.
 */
VIO_API int vio_dev_begin(struct vio_dev *dev, struct vio_dev_queue *queues, uint16_t queue_max);

/*
 * Accepts what is in `wanted` (device-type bits and ring features alike), was offered and is
 * carried by the transport, and VERSION_1 wherever it is offered. What needs another bit that
 * isn't there is dropped by the caller beforehand: vio_features_require().
 * -VIO_ENOTSUP when the device refuses; -VIO_EPEER when the offer changed meanwhile.
 */
VIO_API int vio_dev_accept(struct vio_dev *dev, const struct vio_features *wanted);

/* Clears `bit` in the set unless all of `needs` (bit numbers, ended by -1) are in it. */
VIO_API void vio_features_require(struct vio_features *set, unsigned bit, const int *needs);

static inline bool vio_dev_has_feature(const struct vio_dev *dev, unsigned bit)
{
	return vio_features_has(&dev->accepted, bit);
}

/* Takes memory, starts the ring and shows it to the device. *q may be used for vio_drvq_...() until reset. */
VIO_API int vio_dev_add_queue(struct vio_dev *dev, uint16_t queue, const struct vio_queue_wish *wish,
			      struct vio_drvq **q);

VIO_API int vio_dev_ready(struct vio_dev *dev);

/* Resets one queue (VIRTIO_F_RING_RESET) and waits for it; buffers may be detached, then it can be re-enabled. */
VIO_API int vio_dev_reset_queue(struct vio_dev *dev, uint16_t queue);
VIO_API int vio_dev_reenable_queue(struct vio_dev *dev, uint16_t queue);

/* Legal from every phase; -VIO_EAGAIN when the device didn't finish in time (then the phase is GONE). */
VIO_API int vio_dev_reset(struct vio_dev *dev);
/* Resets if that wasn't done, gives the memory of all queues back. */
VIO_API void vio_dev_end(struct vio_dev *dev);

/* True when the device shows DEVICE_NEEDS_RESET or a queue is broken. */
VIO_API bool vio_dev_broken(struct vio_dev *dev);

/*
 * Reads configuration fields consistently: again while the generation changes, at most 100
 * times, then -VIO_EAGAIN. -VIO_ERANGE beyond the space. Little-endian as on the wire, in
 * guest order from a legacy device.
 */
VIO_API int vio_dev_read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length);
VIO_API int vio_dev_write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length);
VIO_API int vio_dev_read_config16(struct vio_dev *dev, uint32_t offset, uint16_t *value);
VIO_API int vio_dev_read_config32(struct vio_dev *dev, uint32_t offset, uint32_t *value);
VIO_API int vio_dev_read_config64(struct vio_dev *dev, uint32_t offset, uint64_t *value);

/*
 * Waits until the queue has something to get, or for timeout_ns (0: for ever): polls, and
 * sleeps in platform->wait between. 0, -VIO_EAGAIN at the timeout, -VIO_EPEER when broken.
 */
VIO_API int vio_dev_wait(struct vio_dev *dev, struct vio_drvq *q, uint64_t timeout_ns);

#endif
