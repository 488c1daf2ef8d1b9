/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/atomic.h"
#include "link/ring.h"
#include "link/signal.h"
#include "link/vduse/server.h"

/*
 * The kernel takes an interrupt only when it has noted DRIVER_OK, which is a moment after it was told that
 * we have; until then it is asked again. It never says that it has. Where that takes long it is asked less
 * often, and never given up: a driver that isn't told of an answer may wait for ever.
 */
#define AGAIN_NS (1000 * 1000)
#define PATIENCE 1000u

static void have_again(struct vio_vduse *vduse)
{
	const bool slow = vduse->patience >= PATIENCE;
	const struct itimerspec soon = { .it_value = { slow, slow ? 0 : AGAIN_NS } };

	if (timerfd_settime(vduse->timer.fd, 0, &soon, NULL) < 0)
		vds_log(vduse, "can't set a timer: %s", strerror(errno));
}

static bool owes(const struct vio_vduse *vduse)
{
	bool any = vduse->owes_config;
	uint16_t i;

	for (i = 0; i < vduse->dev->queue_count; i++)
		any |= vduse->queues[i].owes_interrupt;
	return any;
}

/* Sets *flag, which says that it is owed. */
static void owe(struct vio_vduse *vduse, bool *flag)
{
	if (!owes(vduse)) {
		vduse->patience = 0;
		have_again(vduse);
	}
	*flag = true;
}

static bool interrupt(struct vds_queue *queue)
{
	uint32_t index = queue->index;

	return vds_control(queue->vduse, VDUSE_VQ_INJECT_IRQ, &index) >= 0;
}

void vds_queue_interrupt(struct vds_queue *queue)
{
	struct vio_vduse *vduse = queue->vduse;

	if (queue->owes_interrupt || interrupt(queue) || vduse->failed)
		return;
	owe(vduse, &queue->owes_interrupt);
}

static bool interrupt_config(struct vio_vduse *vduse)
{
	return vds_control(vduse, VDUSE_DEV_INJECT_CONFIG_IRQ, NULL) >= 0;
}

static void timer_ready(struct vio_watch *watch)
{
	struct vio_vduse *vduse = VIO_CONTAINER_OF(watch, struct vio_vduse, timer);
	uint16_t i;

	(void)link_signal_take(watch->fd);
	if (vduse->owes_config && !vduse->failed)
		vduse->owes_config = !interrupt_config(vduse);
	for (i = 0; i < vduse->dev->queue_count; i++) {
		struct vds_queue *queue = &vduse->queues[i];

		if (queue->owes_interrupt && !vduse->failed)
			queue->owes_interrupt = !interrupt(queue);
	}
	if (vduse->failed || !owes(vduse))
		return;
	if (vduse->patience < PATIENCE && ++vduse->patience == PATIENCE)
		vds_log(vduse, "the kernel takes no interrupt for a driver that is there");
	have_again(vduse);
}

static int open_timer(struct vio_vduse *vduse)
{
	int error;

	if (vduse->timer.fd >= 0)
		return 0;
	vduse->timer.ready = timer_ready;
	vduse->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (vduse->timer.fd < 0)
		return -VIO_ESYS;
	error = vduse->watcher.add(vduse->watcher.context, &vduse->timer);
	if (error) {
		close(vduse->timer.fd);
		vduse->timer.fd = -1;
	}
	return error;
}

void vds_config_interrupt(struct vio_vduse *vduse)
{
	if (vduse->owes_config || interrupt_config(vduse) || vduse->failed)
		return;
	/* Before DRIVER_OK nobody listens, and whoever comes reads it. */
	if (vduse->dev->status & VIRTIO_CONFIG_S_DRIVER_OK && !open_timer(vduse))
		owe(vduse, &vduse->owes_config);
}

void vds_interrupts_close(struct vio_vduse *vduse)
{
	if (vduse->timer.fd < 0)
		return;
	vduse->watcher.remove(vduse->watcher.context, &vduse->timer);
	close(vduse->timer.fd);
	vduse->timer.fd = -1;
}

/*
 * Memory that was cut short under us, or that the driver named and never had: what is there now is zeros,
 * and all that is in it has to be mapped again.
 */
static void mend(struct vio_vduse *vduse)
{
	uint16_t i;

	vds_log(vduse, "memory of the driver is gone; it has to reset the device");
	vio_device_needs_reset(vduse->dev);
	for (i = 0; i < vduse->dev->queue_count; i++)
		vds_queue_pause(&vduse->queues[i]);
	vds_memory_drop(&vduse->memory, 0, UINT64_MAX);
}

static void serve(struct vds_queue *queue)
{
	struct vio_vduse *vduse = queue->vduse;

	/* A driver may say late that a queue is ready, and the kernel says it to nobody. */
	if (!vduse->dev->queues[queue->index].running)
		vds_queue_start(queue);
	else
		vio_device_kick(vduse->dev, queue->index);
	if (vds_memory_torn(&vduse->memory))
		mend(vduse);
	vds_account_check(vduse);
}

