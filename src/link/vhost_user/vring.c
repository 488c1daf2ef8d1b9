/* SPDX-License-Identifier: BSD-3-Clause */
#include <unistd.h>

#include "base/atomic.h"
#include "link/ring.h"
#include "link/vhost_user/backend.h"
#include "link/stop.h"

void vu_vring_set_call(struct vu_vring *vring, enum link_signal_kind kind, int fd)
{
	link_signal_set(&vring->call, kind, fd);
	if (vring->owes_interrupt && kind != LINK_SIGNAL_NONE) {
		vring->owes_interrupt = false;
		vu_vring_interrupt(vring);
	}
}

void vu_vring_interrupt(struct vu_vring *vring)
{
	if (vring->call.kind == LINK_SIGNAL_NONE)
		vring->owes_interrupt = true;
	else if (!link_signal_raise(&vring->call))
		link_signal_set(&vring->call, LINK_SIGNAL_NONE, -1);
	link_stop_point(LINK_STOP_INTERRUPTED);
}

static void settle(struct vio_task *task)
{
	struct vu_vring *vring = VIO_CONTAINER_OF(task, struct vu_vring, settle);

	vio_device_settle(vring->backend->dev, vring->index);
	if (vring->lost)
		vu_log(vring->backend, "queue %u: nobody holds the other end of its kick descriptor",
		       vring->index);
	vring->lost = false;
}

/* What isn't the business of the queue's thread. */
static void have_settled(struct vu_vring *vring)
{
	const struct vio_watch_crew *crew = &vring->backend->crew;

	if (crew->post)
		crew->post(crew->context, &vring->settle);
	else
		settle(&vring->settle);
}

static void serve(struct vu_vring *vring)
{
	if (vio_device_serve(vring->backend->dev, vring->index))
		have_settled(vring);
}

/*
 * The count is of no interest, only that it goes away, and not even that where each write
 * to the eventfd is an event: it would take centuries until it is full.
 */
static void kick_ready(struct vio_watch *watch)
{
	struct vu_vring *vring = VIO_CONTAINER_OF(watch, struct vu_vring, kick);
	int taken = watch->edge ? 1 : link_signal_take(watch->fd);

	if (taken < 0) {
		/* Ready for ever and never a kick: the queue goes on without. */
		vring->watcher.remove(vring->watcher.context, watch);
		vring->watched = false;
		vring->lost = true;
		have_settled(vring);
	} else if (taken) {
		link_stop_point(LINK_STOP_KICKED);
		serve(vring);
	}
}

/* The loop polls instead of waiting for kicks, which the driver needn't make meanwhile. */
static bool kick_poll(struct vio_watch *watch)
{
	struct vu_vring *vring = VIO_CONTAINER_OF(watch, struct vu_vring, kick);
	struct vio_devq *q = &vring->backend->dev->queues[vring->index];
	const uint16_t before = q->avail_next;

	if (!q->running || vio_devq_broken(q))
		return false;
	if (!q->polling)
		vio_devq_disable_kick(q);
	serve(vring);
	return q->avail_next != before;
}

static bool kick_rest(struct vio_watch *watch)
{
	struct vu_vring *vring = VIO_CONTAINER_OF(watch, struct vu_vring, kick);
	struct vio_devq *q = &vring->backend->dev->queues[vring->index];

	return !q->polling || vio_devq_enable_kick(q);
}

static void kick_again(struct vio_task *task)
{
	serve(VIO_CONTAINER_OF(task, struct vu_vring, again));
}

void vu_vring_init(struct vu_vring *vring, struct vio_vhost_user *backend, uint16_t index)
{
	*vring = (struct vu_vring){
		.backend = backend,
		.index = index,
		.kick = { .fd = -1, .ready = kick_ready, .poll = kick_poll, .rest = kick_rest },
		.again = { .run = kick_again },
		.settle = { .run = settle },
		.watcher = backend->watcher,
	};
	if (backend->crew.watcher)
		vring->watcher = backend->crew.watcher(backend->crew.context, index);
}

int vu_vring_set_kick(struct vu_vring *vring, enum link_signal_kind kind, int fd)
{
	const struct vio_watcher *watcher = &vring->watcher;
	int error;

	if (vring->watched)
		watcher->remove(watcher->context, &vring->kick);
	vring->watched = false;
	if (vring->kick.fd >= 0)
		close(vring->kick.fd);
	vring->kick.fd = fd;
	if (fd < 0)
		return 0;
	vring->kick.edge = kind == LINK_SIGNAL_EVENT && watcher->knows_edges;
	error = watcher->add(watcher->context, &vring->kick);
	vring->watched = !error;
	if (error) {
		close(fd);
		vring->kick.fd = -1;
		return error;
	}
	/* A kick may have gone to the descriptor before it. */
	vio_device_kick(vring->backend->dev, vring->index);
	return 0;
}

