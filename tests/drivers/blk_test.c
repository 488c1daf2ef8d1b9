/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <stdlib.h>
#include <string.h>

#include <vireo/devices/blk.h>
#include <vireo/drivers/blk.h>

#include "devices/fake_block.h"

/* The block driver against Vireo's own device, over every transport. */

#define SECTOR     VIRTIO_BLK_SECTOR_BYTES
#define DISK_BYTES (UINT64_C(256) << 10)

static void furnish(struct vio_device *device, void *context)
{
	struct fake_block *fake = context;

	assert_int_equal(vio_blk_attach(device, &fake->block), 0);
}

static struct fake_block *fake_of(struct rig *rig)
{
	return rig->options->context;
}

static struct vio_blk *blk_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

/* A fresh disk of 256 KiB for each transport. */
static void each(const char *const *properties, void (*body)(struct rig *rig),
		 void (*furnish_more)(struct fake_block *))
{
	static struct rig rig;

	for (const struct rig_transport *const *transport = rig_transports; *transport; transport++) {
		struct fake_block fake;
		const struct rig_options options = {
			.class = &vio_blk_class,
			.remote = true,
			.properties = properties,
			.furnish = furnish,
			.context = &fake,
		};

		if ((*transport)->legacy && VIO_LE16_RAW(1) != 1)
			continue;
		print_message("# over %s\n", (*transport)->name);
		fake_block_init(&fake, DISK_BYTES, SECTOR);
		if (furnish_more)
			furnish_more(&fake);
		rig_make(&rig, &options, *transport);
		body(&rig);
		rig_free(&rig);
		fake_block_free(&fake);
	}
}

static void identity_body(struct rig *rig)
{
	const struct vio_blk_identity *identity;
	char id[VIRTIO_BLK_ID_BYTES + 1];

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	identity = &blk_of(rig)->identity;
	assert_int_equal(identity->capacity, DISK_BYTES / SECTOR);
	assert_int_equal(identity->parts_max, VIO_BLK_PARTS_MAX);
	assert_int_equal(identity->part_bytes_max, 8192);
	assert_int_equal(identity->block_bytes, SECTOR);
	assert_int_equal(identity->physical_exponent, 3);
	assert_int_equal(identity->least_io_blocks, 8);
	assert_int_equal(identity->best_io_blocks, 128);
	assert_int_equal(identity->cylinders, 0);
	assert_int_equal(identity->queue_count, 1);
	assert_int_equal(identity->discard_ranges_max, 16);
	assert_int_equal(identity->discard_sectors_max, 2097152);
	assert_int_equal(identity->discard_alignment, 8);
	assert_int_equal(identity->zeroes_ranges_max, 16);
	assert_int_equal(identity->zeroes_sectors_max, 524288);
	assert_int_equal(identity->zeroes_may_unmap, 1);
	assert_int_equal(identity->writeback, 1);
	assert_false(identity->read_only);
	assert_int_equal(vio_blk_get_id(&rig->dev, id), 0);
	assert_string_equal(id, "twenty bytes and no-");
}

/* spec: DRV-BLK-002 DRV-BLK-003 DRV-BLK-015 */
static void learns_what_the_device_is(void **state)
{
	static const char *const properties[] = { "serial=twenty bytes and no-", "size-max=8192", NULL };

	each(properties, identity_body, NULL);
}

