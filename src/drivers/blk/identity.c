/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/blk/blk.h"

#define BLOCK_EXPONENT_MAX 31u

/* A field of the configuration, which is there with its feature only, and a 32-bit member of the identity. */
struct blk_field {
	uint8_t feature;
	uint8_t offset;
	uint8_t width;
	uint8_t member;
};

#define WIDTH(field) sizeof(((const struct virtio_blk_config *)0)->field)
#define FIELD(feature, field, member)                                             \
	{                                                                         \
		feature, offsetof(struct virtio_blk_config, field), WIDTH(field), \
			offsetof(struct vio_blk_identity, member)                 \
	}

static const struct blk_field fields[] = {
	FIELD(VIRTIO_BLK_F_SIZE_MAX, size_max, part_bytes_max),
	FIELD(VIRTIO_BLK_F_SEG_MAX, seg_max, parts_max),
	FIELD(VIRTIO_BLK_F_GEOMETRY, geometry.cylinders, cylinders),
	FIELD(VIRTIO_BLK_F_GEOMETRY, geometry.heads, heads),
	FIELD(VIRTIO_BLK_F_GEOMETRY, geometry.sectors, sectors_per_track),
	FIELD(VIRTIO_BLK_F_BLK_SIZE, blk_size, block_bytes),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.physical_block_exp, physical_exponent),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.alignment_offset, aligned_block),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.min_io_size, least_io_blocks),
	FIELD(VIRTIO_BLK_F_TOPOLOGY, topology.opt_io_size, best_io_blocks),
	FIELD(VIRTIO_BLK_F_MQ, num_queues, queue_count),
	FIELD(VIRTIO_BLK_F_DISCARD, max_discard_sectors, discard_sectors_max),
	FIELD(VIRTIO_BLK_F_DISCARD, max_discard_seg, discard_ranges_max),
	FIELD(VIRTIO_BLK_F_DISCARD, discard_sector_alignment, discard_alignment),
	FIELD(VIRTIO_BLK_F_WRITE_ZEROES, max_write_zeroes_sectors, zeroes_sectors_max),
	FIELD(VIRTIO_BLK_F_WRITE_ZEROES, max_write_zeroes_seg, zeroes_ranges_max),
	FIELD(VIRTIO_BLK_F_WRITE_ZEROES, write_zeroes_may_unmap, zeroes_may_unmap),
};

/* spec: DRV-BASIC-017, what isn't there keeps its value. */
static int read_fields(struct vio_dev *dev, struct vio_blk_identity *identity)
{
	const struct blk_field *field;
	uint64_t value;
	int error;

	for (field = fields; field < fields + VIO_ARRAY_SIZE(fields); field++) {
		if (!(dev->accepted.word[0] >> field->feature & 1)) /* a device type's bits are low ones */
			continue;
		error = vio_dev_read_field(dev, field->offset, field->width, &value);
		if (error)
			return error;
		*(uint32_t *)(void *)((uint8_t *)identity + field->member) = (uint32_t)value;
	}
	return 0;
}

/* hostile: B38 B42, numbers that nothing can be done with */
static bool makes_sense(const struct vio_blk_identity *identity)
{
	return identity->parts_max && identity->queue_count && vio_is_power_of_two(identity->block_bytes) &&
	       identity->block_bytes >= VIRTIO_BLK_SECTOR_BYTES &&
	       identity->physical_exponent <= BLOCK_EXPONENT_MAX &&
	       identity->block_bytes <= UINT32_MAX >> identity->physical_exponent;
}

/* spec: DRV-BLK-002 DRV-BLK-003 */
int vio_blk_identify_again(struct vio_dev *dev, struct vio_blk_identity *identity)
{
	uint64_t value;
	int error = vio_dev_read_config64(dev, offsetof(struct virtio_blk_config, capacity), &value);

	if (error)
		return error;
	identity->capacity = value;
	value = vio_dev_has_feature(dev, VIRTIO_BLK_F_FLUSH);
	if (vio_dev_has_feature(dev, VIRTIO_BLK_F_CONFIG_WCE))
		error = vio_dev_read_field(dev, offsetof(struct virtio_blk_config, writeback), 1, &value);
	if (!error)
		identity->writeback = value != 0; /* of what isn't legal the safe side */
	return error;
}

int vio_blk_identify(struct vio_dev *dev, struct vio_blk_identity *identity)
{
	int error = vio_blk_identify_again(dev, identity);

	identity->part_bytes_max = UINT32_MAX;
	identity->parts_max = 1;
	identity->queue_count = 1;
	identity->block_bytes = VIRTIO_BLK_SECTOR_BYTES;
	identity->read_only = vio_dev_has_feature(dev, VIRTIO_BLK_F_RO); /* spec: DRV-BLK-010 */
	if (!error)
		error = read_fields(dev, identity);
	if (error)
		return error;
	/* qemu-storage-daemon offers SIZE_MAX and says 0, meaning that it doesn't mind. */
	if (!identity->part_bytes_max)
		identity->part_bytes_max = UINT32_MAX;
	return makes_sense(identity) ? 0 : -VIO_EPEER;
}
