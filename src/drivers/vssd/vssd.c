/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/vssd.h>

#include "drivers/blk/blk.h"

#define CONTROL_QUEUE   1u   /* as MQ isn't accepted */
#define MAP_REQUESTS    256u /* of one vio_vssd_work() */
#define BLOCK_BYTES_MIN 512u

VIO_STATIC_ASSERT(offsetof(struct vio_vssd, blk) == 0, "the block driver's state is first");
VIO_STATIC_ASSERT(offsetof(struct virtio_vssd_config, total) % 8 == 0, "the numbers are fields");

static struct vio_vssd *vssd_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_vssd_driver ? dev->driver_state : NULL;
}

/* What the device says. */

static bool is_possible(const struct vio_vssd_info *info)
{
	uint32_t state = info->target < info->provisioned   ? VIRTIO_VSSD_STATE_SHRINKING
			 : info->target > info->provisioned ? VIRTIO_VSSD_STATE_GROWING
							    : VIRTIO_VSSD_STATE_IDLE;

	return info->provisioned <= info->total && info->target <= info->total && info->state == state &&
	       info->block_bytes >= BLOCK_BYTES_MIN && vio_is_power_of_two(info->block_bytes);
}

int vio_vssd_get_info(struct vio_dev *dev, struct vio_vssd_info *info)
{
	const uint32_t from = offsetof(struct virtio_vssd_config, total);
	struct virtio_vssd_config wire;
	int error;

	if (!vssd_of(dev))
		return -VIO_EINVAL;
	error = vio_dev_read_config(dev, from, &wire.total, sizeof(wire) - from);
	if (error)
		return error;
	*info = (struct vio_vssd_info){
		.total = vio_le64_get(wire.total),
		.provisioned = vio_le64_get(wire.provisioned),
		.target = vio_le64_get(wire.target),
		.block_bytes = vio_le32_get(wire.block_bytes),
		.state = vio_le32_get(wire.state),
		.ticket = vio_le32_get(wire.ticket),
		.deadline_ms = vio_le32_get(wire.deadline_ms),
	};
	return is_possible(info) ? 0 : -VIO_EPEER;
}

static int outcome(uint32_t status)
{
	switch (status) {
	case VIRTIO_VSSD_S_OK:
		return 0;
	case VIRTIO_VSSD_S_IOERR:
		return -VIO_EIO;
	case VIRTIO_VSSD_S_UNSUPP:
		return -VIO_ENOTSUP;
	case VIRTIO_VSSD_S_STALE:
		return -VIO_EAGAIN;
	case VIRTIO_VSSD_S_TOOMANY:
	case VIRTIO_VSSD_S_RANGE:
		return -VIO_ERANGE;
	case VIRTIO_VSSD_S_BUSY:
		return -VIO_EBUSY;
	case VIRTIO_VSSD_S_STATE:
		return -VIO_EINVAL;
	default:
		return -VIO_EPEER;
	}
}

/* Sends `bytes` of vssd->request; *more (NULL: nothing) takes what follows the answer. */
static int ask(struct vio_dev *dev, uint32_t bytes, struct vio_part *more)
{
	struct vio_vssd *vssd = vssd_of(dev);
	const struct vio_part parts[] = {
		vio_part_readable(&vssd->request, bytes),
		{ &vssd->answer, sizeof(vssd->answer) },
		more ? *more : (struct vio_part){ NULL, 0 },
	};
	uint32_t written;
	int error;

	if (!vssd->control)
		return -VIO_ENOTSUP;
	error = vio_dev_exchange(dev, vssd->control, parts, 1, more ? 2 : 1, &written, vssd->timeout_ns);
	if (error) {
		/* It was reset, and has let go of requests as well. */
		if (dev->phase != VIO_DEV_READY)
			vio_blk_stop(dev);
		return error;
	}
	if (written < sizeof(vssd->answer)) /* hostile: B10 B11 */
		return -VIO_EPEER;
	if (more)
		more->length = written - sizeof(vssd->answer);
	return outcome(vio_le32_get(vssd->answer.status));
}

static void begin_request(struct vio_vssd *vssd, uint32_t type, uint32_t ticket)
{
	vssd->request.header.type = vio_le32_make(type);
	vssd->request.header.ticket = vio_le32_make(ticket);
}

