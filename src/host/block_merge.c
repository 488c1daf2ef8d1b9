/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/uio.h>

#include "host/block_file.h"

/*
 * Requests that were submitted together and continue each other are one transfer. Where that fails or
 * stops short, those that aren't done yet are carried out again one by one, so that each has an answer
 * of its own: what was written twice was in flight all the while.
 */

bool vio_file_merge_prepare(struct file_block *file)
{
	file->merges = calloc(FILE_MERGES, sizeof(*file->merges));
	if (!file->merges)
		return false;
	for (unsigned i = 0; i < FILE_MERGES; i++) {
		file->merges[i].file = file;
		file->merges[i].next = file->merge_idle;
		file->merge_idle = &file->merges[i];
	}
	return true;
}

void vio_file_merge_free(struct file_block *file)
{
	free(file->merges);
}

static bool continues(const struct file_run *run, const struct vio_block_request *request)
{
	const struct vio_block_request *first = vio_file_request_of(run->first);

	return request->op == first->op && request->flags == first->flags &&
	       request->offset == first->offset + run->length &&
	       run->length + request->length <= FILE_MERGE_BYTES &&
	       run->span_count + request->span_count <= FILE_MERGE_SPANS;
}

bool vio_file_hold(struct file_request *fr)
{
	struct vio_block_request *request = vio_file_request_of(fr);
	struct file_block *file = fr->file;
	struct file_run *run = &file->held;

	if (request->op != VIO_BLOCK_READ && request->op != VIO_BLOCK_WRITE)
		return false;
	if (request->span_count > FILE_MERGE_SPANS || request->length > FILE_MERGE_BYTES / 2)
		return false;
	/* Each would need a flush of its own. */
	if (request->flags & VIO_BLOCK_STABLE && file->cant_stable)
		return false;
	while (run->first && !continues(run, request))
		vio_file_release(file);
	if (run->first)
		run->last->next = fr;
	else
		run->first = fr;
	run->last = fr;
	run->span_count += request->span_count;
	run->length += request->length;
	return true;
}

/* Memory that is side by side, too, is one piece. */
static unsigned gather(struct file_request *fr, struct iovec *iov)
{
	unsigned count = 0;

	for (; fr; fr = fr->next) {
		const struct vio_block_request *request = vio_file_request_of(fr);

		for (unsigned i = 0; i < request->span_count; i++) {
			const struct vio_span *span = &request->spans[i];

			if (count &&
			    (uint8_t *)iov[count - 1].iov_base + iov[count - 1].iov_len == span->host)
				iov[count - 1].iov_len += span->length;
			else if (span->length)
				iov[count++] = (struct iovec){ span->host, span->length };
		}
	}
	return count;
}

/* Ends those that lie in the first `length` bytes. */
static void run_end_some(struct file_run *run, uint64_t length, void (*end)(struct file_request *fr))
{
	while (run->first) {
		struct file_request *fr = run->first;
		const struct vio_block_request *request = vio_file_request_of(fr);

		if (length < request->length)
			return;
		length -= request->length;
		run->first = fr->next;
		run->length -= request->length;
		run->span_count -= request->span_count;
		end(fr);
	}
}

static void begin_each(struct file_request *fr)
{
	while (fr) {
		struct file_request *next = fr->next;

		vio_file_begin(fr);
		fr = next;
	}
}

static void merge_done(struct vio_io *io, int result)
{
	struct file_merge *merge = VIO_CONTAINER_OF(io, struct file_merge, io);
	struct file_block *file = merge->file;
	struct file_run run = merge->run;

	/* Before anybody hears of it, who may want the next one. */
	merge->next = file->merge_idle;
	file->merge_idle = merge;
	vio_file_note_error(file, io->mode, result);
	for (struct file_request *fr = run.first; fr; fr = fr->next)
		fr->io.mode = io->mode;
	run_end_some(&run, result > 0 ? (uint64_t)result : 0, vio_file_transferred);
	begin_each(run.first);
}

static void merge_begin(struct file_merge *merge, const struct file_run *run)
{
	const struct vio_block_request *request = vio_file_request_of(run->first);
	struct file_block *file = merge->file;
	const bool write = request->op == VIO_BLOCK_WRITE;

	merge->run = *run;
	merge->io.op = write ? VIO_IO_WRITE : VIO_IO_READ;
	merge->io.fd = file->image.fd;
	merge->io.mode = write && request->flags & VIO_BLOCK_STABLE ? RWF_DSYNC : 0;
	merge->io.offset = request->offset;
	merge->io.iov = merge->iov;
	merge->io.iov_count = gather(run->first, merge->iov);
	merge->io.done = merge_done;
	vio_loop_submit(file->loop, &merge->io);
}

static void run_begin(struct file_block *file, const struct file_run *run)
{
	struct file_merge *merge = file->merge_idle;

	if (run->first == run->last || !merge) {
		begin_each(run->first);
		return;
	}
	file->merge_idle = merge->next;
	merge_begin(merge, run);
}

/* Off the block with what is held, as who hears of an answer may submit something. */
static bool run_take(struct file_block *file, struct file_run *run)
{
	*run = file->held;
	file->held = (struct file_run){ .first = NULL };
	return run->first;
}

/* Answers what the page cache has of it; false when nothing is left. */
static bool run_glance(struct file_block *file, struct file_run *run)
{
	const struct vio_block_request *request = vio_file_request_of(run->first);
	struct iovec iov[FILE_MERGE_SPANS];
	unsigned count;
	uint64_t got;

	if (request->op != VIO_BLOCK_READ || run->glanced || file->cant_glance)
		return true;
	run->glanced = true;
	count = gather(run->first, iov);
	got = vio_file_glance(file, iov, count, request->offset, run->length);
	run_end_some(run, got, vio_file_answer);
	return run->first;
}

void vio_file_settle(struct file_block *file)
{
	struct file_run run;

	if (!run_take(file, &run) || !run_glance(file, &run))
		return;
	if (file->held.first)
		run_begin(file, &run);
	else
		file->held = run;
}

void vio_file_release(struct file_block *file)
{
	struct file_run run;

	if (run_take(file, &run) && run_glance(file, &run))
		run_begin(file, &run);
}
