/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/vhost_user/backend.h"

/* So that a peer with a lot to say doesn't keep other connections of the loop waiting (hostile: C9). */
#define MESSAGES_A_TURN 64

void vu_log(struct vio_vhost_user *backend, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	link_log(&backend->log, format, arguments);
	va_end(arguments);
}

uint64_t vio_vhost_user_protocol_features(const struct vio_vhost_user *backend)
{
	uint64_t features =
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_MQ | UINT64_C(1) << VHOST_USER_PROTOCOL_F_REPLY_ACK |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_RESET_DEVICE |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_STATUS | UINT64_C(1) << VHOST_USER_PROTOCOL_F_LOG_SHMFD |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_DEVICE_STATE |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT |
		UINT64_C(1) << VHOST_USER_PROTOCOL_F_GPA_ADDRESSES;

	if (backend->dev->config_bytes)
		features |= UINT64_C(1) << VHOST_USER_PROTOCOL_F_CONFIG;
	return features;
}

/* What the device tells its attachment. */

static void on_queue_interrupt(void *context, uint16_t queue)
{
	struct vio_vhost_user *backend = context;

	vu_vring_interrupt(&backend->vrings[queue]);
}

void vu_tell_config(struct vio_vhost_user *backend)
{
	struct vhost_user_header header = { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_FLAGS_VERSION,
					    0 };

	backend->owes_config = vu_suspended(backend);
	if (backend->owes_config || !vu_has_protocol(backend, VHOST_USER_PROTOCOL_F_CONFIG))
		return;
	/* Never NEED_REPLY: User-Mode Linux gives a pipe here. A full one holds enough news. */
	if (!link_signal_write(&backend->channel, &header, sizeof(header)))
		link_signal_set(&backend->channel, LINK_SIGNAL_NONE, -1);
}

static void on_config_interrupt(void *context)
{
	vu_tell_config(context);
}

static void on_kick_again(void *context, uint16_t queue)
{
	struct vio_vhost_user *backend = context;

	const struct vio_watcher *watcher = &backend->vrings[queue].watcher;

	watcher->defer(watcher->context, &backend->vrings[queue].again);
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	struct vio_vhost_user *backend = context;

	vu_log(backend, "queue %u: %s (descriptor %u, value %#llx)", fault->queue,
	       vio_fault_name(fault->kind), fault->index, (unsigned long long)fault->value);
	link_signal_raise(&backend->vrings[fault->queue].err);
}

static const struct vio_device_events device_events = {
	.queue_interrupt = on_queue_interrupt,
	.config_interrupt = on_config_interrupt,
	.kick_again = on_kick_again,
	.fault = on_fault,
};

/* The connection. */

static void halt(struct vio_vhost_user *backend)
{
	if (backend->crew.halt)
		backend->crew.halt(backend->crew.context);
}

static void resume(struct vio_vhost_user *backend)
{
	if (backend->crew.resume)
		backend->crew.resume(backend->crew.context);
}

void vio_vhost_user_spread(struct vio_vhost_user *backend, const struct vio_watch_crew *crew)
{
	backend->crew = *crew;
	for (unsigned queue = 0; queue < VIO_VHOST_USER_QUEUES_MAX; queue++)
		vu_vring_init(&backend->vrings[queue], backend, (uint16_t)queue);
}

void vio_vhost_user_stop(struct vio_vhost_user *backend)
{
	uint16_t queue;

	if (backend->socket.fd < 0)
		return;
	halt(backend);
	link_socket_await_nothing(&backend->socket);
	vio_device_detach(backend->dev);
	for (queue = 0; queue < backend->dev->queue_count; queue++)
		vu_vring_close(&backend->vrings[queue]);
	vu_memory_clear(&backend->memory);
	link_inflight_unmap(&backend->inflight);
	vu_dirty_unmap(&backend->dirty);
	vu_state_end(&backend->state);
	vu_receiver_next(&backend->receiver);
	backend->receiver.state.mistake = NULL;
	vu_sender_clear(&backend->sender);
	link_signal_set(&backend->channel, LINK_SIGNAL_NONE, -1);
	close(backend->socket.fd);
	backend->socket.fd = -1;
	backend->protocol_features = 0;
	backend->features_set = false;
	backend->log_all = false;
	backend->owes_config = false;
	resume(backend);
}

