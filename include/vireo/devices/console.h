/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_CONSOLE_H
#define VIREO_DEVICES_CONSOLE_H

#include <vireo/device.h>
#include <vireo/terminal.h>

/*
 * The console device (5.3): a terminal for each of its ports.
 *
 * Bytes from the driver wait in its queue while the terminal has no room, and bytes
 * for it wait in the terminal while it gives no buffers: the device keeps none of
 * either. Of a buffer that the terminal took a part of the device remembers how much.
 *
 * With several ports the driver is told of each by control messages. What is due is
 * worked out from what it was told and how things are, so that a driver that reads
 * none of them costs nothing, and one that comes late hears the latest.
 */
VIO_API extern const struct vio_device_class vio_console_class;

#define VIO_CONSOLE_PORTS_MAX       32u
#define VIO_CONSOLE_PORT_NAME_BYTES 64u /* with the NUL */

/* The port is one that people sit at: the driver shall make a console of it. */
#define VIO_CONSOLE_PORT_IS_CONSOLE 1u

/*
 * Gives a port its terminal, which stays the caller's and must outlive the device's
 * realized time, and a name (NULL: none); before vio_device_realize(), which refuses with
 * -VIO_ENOENT without any and -VIO_ERANGE when there is one beyond max-ports. -VIO_EINVAL
 * when `dev` is of another type, -VIO_ERANGE for a port or name beyond the limits.
 */
VIO_API int vio_console_attach(struct vio_device *dev, unsigned port, struct vio_terminal *terminal,
			       const char *name, unsigned flags);

#endif
