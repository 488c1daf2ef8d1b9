/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/devices/net.h>
#include <vireo/host_network.h>

#include "daemon/daemon.h"

/*
 * The network device as a daemon. At a hub there may be further devices, each with
 * sockets, a control socket and a link of its own, and all with the properties of
 * the first but for the address.
 */

#define PORTS_MAX 32u
#define MAC_BYTES 6u
#define MTU_LEAST 68u

struct net_port {
	struct vio_daemon daemon;
	struct vio_network *network;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct net_backend {
	struct vio_host_network_options options; /* first: the properties' offsets count from here */
	struct vio_network *network;
	struct vio_host_hub *hub;
	struct net_port *ports[PORTS_MAX];
	unsigned port_count;
};

VIO_STATIC_ASSERT(offsetof(struct net_backend, options) == 0, "the properties are at the start");

static void property_text(struct vio_device *dev, const char *name, char *to, size_t size)
{
	void *structure;
	const struct vio_property *property = vio_device_find_property(dev, name, strlen(name), &structure);

	vio_property_get(property, structure, to, size);
}

/* What the device would refuse without a word. */
static int judge_properties(struct vio_device *dev, struct vio_message *message)
{
	unsigned mac[MAC_BYTES];
	char text[32], rest;
	unsigned long mtu;

	property_text(dev, "mac", text, sizeof(text));
	if (text[0] && (strlen(text) != 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &mac[0], &mac[1],
						     &mac[2], &mac[3], &mac[4], &mac[5], &rest) != MAC_BYTES))
		return vio_fail(message, -VIO_EINVAL, "mac '%s' is no address such as 52:54:00:12:34:56",
				text);
	if (text[0] && mac[0] & 1)
		return vio_fail(message, -VIO_EINVAL,
				"mac '%s' is an address of a group; the lowest bit of its first byte is set",
				text);
	property_text(dev, "mtu", text, sizeof(text));
	mtu = strtoul(text, NULL, 10);
	if (mtu && mtu < MTU_LEAST)
		return vio_fail(message, -VIO_ERANGE, "mtu %lu is below %u", mtu, MTU_LEAST);
	return 0;
}

/* Devices without an address get one that is nobody else's, as far as chance goes. */
static int choose_mac(struct vio_device *dev, struct vio_message *message)
{
	struct vio_entropy entropy;
	uint8_t bytes[3];
	char text[32];

	property_text(dev, "mac", text, sizeof(text));
	if (text[0])
		return 0;
	vio_host_entropy(&entropy);
	if (entropy.fill(&entropy, bytes, sizeof(bytes)) != sizeof(bytes))
		return vio_fail(message, -VIO_EAGAIN, "no random numbers for an address; give mac");
	snprintf(text, sizeof(text), "52:54:00:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2]);
	return vio_device_set_property(dev, "mac", strlen("mac"), text);
}

/* The address of the first device plus `by`, in its last three bytes. */
static int shift_mac(struct vio_device *dev, unsigned by, struct vio_message *message)
{
	unsigned mac[MAC_BYTES];
	char text[32];
	unsigned tail;

	property_text(dev, "mac", text, sizeof(text));
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) !=
	    MAC_BYTES)
		return vio_fail(message, -VIO_EINVAL, "mac '%s' is no address such as 52:54:00:12:34:56",
				text);
	tail = (mac[3] << 16 | mac[4] << 8 | mac[5]) + by;
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 tail >> 16 & 0xff, tail >> 8 & 0xff, tail & 0xff);
	return vio_device_set_property(dev, "mac", strlen("mac"), text);
}

/* A device like the first: its settings are all that there is of a device before realize. */
static int make_device(struct net_port *port, struct vio_device *like, unsigned by,
		       struct vio_message *message)
{
	struct vio_daemon *daemon = &port->daemon;
	struct vio_device *device = &daemon->device;

	daemon->state = calloc(1, vio_net_class.state_bytes);
	daemon->backend = calloc(1, sizeof(struct net_backend));
	if (!daemon->state || !daemon->backend)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_device_init(device, &vio_net_class, daemon->state);
	memcpy(daemon->state, like->state, vio_net_class.state_bytes);
	device->id = like->id;
	device->queue_size = like->queue_size;
	device->queue_size_max = like->queue_size_max;
	device->indirect_desc = like->indirect_desc;
	device->event_idx = like->event_idx;
	return shift_mac(device, by, message);
}

