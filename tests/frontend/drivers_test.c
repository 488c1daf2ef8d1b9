/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/adder.h>
#include <vireo/devices/blk.h>
#include <vireo/devices/caesar.h>
#include <vireo/drivers/adder.h>
#include <vireo/drivers/blk.h>
#include <vireo/drivers/caesar.h>
#include <vireo/vhost_user_frontend.h>

#include "devices/fake_block.h"
#include "drivers/liar.h"

/* Drivers over every transport, vhost-user with and without its comforts among them. */

static void adder_body(struct rig *rig)
{
	uint32_t sum, status;

	assert_int_equal(rig_bind(rig, &vio_adder_driver), 0);
	/* Whatever carries packed rings, and be it a socket, is driven by them. */
	assert_int_equal(vio_features_has(&rig->dev.accepted, VIRTIO_F_RING_PACKED),
			 !rig->transport->legacy && !(rig->options->withhold >> VIRTIO_F_RING_PACKED & 1));
	for (unsigned life = 0; life < 3; life++) {
		for (uint32_t number = UINT32_MAX - 300; number != 300; number++) {
			assert_int_equal(vio_adder_add(&rig->dev, number, &sum), 0);
			assert_int_equal(sum, number + 1);
		}
		assert_int_equal(vio_adder_start(&rig->dev), 0);
	}
	assert_int_equal(vio_adder_set_status(&rig->dev, 0x12345678), 0);
	assert_int_equal(vio_adder_get_status(&rig->dev, &status), 0);
	assert_int_equal(status, 0x12345678);
	rig_unbind(rig);
	assert_int_equal(rig->platform.taken, 0);
	assert_int_equal(rig_bind(rig, &vio_adder_driver), 0);
	assert_int_equal(vio_adder_add(&rig->dev, 6, &sum), 0);
	assert_int_equal(sum, 7);
}

static void the_adder_adds(void **state)
{
	rig_each(&(struct rig_options){ .class = &vio_adder_class, .remote = true }, adder_body);
}

static void changed(struct vio_dev *dev)
{
	++*(unsigned *)dev->owner;
}

static void caesar_body(struct rig *rig)
{
	static char text[70000], out[sizeof(text)];
	unsigned changes = 0;
	uint8_t shift, mode;

	assert_int_equal(rig_bind(rig, &vio_caesar_driver), 0);
	memset(text, 'a', sizeof(text));
	assert_int_equal(vio_caesar_set_shift(&rig->dev, 4), 0);
	assert_int_equal(vio_caesar_transform(&rig->dev, text, out, sizeof(text)), 0);
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 'e');
	rig_run(rig);
	/* The device changes its configuration by itself, and the driver hears of it. */
	rig->dev.owner = &changes;
	((struct vio_caesar *)rig->dev.driver_state)->changed = changed;
	assert_int_equal(vio_device_set_property(&rig->device, "shift", 5, "7"), 0);
	rig_run(rig);
	assert_int_equal(changes, 1);
	assert_int_equal(vio_caesar_get(&rig->dev, &shift, &mode), 0);
	assert_int_equal(shift, 7);
}

static void the_configuration_changes_on_both_sides(void **state)
{
	rig_each(&(struct rig_options){ .class = &vio_caesar_class, .remote = true }, caesar_body);
}

struct liar_disk {
	struct fake_block fake; /* first: furnish_disk() takes it for that */
	struct liar liar;
};

static void furnish_disk(struct vio_device *device, void *context)
{
	struct fake_block *fake = context;

	assert_int_equal(vio_blk_attach(device, &fake->block), 0);
}

static void use_disk(struct rig *rig)
{
	uint8_t out[4096], in[4096];

	for (unsigned round = 0; round < 16; round++) {
		memset(out, (int)(round + 1), sizeof(out));
		assert_int_equal(vio_blk_write(&rig->dev, round * 8, out, sizeof(out)), 0);
	}
	assert_int_equal(vio_blk_flush(&rig->dev), 0);
	for (unsigned round = 0; round < 16; round++) {
		memset(out, (int)(round + 1), sizeof(out));
		assert_int_equal(vio_blk_read(&rig->dev, round * 8, in, sizeof(in)), 0);
		assert_memory_equal(in, out, sizeof(in));
	}
	assert_int_equal(vio_blk_read(&rig->dev, 128, in, 512), -VIO_ERANGE);
}

static void disk_body(struct rig *rig)
{
	assert_int_equal(rig_bind(rig, &vio_blk_driver), 0);
	use_disk(rig);
}

static void a_disk_keeps_what_was_written(void **state)
{
	struct fake_block fake;
	const struct rig_options options = {
		.class = &vio_blk_class, .furnish = furnish_disk, .context = &fake, .remote = true
	};

	fake_block_init(&fake, 65536, 512);
	rig_each(&options, disk_body);
	fake_block_free(&fake);
}

/* More queues are promised than there are, by QUEUE_NUM or for want of MQ. hostile: B42 D7 */
static void furnish_liar(struct vio_device *device, void *context)
{
	furnish_disk(device, context);
	liar_take_over(&((struct liar_disk *)context)->liar, device);
}

