/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/victims.h"

#include <string.h>

#include <vireo/drivers/balloon.h>
#include <vireo/drivers/vsock.h>

static void take_all(struct vio_device *device, struct vio_devq *q)
{
	struct vio_buf buf;

	while (!(q->index == VIRTIO_VSOCK_RXQ && device->id == VIRTIO_ID_VSOCK) && vio_devq_pop(q, &buf))
		vio_devq_push(q, &buf, 0);
	vio_devq_notify(q);
}

/* The balloon. */

static void balloon_get_config(struct vio_device *device, void *config)
{
	const struct virtio_balloon_config wire = {
		.num_pages = vio_le32_make(1 << 20),
		.actual = vio_le32_make(*(const uint32_t *)vio_device_state(device)),
	};

	memcpy(config, &wire, sizeof(wire));
}

static void balloon_set_config(struct vio_device *device, const void *config, uint32_t offset,
			       uint32_t length)
{
	struct virtio_balloon_config wire;

	memcpy(&wire, config, sizeof(wire));
	*(uint32_t *)vio_device_state(device) = vio_le32_get(wire.actual);
}

const struct vio_device_class balloon_victim_class = {
	.name = "balloon",
	.summary = "takes pages",
	.id = VIRTIO_ID_BALLOON,
	.queue_count = 2,
	.queue_size = 64,
	.state_bytes = sizeof(uint32_t),
	.config_bytes = sizeof(struct virtio_balloon_config),
	.get_config = balloon_get_config,
	.set_config = balloon_set_config,
	.kick = take_all,
};

int balloon_victim_ask(struct vio_dev *dev)
{
	static uint8_t page[VIO_BALLOON_PAGE_BYTES] __attribute__((aligned(VIO_BALLOON_PAGE_BYTES)));
	const struct vio_shared shared = { page, vio_addr_make(VIO_BALLOON_PAGE_BYTES) };
	uint32_t done;

	return vio_balloon_inflate(dev, &shared, 1, &done);
}

int balloon_victim_start(struct vio_dev *dev)
{
	return vio_balloon_start(dev, NULL);
}

/* The socket device. */

#define SOCKETS    8u
#define WAITS      5u
#define TIMEOUT_NS UINT64_C(1000000)

static struct vio_vsock_socket sockets[SOCKETS];
static uint8_t memory[SOCKETS][VIO_VSOCK_MEMORY_LEAST];

static void vsock_get_config(struct vio_device *device, void *config)
{
	const struct virtio_vsock_config wire = { vio_le64_make(3) };

	memcpy(config, &wire, sizeof(wire));
}

const struct vio_device_class vsock_victim_class = {
	.name = "vsock",
	.summary = "hears all and says nothing",
	.id = VIRTIO_ID_VSOCK,
	.queue_count = 3,
	.queue_size = 64,
	.config_bytes = sizeof(struct virtio_vsock_config),
	.get_config = vsock_get_config,
	.kick = take_all,
};

static bool is_sending(const struct vio_vsock *vsock)
{
	for (unsigned i = 0; i < VIO_VSOCK_BUFFERS; i++)
		if (vsock->sending[i])
			return true;
	return false;
}

int vsock_victim_ask(struct vio_dev *dev)
{
	struct vio_vsock_socket *socket = sockets;
	unsigned waits = 0;
	int error = 0;

	while (socket < sockets + SOCKETS - 1 && socket->state != VIO_VSOCK_FREE)
		socket++;
	if (dev->phase == VIO_DEV_READY)
		error = vio_vsock_poll(dev);
	if (!error)
		error = vio_vsock_connect(dev, socket, VIRTIO_VSOCK_TYPE_STREAM, VIRTIO_VSOCK_CID_HOST, 9);
	while (!error && is_sending(dev->driver_state)) {
		error = vio_vsock_poll(dev);
		if (!error && is_sending(dev->driver_state)) {
			error = vio_vsock_wait(dev, TIMEOUT_NS);
			error = error == -VIO_EAGAIN && waits++ < WAITS ? 0 : error;
		}
	}
	if (error)
		vio_vsock_stop(dev);
	return error;
}

int vsock_victim_stop(struct vio_dev *dev)
{
	int error = vio_vsock_stop(dev);

	for (unsigned i = 0; i < SOCKETS; i++)
		if (sockets[i].state != VIO_VSOCK_FREE)
			(void)vio_vsock_release(dev, &sockets[i]);
	return error;
}

int vsock_victim_start(struct vio_dev *dev)
{
	const struct vio_vsock *vsock = dev->driver_state;
	int error = vsock_victim_stop(dev);

	if (!error && !vsock->sockets) {
		memset(sockets, 0, sizeof(sockets));
		for (unsigned i = 0; i < SOCKETS; i++) {
			sockets[i].memory = memory[i];
			sockets[i].memory_bytes = sizeof(memory[i]);
		}
		error = vio_vsock_give_sockets(dev, sockets, SOCKETS);
	}
	return error ? error : vio_vsock_start(dev);
}
