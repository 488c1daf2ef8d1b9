/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_TRANSPORT_LEGACY_H
#define VIO_TRANSPORT_LEGACY_H

#include <vireo/device.h>

/*
 * A legacy driver knows neither FEATURES_OK nor that it has to wait for DRIVER_OK: takes the device core as
 * far as what the driver does implies, with the features that it wrote, and sets these bits of the status.
 */
void vio_legacy_advance(struct vio_device *device, struct vio_features written, uint8_t bits);

#endif
