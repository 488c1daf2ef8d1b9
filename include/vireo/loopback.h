/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_LOOPBACK_H
#define VIREO_LOOPBACK_H

#include <vireo/ccw.h>
#include <vireo/device.h>
#include <vireo/driver.h>
#include <vireo/mmio.h>
#include <vireo/pci.h>

/*
 * A driver and a device in one process.
 *
 * vio_loopback_direct_probe() joins them without a transport between: the driver core
 * talks to the device core. vio_loopback_mmio_probe() puts the MMIO register model and
 * its driver half between them, vio_loopback_pci_probe() a PCI bus with the device on it
 * as the only function, vio_loopback_ccw_probe() a subchannel.
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
	struct vio_pci_device pci_model;
	struct vio_pci_driver pci_driver;
	uint32_t messages; /* vectors that were raised, a bit each */
	struct vio_ccw_device ccw_model;
	struct vio_ccw_driver ccw_driver;
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

/* What the function on the bus is like; as in struct vio_pci_device_config. */
struct vio_loopback_pci {
	enum vio_pci_kind kind;
	unsigned flags;
	uint16_t vectors; /* at most VIO_LOOPBACK_VECTORS */
	struct vio_pci_queue *queues;
	struct vio_pci_vector *vector_states;
};

#define VIO_LOOPBACK_VECTORS     32u
#define VIO_LOOPBACK_PCI_ADDRESS VIO_PCI_ADDRESS(0, 1, 0)

/* The same over PCI. -VIO_ERANGE for too many vectors, else codes of the model and of the driver's probe. */
VIO_API int vio_loopback_pci_probe(struct vio_loopback *loopback, struct vio_device *device,
				   const struct vio_mem *mem, const struct vio_loopback_pci *pci,
				   struct vio_dev *dev);

/* What the device behind the subchannel is like, and its driver; as in the structures of vireo/ccw.h. */
struct vio_loopback_ccw {
	uint16_t revision_min, revision_max;
	struct vio_ccw_queue *queues;
	unsigned flags; /* VIO_CCW_ADAPTER */
	struct vio_shared area;
};

/* The same over channel I/O. Codes of the model and of the driver's probe. */
VIO_API int vio_loopback_ccw_probe(struct vio_loopback *loopback, struct vio_device *device,
				   const struct vio_mem *mem, const struct vio_loopback_ccw *ccw,
				   struct vio_dev *dev);

/* Does what is due: work of the device, then interrupts of the driver. false: nothing was. */
VIO_API bool vio_loopback_run(struct vio_loopback *loopback);

/* From now on the driver reads all ones, as of a device pulled out of its slot; the device is reset. */
VIO_API void vio_loopback_pull_out(struct vio_loopback *loopback);

/* Resets and detaches the device. The driver has let go, or never calls again. */
VIO_API void vio_loopback_end(struct vio_loopback *loopback);

#endif
