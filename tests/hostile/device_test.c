/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/toy.h"

/* A driver that handles a whole device wrongly: queues, kicks, resets at the wrong time. */

/* hostile: A84; spec: DEV-BASIC-001 */
static void test_kick_before_driver_ok(void **state)
{
	struct toy_world w;
	uint16_t queue;

	toy_open(&w);
	for (queue = 0; queue < TOY_QUEUES; queue++)
		vio_device_kick(&w.dev, queue); /* in status 0 */
	toy_negotiate(&w, 0);
	toy_request(&w, 1, 0, 5);
	toy_start(&w, 1, 0);
	vio_device_kick(&w.dev, 1);
	assert_int_equal(w.toy.counts.kick, 0);
	assert_int_equal(test_ring_used_idx(&w.rings[1]), 0);
	/* It isn't lost: DRIVER_OK serves it. */
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING), TOY_RUNNING);
	assert_int_equal(toy_answer(&w, 1, 0), 6);
	assert_int_equal(w.interrupts[1], 1);
	toy_works(&w);
	toy_close(&w);
}

/* What a device completes by itself before DRIVER_OK interrupts nobody. spec: DEV-BASIC-001 */
static void test_no_interrupt_before_driver_ok(void **state)
{
	struct toy_world w;
	struct vio_buf buf;

	toy_open(&w);
	toy_negotiate(&w, 0);
	toy_request(&w, 0, 0, 5);
	toy_start(&w, 0, 0);
	assert_true(vio_devq_pop(&w.dev.queues[0], &buf));
	vio_devq_push(&w.dev.queues[0], &buf, 0);
	vio_devq_notify(&w.dev.queues[0]);
	assert_int_equal(w.interrupts[0], 0);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A85 A86 A79; spec: DEV-SPLIT-017 */
static void test_kick_of_absent_queues(void **state)
{
	static const uint16_t queues[] = { TOY_QUEUES, TOY_QUEUES + 1, 255, 256, 0x7fff, 0x8000, 0xffff };
	struct vio_devq_config config;
	struct toy_world w;
	unsigned i;

	toy_open(&w);
	toy_negotiate(&w, 0);
	toy_start(&w, 0, 0);
	vio_device_write_status(&w.dev, TOY_RUNNING);
	w.toy.counts.kick = 0;
	config = test_ring_config(&w.rings[1], 0, 0);
	for (i = 0; i < VIO_ARRAY_SIZE(queues); i++) {
		vio_device_kick(&w.dev, queues[i]);
		assert_int_equal(vio_device_queue_start(&w.dev, queues[i], &config), -VIO_ERANGE);
		assert_int_equal(vio_device_queue_stop(&w.dev, queues[i]).avail, 0);
	}
	vio_device_kick(&w.dev, 1); /* there, but not started */
	assert_int_equal(vio_device_queue_stop(&w.dev, 1).avail, 0);
	assert_int_equal(w.toy.counts.kick, 0);
	for (i = 0; i < 100; i++)
		vio_device_kick(&w.dev, 0); /* hostile: A87, kicks say nothing more than look */
	assert_int_equal(w.toy.counts.kick, 100);
	assert_int_equal(w.interrupts[0], 0);
	assert_int_equal(w.faults, 0);
	toy_works(&w);
	toy_close(&w);
}

static void test_start_before_features_ok(void **state)
{
	struct vio_devq_config config;
	struct toy_world w;

	toy_open(&w);
	config = test_ring_config(&w.rings[0], 0, 0);
	assert_int_equal(vio_device_queue_start(&w.dev, 0, &config), -VIO_EPHASE);
	vio_device_write_status(&w.dev, 3);
	assert_int_equal(vio_device_queue_start(&w.dev, 0, &config), -VIO_EPHASE);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A80 A83 A81 A82: what runs stays as it is. */
static void test_start_wrongly(void **state)
{
	static const uint16_t sizes[] = { 0, 3, TOY_SIZE + 1, 2 * TOY_SIZE, 0xffff };
	struct vio_devq_config config;
	struct toy_world w;
	unsigned i;

	toy_open(&w);
	toy_negotiate(&w, 0);
	config = test_ring_config(&w.rings[0], 0, UINT64_MAX); /* features of the caller don't count */
	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		config.size = sizes[i];
		assert_int_equal(vio_device_queue_start(&w.dev, 0, &config), -VIO_EINVAL);
	}
	config.size = TOY_SIZE;
	config.device_area = vio_addr_make(TOY_DATA + TOY_DATA_BYTES - 8);
	assert_int_equal(vio_device_queue_start(&w.dev, 0, &config), -VIO_EPEER);
	assert_int_equal(w.faults, 1);
	assert_int_equal(w.fault.kind, VIO_FAULT_RING_MEMORY);
	assert_int_equal(w.fault.value, TOY_DATA + TOY_DATA_BYTES - 8);
	assert_int_equal(w.dev.fault_count, 1);
	config = test_ring_config(&w.rings[0], 0, 0);
	assert_int_equal(vio_device_queue_start(&w.dev, 0, &config), 0);
	config = test_ring_config(&w.rings[1], 7, 0);
	config.size = 4;
	assert_int_equal(vio_device_queue_start(&w.dev, 0, &config), -VIO_EBUSY);
	assert_int_equal(w.dev.queues[0].size, TOY_SIZE);
	vio_device_write_status(&w.dev, TOY_RUNNING);
	assert_int_equal(vio_device_queue_start(&w.dev, 0, &config), -VIO_EBUSY);
	toy_request(&w, 0, 1, 9);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(toy_answer(&w, 0, 1), 10);
	toy_works(&w);
	toy_close(&w);
}

/* A queue of the device started after DRIVER_OK serves what it finds. spec: DEV-RING-003 DRV-RING-002 */
static void test_start_while_running(void **state)
{
	struct vio_devq_config config;
	struct toy_world w;

	toy_open(&w);
	toy_run(&w, 0);
	vio_device_queue_stop(&w.dev, 2);
	test_ring_make(&w.rings[2], &w.memory, w.rings[2].descriptor_area, TOY_SIZE);
	toy_request(&w, 2, 0, 41);
	config = test_ring_config(&w.rings[2], 0, 0);
	assert_int_equal(vio_device_queue_start(&w.dev, 2, &config), 0);
	assert_int_equal(toy_answer(&w, 2, 0), 42);
	/* Smaller at the next time. */
	vio_device_queue_stop(&w.dev, 2);
	test_ring_make(&w.rings[2], &w.memory, w.rings[2].descriptor_area, 2);
	config = test_ring_config(&w.rings[2], 0, 0);
	assert_int_equal(vio_device_queue_start(&w.dev, 2, &config), 0);
	assert_int_equal(w.dev.queues[2].size, 2);
	test_ring_make(&w.rings[2], &w.memory, w.rings[2].descriptor_area, TOY_SIZE);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A97 A98; spec: DEV-RING-001 DEV-RING-002 */
static void test_queue_reset_with_requests(void **state)
{
	struct toy_world w;
	unsigned i, kicks;

	toy_open(&w);
	toy_run(&w, 0);
	w.toy.hold = true;
	for (i = 0; i < 3; i++)
		toy_request(&w, 0, i, i);
	toy_request(&w, 1, 0, 10);
	vio_device_kick(&w.dev, 0);
	vio_device_kick(&w.dev, 1);
	assert_int_equal(w.toy.held_count, 4);
	assert_int_equal(test_ring_used_idx(&w.rings[0]), 0);
	assert_int_equal(vio_device_queue_stop(&w.dev, 0).avail, 3);
	assert_int_equal(w.toy.counts.drain, 1);
	assert_int_equal(test_ring_used_idx(&w.rings[0]), 3); /* drain completed them */
	assert_int_equal(w.toy.held_count, 1);

	/* Nothing happens on it any more, and the other goes on. */
	kicks = w.toy.counts.kick;
	toy_request(&w, 0, 3, 3);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(w.toy.counts.kick, kicks);
	assert_int_equal(test_ring_used_idx(&w.rings[0]), 3);
	assert_int_equal(vio_device_queue_stop(&w.dev, 0).avail, 0);
	toy_complete(&w.dev, &w.dev.queues[1]);
	vio_devq_notify(&w.dev.queues[1]);
	assert_int_equal(toy_answer(&w, 1, 0), 11);

	/* Enabled again it begins anew. */
	w.toy.hold = false;
	test_ring_make(&w.rings[0], &w.memory, w.rings[0].descriptor_area, TOY_SIZE);
	toy_start(&w, 0, 0);
	toy_request(&w, 0, 0, 7);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(toy_answer(&w, 0, 0), 8);
	assert_int_equal(test_ring_used_idx(&w.rings[0]), 1);
	toy_works(&w);
	toy_close(&w);
}

/* Stopped and started again with the rings as they are: not one request is lost or done twice. */
static void test_queue_stop_and_go_on(void **state)
{
	struct toy_world w;
	uint16_t next, i;

	toy_open(&w);
	toy_run(&w, TEST_BIT(VIRTIO_F_EVENT_IDX));
	for (i = 0; i < 100; i++) {
		toy_request(&w, 0, i % 4, i);
		if (i % 3 == 0)
			vio_device_kick(&w.dev, 0);
		if (i % 3 != 1)
			continue;
		next = vio_device_queue_stop(&w.dev, 0).avail;
		assert_int_equal(next, i); /* all but the last */
		toy_start(&w, 0, next);
		assert_int_equal(test_ring_used_idx(&w.rings[0]), i + 1);
		assert_int_equal(toy_answer(&w, 0, i % 4), i + 1u);
	}
	assert_int_equal(w.dev.status, TOY_RUNNING);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A94 A96; spec: DEV-BASIC-010 DEV-BASIC-011 */
static void test_reset_with_requests(void **state)
{
	struct toy_world w;

	toy_open(&w);
	toy_run(&w, 0);
	w.toy.hold = true;
	toy_request(&w, 0, 0, 1);
	toy_request(&w, 2, 1, 1);
	vio_device_kick(&w.dev, 0);
	vio_device_kick(&w.dev, 2);
	assert_int_equal(w.toy.held_count, 2);
	assert_int_equal(vio_device_write_status(&w.dev, 0), 0);
	assert_int_equal(w.toy.held_count, 0);
	assert_int_equal(w.toy.counts.drain, 3);
	w.interrupts[0] = w.interrupts[2] = 0;
	toy_request(&w, 0, 1, 1);
	vio_device_kick(&w.dev, 0);
	vio_device_config_changed(&w.dev);
	assert_int_equal(w.interrupts[0] + w.config_interrupts, 0);
	assert_int_equal(test_ring_used_idx(&w.rings[0]), 1);
	toy_works(&w);
	toy_close(&w);
}

static void reset_in_interrupt(struct toy_world *w, uint16_t queue)
{
	w->interrupted = NULL;
	assert_int_equal(vio_device_write_status(&w->dev, 0), 0);
}

/* hostile: A96 */
static void test_reset_in_an_interrupt(void **state)
{
	struct toy_world w;

	toy_open(&w);
	toy_run(&w, 0);
	toy_request(&w, 1, 0, 1);
	w.interrupted = reset_in_interrupt;
	vio_device_kick(&w.dev, 1);
	assert_int_equal(w.dev.status, 0);
	assert_int_equal(w.faults, 0);
	assert_false(w.dev.queues[1].running);
	toy_works(&w);

	/* The same where the interrupt comes while DRIVER_OK is being written. */
	toy_negotiate(&w, 0);
	test_ring_make(&w.rings[0], &w.memory, w.rings[0].descriptor_area, TOY_SIZE);
	toy_start(&w, 0, 0);
	toy_request(&w, 0, 0, 1);
	w.interrupted = reset_in_interrupt;
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING), 0);
	assert_int_equal(w.dev.status, 0);
	toy_works(&w);
	toy_close(&w);
}

/*
 * A fault on one queue: the device says so, once; nothing else is touched. spec:
 * DEV-BASIC-002 DEV-BASIC-003
 */
static void test_fault_needs_reset(void **state)
{
	struct toy_world w;
	unsigned i;

	toy_open(&w);
	toy_run(&w, 0);
	for (i = 0; i < 3; i++) {
		test_ring_offer(&w.rings[1], TOY_SIZE + i);
		vio_device_kick(&w.dev, 1);
		toy_request(&w, 0, 0, 5);
		vio_device_kick(&w.dev, 0);
	}
	assert_int_equal(w.faults, 1);
	assert_int_equal(w.dev.fault_count, 1);
	assert_int_equal(w.fault.kind, VIO_FAULT_HEAD_RANGE);
	assert_int_equal(w.fault.queue, 1);
	assert_int_equal(w.fault.index, 0);
	assert_int_equal(w.fault.value, TOY_SIZE);
	assert_int_equal(w.config_interrupts, 1);
	assert_int_equal(w.dev.status, TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(test_ring_used_idx(&w.rings[0]), 0); /* a device that needs a reset serves nobody */
	assert_int_equal(w.interrupts[0] + w.interrupts[1] + w.interrupts[2], 0);
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING),
			 TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	toy_works(&w);
	assert_int_equal(w.faults, 1);
	toy_close(&w);
}

/* What a device held when the queue broke can be completed, without effect. */
static void test_fault_with_requests_held(void **state)
{
	struct toy_world w;

	toy_open(&w);
	toy_run(&w, 0);
	w.toy.hold = true;
	toy_request(&w, 1, 0, 1);
	vio_device_kick(&w.dev, 1);
	test_ring_offer(&w.rings[1], 0); /* hostile: A57 */
	vio_device_kick(&w.dev, 1);
	assert_int_equal(w.fault.kind, VIO_FAULT_HEAD_BUSY);
	assert_int_equal(w.toy.held_count, 1);
	toy_complete(&w.dev, &w.dev.queues[1]); /* too late, and harmless */
	vio_devq_notify(&w.dev.queues[1]);
	assert_int_equal(test_ring_used_idx(&w.rings[1]), 0);
	toy_works(&w);
	toy_close(&w);
}

#define BIG_RING UINT64_C(0x200000)
#define BIG_SIZE (2 * VIO_DEVICE_KICK_BUDGET)

/* hostile: A55: served again only after the others had their turn. */
static void test_budget(void **state)
{
	struct vio_devq_config config;
	struct test_ring ring;
	struct toy_world w;
	unsigned i;

	toy_open(&w);
	vio_device_detach(&w.dev);
	vio_device_unrealize(&w.dev);
	assert_int_equal(vio_device_set_property(&w.dev, "queue-size", 10, "2048"), 0);
	assert_int_equal(vio_device_realize(&w.dev), 0);
	free(w.storage);
	w.storage = malloc(vio_device_storage_bytes(&w.dev));
	assert_non_null(w.storage);
	vio_device_provide(&w.dev, w.storage);
	toy_attach(&w);
	test_memory_add(&w.memory, BIG_RING, test_ring_bytes(BIG_SIZE), TEST_RW);
	test_ring_make(&ring, &w.memory, BIG_RING, BIG_SIZE);
	config = test_ring_config(&ring, 0, 0);
	for (i = 0; i < BIG_SIZE; i++) {
		test_ring_desc(&ring, i, TOY_DATA, 4, F_WRITE, 0);
		test_ring_entry(&ring, i, i);
	}
	toy_negotiate(&w, 0);
	assert_int_equal(vio_device_queue_start(&w.dev, 2, &config), 0);
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING), TOY_RUNNING);
	assert_int_equal(w.again[2], 0);
	test_ring_avail_idx(&ring, BIG_SIZE);
	vio_device_kick(&w.dev, 2);
	assert_int_equal(w.toy.served, VIO_DEVICE_KICK_BUDGET);
	assert_int_equal(test_ring_used_idx(&ring), VIO_DEVICE_KICK_BUDGET); /* what was done is shown */
	assert_int_equal(w.again[2], 1);
	vio_device_kick(&w.dev, 2);
	assert_int_equal(w.toy.served, BIG_SIZE);
	assert_int_equal(w.again[2], 2); /* it can't know yet that there is no more */
	vio_device_kick(&w.dev, 2);
	assert_int_equal(w.again[2], 2);
	assert_int_equal(w.faults, 0);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A108 at the level of the device */