/* Nothing of the back end may be touched after it: `closed` may start anew. */
static void end_connection(struct vio_vhost_user *backend, int reason)
{
	/* hostile: C13 C26, the signal's handler could only make the socket's end of it. */
	if (vu_memory_torn(&backend->memory) || link_mapping_torn(&backend->inflight.map) ||
	    link_mapping_torn(&backend->dirty.map)) {
		vu_log(backend, "the front end cut its memory short while it was in use");
		reason = -VIO_EPROTO;
	}
	if (backend->receiver.state.mistake)
		vu_log(backend, "%s", backend->receiver.state.mistake);
	vio_vhost_user_stop(backend);
	backend->events->closed(backend->context, reason);
}

static void room_ready(struct vio_watch *watch)
{
	struct vio_vhost_user *backend = VIO_CONTAINER_OF(watch, struct vio_vhost_user, socket.room);
	int result = vu_send(&backend->sender, backend->socket.fd);

	if (result > 0)
		result = link_socket_await_message(&backend->socket);
	if (result < 0)
		end_connection(backend, result);
}

/* 1: go on; 0: nothing to do for now; a negative code ends the connection. */
static int one_message(struct vio_vhost_user *backend)
{
	int result = vu_receive(&backend->receiver, backend->socket.fd);

	if (result <= 0)
		return result;
	backend->heard++;
	halt(backend);
	result = vu_handle_message(backend);
	resume(backend);
	vu_receiver_next(&backend->receiver);
	if (result < 0)
		return result;
	result = vu_send(&backend->sender, backend->socket.fd);
	return result ? result : link_socket_await_room(&backend->socket); /* hostile: C10 */
}

static void socket_ready(struct vio_watch *watch)
{
	struct vio_vhost_user *backend = VIO_CONTAINER_OF(watch, struct vio_vhost_user, socket.messages);
	int result = 1, turn;

	for (turn = 0; turn < MESSAGES_A_TURN && result > 0; turn++)
		result = one_message(backend);
	if (result < 0)
		end_connection(backend, result);
}

struct vio_vhost_user *vio_vhost_user_create(struct vio_device *dev, const struct vio_watcher *watcher,
					     const struct vio_vhost_user_events *events, void *context)
{
	struct vio_vhost_user *backend;
	unsigned queue;

	if (dev->queue_count > VIO_VHOST_USER_QUEUES_MAX)
		return NULL;
	backend = calloc(1, sizeof(*backend));
	if (!backend)
		return NULL;
	backend->dev = dev;
	backend->watcher = *watcher;
	backend->events = events;
	backend->context = context;
	backend->log = (struct link_log){ events->log, context, 0 };
	link_socket_init(&backend->socket, watcher, socket_ready, room_ready);
	vu_memory_init(&backend->memory);
	vu_sender_init(&backend->sender);
	vu_state_init(&backend->state, dev, watcher);
	for (queue = 0; queue < VIO_VHOST_USER_QUEUES_MAX; queue++)
		vu_vring_init(&backend->vrings[queue], backend, (uint16_t)queue);
	return backend;
}

void vio_vhost_user_destroy(struct vio_vhost_user *backend)
{
	if (!backend)
		return;
	vio_vhost_user_stop(backend);
	free(backend);
}

uint64_t vio_vhost_user_heard(const struct vio_vhost_user *backend)
{
	return backend->heard;
}

/*
 * What takes more than rings and configuration can't be carried: translated
 * addresses, what a driver writes into a notification register. Nor can the reset of
 * a queue: front ends that pass any bit on to their driver don't pass that on to us.
 */
static struct vio_features carried(void)
{
	static const uint8_t not_carried[] = {
		VHOST_F_LOG_ALL,
		VHOST_USER_F_PROTOCOL_FEATURES,
		VIRTIO_F_ACCESS_PLATFORM,
		VIRTIO_F_SR_IOV,
		VIRTIO_F_NOTIFICATION_DATA,
		VIRTIO_F_NOTIF_CONFIG_DATA,
		VIRTIO_F_RING_RESET,
		VIRTIO_F_ADMIN_VQ,
		VIRTIO_F_SUSPEND, /* GET_VRING_BASE does it here */
	};
	struct vio_features features = vio_features_low(UINT64_MAX);
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(not_carried); i++)
		vio_features_clear(&features, not_carried[i]);
	return features;
}

int vio_vhost_user_start(struct vio_vhost_user *backend, int socket_fd)
{
	struct vio_features features = carried();
	int error;

	if (backend->socket.fd >= 0) {
		close(socket_fd);
		return -VIO_EBUSY;
	}
	backend->log.lines = 0;
	backend->heard = 0;
	backend->socket.fd = socket_fd;
	error = link_socket_await_message(&backend->socket);
	if (error) {
		close(socket_fd);
		backend->socket.fd = -1;
		return error;
	}
	vio_device_attach(backend->dev, &backend->memory.mem, &features, &device_events, backend);
	backend->dev->part_only = true;
	return 0;
}
