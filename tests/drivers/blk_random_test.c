/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/blk.h>
#include <vireo/drivers/blk.h>

#include "devices/fake_block.h"

/*
 * Seeded random requests, many in flight on several queues, completed by the storage in any order. What a
 * read returns is compared with what a model says; no two requests in flight touch the same sector, as
 * their order would be the device's.
 */

#define SECTOR      VIRTIO_BLK_SECTOR_BYTES
#define SECTORS     256u
#define SECTORS_MAX 6u /* of a request */
#define IN_FLIGHT   24u
#define PARTS       5u
#define STEPS       2500u

struct one {
	struct vio_blk_io io;
	struct vio_part parts[PARTS];
	struct virtio_blk_discard_write_zeroes range;
	uint64_t sector;
	unsigned sectors;
	uint8_t data[SECTORS_MAX * SECTOR];
	struct traffic *traffic;
};

struct traffic {
	uint32_t random;
	uint8_t model[SECTORS * SECTOR];
	uint8_t touched[SECTORS]; /* by a request in flight */
	struct one all[IN_FLIGHT];
	unsigned submitted, refused, done, by_type[16];
};

static uint32_t roll(struct traffic *traffic, uint32_t sides)
{
	uint32_t x = traffic->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	traffic->random = x;
	return x % sides;
}

static void done(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct one *one = io->owner;
	struct traffic *traffic = one->traffic;

	assert_int_equal(io->result, 0);
	assert_false(io->busy);
	if (io->type == VIRTIO_BLK_T_IN)
		assert_memory_equal(one->data, traffic->model + one->sector * SECTOR, one->sectors * SECTOR);
	memset(traffic->touched + one->sector, 0, one->sectors);
	traffic->done++;
}

/* Cuts the data into parts of any size. */
static void cut(struct traffic *traffic, struct one *one)
{
	uint32_t left = one->sectors * SECTOR, length;
	uint8_t *at = one->data;

	for (one->io.part_count = 0; left; one->io.part_count++) {
		length = one->io.part_count + 1 < PARTS ? 1 + roll(traffic, left) : left;
		one->parts[one->io.part_count] = (struct vio_part){ at, length };
		at += length;
		left -= length;
	}
}

static void fill(struct traffic *traffic, struct one *one)
{
	uint8_t *model = traffic->model + one->sector * SECTOR;

	switch (one->io.type) {
	case VIRTIO_BLK_T_OUT:
		for (unsigned i = 0; i < one->sectors * SECTOR; i++)
			one->data[i] = (uint8_t)(traffic->submitted * 31 + i * 7 + i / SECTOR);
		memcpy(model, one->data, one->sectors * SECTOR);
		break;
	case VIRTIO_BLK_T_DISCARD:
		memset(model, 0xdd, one->sectors * SECTOR); /* as fake_block does */
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		memset(model, 0, one->sectors * SECTOR);
		break;
	default:
		break;
	}
}

/* Makes up a request; false when its sectors are in use. */
static bool make_up(struct traffic *traffic, struct one *one, unsigned queues)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN,    VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_IN,
		VIRTIO_BLK_T_OUT,   VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES
	};

	memset(&one->io, 0, sizeof(one->io));
	one->traffic = traffic;
	one->io.owner = one;
	one->io.done = done;
	one->io.parts = one->parts;
	one->io.type = types[roll(traffic, VIO_ARRAY_SIZE(types))];
	one->io.queue = (uint16_t)roll(traffic, queues);
	one->sectors = one->io.type == VIRTIO_BLK_T_FLUSH ? 0 : 1 + roll(traffic, SECTORS_MAX);
	one->sector = roll(traffic, SECTORS - SECTORS_MAX + 1);
	for (unsigned i = 0; i < one->sectors; i++)
		if (traffic->touched[one->sector + i])
			return false;
	memset(traffic->touched + one->sector, 1, one->sectors);
	fill(traffic, one);
	if (one->io.type == VIRTIO_BLK_T_IN || one->io.type == VIRTIO_BLK_T_OUT) {
		one->io.sector = one->sector;
		cut(traffic, one);
	} else if (one->io.type != VIRTIO_BLK_T_FLUSH) {
		one->range.sector = vio_le64_make(one->sector);
		one->range.num_sectors = vio_le32_make(one->sectors);
		one->range.flags = vio_le32_make(0);
		one->parts[0] = (struct vio_part){ &one->range, sizeof(one->range) };
		one->io.part_count = 1;
	}
	return true;
}

/* Makes room where there is none. */
static void submit(struct rig *rig, struct traffic *traffic, struct vio_blk_io *io)
{
	struct fake_block *fake = rig->options->context;
	int error;

	while ((error = vio_blk_submit(&rig->dev, io)) == -VIO_ENOSPC) {
		traffic->refused++;
		vio_blk_kick(&rig->dev, io->queue);
		rig_run(rig);
		assert_true(fake->pending_count || rig->transport->moves || rig->transport->late);
		if (fake->pending_count)
			fake_block_complete(fake, roll(traffic, fake->pending_count));
		rig_run(rig);
	}
	assert_int_equal(error, 0);
}

