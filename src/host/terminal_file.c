/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/terminal.h"

/* A file that what is written goes to, and a terminal that isn't there. */

/* A disk that is full loses what doesn't fit, and is asked again next time. */
static void file_ended(struct vio_stream *stream)
{
	(void)stream;
}

struct file {
	struct vio_stream stream;
	int fd;
};

static void file_release(struct vio_stream *stream)
{
	struct file *file = VIO_CONTAINER_OF(stream, struct file, stream);

	close(file->fd);
	free(file);
}

static int file_open(struct vio_loop *loop, struct vio_host_terminal_options *options,
		     struct vio_terminal **terminal, struct vio_message *message)
{
	int flags = O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct file *file = calloc(1, sizeof(*file));
	int error;

	if (!file)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	file->fd = open(options->path, flags | (options->append ? O_APPEND : O_TRUNC), 0666);
	if (file->fd < 0) {
		error = vio_error_from_errno(errno);
		vio_fail(message, error, "can't write the file '%s': %s", options->path, strerror(errno));
		free(file);
		return error;
	}
	vio_stream_init(&file->stream, loop, options);
	file->stream.ended = file_ended;
	file->stream.release = file_release;
	error = vio_stream_connect(&file->stream, -1, file->fd);
	if (error) {
		file_release(&file->stream);
		return vio_fail(message, error, "file '%s': %s", options->path, vio_strerror(error));
	}
	*terminal = &file->stream.terminal;
	return 0;
}

const struct vio_terminal_kind vio_terminal_file = { .name = "file", .open = file_open };

static size_t null_read(struct vio_terminal *terminal, void *to, size_t length)
{
	(void)terminal;
	(void)to;
	(void)length;
	return 0;
}

static size_t null_write(struct vio_terminal *terminal, const void *from, size_t length)
{
	(void)terminal;
	(void)from;
	return length;
}

static void null_close(struct vio_terminal *terminal)
{
	free(terminal);
}

static const struct vio_terminal_ops null_ops = { null_read, null_write, null_close };

static int null_open(struct vio_loop *loop, struct vio_host_terminal_options *options,
		     struct vio_terminal **terminal, struct vio_message *message)
{
	(void)loop;
	(void)options;
	*terminal = calloc(1, sizeof(**terminal));
	if (!*terminal)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	(*terminal)->ops = &null_ops;
	return 0;
}

const struct vio_terminal_kind vio_terminal_null = { .name = "null", .open = null_open };