static void kick_ready(struct vio_watch *watch)
{
	struct vds_queue *queue = VIO_CONTAINER_OF(watch, struct vds_queue, kick);

	if (watch->edge || link_signal_take(watch->fd) > 0)
		serve(queue);
}

/* The loop polls instead of waiting for kicks, which the driver needn't make meanwhile. */
static bool kick_poll(struct vio_watch *watch)
{
	struct vds_queue *queue = VIO_CONTAINER_OF(watch, struct vds_queue, kick);
	struct vio_devq *q = &queue->vduse->dev->queues[queue->index];
	const uint16_t before = q->avail_next;

	if (queue->vduse->failed || !q->running || vio_devq_broken(q))
		return false;
	if (!q->polling)
		vio_devq_disable_kick(q);
	serve(queue);
	return q->avail_next != before;
}

static bool kick_rest(struct vio_watch *watch)
{
	struct vds_queue *queue = VIO_CONTAINER_OF(watch, struct vds_queue, kick);
	struct vio_devq *q = &queue->vduse->dev->queues[queue->index];

	return !q->polling || vio_devq_enable_kick(q);
}

static void kick_again(struct vio_task *task)
{
	serve(VIO_CONTAINER_OF(task, struct vds_queue, again));
}

void vds_queue_init(struct vds_queue *queue, struct vio_vduse *vduse, uint16_t index)
{
	*queue = (struct vds_queue){
		.vduse = vduse,
		.index = index,
		.kick = { .fd = -1, .ready = kick_ready, .poll = kick_poll, .rest = kick_rest },
		.again = { .run = kick_again },
	};
}

int vds_queue_listen(struct vds_queue *queue)
{
	struct vio_vduse *vduse = queue->vduse;
	struct vduse_vq_eventfd eventfd_of = { .index = queue->index };
	int error = open_timer(vduse);

	if (!error && queue->kick.fd < 0) {
		queue->kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		queue->kick.edge = vduse->watcher.knows_edges;
		error = queue->kick.fd < 0 ? -VIO_ESYS
					   : vduse->watcher.add(vduse->watcher.context, &queue->kick);
		queue->watched = !error;
	}
	if (error)
		return error;
	/* A reset takes it from the kernel. */
	eventfd_of.fd = queue->kick.fd;
	return vds_control(vduse, VDUSE_VQ_SETUP_KICKFD, &eventfd_of) < 0 ? vds_error() : 0;
}

void vds_queue_close(struct vds_queue *queue)
{
	struct vio_vduse *vduse = queue->vduse;

	if (queue->watched)
		vduse->watcher.remove(vduse->watcher.context, &queue->kick);
	if (queue->kick.fd >= 0)
		close(queue->kick.fd);
	vduse->watcher.cancel(vduse->watcher.context, &queue->again);
	link_ledger_close(&queue->ledger);
	vds_queue_init(queue, vduse, queue->index);
}

static void *descriptors(const struct vio_vduse *vduse, uint64_t at, uint64_t size)
{
	bool packed = vio_device_has_feature(vduse->dev, VIRTIO_F_RING_PACKED);

	return link_ring_area(&vduse->memory.mem, vio_addr_make(at), 16 * size, 16,
			      packed ? VIO_MEM_READ | VIO_MEM_WRITE : VIO_MEM_READ);
}

/*
 * Where a queue begins. A packed one of which the kernel says nothing at all (what a program said by
 * vhost-vdpa may have no place for it) is where its first descriptor says.
 */
static bool position(struct vds_queue *queue, const struct vduse_vq_info *info, struct vio_devq_position *at)
{
	const struct vduse_vq_state_packed *state = &info->packed;

	if (!vio_device_has_feature(queue->vduse->dev, VIRTIO_F_RING_PACKED)) {
		*at = (struct vio_devq_position){ info->split.avail_index, info->split.avail_index };
		return true;
	}
	/* hostile: F5 */
	if (state->last_avail_idx >= info->num || state->last_used_idx >= info->num ||
	    state->last_avail_counter > 1 || state->last_used_counter > 1)
		return false;
	at->avail = state->last_avail_idx | (state->last_avail_counter ? PVIRTQ_WRAP : 0);
	at->used = state->last_used_idx | (state->last_used_counter ? PVIRTQ_WRAP : 0);
	if (!at->avail && !at->used)
		*at = link_ring_position(&queue->vduse->memory.mem, vio_addr_make(info->desc_addr));
	return true;
}

bool vds_queue_position(struct vds_queue *queue, struct vio_devq_position *at)
{
	struct vduse_vq_info info = { .index = queue->index };

	*at = queue->at;
	/* After a reset the kernel takes each answer for one of a split ring. */
	if (!queue->vduse->dev->status && queue->ended != VDS_ENDED_NOWHERE)
		return queue->ended == VDS_ENDED_SPLIT;
	if (queue->known)
		return true;
	return vds_control(queue->vduse, VDUSE_VQ_GET_INFO, &info) >= 0 && position(queue, &info, at);
}

