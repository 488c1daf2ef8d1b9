/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user/bed.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhost_user/frontend.h"

/* More rounds than any test has events. */
#define TURNS_MAX 4000u

static void answer(struct vio_devq *q, struct vio_buf *buf)
{
	uint8_t bytes[256];
	size_t length = vio_read(buf, bytes, sizeof(bytes)), i;

	for (i = 0; i < length; i++)
		bytes[i]++;
	vio_devq_push(q, buf, (uint32_t)vio_write(buf, bytes, length));
}

static void put_back(struct echo *echo, struct vio_devq *q)
{
	struct vio_buf buffers[BED_QUEUE_SIZE], buf;
	unsigned count = 0;

	assert_true(vio_devq_pop(q, &buf));
	answer(q, &buf);
	while (count < echo->put_back && vio_devq_pop(q, &buffers[count]))
		count++;
	while (count)
		vio_devq_unpop(q, &buffers[--count]);
	echo->put_back = 0;
	vio_devq_notify(q);
}

static void echo_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct echo *echo = vio_device_state(dev);
	struct vio_buf buf;

	if (echo->put_back) {
		put_back(echo, q);
		return;
	}
	while (vio_devq_pop(q, &buf)) {
		echo->served[q->index]++;
		if (echo->hold && echo->held_count < BED_HELD_MAX)
			echo->held[echo->held_count++] = buf;
		else
			answer(q, &buf);
	}
	vio_devq_notify(q);
}

/* The test holds buffers of one queue at a time. */
static void echo_drain(struct vio_device *dev, struct vio_devq *q)
{
	struct echo *echo = vio_device_state(dev);

	echo->drains++;
	for (unsigned i = 0; i < echo->held_count; i++)
		answer(q, &echo->held[i]);
	echo->held_count = 0;
	vio_devq_notify(q);
}

static void echo_get_features(struct vio_device *dev, struct vio_features *offer)
{
	(void)dev;
	vio_features_set(offer, ECHO_F_LEGAL);
	vio_features_set(offer, ECHO_F_PICKY);
}

static int echo_validate_features(struct vio_device *dev, const struct vio_features *accepted)
{
	(void)dev;
	if (vio_features_has(accepted, ECHO_F_PICKY) && !vio_features_has(accepted, ECHO_F_LEGAL))
		return -VIO_ENOTSUP;
	return 0;
}

static void echo_get_config(struct vio_device *dev, void *config)
{
	const struct echo *echo = vio_device_state(dev);

	memcpy(config, echo->config, sizeof(echo->config));
}

static void echo_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	struct echo *echo = vio_device_state(dev);

	memcpy(echo->config + offset, (const uint8_t *)config + offset, length);
}

static void echo_reset(struct vio_device *dev)
{
	struct echo *echo = vio_device_state(dev);

	echo->resets++;
}

static void echo_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	const struct echo *echo = vio_device_state(dev);

	vio_state_put_bytes(writer, echo->config, sizeof(echo->config));
	vio_state_put_u32(writer, echo->ballast);
	for (uint32_t i = 0; i < echo->ballast; i++)
		vio_state_put_u8(writer, (uint8_t)i);
}

static int echo_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct echo *echo = vio_device_state(dev);
	uint8_t config[BED_CONFIG_BYTES];
	uint32_t ballast;

	assert_int_equal(version, 1);
	vio_state_get_bytes(reader, config, sizeof(config));
	ballast = vio_state_get_u32(reader);
	for (uint32_t i = 0; i < ballast && !reader->failed; i++)
		if (vio_state_get_u8(reader) != (uint8_t)i)
			return vio_state_refuse(reader, "ballast", i);
	if (reader->failed)
		return -VIO_ESTATE;
	if (config[0] == ECHO_UNLOADABLE)
		return vio_state_refuse(reader, "first byte", config[0]);
	memcpy(echo->config, config, sizeof(config));
	echo->loads++;
	return 0;
}

static const struct vio_device_class echo_class = {
	.name = "echo",
	.summary = "adds one to each byte",
	.id = 60,
	.queue_count = BED_QUEUES,
	.queue_size = BED_QUEUE_SIZE,
	.state_bytes = sizeof(struct echo),
	.config_bytes = BED_CONFIG_BYTES,
	.get_features = echo_get_features,
	.validate_features = echo_validate_features,
	.get_config = echo_get_config,
	.set_config = echo_set_config,
	.reset = echo_reset,
	.kick = echo_kick,
	.drain = echo_drain,
	.save = echo_save,
	.load = echo_load,
	.version = 1,
};

/* The loop. */

static int watch_add(void *context, struct vio_watch *watch)
{
	struct bed *bed = context;
	struct pollfd pollfd = { .fd = watch->fd, .events = POLLIN };

	if (bed->add_fails_after && !--bed->add_fails_after)
		return -VIO_ENOMEM;
	if (bed->watch_count == BED_WATCHES_MAX)
		return -VIO_ENOSPC;
	assert_true(poll(&pollfd, 1, 0) >= 0 && !(pollfd.revents & POLLNVAL));
	bed->watches[bed->watch_count++] = watch;
	return 0;
}

