/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_VHOST_KERNEL_H
#define VIREO_VHOST_KERNEL_H

#include <vireo/driver.h>

/*
 * The devices that Linux has in itself, vhost-net and vhost-vsock, as transports for drivers:
 *
 *	int vhost = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
 *	vio_vhost_net_open(vhost, &(struct vio_vhost_net_options){ .tap_fd = tap }, &dev, &mistake);
 *	vio_driver_bind(&dev, &vio_net_driver, vio_vhost_kernel_platform(&dev), state);
 *	...
 *	vio_dev_close(&dev);
 *
 * The kernel works on the rings, and knows neither a status nor a configuration: these are played here,
 * as a virtual machine monitor does. The data path runs from DRIVER_OK until reset.
 *
 * Memory is one arena: drivers' rings lie in it, buffers that don't are copied there and back. It is all of
 * the process that the kernel's device sees, and goes when the device is closed.
 *
 * The kernel isn't trusted to be of any version: what it lacks shows as features that aren't offered, and
 * calls that it refuses are told by name, see vio_vhost_kernel_mistake(). Calls belong to one thread.
 */

/* Why something failed, as a line without newline. */
struct vio_kernel_mistake {
	char text[200];
};

/* What a file of /dev is. */
enum vio_kernel_kind {
	VIO_KERNEL_NONE, /* no device of vhost's at all */
	VIO_KERNEL_VDPA, /* vhost-vdpa: <vireo/vdpa.h> */
	VIO_KERNEL_NET,
	VIO_KERNEL_VSOCK,
	VIO_KERNEL_OTHER, /* vhost-scsi, or what came after this was written */
};

/* Asks it without changing it; the file stays the caller's. */
VIO_API enum vio_kernel_kind vio_kernel_kind(int fd);

#define VIO_VHOST_NET_QUEUES   2u /* one pair */
#define VIO_VHOST_VSOCK_QUEUES 3u /* the last, of events, is never used by the kernel */

struct vio_vhost_net_options {
	/*
	 * A tap device (IFF_TAP | IFF_NO_PI, better with IFF_VNET_HDR, as there are checksum offloads
	 * only with that), whose header length, offloads and send buffer are set here; or a raw packet
	 * socket. It stays the caller's and open until the device is closed. -1: there is none, and the
	 * device never gets ready.
	 */
	int tap_fd;
	const uint8_t *mac; /* what the device says; NULL: nothing */
	uint16_t mtu;       /* likewise, 68 or more; 0: nothing */
	size_t arena_bytes; /* 0: 16 MiB */
};

/*
 * Takes over an open /dev/vhost-net (also on failure) and fills in *dev, which must stay in place until
 * vio_dev_close(). `mistake` may be NULL. -VIO_ENOTSUP when the file is something else, -VIO_EBUSY when
 * it has an owner, -VIO_EINVAL for options that can't be, -VIO_EACCES, -VIO_ENOMEM, -VIO_ESYS.
 */
VIO_API int vio_vhost_net_open(int vhost_fd, const struct vio_vhost_net_options *options, struct vio_dev *dev,
			       struct vio_kernel_mistake *mistake);

struct vio_vhost_vsock_options {
	uint32_t cid;       /* of the driver's side, from 3 on; 0: none, and the device never gets ready */
	size_t arena_bytes; /* 0: 16 MiB */
};

/* The same of an open /dev/vhost-vsock. -VIO_EBUSY also for a cid that somebody has. */
VIO_API int vio_vhost_vsock_open(int vhost_fd, const struct vio_vhost_vsock_options *options,
				 struct vio_dev *dev, struct vio_kernel_mistake *mistake);

/* The arena as a platform, for this device alone, until vio_dev_close(). Its wait() also interrupts. */
VIO_API const struct vio_platform *vio_vhost_kernel_platform(struct vio_dev *dev);

/* What the kernel says of its device. */
struct vio_vhost_kernel_info {
	uint64_t features;         /* as a driver is offered them */
	uint64_t kernel_features;  /* as the kernel has them */
	uint64_t backend_features; /* VHOST_BACKEND_F_...; 0 where it doesn't say */
	uint32_t queue_count;
	uint32_t queue_size_max;
};

/* Fills in *info from what was learned when it was opened; asks for nothing. */
VIO_API void vio_vhost_kernel_get_info(struct vio_dev *dev, struct vio_vhost_kernel_info *info);

/*
 * Closes the file at once: the device is gone from now on. For one that doesn't finish its reset
 * (VIO_DEV_STUCK): the kernel takes the memory from it, so that vio_dev_close() succeeds.
 */
VIO_API void vio_vhost_kernel_hang_up(struct vio_dev *dev);

/* The last call that the kernel refused, and why; "" if there was none. */
VIO_API const char *vio_vhost_kernel_mistake(struct vio_dev *dev);

#endif
