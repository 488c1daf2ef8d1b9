/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_VHOST_USER_H
#define VIREO_VHOST_USER_H

#include <vireo/device.h>
#include <vireo/watch.h>

/*
 * The back-end half of vhost-user: serves one device to one front end over a
 * connected Unix stream socket.
 *
 * It needs an event loop only through struct vio_watcher: it adds the socket, the
 * kick eventfds and little else, so it runs in anybody's loop. Messages are
 * validated whole before anything changes. A front end that breaks the protocol
 * gets the error that the protocol allows, or the connection ends; either way
 * nothing leaks and the device is left reset. Memory that it cuts short is survived with
 * vio_guard_memory() of vireo/guard.h.
 *
 * Where the front end keeps a file for it (INFLIGHT_SHMFD), the back end writes down which requests it has.
 * When the process dies, another one that is connected to the same front end takes them once more, in their
 * order and before any others, so that nothing is lost and nothing that was answered is done again.
 *
 * A front end that moves its driver elsewhere learns which pages were written meanwhile (LOG_SHMFD), where
 * the queues stood, and what no front end knows of a device, which it brings to the next one (DEVICE_STATE):
 * docs/migration.md.
 *
 * A back end may serve one connection after another; the device is attached for
 * the length of each.
 */
struct vio_vhost_user;

struct vio_vhost_user_events {
	/*
	 * The connection is over and everything of it is gone. `reason`: -VIO_EHANGUP when the
	 * front end closed it, -VIO_EPROTO when it broke the protocol, ... Another connection
	 * may be started from inside.
	 */
	void (*closed)(void *context, int reason);
	/* One line about a peer's mistake or the like, without newline. May be NULL. */
	void (*log)(void *context, const char *line);
};

#define VIO_VHOST_USER_QUEUES_MAX 256u
#define VIO_VHOST_USER_REGIONS_MAX 128u /* memory slots offered */

/*
 * `dev` is realized, provided and not attached; it, the watcher and the events
 * must outlive the back end. NULL when out of memory.
 */
VIO_API struct vio_vhost_user *
vio_vhost_user_create(struct vio_device *dev, const struct vio_watcher *watcher,
		      const struct vio_vhost_user_events *events, void *context);
/* Ends the connection, if any, without calling closed. */
VIO_API void vio_vhost_user_destroy(struct vio_vhost_user *backend);

/* While there is no connection. `crew` is copied; the device's type has to be made for it. */
VIO_API void vio_vhost_user_spread(struct vio_vhost_user *backend, const struct vio_watch_crew *crew);

/* Takes over a connected socket (also on failure). -VIO_EBUSY when there is a connection. */
VIO_API int vio_vhost_user_start(struct vio_vhost_user *backend, int socket_fd);
/* Ends the connection without calling closed; the device is drained and reset. */
VIO_API void vio_vhost_user_stop(struct vio_vhost_user *backend);
/* How many whole messages have come by this connection. */
VIO_API uint64_t vio_vhost_user_heard(const struct vio_vhost_user *backend);

/* Protocol feature bits that this back end offers for its device (VHOST_USER_PROTOCOL_F_...). */
VIO_API uint64_t vio_vhost_user_protocol_features(const struct vio_vhost_user *backend);

#endif
