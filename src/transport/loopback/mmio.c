/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/loopback.h>

static uint32_t read(void *context, uint32_t offset, unsigned width)
{
	struct vio_loopback *loopback = context;

	return loopback->pulled_out ? UINT32_MAX
				    : (uint32_t)vio_mmio_device_read(&loopback->model, offset, width);
}

static void write(void *context, uint32_t offset, unsigned width, uint32_t value)
{
	struct vio_loopback *loopback = context;

	if (!loopback->pulled_out)
		vio_mmio_device_write(&loopback->model, offset, width, value);
}

static void interrupt(void *context, unsigned level)
{
	struct vio_loopback *loopback = context;

	loopback->pending = level;
}

static void work(void *context)
{
	struct vio_loopback *loopback = context;

	loopback->again = true;
}

int vio_loopback_mmio_probe(struct vio_loopback *loopback, struct vio_device *device,
			    const struct vio_mem *mem, uint32_t version, struct vio_mmio_queue *queues,
			    struct vio_dev *dev)
{
	const struct vio_mmio_access access = { loopback, read, write };
	const struct vio_mmio_device_config config = {
		.device = device,
		.mem = mem,
		.version = version,
		.queues = queues,
		.context = loopback,
		.interrupt = interrupt,
		.work = work,
	};
	int error;

	memset(loopback, 0, sizeof(*loopback));
	loopback->device = device;
	loopback->dev = dev;
	error = vio_mmio_device_init(&loopback->model, &config);
	if (error)
		return error;
	error = vio_mmio_driver_probe(&loopback->driver, &access, VIRTIO_MMIO_CONFIG + device->config_bytes,
				      dev);
	if (error)
		vio_mmio_device_end(&loopback->model);
	return error;
}
