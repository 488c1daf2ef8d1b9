/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/console/console.h"

/*
 * Control messages of a device with VIRTIO_CONSOLE_F_MULTIPORT. A message is taken from the device only
 * when there is room for every answer to it: none is lost, and a device that floods us waits for itself.
 */

#define HEAD_BYTES  sizeof(struct virtio_console_control)
#define BYTES_MAX   (HEAD_BYTES + VIO_CONSOLE_NAME_MAX)
#define ANSWERS_MAX 2u /* to one message */
#define PORT        0u

VIO_STATIC_ASSERT(sizeof(struct virtio_console_control) == 8, "a control message has holes");
VIO_STATIC_ASSERT(offsetof(struct vio_console_message, rest) == HEAD_BYTES, "what follows has to follow");

/* Shares a message and adds it; nothing happens when that fails. spec: DRV-CON-001 DRV-CON-002 DRV-CON-008 */
static bool lend(struct vio_dev *dev, struct vio_drvq *q, struct vio_console_message *message,
		 uint32_t length, unsigned rights)
{
	const struct vio_platform *platform = dev->platform;
	struct vio_sg sg = { .length = length };
	bool writable = rights == VIO_MEM_WRITE;

	if (platform->share(platform->context, message, length, rights, &sg.addr))
		return false;
	if (vio_drvq_add(q, &sg, !writable, writable, message)) {
		platform->unshare(platform->context, message, length, rights, sg.addr);
		return false;
	}
	message->addr = sg.addr;
	message->lent = true;
	return true;
}

static void unshare(struct vio_dev *dev, struct vio_console_message *message, uint32_t length,
		    unsigned rights)
{
	dev->platform->unshare(dev->platform->context, message, length, rights, message->addr);
	message->lent = false;
}

void vio_console_lend_messages(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);
	unsigned i;

	for (i = 0; i < VIO_CONSOLE_MESSAGES; i++)
		if (!console->incoming[i].lent)
			lend(dev, console->control_receive, &console->incoming[i], BYTES_MAX, VIO_MEM_WRITE);
	vio_drvq_kick(console->control_receive);
}

void vio_console_reclaim_messages(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);
	unsigned i;

	for (i = 0; i < VIO_CONSOLE_MESSAGES; i++) {
		if (console->incoming[i].lent)
			unshare(dev, &console->incoming[i], BYTES_MAX, VIO_MEM_WRITE);
		if (console->outgoing[i].lent)
			unshare(dev, &console->outgoing[i], HEAD_BYTES, VIO_MEM_READ);
	}
}

/* Takes back what the device has read. spec: DRV-CON-007, as how much it says is of no interest */
static void take_outgoing(struct vio_dev *dev)
{
	struct vio_console_message *message;

	while ((message = vio_drvq_get(vio_console_of(dev)->control_transmit, NULL)))
		unshare(dev, message, HEAD_BYTES, VIO_MEM_READ);
}

static struct vio_console_message *free_outgoing(struct vio_console *console)
{
	unsigned i;

	for (i = 0; i < VIO_CONSOLE_MESSAGES; i++)
		if (!console->outgoing[i].lent)
			return &console->outgoing[i];
	return NULL;
}

static bool room_for_answers(const struct vio_console *console)
{
	unsigned i, room = 0;

	for (i = 0; i < VIO_CONSOLE_MESSAGES; i++)
		room += !console->outgoing[i].lent;
	return room >= ANSWERS_MAX && (console->control_transmit->free_count >= ANSWERS_MAX ||
				       !console->control_transmit->in_flight);
}

static void send(struct vio_dev *dev, uint32_t port, uint16_t event, uint16_t value)
{
	struct vio_console *console = vio_console_of(dev);
	struct vio_console_message *message = free_outgoing(console);

	if (!message)
		return;
	message->control = (struct virtio_console_control){
		.id = vio_le32_make(port),
		.event = vio_le16_make(event),
		.value = vio_le16_make(value),
	};
	if (lend(dev, console->control_transmit, message, HEAD_BYTES, VIO_MEM_READ))
		vio_drvq_kick(console->control_transmit);
}

