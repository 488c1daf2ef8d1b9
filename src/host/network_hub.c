/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "host/network.h"

/*
 * A hub. A frame is delivered inside send, from the sender's memory into the
 * receiver's. One that is for a single port without room waits there, in the order
 * of sending and still in the sender's queue; HELD_MAX of them, then the oldest
 * goes, and all go when none was taken for HELD_MS. So a sender is as fast as its
 * receiver, and a receiver that sleeps holds up nobody for long.
 */

#define MAC_BYTES 6u
#define PLACES    1024u /* of addresses, by their hash */
#define HELD_MAX  1024u
#define HELD_MS   500u

struct hub_place {
	uint8_t mac[MAC_BYTES];
	struct hub_port *port; /* NULL: empty */
};

struct vio_host_hub {
	struct vio_loop *loop;
	unsigned flags;
	struct hub_port *ports;
	struct hub_place places[PLACES];
};

/* In vio_network_send.network_private. */
struct hub_held {
	struct vio_network_send *next;
	struct hub_port *from;
};

VIO_STATIC_ASSERT(sizeof(struct hub_held) <= sizeof(((struct vio_network_send *)0)->network_private),
		  "there is room for what the hub remembers");

struct hub_port {
	struct vio_network network;
	struct vio_network_clock clock;
	struct vio_host_hub *hub;
	struct hub_port *next;
	bool runs;                                 /* a driver is at work */
	bool touched;                              /* frames were delivered that it wasn't told of */
	bool alone;                                /* free the hub with it */
	struct vio_network_send *held, **held_end; /* frames that wait for room here */
	unsigned held_count;
	struct vio_timer patience;
};

static struct hub_held *held_of(struct vio_network_send *send)
{
	return (struct hub_held *)(void *)send->network_private;
}

static struct hub_place *place_of(struct vio_host_hub *hub, const uint8_t *mac)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < MAC_BYTES; i++)
		hash = hash * 31 + mac[i];
	return &hub->places[(hash ^ hash >> 10) % PLACES];
}

static void learn(struct hub_port *port, const uint8_t *mac)
{
	struct hub_place *place = place_of(port->hub, mac);

	if (vio_mac_is_multicast(mac))
		return;
	memcpy(place->mac, mac, MAC_BYTES);
	place->port = port;
}

static void forget(struct hub_port *port)
{
	for (unsigned i = 0; i < PLACES; i++) {
		if (port->hub->places[i].port == port)
			port->hub->places[i].port = NULL;
	}
}

static struct vio_network_send *held_take(struct hub_port *port)
{
	struct vio_network_send *send = port->held;

	if (!send)
		return NULL;
	port->held = held_of(send)->next;
	if (!port->held)
		port->held_end = &port->held;
	port->held_count--;
	return send;
}

static void held_put(struct hub_port *port, struct hub_port *from, struct vio_network_send *send)
{
	struct hub_held *held = held_of(send);

	if (port->held_count == HELD_MAX) {
		struct vio_network_send *oldest = held_take(port);

		oldest->done(oldest, 0);
	}
	if (!port->held)
		vio_loop_arm(port->hub->loop, &port->patience, HELD_MS);
	held->next = NULL;
	held->from = from;
	*port->held_end = send;
	port->held_end = &held->next;
	port->held_count++;
}

/* The one port that a frame is for, or NULL with *all telling whether it is for all others. */
static struct hub_port *target_of(struct hub_port *from, const uint8_t *mac, bool *all)
{
	struct vio_host_hub *hub = from->hub;
	const struct hub_place *place = place_of(hub, mac);
	struct hub_port *only = NULL;

	*all = false;
	if (hub->flags & VIO_HOST_HUB_LEARN && !vio_mac_is_multicast(mac) && place->port &&
	    !memcmp(place->mac, mac, MAC_BYTES))
		return place->port == from ? NULL : place->port;
	for (struct hub_port *port = hub->ports; port; port = port->next) {
		if (port == from || !port->runs)
			continue;
		*all = only;
		if (only)
			return NULL;
		only = port;
	}
	return only;
}

/* Target and source. They may have changed when the frame is delivered, which then judges for itself. */
static inline void read_macs(const struct vio_frame *frame, uint8_t *macs)
{
	if (frame->spans->length >= 2 * MAC_BYTES)
		memcpy(macs, frame->spans->host, 2 * MAC_BYTES);
	else
		vio_frame_copy(frame, 0, macs, 2 * MAC_BYTES);
}

/* How many of the first frames are from and to the same addresses. */
static unsigned run_of(const struct vio_frame *frames, unsigned count, uint8_t *macs)
{
	uint8_t next[2 * MAC_BYTES];
	unsigned i;

	read_macs(&frames[0], macs);
	for (i = 1; i < count; i++) {
		read_macs(&frames[i], next);
		if (memcmp(next, macs, sizeof(next)))
			break;
	}
	return i;
}

static void send_to_all(struct hub_port *from, const struct vio_frame *frames, unsigned count)
{
	for (struct hub_port *port = from->hub->ports; port; port = port->next) {
		if (port == from)
			continue;
		vio_network_deliver_many(&port->network, frames, count);
		port->touched = true;
	}
}

static void hub_send(struct vio_network *network, struct vio_network_send *send)
{
	struct hub_port *from = VIO_CONTAINER_OF(network, struct hub_port, network);
	struct hub_port *target;
	uint8_t macs[2 * MAC_BYTES];
	bool all;

	read_macs(&send->frame, macs);
	learn(from, macs + MAC_BYTES);
	target = target_of(from, macs, &all);
	if (target && (target->held || vio_network_deliver(&target->network, &send->frame) == -VIO_EAGAIN)) {
		held_put(target, from, send);
		return;
	}
	if (target)
		target->touched = true;
	if (all)
		send_to_all(from, &send->frame, 1);
	send->done(send, 0);
}

