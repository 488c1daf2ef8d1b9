/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/adder.h>

static struct vio_adder *adder_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_adder_driver ? dev->driver_state : NULL;
}

int vio_adder_add(struct vio_dev *dev, uint32_t number, uint32_t *sum)
{
	struct vio_adder *adder = adder_of(dev);
	struct vio_part parts[2];
	uint32_t written;
	int error;

	if (!adder)
		return -VIO_EINVAL;
	parts[0] = (struct vio_part){ &adder->number, sizeof(adder->number) };
	parts[1] = (struct vio_part){ &adder->sum, sizeof(adder->sum) };
	adder->number = vio_le32_make(number);
	error = vio_dev_exchange(dev, adder->q, parts, 1, 1, &written, adder->timeout_ns);
	if (error)
		return error;
	if (written != sizeof(adder->sum)) /* hostile: B10 B11 */
		return -VIO_EPEER;
	*sum = vio_le32_get(adder->sum);
	return 0;
}

int vio_adder_get_status(struct vio_dev *dev, uint32_t *status)
{
	return adder_of(dev)
		       ? vio_dev_read_config32(dev, offsetof(struct virtio_adder_config, status), status)
		       : -VIO_EINVAL;
}

int vio_adder_set_status(struct vio_dev *dev, uint32_t status)
{
	return adder_of(dev)
		       ? vio_dev_write_config32(dev, offsetof(struct virtio_adder_config, status), status)
		       : -VIO_EINVAL;
}

int vio_adder_start(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 2 };
	struct vio_adder *adder = adder_of(dev);

	return adder ? vio_dev_start(dev, &adder->queue, &wish, &adder->q) : -VIO_EINVAL;
}

static int adder_probe(struct vio_dev *dev)
{
	struct vio_adder *adder = dev->driver_state;

	adder->timeout_ns = VIO_ADDER_TIMEOUT_NS;
	return vio_adder_start(dev);
}

const struct vio_driver vio_adder_driver = {
	.name = "adder",
	.ids = (const uint32_t[]){ VIRTIO_ID_ADDER, 0 },
	.state_bytes = sizeof(struct vio_adder),
	.probe = adder_probe,
};
