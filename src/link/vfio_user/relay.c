/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "link/ring.h"
#include "link/vfio_user/server.h"

/* The life of a relay and its two sequences of steps; buffers are in relay_buffers.c. */

static struct vio_devq *near_queue(const struct vfu_relay *relay)
{
	return &relay->queue->server->dev->queues[relay->queue->index];
}

static bool lives(const struct vfu_relay *relay)
{
	return !relay->resting && !relay->broken;
}

void vfu_relay_fault(struct vfu_relay *relay, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	struct vfu_queue *queue = relay->queue;
	struct vio_devq *q = near_queue(relay);

	vfu_batch_cancel(queue->server, &relay->in);
	vfu_batch_cancel(queue->server, &relay->out);
	relay->broken = true;
	if (!q->running || vio_devq_broken(q))
		return;
	q->fault = (struct vio_fault){ kind, queue->index, index, value };
	vio_device_settle(queue->server->dev, queue->index);
}

/* hostile: E23 */
static void copy_failed(struct vfu_relay *relay, const struct vfu_copy *copy, int error)
{
	struct vfu_queue *queue = relay->queue;

	vfu_log(queue->server, "queue %u: %u bytes at %#llx can't be %s: %s", queue->index, copy->bytes,
		(unsigned long long)copy->address, copy->write ? "written" : "read",
		error < 0 ? vio_strerror(error) : strerror(error));
	vfu_relay_fault(relay, VIO_FAULT_BUFFER_MEMORY, 0, copy->address);
}

static void in_failed(struct vfu_batch *batch, const struct vfu_copy *copy, int error)
{
	copy_failed(VIO_CONTAINER_OF(batch, struct vfu_relay, in), copy, error);
}

static void out_failed(struct vfu_batch *batch, const struct vfu_copy *copy, int error)
{
	copy_failed(VIO_CONTAINER_OF(batch, struct vfu_relay, out), copy, error);
}

static bool added(struct vfu_relay *relay, int error)
{
	if (!error)
		return true;
	vfu_log(relay->queue->server, "queue %u: no memory for what is to be copied", relay->queue->index);
	vfu_relay_fault(relay, VIO_FAULT_BUFFER_MEMORY, 0, 0);
	return false;
}

bool vfu_relay_in(struct vfu_relay *relay, uint64_t address, void *host, uint32_t bytes)
{
	return added(relay, vfu_batch_add(&relay->in, address, host, bytes, false));
}

bool vfu_relay_ask(struct vfu_relay *relay, uint64_t address, const void *host, uint32_t bytes)
{
	return added(relay, vfu_batch_add(&relay->in, address, (void *)(uintptr_t)host, bytes, true));
}

bool vfu_relay_wish(struct vfu_relay *relay, uint64_t address, void *host, uint32_t bytes)
{
	return added(relay, vfu_batch_add(&relay->out, address, host, bytes, false));
}

bool vfu_relay_out(struct vfu_relay *relay, uint64_t address, const void *host, uint32_t bytes)
{
	return added(relay, vfu_batch_add(&relay->out, address, (void *)(uintptr_t)host, bytes, true));
}

/* In. */

void vfu_relay_begin(struct vfu_relay *relay, enum vfu_in step)
{
	relay->in_step = step;
	vfu_batch_begin(relay->queue->server, &relay->in);
}

static void look(struct vfu_relay *relay)
{
	const struct vio_devq *q = near_queue(relay);

	relay->in_step = VFU_IN_IDLE;
	relay->kicked = false;
	if (q->running && !vio_devq_broken(q))
		relay->ops->look(relay);
}

void vfu_relay_none(struct vfu_relay *relay)
{
	relay->in_step = VFU_IN_IDLE;
	if (!lives(relay) || relay->ops->ask(relay))
		return;
	if (relay->kicked)
		look(relay);
}

