/* SPDX-License-Identifier: BSD-3-Clause */
#include "link/vfio_user/server.h"

/*
 * Queues that are served by threads of their own. The function's model knows one thread, so what a queue's
 * thread does goes around it: it takes kicks, serves its queue, and raises its vector where nothing has to be
 * remembered. The model and the server's books change while all threads stand still, so that they may be
 * looked at.
 */

void vfu_halt(struct vio_vfio_user *server)
{
	if (server->crew.halt)
		server->crew.halt(server->crew.context);
}

void vfu_resume(struct vio_vfio_user *server)
{
	if (server->crew.resume)
		server->crew.resume(server->crew.context);
}

static void post(struct vfu_queue *queue, struct vio_task *task)
{
	const struct vio_watch_crew *crew = &queue->server->crew;

	crew->post(crew->context, task);
}

void vfu_serve(struct vfu_queue *queue)
{
	struct vio_vfio_user *server = queue->server;

	/* Queues that rest may go on by a kick, and relays look: neither is for one thread to say. */
	if (server->resting || queue->relay || vio_device_serve(server->dev, queue->index))
		post(queue, &queue->settle);
}

static void again(struct vio_task *task)
{
	vfu_serve(VIO_CONTAINER_OF(task, struct vfu_queue, again));
}

static void settle(struct vio_task *task)
{
	struct vfu_queue *queue = VIO_CONTAINER_OF(task, struct vfu_queue, settle);
	struct vio_device *dev = queue->server->dev;

	vfu_release_queues(queue->server);
	vio_device_settle(dev, queue->index);
	vio_device_kick(dev, queue->index);
	if (queue->kicked)
		vfu_relay_kick(queue);
	queue->kicked = false;
	vfu_relays_settle(queue->server);
}

static void interrupt(struct vio_task *task)
{
	struct vfu_queue *queue = VIO_CONTAINER_OF(task, struct vfu_queue, interrupt);
	struct vio_vfio_user *server = queue->server;

	server->model_events->queue_interrupt(&server->model, queue->index);
}

/* What the device tells. */

static void on_queue_interrupt(void *context, uint16_t index)
{
	struct vio_vfio_user *server = context;
	const int vector = vio_pci_device_vector(&server->model, index);
	const struct vfu_irq *irq = vector < 0 ? NULL : &server->msix[vector];

	if (irq && !irq->masked && irq->signal.kind != LINK_SIGNAL_NONE)
		link_signal_raise(&irq->signal);
	else
		post(&server->queues[index], &server->queues[index].interrupt);
}

static void on_config_interrupt(void *context)
{
	struct vio_vfio_user *server = context;

	server->model_events->config_interrupt(&server->model);
}

static void on_kick_again(void *context, uint16_t index)
{
	struct vio_vfio_user *server = context;
	struct vfu_queue *queue = &server->queues[index];

	queue->watcher.defer(queue->watcher.context, &queue->again);
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	struct vio_vfio_user *server = context;

	server->model_events->fault(&server->model, fault);
}

static const struct vio_device_events events = {
	.queue_interrupt = on_queue_interrupt,
	.config_interrupt = on_config_interrupt,
	.kick_again = on_kick_again,
	.fault = on_fault,
};

void vfu_threads_attach(struct vio_vfio_user *server)
{
	if (!server->crew.post)
		return;
	server->model_events = server->dev->events;
	server->dev->events = &events;
	server->dev->events_context = server;
}

void vfu_threads_cancel(struct vio_vfio_user *server)
{
	const struct vio_watch_crew *crew = &server->crew;
	uint16_t i;

	for (i = 0; crew->post && i < server->dev->queue_count; i++) {
		struct vfu_queue *queue = &server->queues[i];

		queue->watcher.cancel(queue->watcher.context, &queue->again);
		crew->cancel(crew->context, &queue->settle);
		crew->cancel(crew->context, &queue->interrupt);
	}
}

void vio_vfio_user_spread(struct vio_vfio_user *server, const struct vio_watch_crew *crew)
{
	uint16_t i;

	server->crew = *crew;
	for (i = 0; i < server->dev->queue_count; i++) {
		struct vfu_queue *queue = &server->queues[i];

		queue->watcher = crew->watcher(crew->context, i);
		queue->again.run = again;
		queue->settle.run = settle;
		queue->interrupt.run = interrupt;
	}
}