static void sync_body(struct rig *rig)
{
	uint8_t to[4 * SECTOR], from[4 * SECTOR];
	struct fake_block *fake = fake_of(rig);
	struct vio_dev *dev = &rig->dev;

	assert_int_equal(vio_blk_read(dev, 0, to, SECTOR), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(vio_blk_read(dev, 3, to, sizeof(to)), 0);
	assert_memory_equal(to, fake->data + 3 * SECTOR, sizeof(to));
	for (unsigned i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 3);
	assert_int_equal(vio_blk_write(dev, DISK_BYTES / SECTOR - 4, from, sizeof(from)), 0);
	assert_memory_equal(fake->data + DISK_BYTES - sizeof(from), from, sizeof(from));
	assert_memory_not_equal(fake->durable + DISK_BYTES - sizeof(from), from, sizeof(from));
	assert_int_equal(vio_blk_flush(dev), 0);
	assert_memory_equal(fake->durable + DISK_BYTES - sizeof(from), from, sizeof(from));
	assert_int_equal(vio_blk_discard(dev, 8, 8), 0);
	assert_int_equal(fake->data[8 * SECTOR], 0xdd);
	assert_int_equal(vio_blk_write_zeroes(dev, 8, 16, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP), 0);
	assert_int_equal(fake->last.flags, VIO_BLOCK_UNMAP);
	assert_int_equal(vio_blk_write_zeroes(dev, 8, 16, 0), 0);
	assert_int_equal(fake->last.flags, 0);
	memset(from, 0, sizeof(from));
	assert_int_equal(vio_blk_read(dev, 12, to, sizeof(to)), 0);
	assert_memory_equal(to, from, sizeof(to));
	/* What the storage answers. spec: DRV-BLK-022 */
	fake->result = -VIO_EIO;
	assert_int_equal(vio_blk_read(dev, 0, to, SECTOR), -VIO_EIO);
	assert_int_equal(vio_blk_discard(dev, 8, 8), -VIO_EIO);
	fake->result = -VIO_ENOTSUP;
	assert_int_equal(vio_blk_flush(dev), -VIO_ENOTSUP);
	fake->result = 0;
	assert_int_equal(vio_blk_read(dev, 0, to, SECTOR), 0);
	assert_int_equal(rig->device.fault_count, 0);
	assert_int_equal(rig->platform.shared, 0);
}

/* spec: DRV-BLK-011 DRV-BLK-012 DRV-BLK-035 */
static void does_each_kind_of_request(void **state)
{
	each(NULL, sync_body, NULL);
}

/* Before a driver is bound. */
static void assert_unbound_refused(struct vio_dev *dev)
{
	char id[VIRTIO_BLK_ID_BYTES + 1];
	struct vio_blk_io io = { .type = VIRTIO_BLK_T_FLUSH };

	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
	assert_int_equal(vio_blk_poll(dev, 0), -VIO_EINVAL);
	assert_int_equal(vio_blk_stop(dev), -VIO_EINVAL);
	assert_int_equal(vio_blk_start(dev), -VIO_EINVAL);
	assert_int_equal(vio_blk_flush(dev), -VIO_EINVAL);
	assert_int_equal(vio_blk_discard(dev, 0, 8), -VIO_EINVAL);
	assert_int_equal(vio_blk_get_id(dev, id), -VIO_EINVAL);
	assert_int_equal(vio_blk_set_cache(dev, VIO_BLK_WRITE_BACK), -VIO_EINVAL);
	vio_blk_kick(dev, 0);
}

static void assert_transfers_refused(struct vio_dev *dev)
{
	static uint8_t data[16384];
	const uint64_t end = DISK_BYTES / SECTOR;

	/* spec: DRV-BLK-009 */
	assert_int_equal(vio_blk_read(dev, end, data, SECTOR), -VIO_ERANGE);
	assert_int_equal(vio_blk_read(dev, end - 1, data, 2 * SECTOR), -VIO_ERANGE);
	assert_int_equal(vio_blk_write(dev, UINT64_MAX, data, SECTOR), -VIO_ERANGE);
	/* spec: DRV-BLK-013 */
	assert_int_equal(vio_blk_read(dev, 0, data, SECTOR + 1), -VIO_EINVAL);
	assert_int_equal(vio_blk_read(dev, 0, data, 0), -VIO_EINVAL);
	assert_int_equal(vio_blk_write(dev, 0, data, SECTOR - 1), -VIO_EINVAL);
	/* size_max */
	assert_int_equal(vio_blk_read(dev, 0, data, 8192 + SECTOR), -VIO_ERANGE);
	assert_int_equal(vio_blk_read(dev, 0, data, 8192), 0);
}

static void assert_requests_refused(struct vio_dev *dev)
{
	struct vio_part parts[6];
	uint8_t data[SECTOR];
	struct vio_blk_io io = { .parts = parts, .part_count = 6 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(parts); i++)
		parts[i] = (struct vio_part){ data, SECTOR };
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_ERANGE); /* seg_max */
	io.part_count = 0;
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
	io.part_count = 1;
	io.queue = 1;
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_ERANGE);
	io.queue = 0;
	io.type = 99;
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
	io.type = VIRTIO_BLK_T_FLUSH; /* spec: DRV-BLK-012 */
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
	io.type = VIRTIO_BLK_T_GET_ID; /* spec: DRV-BLK-015 */
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
}

