/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "driver/core.h"
#include "driver/linux.h"

/* A part of a buffer, shared with the device. */
struct vio_linux_piece {
	struct vio_linux_piece *next;
	void *host;
	size_t length;
	unsigned int rights;
	struct vio_addr addr;
};

/* What the ring knows by its token. */
struct vio_linux_buffer {
	struct vio_linux_buffer *next;
	void *data;
	void *context;
	struct vio_linux_piece *pieces;
};

/* A buffer in flight holds, for each descriptor, at most as many pieces as an indirect table. */
static size_t pieces_max(const struct vio_drvq *q)
{
	return (size_t)q->size * (q->indirect_max > 1 ? q->indirect_max : 1);
}

static void furnish(struct virtqueue *vq, size_t pieces)
{
	struct vio_linux_buffer *buffers;
	struct vio_linux_piece *piece;
	u16 size = vq->q->size;
	size_t i;

	buffers = (struct vio_linux_buffer *)(void *)(vq + 1);
	piece = (struct vio_linux_piece *)(void *)(buffers + size);
	vq->sg = (struct vio_sg *)(void *)(piece + pieces);
	for (i = 0; i < size; i++)
		buffers[i].next = i + 1u < size ? &buffers[i + 1] : NULL;
	for (i = 0; i < pieces; i++)
		piece[i].next = i + 1 < pieces ? &piece[i + 1] : NULL;
	vq->free_buffers = buffers;
	vq->free_pieces = piece;
}

int vio_linux_vq_make(struct virtio_device *vdev, struct vio_drvq *q, struct virtqueue **made)
{
	const struct vio_platform *platform = vdev->vio->platform;
	size_t pieces = pieces_max(q);
	size_t bytes = sizeof(struct virtqueue) + pieces * sizeof(struct vio_linux_piece) +
		       q->size * (sizeof(struct vio_linux_buffer) + sizeof(struct vio_sg));
	struct vio_shared memory;
	struct virtqueue *vq;
	int error = platform->take(platform->context, bytes, 0, &memory); /* the device never sees it */

	if (error)
		return error;
	vq = memory.host;
	vq->vdev = vdev;
	vq->index = q->index;
	vq->num_free = q->free_count;
	vq->q = q;
	vq->memory = memory;
	vq->memory_bytes = bytes;
	furnish(vq, pieces);
	*made = vq;
	return 0;
}

static void unshare(struct virtqueue *vq, struct vio_linux_buffer *buffer)
{
	const struct vio_platform *platform = vq->vdev->vio->platform;
	struct vio_linux_piece *piece;

	while ((piece = buffer->pieces)) {
		buffer->pieces = piece->next;
		platform->unshare(platform->context, piece->host, piece->length, piece->rights, piece->addr);
		piece->next = vq->free_pieces;
		vq->free_pieces = piece;
	}
}

/* The buffer is the driver's again. */
static void *retire(struct virtqueue *vq, struct vio_linux_buffer *buffer, void **context)
{
	unshare(vq, buffer);
	if (context)
		*context = buffer->context;
	buffer->next = vq->free_buffers;
	vq->free_buffers = buffer;
	vq->num_free = vq->q->free_count;
	return buffer->data;
}

static int share_piece(struct virtqueue *vq, struct vio_linux_buffer *buffer, const struct scatterlist *sg,
		       unsigned int rights, struct vio_sg *to)
{
	const struct vio_platform *platform = vq->vdev->vio->platform;
	struct vio_linux_piece *piece = vq->free_pieces;
	int error = platform->share(platform->context, sg->address, sg->length, rights, &to->addr);

	if (error)
		return error;
	to->length = sg->length;
	vq->free_pieces = piece->next;
	*piece = (struct vio_linux_piece){ buffer->pieces, sg->address, sg->length, rights, to->addr };
	buffer->pieces = piece;
	return 0;
}

