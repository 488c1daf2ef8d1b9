/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver/core.h"

static unsigned rights_of(unsigned part, unsigned readable)
{
	return part < readable ? VIO_MEM_READ : VIO_MEM_WRITE;
}

static void unshare(struct vio_dev *dev, const struct vio_part *parts, const struct vio_sg *sg,
		    unsigned readable, unsigned count)
{
	const struct vio_platform *platform = dev->platform;

	while (count--)
		platform->unshare(platform->context, parts[count].host, parts[count].length,
				  rights_of(count, readable), sg[count].addr);
}

/* All of the parts, or none. */
static int share(struct vio_dev *dev, const struct vio_part *parts, struct vio_sg *sg, unsigned readable,
		 unsigned count)
{
	const struct vio_platform *platform = dev->platform;
	unsigned i;
	int error;

	for (i = 0; i < count; i++) {
		sg[i].length = parts[i].length;
		error = platform->share(platform->context, parts[i].host, parts[i].length,
					rights_of(i, readable), &sg[i].addr);
		if (error) {
			unshare(dev, parts, sg, readable, i);
			return error;
		}
	}
	return 0;
}

static int judge(const struct vio_dev *dev, const struct vio_drvq *q, const struct vio_part *parts,
		 unsigned count)
{
	unsigned i;

	if (vio_drvq_broken(q))
		return -VIO_EPEER;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (q->in_flight)
		return -VIO_EBUSY;
	if (!count || count > VIO_EXCHANGE_PARTS_MAX || count > q->size)
		return -VIO_EINVAL;
	for (i = 0; i < count; i++)
		if (!parts[i].length)
			return -VIO_EINVAL;
	return 0;
}

/* The answer, or no answer and a device that lets go of the memory, or is STUCK with it. */
static int await(struct vio_dev *dev, struct vio_drvq *q, const void *token, uint32_t *written,
		 uint64_t timeout_ns)
{
	int error = vio_dev_wait(dev, q, timeout_ns);

	if (!error && vio_drvq_get(q, written) == token)
		return 0;
	if (!error) /* hostile: B1 B2 B3 B4 B7 B13 B14 B15 */
		error = -VIO_EPEER;
	if (dev->phase == VIO_DEV_READY && vio_dev_reset(dev) == -VIO_EHANGUP) /* hostile: B29 */
		error = -VIO_EHANGUP;
	while (dev->phase != VIO_DEV_STUCK && vio_drvq_detach_unused(q))
		continue;
	return error;
}

int vio_dev_exchange(struct vio_dev *dev, struct vio_drvq *q, const struct vio_part *parts, unsigned readable,
		     unsigned writable, uint32_t *written, uint64_t timeout_ns)
{
	struct vio_sg sg[VIO_EXCHANGE_PARTS_MAX];
	unsigned count = readable + writable;
	uint32_t filled = 0;
	int error = judge(dev, q, parts, count);

	if (!error)
		error = share(dev, parts, sg, readable, count);
	if (error)
		return error;
	error = vio_drvq_add(q, sg, readable, writable, sg);
	if (!error) {
		vio_drvq_kick(q);
		error = await(dev, q, sg, &filled, timeout_ns);
	}
	if (dev->phase != VIO_DEV_STUCK)
		unshare(dev, parts, sg, readable, count);
	if (written)
		*written = filled;
	return error;
}

int vio_dev_start(struct vio_dev *dev, struct vio_dev_queue *queue, const struct vio_queue_wish *wish,
		  struct vio_drvq **q)
{
	const struct vio_features wanted = vio_dev_ring_features();
	int error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);

	if (!error)
		error = vio_dev_begin(dev, queue, 1);
	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, 0, wish, q);
	return error ? error : vio_dev_ready(dev);
}