static void test_memory_goes_away(void **state)
{
	struct toy_world w;
	struct vio_region region = { vio_addr_make(TOY_DATA), TOY_DATA_BYTES, NULL, TEST_RW };

	toy_open(&w);
	region.host = test_memory_at(&w.memory, TOY_DATA);
	toy_run(&w, 0);
	toy_request(&w, 0, 0, 1);
	assert_int_equal(vio_mem_remove(&w.memory.mem, region.base, region.size), 0);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(w.fault.kind, VIO_FAULT_BUFFER_MEMORY);
	assert_int_equal(w.fault.value, TOY_DATA);
	assert_int_equal(w.dev.status, TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(vio_mem_add(&w.memory.mem, &region), 0);
	toy_works(&w);
	toy_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kick_before_driver_ok),
		cmocka_unit_test(test_no_interrupt_before_driver_ok),
		cmocka_unit_test(test_kick_of_absent_queues),
		cmocka_unit_test(test_start_before_features_ok),
		cmocka_unit_test(test_start_wrongly),
		cmocka_unit_test(test_start_while_running),
		cmocka_unit_test(test_queue_reset_with_requests),
		cmocka_unit_test(test_queue_stop_and_go_on),
		cmocka_unit_test(test_reset_with_requests),
		cmocka_unit_test(test_reset_in_an_interrupt),
		cmocka_unit_test(test_fault_needs_reset),
		cmocka_unit_test(test_fault_with_requests_held),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_memory_goes_away),
	};

	return cmocka_run_group_tests_name("hostile: a driver against a device", tests, NULL, NULL);
}
