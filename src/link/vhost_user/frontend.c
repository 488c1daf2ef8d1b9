/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vireo/spec/virtio_ring.h>

#include "link/vhost_user/frontend.h"

#define BIT(number)  (UINT64_C(1) << (number))
#define GONE         UINT8_MAX
#define CONFIG_BYTES offsetof(struct vhost_user_config, payload)
/* The operations. */

static struct vio_features get_features(struct vio_dev *dev)
{
	struct vu_front *front = vu_front_of(dev);
	uint64_t features;

	if (vu_front_ask_u64(front, VHOST_USER_GET_FEATURES, &features))
		return VIO_FEATURES_NONE;
	/* hostile: D6, the core compares; that there are protocol features can't change under way. */
	return vio_features_low(features);
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	struct vu_front *front = vu_front_of(dev);
	uint64_t protocol = front->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES);

	front->features_told = features->word[0] | protocol;
	front->features_given = !vu_front_tell_u64(front, VHOST_USER_SET_FEATURES, front->features_told);
	front->features_refused = !front->features_given;
}

static uint8_t get_status(struct vio_dev *dev)
{
	struct vu_front *front = vu_front_of(dev);
	uint64_t status = front->status;

	vu_front_look(front);
	if (!front->failed && vu_front_has(front, VHOST_USER_PROTOCOL_F_STATUS) &&
	    !vu_front_ask_u64(front, VHOST_USER_GET_STATUS, &status) && status >= GONE)
		vu_front_fail(front, -VIO_EPROTO, "GET_STATUS: %#llx is no status",
			      (unsigned long long)status);
	if (front->failed)
		return GONE;
	if (front->features_refused)
		status &= ~(uint64_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if (front->ring_broken)
		status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return (uint8_t)status;
}

/* A back end that answered GET_VRING_BASE doesn't touch the ring any more; where it stood is nobody's
 * business, as rings begin anew. hostile: D17 */
static void stop_queue(struct vu_front *front, uint16_t queue)
{
	const struct vhost_user_vring_state state = { .index = queue };
	const struct vu_front_request request = { VHOST_USER_GET_VRING_BASE, sizeof(state), &state, -1,
						  NULL };
	struct vhost_user_vring_state reply;

	if (!vu_front_ask(front, &request, &reply, sizeof(reply))) {
		if (reply.index != queue || (reply.num > UINT16_MAX && !vu_front_is_packed(front)))
			vu_front_fail(front, -VIO_EPROTO, "GET_VRING_BASE of queue %u: %u of queue %u", queue,
				      reply.num, reply.index);
		if (vu_front_enables(front))
			vu_front_tell_queue(front, VHOST_USER_SET_VRING_ENABLE, queue, 0);
	}
	vu_front_close(&front->queues[queue].kick);
	vu_front_close(&front->queues[queue].call);
	front->queues[queue].started = false;
}

/*
 * No ring runs, nor will one: there are back ends (libvhost-user) that look for rings of the past in memory
 * that is added, so a reset leaves it where it is.
 */
static void take_memory_away(struct vu_front *front)
{
	const struct vhost_user_mem_reg slot = { .region = vu_front_region_of(&front->memory) };

	if (front->memory_told && vu_front_has(front, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) &&
	    !vu_front_tell_short(front, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot)))
		front->memory_told = false;
}

