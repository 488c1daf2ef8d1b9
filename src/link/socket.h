/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_SOCKET_H
#define VIO_LINK_SOCKET_H

#include <vireo/watch.h>

/*
 * A descriptor that is readable while something can be written to `fd`; the caller's to close. For watchers,
 * which know no "writable": an epoll instance is watched like anything else, in any loop. Or -VIO_ESYS.
 */
int link_room_open(int fd);

/*
 * A socket on which messages are answered. While an answer waits for room in it no further message is read:
 * then this is watched in place of the socket.
 */
struct link_socket {
	int fd; /* the owner's; -1: no connection */
	struct vio_watcher watcher;
	struct vio_watch messages, room;
	struct vio_watch *watched; /* which of the two; NULL: neither */
};

/* What is called when a message came, and when there is room. */
void link_socket_init(struct link_socket *socket, const struct vio_watcher *watcher,
		      void (*message)(struct vio_watch *messages), void (*room)(struct vio_watch *room));
/* Which of the two is watched from now on: 0 or a negative code, and then neither is. */
int link_socket_await_message(struct link_socket *socket);
int link_socket_await_room(struct link_socket *socket);
void link_socket_await_nothing(struct link_socket *socket);

#endif
