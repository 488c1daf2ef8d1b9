/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_RING_H
#define VIREO_SPEC_VIRTIO_RING_H

#include <vireo/spec/types.h>

/* The split virtqueue (2.7). */

#define VIRTQ_SIZE_MAX 32768u

#define VIRTQ_DESC_F_NEXT 1u
#define VIRTQ_DESC_F_WRITE 2u
#define VIRTQ_DESC_F_INDIRECT 4u

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY 1u

/* Alignment of the three areas, in bytes. */
#define VIRTQ_DESC_ALIGN 16u
#define VIRTQ_AVAIL_ALIGN 2u
#define VIRTQ_USED_ALIGN 4u

struct virtq_desc {
	vio_le64 addr;
	vio_le32 len;
	vio_le16 flags;
	vio_le16 next;
};

/* Followed, after ring[queue size], by one vio_le16 used_event. */
struct virtq_avail {
	vio_le16 flags;
	vio_le16 idx;
	vio_le16 ring[];
};

struct virtq_used_elem {
	vio_le32 id;
	vio_le32 len;
};

/* Followed, after ring[queue size], by one vio_le16 avail_event. */
struct virtq_used {
	vio_le16 flags;
	vio_le16 idx;
	struct virtq_used_elem ring[];
};

#endif
