/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/client.h"

#define RING_MAX     1024u /* entries; what a back end doesn't take is halved */
#define SIZE_LEAST   64u
#define QUEUE_EXTRAS 65536u /* bytes of a queue's memory beside what counts in requests */

/* Queues. */

static uint16_t ring_size(unsigned entries)
{
	unsigned size = 4;

	while (size < entries && size < RING_MAX)
		size *= 2;
	return (uint16_t)size;
}

uint16_t client_ring_size(const struct vio_client *client, unsigned descriptors)
{
	bool indirect = vio_dev_has_feature(&client->dev, VIRTIO_F_INDIRECT_DESC);
	uint16_t size = ring_size(client->options.depth * (indirect ? 1 : descriptors));

	/* A request has no more parts than a ring has entries, also in a table. */
	return descriptors > 1 && size < SIZE_LEAST ? SIZE_LEAST : size;
}

static int make_slots(struct vio_client *client, struct vio_client_queue *queue)
{
	const struct vio_platform *platform = client->platform;
	unsigned i;
	int error = platform->take(platform->context, queue->depth * sizeof(*queue->frames),
				   VIO_MEM_READ | VIO_MEM_WRITE, &queue->memory);

	if (error)
		return error;
	queue->frames = queue->memory.host;
	queue->slots = calloc(queue->depth, sizeof(*queue->slots));
	queue->sg = calloc(CLIENT_BATCH, sizeof(*queue->sg));
	if (!queue->slots || !queue->sg)
		return -VIO_ENOMEM;
	for (i = queue->depth; i--;) {
		queue->slots[i].index = (uint16_t)i;
		queue->slots[i].next = queue->free;
		queue->free = &queue->slots[i];
	}
	return 0;
}

int client_add_queue(struct vio_client *client, uint16_t index, uint16_t device_queue, unsigned descriptors)
{
	struct vio_client_queue *queue = &client->queues[index];
	const struct vio_queue_wish wish = {
		.size = client_ring_size(client, descriptors),
		.indirect_max = descriptors > 1 ? (uint16_t)(VIO_CLIENT_PARTS_MAX + 2) : 0,
	};
	int error;

	if (queue->fd < 0)
		queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = queue->fd < 0 ? -VIO_ESYS : vu_front_set_call(client->front, device_queue, queue->fd);
	if (!error)
		error = vio_dev_add_queue(&client->dev, device_queue, &wish, &queue->q);
	if (error)
		return error;
	if (queue->q->size < descriptors && !queue->q->indirect_max)
		return -VIO_ENOTSUP;
	queue->client = client;
	queue->index = index;
	queue->depth = client->options.depth < queue->q->size ? client->options.depth : queue->q->size;
	return make_slots(client, queue);
}

static void free_queues(struct vio_client *client)
{
	for (unsigned i = 0; i < VIO_CLIENT_QUEUES_MAX; i++) {
		struct vio_client_queue *queue = &client->queues[i];

		free(queue->slots);
		free(queue->sg);
		free(queue->lent);
		if (queue->fd >= 0)
			close(queue->fd);
	}
}

struct vio_client_queue *vio_client_get_queue(struct vio_client *client, uint16_t index)
{
	return index < client->queue_count ? &client->queues[index] : NULL;
}

/* Memory. */

void *vio_client_alloc(struct vio_client *client, size_t bytes)
{
	struct vio_shared memory;
	int error;

	pthread_mutex_lock(&client->lock);
	error = vio_arena_take(&client->front->arena, bytes, VIO_MEM_READ | VIO_MEM_WRITE, &memory);
	pthread_mutex_unlock(&client->lock);
	return error ? NULL : memory.host;
}

void vio_client_free(struct vio_client *client, void *memory, size_t bytes)
{
	if (!memory || !client_sees(client, memory, bytes))
		return;
	pthread_mutex_lock(&client->lock);
	/* A back end that was given up may still be at work on it. */
	if (!client->info.gone)
		vio_arena_give_back(&client->front->arena, &(struct vio_shared){ .host = memory }, bytes);
	pthread_mutex_unlock(&client->lock);
}

