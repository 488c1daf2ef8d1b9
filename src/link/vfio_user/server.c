/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/vfio_user/server.h"

/* So that a peer with a lot to say doesn't keep other connections of the loop waiting. */
#define MESSAGES_A_TURN 64

void vfu_log(struct vio_vfio_user *server, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	link_log(&server->log, format, arguments);
	va_end(arguments);
}

int vfu_refuse(struct vio_vfio_user *server, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	link_log(&server->log, format, arguments);
	va_end(arguments);
	return error;
}

/* What the model tells its owner. */

static void on_work(void *context)
{
	struct vio_vfio_user *server = context;

	server->watcher.defer(server->watcher.context, &server->work);
}

static void on_starting(void *context, uint16_t queue, struct vio_devq_config *config)
{
	struct vio_vfio_user *server = context;

	vfu_relay_place(&server->queues[queue], config);
}

static void work(struct vio_task *task)
{
	struct vio_vfio_user *server = VIO_CONTAINER_OF(task, struct vio_vfio_user, work);

	vfu_halt(server);
	vfu_release_queues(server);
	vio_pci_device_run(&server->model); /* asks for more by on_work() */
	vfu_resume(server);
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	struct vio_vfio_user *server = context;

	vfu_log(server, "queue %u: %s (descriptor %u, value %#llx)", fault->queue,
		vio_fault_name(fault->kind), fault->index, (unsigned long long)fault->value);
}

/* The connection. */

void vio_vfio_user_stop(struct vio_vfio_user *server)
{
	if (server->socket.fd < 0)
		return;
	vfu_halt(server);
	link_socket_await_nothing(&server->socket);
	vfu_kicks_close(server);
	vfu_forget_held(server);
	vfu_migration_reset(server);
	vio_pci_device_end(&server->model);
	server->watcher.cancel(server->watcher.context, &server->work);
	vfu_threads_cancel(server);
	vfu_relays_sweep(server);
	vfu_dma_forget(server);
	vfu_interrupts_close(server);
	vfu_memory_clear(&server->memory);
	vfu_receiver_next(&server->receiver);
	server->receiver.state.mistake = NULL;
	server->sender.length = server->sender.sent = 0;
	close(server->socket.fd);
	server->socket.fd = -1;
	server->negotiated = false;
	vfu_resume(server);
}

/* Nothing of the server may be touched after it: `closed` may start anew. */
static void end_connection(struct vio_vfio_user *server, int reason)
{
	if (server->receiver.state.mistake)
		vfu_log(server, "%s", server->receiver.state.mistake);
	if (vfu_memory_torn(&server->memory)) {
		vfu_log(server, "the client has cut its memory short");
		reason = -VIO_EPROTO;
	}
	vio_vfio_user_stop(server);
	server->events->closed(server->context, reason);
}

static void room_ready(struct vio_watch *watch)
{
	struct vio_vfio_user *server = VIO_CONTAINER_OF(watch, struct vio_vfio_user, socket.room);
	int result = vfu_send(&server->sender, server->socket.fd);

	if (result > 0) {
		result = link_socket_await_message(&server->socket);
		server->watcher.defer(server->watcher.context, &server->dma.task);
	}
	if (result < 0)
		end_connection(server, result);
}

int vfu_flush(struct vio_vfio_user *server)
{
	int result = vfu_send(&server->sender, server->socket.fd);

	return result ? result : link_socket_await_room(&server->socket);
}

/* 1: go on; 0: nothing to do for now; a negative code ends the connection. */
static int one_message(struct vio_vfio_user *server)
{
	int result = vfu_receive(&server->receiver, server->socket.fd);

	if (result <= 0)
		return result;
	server->heard++;
	vfu_halt(server);
	result = vfu_handle_message(server);
	vfu_relays_sweep(server);
	vfu_resume(server);
	vfu_receiver_next(&server->receiver);
	return result < 0 ? result : vfu_flush(server);
}

