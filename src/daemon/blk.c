/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include <vireo/devices/blk.h>

#include "daemon/daemon.h"

/* The block device of `vireo serve blk`: its storage, its clock, its counters. */

/* The storage as one thread uses it, whose queues may have to wait for the limits. */
struct blk_share {
	struct vio_block *block;
	struct vio_device *dev;
	struct vio_loop *loop;
	struct vio_timer wake;
};

struct blk_backend {
	struct vio_host_block_options options; /* first: the properties' offsets count from here */
	struct blk_share main;
	struct vio_block_counters *counters; /* of VIO_BLK_METER_QUEUES queues */

	/* With threads: one for each. */
	struct vio_crew *crew;
	struct blk_share *shares;
	unsigned share_count;
	void (*changed)(void *context, struct vio_block *block); /* the device's */
};

VIO_STATIC_ASSERT(offsetof(struct blk_backend, options) == 0, "the properties are at the start");

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* Measuring, and waiting for the limits. */

static uint64_t blk_now(void *context)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void blk_wake(void *context, const struct vio_block *block, uint64_t delay_ns)
{
	struct blk_backend *backend = context;
	struct blk_share *share = &backend->main;

	for (unsigned i = 0; i < backend->share_count; i++)
		if (backend->shares[i].block == block)
			share = &backend->shares[i];
	vio_loop_arm(share->loop, &share->wake, (delay_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void blk_resume(struct vio_timer *timer)
{
	struct blk_share *share = VIO_CONTAINER_OF(timer, struct blk_share, wake);

	vio_blk_resume(share->dev, share->block);
}

static void blk_share_close(struct blk_share *share)
{
	vio_loop_disarm(share->loop, &share->wake);
	share->block->ops->close(share->block);
}

static int blk_measure(struct vio_device *dev, struct blk_backend *backend)
{
	struct vio_block_meter meter = { .context = backend, .now_ns = blk_now, .wake = blk_wake };

	backend->counters = calloc(VIO_BLK_METER_QUEUES, sizeof(*backend->counters));
	if (!backend->counters)
		return -VIO_ENOMEM;
	meter.counters = backend->counters;
	return vio_blk_meter(dev, &meter);
}

static int blk_open(struct vio_device *dev, struct vio_loop *loop, void *memory, struct vio_message *message)
{
	struct blk_backend *backend = memory;
	struct blk_share *share = &backend->main;
	int error = vio_host_block_open(loop, &backend->options, &share->block, message);

	if (error)
		return error;
	share->dev = dev;
	share->loop = loop;
	share->wake.expired = blk_resume;
	error = vio_blk_attach(dev, share->block);
	if (!error)
		error = blk_measure(dev, backend);
	if (!error)
		return 0;
	blk_share_close(share);
	free(backend->counters);
	return vio_fail(message, error, "blk can't use its storage: %s", vio_strerror(error));
}

static const char *const kind_names[VIO_BLOCK_KINDS] = { "read", "write", "flush", "other" };

static json_t *blk_histogram(const uint64_t *latencies)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < VIO_BLOCK_LATENCIES; i++)
		if (latencies[i])
			json_array_append_new(
				list, json_pack("[I,I]", (json_int_t)1 << i, (json_int_t)latencies[i]));
	return list;
}

/* A queue that never had anything to do is empty. */
static json_t *blk_queue_statistics(const struct vio_block_counters *counters)
{
	json_t *queue = json_object();

	for (unsigned kind = 0; kind < VIO_BLOCK_KINDS; kind++)
		if (counters->requests[kind])
			json_object_set_new(queue, kind_names[kind],
					    json_pack("{s:I,s:I,s:I,s:I,s:o}", "requests",
						      (json_int_t)counters->requests[kind], "errors",
						      (json_int_t)counters->errors[kind], "bytes",
						      (json_int_t)counters->bytes[kind], "total-ns",
						      (json_int_t)counters->total_ns[kind], "latency-ns",
						      blk_histogram(counters->latencies[kind])));
	return queue;
}

static json_t *blk_statistics(struct vio_device *dev, void *memory)
{
	struct blk_backend *backend = memory;
	json_t *queues = json_array();

	for (unsigned i = 0; i < dev->queue_count; i++)
		json_array_append_new(queues, blk_queue_statistics(&backend->counters[i]));
	return queues;
}

/* Queues in several threads. */

static void blk_changed(void *context, struct vio_block *block)
{
	struct blk_backend *backend = context;

	vio_crew_halt(backend->crew);
	for (unsigned i = 0; i < backend->share_count; i++)
		backend->shares[i].block->size_bytes = block->size_bytes;
	backend->changed(backend->main.dev, block);
	vio_crew_resume(backend->crew);
}

static int blk_spread(struct vio_device *dev, void *memory, struct vio_crew *crew,
		      struct vio_message *message)
{
	struct blk_backend *backend = memory;
	struct vio_block *main = backend->main.block;
	struct vio_block *blocks[VIO_BLK_METER_QUEUES];
	const unsigned threads = vio_crew_threads(crew);
	int error = 0;

	backend->shares = calloc(threads, sizeof(*backend->shares));
	if (!backend->shares)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	while (backend->share_count < threads && !error) {
		struct blk_share *share = &backend->shares[backend->share_count];

		*share = (struct blk_share){ .dev = dev,
					     .loop = vio_crew_loop(crew, backend->share_count),
					     .wake.expired = blk_resume };
		error = vio_host_block_share(main, share->loop, &share->block);
		if (!error)
			blocks[backend->share_count++] = share->block;
	}
	if (!error)
		error = vio_blk_spread(dev, blocks, threads);
	if (error)
		return vio_fail(message, error, "blk can't share its storage: %s", vio_strerror(error));
	backend->crew = crew;
	backend->changed = main->changed;
	main->changed = blk_changed;
	main->changed_context = backend;
	main->batch_done = NULL; /* it only looks after the size from here on */
	return 0;
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
	struct vio_block *block = backend->main.block;
	struct blk_flush flush = { .request = { .op = VIO_BLOCK_FLUSH, .done = blk_flushed } };

	/* What the driver has been told is written goes to the disk before the daemon is gone. */
	if (!block->read_only)
		block->ops->submit(block, &flush.request);
	block->ops->drain(block);
	for (unsigned i = 0; i < backend->share_count; i++)
		blk_share_close(&backend->shares[i]);
	free(backend->shares);
	blk_share_close(&backend->main);
	free(backend->counters);
	return flush.result;
}

static const struct vio_daemon_convention blk_conventions[] = {
	{ .option = "read-only", .property = "readonly", .value = "on" },
	{ .option = "blk-file", .argument = "PATH", .property = "path" },
	{ .option = NULL },
};

const struct vio_daemon_type vio_daemon_blk_type = {
	.class = &vio_blk_class,
	.backend_properties = vio_host_block_properties,
	.backend_bytes = sizeof(struct blk_backend),
	.open = blk_open,
	.close = blk_close,
	.spread = blk_spread,
	.statistics = blk_statistics,
	.vhost_user_type = "block",
	.conventions = blk_conventions,
};
