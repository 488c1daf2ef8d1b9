/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa/drive.h"

#include <string.h>
#include <vireo/drivers/blk.h>

/* Writes and reads at random with several requests in flight, against a copy in memory. */

#define SECTOR  VIRTIO_BLK_SECTOR_BYTES
#define SECTORS 2048u /* of the disk, from its start; all that is touched */
#define FLIGHT  8u
#define MOST    16u /* sectors of a request */
#define NAP_NS  UINT64_C(10000000)
#define SUSPEND 4 /* of the back end's features */
#define MSG_V2  (UINT64_C(1) << 1)
#define BATCH   (UINT64_C(1) << 2)

struct request {
	struct vio_blk_io io;
	struct vio_part parts[4];
	uint8_t bytes[MOST * SECTOR];
};

struct disk {
	struct vio_dev dev;
	uint8_t copy[SECTORS * SECTOR];
	struct request requests[FLIGHT];
	uint32_t seed;
	unsigned done;
};

static uint32_t rnd(struct disk *disk, uint32_t below)
{
	disk->seed = disk->seed * 1664525u + 1013904223u;
	return (disk->seed >> 8) % below;
}

static void done(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct disk *disk = io->owner;
	const struct request *request = VIO_CONTAINER_OF(io, struct request, io);

	CHECK(!io->result);
	if (io->type == VIRTIO_BLK_T_IN)
		CHECK(!memcmp(request->bytes, disk->copy + io->sector * SECTOR,
			      io->part_count * io->parts[0].length));
	disk->done++;
}

/* Requests that are in flight together have a part of the disk each. */
static void submit(struct disk *disk, unsigned index)
{
	struct request *request = &disk->requests[index];
	uint32_t span = SECTORS / FLIGHT, count = 1 + rnd(disk, 4), each = 1 + rnd(disk, MOST / 4);
	uint32_t at = index * span + rnd(disk, span - count * each + 1);

	memset(&request->io, 0, sizeof(request->io));
	request->io.type = rnd(disk, 2) ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	request->io.sector = at;
	request->io.parts = request->parts;
	request->io.part_count = count;
	request->io.done = done;
	request->io.owner = disk;
	for (uint32_t i = 0; i < count; i++)
		request->parts[i] = (struct vio_part){ request->bytes + i * each * SECTOR, each * SECTOR };
	if (request->io.type == VIRTIO_BLK_T_OUT) {
		for (uint32_t i = 0; i < count * each * SECTOR; i++)
			request->bytes[i] = (uint8_t)rnd(disk, 256);
		memcpy(disk->copy + at * SECTOR, request->bytes, count * each * SECTOR);
	}
	CHECK(!vio_blk_submit(&disk->dev, &request->io));
}

static void verify(struct disk *disk, unsigned steps)
{
	const struct vio_platform *platform = disk->dev.platform;

	for (unsigned step = 0; step < steps / FLIGHT; step++) {
		uint64_t since = platform->now_ns(platform->context);

		disk->done = 0;
		for (unsigned i = 0; i < FLIGHT; i++)
			submit(disk, i);
		vio_blk_kick(&disk->dev, 0);
		while (disk->done < FLIGHT) {
			CHECK(platform->now_ns(platform->context) - since < VIO_BLK_TIMEOUT_NS);
			platform->wait(platform->context, NAP_NS);
			CHECK(vio_blk_poll(&disk->dev, 0) >= 0);
		}
	}
}

static void compare(struct disk *disk)
{
	static uint8_t bytes[MOST * SECTOR];
	const struct vio_blk *blk = disk->dev.driver_state;
	uint32_t now = blk->identity.part_bytes_max < sizeof(bytes) ? blk->identity.part_bytes_max
								    : (uint32_t)sizeof(bytes);

	for (uint32_t at = 0; at < sizeof(disk->copy); at += now) {
		CHECK(!vio_blk_read(&disk->dev, at / SECTOR, bytes, now));
		CHECK(!memcmp(bytes, disk->copy + at, now));
	}
}