static void go_on(struct vio_task *task)
{
	struct vio_vfio_user *server = VIO_CONTAINER_OF(task, struct vio_vfio_user, dma.task);
	int result;

	vfu_halt(server);
	vfu_relays_settle(server);
	result = vfu_dma_go_on(server);
	vfu_resume(server);
	if (result < 0)
		end_connection(server, result);
}

static void socket_ready(struct vio_watch *watch)
{
	struct vio_vfio_user *server = VIO_CONTAINER_OF(watch, struct vio_vfio_user, socket.messages);
	int result = 1, turn;

	for (turn = 0; turn < MESSAGES_A_TURN && result > 0; turn++)
		result = one_message(server);
	if (result < 0)
		end_connection(server, result);
}

static int attach(struct vio_vfio_user *server)
{
	const struct vio_pci_device_config config = {
		.device = server->dev,
		.mem = &server->memory.mem,
		.kind = VIO_PCI_MODERN,
		.flags = VIO_PCI_BAR_64 | VIO_PCI_NO_DECODER,
		.vectors = server->vector_count,
		.queues = server->model_queues,
		.vector_states = server->vectors,
		.context = server,
		.interrupt = vfu_line,
		.vector = vfu_vector,
		.work = on_work,
		.starting = on_starting,
		.fault = on_fault,
	};

	return vio_pci_device_init(&server->model, &config);
}

uint64_t vio_vfio_user_heard(const struct vio_vfio_user *server)
{
	return server->heard;
}

int vio_vfio_user_start(struct vio_vfio_user *server, int socket_fd)
{
	int error = -VIO_EBUSY;

	if (server->socket.fd < 0) {
		server->log.lines = 0;
		server->heard = 0;
		error = attach(server);
		if (!error) {
			vfu_threads_attach(server);
			server->socket.fd = socket_fd;
			error = link_socket_await_message(&server->socket);
			if (!error)
				return 0;
			server->socket.fd = -1;
			vio_pci_device_end(&server->model);
		}
	}
	close(socket_fd);
	return error;
}

struct vio_vfio_user *vio_vfio_user_create(struct vio_device *dev, const struct vio_watcher *watcher,
					   const struct vio_vfio_user_events *events, void *context)
{
	/* One for the configuration, one for each queue. */
	unsigned vectors =
		dev->queue_count < PCI_MSIX_VECTORS_MAX ? dev->queue_count + 1u : PCI_MSIX_VECTORS_MAX;
	struct vio_vfio_user *server = calloc(1, sizeof(*server));
	uint16_t i;

	if (!server)
		return NULL;
	server->dev = dev;
	server->watcher = *watcher;
	server->events = events;
	server->context = context;
	server->vector_count = (uint16_t)vectors;
	server->log = (struct link_log){ events->log, context, 0 };
	link_socket_init(&server->socket, watcher, socket_ready, room_ready);
	server->rest.fd = -1;
	server->work.run = work;
	server->dma.task.run = go_on;
	server->migration.state = VFIO_USER_STATE_RUNNING;
	vfu_memory_init(&server->memory);
	server->msix = calloc(vectors, sizeof(*server->msix));
	server->vectors = calloc(vectors, sizeof(*server->vectors));
	server->queues = calloc(dev->queue_count + 1u, sizeof(*server->queues));
	server->model_queues = calloc(dev->queue_count + 1u, sizeof(*server->model_queues));
	if (!server->msix || !server->vectors || !server->queues || !server->model_queues) {
		vio_vfio_user_destroy(server);
		return NULL;
	}
	for (i = 0; i < dev->queue_count; i++) {
		server->queues[i].server = server;
		server->queues[i].watcher = server->watcher;
		server->queues[i].kick.fd = -1;
		server->queues[i].index = i;
	}
	return server;
}

void vio_vfio_user_destroy(struct vio_vfio_user *server)
{
	if (!server)
		return;
	vio_vfio_user_stop(server);
	free(server->model_queues);
	free(server->queues);
	free(server->vectors);
	free(server->msix);
	free(server);
}
