/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/adder.h>
#include <vireo/devices/caesar.h>

#include "lib/adder_driver.h"

/* One body each, over every transport. */

static const struct rig_options adder_options = { .class = &vio_adder_class };

static struct adder_driver *adder_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

/* What a device offers only when it is told to. */
static const char *const in_order[] = { "in-order=on", NULL };

/* As it comes, and in order; rig_each() has both formats. */
static void each_format(void (*body)(struct rig *rig))
{
	struct rig_options options = adder_options;

	rig_each(&options, body);
	options.properties = in_order;
	rig_each(&options, body);
}

static void assert_adds(struct rig *rig, uint32_t number)
{
	uint32_t sum = 0;

	assert_int_equal(adder_driver_add(&rig->dev, number, &sum), 0);
	assert_int_equal(sum, number + 1);
}

static void add_body(struct rig *rig)
{
	assert_int_equal(rig->dev.id, VIRTIO_ID_ADDER);
	assert_int_equal(rig->dev.legacy, rig->transport->legacy);
	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	assert_int_equal(rig->dev.phase, VIO_DEV_READY);
	assert_int_equal(vio_dev_has_feature(&rig->dev, VIRTIO_F_VERSION_1), !rig->dev.legacy);
	assert_int_equal(vio_dev_has_feature(&rig->dev, VIRTIO_F_ANY_LAYOUT), rig->dev.legacy);
	assert_true(vio_dev_has_feature(&rig->dev, VIRTIO_F_EVENT_IDX));
	/* More than the ring holds, so that everything wraps. */
	for (uint32_t number = UINT32_MAX - 100; number != 100; number++)
		assert_adds(rig, number);
	assert_int_equal(rig->device.fault_count, 0);
	assert_false(vio_dev_broken(&rig->dev));
}

/* spec: DRV-BASIC-021, DRV-BASIC-027, DEV-BASIC-009, DEV-BASIC-016 */
static void adds_over_every_transport(void **state)
{
	rig_each(&adder_options, add_body);
}

/* spec: DRV-BASIC-040; all sets of ring features make the same sums. */
static void adds_with_every_feature_set(void **state)
{
	static const unsigned bits[] = { VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_RESET,
					 VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER };
	const unsigned count = VIO_ARRAY_SIZE(bits);

	for (unsigned set = 0; set < 1u << count; set++) {
		struct rig_options options = adder_options;
		static struct rig rig;

		options.properties = in_order;
		for (unsigned i = 0; i < count; i++)
			if (set >> i & 1)
				options.withhold |= UINT64_C(1) << bits[i];
		for (const struct rig_transport *const *t = rig_transports; *t; t++) {
			if ((*t)->legacy && VIO_LE16_RAW(1) != 1)
				continue;
			rig_make(&rig, &options, *t);
			assert_int_equal(rig_bind(&rig, &adder_driver), 0);
			for (unsigned i = 0; i < count; i++)
				if (set >> i & 1)
					assert_false(vio_dev_has_feature(&rig.dev, bits[i]));
				else if (bits[i] == VIRTIO_F_RING_RESET && !rig.dev.transport->queue_reset)
					assert_false(vio_dev_has_feature(&rig.dev, bits[i]));
				else if (!rig.dev.legacy && !(*t)->remote)
					assert_true(vio_dev_has_feature(&rig.dev, bits[i]));
			for (uint32_t number = 0; number < 80; number++)
				assert_adds(&rig, number);
			rig_free(&rig);
		}
	}
}

static void cycle_body(struct rig *rig)
{
	uint32_t sum;

	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	for (unsigned life = 0; life < 20; life++) {
		assert_adds(rig, life);
		assert_int_equal(vio_dev_reset(&rig->dev), 0);
		assert_int_equal(rig->dev.phase, VIO_DEV_RESET);
		assert_int_equal(rig->device.status, 0);
		/* Nothing works on a queue that was reset. hostile: B31 */
		assert_int_equal(adder_driver_add(&rig->dev, 1, &sum), -VIO_EPEER);
		assert_null(vio_drvq_get(adder_of(rig)->q, NULL));
		assert_int_equal(adder_driver_start(&rig->dev), 0);
	}
	rig_unbind(rig);
	assert_int_equal(rig->dev.phase, VIO_DEV_FOUND);
	assert_int_equal(rig->platform.taken, 0);
	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	assert_adds(rig, 7);
}

