/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "link/vduse/server.h"

/* The kernel's device: made, taken over, removed. */

#define FOLDER  "/dev/vduse/"
#define CONTROL FOLDER "control"
#define VENDOR  0x56697265u /* nobody reads it */

static int system_open(void *context, const char *path, int flags)
{
	(void)context;
	return open(path, flags | O_CLOEXEC);
}

static int system_control(void *context, int fd, unsigned long request, void *argument)
{
	(void)context;
	return ioctl(fd, request, argument);
}

static ssize_t system_tell(void *context, int fd, const void *message, size_t length)
{
	(void)context;
	return write(fd, message, length);
}

const struct vds_system vds_system_real = { system_open, system_control, system_tell, NULL };

int vds_error(void)
{
	switch (errno) {
	case EACCES:
	case EPERM:
	case EROFS:
		return -VIO_EACCES;
	case EBUSY:
		return -VIO_EBUSY;
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return -VIO_ENOENT;
	case EINVAL:
	case ENOTTY:
		return -VIO_ENOTSUP;
	case ENOMEM:
	case ENOSPC:
		return -VIO_ENOMEM;
	default:
		return -VIO_ESYS;
	}
}

/* hostile: F10, it becomes a name in /dev and in /sys, and one that a shell has to bear. */
static int take_name(struct vio_vduse *vduse, const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const size_t length = strlen(name);

	if (!length || length > VIO_VDUSE_NAME_MAX)
		return vds_refuse(vduse, -VIO_EINVAL, "a name of %zu bytes: it takes 1 to %u", length,
				  VIO_VDUSE_NAME_MAX);
	if (strspn(name, good) != length)
		return vds_refuse(vduse, -VIO_EINVAL,
				  "the name '%.64s' has what isn't a letter, digit, dot, dash or underscore",
				  name);
	if (*name == '.' || *name == '-' || !strcmp(name, "control"))
		return vds_refuse(vduse, -VIO_EINVAL, "a device can't be named '%.64s'", name);
	memcpy(vduse->name, name, length + 1);
	return 0;
}

static int open_control(struct vio_vduse *vduse)
{
	uint64_t version = VDUSE_API_VERSION;

	vduse->control = vduse->system->open(vduse->system->context, CONTROL, O_RDWR);
	if (vduse->control < 0)
		return vds_refuse(vduse, vds_error(), "%s: %s%s", CONTROL, strerror(errno),
				  errno == ENOENT ? "; the kernel has no VDUSE (modprobe vduse)" : "");
	if (vduse->system->control(vduse->system->context, vduse->control, VDUSE_SET_API_VERSION, &version) <
	    0)
		return vds_refuse(vduse, -VIO_ENOTSUP, "VDUSE_SET_API_VERSION: %s", strerror(errno));
	return 0;
}

/* 1: made; 0: there is one of that name. */
static int create(struct vio_vduse *vduse)
{
	const struct vio_device *dev = vduse->dev;
	struct vduse_dev_config *config = calloc(1, sizeof(*config) + dev->config_bytes);
	int made;

	if (!config)
		return vds_refuse(vduse, -VIO_ENOMEM, "out of memory");
	memcpy(config->name, vduse->name, strlen(vduse->name));
	config->vendor_id = VENDOR;
	config->device_id = dev->id;
	config->features = vds_features(vduse);
	config->vq_num = dev->queue_count;
	config->vq_align = (uint32_t)sysconf(_SC_PAGESIZE);
	config->config_size = dev->config_bytes;
	vio_device_read_config(vduse->dev, 0, config->config, dev->config_bytes);
	memcpy(vduse->config, config->config, dev->config_bytes);
	made = vduse->system->control(vduse->system->context, vduse->control, VDUSE_CREATE_DEV, config);
	free(config);
	if (made >= 0)
		return 1;
	if (errno == EEXIST) {
		/* What configuration it has isn't known. */
		vduse->config[0] ^= 0xff;
		return 0;
	}
	if (errno == EINVAL)
		return vds_refuse(vduse, -VIO_ENOTSUP,
				  "this kernel makes no device of id %u by VDUSE (block devices since Linux "
				  "5.15, network cards since 6.10)",
				  dev->id);
	return vds_refuse(vduse, vds_error(), "VDUSE_CREATE_DEV '%s': %s", vduse->name, strerror(errno));
}

static int open_device(struct vio_vduse *vduse)
{
	char path[sizeof(FOLDER) + VIO_VDUSE_NAME_MAX];

	snprintf(path, sizeof(path), "%s%s", FOLDER, vduse->name);
	vduse->device.fd = vduse->system->open(vduse->system->context, path, O_RDWR | O_NONBLOCK);
	if (vduse->device.fd >= 0)
		return 0;
	return vds_refuse(vduse, vds_error(), errno == EBUSY ? "%s is served by another process" : "%s: %s",
			  path, strerror(errno));
}

static int set_up_queues(struct vio_vduse *vduse)
{
	for (uint32_t i = 0; i < vduse->dev->queue_count; i++) {
		struct vduse_vq_config config = { .index = i, .max_size = vduse->dev->queue_size };

		if (vds_control(vduse, VDUSE_VQ_SETUP, &config) < 0)
			return vds_refuse(vduse, vds_error(), "VDUSE_VQ_SETUP of queue %u: %s", i,
					  strerror(errno));
	}
	return 0;
}

/* hostile: F8, without the account nobody can tell what a queue in use has in flight. */
static int has_no_account(struct vio_vduse *vduse)
{
	for (uint32_t i = 0; i < vduse->dev->queue_count; i++) {
		struct vduse_vq_info info = { .index = i };

		if (vds_control(vduse, VDUSE_VQ_GET_INFO, &info) < 0)
			return vds_refuse(vduse, -VIO_ESTATE, "device '%s' has other queues than ours: %s",
					  vduse->name, strerror(errno));
		if (info.ready)
			return vds_refuse(vduse, -VIO_ESTATE,
					  "device '%s' is in use, and the account of its requests isn't in "
					  "'%s'",
					  vduse->name, vduse->account.path);
	}
	return vds_account_begin(vduse);
}

int vds_open(struct vio_vduse *vduse, const struct vio_vduse_options *options)
{
	int error = take_name(vduse, options->name), made;

	if (!error)
		error = open_control(vduse);
	if (!error)
		error = vds_account_open(vduse, options->account);
	if (error)
		return error;
	made = create(vduse);
	if (made < 0)
		return made;
	/* Before anybody can be its driver. */
	if (made)
		error = vds_account_begin(vduse);
	if (!error)
		error = open_device(vduse);
	if (!error && !made)
		error = vduse->account.fresh ? has_no_account(vduse) : vds_account_judge(vduse);
	if (!error)
		error = set_up_queues(vduse);
	if (!error)
		error = vds_account_map(vduse);
	vduse->ours = made || !error;
	vduse->account.fresh &= !!error;
	return error;
}

int vds_close(struct vio_vduse *vduse)
{
	char name[VDUSE_NAME_MAX] = "";
	bool removed = false;

	if (vduse->device.fd >= 0)
		close(vduse->device.fd);
	vduse->device.fd = -1;
	memcpy(name, vduse->name, strlen(vduse->name));
	if (vduse->ours)
		removed = vduse->system->control(vduse->system->context, vduse->control, VDUSE_DESTROY_DEV,
						 name) >= 0;
	vds_account_close(&vduse->account, removed || vduse->account.fresh);
	if (vduse->control >= 0)
		close(vduse->control);
	vduse->control = -1;
	vduse->ours = false;
	return removed ? 0 : -VIO_EBUSY;
}
