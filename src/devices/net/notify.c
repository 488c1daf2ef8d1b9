/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/net/net.h"

/*
 * Notification coalescing: buffers wait in the queue, pushed and not yet shown to
 * the driver, until there are enough of them or the time is over. One clock serves
 * all queues; it goes off for the most impatient, and then for all.
 */

struct net_queue *vio_netdev_queue_of(struct vio_device *dev, const struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);
	struct net_queue *queue = &net->queues[q->index];

	if (queue->generation == q->generation)
		return queue;
	/* spec: DEV-NET-110 DEV-NET-111: it was started again */
	queue->coal = q->index & 1 ? net->driver.transmit_coal : net->driver.receive_coal;
	queue->generation = q->generation;
	queue->pending = 0;
	return queue;
}

void vio_netdev_count(struct vio_device *dev, const struct vio_devq *q, unsigned buffers)
{
	vio_netdev_queue_of(dev, q)->pending += buffers;
}

static bool net_holds_back(struct net *net, const struct net_queue *queue)
{
	if (!queue->coal.max_usecs || queue->pending >= queue->coal.max_packets || !net->network->ops->arm)
		return false;
	if (!net->clock_armed || queue->coal.max_usecs < net->clock_us) {
		net->clock_armed = true;
		net->clock_us = queue->coal.max_usecs;
		net->network->ops->arm(net->network, net->clock_us);
	}
	return true;
}

void vio_netdev_notify(struct vio_device *dev, struct vio_devq *q)
{
	struct net_queue *queue = vio_netdev_queue_of(dev, q);

	if (!queue->pending || net_holds_back(vio_device_state(dev), queue))
		return;
	queue->pending = 0;
	vio_devq_notify(q); /* spec: DEV-NET-112: which looks at what the driver suppresses */
}

void vio_netdev_expired(void *context)
{
	struct vio_device *dev = context;
	struct net *net = vio_device_state(dev);

	net->clock_armed = false;
	for (unsigned i = 0; dev->queues && i < dev->queue_count; i++) {
		if (!net->queues[i].pending)
			continue;
		net->queues[i].pending = 0;
		vio_devq_notify(&dev->queues[i]);
	}
}
