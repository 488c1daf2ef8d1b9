/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link/vhost_kernel/driver.h"

#define BIT(number)    (UINT64_C(1) << (number))
#define GONE           UINT8_MAX
/* vhost-net wants no more where packets are collected from several descriptors. */
#define QUEUE_SIZE_MAX 1024u

/*
 * Bits of the kernel's that a driver isn't told of: two that mean something else here, translation by
 * messages, which this process has no use for, and what takes more than this transport does.
 */
#define NOT_OFFERED                                                                                         \
	(BIT(VHOST_KERNEL_F_LOG_ALL) | BIT(VHOST_KERNEL_F_VIRTIO_NET_HDR) | BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | \
	 BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_RING_RESET) |             \
	 BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_F_SUSPEND))

static uint64_t offered(const struct vhost *vhost)
{
	return (vhost->kernel_features & ~NOT_OFFERED) | vhost->kind->own_features(vhost);
}

static uint8_t get_status(struct vio_dev *dev)
{
	const struct vhost *vhost = vhost_of(dev);
	uint8_t status = vhost->status;

	if (vhost->kernel.failed)
		return GONE;
	if (vhost->refused)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (vhost->kernel.ring_broken)
		status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return status;
}

/* A queue that the kernel still uses is a reset that didn't end: the status stays as it is. */
static void reset(struct vhost *vhost)
{
	uint16_t queue;

	if (vhost->running && vhost->kind->stop(vhost))
		return;
	vhost->running = false;
	for (queue = 0; queue < vhost->kind->kernel_queues; queue++)
		if (vhost->kernel.queues[queue].started)
			kernel_hide_queue(&vhost->kernel, queue);
	for (; queue < vhost->kind->queue_count; queue++)
		vhost->kernel.queues[queue].started = false;
	vhost->refused = false;
	vhost->kernel.ring_broken = false;
	vhost->status = 0;
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	struct vhost *vhost = vhost_of(dev);

	if (!status) {
		reset(vhost);
		return;
	}
	vhost->status = status;
	if (!(status & VIRTIO_CONFIG_S_DRIVER_OK) || vhost->running || status & VIRTIO_CONFIG_S_FAILED)
		return;
	/* Also when that fails: some queue may have been started. */
	vhost->running = true;
	if (vhost->kind->start(vhost))
		vhost->kernel.ring_broken = true;
}

static struct vio_features get_features(struct vio_dev *dev)
{
	return vio_features_low(offered(vhost_of(dev)));
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	struct vhost *vhost = vhost_of(dev);
	uint64_t bits = features->word[0] & vhost->kernel_features & ~NOT_OFFERED;
	int error = vhost->kind->accept ? vhost->kind->accept(vhost, features->word[0], &bits) : 0;

	if (!error)
		error = kernel_call(&vhost->kernel, VHOST_SET_FEATURES, &bits, "VHOST_SET_FEATURES");
	vhost->refused = error;
}

/* The configuration never changes. */
static uint32_t get_generation(struct vio_dev *dev)
{
	return 0;
}

static int config_range(const struct vhost *vhost, uint32_t offset, uint32_t length)
{
	return offset > vhost->config_bytes || length > vhost->config_bytes - offset ? -VIO_ERANGE : 0;
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	const struct vhost *vhost = vhost_of(dev);
	int error = config_range(vhost, offset, length);

	if (!error)
		memcpy(to, vhost->config + offset, length);
	return error;
}

/* Both kinds have read-only fields alone: what is written is ignored. */
static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	return config_range(vhost_of(dev), offset, length);
}

static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	return queue < vhost_of(dev)->kind->queue_count ? QUEUE_SIZE_MAX : 0;
}

static int tell_memory(struct vhost *vhost)
{
	const struct vio_arena *arena = &vhost->kernel.arena;
	union {
		struct vhost_memory table;
		uint8_t bytes[sizeof(struct vhost_memory) + sizeof(struct vhost_memory_region)];
	} memory;
	const struct vhost_memory_region region = { arena->addr.raw, arena->bytes, (uintptr_t)arena->host,
						    0 };
	int error;

	if (vhost->memory_told)
		return 0;
	memory.table.nregions = 1;
	memory.table.padding = 0;
	memcpy(memory.bytes + sizeof(struct vhost_memory), &region, sizeof(region));
	error = kernel_call(&vhost->kernel, VHOST_SET_MEM_TABLE, &memory, "VHOST_SET_MEM_TABLE");
	vhost->memory_told = !error;
	return error;
}

