/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/drivers/net.h>
#include <vireo/vhost_user_frontend.h>

/*
 *   net-client SOCKET PAIRS
 *
 * Our network driver and a back end that sends every frame back: frames of all lengths through each pair of
 * queues, a few at a time, every byte of them compared, and a second life. Says how many it was.
 */

#define FRAMES_PER_LIFE 2000u
#define IN_FLIGHT       8u
#define HEADER_BYTES    14u
#define LENGTH_LEAST    60u
#define LENGTH_MOST     1514u
#define TIMEOUT_NS      UINT64_C(5000000000)

struct client {
	struct vio_dev dev;
	struct vio_net net;
	struct vio_net_io ios[IN_FLIGHT];
	struct vio_part parts[IN_FLIGHT];
	uint8_t frames[IN_FLIGHT][LENGTH_MOST];
	uint8_t seen[FRAMES_PER_LIFE];
	uint32_t received, done;
	const char *wrong;
};

static uint32_t length_of(uint32_t number)
{
	return LENGTH_LEAST + number * 37u % (LENGTH_MOST - LENGTH_LEAST + 1);
}

/* Addresses, a type that is nobody's, the frame's number, then bytes that follow from it. */
static void fill(uint8_t *frame, uint32_t number, const uint8_t *from)
{
	static const uint8_t to[6] = { 0x52, 0x54, 0, 0, 0, 2 };
	uint32_t i;

	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + HEADER_BYTES, &number, sizeof(number));
	for (i = HEADER_BYTES + sizeof(number); i < length_of(number); i++)
		frame[i] = (uint8_t)(number * 7u + i);
}

static void received(struct vio_dev *dev, struct vio_net_frame *frame)
{
	struct client *client = dev->owner;
	uint8_t expected[LENGTH_MOST], address[6];
	uint32_t number = FRAMES_PER_LIFE;

	if (frame->length >= LENGTH_LEAST)
		memcpy(&number, frame->data + HEADER_BYTES, sizeof(number));
	if (number >= FRAMES_PER_LIFE || frame->length != length_of(number)) {
		client->wrong = "a frame of a length that none had";
	} else {
		fill(expected, number, client->net.mac);
		memcpy(address, expected, 6);
		memcpy(expected, expected + 6, 6);
		memcpy(expected + 6, address, 6);
		if (memcmp(expected, frame->data, frame->length) || client->seen[number]++)
			client->wrong = "a frame that isn't what was sent";
		client->received++;
	}
	vio_net_give_back(dev, frame);
}

static void done(struct vio_dev *dev, struct vio_net_io *io)
{
	struct client *client = dev->owner;

	if (io->result)
		client->wrong = "a frame wasn't sent";
	client->done++;
}

static int send_next(struct client *client, uint32_t number, uint16_t pairs)
{
	unsigned slot = number % IN_FLIGHT;
	struct vio_net_io *io = &client->ios[slot];

	fill(client->frames[slot], number, client->net.mac);
	client->parts[slot] = (struct vio_part){ client->frames[slot], length_of(number) };
	memset(io, 0, sizeof(*io));
	io->parts = &client->parts[slot];
	io->part_count = 1;
	io->pair = (uint16_t)(number % pairs);
	io->done = done;
	return vio_net_submit(&client->dev, io);
}

/* Frames go out while fewer than IN_FLIGHT of them are on their way. */
static int live(struct client *client, uint16_t pairs)
{
	const struct vio_platform *platform = client->dev.platform;
	uint64_t until = platform->now_ns(platform->context) + 10 * TIMEOUT_NS;
	uint32_t sent = 0;
	int error = pairs > 1 ? vio_net_set_pairs(&client->dev, pairs) : 0;

	client->received = client->done = 0;
	memset(client->seen, 0, sizeof(client->seen));
	while (!error && !client->wrong && (client->received < FRAMES_PER_LIFE || client->done < sent)) {
		uint32_t behind = client->received < client->done ? client->received : client->done;

		if (platform->now_ns(platform->context) > until)
			return -VIO_EAGAIN;
		if (sent < FRAMES_PER_LIFE && sent - behind < IN_FLIGHT &&
		    !client->ios[sent % IN_FLIGHT].busy)
			error = send_next(client, sent++, pairs);
		else
			platform->wait(platform->context, TIMEOUT_NS / 50);
		if (!error)
			error = vio_net_poll(&client->dev);
	}
	return error;
}

static int drive(struct client *client, uint16_t pairs)
{
	int error;

	client->dev.owner = client;
	client->net.received = received;
	error = live(client, pairs);
	if (!error)
		error = vio_net_stop(&client->dev);
	if (!error)
		error = vio_net_init(&client->dev);
	return error ? error : live(client, pairs);
}

static int bind_pairs(struct client *client, uint16_t pairs)
{
	int error = vio_driver_bind(&client->dev, &vio_net_driver,
				    vio_vhost_user_frontend_platform(&client->dev), &client->net);

	if (error || pairs < 2)
		return error;
	client->net.pairs_wanted = pairs;
	error = vio_net_stop(&client->dev);
	return error ? error : vio_net_init(&client->dev);
}

int main(int argc, char **argv)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_NET,
								 .flags = VIO_VHOST_USER_PAIRS };
	struct client *client = calloc(1, sizeof(*client));
	uint16_t pairs = argc == 3 ? (uint16_t)atoi(argv[2]) : 1;
	struct vio_vhost_user_mistake mistake;
	int socket = argc == 3 && client ? vio_vhost_user_frontend_connect(argv[1]) : -1, error;

	if (socket < 0 || vio_vhost_user_frontend_open(socket, &options, &client->dev, &mistake)) {
		fprintf(stderr, "net-client: no back end\n");
		free(client);
		return 1;
	}
	error = bind_pairs(client, pairs);
	if (!error)
		error = drive(client, pairs);
	if (error || client->wrong)
		fprintf(stderr, "net-client: %s (%s)\n", client->wrong ? client->wrong : vio_strerror(error),
			vio_vhost_user_frontend_mistake(&client->dev));
	else
		printf("%u pairs of %u, %u frames\n", pairs, client->net.pairs, 2 * FRAMES_PER_LIFE);
	error = vio_dev_close(&client->dev) || error || client->wrong;
	free(client);
	return error;
}
