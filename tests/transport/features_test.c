/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/fake.h"

#include <string.h>

/* What a driver accepts, and how it gives up on a device that it can't work with. */

#define BIT(bit) (UINT64_C(1) << (bit))

/*
 * spec: DRV-BASIC-005 DRV-BASIC-008 DRV-BASIC-009 DRV-BASIC-012 DRV-BASIC-036 DRV-BASIC-040
 * DRV-BASIC-041 DRV-BASIC-043; hostile: B41
 */
static void accepts_what_it_understands_of_all_ones(void **state)
{
	struct fake *fake = *state;
	struct vio_features expected = { { UINT64_MAX, UINT64_MAX } };

	fake->offered.word[0] = fake->offered.word[1] = UINT64_MAX;
	fake->offered_later = fake->offered;
	assert_int_equal(fake_advance(fake, VIO_DEV_ACCEPTED), 0);
	for (unsigned bit = 24; bit < 50; bit++)
		vio_features_clear(&expected, bit);
	vio_features_set(&expected, VIRTIO_F_INDIRECT_DESC);
	vio_features_set(&expected, VIRTIO_F_EVENT_IDX);
	vio_features_set(&expected, VIRTIO_F_RING_RESET);
	vio_features_set(&expected, VIRTIO_F_SUSPEND);
	vio_features_set(&expected, VIRTIO_F_RING_PACKED);
	vio_features_set(&expected, VIRTIO_F_IN_ORDER);
	vio_features_set(&expected, VIRTIO_F_ORDER_PLATFORM);
	vio_features_set(&expected, VIRTIO_F_NOTIFICATION_DATA); /* as far as the transport carries them */
	vio_features_set(&expected, VIRTIO_F_NOTIF_CONFIG_DATA);
	vio_features_set(&expected, VIRTIO_F_VERSION_1);
	vio_features_set(&expected, VIRTIO_F_ACCESS_PLATFORM);
	assert_int_equal(fake->accepted.word[0], expected.word[0]);
	assert_int_equal(fake->accepted.word[1], expected.word[1]);
	assert_true(vio_features_equal(fake->dev.accepted, fake->accepted));
}

static void accepts_only_what_is_wanted_and_offered(void **state)
{
	struct fake *fake = *state;
	struct vio_features wanted = vio_features_low(6);

	fake->ops.carried = vio_features_low(~BIT(2));
	fake->offered.word[1] = fake->offered_later.word[1] = 8;
	assert_int_equal(fake_begin(fake), 0);
	assert_false(vio_features_has(&fake->dev.offered, 2)); /* offered, but not carried */
	assert_false(vio_features_has(&fake->dev.offered, 67));
	assert_int_equal(vio_dev_accept(&fake->dev, &wanted), 0);
	assert_int_equal(fake->accepted.word[0], BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(fake->accepted.word[1], 0);
}

static void assert_failed(struct fake *fake)
{
	assert_int_equal(fake->dev.phase, VIO_DEV_FAILED);
	assert_true(fake->log[fake->logged - 1] & VIRTIO_CONFIG_S_FAILED);
	assert_true(vio_dev_broken(&fake->dev));
	assert_int_equal(fake_begin(fake),
			 fake->offered.word[0] & BIT(VIRTIO_F_VERSION_1) ? 0 : -VIO_ENOTSUP);
}

/* spec: DRV-BASIC-007 DRV-BASIC-011 DRV-BASIC-013 DRV-BASIC-025; hostile: B41 */
static void refuses_a_device_without_version_1(void **state)
{
	struct fake *fake = *state;

	fake->offered.word[0] = fake->offered_later.word[0] = BIT(VIRTIO_F_EVENT_IDX);
	assert_int_equal(fake_begin(fake), -VIO_ENOTSUP);
	assert_failed(fake);
	fake->offered_later = VIO_FEATURES_NONE;
	assert_int_equal(fake_begin(fake), -VIO_ENOTSUP);
}

/* hostile: B41 */
static void refuses_an_offer_that_changes(void **state)
{
	struct fake *fake = *state;

	fake->offered_later.word[0] ^= 1;
	assert_int_equal(fake_begin(fake), 0);
	assert_int_equal(fake_accept(fake), -VIO_EPEER);
	assert_int_equal(fake->features_written, 0);
	assert_failed(fake);
}

/* spec: DRV-BASIC-021; hostile: B41 */
static void notices_refused_features(void **state)
{
	struct fake *fake = *state;

	fake->refused = VIRTIO_CONFIG_S_FEATURES_OK;
	assert_int_equal(fake_begin(fake), 0);
	assert_int_equal(fake_accept(fake), -VIO_ENOTSUP);
	assert_failed(fake);
}

static void notices_a_refused_driver_ok(void **state)
{
	struct fake *fake = *state;

	fake->refused = VIRTIO_CONFIG_S_DRIVER_OK;
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), -VIO_EPEER);
	assert_failed(fake);
}

