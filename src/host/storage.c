/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <string.h>

#include "host/storage.h"

/*
 * Kinds of block storage. To add one, NBD for instance:
 *   - block_nbd.c: a struct that begins with struct vio_block, its vio_block_ops, and
 *     `const struct vio_storage_kind vio_storage_nbd`; submit() starts with
 *     vio_storage_judge(). A library with a descriptor of its own joins the loop by a
 *     struct vio_watch, and its drain() then steps that library, not the loop.
 *   - a value in enum vio_host_block_kind, a line in `kinds` and one in `names`
 *   - what it needs to know: members of struct vio_host_block_options and lines in
 *     `properties`; they show up on command lines and in the manual by themselves
 */
static const struct vio_storage_kind *const kinds[] = {
	[VIO_HOST_BLOCK_FILE] = &vio_storage_file,
	[VIO_HOST_BLOCK_MEMORY] = &vio_storage_memory,
	[VIO_HOST_BLOCK_NULL] = &vio_storage_null,
};

static const char *const names[] = {
	[VIO_HOST_BLOCK_FILE] = "file",
	[VIO_HOST_BLOCK_MEMORY] = "memory",
	[VIO_HOST_BLOCK_NULL] = "null",
	[VIO_ARRAY_SIZE(kinds)] = NULL,
};

#define OPTION(property, member, kind) \
	.name = (property), VIO_PROPERTY_MEMBER(struct vio_host_block_options, member, kind)

static const struct vio_property properties[] = {
	{ OPTION("backend", backend, VIO_PROPERTY_CHOICE), .choices = names, .initial = "file",
	  .help = "where the data lives" },
	{ OPTION("path", path, VIO_PROPERTY_STRING), .help = "image file or block device" },
	{ OPTION("size", size, VIO_PROPERTY_BYTES), .help = "bytes of a backend without an image" },
	{ OPTION("readonly", read_only, VIO_PROPERTY_BOOL), .help = "refuse all writes" },
	{ OPTION("direct", direct, VIO_PROPERTY_BOOL), .help = "go around the page cache (O_DIRECT)" },
	{ OPTION("merge", merge, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "make one transfer of requests that come together and lie side by side in the image" },
	{ OPTION("shared", shared, VIO_PROPERTY_BOOL),
	  .help = "don't lock the image: others may have it open, too, while a guest moves between them" },
	{ OPTION("block-size", block_size, VIO_PROPERTY_U32), .max = 4096,
	  .help = "bytes of a logical block, 512 or 4096; 0 asks the storage" },
};

static const struct vio_property_table property_table = { properties, VIO_ARRAY_SIZE(properties) };

const struct vio_property_table *vio_host_block_properties(void)
{
	return &property_table;
}

static int judge_size(const struct vio_host_block_options *options, const char *name,
		      struct vio_message *message)
{
	uint32_t block_bytes = options->block_size ? options->block_size : VIO_STORAGE_BLOCK_BYTES;

	if (!options->size)
		return vio_fail(message, -VIO_EINVAL, "backend '%s' needs a size, for example size=64M",
				name);
	if (options->size % block_bytes)
		return vio_fail(message, -VIO_ERANGE,
				"size %" PRIu64 " is not a multiple of the block size, %" PRIu32 " bytes",
				options->size, block_bytes);
	if (options->path[0])
		return vio_fail(
			message, -VIO_EINVAL,
			"backend '%s' takes no path, but path is '%.256s'; did you mean backend=file?", name,
			options->path);
	if (options->direct)
		return vio_fail(message, -VIO_EINVAL,
				"backend '%s' has no cache to go around; leave out direct", name);
	return 0;
}

static int judge_path(const struct vio_host_block_options *options, const char *name,
		      struct vio_message *message)
{
	if (!options->path[0])
		return vio_fail(message, -VIO_EINVAL, "backend '%s' needs a path, for example path=disk.img",
				name);
	if (options->size)
		return vio_fail(message, -VIO_EINVAL,
				"backend '%s' has the size of its image; leave out size %" PRIu64, name,
				options->size);
	return 0;
}

int vio_host_block_open(struct vio_loop *loop, const struct vio_host_block_options *options,
			struct vio_block **block, struct vio_message *message)
{
	const struct vio_storage_kind *kind;
	int error = 0;

	if (options->backend >= VIO_ARRAY_SIZE(kinds))
		return vio_fail(message, -VIO_EINVAL, "there is no backend %u", options->backend);
	kind = kinds[options->backend];
	if (options->block_size && options->block_size != 512 && options->block_size != 4096)
		return vio_fail(message, -VIO_EINVAL, "block-size %" PRIu32 " is neither 512 nor 4096",
				options->block_size);
	if (kind->flags & VIO_STORAGE_NEEDS_PATH)
		error = judge_path(options, kind->name, message);
	if (!error && kind->flags & VIO_STORAGE_NEEDS_SIZE)
		error = judge_size(options, kind->name, message);
	return error ? error : kind->open(loop, options, block, message);
}

int vio_host_block_share(struct vio_block *block, struct vio_loop *loop, struct vio_block **shared)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(kinds); i++)
		if (kinds[i]->ops == block->ops)
			return kinds[i]->share(block, loop, shared);
	return -VIO_ENOTSUP;
}

static bool spans_fit(const struct vio_block_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->span_count; i++)
		if (!vio_add_u64(sum, request->spans[i].length, &sum))
			return false;
	return sum == request->length;
}

int vio_storage_judge(const struct vio_block *block, const struct vio_block_request *request)
{
	uint64_t end;

	if (request->op == VIO_BLOCK_FLUSH)
		return 0;
	if (request->op != VIO_BLOCK_READ && block->read_only)
		return -VIO_EACCES;
	if (!vio_add_u64(request->offset, request->length, &end) || end > block->size_bytes)
		return -VIO_ERANGE;
	if ((request->offset | request->length) & (block->block_bytes - 1))
		return -VIO_EIO;
	if ((request->op == VIO_BLOCK_READ || request->op == VIO_BLOCK_WRITE) && !spans_fit(request))
		return -VIO_EIO;
	return 0;
}

void vio_storage_drain_nothing(struct vio_block *block)
{
}
