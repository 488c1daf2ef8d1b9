/* SPDX-License-Identifier: BSD-3-Clause */
#include "linux/echo.h"

#include <stdlib.h>
#include <string.h>

/* The life of a Linux driver, its configuration, and what it takes from the kernel beside virtio. */

static void works(struct rig *rig)
{
	u8 bytes[8] = { 1, 2, 3, 4 };
	unsigned length;

	assert_int_equal(echo_add(echo.vqs[0], bytes, bytes + 4, 4), 0);
	assert_true(virtqueue_kick(echo.vqs[0]));
	rig_run(rig);
	assert_ptr_equal(virtqueue_get_buf(echo.vqs[0], &length), bytes);
	assert_int_equal(length, 4);
	assert_memory_equal(bytes, bytes + 4, 4);
}

static void life_body(struct rig *rig)
{
	struct virtio_device *vdev;
	struct virtqueue *again[2];
	vq_callback_t *callbacks[] = { NULL, NULL };
	const char *const names[] = { "a", "b" };

	echo_init();
	assert_int_equal(echo_bind(rig), 0);
	vdev = echo.vdev;
	assert_int_equal(vdev->id.device, ECHO_ID);
	assert_string_equal(vdev->dev.name, "echo");
	assert_int_equal(echo.validated, 1);
	assert_int_equal(echo.probed, 1);
	assert_int_equal(echo.scanned, 1);
	assert_int_equal(rig->dev.phase, VIO_DEV_READY); /* probe left that to the core */
	assert_true(virtio_has_feature(vdev, ECHO_F_TABLED));
	assert_false(virtio_has_feature(vdev, ECHO_F_OTHER));
	assert_false(virtio_has_feature(vdev, 64));
	assert_int_equal(virtio_has_feature(vdev, VIRTIO_F_VERSION_1), !rig->dev.legacy);
	assert_true(vdev->config->get_features(vdev) >> ECHO_F_OTHER & 1);
	assert_true(vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_DRIVER_OK);
	assert_string_equal(vdev->config->bus_name(vdev), rig->dev.transport->name);
	assert_string_equal(echo.vqs[1]->name, "idle");
	assert_int_equal(virtio_find_vqs(vdev, 2, again, callbacks, names, NULL), -EBUSY);
	works(rig);

	/* A second life, as after sleep. */
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
	assert_int_equal(echo_find(vdev), 0);
	virtio_device_ready(vdev);
	works(rig);
	rig_unbind(rig);
	assert_int_equal(echo.removed, 1);
	assert_int_equal(rig->device.status, 0);
	assert_int_equal(rig->device.fault_count, 0);
}

static void a_driver_lives_as_in_the_kernel(void **state)
{
	rig_each(&echo_options, life_body);
}

static void refuse(struct rig *rig, int expected)
{
	assert_int_equal(echo_bind(rig), expected);
	free(rig->driver_state);
	rig->driver_state = NULL;
	assert_int_equal(rig->platform.taken, 0);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(echo.scanned, 0);
	assert_int_equal(rig->device.status, 0);
}

static void failures_body(struct rig *rig)
{
	static const struct virtio_device_id foreign[] = { { ECHO_ID, 0x7fffffff }, { 0 } };
	unsigned after = 0;

	echo_init();
	echo.validate_error = -EINVAL;
	refuse(rig, -VIO_EINVAL);
	assert_int_equal(echo.probed, 0);
	echo_init();
	echo.probe_error = -ENODEV;
	refuse(rig, -VIO_EHANGUP);
	echo_init();
	echo.probe_error = -ENOMEM;
	echo.fail_late = true;
	refuse(rig, -VIO_ENOMEM);
	assert_int_equal(echo.removed, 0);
	echo_init();
	echo.driver.id_table = foreign;
	refuse(rig, -VIO_ENOENT);
	assert_int_equal(echo.validated, 0);

	echo_init();
	echo.clear_tabled = true;
	for (;; after++) { /* memory ends at each place in turn */
		int error;

		rig->platform.fail_after = after;
		error = echo_bind(rig);
		rig->platform.fail_after = TEST_PLATFORM_NEVER;
		if (!error)
			break;
		assert_int_equal(error, -VIO_ENOMEM);
		assert_int_equal(rig->platform.taken, 0);
		free(rig->driver_state);
		rig->driver_state = NULL;
	}
	assert_in_range(after, 6, 20);
	assert_false(virtio_has_feature(echo.vdev, ECHO_F_TABLED));
	assert_false(vio_features_has(&rig->device.features_accepted, ECHO_F_TABLED) && !rig->dev.legacy);
	works(rig);
}

