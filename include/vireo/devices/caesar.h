/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_CAESAR_H
#define VIREO_DEVICES_CAESAR_H

#include <vireo/device.h>
#include <vireo/spec/virtio_caesar.h>

/*
 * The Caesar cipher of spec/virtio_caesar.h: an example with properties, a
 * configuration that both sides change, and buffers of any size.
 *
 * Properties "shift" and "mode" say how the device starts and what reset goes
 * back to; setting one while the device runs changes it for the driver, too.
 */
VIO_API extern const struct vio_device_class vio_caesar_class;

#endif
