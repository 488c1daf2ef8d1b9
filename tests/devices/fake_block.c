/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_block.h"

#include <stdlib.h>
#include <string.h>

#include "devices/harness.h"

#define DISCARDED 0xdd

/* What the contract of struct vio_block_ops lets a device ask. */
static void assert_legal(const struct fake_block *fake, const struct vio_block_request *request)
{
	uint64_t sum = 0;

	assert_non_null(request->done);
	if (request->op == VIO_BLOCK_READ || request->op == VIO_BLOCK_FLUSH)
		assert_int_equal(request->flags, 0);
	if (request->op == VIO_BLOCK_FLUSH)
		return;
	assert_true(request->length > 0);
	assert_int_equal(request->offset % fake->block.block_bytes, 0);
	assert_int_equal(request->length % fake->block.block_bytes, 0);
	assert_true(request->length <= fake->block.size_bytes);
	assert_true(request->offset <= fake->block.size_bytes - request->length);
	if (request->op != VIO_BLOCK_READ)
		assert_false(fake->block.read_only);
	if (request->op != VIO_BLOCK_WRITE_ZEROES)
		assert_int_equal(request->flags & VIO_BLOCK_UNMAP, 0);
	if (request->op > VIO_BLOCK_WRITE)
		return;
	for (unsigned i = 0; i < request->span_count; i++) {
		assert_true(request->spans[i].length > 0);
		sum += request->spans[i].length;
	}
	assert_int_equal(sum, request->length);
}

static void carry_out(struct fake_block *fake, struct vio_block_request *request)
{
	uint8_t *at = fake->data + request->offset;

	switch (request->op) {
	case VIO_BLOCK_READ:
		for (unsigned i = 0; i < request->span_count; i++) {
			memcpy(request->spans[i].host, at, request->spans[i].length);
			at += request->spans[i].length;
		}
		break;
	case VIO_BLOCK_WRITE:
		for (unsigned i = 0; i < request->span_count; i++) {
			memcpy(at, request->spans[i].host, request->spans[i].length);
			at += request->spans[i].length;
		}
		break;
	case VIO_BLOCK_FLUSH:
		memcpy(fake->durable, fake->data, fake->block.size_bytes);
		break;
	case VIO_BLOCK_DISCARD:
		memset(at, DISCARDED, request->length);
		break;
	case VIO_BLOCK_WRITE_ZEROES:
		memset(at, 0, request->length);
		break;
	}
	if (request->flags & VIO_BLOCK_STABLE)
		memcpy(fake->durable + request->offset, fake->data + request->offset, request->length);
	/* The contract allows it, so a device had better not look again. */
	if (request->op <= VIO_BLOCK_WRITE)
		memset(request->spans, 0, request->span_count * sizeof(*request->spans));
}

static void finish(struct fake_block *fake, struct vio_block_request *request)
{
	int result = fake->result;

	if (fake->result_after > 0) {
		fake->result_after--;
		result = 0;
	}
	if (!result)
		carry_out(fake, request);
	fake->done++;
	memset(request->storage_private, 0xaa, sizeof(request->storage_private));
	request->done(request, result);
}

static void submit(struct vio_block *block, struct vio_block_request *request)
{
	struct fake_block *fake = VIO_CONTAINER_OF(block, struct fake_block, block);

	assert_legal(fake, request);
	fake->submitted[request->op]++;
	fake->last = *request;
	memset(request->storage_private, 0xbb, sizeof(request->storage_private));
	if (fake->later) {
		assert_true(fake->pending_count < FAKE_PENDING_MAX);
		fake->pending[fake->pending_count++] = request;
		return;
	}
	if (++fake->depth > fake->depth_max)
		fake->depth_max = fake->depth;
	finish(fake, request);
	fake->depth--;
}

void fake_block_complete(struct fake_block *fake, unsigned index)
{
	struct vio_block_request *request = fake->pending[index];

	assert_true(index < fake->pending_count);
	memmove(&fake->pending[index], &fake->pending[index + 1],
		(fake->pending_count - index - 1) * sizeof(fake->pending[0]));
	fake->pending_count--;
	finish(fake, request);
}

static void drain(struct vio_block *block)
{
	struct fake_block *fake = VIO_CONTAINER_OF(block, struct fake_block, block);

	unsigned here = fake->pending_count;

	fake->drains++;
	while (fake->shallow ? here-- : fake->pending_count)
		fake_block_complete(fake, fake->backwards ? fake->pending_count - 1 : 0);
}

static void nothing_to_close(struct vio_block *block)
{
}

static const struct vio_block_ops ops = { .submit = submit, .drain = drain, .close = nothing_to_close };

void fake_block_init(struct fake_block *fake, uint64_t size_bytes, uint32_t block_bytes)
{
	memset(fake, 0, sizeof(*fake));
	fake->block = (struct vio_block){
		.ops = &ops,
		.size_bytes = size_bytes,
		.block_bytes = block_bytes,
		.physical_bytes = 4096,
		.optimal_bytes = 65536,
		.discard_bytes = 4096,
		.zeroes_unmap = 1,
		.volatile_cache = 1,
	};
	fake->result_after = -1;
	fake->data = malloc(size_bytes);
	fake->durable = malloc(size_bytes);
	assert_true(fake->data && fake->durable);
	for (uint64_t i = 0; i < size_bytes; i++)
		fake->data[i] = (uint8_t)(i * 7 + (i >> 9));
	memcpy(fake->durable, fake->data, size_bytes);
}

void fake_block_free(struct fake_block *fake)
{
	assert_int_equal(fake->pending_count, 0);
	free(fake->data);
	free(fake->durable);
}

void fake_block_resize(struct fake_block *fake, uint64_t size_bytes)
{
	fake->block.size_bytes = size_bytes;
	assert_non_null(fake->block.changed);
	fake->block.changed(fake->block.changed_context, &fake->block);
}

unsigned fake_block_total(const struct fake_block *fake)
{
	unsigned total = 0;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(fake->submitted); i++)
		total += fake->submitted[i];
	return total;
}
