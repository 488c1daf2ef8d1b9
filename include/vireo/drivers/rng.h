/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_RNG_H
#define VIREO_DRIVERS_RNG_H

#include <vireo/driver.h>

/*
 * A driver for the entropy device (5.4). It hands on what the device gives and does not judge how random
 * that is: mix it into a pool.
 */
VIO_API extern const struct vio_driver vio_rng_driver;

#define VIO_RNG_TIMEOUT_NS UINT64_C(5000000000)

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_rng {
	struct vio_dev_queue queue;
	struct vio_drvq *q;
	/* Of a request, VIO_RNG_TIMEOUT_NS at first; may be changed, 0: waits for ever. */
	uint64_t timeout_ns;
};

/*
 * One request: puts 1..length random bytes at `to`, *got says how many, and those after them are
 * undefined. -VIO_EINVAL for no bytes or another driver, -VIO_EPEER when the device gave nothing;
 * else as vio_dev_exchange(): after an error that reset the device, vio_rng_start().
 */
VIO_API int vio_rng_read(struct vio_dev *dev, void *to, uint32_t length, uint32_t *got);

/* As many requests as it takes for all of `length`; a length of 0 is none. */
VIO_API int vio_rng_fill(struct vio_dev *dev, void *to, uint32_t length);

/* Begins the device's life again; binding did so for the first one. Codes of vio_dev_start(). */
VIO_API int vio_rng_start(struct vio_dev *dev);

#endif
