/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vireo/drivers/vssd.h>
#include <vireo/vhost_user_frontend.h>

/*
 *   vssd-client SOCKET SPARE
 *
 * Our driver on a disk of which a program can spare so many blocks, the last ones; negative: it doesn't
 * deal with resizes at all. Says "ready", works until its input ends, and then sees whether the rest of
 * the disk is as it was.
 */
#define UNIT    65536u
#define SECTORS (UNIT / VIRTIO_BLK_SECTOR_BYTES)
#define LOOK_MS 20

struct client {
	struct vio_dev dev;
	struct vio_vssd vssd;
	struct vio_vssd_info info; /* at first */
	uint64_t spare;            /* blocks */
	uint8_t bytes[UNIT];
};

/* Growth takes the first blocks that are absent, so that those that are there are always the first ones. */
static unsigned choose(struct vio_dev *dev, uint64_t count, struct vio_vssd_range *list, unsigned max)
{
	const struct client *client = dev->owner;
	struct vio_vssd_info now;
	uint64_t spare;

	(void)max;
	if (vio_vssd_get_info(dev, &now))
		return 0;
	spare = now.provisioned - (client->info.total - client->spare);
	if (count > 5) /* so that there are several lists */
		count = 5;
	if (count > spare)
		count = spare;
	*list = (struct vio_vssd_range){ now.provisioned - count, count };
	return count != 0;
}

static int fill(struct client *client)
{
	int error = vio_vssd_get_info(&client->dev, &client->info);

	for (uint64_t i = 0; !error && i < client->info.total; i++) {
		memset(client->bytes, (int)i + 1, UNIT);
		error = vio_blk_write(&client->dev, i * SECTORS, client->bytes, UNIT);
	}
	return error;
}

static bool input_ended(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, LOOK_MS) > 0;
}

/* Every resize until then. */
static int work(struct client *client, bool idle)
{
	int error = 0;

	while (!error && !input_ended()) {
		error = idle ? 0 : vio_vssd_work(&client->dev);
		if (error == -VIO_ENOSPC || error == -VIO_EAGAIN)
			error = client->dev.phase == VIO_DEV_READY ? 0 : error;
	}
	return error;
}

static int verify(struct client *client)
{
	int error = 0;

	for (uint64_t i = 0; !error && i < client->info.total - client->spare; i++) {
		error = vio_blk_read(&client->dev, i * SECTORS, client->bytes, UNIT);
		for (unsigned at = 0; !error && at < UNIT; at++)
			if (client->bytes[at] != (uint8_t)(i + 1))
				return -VIO_EPEER;
	}
	return error;
}

int main(int argc, char **argv)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_VSSD, .queues_unsaid = 2 };
	struct client *client = calloc(1, sizeof(*client));
	struct vio_vhost_user_mistake mistake;
	int socket = argc == 3 && client ? vio_vhost_user_frontend_connect(argv[1]) : -1, error, spare;

	if (socket < 0 || vio_vhost_user_frontend_open(socket, &options, &client->dev, &mistake)) {
		fprintf(stderr, "vssd-client: no back end\n");
		free(client);
		return 1;
	}
	spare = atoi(argv[2]);
	client->spare = spare > 0 ? (uint64_t)spare : 0;
	client->dev.owner = client;
	error = vio_driver_bind(&client->dev, &vio_vssd_driver,
				vio_vhost_user_frontend_platform(&client->dev), &client->vssd);
	client->vssd.choose = choose;
	if (!error)
		error = fill(client);
	if (!error) {
		puts("ready");
		fflush(stdout);
		error = work(client, spare < 0);
	}
	if (!error)
		error = verify(client);
	if (error)
		fprintf(stderr, "vssd-client: %s (%s)\n", vio_strerror(error),
			vio_vhost_user_frontend_mistake(&client->dev));
	error = vio_dev_close(&client->dev) || error;
	free(client);
	return error;
}