static void reset(struct vu_front *front)
{
	uint16_t queue;

	for (queue = 0; queue < VU_FRONT_QUEUES_MAX; queue++)
		if (front->queues[queue].started)
			stop_queue(front, queue);
	if (vu_front_has(front, VHOST_USER_PROTOCOL_F_STATUS))
		vu_front_tell_u64(front, VHOST_USER_SET_STATUS, 0);
	else if (vu_front_has(front, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		vu_front_tell_short(front, VHOST_USER_RESET_DEVICE, NULL, 0);
	front->features_told = 0;
	front->features_given = false;
	front->features_refused = false;
	front->ring_broken = false;
	/* Nothing is in flight any more, and who begins anew begins with a new file. */
	vu_front_close(&front->inflight_fd);
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	struct vu_front *front = vu_front_of(dev);

	if (!status)
		reset(front);
	else if (vu_front_has(front, VHOST_USER_PROTOCOL_F_STATUS))
		vu_front_tell_u64(front, VHOST_USER_SET_STATUS, status);
	front->status = status;
}

static uint32_t get_generation(struct vio_dev *dev)
{
	struct vu_front *front = vu_front_of(dev);

	vu_front_listen(front);
	return front->config_changes;
}

static int config_range(const struct vu_front *front, uint32_t offset, uint32_t length)
{
	if (front->failed)
		return -VIO_EHANGUP;
	if (!vu_front_has(front, VHOST_USER_PROTOCOL_F_CONFIG))
		return -VIO_ENOTSUP;
	if (offset > VHOST_USER_CONFIG_BYTES_MAX || length > VHOST_USER_CONFIG_BYTES_MAX - offset)
		return -VIO_ERANGE;
	return 0;
}

/* Always from the start of the space: there are back ends that take any offset for 0. */
static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	struct vu_front *front = vu_front_of(dev);
	struct vhost_user_config config = { .size = offset + length }, reply;
	struct vu_front_request request = { VHOST_USER_GET_CONFIG, (uint32_t)(CONFIG_BYTES + offset + length),
					    &config, -1, NULL };
	int error = config_range(front, offset, length);

	if (!error)
		error = vu_front_ask(front, &request, &reply, request.size);
	if (error == -VIO_ENOTSUP && vu_front_has(front, VHOST_USER_PROTOCOL_F_CONFIG))
		return -VIO_ERANGE;
	if (error)
		return error;
	if (reply.offset || reply.size != config.size)
		return vu_front_fail(front, -VIO_EPROTO, "GET_CONFIG of %u bytes: %u bytes at %u",
				     config.size, reply.size, reply.offset);
	memcpy(to, reply.payload + offset, length);
	return 0;
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	struct vu_front *front = vu_front_of(dev);
	struct vhost_user_config config = { offset, length, VHOST_USER_CONFIG_FLAG_WRITABLE, { 0 } };
	int error = config_range(front, offset, length);

	if (error)
		return error;
	memcpy(config.payload, from, length);
	error = vu_front_tell_short(front, VHOST_USER_SET_CONFIG, &config, (uint32_t)CONFIG_BYTES + length);
	return error == -VIO_ENOTSUP ? -VIO_ERANGE : error;
}

/* The protocol doesn't tell how large a queue may be, but where it answers one can try. */
static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	struct vu_front *front = vu_front_of(dev);
	uint32_t size = front->options.queue_size;

	if (front->failed || queue >= front->queue_limit)
		return 0;
	if (!vu_front_has(front, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return size;
	for (; size; size /= 2) {
		int error = vu_front_tell_queue(front, VHOST_USER_SET_VRING_NUM, queue, size);

		if (!error)
			front->mistake.text[0] = '\0';
		if (error != -VIO_ENOTSUP)
			return error ? 0 : size;
	}
	return 0;
}

/* All of it once more, when another back end has taken the place of this one under way. */
static int tell_queue_whole(struct vu_front *front, uint16_t queue)
{
	struct vu_front_queue *own = &front->queues[queue];
	unsigned life, other;
	int error = 0;

	own->starting = true;
	do {
		life = front->lives;
		own->started = false;
		for (other = 0; other < VU_FRONT_QUEUES_MAX && !front->queues[other].started; other++)
			;
		error = vu_front_tell_memory(front);
		/* It goes with the first queue; no file may change under one that runs. */
		if (!error && other == VU_FRONT_QUEUES_MAX)
			error = vu_front_tell_inflight(front);
		if (!error)
			error = vu_front_show_queue(front, queue, vu_front_first_base(front));
	} while (life != front->lives && !front->failed);
	own->starting = false;
	return error;
}

static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	struct vu_front *front = vu_front_of(dev);
	struct vu_front_queue *own = &front->queues[queue];
	int error;

	if (own->started)
		return -VIO_EPEER;
	if (own->kick < 0)
		own->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (own->call < 0)
		own->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (own->kick < 0 || own->call < 0)
		return -VIO_ESYS;
	own->place = *place;
	error = tell_queue_whole(front, queue);
	return front->failed ? -VIO_EHANGUP : error ? -VIO_EPEER : 0;
}

static void queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	struct vu_front *front = vu_front_of(dev);
	const uint64_t one = 1;

	/* That it doesn't fit means that the device has been told often enough. */
	if (q->index < VU_FRONT_QUEUES_MAX && front->queues[q->index].started &&
	    write(front->queues[q->index].kick, &one, sizeof(one)) < 0)
		return;
}

