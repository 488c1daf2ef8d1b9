/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link/vduse/server.h"

/* So that a kernel with a lot to ask doesn't keep the other things in the loop waiting. */
#define MESSAGES_A_TURN 16

void vds_log(struct vio_vduse *vduse, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	link_log(&vduse->log, format, arguments);
	va_end(arguments);
}

int vds_refuse(struct vio_vduse *vduse, int error, const char *format, ...)
{
	va_list arguments;

	if (!vduse->mistake)
		return error;
	va_start(arguments, format);
	vsnprintf(vduse->mistake->text, sizeof(vduse->mistake->text), format, arguments);
	va_end(arguments);
	return error;
}

int vds_control(struct vio_vduse *vduse, unsigned long request, void *argument)
{
	int result;

	do
		result = vduse->system->control(vduse->system->context, vduse->device.fd, request, argument);
	while (result < 0 && errno == EINTR);
	/* hostile: F9, what it says of anything once it has given us up. */
	if (result < 0 && errno == EPERM)
		vds_fail(vduse, -VIO_EHANGUP);
	return result;
}

uint64_t vds_features(const struct vio_vduse *vduse)
{
	struct vio_features features = vio_device_features(vduse->dev);

	return features.word[0];
}

/*
 * What takes a message that there is none for: the reset of a queue, what a driver writes into a notification
 * register, and the configuration, which only the device may change.
 */
static struct vio_features carried(const struct vio_vduse *vduse)
{
	static const uint8_t not_carried[] = {
		VIRTIO_F_SR_IOV,     VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA,
		VIRTIO_F_RING_RESET, VIRTIO_F_ADMIN_VQ,          VIRTIO_F_SUSPEND,
	};
	struct vio_features features = vio_features_low(~vduse->withhold);
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(not_carried); i++)
		vio_features_clear(&features, not_carried[i]);
	return features;
}

/* hostile: F7, always the whole of it, as large as it was when the device was made. */
bool vds_config_send(struct vio_vduse *vduse)
{
	const uint32_t bytes = vduse->dev->config_bytes;
	struct vduse_config_data *data;
	bool changed;

	if (!bytes || vduse->failed)
		return false;
	data = malloc(sizeof(*data) + bytes);
	if (!data)
		return false;
	data->offset = 0;
	data->length = bytes;
	vio_device_read_config(vduse->dev, 0, data->buffer, bytes);
	changed = memcmp(data->buffer, vduse->config, bytes) != 0;
	if (changed && vds_control(vduse, VDUSE_DEV_SET_CONFIG, data) < 0) {
		vds_log(vduse, "the kernel takes no new configuration: %s", strerror(errno));
		changed = false;
	}
	if (changed)
		memcpy(vduse->config, data->buffer, bytes);
	free(data);
	return changed;
}

/* What the device tells its attachment. */

static void on_queue_interrupt(void *context, uint16_t queue)
{
	struct vio_vduse *vduse = context;

	vds_queue_interrupt(&vduse->queues[queue]);
}

static void on_config_interrupt(void *context)
{
	struct vio_vduse *vduse = context;

	/* It can't be told: the kernel keeps the status. But who comes after us has to know. */
	if (vduse->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET) {
		vds_account_note(vduse, vduse->dev->status);
		return;
	}
	if (vds_config_send(vduse))
		vds_config_interrupt(vduse);
}

static void on_kick_again(void *context, uint16_t queue)
{
	struct vio_vduse *vduse = context;

	vduse->watcher.defer(vduse->watcher.context, &vduse->queues[queue].again);
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	vds_log(context, "queue %u: %s (descriptor %u, value %#llx)", fault->queue,
		vio_fault_name(fault->kind), fault->index, (unsigned long long)fault->value);
}

static const struct vio_device_events device_events = {
	.queue_interrupt = on_queue_interrupt,
	.config_interrupt = on_config_interrupt,
	.kick_again = on_kick_again,
	.fault = on_fault,
};

void vds_serve(struct vio_vduse *vduse)
{
	uint16_t i;

	for (i = 0; i < vduse->dev->queue_count && !vduse->failed; i++) {
		struct vds_queue *queue = &vduse->queues[i];
		int error = queue->known ? 0 : vds_queue_listen(queue);

		if (error)
			vds_log(vduse, "queue %u: the kernel takes no eventfd for kicks: %s", i,
				vio_strerror(error));
		vds_queue_start(queue);
	}
}

/* Its life. */

static int end(struct vio_vduse *vduse)
{
	int stays;
	uint16_t i;

	if (vduse->watched)
		vduse->watcher.remove(vduse->watcher.context, &vduse->device);
	vduse->watched = false;
	vduse->watcher.cancel(vduse->watcher.context, &vduse->ending);
	vduse->watcher.cancel(vduse->watcher.context, &vduse->serving);
	/* Drains it; what it has left to do stays in the account. */
	if (vduse->attached)
		vio_device_detach(vduse->dev);
	vduse->attached = false;
	for (i = 0; i < vduse->dev->queue_count; i++)
		vds_queue_close(&vduse->queues[i]);
	vds_interrupts_close(vduse);
	vds_memory_drop(&vduse->memory, 0, UINT64_MAX);
	stays = vds_close(vduse);
	vduse->failed = 0;
	vduse->owes_config = false;
	vduse->log.lines = 0;
	return stays;
}

