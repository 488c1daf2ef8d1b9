/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/network.h"

/*
 * Kinds of networks. To add one: a file with a struct that begins with struct
 * vio_network and a `const struct vio_network_kind`, a value in enum
 * vio_host_network_kind, a line in `kinds` and one in `names`.
 */
static const struct vio_network_kind *const kinds[] = {
	[VIO_HOST_NETWORK_TAP] = &vio_network_tap,   [VIO_HOST_NETWORK_SOCKET] = &vio_network_socket,
	[VIO_HOST_NETWORK_HUB] = &vio_network_hub,   [VIO_HOST_NETWORK_ECHO] = &vio_network_echo,
	[VIO_HOST_NETWORK_NULL] = &vio_network_null, [VIO_HOST_NETWORK_SOURCE] = &vio_network_source,
};

static const char *const names[] = {
	[VIO_HOST_NETWORK_TAP] = "tap",   [VIO_HOST_NETWORK_SOCKET] = "socket",
	[VIO_HOST_NETWORK_HUB] = "hub",   [VIO_HOST_NETWORK_ECHO] = "echo",
	[VIO_HOST_NETWORK_NULL] = "null", [VIO_HOST_NETWORK_SOURCE] = "source",
	[VIO_ARRAY_SIZE(kinds)] = NULL,
};

#define OPTION(property, member, kind) \
	.name = (property), VIO_PROPERTY_MEMBER(struct vio_host_network_options, member, kind)

static const struct vio_property properties[] = {
	{ OPTION("backend", backend, VIO_PROPERTY_CHOICE), .choices = names, .initial = "hub",
	  .help = "where frames go and come from" },
	{ OPTION("interface", interface, VIO_PROPERTY_STRING), .help = "name of the tap interface" },
	{ OPTION("path", path, VIO_PROPERTY_STRING), .help = "Unix socket of backend=socket" },
	{ OPTION("listen", listen, VIO_PROPERTY_BOOL), .help = "wait for the peer at path" },
	{ OPTION("capture", capture, VIO_PROPERTY_STRING), .help = "pcapng file for all frames" },
	{ OPTION("ports", ports, VIO_PROPERTY_STRING),
	  .help = "sockets of further devices at the hub, separated by commas" },
	{ OPTION("frame-bytes", frame_bytes, VIO_PROPERTY_U16), .min = VIO_FRAME_BYTES_LEAST, .initial = "64",
	  .help = "length of the frames of backend=source" },
	{ OPTION("learn", learn, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "let the hub learn where addresses are" },
};

static const struct vio_property_table property_table = { properties, VIO_ARRAY_SIZE(properties) };

const struct vio_property_table *vio_host_network_properties(void)
{
	return &property_table;
}

static int judge(const struct vio_host_network_options *options, struct vio_message *message)
{
	const char *name;

	if (options->backend >= VIO_ARRAY_SIZE(kinds))
		return vio_fail(message, -VIO_EINVAL, "there is no backend %u", options->backend);
	name = names[options->backend];
	if (options->backend == VIO_HOST_NETWORK_SOCKET && !options->path[0])
		return vio_fail(message, -VIO_EINVAL,
				"backend 'socket' needs a path, for example "
				"path=/tmp/passt.sock");
	if (options->backend != VIO_HOST_NETWORK_SOCKET && (options->path[0] || options->listen))
		return vio_fail(message, -VIO_EINVAL,
				"backend '%s' takes neither path nor listen; did you mean backend=socket?",
				name);
	if (options->backend == VIO_HOST_NETWORK_SOURCE && options->frame_bytes < VIO_FRAME_BYTES_LEAST)
		return vio_fail(message, -VIO_ERANGE, "frame-bytes %u is below %u", options->frame_bytes,
				VIO_FRAME_BYTES_LEAST);
	if (options->backend != VIO_HOST_NETWORK_TAP && options->interface[0])
		return vio_fail(message, -VIO_EINVAL,
				"backend '%s' takes no interface, but it is '%s'; did you mean backend=tap?",
				name, options->interface);
	if (options->backend != VIO_HOST_NETWORK_HUB && options->ports[0])
		return vio_fail(message, -VIO_EINVAL,
				"backend '%s' takes no ports, but ports is '%.256s'; did you mean "
				"backend=hub?",
				name, options->ports);
	return 0;
}

int vio_host_network_open(struct vio_loop *loop, const struct vio_host_network_options *options,
			  uint16_t pairs, struct vio_network **network, struct vio_message *message)
{
	int error = judge(options, message);

	if (!error)
		error = kinds[options->backend]->open(loop, options, pairs, network, message);
	if (error || !options->capture[0])
		return error;
	return vio_host_capture(*network, options->capture, network, message);
}

/* What kinds share. */

static void clock_ready(struct vio_watch *watch)
{
	struct vio_network_clock *clock = VIO_CONTAINER_OF(watch, struct vio_network_clock, watch);
	struct vio_network *network = clock->network;
	uint64_t times;

	if (read(watch->fd, &times, sizeof(times)) == sizeof(times) && network->events)
		network->events->expired(network->events_context);
}

int vio_network_clock_open(struct vio_network_clock *clock, struct vio_loop *loop,
			   struct vio_network *network)
{
	int error;

	clock->loop = loop;
	clock->network = network;
	clock->watch.ready = clock_ready;
	clock->watch.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (clock->watch.fd < 0)
		return vio_error_from_errno(errno);
	error = vio_loop_watch(loop, &clock->watch);
	if (error) {
		close(clock->watch.fd);
		clock->watch.fd = -1;
	}
	return error;
}

void vio_network_clock_arm(struct vio_network_clock *clock, uint32_t delay_us)
{
	const struct itimerspec when = {
		.it_value = { .tv_sec = delay_us / 1000000, .tv_nsec = delay_us % 1000000 * 1000 },
	};

	timerfd_settime(clock->watch.fd, 0, &when, NULL);
}

void vio_network_clock_close(struct vio_network_clock *clock)
{
	if (clock->watch.fd < 0)
		return;
	vio_loop_unwatch(clock->loop, &clock->watch);
	close(clock->watch.fd);
	clock->watch.fd = -1;
}

void vio_network_drain_nothing(struct vio_network *network)
{
	(void)network;
}

int vio_network_deliver(struct vio_network *network, const struct vio_frame *frame)
{
	return network->events ? network->events->deliver(network->events_context, frame) : -VIO_EPHASE;
}

unsigned vio_network_deliver_many(struct vio_network *network, const struct vio_frame *frames, unsigned count)
{
	unsigned i;

	if (!network->events)
		return count;
	if (network->events->deliver_many)
		return network->events->deliver_many(network->events_context, frames, count);
	for (i = 0; i < count; i++) {
		if (vio_network_deliver(network, &frames[i]) == -VIO_EAGAIN)
			break;
	}
	return i;
}

void vio_network_deliver_end(struct vio_network *network)
{
	if (network->events)
		network->events->deliver_end(network->events_context);
}
