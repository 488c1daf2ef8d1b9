/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/blk.h>
#include <vireo/drivers/blk.h>

#include "devices/fake_block.h"
#include "drivers/liar.h"

/* The block driver against answers and configurations that no block device should give. */

#define SECTOR VIRTIO_BLK_SECTOR_BYTES
#define DATA   0x42

struct scene {
	struct liar liar;
	struct fake_block fake;
	uint32_t config_bytes; /* 0: all of it */
	uint64_t withhold;
	const char *queue_size;       /* "queue-size=..." */
	struct virtio_blk_req header; /* of the last request that answer() saw */
	unsigned answered;
};

static void furnish(struct vio_device *device, void *context)
{
	struct scene *scene = context;

	assert_int_equal(vio_blk_attach(device, &scene->fake.block), 0);
	liar_take_over(&scene->liar, device);
	if (scene->config_bytes)
		device->config_bytes = scene->config_bytes;
}

static void each(struct scene *scene, void (*body)(struct rig *rig))
{
	const char *const properties[] = { "num-queues=2", "size-max=65536", scene->queue_size, NULL };
	const struct rig_options options = {
		.class = &vio_blk_class,
		.properties = properties,
		.withhold = scene->withhold,
		.furnish = furnish,
		.context = scene,
	};

	fake_block_init(&scene->fake, 65536, 512);
	rig_each(&options, body);
	fake_block_free(&scene->fake);
}

static struct scene *scene_of(struct rig *rig)
{
	return rig->options->context;
}

/* Answers. The liar's value: status, whether it is written, whether data is, and the used length. */
#define STATUS(value)    ((value)&0xff)
#define WRITES_STATUS    0x100u
#define WRITES_DATA      0x200u
#define LENGTH(value)    ((uint32_t)((value) >> 32))
#define OF_LENGTH(bytes) ((uint64_t)(bytes) << 32)

static void answer(struct vio_devq *q, uint16_t head)
{
	struct vio_device *device = q->interrupt_context;
	struct scene *scene = (struct scene *)((uintptr_t)device->class - offsetof(struct scene, liar.class));
	const struct liar *liar = &scene->liar;
	static const uint8_t data[2 * SECTOR] = { DATA, DATA };
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		uint8_t *status = vio_buf_take_last(&buf);

		scene->answered++;
		assert_int_equal(vio_read(&buf, &scene->header, sizeof(scene->header)),
				 sizeof(scene->header));
		if (liar->value & WRITES_STATUS)
			*status = STATUS(liar->value);
		if (liar->value & WRITES_DATA)
			vio_write(&buf, data, sizeof(data));
		vio_devq_push(q, &buf, LENGTH(liar->value));
	}
	vio_devq_notify(q);
}

static int ask(struct rig *rig, uint64_t value, uint8_t to[2 * SECTOR])
{
	struct scene *scene = scene_of(rig);
	int error;

	scene->liar.value = value; /* of width 0: the configuration stays as it is */
	scene->liar.lie = answer;
	memset(to, 0, 2 * SECTOR);
	error = vio_blk_read(&rig->dev, 0, to, 2 * SECTOR);
	assert_int_equal(rig->dev.phase, VIO_DEV_READY);
	assert_int_equal(rig->platform.shared, 0);
	return error;
}

static void status_body(struct rig *rig)
{
	const uint64_t whole = OF_LENGTH(2 * SECTOR + 1) | WRITES_DATA;
	uint8_t to[2 * SECTOR];

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(ask(rig, whole | WRITES_STATUS | VIRTIO_BLK_S_OK, to), 0);
	assert_int_equal(to[0], DATA);
	assert_int_equal(ask(rig, whole | WRITES_STATUS | VIRTIO_BLK_S_IOERR, to), -VIO_EIO);
	assert_int_equal(ask(rig, whole | WRITES_STATUS | VIRTIO_BLK_S_UNSUPP, to), -VIO_ENOTSUP);
	for (unsigned status = 3; status < 256; status++)
		assert_int_equal(ask(rig, whole | WRITES_STATUS | status, to), -VIO_EPEER);
	/* A status that isn't written isn't one, whatever the used length says. */
	assert_int_equal(ask(rig, whole, to), -VIO_EPEER);
	/* As an error is answered. */
	assert_int_equal(ask(rig, OF_LENGTH(1) | WRITES_STATUS | VIRTIO_BLK_S_IOERR, to), -VIO_EIO);
	assert_int_equal(ask(rig, OF_LENGTH(1) | WRITES_STATUS | VIRTIO_BLK_S_UNSUPP, to), -VIO_ENOTSUP);
}

