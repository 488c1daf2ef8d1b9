/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/timerfd.h>
#include <unistd.h>

#include "link/vfio_user/server.h"

/*
 * Queues rest while memory changes, and then for as long as it may still be changing: QEMU takes
 * all of the memory away and gives it back in pieces, under queues that are in use, whenever
 * firmware opens or closes a window in it. Nothing says which piece is the last. Any command that isn't
 * about memory comes from a machine that runs again, and so does a kick by message; without either the
 * rest is over after a while.
 *
 * An eventfd may be kicked by another processor of the machine than the one that changes memory. Queues
 * that have their rings go on then, and the kicked one, too, if it hasn't, waits for them: only a change
 * of memory can bring them back, and that winds up the timer. Nobody needs to remember the kick, as a
 * queue that starts looks into its ring.
 */
#define REST_MS 100

/* Where the driver has its rings; memory without a descriptor may have come in place of such with one. */
static struct vio_devq_config *place(const struct vfu_queue *queue, struct vio_devq_config *config)
{
	const uint64_t *area = queue->server->model_queues[queue->index].area;

	config->at = queue->base;
	config->descriptor_area = vio_addr_make(area[0]);
	config->driver_area = vio_addr_make(area[1]);
	config->device_area = vio_addr_make(area[2]);
	return config;
}

/* hostile: A108 */
static void go_on(struct vio_vfio_user *server, struct vfu_queue *queue)
{
	struct vio_devq_config config = server->dev->queue_configs[queue->index];

	queue->held = false;
	if (!queue->relay)
		vfu_relay_place(queue, place(queue, &config));
	config.at = queue->base;
	if (vio_device_queue_start(server->dev, queue->index, &config))
		vio_device_needs_reset(server->dev);
	vfu_relay_go_on(queue);
	vfu_relays_sweep(server); /* one that is new begins */
}

static void rest_over(struct vio_watch *watch)
{
	struct vio_vfio_user *server = VIO_CONTAINER_OF(watch, struct vio_vfio_user, rest);

	vfu_halt(server);
	vfu_release_queues(server);
	vfu_resume(server);
}

/* Without a timer they go on with the next command. */
static void rest(struct vio_vfio_user *server)
{
	const struct itimerspec soon = { .it_value = { 0, REST_MS * 1000000 } };

	if (server->rest.fd < 0) {
		server->rest.ready = rest_over;
		server->rest.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		if (server->rest.fd < 0)
			return;
		if (server->watcher.add(server->watcher.context, &server->rest)) {
			close(server->rest.fd);
			server->rest.fd = -1;
			return;
		}
	}
	timerfd_settime(server->rest.fd, 0, &soon, NULL);
}

static void end_timer(struct vio_vfio_user *server)
{
	if (server->rest.fd < 0)
		return;
	server->watcher.remove(server->watcher.context, &server->rest);
	close(server->rest.fd);
	server->rest.fd = -1;
}

void vfu_hold_queues(struct vio_vfio_user *server)
{
	uint16_t i;

	for (i = 0; i < server->dev->queue_count; i++) {
		struct vfu_queue *queue = &server->queues[i];

		if (!server->dev->queues[i].running)
			continue; /* or held already, and then the rest goes on */
		queue->held = true;
		vfu_relay_rest(queue);
		queue->base = vio_device_queue_stop(server->dev, i);
		server->resting = true;
	}
	if (server->resting && !vfu_stopped(server))
		rest(server);
}

void vfu_release_queues(struct vio_vfio_user *server)
{
	uint16_t i;

	if (!server->resting)
		return;
	end_timer(server);
	if (vfu_stopped(server))
		return;
	server->resting = false;
	for (i = 0; i < server->dev->queue_count; i++) {
		struct vfu_queue *queue = &server->queues[i];

		/* What the driver reset, or set up anew, since then is none of ours. */
		if (!server->model_queues[i].enabled || server->dev->queues[i].running)
			queue->held = false;
		if (queue->held && vfu_relay_present(queue))
			go_on(server, queue);
		server->resting |= queue->held;
	}
}

void vfu_release_kicked(struct vio_vfio_user *server, uint16_t index)
{
	struct vfu_queue *queue = &server->queues[index];

	if (queue->held && server->model_queues[index].enabled && !server->dev->queues[index].running)
		go_on(server, queue);
}

void vfu_forget_held(struct vio_vfio_user *server)
{
	uint16_t i;

	end_timer(server);
	server->resting = false;
	for (i = 0; i < server->dev->queue_count; i++)
		server->queues[i].held = false;
}
