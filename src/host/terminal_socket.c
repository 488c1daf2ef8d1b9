/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/terminal.h"

/* A Unix stream socket: one client at a time, the next ones wait. */

struct port_socket {
	struct vio_stream stream;
	struct sockaddr_un address;
	struct vio_watch accept_watch;
	bool accepting;
	dev_t device; /* which file is ours to remove */
	ino_t inode;
	int client; /* -1: none */
};

static struct port_socket *socket_of(struct vio_stream *stream)
{
	return VIO_CONTAINER_OF(stream, struct port_socket, stream);
}

static void listen_again(struct port_socket *sock, bool wanted)
{
	if (wanted && !sock->accepting) {
		sock->accepting = vio_loop_watch(sock->stream.loop, &sock->accept_watch) == 0;
	} else if (!wanted && sock->accepting) {
		vio_loop_unwatch(sock->stream.loop, &sock->accept_watch);
		sock->accepting = false;
	}
}

static void socket_ended(struct vio_stream *stream)
{
	struct port_socket *sock = socket_of(stream);

	if (sock->client < 0)
		return;
	vio_stream_disconnect(stream);
	close(sock->client);
	sock->client = -1;
	listen_again(sock, true);
}

static void socket_accept(struct vio_watch *watch)
{
	struct port_socket *sock = VIO_CONTAINER_OF(watch, struct port_socket, accept_watch);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	listen_again(sock, false);
	sock->client = fd;
	if (vio_stream_connect(&sock->stream, fd, fd)) {
		close(fd);
		sock->client = -1;
		listen_again(sock, true);
	}
}

static void socket_release(struct vio_stream *stream)
{
	struct port_socket *sock = socket_of(stream);
	struct stat now;

	if (sock->client >= 0)
		close(sock->client);
	listen_again(sock, false);
	if (sock->inode && lstat(sock->address.sun_path, &now) == 0 && now.st_dev == sock->device &&
	    now.st_ino == sock->inode)
		unlink(sock->address.sun_path);
	if (sock->accept_watch.fd >= 0)
		close(sock->accept_watch.fd);
	free(sock);
}

/* A socket that a process left behind, and nobody listens on: it goes. */
static void clear_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat is;

	if (fd < 0)
		return;
	if (lstat(address->sun_path, &is) == 0 && S_ISSOCK(is.st_mode) &&
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) && errno == ECONNREFUSED)
		unlink(address->sun_path);
	close(fd);
}

static int start(struct port_socket *sock)
{
	struct stat made;

	clear_stale(&sock->address);
	sock->accept_watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock->accept_watch.fd < 0 ||
	    bind(sock->accept_watch.fd, (struct sockaddr *)&sock->address, sizeof(sock->address)))
		return vio_error_from_errno(errno);
	if (lstat(sock->address.sun_path, &made) == 0) {
		sock->device = made.st_dev;
		sock->inode = made.st_ino;
	}
	if (listen(sock->accept_watch.fd, 8))
		return vio_error_from_errno(errno);
	listen_again(sock, true);
	return sock->accepting ? 0 : -VIO_ENOMEM;
}

static int socket_open(struct vio_loop *loop, struct vio_host_terminal_options *options,
		       struct vio_terminal **terminal, struct vio_message *message)
{
	size_t length = strlen(options->path);
	struct port_socket *sock;
	int error;

	if (length >= sizeof(sock->address.sun_path))
		return vio_fail(message, -VIO_ERANGE, "path '%.128s' is too long for a socket",
				options->path);
	sock = calloc(1, sizeof(*sock));
	if (!sock)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_stream_init(&sock->stream, loop, options);
	sock->stream.ended = socket_ended;
	sock->stream.release = socket_release;
	sock->client = -1;
	sock->address.sun_family = AF_UNIX;
	memcpy(sock->address.sun_path, options->path, length);
	sock->accept_watch = (struct vio_watch){ .fd = -1, .ready = socket_accept };
	error = start(sock);
	if (error) {
		socket_release(&sock->stream);
		return vio_fail(message, error, "can't listen at the socket '%s': %s", options->path,
				vio_strerror(error));
	}
	*terminal = &sock->stream.terminal;
	return 0;
}

const struct vio_terminal_kind vio_terminal_socket = { .name = "socket", .open = socket_open };
