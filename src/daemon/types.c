/* SPDX-License-Identifier: BSD-3-Clause */

#include <vireo/devices/adder.h>
#include <vireo/devices/blk.h>
#include <vireo/devices/caesar.h>
#include <vireo/devices/rng.h>

#include "daemon/daemon.h"

/*
 * The device types of `vireo serve`, and what those that need something of the
 * system stand on. A new one is one line in daemon_types.
 */

struct blk_backend {
	struct vio_host_block_options options; /* first: the properties' offsets count from here */
	struct vio_block *block;
};

VIO_STATIC_ASSERT(offsetof(struct blk_backend, options) == 0, "the properties are at the start");

static int blk_open(struct vio_device *dev, struct vio_loop *loop, void *memory, struct vio_message *message)
{
	struct blk_backend *backend = memory;
	int error = vio_host_block_open(loop, &backend->options, &backend->block, message);

	if (error)
		return error;
	error = vio_blk_attach(dev, backend->block);
	if (!error)
		return 0;
	backend->block->ops->close(backend->block);
	return vio_fail(message, error, "blk can't use its storage: %s", vio_strerror(error));
}

struct blk_flush {
	struct vio_block_request request;
	int result;
};

static void blk_flushed(struct vio_block_request *request, int result)
{
	VIO_CONTAINER_OF(request, struct blk_flush, request)->result = result;
}

static int blk_close(struct vio_device *dev, void *memory)
{
	struct blk_backend *backend = memory;
	struct blk_flush flush = { .request = { .op = VIO_BLOCK_FLUSH, .done = blk_flushed } };

	/* What the driver has been told is written goes to the disk before the daemon is gone. */
	if (!backend->block->read_only)
		backend->block->ops->submit(backend->block, &flush.request);
	backend->block->ops->drain(backend->block);
	backend->block->ops->close(backend->block);
	return flush.result;
}

static const struct vio_daemon_convention blk_conventions[] = {
	{ .option = "read-only", .property = "readonly", .value = "on" },
	{ .option = "blk-file", .argument = "PATH", .property = "path" },
	{ .option = NULL },
};

static const struct vio_daemon_type blk_type = {
	.class = &vio_blk_class,
	.backend_properties = vio_host_block_properties,
	.backend_bytes = sizeof(struct blk_backend),
	.open = blk_open,
	.close = blk_close,
	.vhost_user_type = "block",
	.conventions = blk_conventions,
};

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
	&blk_type,
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
