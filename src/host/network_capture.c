/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/network.h"

/*
 * A network in front of another one, which writes down what passes. Frames are
 * recorded as a wire would carry them: long ones cut, checksums complete. When the
 * file can't be written any more the frames go on, unrecorded.
 */

#define BLOCK_SECTION    0x0a0d0d0au
#define BLOCK_INTERFACE  1u
#define BLOCK_PACKET     6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINK_ETHERNET    1u
#define OPTION_FLAGS     2u
#define OPTION_TSRESOL   9u
#define NANOSECONDS      9u

enum direction {
	INBOUND = 1, /* to the driver */
	OUTBOUND = 2,
};

struct capture {
	struct vio_network network;
	struct vio_network *inner;
	FILE *file; /* NULL: it failed */
	struct vio_frame_cut cut;
	uint8_t head[VIO_FRAME_HEAD_BYTES];
	uint8_t bytes[VIO_FRAME_BYTES_MAX + 4];
};

static struct capture *capture_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct capture, network);
}

static void put(struct capture *capture, const void *bytes, size_t length)
{
	if (!capture->file || fwrite(bytes, 1, length, capture->file) == length)
		return;
	fclose(capture->file);
	capture->file = NULL;
}

/* In this machine's byte order, which the first block tells. */
static void put_words(struct capture *capture, const uint32_t *words, unsigned count)
{
	put(capture, words, count * sizeof(*words));
}

static uint32_t two(uint32_t first, uint32_t second)
{
	const uint16_t halves[2] = { (uint16_t)first, (uint16_t)second };
	uint32_t word;

	memcpy(&word, halves, sizeof(word));
	return word;
}

static void put_begin(struct capture *capture)
{
	const uint32_t section[] = { BLOCK_SECTION, 28, BYTE_ORDER_MAGIC, two(1, 0), UINT32_MAX,
				     UINT32_MAX,    28 };
	const uint8_t resolution[4] = { NANOSECONDS };
	uint32_t interface[] = {
		BLOCK_INTERFACE, 32, two(LINK_ETHERNET, 0), 0, two(OPTION_TSRESOL, 1), 0, 0, 32
	};

	memcpy(&interface[5], resolution, sizeof(resolution));
	put_words(capture, section, VIO_ARRAY_SIZE(section));
	put_words(capture, interface, VIO_ARRAY_SIZE(interface));
}

/* A packet: head, then [offset, offset + length) of the frame. */
static void put_packet(struct capture *capture, enum direction direction, const struct vio_frame *frame,
		       const uint8_t *head, uint32_t head_bytes, uint32_t offset, uint32_t length)
{
	uint32_t bytes = head_bytes + length;
	uint32_t padded = (bytes + 3) & ~3u;
	uint32_t size = 32 + padded + 12;
	const uint32_t end[] = { two(OPTION_FLAGS, 4), direction, 0, size };
	struct timespec now;
	uint64_t time;

	clock_gettime(CLOCK_REALTIME, &now);
	time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	put_words(capture,
		  (const uint32_t[]){ BLOCK_PACKET, size, 0, (uint32_t)(time >> 32), (uint32_t)time, bytes,
				      bytes },
		  7);
	memcpy(capture->bytes, head, head_bytes);
	vio_frame_copy(frame, offset, capture->bytes + head_bytes, length);
	memset(capture->bytes + bytes, 0, padded - bytes);
	put(capture, capture->bytes, padded);
	put_words(capture, end, VIO_ARRAY_SIZE(end));
}

