/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/console/console.h"

/* What the driver was told and has done, port by port; whatever else is due is worked out anew. */

#define PORT_TOLD      1u
#define PORT_READY     2u
#define PORT_OPEN      4u
#define PORT_TOLD_OPEN 8u
#define PORT_FLAGS     15u

void vio_condev_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	const struct console *console = vio_device_state(dev);

	vio_state_put_u8(writer, console->device_ready);
	vio_state_put_u32(writer, console->max_ports);
	for (unsigned i = 0; i < console->max_ports; i++) {
		const struct console_driver *driver = &console->ports[i].driver;

		vio_state_put_u8(writer,
				 (uint8_t)(driver->told * PORT_TOLD | driver->ready * PORT_READY |
					   driver->open * PORT_OPEN | driver->told_open * PORT_TOLD_OPEN));
		vio_state_put_u8(writer, driver->due);
		vio_state_put_u16(writer, driver->sent_index);
		vio_state_put_u32(writer, driver->sent);
	}
}

/* 0, or refused. */
static int get_driver(struct vio_state_reader *reader, struct console_driver *driver)
{
	uint8_t flags = vio_state_get_u8(reader);

	driver->told = flags & PORT_TOLD;
	driver->ready = flags & PORT_READY;
	driver->open = flags & PORT_OPEN;
	driver->told_open = flags & PORT_TOLD_OPEN;
	driver->due = vio_state_get_u8(reader);
	driver->sent_index = vio_state_get_u16(reader);
	driver->sent = vio_state_get_u32(reader);
	/* Nothing that a driver couldn't have come to: what wasn't added is neither ready nor open. */
	if (flags & ~PORT_FLAGS || (flags && !driver->told))
		return vio_state_refuse(reader, "port", flags);
	if (driver->due & ~CONSOLE_DUE_ALL || (driver->due && !driver->ready))
		return vio_state_refuse(reader, "port messages", driver->due);
	return 0;
}

int vio_condev_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct console *console = vio_device_state(dev);
	struct console_driver drivers[VIO_CONSOLE_PORTS_MAX] = { { 0 } };
	uint8_t device_ready = vio_state_get_u8(reader);
	uint32_t ports = vio_state_get_u32(reader);

	(void)version;
	if (device_ready > 1)
		return vio_state_refuse(reader, "readiness of the driver", device_ready);
	if (!reader->failed && ports != console->max_ports) /* hostile: G7 */
		return vio_state_refuse(reader, "port count", ports);
	for (unsigned i = 0; !reader->failed && i < ports; i++) {
		if (get_driver(reader, &drivers[i]))
			return -VIO_ESTATE;
		if (drivers[i].told && !device_ready)
			return vio_state_refuse(reader, "port of a driver that isn't ready", i);
	}
	if (reader->failed)
		return -VIO_ESTATE;
	console->device_ready = device_ready;
	for (unsigned i = 0; i < console->max_ports; i++) {
		console->ports[i].driver = drivers[i];
		/* Here the window may be of another size, and the other end connected or not. */
		if (drivers[i].ready)
			console->ports[i].driver.due |= CONSOLE_DUE_RESIZE | CONSOLE_DUE_OPEN;
	}
	return 0;
}
