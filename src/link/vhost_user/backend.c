/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/vhost_user/backend.h"

/* So that a peer with a lot to say doesn't keep other connections of the loop waiting (hostile: C9). */
#define MESSAGES_A_TURN 64

void vu_log(struct vio_vhost_user *backend, const char *format, ...)
{
	char line[256];
	va_list arguments;

	if (!backend->events->log)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	backend->events->log(backend->context, line);
}

uint64_t vio_vhost_user_protocol_features(const struct vio_vhost_user *backend)
{
	uint64_t features = UINT64_C(1) << VHOST_USER_PROTOCOL_F_MQ |
			    UINT64_C(1) << VHOST_USER_PROTOCOL_F_REPLY_ACK |
			    UINT64_C(1) << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
			    UINT64_C(1) << VHOST_USER_PROTOCOL_F_RESET_DEVICE |
			    UINT64_C(1) << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
			    UINT64_C(1) << VHOST_USER_PROTOCOL_F_STATUS;

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

static void on_config_interrupt(void *context)
{
	struct vio_vhost_user *backend = context;
	struct vhost_user_header header = { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_FLAGS_VERSION,
					    0 };

	if (!vu_has_protocol(backend, VHOST_USER_PROTOCOL_F_CONFIG))
		return;
	/* Never NEED_REPLY: User-Mode Linux gives a pipe here. A full one holds enough news. */
	if (!vu_signal_write(&backend->channel, &header, sizeof(header)))
		vu_signal_set(&backend->channel, VU_SIGNAL_NONE, -1);
}

static void on_kick_again(void *context, uint16_t queue)
{
	struct vio_vhost_user *backend = context;

	backend->watcher.defer(backend->watcher.context, &backend->vrings[queue].again);
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	struct vio_vhost_user *backend = context;

	vu_log(backend, "queue %u: %s (descriptor %u, value %#llx)", fault->queue,
	       vio_fault_name(fault->kind), fault->index, (unsigned long long)fault->value);
	vu_signal_raise(&backend->vrings[fault->queue].err);
}

static const struct vio_device_events device_events = {
	.queue_interrupt = on_queue_interrupt,
	.config_interrupt = on_config_interrupt,
	.kick_again = on_kick_again,
	.fault = on_fault,
};

/* The connection. */

void vio_vhost_user_stop(struct vio_vhost_user *backend)
{
	uint16_t queue;

	if (backend->socket.fd < 0)
		return;
	backend->watcher.remove(backend->watcher.context, &backend->socket);
	vio_device_detach(backend->dev);
	for (queue = 0; queue < backend->dev->queue_count; queue++)
		vu_vring_close(&backend->vrings[queue]);
	vu_memory_clear(&backend->memory);
	vu_receiver_next(&backend->receiver);
	vu_signal_set(&backend->channel, VU_SIGNAL_NONE, -1);
	close(backend->socket.fd);
	backend->socket.fd = -1;
	backend->protocol_features = 0;
	backend->features_set = false;
}

static void socket_ready(struct vio_watch *watch)
{
	struct vio_vhost_user *backend = VIO_CONTAINER_OF(watch, struct vio_vhost_user, socket);
	int result = 1, turn;

	for (turn = 0; turn < MESSAGES_A_TURN && result > 0; turn++) {
		result = vu_receive(&backend->receiver, watch->fd);
		if (result > 0) {
			int error = vu_handle_message(backend);

			vu_receiver_next(&backend->receiver);
			if (error)
				result = error;
		}
	}
	if (result < 0) {
		vio_vhost_user_stop(backend);
		backend->events->closed(backend->context, result);
	}
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
	backend->socket = (struct vio_watch){ .fd = -1, .ready = socket_ready };
	vu_memory_init(&backend->memory);
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

/* A queue reset is between driver and VMM, which stops and starts the ring here; all else passes through. */
static struct vio_features carried(void)
{
	struct vio_features features = vio_features_low(~(UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES));

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
	backend->socket.fd = socket_fd;
	error = backend->watcher.add(backend->watcher.context, &backend->socket);
	if (error) {
		close(socket_fd);
		backend->socket.fd = -1;
		return error;
	}
	vio_device_attach(backend->dev, &backend->memory.mem, &features, &device_events, backend);
	return 0;
}