/* Opening. */

static int connect_to(void *context)
{
	const struct vio_client *client = context;
	const struct vio_client_options *options = &client->options;

	return options->path ? vio_vhost_user_frontend_connect(options->path)
			     : options->connect(options->context);
}

/* In the control thread, or while opening; a client that is to be closed has waited enough. */
static int connect_again(void *context)
{
	struct vio_client *client = context;

	if (!atomic_exchange(&client->reconnecting, true)) {
		pthread_mutex_lock(&client->lock);
		client->info.reconnecting = true;
		pthread_mutex_unlock(&client->lock);
	}
	if (!atomic_load(&client->closing) && !atomic_load(&client->hang_up))
		return connect_to(client);
	vio_vhost_user_frontend_hang_up(&client->dev);
	return -VIO_EHANGUP;
}

static int judge_options(const struct vio_client_options *options, struct vio_message *message)
{
	const unsigned known = VIO_CLIENT_RECONNECT | VIO_CLIENT_NO_COPIES | VIO_CLIENT_SPLIT;

	if (!options->path == !options->connect)
		return vio_fail(message, -VIO_EINVAL,
				"give the path of a socket, or a function that connects");
	if (options->flags & ~known)
		return vio_fail(message, -VIO_EINVAL, "flags %#x: only %#x are known", options->flags, known);
	if (options->queue_count > VIO_CLIENT_QUEUES_MAX)
		return vio_fail(message, -VIO_EINVAL, "%u queues: there are no more than %u",
				options->queue_count, VIO_CLIENT_QUEUES_MAX);
	if (options->depth > VIO_CLIENT_DEPTH_MAX)
		return vio_fail(message, -VIO_EINVAL, "a depth of %u: no more than %u are in flight",
				options->depth, VIO_CLIENT_DEPTH_MAX);
	return 0;
}

static struct vio_client *make(const struct vio_client_options *options, const struct client_kind *kind)
{
	struct vio_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->options = *options;
	client->kind = kind;
	if (!client->options.queue_count)
		client->options.queue_count = 1;
	if (!client->options.depth)
		client->options.depth = VIO_CLIENT_DEPTH;
	if (!client->options.memory_bytes)
		client->options.memory_bytes = VIO_CLIENT_MEMORY_BYTES;
	if (!client->options.request_ms)
		client->options.request_ms = VIO_CLIENT_REQUEST_MS;
	pthread_mutex_init(&client->lock, NULL);
	for (unsigned i = 0; i < VIO_CLIENT_QUEUES_MAX; i++)
		client->queues[i].fd = -1;
	client->dev_queues = calloc(2 * VIO_CLIENT_QUEUES_MAX + 1, sizeof(*client->dev_queues));
	client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return client;
}

