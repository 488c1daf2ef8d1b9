/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "device/core.h"

/* The storage: queues, how each was last started, scratch space for the configuration, each queue's own. */

static size_t queue_bytes(const struct vio_device *dev)
{
	return core_align(vio_devq_storage_bytes(dev->queue_size_max, dev->spans_max, dev->request_bytes));
}

size_t vio_device_storage_bytes(const struct vio_device *dev)
{
	return core_align(dev->queue_count * sizeof(*dev->queues)) +
	       core_align(dev->queue_count * sizeof(*dev->queue_configs)) + core_align(dev->config_bytes) +
	       dev->queue_count * queue_bytes(dev);
}

static void queue_interrupt(void *context, struct vio_devq *q)
{
	struct vio_device *dev = context;

	/* spec: DEV-BASIC-001 */
	if (dev->events && (dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		dev->events->queue_interrupt(dev->events_context, q->index);
}

void vio_device_provide(struct vio_device *dev, void *storage)
{
	uint8_t *at = storage;
	uint16_t queue;

	dev->queues = storage;
	at += core_align(dev->queue_count * sizeof(*dev->queues));
	dev->queue_configs = (struct vio_devq_config *)(void *)at;
	at += core_align(dev->queue_count * sizeof(*dev->queue_configs));
	dev->config = at;
	at += core_align(dev->config_bytes);
	for (queue = 0; queue < dev->queue_count; queue++) {
		vio_devq_init(&dev->queues[queue], queue, dev->queue_size_max, dev->spans_max,
			      dev->request_bytes, at, dev, queue_interrupt);
		memset(&dev->queue_configs[queue], 0, sizeof(dev->queue_configs[queue]));
		at += queue_bytes(dev);
	}
	dev->phase = VIO_DEVICE_READY;
}

static void report(struct vio_device *dev, const struct vio_fault *fault)
{
	dev->fault = *fault;
	dev->fault_count++;
	if (dev->events && dev->events->fault)
		dev->events->fault(dev->events_context, fault);
}

int vio_device_queue_start(struct vio_device *dev, uint16_t queue, const struct vio_devq_config *config)
{
	struct vio_devq_config own = *config;
	int error;

	if (queue >= dev->queue_count) /* hostile: A79 A85 */
		return -VIO_ERANGE;
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return -VIO_EPHASE;
	own.features = dev->features_accepted;
	/* spec: DEV-RING-003 */
	error = vio_devq_start(&dev->queues[queue], own.mem ? own.mem : dev->mem, &own);
	if (error == -VIO_EPEER)
		report(dev, &dev->queues[queue].fault);
	if (error)
		return error;
	dev->queue_configs[queue] = own;
	vio_device_kick(dev, queue);
	return 0;
}

struct vio_devq_position vio_device_queue_stop(struct vio_device *dev, uint16_t queue)
{
	struct vio_devq *q;

	if (queue >= dev->queue_count || !dev->queues || !dev->queues[queue].running)
		return (struct vio_devq_position){ 0, 0 };
	q = &dev->queues[queue];
	if (dev->class->drain)
		dev->class->drain(dev, q);
	return vio_devq_stop(q);
}

bool vio_device_serve(struct vio_device *dev, uint16_t queue)
{
	struct vio_devq *q;

	/* spec: DEV-BASIC-001 DEV-SPLIT-017; hostile: A84 A85 */
	if (queue >= dev->queue_count || !vio_device_running(dev))
		return false;
	q = &dev->queues[queue];
	if (!q->running || vio_devq_broken(q))
		return false;
	vio_devq_set_budget(q, VIO_DEVICE_KICK_BUDGET); /* hostile: A55 */
	dev->class->kick(dev, q);
	if (vio_devq_broken(q))
		return true;
	if (vio_devq_exhausted(q) && dev->events)
		dev->events->kick_again(dev->events_context, queue);
	return false;
}

void vio_device_settle(struct vio_device *dev, uint16_t queue)
{
	const struct vio_devq *q = &dev->queues[queue];

	/* It may have been stopped or reset before anybody came to tell. */
	if (!q->running || !vio_devq_broken(q))
		return;
	report(dev, &q->fault);
	vio_device_needs_reset(dev);
}

void vio_device_kick(struct vio_device *dev, uint16_t queue)
{
	if (vio_device_serve(dev, queue))
		vio_device_settle(dev, queue);
}
