/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "host/terminal.h"

/* Standard input and output; a terminal there is made to hand over each key as it is. */

#define LOOK_MS 250u

struct stdio {
	struct vio_stream stream;
	int in, out; /* -1: none */
	bool raw;
	struct termios before;
	struct vio_timer look;
};

static struct stdio *stdio_of(struct vio_stream *stream)
{
	return VIO_CONTAINER_OF(stream, struct stdio, stream);
}

/* The input is over, or nobody reads the output: it goes on with the other one. */
static void stdio_ended(struct vio_stream *stream)
{
	vio_stream_end_input(stream);
}

static void stdio_look(struct vio_timer *timer)
{
	struct stdio *stdio = VIO_CONTAINER_OF(timer, struct stdio, look);

	vio_stream_take_size(&stdio->stream, STDOUT_FILENO);
	vio_loop_arm(stdio->stream.loop, &stdio->look, LOOK_MS);
}

static void stdio_release(struct vio_stream *stream)
{
	struct stdio *stdio = stdio_of(stream);

	vio_loop_disarm(stream->loop, &stdio->look);
	if (stdio->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &stdio->before);
	if (stdio->in >= 0)
		close(stdio->in);
	if (stdio->out >= 0)
		close(stdio->out);
	free(stdio);
}

/* A descriptor that doesn't block, without a change to what others have; where that can be. */
static int reopen(int fd, int access)
{
	char path[32];
	struct stat is;
	int own = -1;

	if (fstat(fd, &is))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (S_ISFIFO(is.st_mode) || S_ISCHR(is.st_mode))
		own = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0)
		return own;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own >= 0 && !S_ISREG(is.st_mode))
		fcntl(own, F_SETFL, fcntl(own, F_GETFL) | O_NONBLOCK);
	return own;
}

static int take_keyboard(struct stdio *stdio, struct vio_message *message)
{
	struct termios mode;

	if (!isatty(STDIN_FILENO))
		return 0;
	if (tcgetpgrp(STDIN_FILENO) != getpgrp())
		return vio_fail(message, -VIO_EBUSY,
				"backend 'stdio' has a terminal in whose background it runs; did you mean "
				"backend=pty?");
	if (tcgetattr(STDIN_FILENO, &stdio->before))
		return vio_fail(message, vio_error_from_errno(errno), "standard input is no terminal");
	mode = stdio->before;
	cfmakeraw(&mode);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
	stdio->raw = stdio->stream.escapes = true;
	return 0;
}

static int stdio_open(struct vio_loop *loop, struct vio_host_terminal_options *options,
		      struct vio_terminal **terminal, struct vio_message *message)
{
	struct stdio *stdio = calloc(1, sizeof(*stdio));
	int error;

	if (!stdio)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_stream_init(&stdio->stream, loop, options);
	stdio->stream.ended = stdio_ended;
	stdio->stream.release = stdio_release;
	stdio->look.expired = stdio_look;
	stdio->in = reopen(STDIN_FILENO, O_RDONLY);
	stdio->out = reopen(STDOUT_FILENO, O_WRONLY);
	error = take_keyboard(stdio, message);
	if (error) {
		stdio_release(&stdio->stream);
		return error;
	}
	error = vio_stream_connect(&stdio->stream, stdio->in, stdio->out);
	if (error) {
		stdio_release(&stdio->stream);
		return vio_fail(message, error, "standard input and output: %s", vio_strerror(error));
	}
	vio_stream_take_size(&stdio->stream, STDOUT_FILENO);
	vio_loop_arm(loop, &stdio->look, LOOK_MS);
	*terminal = &stdio->stream.terminal;
	return 0;
}

const struct vio_terminal_kind vio_terminal_stdio = { .name = "stdio", .open = stdio_open };
