/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LINUX_ECHO_H
#define TEST_LINUX_ECHO_H

#include "lib/rig.h"

#include <vireo/linux_config.h>

/*
 * A device with two queues and a driver of it in the Linux spelling that a test steers.
 *
 * "echo" answers with the readable bytes, as far as they fit; "idle" never uses a buffer. The
 * configuration is kept as written.
 */
#define ECHO_ID       62u
#define ECHO_F_TABLED 3u /* in the driver's table */
#define ECHO_F_OTHER  5u
#define ECHO_SIZE     16u

struct echo_config {
	u8 small;
	u8 pad;
	u16 middle;
	u32 large;
	u64 huge;
};

extern const struct vio_device_class echo_class;
extern const struct rig_options echo_options;

/* What the driver does and has seen. */
struct echo_driver {
	struct virtio_driver driver;
	struct vio_linux_driver made;
	struct virtio_device *vdev;
	struct virtqueue *vqs[2]; /* echo, idle */
	int validate_error, probe_error;
	bool clear_tabled, fail_late, lazy; /* lazy: doesn't clean up in remove */
	unsigned validated, probed, scanned, removed, changed, callbacks;
	unsigned detached;
};

extern struct echo_driver echo;

/* The driver as it is at first. */
void echo_init(void);
/* Binds it: what vio_driver_bind() says. */
int echo_bind(struct rig *rig);
/* Finds both queues: the kernel's number. */
int echo_find(struct virtio_device *vdev);
/* One list of one readable and one of one writable element: the token is `from`. */
int echo_add(struct virtqueue *vq, void *from, void *to, unsigned length);

#endif
