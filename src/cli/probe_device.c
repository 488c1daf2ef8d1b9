/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vireo/vdpa.h>

#include "cli/client.h"

/* Devices of the kernel's: vhost-vdpa, vhost-net, vhost-vsock. */

static void report_number(json_t *report, const char *key, uint64_t value)
{
	json_object_set_new(report, key, client_json_number(value));
}

static void report_vdpa(struct vio_dev *dev, const struct client_type *type, json_t *report)
{
	struct vio_vdpa_info info;

	vio_vdpa_get_info(dev, &info);
	if (info.queue_count)
		report_number(report, "queues", info.queue_count);
	report_number(report, "queue-size-max", info.queue_size_max);
	if (info.config_bytes != UINT32_MAX)
		report_number(report, "config-bytes", info.config_bytes);
	if (info.group_count)
		report_number(report, "queue-groups", info.group_count);
	if (info.address_space_count)
		report_number(report, "address-spaces", info.address_space_count);
	report_number(report, "iova-first", info.iova_first);
	report_number(report, "iova-last", info.iova_last);
	json_object_set_new(report, "features", client_bits(info.features, type, client_feature_name));
	json_object_set_new(report, "backend-features",
			    client_bits(info.backend_offered, NULL, client_backend_name));
}

static void report_vhost(struct vio_dev *dev, const struct client_type *type, json_t *report)
{
	struct vio_vhost_kernel_info info;

	vio_vhost_kernel_get_info(dev, &info);
	report_number(report, "queues", info.queue_count);
	report_number(report, "queue-size-max", info.queue_size_max);
	json_object_set_new(report, "features", client_bits(info.features, type, client_feature_name));
	json_object_set_new(report, "backend-features",
			    client_bits(info.backend_features, NULL, client_backend_name));
}

static const struct client_link vdpa_link = {
	.platform = vio_vdpa_platform,
	.mistake = vio_vdpa_mistake,
	.hang_up = vio_vdpa_hang_up,
	.report = report_vdpa,
};

static const struct client_link vhost_link = {
	.platform = vio_vhost_kernel_platform,
	.mistake = vio_vhost_kernel_mistake,
	.hang_up = vio_vhost_kernel_hang_up,
	.report = report_vhost,
};

/* Takes over the file. */
static int open_link(struct client *client, int fd, struct vio_kernel_mistake *mistake)
{
	const struct vio_vhost_net_options no_tap = { .tap_fd = -1 };
	const struct vio_vhost_vsock_options no_cid = { 0 };

	client->link = &vhost_link;
	switch (vio_kernel_kind(fd)) {
	case VIO_KERNEL_VDPA:
		client->link = &vdpa_link;
		return vio_vdpa_open(fd, NULL, &client->dev, mistake);
	case VIO_KERNEL_NET:
		return vio_vhost_net_open(fd, &no_tap, &client->dev, mistake);
	case VIO_KERNEL_VSOCK:
		return vio_vhost_vsock_open(fd, &no_cid, &client->dev, mistake);
	case VIO_KERNEL_OTHER:
		strcpy(mistake->text, "a vhost device, but none of vhost-vdpa, vhost-net and vhost-vsock");
		break;
	case VIO_KERNEL_NONE:
		strcpy(mistake->text, "it is neither a socket nor a vhost device");
		break;
	}
	close(fd);
	return -VIO_ENOTSUP;
}

static const char *type_name(uint32_t id)
{
	const struct client_type *type = client_type_by_id(id);

	return type ? type->name : "unknown type";
}

int client_open_device(struct client *client, uint32_t id)
{
	struct vio_kernel_mistake mistake = { "" };
	struct stat status;
	uint32_t other;
	int fd, error;

	/* Others aren't even opened: that may wait, or do something. */
	if (stat(client->path, &status) || !S_ISCHR(status.st_mode))
		return cli_complain(client->program, CLI_FAILED,
				    "'%s' is neither a socket nor a device of the kernel's", client->path);
	fd = open(client->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return cli_complain(client->program, CLI_FAILED, "'%s': %s", client->path,
				    errno == EBUSY ? "somebody drives that device already" : strerror(errno));
	error = open_link(client, fd, &mistake);
	if (error)
		return cli_complain(client->program, CLI_FAILED, "'%s': %s (%s)", client->path, mistake.text,
				    vio_strerror(error));
	other = client->dev.id;
	if (!id || id == other)
		return CLI_OK;
	vio_dev_close(&client->dev);
	return cli_complain(client->program, CLI_FAILED, "'%s' is a device with id %u (%s), not %u (%s)",
			    client->path, other, type_name(other), id, type_name(id));
}
