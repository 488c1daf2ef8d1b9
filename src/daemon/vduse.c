/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <vireo/devices/blk.h>
#include <vireo/devices/net.h>
#include <vireo/vduse.h>

#include "daemon/daemon.h"

/* The kernel's own device in place of a socket. */

#define FOLDER "/run/vireo"

/*
 * What a driver would write into its configuration space, or what has it wait for a queue that the kernel
 * leaves to nobody: Linux makes no device that offers these.
 */
static uint64_t withheld(uint32_t id)
{
	static const struct {
		uint32_t id;
		uint8_t feature;
	} features[] = {
		{ VIRTIO_ID_BLOCK, VIRTIO_BLK_F_CONFIG_WCE },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VQ },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX_EXTRA },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VLAN },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_MAC_ADDR },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ANNOUNCE },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_MQ },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_RSS },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_HASH_REPORT },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_NOTF_COAL },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_VQ_NOTF_COAL },
	};
	uint64_t mask = 0;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(features); i++)
		if (features[i].id == id)
			mask |= UINT64_C(1) << features[i].feature;
	return mask;
}

static void closed(void *context, int reason)
{
	vio_daemon_link_closed(context, reason);
}

static void log_line(void *context, const char *line)
{
	struct vio_daemon *daemon = context;

	vio_log_line(&daemon->log, "%s: %s", daemon->settings.vduse_name, line);
}

static const struct vio_vduse_events events = { .closed = closed, .log = log_line };

int vio_daemon_vduse_make(struct vio_daemon *daemon)
{
	daemon->vduse = vio_vduse_create(&daemon->device, &daemon->watcher, &events, daemon);
	return daemon->vduse ? 0 : -VIO_ENOMEM;
}

int vio_daemon_vduse_start(struct vio_daemon *daemon, struct vio_message *message)
{
	const struct vio_daemon_settings *settings = &daemon->settings;
	char path[sizeof(FOLDER "/vduse-") + VIO_VDUSE_NAME_MAX];
	struct vio_vduse_options options = {
		.name = settings->vduse_name,
		.account = settings->vduse_account,
		.withhold = withheld(daemon->device.id),
	};
	struct vio_vduse_mistake mistake;
	int error;

	if (!options.account) {
		/* The name may be any text yet; one that is too long or has slashes is refused first. */
		if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
			return vio_fail(message, vio_error_from_errno(errno),
					"can't make " FOLDER ": %s; give --vduse-account FILE",
					strerror(errno));
		snprintf(path, sizeof(path), FOLDER "/vduse-%s", options.name);
		options.account = path;
	}
	error = vio_vduse_start(daemon->vduse, &options, &mistake);
	if (error)
		return vio_fail(message, error, "can't serve by VDUSE: %s",
				*mistake.text ? mistake.text : vio_strerror(error));
	daemon->connections++;
	daemon->connected = true;
	daemon->faults_before = daemon->device.fault_count;
	return 0;
}

void vio_daemon_vduse_end(struct vio_daemon *daemon)
{
	if (daemon->vduse && daemon->connected && vio_vduse_stop(daemon->vduse) == -VIO_EBUSY)
		vio_log_line(&daemon->log, "%s is in use and stays; another daemon may go on with it",
			     daemon->settings.vduse_name);
	vio_vduse_destroy(daemon->vduse);
	daemon->vduse = NULL;
}
