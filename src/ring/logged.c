/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/config.h>

#include "ring/walk.h"

/* What is different for a queue whose buffers somebody keeps account of. */

static bool pop_again(struct vio_devq *q, struct vio_buf *buf)
{
	struct vio_devq_again again;

	q->log->ops->again(q->log, &again);
	/* hostile: A6 A56, as where buffers come out of the ring; the log lies with the driver, too. */
	if (again.name >= q->size || q->busy[again.name])
		return devq_fault(q, again.name >= q->size ? VIO_FAULT_HEAD_RANGE : VIO_FAULT_HEAD_BUSY, 0,
				  again.name);
#if VIO_CONFIG_PACKED
	if (q->packed)
		return vio_packed_pop_again(q, &again, buf);
#endif
	return vio_split_pop_again(q, &again, buf);
}

unsigned vio_devq_logged_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max)
{
	const uint16_t position = q->avail_next;
	const bool kicks_off = q->kicks_off;
	unsigned count = 0;

	while (q->log->again && count < max && q->budget && pop_again(q, &buffers[count]))
		count++;
	if (count && q->log->ops->popped)
		q->log->ops->popped(q->log, q, buffers, count);
	if (count || q->log->again || vio_devq_broken(q))
		return count;
#if VIO_CONFIG_PACKED
	if (q->packed)
		count = vio_packed_pop_many(q, buffers, max);
	else
#endif
		count = vio_split_pop_many(q, buffers, max);
	if (vio_devq_broken(q) && q->log->ops->absent && q->log->ops->absent(q->log, q))
		q->fault = (struct vio_fault){ VIO_FAULT_NONE, q->index, 0, 0 };
	if (count)
		q->log->ops->taken(q->log, q, buffers, count, position);
	if (count && q->log->ops->popped)
		q->log->ops->popped(q->log, q, buffers, count);
	/* When it is asked for kicks, vio_devq_enable_kick() says so; something may have come after that. */
	if (q->kicks_off && (count || !kicks_off))
		vio_devq_logged_asked(q);
	return count;
}

void vio_devq_logged_filled(struct vio_devq *q, const struct vio_buf *buf, uint32_t written)
{
	if (q->log->ops->filled)
		q->log->ops->filled(q->log, q, buf, devq_written(buf, written));
}

void vio_devq_logged_given(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			   unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		if (!devq_holds(q, &buffers[i]))
			continue;
		vio_devq_logged_filled(q, &buffers[i], written[i]);
		/* In order it is known when everything before it is there. */
		if (!q->in_order)
			q->log->ops->given(q->log, buffers[i].head);
	}
}

void vio_devq_logged_asked(struct vio_devq *q)
{
	if (q->log->ops->asked)
		q->log->ops->asked(q->log, q);
}