static unsigned hub_send_many(struct vio_network *network, const struct vio_frame *frames, unsigned count)
{
	struct hub_port *from = VIO_CONTAINER_OF(network, struct hub_port, network);
	unsigned done = 0;

	while (done < count) {
		uint8_t macs[2 * MAC_BYTES];
		unsigned run = run_of(frames + done, count - done, macs);
		unsigned taken = run;
		struct hub_port *target;
		bool all;

		learn(from, macs + MAC_BYTES);
		target = target_of(from, macs, &all);
		if (all)
			send_to_all(from, frames + done, run);
		if (target) {
			taken = target->held ? 0
					     : vio_network_deliver_many(&target->network, frames + done, run);
			target->touched = true;
		}
		done += taken;
		if (taken < run)
			break;
	}
	return done;
}

static void hub_send_end(struct vio_network *network)
{
	struct vio_host_hub *hub = VIO_CONTAINER_OF(network, struct hub_port, network)->hub;

	for (struct hub_port *port = hub->ports; port; port = port->next) {
		if (!port->touched)
			continue;
		port->touched = false;
		vio_network_deliver_end(&port->network);
	}
}

static void hub_ready(struct vio_network *network, uint16_t pair)
{
	struct hub_port *port = VIO_CONTAINER_OF(network, struct hub_port, network);

	const unsigned before = port->held_count;

	(void)pair;
	while (port->held && vio_network_deliver(network, &port->held->frame) != -VIO_EAGAIN) {
		struct vio_network_send *send = held_take(port);

		send->done(send, 0);
	}
	if (port->held && port->held_count != before)
		vio_loop_arm(port->hub->loop, &port->patience, HELD_MS);
	vio_network_deliver_end(network);
}

/* Nobody is there any more to take what waits. */
static void release(struct hub_port *port)
{
	struct vio_network_send *send;

	while ((send = held_take(port)))
		send->done(send, 0);
}

static void hub_impatient(struct vio_timer *timer)
{
	release(VIO_CONTAINER_OF(timer, struct hub_port, patience));
}

static void hub_configure(struct vio_network *network, unsigned offloads, uint16_t pairs)
{
	struct hub_port *port = VIO_CONTAINER_OF(network, struct hub_port, network);

	(void)offloads;
	port->runs = pairs;
	if (!pairs) {
		release(port);
		forget(port);
	}
}

static void hub_arm(struct vio_network *network, uint32_t delay_us)
{
	vio_network_clock_arm(&VIO_CONTAINER_OF(network, struct hub_port, network)->clock, delay_us);
}

/* What this port has sent and others have no room for is given up. */
static void hub_drain(struct vio_network *network)
{
	struct hub_port *from = VIO_CONTAINER_OF(network, struct hub_port, network);

	for (struct hub_port *port = from->hub->ports; port; port = port->next) {
		unsigned count = port->held_count;

		while (count--) {
			struct vio_network_send *send = held_take(port);

			if (held_of(send)->from == from)
				send->done(send, -VIO_EAGAIN);
			else
				held_put(port, held_of(send)->from, send);
		}
	}
}

static void hub_close(struct vio_network *network)
{
	struct hub_port *port = VIO_CONTAINER_OF(network, struct hub_port, network);
	struct vio_host_hub *hub = port->hub;
	struct hub_port **at = &hub->ports;

	vio_loop_disarm(hub->loop, &port->patience);
	release(port);
	forget(port);
	while (*at != port)
		at = &(*at)->next;
	*at = port->next;
	vio_network_clock_close(&port->clock);
	if (port->alone)
		vio_host_hub_destroy(hub);
	free(port);
}

static const struct vio_network_ops hub_ops = {
	.send = hub_send,
	.send_many = hub_send_many,
	.send_end = hub_send_end,
	.ready = hub_ready,
	.configure = hub_configure,
	.arm = hub_arm,
	.drain = hub_drain,
	.close = hub_close,
};

struct vio_host_hub *vio_host_hub_create(struct vio_loop *loop, unsigned flags)
{
	struct vio_host_hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		return NULL;
	hub->loop = loop;
	hub->flags = flags;
	return hub;
}

void vio_host_hub_destroy(struct vio_host_hub *hub)
{
	free(hub);
}

struct vio_network *vio_host_hub_port(struct vio_host_hub *hub)
{
	struct hub_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->network.ops = &hub_ops;
	port->network.offloads = VIO_NETWORK_OFFLOADS;
	port->network.link_up = true;
	port->hub = hub;
	port->held_end = &port->held;
	port->patience.expired = hub_impatient;
	if (vio_network_clock_open(&port->clock, hub->loop, &port->network)) {
		free(port);
		return NULL;
	}
	port->next = hub->ports;
	hub->ports = port;
	return &port->network;
}

static int hub_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		    struct vio_network **network, struct vio_message *message)
{
	struct vio_host_hub *hub = vio_host_hub_create(loop, options->learn ? VIO_HOST_HUB_LEARN : 0);

	(void)pairs;
	*network = hub ? vio_host_hub_port(hub) : NULL;
	if (!*network) {
		free(hub);
		return vio_fail(message, -VIO_ENOMEM, "out of memory or descriptors");
	}
	VIO_CONTAINER_OF(*network, struct hub_port, network)->alone = true;
	return 0;
}

const struct vio_network_kind vio_network_hub = { .name = "hub", .open = hub_open };
