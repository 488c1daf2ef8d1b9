/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/spec/virtio_ring.h>

#include "driver/core.h"

#define SIZE_DEFAULT       256u
#define POLLS_BEFORE_SLEEP 64u
#define SLEEP_MOST_NS \
	UINT64_C(10000000) /* an interrupt that never comes costs no more than that (hostile: B34) */

static int take(struct vio_dev *dev, size_t bytes, unsigned rights, struct vio_shared *memory, size_t *taken)
{
	int error = dev->platform->take(dev->platform->context, bytes, rights, memory);

	if (error)
		memory->host = NULL;
	else
		*taken = bytes;
	return error;
}

static void give_back(struct vio_dev *dev, struct vio_shared *memory, size_t bytes)
{
	if (memory->host)
		dev->platform->give_back(dev->platform->context, memory, bytes);
	memory->host = NULL;
}

static void release(struct vio_dev *dev, struct vio_dev_queue *queue)
{
	give_back(dev, &queue->ring, queue->ring_bytes);
	give_back(dev, &queue->indirect, queue->indirect_bytes);
	give_back(dev, &queue->shadow, queue->shadow_bytes);
	memset(queue, 0, sizeof(*queue));
}

void vio_dev_release_queues(struct vio_dev *dev)
{
	struct vio_dev_queue *queue = dev->queues;
	unsigned left;

	for (left = dev->queue_max; left; left--, queue++)
		release(dev, queue);
	dev->queues = NULL;
	dev->queue_max = 0;
}

bool vio_dev_holds_memory(const struct vio_dev *dev)
{
	const struct vio_dev_queue *queue = dev->queues;
	unsigned left;

	for (left = dev->queue_max; left; left--, queue++)
		if (queue->ring.host)
			return true;
	return false;
}

static void stop(struct vio_dev_queue *queue)
{
	if (queue->enabled && !vio_drvq_broken(&queue->q))
		queue->q.fault = (struct vio_fault){ VIO_FAULT_STOPPED, queue->q.index, 0, 0 };
	queue->enabled = false;
	queue->kicked = false;
}

void vio_dev_stop_queues(struct vio_dev *dev)
{
	struct vio_dev_queue *queue = dev->queues;
	unsigned left;

	for (left = dev->queue_max; left; left--, queue++)
		stop(queue);
}

/* spec: DRV-BASIC-032; a queue with a fault takes nothing, whoever asks. */
void vio_dev_hold_queues(struct vio_dev *dev)
{
	struct vio_dev_queue *queue = dev->queues;
	unsigned left;

	for (left = dev->queue_max; left; left--, queue++) {
		queue->held = queue->enabled && !vio_drvq_broken(&queue->q);
		if (queue->held)
			queue->q.fault = (struct vio_fault){ VIO_FAULT_STOPPED, queue->q.index, 0, 0 };
	}
}

void vio_dev_let_go_queues(struct vio_dev *dev)
{
	struct vio_dev_queue *queue = dev->queues;
	unsigned left;

	for (left = dev->queue_max; left; left--, queue++) {
		if (queue->held)
			queue->q.fault = (struct vio_fault){ VIO_FAULT_NONE, queue->q.index, 0, 0 };
		queue->held = false;
	}
}

static struct vio_dev_queue *queue_of(struct vio_drvq *q)
{
	return VIO_CONTAINER_OF(q, struct vio_dev_queue, q);
}

/* spec: DRV-BASIC-026 */
static void notify(void *context, struct vio_drvq *q)
{
	struct vio_dev *dev = context;

	if (dev->phase == VIO_DEV_READY)
		dev->transport->queue_notify(dev, q);
	else
		queue_of(q)->kicked = true;
}

void vio_dev_kick_late(struct vio_dev *dev)
{
	struct vio_dev_queue *queue = dev->queues;
	unsigned left;

	for (left = dev->queue_max; left; left--, queue++) {
		if (queue->kicked)
			dev->transport->queue_notify(dev, &queue->q);
		queue->kicked = false;
	}
}

/* hostile: B42, a size that a ring can have, whatever the device says; or a negative code. */
static int choose_size(struct vio_dev *dev, uint16_t queue, uint16_t wish)
{
	uint32_t most = dev->transport->queue_size_max(dev, queue);
	uint32_t size = wish ? wish : SIZE_DEFAULT;

	if (!most)
		return -VIO_ENOENT;
	if (VIO_CONFIG_LEGACY && dev->transport->flags & VIO_TRANSPORT_SIZE_FIXED) /* spec: DRV-SPLIT-002 */
		return vio_is_power_of_two(most) && most <= VIRTQ_SIZE_MAX ? (int)most : -VIO_EPEER;
	if (size > most)
		size = most;
	if (size > VIRTQ_SIZE_MAX)
		size = VIRTQ_SIZE_MAX;
	/* A packed ring may have any. */
	if (!VIO_CONFIG_PACKED || !vio_dev_has_feature(dev, VIRTIO_F_RING_PACKED))
		while (size & (size - 1))
			size &= size - 1;
	return (int)size;
}

/* Starts the ring over memory that is there and shows it to the device. */
static int enable(struct vio_dev *dev, uint16_t index, struct vio_dev_queue *queue)
{
	struct vio_drvq_config config = {
		.index = index,
		.size = queue->size,
		.features = dev->accepted,
		.ring = queue->ring,
		.device_align = dev->transport->device_align,
		.storage = queue->shadow.host,
		.indirect = queue->indirect,
		.indirect_max = queue->indirect_max,
		.context = dev,
		.notify_device = notify,
	};
	struct vio_queue_place place;
	int error = vio_drvq_start(&queue->q, &config);

	if (error)
		return error;
	if (!queue->used)
		vio_drvq_disable_cb(&queue->q);
	place = (struct vio_queue_place){
		.size = queue->size,
		.descriptor_area = vio_drvq_descriptor_area(&queue->q),
		.driver_area = vio_drvq_driver_area(&queue->q),
		.device_area = vio_drvq_device_area(&queue->q),
	};
	queue->enabled = true;
	error = dev->transport->queue_enable(dev, index, &place); /* hostile: B51 */
	if (error)
		stop(queue);
	return error;
}

