/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_LOOPBACK_H
#define VIREO_LOOPBACK_H

#include <vireo/device.h>
#include <vireo/driver.h>
#include <vireo/mmio.h>

/*
 * A driver and a device in one process.
 *
 * vio_loopback_direct_probe() joins them without a transport between: the driver core
 * talks to the device core. vio_loopback_mmio_probe() puts the MMIO register model and
 * its driver half between them.
 *
 * The device works inside the driver's kick. Interrupts and what a kick left over wait
 * for vio_loopback_run(), which is what the platform's wait() has to call; so a driver
 * is never called from inside a call of its own.
 *
 * Both sides see the same memory: what the driver's platform gives out as bus addresses,
 * `mem` has to resolve.
 */
struct vio_loopback {
	struct vio_device *device;
	struct vio_dev *dev;
	unsigned pending; /* interrupts, VIO_INTERRUPT_... */
	bool pulled_out;  /* the driver finds nobody there any more */
	bool again;       /* some queue has more to do; which one is looked up by kicking all */
	struct vio_mmio_device model;
	struct vio_mmio_driver driver;
};

/*
 * Attaches `device` (provided, not attached; the caller's, as is `mem`) and fills in the transport's
 * part of *dev, which must live as long as the loopback. -VIO_EPHASE when it isn't ready for that.
 */
VIO_API int vio_loopback_direct_probe(struct vio_loopback *loopback, struct vio_device *device,
				      const struct vio_mem *mem, struct vio_dev *dev);

/* The same through MMIO registers of `version`; `queues` has device->queue_count entries of the caller's. */
VIO_API int vio_loopback_mmio_probe(struct vio_loopback *loopback, struct vio_device *device,
				    const struct vio_mem *mem, uint32_t version,
				    struct vio_mmio_queue *queues, struct vio_dev *dev);

/* Does what is due: work of the device, then interrupts of the driver. false: nothing was. */
VIO_API bool vio_loopback_run(struct vio_loopback *loopback);

/* From now on the driver reads all ones, as of a device pulled out of its slot; the device is reset. */
VIO_API void vio_loopback_pull_out(struct vio_loopback *loopback);

/* Resets and detaches the device. The driver has let go, or never calls again. */
VIO_API void vio_loopback_end(struct vio_loopback *loopback);

#endif
