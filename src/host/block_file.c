/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/block_file.h"

/*
 * Storage in a file or on a block device. A request is carried out in stages, each
 * one vio_io or several in a row: begin_*() starts one, *_done() sees what became of
 * it and goes on. A transfer that comes up short goes on where it ended.
 */
#define FILE_LOOK_MS      1000u    /* how often to see whether the image grew or shrank */
#define FILE_ZEROS_BYTES  1048576u /* written at a time where zeros have to be written */
#define FILE_RETRIES_MAX  16u
#define FILE_BOUNCE_BYTES 262144u
#define FILE_PASSES_MAX   64u /* reads that aren't looked for in the page cache after one wasn't there */

enum stage {
	STAGE_TRANSFER,
	STAGE_PUNCH,
	STAGE_ZERO,  /* by FALLOC_FL_ZERO_RANGE */
	STAGE_ZEROS, /* by writing zeros */
	STAGE_SYNC,  /* what has been changed, or all of a FLUSH */
};

VIO_STATIC_ASSERT(sizeof(struct vio_span) == sizeof(struct iovec) &&
			  offsetof(struct vio_span, host) == offsetof(struct iovec, iov_base) &&
			  offsetof(struct vio_span, length) == offsetof(struct iovec, iov_len),
		  "spans can't stand for an iovec");

static void file_io_done(struct vio_io *io, int result);
static void begin_transfer(struct file_request *fr);

static uint64_t left(struct file_request *fr)
{
	return vio_file_request_of(fr)->length - fr->position;
}

static const struct iovec *iov_of(const struct vio_block_request *request)
{
	return (const struct iovec *)(const void *)request->spans;
}

/* The image's size. */

static void file_look(struct file_block *file)
{
	struct vio_block *block = &file->block;
	uint64_t size_bytes;

	if (!vio_image_measure(file->image.fd, &size_bytes))
		return;
	size_bytes -= size_bytes % block->block_bytes;
	if (size_bytes == block->size_bytes)
		return;
	block->size_bytes = size_bytes;
	if (block->changed)
		block->changed(block->changed_context, block);
}

static void file_look_expired(struct vio_timer *timer)
{
	struct file_block *file = VIO_CONTAINER_OF(timer, struct file_block, look);

	vio_loop_arm(file->loop, timer, FILE_LOOK_MS);
	file_look(file);
}

/* Bounce buffers. */

static uint8_t *bounce_take(struct file_block *file)
{
	uint8_t *bounce;

	if (file->bounces_idle)
		return file->bounces[--file->bounces_idle];
	if (file->bounces_made == FILE_BOUNCES_MAX)
		return NULL;
	bounce = aligned_alloc(file->image.memory_align, FILE_BOUNCE_BYTES);
	if (bounce)
		file->bounces_made++;
	return bounce;
}

/* To who has waited longest, or aside. */
static void bounce_give(struct file_block *file, uint8_t *bounce)
{
	struct vio_io *io = vio_io_queue_take(&file->bounce_waiting);
	struct file_request *next;

	if (!io) {
		file->bounces[file->bounces_idle++] = bounce;
		return;
	}
	next = VIO_CONTAINER_OF(io, struct file_request, io);
	next->bounce = bounce;
	begin_transfer(next);
}

/* Between bounce buffer and spans, without moving on. */
static void bounce_copy(struct file_request *fr, size_t length)
{
	const struct vio_block_request *request = vio_file_request_of(fr);
	const struct vio_span *span = request->spans;
	uint8_t *at = fr->bounce;

	for (; length; span++) {
		size_t part = span->length < length ? span->length : length;

		if (request->op == VIO_BLOCK_READ)
			memcpy(span->host, at, part);
		else
			memcpy(at, span->host, part);
		at += part;
		length -= part;
	}
}

static bool needs_bounce(const struct file_block *file, const struct vio_block_request *request)
{
	unsigned i;

	if (!file->direct)
		return false;
	for (i = 0; i < request->span_count; i++)
		if ((uintptr_t)request->spans[i].host & (file->image.memory_align - 1) ||
		    request->spans[i].length & (file->block.block_bytes - 1))
			return true;
	return false;
}