static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	struct vhost *vhost = vhost_of(dev);
	int error = tell_memory(vhost);

	if (queue >= vhost->kind->kernel_queues)
		return 0;
	if (!error)
		error = kernel_show_queue(&vhost->kernel, queue, place, 0, KERNEL_OF_PROCESS);
	return vhost->kernel.failed ? -VIO_EHANGUP : error ? -VIO_EPEER : 0;
}

static void close_vhost(struct vio_dev *dev)
{
	struct vhost *vhost = vhost_of(dev);

	kernel_close(&vhost->kernel);
	free(vhost);
	dev->transport = NULL;
	dev->transport_context = NULL;
}

static const struct vio_transport_ops vhost_ops = {
	.name = "vhost",
	.carried = { { ~(BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED) |
			 BIT(VIRTIO_F_RING_RESET)),
		       0 } },
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
	.close = close_vhost,
};

/* Opening. */

static int introduce(struct vhost *vhost)
{
	struct kernel *kernel = &vhost->kernel;
	int error = kernel_call(kernel, VHOST_GET_FEATURES, &vhost->kernel_features, "VHOST_GET_FEATURES");

	if (error == -VIO_ENOTSUP || (!error && !vhost->kind->recognize(kernel, vhost->kernel_features)))
		return kernel_complain(kernel, -VIO_ENOTSUP, "it is no %s", vhost->kind->name);
	if (!error)
		error = kernel_call(kernel, VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER");
	if (!error && kernel_try(kernel, VHOST_GET_BACKEND_FEATURES, &vhost->backend_features))
		vhost->backend_features = 0;
	return error;
}

struct vhost *vhost_begin(int fd, const struct vhost_kind *kind, size_t arena_bytes,
			  const struct kernel_system *system, struct vio_dev *dev,
			  struct vio_kernel_mistake *mistake, int *error)
{
	struct vhost *vhost = calloc(1, sizeof(*vhost));

	if (mistake)
		mistake->text[0] = '\0';
	*error = -VIO_ENOMEM;
	if (!vhost) {
		close(fd);
		return NULL;
	}
	vhost->kind = kind;
	vhost->kernel.dev = dev;
	*dev = (struct vio_dev){ .transport = &vhost_ops,
				 .transport_context = &vhost->kernel,
				 .id = kind->id };
	*error = kernel_make(&vhost->kernel, fd, arena_bytes, system);
	vhost->kernel.queue_limit = kind->queue_count;
	if (!*error)
		*error = introduce(vhost);
	if (*error) {
		vhost_finish(vhost, *error, mistake);
		return NULL;
	}
	return vhost;
}

int vhost_finish(struct vhost *vhost, int error, struct vio_kernel_mistake *mistake)
{
	if (!error)
		return 0;
	if (mistake)
		*mistake = vhost->kernel.mistake;
	close_vhost(vhost->kernel.dev);
	return error;
}

enum vio_kernel_kind vhost_kernel_kind(int fd, const struct kernel_system *system)
{
	struct kernel kernel = { .system = system, .fd = fd };
	uint64_t features = 0;
	uint32_t id;

	if (!kernel_try(&kernel, VHOST_VDPA_GET_DEVICE_ID, &id))
		return VIO_KERNEL_VDPA;
	kernel.failed = 0;
	if (kernel_try(&kernel, VHOST_GET_FEATURES, &features))
		return VIO_KERNEL_NONE;
	if (vhost_vsock_recognize(&kernel, features))
		return VIO_KERNEL_VSOCK;
	return vhost_net_recognize(&kernel, features) ? VIO_KERNEL_NET : VIO_KERNEL_OTHER;
}

/* Beside the transport. */

enum vio_kernel_kind vio_kernel_kind(int fd)
{
	return vhost_kernel_kind(fd, &kernel_system_real);
}

const struct vio_platform *vio_vhost_kernel_platform(struct vio_dev *dev)
{
	return &kernel_of(dev)->platform;
}

void vio_vhost_kernel_get_info(struct vio_dev *dev, struct vio_vhost_kernel_info *info)
{
	const struct vhost *vhost = vhost_of(dev);

	*info = (struct vio_vhost_kernel_info){
		.features = offered(vhost),
		.kernel_features = vhost->kernel_features,
		.backend_features = vhost->backend_features,
		.queue_count = vhost->kind->queue_count,
		.queue_size_max = QUEUE_SIZE_MAX,
	};
}

void vio_vhost_kernel_hang_up(struct vio_dev *dev)
{
	kernel_hang_up(kernel_of(dev));
}

const char *vio_vhost_kernel_mistake(struct vio_dev *dev)
{
	return kernel_of(dev)->mistake.text;
}
