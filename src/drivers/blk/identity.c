/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/blk/blk.h"

#define BLOCK_EXPONENT_MAX 31u

/* A field of the configuration, which is there with its feature only, and a 32-bit member of the identity. */
struct blk_field {
	uint8_t feature;
	uint8_t offset;
	uint8_t width;
	uint8_t member;
	uint32_t absent;
};

#define WIDTH(field) sizeof(((const struct virtio_blk_config *)0)->field)
#define FIELD(feature, field, member, absent)                                     \
	{                                                                         \
		feature, offsetof(struct virtio_blk_config, field), WIDTH(field), \
			offsetof(struct vio_blk_identity, member), absent         \
	}

static const struct blk_field fields[] = {
	FIELD(VIRTIO_BLK_F_SIZE_MAX, size_max, part_bytes_max, UINT32_MAX),
	FIELD(VIRTIO_BLK_F_SEG_MAX, seg_max, parts_max, 1),
	FIELD(VIRTIO_BLK_F_GEOMETRY, geometry.cylinders, cylinders, 0),
	FIELD(VIRTIO_BLK_F_GEOMETRY, geometry.heads, heads, 0),
	FIELD(VIRTIO_BLK_F_GEOMETRY, geometry.sectors, sectors_per_track, 0),
	FIELD(VIRTIO_BLK_F_BLK_SIZE, blk_size, block_bytes, VIRTIO_BLK_SECTOR_BYTES),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.physical_block_exp, physical_exponent, 0),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.alignment_offset, aligned_block, 0),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.min_io_size, least_io_blocks, 0),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.opt_io_size, best_io_blocks, 0),
	FIELD(VIRTIO_BLK_F_MQ, num_queues, queue_count, 1),
	FIELD(VIRTIO_BLK_F_DISCARD, max_discard_sectors, discard_sectors_max, 0),
	FIELD(VIRTIO_BLK_F_DISCARD, max_discard_seg, discard_ranges_max, 0),
	FIELD(VIRTIO_BLK_F_DISCARD, discard_sector_alignment, discard_alignment, 0),
	FIELD(VIRTIO_BLK_F_WRITE_ZEROES, max_write_zeroes_sectors, zeroes_sectors_max, 0),
	FIELD(VIRTIO_BLK_F_WRITE_ZEROES, max_write_zeroes_seg, zeroes_ranges_max, 0),
	FIELD(VIRTIO_BLK_F_WRITE_ZEROES, write_zeroes_may_unmap, zeroes_may_unmap, 0),
};

static int read_field(struct vio_dev *dev, const struct blk_field *field, uint32_t *to)
{
	uint16_t value16 = 0;
	uint8_t value8 = 0;
	int error;

	*to = field->absent;
	if (!vio_dev_has_feature(dev, field->feature))
		return 0;
	if (field->width == 4)
		return vio_dev_read_config32(dev, field->offset, to);
	if (field->width == 2) {
		error = vio_dev_read_config16(dev, field->offset, &value16);
		*to = value16;
	} else {
		error = vio_dev_read_config8(dev, field->offset, &value8);
		*to = value8;
	}
	return error;
}

/* hostile: B38 B42, numbers that nothing can be done with */
static bool makes_sense(const struct vio_blk_identity *identity)
{
	return identity->parts_max && identity->queue_count && vio_is_power_of_two(identity->block_bytes) &&
	       identity->block_bytes >= VIRTIO_BLK_SECTOR_BYTES &&
	       identity->physical_exponent <= BLOCK_EXPONENT_MAX &&
	       (uint64_t)identity->block_bytes << identity->physical_exponent <= UINT32_MAX;
}

/* spec: DRV-BLK-002 DRV-BLK-003 */
static int read_cache_mode(struct vio_dev *dev, struct vio_blk_identity *identity)
{
	uint8_t writeback;
	int error;

	identity->writeback = vio_dev_has_feature(dev, VIRTIO_BLK_F_FLUSH);
	if (!vio_dev_has_feature(dev, VIRTIO_BLK_F_CONFIG_WCE))
		return 0;
	error = vio_dev_read_config8(dev, offsetof(struct virtio_blk_config, writeback), &writeback);
	if (!error)
		identity->writeback = writeback != 0; /* of what isn't legal the safe side */
	return error;
}

int vio_blk_identify_again(struct vio_dev *dev, struct vio_blk_identity *identity)
{
	uint64_t capacity;
	int error = vio_dev_read_config64(dev, offsetof(struct virtio_blk_config, capacity), &capacity);

	if (error)
		return error;
	identity->capacity = capacity;
	return read_cache_mode(dev, identity);
}

int vio_blk_identify(struct vio_dev *dev, struct vio_blk_identity *identity)
{
	int error = vio_blk_identify_again(dev, identity);
	unsigned i;

	for (i = 0; !error && i < VIO_ARRAY_SIZE(fields); i++) {
		uint8_t *member = (uint8_t *)identity + fields[i].member;

		error = read_field(dev, &fields[i], (uint32_t *)(void *)member);
	}
	if (error)
		return error;
	identity->read_only = vio_dev_has_feature(dev, VIRTIO_BLK_F_RO); /* spec: DRV-BLK-010 */
	/* qemu-storage-daemon offers SIZE_MAX and says 0, meaning that it doesn't mind. */
	if (!identity->part_bytes_max)
		identity->part_bytes_max = UINT32_MAX;
	return makes_sense(identity) ? 0 : -VIO_EPEER;
}
