/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/console.h>
#include <vireo/spec/virtio_console.h>

#include "device.h"

/*
 * A driver that opens and closes ports, says anything on the control queue and lends buffers of any shape,
 * over terminals that take and have as much as they like, come and go, and change size. Terminals are
 * given the driver's memory only; a port's bytes go through whole and in order; ports that are pulled out
 * hear nothing.
 */
#define PORTS          3u
#define CONTROL_LISTEN 2u /* queues */
#define CONTROL_SAY    3u

struct port {
	struct vio_terminal terminal;
	struct world *world;
	uint32_t typed, room;
};

struct world {
	struct fuzz_input *input;
	struct fuzz_device device;
	struct port ports[PORTS];
	uint32_t unplugged;
};

static unsigned number_of(const struct port *port)
{
	return (unsigned)(port - port->world->ports);
}

static void check_span(const struct port *port, const void *at, size_t length)
{
	FUZZ_CHECK(fuzz_device_lent(&port->world->device, at, length));
	FUZZ_CHECK(!(port->world->unplugged >> number_of(port) & 1));
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t port_read(struct vio_terminal *terminal, void *to, size_t length)
{
	struct port *port = VIO_CONTAINER_OF(terminal, struct port, terminal);

	check_span(port, to, length);
	length = least(length, port->typed);
	memset(to, 't', length);
	port->typed -= (uint32_t)length;
	return length;
}

static size_t port_write(struct vio_terminal *terminal, const void *from, size_t length)
{
	struct port *port = VIO_CONTAINER_OF(terminal, struct port, terminal);

	if (length != 1) /* the emergency write has a byte of its own, and no port is too far for it */
		check_span(port, from, length);
	length = least(length, port->room);
	port->room -= (uint32_t)length;
	return length;
}

static void port_close(struct vio_terminal *terminal)
{
	FUZZ_CHECK(!terminal);
}

static const struct vio_terminal_ops port_ops = { port_read, port_write, port_close };

static void write_control(struct fuzz_device *device, uint8_t *to)
{
	static const uint64_t ports[] = { 0, 1, 2, 3, UINT32_MAX };
	static const uint64_t events[] = { VIRTIO_CONSOLE_DEVICE_READY,
					   VIRTIO_CONSOLE_PORT_READY,
					   VIRTIO_CONSOLE_PORT_OPEN,
					   VIRTIO_CONSOLE_DEVICE_ADD,
					   VIRTIO_CONSOLE_RESIZE,
					   8,
					   UINT16_MAX };
	static const uint64_t values[] = { 1, 0, 2, UINT16_MAX };
	struct virtio_console_control control = {
		.id = vio_le32_make((uint32_t)fuzz_choose(device->input, ports, VIO_ARRAY_SIZE(ports))),
		.event = vio_le16_make((uint16_t)fuzz_choose(device->input, events, VIO_ARRAY_SIZE(events))),
		.value = vio_le16_make((uint16_t)fuzz_choose(device->input, values, VIO_ARRAY_SIZE(values))),
	};

	memcpy(to, &control, sizeof(control));
}

/* What the driver reads is a whole message or nothing. */
static void got(struct fuzz_device *device, unsigned queue, uint32_t written)
{
	if (queue == CONTROL_LISTEN)
		FUZZ_CHECK(!written ||
			   (written >= sizeof(struct virtio_console_control) &&
			    written <= sizeof(struct virtio_console_control) + VIO_CONSOLE_PORT_NAME_BYTES));
	else if (queue & 1)
		FUZZ_CHECK(!written);
	FUZZ_CHECK(device->running);
}

/* Steps. */

static void transmit(struct world *w)
{
	static const uint64_t queues[] = { 1, 5, 7 };
	static const struct fuzz_ask ask = { 0, 0, NULL };

	fuzz_device_ask(&w->device, (unsigned)queues[fuzz_u8(w->input) % 3], &ask);
}

static void lend(struct world *w)
{
	static const uint64_t queues[] = { 0, CONTROL_LISTEN, 4, 6 };
	static const struct fuzz_ask ask = { 80, 80, NULL };

	fuzz_device_ask(&w->device, (unsigned)queues[fuzz_u8(w->input) % 4], &ask);
}

static void say(struct world *w)
{
	static const struct fuzz_ask ask = { sizeof(struct virtio_console_control), 0, write_control };

	fuzz_device_ask(&w->device, CONTROL_SAY, &ask);
}

static void type(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	struct port *port = &w->ports[what % PORTS];

	if (what & 128) {
		port->room = what & 64 ? UINT32_MAX : what;
		port->terminal.events->writable(port->terminal.events_context);
	} else {
		port->typed += what;
		port->terminal.events->readable(port->terminal.events_context);
	}
}

static void change(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	struct port *port = &w->ports[what % PORTS];

	if (what & 128) {
		char text[2] = { (char)('0' + (what & 7)), '\0' };

		w->unplugged = what & 7;
		fuzz_device_set(&w->device, "unplugged", text);
	} else if (what & 64) {
		fuzz_device_set(&w->device, what & 32 ? "cols" : "rows", what & 16 ? "132" : "80");
	} else {
		port->terminal.connected = what & 32;
		port->terminal.cols = port->terminal.rows = what & 24;
		port->terminal.events->changed(port->terminal.events_context);
	}
}

static void collect(struct world *w)
{
	fuzz_device_collect(&w->device);
}

static void configure(struct world *w)
{
	fuzz_device_configure(&w->device);
}

static void start(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	uint64_t without = fuzz_device_ring_bits(what);

	if ((what & 12) == 12)
		without |= UINT64_C(1) << VIRTIO_CONSOLE_F_MULTIPORT;
	if (what & 16)
		without |= UINT64_C(1) << VIRTIO_CONSOLE_F_SIZE;
	fuzz_device_start(&w->device, without);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = { transmit, lend, say,  type,     change,
							   collect,  say,  lend, transmit, configure };
	static const char *const names[PORTS] = {
		"", "second", "a name that is as long as a name of a port may be, or nearly"
	};
	struct world w = { .input = input };

	fuzz_device_make(&w.device, &vio_console_class, input);
	fuzz_device_set(&w.device, "in-order", "on");
	fuzz_device_set(&w.device, "max-ports", "3");
	w.device.got = got;
	for (unsigned i = 0; i < PORTS; i++) {
		w.ports[i] = (struct port){ .world = &w, .room = UINT32_MAX };
		w.ports[i].terminal.ops = &port_ops;
		w.ports[i].terminal.connected = i != 1;
		FUZZ_CHECK(vio_console_attach(&w.device.dev, i, &w.ports[i].terminal, names[i],
					      i ? 0 : VIO_CONSOLE_PORT_IS_CONSOLE) == 0);
	}
	fuzz_device_realize(&w.device);
	start(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), start, 300);
	fuzz_device_close(&w.device);
}
