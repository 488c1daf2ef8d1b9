/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa/fake.h"

#include <errno.h>
#include <string.h>

#include <vireo/devices/adder.h>
#include <vireo/drivers/adder.h>
#include <vireo/vdpa.h>

/* vhost-vdpa: what is asked of the kernel, and what the kernel or the device behind it may do to us. */

#define BIT(number) (UINT64_C(1) << (number))

static void add(struct fake *fake, unsigned count)
{
	uint32_t sum;

	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(vio_adder_add(&fake->dev, i, &sum), 0);
		assert_int_equal(sum, i + 1);
	}
}

static void use(uint64_t withhold, bool keeps_maps)
{
	struct fake fake;
	uint32_t status;

	fake_make(&fake, FAKE_VDPA, &vio_adder_class);
	fake.keeps_maps = keeps_maps;
	if (keeps_maps)
		fake.backend_features |= BIT(VHOST_BACKEND_F_IOTLB_PERSIST);
	assert_int_equal(fake_open_vdpa(&fake, withhold), 0);
	assert_int_equal(fake.dev.id, VIRTIO_ID_ADDER);
	assert_int_equal(fake_bind(&fake, &vio_adder_driver), 0);
	assert_true(fake.accepted >> VIRTIO_F_ACCESS_PLATFORM & 1);
	add(&fake, 100);
	assert_int_equal(vio_adder_set_status(&fake.dev, 0x12345678), 0);
	assert_int_equal(vio_adder_get_status(&fake.dev, &status), 0);
	assert_int_equal(status, 0x12345678);
	/* A reset takes the mapping from the device, and the next life brings it back. */
	assert_int_equal(vio_adder_start(&fake.dev), 0);
	add(&fake, 10);
	assert_int_equal(fake.maps, keeps_maps ? 1 : 2);
	assert_int_equal(fake.unmaps, keeps_maps ? 0 : 1);
	assert_int_equal(fake.batches != 0, !(withhold >> VHOST_BACKEND_F_IOTLB_BATCH & 1));
	assert_int_equal(fake.first_forms != 0, withhold >> VHOST_BACKEND_F_IOTLB_MSG_V2 & 1);
	assert_string_equal(vio_vdpa_mistake(&fake.dev), "");
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

static void a_driver_drives_what_is_behind_it(void **state)
{
	use(0, false);
	use(0, true);
	use(BIT(VHOST_BACKEND_F_IOTLB_BATCH), false);
	use(BIT(VHOST_BACKEND_F_IOTLB_BATCH) | BIT(VHOST_BACKEND_F_IOTLB_MSG_V2), false);
}

/* Linux 5.7 has no counts, no sizes and no features of the back end. */
static void a_kernel_may_be_old(void **state)
{
	static const unsigned long unknown[] = {
		VHOST_VDPA_GET_IOVA_RANGE,  VHOST_VDPA_GET_VQS_COUNT, VHOST_VDPA_GET_CONFIG_SIZE,
		VHOST_VDPA_GET_GROUP_NUM,   VHOST_VDPA_GET_AS_NUM,    VHOST_GET_BACKEND_FEATURES,
		VHOST_VDPA_SET_CONFIG_CALL,
	};
	struct vio_vdpa_info info;
	struct fake fake;
	uint8_t byte;

	fake_make(&fake, FAKE_VDPA, &vio_adder_class);
	memcpy(fake.unknown, unknown, sizeof(unknown));
	assert_int_equal(fake_open_vdpa(&fake, 0), 0);
	vio_vdpa_get_info(&fake.dev, &info);
	assert_int_equal(info.queue_count, 0);
	assert_int_equal(info.config_bytes, UINT32_MAX);
	assert_int_equal(info.iova_last, UINT64_MAX);
	assert_int_equal(info.backend_offered, 0);
	assert_int_equal(fake_bind(&fake, &vio_adder_driver), 0);
	add(&fake, 10);
	assert_true(fake.first_forms);
	/* Where nobody counts, the kernel is asked. */
	assert_int_equal(fake.dev.transport->queue_size_max(&fake.dev, 0), 256);
	assert_int_equal(fake.dev.transport->queue_size_max(&fake.dev, 1), 0);
	assert_int_equal(vio_dev_read_config(&fake.dev, 4, &byte, 1), -VIO_ERANGE);
	assert_int_equal(vio_vdpa_suspend(&fake.dev), -VIO_ENOTSUP);
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

static void refuse(int error, const char *text, void (*prepare)(struct fake *fake))
{
	struct fake fake;

	fake_make(&fake, FAKE_VDPA, &vio_adder_class);
	prepare(&fake);
	assert_int_equal(fake_open_vdpa(&fake, 0), error);
	if (!strstr(fake.mistake.text, text))
		fail_msg("'%s' isn't in '%s'", text, fake.mistake.text);
	fake_free(&fake);
}

static void no_id(struct fake *fake)
{
	fake->id = 0;
}

static void no_vdpa(struct fake *fake)
{
	fake->kind = FAKE_NET;
	fake->owned = true;
}

static void has_owner(struct fake *fake)
{
	fake->failing = VHOST_SET_OWNER;
	fake->failure = EBUSY;
}

static void no_backend_features(struct fake *fake)
{
	fake->failing = VHOST_SET_BACKEND_FEATURES;
	fake->failure = EOPNOTSUPP;
}

static void range_upside_down(struct fake *fake)
{
	fake->range = (struct vhost_vdpa_iova_range){ UINT64_C(1) << 40, UINT64_C(1) << 33 };
}

static void range_narrow(struct fake *fake)
{
	fake->range = (struct vhost_vdpa_iova_range){ 0x1000, 0x1fff };
}

static void range_at_the_end(struct fake *fake)
{
	fake->range = (struct vhost_vdpa_iova_range){ UINT64_MAX - 100, UINT64_MAX };
}

static void is_gone(struct fake *fake)
{
	fake->steps_until_failure = 4;
	fake->failure = ENODEV;
}

/* hostile: B42 B46 */
static void what_cannot_be_is_refused(void **state)
{
	refuse(-VIO_EPEER, "device id is 0", no_id);
	refuse(-VIO_ENOTSUP, "no vhost-vdpa device", no_vdpa);
	refuse(-VIO_EBUSY, "VHOST_SET_OWNER: Device or resource busy", has_owner);
	refuse(-VIO_ENOTSUP, "VHOST_SET_BACKEND_FEATURES", no_backend_features);
	refuse(-VIO_EPEER, "0x10000000000 to 0x200000000", range_upside_down);
	refuse(-VIO_EPEER, "no room for 1048576 bytes", range_narrow);
	refuse(-VIO_EPEER, "no room", range_at_the_end);
	refuse(-VIO_EHANGUP, "", is_gone);
}

/* A device that reaches less than the usual place of the arena. */
static void the_arena_lies_where_the_device_reaches(void **state)
{
	static const struct vhost_vdpa_iova_range ranges[] = {
		{ 0, UINT32_MAX },
		{ 0x1234, 0x2000 + (1 << 20) - 1 },
		{ UINT64_C(1) << 50, UINT64_MAX },
		{ UINT64_MAX - (2u << 20) + 1, UINT64_MAX },
	};
	struct fake fake;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(ranges); i++) {
		fake_make(&fake, FAKE_VDPA, &vio_adder_class);
		fake.range = ranges[i];
		assert_int_equal(fake_open_vdpa(&fake, 0), 0);
		assert_int_equal(fake_bind(&fake, &vio_adder_driver), 0);
		add(&fake, 3);
		assert_true(fake.map_first && fake.map_first % VIO_ARENA_PAGE == 0);
		assert_int_equal(fake_close(&fake), 0);
		fake_free(&fake);
	}
}

static int bind_failing(struct fake *fake, unsigned long request, int failure)
{
	int error;

	fake_make(fake, FAKE_VDPA, &vio_adder_class);
	assert_int_equal(fake_open_vdpa(fake, 0), 0);
	fake->failing = request;
	fake->failure = failure;
	error = fake_bind(fake, &vio_adder_driver);
	fake->failing = 0;
	return error;
}

static void the_kernel_may_refuse(void **state)
{
	static const struct {
		unsigned long request;
		int failure, error;
		const char *text;
	} cases[] = {
		{ VHOST_SET_FEATURES, EINVAL, -VIO_ENOTSUP, "VHOST_SET_FEATURES: Invalid argument" },
		{ VHOST_SET_VRING_NUM, EINVAL, -VIO_EPEER, "VHOST_SET_VRING_NUM" },
		{ VHOST_SET_VRING_BASE, EBUSY, -VIO_EPEER, "VHOST_SET_VRING_BASE" },
		{ VHOST_SET_VRING_ADDR, EFAULT, -VIO_EPEER, "VHOST_SET_VRING_ADDR" },
		{ VHOST_SET_VRING_ERR, EBADF, -VIO_EPEER, "VHOST_SET_VRING_ERR" },
		{ VHOST_SET_VRING_CALL, EBADF, -VIO_EPEER, "VHOST_SET_VRING_CALL" },
		{ VHOST_SET_VRING_KICK, EBADF, -VIO_EPEER, "VHOST_SET_VRING_KICK" },
		{ VHOST_VDPA_SET_VRING_ENABLE, EIO, -VIO_EPEER, "VHOST_VDPA_SET_VRING_ENABLE" },
		{ FAKE_TELL, ENOMEM, -VIO_ENOMEM, "of 1048576 bytes at 0x100000000: Cannot allocate memory" },
		{ FAKE_TELL, EFAULT, -VIO_ESYS, "Bad address, of" },
		{ FAKE_TELL, ENODEV, -VIO_EHANGUP, "No such device" },
		{ VHOST_VDPA_GET_STATUS, EIO, -VIO_EHANGUP, "VHOST_VDPA_GET_STATUS" },
	};
	struct fake fake;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		assert_int_equal(bind_failing(&fake, cases[i].request, cases[i].failure), cases[i].error);
		if (!strstr(vio_vdpa_mistake(&fake.dev), cases[i].text))
			fail_msg("'%s' isn't in '%s'", cases[i].text, vio_vdpa_mistake(&fake.dev));
		assert_int_equal(fake_close(&fake), 0);
		fake_free(&fake);
	}
}

