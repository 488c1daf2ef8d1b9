/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/devices/console.h>
#include <vireo/host_terminal.h>

#include "daemon/daemon.h"

/* The console device as a daemon: a terminal for port 0, and for each that `ports` names. */

struct console_backend {
	struct vio_host_terminal_options options; /* first: the properties' offsets count from here */
	struct vio_terminal *terminals[VIO_CONSOLE_PORTS_MAX];
	unsigned count;
};

VIO_STATIC_ASSERT(offsetof(struct console_backend, options) == 0, "the properties are at the start");

static int open_port(struct vio_device *dev, struct vio_loop *loop, struct console_backend *backend,
		     struct vio_host_terminal_options *options, struct vio_message *message)
{
	struct vio_daemon *daemon = VIO_CONTAINER_OF(dev, struct vio_daemon, device);
	bool is_console = backend->options.consoles >> backend->count & 1;
	struct vio_terminal *terminal;
	int error = vio_host_terminal_open(loop, options, &terminal, message);

	if (error)
		return error;
	backend->terminals[backend->count] = terminal;
	error = vio_console_attach(dev, backend->count, terminal, options->name,
				   is_console ? VIO_CONSOLE_PORT_IS_CONSOLE : 0);
	if (error)
		return vio_fail(message, error, "port %u can't be used: %s", backend->count,
				vio_strerror(error));
	if (options->place[0])
		vio_log_line(&daemon->log, "port %u is at %s", backend->count, options->place);
	backend->count++;
	return 0;
}

/* Takes apart NAME:BACKEND[:PATH]. */
static int read_port(const char *text, size_t length, struct vio_host_terminal_options *options,
		     struct vio_message *message)
{
	const struct vio_property *kind = vio_property_find(vio_host_terminal_properties(), "backend", 7);
	char copy[VIO_HOST_PATH_BYTES], *word, *path;

	if (length >= sizeof(copy))
		length = sizeof(copy) - 1;
	memcpy(copy, text, length);
	copy[length] = '\0';
	word = strchr(copy, ':');
	if (!word)
		return vio_fail(message, -VIO_EINVAL,
				"ports: '%.128s' is no NAME:BACKEND[:PATH], such as log:file:/tmp/log", copy);
	*word++ = '\0';
	path = strchr(word, ':');
	if (path)
		*path++ = '\0';
	if (strlen(copy) >= sizeof(options->name))
		return vio_fail(message, -VIO_ERANGE, "ports: the name '%.128s' is longer than %zu bytes",
				copy, sizeof(options->name) - 1);
	memcpy(options->name, copy, strlen(copy) + 1);
	if (vio_property_set(kind, options, word))
		return vio_fail(message, -VIO_EINVAL,
				"ports: '%.64s' is not one of stdio, pty, socket, file, null", word);
	snprintf(options->path, sizeof(options->path), "%s", path ? path : "");
	return 0;
}

static int open_ports(struct vio_device *dev, struct vio_loop *loop, struct console_backend *backend,
		      struct vio_message *message)
{
	const char *at = backend->options.ports;
	int error = 0;

	while (!error && *at) {
		struct vio_host_terminal_options options = { .hold = backend->options.hold,
							     .patience_ms = backend->options.patience_ms };
		size_t length = strcspn(at, ",");

		if (backend->count == VIO_CONSOLE_PORTS_MAX)
			return vio_fail(message, -VIO_ERANGE, "ports names more than %u ports",
					VIO_CONSOLE_PORTS_MAX - 1);
		error = read_port(at, length, &options, message);
		if (!error)
			error = open_port(dev, loop, backend, &options, message);
		at += length + (at[length] == ',');
	}
	return error;
}

/* Room for the ports that there are, unless there is more. */
static void raise_max_ports(struct vio_device *dev, unsigned count)
{
	void *structure;
	const struct vio_property *property =
		vio_device_find_property(dev, "max-ports", strlen("max-ports"), &structure);
	char text[16];

	vio_property_get(property, structure, text, sizeof(text));
	if (strtoul(text, NULL, 10) >= count)
		return;
	snprintf(text, sizeof(text), "%u", count);
	vio_device_set_property(dev, "max-ports", strlen("max-ports"), text);
}

static int console_close(struct vio_device *dev, void *memory)
{
	struct console_backend *backend = memory;

	(void)dev;
	for (unsigned i = 0; i < VIO_CONSOLE_PORTS_MAX; i++) {
		if (backend->terminals[i])
			backend->terminals[i]->ops->close(backend->terminals[i]);
		backend->terminals[i] = NULL;
	}
	return 0;
}

static int console_open(struct vio_device *dev, struct vio_loop *loop, void *memory,
			struct vio_message *message)
{
	struct console_backend *backend = memory;
	int error = open_port(dev, loop, backend, &backend->options, message);

	if (!error)
		error = open_ports(dev, loop, backend, message);
	if (error)
		console_close(dev, memory);
	else
		raise_max_ports(dev, backend->count);
	return error;
}

const struct vio_daemon_type vio_daemon_console_type = {
	.class = &vio_console_class,
	.backend_properties = vio_host_terminal_properties,
	.backend_bytes = sizeof(struct console_backend),
	.open = console_open,
	.close = console_close,
};
