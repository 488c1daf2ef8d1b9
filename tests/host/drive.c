/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/drive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void count_change(void *context, struct vio_block *block)
{
	struct drive *drive = context;

	assert_ptr_equal(block, drive->block);
	drive->changed++;
}

void drive_make_file(struct drive *drive, struct vio_loop *loop, const char *folder, uint64_t bytes)
{
	int fd;

	memset(drive, 0, sizeof(*drive));
	drive->loop = loop;
	vio_property_set_defaults(vio_host_block_properties(), &drive->options);
	snprintf(drive->options.path, sizeof(drive->options.path), "%s/vireo-drive-XXXXXX", folder);
	fd = mkostemp(drive->options.path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

void drive_set(struct drive *drive, const char *name, const char *value)
{
	const struct vio_property *property =
		vio_property_find(vio_host_block_properties(), name, strlen(name));

	assert_non_null(property);
	assert_int_equal(vio_property_set(property, &drive->options, value), 0);
}

void drive_open(struct drive *drive)
{
	int error = vio_host_block_open(drive->loop, &drive->options, &drive->block, &drive->message);

	if (error)
		print_message("%s\n", drive->message.text);
	assert_int_equal(error, 0);
	drive->block->changed = count_change;
	drive->block->changed_context = drive;
}

void drive_refuses(struct drive *drive, int error, const char *words)
{
	struct vio_block *block = NULL;

	memset(&drive->message, 0, sizeof(drive->message));
	assert_int_equal(vio_host_block_open(drive->loop, &drive->options, &block, &drive->message), error);
	assert_null(block);
	if (!strstr(drive->message.text, words))
		print_message("'%s' is not in '%s'\n", words, drive->message.text);
	assert_non_null(strstr(drive->message.text, words));
}

void drive_open_direct(struct drive *drive)
{
	struct vio_block *block;

	drive_set(drive, "direct", "on");
	if (vio_host_block_open(drive->loop, &drive->options, &block, &drive->message) == -VIO_ENOTSUP) {
		print_message("direct I/O is absent here\n");
		drive_remove(drive);
		skip();
	}
	block->ops->close(block);
	drive_open(drive);
}

void drive_close(struct drive *drive)
{
	if (drive->block)
		drive->block->ops->close(drive->block);
	drive->block = NULL;
}

void drive_remove(struct drive *drive)
{
	drive_close(drive);
	unlink(drive->options.path);
}

static void request_done(struct vio_block_request *request, int result)
{
	struct drive_request *drive_request = VIO_CONTAINER_OF(request, struct drive_request, request);

	drive_request->done++;
	drive_request->result = result;
}

void drive_submit(struct drive *drive, struct drive_request *request)
{
	request->done = 0;
	request->request.done = request_done;
	drive->block->ops->submit(drive->block, &request->request);
}

void drive_wait(struct drive *drive, struct drive_request *request)
{
	engine_step_until_set(drive->loop, &request->done);
	assert_int_equal(request->done, 1);
}

static int run(struct drive *drive, struct drive_request *request)
{
	drive_submit(drive, request);
	drive_wait(drive, request);
	return request->result;
}

int drive_read(struct drive *drive, uint64_t offset, void *bytes, size_t length)
{
	struct vio_span span = { bytes, length };
	struct drive_request request = { .request = { .op = VIO_BLOCK_READ,
						      .offset = offset,
						      .length = length,
						      .spans = &span,
						      .span_count = 1 } };

	return run(drive, &request);
}

int drive_write(struct drive *drive, uint64_t offset, const void *bytes, size_t length, unsigned flags)
{
	uint8_t *copy = aligned_alloc(4096, (length + 4095) & ~(size_t)4095);
	struct vio_span span = { copy, length };
	struct drive_request request = { .request = { .op = VIO_BLOCK_WRITE,
						      .flags = flags,
						      .offset = offset,
						      .length = length,
						      .spans = &span,
						      .span_count = 1 } };
	int result;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	result = run(drive, &request);
	free(copy);
	return result;
}

int drive_run(struct drive *drive, enum vio_block_op op, uint64_t offset, uint64_t length, unsigned flags)
{
	struct drive_request request = {
		.request = { .op = op, .flags = flags, .offset = offset, .length = length },
	};

	return run(drive, &request);
}

void drive_pattern(void *bytes, size_t length, unsigned seed)
{
	uint8_t *at = bytes;
	uint32_t value = seed * 2654435761u + 1;

	for (size_t i = 0; i < length; i++) {
		value = value * 1664525u + 1013904223u;
		at[i] = (uint8_t)(value >> 24);
	}
}

bool drive_is_zero(const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i++)
		if (at[i])
			return false;
	return true;
}
