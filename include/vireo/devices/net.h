/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_NET_H
#define VIREO_DEVICES_NET_H

#include <vireo/device.h>
#include <vireo/network.h>

/*
 * The network device (5.1) over a struct vio_network.
 *
 * A frame from the driver is judged whole (its header's lengths and offsets
 * against a copy of the packet's own headers) before the network hears of it, and
 * is then sent from the driver's memory as it is. A frame for the driver passes
 * the filters that the driver has set, in the order of the standard: receive
 * modes, addresses and VLANs, then steering to a queue; then what the driver can't
 * take is finished in software, and the frame is copied into as many buffers as
 * it needs, which the driver sees together.
 *
 * Filters are in force only while the control queue runs: a front end that
 * answers control commands by itself filters by itself.
 *
 * Notifications are held back as the driver's coalescing parameters say, where
 * the network has a clock (ops->arm).
 */
VIO_API extern const struct vio_device_class vio_net_class;

/*
 * Gives the device its network, which stays the caller's and must outlive the
 * device's realized time; before vio_device_realize(), which refuses with
 * -VIO_ENOENT without one. -VIO_EINVAL when `dev` is of another type.
 */
VIO_API int vio_net_attach(struct vio_device *dev, struct vio_network *network);

#endif
