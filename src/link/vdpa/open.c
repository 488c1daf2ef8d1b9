/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "link/vdpa/driver.h"

#define BIT(number) (UINT64_C(1) << (number))
#define ARENA_LEAST ((size_t)256 << 10)

/* What is accepted where it is offered. */
#define BACKEND_WANTED                                                          \
	(BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) | BIT(VHOST_BACKEND_F_IOTLB_BATCH) | \
	 BIT(VHOST_BACKEND_F_SUSPEND) | BIT(VHOST_BACKEND_F_RESUME) | BIT(VHOST_BACKEND_F_IOTLB_PERSIST))

/* As much as is usual, and as may be locked: most devices' memory is pinned. */
static size_t arena_bytes(const struct vio_vdpa_options *options)
{
	struct rlimit locked = { RLIM_INFINITY, RLIM_INFINITY };
	size_t bytes = KERNEL_ARENA_BYTES;

	if (options->arena_bytes)
		return options->arena_bytes;
	if (!getrlimit(RLIMIT_MEMLOCK, &locked) && locked.rlim_cur < bytes)
		bytes = (size_t)locked.rlim_cur & ~(size_t)(VIO_ARENA_PAGE - 1);
	return bytes < ARENA_LEAST ? ARENA_LEAST : bytes;
}

/* A kernel that has no such call (yet) leaves *value as it is. */
static int ask_maybe(struct vdpa *vdpa, unsigned long request, void *value)
{
	int error = kernel_try(&vdpa->kernel, request, value);

	return error == -VIO_EHANGUP ? error : 0;
}

static int agree(struct vdpa *vdpa)
{
	struct vio_vdpa_info *info = &vdpa->info;
	uint64_t wanted;
	int error = ask_maybe(vdpa, VHOST_GET_BACKEND_FEATURES, &info->backend_offered);

	if (error || !info->backend_offered)
		return error;
	wanted = info->backend_offered & BACKEND_WANTED & ~vdpa->options.withhold;
	error = kernel_call(&vdpa->kernel, VHOST_SET_BACKEND_FEATURES, &wanted, "VHOST_SET_BACKEND_FEATURES");
	if (!error)
		info->backend_accepted = wanted;
	return error;
}

static int ask_limits(struct vdpa *vdpa)
{
	struct vio_vdpa_info *info = &vdpa->info;
	struct vhost_vdpa_iova_range range = { 0, UINT64_MAX };
	uint16_t size = 0;
	int error = kernel_call(&vdpa->kernel, VHOST_VDPA_GET_VRING_NUM, &size, "VHOST_VDPA_GET_VRING_NUM");

	if (!error)
		error = ask_maybe(vdpa, VHOST_VDPA_GET_IOVA_RANGE, &range);
	if (!error)
		error = ask_maybe(vdpa, VHOST_VDPA_GET_VQS_COUNT, &info->queue_count);
	if (!error)
		error = ask_maybe(vdpa, VHOST_VDPA_GET_CONFIG_SIZE, &info->config_bytes);
	if (!error)
		error = ask_maybe(vdpa, VHOST_VDPA_GET_GROUP_NUM, &info->group_count);
	if (!error)
		error = ask_maybe(vdpa, VHOST_VDPA_GET_AS_NUM, &info->address_space_count);
	info->queue_size_max = size;
	info->iova_first = range.first;
	info->iova_last = range.last;
	return error;
}

static int introduce(struct vdpa *vdpa)
{
	struct vio_vdpa_info *info = &vdpa->info;
	struct kernel *kernel = &vdpa->kernel;
	uint32_t id = 0;
	int error = kernel_call(kernel, VHOST_VDPA_GET_DEVICE_ID, &id, "VHOST_VDPA_GET_DEVICE_ID");

	if (error == -VIO_ENOTSUP)
		return kernel_complain(kernel, error, "it is no vhost-vdpa device");
	if (!error && !id) /* hostile: B46, a device that isn't there */
		return kernel_complain(kernel, -VIO_EPEER, "its device id is 0, which is none");
	if (!error)
		error = kernel_call(kernel, VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER");
	if (!error)
		error = kernel_call(kernel, VHOST_GET_FEATURES, &info->features, "VHOST_GET_FEATURES");
	if (!error)
		error = agree(vdpa);
	if (!error)
		error = ask_limits(vdpa);
	if (error)
		return error;
	if (info->queue_count && info->queue_count < kernel->queue_limit)
		kernel->queue_limit = info->queue_count;
	kernel->dev->id = id;
	vdpa_ask_for_changes(vdpa);
	return vdpa_place_arena(vdpa);
}

int vdpa_open(int fd, const struct vio_vdpa_options *options, const struct kernel_system *system,
	      struct vio_dev *dev, struct vio_kernel_mistake *mistake)
{
	struct vdpa *vdpa = calloc(1, sizeof(*vdpa));
	int error;

	if (mistake)
		mistake->text[0] = '\0';
	if (!vdpa) {
		close(fd);
		return -VIO_ENOMEM;
	}
	if (options)
		vdpa->options = *options;
	vdpa->info.config_bytes = UINT32_MAX;
	vdpa->kernel.dev = dev;
	*dev = (struct vio_dev){ .transport = &vdpa_ops, .transport_context = &vdpa->kernel };
	error = kernel_make(&vdpa->kernel, fd, arena_bytes(&vdpa->options), system);
	if (!error) {
		/* Addresses are the arena's, wherever that lies for the device. */
		vdpa->kernel.platform.translates = true;
		error = introduce(vdpa);
	}
	if (!error)
		return 0;
	if (mistake)
		*mistake = vdpa->kernel.mistake;
	vdpa_ops.close(dev);
	return error;
}

int vio_vdpa_open(int fd, const struct vio_vdpa_options *options, struct vio_dev *dev,
		  struct vio_kernel_mistake *mistake)
{
	return vdpa_open(fd, options, &kernel_system_real, dev, mistake);
}
