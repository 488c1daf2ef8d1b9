/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vireo/devices/vssd.h>

#include "daemon/daemon.h"

/*
 * VSSD as a daemon: an image that is made when a size is given, the map in a file beside it, the
 * deadline of resizes, and the line "resize" on the control socket.
 */

#define MAP_SUFFIX ".vssd"

struct vssd_backend {
	struct vio_host_block_options options; /* first: the properties' offsets count from here */
	struct vio_block *data, *map;
	void *memory;
	struct vio_device *dev;
	struct vio_loop *loop;
	struct vio_timer deadline;
};

VIO_STATIC_ASSERT(offsetof(struct vssd_backend, options) == 0, "the properties are at the start");

/* A file of zeros; *made says whether it wasn't there. */
static int make_file(const char *path, uint64_t size, bool *made, struct vio_message *message)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int error = 0;

	*made = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0 || ftruncate(fd, (off_t)size) || fsync(fd))
		error = vio_fail(message, vio_error_from_errno(errno), "can't make '%.256s': %s", path,
				 strerror(errno));
	if (fd >= 0)
		close(fd);
	if (error && *made)
		unlink(path);
	return error;
}

static int open_data(struct vssd_backend *backend, const char *map_path, struct vio_message *message)
{
	struct vio_host_block_options options = backend->options;
	bool made = false;
	int error;

	if (options.backend != VIO_HOST_BLOCK_FILE)
		return vio_host_block_open(backend->loop, &options, &backend->data, message);
	if (options.size && options.path[0] && !options.read_only) {
		error = make_file(options.path, options.size, &made, message);
		if (error)
			return error;
	}
	options.size = 0;
	error = vio_host_block_open(backend->loop, &options, &backend->data, message);
	if (!error && made && access(map_path, F_OK) == 0)
		error = vio_fail(message, -VIO_EEXIST,
				 "image '%.200s' is new, but there is a map '%.200s' of another; remove it",
				 options.path, map_path);
	if (!error && backend->options.size && backend->options.size != backend->data->size_bytes)
		error = vio_fail(message, -VIO_ERANGE,
				 "image '%.256s' has %" PRIu64 " bytes, not %" PRIu64 "; leave out size",
				 options.path, backend->data->size_bytes, backend->options.size);
	if (error && made)
		unlink(options.path);
	return error;
}

static int open_map(struct vssd_backend *backend, const char *path, struct vio_message *message)
{
	struct vio_host_block_options options = { .read_only = backend->options.read_only };
	uint64_t bytes = vio_vssd_map_bytes(backend->dev, backend->data->size_bytes);
	bool made;
	int error;

	if (backend->options.backend == VIO_HOST_BLOCK_FILE) {
		options.backend = VIO_HOST_BLOCK_FILE;
		memcpy(options.path, path, strlen(path) + 1);
		error = options.read_only ? 0 : make_file(path, bytes, &made, message);
		if (error)
			return error;
	} else {
		options.backend = VIO_HOST_BLOCK_MEMORY;
		options.size = bytes;
	}
	error = vio_host_block_open(backend->loop, &options, &backend->map, message);
	if (!error && backend->map->size_bytes != bytes)
		error = vio_fail(message, -VIO_ESTATE,
				 "map '%.256s' is not of this image with this unit: %" PRIu64
				 " bytes, not %" PRIu64,
				 path, backend->map->size_bytes, bytes);
	return error;
}

static void vssd_expired(struct vio_timer *timer)
{
	struct vssd_backend *backend = VIO_CONTAINER_OF(timer, struct vssd_backend, deadline);

	vio_vssd_withdraw(backend->dev, VIO_VSSD_EXPIRED);
}

/* Each progress gives the driver the same time again. */
static void vssd_changed(void *context, struct vio_device *dev)
{
	struct vssd_backend *backend = context;
	struct vio_vssd_report report;

	vio_vssd_get_report(dev, &report);
	if (report.state != VIRTIO_VSSD_STATE_IDLE && report.deadline_ms)
		vio_loop_arm(backend->loop, &backend->deadline, report.deadline_ms);
	else
		vio_loop_disarm(backend->loop, &backend->deadline);
}

static int vssd_end(struct vssd_backend *backend);

static int vssd_open(struct vio_device *dev, struct vio_loop *loop, void *memory, struct vio_message *message)
{
	struct vssd_backend *backend = memory;
	struct vio_vssd_storage storage;
	char map_path[VIO_HOST_PATH_BYTES + sizeof(MAP_SUFFIX)];
	int error;

	backend->dev = dev;
	backend->loop = loop;
	backend->deadline.expired = vssd_expired;
	snprintf(map_path, sizeof(map_path), "%s" MAP_SUFFIX, backend->options.path);
	if (strlen(map_path) >= VIO_HOST_PATH_BYTES)
		return vio_fail(message, -VIO_ERANGE,
				"the path of the image is too long for that of its map");
	error = open_data(backend, map_path, message);
	if (!error)
		error = open_map(backend, map_path, message);
	if (!error) {
		backend->memory = calloc(1, vio_vssd_memory_bytes(dev, backend->data->size_bytes));
		if (!backend->memory)
			error = vio_fail(message, -VIO_ENOMEM, "out of memory");
	}
	if (error) {
		vssd_end(backend);
		return error;
	}
	storage = (struct vio_vssd_storage){ backend->data, backend->map, backend->memory };
	vio_vssd_attach(dev, &storage);
	return vio_vssd_watch(dev, backend, vssd_changed);
}

