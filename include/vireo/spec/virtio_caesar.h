/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_CAESAR_H
#define VIREO_SPEC_VIRTIO_CAESAR_H

#include <vireo/spec/types.h>

/*
 * The Caesar cipher: rotates the letters of a text.
 *
 * Queue 0 "dataq". A request is N readable and M writable bytes; the device
 * writes the first min(N, M) bytes transformed, and that is the used length.
 * A-Z and a-z are rotated by shift, forwards or backwards; all other bytes pass
 * unchanged. No feature bits.
 *
 * The driver may write shift and mode; a value out of range is ignored. The
 * device may change both at any time and sends a configuration change
 * notification when it did.
 */
#define VIRTIO_CAESAR_SHIFT_MAX 25u

#define VIRTIO_CAESAR_MODE_ENCIPHER 0u
#define VIRTIO_CAESAR_MODE_DECIPHER 1u

struct virtio_caesar_config {
	uint8_t shift; /* 0..VIRTIO_CAESAR_SHIFT_MAX */
	uint8_t mode;  /* VIRTIO_CAESAR_MODE_... */
	vio_le16 reserved;
};

#endif