static void zero(struct disk *disk)
{
	CHECK(!vio_blk_write_zeroes(&disk->dev, 100, 64, 0));
	memset(disk->copy + 100 * SECTOR, 0, 64 * SECTOR);
	CHECK(vio_blk_read(&disk->dev, ((struct vio_blk *)disk->dev.driver_state)->identity.capacity,
			   disk->requests[0].bytes, SECTOR) == -VIO_ERANGE);
}

static void clear(struct disk *disk)
{
	for (uint32_t at = 0; at < SECTORS; at += 8)
		CHECK(!vio_blk_write(&disk->dev, at, disk->copy + at * SECTOR, 8 * SECTOR));
	CHECK(!vio_blk_flush(&disk->dev));
}

/* The queue's place moves with each request (packed: to 0 after two laps); suspended, it stays there. */
static void suspend(struct disk *disk, bool can)
{
	const struct vio_blk *blk = disk->dev.driver_state;
	uint32_t before, after;
	int error;

	CHECK(!vio_vdpa_queue_base(&disk->dev, 0, &before));
	CHECK(!vio_blk_read(&disk->dev, 0, disk->requests[0].bytes, SECTOR));
	CHECK(!vio_vdpa_queue_base(&disk->dev, 0, &after));
	CHECK(before != after);
	before = after;
	CHECK(vio_vdpa_queue_base(&disk->dev, (uint16_t)blk->identity.queue_count, &after) == -VIO_ENOENT);
	CHECK(vio_vdpa_resume(&disk->dev) == -VIO_ENOTSUP || vio_vdpa_resume(&disk->dev) == -VIO_EPHASE);
	error = vio_vdpa_suspend(&disk->dev);
	CHECK(error == (can ? 0 : -VIO_ENOTSUP));
	if (!can)
		return;
	CHECK(vio_vdpa_suspend(&disk->dev) == -VIO_EPHASE);
	disk->done = 0;
	submit(disk, 0);
	vio_blk_kick(&disk->dev, 0);
	CHECK(vio_dev_wait(&disk->dev, blk->q[0], 50000000) == -VIO_EAGAIN);
	CHECK(!vio_vdpa_queue_base(&disk->dev, 0, &after));
	CHECK(before == after);
}

void drive_blk(const char *path, unsigned steps)
{
	/* In both forms of messages, and one after the other as all at once. */
	static const uint64_t withhold[] = { 0, BATCH, MSG_V2 | BATCH };
	struct disk *disk = calloc(1, sizeof(*disk));
	struct vio_vdpa_info info;
	bool can_suspend;

	CHECK(disk);
	disk->seed = 1;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(withhold); i++) {
		drive_open_vdpa(&disk->dev, path, withhold[i]);
		CHECK(disk->dev.id == VIRTIO_ID_BLOCK);
		drive_bind(&disk->dev, &vio_blk_driver, vio_vdpa_platform(&disk->dev));
		if (!i)
			clear(disk);
		for (unsigned life = 0; life < 3; life++) {
			verify(disk, steps);
			zero(disk);
			compare(disk);
			CHECK(!vio_blk_stop(&disk->dev));
			CHECK(!vio_blk_start(&disk->dev));
		}
		compare(disk);
		drive_close(&disk->dev);
	}
	drive_open_vdpa(&disk->dev, path, 0);
	drive_bind(&disk->dev, &vio_blk_driver, vio_vdpa_platform(&disk->dev));
	compare(disk);
	vio_vdpa_get_info(&disk->dev, &info);
	can_suspend = info.backend_accepted >> SUSPEND & 1;
	suspend(disk, can_suspend);
	disk->requests[0].io.done = NULL;
	CHECK(!vio_blk_stop(&disk->dev));
	CHECK(!can_suspend || disk->requests[0].io.result == -VIO_EAGAIN);
	drive_close(&disk->dev);
	free(disk);
	puts("blk: verified");
}
