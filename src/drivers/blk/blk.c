/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/blk/blk.h"

#include <string.h>

#define QUEUE_SIZE         128u
#define QUEUE_SIZE_LEAST   3u  /* header, data, status */
#define INDIRECT_MAX       10u /* longer requests are rare, and chained */
#define STATUS_NOT_WRITTEN 0xffu

VIO_STATIC_ASSERT(sizeof(struct virtio_blk_req) == 16, "the request header has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_blk_config) == 96, "the configuration has holes");

/* Requests. What the device is shown is a header, the data, a status: DRV-BLK-035 has them apart. */

#define FRAME_BYTES (sizeof(struct virtio_blk_req) + 1)
#define FRAME_RIGHTS \
	(VIO_MEM_READ | VIO_MEM_WRITE) /* where memory is copied, STATUS_NOT_WRITTEN goes there, too */

static bool moves_sectors(const struct vio_blk_io *io)
{
	return io->type == VIRTIO_BLK_T_IN || io->type == VIRTIO_BLK_T_OUT;
}

static bool device_writes(const struct vio_blk_io *io)
{
	return io->type == VIRTIO_BLK_T_IN || io->type == VIRTIO_BLK_T_GET_ID;
}

static unsigned data_rights(const struct vio_blk_io *io)
{
	return device_writes(io) ? VIO_MEM_WRITE : VIO_MEM_READ;
}

/* The frame and `count` parts. */
static void unshare(struct vio_dev *dev, struct vio_blk_io *io, unsigned count)
{
	const struct vio_platform *platform = dev->platform;

	while (count--)
		platform->unshare(platform->context, io->parts[count].host, io->parts[count].length,
				  data_rights(io), io->sg[count + 1].addr);
	platform->unshare(platform->context, &io->frame, FRAME_BYTES, FRAME_RIGHTS, io->sg[0].addr);
}

/* All of it, or nothing. */
static int share(struct vio_dev *dev, struct vio_blk_io *io)
{
	const struct vio_platform *platform = dev->platform;
	struct vio_sg *sg = io->sg;
	unsigned i;
	int error = platform->share(platform->context, &io->frame, FRAME_BYTES, FRAME_RIGHTS, &sg->addr);

	if (error)
		return error;
	sg->length = sizeof(io->frame.header);
	for (i = 0; i < io->part_count; i++) {
		const struct vio_part *part = &io->parts[i];

		sg++;
		sg->length = part->length;
		error = platform->share(platform->context, part->host, part->length, data_rights(io),
					&sg->addr);
		if (error) {
			unshare(dev, io, i);
			return error;
		}
	}
	sg[1] = (struct vio_sg){ vio_addr_make(io->sg[0].addr.raw + sizeof(io->frame.header)), 1 };
	return 0;
}

static int submit(struct vio_dev *dev, struct vio_blk_io *io, vio_blk_judge_type *judge_type)
{
	const struct vio_blk *blk = vio_blk_of(dev);
	unsigned readable;
	uint64_t total;
	int error = blk ? vio_blk_judge(dev, blk, io, judge_type, &total) : -VIO_EINVAL;

	if (error)
		return error;
	/* spec: DRV-BLK-011; little-endian for legacy devices as well, as those are refused elsewhere */
	io->frame.header.type = vio_le32_make(io->type);
	io->frame.header.reserved = vio_le32_make(0);
	io->frame.header.sector = vio_le64_make(moves_sectors(io) ? io->sector : 0);
	io->frame.status = STATUS_NOT_WRITTEN;
	readable = device_writes(io) ? 0 : io->part_count;
	io->answer_bytes = readable || !total ? 1 : (uint32_t)total + 1;
	error = share(dev, io);
	if (error)
		return error;
	error = vio_drvq_add(blk->q[io->queue], io->sg, 1 + readable, io->part_count - readable + 1, io);
	if (error)
		unshare(dev, io, io->part_count);
	io->busy = !error;
	return error;
}

int vio_blk_submit(struct vio_dev *dev, struct vio_blk_io *io)
{
	return submit(dev, io, vio_blk_judge_any);
}

void vio_blk_kick(struct vio_dev *dev, uint16_t queue)
{
	const struct vio_blk *blk = vio_blk_of(dev);

	if (blk && queue < blk->identity.queue_count)
		vio_drvq_kick(blk->q[queue]);
}

static int outcome(const struct vio_dev *dev, const struct vio_blk_io *io, uint32_t written)
{
	if (vio_dev_is_legacy(dev)) /* spec: DRV-BLK-031 */
		written = io->answer_bytes;
	return vio_blk_outcome(&io->frame.status, written, io->answer_bytes);
}

/* Takes a request back that the device has used, or `cancelled` by that error. */
static void finish(struct vio_dev *dev, struct vio_blk_io *io, uint32_t written, int cancelled)
{
	unshare(dev, io, io->part_count);
	io->result = cancelled ? cancelled : outcome(dev, io, written);
	io->busy = false;
	if (io->done)
		io->done(dev, io);
}

int vio_blk_poll(struct vio_dev *dev, uint16_t queue)
{
	const struct vio_blk *blk = vio_blk_of(dev);
	struct vio_blk_io *io;
	struct vio_drvq *q;
	uint32_t written;
	int count = 0;

	if (!blk)
		return -VIO_EINVAL;
	if (queue >= blk->identity.queue_count)
		return -VIO_ERANGE;
	q = blk->q[queue];
	/* hostile: B17, ends when what is in flight does */
	for (; (io = vio_drvq_get(q, &written)); count++)
		finish(dev, io, written, 0);
	return vio_drvq_broken(q) ? -VIO_EPEER : count;
}

static void blk_used(struct vio_dev *dev, struct vio_drvq *q)
{
	const struct vio_blk *blk = dev->driver_state;

	if (blk->waiting && q == blk->q[0])
		return;
	if (vio_blk_poll(dev, q->index) < 0 && blk->changed)
		blk->changed(dev);
}

/* Requests that are waited for. */

/* Waits for something to happen on queue 0 and completes it. */
static int wait_for_some(struct vio_dev *dev, const struct vio_blk *blk, uint64_t since)
{
	const struct vio_platform *platform = dev->platform;
	uint64_t left = 0;
	int result;

	if (blk->timeout_ns) {
		uint64_t passed = platform->now_ns(platform->context) - since;

		if (passed >= blk->timeout_ns)
			return -VIO_EAGAIN;
		left = blk->timeout_ns - passed;
	}
	result = vio_dev_wait(dev, blk->q[0], left);
	if (!result)
		result = vio_blk_poll(dev, 0);
	return result < 0 ? result : 0;
}

/* Shows the device blk->sync, when there is room, and waits for the answer. */
static int run(struct vio_dev *dev, struct vio_blk *blk, vio_blk_judge_type *judge_type)
{
	uint64_t since = dev->platform->now_ns(dev->platform->context);
	bool shown = false;
	int error;

	do {
		if (!shown) {
			error = submit(dev, &blk->sync, judge_type);
			if (error && error != -VIO_ENOSPC)
				return error;
			shown = !error;
			vio_blk_kick(dev, 0);
		}
		error = wait_for_some(dev, blk, since);
	} while (!error && (!shown || blk->sync.busy));
	if (blk->sync.busy) {
		int stopped = vio_blk_stop(dev); /* hostile: B29 */

		return stopped == -VIO_EHANGUP ? stopped : error;
	}
	return shown ? blk->sync.result : error;
}

/* One request with one part, or none where `host` is NULL, from beginning to end. */
static int request(struct vio_dev *dev, uint32_t type, vio_blk_judge_type *judge_type, uint64_t sector,
		   void *host, uint32_t length)
{
	struct vio_blk *blk = vio_blk_of(dev);
	bool outer;
	int error;

	if (!blk)
		return -VIO_EINVAL;
	if (blk->sync.busy)
		return dev->phase == VIO_DEV_READY ? -VIO_EBUSY : -VIO_EPHASE;
	blk->sync_part = (struct vio_part){ host, length };
	blk->sync.type = type;
	blk->sync.sector = sector;
	blk->sync.parts = &blk->sync_part;
	blk->sync.part_count = host != NULL;
	outer = blk->waiting;
	blk->waiting = true;
	error = run(dev, blk, judge_type);
	blk->waiting = outer;
	vio_blk_poll(dev, 0); /* an interrupt may have been left to us */
	return error;
}

int vio_blk_read(struct vio_dev *dev, uint64_t sector, void *to, uint32_t length)
{
	return request(dev, VIRTIO_BLK_T_IN, vio_blk_judge_transfer, sector, to, length);
}

int vio_blk_write(struct vio_dev *dev, uint64_t sector, const void *from, uint32_t length)
{
	return request(dev, VIRTIO_BLK_T_OUT, vio_blk_judge_transfer, sector, (void *)(uintptr_t)from,
		       length);
}

int vio_blk_flush(struct vio_dev *dev)
{
	struct vio_blk *blk = vio_blk_of(dev);

	if (blk && !blk->sync.busy && dev->phase == VIO_DEV_READY &&
	    !vio_dev_has_feature(dev, VIRTIO_BLK_F_FLUSH))
		return 0;
	return request(dev, VIRTIO_BLK_T_FLUSH, vio_blk_judge_flush, 0, NULL, 0);
}

static int on_range(struct vio_dev *dev, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	struct vio_blk *blk = vio_blk_of(dev);

	if (!blk)
		return -VIO_EINVAL;
	if (!blk->sync.busy)
		blk->sync_range = (struct virtio_blk_discard_write_zeroes){
			.sector = vio_le64_make(sector),
			.num_sectors = vio_le32_make(sectors),
			.flags = vio_le32_make(flags),
		};
	return request(dev, type, vio_blk_judge_any, 0, &blk->sync_range, sizeof(blk->sync_range));
}

int vio_blk_discard(struct vio_dev *dev, uint64_t sector, uint32_t sectors)
{
	return on_range(dev, VIRTIO_BLK_T_DISCARD, sector, sectors, 0);
}

int vio_blk_write_zeroes(struct vio_dev *dev, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	return on_range(dev, VIRTIO_BLK_T_WRITE_ZEROES, sector, sectors, flags);
}

int vio_blk_get_id(struct vio_dev *dev, char id[VIRTIO_BLK_ID_BYTES + 1])
{
	struct vio_blk *blk = vio_blk_of(dev);
	int error;

	if (!blk)
		return -VIO_EINVAL;
	error = request(dev, VIRTIO_BLK_T_GET_ID, vio_blk_judge_any, 0, blk->id, VIRTIO_BLK_ID_BYTES);
	if (error)
		return error;
	memcpy(id, blk->id, VIRTIO_BLK_ID_BYTES);
	id[VIRTIO_BLK_ID_BYTES] = 0;
	return 0;
}

int vio_blk_set_cache(struct vio_dev *dev, enum vio_blk_cache cache)
{
	const uint32_t offset = offsetof(struct virtio_blk_config, writeback);
	struct vio_blk *blk = vio_blk_of(dev);
	uint8_t wish = cache == VIO_BLK_WRITE_BACK, seen = 0;
	int error;

	if (!blk)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (!vio_dev_has_feature(dev, VIRTIO_BLK_F_CONFIG_WCE))
		return -VIO_ENOTSUP;
	error = vio_dev_write_config8(dev, offset, wish);
	if (!error)
		error = vio_dev_read_config8(dev, offset, &seen);
	if (error)
		return error;
	if (seen != wish)
		return -VIO_EPEER;
	blk->identity.writeback = wish;
	return wish ? 0 : vio_blk_flush(dev); /* spec: DRV-BLK-019 */
}

/* Life. */

int vio_blk_stop(struct vio_dev *dev)
{
	struct vio_blk *blk = vio_blk_of(dev);
	struct vio_blk_io *io;
	unsigned queue;
	int error;

	if (!blk)
		return -VIO_EINVAL;
	error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);
	if (error && error != -VIO_EHANGUP)
		return error;
	blk->stopping = true;
	for (queue = 0; queue < blk->identity.queue_count; queue++) {
		while ((io = vio_drvq_detach_unused(blk->q[queue])))
			finish(dev, io, 0, error ? error : -VIO_EAGAIN);
	}
	blk->stopping = false;
	return error;
}