static void lives_again_after_reset(void **state)
{
	rig_each(&adder_options, cycle_body);
}

/* spec: DRV-BASIC-030 DRV-BASIC-031 DRV-BASIC-032 DRV-BASIC-033 DRV-BASIC-034 DRV-BASIC-035 */
static void suspend_body(struct rig *rig)
{
	const uint8_t byte = 1;
	uint32_t sum;

	assert_int_equal(vio_dev_suspend(&rig->dev), -VIO_EPHASE);
	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	assert_int_equal(vio_dev_resume(&rig->dev), -VIO_EPHASE);
	if (!vio_dev_has_feature(&rig->dev, VIRTIO_F_SUSPEND)) {
		assert_int_equal(vio_dev_suspend(&rig->dev), -VIO_ENOTSUP);
		assert_adds(rig, 1);
		return;
	}
	for (unsigned round = 0; round < 10; round++) {
		assert_adds(rig, round);
		assert_int_equal(vio_dev_suspend(&rig->dev), 0);
		assert_int_equal(rig->dev.phase, VIO_DEV_SUSPENDED);
		assert_true(vio_device_suspended(&rig->device));
		assert_false(vio_dev_broken(&rig->dev));
		assert_int_not_equal(adder_driver_add(&rig->dev, 1, &sum), 0);
		assert_int_equal(vio_dev_write_config(&rig->dev, 0, &byte, 1), -VIO_EPHASE);
		assert_int_equal(vio_dev_suspend(&rig->dev), -VIO_EPHASE);
		/* Half of them go on, the others begin anew. */
		if (round & 1) {
			assert_int_equal(vio_dev_reset(&rig->dev), 0);
			assert_int_equal(adder_driver_start(&rig->dev), 0);
		} else {
			assert_int_equal(vio_dev_resume(&rig->dev), 0);
			assert_int_equal(rig->dev.phase, VIO_DEV_READY);
		}
		assert_true(vio_device_running(&rig->device));
	}
	assert_adds(rig, 99);
	assert_int_equal(rig->device.fault_count, 0);
}

static void stands_still_and_goes_on(void **state)
{
	rig_each(&adder_options, suspend_body);
}

/* A request that nobody waits for is announced by an interrupt, once. */
static void interrupt_body(struct rig *rig)
{
	const struct vio_platform *platform = &rig->platform.platform;
	struct vio_sg sg = { .length = 4 };
	struct adder_driver *adder;
	vio_le32 sum;

	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	adder = adder_of(rig);
	assert_adds(rig, 1);
	rig_run(rig);
	assert_int_equal(adder->used, 0);
	assert_null(vio_drvq_get(adder->q, NULL));
	assert_true(vio_drvq_enable_cb(adder->q));
	assert_int_equal(platform->share(platform->context, &sum, 4, VIO_MEM_WRITE, &sg.addr), 0);
	assert_int_equal(vio_drvq_add(adder->q, &sg, 0, 1, &sum), 0);
	vio_drvq_kick(adder->q);
	rig_run(rig);
	assert_int_equal(adder->used, 1);
	assert_ptr_equal(vio_drvq_get(adder->q, NULL), &sum);
	platform->unshare(platform->context, &sum, 4, VIO_MEM_WRITE, sg.addr);
	/* Nothing is there: no callback, however often the line is looked at. hostile: B33 B36 */
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(vio_dev_interrupt(&rig->dev), 0);
		vio_dev_interrupt_queue(&rig->dev, 0);
		vio_dev_interrupt_queue(&rig->dev, UINT16_MAX);
	}
	assert_int_equal(adder->used, 1);
	assert_int_equal(adder->config_changes, 0);
}

static void interrupts_come_once(void **state)
{
	each_format(interrupt_body);
}

