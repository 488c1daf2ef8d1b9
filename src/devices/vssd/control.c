/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/vssd/vssd.h"

#include <string.h>

/*
 * One change of the map at a time, from a list of the driver's or from the owner. Its requests to the
 * storage follow each other: change_begin() and change_step() prepare one, change_run() hands it over.
 * While it goes on the control queue waits.
 */

/* Told to the driver and to the owner. */
static void tell(struct vssd *vssd)
{
	uint64_t sectors = vssd->unit / VIRTIO_BLK_SECTOR_BYTES;

	vssd->requests.capacity = vio_vssd_map_end(&vssd->map) * sectors;
	vio_device_config_changed(vssd->dev);
	if (vssd->changed)
		vssd->changed(vssd->watch_context, vssd->dev);
}

static void answer(struct vssd *vssd, struct vio_buf *buf, uint32_t status, uint32_t index)
{
	struct vio_devq *q = &vssd->dev->queues[vio_vssd_control_queue(vssd->dev)];
	struct virtio_vssd_answer wire = {
		.status = vio_le32_make(status),
		.index = vio_le32_make(index),
		.provisioned = vio_le64_make(vssd->map.provisioned),
	};

	vio_devq_push(q, buf, (uint32_t)vio_write(buf, &wire, sizeof(wire)));
	vio_devq_notify(q);
}

/* Prepares the zeroing of the next run of blocks that change; false when there is none. */
static bool prepare_zeroes(struct vssd *vssd)
{
	struct vio_block *data = vssd->storage.data;
	struct vio_block_request *work = &vssd->work;

	vssd->run_first += vssd->run_count;
	if (!vio_vssd_map_run(&vssd->map, false, &vssd->run_first, &vssd->run_count))
		return false;
	work->op = VIO_BLOCK_WRITE_ZEROES;
	work->flags = VIO_BLOCK_STABLE | (data->zeroes_unmap ? VIO_BLOCK_UNMAP : 0);
	work->offset = vssd->run_first * vssd->unit;
	work->length = vssd->run_count * vssd->unit;
	vssd->work_on = data;
	return true;
}

static void prepare_record(struct vssd *vssd)
{
	vio_vssd_map_prepare(&vssd->map, &vssd->work);
	vssd->work_on = vssd->map.block;
}

static void withdraw(struct vssd *vssd, enum vio_vssd_outcome outcome);

static void change_end(struct vssd *vssd, uint32_t status)
{
	struct vssd_map *map = &vssd->map;
	enum vssd_change change = vssd->change;
	enum vio_vssd_outcome withdrawal = vssd->withdrawal;

	if (vssd->recorded)
		vio_vssd_map_settle(map);
	else if (!vssd->map_failed)
		vio_vssd_map_forget(map);
	if (vssd->map_failed) {
		map->target = map->provisioned;
		vssd->outcome = VIO_VSSD_FAILED;
	} else if (change != VSSD_NOTE && map->target == map->provisioned) {
		vssd->outcome = VIO_VSSD_DONE;
	}
	if (change == VSSD_NOTE || vssd_state(vssd) == VIRTIO_VSSD_STATE_IDLE)
		vssd->ticket = (uint32_t)map->sequence;
	vssd->change = VSSD_REST;
	vssd->withdrawal = VIO_VSSD_NONE;
	/* Told before it is answered: who sees the answer finds the configuration as it is now. */
	tell(vssd);
	if (vssd->answering)
		answer(vssd, &vssd->buf, status, 0);
	vssd->answering = false;
	if (withdrawal)
		withdraw(vssd, withdrawal);
	if (!vssd->serving && !vssd->draining && vssd->change == VSSD_REST)
		vio_device_kick(vssd->dev, vio_vssd_control_queue(vssd->dev));
}

/* What was asked of the storage is done: true when there is more to ask, otherwise the change has ended. */
static bool change_step(struct vssd *vssd)
{
	bool was_record = vssd->work_on == vssd->map.block;

	if (was_record && vssd->result) {
		/* Who can't tell what is recorded serves neither what was there nor what would be. */
		vssd->map_failed = true;
		change_end(vssd, VIRTIO_VSSD_S_IOERR);
		return false;
	}
	vssd->recorded = vssd->recorded || was_record;
	if (vssd->change == VSSD_NOTE || (vssd->change == VSSD_CLAIM && was_record)) {
		change_end(vssd, VIRTIO_VSSD_S_OK);
		return false;
	}
	if (vssd->result && vssd->change == VSSD_CLAIM) {
		change_end(vssd, VIRTIO_VSSD_S_IOERR);
		return false;
	}
	if (vssd->result)
		vssd->unpunched += vssd->run_count;
	if (prepare_zeroes(vssd))
		return true;
	if (vssd->change == VSSD_EVICT) {
		change_end(vssd, VIRTIO_VSSD_S_OK);
		return false;
	}
	prepare_record(vssd);
	return true;
}

