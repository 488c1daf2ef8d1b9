/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa/drive.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>

/*
 *	drive blk | net FILE          a vhost-vdpa device
 *	drive blk-slow FILE           one that takes its time
 *	drive tap | tap-plain NAME    vhost-net, with packet headers in the tap or without
 *	drive vsock CID               vhost-vsock
 */

void drive_open_vdpa(struct vio_dev *dev, const char *path, uint64_t withhold)
{
	const struct vio_vdpa_options options = { .withhold = withhold };
	struct vio_kernel_mistake mistake;
	int fd = open(path, O_RDWR | O_CLOEXEC), error;

	CHECK(fd >= 0);
	error = vio_vdpa_open(fd, &options, dev, &mistake);
	if (error)
		fprintf(stderr, "%s: %s\n", path, mistake.text);
	CHECK(!error);
}

void drive_bind(struct vio_dev *dev, const struct vio_driver *driver, const struct vio_platform *platform)
{
	void *state = malloc(driver->state_bytes);
	int error;

	CHECK(state);
	error = vio_driver_bind(dev, driver, platform, state);
	/* Both kinds of transport keep that in the same place. */
	if (error)
		fprintf(stderr, "%s: %s (%s)\n", driver->name, vio_strerror(error), vio_vdpa_mistake(dev));
	CHECK(!error);
}

void drive_close(struct vio_dev *dev)
{
	void *state = dev->driver_state;

	CHECK(!vio_dev_close(dev));
	free(state);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	if (!strcmp(argv[1], "blk"))
		drive_blk(argv[2], 2000);
	else if (!strcmp(argv[1], "blk-slow"))
		drive_blk(argv[2], 200);
	else if (!strcmp(argv[1], "net"))
		drive_net(argv[2]);
	else if (!strcmp(argv[1], "tap"))
		drive_tap(argv[2], IFF_VNET_HDR);
	else if (!strcmp(argv[1], "tap-plain"))
		drive_tap(argv[2], 0);
	else if (!strcmp(argv[1], "vsock"))
		drive_vsock((uint32_t)strtoul(argv[2], NULL, 0));
	else
		CHECK(!"a known word");
	return 0;
}
