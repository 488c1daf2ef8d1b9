/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "link/vdpa/driver.h"

#define BIT(number)       (UINT64_C(1) << (number))
#define GONE              UINT8_MAX
/* Both rings of a packed queue begin with their wrap counter set. */
#define PACKED_BASE       0x80008000u
#define CONFIG_PIECE      256u
#define CONFIG_BYTES_HEAD offsetof(struct vhost_vdpa_config, buf)

/* What is read and written at once, with room for its bytes. */
union config {
	struct vhost_vdpa_config head;
	uint8_t bytes[CONFIG_BYTES_HEAD + CONFIG_PIECE];
};

void vdpa_ask_for_changes(struct vdpa *vdpa)
{
	/* Without that, changes are seen when the configuration is read. */
	(void)kernel_try(&vdpa->kernel, VHOST_VDPA_SET_CONFIG_CALL, &vdpa->kernel.config_fd);
}

/* The device lets go of all that it had. */
static void finish_reset(struct vdpa *vdpa)
{
	uint16_t queue;

	for (queue = 0; queue < vdpa->kernel.queue_limit; queue++)
		if (vdpa->kernel.queues[queue].started)
			kernel_hide_queue(&vdpa->kernel, queue);
	/* Mappings are forgotten by devices that are reset, and kept by the kernel. */
	if (!vdpa_has(vdpa, VHOST_BACKEND_F_IOTLB_PERSIST))
		vdpa_unmap(vdpa);
	vdpa->resetting = false;
	vdpa->suspended = false;
	vdpa->refused = false;
	vdpa->kernel.ring_broken = false;
	vdpa_ask_for_changes(vdpa);
}

static uint8_t get_status(struct vio_dev *dev)
{
	struct vdpa *vdpa = vdpa_of(dev);
	uint8_t status = GONE;

	/* A device that can't even tell its status is as good as gone. */
	if (kernel_call(&vdpa->kernel, VHOST_VDPA_GET_STATUS, &status, "VHOST_VDPA_GET_STATUS") ||
	    status == GONE)
		return GONE;
	if (vdpa->resetting && !status)
		finish_reset(vdpa);
	if (vdpa->resetting)
		return status;
	if (vdpa->refused)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (vdpa->kernel.ring_broken)
		status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return status;
}

/* A refusal is seen in the status: it stays as it is. */
static void set_status(struct vio_dev *dev, uint8_t status)
{
	struct vdpa *vdpa = vdpa_of(dev);
	int error = kernel_call(&vdpa->kernel, VHOST_VDPA_SET_STATUS, &status, "VHOST_VDPA_SET_STATUS");

	if (!status && !error)
		vdpa->resetting = true;
}

static struct vio_features get_features(struct vio_dev *dev)
{
	struct vdpa *vdpa = vdpa_of(dev);
	uint64_t features;

	if (kernel_call(&vdpa->kernel, VHOST_GET_FEATURES, &features, "VHOST_GET_FEATURES"))
		return VIO_FEATURES_NONE;
	return vio_features_low(features);
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	struct vdpa *vdpa = vdpa_of(dev);
	uint64_t low = features->word[0];

	/* Refused, the device would take its last ones or none: that mustn't end with FEATURES_OK. */
	vdpa->refused = kernel_call(&vdpa->kernel, VHOST_SET_FEATURES, &low, "VHOST_SET_FEATURES");
}

static uint32_t get_generation(struct vio_dev *dev)
{
	struct kernel *kernel = kernel_of(dev);

	kernel_listen(kernel);
	return kernel->config_changes;
}

static int config_range(const struct vdpa *vdpa, uint32_t offset, uint32_t length)
{
	if (vdpa->kernel.failed)
		return -VIO_EHANGUP;
	if (offset > vdpa->info.config_bytes || length > vdpa->info.config_bytes - offset)
		return -VIO_ERANGE;
	return 0;
}

/* One of `to` and `from` is NULL and says which way the bytes go. */
static int config_pieces(struct vdpa *vdpa, uint32_t offset, uint8_t *to, const uint8_t *from,
			 uint32_t length)
{
	int error = config_range(vdpa, offset, length);
	uint32_t done, now;
	union config config;

	for (done = 0; !error && done < length; done += now) {
		now = length - done < CONFIG_PIECE ? length - done : CONFIG_PIECE;
		memset(&config, 0, sizeof(config));
		config.head.off = offset + done;
		config.head.len = now;
		if (from)
			memcpy(config.bytes + CONFIG_BYTES_HEAD, from + done, now);
		error = from ? kernel_call(&vdpa->kernel, VHOST_VDPA_SET_CONFIG, &config,
					   "VHOST_VDPA_SET_CONFIG")
			     : kernel_call(&vdpa->kernel, VHOST_VDPA_GET_CONFIG, &config,
					   "VHOST_VDPA_GET_CONFIG");
		if (!error && to)
			memcpy(to + done, config.bytes + CONFIG_BYTES_HEAD, now);
	}
	return error == -VIO_EINVAL ? -VIO_ERANGE : error; /* it has no bytes there */
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	return config_pieces(vdpa_of(dev), offset, to, NULL, length);
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	return config_pieces(vdpa_of(dev), offset, NULL, from, length);
}

