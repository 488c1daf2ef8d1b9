/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_VDPA_H
#define VIREO_VDPA_H

#include <vireo/vhost_kernel.h>

/*
 * vhost-vdpa: a device that the kernel has a vDPA driver for (a network card's, VDUSE's, the simulator's), as
 * a transport for drivers:
 *
 *	int file = open("/dev/vhost-vdpa-0", O_RDWR | O_CLOEXEC);
 *	vio_vdpa_open(file, NULL, &dev, &mistake);
 *	vio_driver_bind(&dev, &vio_blk_driver, vio_vdpa_platform(&dev), state);
 *	...
 *	vio_dev_close(&dev);
 *
 * Status, features and configuration are the device's own. Memory is one arena as in
 * <vireo/vhost_kernel.h>, mapped for the device from its first queue until it was reset, at an address that
 * the device can reach.
 *
 * The device isn't trusted: what it says of its queues, its configuration and its addresses is held against
 * what can be, and a device that the kernel takes away is gone (-VIO_EHANGUP). Calls belong to one thread.
 */

struct vio_vdpa_options {
	/* 0: 16 MiB, or less where RLIMIT_MEMLOCK says so: the kernel may lock it. */
	size_t arena_bytes;
	uint64_t withhold; /* features of the back end (1 << VHOST_BACKEND_F_...) not to accept */
};

/*
 * Takes over an open file (also on failure) and fills in *dev, which must stay in place until
 * vio_dev_close(). `options` and `mistake` may be NULL. -VIO_ENOTSUP when the file is something else,
 * -VIO_EBUSY when it has an owner, -VIO_EPEER when the device says what can't be, -VIO_EACCES, -VIO_ENOMEM,
 * -VIO_ESYS.
 */
VIO_API int vio_vdpa_open(int fd, const struct vio_vdpa_options *options, struct vio_dev *dev,
			  struct vio_kernel_mistake *mistake);

/* The arena as a platform, for this device alone, until vio_dev_close(). Its wait() also interrupts. */
VIO_API const struct vio_platform *vio_vdpa_platform(struct vio_dev *dev);

/* What was learned when it was opened. */
struct vio_vdpa_info {
	uint64_t features;
	uint64_t backend_offered, backend_accepted; /* VHOST_BACKEND_F_... */
	uint32_t queue_count;                       /* 0: the kernel doesn't say */
	uint32_t queue_size_max;
	uint32_t config_bytes; /* UINT32_MAX: the kernel doesn't say */
	uint32_t group_count;  /* of queues, each with an address space of its own; 0: it doesn't say */
	uint32_t address_space_count;
	uint64_t iova_first, iova_last; /* what the device can address */
};

/* Fills in *info; asks for nothing. */
VIO_API void vio_vdpa_get_info(struct vio_dev *dev, struct vio_vdpa_info *info);

/*
 * Stops a device that works so that it keeps its state, and lets it go on. -VIO_ENOTSUP when it can't, else
 * -VIO_EPHASE when it isn't ready, -VIO_EPEER when it refuses. A reset ends a suspension, too.
 */
VIO_API int vio_vdpa_suspend(struct vio_dev *dev);
VIO_API int vio_vdpa_resume(struct vio_dev *dev);
/* Of a queue that was added: the next entry that the device takes. Steady while it is suspended. */
VIO_API int vio_vdpa_queue_base(struct vio_dev *dev, uint16_t queue, uint32_t *base);

/*
 * Closes the file at once: the device is gone from now on. For one that doesn't finish its reset
 * (VIO_DEV_STUCK): the kernel takes the memory from it, so that vio_dev_close() succeeds.
 */
VIO_API void vio_vdpa_hang_up(struct vio_dev *dev);

/* The last call that the kernel refused, and why; "" if there was none. */
VIO_API const char *vio_vdpa_mistake(struct vio_dev *dev);

#endif