void vu_vring_reset(struct vu_vring *vring)
{
	const struct vio_watch_crew *crew = &vring->backend->crew;

	vu_vring_pause(vring);
	vu_vring_set_kick(vring, LINK_SIGNAL_NONE, -1);
	vring->watcher.cancel(vring->watcher.context, &vring->again);
	if (crew->cancel)
		crew->cancel(crew->context, &vring->settle);
	vring->num = 0;
	vring->base = (struct vio_devq_position){ 0, 0 };
	vring->ended = 0;
	vring->has_addr = false;
	vring->enabled = false;
	vring->held = false;
	vring->faulty = false;
	vring->owes_interrupt = false;
	vring->had_run = false;
}

void vu_vring_close(struct vu_vring *vring)
{
	struct vio_vhost_user *backend = vring->backend;

	vu_vring_reset(vring);
	link_signal_set(&vring->call, LINK_SIGNAL_NONE, -1);
	link_signal_set(&vring->err, LINK_SIGNAL_NONE, -1);
	vu_vring_init(vring, backend, vring->index);
}

void vu_vring_pause(struct vu_vring *vring)
{
	struct vio_device *dev = vring->backend->dev;

	/* The device may have stopped it by itself. */
	if (!vu_vring_runs(vring)) {
		vu_tracker_end(&vring->tracker, &dev->queues[vring->index]);
		link_ledger_close(&vring->ledger);
		return;
	}
	/* What an earlier back end left can only be said to have been taken when it has been. */
	if (vring->ledger.log.again)
		vio_device_kick(dev, vring->index);
	vring->base = vio_device_queue_stop(dev, vring->index);
	vu_tracker_end(&vring->tracker, &dev->queues[vring->index]);
	link_ledger_close(&vring->ledger);
}

/*
 * Where a packed queue stands, by SET_VRING_BASE: what to take next in the lower half, what
 * to fill next in the upper. Some front ends leave the upper half 0, which would be a ring that
 * is full to the last entry, and some all of it.
 */
static struct vio_devq_position packed_base(const struct vu_vring *vring, struct vio_addr ring)
{
	struct vio_devq_position at = vring->base;

	if (!at.avail && !at.used)
		at = link_ring_position(&vring->backend->memory.mem, ring);
	if (!at.used && (at.avail & PVIRTQ_WRAP))
		at.used = at.avail;
	return at;
}

/*
 * The account of what is in flight, and by it where the queue stands; where the front end wants none,
 * nothing.
 */
static int open_ledger(struct vu_vring *vring, struct vio_devq_config *config, bool *goes_on)
{
	const struct vio_vhost_user *backend = vring->backend;
	const bool packed = vio_device_has_feature(backend->dev, VIRTIO_F_RING_PACKED);
	const struct vio_mem *mem = &backend->memory.mem;
	struct link_ledger_queue queue = { .index = vring->index, .size = vring->num, .at = config->at };
	int error;

	link_ledger_close(&vring->ledger);
	if (vring->index >= backend->inflight.num_queues)
		return 0;
	if (packed)
		queue.ring = link_ring_area(mem, config->descriptor_area, 16ull * vring->num,
					    VIRTQ_DESC_ALIGN, VIO_MEM_READ | VIO_MEM_WRITE);
	else
		queue.used_idx = link_ring_area(
			mem, vio_addr_make(config->device_area.raw + offsetof(struct virtq_used, idx)),
			sizeof(vio_le16), sizeof(vio_le16), VIO_MEM_READ);
	if (!queue.ring && !queue.used_idx)
		return 0; /* it can't start, and will say so */
	error = link_ledger_open(&vring->ledger, &backend->inflight, &queue);
	if (error)
		return error;
	*goes_on |= queue.goes_on;
	config->at = queue.at;
	config->log = &vring->ledger.log;
	return 0;
}

/* Has what is written marked, if the front end wants it. */
static int open_tracker(struct vu_vring *vring, struct vio_devq_config *config)
{
	struct vio_vhost_user *backend = vring->backend;
	const struct vu_tracker_queue queue = {
		.config = config,
		.spans_max = backend->dev->spans_max,
		.device_addr = vring->addr.log,
		.buffers = vu_marks_buffers(vring),
		.rings = vu_marks_rings(vring),
	};
	int error;

	vu_tracker_end(&vring->tracker, &backend->dev->queues[vring->index]);
	if (!queue.buffers && !queue.rings)
		return 0;
	config->features = backend->dev->features_accepted;
	error = vu_tracker_begin(&vring->tracker, &backend->dirty, &backend->memory, &queue);
	if (!error)
		config->log = &vring->tracker.log;
	return error;
}

