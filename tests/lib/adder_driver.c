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
	const struct vio_platform *platform = dev->platform;
	uint32_t written = 0;
	struct vio_sg sg[2] = { { .length = 4 }, { .length = 4 } };
	int error;

	adder->number = vio_le32_make(number);
	error = platform->share(platform->context, &adder->number, 4, VIO_MEM_READ, &sg[0].addr);
	if (error)
		return error;
	error = platform->share(platform->context, &adder->sum, 4, VIO_MEM_WRITE, &sg[1].addr);
	if (!error) {
		error = vio_drvq_add(adder->q, sg, 1, 1, adder);
		if (!error) {
			vio_drvq_kick(adder->q);
			error = vio_dev_wait(dev, adder->q, PATIENCE_NS);
			if (!error && (vio_drvq_get(adder->q, &written) != adder || written != 4))
				error = -VIO_EPEER;
			if (error) /* the device has the buffers until then */
				vio_dev_reset(dev);
		}
		platform->unshare(platform->context, &adder->sum, 4, VIO_MEM_WRITE, sg[1].addr);
	}
	platform->unshare(platform->context, &adder->number, 4, VIO_MEM_READ, sg[0].addr);
	*sum = vio_le32_get(adder->sum);
	return error;
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
