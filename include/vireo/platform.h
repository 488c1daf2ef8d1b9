/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_PLATFORM_H
#define VIREO_PLATFORM_H

#include <vireo/drvq.h>

/*
 * What an operating system gives to drivers: six functions.
 *
 * A driver takes memory for its rings once, when it sets a queue up, and gives it
 * back when it lets go of the device; nothing is taken on the data path. Buffers
 * of a caller are shared for as long as the device may touch them: on a machine
 * without IOMMU and without bounce buffers that is a conversion from virtual to
 * bus address and nothing else. `wait` may simply return: then drivers poll.
 *
 * All calls happen in the thread (or with interrupts in the state) in which the
 * driver was called.
 */
struct vio_platform {
	void *context;

	/*
	 * The addresses that take and share give aren't plain physical ones, or a device may touch
	 * only what was shared: a device that doesn't offer VIRTIO_F_ACCESS_PLATFORM is refused.
	 */
	bool translates;

	/*
	 * Zeroed memory, aligned to 4096 bytes. VIO_MEM_READ | VIO_MEM_WRITE in `rights`: devices can
	 * address it, and it is contiguous for them; 0: it is the driver's own, memory->addr has no
	 * meaning. 0 and *memory filled, or -VIO_ENOMEM. Called while a device is set up.
	 */
	int (*take)(void *context, size_t bytes, unsigned rights, struct vio_shared *memory);
	void (*give_back)(void *context, const struct vio_shared *memory, size_t bytes);

	/*
	 * Makes `length` bytes at `host` addressable for the device with `rights` (VIO_MEM_READ: the
	 * device may read them, VIO_MEM_WRITE: write). 0 and *addr filled, or a negative code. With a
	 * bounce buffer, unshare with VIO_MEM_WRITE copies back what the device wrote.
	 */
	int (*share)(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr);
	void (*unshare)(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr);

	/* Nanoseconds that pass, from any starting point. */
	uint64_t (*now_ns)(void *context);

	/* Returns when an interrupt may have come, after timeout_ns at the latest; may return at once. */
	void (*wait)(void *context, uint64_t timeout_ns);
};

#endif
