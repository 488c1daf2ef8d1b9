/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/blk/blk.h"

static bool in_capacity(const struct vio_blk_identity *identity, uint64_t sector, uint64_t sectors)
{
	uint64_t end;

	return vio_add_u64(sector, sectors, &end) && end <= identity->capacity; /* spec: DRV-BLK-009 */
}

/* Each part, and in *total their sum. */
static int judge_parts(const struct vio_blk_identity *identity, const struct vio_blk_io *io, uint64_t *total)
{
	unsigned i;

	*total = 0;
	if (io->part_count > identity->parts_max)
		return -VIO_ERANGE;
	for (i = 0; i < io->part_count; i++) {
		if (!io->parts[i].length)
			return -VIO_EINVAL;
		if (io->parts[i].length > identity->part_bytes_max)
			return -VIO_ERANGE;
		*total += io->parts[i].length;
	}
	return 0;
}

int vio_blk_judge_transfer(const struct vio_dev *dev, const struct vio_blk_identity *identity,
			   const struct vio_blk_io *io, uint64_t total)
{
	if (!total || total % VIRTIO_BLK_SECTOR_BYTES) /* spec: DRV-BLK-013 */
		return -VIO_EINVAL;
	/* The used length has 32 bits, for the status too. */
	return total < UINT32_MAX && in_capacity(identity, io->sector, total / VIRTIO_BLK_SECTOR_BYTES)
		       ? 0
		       : -VIO_ERANGE;
}

/* spec: DRV-BLK-014 DRV-BLK-016 DRV-BLK-018 DRV-BLK-020 */
static int judge_ranges(const struct vio_blk_identity *identity, const struct vio_blk_io *io, uint64_t total,
			uint32_t ranges_max, uint32_t sectors_max, uint32_t flags_known)
{
	struct virtio_blk_discard_write_zeroes range;
	const uint8_t *at;

	if (!ranges_max || !sectors_max)
		return -VIO_ENOTSUP;
	if (io->part_count != 1 || total % sizeof(range))
		return -VIO_EINVAL;
	if (total / sizeof(range) > ranges_max)
		return -VIO_ERANGE;
	for (at = io->parts[0].host; total; total -= sizeof(range), at += sizeof(range)) {
		memcpy(&range, at, sizeof(range));
		if (vio_le32_get(range.flags) & ~flags_known)
			return -VIO_EINVAL;
		if (vio_le32_get(range.num_sectors) > sectors_max ||
		    !in_capacity(identity, vio_le64_get(range.sector), vio_le32_get(range.num_sectors)))
			return -VIO_ERANGE;
	}
	return 0;
}

int vio_blk_judge_flush(const struct vio_dev *dev, const struct vio_blk_identity *identity,
			const struct vio_blk_io *io, uint64_t total)
{
	if (!vio_dev_has_feature(dev, VIRTIO_BLK_F_FLUSH)) /* spec: DRV-BLK-001 DRV-BLK-012 */
		return -VIO_ENOTSUP;
	return total ? -VIO_EINVAL : 0;
}

int vio_blk_judge_any(const struct vio_dev *dev, const struct vio_blk_identity *identity,
		      const struct vio_blk_io *io, uint64_t total)
{
	if (io->type == VIRTIO_BLK_T_IN || io->type == VIRTIO_BLK_T_OUT)
		return vio_blk_judge_transfer(dev, identity, io, total);
	if (io->type == VIRTIO_BLK_T_FLUSH)
		return vio_blk_judge_flush(dev, identity, io, total);
	if (io->type == VIRTIO_BLK_T_GET_ID) /* spec: DRV-BLK-015 */
		return io->part_count == 1 && total == VIRTIO_BLK_ID_BYTES ? 0 : -VIO_EINVAL;
	if (io->type == VIRTIO_BLK_T_DISCARD)
		return judge_ranges(identity, io, total, identity->discard_ranges_max,
				    identity->discard_sectors_max, 0);
	if (io->type == VIRTIO_BLK_T_WRITE_ZEROES)
		return judge_ranges(identity, io, total, identity->zeroes_ranges_max,
				    identity->zeroes_sectors_max, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	return -VIO_EINVAL; /* what needs a feature that wasn't accepted, too */
}

int vio_blk_judge(const struct vio_dev *dev, const struct vio_blk *blk, const struct vio_blk_io *io,
		  vio_blk_judge_type *judge_type, uint64_t *total)
{
	const struct vio_blk_identity *identity = &blk->identity;
	int error;

	if (io->busy)
		return -VIO_EBUSY;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (io->queue >= identity->queue_count)
		return -VIO_ERANGE;
	if (vio_drvq_broken(blk->q[io->queue]))
		return -VIO_EPEER;
	if (identity->read_only && vio_blk_changes(io->type))
		return -VIO_EACCES;
	error = judge_parts(identity, io, total);
	return error ? error : judge_type(dev, identity, io, *total);
}
