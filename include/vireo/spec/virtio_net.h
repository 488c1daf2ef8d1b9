/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_NET_H
#define VIREO_SPEC_VIRTIO_NET_H

#include <vireo/spec/types.h>

/* Network device (5.1), as far as it is used here. Feature bits are bit numbers. */

#define VIRTIO_NET_F_CSUM 0
#define VIRTIO_NET_F_GUEST_CSUM 1
#define VIRTIO_NET_F_MTU 3
#define VIRTIO_NET_F_MAC 5
#define VIRTIO_NET_F_MRG_RXBUF 15
#define VIRTIO_NET_F_STATUS 16

#define VIRTIO_NET_RECEIVEQ 0u
#define VIRTIO_NET_TRANSMITQ 1u

#define VIRTIO_NET_S_LINK_UP 1u

struct virtio_net_config {
	uint8_t mac[6];  /* F_MAC */
	vio_le16 status; /* F_STATUS */
	vio_le16 max_virtqueue_pairs;
	vio_le16 mtu; /* F_MTU */
};

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u

#define VIRTIO_NET_HDR_GSO_NONE 0u

/* In front of each packet; a legacy device without F_MRG_RXBUF has no num_buffers. */
struct virtio_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	vio_le16 hdr_len;
	vio_le16 gso_size;
	vio_le16 csum_start;
	vio_le16 csum_offset;
	vio_le16 num_buffers;
};

#define VIRTIO_NET_HDR_BYTES_SHORT 10u

#endif
