/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	const char *mistake = client->dev.transport ? vio_vhost_user_frontend_mistake(&client->dev) : "";

	return cli_complain(client->program, CLI_FAILED, "%s: %s: %s%s%s%s", client->path, what,
			    vio_strerror(error), *mistake ? " (" : "", mistake, *mistake ? ")" : "");
}

static int connect_to(struct client *client, uint32_t id)
{
	const struct vio_vhost_user_frontend_options options = {
		.id = id,
		.flags = id == VIRTIO_ID_NET ? VIO_VHOST_USER_PAIRS : 0,
	};
	struct vio_vhost_user_mistake mistake;
	int fd = vio_vhost_user_frontend_connect(client->path), error;

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
	error = vio_driver_bind(&client->dev, driver, vio_vhost_user_frontend_platform(&client->dev),
				client->state);
	if (!error)
		return CLI_OK;
	status = client_complain(client, "the driver can't drive that device", error);
	client_close(client);
	return status;
}

void client_close(struct client *client)
{
	if (vio_dev_close(&client->dev)) {
		/* It doesn't finish its reset. What it has of our memory goes with the connection. */
		vio_vhost_user_frontend_hang_up(&client->dev);
		vio_dev_close(&client->dev);
	}
	free(client->state);
	client->state = NULL;
}
