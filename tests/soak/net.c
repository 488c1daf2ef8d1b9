/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vireo/drivers/net.h>
#include <vireo/vhost_user_frontend.h>

/*
 *   soak-net SOCKET SOCKET MILLISECONDS RATE WAY
 *
 * Two ports of a hub send each other frames of all lengths, RATE a second each, for so long; every byte of
 * what arrives is compared. WAY is "leave", or "drop": gone in the middle. Prints how many arrived.
 */

#define FRAMES 16u
#define HEADER 14u
#define LEAST  60u
#define MOST   1514u
#define MS     UINT64_C(1000000)

struct port {
	struct vio_dev dev;
	struct vio_net net;
	struct vio_net_io ios[FRAMES];
	struct vio_part parts[FRAMES];
	uint8_t frames[FRAMES][MOST];
	struct port *other;
	uint64_t sent, received;
	bool open;
	const char *wrong;
};

static uint32_t length_of(uint32_t number)
{
	return LEAST + number * 37u % (MOST - LEAST + 1);
}

static void fill(uint8_t *frame, uint32_t number, const struct port *from)
{
	memcpy(frame, from->other->net.mac, 6);
	memcpy(frame + 6, from->net.mac, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + HEADER, &number, sizeof(number));
	for (uint32_t i = HEADER + sizeof(number); i < length_of(number); i++)
		frame[i] = (uint8_t)(number * 7u + i);
}

static void received(struct vio_dev *dev, struct vio_net_frame *frame)
{
	struct port *port = dev->owner;
	uint8_t expected[MOST];
	uint32_t number = 0;

	if (frame->length >= LEAST)
		memcpy(&number, frame->data + HEADER, sizeof(number));
	fill(expected, number, port->other);
	if (frame->length != length_of(number) || memcmp(expected, frame->data, frame->length))
		port->wrong = "a frame that isn't what was sent";
	port->received++;
	vio_net_give_back(dev, frame);
}

static int open_port(struct port *port, const char *path, struct port *other)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_NET,
								 .flags = VIO_VHOST_USER_PAIRS };
	struct vio_vhost_user_mistake mistake = { "" };
	int socket = vio_vhost_user_frontend_connect(path), error = socket;

	port->other = other;
	if (socket >= 0)
		error = vio_vhost_user_frontend_open(socket, &options, &port->dev, &mistake);
	if (error) {
		fprintf(stderr, "soak-net: %s: no back end: %s\n", path, mistake.text);
		return error;
	}
	port->open = true;
	error = vio_driver_bind(&port->dev, &vio_net_driver, vio_vhost_user_frontend_platform(&port->dev),
				&port->net);
	port->dev.owner = port;
	port->net.received = received;
	return error;
}

static int send_next(struct port *port)
{
	unsigned slot = (unsigned)(port->sent % FRAMES);

	if (port->ios[slot].busy)
		return 0;
	fill(port->frames[slot], (uint32_t)port->sent, port);
	port->parts[slot] = (struct vio_part){ port->frames[slot], length_of((uint32_t)port->sent) };
	memset(&port->ios[slot], 0, sizeof(port->ios[slot]));
	port->ios[slot].parts = &port->parts[slot];
	port->ios[slot].part_count = 1;
	port->sent++;
	return vio_net_submit(&port->dev, &port->ios[slot]);
}

static int work(struct port *ports, uint64_t for_ns, uint64_t rate)
{
	const struct vio_platform *platform = ports[0].dev.platform;
	uint64_t begun = platform->now_ns(platform->context), now = begun;
	int error = 0;

	while (!error && now - begun < for_ns && !ports[0].wrong && !ports[1].wrong) {
		uint64_t due = (now - begun) * rate / (1000 * MS) + 1;

		for (unsigned i = 0; i < 2 && !error; i++) {
			for (unsigned burst = 0; burst < FRAMES && ports[i].sent < due && !error; burst++)
				error = send_next(&ports[i]);
			if (!error)
				error = vio_net_poll(&ports[i].dev);
		}
		usleep(2000);
		now = platform->now_ns(platform->context);
	}
	return error;
}

int main(int argc, char **argv)
{
	struct port *ports = calloc(2, sizeof(*ports));
	int error = 2;

	if (argc == 6 && ports)
		error = open_port(&ports[0], argv[1], &ports[1]);
	if (!error)
		error = open_port(&ports[1], argv[2], &ports[0]);
	if (!error)
		error = work(ports, strtoull(argv[3], NULL, 10) * MS, strtoull(argv[4], NULL, 10));
	if (error)
		fprintf(stderr, "soak-net: %s\n", vio_strerror(error));
	else
		printf("%" PRIu64 "\n", ports[0].received + ports[1].received);
	for (unsigned i = 0; i < 2 && ports; i++) {
		if (ports[i].wrong)
			fprintf(stderr, "soak-net: %s\n", ports[i].wrong);
		error = error || ports[i].wrong;
	}
	fflush(stdout);
	if (!error && !strcmp(argv[5], "drop"))
		_exit(0);
	for (unsigned i = 0; i < 2 && ports; i++)
		if (ports[i].open && vio_dev_close(&ports[i].dev))
			error = 1;
	free(ports);
	return error ? 1 : 0;
}
