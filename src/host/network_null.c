/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "host/network.h"

/* Networks for tests: one that swallows, one that answers with what it hears. Both are done inside send. */

#define MAC_BYTES 6u

struct echo {
	struct vio_network network;
	struct vio_network_clock clock;
	uint8_t bytes[VIO_FRAME_BYTES_MAX];
};

static void null_send(struct vio_network *network, struct vio_network_send *send)
{
	(void)network;
	send->done(send, 0);
}

static void echo_send(struct vio_network *network, struct vio_network_send *send)
{
	struct echo *echo = VIO_CONTAINER_OF(network, struct echo, network);
	struct vio_frame frame = send->frame;
	struct vio_span span = { echo->bytes, frame.length };

	/* Target and source change places. */
	vio_frame_copy(&send->frame, MAC_BYTES, echo->bytes, MAC_BYTES);
	vio_frame_copy(&send->frame, 0, echo->bytes + MAC_BYTES, MAC_BYTES);
	vio_frame_copy(&send->frame, 2 * MAC_BYTES, echo->bytes + 2 * MAC_BYTES,
		       frame.length - 2 * MAC_BYTES);
	frame.spans = &span;
	frame.span_count = 1;
	send->done(send, 0);
	vio_network_deliver(network, &frame);
}

static void echo_arm(struct vio_network *network, uint32_t delay_us)
{
	vio_network_clock_arm(&VIO_CONTAINER_OF(network, struct echo, network)->clock, delay_us);
}

static void echo_close(struct vio_network *network)
{
	struct echo *echo = VIO_CONTAINER_OF(network, struct echo, network);

	vio_network_clock_close(&echo->clock);
	free(echo);
}

static const struct vio_network_ops null_ops = {
	.send = null_send,
	.arm = echo_arm,
	.drain = vio_network_drain_nothing,
	.close = echo_close,
};

static const struct vio_network_ops echo_ops = {
	.send = echo_send,
	.send_end = vio_network_deliver_end,
	.arm = echo_arm,
	.drain = vio_network_drain_nothing,
	.close = echo_close,
};

static int echo_open_as(struct vio_loop *loop, const struct vio_network_ops *ops,
			struct vio_network **network, struct vio_message *message)
{
	struct echo *echo = calloc(1, sizeof(*echo));
	int error;

	if (!echo)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	echo->network.ops = ops;
	echo->network.offloads = VIO_NETWORK_OFFLOADS;
	echo->network.link_up = true;
	error = vio_network_clock_open(&echo->clock, loop, &echo->network);
	if (error) {
		free(echo);
		return vio_fail(message, error, "can't make a timer: %s", vio_strerror(error));
	}
	*network = &echo->network;
	return 0;
}

static int null_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		     struct vio_network **network, struct vio_message *message)
{
	(void)options;
	(void)pairs;
	return echo_open_as(loop, &null_ops, network, message);
}

static int echo_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		     struct vio_network **network, struct vio_message *message)
{
	(void)options;
	(void)pairs;
	return echo_open_as(loop, &echo_ops, network, message);
}

const struct vio_network_kind vio_network_null = { .name = "null", .open = null_open };
const struct vio_network_kind vio_network_echo = { .name = "echo", .open = echo_open };