static void close_port(struct net_port *port)
{
	vio_daemon_close_port(&port->daemon);
	if (port->network)
		port->network->ops->close(port->network);
	free(port->daemon.backend);
	free(port->daemon.state);
	free(port);
}

/* Takes a socket's name off the list; the port is in backend->ports whatever happens. */
static int open_port(struct vio_daemon *first, struct net_backend *backend, const char *path, size_t length,
		     struct vio_message *message)
{
	const struct vio_host_network_options *options = &backend->options;
	struct net_port *port;
	int error;

	if (backend->port_count == PORTS_MAX)
		return vio_fail(message, -VIO_ERANGE, "ports names more than %u sockets", PORTS_MAX);
	port = calloc(1, sizeof(*port));
	if (!port)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	backend->ports[backend->port_count++] = port;
	port->daemon.type = first->type;
	port->daemon.program = first->program;
	port->daemon.loop = first->loop;
	port->daemon.watcher = first->watcher;
	port->daemon.socket.fd = port->daemon.control.socket.fd = port->daemon.signal_watch.fd = -1;
	if (!length || length >= sizeof(port->path))
		return vio_fail(message, -VIO_EINVAL, "ports: '%.*s' is no path of a socket", (int)length,
				path);
	memcpy(port->path, path, length);
	error = make_device(port, &first->device, backend->port_count, message);
	if (error)
		return error;
	memcpy(port->daemon.backend, options, sizeof(*options));
	port->network = vio_host_hub_port(backend->hub);
	if (!port->network)
		return vio_fail(message, -VIO_ENOMEM, "out of memory or descriptors");
	vio_net_attach(&port->daemon.device, port->network);
	return vio_daemon_open_port(&port->daemon, first, port->path, message);
}

static void close_all(struct net_backend *backend)
{
	while (backend->port_count)
		close_port(backend->ports[--backend->port_count]);
	if (backend->network)
		backend->network->ops->close(backend->network);
	if (backend->hub)
		vio_host_hub_destroy(backend->hub);
}

static int open_hub(struct vio_device *dev, struct vio_loop *loop, struct net_backend *backend,
		    struct vio_message *message)
{
	struct vio_daemon *first = VIO_CONTAINER_OF(dev, struct vio_daemon, device);
	const struct vio_host_network_options *options = &backend->options;
	const char *at = options->ports;
	int error = 0;

	backend->hub = vio_host_hub_create(loop, options->learn ? VIO_HOST_HUB_LEARN : 0);
	backend->network = backend->hub ? vio_host_hub_port(backend->hub) : NULL;
	if (!backend->network)
		return vio_fail(message, -VIO_ENOMEM, "out of memory or descriptors");
	while (!error && *at) {
		size_t length = strcspn(at, ",");

		error = open_port(first, backend, at, length, message);
		at += length + (at[length] == ',');
	}
	if (error || !options->capture[0])
		return error;
	error = vio_host_capture(backend->network, options->capture, &backend->network, message);
	if (error)
		backend->network = NULL;
	return error;
}

static uint16_t pairs_of(struct vio_device *dev)
{
	char text[16];

	property_text(dev, "pairs", text, sizeof(text));
	return (uint16_t)strtoul(text, NULL, 10);
}

static int net_open(struct vio_device *dev, struct vio_loop *loop, void *memory, struct vio_message *message)
{
	struct net_backend *backend = memory;
	int error = judge_properties(dev, message);

	if (!error)
		error = choose_mac(dev, message);
	if (error)
		return error;
	if (backend->options.backend == VIO_HOST_NETWORK_HUB)
		error = open_hub(dev, loop, backend, message);
	else
		error = vio_host_network_open(loop, &backend->options, pairs_of(dev), &backend->network,
					      message);
	if (!error)
		error = vio_net_attach(dev, backend->network);
	if (error)
		close_all(backend);
	return error;
}

static int net_close(struct vio_device *dev, void *memory)
{
	(void)dev;
	close_all(memory);
	return 0;
}

static bool net_connects(const void *memory)
{
	const struct vio_host_network_options *options = &((const struct net_backend *)memory)->options;

	return options->backend == VIO_HOST_NETWORK_SOCKET && !options->listen;
}

const struct vio_daemon_type vio_daemon_net_type = {
	.class = &vio_net_class,
	.backend_properties = vio_host_network_properties,
	.backend_bytes = sizeof(struct net_backend),
	.open = net_open,
	.close = net_close,
	.connects = net_connects,
	.vhost_user_type = "net",
};