/* The end of a request. */

static int result_of(const struct vio_block_request *request, int errno_value)
{
	switch (errno_value) {
	case 0:
		return 0;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return -VIO_ENOSPC;
	case EOPNOTSUPP:
	case ENOSYS:
		return request->op == VIO_BLOCK_DISCARD ? -VIO_ENOTSUP : -VIO_EIO;
	default:
		return -VIO_EIO;
	}
}

static void finish(struct file_request *fr, int errno_value)
{
	struct vio_block_request *request = vio_file_request_of(fr);
	struct file_block *file = fr->file;
	uint8_t *bounce = fr->bounce;

	file->in_flight--;
	if (bounce)
		bounce_give(file, bounce);
	/* What the loop completes in one round is one batch: its tasks come after its events. */
	if (!file->block.batching) {
		vio_block_begin_batch(&file->block);
		vio_loop_defer(file->loop, &file->batch_over);
	}
	request->done(request, result_of(request, errno_value));
}

static void end_batch(struct file_block *file)
{
	if (!file->block.batching)
		return;
	vio_loop_cancel(file->loop, &file->batch_over);
	vio_block_end_batch(&file->block);
}

static void batch_over(struct vio_task *task)
{
	end_batch(VIO_CONTAINER_OF(task, struct file_block, batch_over));
}

/* Stages. */

static void submit(struct file_request *fr)
{
	vio_loop_submit(fr->file->loop, &fr->io);
}

static void begin_sync(struct file_request *fr)
{
	fr->stage = STAGE_SYNC;
	fr->io.op = VIO_IO_SYNC;
	submit(fr);
}

/* Something has been changed; is it to be stable? */
static void finish_change(struct file_request *fr)
{
	if (vio_file_request_of(fr)->flags & VIO_BLOCK_STABLE)
		begin_sync(fr);
	else
		finish(fr, 0);
}

static void begin_transfer(struct file_request *fr)
{
	struct vio_block_request *request = vio_file_request_of(fr);
	bool write = request->op == VIO_BLOCK_WRITE;

	fr->stage = STAGE_TRANSFER;
	fr->io.op = write ? VIO_IO_WRITE : VIO_IO_READ;
	fr->io.mode = 0;
	if (write && request->flags & VIO_BLOCK_STABLE && !fr->file->cant_stable)
		fr->io.mode = RWF_DSYNC;
	fr->io.offset = request->offset + fr->position;
	if (fr->bounce) {
		fr->iov.iov_base = fr->bounce;
		fr->iov.iov_len = left(fr) < FILE_BOUNCE_BYTES ? left(fr) : FILE_BOUNCE_BYTES;
		if (write)
			bounce_copy(fr, fr->iov.iov_len);
		fr->io.iov = &fr->iov;
		fr->io.iov_count = 1;
	} else {
		fr->io.iov = iov_of(request);
		fr->io.iov_count = request->span_count < IOV_MAX ? request->span_count : IOV_MAX;
	}
	submit(fr);
}

/* Takes what was transferred off the spans, and empty ones behind it, which would look like the end. */
static void advance(struct file_request *fr, size_t length)
{
	struct vio_block_request *request = vio_file_request_of(fr);

	fr->position += length;
	while (request->span_count) {
		struct vio_span *span = request->spans;
		size_t part = span->length < length ? span->length : length;

		span->host += part;
		span->length -= part;
		length -= part;
		if (span->length)
			return;
		request->spans++;
		request->span_count--;
	}
}

void vio_file_transferred(struct file_request *fr)
{
	if (vio_file_request_of(fr)->op == VIO_BLOCK_WRITE && !fr->io.mode)
		finish_change(fr);
	else
		finish(fr, 0);
}

/*
 * A write that was to be stable may have met what the kernel couldn't write of earlier ones, and is the only
 * one that is told.
 */
void vio_file_note_error(struct file_block *file, int mode, int result)
{
	if (result == -EIO && mode && !file->direct)
		atomic_store(&file->origin->flush_failed, true);
}

