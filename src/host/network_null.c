/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "host/network.h"

/*
 * Networks for tests and measurements: one that swallows, one that swallows and never stops sending,
 * one that answers with what it hears. All are done inside send.
 */

#define MAC_BYTES   6u
#define HEAD_BYTES  64u /* of a frame that comes back; what is behind stays where it is */
#define BATCH       32u
#define BATCHES_MAX 32u /* before others have their turn */
#define SPANS_MAX   254u

struct null_network {
	struct vio_network network;
	struct vio_network_clock clock;
	struct vio_loop *loop;
};

static struct null_network *null_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct null_network, network);
}

static void null_send(struct vio_network *network, struct vio_network_send *send)
{
	(void)network;
	send->done(send, 0);
}

static unsigned null_send_many(struct vio_network *network, const struct vio_frame *frames, unsigned count)
{
	(void)network;
	(void)frames;
	return count;
}

static void null_arm(struct vio_network *network, uint32_t delay_us)
{
	vio_network_clock_arm(&null_of(network)->clock, delay_us);
}

static void null_close(struct vio_network *network)
{
	struct null_network *null = null_of(network);

	vio_network_clock_close(&null->clock);
	free(null);
}

static const struct vio_network_ops null_ops = {
	.send = null_send,
	.send_many = null_send_many,
	.arm = null_arm,
	.drain = vio_network_drain_nothing,
	.close = null_close,
};

/* `bytes` begin with a struct null_network. */
static int open_as(size_t bytes, struct vio_loop *loop, const struct vio_network_ops *ops,
		   struct vio_network **network, struct vio_message *message)
{
	struct null_network *null = calloc(1, bytes);
	int error;

	if (!null)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	null->loop = loop;
	null->network.ops = ops;
	null->network.offloads = VIO_NETWORK_OFFLOADS;
	null->network.link_up = true;
	error = vio_network_clock_open(&null->clock, loop, &null->network);
	if (error) {
		free(null);
		return vio_fail(message, error, "can't make a timer: %s", vio_strerror(error));
	}
	*network = &null->network;
	return 0;
}

static int null_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		     struct vio_network **network, struct vio_message *message)
{
	(void)options;
	(void)pairs;
	return open_as(sizeof(struct null_network), loop, &null_ops, network, message);
}

const struct vio_network_kind vio_network_null = { .name = "null", .open = null_open };

/* Echo. */

struct echo {
	struct null_network null;
	struct vio_frame frames[BATCH];
	struct vio_span spans[BATCH][2];
	uint8_t heads[BATCH][HEAD_BYTES];
	struct vio_span rest[SPANS_MAX + 1];
};

static struct echo *echo_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct echo, null.network);
}

/* The frame's first bytes, copied, with target and source in each other's place. */
static uint32_t turn_head(const struct vio_frame *frame, uint8_t *head)
{
	const uint32_t bytes = frame->length < HEAD_BYTES ? frame->length : HEAD_BYTES;
	uint8_t target[MAC_BYTES];

	if (bytes == HEAD_BYTES && frame->spans->length >= HEAD_BYTES)
		memcpy(head, frame->spans->host, HEAD_BYTES);
	else
		vio_frame_copy(frame, 0, head, bytes);
	memcpy(target, head, MAC_BYTES);
	memcpy(head, head + MAC_BYTES, MAC_BYTES);
	memcpy(head + MAC_BYTES, target, MAC_BYTES);
	return bytes;
}

/* The rest is delivered from where it lies, and the frame is the driver's no sooner than that. */
static void echo_send(struct vio_network *network, struct vio_network_send *send)
{
	struct echo *echo = echo_of(network);
	struct vio_frame frame = send->frame;
	const uint32_t bytes = turn_head(&frame, echo->heads[0]);
	struct vio_frame_walk walk = vio_frame_walk(&frame, bytes, frame.length - bytes);
	const uint8_t *piece;
	uint32_t length;

	if (frame.span_count > SPANS_MAX) {
		send->done(send, -VIO_ERANGE);
		return;
	}
	frame.spans = echo->rest;
	frame.span_count = 1;
	echo->rest[0] = (struct vio_span){ echo->heads[0], bytes };
	while ((piece = vio_frame_next(&walk, &length)))
		echo->rest[frame.span_count++] = (struct vio_span){ (uint8_t *)(uintptr_t)piece, length };
	vio_network_deliver(network, &frame);
	send->done(send, 0);
}

