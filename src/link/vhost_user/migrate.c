/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "link/vhost_user/backend.h"

/* What a front end wants for moving the driver elsewhere: a log of dirty pages, and the device's state. */

/* The log. */

bool vu_marks_buffers(const struct vu_vring *vring)
{
	return vring->backend->log_all && vring->backend->dirty.bits;
}

bool vu_marks_rings(const struct vu_vring *vring)
{
	return vring->addr.flags & VHOST_USER_VRING_F_LOG && vring->backend->dirty.bits;
}

bool vu_log_admits(const struct vio_vhost_user *backend, const struct vhost_user_mem_region *wire)
{
	return !backend->log_all || !backend->dirty.bits ||
	       vu_dirty_covers(&backend->dirty, wire->guest_phys_addr, wire->memory_size);
}

/* Has a log of that size bits for all memory, if that is what is marked, and for rings? hostile: C26 */
static bool log_sound(struct vio_vhost_user *backend, uint64_t bytes, bool memory)
{
	const struct vu_dirty log = { .bytes = bytes };
	unsigned i;

	for (i = 0; memory && i < backend->memory.count; i++) {
		const struct vhost_user_mem_region *wire = &backend->memory.regions[i].wire;

		if (vu_dirty_covers(&log, wire->guest_phys_addr, wire->memory_size))
			continue;
		vu_log(backend, "a log of %llu bytes doesn't cover the %llu bytes of memory at %#llx",
		       (unsigned long long)bytes, (unsigned long long)wire->memory_size,
		       (unsigned long long)wire->guest_phys_addr);
		return false;
	}
	for (i = 0; i < backend->dev->queue_count; i++) {
		const struct vu_vring *vring = &backend->vrings[i];
		const bool packed = vio_device_has_feature(backend->dev, VIRTIO_F_RING_PACKED);
		const uint64_t ring = packed ? 4 : 6 + 8ull * vring->num;

		if (!vring->has_addr || !(vring->addr.flags & VHOST_USER_VRING_F_LOG) ||
		    vu_dirty_covers(&log, vring->addr.log, ring))
			continue;
		vu_log(backend, "queue %u: a log of %llu bytes doesn't cover its address %#llx there", i,
		       (unsigned long long)bytes, (unsigned long long)vring->addr.log);
		return false;
	}
	return true;
}

/* Does the queue mark something else than it should? */
static bool is_outdated(const struct vu_vring *vring)
{
	const struct vu_tracker *tracker = &vring->tracker;

	return tracker->buffers != vu_marks_buffers(vring) || tracker->rings != vu_marks_rings(vring) ||
	       (tracker->rings && tracker->device_addr != vring->addr.log);
}

int vu_log_update(struct vio_vhost_user *backend)
{
	uint16_t queue;
	int error;

	if (!backend->dirty.bits)
		return 0;
	if (!log_sound(backend, backend->dirty.bytes, backend->log_all))
		return -VIO_ERANGE;
	for (queue = 0; queue < backend->dev->queue_count; queue++) {
		struct vu_vring *vring = &backend->vrings[queue];

		if (!vu_vring_runs(vring) || !is_outdated(vring))
			continue;
		/* So that what it has taken was all seen as it was taken. */
		vu_vring_pause(vring);
		error = vu_vring_update(vring);
		if (error)
			return error;
	}
	return 0;
}

int vu_set_log_base(struct vio_vhost_user *backend, struct vu_message *message)
{
	int error;

	if (!log_sound(backend, message->payload.log.mmap_size, true))
		return -VIO_ERANGE;
	/* One takes the place of the other; in between nobody marks. */
	vu_pause_all(backend);
	error = vu_dirty_map(&backend->dirty, &message->payload.log, message->fds[0], backend->socket.fd);
	vu_update_all(backend);
	return error ? error : vu_reply_u64(backend, message, 0);
}

int vu_set_log_fd(struct vio_vhost_user *backend, struct vu_message *message)
{
	enum link_signal_kind kind = link_signal_kind(message->fds[0], O_WRONLY);

	if (kind != LINK_SIGNAL_EVENT && kind != LINK_SIGNAL_PIPE)
		return -VIO_EINVAL;
	link_signal_set(&backend->dirty.changed, kind, vu_message_take_fd(message, 0));
	return 0;
}

/* The state. */

static void log_state(struct vio_vhost_user *backend, const char *name, int error)
{
	const struct vio_state_refusal *refusal = &backend->dev->refusal;

	if (error == -VIO_ESTATE && refusal->what)
		vu_log(backend, "%s: %s %llu", name, refusal->what, (unsigned long long)refusal->value);
	else
		vu_log(backend, "%s: %s", name, vio_strerror(error));
}

/* hostile: C33; what is wrong is said in the reply. */
int vu_set_device_state_fd(struct vio_vhost_user *backend, struct vu_message *message)
{
	const struct vhost_user_device_state *wanted = &message->payload.device_state;
	const bool load = wanted->direction == VHOST_USER_DEVICE_STATE_LOAD;
	const enum link_signal_kind kind = link_signal_kind(message->fds[0], load ? O_RDONLY : O_WRONLY);
	int error = 0;

	if (wanted->direction > VHOST_USER_DEVICE_STATE_LOAD ||
	    wanted->phase != VHOST_USER_DEVICE_STATE_STOPPED)
		error = -VIO_ENOTSUP;
	else if (vu_any_runs(backend))
		error = -VIO_EBUSY;
	else if (kind != LINK_SIGNAL_PIPE && kind != LINK_SIGNAL_SOCKET)
		error = -VIO_EINVAL;
	else if (load)
		error = vu_state_load(&backend->state, kind, vu_message_take_fd(message, 0));
	else
		error = vu_state_save(&backend->state, kind, vu_message_take_fd(message, 0));
	if (error)
		log_state(backend, "SET_DEVICE_STATE_FD", error);
	return vu_reply_u64(backend, message, VHOST_USER_DEVICE_STATE_NOFD_MASK | (error ? 1 : 0));
}

int vu_check_device_state(struct vio_vhost_user *backend, struct vu_message *message)
{
	const int error = vu_state_check(&backend->state);

	if (error)
		log_state(backend, "CHECK_DEVICE_STATE", error);
	return vu_reply_u64(backend, message, error ? 1 : 0);
}