int vio_vssd_get_map(struct vio_dev *dev, uint64_t first, uint8_t *bits, uint32_t bytes, uint32_t *got)
{
	struct vio_part more = { bits, bytes };
	struct vio_vssd *vssd = vssd_of(dev);
	int error;

	if (!vssd || !bytes || first % 8)
		return -VIO_EINVAL;
	begin_request(vssd, VIRTIO_VSSD_T_MAP, 0);
	vssd->request.list[0].first = vio_le64_make(first); /* where struct virtio_vssd_from is */
	error = ask(dev, sizeof(vssd->request.header) + sizeof(struct virtio_vssd_from), &more);
	*got = error ? 0 : more.length;
	return error;
}

static int decline(struct vio_dev *dev, uint32_t ticket)
{
	struct vio_vssd *vssd = vssd_of(dev);

	begin_request(vssd, VIRTIO_VSSD_T_DECLINE, ticket);
	return ask(dev, sizeof(vssd->request.header), NULL);
}

int vio_vssd_decline(struct vio_dev *dev)
{
	struct vio_vssd_info info;
	int error = vio_vssd_get_info(dev, &info);

	return error || info.state == VIRTIO_VSSD_STATE_IDLE ? error : decline(dev, info.ticket);
}

/* Lists. */

/* Whether a program's list can be sent: *blocks in all. */
static int judge_list(const struct vio_vssd_range *list, unsigned count, const struct vio_vssd_info *info,
		      uint64_t most, uint64_t *blocks)
{
	uint64_t end;

	if (count > VIO_VSSD_RANGES_MAX)
		return -VIO_ERANGE;
	*blocks = 0;
	for (unsigned i = 0; i < count; i++) {
		if (!list[i].count || !vio_add_u64(list[i].first, list[i].count, &end) || end > info->total ||
		    list[i].count > most - *blocks)
			return -VIO_ERANGE;
		*blocks += list[i].count;
	}
	return 0;
}

static int send_list(struct vio_dev *dev, uint32_t type, const struct vio_vssd_info *info,
		     const struct vio_vssd_range *list, unsigned count, uint64_t blocks)
{
	struct vio_vssd *vssd = vssd_of(dev);
	uint64_t expected =
		type == VIRTIO_VSSD_T_CLAIM ? info->provisioned + blocks : info->provisioned - blocks;
	int error;

	begin_request(vssd, type, info->ticket);
	for (unsigned i = 0; i < count; i++) {
		vssd->request.list[i].first = vio_le64_make(list[i].first);
		vssd->request.list[i].count = vio_le64_make(list[i].count);
	}
	error = ask(dev, (uint32_t)(sizeof(vssd->request.header) + count * sizeof(vssd->request.list[0])),
		    NULL);
	if (error)
		return error;
	vssd->provisioned = expected;
	return vio_le64_get(vssd->answer.provisioned) == expected ? 0 : -VIO_EPEER;
}

static int shrink(struct vio_dev *dev, const struct vio_vssd_info *info)
{
	const struct vio_vssd *vssd = vssd_of(dev);
	struct vio_vssd_range list[VIO_VSSD_RANGES_MAX];
	uint64_t most = info->provisioned - info->target, blocks;
	unsigned count;
	int error;

	if (vssd->blk.q[0]->in_flight) /* spec: VSSD-DRV-3 */
		return -VIO_EBUSY;
	count = vssd->choose ? vssd->choose(dev, most, list, VIO_VSSD_RANGES_MAX) : 0;
	if (!count) { /* spec: VSSD-DRV-5 */
		error = decline(dev, info->ticket);
		return error ? error : -VIO_ENOSPC;
	}
	if (vssd->blk.q[0]->in_flight)
		return -VIO_EBUSY;
	error = judge_list(list, count, info, most, &blocks);
	return error ? error : send_list(dev, VIRTIO_VSSD_T_EVICT, info, list, count, blocks);
}

/* Absent blocks among those of vssd->bits, which begin at `first`: how many ranges there are now. */
static unsigned add_absent(const struct vio_vssd *vssd, const struct vio_vssd_info *info, uint64_t first,
			   uint32_t bytes, struct vio_vssd_range *list, unsigned count, uint64_t *left)
{
	for (uint64_t i = 0; i < 8ull * bytes && first + i < info->total && *left; i++) {
		if (vssd->bits[i / 8] >> i % 8 & 1)
			continue;
		if (count && list[count - 1].first + list[count - 1].count == first + i) {
			list[count - 1].count++;
		} else {
			if (count == VIO_VSSD_RANGES_MAX)
				break;
			list[count++] = (struct vio_vssd_range){ first + i, 1 };
		}
		--*left;
	}
	return count;
}

