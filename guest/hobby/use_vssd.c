/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/vssd.h>

#include "use.h"

/*
 * Fills the disk, hands the last quarter of its blocks back when the host asks for them, takes them again
 * when the host gives them, and finds everything else as it was. tests/hobby/ours.py is the host.
 */
#define PIECE     4096u
#define ANSWER_NS UINT64_C(10000000000)

struct disk {
	struct os *os;
	uint64_t *piece;
	uint64_t sectors; /* at the beginning */
};

/* The blocks at the end that there are. */
static unsigned choose(struct vio_dev *dev, uint64_t count, struct vio_vssd_range *list, unsigned max)
{
	struct vio_vssd_info info;

	if (vio_vssd_get_info(dev, &info) || !max)
		return 0;
	list[0] = (struct vio_vssd_range){ info.provisioned - count, count };
	return 1;
}

static int fill(struct vio_dev *dev, const struct disk *disk)
{
	uint64_t sector;
	unsigned word;
	int error = 0;

	for (sector = 0; !error && sector < disk->sectors; sector += PIECE / VIRTIO_BLK_SECTOR_BYTES) {
		for (word = 0; word < PIECE / sizeof(uint64_t); word++)
			disk->piece[word] = sector + word;
		error = vio_blk_write(dev, sector, disk->piece, PIECE);
	}
	return error ? error : vio_blk_flush(dev);
}

static int judge(struct vio_dev *dev, const struct disk *disk, uint64_t sectors)
{
	uint64_t sector;
	unsigned word;
	int error = 0;

	for (sector = 0; !error && sector < sectors; sector += PIECE / VIRTIO_BLK_SECTOR_BYTES) {
		error = vio_blk_read(dev, sector, disk->piece, PIECE);
		for (word = 0; !error && word < PIECE / sizeof(uint64_t); word++)
			if (disk->piece[word] != sector + word)
				error = -VIO_EIO;
	}
	return error;
}

/* Waits for a resize in that direction, and does what it asks for. */
static int resize(struct vio_dev *dev, const struct disk *disk, uint32_t state, const char *word)
{
	const uint64_t since = os_now_ns(disk->os);
	struct vio_vssd_info info;
	int error;

	os_print("vssd: may %s now\n", word);
	do {
		if (disk->os->board.has_interrupts)
			os_wait(disk->os, ANSWER_NS);
		else
			(void)vio_dev_interrupt(dev);
		error = vio_vssd_get_info(dev, &info);
	} while (!error && info.state != state && os_now_ns(disk->os) - since < ANSWER_NS);
	if (!error)
		error = vio_vssd_work(dev);
	if (!error)
		error = vio_vssd_get_info(dev, &info);
	if (error)
		return error;
	return info.state == VIRTIO_VSSD_STATE_IDLE &&
			       info.provisioned == (state == VIRTIO_VSSD_STATE_SHRINKING ? info.total / 4 * 3
											 : info.total)
		       ? 0
		       : -VIO_EAGAIN;
}

static int use(struct os *os, struct vio_dev *dev, char *report)
{
	struct vio_vssd *vssd = dev->driver_state;
	struct disk disk = { os, os_pages_take(os, PIECE), vssd->blk.identity.capacity };
	int error;

	if (!disk.piece)
		return -VIO_ENOMEM;
	vssd->choose = choose;
	error = fill(dev, &disk);
	if (!error)
		error = resize(dev, &disk, VIRTIO_VSSD_STATE_SHRINKING, "shrink");
	if (!error && vssd->blk.identity.capacity != disk.sectors / 4 * 3)
		error = -VIO_EIO;
	if (!error)
		error = judge(dev, &disk, disk.sectors / 4 * 3);
	if (!error)
		error = resize(dev, &disk, VIRTIO_VSSD_STATE_GROWING, "grow");
	if (!error && vssd->blk.identity.capacity != disk.sectors)
		error = -VIO_EIO;
	if (!error)
		error = judge(dev, &disk, disk.sectors / 4 * 3);
	if (!error)
		error = fill(dev, &disk);
	os_append(report, USE_REPORT_BYTES, "%u KiB, a quarter handed back and taken again",
		  (unsigned)(vssd->blk.identity.capacity / 2));
	os_pages_give_back(os, disk.piece, PIECE);
	return error;
}

const struct use use_vssd = { "vssd", &vio_vssd_driver, use };