void vio_console_greet(struct vio_dev *dev)
{
	send(dev, PORT, VIRTIO_CONSOLE_DEVICE_READY, 1); /* spec: DRV-CON-003 */
}

static void add_port(struct vio_dev *dev)
{
	vio_console_of(dev)->present = true;
	send(dev, PORT, VIRTIO_CONSOLE_PORT_READY, 1);
	send(dev, PORT, VIRTIO_CONSOLE_PORT_OPEN, 1); /* it is, whether or not it will be a console */
}

static void remove_port(struct vio_console *console)
{
	console->present = false;
	console->device_open = false;
	console->is_console = false;
	console->name[0] = 0;
}

/* hostile: B57: a name ends where the message does, and that isn't longer than what was lent. */
static void rename_port(struct vio_console *console, const struct vio_console_message *message,
			uint32_t length)
{
	uint32_t rest = length - (uint32_t)HEAD_BYTES;

	memcpy(console->name, message->rest, rest);
	console->name[rest] = 0;
}

static bool resize(struct vio_console *console, const struct vio_console_message *message, uint32_t length)
{
	struct virtio_console_resize size;

	if (length < HEAD_BYTES + sizeof(size))
		return false;
	memcpy(&size, message->rest, sizeof(size));
	console->cols = vio_le16_get(size.cols);
	console->rows = vio_le16_get(size.rows);
	return true;
}

/* A message about port 0 while there is one; false when it makes no sense. */
static bool handle_present(struct vio_dev *dev, const struct vio_console_message *message, uint32_t length)
{
	struct vio_console *console = vio_console_of(dev);
	uint16_t value = vio_le16_get(message->control.value);

	switch (vio_le16_get(message->control.event)) {
	case VIRTIO_CONSOLE_DEVICE_REMOVE:
		remove_port(console);
		return true;
	case VIRTIO_CONSOLE_CONSOLE_PORT: /* spec: DRV-CON-004 DRV-CON-005 DRV-CON-006 */
		console->is_console = true;
		send(dev, PORT, VIRTIO_CONSOLE_PORT_OPEN, 1);
		return true;
	case VIRTIO_CONSOLE_RESIZE:
		return resize(console, message, length);
	case VIRTIO_CONSOLE_PORT_OPEN:
		console->device_open = value == 1;
		return value <= 1;
	case VIRTIO_CONSOLE_PORT_NAME:
		rename_port(console, message, length);
		return true;
	default: /* DEVICE_ADD, too: there is one */
		return false;
	}
}

/* hostile: B11 B57; false when the message makes no sense. */
static bool handle(struct vio_dev *dev, const struct vio_console_message *message, uint32_t length)
{
	struct vio_console *console = vio_console_of(dev);
	uint32_t port = vio_le32_get(message->control.id);
	bool added = vio_le16_get(message->control.event) == VIRTIO_CONSOLE_DEVICE_ADD;

	if (length < HEAD_BYTES || port >= console->ports_max)
		return false;
	if (port != PORT) { /* none that we serve, and the device has to be told */
		if (added)
			send(dev, port, VIRTIO_CONSOLE_PORT_READY, 0);
		return true;
	}
	if (console->present)
		return handle_present(dev, message, length);
	if (added)
		add_port(dev);
	return added;
}

void vio_console_take_messages(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);
	struct vio_console_message *message;
	uint32_t length;
	bool any = false;

	take_outgoing(dev);
	/* Ends, as what is lent again isn't shown to the device before the end of it. */
	while (room_for_answers(console) && (message = vio_drvq_get(console->control_receive, &length))) {
		unshare(dev, message, BYTES_MAX, VIO_MEM_WRITE);
		if (!handle(dev, message, length))
			console->ignored++;
		any = true;
	}
	if (!any)
		return;
	vio_console_lend_messages(dev);
	if (console->changed)
		console->changed(dev);
}
