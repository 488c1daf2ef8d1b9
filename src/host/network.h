/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_NETWORK_PRIVATE_H
#define VIO_HOST_NETWORK_PRIVATE_H

#include <vireo/host_network.h>

/* What the kinds of networks behind vio_host_network_open() share. */

struct vio_network_kind {
	const char *name;
	/* The options have been checked as far as they depend on the kind. */
	int (*open)(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		    struct vio_network **network, struct vio_message *message);
};

extern const struct vio_network_kind vio_network_tap;
extern const struct vio_network_kind vio_network_socket;
extern const struct vio_network_kind vio_network_hub;
extern const struct vio_network_kind vio_network_echo;
extern const struct vio_network_kind vio_network_null;
extern const struct vio_network_kind vio_network_source;

/* The clock behind ops->arm(): the loop's own timers count milliseconds. */
struct vio_network_clock {
	struct vio_loop *loop;
	struct vio_network *network;
	struct vio_watch watch;
};

/* A negative code when the system has none for us. */
int vio_network_clock_open(struct vio_network_clock *clock, struct vio_loop *loop,
			   struct vio_network *network);
void vio_network_clock_arm(struct vio_network_clock *clock, uint32_t delay_us);
void vio_network_clock_close(struct vio_network_clock *clock);

/* For networks that are done inside send. */
void vio_network_drain_nothing(struct vio_network *network);

/* Gives a frame to the device, if there is one; results as deliver(). */
int vio_network_deliver(struct vio_network *network, const struct vio_frame *frame);
unsigned vio_network_deliver_many(struct vio_network *network, const struct vio_frame *frames,
				  unsigned count);
void vio_network_deliver_end(struct vio_network *network);

#endif
