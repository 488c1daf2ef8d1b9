/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DRIVERS_NET_H
#define VIO_DRIVERS_NET_H

#include <vireo/drivers/net.h>

/*
 * What the files of this driver share: net.c is the device's life, receive.c and send.c are frames,
 * control.c the control queue.
 */

#define VIO_NET_LINK_BYTES  18u    /* an Ethernet header with a VLAN tag */
#define VIO_NET_LARGE_BYTES 65535u /* of a frame of segments behind its Ethernet header */

/* NULL when another driver is bound, or none. */
static inline struct vio_net *vio_net_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_net_driver ? dev->driver_state : NULL;
}

/* Takes memory for the frames that come and shows it to the device. */
int vio_net_lend_all(struct vio_dev *dev);
/* Takes the frames that came by any pair. */
void vio_net_take_frames(struct vio_dev *dev);

/* Completes what was sent; all that is in flight, with a result, of a device that was reset. */
void vio_net_take_sent(struct vio_dev *dev);
void vio_net_cancel(struct vio_dev *dev, int result);

#endif