/* spec: DRV-BLK-014 DRV-BLK-016 DRV-BLK-018 DRV-BLK-020 */
static void assert_ranges_refused(struct vio_dev *dev, uint32_t type)
{
	struct virtio_blk_discard_write_zeroes ranges[17];
	struct vio_part parts[2] = { { ranges, sizeof(ranges) }, { ranges, sizeof(ranges[0]) } };
	struct vio_blk_io io = { .type = type, .parts = parts, .part_count = 1 };

	memset(ranges, 0, sizeof(ranges));
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_ERANGE);
	parts[0].length = sizeof(ranges[0]) + 1;
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
	parts[0].length = sizeof(ranges[0]);
	io.part_count = 2;
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
	io.part_count = 1;
	ranges[0].flags =
		vio_le32_make(type == VIRTIO_BLK_T_DISCARD ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 2);
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_EINVAL);
	ranges[0].flags = vio_le32_make(0);
	ranges[0].num_sectors = vio_le32_make(505);
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_ERANGE);
	ranges[0].num_sectors = vio_le32_make(4);
	ranges[0].sector = vio_le64_make(DISK_BYTES / SECTOR - 3);
	assert_int_equal(vio_blk_submit(dev, &io), -VIO_ERANGE);
}

static void limits_body(struct rig *rig)
{
	struct vio_dev *dev = &rig->dev;

	assert_unbound_refused(dev);
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(vio_blk_poll(dev, 1), -VIO_ERANGE);
	vio_blk_kick(dev, 1);
	assert_transfers_refused(dev);
	assert_requests_refused(dev);
	assert_ranges_refused(dev, VIRTIO_BLK_T_DISCARD);
	assert_ranges_refused(dev, VIRTIO_BLK_T_WRITE_ZEROES);
	/* Nothing of all that reached the device, but for the read that is good. */
	assert_int_equal(fake_block_total(fake_of(rig)), 1);
	assert_int_equal(rig->platform.shared, 0);
}

static void refuses_what_the_device_would(void **state)
{
	static const char *const properties[] = { "size-max=8192", "seg-max=5", "max-discard-sectors=504",
						  "max-write-zeroes-sectors=504", NULL };

	each(properties, limits_body, NULL);
}

static void read_only_body(struct rig *rig)
{
	uint8_t sector[SECTOR] = { 0 };

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_true(blk_of(rig)->identity.read_only);
	assert_int_equal(vio_blk_write(&rig->dev, 0, sector, SECTOR), -VIO_EACCES);
	assert_int_equal(vio_blk_discard(&rig->dev, 0, 8), -VIO_EACCES);
	assert_int_equal(vio_blk_write_zeroes(&rig->dev, 0, 8, 0), -VIO_EACCES);
	assert_int_equal(fake_block_total(fake_of(rig)), 0);
	assert_int_equal(vio_blk_read(&rig->dev, 0, sector, SECTOR), 0);
	assert_memory_equal(sector, fake_of(rig)->data, SECTOR);
}

/* spec: DRV-BLK-010 */
static void leaves_a_read_only_device_alone(void **state)
{
	static const char *const properties[] = { "readonly=on", NULL };

	each(properties, read_only_body, NULL);
}

static void cache_body(struct rig *rig)
{
	struct fake_block *fake = fake_of(rig);
	uint8_t sector[SECTOR];

	memset(sector, 0x5a, sizeof(sector));
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(blk_of(rig)->identity.writeback, 0);
	assert_int_equal(vio_blk_set_cache(&rig->dev, VIO_BLK_WRITE_BACK), 0);
	assert_int_equal(blk_of(rig)->identity.writeback, 1);
	assert_int_equal(vio_blk_write(&rig->dev, 5, sector, SECTOR), 0);
	assert_memory_not_equal(fake->durable + 5 * SECTOR, sector, SECTOR);
	/* spec: DRV-BLK-019 DRV-BLK-MAY-005 */
	assert_int_equal(vio_blk_set_cache(&rig->dev, VIO_BLK_WRITE_THROUGH), 0);
	assert_int_equal(blk_of(rig)->identity.writeback, 0);
	assert_memory_equal(fake->durable + 5 * SECTOR, sector, SECTOR);
	assert_int_equal(vio_blk_write(&rig->dev, 6, sector, SECTOR), 0);
	assert_memory_equal(fake->durable + 6 * SECTOR, sector, SECTOR);
	assert_int_equal(vio_dev_reset(&rig->dev), 0);
	assert_int_equal(vio_blk_set_cache(&rig->dev, VIO_BLK_WRITE_BACK), -VIO_EPHASE);
}

static void chooses_the_cache_mode(void **state)
{
	static const char *const properties[] = { "write-cache=off", NULL };

	each(properties, cache_body, NULL);
}

