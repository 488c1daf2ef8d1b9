/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DRIVER_CORE_H
#define VIO_DRIVER_CORE_H

#include <vireo/driver.h>

/* What the files of the driver core share. */

#define STATUS_GONE 0xffu /* reads of a device that isn't there any more give all ones */

/* Sleep between two looks at something that the device does by itself. */
#define VIO_DEV_NAP_NS UINT64_C(1000000)

/* Set-up can't go on: tells the device and returns `error`. */
int vio_dev_fail(struct vio_dev *dev, int error);

/* The device isn't there any more: -VIO_EHANGUP. */
int vio_dev_lose(struct vio_dev *dev);

/* Naps; false when `since` lies more than the device's timeout back. */
bool vio_dev_nap(struct vio_dev *dev, uint64_t since);

/* No more use of a queue but vio_drvq_detach_unused(). */
void vio_dev_stop_queues(struct vio_dev *dev);

/* All queues refuse until they are let go. */
void vio_dev_hold_queues(struct vio_dev *dev);
void vio_dev_let_go_queues(struct vio_dev *dev);

/* Tells the device what was kicked before it was ready. */
void vio_dev_kick_late(struct vio_dev *dev);

/* Whether the device could still touch memory of a queue. */
bool vio_dev_holds_memory(const struct vio_dev *dev);

/*
 * Looks whether a reset that didn't end in time has ended since; true when it hasn't and the device could
 * still write to memory of its queues.
 */
bool vio_dev_stuck(struct vio_dev *dev);

/* Gives all memory of all queues back. */
void vio_dev_release_queues(struct vio_dev *dev);

#endif
