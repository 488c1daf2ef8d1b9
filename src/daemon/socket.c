/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/daemon.h"

/* How long to wait for a socket's owner to be gone. */
#define BUSY_TRIES    50u
#define BUSY_PAUSE_MS 20

static int socket_address(struct sockaddr_un *address, const char *path, struct vio_message *message)
{
	size_t length = strlen(path);

	if (length >= sizeof(address->sun_path))
		return vio_fail(message, -VIO_ERANGE,
				"socket path '%.40s...' is %zu bytes long; the system's limit is %zu", path,
				length, sizeof(address->sun_path) - 1);
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, length);
	return 0;
}

/*
 * 0: nobody has the socket open, -VIO_EBUSY: somebody has. Asked by a datagram
 * socket, which a listener never gets to see: connecting to a stream socket fails
 * with EPROTOTYPE when it is alive and with ECONNREFUSED when it isn't.
 */
static int socket_probe(const struct sockaddr_un *address, struct vio_message *message)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int failed;

	if (fd < 0)
		return vio_fail(message, vio_error_from_errno(errno), "can't make a socket: %s",
				strerror(errno));
	failed = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	if (failed == ECONNREFUSED || failed == ENOENT)
		return 0;
	if (failed == 0 || failed == EPROTOTYPE)
		return vio_fail(message, -VIO_EBUSY, "socket '%s' is in use by another process",
				address->sun_path);
	return vio_fail(message, vio_error_from_errno(failed), "socket '%s': %s", address->sun_path,
			strerror(failed));
}

/* Makes room at the path: only a socket that nobody listens on is removed. */
static int socket_clear_path(const struct sockaddr_un *address, struct vio_message *message)
{
	const char *path = address->sun_path;
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_MS * 1000000 };
	struct stat before, now;
	int error;

	if (lstat(path, &before)) {
		if (errno == ENOENT)
			return 0;
		return vio_fail(message, vio_error_from_errno(errno), "socket '%s': %s", path,
				strerror(errno));
	}
	if (!S_ISSOCK(before.st_mode))
		return vio_fail(message, -VIO_EEXIST,
				"'%s' exists and is no socket; move it or choose another path", path);
	/* A process that was killed while io_uring watched its socket keeps it for a moment longer. */
	error = socket_probe(address, message);
	for (unsigned i = 0; error == -VIO_EBUSY && i < BUSY_TRIES; i++) {
		nanosleep(&pause, NULL);
		error = socket_probe(address, message);
	}
	if (error)
		return error;
	if (lstat(path, &now) == 0 && (now.st_dev != before.st_dev || now.st_ino != before.st_ino))
		return vio_fail(message, -VIO_EBUSY, "socket '%s' is in use by another process", path);
	if (unlink(path) && errno != ENOENT)
		return vio_fail(message, vio_error_from_errno(errno),
				"can't remove the stale socket '%s': %s", path, strerror(errno));
	return 0;
}

int vio_socket_listen(struct vio_socket *sock, const char *path, mode_t mode, struct vio_message *message)
{
	struct sockaddr_un address;
	struct stat made;
	int error;

	sock->fd = -1;
	error = socket_address(&address, path, message);
	if (!error)
		error = socket_clear_path(&address, message);
	if (error)
		return error;

	sock->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock->fd < 0)
		return vio_fail(message, vio_error_from_errno(errno), "can't make a socket: %s",
				strerror(errno));
	/* The file takes its permissions from the socket, so it never has others. */
	if ((mode && fchmod(sock->fd, mode)) ||
	    bind(sock->fd, (const struct sockaddr *)&address, sizeof(address)) || listen(sock->fd, 64)) {
		error = vio_fail(message, vio_error_from_errno(errno), "can't listen on socket '%s': %s",
				 path, strerror(errno));
		close(sock->fd);
		sock->fd = -1;
		return error;
	}
	memcpy(sock->path, address.sun_path, sizeof(sock->path));
	if (lstat(path, &made) == 0) {
		sock->device = made.st_dev;
		sock->inode = made.st_ino;
	}
	return 0;
}

int vio_socket_dial(const char *path)
{
	struct sockaddr_un address;
	struct vio_message ignored;
	int fd, saved;

	if (socket_address(&address, path, &ignored)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void vio_socket_close(struct vio_socket *sock)
{
	struct stat now;

	if (sock->fd < 0)
		return;
	if (sock->inode && lstat(sock->path, &now) == 0 && now.st_dev == sock->device &&
	    now.st_ino == sock->inode)
		unlink(sock->path);
	/* The loop's ring may hold the socket a moment longer; nobody shall connect to it then. */
	if (sock->inode)
		shutdown(sock->fd, SHUT_RDWR);
	close(sock->fd);
	sock->fd = -1;
	sock->inode = 0;
}
