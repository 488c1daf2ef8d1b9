/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devq.h>

/*
 * Eats up to `length` bytes off the front of an array of spans: into `to`, or out
 * of `from`, or, with neither, just passes over them.
 */
static size_t spans_eat(struct vio_span **spans, uint16_t *count, size_t length, uint8_t *to,
			const uint8_t *from)
{
	size_t eaten = 0;

	while (eaten < length && *count) {
		struct vio_span *span = *spans;
		size_t piece = length - eaten;

		if (piece > span->length)
			piece = span->length;
		if (to)
			memcpy(to + eaten, span->host, piece);
		else if (from)
			memcpy(span->host, from + eaten, piece);
		eaten += piece;
		span->host += piece;
		span->length -= piece;
		if (!span->length) {
			(*spans)++;
			(*count)--;
		}
	}
	return eaten;
}

size_t vio_read(struct vio_buf *buf, void *to, size_t length)
{
	size_t eaten = spans_eat(&buf->readable, &buf->readable_count, length, to, NULL);

	buf->readable_bytes -= eaten;
	return eaten;
}

size_t vio_skip(struct vio_buf *buf, size_t length)
{
	size_t eaten = spans_eat(&buf->readable, &buf->readable_count, length, NULL, NULL);

	buf->readable_bytes -= eaten;
	return eaten;
}

size_t vio_write(struct vio_buf *buf, const void *from, size_t length)
{
	size_t eaten = spans_eat(&buf->writable, &buf->writable_count, length, NULL, from);

	buf->writable_bytes -= eaten;
	return eaten;
}

uint8_t *vio_buf_take_last(struct vio_buf *buf)
{
	struct vio_span *last;

	if (!buf->writable_count)
		return NULL;
	last = &buf->writable[buf->writable_count - 1];
	last->length--;
	buf->writable_bytes--;
	if (!last->length)
		buf->writable_count--;
	return last->host + last->length;
}
