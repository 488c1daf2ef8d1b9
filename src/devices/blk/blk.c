/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/devices/blk.h>

#include "devices/block_requests.h"

/* The block device is its request queues. */
static const struct vio_property blk_properties[] = { VIO_BLOCK_REQUESTS_PROPERTIES,
						      VIO_BLOCK_REQUESTS_LIMITS };

int vio_blk_attach(struct vio_device *dev, struct vio_block *block)
{
	struct vio_block_requests *blk = vio_device_state(dev);

	if (dev->class != &vio_blk_class)
		return -VIO_EINVAL;
	blk->block = block;
	return 0;
}

int vio_blk_spread(struct vio_device *dev, struct vio_block *const *blocks, unsigned count)
{
	if (dev->class != &vio_blk_class)
		return -VIO_EINVAL;
	return vio_block_requests_spread(dev, blocks, count);
}

VIO_STATIC_ASSERT(VIO_BLK_METER_QUEUES == VIO_BLOCK_REQUESTS_QUEUES_MAX, "as many counters as queues");

int vio_blk_meter(struct vio_device *dev, const struct vio_block_meter *meter)
{
	if (dev->class != &vio_blk_class)
		return -VIO_EINVAL;
	vio_block_requests_meter(dev, meter);
	return 0;
}

void vio_blk_resume(struct vio_device *dev, const struct vio_block *block)
{
	vio_block_requests_resume(dev, block);
}

const struct vio_device_class vio_blk_class = {
	.name = "blk",
	.summary = "block device over a file, memory or other storage",
	.id = VIRTIO_ID_BLOCK,
	.queue_count = 1,
	.queue_size = 256,
	.request_bytes = sizeof(struct vio_block_request_state),
	.state_bytes = sizeof(struct vio_block_requests),
	.config_bytes = sizeof(struct virtio_blk_config),
	.properties = { blk_properties, VIO_ARRAY_SIZE(blk_properties) },
	.realize = vio_block_requests_realize,
	.unrealize = vio_block_requests_unrealize,
	.get_features = vio_block_requests_get_features,
	.set_features = vio_block_requests_set_features,
	.get_config = vio_block_requests_get_config,
	.set_config = vio_block_requests_set_config,
	.reset = vio_block_requests_reset,
	.property_changed = vio_block_requests_property_changed,
	.kick = vio_block_requests_kick,
	.drain = vio_block_requests_drain,
	.save = vio_block_requests_save,
	.load = vio_block_requests_load,
	.version = 1,
};