/* All that a driver does, with the call that fails further back each time; true when none failed. */
static bool live(enum fake_kind kind, unsigned steps, int failure)
{
	struct fake fake;
	uint32_t sum;
	bool whole;

	fake_make(&fake, kind, &vio_adder_class);
	fake.steps_until_failure = steps;
	fake.failure = failure;
	if (!fake_open_vdpa(&fake, 0)) {
		fake.dev.timeout_ns = 2000000;
		if (!fake_bind(&fake, &vio_adder_driver)) {
			((struct vio_adder *)fake.dev.driver_state)->timeout_ns = 20000000;
			if (!vio_adder_add(&fake.dev, 6, &sum))
				assert_int_equal(sum, 7);
			(void)vio_adder_set_status(&fake.dev, 1);
			(void)vio_adder_start(&fake.dev);
			(void)vio_vdpa_suspend(&fake.dev);
		}
		fake_close_any(&fake, vio_vdpa_hang_up);
	}
	whole = fake.steps <= steps;
	fake_free(&fake);
	return whole;
}

static void any_call_may_fail(void **state)
{
	fake_fail_each_call(live, FAKE_VDPA, 30);
}

/* hostile: B49; the file takes the memory along. */
static void a_reset_may_never_end(void **state)
{
	struct fake fake;

	fake_make(&fake, FAKE_VDPA, &vio_adder_class);
	assert_int_equal(fake_open_vdpa(&fake, 0), 0);
	assert_int_equal(fake_bind(&fake, &vio_adder_driver), 0);
	add(&fake, 3);
	fake.stuck = true;
	fake.dev.timeout_ns = 5000000;
	assert_int_equal(fake_close(&fake), -VIO_EAGAIN);
	assert_int_equal(fake.dev.phase, VIO_DEV_STUCK);
	assert_int_equal(fake.unmaps, 0);
	vio_vdpa_hang_up(&fake.dev);
	assert_string_equal(vio_vdpa_mistake(&fake.dev), "hung up");
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

/* hostile: B37 B41 B42 B45 */
static void a_device_may_lie(void **state)
{
	static const uint16_t sizes[] = { 0, 1, 3, 32769, UINT16_MAX };
	struct fake fake;
	int error;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		fake_make(&fake, FAKE_VDPA, &vio_adder_class);
		fake.vring_num = sizes[i];
		fake.queue_count = i % 2 ? UINT32_MAX : 1;
		fake.config_bytes = UINT32_MAX - 1;
		assert_int_equal(fake_open_vdpa(&fake, 0), 0);
		error = fake_bind(&fake, &vio_adder_driver);
		assert_int_equal(error, sizes[i] ? 0 : -VIO_ENOENT);
		/* One entry isn't enough for a request. */
		if (sizes[i] > 1)
			add(&fake, 3);
		/* More than there is, as the device said that it has that. */
		if (!error)
			assert_int_equal(vio_dev_read_config(&fake.dev, 1 << 20, &(uint8_t){ 0 }, 1),
					 -VIO_ERANGE);
		assert_int_equal(fake.dev.transport->queue_size_max(&fake.dev, KERNEL_QUEUES_MAX), 0);
		assert_int_equal(fake_close(&fake), 0);
		fake_free(&fake);
	}
	fake_make(&fake, FAKE_VDPA, &vio_adder_class);
	assert_int_equal(fake_open_vdpa(&fake, 0), 0);
	assert_int_equal(fake_bind(&fake, &vio_adder_driver), 0);
	fake.always_set = VIRTIO_CONFIG_S_NEEDS_RESET;
	assert_true(vio_dev_broken(&fake.dev));
	fake.always_set = UINT8_MAX;
	assert_int_equal(vio_dev_reset(&fake.dev), -VIO_EHANGUP);
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

/* A platform's addresses mean nothing to a device that takes them as they are. */
static void a_device_without_translation_is_refused(void **state)
{
	struct fake fake;

	fake_make(&fake, FAKE_VDPA, &vio_adder_class);
	fake.features &= ~BIT(VIRTIO_F_ACCESS_PLATFORM);
	assert_int_equal(fake_open_vdpa(&fake, 0), 0);
	assert_int_equal(fake_bind(&fake, &vio_adder_driver), -VIO_ENOTSUP);
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

static void a_device_is_suspended_and_goes_on(void **state)
{
	struct fake fake;
	uint32_t base;

	fake_make(&fake, FAKE_VDPA, &vio_adder_class);
	fake.backend_features |= BIT(VHOST_BACKEND_F_RESUME);
	assert_int_equal(fake_open_vdpa(&fake, 0), 0);
	assert_int_equal(vio_vdpa_suspend(&fake.dev), -VIO_EPHASE);
	assert_int_equal(vio_vdpa_queue_base(&fake.dev, 0, &base), -VIO_ENOENT);
	assert_int_equal(fake_bind(&fake, &vio_adder_driver), 0);
	assert_int_equal(vio_vdpa_resume(&fake.dev), -VIO_EPHASE);
	assert_int_equal(vio_vdpa_suspend(&fake.dev), 0);
	assert_int_equal(vio_vdpa_suspend(&fake.dev), -VIO_EPHASE);
	assert_int_equal(vio_vdpa_queue_base(&fake.dev, 0, &base), 0);
	/* Packed: both wrap counters are set. */
	assert_int_equal(base, PVIRTQ_WRAP | (uint32_t)PVIRTQ_WRAP << 16);
	assert_int_equal(vio_vdpa_queue_base(&fake.dev, UINT16_MAX, &base), -VIO_ENOENT);
	assert_int_equal(vio_vdpa_resume(&fake.dev), 0);
	add(&fake, 3);
	fake.failing = VHOST_VDPA_SUSPEND;
	assert_int_equal(vio_vdpa_suspend(&fake.dev), -VIO_EPEER);
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_drives_what_is_behind_it),
		cmocka_unit_test(a_kernel_may_be_old),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(the_arena_lies_where_the_device_reaches),
		cmocka_unit_test(the_kernel_may_refuse),
		cmocka_unit_test(any_call_may_fail),
		cmocka_unit_test(a_reset_may_never_end),
		cmocka_unit_test(a_device_may_lie),
		cmocka_unit_test(a_device_without_translation_is_refused),
		cmocka_unit_test(a_device_is_suspended_and_goes_on),
	};

	return cmocka_run_group_tests_name("vdpa-driver", tests, NULL, NULL);
}
