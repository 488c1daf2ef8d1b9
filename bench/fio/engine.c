/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <vireo/client.h>

#include "host.h"

/*
 * fio's requests over vireo/client.h: an engine that is loaded with
 *
 *	fio --ioengine=external:/usr/lib/.../libvireo-fio.so --socket=/run/disk.sock ...
 *
 * fio's buffers are memory that the back end sees, so that nothing is copied. A job has a connection of its
 * own, in the process or thread where it runs; what it queues is shown to the back end at commit.
 */
#define MEMORY_BYTES ((size_t)1 << 30) /* room, of which what is touched is taken */
#define BATCH        64u
#define NAP_MS       10

struct pending {
	struct vio_client_request request;
	struct vio_part part;
};

/* What waits for its commit, by the queue of the disk that it goes to. */
struct engine_queue {
	struct vio_client_queue *queue;
	struct pending *pending; /* a ring of `depth` */
	unsigned first, count;
};

struct engine {
	struct vio_client *client;
	struct engine_queue *queues;
	uint16_t queue_count, next;
	unsigned depth;
	struct io_u **events, **refused; /* for fio to see; to become events */
	unsigned event_count, refused_count;
	bool polls, judged;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "libvireo-fio: %s: %s\n", what, why);
	return 1;
}

static int errno_of(int result)
{
	switch (result) {
	case 0:
		return 0;
	case -VIO_EINVAL:
		return EINVAL;
	case -VIO_ERANGE:
		return ERANGE;
	case -VIO_EACCES:
		return EROFS;
	case -VIO_ENOTSUP:
		return EOPNOTSUPP;
	case -VIO_ENOMEM:
		return ENOMEM;
	case -VIO_EHANGUP:
		return EPIPE;
	default:
		return EIO;
	}
}

static struct vio_client *connect_to(const struct engine_options *options, unsigned depth)
{
	const struct vio_client_options wishes = {
		.path = options->socket,
		.queue_count = (uint16_t)options->queues,
		.depth = (uint16_t)(depth / options->queues + (depth % options->queues != 0)),
		.memory_bytes = MEMORY_BYTES,
		.flags = VIO_CLIENT_NO_COPIES | (options->reconnects ? VIO_CLIENT_RECONNECT : 0) |
			 (options->split ? VIO_CLIENT_SPLIT : 0),
	};
	struct vio_message message;
	struct vio_client *client;

	if (vio_client_open_disk(&wishes, &client, &message))
		complain("no disk", message.text);
	return client;
}

static int judge_options(const struct thread_data *td)
{
	const struct engine_options *options = host_options(td);

	if (!options->socket || !*options->socket)
		return complain("no disk", "give socket=PATH, where a vhost-user back end listens");
	if (!options->queues || options->queues > VIO_CLIENT_QUEUES_MAX)
		return complain("queues", "1 to 8 can be used");
	if (!host_depth(td) || host_depth(td) > VIO_CLIENT_DEPTH_MAX * options->queues)
		return complain("iodepth", "1 to 1024 for each queue can be in flight");
	return 0;
}

/* Of fio's main process: how large the disk is. */
int engine_setup(struct thread_data *td)
{
	const char *wrong = host_judge(td);
	struct vio_client_info info;
	struct vio_client *client;

	if (wrong)
		return complain("this fio isn't the one that the engine was built for", wrong);
	if (judge_options(td))
		return 1;
	client = connect_to(host_options(td), 1);
	if (!client)
		return 1;
	vio_client_get_info(client, &info);
	vio_client_close(client);
	return host_set_file(td, info.disk.bytes)
		       ? 0
		       : complain("files", "a job has one file at most, and its name doesn't matter");
}

void engine_cleanup(struct thread_data *td)
{
	struct engine *engine = host_private(td);

	host_set_private(td, NULL);
	if (!engine)
		return;
	vio_client_close(engine->client);
	for (uint16_t i = 0; engine->queues && i < engine->queue_count; i++)
		free(engine->queues[i].pending);
	free(engine->queues);
	free(engine->events);
	free(engine->refused);
	free(engine);
}

static int make(struct engine *engine)
{
	struct vio_client_info info;

	vio_client_get_info(engine->client, &info);
	engine->queue_count = info.queue_count;
	engine->queues = calloc(info.queue_count, sizeof(*engine->queues));
	engine->events = calloc(engine->depth, sizeof(struct io_u *));
	engine->refused = calloc(engine->depth, sizeof(struct io_u *));
	if (!engine->queues || !engine->events || !engine->refused)
		return complain("memory", "none left");
	for (uint16_t i = 0; i < info.queue_count; i++) {
		engine->queues[i].queue = vio_client_get_queue(engine->client, i);
		engine->queues[i].pending = calloc(engine->depth, sizeof(struct pending));
		if (!engine->queues[i].pending)
			return complain("memory", "none left");
	}
	return 0;
}

/* Of a job, where it runs. */
int engine_init(struct thread_data *td)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	int failed;

	if (!engine)
		return complain("memory", "none left");
	engine->depth = host_depth(td);
	engine->polls = host_options(td)->polls;
	host_set_private(td, engine);
	engine->client = connect_to(host_options(td), engine->depth);
	failed = !engine->client || make(engine);
	if (failed)
		engine_cleanup(td);
	return failed;
}

