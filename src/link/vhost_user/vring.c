/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "link/vhost_user/backend.h"

/*
 * No descriptor of a peer may block us: not a pipe that is full, not an eventfd that was
 * given for two queues and read for the other one (hostile: C12 C23).
 */
void vu_replace_fd(int *to, int fd)
{
	if (*to >= 0)
		close(*to);
	*to = fd;
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/*
 * write(), because the descriptor may be a pipe (User-Mode Linux) as well as an eventfd. If it
 * is full the front end has enough to wake up for.
 */
static void signal_fd(int fd)
{
	uint64_t one = 1;
	ssize_t written;

	if (fd < 0)
		return;
	do
		written = write(fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
}

void vu_vring_interrupt(struct vu_vring *vring)
{
	signal_fd(vring->call_fd);
}

void vu_vring_error(struct vu_vring *vring)
{
	signal_fd(vring->err_fd);
}

/*
 * The count is of no interest, only that it goes away. A descriptor that ends, fails
 * or isn't an eventfd would make the loop spin (hostile: C12 C23): it is given up.
 */
static void kick_ready(struct vio_watch *watch)
{
	struct vu_vring *vring = VIO_CONTAINER_OF(watch, struct vu_vring, kick);
	uint64_t count;
	ssize_t got = read(watch->fd, &count, sizeof(count));

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got != (ssize_t)sizeof(count)) {
		vu_log(vring->backend, "queue %u: kick descriptor %s, ignored from now on", vring->index,
		       got < 0 ? "can't be read" : "is no eventfd or was closed");
		vring->backend->watcher.remove(vring->backend->watcher.context, watch);
		vring->watched = false;
		return;
	}
	vio_device_kick(vring->backend->dev, vring->index);
}

static void kick_again(struct vio_task *task)
{
	struct vu_vring *vring = VIO_CONTAINER_OF(task, struct vu_vring, again);

	vio_device_kick(vring->backend->dev, vring->index);
}

void vu_vring_init(struct vu_vring *vring, struct vio_vhost_user *backend, uint16_t index)
{
	*vring = (struct vu_vring){
		.backend = backend,
		.index = index,
		.call_fd = -1,
		.err_fd = -1,
		.kick = { .fd = -1, .ready = kick_ready },
		.again = { .run = kick_again },
	};
}

int vu_vring_set_kick(struct vu_vring *vring, int fd)
{
	const struct vio_watcher *watcher = &vring->backend->watcher;
	int error = 0;

	if (vring->watched)
		watcher->remove(watcher->context, &vring->kick);
	vring->watched = false;
	vu_replace_fd(&vring->kick.fd, fd);
	if (fd >= 0) {
		error = watcher->add(watcher->context, &vring->kick);
		vring->watched = !error;
	}
	return error;
}

void vu_vring_close(struct vu_vring *vring)
{
	struct vio_vhost_user *backend = vring->backend;

	vu_vring_set_kick(vring, -1);
	backend->watcher.cancel(backend->watcher.context, &vring->again);
	vu_replace_fd(&vring->call_fd, -1);
	vu_replace_fd(&vring->err_fd, -1);
	vu_vring_init(vring, backend, vring->index);
}

void vu_vring_pause(struct vu_vring *vring)
{
	if (vu_vring_runs(vring))
		vring->base = vio_device_queue_stop(vring->backend->dev, vring->index);
}

int vu_vring_update(struct vu_vring *vring)
{
	struct vio_vhost_user *backend = vring->backend;
	const struct vu_memory *memory = &backend->memory;
	struct vio_devq_config config = { .size = vring->num, .avail_base = vring->base };
	int error;

	if (vu_vring_runs(vring) || !vring->num || !vring->has_addr || !vring->enabled || vring->held ||
	    vring->kick.fd < 0 || !(backend->dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return 0;
	/* hostile: C18 */
	if (!vu_memory_from_user(memory, vring->addr.descriptor, &config.descriptor_area) ||
	    !vu_memory_from_user(memory, vring->addr.available, &config.driver_area) ||
	    !vu_memory_from_user(memory, vring->addr.used, &config.device_area)) {
		vu_log(backend, "queue %u: its rings are not in the front end's memory", vring->index);
		return -VIO_EPROTO;
	}
	error = vio_device_queue_start(backend->dev, vring->index, &config);
	if (error) {
		vu_log(backend, "queue %u: can't start with %u entries: %s", vring->index, vring->num,
		       vio_strerror(error));
		return error;
	}
	/* Without STATUS a front end doesn't say DRIVER_OK; that it starts a queue says as much. */
	if (!vu_has_protocol(backend, VHOST_USER_PROTOCOL_F_STATUS))
		vio_device_write_status(backend->dev, backend->dev->status | VIRTIO_CONFIG_S_DRIVER_OK);
	return 0;
}

void vu_pause_all(struct vio_vhost_user *backend)
{
	uint16_t queue;

	for (queue = 0; queue < backend->dev->queue_count; queue++)
		vu_vring_pause(&backend->vrings[queue]);
}

int vu_update_all(struct vio_vhost_user *backend)
{
	uint16_t queue;
	int error = 0;

	for (queue = 0; queue < backend->dev->queue_count && !error; queue++)
		error = vu_vring_update(&backend->vrings[queue]);
	return error;
}