static void in_done(struct vfu_batch *batch)
{
	struct vfu_relay *relay = VIO_CONTAINER_OF(batch, struct vfu_relay, in);

	switch (relay->in_step) {
	case VFU_IN_LOOK:
		relay->ops->looked(relay);
		break;
	case VFU_IN_FETCH:
		relay->ops->fetched(relay);
		break;
	case VFU_IN_TABLES:
		vfu_relay_lay(relay);
		break;
	case VFU_IN_DATA:
		vfu_relay_show(relay);
		break;
	case VFU_IN_ASK:
		look(relay);
		break;
	case VFU_IN_IDLE:
		break;
	}
}

void vfu_relay_kick(struct vfu_queue *queue)
{
	struct vfu_relay *relay = queue->relay;

	if (!relay || !lives(relay) || !relay->begun)
		return;
	relay->kicked = true;
	if (relay->in_step == VFU_IN_IDLE)
		look(relay);
}

/* Out. */

static void out(struct vfu_relay *relay, enum vfu_out step)
{
	bool fine = true;

	relay->out_step = step;
	if (step == VFU_OUT_GIVE) {
		relay->giving_count = 0;
		fine = relay->ops->give(relay);
	} else if (step == VFU_OUT_SHOW) {
		fine = relay->ops->make_visible(relay);
	} else if (step == VFU_OUT_WISH) {
		fine = relay->ops->read_wish(relay);
	}
	if (fine)
		vfu_batch_begin(relay->queue->server, &relay->out);
}

static void shown(struct vfu_relay *relay)
{
	struct vio_devq *q = near_queue(relay);

	if (relay->ops->wanted(relay))
		q->interrupt(q->interrupt_context, q);
	relay->shown = relay->showing;
	relay->out_step = VFU_OUT_IDLE;
	vfu_relay_settle(relay->queue);
}

/* What was shown last is the driver's again. */
static void now_visible(struct vfu_relay *relay)
{
	if (relay->packed)
		relay->entries = (uint16_t)(relay->entries -
					    packed_distance(relay->shown, relay->showing, relay->size));
}

static void out_done(struct vfu_batch *batch)
{
	struct vfu_relay *relay = VIO_CONTAINER_OF(batch, struct vfu_relay, out);

	switch (relay->out_step) {
	case VFU_OUT_GIVE:
		vfu_relay_given(relay);
		out(relay, VFU_OUT_SHOW);
		break;
	case VFU_OUT_SHOW:
		now_visible(relay);
		out(relay, VFU_OUT_WISH);
		break;
	case VFU_OUT_WISH:
		shown(relay);
		break;
	case VFU_OUT_IDLE:
		break;
	}
	/* There is room now for what waited for it. */
	if (relay->starved && lives(relay) && relay->in_step == VFU_IN_IDLE) {
		relay->starved = false;
		look(relay);
	}
}

void vfu_relay_settle(struct vfu_queue *queue)
{
	struct vfu_relay *relay = queue->relay;

	if (relay && lives(relay) && relay->out_step == VFU_OUT_IDLE && relay->near_shown != relay->shown)
		out(relay, VFU_OUT_GIVE);
}

/* What the device's queue tells, in its thread. */

static struct vfu_relay *relay_of(struct vio_devq_log *log)
{
	return VIO_CONTAINER_OF(log, struct vfu_relay, log);
}

static void on_popped(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
		      unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		const struct vio_buf *buf = &buffers[i];
		struct vfu_record *record = &relay_of(log)->records[buf->head];

		record->last = buf->writable_count ? &buf->writable[buf->writable_count - 1] : NULL;
		record->last_end = record->last ? record->last->host + record->last->length : NULL;
	}
}

static void on_taken(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
		     unsigned count, uint16_t position)
{
}

static void on_untaken(struct vio_devq_log *log, const struct vio_buf *buf)
{
}

static void on_given(struct vio_devq_log *log, uint16_t name)
{
}

static void on_asked(struct vio_devq_log *log, const struct vio_devq *q)
{
}

static void on_filled(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buf,
		      uint32_t written)
{
	struct vfu_record *record = &relay_of(log)->records[buf->head];

	record->written = written;
	record->cut = record->last && record->last->host + record->last->length < record->last_end;
}

