/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <stdlib.h>
#include <string.h>

#include <vireo/devices/vssd.h>
#include <vireo/drivers/vssd.h>

#include "devices/fake_block.h"

/* The VSSD driver against Vireo's own device, over every transport; the clauses are those of docs/vssd.md. */

#define SECTOR  VIRTIO_BLK_SECTOR_BYTES
#define UNIT    4096u
#define SECTORS (UNIT / SECTOR)
#define BLOCKS  80u

struct disk {
	struct fake_block data, map;
	void *memory;
	unsigned changes; /* that the driver was told of */
	/* What the driver's choose() does: these ranges, one list after the other. */
	const struct vio_vssd_range *next;
	unsigned lists, ranges;
	uint64_t asked; /* blocks, last time */
};

static void furnish(struct vio_device *device, void *context)
{
	struct disk *disk = context;
	struct vio_vssd_storage storage = { &disk->data.block, &disk->map.block, NULL };

	assert_int_equal(vio_device_set_property(device, "unit", 4, "4K"), 0);
	fake_block_init(&disk->data, BLOCKS * UNIT, SECTOR);
	fake_block_init(&disk->map, vio_vssd_map_bytes(device, BLOCKS * UNIT), SECTOR);
	memset(disk->map.data, 0, disk->map.block.size_bytes);
	disk->memory = malloc((size_t)vio_vssd_memory_bytes(device, BLOCKS * UNIT));
	assert_non_null(disk->memory);
	storage.memory = disk->memory;
	assert_int_equal(vio_vssd_attach(device, &storage), 0);
}

/* A fresh disk for each transport. */
static void each(void (*body)(struct rig *rig, struct disk *disk))
{
	static const char *const properties[] = { "num-queues=3", "deadline-ms=12345", NULL };
	static struct rig rig;
	struct disk disk;
	const struct rig_options options = {
		.class = &vio_vssd_class,
		.remote = true,
		.properties = properties,
		.furnish = furnish,
		.context = &disk,
	};

	for (const struct rig_transport *const *transport = rig_transports; *transport; transport++) {
		if ((*transport)->legacy ||
		    !strcmp((*transport)->name, "vhost-user-plain")) /* no configuration */
			continue;
		memset(&disk, 0, sizeof(disk));
		print_message("# over %s\n", (*transport)->name);
		rig_make(&rig, &options, *transport);
		rig.dev.owner = &disk;
		body(&rig, &disk);
		rig_free(&rig);
		fake_block_free(&disk.data);
		fake_block_free(&disk.map);
		free(disk.memory);
	}
}

static void changed(struct vio_dev *dev)
{
	struct disk *disk = dev->owner;

	disk->changes++;
}

static unsigned choose(struct vio_dev *dev, uint64_t count, struct vio_vssd_range *list, unsigned max)
{
	struct disk *disk = dev->owner;
	unsigned ranges = disk->ranges;

	assert_int_equal(max, VIO_VSSD_RANGES_MAX);
	disk->asked = count;
	if (!disk->lists)
		return 0;
	disk->lists--;
	memcpy(list, disk->next, (ranges > max ? max : ranges) * sizeof(*list));
	disk->next += ranges;
	return ranges;
}

/* What choose() says from now on: `lists` times the next `ranges` ones. */
static void plan(struct disk *disk, const struct vio_vssd_range *next, unsigned lists, unsigned ranges)
{
	disk->next = next;
	disk->lists = lists;
	disk->ranges = ranges;
}

static struct vio_vssd *bind_driver(struct rig *rig)
{
	struct vio_vssd *vssd;

	assert_int_equal(rig_bind(rig, &vio_vssd_driver), 0);
	vssd = rig->dev.driver_state;
	vssd->blk.changed = changed;
	vssd->choose = choose;
	return vssd;
}

static void ask_for(struct rig *rig, uint64_t blocks)
{
	assert_int_equal(vio_vssd_resize(&rig->device, blocks), 0);
	rig_run(rig);
}

static void expect_info(struct rig *rig, uint64_t provisioned, uint64_t target, uint32_t state)
{
	struct vio_vssd_info info;

	assert_int_equal(vio_vssd_get_info(&rig->dev, &info), 0);
	assert_int_equal(info.total, BLOCKS);
	assert_int_equal(info.block_bytes, UNIT);
	assert_int_equal(info.deadline_ms, 12345);
	assert_int_equal(info.provisioned, provisioned);
	assert_int_equal(info.target, target);
	assert_int_equal(info.state, state);
}

static void fill(struct rig *rig, uint8_t *bytes)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		memset(bytes, (int)i + 1, UNIT);
		assert_int_equal(vio_blk_write(&rig->dev, i * SECTORS, bytes, UNIT), 0);
	}
}

static void expect_block(struct rig *rig, unsigned block, uint8_t value)
{
	uint8_t bytes[UNIT];

	assert_int_equal(vio_blk_read(&rig->dev, block * SECTORS, bytes, UNIT), 0);
	for (unsigned i = 0; i < UNIT; i++)
		assert_int_equal(bytes[i], value);
}

