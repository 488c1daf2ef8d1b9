/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/console/console.h"

/* Bytes between a port's queues and its terminal. */

uint16_t vio_condev_queue(unsigned port)
{
	return (uint16_t)(port ? 2 * port + 2 : VIRTIO_CONSOLE_RECEIVEQ);
}

/* A truncated buffer's last span doesn't follow the one before it. */
static unsigned whole_spans(const struct vio_buf *buf, unsigned count)
{
	return buf->truncated && count ? count - 1u : count;
}

/* Before 1.0 and with one port there is no opening; a closed port gets nothing. */
static bool takes_input(const struct console_port *port)
{
	return vio_condev_present(port) && (!vio_condev_multiport(port->dev) || port->driver.open);
}

static uint32_t fill(struct vio_terminal *terminal, const struct vio_buf *buf)
{
	unsigned count = whole_spans(buf, buf->writable_count);
	uint32_t filled = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct vio_span *span = &buf->writable[i];
		size_t got;

		if (!span->length)
			continue;
		got = terminal->ops->read(terminal, span->host, span->length);
		filled += (uint32_t)got;
		if (got < span->length)
			break;
	}
	return filled;
}

void vio_condev_receive(struct vio_device *dev, struct console_port *port, struct vio_devq *q)
{
	struct vio_buf buf;

	(void)dev;
	while (takes_input(port) && vio_devq_pop(q, &buf)) {
		uint32_t filled = fill(port->terminal, &buf);

		/* What has no room for a byte goes back at once: hostile: A26 A120 */
		if (!filled && whole_spans(&buf, buf.writable_count) && buf.writable_bytes) {
			vio_devq_unpop(q, &buf);
			break;
		}
		vio_devq_push(q, &buf, filled);
	}
	vio_devq_notify(q);
}

/* Gives the terminal what is left of the buffer; true when it has all of it. */
static bool empty(struct vio_terminal *terminal, struct vio_buf *buf, uint32_t *sent)
{
	unsigned count = whole_spans(buf, buf->readable_count);

	for (unsigned i = 0; i < count; i++) {
		const struct vio_span *span = &buf->readable[i];
		size_t took = terminal->ops->write(terminal, span->host, span->length);

		*sent += (uint32_t)took;
		if (took < span->length)
			return false;
	}
	return true;
}

void vio_condev_transmit(struct vio_device *dev, struct console_port *port, struct vio_devq *q)
{
	struct console *console = vio_device_state(dev);
	struct console_driver *driver = &port->driver;
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		uint16_t index = q->used_next; /* its own, as none is kept */
		uint32_t sent = driver->sent && driver->sent_index == index ? driver->sent : 0;

		driver->sent = 0;
		vio_skip(&buf, sent);
		if (!vio_condev_present(port)) {
			console->lost +=
				buf.readable_bytes; /* a driver mustn't wait for a port that is gone */
		} else if (!empty(port->terminal, &buf, &sent)) {
			vio_devq_unpop(q, &buf); /* the terminal will call */
			driver->sent = sent;
			driver->sent_index = index;
			break;
		}
		vio_devq_push(q, &buf, 0);
	}
	vio_devq_notify(q);
}

void vio_condev_look(struct console_port *port)
{
	const struct console *console = vio_device_state(port->dev);
	uint16_t queue = vio_condev_queue((unsigned)(port - console->ports));

	vio_device_kick(port->dev, queue);
	vio_device_kick(port->dev, (uint16_t)(queue + 1));
}
