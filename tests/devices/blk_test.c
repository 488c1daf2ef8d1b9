/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/disk.h"

#include <stdlib.h>
#include <string.h>

#define SECTORS 2048u
#define WRITEBACK ((uint32_t)offsetof(struct virtio_blk_config, writeback))

static struct disk d;
static uint8_t data[DISK_DATA_MAX], back[DISK_DATA_MAX];

static int setup(void **state)
{
	disk_make(&d, SECTORS, 512);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8));
	return 0;
}

static int teardown(void **state)
{
	disk_free(&d);
	return 0;
}

static uint8_t read_at(uint64_t sector, size_t bytes, size_t piece)
{
	struct disk_request request = { .type = VIRTIO_BLK_T_IN, .sector = sector, .in = back,
					.in_bytes = bytes, .piece = piece };
	int64_t written = disk_call(&d, 0, &request);

	assert_int_equal(written, request.status ? 1 : (int64_t)bytes + 1);
	return request.status;
}

static uint8_t write_at(uint64_t sector, size_t bytes, size_t piece)
{
	struct disk_request request = { .type = VIRTIO_BLK_T_OUT, .sector = sector, .out = data,
					.out_bytes = bytes, .piece = piece };

	assert_int_equal(disk_call(&d, 0, &request), 1);
	return request.status;
}

static uint8_t flush(void)
{
	struct disk_request request = { .type = VIRTIO_BLK_T_FLUSH };

	assert_int_equal(disk_call(&d, 0, &request), 1);
	return request.status;
}

static uint8_t segments(uint32_t type, const struct virtio_blk_discard_write_zeroes *list, unsigned count)
{
	struct disk_request request = { .type = type, .out = list, .out_bytes = count * sizeof(*list) };

	assert_int_equal(disk_call(&d, 0, &request), 1);
	return request.status;
}

static void reads_and_writes(void **state)
{
	static const size_t sizes[] = { 512, 1024, 4096, 65536, 131072 };

	disk_start(&d, 0, 256);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		assert_int_equal(read_at(i * 3, sizes[i], 0), VIRTIO_BLK_S_OK);
		assert_memory_equal(back, d.fake.data + i * 3 * SECTOR, sizes[i]);
		assert_int_equal(write_at(100 + i, sizes[i], 0), VIRTIO_BLK_S_OK);
		assert_memory_equal(data, d.fake.data + (100 + i) * SECTOR, sizes[i]);
		assert_int_equal(read_at(100 + i, sizes[i], 0), VIRTIO_BLK_S_OK);
		assert_memory_equal(back, data, sizes[i]);
	}
	assert_int_equal(write_at(SECTORS - 1, 512, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(read_at(SECTORS - 256, 131072, 0), VIRTIO_BLK_S_OK);
}

/* spec: DEV-SPLIT-001; hostile: A30 */
static void takes_any_framing(void **state)
{
	static const size_t pieces[] = { 1, 3, 15, 16, 17, 100, 511, 512, 513, 4095 };

	harness_set(&d.h, "queue-size", "1024");
	harness_set(&d.h, "seg-max", "1000");
	disk_start(&d, 0, 1024);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(pieces); i++) {
		data[0] = (uint8_t)i;
		assert_int_equal(write_at(i, 512, pieces[i]), VIRTIO_BLK_S_OK);
		assert_int_equal(read_at(i, 512, pieces[i]), VIRTIO_BLK_S_OK);
		assert_memory_equal(back, data, 512);
		if (pieces[i] < 16)
			continue;
		assert_int_equal(write_at(64, 12288, pieces[i]), VIRTIO_BLK_S_OK);
		assert_int_equal(read_at(64, 12288, pieces[i]), VIRTIO_BLK_S_OK);
		assert_memory_equal(back, data, 12288);
	}
}

