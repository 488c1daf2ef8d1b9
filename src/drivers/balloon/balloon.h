/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DRIVERS_BALLOON_H
#define VIO_DRIVERS_BALLOON_H

#include <vireo/drivers/balloon.h>

/* What the files of this driver share. */

/* NULL when another driver is bound, or none. */
static inline struct vio_balloon *vio_balloon_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_balloon_driver ? dev->driver_state : NULL;
}

/* One request; when the device had to be reset for it, everything is taken back. */
int vio_balloon_exchange(struct vio_dev *dev, struct vio_drvq *q, const struct vio_part *parts,
			 unsigned readable, unsigned writable);

/* Each whole word of it becomes `word`. */
void vio_balloon_fill(void *block, uint32_t bytes, uint32_t word);

/* A field of the configuration, little-endian on any device. spec: BOTH-BALLOON-001 */
int vio_balloon_read(struct vio_dev *dev, uint32_t offset, uint32_t *value);

/* Makes a buffer of statistics available, once the device is ready. Codes of the verbs. */
int vio_balloon_lend_stats(struct vio_dev *dev);
void vio_balloon_unshare_stats(struct vio_dev *dev);

#endif