static void change_run(struct vssd *vssd)
{
	do {
		vssd->done = false;
		vssd->submitting = true;
		vssd->work_on->ops->submit(vssd->work_on, &vssd->work);
		vssd->submitting = false;
	} while (vssd->done && change_step(vssd));
}

static void change_done(struct vio_block_request *request, int result)
{
	struct vssd *vssd = VIO_CONTAINER_OF(request, struct vssd, work);

	vssd->result = result;
	vssd->done = true;
	if (!vssd->submitting && change_step(vssd))
		change_run(vssd);
}

/* With map->next, or its target, as it is to be. */
static void change_begin(struct vssd *vssd, enum vssd_change change)
{
	vssd->change = change;
	vssd->recorded = false;
	vssd->result = 0;
	vssd->run_first = 0;
	vssd->run_count = 0;
	vssd->work.done = change_done;
	/* spec: VSSD-DEV-10, VSSD-DEV-11 */
	if (change != VSSD_CLAIM || !prepare_zeroes(vssd))
		prepare_record(vssd);
	change_run(vssd);
}

/* Resizes. */

static void withdraw(struct vssd *vssd, enum vio_vssd_outcome outcome)
{
	if (vssd_state(vssd) == VIRTIO_VSSD_STATE_IDLE)
		return;
	vssd->outcome = outcome;
	vssd->map.target_next = vssd->map.provisioned;
	change_begin(vssd, VSSD_NOTE);
}

void vio_vssd_withdraw(struct vio_device *dev, enum vio_vssd_outcome outcome)
{
	struct vssd *vssd = vio_device_state(dev);

	if (vssd->change != VSSD_REST)
		vssd->withdrawal = outcome;
	else
		withdraw(vssd, outcome);
}

int vio_vssd_resize(struct vio_device *dev, uint64_t blocks)
{
	struct vssd *vssd = vio_device_state(dev);

	if (!blocks || blocks > vssd->map.total)
		return -VIO_ERANGE;
	if (vssd->map_failed)
		return -VIO_EIO;
	if (vssd->storage.data->read_only)
		return -VIO_EACCES;
	if (vssd->change == VSSD_NOTE)
		return -VIO_EAGAIN;
	if (vssd_state(vssd) != VIRTIO_VSSD_STATE_IDLE)
		return -VIO_EBUSY;
	if (blocks == vssd->map.provisioned) {
		vssd->outcome = VIO_VSSD_DONE;
		return 0;
	}
	if (!vio_device_running(dev) || !vio_device_has_feature(dev, VIRTIO_VSSD_F_RESIZE))
		return -VIO_EPHASE;
	vssd->outcome = VIO_VSSD_NONE;
	vssd->map.target_next = blocks;
	change_begin(vssd, VSSD_NOTE);
	return vssd->map_failed ? -VIO_EIO : 0;
}

/* Lists. */

/* Marks the list in map->next; VIRTIO_VSSD_S_... spec: VSSD-DEV-5, VSSD-DEV-6, VSSD-DEV-7 */
static uint32_t mark_list(struct vssd *vssd, struct vio_buf *buf, bool claim, uint32_t *index)
{
	struct vssd_map *map = &vssd->map;
	uint64_t left = claim ? map->target - map->provisioned : map->provisioned - map->target;
	struct virtio_vssd_range wire;
	uint64_t first, count, end;

	for (*index = 0; vio_read(buf, &wire, sizeof(wire)) == sizeof(wire); ++*index) {
		first = vio_le64_get(wire.first);
		count = vio_le64_get(wire.count);
		if (!count || !vio_add_u64(first, count, &end) || end > map->total)
			return VIRTIO_VSSD_S_RANGE;
		if (count > left)
			return VIRTIO_VSSD_S_TOOMANY;
		if (!vio_vssd_map_mark(map, first, count, claim))
			return VIRTIO_VSSD_S_STATE;
		left -= count;
	}
	*index = 0;
	return VIRTIO_VSSD_S_OK;
}

static bool in_changing(const struct vio_device *dev, uint64_t sector, uint64_t sectors)
{
	const struct vssd *vssd = vio_device_state(dev);
	uint64_t unit = vssd->unit / VIRTIO_BLK_SECTOR_BYTES;
	uint64_t first = sector / unit, last = (sector + sectors - 1) / unit;

	return vio_vssd_map_changes(&vssd->map, first, last - first + 1);
}

