/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/console_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static uint32_t least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

static void talk(struct console_device *console, struct vio_devq *q)
{
	struct vio_buf buf;

	while ((console->empty || console->input_sent < console->input_bytes) && vio_devq_pop(q, &buf)) {
		uint32_t length = least(console->input_bytes - console->input_sent, buf.writable_bytes);

		console->wrong += buf.readable_bytes != 0; /* spec: DRV-CON-001 */
		if (console->piece)
			length = least(length, console->piece);
		if (console->empty) {
			console->empty--;
			length = 0;
		}
		vio_write(&buf, console->input + console->input_sent, length);
		console->input_sent += length;
		vio_devq_push(q, &buf, length);
	}
}

static void listen(struct console_device *console, struct vio_devq *q)
{
	struct vio_buf buf;

	while (!console->deaf && vio_devq_pop(q, &buf)) {
		uint32_t room = CONSOLE_BYTES - console->output_bytes;

		console->wrong += buf.writable_bytes != 0; /* spec: DRV-CON-002 */
		console->output_bytes +=
			(uint32_t)vio_read(&buf, console->output + console->output_bytes, room);
		vio_devq_push(q, &buf, 0);
	}
}

static void talk_control(struct console_device *console, struct vio_devq *q)
{
	struct vio_buf buf;

	while (console->message_sent < console->message_count && vio_devq_pop(q, &buf)) {
		const struct console_message *message = &console->messages[console->message_sent++];
		uint32_t length = 8 + message->rest_bytes - message->cut;

		console->wrong += buf.readable_bytes != 0 || buf.writable_count != 1; /* spec: DRV-CON-008 */
		vio_devq_push(q, &buf, (uint32_t)vio_write(&buf, message, length));
	}
}

static void listen_control(struct console_device *console, struct vio_devq *q)
{
	struct vio_buf buf;

	while (!console->deaf && vio_devq_pop(q, &buf)) {
		assert_true(console->heard_count < CONSOLE_MESSAGES);
		console->wrong += buf.writable_bytes != 0 || buf.readable_count != 1; /* spec: DRV-CON-008 */
		assert_int_equal(vio_read(&buf, &console->heard[console->heard_count++], 8), 8);
		vio_devq_push(q, &buf, 0);
	}
}

static void kick(struct vio_device *dev, struct vio_devq *q)
{
	static void (*const serve[])(struct console_device *, struct vio_devq *) = {
		talk,
		listen,
		talk_control,
		listen_control,
	};

	if (q->index < VIO_ARRAY_SIZE(serve))
		serve[q->index](vio_device_state(dev), q);
	vio_devq_notify(q);
}

static int realize(struct vio_device *dev)
{
	const struct console_device *console = vio_device_state(dev);
	bool multiport = console->features >> VIRTIO_CONSOLE_F_MULTIPORT & 1;

	dev->queue_count = console->queues ? console->queues : multiport ? 4 : 2;
	return 0;
}

static void get_features(struct vio_device *dev, struct vio_features *offer)
{
	const struct console_device *console = vio_device_state(dev);

	*offer = vio_features_or(*offer, vio_features_low(console->features));
}

static void get_config(struct vio_device *dev, void *config)
{
	const struct console_device *console = vio_device_state(dev);
	const struct virtio_console_config wire = {
		.cols = vio_le16_make(console->cols),
		.rows = vio_le16_make(console->rows),
		.max_nr_ports = vio_le32_make(console->ports),
	};

	memcpy(config, &wire, sizeof(wire));
}

static void set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	struct console_device *console = vio_device_state(dev);
	struct virtio_console_config wire;

	memcpy(&wire, config, sizeof(wire));
	if (offset == offsetof(struct virtio_console_config, emerg_wr))
		console->emergency = vio_le32_get(wire.emerg_wr);
}

const struct vio_device_class console_device_class = {
	.name = "console",
	.summary = "does what a test says",
	.id = VIRTIO_ID_CONSOLE,
	.queue_count = 4,
	.queue_size = 64,
	.state_bytes = sizeof(struct console_device),
	.config_bytes = sizeof(struct virtio_console_config),
	.realize = realize,
	.get_features = get_features,
	.get_config = get_config,
	.set_config = set_config,
	.kick = kick,
};

void console_device_say(struct vio_device *device, const void *bytes, uint32_t length)
{
	struct console_device *console = console_device_of(device);

	assert_true(length <= CONSOLE_BYTES - console->input_bytes);
	memcpy(console->input + console->input_bytes, bytes, length);
	console->input_bytes += length;
	vio_device_kick(device, VIRTIO_CONSOLE_RECEIVEQ);
}

void console_device_control(struct vio_device *device, uint32_t port, uint16_t event, uint16_t value,
			    const void *rest, uint32_t length)
{
	struct console_device *console = console_device_of(device);
	struct console_message *message;

	assert_true(console->message_count < CONSOLE_MESSAGES);
	message = &console->messages[console->message_count++];
	assert_true(length <= sizeof(message->rest));
	message->control = (struct virtio_console_control){
		.id = vio_le32_make(port),
		.event = vio_le16_make(event),
		.value = vio_le16_make(value),
	};
	if (length)
		memcpy(message->rest, rest, length);
	message->rest_bytes = length;
	vio_device_kick(device, VIRTIO_CONSOLE_CONTROL_RECEIVEQ);
}
