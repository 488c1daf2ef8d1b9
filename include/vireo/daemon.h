/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DAEMON_H
#define VIREO_DAEMON_H

#include <vireo/device.h>
#include <vireo/host.h>

/*
 * A device as a program: options, properties, sockets, signals, logging.
 *
 *	int main(int argc, char **argv)
 *	{
 *		return vio_daemon_main(&adder_daemon, argc, argv);
 *	}
 *
 * with `static const struct vio_daemon_type adder_daemon = { .class = &adder_class };`
 * is a complete vhost-user back end with the usual options (--socket-path, --fd,
 * --print-capabilities, --help, ...); every property of the device is given as
 * NAME=VALUE.
 */
struct vio_daemon_type {
	const struct vio_device_class *class;

	/* What the device stands on; all optional. Properties with offsets into `backend_bytes` of zeroed memory. */
	const struct vio_property_table *(*backend_properties)(void);
	uint32_t backend_bytes;
	/* Opens the backend from its options and gives it to the device, before realize. */
	int (*open)(struct vio_device *dev, struct vio_loop *loop, void *backend, struct vio_message *message);
	/* After unrealize. */
	void (*close)(struct vio_device *dev, void *backend);

	/* The "type" of the vhost-user conventions (block, rng, ...); NULL: the class's name. */
	const char *vhost_user_type;
};

/* The types built into Vireo, terminated by NULL. */
VIO_API const struct vio_daemon_type *const *vio_daemon_types(void);

/* Runs to its end; returns the exit status. argv[0] is the name shown in messages. */
VIO_API int vio_daemon_main(const struct vio_daemon_type *type, int argc, char **argv);

#endif