int engine_iomem_alloc(struct thread_data *td, size_t bytes)
{
	struct engine *engine = host_private(td);
	void *memory = host_buffer_fits(td, bytes) ? vio_client_alloc(engine->client, bytes) : NULL;

	if (!memory)
		return complain("buffers", "more than 1 GiB, or this isn't the fio that the engine is for");
	host_set_buffer(td, memory);
	return 0;
}

void engine_iomem_free(struct thread_data *td)
{
	host_set_buffer(td, NULL); /* goes with the client */
}

/* Requests. */

static void finish(struct engine *engine, struct io_u *io_u, int result)
{
	host_set_error(io_u, errno_of(result));
	engine->events[engine->event_count++] = io_u;
}

int engine_queue(struct thread_data *td, struct io_u *io_u)
{
	static const uint16_t ops[] = { VIO_CLIENT_READ, VIO_CLIENT_WRITE, VIO_CLIENT_DISCARD,
					VIO_CLIENT_FLUSH };
	struct engine *engine = host_private(td);
	struct engine_queue *queue = &engine->queues[engine->next];
	struct host_io io = host_read_io(io_u);
	struct pending *pending;

	if (!engine->judged && !host_io_fits(td, io_u))
		io.ddir = HOST_OTHER;
	engine->judged = true;
	if (io.ddir == HOST_OTHER) {
		host_set_error(io_u, EINVAL);
		return HOST_COMPLETED;
	}
	if (queue->count == engine->depth)
		return HOST_BUSY;
	pending = &queue->pending[(queue->first + queue->count++) % engine->depth];
	pending->request = (struct vio_client_request){ .op = ops[io.ddir], .user_data = (uintptr_t)io_u };
	if (io.ddir != HOST_SYNC)
		pending->request.offset = io.offset;
	if (io.ddir == HOST_TRIM)
		pending->request.length = io.length;
	pending->part = (struct vio_part){ io.memory, (uint32_t)io.length };
	if (io.ddir <= HOST_WRITE)
		pending->request.part_count = 1;
	engine->next = (uint16_t)((engine->next + 1) % engine->queue_count);
	return HOST_QUEUED;
}

/* As many as there is room for; what is refused is done, with an error. */
static void show(struct engine *engine, struct engine_queue *queue)
{
	while (queue->count) {
		struct vio_client_request batch[BATCH];
		unsigned count = 0;
		int taken;

		for (; count < BATCH && count < queue->count; count++) {
			struct pending *pending = &queue->pending[(queue->first + count) % engine->depth];

			batch[count] = pending->request;
			batch[count].parts = &pending->part;
		}
		taken = vio_client_submit(queue->queue, batch, count);
		if (taken == -VIO_ENOSPC)
			return;
		if (taken < 0) {
			struct io_u *io_u = (struct io_u *)(uintptr_t)batch[0].user_data;

			host_set_error(io_u, errno_of(taken));
			engine->refused[engine->refused_count++] = io_u;
			taken = 1;
		}
		queue->first = (queue->first + (unsigned)taken) % engine->depth;
		queue->count -= (unsigned)taken;
	}
}

int engine_commit(struct thread_data *td)
{
	struct engine *engine = host_private(td);

	for (uint16_t i = 0; i < engine->queue_count; i++)
		show(engine, &engine->queues[i]);
	return 0;
}

/* What completed, up to `max` events. False when a queue has ended and has nothing to say any more. */
static bool collect(struct engine *engine, unsigned max)
{
	bool works = true;

	while (engine->refused_count && engine->event_count < max)
		engine->events[engine->event_count++] = engine->refused[--engine->refused_count];
	for (uint16_t i = 0; i < engine->queue_count && engine->event_count < max; i++) {
		struct vio_client_completion done[BATCH];
		unsigned room = max - engine->event_count;
		int count = vio_client_poll(engine->queues[i].queue, done, room < BATCH ? room : BATCH);

		works = works && count >= 0;
		for (int j = 0; j < count; j++)
			finish(engine, (struct io_u *)(uintptr_t)done[j].user_data, done[j].result);
	}
	return works;
}

/* Until a queue has something; a nap at most, as back ends may forget to say so. */
static void rest(const struct engine *engine)
{
	struct pollfd pollfds[VIO_CLIENT_QUEUES_MAX];

	for (uint16_t i = 0; i < engine->queue_count; i++) {
		if (!vio_client_arm(engine->queues[i].queue))
			return;
		pollfds[i] = (struct pollfd){ vio_client_queue_fd(engine->queues[i].queue), POLLIN, 0 };
	}
	poll(pollfds, engine->queue_count, NAP_MS);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int engine_getevents(struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *time)
{
	struct engine *engine = host_private(td);
	uint64_t end = time ? now_ns() + (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec : 0;

	engine->event_count = 0;
	for (;;) {
		unsigned before = engine->event_count;
		bool works = collect(engine, max);

		engine_commit(td);
		if (engine->refused_count && engine->event_count < max)
			continue;
		if (engine->event_count >= min || (end && now_ns() >= end))
			return (int)engine->event_count;
		if (!works && before == engine->event_count)
			return -EPIPE;
		if (!engine->polls && before == engine->event_count)
			rest(engine);
	}
}

struct io_u *engine_event(struct thread_data *td, int event)
{
	const struct engine *engine = host_private(td);

	return engine->events[event];
}
