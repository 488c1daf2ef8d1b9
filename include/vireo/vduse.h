/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_VDUSE_H
#define VIREO_VDUSE_H

#include <vireo/device.h>
#include <vireo/watch.h>

/*
 * VDUSE: a device of ours as a vDPA device of the kernel that we run under. The kernel's own drivers take it
 * (virtio-vdpa: a disk becomes /dev/vdX, a card a network interface), or a program does, by vhost-vdpa.
 *
 *	kernel                          server
 *	CREATE_DEV, VQ_SETUP            what the device is: id, features, queues, configuration
 *	SET_STATUS                      the driver's steps, a reset among them
 *	VQ_GET_INFO, eventfds           where a queue lies, and its kicks
 *	IOTLB_GET_FD, UPDATE_IOTLB      what the driver's addresses mean: files, mapped on demand
 *	GET_VQ_STATE                    where a queue stands
 *	SET_CONFIG, INJECT_..._IRQ      changes of the configuration, interrupts
 *
 * The device outlives who serves it. It is made when there is none of that name; else it is taken over where
 * it was left, and what a server that died had in flight is taken once more, in order and before anything
 * else: nothing that was asked for is lost, and nothing that was answered is done again. The account of that
 * is a file, which has to live as long as the kernel's device does, and no longer than the kernel. A server
 * that ends removes the device, unless somebody has it in use: `vdpa dev add` gave it to a driver.
 *
 * The driver's configuration space is read-only there, so features by which a driver writes to it have to be
 * withheld, and the kernel refuses to make some types of devices. The server works in anybody's loop by way
 * of struct vio_watcher; all calls belong to its thread.
 */
struct vio_vduse;

struct vio_vduse_events {
	/*
	 * The kernel won't have anything more of us (it waited too long for an answer, or the device went),
	 * and everything of the device is gone here. `reason`: -VIO_EHANGUP, -VIO_EPROTO, -VIO_ESTATE
	 * (somebody cut the account short), ...
	 */
	void (*closed)(void *context, int reason);
	/* One line about a mistake or the like, without newline. May be NULL. */
	void (*log)(void *context, const char *line);
};

struct vio_vduse_options {
	const char *name;    /* of the kernel's device: letters, digits, dots, dashes and underscores */
	const char *account; /* path of the file of requests in flight; made when it isn't there */
	uint64_t withhold;   /* features not to offer, beside what VDUSE can't carry */
};

#define VIO_VDUSE_NAME_MAX     255u
#define VIO_VDUSE_REGIONS_MAX  1024u /* pieces of memory that are mapped at a time */
#define VIO_VDUSE_CONFIG_BYTES 4096u

/* What was wrong where start failed, for a person. */
struct vio_vduse_mistake {
	char text[320];
};

/*
 * `dev` is realized, provided and not attached; it, the watcher and the events must outlive the server. NULL
 * when out of memory, or when the device doesn't fit.
 */
VIO_API struct vio_vduse *vio_vduse_create(struct vio_device *dev, const struct vio_watcher *watcher,
					   const struct vio_vduse_events *events, void *context);
/* Stops it, if it was started. */
VIO_API void vio_vduse_destroy(struct vio_vduse *vduse);

/*
 * Makes the device or takes it over, and serves it. -VIO_EINVAL: a name that can't be; -VIO_ENOENT: the
 * kernel has no VDUSE; -VIO_EACCES; -VIO_EBUSY: it is served by another process, or this server serves
 * already; -VIO_ENOTSUP: the kernel takes no device of this kind; -VIO_ESTATE: it is in use, and what it is
 * or has in flight isn't what we could go on with; -VIO_ENOMEM, -VIO_ESYS. `mistake` may be NULL.
 */
VIO_API int vio_vduse_start(struct vio_vduse *vduse, const struct vio_vduse_options *options,
			    struct vio_vduse_mistake *mistake);
/*
 * Ends it without calling closed; the device is drained. 0 when the kernel's device was removed; -VIO_EBUSY
 * when it stays, with whoever has it in use waiting for the next server.
 */
VIO_API int vio_vduse_stop(struct vio_vduse *vduse);

#endif
