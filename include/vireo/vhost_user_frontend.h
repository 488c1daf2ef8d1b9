/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_VHOST_USER_FRONTEND_H
#define VIREO_VHOST_USER_FRONTEND_H

#include <vireo/driver.h>
#include <vireo/spec/vhost_user.h>

/*
 * The front-end half of vhost-user: a transport for drivers in a Linux process, so
 * that any driver drives any back end.
 *
 *	int socket = vio_vhost_user_frontend_connect("/run/disk.sock");
 *	vio_vhost_user_frontend_open(socket, &options, &dev, &mistake);
 *	vio_driver_bind(&dev, &vio_blk_driver, vio_vhost_user_frontend_platform(&dev), state);
 *	vio_blk_read(&dev, 0, bytes, sizeof(bytes));
 *	vio_dev_close(&dev);
 *
 * Memory is one arena of the front end's own: drivers' rings lie in it, buffers that don't are copied
 * there and back. It is all of the process that the back end sees, it goes with the connection, and the
 * back end can't cut it short.
 *
 * The back end isn't trusted: each reply is held against its request, none is waited for longer than
 * timeout_ms however it drips, file descriptors that nobody asked for are closed. The first lie ends the
 * connection; the device is gone then (-VIO_EHANGUP), and vio_vhost_user_frontend_mistake() says why.
 *
 * Where a back end knows STATUS, status is its own; where it doesn't, it is kept here, and reset is
 * stopping all rings (and RESET_DEVICE, if it has that). Configuration changes are heard through the
 * back end's channel.
 *
 * With `reconnect` a back end may die at any time: the next one is told all that it knew, takes once more
 * what it hadn't answered, and drivers notice no more than that a request took its time. For that the back
 * end needs INFLIGHT_SHMFD, and has to come back as it was. It is noticed when the transport waits or asks
 * something.
 *
 * Other than with hardware, operations of this transport wait: for replies, up to timeout_ms each. Calls
 * belong to one thread.
 */

/* Memory that is the caller's: a file that can be mapped, and the bus address of its first byte. */
struct vio_vhost_user_memory {
	int fd; /* stays the caller's */
	uint64_t bytes;
	struct vio_addr addr; /* page-aligned, as `bytes` */
};

#define VIO_VHOST_USER_PAIRS 1u /* the back end counts pairs of queues, as those of network devices do */

struct vio_vhost_user_frontend_options {
	uint32_t id;         /* virtio device id: the protocol doesn't tell it */
	unsigned flags;      /* VIO_VHOST_USER_... */
	unsigned timeout_ms; /* for a reply; 0: VIO_VHOST_USER_TIMEOUT_MS */
	uint16_t queue_size; /* at most, a power of two; 0: VIO_VHOST_USER_QUEUE_SIZE */
	/*
	 * How many queues there are when the back end doesn't count them (it has no MQ): as many as every
	 * device of the type has, 1 for disks. 0: as many as the driver asks for.
	 */
	uint16_t queues_unsaid;
	uint64_t withhold;   /* protocol features (1 << bit) not to negotiate */
	size_t arena_bytes;  /* 0: VIO_VHOST_USER_ARENA_BYTES */
	const struct vio_vhost_user_memory *memory; /* instead of an arena; then there is no platform */
	/*
	 * Called when the front end has to wait, with `context`; for a back end in the same thread, which
	 * does its work here. May be NULL.
	 */
	void (*waiting)(void *context);
	/*
	 * For back ends that may die and be started again: called with `context` when one hung up. A
	 * connected socket, which is taken over, or a negative code: it is called again for reconnect_ms (0:
	 * VIO_VHOST_USER_RECONNECT_MS). NULL: the device is gone then. Not with memory of the caller's.
	 */
	int (*reconnect)(void *context);
	unsigned reconnect_ms;
	void *context;
};

#define VIO_VHOST_USER_TIMEOUT_MS  5000u
#define VIO_VHOST_USER_RECONNECT_MS 10000u
#define VIO_VHOST_USER_QUEUE_SIZE  256u
#define VIO_VHOST_USER_ARENA_BYTES ((size_t)16 << 20)

/* Why opening failed, as a line without newline. */
struct vio_vhost_user_mistake {
	char text[200];
};

/* Connects to a Unix stream socket: a file descriptor, or a negative code (-VIO_ESYS: see errno). */
VIO_API int vio_vhost_user_frontend_connect(const char *path);

/*
 * Takes over a connected socket (also on failure), agrees on protocol features and fills in *dev, which
 * must stay in place until vio_dev_close(). `mistake` may be NULL. -VIO_EHANGUP, -VIO_EAGAIN when there
 * is no reply in time, -VIO_EPROTO for a reply that can't be, -VIO_EINVAL for options that can't be,
 * -VIO_ENOMEM, -VIO_ESYS.
 */
VIO_API int vio_vhost_user_frontend_open(int socket_fd, const struct vio_vhost_user_frontend_options *options,
					 struct vio_dev *dev, struct vio_vhost_user_mistake *mistake);

/*
 * The arena as a platform, for this device alone, until vio_dev_close(); NULL with memory of the caller's.
 * Its wait() sleeps until the back end has something and hands it to vio_dev_interrupt().
 */
VIO_API const struct vio_platform *vio_vhost_user_frontend_platform(struct vio_dev *dev);

/* What the back end says of itself. */
struct vio_vhost_user_frontend_info {
	uint64_t features;         /* all that it offers, with VHOST_USER_F_PROTOCOL_FEATURES */
	uint64_t protocol_offered; /* 0 without that bit */
	uint64_t protocol_accepted;
	uint32_t queue_count;  /* as it says; 0: it doesn't, there is no MQ */
	uint64_t memory_slots; /* likewise, CONFIGURE_MEM_SLOTS */
};

/* Fills in *info from what was learned when it was opened; asks for nothing. */
VIO_API void vio_vhost_user_frontend_get_info(struct vio_dev *dev, struct vio_vhost_user_frontend_info *info);

/* Why the connection ended, or what the back end refused last; "" if nothing did. */
VIO_API const char *vio_vhost_user_frontend_mistake(struct vio_dev *dev);

/*
 * Ends the connection at once: the device is gone from now on. For a device that doesn't finish its reset
 * (VIO_DEV_STUCK): what it still has is its own mapping of the arena, so that vio_dev_close() succeeds.
 */
VIO_API void vio_vhost_user_frontend_hang_up(struct vio_dev *dev);

#endif
