/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DRIVERS_CONSOLE_H
#define VIO_DRIVERS_CONSOLE_H

#include <vireo/drivers/console.h>

/* What the files of this driver share. */

/* NULL when another driver is bound, or none. */
static inline struct vio_console *vio_console_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_console_driver ? dev->driver_state : NULL;
}

/* Says DEVICE_READY on a device of several ports that has just become ready. */
void vio_console_greet(struct vio_dev *dev);

/* Lends all messages that control_receive has room for. */
void vio_console_lend_messages(struct vio_dev *dev);

/* Handles what came on control_receive, as far as there is room for answers. */
void vio_console_take_messages(struct vio_dev *dev);

/* Unshares all messages, of a device that was reset. */
void vio_console_reclaim_messages(struct vio_dev *dev);

#endif
