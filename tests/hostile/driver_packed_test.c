/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "base/atomic.h"
#include "lib/pair.h"
#include "ring/packed.h"

/* A driver's queue over a packed ring, against a device that writes what it likes into it. */

#define TOKENS 4

struct bench {
	struct test_pair pair;
	int tokens[TOKENS]; /* named by their addresses */
	uint16_t at;        /* where the device writes next */
};

/* A used descriptor at a position, by the wrap counter of that position. */
static void use_at(struct bench *b, uint16_t position, unsigned id, uint32_t length)
{
	struct pvirtq_desc *desc = &b->pair.ring.packed[packed_offset(position)];

	desc->id = vio_le16_make((uint16_t)id);
	desc->len = vio_le32_make(length);
	vio_store_release_le16(&desc->flags,
			       (uint16_t)(packed_used_flags(position) | (length ? VIRTQ_DESC_F_WRITE : 0u)));
}

/* The next one, of a buffer of `count` descriptors. */
static void use(struct bench *b, unsigned id, uint32_t length, unsigned count)
{
	use_at(b, b->at, id, length);
	b->at = packed_advance(b->at, (uint16_t)count, b->pair.ring.size);
}

/* The id of the buffer whose last descriptor is `back` before the last one added. */
static unsigned id_of(const struct bench *b, unsigned back)
{
	uint16_t position = packed_retreat(b->pair.drv.avail_next, (uint16_t)(back + 1), b->pair.ring.size);

	return vio_le16_get(b->pair.ring.packed[packed_offset(position)].id);
}

static void serve_one(struct bench *b)
{
	uint32_t written = 0;
	int token;

	assert_int_equal(test_pair_add(&b->pair, 64, 8, &token), 0);
	vio_drvq_kick(&b->pair.drv);
	b->at = b->pair.drv.used_next;
	use(b, id_of(b, 0), 5, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &token);
	assert_int_equal(written, 5);
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	assert_int_equal(b->pair.drv.in_flight, 0);
}

/* Adds `count` buffers of one writable byte and more, and shows them. */
static void expose(struct bench *b, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		assert_int_equal(test_pair_add(&b->pair, 4 * i, 1 + i, &b->tokens[i]), 0);
	vio_drvq_kick(&b->pair.drv);
	b->at = b->pair.drv.used_next;
}

/*
 * The next get finds this fault: the caller gets nothing, neither ring memory nor the lists
 * change, nothing comes until the queue is started again, and what was exposed can be taken
 * back, each buffer once.
 */
static void expect_fault(struct bench *b, enum vio_fault_kind kind, uint16_t position, uint64_t value)
{
	struct vio_drvq *q = &b->pair.drv;
	uint16_t free_count = q->free_count, in_flight = q->in_flight, back = 0;
	uint64_t hash = test_memory_hash(&b->pair.memory, PAIR_RING, 16u * (size_t)q->size);
	unsigned kicks = b->pair.kicks;
	uint32_t written = 77;
	void *token, *last = NULL, *many[4];
	int other;

	assert_false(vio_drvq_broken(q));
	assert_null(vio_drvq_get(q, &written));
	assert_true(vio_drvq_broken(q));
	assert_string_equal(vio_fault_name(q->fault.kind), vio_fault_name(kind));
	assert_int_equal(q->fault.queue, 5);
	assert_int_equal(q->fault.index, packed_offset(position));
	assert_int_equal(q->fault.value, value);
	assert_int_equal(written, 77);
	assert_int_equal(q->free_count, free_count);
	assert_int_equal(q->in_flight, in_flight);

	assert_null(vio_drvq_get(q, NULL));
	assert_int_equal(vio_drvq_get_many(q, many, NULL, 4), 0);
	assert_null(vio_drvq_poll(q, NULL, 3));
	assert_false(vio_drvq_pending(q));
	assert_int_equal(test_pair_add(&b->pair, 0, 1, &other), -VIO_EPEER);
	vio_drvq_kick(q);
	assert_int_equal(b->pair.kicks, kicks);
	assert_int_equal(test_memory_hash(&b->pair.memory, PAIR_RING, 16u * (size_t)q->size), hash);

	while ((token = vio_drvq_detach_unused(q)) != NULL) {
		assert_ptr_not_equal(token, last);
		last = token;
		back++;
	}
	assert_int_equal(back, in_flight);
	assert_int_equal(q->free_count, q->size);
	test_pair_restart_driver(&b->pair);
	serve_one(b);
}

