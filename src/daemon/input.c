/* SPDX-License-Identifier: BSD-3-Clause */

#include <vireo/devices/input.h>
#include <vireo/host_events.h>

#include "daemon/daemon.h"

/* The input device as a daemon. */

struct input_backend {
	struct vio_host_events_options options; /* first: the properties' offsets count from here */
	struct vio_event_source *source;
};

VIO_STATIC_ASSERT(offsetof(struct input_backend, options) == 0, "the properties are at the start");

static void input_said(void *context, const char *line)
{
	struct vio_daemon *daemon = context;

	vio_log_line(&daemon->log, "%s", line);
}

static int input_open(struct vio_device *dev, struct vio_loop *loop, void *memory,
		      struct vio_message *message)
{
	struct input_backend *backend = memory;
	int error;

	backend->options.said = input_said;
	backend->options.said_context = VIO_CONTAINER_OF(dev, struct vio_daemon, device);
	error = vio_host_events_open(loop, &backend->options, &backend->source, message);
	return error ? error : vio_input_attach(dev, backend->source);
}

static int input_close(struct vio_device *dev, void *memory)
{
	struct input_backend *backend = memory;

	(void)dev;
	backend->source->ops->close(backend->source);
	return 0;
}

static const struct vio_daemon_convention input_conventions[] = {
	{ .option = "evdev-path", .argument = "PATH", .property = "path" },
	{ .option = "no-grab", .property = "grab", .value = "off" },
	{ .option = NULL },
};

const struct vio_daemon_type vio_daemon_input_type = {
	.class = &vio_input_class,
	.backend_properties = vio_host_events_properties,
	.backend_bytes = sizeof(struct input_backend),
	.open = input_open,
	.close = input_close,
	.conventions = input_conventions,
};
