/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/client.h>

/*
 *	client-port SOCKET PAIRS FRAMES
 *
 * Sends frames to a back end that sends each back, by every pair in turn, some from memory that it sees and
 * some from elsewhere; takes them in, holds each against what was sent, and counts.
 */
#define DEPTH   64u
#define HEADER  14u
#define LONGEST 1514u
#define WAIT_MS 10000

struct port {
	struct vio_client *client;
	struct vio_client_info info;
	uint8_t *memory; /* DEPTH frames that the back end sees */
	uint64_t sent, completed, received;
	uint8_t *seen; /* of each frame, how often */
};

static int fail(const char *what, unsigned long long value)
{
	fprintf(stderr, "client-port: %s: %llu\n", what, value);
	exit(1);
}

static uint32_t length_of(uint64_t number)
{
	return HEADER + 8 + (uint32_t)(number * 37 % (LONGEST - HEADER - 7));
}

static void fill(uint8_t *frame, uint64_t number)
{
	memset(frame, (int)(number & 0xff), length_of(number));
	memset(frame, 0x52, 12);
	memcpy(frame + 12, "\x88\xb5", 2); /* for experiments */
	memcpy(frame + HEADER, &number, sizeof(number));
}

static void send_some(struct port *port, struct vio_client_queue *queue, uint64_t until)
{
	struct vio_client_request requests[DEPTH];
	struct vio_part parts[DEPTH];
	static uint8_t own[DEPTH][LONGEST];
	unsigned count = 0;
	int taken;

	/* Frames in flight have a place each, as what is sent isn't acknowledged before it has come back. */
	while (count < DEPTH / 2 && port->sent + count < until &&
	       port->sent + count - port->received < DEPTH / 2) {
		uint64_t number = port->sent + count;
		uint8_t *frame = number % 3 ? port->memory + number % DEPTH * LONGEST : own[number % DEPTH];

		fill(frame, number);
		/* In one piece or in two. */
		parts[count] = (struct vio_part){ frame, length_of(number) };
		requests[count] = (struct vio_client_request){
			.op = VIO_CLIENT_SEND, .parts = &parts[count], .part_count = 1, .user_data = number
		};
		count++;
	}
	if (!count)
		return;
	taken = vio_client_submit(queue, requests, count);
	if (taken > 0)
		port->sent += (unsigned)taken;
	else if (taken != -VIO_ENOSPC)
		fail(vio_strerror(taken), (unsigned)-taken);
}

/* What came by a pair: how much. */
static unsigned take(struct port *port, struct vio_client_queue *queue)
{
	struct vio_client_frame frames[DEPTH];
	struct vio_client_completion done[DEPTH];
	uint8_t expected[LONGEST];
	int sent = vio_client_poll(queue, done, DEPTH);
	int count = vio_client_receive(queue, frames, DEPTH);

	if (sent < 0 || count < 0)
		fail("nothing comes any more, code", (unsigned)(sent < 0 ? -sent : -count));
	for (int i = 0; i < sent; i++)
		if (done[i].result)
			fail("a frame wasn't sent, code", (unsigned)-done[i].result);
	port->completed += (unsigned)sent;
	for (int i = 0; i < count; i++, port->received++) {
		uint64_t number;

		memcpy(&number, frames[i].data + HEADER, sizeof(number));
		fill(expected, number);
		if (number >= port->sent || frames[i].length != length_of(number) ||
		    memcmp(frames[i].data, expected, frames[i].length))
			fail("another frame came back than was sent, number", number);
		if (port->seen[number]++)
			fail("a frame came back twice, number", number);
	}
	vio_client_give_back(queue, frames, (unsigned)count);
	return (unsigned)(sent + count);
}

/* By all pairs, until there was something. */
static void take_some(struct port *port)
{
	struct pollfd pollfds[VIO_CLIENT_QUEUES_MAX];
	unsigned found = 0;

	for (unsigned tries = 0; !found; tries++) {
		unsigned armed = 0;

		for (uint16_t i = 0; i < port->info.queue_count; i++)
			found += take(port, vio_client_get_queue(port->client, i));
		for (uint16_t i = 0; i < port->info.queue_count && !found; i++) {
			struct vio_client_queue *queue = vio_client_get_queue(port->client, i);

			pollfds[i] = (struct pollfd){ vio_client_queue_fd(queue), POLLIN, 0 };
			armed += vio_client_arm(queue);
		}
		if (!found && armed == port->info.queue_count && !poll(pollfds, armed, WAIT_MS))
			fail("no frame comes back, of", port->sent);
	}
}

static void refuse(struct vio_client_queue *queue)
{
	uint8_t bytes[LONGEST + 1] = { 0 };
	struct vio_part part = { bytes, sizeof(bytes) };
	struct vio_client_request request = { .op = VIO_CLIENT_SEND, .parts = &part, .part_count = 1 };

	if (vio_client_submit(queue, &request, 1) != -VIO_ERANGE)
		fail("a frame that is too long was taken", part.length);
	part.length = HEADER - 1;
	if (vio_client_submit(queue, &request, 1) != -VIO_EINVAL)
		fail("a frame that is too short was taken", part.length);
	request.op = VIO_CLIENT_READ;
	if (vio_client_submit(queue, &request, 1) != -VIO_EINVAL)
		fail("a port was read like a disk", request.op);
}

int main(int argc, char **argv)
{
	struct vio_client_options options = { .depth = DEPTH };
	struct vio_message message;
	struct port port = { 0 };
	uint64_t frames, all = 0;

	if (argc != 4)
		return fail("give SOCKET PAIRS FRAMES, and no so many words", (unsigned)argc - 1);
	options.path = argv[1];
	options.queue_count = (uint16_t)atoi(argv[2]);
	frames = strtoull(argv[3], NULL, 10);
	if (vio_client_open_port(&options, &port.client, &message)) {
		fprintf(stderr, "client-port: %s\n", message.text);
		return 1;
	}
	vio_client_get_info(port.client, &port.info);
	port.memory = vio_client_alloc(port.client, (size_t)DEPTH * LONGEST);
	port.seen = calloc(frames, 1);
	if (!port.memory || !port.seen)
		return fail("no memory for frames", frames);
	for (uint16_t i = 0; i < port.info.queue_count; i++) {
		struct vio_client_queue *queue = vio_client_get_queue(port.client, i);

		refuse(queue);
		port.sent = port.received = port.completed = 0;
		memset(port.seen, 0, frames);
		while (port.received < frames || port.completed < frames) {
			send_some(&port, queue, frames);
			take_some(&port);
		}
		all += port.received;
	}
	printf("%u pairs, mac %02x:%02x, mtu %u, link %s: %llu frames\n", port.info.queue_count,
	       port.info.port.mac[0], port.info.port.mac[5], port.info.port.mtu,
	       port.info.port.link_up ? "up" : "down", (unsigned long long)all);
	vio_client_close(port.client);
	free(port.seen);
	return 0;
}