static void fewer_body(struct rig *rig)
{
	struct vio_blk *blk;

	if (rig_bind(rig, &vio_blk_driver)) { /* it may refuse such a device, and holds nothing of it then */
		assert_int_equal(rig->platform.taken, 0);
		return;
	}
	blk = rig->dev.driver_state;
	assert_in_range(blk->identity.queue_count, 1, 2);
	use_disk(rig);
}

static void fewer_queues_than_promised(void **state)
{
	struct liar_disk disk = {
		.liar = { .offset = offsetof(struct virtio_blk_config, num_queues), .width = 2, .value = 8 },
	};
	static const char *const properties[] = { "num-queues=2", NULL };
	const struct rig_options options = { .class = &vio_blk_class,
					     .properties = properties,
					     .furnish = furnish_liar,
					     .context = &disk,
					     .remote = true };

	fake_block_init(&disk.fake, 65536, 512);
	rig_each(&options, fewer_body);
	fake_block_free(&disk.fake);
}

/* A ring that the driver broke is heard of, with STATUS and without; a reset mends it. */
static void broken_body(struct rig *rig)
{
	struct vio_sg nowhere = { vio_addr_make(8), 4 };
	struct vio_adder *adder;
	uint32_t sum;
	int token;

	assert_int_equal(rig_bind(rig, &vio_adder_driver), 0);
	adder = rig->dev.driver_state;
	assert_int_equal(vio_drvq_add(adder->q, &nowhere, 1, 0, &token), 0);
	vio_drvq_kick(adder->q);
	rig_run(rig);
	assert_int_equal(vio_dev_broken(&rig->dev), !rig->transport->status_unread);
	assert_int_equal(vio_dev_reset(&rig->dev), 0);
	assert_ptr_equal(vio_drvq_detach_unused(adder->q), &token);
	assert_int_equal(vio_adder_start(&rig->dev), 0);
	assert_false(vio_dev_broken(&rig->dev));
	assert_int_equal(vio_adder_add(&rig->dev, 6, &sum), 0);
	assert_int_equal(sum, 7);
}

static void a_broken_ring_is_heard_of(void **state)
{
	rig_each(&(struct rig_options){ .class = &vio_adder_class, .remote = true }, broken_body);
}

static void gone_body(struct rig *rig)
{
	uint32_t sum;

	assert_int_equal(rig_bind(rig, &vio_adder_driver), 0);
	assert_int_equal(vio_adder_add(&rig->dev, 6, &sum), 0);
	rig->transport->pull_out(rig);
	assert_true(vio_dev_broken(&rig->dev));
	assert_int_not_equal(vio_adder_add(&rig->dev, 6, &sum), 0);
	assert_int_equal(rig->dev.phase, VIO_DEV_GONE);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_driver_unbind(&rig->dev), 0);
	assert_int_equal(rig->platform.taken, 0);
}

/* hostile: D13 */
static void a_back_end_may_go(void **state)
{
	rig_each(&(struct rig_options){ .class = &vio_adder_class, .remote = true }, gone_body);
}

static void info_body(struct rig *rig)
{
	struct vio_vhost_user_frontend_info info;

	if (strncmp(rig->transport->name, "vhost-user", strlen("vhost-user")) != 0)
		return;
	vio_vhost_user_frontend_get_info(&rig->dev, &info);
	assert_true(info.features >> VIRTIO_F_VERSION_1 & 1);
	assert_true(info.features >> VHOST_USER_F_PROTOCOL_FEATURES & 1);
	assert_true(info.protocol_offered >> VHOST_USER_PROTOCOL_F_CONFIG & 1);
	assert_int_equal(info.protocol_accepted & ~info.protocol_offered, 0);
	if (info.protocol_accepted >> VHOST_USER_PROTOCOL_F_MQ & 1)
		assert_int_equal(info.queue_count, 1);
	assert_null(vio_vhost_user_frontend_platform(&rig->dev));
	assert_string_equal(vio_vhost_user_frontend_mistake(&rig->dev), "");
	rig->dev.platform = &rig->platform.platform;
	assert_int_equal(vio_dev_begin(&rig->dev, NULL, 0), 0);
	vio_vhost_user_frontend_hang_up(&rig->dev);
	assert_string_equal(vio_vhost_user_frontend_mistake(&rig->dev), "hung up");
	assert_int_equal(vio_dev_begin(&rig->dev, NULL, 0), -VIO_EPHASE);
	assert_int_equal(vio_dev_reset(&rig->dev), -VIO_EHANGUP);
}

static void a_back_end_says_what_it_is(void **state)
{
	rig_each(&(struct rig_options){ .class = &vio_adder_class, .remote = true }, info_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_adder_adds),
		cmocka_unit_test(the_configuration_changes_on_both_sides),
		cmocka_unit_test(a_disk_keeps_what_was_written),
		cmocka_unit_test(fewer_queues_than_promised),
		cmocka_unit_test(a_broken_ring_is_heard_of),
		cmocka_unit_test(a_back_end_may_go),
		cmocka_unit_test(a_back_end_says_what_it_is),
	};

	return cmocka_run_group_tests_name("frontend-drivers", tests, NULL, NULL);
}