static void record(struct capture *capture, enum direction direction, const struct vio_frame *frame)
{
	struct vio_frame_layout layout;
	struct vio_frame_cut *cut = &capture->cut;

	if (!capture->file)
		return;
	vio_frame_head(frame, capture->head, &layout);
	if (vio_frame_judge(frame, &layout))
		return;
	if (frame->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		if (frame->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			vio_frame_complete(frame, capture->head, &layout);
		put_packet(capture, direction, frame, capture->head, layout.head_bytes, layout.head_bytes,
			   frame->length - layout.head_bytes);
		return;
	}
	vio_frame_cut_begin(cut, frame, capture->head, &layout);
	while (vio_frame_cut_next(cut))
		put_packet(capture, direction, frame, cut->head, cut->head_bytes, cut->offset, cut->length);
}

static void settle(struct capture *capture)
{
	if (capture->file)
		fflush(capture->file);
}

/* What the device calls. */

static void capture_send(struct vio_network *network, struct vio_network_send *send)
{
	struct capture *capture = capture_of(network);

	record(capture, OUTBOUND, &send->frame);
	capture->inner->ops->send(capture->inner, send);
}

static void capture_send_end(struct vio_network *network)
{
	struct capture *capture = capture_of(network);

	settle(capture);
	if (capture->inner->ops->send_end)
		capture->inner->ops->send_end(capture->inner);
}

static void capture_ready(struct vio_network *network, uint16_t pair)
{
	struct capture *capture = capture_of(network);

	if (capture->inner->ops->ready)
		capture->inner->ops->ready(capture->inner, pair);
}

static void capture_configure(struct vio_network *network, unsigned offloads, uint16_t pairs)
{
	struct capture *capture = capture_of(network);

	if (capture->inner->ops->configure)
		capture->inner->ops->configure(capture->inner, offloads, pairs);
}

static void capture_arm(struct vio_network *network, uint32_t delay_us)
{
	struct capture *capture = capture_of(network);

	capture->inner->ops->arm(capture->inner, delay_us);
}

static void capture_drain(struct vio_network *network)
{
	struct capture *capture = capture_of(network);

	capture->inner->ops->drain(capture->inner);
}

static void capture_close(struct vio_network *network)
{
	struct capture *capture = capture_of(network);

	capture->inner->ops->close(capture->inner);
	if (capture->file)
		fclose(capture->file);
	free(capture);
}

static const struct vio_network_ops capture_ops = {
	.send = capture_send,
	.send_end = capture_send_end,
	.ready = capture_ready,
	.configure = capture_configure,
	.arm = capture_arm,
	.drain = capture_drain,
	.close = capture_close,
};

/* What the network calls. */

static int capture_deliver(void *context, const struct vio_frame *frame)
{
	struct capture *capture = context;
	int result = vio_network_deliver(&capture->network, frame);

	/* One that has to wait is recorded when it comes again. */
	if (!result)
		record(capture, INBOUND, frame);
	return result;
}

static void capture_deliver_end(void *context)
{
	struct capture *capture = context;

	settle(capture);
	vio_network_deliver_end(&capture->network);
}

static void capture_link_changed(void *context)
{
	struct capture *capture = context;

	capture->network.link_up = capture->inner->link_up;
	if (capture->network.events)
		capture->network.events->link_changed(capture->network.events_context);
}

static void capture_expired(void *context)
{
	struct capture *capture = context;

	if (capture->network.events)
		capture->network.events->expired(capture->network.events_context);
}

static const struct vio_network_events capture_events = {
	.deliver = capture_deliver,
	.deliver_end = capture_deliver_end,
	.link_changed = capture_link_changed,
	.expired = capture_expired,
};

int vio_host_capture(struct vio_network *inner, const char *path, struct vio_network **network,
		     struct vio_message *message)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int error = -VIO_ENOMEM;

	if (capture)
		capture->file = fopen(path, "we");
	if (!capture || !capture->file) {
		if (capture)
			error = vio_error_from_errno(errno);
		vio_fail(message, error, "can't write the capture '%.256s': %s", path,
			 capture ? strerror(errno) : "out of memory");
		free(capture);
		inner->ops->close(inner);
		return error;
	}
	capture->inner = inner;
	capture->network.ops = &capture_ops;
	capture->network.offloads = inner->offloads;
	capture->network.pairs_max = inner->pairs_max;
	capture->network.link_up = inner->link_up;
	inner->events = &capture_events;
	inner->events_context = capture;
	put_begin(capture);
	settle(capture);
	*network = &capture->network;
	return 0;
}