static int start(struct vu_vring *vring)
{
	const bool packed = vio_device_has_feature(vring->backend->dev, VIRTIO_F_RING_PACKED);
	const uint64_t driver_bytes = packed ? 4 : 6 + 2ull * vring->num;
	const uint64_t device_bytes = packed ? 4 : 6 + 8ull * vring->num;

	struct vio_vhost_user *backend = vring->backend;
	const struct vu_memory *memory = &backend->memory;
	const struct vhost_user_vring_addr *addr = &vring->addr;
	struct vio_devq_config config = { .size = vring->num, .at = vring->base };
	bool goes_on, mended;
	int error;

	/* hostile: C18 */
	if (!vu_memory_from_user(memory, addr->descriptor, 16ull * vring->num, &config.descriptor_area) ||
	    !vu_memory_from_user(memory, addr->available, driver_bytes, &config.driver_area) ||
	    !vu_memory_from_user(memory, addr->used, device_bytes, &config.device_area)) {
		vu_log(backend, "queue %u: its rings are not in the front end's memory", vring->index);
		link_signal_raise(&vring->err);
		return -VIO_EPROTO;
	}
	if (packed)
		config.at = packed_base(vring, config.descriptor_area);
	goes_on = config.at.avail != (packed ? PVIRTQ_WRAP : 0);
	error = open_ledger(vring, &config, &goes_on);
	if (error) {
		vu_log(backend, "queue %u: its file of requests in flight is refused: %s", vring->index,
		       vring->ledger.mistake ? vring->ledger.mistake : vio_strerror(error));
		link_signal_raise(&vring->err);
		return error;
	}
	mended = config.log;
	if (vring->ledger.log.again)
		vu_log(backend, "queue %u: %u requests are taken once more", vring->index,
		       vring->ledger.log.again);
	error = open_tracker(vring, &config);
	if (!error)
		error = vio_device_queue_start(backend->dev, vring->index, &config);
	if (!error)
		vu_tracker_started(&vring->tracker, mended);
	if (error) {
		vu_tracker_end(&vring->tracker, &backend->dev->queues[vring->index]);
		link_ledger_close(&vring->ledger);
	}
	if (error)
		vu_log(backend, "queue %u: can't start with %u entries: %s", vring->index, vring->num,
		       vio_strerror(error));
	/* Who died when the driver could see an answer and hadn't been told of it can't say so. */
	if (!error && goes_on && !vring->had_run)
		vu_vring_interrupt(vring);
	vring->had_run |= !error;
	vring->ended = 0;
	return error;
}

static int start_if_ready(struct vu_vring *vring)
{
	struct vio_device *dev = vring->backend->dev;
	int error;

	if (vu_vring_runs(vring) || !vring->num || !vring->has_addr || !vring->enabled || vring->held ||
	    vring->kick.fd < 0 || vring->faulty || !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return 0;
	error = start(vring);
	if (error) {
		vring->faulty = true;
		return error;
	}
	if (vring->backend->owes_config)
		vu_tell_config(vring->backend);
	/* Without STATUS a front end doesn't say DRIVER_OK; that it starts a queue says as much. */
	if (!vu_has_status(vring->backend))
		vio_device_write_status(dev, dev->status | VIRTIO_CONFIG_S_DRIVER_OK);
	return 0;
}

int vu_vring_update(struct vu_vring *vring)
{
	vring->faulty = false;
	return start_if_ready(vring);
}

bool vu_any_runs(const struct vio_vhost_user *backend)
{
	uint16_t queue;

	for (queue = 0; queue < backend->dev->queue_count; queue++)
		if (vu_vring_runs(&backend->vrings[queue]))
			return true;
	return false;
}

bool vu_suspended(const struct vio_vhost_user *backend)
{
	bool held = false;
	uint16_t queue;

	for (queue = 0; queue < backend->dev->queue_count; queue++)
		held |= backend->vrings[queue].held;
	return held && !vu_any_runs(backend);
}

void vu_pause_all(struct vio_vhost_user *backend)
{
	uint16_t queue;

	for (queue = 0; queue < backend->dev->queue_count; queue++)
		vu_vring_pause(&backend->vrings[queue]);
}

void vu_update_all(struct vio_vhost_user *backend)
{
	uint16_t queue;

	for (queue = 0; queue < backend->dev->queue_count; queue++)
		vu_vring_update(&backend->vrings[queue]);
}

void vu_forget_all(struct vio_vhost_user *backend)
{
	uint16_t queue;

	for (queue = 0; queue < backend->inflight.num_queues; queue++)
		link_inflight_forget(&backend->inflight, queue);
}
