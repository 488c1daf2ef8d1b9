/* SPDX-License-Identifier: BSD-3-Clause */

#include <vireo/vfio_user.h>
#include <vireo/vhost_user.h>

#include "daemon/daemon.h"

/* The protocol by which a daemon's device is reached: one of a kind of links, behind three calls. */

static void link_closed(void *context, int reason)
{
	vio_daemon_link_closed(context, reason);
}

static void link_log(void *context, const char *line)
{
	struct vio_daemon *daemon = context;

	vio_log_line(&daemon->log, "connection %llu: %s", (unsigned long long)daemon->connections, line);
}

static const struct vio_vhost_user_events vhost_user_events = { .closed = link_closed, .log = link_log };
static const struct vio_vfio_user_events vfio_user_events = { .closed = link_closed, .log = link_log };

int vio_daemon_link_make(struct vio_daemon *daemon)
{
	if (daemon->settings.vduse_name)
		return vio_daemon_vduse_make(daemon);
	if (daemon->settings.vfio_user_path)
		daemon->vfio_user =
			vio_vfio_user_create(&daemon->device, &daemon->watcher, &vfio_user_events, daemon);
	else
		daemon->vhost_user =
			vio_vhost_user_create(&daemon->device, &daemon->watcher, &vhost_user_events, daemon);
	return daemon->vfio_user || daemon->vhost_user ? 0 : -VIO_ENOMEM;
}

int vio_daemon_link_start(struct vio_daemon *daemon, int fd)
{
	if (daemon->vfio_user)
		return vio_vfio_user_start(daemon->vfio_user, fd);
	return vio_vhost_user_start(daemon->vhost_user, fd);
}

void vio_daemon_link_hang_up(struct vio_daemon *daemon)
{
	if (daemon->vfio_user)
		vio_vfio_user_stop(daemon->vfio_user);
	else if (daemon->vhost_user)
		vio_vhost_user_stop(daemon->vhost_user);
}

uint64_t vio_daemon_link_heard(const struct vio_daemon *daemon)
{
	if (daemon->vfio_user)
		return vio_vfio_user_heard(daemon->vfio_user);
	return daemon->vhost_user ? vio_vhost_user_heard(daemon->vhost_user) : 0;
}

void vio_daemon_link_end(struct vio_daemon *daemon)
{
	vio_daemon_vduse_end(daemon);
	vio_vfio_user_destroy(daemon->vfio_user);
	vio_vhost_user_destroy(daemon->vhost_user);
	daemon->vfio_user = NULL;
	daemon->vhost_user = NULL;
}