/* hostile: B56 */
static void judges_the_status(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, status_body);
}

static void length_body(struct rig *rig)
{
	static const uint32_t lengths[] = { 0, 1, SECTOR, 2 * SECTOR };
	uint8_t to[2 * SECTOR];

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(lengths); i++) {
		/* spec: DRV-BLK-031 */
		int expected = rig->dev.legacy ? 0 : -VIO_EPEER;

		assert_int_equal(ask(rig, OF_LENGTH(lengths[i]) | WRITES_DATA | WRITES_STATUS, to), expected);
	}
	if (!rig->dev.legacy)
		assert_int_equal(ask(rig, WRITES_STATUS | VIRTIO_BLK_S_IOERR, to), -VIO_EPEER);
	/* A write has nothing but the status to be filled. */
	scene_of(rig)->liar.value = OF_LENGTH(1) | WRITES_STATUS;
	assert_int_equal(vio_blk_write(&rig->dev, 0, to, sizeof(to)), 0);
	scene_of(rig)->liar.value = WRITES_STATUS;
	assert_int_equal(vio_blk_write(&rig->dev, 0, to, sizeof(to)), rig->dev.legacy ? 0 : -VIO_EPEER);
}

/* hostile: B10 B12 B56, data that was not written but is said to be good */
static void judges_the_used_length(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, length_body);
}

static int (*honest_share)(void *, void *, size_t, unsigned, struct vio_addr *);

/* Memory that is only to be written looks as the answer to an earlier request did: all is well. */
static int share_stale(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	int error = honest_share(context, host, length, rights, addr);

	if (!error && !(rights & VIO_MEM_READ))
		memset(test_platform_at(context, *addr), 0, length);
	return error;
}

static void stale_body(struct rig *rig)
{
	uint8_t to[2 * SECTOR];

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	honest_share = rig->platform.platform.share;
	rig->platform.platform.share = share_stale;
	assert_int_equal(ask(rig, OF_LENGTH(2 * SECTOR + 1) | WRITES_DATA, to), -VIO_EPEER);
	assert_int_equal(ask(rig, OF_LENGTH(2 * SECTOR + 1) | WRITES_DATA | WRITES_STATUS, to), 0);
}

/* hostile: B56 */
static void takes_no_stale_status(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, stale_body);
}

static void header_body(struct rig *rig)
{
	struct scene *scene = scene_of(rig);
	struct vio_blk_io io = { .type = VIRTIO_BLK_T_FLUSH, .sector = 77 };

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	scene->liar.lie = answer;
	scene->liar.value = OF_LENGTH(1) | WRITES_STATUS;
	assert_int_equal(vio_blk_submit(&rig->dev, &io), 0);
	vio_blk_kick(&rig->dev, 0);
	rig_run(rig);
	assert_false(io.busy);
	assert_int_equal(vio_le32_get(scene->header.type), VIRTIO_BLK_T_FLUSH);
	assert_int_equal(vio_le32_get(scene->header.reserved), 0);
	assert_int_equal(vio_le64_get(scene->header.sector), 0);
	assert_int_equal(vio_blk_write_zeroes(&rig->dev, 8, 8, 0), 0);
	assert_int_equal(vio_le64_get(scene->header.sector), 0);
}

/* spec: DRV-BLK-011 */
static void leaves_what_has_no_sector_without(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, header_body);
}

