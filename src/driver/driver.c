/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "driver/core.h"

const struct vio_driver *vio_driver_match(const struct vio_driver *const *drivers, const struct vio_dev *dev)
{
	const uint32_t *id;

	for (; *drivers; drivers++)
		for (id = (*drivers)->ids; *id; id++)
			if (*id == dev->id)
				return *drivers;
	return NULL;
}

int vio_driver_bind(struct vio_dev *dev, const struct vio_driver *driver, const struct vio_platform *platform,
		    void *state)
{
	int error;

	if (dev->driver)
		return -VIO_EBUSY;
	if (dev->phase != VIO_DEV_FOUND)
		return -VIO_EPHASE;
	if (driver->state_bytes)
		memset(state, 0, driver->state_bytes);
	dev->platform = platform;
	dev->driver = driver;
	dev->driver_state = state;
	error = driver->probe(dev);
	if (error) {
		dev->driver = NULL;
		(void)vio_driver_unbind(dev);
	}
	return error;
}

int vio_driver_unbind(struct vio_dev *dev)
{
	int error = vio_dev_stuck(dev) ? -VIO_EAGAIN : 0;

	if (!error && dev->driver && dev->driver->remove)
		dev->driver->remove(dev);
	if (!error && dev->platform)
		error = vio_dev_end(dev);
	if (error) /* hostile: B49, the driver has to take back more than the queues */
		return error;
	dev->driver = NULL;
	dev->driver_state = NULL;
	dev->platform = NULL;
	return 0;
}

int vio_dev_close(struct vio_dev *dev)
{
	int error = vio_driver_unbind(dev);

	if (!error && dev->transport->close)
		dev->transport->close(dev);
	return error;
}

/*
 * spec: DRV-SPLIT-016; hostile: B33 B35 B36, one look at each queue for each interrupt, and none before the
 * device is ready.
 */
static void queue_used(struct vio_dev *dev, struct vio_dev_queue *queue)
{
	if (queue->enabled && queue->used && vio_drvq_pending(&queue->q))
		queue->used(dev, &queue->q);
}

void vio_dev_interrupt_queue(struct vio_dev *dev, uint16_t queue)
{
	if (dev->phase == VIO_DEV_READY && queue < dev->queue_max)
		queue_used(dev, &dev->queues[queue]);
}

void vio_dev_interrupt_config(struct vio_dev *dev)
{
	if (dev->phase == VIO_DEV_READY && dev->driver && dev->driver->config_changed)
		dev->driver->config_changed(dev);
}

unsigned vio_dev_interrupt(struct vio_dev *dev)
{
	unsigned causes;
	uint16_t queue;

	if (dev->phase == VIO_DEV_FOUND || dev->phase == VIO_DEV_GONE)
		return 0;
	causes = dev->transport->take_interrupts(dev);
	if (causes & VIO_INTERRUPT_QUEUE) /* `used` may reset the device, which ends the loop's work */
		for (queue = 0; queue < dev->queue_max; queue++)
			vio_dev_interrupt_queue(dev, queue);
	if (causes & VIO_INTERRUPT_CONFIG)
		vio_dev_interrupt_config(dev);
	return causes;
}

void vio_features_require(struct vio_features *set, unsigned bit, const int *needs)
{
	for (; *needs >= 0; needs++)
		if (!vio_features_has(set, (unsigned)*needs))
			vio_features_clear(set, bit);
}
