/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_RNG_H
#define VIREO_DEVICES_RNG_H

#include <vireo/device.h>
#include <vireo/entropy.h>

/*
 * The entropy device (5.4): fills writable buffers from a struct vio_entropy.
 *
 * A request gets at least one byte and at most the property "max-bytes", so that
 * no driver can hold the thread with one huge buffer. When the source has nothing
 * just now, buffers stay in the queue until vio_rng_ready() or a later kick; when it
 * fails, the device asks for a reset.
 */
VIO_API extern const struct vio_device_class vio_rng_class;

/*
 * Gives the device its source, which must outlive the device's realized time;
 * before vio_device_realize(), which refuses with -VIO_ENOENT without one.
 * -VIO_EINVAL when `dev` is of another type.
 */
VIO_API int vio_rng_attach(struct vio_device *dev, struct vio_entropy *entropy);

/*
 * For the owner of a source that had said it has nothing: it has bytes again.
 * Called in the attachment's thread.
 */
VIO_API void vio_rng_ready(struct vio_device *dev);

#endif
