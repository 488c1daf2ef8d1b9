/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/epoll.h>
#include <unistd.h>

#include "link/socket.h"

int link_room_open(int fd)
{
	struct epoll_event event = { .events = EPOLLOUT };
	int room = epoll_create1(EPOLL_CLOEXEC);

	if (room < 0)
		return -VIO_ESYS;
	if (epoll_ctl(room, EPOLL_CTL_ADD, fd, &event) < 0) {
		close(room);
		return -VIO_ESYS;
	}
	return room;
}

void link_socket_init(struct link_socket *socket, const struct vio_watcher *watcher,
		      void (*message)(struct vio_watch *messages), void (*room)(struct vio_watch *room))
{
	*socket = (struct link_socket){
		.fd = -1,
		.watcher = *watcher,
		.messages = { .fd = -1, .ready = message },
		.room = { .fd = -1, .ready = room },
	};
}

static int await(struct link_socket *socket, struct vio_watch *watch, int fd)
{
	int error;

	watch->fd = fd;
	error = socket->watcher.add(socket->watcher.context, watch);
	if (!error)
		socket->watched = watch;
	return error;
}

int link_socket_await_message(struct link_socket *socket)
{
	link_socket_await_nothing(socket);
	return await(socket, &socket->messages, socket->fd);
}

int link_socket_await_room(struct link_socket *socket)
{
	int fd, error;

	link_socket_await_nothing(socket);
	fd = link_room_open(socket->fd);
	if (fd < 0)
		return fd;
	error = await(socket, &socket->room, fd);
	if (error)
		close(fd);
	return error;
}

void link_socket_await_nothing(struct link_socket *socket)
{
	if (!socket->watched)
		return;
	socket->watcher.remove(socket->watcher.context, socket->watched);
	if (socket->watched == &socket->room)
		close(socket->room.fd);
	socket->watched = NULL;
}
