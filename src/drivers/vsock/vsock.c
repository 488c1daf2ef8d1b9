/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/vsock/vsock.h"

#include <string.h>

#define BUFFERS_BYTES ((size_t)VIO_VSOCK_BUFFERS * VIO_VSOCK_BUFFER_BYTES)
#define EVENTS_AT     (2 * BUFFERS_BYTES)
#define EVENT_BYTES   ((uint32_t)sizeof(struct virtio_vsock_event))
#define MEMORY_BYTES  (EVENTS_AT + VIO_VSOCK_EVENTS * EVENT_BYTES)
#define SLICE_NS      UINT64_C(10000000)

/* Shows the device a piece of the driver's memory to write to; the token is the piece. */
static void lend(struct vio_vsock *vsock, struct vio_drvq *q, uint8_t *piece, uint32_t bytes)
{
	uint64_t at = (uint64_t)(piece - (uint8_t *)vsock->memory.host);
	const struct vio_sg sg = { vio_addr_make(vsock->memory.addr.raw + at), bytes };

	/* Fails on a broken queue alone: there are as many buffers as entries. */
	(void)vio_drvq_add(q, &sg, 0, 1, piece);
}

static void lend_all(struct vio_vsock *vsock)
{
	uint8_t *memory = vsock->memory.host;
	unsigned i;

	for (i = 0; i < VIO_VSOCK_BUFFERS && vsock->rx->free_count; i++)
		lend(vsock, vsock->rx, memory + (size_t)i * VIO_VSOCK_BUFFER_BYTES, VIO_VSOCK_BUFFER_BYTES);
	for (i = 0; i < VIO_VSOCK_EVENTS && vsock->events->free_count; i++)
		lend(vsock, vsock->events, memory + EVENTS_AT + (size_t)i * EVENT_BYTES, EVENT_BYTES);
	vio_drvq_kick(vsock->rx);
	vio_drvq_kick(vsock->events);
}

static int read_cid(struct vio_dev *dev, struct vio_vsock *vsock)
{
	uint64_t cid;
	int error = vio_dev_read_config64(dev, 0, &cid);

	if (!error)
		vsock->cid = cid;
	return error;
}

/* spec: DRV-VSOCK-010 DRV-VSOCK-011 */
static void close_all(struct vio_vsock *vsock)
{
	unsigned i;

	for (i = 0; i < vsock->socket_count; i++)
		if (vsock->sockets[i].state == VIO_VSOCK_CONNECTING ||
		    vsock->sockets[i].state == VIO_VSOCK_CONNECTED)
			vio_vsock_end(&vsock->sockets[i], -VIO_EHANGUP);
	vsock->reset_count = 0;
}

/* True when the transport was reset. Ends, as nothing is shown to the device before the kick. */
static bool take_events(struct vio_dev *dev, struct vio_vsock *vsock)
{
	struct virtio_vsock_event event;
	bool reset = false, any = false;
	uint32_t written;
	uint8_t *piece;

	while ((piece = vio_drvq_get(vsock->events, &written))) {
		memcpy(&event, piece, sizeof(event));
		reset |= written == EVENT_BYTES &&
			 vio_le32_get(event.id) == VIRTIO_VSOCK_EVENT_TRANSPORT_RESET;
		lend(vsock, vsock->events, piece, EVENT_BYTES); /* spec: DRV-VSOCK-008 */
		any = true;
	}
	if (any)
		vio_drvq_kick(vsock->events);
	if (!reset)
		return false;
	close_all(vsock);
	(void)read_cid(dev, vsock); /* spec: DRV-VSOCK-009; where that fails it stays */
	return true;
}

/* What the device has sent gives room. */
static void take_sent(struct vio_vsock *vsock)
{
	unsigned i;
	bool *sending, any = false;

	while ((sending = vio_drvq_get(vsock->tx, NULL))) {
		*sending = false;
		any = true;
	}
	vsock->moved |= any;
	for (i = 0; any && vsock->starved && i < vsock->socket_count; i++)
		vsock->sockets[i].dirty |= vsock->sockets[i].state == VIO_VSOCK_CONNECTED;
	vsock->starved &= !any;
}

/*
 * Ends like take_events. Goes on while tx is full, as far as there is room for what is owed to strays:
 * spec: DRV-VSOCK-003
 */
static void take_packets(struct vio_vsock *vsock)
{
	uint32_t written = vsock->held_bytes;
	uint8_t *packet = vsock->held;

	vsock->held = NULL;
	while (vsock->reset_count < VIO_VSOCK_RESETS &&
	       (packet || (packet = vio_drvq_get(vsock->rx, &written)))) {
		if (!vio_vsock_take(vsock, packet, written))
			break;
		lend(vsock, vsock->rx, packet, VIO_VSOCK_BUFFER_BYTES);
		vsock->moved = true;
		packet = NULL;
	}
	vsock->held = packet;
	vsock->held_bytes = written;
	vio_drvq_kick(vsock->rx);
}

static void tell(struct vio_dev *dev, struct vio_vsock *vsock, bool all)
{
	unsigned i;

	for (i = 0; i < vsock->socket_count; i++) {
		if (!vsock->sockets[i].dirty)
			continue;
		vsock->sockets[i].dirty = false;
		if (vsock->event)
			vsock->event(dev, &vsock->sockets[i]);
	}
	if (all && vsock->event)
		vsock->event(dev, NULL);
}