static void submit_some(struct rig *rig, struct traffic *traffic)
{
	unsigned queues = ((struct vio_blk *)rig->dev.driver_state)->identity.queue_count;

	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		struct one *one = &traffic->all[i];

		if (one->io.busy || roll(traffic, 3) || !make_up(traffic, one, queues))
			continue;
		submit(rig, traffic, &one->io);
		traffic->submitted++;
		traffic->by_type[one->io.type]++;
		if (!roll(traffic, 3))
			vio_blk_kick(&rig->dev, one->io.queue);
	}
}

static void step(struct rig *rig, struct traffic *traffic)
{
	struct vio_blk *blk = rig->dev.driver_state;
	struct fake_block *fake = rig->options->context;
	uint8_t sector[SECTOR];

	submit_some(rig, traffic);
	for (uint16_t queue = 0; queue < blk->identity.queue_count; queue++)
		vio_blk_kick(&rig->dev, queue);
	rig_run(rig);
	for (unsigned count = roll(traffic, 12); count && fake->pending_count; count--)
		fake_block_complete(fake, roll(traffic, fake->pending_count));
	switch (roll(traffic, 8)) {
	case 0: /* by hand, before the interrupt */
		for (uint16_t queue = 0; queue < blk->identity.queue_count; queue++)
			assert_true(vio_blk_poll(&rig->dev, queue) >= 0);
		break;
	case 1: /* one that is waited for amid the others */
		while (rig->device.queue_size == 8 && fake->pending_count) /* no room but for a while */
			fake_block_complete(fake, 0);
		fake->later = false;
		assert_int_equal(vio_blk_read(&rig->dev, SECTORS, sector, SECTOR), 0);
		assert_memory_equal(sector, fake->data + SECTORS * SECTOR, SECTOR);
		fake->later = true;
		break;
	default:
		rig_run(rig);
	}
}

static void body(struct rig *rig)
{
	static struct traffic traffic;
	struct fake_block *fake = rig->options->context;

	memset(&traffic, 0, sizeof(traffic));
	traffic.random = 0x2545f491;
	memcpy(traffic.model, fake->data, sizeof(traffic.model));
	fake->later = true;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	while (traffic.submitted < STEPS)
		step(rig, &traffic);
	while (fake->pending_count)
		fake_block_complete(fake, 0);
	rig_run(rig);
	assert_int_equal(traffic.done, traffic.submitted);
	assert_memory_equal(fake->data, traffic.model, sizeof(traffic.model));
	assert_true(traffic.by_type[VIRTIO_BLK_T_FLUSH] > 50 && traffic.by_type[VIRTIO_BLK_T_DISCARD] > 50);
	assert_int_equal(traffic.refused != 0, rig->device.queue_size == 8);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(rig->device.fault_count, 0);
	assert_false(vio_dev_broken(&rig->dev));
}

static void furnish(struct vio_device *device, void *context)
{
	struct fake_block *fake = context;

	assert_int_equal(vio_blk_attach(device, &fake->block), 0);
}

static void over_every_transport(const char *const *properties, uint64_t withhold)
{
	static struct rig rig;

	for (const struct rig_transport *const *transport = rig_transports; *transport; transport++) {
		struct fake_block fake;
		const struct rig_options options = {
			.class = &vio_blk_class,
			.remote = true,
			.properties = properties,
			.withhold = withhold,
			.furnish = furnish,
			.context = &fake,
		};

		if ((*transport)->legacy && VIO_LE16_RAW(1) != 1)
			continue;
		print_message("# over %s\n", (*transport)->name);
		fake_block_init(&fake, (SECTORS + 1) * SECTOR, SECTOR);
		rig_make(&rig, &options, *transport);
		body(&rig);
		rig_free(&rig);
		fake_block_free(&fake);
	}
}

static void one_queue(void **state)
{
	over_every_transport(NULL, 0);
}

static void three_queues(void **state)
{
	static const char *const properties[] = { "num-queues=3", NULL };

	over_every_transport(properties, 0);
}

static void more_queues_than_are_used(void **state)
{
	static const char *const properties[] = { "num-queues=12", NULL };

	over_every_transport(properties, 0);
}

/* A ring that the requests barely fit into: add has to refuse, and flags instead of event indices. */
static void plain_rings(void **state)
{
	static const char *const properties[] = { "queue-size=8", NULL };

	over_every_transport(properties,
			     UINT64_C(1) << VIRTIO_F_INDIRECT_DESC | UINT64_C(1) << VIRTIO_F_EVENT_IDX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_queue),
		cmocka_unit_test(three_queues),
		cmocka_unit_test(more_queues_than_are_used),
		cmocka_unit_test(plain_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