/* It is a disk. spec: VSSD-DEV-16: with one request queue, whatever the device has */
static void disk_body(struct rig *rig, struct disk *disk)
{
	uint8_t bytes[UNIT];
	struct vio_vssd *vssd;
	char id[VIRTIO_BLK_ID_BYTES + 1];

	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_EINVAL); /* nothing is bound */
	vssd = bind_driver(rig);
	assert_int_equal(vssd->blk.identity.capacity, BLOCKS * SECTORS);
	assert_int_equal(vssd->blk.identity.queue_count, 1); /* whatever the device has */
	fill(rig, bytes);
	for (unsigned i = 0; i < BLOCKS; i++)
		expect_block(rig, i, (uint8_t)(i + 1));
	assert_int_equal(vio_blk_flush(&rig->dev), 0);
	assert_int_equal(vio_blk_get_id(&rig->dev, id), 0);
	expect_info(rig, BLOCKS, BLOCKS, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
	assert_int_equal(vio_vssd_decline(&rig->dev), 0);
	assert_int_equal(disk->asked, 0);
	assert_int_equal(vio_blk_stop(&rig->dev), 0);
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_EPHASE);
	assert_int_equal(vio_blk_start(&rig->dev), 0);
	expect_block(rig, 7, 8);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
}

static void it_is_a_disk(void **state)
{
	each(disk_body);
}

/* spec: VSSD-DRV-1, VSSD-DRV-4; VSSD-DEV-3, VSSD-DEV-11 */
static void resize_body(struct rig *rig, struct disk *disk)
{
	static const struct vio_vssd_range lists[] = { { 70, 4 }, { 79, 1 }, { 0, 1 }, { 20, 2 } };
	static const uint8_t absent[] = { 0, 20, 21, 70, 71, 72, 73, 79 };
	uint8_t bytes[UNIT], bits[16];
	struct vio_vssd *vssd = bind_driver(rig);
	uint32_t got;

	fill(rig, bytes);
	disk->changes = 0;
	ask_for(rig, BLOCKS - 8);
	assert_true(disk->changes > 0);
	expect_info(rig, BLOCKS, BLOCKS - 8, VIRTIO_VSSD_STATE_SHRINKING);
	plan(disk, lists, 2, 2);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
	assert_int_equal(disk->lists, 0);
	assert_int_equal(disk->asked, 3); /* the second time */
	expect_info(rig, BLOCKS - 8, BLOCKS - 8, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(vssd->blk.identity.capacity, (BLOCKS - 1) * SECTORS);
	assert_int_equal(vio_blk_read(&rig->dev, 79 * SECTORS, bytes, SECTOR), -VIO_ERANGE);
	assert_int_equal(vio_blk_read(&rig->dev, 20 * SECTORS, bytes, SECTOR), -VIO_EIO);
	expect_block(rig, 22, 23);
	assert_int_equal(vio_vssd_get_map(&rig->dev, 0, bits, sizeof(bits), &got), 0);
	assert_int_equal(got, BLOCKS / 8);
	for (unsigned i = 0, at = 0; i < BLOCKS; i++) {
		bool gone = at < sizeof(absent) && absent[at] == i;

		assert_int_equal(bits[i / 8] >> i % 8 & 1, !gone);
		at += gone;
	}
	assert_int_equal(vio_vssd_get_map(&rig->dev, 72, bits, 1, &got), 0);
	assert_int_equal(bits[0], 0x7c);
	assert_int_equal(vio_vssd_get_map(&rig->dev, 7, bits, 1, &got), -VIO_EINVAL);
	assert_int_equal(vio_vssd_get_map(&rig->dev, BLOCKS, bits, 1, &got), -VIO_ERANGE);

	ask_for(rig, BLOCKS - 4);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
	expect_info(rig, BLOCKS - 4, BLOCKS - 4, VIRTIO_VSSD_STATE_IDLE);
	expect_block(rig, 0, 0);
	expect_block(rig, 20, 0);
	expect_block(rig, 70, 0);
	expect_block(rig, 1, 2);
	ask_for(rig, BLOCKS);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
	assert_int_equal(vssd->blk.identity.capacity, BLOCKS * SECTORS);
	expect_block(rig, 79, 0);
	expect_block(rig, 78, 79);
}

static void resizes_are_dealt_with(void **state)
{
	each(resize_body);
}

/* spec: VSSD-DRV-3: not while a request is in flight, whose blocks these may be */
static void busy_body(struct rig *rig, struct disk *disk)
{
	static const struct vio_vssd_range list = { 3, 1 };
	uint8_t bytes[SECTOR];
	const struct vio_part part = { bytes, sizeof(bytes) };
	struct vio_blk_io io = {
		.type = VIRTIO_BLK_T_IN, .sector = 3 * SECTORS, .parts = &part, .part_count = 1
	};

	bind_driver(rig);
	ask_for(rig, BLOCKS - 1);
	plan(disk, &list, 1, 1);
	disk->data.later = true;
	assert_int_equal(vio_blk_submit(&rig->dev, &io), 0);
	vio_blk_kick(&rig->dev, 0);
	rig_run(rig);
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_EBUSY);
	assert_int_equal(disk->lists, 1); /* it wasn't even asked */
	disk->data.later = false;
	while (disk->data.pending_count)
		fake_block_complete(&disk->data, 0);
	rig_run(rig);
	vio_blk_poll(&rig->dev, 0);
	assert_false(io.busy);
	assert_int_equal(io.result, 0);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
	expect_info(rig, BLOCKS - 1, BLOCKS - 1, VIRTIO_VSSD_STATE_IDLE);
}

