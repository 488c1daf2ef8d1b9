/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_ADDER_H
#define VIREO_DEVICES_ADDER_H

#include <vireo/device.h>
#include <vireo/spec/virtio_adder.h>

/* The adder of spec/virtio_adder.h: the smallest device, and the one to copy when you begin your own. */
VIO_API extern const struct vio_device_class vio_adder_class;

#endif
