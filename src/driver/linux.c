/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/linux_config.h>

#include "driver/core.h"
#include "driver/linux.h"

static const u8 numbers[VIO_ERROR_COUNT] = {
	[VIO_EINVAL] = EINVAL, [VIO_ERANGE] = ERANGE, [VIO_ENOENT] = ENOENT, [VIO_EEXIST] = EEXIST,
	[VIO_ENOMEM] = ENOMEM, [VIO_ENOSPC] = ENOSPC, [VIO_EAGAIN] = EAGAIN, [VIO_EBUSY] = EBUSY,
	[VIO_EPHASE] = ENXIO,  [VIO_EPEER] = EIO,     [VIO_EPROTO] = EPROTO, [VIO_ENOTSUP] = EOPNOTSUPP,
	[VIO_EIO] = EIO,       [VIO_EACCES] = EACCES, [VIO_ESTATE] = EIO,    [VIO_EHANGUP] = ENODEV,
	[VIO_ESYS] = EIO,
};

int vio_linux_errno(int error)
{
	if (!error)
		return 0;
	return error > -VIO_ERROR_COUNT && error < 0 ? -numbers[-error] : -EIO;
}

int vio_linux_error(int number)
{
	int error;

	if (!number)
		return 0;
	for (error = 1; error < VIO_ERROR_COUNT; error++)
		if (numbers[error] == -number && number != -EIO)
			return -error;
	return -VIO_EIO;
}

static struct vio_linux_driver *driver_of(const struct vio_dev *dev)
{
	return VIO_CONTAINER_OF((void *)(uintptr_t)dev->driver, struct vio_linux_driver, driver);
}

/* Configuration. */

static void config_get(struct virtio_device *vdev, unsigned int offset, void *to, unsigned int length)
{
	if (vio_dev_read_config(vdev->vio, offset, to, length))
		memset(to, 0xff, length); /* as where nobody answers on a bus */
}

static void config_set(struct virtio_device *vdev, unsigned int offset, const void *from, unsigned int length)
{
	(void)vio_dev_write_config(vdev->vio, offset, from, length);
}

static bool swapped(const struct virtio_device *vdev, enum vio_linux_order order)
{
	return VIO_LE16_RAW(1) != 1 && (order == VIO_LINUX_ORDER_LITTLE || !vdev->vio->legacy);
}

static void reverse(u8 *bytes, unsigned int length)
{
	unsigned int i;

	for (i = 0; i < length / 2; i++) {
		u8 other = bytes[length - 1 - i];

		bytes[length - 1 - i] = bytes[i];
		bytes[i] = other;
	}
}

void vio_linux_read_field(struct virtio_device *vdev, unsigned int offset, void *to, unsigned int length,
			  enum vio_linux_order order)
{
	config_get(vdev, offset, to, length);
	if (swapped(vdev, order))
		reverse(to, length);
}

void vio_linux_write_field(struct virtio_device *vdev, unsigned int offset, const void *from,
			   unsigned int length, enum vio_linux_order order)
{
	u8 field[8];

	if (length > sizeof(field))
		return;
	memcpy(field, from, length);
	if (swapped(vdev, order))
		reverse(field, length);
	config_set(vdev, offset, field, length);
}

static u32 config_generation(struct virtio_device *vdev)
{
	return vdev->vio->transport->get_generation(vdev->vio);
}

static u8 config_get_status(struct virtio_device *vdev)
{
	return vdev->vio->transport->get_status(vdev->vio);
}

static void config_reset(struct virtio_device *vdev)
{
	(void)vio_dev_reset(vdev->vio);
}

static u64 config_get_features(struct virtio_device *vdev)
{
	return vdev->vio->offered.word[0];
}

static const char *config_bus_name(struct virtio_device *vdev)
{
	return vdev->vio->transport->name;
}

int vio_linux_ready(struct virtio_device *vdev)
{
	return vio_linux_errno(vio_dev_ready(vdev->vio));
}

/* Life. */

static void add_table(u64 *features, const unsigned int *table, unsigned int count)
{
	while (count--)
		if (table[count] < 64)
			*features |= UINT64_C(1) << table[count];
}

static u64 wished(const struct virtio_driver *driver, const struct vio_dev *dev)
{
	u64 features = vio_dev_ring_features().word[0] | UINT64_C(1) << VIRTIO_F_VERSION_1 |
		       UINT64_C(1) << VIRTIO_F_ACCESS_PLATFORM;

	if (dev->legacy && driver->feature_table_legacy)
		add_table(&features, driver->feature_table_legacy, driver->feature_table_size_legacy);
	else
		add_table(&features, driver->feature_table, driver->feature_table_size);
	return features & dev->offered.word[0];
}