static bool drain(int fd)
{
	uint64_t count;

	return fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static unsigned take_interrupts(struct vio_dev *dev)
{
	struct vu_front *front = vu_front_of(dev);
	const bool waited = front->waited;
	unsigned causes = 0, queue;

	front->waited = false;
	for (queue = 0; queue < front->queue_limit; queue++)
		if (front->queues[queue].started && (!waited || front->queues[queue].ready) &&
		    drain(front->queues[queue].call))
			causes |= VIO_INTERRUPT_QUEUE;
	if (!waited || !front->queues_only) {
		vu_front_listen(front);
		if (drain(front->error_fd)) {
			front->ring_broken = true;
			causes |= VIO_INTERRUPT_CONFIG;
		}
	}
	if (front->config_changed)
		causes |= VIO_INTERRUPT_CONFIG;
	front->config_changed = false;
	return causes;
}

static void close_front(struct vio_dev *dev)
{
	struct vu_front *front = vu_front_of(dev);
	unsigned queue;

	take_memory_away(front);
	for (queue = 0; queue < VU_FRONT_QUEUES_MAX; queue++) {
		vu_front_close(&front->queues[queue].kick);
		vu_front_close(&front->queues[queue].call);
	}
	vu_front_close(&front->error_fd);
	vu_front_close(&front->inflight_fd);
	vu_front_close(&front->channel.fd);
	vu_front_close(&front->socket);
	vu_front_arena_free(front);
	free(front);
	dev->transport = NULL;
	dev->transport_context = NULL;
}

/* What means something to a ring in the same memory, and that only it has to know. */
#define NOT_CARRIED                                                                                   \
	(BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(VHOST_F_LOG_ALL) | BIT(VIRTIO_F_ACCESS_PLATFORM) | \
	 BIT(VIRTIO_F_SR_IOV) | BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_F_NOTIF_CONFIG_DATA) |   \
	 BIT(VIRTIO_F_RING_RESET) | BIT(VIRTIO_F_ADMIN_VQ) | BIT(VIRTIO_F_SUSPEND))

static const struct vio_transport_ops front_ops = {
	.name = "vhost-user",
	.carried = { { ~NOT_CARRIED, 0 } },
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
	.close = close_front,
};

/* Opening. */

static bool options_sound(const struct vio_vhost_user_frontend_options *options)
{
	const struct vio_vhost_user_memory *memory = options->memory;

	if (options->queue_size && !vio_is_power_of_two(options->queue_size))
		return false;
	/* Where a split ring stands is looked up in it, so it has to be ours to look into. */
	if (memory && options->reconnect)
		return false;
	return !memory || (memory->bytes && memory->bytes % VIO_ARENA_PAGE == 0 &&
			   memory->addr.raw % VIO_ARENA_PAGE == 0);
}

static struct vu_front *make(int socket_fd, const struct vio_vhost_user_frontend_options *options,
			     struct vio_dev *dev)
{
	struct vu_front *front = calloc(1, sizeof(*front));
	unsigned queue;

	if (!front)
		return NULL;
	front->dev = dev;
	front->options = *options;
	if (!front->options.queue_size)
		front->options.queue_size = VIO_VHOST_USER_QUEUE_SIZE;
	front->socket = socket_fd;
	front->channel.fd = -1;
	front->memory.fd = -1;
	front->inflight_fd = -1;
	front->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (queue = 0; queue < VU_FRONT_QUEUES_MAX; queue++)
		front->queues[queue] = (struct vu_front_queue){ .kick = -1, .call = -1 };
	*dev = (struct vio_dev){ .transport = &front_ops, .transport_context = front, .id = options->id };
	return front;
}

int vio_vhost_user_frontend_open(int socket_fd, const struct vio_vhost_user_frontend_options *options,
				 struct vio_dev *dev, struct vio_vhost_user_mistake *mistake)
{
	struct vu_front *front = options_sound(options) ? make(socket_fd, options, dev) : NULL;
	int error = 0;

	if (mistake)
		mistake->text[0] = '\0';
	if (!front) {
		close(socket_fd);
		return options_sound(options) ? -VIO_ENOMEM : -VIO_EINVAL;
	}
	if (options->memory)
		front->memory = *options->memory;
	else
		error = vu_front_arena_make(front);
	if (!error && front->error_fd < 0)
		error = vu_front_fail(front, -VIO_ESYS, "eventfd: %s", strerror(errno));
	if (!error)
		error = vu_front_introduce(front);
	if (!error) {
		front->opened = true;
		return 0;
	}
	if (mistake)
		*mistake = front->mistake;
	close_front(dev);
	return error;
}

int vio_vhost_user_frontend_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	int fd, saved;

	if (!length || length >= sizeof(address.sun_path))
		return -VIO_EINVAL;
	memcpy(address.sun_path, path, length + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -VIO_ESYS;
	if (!connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -VIO_ESYS;
}

const struct vio_platform *vio_vhost_user_frontend_platform(struct vio_dev *dev)
{
	struct vu_front *front = vu_front_of(dev);

	return front->options.memory ? NULL : &front->platform;
}

void vio_vhost_user_frontend_get_info(struct vio_dev *dev, struct vio_vhost_user_frontend_info *info)
{
	const struct vu_front *front = vu_front_of(dev);

	*info = (struct vio_vhost_user_frontend_info){ front->features, front->protocol_offered,
						       front->protocol, front->queue_count,
						       front->memory_slots };
}

const char *vio_vhost_user_frontend_mistake(struct vio_dev *dev)
{
	return vu_front_of(dev)->mistake.text;
}

void vio_vhost_user_frontend_hang_up(struct vio_dev *dev)
{
	vu_front_of(dev)->hung_up = true;
	vu_front_fail(vu_front_of(dev), -VIO_EHANGUP, "hung up");
}
