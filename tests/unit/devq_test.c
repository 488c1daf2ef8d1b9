/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "lib/world.h"

/* The device's side of a queue: what it tells the driver, and calls that only it has. */

static void make_singles(struct test_world *w)
{
	unsigned i;

	for (i = 0; i < w->ring.size; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW + 16 * i, 8, F_WRITE, 0);
}

static void serve(struct test_world *w, unsigned count)
{
	struct vio_buf buf;

	while (count--) {
		test_ring_offer(&w->ring, 0);
		buf = test_world_pops(w);
		vio_devq_push(&w->q, &buf, 1);
	}
	vio_devq_notify(&w->q);
}

/* spec: DEV-SPLIT-007 DEV-SPLIT-008 DEV-SPLIT-009 */
static void test_interrupt_by_flags(void **state)
{
	struct test_world w;
	unsigned flags;

	test_world_open(&w, 8, 65530, TEST_PLAIN);
	make_singles(&w);
	for (flags = 0; flags < 2; flags++) {
		unsigned i;

		test_ring_avail_flags(&w.ring, flags);
		for (i = 0; i < 20; i++) {
			w.interrupts = 0;
			test_ring_used_event(&w.ring,
					     i & 1 ? test_ring_used_idx(&w.ring) : 0x8000); /* ignored */
			serve(&w, 1 + i % 3);
			assert_int_equal(w.interrupts, flags ? 0 : 1);
			vio_devq_notify(&w.q); /* nothing new */
			assert_int_equal(w.interrupts, flags ? 0 : 1);
		}
	}
	test_world_close(&w);
}

/*
 * spec: DEV-SPLIT-010 DEV-SPLIT-011 DEV-SPLIT-012: exactly when a batch passes the
 * event, all over the wrap.
 */
static void test_interrupt_by_event(void **state)
{
	struct test_world w;
	unsigned batch;
	int distance;

	test_world_open(&w, 16, 0, TEST_EVENT);
	make_singles(&w);
	test_ring_set_used_idx(&w.ring, 0);
	for (batch = 1; batch < 12; batch++) {
		for (distance = -3; distance < 14; distance++) {
			bool due = distance >= 0 && distance < (int)batch;

			w.interrupts = 0;
			test_ring_avail_flags(&w.ring, batch & 1); /* ignored */
			test_ring_used_event(&w.ring, (unsigned)(test_ring_used_idx(&w.ring) + distance));
			serve(&w, batch);
			assert_int_equal(w.interrupts, due);
			assert_int_equal(test_ring_used_flags(&w.ring), 0);
		}
	}
	test_world_close(&w);
}

/* spec: DEV-SPLIT-015 DEV-SPLIT-MAY-004 DEV-SPLIT-MAY-007 */
static void test_kicks_by_flags(void **state)
{
	struct vio_devq_config config;
	struct test_world w;
	struct vio_buf buf;

	test_world_open(&w, 8, 0, TEST_PLAIN);
	make_singles(&w);
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(test_ring_used_flags(&w.ring), 0);
	test_ring_offer(&w.ring, 0);
	buf = test_world_pops(&w);
	assert_int_equal(test_ring_used_flags(&w.ring), 1); /* we're at work */
	vio_devq_push(&w.q, &buf, 0);
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(test_ring_used_flags(&w.ring), 0);

	vio_devq_disable_kick(&w.q);
	assert_int_equal(test_ring_used_flags(&w.ring), 1);
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(test_ring_used_flags(&w.ring), 1);
	test_ring_offer(&w.ring, 1);
	assert_false(vio_devq_enable_kick(&w.q)); /* there is one already */
	assert_int_equal(test_ring_used_flags(&w.ring), 0);
	buf = test_world_pops(&w);
	vio_devq_push(&w.q, &buf, 0);
	assert_true(vio_devq_enable_kick(&w.q));
	/* A queue that polled when it was stopped asks for kicks again, on the ring as it was. */
	vio_devq_disable_kick(&w.q);
	assert_int_equal(test_ring_used_flags(&w.ring), 1);
	config = test_ring_config(&w.ring, vio_devq_stop(&w.q).avail, TEST_PLAIN);
	assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), 0);
	assert_int_equal(test_ring_used_flags(&w.ring), 0);
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(test_ring_used_flags(&w.ring), 0);
	assert_true(vio_devq_enable_kick(&w.q));
	test_world_close(&w);
}