static void transfer_done(struct file_request *fr, int result)
{
	struct vio_block_request *request = vio_file_request_of(fr);
	struct file_block *file = fr->file;

	if (result == -EOPNOTSUPP && fr->io.mode) {
		file->cant_stable = true;
		begin_transfer(fr);
		return;
	}
	vio_file_note_error(file, fr->io.mode, result);
	if (result < 0) {
		finish(fr, -result);
		return;
	}
	if (fr->bounce && request->op == VIO_BLOCK_READ)
		bounce_copy(fr, (size_t)result);
	advance(fr, (size_t)result);
	/* Nothing, or less than a block of a direct transfer: the image ends here by now. */
	if (!result || (file->direct && result % (int)file->block.block_bytes)) {
		file_look(file);
		finish(fr, EIO);
	} else if (left(fr)) {
		begin_transfer(fr);
	} else {
		vio_file_transferred(fr);
	}
}

static void begin_zeros(struct file_request *fr)
{
	fr->stage = STAGE_ZEROS;
	fr->io.op = VIO_IO_WRITE;
	fr->io.mode = 0;
	fr->io.offset = vio_file_request_of(fr)->offset + fr->position;
	fr->iov.iov_base = fr->file->zeros;
	fr->iov.iov_len = left(fr) < FILE_ZEROS_BYTES ? left(fr) : FILE_ZEROS_BYTES;
	fr->io.iov = &fr->iov;
	fr->io.iov_count = 1;
	submit(fr);
}

static void zeros_done(struct file_request *fr, int result)
{
	if (result <= 0) {
		finish(fr, result ? -result : EIO);
		return;
	}
	fr->position += (uint64_t)result;
	if (left(fr))
		begin_zeros(fr);
	else
		finish_change(fr);
}

