/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/adder_driver.h"

#define PATIENCE_NS UINT64_C(1000000000)

static void used(struct vio_dev *dev, struct vio_drvq *q)
{
	((struct adder_driver *)dev->driver_state)->used++;
	vio_drvq_disable_cb(q);
}

int adder_driver_start(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 64, .indirect_max = 4, .used = used };
	struct adder_driver *adder = dev->driver_state;
	struct vio_features wanted = vio_dev_ring_features();
	int error = vio_dev_begin(dev, &adder->queue, 1);

	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, 0, &wish, &adder->q);
	return error ? error : vio_dev_ready(dev);
}

int adder_driver_add(struct vio_dev *dev, uint32_t number, uint32_t *sum)
{
	struct adder_driver *adder = dev->driver_state;
	const struct vio_part parts[] = { { &adder->number, 4 }, { &adder->sum, 4 } };
	uint32_t written = 0;
	int error;

	adder->number = vio_le32_make(number);
	error = vio_dev_exchange(dev, adder->q, parts, 1, 1, &written, PATIENCE_NS);
	*sum = vio_le32_get(adder->sum);
	return !error && written != 4 ? -VIO_EPEER : error;
}

static void config_changed(struct vio_dev *dev)
{
	((struct adder_driver *)dev->driver_state)->config_changes++;
}

const struct vio_driver adder_driver = {
	.name = "adder",
	.ids = (const uint32_t[]){ VIRTIO_ID_ADDER, 0 },
	.state_bytes = sizeof(struct adder_driver),
	.probe = adder_driver_start,
	.config_changed = config_changed,
};