/* spec: DEV-SPLIT-016 DEV-SPLIT-MAY-005 DEV-SPLIT-MAY-007 */
static void test_kicks_by_event(void **state)
{
	struct test_world w;
	struct vio_buf buf;
	unsigned i;

	test_world_open(&w, 8, 65533, TEST_EVENT);
	make_singles(&w);
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(test_ring_avail_event(&w.ring), 65533);
	for (i = 0; i < 6; i++) {
		test_ring_offer(&w.ring, i);
		buf = test_world_pops(&w);
		vio_devq_push(&w.q, &buf, 0);
	}
	assert_int_equal(test_ring_avail_event(&w.ring), 65533); /* not asked while at work */
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(test_ring_avail_event(&w.ring), (uint16_t)(65533 + 6));
	vio_devq_disable_kick(&w.q);
	test_ring_offer(&w.ring, 0);
	buf = test_world_pops(&w);
	vio_devq_push(&w.q, &buf, 0);
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(test_ring_avail_event(&w.ring), (uint16_t)(65533 + 6));
	assert_true(vio_devq_enable_kick(&w.q));
	assert_int_equal(test_ring_avail_event(&w.ring), (uint16_t)(65533 + 7));
	assert_int_equal(test_ring_used_flags(&w.ring), 0);
	test_world_close(&w);
}

static void test_unpop(void **state)
{
	struct test_world w;
	struct vio_buf buf, again, other;
	unsigned event;

	for (event = 0; event < 2; event++) {
		test_world_open(&w, 4, 65535, event ? TEST_EVENT : TEST_PLAIN);
		make_singles(&w);
		test_ring_offer(&w.ring, 2);
		test_ring_offer(&w.ring, 1);
		vio_devq_set_budget(&w.q, 3);
		buf = test_world_pops(&w);
		assert_int_equal(buf.head, 2);
		vio_write(&buf, "abc", 3);
		vio_devq_unpop(&w.q, &buf);
		assert_int_equal(w.q.in_flight, 0);
		assert_int_equal(w.q.budget, 3);
		again = test_world_pops(&w);
		assert_int_equal(again.head, 2);
		assert_int_equal(again.writable_bytes, 8); /* whole again */
		other = test_world_pops(&w);
		assert_int_equal(other.head, 1);
		vio_devq_unpop(&w.q, &other);
		/* Nothing new, but not nothing: who asks for kicks is told to look again. */
		assert_false(vio_devq_enable_kick(&w.q));
		other = test_world_pops(&w);
		vio_devq_push(&w.q, &other, 0);
		vio_devq_push(&w.q, &again, 0);
		vio_devq_notify(&w.q);
		assert_int_equal(test_ring_used_id(&w.ring, 0), 1);
		assert_int_equal(test_ring_used_id(&w.ring, 1), 2);
		/* Stopped after an unpop it goes on with that buffer. */
		test_ring_offer(&w.ring, 3);
		vio_devq_set_budget(&w.q, VIO_DEVQ_NO_BUDGET);
		buf = test_world_pops(&w);
		vio_devq_unpop(&w.q, &buf);
		assert_int_equal(w.q.budget, VIO_DEVQ_NO_BUDGET);
		assert_int_equal(vio_devq_stop(&w.q).avail, 1);
		vio_devq_unpop(&w.q, &buf);
		assert_int_equal(w.q.avail_next, 1);
		test_world_serves(&w);
		test_world_close(&w);
	}
}

/* Buffers of an earlier life are dropped, whatever runs now. spec: DEV-RING-001 */
static void test_push_after_stop(void **state)
{
	struct test_world w;
	struct vio_buf old, now;

	test_world_open(&w, 4, 0, TEST_PLAIN);
	make_singles(&w);
	test_ring_offer(&w.ring, 0);
	old = test_world_pops(&w);
	vio_devq_stop(&w.q);
	vio_devq_push(&w.q, &old, 1);
	vio_devq_notify(&w.q);
	test_world_serves(&w);
	make_singles(&w);
	test_ring_offer(&w.ring, 0);
	now = test_world_pops(&w);
	vio_devq_push(&w.q, &old, 8);
	vio_devq_unpop(&w.q, &old);
	vio_devq_notify(&w.q);
	assert_int_equal(test_ring_used_idx(&w.ring), 1);
	assert_int_equal(w.q.in_flight, 1);
	vio_devq_push(&w.q, &now, 8);
	vio_devq_notify(&w.q);
	assert_int_equal(test_ring_used_idx(&w.ring), 2);
	test_world_close(&w);
}