/* begin and accept; the kernel has done both when it calls probe. A kernel's number. */
static int negotiate(struct virtio_device *vdev)
{
	const struct virtio_driver *driver = driver_of(vdev->vio)->linux_driver;
	struct vio_features wanted;
	int error = vio_dev_begin(vdev->vio, vdev->queues, vdev->queue_max);

	if (error)
		return vio_linux_errno(error);
	vdev->features = wished(driver, vdev->vio);
	if (driver->validate)
		error = driver->validate(vdev);
	if (error)
		return error;
	wanted = vio_features_low(vdev->features);
	error = vio_dev_accept(vdev->vio, &wanted);
	vdev->features = vdev->vio->accepted.word[0];
	return vio_linux_errno(error);
}

static bool quiet(const struct vio_dev *dev)
{
	return dev->phase == VIO_DEV_RESET || dev->phase == VIO_DEV_GONE || dev->phase == VIO_DEV_FOUND;
}

static void config_del_vqs(struct virtio_device *vdev)
{
	struct vio_dev *dev = vdev->vio;
	u16 i;

	if (!quiet(dev))
		(void)vio_dev_reset(dev);
	for (i = 0; i < vdev->queue_max; i++) {
		if (vdev->vqs[i])
			vio_linux_vq_free(vdev->vqs[i]);
		vdev->vqs[i] = NULL;
	}
}

static void used(struct vio_dev *dev, struct vio_drvq *q)
{
	struct virtio_device *vdev = dev->driver_state;
	struct virtqueue *vq = vdev->vqs[q->index];

	if (vq)
		vq->callback(vq);
}

static int add_queue(struct virtio_device *vdev, u16 index, vq_callback_t *callback, const char *name)
{
	const struct vio_queue_wish wish = { .indirect_max = VIO_LINUX_INDIRECT_MAX,
					     .used = callback ? used : NULL };
	struct vio_drvq *q = NULL;
	int error = vio_dev_add_queue(vdev->vio, index, &wish, &q);

	if (!error)
		error = vio_linux_vq_make(vdev, q, &vdev->vqs[index]);
	if (error)
		return vio_linux_errno(error);
	vdev->vqs[index]->callback = callback;
	vdev->vqs[index]->name = name;
	return 0;
}

static int config_find_vqs(struct virtio_device *vdev, unsigned int count, struct virtqueue *vqs[],
			   vq_callback_t *callbacks[], const char *const names[], const bool *ctx,
			   struct irq_affinity *affinity)
{
	unsigned int i;
	u16 index = 0;
	int error = 0;

	if (vdev->queue_max && vdev->vqs[0])
		return -EBUSY;
	if (vdev->vio->phase == VIO_DEV_RESET)
		error = negotiate(vdev);
	for (i = 0; i < count; i++)
		vqs[i] = NULL;
	for (i = 0; i < count && !error; i++) {
		if (!names[i])
			continue;
		error = index < vdev->queue_max
				? add_queue(vdev, index, callbacks ? callbacks[i] : NULL, names[i])
				: -EINVAL;
		if (!error)
			vqs[i] = vdev->vqs[index++];
	}
	if (!error)
		return 0;
	for (i = 0; i < count; i++)
		vqs[i] = NULL;
	config_del_vqs(vdev);
	return error;
}

static const struct virtio_config_ops config_ops = {
	.get = config_get,
	.set = config_set,
	.generation = config_generation,
	.get_status = config_get_status,
	.reset = config_reset,
	.find_vqs = config_find_vqs,
	.del_vqs = config_del_vqs,
	.get_features = config_get_features,
	.bus_name = config_bus_name,
};

static bool known(const struct virtio_device_id *table, const struct vio_dev *dev)
{
	for (; table->device; table++)
		if (table->device == dev->id &&
		    (table->vendor == VIRTIO_DEV_ANY_ID || table->vendor == dev->vendor))
			return true;
	return false;
}

/* Alignment of what stands behind struct virtio_device in the state. */
VIO_STATIC_ASSERT(sizeof(struct virtio_device) % _Alignof(struct vio_dev_queue) == 0, "queues are aligned");
VIO_STATIC_ASSERT(sizeof(struct vio_dev_queue) % _Alignof(struct virtqueue *) == 0, "pointers are aligned");

