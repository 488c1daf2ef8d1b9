/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_VSSD_H
#define VIREO_SPEC_VIRTIO_VSSD_H

#include <vireo/spec/virtio_blk.h>

/*
 * VSSD, a disk whose blocks the device can ask back: docs/vssd.md. Requests, feature
 * bits below 20 and the beginning of the configuration are those of the block device.
 */

/* The driver answers to resizes on the control queue. */
#define VIRTIO_VSSD_F_RESIZE 20

/* Queues 0..num_queues-1 take requests; the one behind them is the control queue. */

struct virtio_vssd_config {
	struct virtio_blk_config blk; /* capacity: the end of the last provisioned block */
	vio_le64 total;               /* blocks that can be provisioned at most */
	vio_le64 provisioned;         /* blocks that are */
	vio_le64 target;              /* blocks that shall be; the same as provisioned in IDLE */
	vio_le32 block_bytes;         /* of such a block: a power of two, >= blk_size */
	vio_le32 state;               /* VIRTIO_VSSD_STATE_... */
	vio_le32 ticket;              /* names the resize that is going on, or the next one */
	vio_le32 deadline_ms;         /* of an answer; 0: none */
};

#define VIRTIO_VSSD_STATE_IDLE      0u
#define VIRTIO_VSSD_STATE_SHRINKING 1u /* the device asks for provisioned - target blocks */
#define VIRTIO_VSSD_STATE_GROWING   2u /* it gives target - provisioned */

/* A control request is this header, what its type says, and writable a struct virtio_vssd_answer. */
struct virtio_vssd_control {
	vio_le32 type;
	vio_le32 ticket; /* as in the configuration; of MAP: ignored */
};

#define VIRTIO_VSSD_T_EVICT   0u /* an array of ranges: blocks handed back */
#define VIRTIO_VSSD_T_CLAIM   1u /* an array of ranges: blocks taken */
#define VIRTIO_VSSD_T_DECLINE 2u /* nothing: the driver won't or can't */
#define VIRTIO_VSSD_T_MAP     3u /* struct virtio_vssd_from; behind the answer a bit for each block */

struct virtio_vssd_range {
	vio_le64 first; /* block */
	vio_le64 count; /* 1 at least */
};

struct virtio_vssd_from {
	vio_le64 first; /* block, a multiple of 8 */
};

struct virtio_vssd_answer {
	vio_le32 status;      /* VIRTIO_VSSD_S_... */
	vio_le32 index;       /* of the range that is to blame, from 0 */
	vio_le64 provisioned; /* blocks, afterwards */
};

#define VIRTIO_VSSD_S_OK      0u
#define VIRTIO_VSSD_S_IOERR   1u /* the device couldn't record it */
#define VIRTIO_VSSD_S_UNSUPP  2u /* unknown type or malformed */
#define VIRTIO_VSSD_S_STALE   3u /* no such resize goes on, or in the other direction */
#define VIRTIO_VSSD_S_TOOMANY 4u /* more blocks than were asked for or given */
#define VIRTIO_VSSD_S_RANGE   5u /* beyond the total, or no blocks */
#define VIRTIO_VSSD_S_BUSY    6u /* a request for such a block is in flight */
#define VIRTIO_VSSD_S_STATE   7u /* handed back twice, or taken twice, or never had */

#endif
