/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/console/console.h"

VIO_STATIC_ASSERT(sizeof(struct virtio_console_config) == 12, "the configuration has holes");

#define CONSOLE_PROPERTY(property, member, kind) \
	.name = (property), VIO_PROPERTY_MEMBER(struct console, member, kind)

static const char *const console_orders[] = { "cols-rows", "rows-cols", NULL };

static const struct vio_property console_properties[] = {
	{ CONSOLE_PROPERTY("cols", cols, VIO_PROPERTY_U16), .initial = "80", .flags = VIO_PROPERTY_RUNTIME,
	  .help = "columns of the window; a terminal that knows better changes it" },
	{ CONSOLE_PROPERTY("rows", rows, VIO_PROPERTY_U16), .initial = "25", .flags = VIO_PROPERTY_RUNTIME,
	  .help = "rows of the window; a terminal that knows better changes it" },
	{ CONSOLE_PROPERTY("size", size, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "tell the driver the size of the window" },
	{ CONSOLE_PROPERTY("emergency", emergency, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "offer the emergency write" },
	{ CONSOLE_PROPERTY("multiport", multiport, VIO_PROPERTY_BOOL),
	  .help = "offer several ports, with names" },
	{ CONSOLE_PROPERTY("max-ports", max_ports, VIO_PROPERTY_U32), .min = 1, .max = VIO_CONSOLE_PORTS_MAX,
	  .initial = "1", .help = "ports that there are or may be" },
	{ CONSOLE_PROPERTY("unplugged", unplugged, VIO_PROPERTY_U32), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "ports that are pulled out, a bit each" },
	{ CONSOLE_PROPERTY("resize-order", resize_order, VIO_PROPERTY_CHOICE), .choices = console_orders,
	  .initial = "cols-rows", .help = "fields of resize messages; some Linux kernels expect rows-cols" },
	{ CONSOLE_PROPERTY("lost", lost, VIO_PROPERTY_U64), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "counts bytes for ports that aren't there" },
	{ CONSOLE_PROPERTY("ignored", ignored, VIO_PROPERTY_U64), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "counts control messages that made no sense" },
};

bool vio_condev_present(const struct console_port *port)
{
	const struct console *console = vio_device_state(port->dev);

	return port->terminal && !(console->unplugged >> (port - console->ports) & 1);
}

bool vio_condev_multiport(const struct vio_device *dev)
{
	return vio_device_has_feature(dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* Features and configuration. */

static void console_get_features(struct vio_device *dev, struct vio_features *offer)
{
	const struct console *console = vio_device_state(dev);

	if (console->size)
		vio_features_set(offer, VIRTIO_CONSOLE_F_SIZE);
	if (console->multiport)
		vio_features_set(offer, VIRTIO_CONSOLE_F_MULTIPORT);
	if (console->emergency)
		vio_features_set(offer, VIRTIO_CONSOLE_F_EMERG_WRITE);
}

/* spec: BOTH-CON-001: as a legacy driver is little-endian where there can be one */
static void console_get_config(struct vio_device *dev, void *config)
{
	const struct console *console = vio_device_state(dev);
	const struct virtio_console_config wire = {
		.cols = vio_le16_make(console->size ? console->ports[0].cols : 0),
		.rows = vio_le16_make(console->size ? console->ports[0].rows : 0),
		.max_nr_ports = vio_le32_make(console->multiport ? console->max_ports : 0),
	};

	memcpy(config, &wire, sizeof(wire));
}

/* spec: DEV-CON-001 DEV-CON-002: in any status, and past the queue */
static void console_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	const struct console *console = vio_device_state(dev);
	const uint32_t at = offsetof(struct virtio_console_config, emerg_wr);
	struct vio_terminal *terminal = console->ports[0].terminal;
	const uint8_t *byte = (const uint8_t *)config + at;

	if (!console->emergency || offset > at || offset + length <= at || !terminal)
		return;
	terminal->ops->write(terminal, byte, 1); /* it goes now or never */
}

/* What changes. */

static void resized(struct console_port *port)
{
	struct vio_device *dev = port->dev;
	const struct console *console = vio_device_state(dev);

	if (!console->size)
		return;
	if (port->driver.ready)
		port->driver.due |= CONSOLE_DUE_RESIZE;
	vio_condev_tell_all(dev);
	if (port == &console->ports[0])
		vio_device_config_changed(dev);
}

static void take_size(struct console *console, struct console_port *port, uint16_t cols, uint16_t rows)
{
	if (port->cols == cols && port->rows == rows)
		return;
	port->cols = cols;
	port->rows = rows;
	if (port == &console->ports[0]) {
		console->cols = cols;
		console->rows = rows;
	}
	resized(port);
}

static void port_changed(void *context)
{
	struct console_port *port = context;
	struct console *console = vio_device_state(port->dev);
	const struct vio_terminal *terminal = port->terminal;

	if (terminal->cols && terminal->rows)
		take_size(console, port, terminal->cols, terminal->rows);
	if (port->driver.ready && terminal->connected != port->driver.told_open) {
		port->driver.due |= CONSOLE_DUE_OPEN;
		vio_condev_tell_all(port->dev);
	}
}

static void port_readable(void *context)
{
	struct console_port *port = context;
	const struct console *console = vio_device_state(port->dev);

	vio_device_kick(port->dev, vio_condev_queue((unsigned)(port - console->ports)));
}

static void port_writable(void *context)
{
	vio_condev_look(context);
}

static const struct vio_terminal_events port_events = {
	.readable = port_readable,
	.writable = port_writable,
	.changed = port_changed,
};

static void console_property_changed(struct vio_device *dev, const struct vio_property *property)
{
	struct console *console = vio_device_state(dev);

	if (property->offset == offsetof(struct console, cols) ||
	    property->offset == offsetof(struct console, rows)) {
		for (unsigned i = 0; i < console->max_ports; i++)
			take_size(console, &console->ports[i], console->cols, console->rows);
	} else if (property->offset == offsetof(struct console, unplugged)) {
		vio_condev_tell_all(dev);
		for (unsigned i = 0; i < console->max_ports; i++)
			vio_condev_look(&console->ports[i]);
	}
}

/* Life. */

static void console_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct console *console = vio_device_state(dev);
	bool multiport = vio_condev_multiport(dev);
	unsigned port = q->index / 2;

	if (q->index > VIRTIO_CONSOLE_TRANSMITQ && !multiport) /* those queues aren't there */
		return;
	if (q->index == VIRTIO_CONSOLE_CONTROL_RECEIVEQ) {
		vio_condev_tell(dev, q);
		return;
	}
	if (q->index == VIRTIO_CONSOLE_CONTROL_TRANSMITQ) {
		vio_condev_obey(dev, q);
		return;
	}
	port -= port > 1;
	if (q->index & 1)
		vio_condev_transmit(dev, &console->ports[port], q);
	else
		vio_condev_receive(dev, &console->ports[port], q);
}

static void console_reset(struct vio_device *dev)
{
	struct console *console = vio_device_state(dev);

	console->device_ready = false;
	for (unsigned i = 0; i < VIO_CONSOLE_PORTS_MAX; i++)
		memset(&console->ports[i].driver, 0, sizeof(console->ports[i].driver));
}

static void begin_port(struct console *console, struct console_port *port)
{
	port->cols = console->cols;
	port->rows = console->rows;
	if (!port->terminal)
		return;
	if (port->terminal->cols && port->terminal->rows)
		take_size(console, port, port->terminal->cols, port->terminal->rows);
	port->terminal->events = &port_events;
	port->terminal->events_context = port;
}

static int console_realize(struct vio_device *dev)
{
	struct console *console = vio_device_state(dev);
	unsigned used = 0;

	if (console->max_ports > 1)
		console->multiport = true;
	for (unsigned i = 0; i < VIO_CONSOLE_PORTS_MAX; i++) {
		console->ports[i].dev = dev;
		if (console->ports[i].terminal)
			used = i + 1;
	}
	if (!used || (!console->multiport && !console->ports[0].terminal))
		return -VIO_ENOENT;
	if (used > console->max_ports)
		return -VIO_ERANGE;
	dev->queue_count = (uint16_t)(console->multiport ? 2 * console->max_ports + 2 : 2);
	for (unsigned i = 0; i < console->max_ports; i++)
		begin_port(console, &console->ports[i]);
	console_reset(dev);
	return 0;
}

static void console_unrealize(struct vio_device *dev)
{
	struct console *console = vio_device_state(dev);

	for (unsigned i = 0; i < VIO_CONSOLE_PORTS_MAX; i++) {
		struct vio_terminal *terminal = console->ports[i].terminal;

		if (terminal)
			terminal->events = NULL;
	}
}

int vio_console_attach(struct vio_device *dev, unsigned port, struct vio_terminal *terminal, const char *name,
		       unsigned flags)
{
	struct console *console = vio_device_state(dev);
	struct console_port *it;
	uint8_t length = 0;

	if (dev->class != &vio_console_class)
		return -VIO_EINVAL;
	if (port >= VIO_CONSOLE_PORTS_MAX)
		return -VIO_ERANGE;
	it = &console->ports[port];
	while (name && name[length]) {
		if (length + 1u == VIO_CONSOLE_PORT_NAME_BYTES)
			return -VIO_ERANGE;
		it->name[length] = name[length];
		length++;
	}
	it->name[length] = '\0';
	it->name_bytes = length;
	it->terminal = terminal;
	it->is_console = flags & VIO_CONSOLE_PORT_IS_CONSOLE;
	return 0;
}

const struct vio_device_class vio_console_class = {
	.name = "console",
	.summary = "console device with ports on terminals, sockets and files",
	.id = VIRTIO_ID_CONSOLE,
	.queue_count = 2,
	.queue_size = 128,
	.spans_max = 64,
	.state_bytes = sizeof(struct console),
	.config_bytes = sizeof(struct virtio_console_config),
	.properties = { console_properties, VIO_ARRAY_SIZE(console_properties) },
	.realize = console_realize,
	.unrealize = console_unrealize,
	.get_features = console_get_features,
	.get_config = console_get_config,
	.set_config = console_set_config,
	.reset = console_reset,
	.kick = console_kick,
	.property_changed = console_property_changed,
	.save = vio_condev_save,
	.load = vio_condev_load,
	.version = 1,
};