static void no_flush_body(struct rig *rig)
{
	struct scene *scene = scene_of(rig);
	struct vio_blk_io io = { .type = VIRTIO_BLK_T_FLUSH };

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_false(vio_dev_has_feature(&rig->dev, VIRTIO_BLK_F_CONFIG_WCE));
	assert_int_equal(((struct vio_blk *)rig->dev.driver_state)->identity.writeback, 0);
	scene->liar.lie = answer;
	scene->answered = 0;
	assert_int_equal(vio_blk_flush(&rig->dev), 0);
	assert_int_equal(vio_blk_submit(&rig->dev, &io), -VIO_ENOTSUP);
	assert_int_equal(scene->answered, 0);
}

/* spec: DRV-BLK-001 */
static void flushes_nothing_unasked(void **state)
{
	struct scene scene = { .withhold = UINT64_C(1) << VIRTIO_BLK_F_FLUSH };

	each(&scene, no_flush_body);
}

/* Configurations. */

#define AT(field) offsetof(struct virtio_blk_config, field), sizeof(((struct virtio_blk_config *)0)->field)

static const struct {
	unsigned offset, width;
	uint64_t value;
	int expected; /* of binding */
} configs[] = {
	{ AT(size_max), 0, 0 }, /* no limit */
	{ AT(seg_max), 0, -VIO_EPEER },
	{ AT(seg_max), UINT32_MAX, 0 },
	{ AT(blk_size), 0, -VIO_EPEER },
	{ AT(blk_size), 1, -VIO_EPEER },
	{ AT(blk_size), 256, -VIO_EPEER },
	{ AT(blk_size), 513, -VIO_EPEER },
	{ AT(blk_size), UINT32_MAX, -VIO_EPEER },
	{ AT(blk_size), UINT64_C(1) << 31, -VIO_EPEER }, /* with a physical block of eight of them */
	{ AT(blk_size), 4096, 0 },
	{ AT(topology.physical_block_exp), 31, -VIO_EPEER },
	{ AT(topology.physical_block_exp), 23, -VIO_EPEER },
	{ AT(topology.physical_block_exp), 64, -VIO_EPEER },
	{ AT(topology.physical_block_exp), 255, -VIO_EPEER },
	{ AT(topology.physical_block_exp), 22, 0 },
	{ AT(num_queues), 0, -VIO_EPEER },
	{ AT(num_queues), 1, 0 },
	{ AT(num_queues), 3, 0 },
	{ AT(num_queues), 65535, 0 },
	{ AT(capacity), 0, 0 },
	{ AT(capacity), UINT64_MAX, 0 },
	{ AT(writeback), 255, 0 },
	{ AT(max_discard_seg), 0, 0 },
	{ AT(max_discard_sectors), 0, 0 },
	{ AT(max_discard_sectors), UINT32_MAX, 0 },
};

static void config_body(struct rig *rig)
{
	struct liar *liar = &scene_of(rig)->liar;
	uint8_t sector[SECTOR];

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(configs); i++) {
		liar->offset = configs[i].offset;
		liar->width = configs[i].width;
		liar->value = configs[i].value;
		assert_int_equal(rig_bind(rig, &vio_blk_driver), configs[i].expected);
		if (!configs[i].expected) {
			struct vio_blk *blk = rig->dev.driver_state;

			assert_in_range(blk->identity.parts_max, 1, VIO_BLK_PARTS_MAX);
			assert_in_range(blk->identity.queue_count, 1, VIO_BLK_QUEUES_MAX);
			assert_in_range(blk->identity.writeback, 0, 1);
			assert_int_equal(vio_blk_read(&rig->dev, UINT64_MAX, sector, SECTOR), -VIO_ERANGE);
			/* Whatever it says, the honest half of it refuses what isn't there. */
			assert_int_not_equal(vio_blk_read(&rig->dev, 128, sector, SECTOR), 0);
			if (!blk->identity.discard_ranges_max || !blk->identity.discard_sectors_max)
				assert_int_equal(vio_blk_discard(&rig->dev, 0, 8), -VIO_ENOTSUP);
		}
		rig_unbind(rig);
		assert_int_equal(rig->platform.taken, 0);
	}
	liar->width = 0;
}