#define BIT(name) (UINT64_C(1) << VIRTIO_BLK_F_##name)

/* spec: DRV-BLK-001 DRV-BLK-004 DRV-BLK-010: what this driver can use of an offer */
static struct vio_features wanted_of(const struct vio_dev *dev)
{
	const struct vio_features ring = vio_dev_ring_features();
	uint64_t bits = BIT(SIZE_MAX) | BIT(SEG_MAX) | BIT(GEOMETRY) | BIT(RO) | BIT(BLK_SIZE) | BIT(FLUSH) |
			BIT(TOPOLOGY) | BIT(MQ) | BIT(DISCARD) | BIT(WRITE_ZEROES);

	/* Without flushes a cache mode couldn't be left safely. */
	if (vio_features_has(&dev->offered, VIRTIO_BLK_F_FLUSH))
		bits |= BIT(CONFIG_WCE);
	return vio_features_or(ring, vio_features_low(bits));
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int add_queues(struct vio_dev *dev, struct vio_blk *blk)
{
	static const struct vio_queue_wish wish = { QUEUE_SIZE, INDIRECT_MAX, blk_used };
	struct vio_blk_identity *identity = &blk->identity;
	unsigned queue;
	int error;

	identity->queue_count = least(identity->queue_count, VIO_BLK_QUEUES_MAX);
	identity->parts_max = least(identity->parts_max, VIO_BLK_PARTS_MAX);
	for (queue = 0; queue < identity->queue_count; queue++) {
		error = vio_dev_add_queue(dev, (uint16_t)queue, &wish, &blk->q[queue]); /* hostile: B42 */
		if (error == -VIO_ENOENT && queue)
			break; /* fewer than promised will do */
		if (error)
			return error;
		if (blk->q[queue]->size < QUEUE_SIZE_LEAST)
			return -VIO_ENOTSUP;
		identity->parts_max = least(identity->parts_max, blk->q[queue]->size - 2u);
	}
	identity->queue_count = queue;
	return 0;
}

static int begin(struct vio_dev *dev, struct vio_blk *blk)
{
	struct vio_features wanted;
	int error = vio_dev_begin(dev, blk->queues, VIO_BLK_QUEUES_MAX);

	if (error)
		return error;
	wanted = wanted_of(dev);
	if (blk->more)
		blk->more->choose(dev, &wanted);
	error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_blk_identify(dev, &blk->identity);
	if (!error)
		error = add_queues(dev, blk);
	if (!error && blk->more)
		error = blk->more->add_queues(dev);
	return error ? error : vio_dev_ready(dev);
}

int vio_blk_start(struct vio_dev *dev)
{
	struct vio_blk *blk = vio_blk_of(dev);
	int error;

	if (!blk)
		return -VIO_EINVAL;
	if (blk->stopping)
		return -VIO_EBUSY;
	error = vio_blk_stop(dev);
	if (error)
		return error;
	memset(&blk->identity, 0, sizeof(blk->identity));
	error = begin(dev, blk);
	if (error)
		blk->identity.queue_count = 0; /* nothing may be asked of it */
	return error;
}

static int blk_probe(struct vio_dev *dev)
{
	struct vio_blk *blk = dev->driver_state;

	blk->timeout_ns = VIO_BLK_TIMEOUT_NS;
	return vio_blk_start(dev);
}

void vio_blk_remove(struct vio_dev *dev)
{
	vio_blk_stop(dev);
}

/* spec: DRV-BLK-008 */
void vio_blk_config_changed(struct vio_dev *dev)
{
	struct vio_blk *blk = dev->driver_state;

	(void)vio_blk_identify_again(dev, &blk->identity); /* what can't be read stays as it was */
	if (blk->changed)
		blk->changed(dev);
}

const struct vio_driver vio_blk_driver = {
	.name = "blk",
	.ids = (const uint32_t[]){ VIRTIO_ID_BLOCK, 0 },
	.state_bytes = sizeof(struct vio_blk),
	.probe = blk_probe,
	.remove = vio_blk_remove,
	.config_changed = vio_blk_config_changed,
};