static void gives_its_serial(void **state)
{
	char id[21] = { 0 };
	struct disk_request request = { VIRTIO_BLK_T_GET_ID, .in = id, .in_bytes = VIRTIO_BLK_ID_BYTES };

	assert_int_equal(harness_try_set(&d.h, "serial", "more than twenty bytes"), -VIO_ERANGE);
	harness_set(&d.h, "serial", "exactly twenty bytes");
	harness_set(&d.h, "serial", "backup-7"); /* nothing of the longer one shows */
	disk_start(&d, 0, 64);
	for (request.piece = 0; request.piece <= 20; request.piece++) {
		memset(id, 0xff, sizeof(id));
		assert_int_equal(disk_call(&d, 0, &request), VIRTIO_BLK_ID_BYTES + 1);
		assert_int_equal(request.status, VIRTIO_BLK_S_OK);
		assert_memory_equal(id, "backup-7\0\0\0\0\0\0\0\0\0\0\0\0", VIRTIO_BLK_ID_BYTES);
	}
	assert_int_equal(fake_block_total(&d.fake), 0);
	/* Short requests in single bytes, even where data comes in one segment. */
	teardown(state);
	setup(state);
	harness_set(&d.h, "seg-max", "1");
	disk_start(&d, 0, 256);
	request.piece = 1;
	assert_int_equal(disk_call(&d, 0, &request), VIRTIO_BLK_ID_BYTES + 1);
	assert_int_equal(request.status, VIRTIO_BLK_S_OK);
}

