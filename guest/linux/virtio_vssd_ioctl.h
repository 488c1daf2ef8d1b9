/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
#ifndef VIRTIO_VSSD_IOCTL_H
#define VIRTIO_VSSD_IOCTL_H
/*
 * What a program in the guest says to /dev/vssdN-control, to choose which blocks of the disk
 * /dev/vssdN are handed back.
 *
 * read() gives one struct virtio_vssd_ask, and waits (O_NONBLOCK: EAGAIN) while nothing is asked for;
 * poll() says EPOLLIN when something is. It goes on saying so until all was handed back, the program
 * declined, or the host withdrew. Blocks that the host gives are taken by the driver itself.
 */
#include <linux/ioctl.h>
#include <linux/types.h>

struct virtio_vssd_ask {
	__u32 ticket;	    /* names the resize */
	__u32 block_bytes;
	__u64 blocks;	    /* still asked for; 0: nothing */
	__u64 total;	    /* blocks of the disk, provisioned or not */
	__u64 provisioned;
	__u32 deadline_ms;  /* without progress, after which the host withdraws */
	__u32 clock;	    /* as in virtio_vssd_blocks */
};

/* When blocks were written last: a clock that goes one further with each write. */
#define VIRTIO_VSSD_NEVER  0u		/* or discarded since */
#define VIRTIO_VSSD_ABSENT 0xffffffffu	/* not provisioned */

struct virtio_vssd_blocks {
	__u64 first;  /* a multiple of 8 */
	__u64 count;  /* 262144 at most */
	__u64 times;  /* where to: __u32 *, one for each block */
	__u32 clock;  /* result: the time at which these are true */
	__u32 unused; /* 0 */
};

struct virtio_vssd_blocks_range {
	__u64 first;
	__u64 count;
};

/* Hands back, whole or not at all. With no ranges: declines. */
struct virtio_vssd_evict {
	__u32 ticket;
	__u32 clock;	/* a block written after it is refused, EBUSY */
	__u64 ranges;	/* where: struct virtio_vssd_blocks_range * */
	__u32 count;	/* 4096 at most */
	__u32 index;	/* result, on failure: the range that is to blame */
};

/*
 * EVICT fails with ESTALE (withdrawn, or another resize by now), E2BIG (more than asked for), ERANGE
 * (beyond the disk), EBUSY (in use, or written since), EEXIST (named twice, or not provisioned), EIO.
 */
#define VIRTIO_VSSD_IOC_ASK    _IOR('V', 0x40, struct virtio_vssd_ask)
#define VIRTIO_VSSD_IOC_BLOCKS _IOWR('V', 0x41, struct virtio_vssd_blocks)
#define VIRTIO_VSSD_IOC_EVICT  _IOWR('V', 0x42, struct virtio_vssd_evict)

#endif