/* hostile: B37 */
static void notices_that_a_reset_is_needed_while_setting_up(void **state)
{
	struct fake *fake = *state;

	assert_int_equal(fake_begin(fake), 0);
	fake->steps_until_needs_reset = fake->steps;
	assert_int_equal(fake_accept(fake), -VIO_EPEER);
	assert_failed(fake);
}

/* spec: DRV-BASIC-026 */
static void what_is_kicked_early_is_notified_when_ready(void **state)
{
	const struct vio_sg sg = { vio_addr_make(TEST_PLATFORM_BASE), 4 };
	struct fake *fake = *state;
	struct vio_drvq *q[2];

	assert_int_equal(fake_advance(fake, VIO_DEV_ACCEPTED), 0);
	assert_int_equal(fake_add_queue(fake, 0, &q[0]), 0);
	assert_int_equal(fake_add_queue(fake, 1, &q[1]), 0);
	assert_int_equal(vio_drvq_add(q[1], &sg, 1, 0, fake), 0);
	vio_drvq_kick(q[1]);
	assert_int_equal(fake->notified, 0);
	assert_int_equal(vio_dev_ready(&fake->dev), 0);
	assert_int_equal(fake->notified, 1);
}

/* spec: DRV-BASIC-037 DRV-BASIC-038 DRV-BASIC-039; hostile: B41 */
static void a_platform_that_translates_needs_the_feature(void **state)
{
	struct fake *fake = *state;

	fake->platform.platform.translates = true;
	assert_int_equal(fake_begin(fake), -VIO_ENOTSUP);
	assert_int_equal(fake->dev.phase, VIO_DEV_FAILED);
	fake->offered.word[0] |= BIT(VIRTIO_F_ACCESS_PLATFORM);
	fake->offered_later = fake->offered;
	assert_int_equal(fake_begin(fake), 0);
	assert_int_equal(vio_dev_accept(&fake->dev, &VIO_FEATURES_NONE), 0);
	assert_int_equal(fake->accepted.word[0], BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_VERSION_1));
}

/* spec: DRV-BASIC-027 DRV-BASIC-046 DRV-BASIC-047 */
static void a_legacy_device_has_no_features_ok(void **state)
{
	static const uint8_t expected[] = { 0, 1, 3, 7 };
	struct fake *fake = *state;

	fake->dev.legacy = true;
	fake->ops.carried = vio_features_low(UINT32_MAX);
	fake->offered = fake->offered_later = vio_features_low(UINT32_MAX);
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	assert_int_equal(fake->logged, sizeof(expected));
	assert_memory_equal(fake->log, expected, sizeof(expected));
	assert_int_equal(fake->accepted.word[0], 0xffffff | BIT(VIRTIO_F_ANY_LAYOUT) |
							 BIT(VIRTIO_F_INDIRECT_DESC) |
							 BIT(VIRTIO_F_EVENT_IDX));
}

/* spec: DRV-BASIC-006 */
static void dependent_features_are_dropped(void **state)
{
	const int needs[] = { 3, 70, -1 };
	struct vio_features set = vio_features_low(BIT(3) | BIT(7));

	vio_features_require(&set, 7, needs);
	assert_int_equal(set.word[0], BIT(3));
	vio_features_set(&set, 70);
	vio_features_set(&set, 7);
	vio_features_require(&set, 7, needs);
	assert_true(vio_features_has(&set, 7));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accepts_what_it_understands_of_all_ones),
		TEST(accepts_only_what_is_wanted_and_offered),
		TEST(refuses_a_device_without_version_1),
		TEST(refuses_an_offer_that_changes),
		TEST(notices_refused_features),
		TEST(notices_a_refused_driver_ok),
		TEST(notices_that_a_reset_is_needed_while_setting_up),
		TEST(what_is_kicked_early_is_notified_when_ready),
		TEST(a_platform_that_translates_needs_the_feature),
		TEST(a_legacy_device_has_no_features_ok),
		TEST(dependent_features_are_dropped),
	};

	return cmocka_run_group_tests_name("transport-features", tests, NULL, NULL);
}