static void each_of(uint16_t size, uint64_t features, void (*body)(struct bench *b))
{
	const uint16_t starts[] = { 0, (uint16_t)(size - 1), (uint16_t)(size + 2) };
	struct test_pair_config config = { .size = size, .features = features | TEST_PACKED };
	unsigned event, start;
	struct bench b;

	for (event = 0; event < 2; event++) {
		for (start = 0; start < (size > 256 ? 1 : VIO_ARRAY_SIZE(starts)); start++) {
			config.features |= event ? TEST_EVENT : TEST_PLAIN;
			memset(&b, 0, sizeof(b));
			test_pair_open(&b.pair, &config);
			test_pair_advance(&b.pair, starts[start]);
			body(&b);
			test_pair_close(&b.pair);
		}
	}
}

static void each(uint64_t features, void (*body)(struct bench *b))
{
	static const uint16_t sizes[] = { 4, 7, 8, 256, 1024, 32768 };
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++)
		each_of(sizes[i], features, body);
}

/* hostile: B1 B23 */
static void id_is_size(struct bench *b)
{
	expose(b, 2);
	use(b, b->pair.ring.size, 1, 1);
	expect_fault(b, VIO_FAULT_USED_ID, packed_retreat(b->at, 1, b->pair.ring.size), b->pair.ring.size);
}

/* hostile: B2 B23 */
static void id_all_ones(struct bench *b)
{
	uint16_t position;

	expose(b, 2);
	position = b->at;
	use(b, 0xffff, 1, 1);
	expect_fault(b, VIO_FAULT_USED_ID, position, 0xffff);
}

/* An id that no buffer has that was shown. */
static unsigned unused_id(const struct bench *b, unsigned shown)
{
	unsigned id, i;

	for (id = 0;; id++) {
		for (i = 0; i < shown && id_of(b, i) != id; i++)
			continue;
		if (i == shown)
			return id;
	}
}

/* hostile: B3 B6 B7 */
static void id_never_exposed(struct bench *b)
{
	uint16_t position;
	unsigned id;

	expose(b, 2);
	position = b->at;
	id = unused_id(b, 2);
	use(b, id, 1, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id);
}

/* hostile: B3, one that was added and not shown yet: the device can only have guessed it. */
static void id_not_shown(struct bench *b)
{
	uint16_t position;
	unsigned id;

	expose(b, 2);
	position = b->at;
	assert_int_equal(test_pair_add(&b->pair, 100, 1, &b->tokens[3]), 0);
	id = b->pair.drv.in_order ? packed_offset(b->pair.drv.avail_visible) : unused_id(b, 0);
	while (!b->pair.drv.in_order && (id == id_of(b, 1) || id == id_of(b, 2)))
		id++;
	use(b, id, 1, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id);
}

/* hostile: B4 */
static void id_again(struct bench *b)
{
	uint16_t position;
	unsigned id;

	expose(b, 2);
	id = id_of(b, 1);
	use(b, id, 1, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[0]);
	position = b->at;
	use(b, id, 1, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id);
}

/* hostile: B4 B26, both in one batch, out of order */
static void id_twice_at_once(struct bench *b)
{
	uint16_t position;
	unsigned id;

	expose(b, 3);
	id = id_of(b, 0);
	use(b, id, 1, 1);
	position = b->at;
	use(b, id, 1, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[2]);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id);
}

/* hostile: B24: used by the other wrap counter is not used; neither is one flag alone. */
static void wrong_wrap_counter(struct bench *b)
{
	uint32_t written = 0;
	uint16_t position;
	unsigned id;

	expose(b, 1);
	position = b->at;
	id = id_of(b, 0);
	use_at(b, position ^ PVIRTQ_WRAP, id, 1);
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	vio_store_le16(&b->pair.ring.packed[packed_offset(position)].flags, packed_avail_flags(position));
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	vio_store_le16(&b->pair.ring.packed[packed_offset(position)].flags,
		       packed_avail_flags(position ^ PVIRTQ_WRAP));
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	assert_false(vio_drvq_broken(&b->pair.drv));
	use_at(b, position, id, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[0]);
}

