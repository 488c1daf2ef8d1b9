/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int refuse(int number)
{
	errno = number;
	return -1;
}

/* One more call: whether it goes well. */
static bool step(struct fake_kernel *kernel, unsigned long request)
{
	bool last = kernel->steps++ == kernel->steps_until_failure;

	if (!last && (!request || request != kernel->failing))
		return true;
	errno = kernel->failure;
	return false;
}

bool fake_kernel_closed(struct fake_kernel *kernel)
{
	struct pollfd peer = { .fd = kernel->peer };

	if (kernel->peer < 0)
		return true;
	if (poll(&peer, 1, 0) < 1 || !(peer.revents & POLLHUP))
		return false;
	close(kernel->peer);
	kernel->peer = -1;
	return true;
}

static int open_file(void *context, const char *path, int flags)
{
	struct fake_kernel *kernel = context;
	int ends[2];

	if (!step(kernel, 0))
		return -1;
	if (!strcmp(path, "/dev/vduse/control"))
		return eventfd(0, EFD_CLOEXEC);
	if (strncmp(path, "/dev/vduse/", 11) != 0 || !kernel->exists || strcmp(path + 11, kernel->name) != 0)
		return refuse(ENOENT);
	if (!fake_kernel_closed(kernel))
		return refuse(EBUSY);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0), 0,
		       ends))
		return -1;
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	kernel->peer = ends[1];
	return ends[0];
}

/* As Linux judges it, but for the id. */
static int create(struct fake_kernel *kernel, const struct vduse_dev_config *config)
{
	if (!memchr(config->name, 0, sizeof(config->name)) || !config->name[0] ||
	    config->config_size > 4096 || config->vq_align > 4096 || config->vq_num > 0xffff ||
	    !(config->features >> VIRTIO_F_ACCESS_PLATFORM & 1) || !config->device_id)
		return refuse(EINVAL);
	if (kernel->exists)
		return refuse(EEXIST);
	kernel->exists = true;
	memcpy(kernel->name, config->name, sizeof(kernel->name));
	kernel->id = config->device_id;
	kernel->features = config->features;
	kernel->queue_count = config->vq_num;
	kernel->config_bytes = config->config_size;
	memcpy(kernel->config, config->config, config->config_size);
	return 0;
}

static int destroy(struct fake_kernel *kernel, const char *name)
{
	if (!kernel->exists || strcmp(name, kernel->name) != 0)
		return refuse(EINVAL);
	if (kernel->in_use || !fake_kernel_closed(kernel))
		return refuse(EBUSY);
	fake_kernel_reset(kernel);
	kernel->exists = false;
	return 0;
}

static int get_fd(struct fake_kernel *kernel, struct vduse_iotlb_entry *entry)
{
	unsigned i;

	for (i = 0; i < kernel->piece_count; i++) {
		const struct fake_piece *piece = &kernel->pieces[i];

		if (piece->entry.start <= entry->last && piece->entry.last >= entry->start) {
			*entry = piece->entry;
			return fcntl(piece->fd, F_DUPFD_CLOEXEC, 0);
		}
	}
	return refuse(EINVAL);
}

static int set_config(struct fake_kernel *kernel, const struct vduse_config_data *config)
{
	if (config->offset > kernel->config_bytes || !config->length ||
	    config->length > kernel->config_bytes - config->offset)
		return refuse(EINVAL);
	memcpy(kernel->config + config->offset, config->buffer, config->length);
	return 0;
}