static void failures_leave_nothing(void **state)
{
	rig_each(&echo_options, failures_body);
}

static void count(struct virtqueue *vq)
{
	++*(unsigned *)vq->priv;
}

static void names_body(struct rig *rig)
{
	struct virtqueue *vqs[4] = { NULL };
	vq_callback_t *callbacks[] = { NULL, count, NULL, NULL };
	const char *const holes[] = { NULL, "first", NULL, "second" }, *const three[] = { "a", "b", "c" };
	struct virtio_device *vdev;
	u8 bytes[4];
	unsigned counted = 0;

	echo_init();
	assert_int_equal(echo_bind(rig), 0);
	vdev = echo.vdev;
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
	assert_int_equal(virtio_find_vqs(vdev, 3, vqs, callbacks, three, NULL), -EINVAL); /* of two */
	assert_null(vqs[0]);
	assert_int_equal(virtio_find_vqs(vdev, 4, vqs, callbacks, holes, NULL), 0);
	assert_null(vqs[0]);
	assert_null(vqs[2]);
	assert_int_equal(vqs[1]->index, 0);
	assert_int_equal(vqs[3]->index, 1);
	vqs[1]->priv = &counted;
	virtio_device_ready(vdev);
	assert_int_equal(echo_add(vqs[1], bytes, bytes + 2, 2), 0);
	virtqueue_kick(vqs[1]);
	rig_run(rig);
	assert_int_equal(counted, 1);
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev); /* with a buffer that nobody detached */
	assert_int_equal(rig->platform.shared, 0);

	vqs[0] = virtio_find_single_vq(vdev, NULL, "alone");
	assert_false(IS_ERR(vqs[0]));
	vqs[1] = virtio_find_single_vq(vdev, NULL, "too many");
	assert_true(IS_ERR(vqs[1]));
	assert_int_equal(PTR_ERR(vqs[1]), -EBUSY);
	echo.lazy = true;
}

static void queues_are_found_by_name(void **state)
{
	rig_each(&echo_options, names_body);
}

static void config_body(struct rig *rig)
{
	struct virtio_device *vdev;
	struct echo_config all;
	u8 small = 0x12;
	u16 middle = 0x3456;
	u32 large = 0x789abcde;
	u64 huge = 0x0123456789abcdef;

	echo_init();
	assert_int_equal(echo_bind(rig), 0);
	vdev = echo.vdev;
	virtio_cwrite(vdev, struct echo_config, small, &small);
	virtio_cwrite(vdev, struct echo_config, middle, &middle);
	virtio_cwrite_le(vdev, struct echo_config, large, &large);
	virtio_cwrite(vdev, struct echo_config, huge, &huge);
	small = 0, middle = 0, large = 0, huge = 0;
	virtio_cread(vdev, struct echo_config, small, &small);
	virtio_cread_le(vdev, struct echo_config, middle, &middle);
	virtio_cread(vdev, struct echo_config, large, &large);
	virtio_cread_le(vdev, struct echo_config, huge, &huge);
	assert_int_equal(small, 0x12);
	assert_int_equal(middle, 0x3456);
	assert_int_equal(large, 0x789abcde);
	assert_true(huge == 0x0123456789abcdef);
	virtio_cread_bytes(vdev, 0, &all, sizeof(all));
	assert_int_equal(all.small, 0x12);
	assert_int_equal(virtio32_to_cpu(vdev, all.large), 0x789abcde);
	assert_int_equal(le16_to_cpu(all.middle), 0x3456);
	virtio_cwrite32(vdev, 4, 0xfedcba98);
	assert_int_equal(virtio_cread32(vdev, 4), 0xfedcba98);
	assert_int_equal(virtio_cread8(vdev, 4), 0x98);
	assert_int_equal(virtio_cread16(vdev, 6), 0xfedc);
	assert_true(virtio_cread64(vdev, 8) == 0x0123456789abcdef);
	large = 0;
	assert_int_equal(virtio_cread_feature(vdev, ECHO_F_OTHER, struct echo_config, large, &large),
			 -ENOENT);
	assert_int_equal(large, 0);
	assert_int_equal(virtio_cread_feature(vdev, ECHO_F_TABLED, struct echo_config, large, &large), 0);
	assert_int_equal(large, 0xfedcba98);
	vio_device_config_changed(&rig->device);
	rig_run(rig);
	assert_int_equal(echo.changed, 1);
	if (rig->transport->pull_out) {
		rig->transport->pull_out(rig);
		virtio_reset_device(vdev);
		assert_int_equal(virtio_cread32(vdev, 4), UINT32_MAX);
	}
}