static void furnish(struct virtio_device *vdev, struct vio_dev *dev, const struct vio_linux_driver *driver)
{
	vdev->dev.name = driver->linux_driver->driver.name;
	vdev->id.device = dev->id;
	vdev->id.vendor = dev->vendor;
	vdev->config = &config_ops;
	vdev->vio = dev;
	vdev->queue_max = driver->queue_max;
	vdev->queues = (struct vio_dev_queue *)(void *)(vdev + 1);
	vdev->vqs = (struct virtqueue **)(void *)(vdev->queues + driver->queue_max);
}

/* After probe and restore: makes the device ready if they didn't, as the kernel does. A kernel's number. */
static int finish(struct virtio_device *vdev)
{
	if (vdev->vio->phase == VIO_DEV_ACCEPTED)
		return vio_linux_ready(vdev);
	if (vdev->vio->phase != VIO_DEV_READY) /* virtio_device_ready() had no way to say so */
		return vdev->vio->phase == VIO_DEV_GONE ? -ENODEV : -EIO;
	return 0;
}

static int probe(struct vio_dev *dev)
{
	const struct vio_linux_driver *driver = driver_of(dev);
	const struct virtio_driver *of = driver->linux_driver;
	struct virtio_device *vdev = dev->driver_state;
	int error;

	if (!known(of->id_table, dev))
		return -VIO_ENOENT;
	furnish(vdev, dev, driver);
	error = negotiate(vdev);
	if (!error)
		error = of->probe(vdev);
	if (!error) {
		error = finish(vdev);
		if (error)
			of->remove(vdev);
	}
	if (error) {
		if (!quiet(dev) && dev->phase < VIO_DEV_RESET)
			(void)vio_dev_fail(dev, 0);
		config_del_vqs(vdev);
		return vio_linux_error(error);
	}
	if (of->scan)
		of->scan(vdev);
	return 0;
}

static void remove_device(struct vio_dev *dev)
{
	struct virtio_device *vdev = dev->driver_state;

	if (!vdev->removed)
		driver_of(dev)->linux_driver->remove(vdev);
	vdev->removed = true;
	config_del_vqs(vdev); /* whatever the driver left */
}

int vio_linux_freeze(struct virtio_device *vdev)
{
	const struct virtio_driver *driver = driver_of(vdev->vio)->linux_driver;
	int error;

	if (!driver->freeze || vdev->removed || vdev->vio->phase != VIO_DEV_READY)
		return -EINVAL;
	error = driver->freeze(vdev);
	if (!error)
		config_del_vqs(vdev); /* whatever the driver left */
	return error;
}

int vio_linux_restore(struct virtio_device *vdev)
{
	const struct virtio_driver *driver = driver_of(vdev->vio)->linux_driver;
	int error;

	if (!driver->restore || vdev->removed || vdev->vio->phase != VIO_DEV_RESET)
		return -EINVAL;
	error = driver->restore(vdev);
	if (!error)
		error = finish(vdev);
	if (error)
		config_del_vqs(vdev);
	return error;
}

static void config_changed(struct vio_dev *dev)
{
	const struct virtio_driver *driver = driver_of(dev)->linux_driver;

	if (driver->config_changed)
		driver->config_changed(dev->driver_state);
}

int vio_linux_driver_init(struct vio_linux_driver *driver, struct virtio_driver *linux_driver, u16 queue_max)
{
	const struct virtio_device_id *id = linux_driver->id_table;
	unsigned int count = 0;

	memset(driver, 0, sizeof(*driver));
	if (!linux_driver->driver.name || !linux_driver->probe || !linux_driver->remove || !id || !id->device)
		return -VIO_EINVAL;
	for (; id->device; id++) {
		if (id->device == VIRTIO_DEV_ANY_ID)
			return -VIO_EINVAL;
		if (count == VIO_LINUX_IDS_MAX)
			return -VIO_ERANGE;
		driver->ids[count++] = id->device;
	}
	driver->linux_driver = linux_driver;
	driver->queue_max = queue_max ? queue_max : VIO_LINUX_QUEUES_DEFAULT;
	driver->driver.name = linux_driver->driver.name;
	driver->driver.ids = driver->ids;
	driver->driver.state_bytes =
		sizeof(struct virtio_device) +
		driver->queue_max * (sizeof(struct vio_dev_queue) + sizeof(struct virtqueue *));
	driver->driver.probe = probe;
	driver->driver.remove = remove_device;
	driver->driver.config_changed = config_changed;
	return 0;
}
