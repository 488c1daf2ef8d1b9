/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/loopback.h>

static bool work(struct vio_loopback *loopback)
{
	uint16_t queue;

	if (!loopback->again)
		return false;
	loopback->again = false;
	if (loopback->model.config.device) {
		vio_mmio_device_run(&loopback->model); /* sets it again by its callback */
		return true;
	}
	if (loopback->pci_model.config.device) {
		vio_pci_device_run(&loopback->pci_model);
		return true;
	}
	if (loopback->ccw_model.config.device) {
		vio_ccw_device_run(&loopback->ccw_model);
		return true;
	}
	for (queue = 0; queue < loopback->device->queue_count; queue++)
		vio_device_kick(loopback->device, queue);
	return true;
}

bool vio_loopback_run(struct vio_loopback *loopback)
{
	bool done = work(loopback);
	unsigned vector;

	for (vector = 0; loopback->messages && vector < VIO_LOOPBACK_VECTORS; vector++) {
		if (!(loopback->messages >> vector & 1))
			continue;
		loopback->messages &= ~(UINT32_C(1) << vector);
		vio_pci_driver_interrupt(loopback->dev, vector);
		done = true;
	}
	if (!loopback->pending)
		return done;
	if (loopback->ccw_model.config.device)
		loopback->pending = 0; /* no level: it stands in memory */
	/* A level stays until the driver acknowledges it; one look per call, should it never do that. */
	return vio_dev_interrupt(loopback->dev) || done;
}

void vio_loopback_pull_out(struct vio_loopback *loopback)
{
	loopback->pulled_out = true;
	vio_device_reset(loopback->device);
	loopback->again = false;
}

void vio_loopback_end(struct vio_loopback *loopback)
{
	if (loopback->model.config.device)
		vio_mmio_device_end(&loopback->model);
	else if (loopback->pci_model.config.device)
		vio_pci_device_end(&loopback->pci_model);
	else if (loopback->ccw_model.config.device)
		vio_ccw_device_end(&loopback->ccw_model);
	else
		vio_device_detach(loopback->device);
	loopback->pending = 0;
	loopback->messages = 0;
	loopback->again = false;
}
