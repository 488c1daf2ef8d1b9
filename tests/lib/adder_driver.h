/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_ADDER_DRIVER_H
#define TEST_LIB_ADDER_DRIVER_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_adder.h>

/* The smallest driver: for the adder of spec/virtio_adder.h, one request at a time. */
struct adder_driver {
	struct vio_dev_queue queue;
	struct vio_drvq *q;
	vio_le32 number, sum;
	unsigned used; /* interrupts */
	unsigned config_changes;
};

extern const struct vio_driver adder_driver;

/* begin .. ready, for more lives than the one of probe. */
int adder_driver_start(struct vio_dev *dev);

/* *sum = number + 1, as the device has it; 0 or a negative code. */
int adder_driver_add(struct vio_dev *dev, uint32_t number, uint32_t *sum);

#endif
