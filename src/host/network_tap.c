/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/network.h"

/*
 * An interface of the kernel's. Frames come with the kernel's own header in front,
 * which is struct virtio_net_hdr; the kernel finishes what the driver doesn't take
 * and takes unfinished what it is told to.
 */

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20u
#define TUN_F_USO6 0x40u
#endif

#define TAP_PATH  "/dev/net/tun"
#define TAP_PAIRS 64u
#define TAP_BURST 64u /* frames read before others have their turn */
#define TAP_SPANS 254u

struct tap;

struct tap_queue {
	struct tap *tap;
	struct vio_watch watch;
	bool watched;
	uint16_t pair;
	uint32_t waiting; /* bytes that were read and had no room; 0: none */
	struct virtio_net_hdr header;
	uint8_t bytes[VIO_FRAME_BYTES_MAX];
};

struct tap {
	struct vio_network network;
	struct vio_network_clock clock;
	struct vio_loop *loop;
	unsigned takes; /* the kernel has taken this */
	uint16_t queue_count, queues_attached;
	bool multiple;
	struct tap_queue *queues;
};

static struct tap *tap_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct tap, network);
}

static void tap_send(struct vio_network *network, struct vio_network_send *send)
{
	struct tap *tap = tap_of(network);
	const struct vio_frame *frame = &send->frame;
	struct virtio_net_hdr header = {
		.flags = frame->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = frame->gso_type,
		.gso_size = vio_le16_make(frame->gso_bytes),
		.csum_start = vio_le16_make(frame->csum_start),
		.csum_offset = vio_le16_make(frame->csum_offset),
	};
	struct iovec iov[TAP_SPANS + 1] = { { &header, sizeof(header) } };
	unsigned pair = frame->pair < tap->queues_attached ? frame->pair : 0;
	ssize_t sent;

	if (frame->span_count > TAP_SPANS) {
		send->done(send, -VIO_ERANGE);
		return;
	}
	for (unsigned i = 0; i < frame->span_count; i++)
		iov[i + 1] = (struct iovec){ frame->spans[i].host, frame->spans[i].length };
	do
		sent = writev(tap->queues[pair].watch.fd, iov, (int)frame->span_count + 1);
	while (sent < 0 && errno == EINTR);
	/* An interface that is down, or no memory: a wire isn't better. */
	send->done(send, sent < 0 ? vio_error_from_errno(errno) : 0);
}

static void tap_pause(struct tap_queue *queue)
{
	if (queue->watched)
		vio_loop_unwatch(queue->tap->loop, &queue->watch);
	queue->watched = false;
}

static void tap_resume(struct tap_queue *queue)
{
	if (!queue->watched)
		queue->watched = vio_loop_watch(queue->tap->loop, &queue->watch) == 0;
}

/* What is in the queue's bytes; false when it has to wait. */
static bool tap_deliver(struct tap_queue *queue)
{
	struct vio_span span = { queue->bytes, queue->waiting };
	const struct vio_frame frame = {
		.spans = &span,
		.span_count = 1,
		.length = queue->waiting,
		.flags = queue->header.flags,
		.gso_type = queue->header.gso_type,
		.gso_bytes = vio_le16_get(queue->header.gso_size),
		.csum_start = vio_le16_get(queue->header.csum_start),
		.csum_offset = vio_le16_get(queue->header.csum_offset),
		.pair = queue->pair,
	};

	if (vio_network_deliver(&queue->tap->network, &frame) == -VIO_EAGAIN)
		return false;
	queue->waiting = 0;
	return true;
}

static void tap_ready(struct vio_watch *watch)
{
	struct tap_queue *queue = VIO_CONTAINER_OF(watch, struct tap_queue, watch);
	struct iovec iov[2] = { { &queue->header, sizeof(queue->header) },
				{ queue->bytes, sizeof(queue->bytes) } };

	for (unsigned i = 0; i < TAP_BURST; i++) {
		ssize_t got;

		if (queue->waiting && !tap_deliver(queue)) {
			tap_pause(queue);
			break;
		}
		got = readv(watch->fd, iov, 2);
		if (got <= (ssize_t)sizeof(queue->header)) {
			if (got < 0 && errno != EAGAIN && errno != EINTR)
				tap_pause(queue); /* the interface was removed */
			break;
		}
		queue->waiting = (uint32_t)got - sizeof(queue->header);
		if (!tap_deliver(queue)) {
			tap_pause(queue);
			break;
		}
	}
	vio_network_deliver_end(&queue->tap->network);
}

static void tap_room(struct vio_network *network, uint16_t pair)
{
	struct tap *tap = tap_of(network);

	/* Where the driver steers by itself, any queue may be the one that waits. */
	(void)pair;
	for (unsigned i = 0; i < tap->queues_attached; i++)
		tap_resume(&tap->queues[i]);
}

static unsigned tap_flags(unsigned offloads)
{
	unsigned flags = 0;

	flags |= offloads & VIO_NETWORK_CSUM ? TUN_F_CSUM : 0;
	flags |= offloads & VIO_NETWORK_TSO4 ? TUN_F_TSO4 : 0;
	flags |= offloads & VIO_NETWORK_TSO6 ? TUN_F_TSO6 : 0;
	flags |= offloads & VIO_NETWORK_ECN ? TUN_F_TSO_ECN : 0;
	/* The kernel knows only both or neither. */
	if (offloads & VIO_NETWORK_USO4 && offloads & VIO_NETWORK_USO6)
		flags |= TUN_F_USO4 | TUN_F_USO6;
	return flags;
}

