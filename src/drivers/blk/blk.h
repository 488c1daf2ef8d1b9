/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DRIVERS_BLK_H
#define VIO_DRIVERS_BLK_H

#include <vireo/drivers/blk.h>

/* What the files of this driver share. */

/* NULL when another driver is bound, or none. */
static inline struct vio_blk *vio_blk_of(const struct vio_dev *dev)
{
	const struct vio_driver *driver = dev->driver;
	struct vio_blk *blk = dev->driver_state;

	if (driver != &vio_blk_driver && (!driver || driver->base != &vio_blk_driver))
		return NULL;
	if (!blk) /* then there is one: spares whoever calls a second check */
		__builtin_unreachable();
	return blk;
}

/* What a driver whose state begins with a struct vio_blk adds to its beginning. */
struct vio_blk_more {
	/* Changes what is asked of the device. */
	void (*choose)(const struct vio_dev *dev, struct vio_features *wanted);
	/* Behind the request queues, of which there may be VIO_BLK_QUEUES_MAX. */
	int (*add_queues)(struct vio_dev *dev);
};

/* For such a driver. */
void vio_blk_config_changed(struct vio_dev *dev);
void vio_blk_remove(struct vio_dev *dev);

/* Whether a request changes what is on the disk. */
static inline bool vio_blk_changes(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
}

/*
 * What became of a request of which the device says that it wrote so many bytes, of the `answer_bytes` that
 * end with the status. 0, -VIO_EIO or -VIO_ENOTSUP as the device says, -VIO_EPEER for an answer that is none.
 * hostile: B10 B56
 */
static inline int vio_blk_outcome(const uint8_t *status, uint32_t written, uint32_t answer_bytes)
{
	/* Once, as it may be in memory that the device still reaches. */
	const uint8_t said = __atomic_load_n(status, __ATOMIC_RELAXED);

	if (!written)
		return -VIO_EPEER;
	switch (said) {
	case VIRTIO_BLK_S_OK:
		return written < answer_bytes ? -VIO_EPEER : 0;
	case VIRTIO_BLK_S_IOERR: /* spec: DRV-BLK-022 */
		return -VIO_EIO;
	case VIRTIO_BLK_S_UNSUPP:
		return -VIO_ENOTSUP;
	default:
		return -VIO_EPEER;
	}
}

/* What a request of some type has to be like; `total`: bytes of its data. */
typedef int vio_blk_judge_type(const struct vio_dev *dev, const struct vio_blk_identity *identity,
			       const struct vio_blk_io *io, uint64_t total);

/* Apart, so that who only reads and writes needn't have the rest of them. */
vio_blk_judge_type vio_blk_judge_transfer, vio_blk_judge_flush, vio_blk_judge_any;

/* Whether the device can be shown this request; the codes of vio_blk_submit(). *total: bytes of its data. */
int vio_blk_judge(const struct vio_dev *dev, const struct vio_blk *blk, const struct vio_blk_io *io,
		  vio_blk_judge_type *judge_type, uint64_t *total);

/* Fills the zeroed identity from an accepted device but for what depends on its queues. */
int vio_blk_identify(struct vio_dev *dev, struct vio_blk_identity *identity);

/* Reads again what a device changes by itself. */
int vio_blk_identify_again(struct vio_dev *dev, struct vio_blk_identity *identity);

#endif