/* A queue that the driver fills before it is ready is served when it is. */
static void early_body(struct rig *rig)
{
	struct vio_features wanted = vio_dev_ring_features();
	const struct vio_queue_wish wish = { .size = 7 };
	const struct vio_platform *platform = &rig->platform.platform;
	struct vio_dev *dev = &rig->dev;
	vio_le32 number = vio_le32_make(5), sum;
	struct vio_sg sg[2] = { { .length = 4 }, { .length = 4 } };
	struct vio_dev_queue queue;
	struct vio_drvq *q;

	dev->platform = platform;
	assert_int_equal(vio_dev_begin(dev, &queue, 1), 0);
	assert_int_equal(vio_dev_accept(dev, &wanted), 0);
	assert_int_equal(vio_dev_add_queue(dev, 0, &wish, &q), 0);
	if (dev->transport->flags & VIO_TRANSPORT_SIZE_FIXED) /* spec: DRV-SPLIT-002 */
		assert_int_equal(q->size, rig->device.queue_size);
	else
		assert_int_equal(q->size, vio_dev_has_feature(dev, VIRTIO_F_RING_PACKED) ? 7 : 4);
	assert_int_equal(platform->share(platform->context, &number, 4, VIO_MEM_READ, &sg[0].addr), 0);
	assert_int_equal(platform->share(platform->context, &sum, 4, VIO_MEM_WRITE, &sg[1].addr), 0);
	assert_int_equal(vio_drvq_add(q, sg, 1, 1, &sum), 0);
	vio_drvq_kick(q);
	rig_run(rig);
	assert_false(vio_drvq_pending(q));
	assert_int_equal(vio_dev_wait(dev, q, 1), -VIO_EPHASE);
	assert_int_equal(vio_dev_ready(dev), 0);
	assert_int_equal(vio_dev_wait(dev, q, 1000000), 0);
	assert_ptr_equal(vio_drvq_get(q, NULL), &sum);
	platform->unshare(platform->context, &number, 4, VIO_MEM_READ, sg[0].addr);
	platform->unshare(platform->context, &sum, 4, VIO_MEM_WRITE, sg[1].addr);
	assert_int_equal(vio_le32_get(sum), 6);
	assert_int_equal(vio_dev_end(dev), 0);
}

/* spec: DRV-BASIC-026 DEV-BASIC-001 */
static void kicks_before_ready_are_made_up_for(void **state)
{
	each_format(early_body);
}

/* A buffer that the device holds is handed back by a reset of its queue, and the queue works again. */
static void queue_reset_body(struct rig *rig)
{
	struct vio_dev *dev = &rig->dev;
	struct vio_sg sg = { vio_addr_make(0), 4 };
	int token;

	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	if (!vio_dev_has_feature(dev, VIRTIO_F_RING_RESET)) {
		assert_null(dev->transport->queue_reset);
		assert_int_equal(vio_dev_reset_queue(dev, 0), -VIO_ENOTSUP);
		return;
	}
	for (unsigned round = 0; round < 3; round++) {
		assert_adds(rig, round);
		/* Added, never kicked: it stays in flight. */
		assert_int_equal(vio_drvq_add(adder_of(rig)->q, &sg, 1, 0, &token), 0);
		assert_int_equal(vio_dev_reset_queue(dev, 0), 0);
		assert_false(rig->device.queues[0].running);
		assert_int_equal(vio_drvq_add(adder_of(rig)->q, &sg, 1, 0, &token), -VIO_EPEER);
		assert_int_equal(vio_dev_reset_queue(dev, 0), -VIO_EPHASE);
		assert_int_equal(vio_dev_reenable_queue(dev, 0), -VIO_EBUSY);
		assert_ptr_equal(vio_drvq_detach_unused(adder_of(rig)->q), &token);
		assert_null(vio_drvq_detach_unused(adder_of(rig)->q));
		assert_int_equal(vio_dev_reenable_queue(dev, 0), 0);
		assert_int_equal(vio_dev_reenable_queue(dev, 0), -VIO_EPHASE);
	}
	assert_adds(rig, 9);
	assert_int_equal(vio_dev_reset_queue(dev, 1), -VIO_ERANGE);
	assert_int_equal(vio_dev_reenable_queue(dev, 1), -VIO_ERANGE);
}

