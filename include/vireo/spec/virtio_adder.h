/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_ADDER_H
#define VIREO_SPEC_VIRTIO_ADDER_H

#include <vireo/spec/types.h>

/*
 * The adder: adds one to a number that it is sent.
 *
 * Queue 0 "requestq". A request is one readable vio_le32 n and one writable
 * vio_le32, which receives n + 1 modulo 2^32. The used length is 4, or 0 when
 * either part was shorter than 4 bytes. No feature bits.
 */
#define VIRTIO_ADDER_STATUS_INITIAL 99u

struct virtio_adder_config {
	vio_le32 status; /* a word of the driver's own; VIRTIO_ADDER_STATUS_INITIAL after reset */
};

#endif
