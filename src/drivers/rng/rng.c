/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/rng.h>

static struct vio_rng *rng_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_rng_driver ? dev->driver_state : NULL;
}

int vio_rng_read(struct vio_dev *dev, void *to, uint32_t length, uint32_t *got)
{
	const struct vio_part part = { to, length };
	const struct vio_rng *rng = rng_of(dev);
	uint32_t written;
	int error;

	if (!rng)
		return -VIO_EINVAL;
	/* spec: DRV-RNG-001 */
	error = vio_dev_exchange(dev, rng->q, &part, 0, 1, &written, rng->timeout_ns);
	if (error)
		return error;
	if (!written) /* spec: DRV-RNG-002; hostile: B10 B64 */
		return -VIO_EPEER;
	*got = written;
	return 0;
}

int vio_rng_fill(struct vio_dev *dev, void *to, uint32_t length)
{
	uint8_t *at = to;
	uint32_t got = 0;
	int error = 0;

	/* Ends although the device steers it: each turn brings a byte at least. */
	for (; !error && length; at += got, length -= got)
		error = vio_rng_read(dev, at, length, &got);
	return error;
}

int vio_rng_start(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 2 };
	struct vio_rng *rng = rng_of(dev);

	return rng ? vio_dev_start(dev, &rng->queue, &wish, &rng->q) : -VIO_EINVAL;
}

static int rng_probe(struct vio_dev *dev)
{
	struct vio_rng *rng = dev->driver_state;

	rng->timeout_ns = VIO_RNG_TIMEOUT_NS;
	return vio_rng_start(dev);
}

const struct vio_driver vio_rng_driver = {
	.name = "rng",
	.ids = (const uint32_t[]){ VIRTIO_ID_RNG, 0 },
	.state_bytes = sizeof(struct vio_rng),
	.probe = rng_probe,
};
