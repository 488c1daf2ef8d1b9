/* SPDX-License-Identifier: BSD-3-Clause */

#include <vireo/devices/adder.h>
#include <vireo/devices/caesar.h>
#include <vireo/devices/rng.h>

#include "daemon/daemon.h"

/*
 * The device types of `vireo serve`, and what those that need something of the
 * system stand on. A new one is one line in daemon_types.
 */

static int rng_open(struct vio_device *dev, struct vio_loop *loop, void *memory, struct vio_message *message)
{
	struct vio_entropy *entropy = memory;
	int error;

	vio_host_entropy(entropy);
	error = vio_rng_attach(dev, entropy);
	return error ? vio_fail(message, error, "rng can't use its source: %s", vio_strerror(error)) : 0;
}

static const struct vio_daemon_type rng_type = {
	.class = &vio_rng_class,
	.backend_bytes = sizeof(struct vio_entropy),
	.open = rng_open,
};

static const struct vio_daemon_type adder_type = { .class = &vio_adder_class };
static const struct vio_daemon_type caesar_type = { .class = &vio_caesar_class };

static const struct vio_daemon_type *const daemon_types[] = {
	&adder_type,
	&vio_daemon_blk_type,
	&caesar_type,
	&vio_daemon_console_type,
	&vio_daemon_input_type,
	&vio_daemon_net_type,
	&rng_type,
	&vio_daemon_vssd_type,
	NULL,
};

const struct vio_daemon_type *const *vio_daemon_types(void)
{
	return daemon_types;
}
