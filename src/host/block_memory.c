/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/storage.h"

/* Storage in memory: zeros at first, gone at close. It answers inside submit. */
#define PAGE_BYTES 4096u

struct memory_block {
	struct vio_block block;
	uint8_t *bytes;
	bool borrowed; /* from the one that this is shared with */
};

static void copy(struct memory_block *memory, const struct vio_block_request *request)
{
	uint8_t *at = memory->bytes + request->offset;
	unsigned i;

	for (i = 0; i < request->span_count; i++) {
		const struct vio_span *span = &request->spans[i];

		if (request->op == VIO_BLOCK_READ)
			memcpy(span->host, at, span->length);
		else
			memcpy(at, span->host, span->length);
		at += span->length;
	}
}

/* Whole pages go back to the system; either way the bytes read as zeros. */
static void clear(struct memory_block *memory, const struct vio_block_request *request)
{
	const uint64_t page = PAGE_BYTES;
	uint64_t begin = (request->offset + page - 1) / page * page;
	uint64_t end = (request->offset + request->length) / page * page;

	memset(memory->bytes + request->offset, 0,
	       (size_t)(begin < end ? begin - request->offset : request->length));
	if (begin >= end)
		return;
	memset(memory->bytes + end, 0, (size_t)(request->offset + request->length - end));
	if (madvise(memory->bytes + begin, (size_t)(end - begin), MADV_DONTNEED) < 0)
		memset(memory->bytes + begin, 0, (size_t)(end - begin));
}

static void memory_submit(struct vio_block *block, struct vio_block_request *request)
{
	struct memory_block *memory = VIO_CONTAINER_OF(block, struct memory_block, block);
	int result = vio_storage_judge(block, request);

	if (!result && (request->op == VIO_BLOCK_READ || request->op == VIO_BLOCK_WRITE))
		copy(memory, request);
	else if (!result && request->op == VIO_BLOCK_WRITE_ZEROES && !(request->flags & VIO_BLOCK_UNMAP))
		memset(memory->bytes + request->offset, 0, (size_t)request->length);
	else if (!result && request->op != VIO_BLOCK_FLUSH)
		clear(memory, request);
	request->done(request, result);
}

static void memory_close(struct vio_block *block)
{
	struct memory_block *memory = VIO_CONTAINER_OF(block, struct memory_block, block);

	if (!memory->borrowed)
		munmap(memory->bytes, (size_t)block->size_bytes);
	free(memory);
}

static const struct vio_block_ops memory_ops = {
	.submit = memory_submit,
	.drain = vio_storage_drain_nothing,
	.close = memory_close,
};

static int memory_open(struct vio_loop *loop, const struct vio_host_block_options *options,
		       struct vio_block **opened, struct vio_message *message)
{
	struct memory_block *memory = calloc(1, sizeof(*memory));
	int error;

	if (!memory)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	memory->bytes = MAP_FAILED;
	errno = ENOMEM;
	if (options->size <= PTRDIFF_MAX)
		memory->bytes = mmap(NULL, (size_t)options->size, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->bytes == MAP_FAILED) {
		error = vio_fail(message, vio_error_from_errno(errno), "no room for %llu bytes of memory: %s",
				 (unsigned long long)options->size, strerror(errno));
		free(memory);
		return error;
	}
	memory->block = (struct vio_block){
		.ops = &memory_ops,
		.size_bytes = options->size,
		.block_bytes = options->block_size ? options->block_size : VIO_STORAGE_BLOCK_BYTES,
		.physical_bytes = PAGE_BYTES,
		.discard_bytes = PAGE_BYTES,
		.zeroes_unmap = 1,
		.read_only = options->read_only,
	};
	*opened = &memory->block;
	return 0;
}

static int memory_share(struct vio_block *block, struct vio_loop *loop, struct vio_block **shared)
{
	struct memory_block *memory = malloc(sizeof(*memory));

	if (!memory)
		return -VIO_ENOMEM;
	*memory = *VIO_CONTAINER_OF(block, struct memory_block, block);
	memory->block.changed = NULL;
	memory->borrowed = true;
	*shared = &memory->block;
	return 0;
}

const struct vio_storage_kind vio_storage_memory = {
	.name = "memory",
	.flags = VIO_STORAGE_NEEDS_SIZE,
	.open = memory_open,
	.ops = &memory_ops,
	.share = memory_share,
};