static void fields_are_numbers(void **state)
{
	rig_each(&echo_options, config_body);
}

static void errors_have_numbers(void **state)
{
	for (int error = 1; error < VIO_ERROR_COUNT; error++) {
		int number = vio_linux_errno(-error), back = vio_linux_error(number);

		assert_in_range(-number, 1, 200);
		assert_int_equal(vio_linux_errno(back), number);
	}
	assert_int_equal(vio_linux_errno(0), 0);
	assert_int_equal(vio_linux_error(0), 0);
	assert_int_equal(vio_linux_errno(-VIO_ENOSPC), -ENOSPC);
	assert_int_equal(vio_linux_errno(-VIO_EPEER), -EIO);
	assert_int_equal(vio_linux_errno(-VIO_ERROR_COUNT), -EIO);
	assert_int_equal(vio_linux_errno(1), -EIO);
	assert_int_equal(vio_linux_error(-EBUSY), -VIO_EBUSY);
	assert_int_equal(vio_linux_error(-4000), -VIO_EIO);
}

static void drivers_are_judged(void **state)
{
	static const struct virtio_device_id none[] = { { 0 } }, any[] = { { VIRTIO_DEV_ANY_ID, 1 }, { 0 } };
	struct virtio_device_id many[VIO_LINUX_IDS_MAX + 2] = { { 0 } };
	struct vio_linux_driver made;
	struct virtio_driver driver;

	echo_init();
	driver = echo.driver;
	assert_int_equal(vio_linux_driver_init(&made, &driver, 0), 0);
	assert_int_equal(made.queue_max, VIO_LINUX_QUEUES_DEFAULT);
	driver.id_table = none;
	assert_int_equal(vio_linux_driver_init(&made, &driver, 0), -VIO_EINVAL);
	driver.id_table = any;
	assert_int_equal(vio_linux_driver_init(&made, &driver, 0), -VIO_EINVAL);
	for (unsigned i = 0; i < VIO_LINUX_IDS_MAX; i++)
		many[i] = (struct virtio_device_id){ i + 1, VIRTIO_DEV_ANY_ID };
	driver.id_table = many;
	assert_int_equal(vio_linux_driver_init(&made, &driver, 0), 0);
	assert_int_equal(made.driver.ids[VIO_LINUX_IDS_MAX], 0);
	many[VIO_LINUX_IDS_MAX].device = 99;
	assert_int_equal(vio_linux_driver_init(&made, &driver, 0), -VIO_ERANGE);
	driver = echo.driver;
	driver.remove = NULL;
	assert_int_equal(vio_linux_driver_init(&made, &driver, 0), -VIO_EINVAL);
}

static void memory_and_lists(void **state)
{
	struct scatterlist list[3], *sg;
	u8 bytes[12];
	u8 *memory = kcalloc(3, 5, GFP_KERNEL);
	int i, seen = 0;

	assert_non_null(memory);
	for (i = 0; i < 15; i++)
		assert_int_equal(memory[i], 0);
	kfree(memory);
	kfree(NULL);
	assert_null(kmalloc_array(SIZE_MAX / 2, 3, GFP_KERNEL));
	assert_true(IS_ERR(ERR_PTR(-EIO)));
	assert_false(IS_ERR(bytes));
	assert_false(IS_ERR(NULL));
	assert_true(IS_ERR_OR_NULL(NULL));
	assert_int_equal(PTR_ERR_OR_ZERO(ERR_PTR(-EIO)), -EIO);
	assert_int_equal(PTR_ERR_OR_ZERO(bytes), 0);

	sg_init_table(list, 3);
	for_each_sg(list, sg, 3, i) sg_set_buf(sg, bytes + 4 * i, 4);
	for (sg = list; sg; sg = sg_next(sg))
		assert_ptr_equal(sg_virt(sg), bytes + 4 * seen++);
	assert_int_equal(seen, 3);
	sg_mark_end(&list[1]);
	assert_int_equal(sg_nents(list), 2);
	sg_unmark_end(&list[1]);
	assert_int_equal(sg_nents(list), 3);
}

