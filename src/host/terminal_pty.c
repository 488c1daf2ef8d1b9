/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "host/terminal.h"

/*
 * A pseudo terminal. Somebody has the other end open when ours sees no hangup: that is to be
 * noticed by looking, as is the size of the window.
 */

#define LOOK_MS 100u

struct pty {
	struct vio_stream stream;
	int ours; /* -1: none */
	struct vio_timer look;
	char theirs[64];
	char link[VIO_HOST_PATH_BYTES]; /* empty: none that is ours to remove */
};

static struct pty *pty_of(struct vio_stream *stream)
{
	return VIO_CONTAINER_OF(stream, struct pty, stream);
}

static void pty_ended(struct vio_stream *stream)
{
	vio_stream_disconnect(stream);
}

static void pty_look(struct vio_timer *timer)
{
	struct pty *pty = VIO_CONTAINER_OF(timer, struct pty, look);
	struct pollfd poller = { .fd = pty->ours };
	bool there = poll(&poller, 1, 0) == 0;

	vio_loop_arm(pty->stream.loop, &pty->look, LOOK_MS);
	if (there) {
		vio_stream_take_size(&pty->stream, pty->ours);
		if (!pty->stream.terminal.connected)
			(void)vio_stream_connect(&pty->stream, pty->ours, pty->ours);
	}
}

static void pty_release(struct vio_stream *stream)
{
	struct pty *pty = pty_of(stream);
	char target[sizeof(pty->theirs)];
	ssize_t length;

	vio_loop_disarm(stream->loop, &pty->look);
	if (pty->link[0]) {
		length = readlink(pty->link, target, sizeof(target) - 1);
		if (length > 0) {
			target[length] = '\0';
			if (strcmp(target, pty->theirs) == 0)
				unlink(pty->link);
		}
	}
	if (pty->ours >= 0)
		close(pty->ours);
	free(pty);
}

/* The other end as the driver's characters are, and once opened, so that a hangup shows from now on. */
static int prepare_theirs(const struct pty *pty)
{
	int fd = open(pty->theirs, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios mode;
	int error = 0;

	if (fd < 0)
		return vio_error_from_errno(errno);
	if (tcgetattr(fd, &mode) == 0) {
		cfmakeraw(&mode);
		mode.c_cc[VMIN] = 1;
		mode.c_cc[VTIME] = 0;
	}
	if (tcsetattr(fd, TCSANOW, &mode))
		error = vio_error_from_errno(errno);
	close(fd);
	return error;
}

static int make_link(struct pty *pty, const char *path, struct vio_message *message)
{
	struct stat is;

	if (lstat(path, &is) == 0 && S_ISLNK(is.st_mode))
		unlink(path);
	if (symlink(pty->theirs, path))
		return vio_fail(message, vio_error_from_errno(errno), "can't make the link '%s': %s", path,
				strerror(errno));
	snprintf(pty->link, sizeof(pty->link), "%s", path);
	return 0;
}

static int pty_start(struct pty *pty, const struct vio_host_terminal_options *options,
		     struct vio_message *message)
{
	int error;

	pty->ours = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (pty->ours < 0 || grantpt(pty->ours) || unlockpt(pty->ours) ||
	    ptsname_r(pty->ours, pty->theirs, sizeof(pty->theirs)))
		return vio_fail(message, vio_error_from_errno(errno), "can't make a pseudo terminal: %s",
				strerror(errno));
	error = prepare_theirs(pty);
	if (error)
		return vio_fail(message, error, "pseudo terminal %s: %s", pty->theirs, vio_strerror(error));
	return options->path[0] ? make_link(pty, options->path, message) : 0;
}

static int pty_open(struct vio_loop *loop, struct vio_host_terminal_options *options,
		    struct vio_terminal **terminal, struct vio_message *message)
{
	struct pty *pty = calloc(1, sizeof(*pty));
	int error;

	if (!pty)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_stream_init(&pty->stream, loop, options);
	pty->stream.ended = pty_ended;
	pty->stream.release = pty_release;
	pty->look.expired = pty_look;
	error = pty_start(pty, options, message);
	if (error) {
		pty_release(&pty->stream);
		return error;
	}
	vio_loop_arm(loop, &pty->look, LOOK_MS);
	snprintf(options->place, sizeof(options->place), "%s", pty->theirs);
	*terminal = &pty->stream.terminal;
	return 0;
}

const struct vio_terminal_kind vio_terminal_pty = { .name = "pty", .open = pty_open };