/* Walks a list, to its end or for `most` entries; *count goes on counting. An entry is empty: -VIO_EINVAL. */
static int count_list(struct scatterlist *sg, unsigned int most, unsigned int limit, unsigned int *count)
{
	for (; sg && most && *count <= limit; sg = sg_next(sg), most--) {
		if (!sg->address || !sg->length)
			return -VIO_EINVAL;
		++*count;
	}
	return 0;
}

/* How many entries there are in the lists from `first` to `last`, or more than `limit`. */
static int count_lists(struct scatterlist *const lists[], unsigned int first, unsigned int last,
		       unsigned int most, unsigned int limit, unsigned int *count)
{
	int error = 0;

	for (; first < last && !error; first++)
		error = count_list(lists[first], most, limit, count);
	return error;
}

static int share_lists(struct virtqueue *vq, struct vio_linux_buffer *buffer,
		       struct scatterlist *const lists[], unsigned int out, unsigned int in,
		       unsigned int most)
{
	struct vio_sg *to = vq->sg;
	struct scatterlist *sg;
	unsigned int i, left;
	int error;

	for (i = 0; i < out + in; i++) {
		for (sg = lists[i], left = most; sg && left; sg = sg_next(sg), left--) {
			error = share_piece(vq, buffer, sg, i < out ? VIO_MEM_READ : VIO_MEM_WRITE, to++);
			if (error)
				return error;
		}
	}
	return 0;
}

/* Before anything is shared: whether the ring has room. */
static int judge(const struct virtqueue *vq, unsigned int count, const void *data)
{
	if (vio_drvq_broken(vq->q))
		return -VIO_EPEER;
	if (!data || !count)
		return -VIO_EINVAL;
	if (count > vq->q->size || !vq->free_buffers ||
	    vq->q->free_count < (count > 1 && count <= vq->q->indirect_max ? 1 : count))
		return -VIO_ENOSPC;
	return 0;
}

int vio_linux_add(struct virtqueue *vq, struct scatterlist *const lists[], unsigned int out, unsigned int in,
		  unsigned int most, void *data, void *context)
{
	unsigned int readable = 0, count, limit = vq->q->size;
	struct vio_linux_buffer *buffer;
	int error = count_lists(lists, 0, out, most, limit, &readable);

	count = readable;
	if (!error)
		error = count_lists(lists, out, out + in, most, limit, &count);
	if (!error)
		error = judge(vq, count, data);
	if (error)
		return vio_linux_errno(error);
	buffer = vq->free_buffers;
	vq->free_buffers = buffer->next;
	buffer->data = data;
	buffer->context = context;
	buffer->pieces = NULL;
	error = share_lists(vq, buffer, lists, out, in, most);
	if (!error)
		error = vio_drvq_add(vq->q, vq->sg, readable, count - readable, buffer);
	if (error)
		(void)retire(vq, buffer, NULL);
	vq->num_free = vq->q->free_count;
	return vio_linux_errno(error);
}

void *vio_linux_get(struct virtqueue *vq, unsigned int *length, void **context)
{
	uint32_t written = 0;
	struct vio_linux_buffer *buffer = vio_drvq_get(vq->q, &written);

	if (!buffer)
		return NULL;
	if (length)
		*length = written;
	return retire(vq, buffer, context);
}

/* Whether the device let go of the queue. */
static bool released(const struct virtqueue *vq)
{
	const struct vio_dev *dev = vq->vdev->vio;

	return dev->phase == VIO_DEV_RESET || dev->phase == VIO_DEV_GONE || dev->queues[vq->index].was_reset;
}

void *vio_linux_detach(struct virtqueue *vq)
{
	/* hostile: B29 B49, what the device may still write to stays where it is. */
	struct vio_linux_buffer *buffer = released(vq) ? vio_drvq_detach_unused(vq->q) : NULL;

	return buffer ? retire(vq, buffer, NULL) : NULL;
}

void vio_linux_vq_free(struct virtqueue *vq)
{
	const struct vio_platform *platform = vq->vdev->vio->platform;
	struct vio_shared memory = vq->memory;

	while (vio_linux_detach(vq))
		continue;
	platform->give_back(platform->context, &memory, vq->memory_bytes);
}
