/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_KERNEL_DRIVER_H
#define VIO_LINK_VHOST_KERNEL_DRIVER_H

#include <vireo/vhost_kernel.h>

#include "link/kernel.h"

/*
 * driver.c is the transport, and plays status and configuration; net.c and vsock.c know what is particular
 * to one kind of device.
 */
struct vhost;

struct vhost_kind {
	const char *name; /* of the transport's file, in complaints */
	uint32_t id;
	uint32_t queue_count;
	uint32_t kernel_queues; /* of these; others are never used */
	/* The kernel says that it is of this kind; it knows VHOST_GET_FEATURES. */
	bool (*recognize)(struct kernel *kernel, uint64_t features);
	/* Bits that aren't the kernel's and are offered, too. */
	uint64_t (*own_features)(const struct vhost *vhost);
	/* Before the kernel hears of what was accepted; adds to its bits. May be NULL. */
	int (*accept)(struct vhost *vhost, uint64_t accepted, uint64_t *kernel_bits);
	/* At DRIVER_OK and at a reset after that. A start that failed half-way is stopped. */
	int (*start)(struct vhost *vhost);
	int (*stop)(struct vhost *vhost);
};

#define VHOST_CONFIG_BYTES 64u

struct vhost {
	struct kernel kernel; /* first, as functions of kernel.h have it as their context */
	const struct vhost_kind *kind;
	uint64_t kernel_features; /* all that the kernel has */
	uint64_t backend_features;
	uint8_t status;
	bool refused; /* features, or to begin with the work */
	bool running; /* the kernel uses the rings */
	bool memory_told;
	uint32_t config_bytes;
	uint8_t config[VHOST_CONFIG_BYTES];

	/* Of net. */
	struct vio_vhost_net_options net;
	bool tap_headers; /* packets of the tap begin with a header */
	/* Of vsock. */
	uint64_t cid;
};

static inline struct vhost *vhost_of(const struct vio_dev *dev)
{
	return VIO_CONTAINER_OF(kernel_of(dev), struct vhost, kernel);
}

/*
 * Takes over the file; NULL and *error otherwise. What follows goes on until vhost_finish(), which closes
 * all when there is an error.
 */
struct vhost *vhost_begin(int fd, const struct vhost_kind *kind, size_t arena_bytes,
			  const struct kernel_system *system, struct vio_dev *dev,
			  struct vio_kernel_mistake *mistake, int *error);
int vhost_finish(struct vhost *vhost, int error, struct vio_kernel_mistake *mistake);

/* vio_vhost_net_open() and vio_vhost_vsock_open() with calls that needn't be the kernel's. */
int vhost_net_open(int fd, const struct vio_vhost_net_options *options, const struct kernel_system *system,
		   struct vio_dev *dev, struct vio_kernel_mistake *mistake);
int vhost_vsock_open(int fd, const struct vio_vhost_vsock_options *options,
		     const struct kernel_system *system, struct vio_dev *dev,
		     struct vio_kernel_mistake *mistake);
enum vio_kernel_kind vhost_kernel_kind(int fd, const struct kernel_system *system);

bool vhost_net_recognize(struct kernel *kernel, uint64_t features);
bool vhost_vsock_recognize(struct kernel *kernel, uint64_t features);

#endif