int vio_vsock_poll(struct vio_dev *dev)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	bool all = false;

	if (!vsock)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (!vsock->polling) {
		vsock->polling = true;
		take_sent(vsock);
		vio_vsock_flush(dev);
		take_packets(vsock);
		all = take_events(dev, vsock);
		vio_vsock_flush(dev);
		tell(dev, vsock, all);
		vsock->polling = false;
	}
	return dev->phase != VIO_DEV_READY ? -VIO_EPHASE : vio_dev_broken(dev) ? -VIO_EPEER : 0;
}

int vio_vsock_wait(struct vio_dev *dev, uint64_t timeout_ns)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	const struct vio_platform *platform = dev->platform;
	uint64_t since, passed;
	int error;

	if (!vsock)
		return -VIO_EINVAL;
	since = platform->now_ns(platform->context);
	vsock->waiting = true;
	for (;;) {
		error = vio_vsock_poll(dev);
		if (error || vsock->moved)
			break;
		passed = platform->now_ns(platform->context) - since;
		error = timeout_ns && passed >= timeout_ns ? -VIO_EAGAIN : 0;
		if (error)
			break;
		passed = timeout_ns ? timeout_ns - passed : SLICE_NS;
		error = vio_dev_wait(dev, vsock->rx, passed < SLICE_NS ? passed : SLICE_NS);
		if (error && error != -VIO_EAGAIN)
			break;
	}
	vsock->waiting = false;
	vsock->moved = false;
	return error;
}

/* Life. */

static void vsock_used(struct vio_dev *dev, struct vio_drvq *q)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);

	if (!vsock->waiting && vio_vsock_poll(dev) == -VIO_EPEER && vsock->event)
		vsock->event(dev, NULL);
}

static void forget(struct vio_drvq *q)
{
	while (q && vio_drvq_detach_unused(q))
		continue;
}

int vio_vsock_stop(struct vio_dev *dev)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	int error;

	if (!vsock)
		return -VIO_EINVAL;
	error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);
	if (error && error != -VIO_EHANGUP)
		return error;
	forget(vsock->rx);
	forget(vsock->tx);
	forget(vsock->events);
	vsock->rx = vsock->tx = vsock->events = NULL;
	if (vsock->memory.host)
		dev->platform->give_back(dev->platform->context, &vsock->memory, MEMORY_BYTES);
	memset(&vsock->memory, 0, sizeof(vsock->memory));
	memset(vsock->sending, 0, sizeof(vsock->sending));
	vsock->moved = false;
	vsock->held = NULL;
	close_all(vsock);
	return error;
}

static int begin(struct vio_dev *dev, struct vio_vsock *vsock)
{
	const struct vio_queue_wish wish = { .size = VIO_VSOCK_BUFFERS, .used = vsock_used };
	const struct vio_queue_wish few = { .size = VIO_VSOCK_EVENTS, .used = vsock_used };
	struct vio_features wanted = vio_dev_ring_features();
	int error = vio_dev_begin(dev, vsock->queues, (uint16_t)VIO_ARRAY_SIZE(vsock->queues));

	vio_features_set(&wanted, VIRTIO_VSOCK_F_STREAM);
	vio_features_set(&wanted, VIRTIO_VSOCK_F_SEQPACKET);
	vio_features_set(&wanted, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM); /* spec: DRV-VSOCK-001 */
	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_VSOCK_RXQ, &wish, &vsock->rx);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_VSOCK_TXQ, &wish, &vsock->tx);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_VSOCK_EVENTQ, &few, &vsock->events);
	if (!error)
		error = read_cid(dev, vsock);
	return error;
}

int vio_vsock_start(struct vio_dev *dev)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	int error = vio_vsock_stop(dev);

	if (!error)
		error = begin(dev, vsock);
	if (!error) {
		error = dev->platform->take(dev->platform->context, MEMORY_BYTES,
					    VIO_MEM_READ | VIO_MEM_WRITE, &vsock->memory);
		if (error)
			memset(&vsock->memory, 0, sizeof(vsock->memory));
	}
	if (!error)
		error = vio_dev_ready(dev);
	if (error) {
		if (vsock)
			vio_vsock_stop(dev);
		return error;
	}
	/* spec: DRV-VSOCK-002 */
	vsock->streams = vio_dev_has_feature(dev, VIRTIO_VSOCK_F_STREAM) ||
			 !vio_dev_has_feature(dev, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM);
	vsock->messages = vio_dev_has_feature(dev, VIRTIO_VSOCK_F_SEQPACKET);
	lend_all(vsock);
	return 0;
}

static int vsock_probe(struct vio_dev *dev)
{
	return vio_vsock_start(dev);
}

static void vsock_remove(struct vio_dev *dev)
{
	vio_vsock_stop(dev);
}

const struct vio_driver vio_vsock_driver = {
	.name = "vsock",
	.ids = (const uint32_t[]){ VIRTIO_ID_VSOCK, 0 },
	.state_bytes = sizeof(struct vio_vsock),
	.probe = vsock_probe,
	.remove = vsock_remove,
};