static void begin_fallocate(struct file_request *fr, enum stage stage)
{
	fr->stage = (uint8_t)stage;
	fr->io.op = VIO_IO_FALLOCATE;
	fr->io.mode =
		FALLOC_FL_KEEP_SIZE | (stage == STAGE_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
	fr->io.offset = vio_file_request_of(fr)->offset;
	fr->io.length = vio_file_request_of(fr)->length;
	submit(fr);
}

/* The best way to zeros that hasn't been refused. */
static void begin_zeroes(struct file_request *fr, bool punch)
{
	if (punch && !fr->file->cant_punch)
		begin_fallocate(fr, STAGE_PUNCH);
	else if (!fr->file->cant_zero)
		begin_fallocate(fr, STAGE_ZERO);
	else
		begin_zeros(fr);
}

static void fallocate_done(struct file_request *fr, int result)
{
	bool refused = result == -EOPNOTSUPP || result == -ENOSYS;

	if (!result) {
		finish_change(fr);
		return;
	}
	if (refused && fr->stage == STAGE_PUNCH)
		fr->file->cant_punch = true;
	if (refused && fr->stage == STAGE_ZERO)
		fr->file->cant_zero = true;
	/* Other ways only when this one is shut, not when the storage is broken or full. */
	if (vio_file_request_of(fr)->op == VIO_BLOCK_DISCARD || result == -EIO || result == -ENOSPC)
		finish(fr, -result);
	else if (fr->stage == STAGE_PUNCH)
		begin_zeroes(fr, false);
	else
		begin_zeros(fr);
}

static void sync_done(struct file_request *fr, int result)
{
	if (result < 0 && !fr->file->direct)
		atomic_store(&fr->file->origin->flush_failed, true);
	finish(fr, -result);
}

static void file_io_done(struct vio_io *io, int result)
{
	struct file_request *fr = VIO_CONTAINER_OF(io, struct file_request, io);

	if ((result == -EINTR || result == -EAGAIN) && fr->retries < FILE_RETRIES_MAX) {
		fr->retries++;
		submit(fr);
		return;
	}
	switch ((enum stage)fr->stage) {
	case STAGE_TRANSFER:
		transfer_done(fr, result);
		break;
	case STAGE_PUNCH:
	case STAGE_ZERO:
		fallocate_done(fr, result);
		break;
	case STAGE_ZEROS:
		zeros_done(fr, result);
		break;
	case STAGE_SYNC:
		sync_done(fr, result);
		break;
	}
}

/* The beginning of a request. */

void vio_file_begin(struct file_request *fr)
{
	struct file_block *file = fr->file;

	advance(fr, 0);
	if (!needs_bounce(file, vio_file_request_of(fr))) {
		begin_transfer(fr);
		return;
	}
	fr->bounce = bounce_take(file);
	if (fr->bounce)
		begin_transfer(fr);
	else if (file->bounces_made)
		vio_io_queue_put(&file->bounce_waiting, &fr->io);
	else
		finish(fr, ENOMEM);
}

static void begin(struct file_request *fr)
{
	struct vio_block_request *request = vio_file_request_of(fr);

	switch (request->op) {
	case VIO_BLOCK_READ:
	case VIO_BLOCK_WRITE:
		vio_file_begin(fr);
		break;
	case VIO_BLOCK_FLUSH:
		begin_sync(fr);
		break;
	case VIO_BLOCK_DISCARD:
		begin_fallocate(fr, STAGE_PUNCH);
		break;
	case VIO_BLOCK_WRITE_ZEROES:
		begin_zeroes(fr, request->flags & VIO_BLOCK_UNMAP);
		break;
	}
}

/* What needs no I/O: 1 when there is more to do, otherwise the result. */
static int answer_at_once(const struct file_block *file, const struct vio_block_request *request)
{
	int error = vio_storage_judge(&file->block, request);

	if (error)
		return error;
	switch (request->op) {
	case VIO_BLOCK_FLUSH:
		if (atomic_load(&file->origin->flush_failed))
			return -VIO_EIO;
		return !file->block.read_only;
	case VIO_BLOCK_DISCARD:
		if (file->cant_punch)
			return -VIO_ENOTSUP;
		return request->length != 0;
	default:
		return request->length != 0;
	}
}

/*
 * Reads what the page cache has by a call that doesn't wait for anything: a request that is answered inside
 * submit costs half of one that goes through the engine, and the driver hears of the first while the last is
 * served. Where that fails it isn't tried for a while, so that storage that is never cached pays next to
 * nothing.
 */
uint64_t vio_file_glance(struct file_block *file, const struct iovec *iov, unsigned iov_count,
			 uint64_t offset, uint64_t length)
{
	ssize_t got;

	if (file->cant_glance || iov_count > IOV_MAX)
		return 0;
	if (file->passes_left) {
		file->passes_left--;
		return 0;
	}
	got = preadv2(file->image.fd, iov, (int)iov_count, (off_t)offset, RWF_NOWAIT);
	if (got >= 0 && (uint64_t)got == length) {
		file->passes = 0;
		return length;
	}
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		file->cant_glance = errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL;
	file->passes = file->passes < FILE_PASSES_MAX / 2 ? 2 * file->passes + 1 : FILE_PASSES_MAX;
	file->passes_left = file->passes;
	return got < 0 ? 0 : (uint64_t)got;
}

/* A read that is in the page cache as a whole. */
static bool glance(struct file_block *file, const struct vio_block_request *request)
{
	return request->op == VIO_BLOCK_READ &&
	       vio_file_glance(file, iov_of(request), request->span_count, request->offset,
			       request->length) == request->length;
}

void vio_file_answer(struct file_request *fr)
{
	struct vio_block_request *request = vio_file_request_of(fr);

	fr->file->in_flight--;
	request->done(request, 0);
}

static void file_submit(struct vio_block *block, struct vio_block_request *request)
{
	struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);
	struct file_request *fr = (struct file_request *)(void *)request->storage_private;
	int answer = answer_at_once(file, request);

	if (answer > 0 && !file->holding && glance(file, request))
		answer = 0;
	if (answer <= 0) {
		request->done(request, answer);
		return;
	}
	*fr = (struct file_request){ .file = file };
	fr->io.fd = file->image.fd;
	fr->io.done = file_io_done;
	file->in_flight++;
	if (file->holding && !needs_bounce(file, request) && vio_file_hold(fr))
		return;
	vio_file_release(file);
	if (file->holding && glance(file, request))
		vio_file_answer(fr);
	else
		begin(fr);
}

