/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/daemon.h>
#include <vireo/spec/virtio_console.h>
#include <vireo/spec/virtio_ids.h>

/* A console that somebody serves: it greets, and answers in capitals. */

#define ROOM 65536u

struct echo {
	char text[ROOM]; /* to be said */
	uint32_t first, count;
};

static void put(struct echo *echo, char byte)
{
	if (echo->count < ROOM)
		echo->text[(echo->first + echo->count++) % ROOM] = byte;
}

static void listen_to(struct echo *echo, struct vio_devq *q)
{
	struct vio_buf buf;
	char byte;

	while (echo->count < ROOM / 2 && vio_devq_pop(q, &buf)) {
		while (vio_read(&buf, &byte, 1) == 1)
			put(echo, byte >= 'a' && byte <= 'z' ? (char)(byte - 32) : byte);
		vio_devq_push(q, &buf, 0);
	}
	vio_devq_notify(q);
}

static void speak(struct echo *echo, struct vio_devq *q)
{
	struct vio_buf buf;

	while (echo->count && vio_devq_pop(q, &buf)) {
		uint32_t written = 0;

		while (echo->count && vio_write(&buf, &echo->text[echo->first], 1) == 1) {
			echo->first = (echo->first + 1) % ROOM;
			echo->count--;
			written++;
		}
		vio_devq_push(q, &buf, written);
	}
	vio_devq_notify(q);
}

static void kick(struct vio_device *device, struct vio_devq *q)
{
	struct echo *echo = vio_device_state(device);

	listen_to(echo, &device->queues[VIRTIO_CONSOLE_TRANSMITQ]);
	speak(echo, &device->queues[VIRTIO_CONSOLE_RECEIVEQ]);
	listen_to(echo, &device->queues[VIRTIO_CONSOLE_TRANSMITQ]);
}

static void reset(struct vio_device *device)
{
	struct echo *echo = vio_device_state(device);

	memset(echo, 0, sizeof(*echo));
	for (const char *at = "hello\r\n"; *at; at++)
		put(echo, *at);
}

static int realize(struct vio_device *device)
{
	reset(device);
	return 0;
}

static void get_features(struct vio_device *device, struct vio_features *offer)
{
	vio_features_set(offer, VIRTIO_CONSOLE_F_SIZE);
}

static void get_config(struct vio_device *device, void *config)
{
	const struct virtio_console_config wire = { .cols = vio_le16_make(132), .rows = vio_le16_make(43) };

	memcpy(config, &wire, sizeof(wire));
}

static const struct vio_device_class echo_class = {
	.name = "console",
	.summary = "answers in capitals",
	.id = VIRTIO_ID_CONSOLE,
	.queue_count = 2,
	.queue_size = 64,
	.state_bytes = sizeof(struct echo),
	.config_bytes = sizeof(struct virtio_console_config),
	.realize = realize,
	.reset = reset,
	.get_features = get_features,
	.get_config = get_config,
	.kick = kick,
};

static const struct vio_daemon_type echo_daemon = { .class = &echo_class };

int main(int argc, char **argv)
{
	return vio_daemon_main(&echo_daemon, argc, argv);
}
