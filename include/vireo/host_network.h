/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_HOST_NETWORK_H
#define VIREO_HOST_NETWORK_H

#include <vireo/host.h>
#include <vireo/network.h>

/*
 * Networks of an operating system: what a network device stands on.
 */
enum vio_host_network_kind {
	VIO_HOST_NETWORK_TAP,    /* an interface of the kernel's */
	VIO_HOST_NETWORK_SOCKET, /* a Unix stream socket; frames behind their length in 32 bits, big-endian */
	VIO_HOST_NETWORK_HUB,    /* a hub of its own, see vio_host_hub_create() */
	VIO_HOST_NETWORK_ECHO,   /* what is sent comes back with its addresses swapped */
	VIO_HOST_NETWORK_NULL,   /* what is sent is gone, and nothing comes */
	VIO_HOST_NETWORK_SOURCE, /* what is sent is gone, and frames come as fast as the driver takes them */
};

struct vio_host_network_options {
	uint8_t backend;                   /* enum vio_host_network_kind */
	char interface[16];                /* of TAP; empty: the kernel chooses a name */
	char path[VIO_HOST_PATH_BYTES];    /* of SOCKET */
	bool listen;                       /* SOCKET: wait for the peer instead of going to it */
	char capture[VIO_HOST_PATH_BYTES]; /* a file for all frames of both directions */
	char ports[VIO_HOST_PATH_BYTES];   /* of a daemon with a HUB: sockets of further devices */
	bool learn;                        /* of a HUB: send to where an address was seen */
	uint16_t frame_bytes;              /* of SOURCE; at least VIO_FRAME_BYTES_LEAST */
};

/* "backend", "interface", "path", "listen", "capture", "ports", "frame-bytes", "learn" over the options. */
VIO_API const struct vio_property_table *vio_host_network_properties(void);

/*
 * Opens a network driven by `loop`, which must outlive it, for a device with so many
 * pairs of queues; free it with network->ops->close(). A HUB is one with a single port.
 */
VIO_API int vio_host_network_open(struct vio_loop *loop, const struct vio_host_network_options *options,
				  uint16_t pairs, struct vio_network **network, struct vio_message *message);

/*
 * A hub: frames from a port go to all others, or, learning, to the one where their
 * target's address was seen as a source. A frame for one port that has no room waits
 * for it, up to a limit of number and time; others do not wait.
 */
struct vio_host_hub;

#define VIO_HOST_HUB_LEARN 1u

/* An empty hub driven by `loop`, which must outlive it. NULL without memory. */
VIO_API struct vio_host_hub *vio_host_hub_create(struct vio_loop *loop, unsigned flags);

/* A new port, closed by its ops->close(). NULL without memory. */
VIO_API struct vio_network *vio_host_hub_port(struct vio_host_hub *hub);

/* All ports are closed. */
VIO_API void vio_host_hub_destroy(struct vio_host_hub *hub);

/*
 * Puts a recorder in front of a network: what passes goes to a file in the format
 * pcapng, as it would look on a wire, with checksums complete and long frames cut.
 * Closing it closes the network, too; so does failing.
 */
VIO_API int vio_host_capture(struct vio_network *inner, const char *path, struct vio_network **network,
			     struct vio_message *message);

#endif
