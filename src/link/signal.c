/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "link/signal.h"

/*
 * Other files without a type (timers, performance counters) may be readable for
 * ever, so that watching them would keep a processor busy. Where /proc is absent
 * the front end is believed.
 */
static bool is_eventfd(int fd)
{
	static const char eventfd_name[] = "anon_inode:[eventfd]";
	char path[32], name[sizeof(eventfd_name)];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, name, sizeof(name));
	return length < 0 ||
	       (length == sizeof(eventfd_name) - 1 && !memcmp(name, eventfd_name, (size_t)length));
}

enum link_signal_kind link_signal_kind(int fd, int access)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat status;

	/* hostile: C12 */
	if (flags < 0 || (flags & O_PATH) || fstat(fd, &status) < 0)
		return LINK_SIGNAL_NONE;
	if ((flags & O_ACCMODE) != O_RDWR && (flags & O_ACCMODE) != access)
		return LINK_SIGNAL_NONE;
	if (S_ISFIFO(status.st_mode))
		return LINK_SIGNAL_PIPE;
	if (S_ISSOCK(status.st_mode))
		return LINK_SIGNAL_SOCKET;
	return !(status.st_mode & S_IFMT) && is_eventfd(fd) ? LINK_SIGNAL_EVENT : LINK_SIGNAL_NONE;
}

void link_signal_set(struct link_signal *to, enum link_signal_kind kind, int fd)
{
	if (to->kind != LINK_SIGNAL_NONE)
		close(to->fd);
	*to = (struct link_signal){ kind, fd };
}

static bool ready(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	return poll(&pollfd, 1, 0) == 1;
}

/*
 * A front end that gave a descriptor without O_NONBLOCK may mean it, and the
 * flag is its own, so it is asked before every write (hostile: C23). Only one
 * that fills the counter between the two system calls can still hold this thread.
 */
static ssize_t write_now(int fd, const void *from, size_t length)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK) && !ready(fd, POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, from, length);
}

/* write() to a pipe that nobody reads raises SIGPIPE, which isn't ours to ignore. */
static ssize_t write_pipe(int fd, const void *from, size_t length)
{
	const struct timespec now = { 0, 0 };
	sigset_t sigpipe, pending, before;
	ssize_t written;
	int error;

	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
	written = write_now(fd, from, length);
	error = errno;
	if (written < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&sigpipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return written;
}

ssize_t link_signal_put(const struct link_signal *to, const void *from, size_t length)
{
	ssize_t written;

	if (length > PIPE_BUF)
		length = PIPE_BUF;
	do {
		if (to->kind == LINK_SIGNAL_PIPE)
			written = write_pipe(to->fd, from, length);
		else if (to->kind == LINK_SIGNAL_SOCKET)
			written = send(to->fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			written = write_now(to->fd, from, length);
	} while (written < 0 && errno == EINTR);
	if (written >= 0)
		return written;
	return errno == EAGAIN || errno == EWOULDBLOCK ? -VIO_EAGAIN : -VIO_EHANGUP;
}

bool link_signal_write(const struct link_signal *to, const void *from, size_t length)
{
	return to->kind == LINK_SIGNAL_NONE || link_signal_put(to, from, length) != -VIO_EHANGUP;
}

bool link_signal_raise(const struct link_signal *to)
{
	const uint64_t one = 1;

	return link_signal_write(to, &one, sizeof(one));
}

int link_signal_take(int fd)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };
	ssize_t got;

	/*
	 * The loop saw it readable, but another queue with the same eventfd or the front
	 * end itself may have been faster, and the flags are the front end's.
	 */
	got = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == ESPIPE)) {
		if (!ready(fd, POLLIN))
			return 0;
		got = read(fd, &count, sizeof(count));
	}
	if (got > 0)
		return 1;
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	return -VIO_EHANGUP;
}