static uint32_t judge_list(struct vssd *vssd, struct vio_buf *buf, bool claim, uint32_t *index)
{
	uint32_t status;

	if (vssd_state(vssd) != (claim ? VIRTIO_VSSD_STATE_GROWING : VIRTIO_VSSD_STATE_SHRINKING))
		return VIRTIO_VSSD_S_STALE;
	if (!buf->readable_bytes || buf->readable_bytes % sizeof(struct virtio_vssd_range))
		return VIRTIO_VSSD_S_UNSUPP;
	status = mark_list(vssd, buf, claim, index);
	/* spec: VSSD-DEV-8 */
	if (!status && vio_block_requests_touch(vssd->dev, in_changing))
		status = VIRTIO_VSSD_S_BUSY;
	if (status)
		vio_vssd_map_forget(&vssd->map);
	return status;
}

static void answer_map(struct vssd *vssd, struct vio_buf *buf)
{
	struct vio_devq *q = &vssd->dev->queues[vio_vssd_control_queue(vssd->dev)];
	struct virtio_vssd_answer wire = { .provisioned = vio_le64_make(vssd->map.provisioned) };
	struct virtio_vssd_from from;
	uint32_t written;
	uint64_t first;

	if (vio_read(buf, &from, sizeof(from)) != sizeof(from) || buf->readable_bytes ||
	    vio_le64_get(from.first) % 8) {
		answer(vssd, buf, VIRTIO_VSSD_S_UNSUPP, 0);
		return;
	}
	first = vio_le64_get(from.first);
	if (first >= vssd->map.total) {
		answer(vssd, buf, VIRTIO_VSSD_S_RANGE, 0);
		return;
	}
	written = (uint32_t)vio_write(buf, &wire, sizeof(wire));
	for (; first < vssd->map.total && buf->writable_bytes; first += 8) {
		uint8_t eight = vio_vssd_map_eight(&vssd->map, first);

		written += (uint32_t)vio_write(buf, &eight, 1);
	}
	vio_devq_push(q, buf, written);
	vio_devq_notify(q);
}

/* Answers, or begins a change that will. */
static void control_serve(struct vssd *vssd, const struct vio_buf *popped)
{
	struct virtio_vssd_control header;
	struct vio_buf buf = *popped;
	uint32_t index = 0, status, type;

	if (buf.truncated || vio_read(&buf, &header, sizeof(header)) != sizeof(header) ||
	    buf.writable_bytes < sizeof(struct virtio_vssd_answer) ||
	    !vio_device_has_feature(vssd->dev, VIRTIO_VSSD_F_RESIZE)) {
		answer(vssd, &buf, VIRTIO_VSSD_S_UNSUPP, 0); /* spec: VSSD-DEV-9 */
		return;
	}
	type = vio_le32_get(header.type);
	if (type == VIRTIO_VSSD_T_MAP) {
		answer_map(vssd, &buf);
		return;
	}
	if (vssd->map_failed)
		status = VIRTIO_VSSD_S_IOERR;
	else if (type > VIRTIO_VSSD_T_DECLINE || (type == VIRTIO_VSSD_T_DECLINE && buf.readable_bytes))
		status = VIRTIO_VSSD_S_UNSUPP;
	else if (vio_le32_get(header.ticket) != vssd->ticket || vssd_state(vssd) == VIRTIO_VSSD_STATE_IDLE)
		status = VIRTIO_VSSD_S_STALE; /* spec: VSSD-DEV-4 */
	else if (type == VIRTIO_VSSD_T_DECLINE)
		status = VIRTIO_VSSD_S_OK;
	else
		status = judge_list(vssd, &buf, type == VIRTIO_VSSD_T_CLAIM, &index);
	if (status) {
		answer(vssd, &buf, status, index);
		return;
	}
	vssd->buf = buf;
	vssd->answering = true;
	if (type == VIRTIO_VSSD_T_DECLINE)
		withdraw(vssd, VIO_VSSD_DECLINED);
	else
		change_begin(vssd, type == VIRTIO_VSSD_T_CLAIM ? VSSD_CLAIM : VSSD_EVICT);
}

void vio_vssd_control(struct vio_device *dev, struct vio_devq *q)
{
	struct vssd *vssd = vio_device_state(dev);
	struct vio_buf buf;

	vssd->serving = true;
	while (vssd->change == VSSD_REST && !vssd->draining && vio_devq_pop(q, &buf))
		control_serve(vssd, &buf);
	vssd->serving = false;
}

void vio_vssd_control_drain(struct vio_device *dev)
{
	struct vssd *vssd = vio_device_state(dev);

	/* Each round brings the change at least one request further. */
	vssd->draining = true;
	while (vssd->change != VSSD_REST)
		vssd->work_on->ops->drain(vssd->work_on);
	vssd->draining = false;
}