/* hostile: B42 */
static void judges_the_configuration(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, config_body);
}

static void small_queue_body(struct rig *rig)
{
	struct liar *liar = &scene_of(rig)->liar;

	liar->offset = offsetof(struct virtio_blk_config, seg_max);
	liar->width = 4;
	liar->value = UINT32_MAX;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(((struct vio_blk *)rig->dev.driver_state)->identity.parts_max, 6);
}

static void huge_body(struct rig *rig)
{
	struct liar *liar = &scene_of(rig)->liar;
	struct vio_part parts[VIO_BLK_PARTS_MAX];
	struct vio_blk_io io = { .parts = parts, .part_count = 2 };

	liar->offset = offsetof(struct virtio_blk_config, capacity);
	liar->width = 8;
	liar->value = UINT64_MAX;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	parts[0] = parts[1] = (struct vio_part){ parts, UINT32_C(1) << 31 };
	assert_int_equal(vio_blk_submit(&rig->dev, &io), -VIO_ERANGE);
	assert_int_equal(rig->platform.shared, 0);
}

/* What the ring can't carry is beyond the limits, too. */
static void the_ring_has_limits_of_its_own(void **state)
{
	struct scene small = { .queue_size = "queue-size=8" };
	struct scene huge = { .withhold = UINT64_C(1) << VIRTIO_BLK_F_SIZE_MAX };

	each(&small, small_queue_body);
	each(&huge, huge_body);
}

static void short_body(struct rig *rig)
{
	assert_int_not_equal(rig_bind(rig, &vio_blk_driver), 0);
}

/* hostile: B38 */
static void refuses_a_short_configuration(void **state)
{
	/* Of each length the first field that is missed stands behind. */
	static const uint32_t lengths[] = { 1, 7, 8, 11, 12, 20, 34 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(lengths); i++) {
		struct scene scene = { .config_bytes = lengths[i] };

		each(&scene, short_body);
	}
}

static void plain_body(struct rig *rig)
{
	uint8_t sector[SECTOR];

	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(vio_blk_read(&rig->dev, 0, sector, SECTOR), 0);
}

/* spec: DRV-BASIC-017, where nothing is offered, nothing behind the capacity is looked for. */
static void looks_for_nothing_that_was_not_offered(void **state)
{
	struct scene scene = { .config_bytes = 8, .withhold = (UINT64_C(1) << 24) - 1 };

	each(&scene, plain_body);
}

static void unstable_body(struct rig *rig)
{
	/* Where there is no generation, nobody sees what stands still between two reads. */
	const bool unseen = rig->dev.legacy || rig->transport->config_whole;
	uint8_t sector[SECTOR];

	scene_of(rig)->liar.unstable = true;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), unseen ? 0 : -VIO_EAGAIN);
	scene_of(rig)->liar.unstable = false;
	rig_unbind(rig);
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	/* Later: what was known stays. */
	scene_of(rig)->liar.unstable = true;
	fake_block_resize(&scene_of(rig)->fake, 32768);
	rig_run(rig);
	assert_int_equal(((struct vio_blk *)rig->dev.driver_state)->identity.capacity, unseen ? 64 : 128);
	scene_of(rig)->liar.unstable = false;
	fake_block_resize(&scene_of(rig)->fake, 65536);
	assert_int_equal(vio_blk_read(&rig->dev, 0, sector, SECTOR), 0);
}

/* hostile: B39 */
static void gives_up_on_an_unstable_configuration(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, unstable_body);
}

/* A reset that doesn't end. */

static uint8_t never_reset(struct vio_dev *dev)
{
	return VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_ACKNOWLEDGE;
}

static void count_done(struct vio_dev *dev, struct vio_blk_io *io)
{
	++*(unsigned *)io->owner;
}