static int take_memory(struct vio_dev *dev, struct vio_dev_queue *queue)
{
	size_t indirect_bytes = vio_drvq_indirect_bytes(queue->size, queue->indirect_max);
	size_t ring_bytes = vio_drvq_ring_bytes_aligned(queue->size, dev->transport->device_align);
	int error = take(dev, ring_bytes, VIO_MEM_READ | VIO_MEM_WRITE, &queue->ring, &queue->ring_bytes);

	if (VIO_CONFIG_INDIRECT && !error && indirect_bytes)
		error = take(dev, indirect_bytes, VIO_MEM_READ, &queue->indirect, &queue->indirect_bytes);
	if (!error) /* hostile: B18 B21, what the driver relies on isn't shared */
		error = take(dev, vio_drvq_storage_bytes(queue->size), 0, &queue->shadow,
			     &queue->shadow_bytes);
	return error;
}

int vio_dev_add_queue(struct vio_dev *dev, uint16_t queue, const struct vio_queue_wish *wish,
		      struct vio_drvq **q)
{
	struct vio_dev_queue *new;
	int size, error;

	if (dev->phase != VIO_DEV_ACCEPTED)
		return -VIO_EPHASE;
	if (queue >= dev->queue_max)
		return -VIO_ERANGE;
	new = &dev->queues[queue];
	if (new->ring.host)
		return -VIO_EEXIST;
	size = choose_size(dev, queue, wish->size);
	if (size < 0)
		return size;
	new->size = (uint16_t)size;
	new->used = wish->used;
	if (VIO_CONFIG_INDIRECT && vio_dev_has_feature(dev, VIRTIO_F_INDIRECT_DESC))
		new->indirect_max = wish->indirect_max < new->size ? wish->indirect_max : new->size;
	error = take_memory(dev, new);
	if (error) {
		release(dev, new);
		return error;
	}
	/* When this fails the device has seen the addresses: the memory stays taken until it is reset. */
	error = enable(dev, queue, new);
	if (!error)
		*q = &new->q;
	return error;
}

int vio_dev_reset_queue(struct vio_dev *dev, uint16_t queue)
{
	uint64_t since;
	int error;

	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (queue >= dev->queue_max)
		return -VIO_ERANGE;
	if (!dev->queues[queue].enabled)
		return -VIO_EPHASE;
	if (!VIO_CONFIG_RING_RESET || !vio_dev_has_feature(dev, VIRTIO_F_RING_RESET) ||
	    !dev->transport->queue_reset)
		return -VIO_ENOTSUP;
	error = dev->transport->queue_reset(dev, queue);
	if (error)
		return error;
	stop(&dev->queues[queue]);
	since = dev->platform->now_ns(dev->platform->context);
	while (dev->transport->queue_resetting(dev, queue)) /* spec: DRV-RING-001; hostile: B50 */
		if (!vio_dev_nap(dev, since))
			return -VIO_EAGAIN;
	dev->queues[queue].was_reset = true;
	return 0;
}

int vio_dev_reenable_queue(struct vio_dev *dev, uint16_t queue)
{
	struct vio_dev_queue *again;
	int error;

	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (queue >= dev->queue_max)
		return -VIO_ERANGE;
	again = &dev->queues[queue];
	if (!again->was_reset)
		return -VIO_EPHASE;
	if (again->q.in_flight)
		return -VIO_EBUSY;
	error = enable(dev, queue, again); /* spec: DRV-RING-002 */
	again->was_reset = error != 0;
	return error;
}

/* One sleep of a wait, with an interrupt wished for, unless something came before it. */
static void doze(struct vio_dev *dev, struct vio_drvq *q, uint64_t most_ns)
{
	bool off = q->callbacks_off;

	if (vio_drvq_enable_cb(q))
		dev->platform->wait(dev->platform->context,
				    most_ns < SLEEP_MOST_NS ? most_ns : SLEEP_MOST_NS);
	if (off)
		vio_drvq_disable_cb(q);
}

int vio_dev_wait(struct vio_dev *dev, struct vio_drvq *q, uint64_t timeout_ns)
{
	const struct vio_platform *platform = dev->platform;
	uint64_t since, passed, looked = 0;
	unsigned polls;

	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	for (polls = 0; polls < POLLS_BEFORE_SLEEP; polls++)
		if (vio_drvq_pending(q))
			return 0;
	since = platform->now_ns(platform->context);
	for (;;) {
		passed = platform->now_ns(platform->context) - since;
		if (vio_drvq_broken(q))
			return -VIO_EPEER;
		if (passed - looked >= VIO_DEV_NAP_NS) { /* not each time: reading the status may be slow */
			if (vio_dev_broken(dev))         /* hostile: B37 B45 */
				return -VIO_EPEER;
			looked = passed;
		}
		if (timeout_ns && passed >= timeout_ns) /* hostile: B29 */
			return -VIO_EAGAIN;
		doze(dev, q, timeout_ns ? timeout_ns - passed : SLEEP_MOST_NS);
		if (vio_drvq_pending(q))
			return 0;
		if (dev->phase != VIO_DEV_READY) /* somebody reset it while we slept */
			return -VIO_EPHASE;
	}
}