static unsigned echo_send_many(struct vio_network *network, const struct vio_frame *frames, unsigned count)
{
	struct echo *echo = echo_of(network);
	unsigned i;

	if (count > BATCH)
		count = BATCH;
	for (i = 0; i < count && frames[i].span_count == 1; i++) {
		const uint32_t bytes = turn_head(&frames[i], echo->heads[i]);

		echo->spans[i][0] = (struct vio_span){ echo->heads[i], bytes };
		echo->spans[i][1] =
			(struct vio_span){ frames[i].spans->host + bytes, frames[i].length - bytes };
		echo->frames[i] = frames[i];
		echo->frames[i].spans = echo->spans[i];
		echo->frames[i].span_count = frames[i].length > bytes ? 2 : 1;
	}
	/* What the driver has no room for now it doesn't hear. */
	vio_network_deliver_many(network, echo->frames, i);
	return i;
}

static const struct vio_network_ops echo_ops = {
	.send = echo_send,
	.send_many = echo_send_many,
	.send_end = vio_network_deliver_end,
	.arm = null_arm,
	.drain = vio_network_drain_nothing,
	.close = null_close,
};

static int echo_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		     struct vio_network **network, struct vio_message *message)
{
	(void)options;
	(void)pairs;
	return open_as(sizeof(struct echo), loop, &echo_ops, network, message);
}

const struct vio_network_kind vio_network_echo = { .name = "echo", .open = echo_open };

/* Source. */

struct source {
	struct null_network null;
	struct vio_task again; /* to send on after others */
	struct vio_frame frames[BATCH];
	struct vio_span span;
	uint8_t bytes[UINT16_MAX + 1u];
};

static struct source *source_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct source, null.network);
}

/* Until the driver has no room; then `ready` follows. */
static void source_pour(struct source *source)
{
	unsigned batches = 0;

	while (batches < BATCHES_MAX &&
	       vio_network_deliver_many(&source->null.network, source->frames, BATCH) == BATCH)
		batches++;
	vio_network_deliver_end(&source->null.network);
	if (batches == BATCHES_MAX)
		vio_loop_defer(source->null.loop, &source->again);
}

static void source_again(struct vio_task *task)
{
	source_pour(VIO_CONTAINER_OF(task, struct source, again));
}

static void source_ready(struct vio_network *network, uint16_t pair)
{
	(void)pair;
	source_pour(source_of(network));
}

static void source_configure(struct vio_network *network, unsigned offloads, uint16_t pairs)
{
	struct source *source = source_of(network);

	(void)offloads;
	if (pairs)
		vio_loop_defer(source->null.loop, &source->again);
	else
		vio_loop_cancel(source->null.loop, &source->again);
}

static void source_close(struct vio_network *network)
{
	vio_loop_cancel(source_of(network)->null.loop, &source_of(network)->again);
	null_close(network);
}

static const struct vio_network_ops source_ops = {
	.send = null_send,
	.send_many = null_send_many,
	.ready = source_ready,
	.configure = source_configure,
	.arm = null_arm,
	.drain = vio_network_drain_nothing,
	.close = source_close,
};

/* Frames of a type that is for experiments, so that nobody takes them for anything. */
static int source_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		       struct vio_network **network, struct vio_message *message)
{
	static const uint8_t head[VIO_FRAME_BYTES_LEAST] = { 0x52, 0x54, 0, 0, 0, 1,    0x52,
							     0x54, 0,    0, 0, 2, 0x88, 0xb5 };
	int error = open_as(sizeof(struct source), loop, &source_ops, network, message);
	struct source *source;

	(void)pairs;
	if (error)
		return error;
	source = source_of(*network);
	source->again.run = source_again;
	memcpy(source->bytes, head, sizeof(head));
	source->span = (struct vio_span){ source->bytes, options->frame_bytes };
	for (unsigned i = 0; i < BATCH; i++)
		source->frames[i] = (struct vio_frame){ .spans = &source->span,
							.span_count = 1,
							.length = options->frame_bytes };
	return 0;
}

const struct vio_network_kind vio_network_source = { .name = "source", .open = source_open };
