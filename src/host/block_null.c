/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "host/storage.h"

/* Storage that is as fast as can be, because it does nothing. What is read is what was in the buffer. */

static void null_submit(struct vio_block *block, struct vio_block_request *request)
{
	request->done(request, vio_storage_judge(block, request));
}

static void null_close(struct vio_block *block)
{
	free(block);
}

static const struct vio_block_ops null_ops = {
	.submit = null_submit,
	.drain = vio_storage_drain_nothing,
	.close = null_close,
};

static int null_open(struct vio_loop *loop, const struct vio_host_block_options *options,
		     struct vio_block **opened, struct vio_message *message)
{
	struct vio_block *block = calloc(1, sizeof(*block));

	if (!block)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	block->ops = &null_ops;
	block->size_bytes = options->size;
	block->block_bytes = options->block_size ? options->block_size : VIO_STORAGE_BLOCK_BYTES;
	block->physical_bytes = block->block_bytes;
	block->discard_bytes = block->block_bytes;
	block->zeroes_unmap = true;
	block->read_only = options->read_only;
	*opened = block;
	return 0;
}

static int null_share(struct vio_block *block, struct vio_loop *loop, struct vio_block **shared)
{
	*shared = malloc(sizeof(**shared));
	if (!*shared)
		return -VIO_ENOMEM;
	**shared = *block;
	(*shared)->changed = NULL;
	return 0;
}

const struct vio_storage_kind vio_storage_null = {
	.name = "null",
	.flags = VIO_STORAGE_NEEDS_SIZE,
	.open = null_open,
	.ops = &null_ops,
	.share = null_share,
};