/* The near driver never wants to hear: with EVENT_IDX because it asks for what is long past. */
static void on_showing(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct vfu_relay *relay = relay_of(log);

	if (!relay->packed)
		vio_store_le16(split_used_event(relay->avail, relay->size), (uint16_t)(q->used_visible - 1));
}

/* There is something for the server's thread. */
static void wake(struct vfu_queue *queue)
{
	struct vio_vfio_user *server = queue->server;

	if (server->crew.post)
		server->crew.post(server->crew.context, &queue->settle);
	else
		server->watcher.defer(server->watcher.context, &server->dma.task);
}

static void on_shown(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct vfu_relay *relay = relay_of(log);

	relay->near_shown = q->used_visible;
	wake(relay->queue);
}

static const struct vio_devq_log_ops log_ops = {
	.taken = on_taken,
	.untaken = on_untaken,
	.given = on_given,
	.showing = on_showing,
	.shown = on_shown,
	.popped = on_popped,
	.filled = on_filled,
	.asked = on_asked,
};

/* Life. */

static uint64_t far_bytes(const struct vio_devq_config *config, bool packed, unsigned area)
{
	if (area == 0)
		return 16ull * config->size;
	return packed ? 4 : 6 + (area == 1 ? 2ull : 8ull) * config->size;
}

/* Whether rings lie in the client's memory: VFU_MAPPED only when all of them do in what is mapped. */
static enum vfu_reach reach(struct vfu_memory *memory, const struct vio_devq_config *config, bool packed)
{
	const struct vio_addr areas[3] = { config->descriptor_area, config->driver_area,
					   config->device_area };
	const unsigned rights[3] = { packed ? VIO_MEM_READ | VIO_MEM_WRITE : VIO_MEM_READ, VIO_MEM_READ,
				     VIO_MEM_WRITE };
	enum vfu_reach worst = VFU_MAPPED;
	unsigned i;

	for (i = 0; i < 3; i++) {
		enum vfu_reach one =
			vfu_memory_reach(memory, areas[i].raw, far_bytes(config, packed, i), rights[i]);

		if (one < worst)
			worst = one;
	}
	return worst;
}

static bool aligned(const struct vio_devq_config *config, bool packed)
{
	return !(config->descriptor_area.raw % 16 || config->driver_area.raw % (packed ? 4 : 2) ||
		 config->device_area.raw % 4);
}

static bool allocate(struct vfu_relay *relay)
{
	const size_t size = relay->size;

	relay->records = calloc(size, sizeof(*relay->records));
	relay->order = calloc(size, sizeof(*relay->order));
	relay->table = calloc(size, 16);
	relay->names = calloc(size, sizeof(*relay->names));
	relay->fetches = calloc(size, sizeof(*relay->fetches));
	relay->places = calloc(2 * size, sizeof(*relay->places));
	relay->giving = calloc(size, sizeof(*relay->giving));
	relay->links = malloc(size * sizeof(*relay->links));
	if (relay->links)
		memset(relay->links, 0xff, size * sizeof(*relay->links)); /* VFU_UNLINKED */
	return relay->records && relay->order && relay->table && relay->names && relay->fetches &&
	       relay->places && relay->giving && relay->links;
}

static void destroy(struct vfu_relay *relay)
{
	size_t i;

	for (i = 0; relay->records && i < relay->size; i++)
		free(relay->records[i].writable);
	vfu_batch_free(&relay->in);
	vfu_batch_free(&relay->out);
	vio_arena_free(&relay->arena);
	free(relay->records);
	free(relay->order);
	free(relay->table);
	free(relay->tables);
	free(relay->names);
	free(relay->links);
	free(relay->fetches);
	free(relay->places);
	free(relay->giving);
	free(relay);
}