/* The driver sees what was pushed at notify, not before. spec: DEV-SPLIT-013 DEV-SPLIT-014 */
static void test_push_shows_at_notify(void **state)
{
	struct test_world w;
	struct vio_buf a, b;

	test_world_open(&w, 4, 0, TEST_PLAIN);
	make_singles(&w);
	test_ring_offer(&w.ring, 0);
	test_ring_offer(&w.ring, 1);
	a = test_world_pops(&w);
	b = test_world_pops(&w);
	vio_devq_push(&w.q, &b, 3);
	vio_devq_push(&w.q, &a, 4);
	assert_int_equal(test_ring_used_idx(&w.ring), 0);
	assert_int_equal(w.interrupts, 0);
	vio_devq_notify(&w.q);
	assert_int_equal(test_ring_used_idx(&w.ring), 2);
	assert_int_equal(test_ring_used_id(&w.ring, 0), 1);
	assert_int_equal(test_ring_used_len(&w.ring, 0), 3);
	assert_int_equal(test_ring_used_id(&w.ring, 1), 0);
	assert_int_equal(test_ring_used_len(&w.ring, 1), 4);
	assert_int_equal(w.interrupts, 1);
	test_world_close(&w);
}

/* Each buffer in flight has a request of its own, aligned, and kept until it is pushed. */
static void test_requests(void **state)
{
	struct vio_buf bufs[8];
	struct test_world w;
	unsigned i, j;

	test_world_open(&w, 8, 0, TEST_PLAIN);
	make_singles(&w);
	for (i = 0; i < 8; i++) {
		test_ring_offer(&w.ring, i);
		bufs[i] = test_world_pops(&w);
		assert_int_equal((uintptr_t)bufs[i].request % _Alignof(max_align_t), 0);
		memset(bufs[i].request, (int)i, WORLD_REQUEST_BYTES);
	}
	for (i = 0; i < 8; i++) {
		assert_int_equal(bufs[i].writable_count, 1);
		assert_ptr_equal(bufs[i].writable->host, test_memory_at(&w.memory, WORLD_LOW + 16 * i));
		for (j = 0; j < WORLD_REQUEST_BYTES; j++)
			assert_int_equal(((uint8_t *)bufs[i].request)[j], i);
		vio_devq_push(&w.q, &bufs[i], 0);
	}
	test_world_close(&w);
}

/*
 * More spans than the queue keeps: the first ones, and the very last.
 * hostile: A33, spec: DEV-SPLIT-MAY-001
 */
static void test_truncated(void **state)
{
	static const unsigned readables[] = { 0, 1, 7, 8, 9, 15, 16 };
	struct test_world w;
	struct vio_buf buf;
	unsigned r, i;

	test_world_open(&w, 16, 0, TEST_PLAIN);
	for (r = 0; r < VIO_ARRAY_SIZE(readables); r++) {
		unsigned readable = readables[r], first;

		for (i = 0; i < 16; i++)
			test_ring_desc(&w.ring, i, WORLD_LOW + 16 * i, 2,
				       (i < 15 ? F_NEXT : 0u) | (i >= readable ? F_WRITE : 0u), i + 1);
		test_ring_offer(&w.ring, 0);
		buf = test_world_pops(&w);
		first = readable < WORLD_SPANS - 1 || readable == 16 ? readable : WORLD_SPANS - 1;
		if (first > WORLD_SPANS)
			first = WORLD_SPANS;
		assert_true(buf.truncated);
		assert_int_equal(buf.readable_count, first);
		assert_int_equal(buf.writable_count, WORLD_SPANS - first);
		assert_int_equal(buf.readable_bytes, 2 * readable);
		assert_int_equal(buf.writable_bytes, 2 * (16 - readable));
		for (i = 0; i + 1 < WORLD_SPANS; i++)
			assert_ptr_equal(buf.readable[i].host, test_memory_at(&w.memory, WORLD_LOW + 16 * i));
		assert_ptr_equal(buf.readable[i].host, test_memory_at(&w.memory, WORLD_LOW + 16 * 15));
		if (readable < 16)
			assert_ptr_equal(vio_buf_take_last(&buf),
					 test_memory_at(&w.memory, WORLD_LOW + 16 * 15 + 1));
		vio_devq_push(&w.q, &buf, 0);
	}
	test_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupt_by_flags),
		cmocka_unit_test(test_interrupt_by_event),
		cmocka_unit_test(test_kicks_by_flags),
		cmocka_unit_test(test_kicks_by_event),
		cmocka_unit_test(test_unpop),
		cmocka_unit_test(test_push_after_stop),
		cmocka_unit_test(test_push_shows_at_notify),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests_name("the device's queue", tests, NULL, NULL);
}