/* spec: DRV-RING-001 DRV-RING-002 DEV-RING-001 DEV-RING-002 DEV-RING-003 */
static void a_queue_is_reset_by_itself(void **state)
{
	each_format(queue_reset_body);
}

static void broken_body(struct rig *rig)
{
	struct vio_sg sg = { vio_addr_make(64), 4 }; /* nowhere */
	uint32_t sum;
	int token;

	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	assert_int_equal(vio_drvq_add(adder_of(rig)->q, &sg, 0, 1, &token), 0);
	vio_drvq_kick(adder_of(rig)->q);
	rig_run(rig);
	assert_true(rig->device.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(adder_of(rig)->config_changes, 1);
	if (!rig->transport->status_unread) {
		assert_true(vio_dev_broken(&rig->dev));
		assert_int_equal(vio_dev_wait(&rig->dev, adder_of(rig)->q, 0), -VIO_EPEER);
	}
	assert_int_equal(vio_dev_reset(&rig->dev), 0);
	assert_ptr_equal(vio_drvq_detach_unused(adder_of(rig)->q), &token);
	assert_int_equal(adder_driver_start(&rig->dev), 0);
	assert_false(vio_dev_broken(&rig->dev));
	assert_adds(rig, 3);
	assert_int_equal(adder_driver_add(&rig->dev, 3, &sum), 0);
}

/* spec: DEV-BASIC-002 DEV-BASIC-003 DRV-BASIC-004; hostile: B37 */
static void a_device_that_needs_reset_is_noticed(void **state)
{
	rig_each(&adder_options, broken_body);
}

static void gone_body(struct rig *rig)
{
	struct vio_dev *dev = &rig->dev;
	uint32_t sum, status;

	if (!rig->transport->pull_out)
		return;
	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	assert_adds(rig, 3);
	rig->transport->pull_out(rig);
	assert_true(vio_dev_broken(dev));
	assert_int_equal(vio_dev_read_config32(dev, 0, &status), 0);
	assert_int_equal(status, UINT32_MAX);
	assert_int_equal(adder_driver_add(dev, 4, &sum), -VIO_EHANGUP);
	assert_int_equal(dev->phase, VIO_DEV_GONE);
	assert_int_equal(vio_dev_reset(dev), -VIO_EHANGUP);
	assert_int_equal(adder_driver_start(dev), -VIO_EPHASE);
	assert_int_equal(vio_dev_interrupt(dev), 0);
	assert_int_equal(vio_dev_close(dev), 0);
	assert_int_equal(rig->platform.taken, 0);
}

/* hostile: B45 */
static void a_device_may_be_pulled_out(void **state)
{
	rig_each(&adder_options, gone_body);
}

static void starve_body(struct rig *rig)
{
	/* Ring, indirect tables, shadow, two buffers: each of them can be what there is no memory for. */
	for (unsigned works = 0; works < 5; works++) {
		struct vio_dev *dev = &rig->dev;
		uint32_t sum;
		int error;

		rig->platform.fail_after = works;
		error = rig_bind(rig, &adder_driver);
		if (!error) {
			assert_true(works >= 3);
			error = adder_driver_add(dev, 1, &sum);
			assert_int_equal(rig->platform.shared, 0);
			rig->platform.fail_after = TEST_PLATFORM_NEVER;
			assert_adds(rig, 1);
		}
		assert_int_equal(error, -VIO_ENOMEM);
		rig->platform.fail_after = TEST_PLATFORM_NEVER;
		rig_unbind(rig);
		assert_int_equal(dev->phase, VIO_DEV_FOUND);
		assert_int_equal(rig->device.status, 0);
		assert_int_equal(rig->platform.taken, 0);
	}
}

static void memory_may_be_short(void **state)
{
	rig_each(&adder_options, starve_body);
}

/* spec: DRV-BASIC-015 DRV-BASIC-016 DRV-BASIC-020 DRV-BASIC-022 */
static void config_body(struct rig *rig)
{
	struct vio_dev *dev = &rig->dev;
	uint32_t bytes = sizeof(struct virtio_caesar_config);
	uint8_t shift, mode, both[2];
	uint16_t pair;

	dev->platform = &rig->platform.platform;
	assert_int_equal(vio_dev_read_config8(dev, 0, &shift), -VIO_EPHASE);
	assert_int_equal(vio_dev_begin(dev, NULL, 0), 0);
	assert_int_equal(vio_dev_read_config8(dev, 0, &shift), 0);
	assert_int_equal(shift, 3);
	assert_int_equal(vio_dev_read_config8(dev, 1, &mode), 0);
	assert_int_equal(mode, VIRTIO_CAESAR_MODE_DECIPHER);
	assert_int_equal(vio_dev_read_config16(dev, 0, &pair), 0);
	assert_int_equal(pair, 0x103);
	assert_int_equal(vio_dev_read_config(dev, 0, both, 2), 0);
	assert_int_equal(both[1], VIRTIO_CAESAR_MODE_DECIPHER);
	assert_int_equal(vio_dev_write_config8(dev, 0, 4), -VIO_EPHASE);
	assert_int_equal(vio_dev_accept(dev, &VIO_FEATURES_NONE), 0);
	assert_int_equal(vio_dev_write_config8(dev, 0, 4), 0);
	assert_int_equal(vio_dev_ready(dev), 0);
	assert_int_equal(vio_dev_read_config8(dev, 0, &shift), 0);
	assert_int_equal(shift, 4);
	assert_int_equal(vio_device_set_property(&rig->device, "shift", 5, "11"), 0);
	assert_int_equal(vio_dev_interrupt(dev), VIO_INTERRUPT_CONFIG);
	assert_int_equal(vio_dev_interrupt(dev), 0);
	assert_int_equal(vio_dev_read_config8(dev, 0, &shift), 0);
	assert_int_equal(shift, 11);
	assert_int_equal(vio_dev_write_config16(dev, 0, 5), 0);
	assert_int_equal(vio_dev_read_config(dev, 0, both, 2), 0);
	assert_int_equal(both[0], 5);
	assert_int_equal(both[1], VIRTIO_CAESAR_MODE_ENCIPHER);
	/* hostile: B38 */
	for (uint32_t offset = 0; offset <= bytes + 1; offset++) {
		int expected = offset + 2 > bytes && !rig->transport->config_padded ? -VIO_ERANGE : 0;

		assert_int_equal(vio_dev_read_config16(dev, offset, &pair), expected);
		assert_int_equal(vio_dev_write_config16(dev, offset, pair), expected);
	}
	assert_int_equal(vio_dev_read_config16(dev, UINT32_MAX, &pair), -VIO_ERANGE);
	assert_int_equal(vio_dev_write_config32(dev, UINT32_MAX - 2, 1), -VIO_ERANGE);
	assert_int_equal(vio_dev_read_config(dev, bytes, both, 0), 0);
	assert_int_equal(vio_dev_end(dev), 0);
	dev->platform = NULL;
}

static void configuration_is_read_and_written(void **state)
{
	static const char *const properties[] = { "shift=3", "mode=decipher", NULL };
	const struct rig_options options = { .class = &vio_caesar_class, .properties = properties };

	rig_each(&options, config_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_over_every_transport),
		cmocka_unit_test(adds_with_every_feature_set),
		cmocka_unit_test(lives_again_after_reset),
		cmocka_unit_test(stands_still_and_goes_on),
		cmocka_unit_test(interrupts_come_once),
		cmocka_unit_test(kicks_before_ready_are_made_up_for),
		cmocka_unit_test(a_queue_is_reset_by_itself),
		cmocka_unit_test(a_device_that_needs_reset_is_noticed),
		cmocka_unit_test(a_device_may_be_pulled_out),
		cmocka_unit_test(memory_may_be_short),
		cmocka_unit_test(configuration_is_read_and_written),
	};

	return cmocka_run_group_tests_name("transport-loopback", tests, NULL, NULL);
}