static struct vfu_relay *make(struct vfu_queue *queue, const struct vio_devq_config *far)
{
	struct vio_device *dev = queue->server->dev;
	struct vfu_relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->log.ops = &log_ops;
	relay->queue = queue;
	relay->far = *far;
	relay->size = far->size;
	relay->packed = vio_device_has_feature(dev, VIRTIO_F_RING_PACKED);
	relay->event_idx = vio_device_has_feature(dev, VIRTIO_F_EVENT_IDX);
	relay->in_order = vio_device_has_feature(dev, VIRTIO_F_IN_ORDER);
	relay->indirect = vio_device_has_feature(dev, VIRTIO_F_INDIRECT_DESC);
	relay->ops = relay->packed ? &vfu_packed_ops : &vfu_split_ops;
	relay->in = (struct vfu_batch){ .done = in_done, .failed = in_failed };
	relay->out = (struct vfu_batch){ .done = out_done, .failed = out_failed };
	relay->seen = far->at.avail;
	relay->shown = relay->near_shown = far->at.used;
	/* Rings of the largest size, and a page that each of the three may waste. */
	if (allocate(relay) &&
	    !vio_arena_make(&relay->arena, VFU_RELAY_BYTES + 32 * (size_t)relay->size + 4 * VIO_ARENA_PAGE))
		return relay;
	destroy(relay);
	return NULL;
}

static int place(struct vfu_queue *queue, struct vio_devq_config *config)
{
	struct vio_vfio_user *server = queue->server;
	struct vfu_relay *relay = make(queue, config);
	struct vio_region region = { .rights = VIO_MEM_READ | VIO_MEM_WRITE };
	struct vio_devq_config near = *config;
	int error = -VIO_ENOMEM;

	if (!relay)
		return error;
	relay->arena.addr = vio_addr_make(VFU_RELAY_ADDRESS + queue->index * VFU_RELAY_SPACING);
	region.base = relay->arena.addr;
	region.size = relay->arena.bytes;
	region.host = relay->arena.host;
	error = relay->ops->make(relay, &near);
	if (!error)
		error = vio_mem_add(&server->memory.near, &region);
	if (error) {
		destroy(relay);
		return error;
	}
	near.log = &relay->log;
	near.mem = &server->memory.near;
	*config = near;
	queue->relay = relay;
	return 0;
}

/* A queue that has its rings here, and takes a buffer that isn't. */

static bool absent(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct vfu_queue *queue = VIO_CONTAINER_OF(log, struct vfu_queue, watch);

	/* What is nowhere a relay doesn't find either, and then it is a fault. */
	if (q->fault.kind != VIO_FAULT_BUFFER_MEMORY && q->fault.kind != VIO_FAULT_INDIRECT_MEMORY)
		return false;
	if (!queue->wants_relay)
		wake(queue);
	queue->wants_relay = true;
	return true;
}

static void ignore_showing(struct vio_devq_log *log, const struct vio_devq *q)
{
}

static const struct vio_devq_log_ops watch_ops = {
	.taken = on_taken,
	.untaken = on_untaken,
	.given = on_given,
	.showing = ignore_showing,
	.shown = ignore_showing,
	.absent = absent,
};

void vfu_relay_place(struct vfu_queue *queue, struct vio_devq_config *config)
{
	struct vio_vfio_user *server = queue->server;
	const bool packed = vio_device_has_feature(server->dev, VIRTIO_F_RING_PACKED);
	enum vfu_reach there;
	int error;

	vfu_relay_end(queue);
	queue->watch.ops = &watch_ops;
	config->log = server->memory.distant ? &queue->watch : NULL;
	config->mem = NULL;
	/* What the ring itself refuses it refuses with the driver's own addresses. */
	if (!config->size || config->size > server->dev->queue_size_max || !aligned(config, packed) ||
	    (!packed && !vio_is_power_of_two(config->size)))
		return;
	there = reach(&server->memory, config, packed);
	if (there == VFU_OUTSIDE || (there == VFU_MAPPED && !queue->wants_relay))
		return;
	queue->wants_relay = false;
	error = place(queue, config);
	if (!error)
		return;
	vfu_log(server, "queue %u: its rings can't be copied: %s", queue->index, vio_strerror(error));
	config->log = NULL; /* so that what isn't here is a fault, and not asked for again */
}