static void file_hold(struct vio_block *block)
{
	struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);

	file->holding = file->merges;
}

static void file_settle(struct vio_block *block)
{
	vio_file_settle(VIO_CONTAINER_OF(block, struct file_block, block));
}

static void file_release(struct vio_block *block)
{
	struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);

	file->holding = false;
	vio_file_release(file);
}

static bool file_is_idle(void *context)
{
	return !((struct file_block *)context)->in_flight;
}

static void file_drain(struct vio_block *block)
{
	struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);

	vio_file_release(file);
	vio_loop_wait_io(file->loop, file_is_idle, file);
	end_batch(file);
}

static void file_free(struct file_block *file)
{
	vio_file_merge_free(file);
	free(file);
}

static struct file_block *file_make(bool merges)
{
	struct file_block *file = calloc(1, sizeof(*file));

	if (!file || !merges || vio_file_merge_prepare(file))
		return file;
	free(file);
	return NULL;
}

static void file_close(struct vio_block *block)
{
	struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);

	assert(!file->in_flight);
	end_batch(file);
	vio_loop_disarm(file->loop, &file->look);
	vio_loop_forget_file(file->loop, file->image.fd);
	while (file->bounces_idle)
		free(file->bounces[--file->bounces_idle]);
	if (file->origin == file) {
		munmap(file->zeros, FILE_ZEROS_BYTES);
		vio_image_close(&file->image);
	}
	file_free(file);
}

static const struct vio_block_ops file_ops = {
	.submit = file_submit,
	.drain = file_drain,
	.close = file_close,
	.hold = file_hold,
	.settle = file_settle,
	.release = file_release,
};

static void describe(struct file_block *file, const struct vio_host_block_options *options)
{
	const struct vio_image *image = &file->image;
	struct vio_block *block = &file->block;

	file->batch_over.run = batch_over;
	block->ops = &file_ops;
	block->size_bytes = image->size_bytes;
	block->block_bytes = image->block_bytes;
	block->physical_bytes = image->physical_bytes;
	block->optimal_bytes = image->optimal_bytes;
	block->discard_bytes = image->can_punch ? image->physical_bytes : 0;
	block->zeroes_unmap = image->can_punch;
	block->read_only = options->read_only;
	block->volatile_cache = true;
	file->direct = options->direct;
	file->cant_glance = options->direct;
	file->cant_punch = !image->can_punch;
}

static int file_open(struct vio_loop *loop, const struct vio_host_block_options *options,
		     struct vio_block **opened, struct vio_message *message)
{
	struct file_block *file = file_make(options->merge);
	int error;

	if (!file)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	file->zeros = mmap(NULL, FILE_ZEROS_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file->zeros == MAP_FAILED) {
		file_free(file);
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	}
	error = vio_image_open(options, &file->image, message);
	if (error) {
		munmap(file->zeros, FILE_ZEROS_BYTES);
		file_free(file);
		return error;
	}
	describe(file, options);
	file->loop = loop;
	file->origin = file;
	vio_loop_keep_file(loop, file->image.fd);
	file->look.expired = file_look_expired;
	vio_loop_arm(loop, &file->look, FILE_LOOK_MS);
	*opened = &file->block;
	return 0;
}

static int file_share(struct vio_block *block, struct vio_loop *loop, struct vio_block **shared)
{
	struct file_block *origin = VIO_CONTAINER_OF(block, struct file_block, block);
	struct file_block *file = file_make(origin->merges);

	if (!file)
		return -VIO_ENOMEM;
	file->block = origin->block;
	file->block.changed = NULL;
	file->loop = loop;
	file->image = origin->image;
	vio_loop_keep_file(loop, file->image.fd);
	file->direct = origin->direct;
	file->cant_glance = origin->direct;
	file->cant_punch = origin->cant_punch;
	file->origin = origin;
	file->zeros = origin->zeros;
	file->batch_over.run = batch_over;
	*shared = &file->block;
	return 0;
}

const struct vio_storage_kind vio_storage_file = {
	.name = "file",
	.flags = VIO_STORAGE_NEEDS_PATH,
	.open = file_open,
	.ops = &file_ops,
	.share = file_share,
};
