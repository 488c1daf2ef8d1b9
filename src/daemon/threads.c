/* SPDX-License-Identifier: BSD-3-Clause */

#include <vireo/vfio_user.h>
#include <vireo/vhost_user.h>

#include "daemon/daemon.h"

/* Queues served by threads of their own. */

int vio_daemon_spread(struct vio_daemon *daemon, struct vio_message *message)
{
	const struct vio_daemon_type *type = daemon->type;
	const unsigned threads = (unsigned)daemon->settings.threads;
	struct vio_watch_crew crew;
	int error;

	if (!threads)
		return 0;
	if (!type->spread || daemon->vduse)
		return vio_fail(message, -VIO_ENOTSUP, "option '--threads': %s is served by one thread%s",
				type->class->name, type->spread ? " over VDUSE" : "");
	daemon->crew = vio_crew_create(daemon->loop, threads,
				       daemon->settings.no_uring ? VIO_LOOP_NO_URING : 0, &error);
	if (!daemon->crew)
		return vio_fail(message, error, "can't start %u threads: %s", threads, vio_strerror(error));
	vio_crew_halt(daemon->crew);
	for (unsigned i = 0; i < threads; i++)
		vio_loop_poll(vio_crew_loop(daemon->crew, i), (unsigned)daemon->settings.poll_us);
	error = type->spread(&daemon->device, daemon->backend, daemon->crew, message);
	crew = vio_crew_watch(daemon->crew);
	if (!error && daemon->vfio_user)
		vio_vfio_user_spread(daemon->vfio_user, &crew);
	else if (!error)
		vio_vhost_user_spread(daemon->vhost_user, &crew);
	vio_crew_resume(daemon->crew);
	return error;
}

void vio_daemon_halt(struct vio_daemon *daemon)
{
	if (daemon->crew)
		vio_crew_halt(daemon->crew);
}

void vio_daemon_resume(struct vio_daemon *daemon)
{
	if (daemon->crew)
		vio_crew_resume(daemon->crew);
}