static void busy_disks_wait(void **state)
{
	each(busy_body);
}

/* Lists that are wrong never reach the device, or come back from it: nothing of them is done. */
static void lists_body(struct rig *rig, struct disk *disk)
{
	static const struct vio_vssd_range bad[] = { { 0, 0 }, { BLOCKS, 1 },     { BLOCKS - 1, 2 },
						     { 0, 5 }, { UINT64_MAX, 2 }, { 1, UINT64_MAX },
						     { 3, 1 }, { 3, 1 } };

	bind_driver(rig);
	ask_for(rig, BLOCKS - 4);
	for (unsigned i = 0; i < 6; i++) {
		plan(disk, &bad[i], 1, 1);
		assert_int_equal(vio_vssd_work(&rig->dev), -VIO_ERANGE);
	}
	plan(disk, &bad[6], 1, 2); /* named twice: the device sees that */
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_EINVAL);
	plan(disk, bad, 1, VIO_VSSD_RANGES_MAX + 1);
	disk->next = (const struct vio_vssd_range[VIO_VSSD_RANGES_MAX + 1]){ { 0, 1 } };
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_ERANGE);
	expect_info(rig, BLOCKS, BLOCKS - 4, VIRTIO_VSSD_STATE_SHRINKING);
	/* spec: VSSD-DRV-5: half of it, then no more */
	plan(disk, &bad[6], 1, 1);
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_ENOSPC);
	assert_int_equal(disk->asked, 3);
	expect_info(rig, BLOCKS - 1, BLOCKS - 1, VIRTIO_VSSD_STATE_IDLE);
}

static void bad_lists_do_nothing(void **state)
{
	each(lists_body);
}

/* Another resize comes in the middle: what was worked on is over. spec: VSSD-DRV-2 */
static unsigned choose_late(struct vio_dev *dev, uint64_t count, struct vio_vssd_range *list, unsigned max)
{
	struct disk *disk = dev->owner;
	struct vio_device *device = disk->data.block.batch_done ? disk->data.block.changed_context : NULL;

	assert_non_null(device);
	if (disk->lists++ == 0) {
		vio_vssd_withdraw(device, VIO_VSSD_CANCELLED);
		assert_int_equal(vio_vssd_resize(device, BLOCKS - 2), 0);
	}
	list[0] = (struct vio_vssd_range){ 10, count };
	return max > 0;
}

static void late_body(struct rig *rig, struct disk *disk)
{
	struct vio_vssd *vssd = bind_driver(rig);

	vssd->choose = choose_late;
	disk->lists = 0;
	ask_for(rig, BLOCKS - 3);
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_EAGAIN);
	expect_info(rig, BLOCKS, BLOCKS - 2, VIRTIO_VSSD_STATE_SHRINKING);
	rig_run(rig);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
	expect_info(rig, BLOCKS - 2, BLOCKS - 2, VIRTIO_VSSD_STATE_IDLE);
}

static void lists_may_come_too_late(void **state)
{
	each(late_body);
}

/* hostile: B29: a device that doesn't answer is stopped, and the memory is the program's again. */
static void silence_body(struct rig *rig, struct disk *disk)
{
	static const struct vio_vssd_range list = { 5, 1 };

	if (rig->transport->moves) /* where everything is answered before */
		return;
	bind_driver(rig);
	ask_for(rig, BLOCKS - 1);
	plan(disk, &list, 1, 1);
	disk->map.later = true;
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(rig->dev.phase, VIO_DEV_RESET);
	assert_int_equal(rig->platform.shared, 0);
	disk->map.later = false;
	while (disk->map.pending_count)
		fake_block_complete(&disk->map, 0);
	assert_int_equal(vio_vssd_work(&rig->dev), -VIO_EPHASE);
	assert_int_equal(vio_blk_start(&rig->dev), 0);
	plan(disk, &list, 1, 1);
	/* The reset has waited for the storage, and so the list was carried out. */
	expect_info(rig, BLOCKS - 1, BLOCKS - 1, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(vio_vssd_work(&rig->dev), 0);
}

static void silent_devices_are_stopped(void **state)
{
	each(silence_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_a_disk),
		cmocka_unit_test(resizes_are_dealt_with),
		cmocka_unit_test(busy_disks_wait),
		cmocka_unit_test(bad_lists_do_nothing),
		cmocka_unit_test(lists_may_come_too_late),
		cmocka_unit_test(silent_devices_are_stopped),
	};

	return cmocka_run_group_tests_name("VSSD driver", tests, NULL, NULL);
}