/* hostile: B42, the core cuts it. Where nobody counts queues, one that isn't there has no place to begin. */
static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	struct vdpa *vdpa = vdpa_of(dev);
	struct vhost_vring_state state = { queue, 0 };

	if (queue >= vdpa->kernel.queue_limit)
		return 0;
	if (!vdpa->info.queue_count && kernel_try(&vdpa->kernel, VHOST_GET_VRING_BASE, &state))
		return 0;
	return vdpa->info.queue_size_max;
}

static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	struct vdpa *vdpa = vdpa_of(dev);
	struct vhost_vring_state enabled = { queue, 1 };
	bool packed = vio_features_has(&dev->accepted, VIRTIO_F_RING_PACKED);
	int error = vdpa_map(vdpa);

	if (error)
		return error;
	error = kernel_show_queue(&vdpa->kernel, queue, place, packed ? PACKED_BASE : 0, KERNEL_OF_DEVICE);
	if (!error)
		error = kernel_call(&vdpa->kernel, VHOST_VDPA_SET_VRING_ENABLE, &enabled,
				    "VHOST_VDPA_SET_VRING_ENABLE");
	return vdpa->kernel.failed ? -VIO_EHANGUP : error ? -VIO_EPEER : 0;
}

static void close_vdpa(struct vio_dev *dev)
{
	struct vdpa *vdpa = vdpa_of(dev);

	kernel_close(&vdpa->kernel);
	free(vdpa);
	dev->transport = NULL;
	dev->transport_context = NULL;
}

/* What the kernel has no call for, and what is said between others. */
#define NOT_CARRIED                                                                             \
	(BIT(VHOST_KERNEL_F_LOG_ALL) | BIT(VIRTIO_F_SR_IOV) | BIT(VIRTIO_F_NOTIFICATION_DATA) | \
	 BIT(VIRTIO_F_NOTIF_CONFIG_DATA) | BIT(VIRTIO_F_RING_RESET) | BIT(VIRTIO_F_ADMIN_VQ) |  \
	 BIT(VIRTIO_F_SUSPEND))

const struct vio_transport_ops vdpa_ops = {
	.name = "vhost-vdpa",
	.carried = { { ~NOT_CARRIED, 0 } },
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_notify = kernel_queue_notify,
	.take_interrupts = kernel_take_interrupts,
	.close = close_vdpa,
};

/* Beside the transport. */

const struct vio_platform *vio_vdpa_platform(struct vio_dev *dev)
{
	return &kernel_of(dev)->platform;
}

void vio_vdpa_get_info(struct vio_dev *dev, struct vio_vdpa_info *info)
{
	*info = vdpa_of(dev)->info;
}

void vio_vdpa_hang_up(struct vio_dev *dev)
{
	kernel_hang_up(kernel_of(dev));
}

const char *vio_vdpa_mistake(struct vio_dev *dev)
{
	return kernel_of(dev)->mistake.text;
}

static int change_work(struct vio_dev *dev, unsigned backend_bit, unsigned long request, const char *name,
		       bool suspended)
{
	struct vdpa *vdpa = vdpa_of(dev);
	int error;

	if (!vdpa_has(vdpa, backend_bit))
		return -VIO_ENOTSUP;
	if (dev->phase != VIO_DEV_READY || vdpa->suspended == suspended)
		return -VIO_EPHASE;
	error = kernel_call(&vdpa->kernel, request, NULL, name);
	if (!error)
		vdpa->suspended = suspended;
	return !error || error == -VIO_ENOTSUP || error == -VIO_EHANGUP ? error : -VIO_EPEER;
}

int vio_vdpa_suspend(struct vio_dev *dev)
{
	return change_work(dev, VHOST_BACKEND_F_SUSPEND, VHOST_VDPA_SUSPEND, "VHOST_VDPA_SUSPEND", true);
}

int vio_vdpa_resume(struct vio_dev *dev)
{
	return change_work(dev, VHOST_BACKEND_F_RESUME, VHOST_VDPA_RESUME, "VHOST_VDPA_RESUME", false);
}

int vio_vdpa_queue_base(struct vio_dev *dev, uint16_t queue, uint32_t *base)
{
	struct vdpa *vdpa = vdpa_of(dev);
	struct vhost_vring_state state = { queue, 0 };
	int error;

	if (queue >= vdpa->kernel.queue_limit || !vdpa->kernel.queues[queue].started)
		return -VIO_ENOENT;
	error = kernel_call(&vdpa->kernel, VHOST_GET_VRING_BASE, &state, "VHOST_GET_VRING_BASE");
	if (!error)
		*base = state.num;
	return error;
}
