/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_INPUT_H
#define VIREO_DEVICES_INPUT_H

#include <vireo/device.h>
#include <vireo/events.h>

/*
 * The input device (5.8) over a source of events.
 *
 * Events wait in a queue of VIO_INPUT_QUEUE while the driver gives no buffers, and go to
 * it in whole sequences, which EV_SYN ends. When the queue is full and the source can't
 * wait, whole sequences are dropped, up to the next EV_SYN. What follows begins with
 * SYN_DROPPED and with the keys, switches and axes that are now in another state than
 * the driver last heard.
 */
VIO_API extern const struct vio_device_class vio_input_class;

#define VIO_INPUT_QUEUE 1024u

/*
 * Gives the device its source, which stays the caller's and must outlive the device's
 * realized time; before vio_device_realize(), which refuses with -VIO_ENOENT without
 * one. -VIO_EINVAL when `dev` is of another type.
 */
VIO_API int vio_input_attach(struct vio_device *dev, struct vio_event_source *source);

#endif