static void discards_and_zeroes(void **state)
{
	struct virtio_blk_discard_write_zeroes list[16];
	uint8_t zeros[SECTOR] = { 0 }, discarded[SECTOR];

	memset(discarded, 0xdd, sizeof(discarded));
	disk_start(&d, 0, 256);
	for (unsigned i = 0; i < 16; i++)
		list[i] = disk_segment(10 + 3 * i, 1, 0);
	assert_int_equal(segments(VIRTIO_BLK_T_DISCARD, list, 16), VIRTIO_BLK_S_OK);
	assert_int_equal(d.fake.submitted[VIO_BLOCK_DISCARD], 16);
	assert_int_equal(segments(VIRTIO_BLK_T_WRITE_ZEROES, list, 8), VIRTIO_BLK_S_OK);
	assert_int_equal(d.fake.submitted[VIO_BLOCK_WRITE_ZEROES], 8);
	for (unsigned i = 0; i < 16; i++) /* spec: DEV-BLK-025 */
		assert_memory_equal(d.fake.data + (10 + 3 * i) * SECTOR, i < 8 ? zeros : discarded, SECTOR);
	assert_int_equal(d.fake.last.flags & VIO_BLOCK_UNMAP, 0);
	list[0] = disk_segment(0, SECTORS, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	assert_int_equal(segments(VIRTIO_BLK_T_WRITE_ZEROES, list, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(d.fake.last.flags & VIO_BLOCK_UNMAP, VIO_BLOCK_UNMAP);
	assert_int_equal(d.fake.last.length, SECTORS * SECTOR);
	/* Nothing to do is done at once. */
	list[0] = disk_segment(SECTORS, 0, 0);
	assert_int_equal(segments(VIRTIO_BLK_T_DISCARD, list, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(d.fake.submitted[VIO_BLOCK_DISCARD], 16);
	assert_int_equal(d.fake.depth_max, 1);
}

/* spec: DEV-BLK-028, the three cases */
static void writes_are_stable_when_they_should(void **state)
{
	static const struct {
		uint64_t without;
		int writeback; /* written by the driver; -1: not */
		const char *write_cache;
		unsigned stable;
	} cases[] = {
		{ 0, -1, "on", 0 },
		{ 0, 0, "on", VIO_BLOCK_STABLE },
		{ 0, 1, "off", 0 },
		{ 0, -1, "off", VIO_BLOCK_STABLE },
		{ BIT(VIRTIO_BLK_F_CONFIG_WCE), -1, "on", 0 },
		{ BIT(VIRTIO_BLK_F_CONFIG_WCE), 0, "on", 0 }, /* not negotiated: no say */
		{ BIT(VIRTIO_BLK_F_CONFIG_WCE), -1, "off", VIO_BLOCK_STABLE },
		{ BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_FLUSH), -1, "on", VIO_BLOCK_STABLE },
		{ BIT(VIRTIO_BLK_F_FLUSH), -1, "on", VIO_BLOCK_STABLE },
	};

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		struct virtio_blk_discard_write_zeroes segment = disk_segment(40, 8, 0);
		uint8_t value = (uint8_t)cases[i].writeback;
		size_t at = 20 * SECTOR;

		if (i)
			setup(state);
		harness_set(&d.h, "write-cache", cases[i].write_cache);
		disk_start(&d, cases[i].without, 64);
		if (cases[i].writeback >= 0)
			vio_device_write_config(&d.h.dev, WRITEBACK, &value, 1);
		assert_int_equal(write_at(20, 4096, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(d.fake.last.flags, cases[i].stable);
		assert_int_equal(!memcmp(d.fake.durable + at, data, 4096), cases[i].stable != 0);
		assert_int_equal(segments(VIRTIO_BLK_T_WRITE_ZEROES, &segment, 1), VIRTIO_BLK_S_OK);
		assert_int_equal(d.fake.last.flags, cases[i].stable);
		assert_int_equal(segments(VIRTIO_BLK_T_DISCARD, &segment, 1), VIRTIO_BLK_S_OK);
		assert_int_equal(d.fake.last.flags, cases[i].stable);
		assert_int_equal(flush(), VIRTIO_BLK_S_OK);
		assert_memory_equal(d.fake.durable, d.fake.data, SECTORS * SECTOR);
		if (i + 1 < VIO_ARRAY_SIZE(cases))
			teardown(state);
	}
}

static uint8_t writeback(void)
{
	return disk_config(&d).writeback;
}

static void set_writeback(uint8_t value)
{
	assert_int_equal(vio_device_write_config(&d.h.dev, WRITEBACK, &value, 1), 0);
}

static void cache_mode_is_the_drivers(void **state)
{
	harness_realize(&d.h);
	assert_int_equal(writeback(), 1);
	set_writeback(0); /* nothing is negotiated yet */
	assert_int_equal(writeback(), 1);
	disk_start(&d, 0, 64);
	set_writeback(0);
	assert_int_equal(writeback(), 0);
	set_writeback(2);
	set_writeback(255);
	assert_int_equal(writeback(), 0);
	set_writeback(1);
	assert_int_equal(writeback(), 1);
	set_writeback(0);
	harness_reset(&d.h);
	assert_int_equal(writeback(), 1);
	/* spec: DEV-BLK-003 */
	disk_start(&d, BIT(VIRTIO_BLK_F_FLUSH), 64);
	assert_int_equal(writeback(), 0);
	assert_int_equal(d.h.config_interrupts, 0);
}

/* spec: DEV-BLK-001, DEV-BLK-002, DEV-BLK-005, DEV-BLK-030, DEV-BASIC-004 */
static void offers_what_it_can(void **state)
{
	uint64_t always = BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
			  BIT(VIRTIO_BLK_F_TOPOLOGY);
	uint64_t writable = BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);

	harness_realize(&d.h);
	assert_int_equal(harness_offer(&d.h) & 0xffffff, always | writable | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	teardown(state);

	setup(state);
	harness_set(&d.h, "config-wce", "off");
	harness_set(&d.h, "num-queues", "2");
	harness_set(&d.h, "size-max", "65536");
	harness_set(&d.h, "write-zeroes", "off");
	d.fake.block.discard_bytes = 0;
	harness_realize(&d.h);
	assert_int_equal(harness_offer(&d.h) & 0xffffff,
			 always | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_SIZE_MAX));
	teardown(state);

	setup(state);
	d.fake.block.read_only = 1;
	harness_realize(&d.h);
	assert_int_equal(harness_offer(&d.h) & 0xffffff,
			 always | BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_RO));
}

static void config_describes_the_storage(void **state)
{
	struct virtio_blk_config config;

	teardown(state);
	disk_make(&d, SECTORS + 7, 4096); /* the last block isn't whole */
	d.fake.block.physical_bytes = 16384;
	harness_set(&d.h, "size-max", "65536");
	harness_set(&d.h, "max-segments", "5");
	harness_set(&d.h, "num-queues", "3");
	harness_realize(&d.h);
	config = disk_config(&d);
	assert_int_equal(d.h.dev.queue_count, 3);
	assert_int_equal(vio_le64_get(config.capacity), SECTORS);
	assert_int_equal(vio_le32_get(config.size_max), 65536);
	assert_int_equal(vio_le32_get(config.seg_max), 126);
	assert_int_equal(vio_le32_get(config.blk_size), 4096);
	assert_int_equal(config.topology.physical_block_exp, 2);
	assert_int_equal(config.topology.alignment_offset, 0);
	assert_int_equal(vio_le16_get(config.topology.min_io_size), 4);
	assert_int_equal(vio_le32_get(config.topology.opt_io_size), 16);
	assert_int_equal(config.writeback, 1);
	assert_int_equal(config.unused0, 0); /* spec: DEV-BLK-004 */
	assert_int_equal(vio_le16_get(config.num_queues), 3);
	assert_int_equal(vio_le32_get(config.max_discard_sectors), 2097152);
	assert_int_equal(vio_le32_get(config.max_discard_seg), 5);
	assert_int_equal(vio_le32_get(config.discard_sector_alignment), 8);
	assert_int_equal(vio_le32_get(config.max_write_zeroes_sectors), 524288);
	assert_int_equal(vio_le32_get(config.max_write_zeroes_seg), 5);
	assert_int_equal(config.write_zeroes_may_unmap, 1); /* spec: DEV-BLK-026 */
	for (size_t i = offsetof(struct virtio_blk_config, unused1); i < sizeof(config); i++)
		assert_int_equal(((uint8_t *)&config)[i], 0); /* spec: DEV-BLK-004, DEV-BLK-007 */
}

/* spec: DEV-BLK-026 */
static void unmap_is_for_storage_that_can(void **state)
{
	const uint32_t unmap = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	struct virtio_blk_discard_write_zeroes segment = disk_segment(0, 8, unmap);

	d.fake.block.zeroes_unmap = 0;
	disk_start(&d, 0, 64);
	assert_int_equal(disk_config(&d).write_zeroes_may_unmap, 0);
	assert_int_equal(segments(VIRTIO_BLK_T_WRITE_ZEROES, &segment, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(d.fake.last.flags & VIO_BLOCK_UNMAP, 0);
}

static void refuses_to_be_realized(void **state)
{
	struct harness bare;
	struct harness *h = &d.h;

	harness_make(&bare, &vio_blk_class);
	assert_int_equal(vio_device_realize(&bare.dev), -VIO_ENOENT);
	harness_free(&bare);
	assert_int_equal(harness_try_set(h, "num-queues", "0"), -VIO_ERANGE);
	assert_int_equal(harness_try_set(h, "num-queues", "257"), -VIO_ERANGE);
	assert_int_equal(harness_try_set(h, "max-segments", "17"), -VIO_ERANGE);
	assert_int_equal(harness_try_set(h, "seg-max", "1001"), -VIO_ERANGE);
	harness_set(h, "seg-max", "255"); /* a queue of 256 has room for 254 beside header and status */
	assert_int_equal(vio_device_realize(&h->dev), -VIO_ERANGE);
	harness_set(h, "seg-max", "0");
	harness_set(h, "queue-size", "2");
	assert_int_equal(vio_device_realize(&h->dev), -VIO_ERANGE);
	harness_set(h, "queue-size", "4");
	d.fake.block.block_bytes = 513;
	assert_int_equal(vio_device_realize(&h->dev), -VIO_EINVAL);
	d.fake.block.block_bytes = 256;
	assert_int_equal(vio_device_realize(&h->dev), -VIO_EINVAL);
	d.fake.block.block_bytes = 8192; /* larger than the physical block */
	assert_int_equal(vio_device_realize(&h->dev), -VIO_EINVAL);
	d.fake.block.block_bytes = 512;
	disk_start(&d, 0, 4);
	assert_int_equal(vio_le32_get(disk_config(&d).seg_max), 2);
	assert_int_equal(read_at(0, 1024, 0), VIRTIO_BLK_S_OK);
}

/* spec: DEV-BLK-020, DEV-BLK-MAY-003 */
static void capacity_follows_the_storage(void **state)
{
	uint32_t generation;

	disk_start(&d, 0, 64);
	generation = d.h.dev.config_generation;
	assert_int_equal(vio_le64_get(disk_config(&d).capacity), SECTORS);
	fake_block_resize(&d.fake, (SECTORS - 48) * SECTOR + 100);
	assert_int_equal(d.h.config_interrupts, 1);
	assert_int_not_equal(d.h.dev.config_generation, generation);
	assert_int_equal(vio_le64_get(disk_config(&d).capacity), SECTORS - 48);
	assert_int_equal(read_at(SECTORS - 49, 512, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(read_at(SECTORS - 48, 512, 0), VIRTIO_BLK_S_IOERR);
	fake_block_resize(&d.fake, (SECTORS - 48) * SECTOR + 200); /* nothing that the driver could see */
	assert_int_equal(d.h.config_interrupts, 1);
	fake_block_resize(&d.fake, SECTORS * SECTOR);
	assert_int_equal(d.h.config_interrupts, 2);
	assert_int_equal(read_at(SECTORS - 1, 512, 0), VIRTIO_BLK_S_OK);
	/* An unattached device is told, too. */
	vio_device_detach(&d.h.dev);
	fake_block_resize(&d.fake, 0);
	assert_int_equal(d.h.config_interrupts, 2);
	vio_device_unrealize(&d.h.dev);
	assert_null(d.fake.block.changed);
	vio_block_end_batch(&d.fake.block);
}

/* hostile: A100 */
static void config_is_bounded(void **state)
{
	struct virtio_blk_config before, after;

	disk_start(&d, 0, 64);
	before = disk_config(&d);
	harness_poke_config(&d.h, 4);
	after = disk_config(&d);
	assert_in_range(after.writeback, 0, 1);
	after.writeback = before.writeback;
	assert_memory_equal(&after, &before, sizeof(before));
}

static void moves(void **state)
{
	struct harness other;
	struct vio_block second;

	disk_start(&d, 0, 64);
	set_writeback(0);
	assert_int_equal(write_at(5, 512, 0), VIRTIO_BLK_S_OK);
	second = d.fake.block;
	harness_make(&other, &vio_blk_class);
	assert_int_equal(vio_blk_attach(&other.dev, &second), 0);
	harness_realize(&other);
	harness_move(&d.h, &other);
	assert_true(vio_device_running(&other.dev));
	vio_device_read_config(&other.dev, WRITEBACK, back, 1);
	assert_int_equal(back[0], 0);
	harness_free(&other);
}

/* hostile: G2 */
static void refuses_impossible_state(void **state)
{
	disk_start(&d, 0, 64);
	for (unsigned value = 2; value < 256; value++) {
		uint8_t byte = (uint8_t)value;
		struct vio_state_reader reader = { .from = &byte, .size = 1 };

		assert_int_equal(vio_blk_class.load(&d.h.dev, &reader, 1), -VIO_ESTATE);
		assert_int_equal(writeback(), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_and_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_any_framing, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_its_serial, setup, teardown),
		cmocka_unit_test_setup_teardown(discards_and_zeroes, setup, teardown),
		cmocka_unit_test_setup_teardown(writes_are_stable_when_they_should, setup, teardown),
		cmocka_unit_test_setup_teardown(cache_mode_is_the_drivers, setup, teardown),
		cmocka_unit_test_setup_teardown(offers_what_it_can, setup, teardown),
		cmocka_unit_test_setup_teardown(config_describes_the_storage, setup, teardown),
		cmocka_unit_test_setup_teardown(unmap_is_for_storage_that_can, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_to_be_realized, setup, teardown),
		cmocka_unit_test_setup_teardown(capacity_follows_the_storage, setup, teardown),
		cmocka_unit_test_setup_teardown(config_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(moves, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_impossible_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