static void tap_attach(struct tap *tap, uint16_t pairs)
{
	for (unsigned i = 1; tap->multiple && i < tap->queue_count; i++) {
		struct ifreq request = { .ifr_flags = i < pairs ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

		if ((i < pairs) != (i < tap->queues_attached))
			ioctl(tap->queues[i].watch.fd, TUNSETQUEUE, &request);
	}
	tap->queues_attached = tap->multiple ? pairs : 1;
}

static void tap_configure(struct vio_network *network, unsigned offloads, uint16_t pairs)
{
	struct tap *tap = tap_of(network);

	ioctl(tap->queues[0].watch.fd, TUNSETOFFLOAD, (unsigned long)tap_flags(offloads & tap->takes));
	if (pairs > tap->queue_count)
		pairs = tap->queue_count;
	tap_attach(tap, pairs ? pairs : 1);
	for (unsigned i = 0; i < tap->queue_count; i++) {
		/* Without a driver the kernel's queue fills up, and then it drops. */
		if (i < pairs)
			tap_resume(&tap->queues[i]);
		else
			tap_pause(&tap->queues[i]);
		if (!pairs)
			tap->queues[i].waiting = 0;
	}
}

static void tap_arm(struct vio_network *network, uint32_t delay_us)
{
	vio_network_clock_arm(&tap_of(network)->clock, delay_us);
}

static void tap_close(struct vio_network *network)
{
	struct tap *tap = tap_of(network);

	for (unsigned i = 0; i < tap->queue_count; i++) {
		tap_pause(&tap->queues[i]);
		if (tap->queues[i].watch.fd >= 0)
			close(tap->queues[i].watch.fd);
	}
	vio_network_clock_close(&tap->clock);
	free(tap->queues);
	free(tap);
}

static const struct vio_network_ops tap_ops = {
	.send = tap_send,
	.ready = tap_room,
	.configure = tap_configure,
	.arm = tap_arm,
	.drain = vio_network_drain_nothing,
	.close = tap_close,
};

static int tap_open_queue(struct tap_queue *queue, struct ifreq *request, struct vio_message *message)
{
	int header_bytes = sizeof(queue->header);
	int little = 1;

	queue->watch.fd = open(TAP_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (queue->watch.fd < 0)
		return vio_fail(message, vio_error_from_errno(errno), "can't open %s: %s", TAP_PATH,
				strerror(errno));
	if (ioctl(queue->watch.fd, TUNSETIFF, request))
		return vio_fail(message, vio_error_from_errno(errno),
				"can't take the interface '%.15s' as a tap with %s: %s", request->ifr_name,
				request->ifr_flags & IFF_MULTI_QUEUE ? "several queues" : "one queue",
				strerror(errno));
	if (ioctl(queue->watch.fd, TUNSETVNETHDRSZ, &header_bytes) ||
	    ioctl(queue->watch.fd, TUNSETVNETLE, &little))
		return vio_fail(message, vio_error_from_errno(errno),
				"the interface '%.15s' can't do without a header: %s", request->ifr_name,
				strerror(errno));
	return 0;
}

static int tap_open_queues(struct tap *tap, const struct vio_host_network_options *options,
			   struct vio_message *message)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int error = 0;

	if (tap->multiple)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(request.ifr_name, options->interface, sizeof(options->interface));
	for (unsigned i = 0; i < tap->queue_count; i++) {
		tap->queues[i].tap = tap;
		tap->queues[i].pair = (uint16_t)i;
		tap->queues[i].watch.fd = -1;
		tap->queues[i].watch.ready = tap_ready;
	}
	for (unsigned i = 0; !error && i < tap->queue_count; i++)
		error = tap_open_queue(&tap->queues[i], &request, message);
	tap->queues_attached = tap->queue_count;
	return error;
}

static int tap_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		    struct vio_network **network, struct vio_message *message)
{
	const unsigned old = VIO_NETWORK_OFFLOADS & ~(VIO_NETWORK_USO4 | VIO_NETWORK_USO6);
	struct tap *tap = calloc(1, sizeof(*tap));
	int error;

	if (tap)
		tap->queues = calloc(pairs, sizeof(*tap->queues));
	if (!tap || !tap->queues) {
		free(tap);
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	}
	tap->loop = loop;
	tap->queue_count = pairs;
	tap->multiple = pairs > 1;
	tap->clock.watch.fd = -1;
	error = tap_open_queues(tap, options, message);
	if (error) {
		tap_close(&tap->network);
		return error;
	}
	error = vio_network_clock_open(&tap->clock, loop, &tap->network);
	if (error) {
		tap_close(&tap->network);
		return vio_fail(message, error, "can't make a timer: %s", vio_strerror(error));
	}
	tap->takes = VIO_NETWORK_OFFLOADS;
	if (ioctl(tap->queues[0].watch.fd, TUNSETOFFLOAD, (unsigned long)tap_flags(tap->takes)))
		tap->takes = old; /* a kernel before 6.2 */
	tap->network.ops = &tap_ops;
	tap->network.offloads = tap->takes;
	tap->network.pairs_max = pairs;
	tap->network.link_up = true;
	tap_configure(&tap->network, 0, 0);
	*network = &tap->network;
	return 0;
}

const struct vio_network_kind vio_network_tap = { .name = "tap", .open = tap_open };