int vio_vduse_stop(struct vio_vduse *vduse)
{
	return vduse->device.fd < 0 ? 0 : end(vduse);
}

static void ending(struct vio_task *task)
{
	struct vio_vduse *vduse = VIO_CONTAINER_OF(task, struct vio_vduse, ending);
	int reason = vduse->failed;

	end(vduse);
	vduse->events->closed(vduse->context, reason);
}

void vds_fail(struct vio_vduse *vduse, int reason)
{
	if (vduse->failed)
		return;
	vduse->failed = reason;
	vduse->watcher.defer(vduse->watcher.context, &vduse->ending);
}

static void serving(struct vio_task *task)
{
	vds_serve(VIO_CONTAINER_OF(task, struct vio_vduse, serving));
}

static void device_ready(struct vio_watch *watch)
{
	struct vio_vduse *vduse = VIO_CONTAINER_OF(watch, struct vio_vduse, device);
	int result = 1, turn;

	for (turn = 0; turn < MESSAGES_A_TURN && result > 0; turn++)
		result = vds_message(vduse);
	if (result < 0)
		vds_fail(vduse, result);
	/* A file in error is ready for ever. */
	if (vduse->failed && vduse->watched) {
		vduse->watcher.remove(vduse->watcher.context, watch);
		vduse->watched = false;
	}
}

/* hostile: F8, the driver goes on where the last server was. */
static int take_over(struct vio_vduse *vduse)
{
	const uint32_t given_up = VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;
	const uint32_t status = vduse->account.head->status;
	struct vio_device *dev = vduse->dev;
	struct vio_features wide;
	uint64_t features;

	/* What it broke stays broken until it resets the device. */
	if (status & given_up)
		vio_device_needs_reset(dev);
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK) || status & given_up)
		return 0;
	if (vds_control(vduse, VDUSE_DEV_GET_FEATURES, &features) < 0)
		return vds_refuse(vduse, vds_error(), "VDUSE_DEV_GET_FEATURES: %s", strerror(errno));
	wide = vio_features_low(features);
	vio_device_write_features(dev, &wide);
	vio_device_write_status(dev, (uint8_t)status);
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return vds_refuse(vduse, -VIO_ESTATE, "device '%s' has a driver with features %#llx",
				  vduse->name, (unsigned long long)features);
	/* Not before the caller's loop runs: it may have more to do until then. */
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		vduse->watcher.defer(vduse->watcher.context, &vduse->serving);
	return 0;
}

static void attach(struct vio_vduse *vduse)
{
	const struct vio_features features = carried(vduse);

	vio_device_attach(vduse->dev, &vduse->memory.mem, &features, &device_events, vduse);
	vduse->attached = true;
}

static int begin(struct vio_vduse *vduse, const struct vio_vduse_options *options)
{
	int error;

	vduse->withhold = options->withhold;
	attach(vduse);
	error = vds_open(vduse, options);
	if (error)
		return error;
	/* An older device may have been made without some of what we could offer. */
	if (vduse->withhold != options->withhold) {
		vio_device_detach(vduse->dev);
		attach(vduse);
	}
	error = take_over(vduse);
	if (!error)
		error = vduse->watcher.add(vduse->watcher.context, &vduse->device);
	vduse->watched = !error;
	if (!error && vds_config_send(vduse))
		vds_config_interrupt(vduse);
	return error;
}

int vio_vduse_start(struct vio_vduse *vduse, const struct vio_vduse_options *options,
		    struct vio_vduse_mistake *mistake)
{
	int error;

	if (vduse->device.fd >= 0)
		return -VIO_EBUSY;
	vduse->mistake = mistake;
	if (mistake)
		*mistake->text = '\0';
	error = begin(vduse, options);
	vduse->mistake = NULL;
	if (error)
		end(vduse);
	return error;
}

struct vio_vduse *vio_vduse_create(struct vio_device *dev, const struct vio_watcher *watcher,
				   const struct vio_vduse_events *events, void *context)
{
	struct vio_vduse *vduse;
	uint16_t i;

	if (dev->config_bytes > VIO_VDUSE_CONFIG_BYTES)
		return NULL;
	vduse = calloc(1, sizeof(*vduse));
	if (!vduse)
		return NULL;
	vduse->dev = dev;
	vduse->watcher = *watcher;
	vduse->events = events;
	vduse->context = context;
	vduse->log = (struct link_log){ events->log, context, 0 };
	vduse->system = &vds_system_real;
	vduse->control = -1;
	vduse->device = (struct vio_watch){ .fd = -1, .ready = device_ready };
	vduse->timer.fd = -1;
	vduse->account.fd = -1;
	vduse->ending.run = ending;
	vduse->serving.run = serving;
	vds_memory_init(vduse);
	vduse->queues = calloc(dev->queue_count + 1u, sizeof(*vduse->queues));
	vduse->config = calloc(1, dev->config_bytes + 1u);
	if (!vduse->queues || !vduse->config) {
		free(vduse->queues);
		free(vduse->config);
		free(vduse);
		return NULL;
	}
	for (i = 0; i < dev->queue_count; i++)
		vds_queue_init(&vduse->queues[i], vduse, i);
	return vduse;
}

void vio_vduse_destroy(struct vio_vduse *vduse)
{
	if (!vduse)
		return;
	(void)vio_vduse_stop(vduse);
	free(vduse->config);
	free(vduse->queues);
	free(vduse);
}
