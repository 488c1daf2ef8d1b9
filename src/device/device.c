/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/config.h>
#include <vireo/device.h>
#include <vireo/spec/virtio_ring.h>

#include "device/core.h"

static const struct vio_property common_properties[] = {
	{ .name = "id",
	  VIO_PROPERTY_MEMBER(struct vio_device, id, VIO_PROPERTY_U32),
	  .min = 1,
	  .max = 63,
	  .help = "virtio device id" },
	{ .name = "queue-size",
	  VIO_PROPERTY_MEMBER(struct vio_device, queue_size, VIO_PROPERTY_U16),
	  .min = 1,
	  .max = VIRTQ_SIZE_MAX,
	  .help = "entries of each queue, a power of two" },
	{ .name = "indirect-desc",
	  VIO_PROPERTY_MEMBER(struct vio_device, indirect_desc, VIO_PROPERTY_BOOL),
	  .initial = "on",
	  .help = "offer VIRTIO_F_INDIRECT_DESC" },
	{ .name = "event-idx",
	  VIO_PROPERTY_MEMBER(struct vio_device, event_idx, VIO_PROPERTY_BOOL),
	  .initial = "on",
	  .help = "offer VIRTIO_F_EVENT_IDX" },
	{ .name = "packed",
	  VIO_PROPERTY_MEMBER(struct vio_device, packed, VIO_PROPERTY_BOOL),
	  .initial = "on",
	  .help = "offer VIRTIO_F_RING_PACKED" },
	{ .name = "in-order",
	  VIO_PROPERTY_MEMBER(struct vio_device, in_order, VIO_PROPERTY_BOOL),
	  .help = "offer VIRTIO_F_IN_ORDER; what is slow then holds up what is behind it" },
};

static const struct vio_property_table common_table = { common_properties,
							VIO_ARRAY_SIZE(common_properties) };

const struct vio_property_table *vio_device_common_properties(void)
{
	return &common_table;
}

void vio_device_init(struct vio_device *dev, const struct vio_device_class *class, void *state)
{
	memset(dev, 0, sizeof(*dev));
	if (class->state_bytes)
		memset(state, 0, class->state_bytes);
	dev->class = class;
	dev->state = state;
	dev->id = class->id;
	dev->queue_count = class->queue_count;
	dev->queue_size = class->queue_size;
	dev->spans_max = class->spans_max ? class->spans_max : VIO_DEVICE_SPANS_DEFAULT;
	dev->request_bytes = class->request_bytes;
	dev->config_bytes = class->config_bytes;
	vio_property_set_defaults(&common_table, dev);
	vio_property_set_defaults(&class->properties, state);
}

const struct vio_property *vio_device_find_property(struct vio_device *dev, const char *name, size_t length,
						    void **structure)
{
	const struct vio_property *property = vio_property_find(&dev->class->properties, name, length);
	void *of = dev->state;

	if (!property) {
		property = vio_property_find(&common_table, name, length);
		of = dev;
	}
	if (property && structure)
		*structure = of;
	return property;
}

int vio_device_set_property(struct vio_device *dev, const char *name, size_t length, const char *text)
{
	const struct vio_property *property;
	void *structure;
	int error;

	property = vio_device_find_property(dev, name, length, &structure);
	if (!property)
		return -VIO_ENOENT;
	if (dev->phase != VIO_DEVICE_MADE && !(property->flags & VIO_PROPERTY_RUNTIME))
		return -VIO_EPHASE;
	error = vio_property_set(property, structure, text);
	if (!error && dev->phase != VIO_DEVICE_MADE && dev->class->property_changed)
		dev->class->property_changed(dev, property);
	return error;
}

