/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_INPUT_H
#define VIREO_DRIVERS_INPUT_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_input.h>

/* A driver for the input device (5.8): events in, a status (LEDs) out. */
VIO_API extern const struct vio_driver vio_input_driver;

#define VIO_INPUT_EVENTS     32u
#define VIO_INPUT_TIMEOUT_NS UINT64_C(5000000000)

struct vio_input_slot {
	struct virtio_input_event event;
	struct vio_addr addr;
	bool lent;
};

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_input {
	uint64_t dropped;    /* events that weren't whole; may be read */
	uint64_t timeout_ns; /* of a status; may be changed, 0: waits for ever */
	/* May be set; called from vio_input_poll() and vio_dev_interrupt(). */
	void (*event)(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value);

	struct vio_dev_queue queues[2];
	struct vio_drvq *events, *statuses;
	struct vio_input_slot slots[VIO_INPUT_EVENTS];
	struct virtio_input_event status;
};

/*
 * What the device says for `select` (VIRTIO_INPUT_CFG_...) and `subsel`, cut to `size` bytes; *got is 0
 * when it says nothing. -VIO_EPEER when it claims more than fits, codes of vio_dev_read_config().
 */
VIO_API int vio_input_query(struct vio_dev *dev, uint8_t select, uint8_t subsel, void *to, uint32_t size,
			    uint32_t *got);

/* Hands over what came. -VIO_EPEER when the device lied, -VIO_EPHASE, -VIO_EINVAL. */
VIO_API int vio_input_poll(struct vio_dev *dev);

/* Sends one status, as of a LED, and waits. Codes of vio_dev_exchange(); then vio_input_start(). */
VIO_API int vio_input_set(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value);

/* Resets the device, after which nothing comes. -VIO_EAGAIN when the reset doesn't end, -VIO_EHANGUP. */
VIO_API int vio_input_stop(struct vio_dev *dev);
/* Begins the device's life again; binding did so for the first one. Codes of the verbs of driver.h. */
VIO_API int vio_input_start(struct vio_dev *dev);

#endif
