/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "link/vhost_kernel/driver.h"

#define CID_LEAST  3u /* those below are the machine's own and the one that runs it */
#define CID_ANYONE UINT32_MAX

/* A cid that nobody can have is refused by this kind alone; others don't know the call, or want an owner. */
bool vhost_vsock_recognize(struct kernel *kernel, uint64_t features)
{
	uint64_t nobody = 0;

	return kernel_try(kernel, VHOST_VSOCK_SET_GUEST_CID, &nobody) == -VIO_EINVAL;
}

static uint64_t own_features(const struct vhost *vhost)
{
	return 0;
}

static int run(struct vhost *vhost, int running)
{
	return kernel_call(&vhost->kernel, VHOST_VSOCK_SET_RUNNING, &running, "VHOST_VSOCK_SET_RUNNING");
}

static int start(struct vhost *vhost)
{
	if (!vhost->cid)
		return kernel_complain(&vhost->kernel, -VIO_EINVAL, "the device was opened without a cid");
	return run(vhost, 1);
}

static int stop(struct vhost *vhost)
{
	return vhost->cid ? run(vhost, 0) : 0;
}

static const struct vhost_kind kind = {
	.name = "vhost-vsock",
	.id = VIRTIO_ID_VSOCK,
	.queue_count = VIO_VHOST_VSOCK_QUEUES,
	.kernel_queues = 2,
	.recognize = vhost_vsock_recognize,
	.own_features = own_features,
	.start = start,
	.stop = stop,
};

static int set_cid(struct vhost *vhost, uint32_t cid)
{
	vio_le64 wire = vio_le64_make(cid);
	int error;

	memcpy(vhost->config, &wire, sizeof(wire));
	vhost->config_bytes = sizeof(wire);
	if (!cid)
		return 0;
	vhost->cid = cid;
	if (cid < CID_LEAST || cid == CID_ANYONE)
		return kernel_complain(&vhost->kernel, -VIO_EINVAL, "cid %u: give one from %u to %u", cid,
				       CID_LEAST, CID_ANYONE - 1);
	error = kernel_try(&vhost->kernel, VHOST_VSOCK_SET_GUEST_CID, &vhost->cid);
	return error ? kernel_complain(&vhost->kernel, error, "cid %u: %s", cid, strerror(errno)) : 0;
}

int vhost_vsock_open(int fd, const struct vio_vhost_vsock_options *options,
		     const struct kernel_system *system, struct vio_dev *dev,
		     struct vio_kernel_mistake *mistake)
{
	int error;
	struct vhost *vhost = vhost_begin(fd, &kind, options->arena_bytes, system, dev, mistake, &error);

	return vhost ? vhost_finish(vhost, set_cid(vhost, options->cid), mistake) : error;
}

int vio_vhost_vsock_open(int vhost_fd, const struct vio_vhost_vsock_options *options, struct vio_dev *dev,
			 struct vio_kernel_mistake *mistake)
{
	return vhost_vsock_open(vhost_fd, options, &kernel_system_real, dev, mistake);
}