int vio_device_realize(struct vio_device *dev)
{
	int error;

	if (dev->phase != VIO_DEVICE_MADE)
		return -VIO_EPHASE;
	if (!vio_is_power_of_two(dev->queue_size))
		return -VIO_EINVAL;
	error = dev->class->realize ? dev->class->realize(dev) : 0;
	if (error)
		return error;
	if (dev->queue_size_max < dev->queue_size)
		dev->queue_size_max = dev->queue_size;

	/* spec: DEV-BASIC-004 DEV-BASIC-007 DEV-BASIC-025 DEV-BASIC-030, only what the core can do. */
	vio_features_set(&dev->features_offered, VIRTIO_F_VERSION_1);
	if (dev->indirect_desc)
		vio_features_set(&dev->features_offered, VIRTIO_F_INDIRECT_DESC);
	if (dev->event_idx)
		vio_features_set(&dev->features_offered, VIRTIO_F_EVENT_IDX);
	if (VIO_CONFIG_PACKED && dev->packed)
		vio_features_set(&dev->features_offered, VIRTIO_F_RING_PACKED);
	if (dev->in_order)
		vio_features_set(&dev->features_offered, VIRTIO_F_IN_ORDER);
	vio_features_set(&dev->features_offered, VIRTIO_F_RING_RESET);
	vio_features_set(&dev->features_offered, VIRTIO_F_SUSPEND);
	if (dev->class->get_features)
		dev->class->get_features(dev, &dev->features_offered);
	dev->phase = VIO_DEVICE_REALIZED;
	return 0;
}

void vio_device_unrealize(struct vio_device *dev)
{
	if (dev->phase == VIO_DEVICE_ATTACHED)
		vio_device_detach(dev);
	if (dev->phase != VIO_DEVICE_MADE && dev->class->unrealize)
		dev->class->unrealize(dev);
	dev->phase = VIO_DEVICE_MADE;
	dev->features_offered = VIO_FEATURES_NONE;
}

void vio_device_attach(struct vio_device *dev, const struct vio_mem *mem, const struct vio_features *carried,
		       const struct vio_device_events *events, void *context)
{
	dev->mem = mem;
	dev->features_carried = *carried;
	dev->events = events;
	dev->events_context = context;
	dev->part_only = false;
	dev->phase = VIO_DEVICE_ATTACHED;
}

void vio_device_detach(struct vio_device *dev)
{
	if (dev->phase != VIO_DEVICE_ATTACHED)
		return;
	vio_device_reset(dev);
	dev->phase = VIO_DEVICE_READY;
	dev->mem = NULL;
	dev->events = NULL;
	dev->events_context = NULL;
}

struct vio_features vio_device_features(const struct vio_device *dev)
{
	struct vio_features offered = dev->features_offered;

	/* Only a legacy driver knows that bit, and who can't be offered VERSION_1 is one. */
	if (!vio_features_has(&dev->features_carried, VIRTIO_F_VERSION_1))
		vio_features_set(&offered, VIRTIO_F_NOTIFY_ON_EMPTY); /* spec: DEV-BASIC-MAY-005 */
	/* spec: DEV-BASIC-026 */
	if (dev->mem && dev->mem->translate)
		vio_features_set(&offered, VIRTIO_F_ACCESS_PLATFORM);
	return vio_features_and(offered, dev->features_carried);
}

void vio_device_write_features(struct vio_device *dev, const struct vio_features *features)
{
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK)) /* hostile: A90 */
		dev->features_driver = *features;
}

/* spec: DEV-BASIC-005 DEV-BASIC-006 DEV-BASIC-008, a function of the set alone. */
static bool features_acceptable(struct vio_device *dev)
{
	struct vio_features features = dev->features_driver;

	if (!vio_features_empty(vio_features_minus(features, vio_device_features(dev))))
		return false;
	/* spec: DEV-BASIC-009, who can't be offered it is a legacy driver. */
	if (vio_features_has(&dev->features_carried, VIRTIO_F_VERSION_1) &&
	    !vio_features_has(&features, VIRTIO_F_VERSION_1))
		return false;
	return !dev->class->validate_features || !dev->class->validate_features(dev, &features);
}

static void config_interrupt(struct vio_device *dev)
{
	dev->config_owed = vio_device_suspended(dev); /* spec: DEV-BASIC-020 */
	if (dev->events && dev->status && !dev->config_owed)
		dev->events->config_interrupt(dev->events_context);
}