static int freeze(struct virtio_device *vdev)
{
	virtio_reset_device(vdev);
	if (echo.lazy)
		return 0;
	while (virtqueue_detach_unused_buf(echo.vqs[1]))
		echo.detached++;
	vdev->config->del_vqs(vdev);
	return 0;
}

static int is_busy(struct virtio_device *vdev)
{
	return -EBUSY;
}

static void sleep_body(struct rig *rig)
{
	u8 bytes[8];

	echo_init();
	assert_int_equal(echo_bind(rig), 0);
	assert_int_equal(vio_linux_freeze(echo.vdev), -EINVAL); /* it can't */
	echo.driver.freeze = is_busy;
	assert_int_equal(vio_linux_freeze(echo.vdev), -EBUSY);
	works(rig);
	echo.driver.freeze = freeze;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(echo_add(echo.vqs[1], bytes, bytes + 4, 4), 0);
		echo.lazy = i & 1;
		echo.detached = 0;
		assert_int_equal(vio_linux_freeze(echo.vdev), 0);
		assert_int_equal(echo.detached, !echo.lazy);
		assert_int_equal(rig->device.status, 0);
		assert_int_equal(rig->platform.shared, 0);
		assert_int_equal(vio_linux_freeze(echo.vdev), -EINVAL);
		if (!i) {
			assert_int_equal(vio_linux_restore(echo.vdev), -EINVAL);
			echo.driver.restore = is_busy;
			assert_int_equal(vio_linux_restore(echo.vdev), -EBUSY);
			echo.driver.restore = echo_find;
		}
		assert_int_equal(vio_linux_restore(echo.vdev), 0);
		assert_int_equal(vio_linux_restore(echo.vdev), -EINVAL);
		assert_int_equal(rig->dev.phase, VIO_DEV_READY);
		works(rig);
	}
	echo.lazy = false;
	rig_unbind(rig);
	assert_int_equal(echo.removed, 1);
}

static void context_body(struct rig *rig)
{
	struct scatterlist sg;
	void *context;
	u8 bytes[8];

	echo_init();
	assert_int_equal(echo_bind(rig), 0);
	sg_init_one(&sg, bytes, sizeof(bytes));
	assert_int_equal(virtqueue_add_outbuf_ctx(echo.vqs[0], &sg, 1, bytes, &echo, GFP_KERNEL), 0);
	assert_true(virtqueue_kick(echo.vqs[0]));
	rig_run(rig);
	assert_ptr_equal(virtqueue_get_buf_ctx(echo.vqs[0], NULL, &context), bytes);
	assert_ptr_equal(context, &echo);
	rig_unbind(rig);
}

static void buffers_have_contexts(void **state)
{
	rig_each(&echo_options, context_body);
}

static void a_driver_sleeps_and_wakes(void **state)
{
	rig_each(&echo_options, sleep_body);
}

/* What a program makes of registering. */
static struct virtio_driver *registered;

int vio_linux_register(struct virtio_driver *driver)
{
	if (registered)
		return -EBUSY;
	registered = driver;
	return vio_linux_errno(vio_linux_driver_init(&echo.made, driver, 0));
}

void vio_linux_unregister(struct virtio_driver *driver)
{
	assert_ptr_equal(registered, driver);
	registered = NULL;
}

static int __init begin_module(void)
{
	return register_virtio_driver(&echo.driver);
}
module_init(begin_module);

static void __exit end_module(void)
{
	unregister_virtio_driver(&echo.driver);
}
module_exit(end_module);

static void modules_register(void **state)
{
	echo_init();
	assert_int_equal(begin_module_entry(), 0);
	assert_string_equal(echo.made.driver.name, "echo");
	assert_int_equal(begin_module_entry(), -EBUSY);
	end_module_entry();
	assert_null(registered);
	echo.driver.probe = NULL;
	assert_int_equal(begin_module_entry(), -EINVAL);
	end_module_entry();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_lives_as_in_the_kernel),
		cmocka_unit_test(failures_leave_nothing),
		cmocka_unit_test(queues_are_found_by_name),
		cmocka_unit_test(fields_are_numbers),
		cmocka_unit_test(errors_have_numbers),
		cmocka_unit_test(drivers_are_judged),
		cmocka_unit_test(memory_and_lists),
		cmocka_unit_test(buffers_have_contexts),
		cmocka_unit_test(a_driver_sleeps_and_wakes),
		cmocka_unit_test(modules_register),
	};

	return cmocka_run_group_tests_name("linux life", tests, NULL, NULL);
}
