/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/caesar.h>

static struct vio_caesar *caesar_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_caesar_driver ? dev->driver_state : NULL;
}

int vio_caesar_transform(struct vio_dev *dev, const void *from, void *to, uint32_t length)
{
	const struct vio_part parts[] = { vio_part_readable(from, length), { to, length } };
	const struct vio_caesar *caesar = caesar_of(dev);
	uint32_t written;
	int error;

	if (!caesar)
		return -VIO_EINVAL;
	if (!length)
		return 0;
	error = vio_dev_exchange(dev, caesar->q, parts, 1, 1, &written, caesar->timeout_ns);
	if (error)
		return error;
	return written == length ? 0 : -VIO_EPEER; /* hostile: B10 B11 */
}

int vio_caesar_get(struct vio_dev *dev, uint8_t *shift, uint8_t *mode)
{
	struct virtio_caesar_config config;
	int error;

	if (!caesar_of(dev))
		return -VIO_EINVAL;
	error = vio_dev_read_config(dev, 0, &config, sizeof(config));
	if (error)
		return error;
	if (config.shift > VIRTIO_CAESAR_SHIFT_MAX || config.mode > VIRTIO_CAESAR_MODE_DECIPHER)
		return -VIO_EPEER;
	*shift = config.shift;
	*mode = config.mode;
	return 0;
}

static int set(struct vio_dev *dev, uint32_t offset, uint8_t value)
{
	uint8_t seen;
	int error = vio_dev_write_config8(dev, offset, value);

	if (!error)
		error = vio_dev_read_config8(dev, offset, &seen);
	if (error)
		return error;
	return seen == value ? 0 : -VIO_EAGAIN;
}

int vio_caesar_set_shift(struct vio_dev *dev, uint8_t shift)
{
	if (!caesar_of(dev))
		return -VIO_EINVAL;
	if (shift > VIRTIO_CAESAR_SHIFT_MAX)
		return -VIO_ERANGE;
	return set(dev, offsetof(struct virtio_caesar_config, shift), shift);
}

int vio_caesar_set_mode(struct vio_dev *dev, uint8_t mode)
{
	if (!caesar_of(dev))
		return -VIO_EINVAL;
	if (mode > VIRTIO_CAESAR_MODE_DECIPHER)
		return -VIO_ERANGE;
	return set(dev, offsetof(struct virtio_caesar_config, mode), mode);
}

int vio_caesar_start(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 2 };
	struct vio_caesar *caesar = caesar_of(dev);

	return caesar ? vio_dev_start(dev, &caesar->queue, &wish, &caesar->q) : -VIO_EINVAL;
}

static int caesar_probe(struct vio_dev *dev)
{
	struct vio_caesar *caesar = dev->driver_state;

	caesar->timeout_ns = VIO_CAESAR_TIMEOUT_NS;
	return vio_caesar_start(dev);
}

static void caesar_config_changed(struct vio_dev *dev)
{
	const struct vio_caesar *caesar = caesar_of(dev);

	if (caesar->changed)
		caesar->changed(dev);
}

const struct vio_driver vio_caesar_driver = {
	.name = "caesar",
	.ids = (const uint32_t[]){ VIRTIO_ID_CAESAR, 0 },
	.state_bytes = sizeof(struct vio_caesar),
	.probe = caesar_probe,
	.config_changed = caesar_config_changed,
};