/* hostile: B26: completed in the middle of a list, it isn't found where the driver looks. */
static void completes_in_the_middle(struct bench *b)
{
	struct vio_sg sg[3] = { { vio_addr_make(PAIR_DATA), 4 },
				{ vio_addr_make(PAIR_DATA + 8), 4 },
				{ vio_addr_make(PAIR_DATA + 16), 4 } };
	uint32_t written = 0;
	unsigned id;

	assert_int_equal(vio_drvq_add(&b->pair.drv, sg, 1, 2, &b->tokens[0]), 0);
	vio_drvq_kick(&b->pair.drv);
	b->at = b->pair.drv.used_next;
	id = id_of(b, 0);
	use_at(b, packed_advance(b->at, 1, b->pair.ring.size), id, 1);
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	assert_false(vio_drvq_broken(&b->pair.drv));
	use(b, id, 8, 3);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[0]);
	assert_int_equal(written, 8);
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	serve_one(b);
}

/* hostile: B10 B11 B12, shorter is legal and told as it is. */
static void shorter_is_told(struct bench *b)
{
	uint32_t written = 9;

	expose(b, 3);
	use(b, id_of(b, 2), 0, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[0]);
	assert_int_equal(written, 0);
	use(b, id_of(b, 1), 1, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[1]);
	assert_int_equal(written, 1);
}

static void longer_than_the_buffer(struct bench *b)
{
	uint16_t position;

	expose(b, 3);
	position = b->at;
	use(b, id_of(b, 2), 2, 1);
	expect_fault(b, VIO_FAULT_USED_LENGTH, position, 2);
	expose(b, 1);
	position = b->at;
	use(b, id_of(b, 0), UINT32_MAX, 1);
	expect_fault(b, VIO_FAULT_USED_LENGTH, position, UINT32_MAX);
}

/* hostile: B13 B16 B17: behind what was shown it finds what isn't in flight. */
static void goes_on_behind_what_is_shown(struct bench *b)
{
	uint16_t position;
	unsigned i;

	expose(b, 2);
	for (i = 0; i < 2; i++)
		use(b, id_of(b, 1 - i), 0, 1);
	position = b->at;
	use(b, id_of(b, 0), 0, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[0]);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[1]);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id_of(b, 0));
}

/* hostile: B18: whatever becomes of the shared copy, the private one is used. */
static void rewrites_what_we_wrote(struct bench *b)
{
	struct vio_sg sg[2] = { { vio_addr_make(PAIR_DATA), 4 }, { vio_addr_make(PAIR_DATA + 8), 4 } };
	unsigned round, i, size = b->pair.ring.size;
	uint32_t written;
	uint16_t unused;

	for (round = 0; round < 3; round++) {
		unsigned id;

		assert_int_equal(vio_drvq_add(&b->pair.drv, sg, 1, 1, &b->tokens[round]), 0);
		vio_drvq_kick(&b->pair.drv);
		b->at = b->pair.drv.used_next;
		id = id_of(b, 0);
		unused = packed_avail_flags(b->at) | F_NEXT;
		for (i = 0; i < size; i++)
			b->pair.ring.packed[i] =
				(struct pvirtq_desc){ vio_le64_make(UINT64_MAX), vio_le32_make(UINT32_MAX),
						      vio_le16_make((uint16_t)(id + 1)),
						      vio_le16_make(unused) };
		use(b, id, 4, 2);
		assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[round]);
		assert_int_equal(written, 4);
		assert_int_equal(b->pair.drv.free_count, size);
		/* What is behind looks used by the time the wrap counter turns; it was never shown. */
		test_pair_restart_driver(&b->pair);
	}
	for (i = 0; i < size; i++)
		assert_int_equal(test_pair_add(&b->pair, 0, 1, &b->tokens[0]), 0);
	assert_int_equal(test_pair_add(&b->pair, 0, 1, &b->tokens[0]), -VIO_ENOSPC);
}

/* hostile: B29 B31 B32 */
static void never_completes(struct bench *b)
{
	uint16_t position;
	unsigned i, id;

	expose(b, 4);
	for (i = 0; i < 100; i++) {
		assert_null(vio_drvq_get(&b->pair.drv, NULL));
		assert_true(vio_drvq_enable_cb(&b->pair.drv));
	}
	for (i = 0; i < 4; i++)
		assert_in_range((uintptr_t)vio_drvq_detach_unused(&b->pair.drv), (uintptr_t)b->tokens,
				(uintptr_t)&b->tokens[3]);
	assert_null(vio_drvq_detach_unused(&b->pair.drv));
	id = id_of(b, 3);
	position = b->at;
	use(b, id, 1, 1); /* late */
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id);
}