static void no_choice_body(struct rig *rig)
{
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	/* spec: DRV-BLK-002 */
	assert_int_equal(blk_of(rig)->identity.writeback, 1);
	assert_int_equal(vio_blk_set_cache(&rig->dev, VIO_BLK_WRITE_THROUGH), -VIO_ENOTSUP);
	assert_int_equal(vio_blk_discard(&rig->dev, 0, 8), -VIO_ENOTSUP);
	assert_int_equal(vio_blk_write_zeroes(&rig->dev, 0, 8, 0), -VIO_ENOTSUP);
}

static void takes_no_for_an_answer(void **state)
{
	static const char *const properties[] = { "config-wce=off", "discard=off", "write-zeroes=off", NULL };

	each(properties, no_choice_body, NULL);
}

static void changed(struct vio_dev *dev)
{
	++*(unsigned *)dev->owner;
}

static void resize_body(struct rig *rig)
{
	uint8_t sector[SECTOR];
	unsigned changes = 0;

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	fake_block_resize(fake_of(rig), DISK_BYTES / 2);
	rig_run(rig);
	assert_int_equal(blk_of(rig)->identity.capacity, DISK_BYTES / 2 / SECTOR);
	assert_int_equal(vio_blk_read(&rig->dev, DISK_BYTES / 2 / SECTOR, sector, SECTOR), -VIO_ERANGE);
	blk_of(rig)->changed = changed;
	rig->dev.owner = &changes;
	fake_block_resize(fake_of(rig), DISK_BYTES);
	rig_run(rig);
	assert_int_equal(changes, 1);
	assert_int_equal(vio_blk_read(&rig->dev, DISK_BYTES / SECTOR - 1, sector, SECTOR), 0);
}

/* spec: DRV-BLK-008 */
static void follows_the_capacity(void **state)
{
	each(NULL, resize_body, NULL);
}

static void count_done(struct vio_dev *dev, struct vio_blk_io *io)
{
	++*(unsigned *)io->owner;
}

static void make_later(struct fake_block *fake)
{
	fake->later = true;
}

static void cancel_body(struct rig *rig)
{
	static struct vio_blk_io ios[5];
	static uint8_t data[5][SECTOR];
	struct vio_part parts[5];
	struct vio_dev *dev = &rig->dev;
	unsigned done = 0;

	memset(ios, 0, sizeof(ios));
	if (rig->transport->moves) /* where everything is answered before */
		return;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	for (unsigned i = 0; i < 5; i++) {
		parts[i] = (struct vio_part){ data[i], SECTOR };
		ios[i] = (struct vio_blk_io){
			.sector = i, .parts = &parts[i], .part_count = 1, .done = count_done, .owner = &done
		};
		assert_int_equal(vio_blk_submit(dev, &ios[i]), 0);
		assert_int_equal(vio_blk_submit(dev, &ios[i]), -VIO_EBUSY);
	}
	vio_blk_kick(dev, 0);
	rig_run(rig);
	assert_int_equal(done, 0);
	assert_int_equal(fake_of(rig)->pending_count, 5);
	/* One was answered, and nobody looked before the reset. */
	fake_block_complete(fake_of(rig), 2);
	assert_int_equal(vio_blk_stop(dev), 0);
	assert_int_equal(done, 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_false(ios[i].busy);
		assert_int_equal(ios[i].result, -VIO_EAGAIN);
	}
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_blk_submit(dev, &ios[0]), -VIO_EPHASE);
	assert_int_equal(vio_blk_poll(dev, 0), -VIO_EPEER);
	assert_int_equal(vio_blk_stop(dev), 0);
	/* A request that is waited for, and not answered: the same. hostile: B29 */
	assert_int_equal(vio_blk_start(dev), 0);
	assert_int_equal(vio_blk_submit(dev, &ios[0]), 0);
	assert_int_equal(vio_blk_read(dev, 0, data[1], SECTOR), -VIO_EAGAIN);
	assert_int_equal(dev->phase, VIO_DEV_RESET);
	assert_int_equal(ios[0].result, -VIO_EAGAIN);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_blk_read(dev, 0, data[1], SECTOR), -VIO_EPHASE);
	assert_int_equal(vio_blk_start(dev), 0);
	fake_of(rig)->later = false;
	assert_int_equal(vio_blk_read(dev, 0, data[1], SECTOR), 0);
	/* Unbinding cancels as well. */
	fake_of(rig)->later = true;
	assert_int_equal(vio_blk_submit(dev, &ios[0]), 0);
	vio_blk_kick(dev, 0);
	rig_unbind(rig);
	assert_int_equal(done, 7);
	assert_int_equal(ios[0].result, -VIO_EAGAIN);
}

static void a_reset_cancels_everything(void **state)
{
	each(NULL, cancel_body, make_later);
}

