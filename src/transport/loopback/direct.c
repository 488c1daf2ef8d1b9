/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/loopback.h>

/* The driver core's view of a device core: each operation is a call of the other side. */

#define NOBODY UINT8_MAX

static struct vio_loopback *loopback_of(struct vio_dev *dev)
{
	return dev->transport_context;
}

/* The device, or NULL when it was pulled out. */
static struct vio_device *device_of(struct vio_dev *dev)
{
	struct vio_loopback *loopback = loopback_of(dev);

	return loopback->pulled_out ? NULL : loopback->device;
}

static uint8_t get_status(struct vio_dev *dev)
{
	return device_of(dev) ? device_of(dev)->status : NOBODY;
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	if (!device_of(dev))
		return;
	vio_device_write_status(device_of(dev), status);
	if (!status)
		loopback_of(dev)->pending = 0;
}

static struct vio_features get_features(struct vio_dev *dev)
{
	return device_of(dev) ? vio_device_features(device_of(dev)) : VIO_FEATURES_NONE;
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	if (device_of(dev))
		vio_device_write_features(device_of(dev), features);
}

static uint32_t get_generation(struct vio_dev *dev)
{
	return loopback_of(dev)->device->config_generation;
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	struct vio_device *device = device_of(dev);

	if (!device) {
		memset(to, NOBODY, length);
		return 0;
	}
	if (offset > device->config_bytes || length > device->config_bytes - offset)
		return -VIO_ERANGE;
	vio_device_read_config(device, offset, to, length);
	return 0;
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	return device_of(dev) ? vio_device_write_config(device_of(dev), offset, from, length) : 0;
}

static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	struct vio_device *device = device_of(dev);

	return device && queue < device->queue_count ? device->queue_size : 0;
}

static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	const struct vio_devq_config config = {
		.size = place->size,
		.at = vio_devq_position_first(&dev->accepted),
		.descriptor_area = place->descriptor_area,
		.driver_area = place->driver_area,
		.device_area = place->device_area,
	};

	return device_of(dev) && !vio_device_queue_start(device_of(dev), queue, &config) ? 0 : -VIO_EPEER;
}

/* Over as soon as it returns. */
static int queue_reset(struct vio_dev *dev, uint16_t queue)
{
	if (device_of(dev))
		vio_device_queue_stop(device_of(dev), queue);
	return 0;
}

static bool queue_resetting(struct vio_dev *dev, uint16_t queue)
{
	return !device_of(dev);
}

static void queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	if (device_of(dev))
		vio_device_kick(device_of(dev), q->index);
}

static unsigned take_interrupts(struct vio_dev *dev)
{
	unsigned pending = loopback_of(dev)->pending;

	loopback_of(dev)->pending = 0;
	return pending;
}

static const struct vio_transport_ops ops = {
	.name = "loopback",
	.carried = { { UINT64_MAX, UINT64_MAX } },
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_reset = queue_reset,
	.queue_resetting = queue_resetting,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
};

static void queue_interrupt(void *context, uint16_t queue)
{
	struct vio_loopback *loopback = context;

	loopback->pending |= VIO_INTERRUPT_QUEUE;
}

static void config_interrupt(void *context)
{
	struct vio_loopback *loopback = context;

	loopback->pending |= VIO_INTERRUPT_CONFIG;
}

static void kick_again(void *context, uint16_t queue)
{
	struct vio_loopback *loopback = context;

	loopback->again = true;
}

static const struct vio_device_events events = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.kick_again = kick_again,
};

int vio_loopback_direct_probe(struct vio_loopback *loopback, struct vio_device *device,
			      const struct vio_mem *mem, struct vio_dev *dev)
{
	if (device->phase != VIO_DEVICE_READY)
		return -VIO_EPHASE;
	memset(loopback, 0, sizeof(*loopback));
	loopback->device = device;
	loopback->dev = dev;
	memset(dev, 0, sizeof(*dev));
	dev->transport = &ops;
	dev->transport_context = loopback;
	dev->id = device->id;
	vio_device_attach(device, mem, &ops.carried, &events, loopback);
	return 0;
}
