/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DRIVERS_NET_DEVICE_H
#define TESTS_DRIVERS_NET_DEVICE_H

#include <vireo/device.h>
#include <vireo/spec/virtio_net.h>

/* A network device that keeps what it hears and says what a test wants. */

#define NET_DEVICE_PAIRS  4u
#define NET_DEVICE_ROOM   70000u
#define NET_DEVICE_SILENT 0x7fu /* as an answer: none */

struct net_device {
	uint64_t features;
	uint16_t status, pairs, steering_max;
	uint32_t speed, hash_types;
	uint8_t duplex, key_max;

	uint8_t input[NET_DEVICE_ROOM]; /* of one frame, with its header */
	uint32_t input_bytes, input_sent, piece;
	uint8_t output[NET_DEVICE_ROOM];
	uint32_t output_bytes;
	unsigned output_queue, output_elements;
	bool deaf;
	bool boasts; /* says how much it read, in place of what it wrote */

	uint8_t ack; /* NET_DEVICE_SILENT: none */
	unsigned commands, elements;
	uint8_t command[600]; /* the last one */
	uint32_t command_bytes;
};

extern const struct vio_device_class net_device_class;

/* For a rig: `context` is the uint64_t of features that the device offers. */
void net_device_furnish(struct vio_device *device, void *context);

#endif