struct vssd_flush {
	struct vio_block_request request;
	int result;
};

static void vssd_flushed(struct vio_block_request *request, int result)
{
	VIO_CONTAINER_OF(request, struct vssd_flush, request)->result = result;
}

/* Closes what is open. */
static int vssd_end(struct vssd_backend *backend)
{
	struct vssd_flush flush = { .request = { .op = VIO_BLOCK_FLUSH, .done = vssd_flushed } };

	if (backend->data) {
		if (!backend->data->read_only)
			backend->data->ops->submit(backend->data, &flush.request);
		backend->data->ops->drain(backend->data);
		backend->data->ops->close(backend->data);
	}
	if (backend->map)
		backend->map->ops->close(backend->map);
	free(backend->memory);
	return flush.result;
}

static int vssd_close(struct vio_device *dev, void *memory)
{
	struct vssd_backend *backend = memory;

	vio_loop_disarm(backend->loop, &backend->deadline);
	return vssd_end(backend);
}

/* The control socket. */

static const char *const states[] = {
	[VIRTIO_VSSD_STATE_IDLE] = "idle",
	[VIRTIO_VSSD_STATE_SHRINKING] = "shrinking",
	[VIRTIO_VSSD_STATE_GROWING] = "growing",
};

static const char *const outcomes[] = {
	[VIO_VSSD_NONE] = "none",       [VIO_VSSD_DONE] = "done",         [VIO_VSSD_CANCELLED] = "cancelled",
	[VIO_VSSD_EXPIRED] = "expired", [VIO_VSSD_DECLINED] = "declined", [VIO_VSSD_FAILED] = "failed",
};

static int tell_report(const struct vio_device *dev, char *answer, size_t size)
{
	struct vio_vssd_report report;

	vio_vssd_get_report(dev, &report);
	snprintf(answer, size,
		 "{\"state\":\"%s\",\"outcome\":\"%s\",\"unit\":%" PRIu32 ",\"total\":%" PRIu64
		 ",\"provisioned\":%" PRIu64 ",\"target\":%" PRIu64 ",\"unpunched\":%" PRIu64 "}",
		 states[report.state], outcomes[report.outcome], report.block_bytes, report.total,
		 report.provisioned, report.target, report.unpunched);
	return 0;
}

static int refuse(const struct vio_vssd_report *report, uint64_t size, int error, struct vio_message *message)
{
	switch (error) {
	case -VIO_ERANGE:
		return vio_fail(message, error,
				"size %" PRIu64 " is out of range: the disk has from %" PRIu32 " to %" PRIu64
				" bytes",
				size, report->block_bytes, report->total * report->block_bytes);
	case -VIO_EBUSY:
		return vio_fail(message, error,
				"another resize goes on, to %" PRIu64 " bytes; cancel it first, or wait",
				report->target * report->block_bytes);
	case -VIO_EAGAIN:
		return vio_fail(message, error, "the last resize is just ending; try again");
	case -VIO_EPHASE:
		return vio_fail(message, error, "no driver that answers to resizes is at work");
	case -VIO_EACCES:
		return vio_fail(message, error, "the image is served read-only");
	case -VIO_EIO:
		return vio_fail(message, error, "the map of the image can't be written; see to its storage");
	default:
		return vio_fail(message, error, "%s", vio_strerror(error));
	}
}

static int resize(struct vio_device *dev, const char *text, struct vio_message *message)
{
	static const struct vio_property size_property = { .name = "size", .type = VIO_PROPERTY_BYTES };
	struct vio_vssd_report report;
	uint64_t size;
	int error;

	vio_vssd_get_report(dev, &report);
	if (vio_property_set(&size_property, &size, text))
		return vio_fail(message, -VIO_EINVAL,
				"'%.64s' is not a size; write a number with K, M, G or T, such as 64M", text);
	if (size % report.block_bytes)
		return vio_fail(message, -VIO_ERANGE,
				"size %" PRIu64 " is not a multiple of the disk's unit, %" PRIu32 " bytes",
				size, report.block_bytes);
	error = vio_vssd_resize(dev, size / report.block_bytes);
	return error ? refuse(&report, size, error, message) : 0;
}

static int vssd_command(struct vio_device *dev, const char *line, char *answer, size_t size,
			struct vio_message *message)
{
	int error = 0;

	if (strncmp(line, "resize", 6) || (line[6] && line[6] != ' '))
		return -VIO_ENOENT;
	line += line[6] ? 7 : 6;
	if (strcmp(line, "cancel") == 0)
		vio_vssd_withdraw(dev, VIO_VSSD_CANCELLED);
	else if (*line)
		error = resize(dev, line, message);
	return error ? error : tell_report(dev, answer, size);
}

const struct vio_daemon_type vio_daemon_vssd_type = {
	.class = &vio_vssd_class,
	.backend_properties = vio_host_block_properties,
	.backend_bytes = sizeof(struct vssd_backend),
	.open = vssd_open,
	.close = vssd_close,
	.command = vssd_command,
};
