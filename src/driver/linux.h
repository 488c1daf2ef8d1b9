/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DRIVER_LINUX_H
#define VIO_DRIVER_LINUX_H

#include <vireo/linux.h>

/* The kernel's queue over one of Vireo's: -VIO_ENOMEM, or 0 and *made. */
int vio_linux_vq_make(struct virtio_device *vdev, struct vio_drvq *q, struct virtqueue **made);

/*
 * Takes back what was shared, unless the device is stuck and may still write to it, and gives the queue's
 * own memory back.
 */
void vio_linux_vq_free(struct virtqueue *vq);

#endif
