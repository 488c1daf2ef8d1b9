/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/loopback.h>

#define SUBCHANNEL 0x00010000u

static int run(void *context, const struct vio_ccw *ccw, struct vio_ccw_status *status)
{
	struct vio_loopback *loopback = context;

	if (loopback->pulled_out)
		return -VIO_EHANGUP;
	vio_ccw_device_command(&loopback->ccw_model, ccw, status);
	return 0;
}

static int64_t notify(void *context, uint64_t data, int64_t cookie)
{
	struct vio_loopback *loopback = context;

	if (loopback->pulled_out)
		return -VIO_EHANGUP;
	return vio_ccw_device_notify(&loopback->ccw_model, SUBCHANNEL, data, (uint64_t)cookie);
}

/* What it is about stands in the driver's memory. */
static void interrupt(void *context)
{
	struct vio_loopback *loopback = context;

	loopback->pending = VIO_INTERRUPT_QUEUE | VIO_INTERRUPT_CONFIG;
}

static void adapter_interrupt(void *context, uint8_t isc)
{
	interrupt(context);
}

static void work(void *context)
{
	struct vio_loopback *loopback = context;

	loopback->again = true;
}

int vio_loopback_ccw_probe(struct vio_loopback *loopback, struct vio_device *device,
			   const struct vio_mem *mem, const struct vio_loopback_ccw *ccw, struct vio_dev *dev)
{
	const struct vio_ccw_device_config config = {
		.device = device,
		.mem = mem,
		.revision_min = ccw->revision_min,
		.revision_max = ccw->revision_max,
		.subchannel = SUBCHANNEL,
		.queues = ccw->queues,
		.context = loopback,
		.interrupt = interrupt,
		.adapter_interrupt = adapter_interrupt,
		.work = work,
	};
	const struct vio_ccw_driver_config driver = {
		.access = { loopback, run, notify },
		.area = ccw->area,
		.flags = ccw->flags,
	};
	int error;

	memset(loopback, 0, sizeof(*loopback));
	loopback->device = device;
	loopback->dev = dev;
	error = vio_ccw_device_init(&loopback->ccw_model, &config);
	if (error)
		return error;
	vio_ccw_device_enable(&loopback->ccw_model);
	error = vio_ccw_driver_probe(&loopback->ccw_driver, &driver, dev);
	if (error)
		vio_ccw_device_end(&loopback->ccw_model);
	return error;
}