static void stuck_body(struct rig *rig)
{
	static uint8_t data[2][SECTOR];
	const struct vio_part part = { data[0], SECTOR };
	unsigned done = 0;
	struct vio_blk_io io = { .parts = &part, .part_count = 1, .done = count_done, .owner = &done };
	const struct vio_transport_ops *honest = rig->dev.transport;
	struct vio_transport_ops stuck = *honest;

	stuck.get_status = never_reset;
	scene_of(rig)->fake.later = true;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(vio_blk_submit(&rig->dev, &io), 0);
	rig->dev.transport = &stuck;
	/* Nothing is handed back while the device may write to it. */
	assert_int_equal(vio_blk_read(&rig->dev, 1, data[1], SECTOR), -VIO_EPEER);
	assert_int_equal(rig->dev.phase, VIO_DEV_STUCK);
	assert_int_equal(rig->platform.shared, 4);
	assert_int_equal(vio_blk_stop(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(vio_blk_start(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(vio_blk_read(&rig->dev, 1, data[1], SECTOR), -VIO_EPHASE);
	assert_int_equal(vio_blk_submit(&rig->dev, &io), -VIO_EBUSY);
	assert_true(io.busy);
	assert_int_equal(done, 0);
	/* It ends after all. */
	rig->dev.transport = honest;
	assert_int_equal(vio_blk_stop(&rig->dev), 0);
	assert_int_equal(done, 1);
	assert_int_equal(io.result, -VIO_EAGAIN);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_blk_start(&rig->dev), 0);
	scene_of(rig)->fake.later = false;
	assert_int_equal(vio_blk_read(&rig->dev, 1, data[1], SECTOR), 0);
}

/* hostile: B49, a driver that is removed takes back what it can't the first time. */
static void stuck_removal_body(struct rig *rig)
{
	static uint8_t data[SECTOR];
	const struct vio_part part = { data, SECTOR };
	unsigned done = 0;
	struct vio_blk_io io = { .parts = &part, .part_count = 1, .done = count_done, .owner = &done };
	const struct vio_transport_ops *honest = rig->dev.transport;
	struct vio_transport_ops stuck = *honest;

	stuck.get_status = never_reset;
	scene_of(rig)->fake.later = true;
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	assert_int_equal(vio_blk_submit(&rig->dev, &io), 0);
	vio_blk_kick(&rig->dev, 0);
	rig->dev.transport = &stuck;
	for (unsigned tries = 0; tries < 3; tries++) {
		assert_int_equal(vio_driver_unbind(&rig->dev), -VIO_EAGAIN);
		assert_ptr_equal(rig->dev.driver, &vio_blk_driver);
		assert_int_equal(rig->platform.shared, 2);
		assert_int_equal(done, 0);
	}
	rig->dev.transport = honest;
	assert_int_equal(vio_driver_unbind(&rig->dev), 0);
	assert_null(rig->dev.driver);
	assert_int_equal(done, 1);
	assert_int_equal(io.result, -VIO_EAGAIN);
	assert_int_equal(rig->platform.shared, 0);
}

static void takes_all_back_when_removal_gets_its_second_chance(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, stuck_removal_body);
}

/* hostile: B49 */
static void gives_nothing_back_while_stuck(void **state)
{
	struct scene scene = { .liar.queue = 0 };

	each(&scene, stuck_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_no_stale_status),
		cmocka_unit_test(leaves_what_has_no_sector_without),
		cmocka_unit_test(flushes_nothing_unasked),
		cmocka_unit_test(the_ring_has_limits_of_its_own),
		cmocka_unit_test(judges_the_status),
		cmocka_unit_test(judges_the_used_length),
		cmocka_unit_test(judges_the_configuration),
		cmocka_unit_test(refuses_a_short_configuration),
		cmocka_unit_test(looks_for_nothing_that_was_not_offered),
		cmocka_unit_test(gives_up_on_an_unstable_configuration),
		cmocka_unit_test(gives_nothing_back_while_stuck),
		cmocka_unit_test(takes_all_back_when_removal_gets_its_second_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