static void destroy(struct vio_client *client)
{
	free_queues(client);
	free(client->dev_queues);
	if (client->wake_fd >= 0)
		close(client->wake_fd);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* With what the rings of all queues take, and what is in front of a request's data. */
static size_t arena_bytes(const struct vio_client *client)
{
	const size_t request = sizeof(struct client_frame) + (VIO_CLIENT_PARTS_MAX + 2) * 16 * 2 + 64;
	const size_t queue = QUEUE_EXTRAS + client->options.depth * request * 2 + RING_MAX * 32;

	return client->options.memory_bytes + client->options.queue_count * queue;
}

static int open_front(struct vio_client *client, struct vio_message *message)
{
	const struct vio_vhost_user_frontend_options options = {
		.id = client->kind->id,
		.flags = client->kind->front_flags,
		.timeout_ms = client->options.timeout_ms,
		.queue_size = ring_size(3u * client->options.depth + SIZE_LEAST),
		.queues_unsaid = client->kind->queues_unsaid,
		.arena_bytes = arena_bytes(client),
		.reconnect = client->options.flags & VIO_CLIENT_RECONNECT ? connect_again : NULL,
		.reconnect_ms = client->options.reconnect_ms,
		.context = client,
	};
	const char *name = client->options.path ? client->options.path : "the back end";
	struct vio_vhost_user_mistake mistake = { "" };
	int fd, error;

	errno = 0;
	fd = connect_to(client);
	if (fd == -VIO_EINVAL && client->options.path)
		return vio_fail(message, fd, "'%s' is no path of a socket", name);
	if (fd < 0)
		return vio_fail(message, fd, "%s: no connection: %s", name,
				errno ? strerror(errno) : vio_strerror(fd));
	error = vio_vhost_user_frontend_open(fd, &options, &client->dev, &mistake);
	if (error)
		return vio_fail(message, error, "%s: no agreement with the back end: %s (%s)", name,
				mistake.text, vio_strerror(error));
	client->front = vu_front_of(&client->dev);
	client->platform = vio_vhost_user_frontend_platform(&client->dev);
	return 0;
}

static void fill_info(struct vio_client *client)
{
	struct vio_client_info *info = &client->info;

	info->features = client->dev.accepted.word[0];
	info->queue_count = client->queue_count;
	info->depth = client->queues[0].depth;
	info->can_reconnect = client->front->inflight_fd >= 0;
	for (unsigned i = 1; i < client->queue_count; i++)
		if (client->queues[i].depth < info->depth)
			info->depth = client->queues[i].depth;
}

static int begin(struct vio_client *client, struct vio_message *message)
{
	int error = open_front(client, message);
	const char *mistake;

	if (error)
		return error;
	client->dev.owner = client;
	error = vio_driver_bind(&client->dev, client->kind->driver, client->platform, &client->driver_state);
	if (!error) {
		fill_info(client);
		error = client_control_start(client);
	}
	if (!error)
		return 0;
	mistake = vio_vhost_user_frontend_mistake(&client->dev);
	return vio_fail(message, error, "%s: the device can't be driven: %s%s%s%s",
			client->options.path ? client->options.path : "the back end", vio_strerror(error),
			*mistake ? " (" : "", mistake, *mistake ? ")" : "");
}

static int open_client(const struct vio_client_options *options, const struct client_kind *kind,
		       struct vio_client **opened, struct vio_message *message)
{
	struct vio_client *client;
	int error;

	*opened = NULL;
	message->text[0] = '\0';
	error = judge_options(options, message);
	if (error)
		return error;
	client = make(options, kind);
	if (!client || !client->dev_queues || client->wake_fd < 0) {
		if (client)
			destroy(client);
		return vio_fail(message, -VIO_ENOMEM, "no memory or descriptors left");
	}
	error = begin(client, message);
	if (error) {
		vio_client_close(client);
		return error;
	}
	*opened = client;
	return 0;
}

int vio_client_open_disk(const struct vio_client_options *options, struct vio_client **client,
			 struct vio_message *message)
{
	return open_client(options, &client_disk, client, message);
}

int vio_client_open_port(const struct vio_client_options *options, struct vio_client **client,
			 struct vio_message *message)
{
	return open_client(options, &client_port, client, message);
}

void vio_client_close(struct vio_client *client)
{
	if (!client)
		return;
	client_control_stop(client);
	if (client->dev.transport && vio_dev_close(&client->dev)) {
		/* It doesn't finish its reset. What it has of our memory goes with that. */
		vio_vhost_user_frontend_hang_up(&client->dev);
		vio_dev_close(&client->dev);
	}
	destroy(client);
}

/* Questions. */

void vio_client_get_info(struct vio_client *client, struct vio_client_info *info)
{
	pthread_mutex_lock(&client->lock);
	*info = client->info;
	pthread_mutex_unlock(&client->lock);
	if (!atomic_load(&client->gone))
		info->gone = 0; /* not before everybody can see it */
}

void vio_client_get_mistake(struct vio_client *client, struct vio_message *message)
{
	pthread_mutex_lock(&client->lock);
	*message = client->mistake;
	pthread_mutex_unlock(&client->lock);
}
