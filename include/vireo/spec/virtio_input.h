/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_INPUT_H
#define VIREO_SPEC_VIRTIO_INPUT_H

#include <vireo/spec/types.h>

/* Input device (5.8). */

#define VIRTIO_INPUT_EVENTQ 0u
#define VIRTIO_INPUT_STATUSQ 1u

#define VIRTIO_INPUT_CFG_ID_NAME 0x01u
#define VIRTIO_INPUT_CFG_ID_SERIAL 0x02u
#define VIRTIO_INPUT_CFG_ID_DEVIDS 0x03u
#define VIRTIO_INPUT_CFG_PROP_BITS 0x10u
#define VIRTIO_INPUT_CFG_EV_BITS 0x11u
#define VIRTIO_INPUT_CFG_ABS_INFO 0x12u

#define VIRTIO_INPUT_CFG_BYTES 128u

struct virtio_input_config {
	uint8_t select;
	uint8_t subsel;
	uint8_t size;
	uint8_t reserved[5];
	uint8_t u[VIRTIO_INPUT_CFG_BYTES];
};

struct virtio_input_event {
	vio_le16 type;
	vio_le16 code;
	vio_le32 value;
};

#endif