static void watch_remove(void *context, struct vio_watch *watch)
{
	struct bed *bed = context;
	unsigned i;

	for (i = 0; i < bed->watch_count && bed->watches[i] != watch; i++)
		;
	assert_true(i < bed->watch_count);
	bed->watches[i] = bed->watches[--bed->watch_count];
}

static void task_defer(void *context, struct vio_task *task)
{
	struct bed *bed = context;
	struct vio_task **at = &bed->tasks;

	if (task->queued)
		return;
	while (*at)
		at = &(*at)->next;
	*at = task;
	task->next = NULL;
	task->queued = true;
}

static void task_cancel(void *context, struct vio_task *task)
{
	struct bed *bed = context;
	struct vio_task **at = &bed->tasks;

	if (!task->queued)
		return;
	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->queued = false;
}

static bool watched(const struct bed *bed, const struct vio_watch *watch)
{
	for (unsigned i = 0; i < bed->watch_count; i++)
		if (bed->watches[i] == watch)
			return true;
	return false;
}

unsigned bed_turn(struct bed *bed)
{
	struct pollfd pollfds[BED_WATCHES_MAX];
	struct vio_watch *watches[BED_WATCHES_MAX];
	struct vio_task *task = bed->tasks;
	unsigned count = bed->watch_count, called = 0;

	for (unsigned i = 0; i < count; i++) {
		watches[i] = bed->watches[i];
		pollfds[i] = (struct pollfd){ .fd = watches[i]->fd, .events = POLLIN };
	}
	assert_true(poll(pollfds, count, 0) >= 0);
	for (unsigned i = 0; i < count; i++)
		if (pollfds[i].revents && watched(bed, watches[i])) {
			watches[i]->ready(watches[i]);
			called++;
		}
	if (task && bed->tasks == task) {
		bed->tasks = task->next;
		task->queued = false;
		task->run(task);
		called++;
	}
	return called;
}

void bed_settle(struct bed *bed)
{
	unsigned turns;

	for (turns = 0; turns < TURNS_MAX && bed_turn(bed); turns++)
		;
	assert_true(turns < TURNS_MAX);
}

static void closed(void *context, int reason)
{
	struct bed *bed = context;

	bed->closed++;
	bed->reason = reason;
	if (bed->restart_on_close) {
		bed->restart_on_close = false;
		bed->restart_result = vio_vhost_user_start(bed->backend, bed->restart_fd);
	}
}

static void log_line(void *context, const char *line)
{
	struct bed *bed = context;

	assert_true(line[0] && !strchr(line, '\n'));
	bed->lines++;
	snprintf(bed->line, sizeof(bed->line), "%s", line);
}

void bed_make(struct bed *bed)
{
	static const struct vio_vhost_user_events events = { .closed = closed, .log = log_line };

	memset(bed, 0, sizeof(*bed));
	bed->fds_before = leaks_descriptors();
	bed->maps_before = leaks_mappings(FRONTEND_MEMORY_NAME);
	bed->watcher = (struct vio_watcher){
		.context = bed,
		.add = watch_add,
		.remove = watch_remove,
		.defer = task_defer,
		.cancel = task_cancel,
	};
	bed->echo = calloc(1, sizeof(*bed->echo));
	assert_non_null(bed->echo);
	vio_device_init(&bed->dev, &echo_class, bed->echo);
	assert_int_equal(vio_device_realize(&bed->dev), 0);
	bed->storage = malloc(vio_device_storage_bytes(&bed->dev));
	assert_non_null(bed->storage);
	vio_device_provide(&bed->dev, bed->storage);
	bed->backend = vio_vhost_user_create(&bed->dev, &bed->watcher, &events, bed);
	assert_non_null(bed->backend);
	for (unsigned i = 0; i < BED_CONFIG_BYTES; i++)
		bed->echo->config[i] = (uint8_t)(0xa0 + i);
}

void bed_free(struct bed *bed)
{
	vio_vhost_user_destroy(bed->backend);
	assert_int_equal(bed->watch_count, 0);
	assert_null(bed->tasks);
	vio_device_unrealize(&bed->dev);
	free(bed->storage);
	free(bed->echo);
	assert_int_equal(leaks_descriptors(), bed->fds_before);
	assert_int_equal(leaks_mappings(FRONTEND_MEMORY_NAME), bed->maps_before);
}

void bed_check_idle(const struct bed *bed, unsigned frontend_fds)
{
	assert_int_equal(leaks_descriptors(), bed->fds_before + frontend_fds);
	assert_int_equal(leaks_mappings(FRONTEND_MEMORY_NAME), bed->maps_before);
	assert_int_equal(bed->watch_count, 0);
	assert_null(bed->tasks);
	assert_int_equal(bed->dev.status, 0);
	assert_int_equal(bed->dev.phase, VIO_DEVICE_READY);
	for (unsigned i = 0; i < BED_QUEUES; i++)
		assert_false(bed->dev.queues[i].running);
}
