/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vireo/vhost_user_frontend.h>

#include "cli/client.h"

bool client_number(const char *text, uint64_t max, uint64_t *number)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 0);
	*number = value;
	return !*end && !errno && value <= max;
}

int client_complain(struct client *client, const char *what, int error)
{
	const char *mistake = client->dev.transport ? client->link->mistake(&client->dev) : "";

	return cli_complain(client->program, CLI_FAILED, "%s: %s: %s%s%s%s", client->path, what,
			    vio_strerror(error), *mistake ? " (" : "", mistake, *mistake ? ")" : "");
}

static void report_socket(struct vio_dev *dev, const struct client_type *type, json_t *report)
{
	struct vio_vhost_user_frontend_info info;

	vio_vhost_user_frontend_get_info(dev, &info);
	if (info.queue_count)
		json_object_set_new(report, "queues", json_integer(info.queue_count));
	if (info.memory_slots && info.memory_slots <= INT64_MAX)
		json_object_set_new(report, "memory-slots", json_integer((json_int_t)info.memory_slots));
	json_object_set_new(report, "features", client_bits(info.features, type, client_feature_name));
	json_object_set_new(report, "protocol-features",
			    client_bits(info.protocol_offered, NULL, client_protocol_name));
}

static const struct client_link socket_link = {
	.platform = vio_vhost_user_frontend_platform,
	.mistake = vio_vhost_user_frontend_mistake,
	.hang_up = vio_vhost_user_frontend_hang_up,
	.report = report_socket,
};

static int connect_to(struct client *client, uint32_t id)
{
	const struct vio_vhost_user_frontend_options options = {
		.id = id,
		.flags = id == VIRTIO_ID_NET ? VIO_VHOST_USER_PAIRS : 0,
		.queues_unsaid = id == VIRTIO_ID_BLOCK ? 1 : 0,
	};
	struct vio_vhost_user_mistake mistake;
	struct stat status;
	int fd, error;

	if (!stat(client->path, &status) && !S_ISSOCK(status.st_mode))
		return client_open_device(client, id);
	client->link = &socket_link;
	fd = vio_vhost_user_frontend_connect(client->path);
	if (fd == -VIO_EINVAL)
		return cli_complain(client->program, CLI_USAGE, "'%s' is no path of a socket", client->path);
	if (fd < 0)
		return cli_complain(client->program, CLI_FAILED, "socket '%s': %s", client->path,
				    errno == ECONNREFUSED ? "nobody serves a device there" : strerror(errno));
	error = vio_vhost_user_frontend_open(fd, &options, &client->dev, &mistake);
	if (error)
		return cli_complain(client->program, CLI_FAILED,
				    "%s: no agreement with the back end: %s (%s)", client->path, mistake.text,
				    vio_strerror(error));
	return CLI_OK;
}

int client_open(struct client *client, uint32_t id, const struct vio_driver *driver)
{
	int status = connect_to(client, id), error;

	if (status || !driver)
		return status;
	client->state = malloc(driver->state_bytes);
	if (!client->state) {
		client_close(client);
		return cli_complain(client->program, CLI_FAILED, "out of memory");
	}
	error = vio_driver_bind(&client->dev, driver, client->link->platform(&client->dev), client->state);
	if (!error)
		return CLI_OK;
	status = client_complain(client, "the driver can't drive that device", error);
	client_close(client);
	return status;
}

void client_close(struct client *client)
{
	if (vio_dev_close(&client->dev)) {
		/* It doesn't finish its reset. What it has of our memory goes with that. */
		client->link->hang_up(&client->dev);
		vio_dev_close(&client->dev);
	}
	free(client->state);
	client->state = NULL;
}
