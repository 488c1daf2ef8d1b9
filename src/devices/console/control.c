/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/console/console.h"

/* The control queues of a device with several ports. */

VIO_STATIC_ASSERT(sizeof(struct virtio_console_control) == 8, "a control message has holes");

/* Room for every message but a long name. */
#define MESSAGE_LEAST (sizeof(struct virtio_console_control) + sizeof(struct virtio_console_resize))

/* spec: BOTH-CON-002: as a legacy driver is little-endian where there can be one */
struct message {
	struct virtio_console_control control;
	uint8_t rest[VIO_CONSOLE_PORT_NAME_BYTES];
	uint32_t bytes;
};

static void make(struct message *message, uint32_t port, uint16_t event, uint16_t value)
{
	message->control = (struct virtio_console_control){
		.id = vio_le32_make(port),
		.event = vio_le16_make(event),
		.value = vio_le16_make(value),
	};
	message->bytes = sizeof(message->control);
}

static void append(struct message *message, const void *from, uint32_t length)
{
	memcpy(message->rest, from, length);
	message->bytes += length;
}

static void make_resize(struct message *message, const struct console *console,
			const struct console_port *port, uint32_t number)
{
	bool swapped = console->resize_order;
	const struct virtio_console_resize size = {
		.cols = vio_le16_make(swapped ? port->rows : port->cols),
		.rows = vio_le16_make(swapped ? port->cols : port->rows),
	};

	make(message, number, VIRTIO_CONSOLE_RESIZE, 0);
	append(message, &size, sizeof(size));
}

/* What a port that is ready has to hear next. */
static void make_due(struct message *message, const struct console *console, struct console_port *port,
		     uint32_t number)
{
	struct console_driver *driver = &port->driver;

	if (driver->due & CONSOLE_DUE_CONSOLE) {
		make(message, number, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
		driver->due &= (uint8_t)~CONSOLE_DUE_CONSOLE;
	} else if (driver->due & CONSOLE_DUE_RESIZE) {
		make_resize(message, console, port, number);
		driver->due &= (uint8_t)~CONSOLE_DUE_RESIZE;
	} else if (driver->due & CONSOLE_DUE_NAME) {
		make(message, number, VIRTIO_CONSOLE_PORT_NAME, 1);
		append(message, port->name, port->name_bytes);
		driver->due &= (uint8_t)~CONSOLE_DUE_NAME;
	} else {
		driver->told_open = port->terminal->connected;
		make(message, number, VIRTIO_CONSOLE_PORT_OPEN, driver->told_open);
		driver->due &= (uint8_t)~CONSOLE_DUE_OPEN;
	}
}

/* What is due of what can be said: nothing of a console to a port that is none. */
static void settle(const struct console *console, struct console_port *port)
{
	struct console_driver *driver = &port->driver;

	if (!port->is_console)
		driver->due &= (uint8_t) ~(CONSOLE_DUE_CONSOLE | CONSOLE_DUE_RESIZE);
	if (!console->size)
		driver->due &= (uint8_t)~CONSOLE_DUE_RESIZE;
	if (!port->name_bytes)
		driver->due &= (uint8_t)~CONSOLE_DUE_NAME;
	if (driver->told_open == port->terminal->connected)
		driver->due &= (uint8_t)~CONSOLE_DUE_OPEN;
}

/* The next message, which counts as said; false when there is none. */
static bool next(struct console *console, struct message *message)
{
	for (uint32_t i = 0; i < console->max_ports; i++) {
		struct console_port *port = &console->ports[i];
		struct console_driver *driver = &port->driver;

		if (driver->told && !vio_condev_present(port)) { /* spec: DEV-CON-004 */
			make(message, i, VIRTIO_CONSOLE_DEVICE_REMOVE, 1);
			memset(driver, 0, sizeof(*driver));
			return true;
		}
		if (!vio_condev_present(port))
			continue;
		if (!driver->told && console->device_ready) { /* spec: DEV-CON-003 */
			make(message, i, VIRTIO_CONSOLE_DEVICE_ADD, 1);
			driver->told = true;
			return true;
		}
		settle(console, port);
		if (driver->ready && driver->due) {
			make_due(message, console, port, i);
			return true;
		}
	}
	return false;
}

void vio_condev_tell(struct vio_device *dev, struct vio_devq *q)
{
	struct console *console = vio_device_state(dev);
	struct message message;
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		/* hostile: A120; a buffer that can't hold a message is no place for one, and a name is cut */
		if (buf.truncated || buf.writable_bytes < MESSAGE_LEAST) {
			vio_devq_push(q, &buf, 0);
			continue;
		}
		if (!next(console, &message)) {
			vio_devq_unpop(q, &buf);
			break;
		}
		vio_devq_push(q, &buf, (uint32_t)vio_write(&buf, &message, message.bytes));
	}
	vio_devq_notify(q);
}

void vio_condev_tell_all(struct vio_device *dev)
{
	if (vio_condev_multiport(dev))
		vio_device_kick(dev, VIRTIO_CONSOLE_CONTROL_RECEIVEQ);
}

static bool obey_open(struct console_port *port, uint16_t value)
{
	if (value > 1)
		return false;
	port->driver.open = value;
	vio_condev_look(port);
	return true;
}

/* false when the message makes no sense. */
static bool obey(struct console *console, const struct virtio_console_control *control)
{
	uint32_t number = vio_le32_get(control->id);
	uint16_t event = vio_le16_get(control->event);
	uint16_t value = vio_le16_get(control->value);
	struct console_port *port;

	if (event == VIRTIO_CONSOLE_DEVICE_READY) { /* once: ports that it knows aren't added again */
		console->device_ready = console->device_ready || value == 1;
		return value <= 1;
	}
	if (number >= console->max_ports) /* hostile: A120 */
		return false;
	port = &console->ports[number];
	if (!port->driver.told || !vio_condev_present(port)) /* hostile: A120, before or after its time */
		return false;
	switch (event) {
	case VIRTIO_CONSOLE_PORT_READY:
		port->driver.ready = value == 1;
		port->driver.due = value == 1 ? CONSOLE_DUE_ALL : 0;
		return value <= 1;
	case VIRTIO_CONSOLE_PORT_OPEN:
		return obey_open(port, value);
	default:
		return false;
	}
}

void vio_condev_obey(struct vio_device *dev, struct vio_devq *q)
{
	struct console *console = vio_device_state(dev);
	struct virtio_console_control control;
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		bool whole = vio_read(&buf, &control, sizeof(control)) == sizeof(control);

		vio_devq_push(q, &buf, 0);
		if (!whole || !obey(console, &control))
			console->ignored++;
	}
	vio_devq_notify(q);
	vio_condev_tell_all(dev);
}
