/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DRIVERS_VICTIMS_H
#define TESTS_DRIVERS_VICTIMS_H

#include <vireo/device.h>
#include <vireo/driver.h>

/* Drivers without a device of ours, for tables of drivers: a device that takes all it gets, and a request. */

extern const struct vio_device_class balloon_victim_class;
int balloon_victim_ask(struct vio_dev *dev);
int balloon_victim_start(struct vio_dev *dev);

/* A packet is sent by each call; when the device lies or says nothing, the driver is stopped. */
extern const struct vio_device_class vsock_victim_class;
int vsock_victim_ask(struct vio_dev *dev);
int vsock_victim_stop(struct vio_dev *dev);
int vsock_victim_start(struct vio_dev *dev);

#endif
