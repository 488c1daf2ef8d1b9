/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DEVICES_CONSOLE_CONSOLE_H
#define VIO_DEVICES_CONSOLE_CONSOLE_H

#include <vireo/devices/console.h>
#include <vireo/spec/virtio_console.h>

/*
 * The parts of the console device: console.c is its life, features and configuration,
 * port.c moves bytes, control.c speaks on the control queues, saved.c saves and loads.
 */

/* What the driver has yet to be told of a port that it has said is ready. */
#define CONSOLE_DUE_CONSOLE 1u
#define CONSOLE_DUE_RESIZE  2u
#define CONSOLE_DUE_NAME    4u
#define CONSOLE_DUE_OPEN    8u
#define CONSOLE_DUE_ALL     15u

/* Everything that the driver does to a port; zero after reset. */
struct console_driver {
	bool told;      /* it was told that there is this port */
	bool ready;     /* it said that it has it ready */
	bool open;      /* it has it open */
	bool told_open; /* what it was told of the other end */
	uint8_t due;
	/* Of the buffer at this index of the transmit queue the terminal has so much. */
	uint16_t sent_index;
	uint32_t sent;
};

struct console_port {
	struct vio_device *dev;
	struct vio_terminal *terminal; /* NULL: no such port */
	char name[VIO_CONSOLE_PORT_NAME_BYTES];
	uint8_t name_bytes;
	bool is_console;
	uint16_t cols, rows;
	struct console_driver driver;
};

struct console {
	/* Properties. */
	uint16_t cols, rows;
	uint32_t max_ports;
	bool multiport, size, emergency;
	uint8_t resize_order;
	uint32_t unplugged;
	uint64_t lost;
	uint64_t ignored;

	bool device_ready; /* the driver can be told of ports */
	struct console_port ports[VIO_CONSOLE_PORTS_MAX];
};

/* console.c */

/* Is the port plugged in? */
bool vio_condev_present(const struct console_port *port);
/* Has the device several ports, as far as the driver knows? */
bool vio_condev_multiport(const struct vio_device *dev);

/* port.c */

/* The port's first queue: from the device. The other one follows. */
uint16_t vio_condev_queue(unsigned port);
/* A queue of a port was kicked. */
void vio_condev_receive(struct vio_device *dev, struct console_port *port, struct vio_devq *q);
void vio_condev_transmit(struct vio_device *dev, struct console_port *port, struct vio_devq *q);
/* Looks at both queues of a port again. */
void vio_condev_look(struct console_port *port);

/* control.c */

/* Control messages from the driver, and for it. */
void vio_condev_obey(struct vio_device *dev, struct vio_devq *q);
void vio_condev_tell(struct vio_device *dev, struct vio_devq *q);
/* Something may be due. */
void vio_condev_tell_all(struct vio_device *dev);

/* saved.c */

void vio_condev_save(struct vio_device *dev, struct vio_state_writer *writer);
int vio_condev_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version);

#endif
