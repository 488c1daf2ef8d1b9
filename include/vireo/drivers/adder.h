/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_ADDER_H
#define VIREO_DRIVERS_ADDER_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_adder.h>

/* A driver for the adder of spec/virtio_adder.h: the smallest there is, and the one to copy for your own. */
VIO_API extern const struct vio_driver vio_adder_driver;

#define VIO_ADDER_TIMEOUT_NS UINT64_C(5000000000)

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_adder {
	struct vio_dev_queue queue;
	struct vio_drvq *q;
	vio_le32 number, sum;
	/* Of a request, VIO_ADDER_TIMEOUT_NS at first; may be changed, 0: waits for ever. */
	uint64_t timeout_ns;
};

/*
 * *sum = number + 1 modulo 2^32. -VIO_EINVAL when another driver is bound, -VIO_EPEER for an answer of
 * another length; else as vio_dev_exchange(): after an error that reset the device, vio_adder_start().
 */
VIO_API int vio_adder_add(struct vio_dev *dev, uint32_t number, uint32_t *sum);

/* The word in the configuration. */
VIO_API int vio_adder_get_status(struct vio_dev *dev, uint32_t *status);
VIO_API int vio_adder_set_status(struct vio_dev *dev, uint32_t status);

/* Begins the device's life again; binding did so for the first one. Codes of vio_dev_start(). */
VIO_API int vio_adder_start(struct vio_dev *dev);

#endif