static int set_kick(struct fake_kernel *kernel, const struct vduse_vq_eventfd *kick)
{
	struct fake_queue *queue = &kernel->queues[kick->index];

	if (queue->kick >= 0)
		close(queue->kick);
	queue->kick = kick->fd < 0 ? -1 : fcntl(kick->fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

static int control_queue(struct fake_kernel *kernel, unsigned long request, void *argument)
{
	/* All of them begin with it. */
	const uint32_t index = *(const uint32_t *)argument;

	if (index >= kernel->queue_count || index >= FAKE_QUEUES)
		return refuse(EINVAL);
	switch (request) {
	case VDUSE_VQ_SETUP:
		kernel->queues[index].max_size = ((const struct vduse_vq_config *)argument)->max_size;
		return 0;
	case VDUSE_VQ_GET_INFO:
		memcpy(argument, &kernel->queues[index].info, sizeof(struct vduse_vq_info));
		((struct vduse_vq_info *)argument)->index = index;
		return 0;
	case VDUSE_VQ_SETUP_KICKFD:
		return set_kick(kernel, argument);
	default:
		if (!(kernel->status & VIRTIO_CONFIG_S_DRIVER_OK))
			return refuse(EINVAL);
		kernel->queues[index].interrupts++;
		return 0;
	}
}

static int control(void *context, int fd, unsigned long request, void *argument)
{
	struct fake_kernel *kernel = context;

	(void)fd;
	if (!step(kernel, request))
		return -1;
	switch (request) {
	case VDUSE_SET_API_VERSION:
		return *(const uint64_t *)argument ? refuse(EINVAL) : 0;
	case VDUSE_CREATE_DEV:
		return create(kernel, argument);
	case VDUSE_DESTROY_DEV:
		return destroy(kernel, argument);
	default:
		break;
	}
	if (kernel->broken)
		return refuse(EPERM);
	switch (request) {
	case VDUSE_IOTLB_GET_FD:
		return get_fd(kernel, argument);
	case VDUSE_DEV_GET_FEATURES:
		*(uint64_t *)argument = kernel->accepted;
		return 0;
	case VDUSE_DEV_SET_CONFIG:
		return set_config(kernel, argument);
	case VDUSE_DEV_INJECT_CONFIG_IRQ:
		if (!(kernel->status & VIRTIO_CONFIG_S_DRIVER_OK))
			return refuse(EINVAL);
		kernel->config_interrupts++;
		return 0;
	case VDUSE_VQ_SETUP:
	case VDUSE_VQ_GET_INFO:
	case VDUSE_VQ_SETUP_KICKFD:
	case VDUSE_VQ_INJECT_IRQ:
		return control_queue(kernel, request, argument);
	default:
		return refuse(ENOTTY);
	}
}

static ssize_t tell(void *context, int fd, const void *message, size_t length)
{
	struct fake_kernel *kernel = context;

	return step(kernel, 0) ? send(fd, message, length, MSG_NOSIGNAL) : -1;
}

void fake_kernel_init(struct fake_kernel *kernel)
{
	memset(kernel, 0, sizeof(*kernel));
	kernel->system = (struct vds_system){ open_file, control, tell, kernel };
	kernel->peer = -1;
	kernel->steps_until_failure = FAKE_NEVER;
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		kernel->queues[i].kick = -1;
}

void fake_kernel_free(struct fake_kernel *kernel)
{
	fake_kernel_reset(kernel);
	if (kernel->peer >= 0)
		close(kernel->peer);
	kernel->peer = -1;
}

void fake_kernel_reset(struct fake_kernel *kernel)
{
	kernel->status = 0;
	kernel->accepted = 0;
	for (unsigned i = 0; i < FAKE_QUEUES; i++) {
		memset(&kernel->queues[i].info, 0, sizeof(kernel->queues[i].info));
		if (kernel->queues[i].kick >= 0)
			close(kernel->queues[i].kick);
		kernel->queues[i].kick = -1;
	}
}

bool fake_kernel_ask(struct fake_kernel *kernel, struct vduse_dev_request *request)
{
	request->request_id = kernel->request_id++;
	return send(kernel->peer, request, sizeof(*request), MSG_NOSIGNAL) == (ssize_t)sizeof(*request);
}

bool fake_kernel_answer(struct fake_kernel *kernel, const struct vduse_dev_request *request,
			struct vduse_dev_response *response)
{
	if (recv(kernel->peer, response, sizeof(*response), MSG_DONTWAIT) != (ssize_t)sizeof(*response))
		return false;
	if (request->type != VDUSE_SET_STATUS)
		return true;
	if (!request->s.status)
		fake_kernel_reset(kernel);
	else if (response->result == VDUSE_REQ_RESULT_OK)
		kernel->status = request->s.status;
	return true;
}

void fake_kernel_kick(struct fake_kernel *kernel, uint16_t queue)
{
	const uint64_t one = 1;

	if (kernel->queues[queue].info.ready && kernel->queues[queue].kick >= 0)
		(void)!write(kernel->queues[queue].kick, &one, sizeof(one));
}
