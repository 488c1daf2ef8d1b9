/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_VSOCK_H
#define VIREO_SPEC_VIRTIO_VSOCK_H

#include <vireo/spec/types.h>

/* Socket device (5.10). Feature bits are bit numbers. */

#define VIRTIO_VSOCK_F_STREAM 0
#define VIRTIO_VSOCK_F_SEQPACKET 1
#define VIRTIO_VSOCK_F_NO_IMPLIED_STREAM 2

#define VIRTIO_VSOCK_RXQ 0u
#define VIRTIO_VSOCK_TXQ 1u
#define VIRTIO_VSOCK_EVENTQ 2u

#define VIRTIO_VSOCK_CID_HOST 2u

struct virtio_vsock_config {
	vio_le64 guest_cid;
};

#define VIRTIO_VSOCK_TYPE_STREAM 1u
#define VIRTIO_VSOCK_TYPE_SEQPACKET 2u

#define VIRTIO_VSOCK_OP_INVALID 0u
#define VIRTIO_VSOCK_OP_REQUEST 1u
#define VIRTIO_VSOCK_OP_RESPONSE 2u
#define VIRTIO_VSOCK_OP_RST 3u
#define VIRTIO_VSOCK_OP_SHUTDOWN 4u
#define VIRTIO_VSOCK_OP_RW 5u
#define VIRTIO_VSOCK_OP_CREDIT_UPDATE 6u
#define VIRTIO_VSOCK_OP_CREDIT_REQUEST 7u

/* Flags of OP_SHUTDOWN: what the sender won't do any more. */
#define VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE 1u
#define VIRTIO_VSOCK_SHUTDOWN_F_SEND 2u

/* Flags of OP_RW of SEQPACKET. */
#define VIRTIO_VSOCK_SEQ_EOM 1u
#define VIRTIO_VSOCK_SEQ_EOR 2u

/* In front of each packet: 44 bytes, so numbers of 64 bits are two words, the low one first. */
struct virtio_vsock_hdr {
	vio_le32 src_cid[2];
	vio_le32 dst_cid[2];
	vio_le32 src_port;
	vio_le32 dst_port;
	vio_le32 len;
	vio_le16 type;
	vio_le16 op;
	vio_le32 flags;
	vio_le32 buf_alloc;
	vio_le32 fwd_cnt;
};

#define VIRTIO_VSOCK_EVENT_TRANSPORT_RESET 0u

struct virtio_vsock_event {
	vio_le32 id;
};

#endif