static void start_at_once(struct vio_dev *dev, struct vio_blk_io *io)
{
	assert_int_equal(vio_blk_start(dev), -VIO_EBUSY);
	assert_int_equal(vio_blk_submit(dev, io), -VIO_EPHASE);
	count_done(dev, io);
}

static void rash_body(struct rig *rig)
{
	uint8_t data[SECTOR];
	const struct vio_part part = { data, SECTOR };
	unsigned done = 0;
	struct vio_blk_io io = { .parts = &part, .part_count = 1, .done = start_at_once, .owner = &done };

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(vio_blk_submit(&rig->dev, &io), 0);
	assert_int_equal(vio_blk_stop(&rig->dev), 0);
	assert_int_equal(done, 1);
	assert_int_equal(vio_blk_start(&rig->dev), 0);
}

static void no_life_begins_inside_of_a_stop(void **state)
{
	each(NULL, rash_body, NULL);
}

/* What the device does, it does while the driver sleeps. */
static bool complete_one(void *context)
{
	struct rig *rig = context;

	if (fake_of(rig)->pending_count)
		fake_block_complete(fake_of(rig), 0);
	return rig->transport->run(rig);
}

static void sleep_body(struct rig *rig)
{
	uint8_t data[2][SECTOR];
	const struct vio_part part = { data[0], SECTOR };
	unsigned done = 0;
	struct vio_blk_io io = { .parts = &part, .part_count = 1, .done = count_done, .owner = &done };
	uint64_t since;

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	rig->platform.run = complete_one;
	since = rig->platform.now_ns;
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(vio_blk_submit(&rig->dev, &io), 0);
		assert_int_equal(vio_blk_read(&rig->dev, i, data[1], SECTOR), 0);
		assert_memory_equal(data[1], fake_of(rig)->data + i * SECTOR, SECTOR);
		assert_int_equal(done, i);
	}
	assert_in_range(rig->platform.now_ns - since, 0, 1000000000);
}

/* An interrupt that wakes a wait doesn't take away what it waits for. */
static void sleeps_no_longer_than_it_must(void **state)
{
	each(NULL, sleep_body, make_later);
}

static void pull_out_body(struct rig *rig)
{
	uint8_t data[SECTOR];
	const struct vio_part part = { data, SECTOR };
	unsigned done = 0;
	struct vio_blk_io io = { .parts = &part, .part_count = 1, .done = count_done, .owner = &done };

	if (!rig->transport->pull_out)
		return;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(vio_blk_submit(&rig->dev, &io), 0);
	rig->transport->pull_out(rig);
	assert_int_equal(vio_blk_read(&rig->dev, 0, data, SECTOR), -VIO_EHANGUP);
	assert_int_equal(done, 1);
	assert_int_equal(io.result, -VIO_EHANGUP);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_blk_start(&rig->dev), -VIO_EHANGUP);
}

/* hostile: B45 */
static void a_device_may_be_pulled_out(void **state)
{
	each(NULL, pull_out_body, make_later);
}

static void stingy_body(struct rig *rig)
{
	uint8_t data[SECTOR];

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	for (unsigned works = 0; works < 2; works++) {
		rig->platform.fail_after = works;
		assert_int_equal(vio_blk_read(&rig->dev, 0, data, SECTOR), -VIO_ENOMEM);
		assert_int_equal(rig->platform.shared, 0);
	}
	rig->platform.fail_after = 2;
	assert_int_equal(vio_blk_read(&rig->dev, 0, data, SECTOR), 0);
	rig_unbind(rig);
	for (unsigned works = 0; works < 2; works++) {
		rig->platform.fail_after = works;
		assert_int_equal(rig_bind(rig, &vio_blk_driver), -VIO_ENOMEM);
		rig_unbind(rig);
	}
	rig->platform.fail_after = TEST_PLATFORM_NEVER;
}

static void lives_with_a_stingy_platform(void **state)
{
	each(NULL, stingy_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learns_what_the_device_is),
		cmocka_unit_test(does_each_kind_of_request),
		cmocka_unit_test(refuses_what_the_device_would),
		cmocka_unit_test(leaves_a_read_only_device_alone),
		cmocka_unit_test(chooses_the_cache_mode),
		cmocka_unit_test(takes_no_for_an_answer),
		cmocka_unit_test(follows_the_capacity),
		cmocka_unit_test(a_reset_cancels_everything),
		cmocka_unit_test(no_life_begins_inside_of_a_stop),
		cmocka_unit_test(sleeps_no_longer_than_it_must),
		cmocka_unit_test(a_device_may_be_pulled_out),
		cmocka_unit_test(lives_with_a_stingy_platform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
