/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VDPA_DRIVER_H
#define VIO_LINK_VDPA_DRIVER_H

#include <vireo/vdpa.h>

#include "link/kernel.h"

/* driver.c is the transport, open.c learns what the device is, iotlb.c maps the arena for it. */
struct vdpa {
	struct kernel kernel; /* first, as functions of kernel.h have it as their context */
	struct vio_vdpa_options options;
	struct vio_vdpa_info info;
	bool mapped;
	bool refused;   /* features */
	bool resetting; /* was told to, and not seen to have */
	bool suspended;
};

static inline struct vdpa *vdpa_of(const struct vio_dev *dev)
{
	return VIO_CONTAINER_OF(kernel_of(dev), struct vdpa, kernel);
}

static inline bool vdpa_has(const struct vdpa *vdpa, unsigned backend_bit)
{
	return vdpa->info.backend_accepted >> backend_bit & 1;
}

/* iotlb.c */

/* Places the arena where the device can reach it; -VIO_EPEER when there is no such place. */
int vdpa_place_arena(struct vdpa *vdpa);
/* Both do nothing when that is done already. */
int vdpa_map(struct vdpa *vdpa);
void vdpa_unmap(struct vdpa *vdpa);

/* open.c; vio_vdpa_open() with calls that needn't be the kernel's. */
int vdpa_open(int fd, const struct vio_vdpa_options *options, const struct kernel_system *system,
	      struct vio_dev *dev, struct vio_kernel_mistake *mistake);

/* driver.c */
extern const struct vio_transport_ops vdpa_ops;
/* After each reset, which takes it from some devices. */
void vdpa_ask_for_changes(struct vdpa *vdpa);

#endif