/* Takes the first blocks that are absent: as many as fit in a list, or as one map request shows. */
static int grow(struct vio_dev *dev, const struct vio_vssd_info *info)
{
	struct vio_vssd *vssd = vssd_of(dev);
	struct vio_vssd_range list[VIO_VSSD_RANGES_MAX];
	uint64_t most = info->target - info->provisioned, left = most;
	unsigned count = 0;
	uint32_t got;
	int error;

	for (unsigned requests = 0; !count; requests++) {
		if (vssd->scanned >= info->total) { /* hostile: B65: there isn't what it gives */
			vssd->scanned = 0;
			return -VIO_EPEER;
		}
		if (requests == MAP_REQUESTS)
			return -VIO_EAGAIN;
		error = vio_vssd_get_map(dev, vssd->scanned, vssd->bits, sizeof(vssd->bits), &got);
		if (error)
			return error;
		if (!got)
			return -VIO_EPEER;
		count = add_absent(vssd, info, vssd->scanned, got, list, count, &left);
		if (!count)
			vssd->scanned += 8ull * got;
	}
	return send_list(dev, VIRTIO_VSSD_T_CLAIM, info, list, count, most - left);
}

int vio_vssd_work(struct vio_dev *dev)
{
	struct vio_vssd *vssd = vssd_of(dev);
	struct vio_vssd_info info;
	int error = vio_vssd_get_info(dev, &info);
	uint32_t ticket;

	if (error)
		return error;
	ticket = info.ticket;
	if (vssd->scan_ticket != ticket)
		vssd->scanned = 0;
	vssd->scan_ticket = ticket;
	/* Ends: every list brings the same resize further, or the device is wrong. */
	while (!error && info.state != VIRTIO_VSSD_STATE_IDLE) {
		error = info.state == VIRTIO_VSSD_STATE_SHRINKING ? shrink(dev, &info) : grow(dev, &info);
		if (!error)
			error = vio_vssd_get_info(dev, &info);
		if (!error && info.state != VIRTIO_VSSD_STATE_IDLE && info.ticket != ticket)
			error = -VIO_EAGAIN; /* spec: VSSD-DRV-2 */
		else if (!error && info.state != VIRTIO_VSSD_STATE_IDLE &&
			 info.provisioned != vssd->provisioned)
			error = -VIO_EPEER; /* hostile: B65 */
	}
	if (dev->phase == VIO_DEV_READY) /* spec: VSSD-DRV-1 */
		(void)vio_blk_identify_again(dev, &vssd->blk.identity);
	return error;
}

/* Life. */

/* One queue of requests will do, and it is known then where the control queue is. */
static void vssd_choose(const struct vio_dev *dev, struct vio_features *wanted)
{
	(void)dev;
	vio_features_clear(wanted, VIRTIO_BLK_F_MQ);
	vio_features_set(wanted, VIRTIO_VSSD_F_RESIZE);
}

static int vssd_add_queues(struct vio_dev *dev)
{
	static const struct vio_queue_wish wish = { .size = 4 };
	struct vio_vssd *vssd = vssd_of(dev);

	vssd->control = NULL;
	if (!vio_dev_has_feature(dev, VIRTIO_VSSD_F_RESIZE))
		return 0;
	return vio_dev_add_queue(dev, CONTROL_QUEUE, &wish, &vssd->control);
}

static const struct vio_blk_more vssd_more = { vssd_choose, vssd_add_queues };

static int vssd_probe(struct vio_dev *dev)
{
	struct vio_vssd *vssd = dev->driver_state;

	vssd->blk.more = &vssd_more;
	vssd->blk.timeout_ns = VIO_BLK_TIMEOUT_NS;
	vssd->timeout_ns = VIO_VSSD_TIMEOUT_NS;
	return vio_blk_start(dev);
}

const struct vio_driver vio_vssd_driver = {
	.name = "vssd",
	.ids = (const uint32_t[]){ VIRTIO_ID_VSSD, 0 },
	.state_bytes = sizeof(struct vio_vssd),
	.base = &vio_blk_driver,
	.probe = vssd_probe,
	.remove = vio_blk_remove,
	.config_changed = vio_blk_config_changed,
};