/* hostile: B33 B34 B35 */
static void interrupts_for_nothing(struct bench *b)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		vio_drvq_disable_cb(&b->pair.drv);
		assert_null(vio_drvq_get(&b->pair.drv, NULL));
		assert_false(vio_drvq_pending(&b->pair.drv));
		assert_true(vio_drvq_enable_cb(&b->pair.drv));
	}
	vio_drvq_disable_cb(&b->pair.drv);
	expose(b, 1);
	use(b, id_of(b, 0), 1, 1);
	assert_true(vio_drvq_pending(&b->pair.drv));
	assert_ptr_equal(vio_drvq_poll(&b->pair.drv, NULL, 2), &b->tokens[0]);
	assert_false(vio_drvq_broken(&b->pair.drv));
	serve_one(b);
}

/* A device that writes nonsense into its suppression structure costs kicks, nothing else. */
static void suppression_at_random(struct bench *b)
{
	uint64_t seed = b->pair.ring.size;
	unsigned i;

	for (i = 0; i < 300; i++) {
		b->pair.ring.device_event->desc = vio_le16_make((uint16_t)test_random(&seed));
		b->pair.ring.device_event->flags = vio_le16_make((uint16_t)test_random(&seed));
		serve_one(b);
	}
}

/* hostile: B27 B28, in order: one id for all up to it, each with its whole length but the last. */
static void batch_by_one(struct bench *b)
{
	uint32_t written = 0;
	unsigned i;

	expose(b, 4);
	use(b, id_of(b, 1), 1, 3);
	for (i = 0; i < 3; i++) {
		assert_true(vio_drvq_pending(&b->pair.drv));
		assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[i]);
		assert_int_equal(written, i < 2 ? 1 + i : 1);
	}
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	use(b, id_of(b, 0), 4, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[3]);
	assert_int_equal(written, 4);
	serve_one(b);
}

/* hostile: B28, a batch that skips to what was never added, or to what came back before. */
static void batch_too_far(struct bench *b)
{
	uint16_t position;
	unsigned id;

	expose(b, 3);
	position = b->at;
	id = packed_offset(b->pair.drv.avail_next); /* the next to be added */
	use(b, id, 0, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id);
	expose(b, 3);
	use(b, id_of(b, 2), 0, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[0]);
	position = b->at;
	id = id_of(b, 2);
	use(b, id, 0, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, position, id);
}

#define ON_EACH(body)                          \
	static void test_##body(void **state)  \
	{                                      \
		each(0, body);                 \
	}                                      \
	static void order_##body(void **state) \
	{                                      \
		each(TEST_IN_ORDER, body);     \
	}
#define BOTH(body) cmocka_unit_test(test_##body), cmocka_unit_test(order_##body)

ON_EACH(id_is_size)
ON_EACH(id_all_ones)
ON_EACH(id_never_exposed)
ON_EACH(id_not_shown)
ON_EACH(id_again)
ON_EACH(wrong_wrap_counter)
ON_EACH(completes_in_the_middle)
ON_EACH(shorter_is_told)
ON_EACH(longer_than_the_buffer)
ON_EACH(goes_on_behind_what_is_shown)
ON_EACH(rewrites_what_we_wrote)
ON_EACH(never_completes)
ON_EACH(interrupts_for_nothing)
ON_EACH(suppression_at_random)

static void test_id_twice_at_once(void **state)
{
	each(0, id_twice_at_once);
}

static void order_batch_by_one(void **state)
{
	each(TEST_IN_ORDER, batch_by_one);
}

static void order_batch_too_far(void **state)
{
	each(TEST_IN_ORDER, batch_too_far);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(id_is_size),
		BOTH(id_all_ones),
		BOTH(id_never_exposed),
		BOTH(id_not_shown),
		BOTH(id_again),
		BOTH(wrong_wrap_counter),
		BOTH(completes_in_the_middle),
		BOTH(shorter_is_told),
		BOTH(longer_than_the_buffer),
		BOTH(goes_on_behind_what_is_shown),
		BOTH(rewrites_what_we_wrote),
		BOTH(never_completes),
		BOTH(interrupts_for_nothing),
		BOTH(suppression_at_random),
		cmocka_unit_test(test_id_twice_at_once),
		cmocka_unit_test(order_batch_by_one),
		cmocka_unit_test(order_batch_too_far),
	};

	return cmocka_run_group_tests_name("hostile: a device against a packed driver", tests, NULL, NULL);
}
