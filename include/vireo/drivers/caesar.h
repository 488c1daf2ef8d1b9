/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_CAESAR_H
#define VIREO_DRIVERS_CAESAR_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_caesar.h>

/* A driver for the Caesar cipher of spec/virtio_caesar.h: texts of any size, a changing configuration. */
VIO_API extern const struct vio_driver vio_caesar_driver;

#define VIO_CAESAR_TIMEOUT_NS UINT64_C(5000000000)

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_caesar {
	struct vio_dev_queue queue;
	struct vio_drvq *q;
	/* Of a request, VIO_CAESAR_TIMEOUT_NS at first; may be changed, 0: waits for ever. */
	uint64_t timeout_ns;
	/* May be set: the device changed shift or mode, or asks for a reset (vio_dev_broken()). */
	void (*changed)(struct vio_dev *dev);
};

/*
 * Has the device transform `length` bytes from `from` to `to`, which may be the same. No bytes are no
 * request. -VIO_EINVAL when another driver is bound, -VIO_EPEER for an answer of another length; else as
 * vio_dev_exchange(): after an error that reset the device, vio_caesar_start().
 */
VIO_API int vio_caesar_transform(struct vio_dev *dev, const void *from, void *to, uint32_t length);

/* Both as they are now. -VIO_EPEER when they are out of range, else codes of vio_dev_read_config(). */
VIO_API int vio_caesar_get(struct vio_dev *dev, uint8_t *shift, uint8_t *mode);

/*
 * Sets one (0..VIRTIO_CAESAR_SHIFT_MAX, VIRTIO_CAESAR_MODE_...) and reads it back. -VIO_ERANGE for a value
 * that isn't legal, -VIO_EAGAIN when the device shows another one: it ignored it or has changed it since.
 */
VIO_API int vio_caesar_set_shift(struct vio_dev *dev, uint8_t shift);
VIO_API int vio_caesar_set_mode(struct vio_dev *dev, uint8_t mode);

/* Begins the device's life again; binding did so for the first one. Codes of vio_dev_start(). */
VIO_API int vio_caesar_start(struct vio_dev *dev);

#endif
