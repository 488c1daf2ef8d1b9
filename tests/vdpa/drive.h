/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VDPA_DRIVE_H
#define TEST_VDPA_DRIVE_H

#include <stdio.h>
#include <stdlib.h>
#include <vireo/vdpa.h>

/*
 * Programs for a Linux that has devices under /dev: drive.c begins them, drive_blk.c, drive_net.c and
 * drive_vsock.c have one each.
 */

/* Ends the program with a line that names what isn't as it has to be. */
#define CHECK(condition) \
	((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), exit(1)))

/* Opens `path` as the driver of a vDPA device, with these features of the back end withheld. */
void drive_open_vdpa(struct vio_dev *dev, const char *path, uint64_t withhold);
void drive_bind(struct vio_dev *dev, const struct vio_driver *driver, const struct vio_platform *platform);
/* Ends a bound driver's work and closes the device. */
void drive_close(struct vio_dev *dev);

/* `steps` requests in each of its lives. */
void drive_blk(const char *path, unsigned steps);
void drive_net(const char *path);
/* `path` is the tap's name; its address is 10.99.0.1. `flags` of TUNSETIFF beside those that are needed. */
void drive_tap(const char *name, int flags);
void drive_vsock(uint32_t cid);

#endif