/* hostile: A108, as when memory changed: where it stood it goes on */
static void replace(struct vfu_queue *queue)
{
	struct vio_device *dev = queue->server->dev;
	struct vio_devq_config config = dev->queue_configs[queue->index];

	config.at = vio_device_queue_stop(dev, queue->index);
	vfu_relay_place(queue, &config);
	queue->wants_relay = false;
	if (vio_device_queue_start(dev, queue->index, &config))
		vio_device_needs_reset(dev);
}

bool vfu_relay_present(const struct vfu_queue *queue)
{
	struct vio_vfio_user *server = queue->server;
	const uint64_t *area = server->model_queues[queue->index].area;
	const struct vio_devq_config far = { .size = server->dev->queue_configs[queue->index].size,
					     .descriptor_area = vio_addr_make(area[0]),
					     .driver_area = vio_addr_make(area[1]),
					     .device_area = vio_addr_make(area[2]) };
	const bool packed = vio_device_has_feature(server->dev, VIRTIO_F_RING_PACKED);

	if (reach(&server->memory, &far, packed) == VFU_DISTANT)
		return aligned(&far, packed);
	return link_ring_present(&server->memory.mem, &far, packed);
}

void vfu_relay_rest(struct vfu_queue *queue)
{
	struct vfu_relay *relay = queue->relay;

	if (!relay || relay->resting)
		return;
	relay->resting = true;
	/* Of packed rings it can't be done twice: the driver may have made the entry available again. */
	if (relay->out_step == VFU_OUT_SHOW && relay->out.count && relay->out.at == relay->out.count) {
		now_visible(relay);
		relay->out_step = VFU_OUT_WISH;
	}
	vfu_batch_cancel(queue->server, &relay->in);
	vfu_batch_cancel(queue->server, &relay->out);
	vfu_relay_drop_fetches(relay, 0);
	relay->in_step = VFU_IN_IDLE;
	relay->starved = false;
	relay->has_asked = false;
}

void vfu_relay_go_on(struct vfu_queue *queue)
{
	struct vfu_relay *relay = queue->relay;

	if (!relay || !relay->resting)
		return;
	relay->resting = false;
	if (relay->broken)
		return;
	if (relay->out_step != VFU_OUT_IDLE)
		out(relay, relay->out_step);
	else
		vfu_relay_settle(queue);
	if (lives(relay) && relay->begun)
		look(relay);
}

void vfu_relay_end(struct vfu_queue *queue)
{
	struct vio_vfio_user *server = queue->server;
	struct vfu_relay *relay = queue->relay;

	if (!relay)
		return;
	queue->relay = NULL;
	vfu_batch_cancel(server, &relay->in);
	vfu_batch_cancel(server, &relay->out);
	(void)vio_mem_remove(&server->memory.near, relay->arena.addr, relay->arena.bytes);
	destroy(relay);
}

void vfu_relays_sweep(struct vio_vfio_user *server)
{
	uint16_t i;

	for (i = 0; i < server->dev->queue_count; i++) {
		struct vfu_queue *queue = &server->queues[i];
		struct vfu_relay *relay = queue->relay;

		if (!queue->held && !server->dev->queues[i].running) {
			queue->wants_relay = false;
			vfu_relay_end(queue);
			continue;
		}
		if (relay && !relay->begun && (server->dev->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
			relay->begun = true; /* spec: DEV-BASIC-001, not a moment before */
			if (lives(relay) && relay->in_step == VFU_IN_IDLE)
				look(relay);
		}
	}
}

void vfu_relays_settle(struct vio_vfio_user *server)
{
	uint16_t i;

	for (i = 0; i < server->dev->queue_count; i++) {
		struct vfu_queue *queue = &server->queues[i];

		if (queue->wants_relay && !queue->relay && server->dev->queues[i].running)
			replace(queue);
		vfu_relay_settle(queue);
	}
	vfu_relays_sweep(server);
}

bool vfu_relays_any(const struct vio_vfio_user *server)
{
	uint16_t i;

	for (i = 0; i < server->dev->queue_count; i++)
		if (server->queues[i].relay)
			return true;
	return false;
}