static void refuse(struct vds_queue *queue, const struct vduse_vq_info *info, const char *why)
{
	queue->refused = true;
	vds_log(queue->vduse, "queue %u: can't start with %u entries: %s", queue->index, info->num, why);
}

/* The account of what is in flight, and by it where the queue stands. */
static int open_ledger(struct vds_queue *queue, struct vio_devq_config *config, bool *goes_on)
{
	struct vio_vduse *vduse = queue->vduse;
	const bool packed = vio_device_has_feature(vduse->dev, VIRTIO_F_RING_PACKED);
	const uint64_t used_idx = config->device_area.raw + offsetof(struct virtq_used, idx);
	struct link_ledger_queue at = { .index = queue->index, .size = config->size, .at = config->at };
	int error;

	if (packed)
		at.ring = descriptors(vduse, config->descriptor_area.raw, config->size);
	else
		at.used_idx = link_ring_area(&vduse->memory.mem, vio_addr_make(used_idx), sizeof(vio_le16), 2,
					     VIO_MEM_READ);
	if (!at.ring && !at.used_idx)
		return -VIO_EPEER;
	error = link_ledger_open(&queue->ledger, &vduse->account.inflight, &at);
	if (error)
		return error;
	*goes_on = at.goes_on;
	config->at = at.at;
	config->log = &queue->ledger.log;
	return 0;
}

static void start(struct vds_queue *queue, const struct vduse_vq_info *info)
{
	struct vio_vduse *vduse = queue->vduse;
	struct vio_devq_config config = {
		.size = (uint16_t)info->num,
		.descriptor_area = vio_addr_make(info->desc_addr),
		.driver_area = vio_addr_make(info->driver_addr),
		.device_area = vio_addr_make(info->device_addr),
	};
	bool goes_on;
	int error;

	if (!link_ring_present(&vduse->memory.mem, &config,
			       vio_device_has_feature(vduse->dev, VIRTIO_F_RING_PACKED))) {
		refuse(queue, info, "its rings are not in memory");
		return;
	}
	if (queue->known)
		config.at = queue->at;
	else if (!position(queue, info, &config.at)) {
		refuse(queue, info, "it would begin beyond its end");
		return;
	}
	error = open_ledger(queue, &config, &goes_on);
	if (!error && queue->ledger.log.again)
		vds_log(vduse, "queue %u: %u requests are taken once more", queue->index,
			queue->ledger.log.again);
	if (!error)
		error = vio_device_queue_start(vduse->dev, queue->index, &config);
	if (error) {
		refuse(queue, info, queue->ledger.mistake ? queue->ledger.mistake : vio_strerror(error));
		link_ledger_close(&queue->ledger);
		return;
	}
	queue->known = true;
	/* Who died when the driver could see an answer and hadn't been told of it can't say so. */
	if (goes_on && !queue->had_run)
		vds_queue_interrupt(queue);
	queue->had_run = true;
}

void vds_queue_start(struct vds_queue *queue)
{
	struct vduse_vq_info info = { .index = queue->index };
	struct vio_vduse *vduse = queue->vduse;

	if (vduse->dev->queues[queue->index].running || !vio_device_running(vduse->dev) || queue->refused)
		return;
	if (vds_control(vduse, VDUSE_VQ_GET_INFO, &info) < 0 || !info.ready)
		return;
	/* hostile: F5 */
	if (info.num > vduse->dev->queue_size || !vio_device_can_size(vduse->dev, info.num))
		refuse(queue, &info, "that is no size for it");
	else
		start(queue, &info);
}

void vds_queue_pause(struct vds_queue *queue)
{
	struct vio_device *dev = queue->vduse->dev;

	queue->refused = false;
	if (dev->queues[queue->index].running) {
		/* What an earlier server left can only be said to have been taken when it has been. */
		if (queue->ledger.log.again)
			vio_device_kick(dev, queue->index);
		queue->at = vio_device_queue_stop(dev, queue->index);
	}
	link_ledger_close(&queue->ledger);
}

void vds_queue_end(struct vds_queue *queue)
{
	const bool packed = vio_device_has_feature(queue->vduse->dev, VIRTIO_F_RING_PACKED);

	queue->ended = !queue->known ? VDS_ENDED_NOWHERE : packed ? VDS_ENDED_PACKED : VDS_ENDED_SPLIT;
}

void vds_queue_reset(struct vds_queue *queue)
{
	struct vio_vduse *vduse = queue->vduse;

	vduse->watcher.cancel(vduse->watcher.context, &queue->again);
	link_ledger_close(&queue->ledger);
	link_inflight_forget(&vduse->account.inflight, queue->index);
	queue->known = false;
	queue->refused = false;
	queue->had_run = false;
	queue->owes_interrupt = false;
}