/* spec: DEV-BASIC-019 DEV-BASIC-022 DEV-BASIC-024; what a queue breaks at meanwhile, NEEDS_RESET shows. */
static void suspend(struct vio_device *dev)
{
	uint16_t queue;

	for (queue = 0; queue < dev->queue_count && dev->class->drain; queue++)
		if (dev->queues[queue].running)
			dev->class->drain(dev, &dev->queues[queue]);
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	dev->status = (dev->status | VIRTIO_CONFIG_S_SUSPEND) & (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	if (dev->class->set_status)
		dev->class->set_status(dev, dev->status);
}

uint8_t vio_device_write_status(struct vio_device *dev, uint8_t status)
{
	const uint8_t given_up = VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
			      VIRTIO_CONFIG_S_FAILED;
	uint8_t gained = (uint8_t)(status & known & ~dev->status);
	uint16_t queue;

	if (!status) {
		vio_device_reset(dev);
		return 0;
	}
	if (dev->status & given_up) /* hostile: A93 */
		return dev->status;
	if ((gained & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(dev))
		gained &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((dev->status | gained) & VIRTIO_CONFIG_S_FEATURES_OK)) /* hostile: A88 */
		gained &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	/* spec: DEV-BASIC-017; hostile: A99 */
	if ((status & VIRTIO_CONFIG_S_SUSPEND) && vio_device_running(dev) &&
	    vio_device_has_feature(dev, VIRTIO_F_SUSPEND))
		suspend(dev);
	if (!gained)
		return dev->status;
	/* spec: DEV-BASIC-023; all that it stands on is still there. */
	if (gained & VIRTIO_CONFIG_S_DRIVER_OK)
		dev->status &= (uint8_t)~VIRTIO_CONFIG_S_SUSPEND;
	dev->status |= gained;
	if (gained & VIRTIO_CONFIG_S_FEATURES_OK) {
		dev->features_accepted = dev->features_driver;
		if (dev->class->set_features)
			dev->class->set_features(dev);
	}
	if (dev->class->set_status)
		dev->class->set_status(dev, dev->status);
	if (gained & VIRTIO_CONFIG_S_DRIVER_OK)
		for (queue = 0; queue < dev->queue_count; queue++)
			vio_device_kick(dev, queue);
	if (dev->config_owed && vio_device_running(dev))
		config_interrupt(dev); /* spec: DEV-BASIC-021 */
	return dev->status;
}

void vio_device_reset(struct vio_device *dev)
{
	uint16_t queue;

	/* spec: DEV-BASIC-010 DEV-BASIC-011, the queues are quiet before the status reads 0. */
	for (queue = 0; queue < dev->queue_count; queue++)
		vio_device_queue_stop(dev, queue);
	dev->status = 0;
	dev->config_owed = false;
	dev->features_driver = VIO_FEATURES_NONE;
	dev->features_accepted = VIO_FEATURES_NONE;
	if (dev->class->reset)
		dev->class->reset(dev);
}

/* spec: DEV-BASIC-012, whatever the status. */
void vio_device_read_config(struct vio_device *dev, uint32_t offset, void *to, uint32_t length)
{
	uint32_t there = 0;

	dev->config_read = true;
	if (dev->config_bytes && offset < dev->config_bytes) {
		memset(dev->config, 0, dev->config_bytes);
		if (dev->class->get_config)
			dev->class->get_config(dev, dev->config);
		there = dev->config_bytes - offset;
		if (there > length)
			there = length;
		memcpy(to, (uint8_t *)dev->config + offset, there);
	}
	memset((uint8_t *)to + there, 0, length - there); /* hostile: A100 */
}

int vio_device_write_config(struct vio_device *dev, uint32_t offset, const void *from, uint32_t length)
{
	if (offset > dev->config_bytes || length > dev->config_bytes - offset)
		return -VIO_ERANGE;
	if (!length || !dev->class->set_config || vio_device_suspended(dev)) /* spec: DEV-BASIC-018 */
		return 0;
	memset(dev->config, 0, dev->config_bytes);
	if (dev->class->get_config)
		dev->class->get_config(dev, dev->config);
	memcpy((uint8_t *)dev->config + offset, from, length);
	dev->class->set_config(dev, dev->config, offset, length);
	return 0;
}

void vio_device_config_changed(struct vio_device *dev)
{
	/* Who hasn't read can't have read two versions; so an 8-bit count doesn't wrap (4.1.4.3.1). */
	if (dev->config_read)
		dev->config_generation++;
	dev->config_read = false;
	config_interrupt(dev);
}

void vio_device_needs_reset(struct vio_device *dev)
{
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;  /* spec: DEV-BASIC-002 */
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) /* spec: DEV-BASIC-003 */
		config_interrupt(dev);
}
