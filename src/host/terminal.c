/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/terminal.h"

/*
 * Kinds of terminals. To add one: a file with a struct that begins with struct
 * vio_stream or vio_terminal and a `const struct vio_terminal_kind`, a value in enum
 * vio_host_terminal_kind, a line in `kinds` and one in `names`.
 */
static const struct vio_terminal_kind *const kinds[] = {
	[VIO_HOST_TERMINAL_STDIO] = &vio_terminal_stdio,   [VIO_HOST_TERMINAL_PTY] = &vio_terminal_pty,
	[VIO_HOST_TERMINAL_SOCKET] = &vio_terminal_socket, [VIO_HOST_TERMINAL_FILE] = &vio_terminal_file,
	[VIO_HOST_TERMINAL_NULL] = &vio_terminal_null,
};

static const char *const names[] = {
	[VIO_HOST_TERMINAL_STDIO] = "stdio",   [VIO_HOST_TERMINAL_PTY] = "pty",
	[VIO_HOST_TERMINAL_SOCKET] = "socket", [VIO_HOST_TERMINAL_FILE] = "file",
	[VIO_HOST_TERMINAL_NULL] = "null",     [VIO_ARRAY_SIZE(kinds)] = NULL,
};

#define OPTION(property, member, kind) \
	.name = (property), VIO_PROPERTY_MEMBER(struct vio_host_terminal_options, member, kind)

static const struct vio_property properties[] = {
	{ OPTION("backend", backend, VIO_PROPERTY_CHOICE), .choices = names, .initial = "pty",
	  .help = "what port 0 stands on" },
	{ OPTION("path", path, VIO_PROPERTY_STRING),
	  .help = "its Unix socket, its file, or a link to its pty" },
	{ OPTION("hold", hold, VIO_PROPERTY_BOOL),
	  .help = "keep the last 64 KiB that are written while nobody is there" },
	{ OPTION("append", append, VIO_PROPERTY_BOOL), .help = "go on at the end of a file that exists" },
	{ OPTION("patience", patience_ms, VIO_PROPERTY_U32), .initial = "5000", .max = 3600000,
	  .help = "milliseconds until who reads nothing counts as gone; 0: never" },
	{ OPTION("name", name, VIO_PROPERTY_STRING), .help = "name of port 0, with multiport=on" },
	{ OPTION("ports", ports, VIO_PROPERTY_STRING),
	  .help = "further ports, NAME:BACKEND[:PATH], separated by commas" },
	{ OPTION("consoles", consoles, VIO_PROPERTY_U32), .initial = "1",
	  .help = "ports that are consoles, a bit each" },
	{ OPTION("place", place, VIO_PROPERTY_STRING), .help = "says where the pty of port 0 is" },
};

static const struct vio_property_table property_table = { properties, VIO_ARRAY_SIZE(properties) };

const struct vio_property_table *vio_host_terminal_properties(void)
{
	return &property_table;
}

int vio_host_terminal_open(struct vio_loop *loop, struct vio_host_terminal_options *options,
			   struct vio_terminal **terminal, struct vio_message *message)
{
	bool needs =
		options->backend == VIO_HOST_TERMINAL_SOCKET || options->backend == VIO_HOST_TERMINAL_FILE;

	if (options->backend >= VIO_ARRAY_SIZE(kinds))
		return vio_fail(message, -VIO_EINVAL, "there is no backend %u", options->backend);
	if (needs && !options->path[0])
		return vio_fail(message, -VIO_EINVAL,
				"backend '%s' needs a path, for example path=/tmp/console",
				names[options->backend]);
	if (!needs && options->path[0] && options->backend != VIO_HOST_TERMINAL_PTY)
		return vio_fail(
			message, -VIO_EINVAL,
			"backend '%s' takes no path, but it is '%.256s'; did you mean backend=socket?",
			names[options->backend], options->path);
	if (options->append && options->backend != VIO_HOST_TERMINAL_FILE)
		return vio_fail(message, -VIO_EINVAL,
				"backend '%s' takes no append; did you mean backend=file?",
				names[options->backend]);
	options->place[0] = '\0';
	return kinds[options->backend]->open(loop, options, terminal, message);
}
