/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_NETWORK_H
#define VIREO_NETWORK_H

#include <vireo/frame.h>

/*
 * The network that a network device stands on: a table of asynchronous operations.
 *
 * Frames from the driver are sent, each by a struct vio_network_send (typically
 * inside vio_buf.request) whose `done` is called once, in the thread that drives
 * the network, possibly from inside send. Frames for the driver are delivered by
 * the network when it likes, through the table that the device sets.
 *
 * Both ways there is a call for many frames at once, which costs a part of it by the
 * frame. It is for those that go at once; who has to wait takes the other call.
 *
 * Offloads: a network says what it takes unfinished from a driver, and is told
 * what the driver takes. It may deliver anything that vio_frame_judge() finds
 * sound; what the driver doesn't take, the device finishes.
 */

/* Checksums left to complete, TCP and UDP data left to cut, TCP data with ECN. */
#define VIO_NETWORK_CSUM     1u
#define VIO_NETWORK_TSO4     2u
#define VIO_NETWORK_TSO6     4u
#define VIO_NETWORK_ECN      8u
#define VIO_NETWORK_USO4     16u
#define VIO_NETWORK_USO6     32u
#define VIO_NETWORK_OFFLOADS 63u

struct vio_network;

struct vio_network_send {
	struct vio_frame frame; /* judged; the bytes in the spans may still change */
	/* result: 0, or a negative code when the frame is lost for a reason that the network knows */
	void (*done)(struct vio_network_send *send, int result);
	uint64_t network_private[4]; /* for the network while it holds the frame */
};

struct vio_network_ops {
	void (*send)(struct vio_network *network, struct vio_network_send *send);
	/*
	 * Sends some of the frames, from the first on, and returns how many. They have gone, or are lost,
	 * when it returns, without `done`; those behind them are for send(), one by one. Their spans are
	 * good until then. May be NULL.
	 */
	unsigned (*send_many)(struct vio_network *network, const struct vio_frame *frames, unsigned count);
	/* The device has sent all that there was. May be NULL. */
	void (*send_end)(struct vio_network *network);
	/* There may be room in this pair's queue after deliver() said -VIO_EAGAIN. May be NULL. */
	void (*ready)(struct vio_network *network, uint16_t pair);
	/* What the driver takes, and how many pairs it uses, 0 while it can't receive. May be NULL. */
	void (*configure)(struct vio_network *network, unsigned offloads, uint16_t pairs);
	/* Call events->expired once, after delay_us microseconds; an armed one is moved. May be NULL. */
	void (*arm)(struct vio_network *network, uint32_t delay_us);
	/* Returns when everything sent is done. */
	void (*drain)(struct vio_network *network);
	/* Frees it; nothing is in flight. */
	void (*close)(struct vio_network *network);
};

/* What the device gives the network to call, all in the network's thread. */
struct vio_network_events {
	/*
	 * A frame for the driver; its bytes are copied before it returns. 0: taken, or dropped as the
	 * driver wished. -VIO_EAGAIN: there are no buffers now, `ready` will follow. -VIO_EPHASE: no
	 * driver is at work. -VIO_EPEER: the frame isn't sound.
	 */
	int (*deliver)(void *context, const struct vio_frame *frame);
	/* After a run of frames: tells the driver. */
	void (*deliver_end)(void *context);
	/* link_up changed. */
	void (*link_changed)(void *context);
	/* The time asked for by arm() is over. */
	void (*expired)(void *context);
	/*
	 * deliver() for many, from the first on: how many were taken or lost. Fewer than `count`: deliver()
	 * said -VIO_EAGAIN of the next.
	 */
	unsigned (*deliver_many)(void *context, const struct vio_frame *frames, unsigned count);
};

/* Filled by the network; read by the device. */
struct vio_network {
	const struct vio_network_ops *ops;
	unsigned offloads;  /* what it takes from a driver */
	uint16_t pairs_max; /* of queues that it can tell apart; 0: any number */
	bool link_up;       /* may change at any time, see link_changed */

	/* Set by the device. */
	const struct vio_network_events *events;
	void *events_context;
};

#endif
