/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/legacy.h"

/* spec: DEV-BASIC-009 DEV-BASIC-016 BOTH-BASIC-001 */
void vio_legacy_advance(struct vio_device *device, struct vio_features written, uint8_t bits)
{
	const uint8_t negotiated =
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;

	if (!(device->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		/* What wasn't offered can't be refused to such a driver; it hasn't got it all the same. */
		struct vio_features features = vio_features_and(written, vio_device_features(device));

		vio_device_write_features(device, &features);
		if (!(vio_device_write_status(device, negotiated) & VIRTIO_CONFIG_S_FEATURES_OK)) {
			vio_device_needs_reset(device);
			return;
		}
	}
	vio_device_write_status(device, device->status | bits);
}
