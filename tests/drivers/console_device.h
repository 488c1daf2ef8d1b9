/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DRIVERS_CONSOLE_DEVICE_H
#define TESTS_DRIVERS_CONSOLE_DEVICE_H

#include <vireo/device.h>
#include <vireo/spec/virtio_console.h>

/*
 * A console device that does what a test tells it: what it says lies in `input` and `messages`, what it
 * heard in `output` and `heard`.
 */
#define CONSOLE_BYTES    8192u
#define CONSOLE_MESSAGES 64u

struct console_message {
	struct virtio_console_control control;
	uint8_t rest[128];
	uint32_t rest_bytes;
	uint32_t cut; /* bytes left out at the end */
};

struct console_device {
	/* How it is; set before realize. */
	uint64_t features;
	uint16_t cols, rows;
	uint32_t ports;
	uint16_t queues; /* 0: as many as it should have */

	uint8_t input[CONSOLE_BYTES];
	uint32_t input_bytes, input_sent;
	uint32_t piece; /* at most so many bytes for a buffer; 0: no limit */
	unsigned empty; /* so many buffers go back with nothing in them */
	bool deaf;      /* doesn't take what it is sent */

	uint8_t output[CONSOLE_BYTES];
	uint32_t output_bytes;
	uint32_t emergency;

	struct console_message messages[CONSOLE_MESSAGES];
	unsigned message_count, message_sent;
	struct virtio_console_control heard[CONSOLE_MESSAGES];
	unsigned heard_count;
	unsigned wrong; /* buffers in a direction that isn't legal */
};

extern const struct vio_device_class console_device_class;

static inline struct console_device *console_device_of(struct vio_device *device)
{
	return vio_device_state(device);
}

/* Says something on port 0. */
void console_device_say(struct vio_device *device, const void *bytes, uint32_t length);

/* Sends a control message with `length` bytes behind it. */
void console_device_control(struct vio_device *device, uint32_t port, uint16_t event, uint16_t value,
			    const void *rest, uint32_t length);

#endif
