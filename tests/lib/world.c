/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/world.h"

static void count_interrupt(void *context, struct vio_devq *q)
{
	struct test_world *w = context;

	assert_true(q->running);
	w->interrupts++;
}

static void no_interrupt(void *context, struct vio_devq *q)
{
}

static void start(struct test_world *w, uint16_t avail_base)
{
	struct vio_devq_config config = test_ring_config(&w->ring, avail_base, w->features);

	test_ring_avail_idx(&w->ring, avail_base);
	assert_int_equal(vio_devq_start(&w->q, &w->memory.mem, &config), 0);
}

static void make_ring(struct test_world *w, struct test_ring *ring, uint64_t base, uint16_t size)
{
	if (w->features & TEST_PACKED)
		test_ring_make_packed(ring, &w->memory, base, size);
	else
		test_ring_make(ring, &w->memory, base, size);
}

void test_world_open(struct test_world *w, uint16_t size, uint16_t avail_base, uint64_t features)
{
	struct vio_devq_config config;

	memset(w, 0, sizeof(*w));
	w->features = features;
	test_memory_init(&w->memory);
	test_memory_add(&w->memory, WORLD_RING, test_ring_bytes(size), TEST_RW);
	test_memory_add(&w->memory, WORLD_LOW, WORLD_DATA_BYTES, TEST_RW);
	test_memory_add(&w->memory, WORLD_HIGH, WORLD_DATA_BYTES, TEST_RW);
	test_memory_add(&w->memory, WORLD_FAR, WORLD_DATA_BYTES, TEST_RW);
	test_memory_add(&w->memory, WORLD_ROM, WORLD_ROM_BYTES, VIO_MEM_READ);
	test_memory_add(&w->memory, WORLD_OTHER, test_ring_bytes(WORLD_OTHER_SIZE), TEST_RW);
	test_memory_add(&w->memory, WORLD_TOP, WORLD_TOP_BYTES, TEST_RW);
	test_memory_seal(&w->memory);

	make_ring(w, &w->ring, WORLD_RING, size);
	w->storage = malloc(vio_devq_storage_bytes(size, WORLD_SPANS, WORLD_REQUEST_BYTES));
	assert_non_null(w->storage);
	vio_devq_init(&w->q, 0, size, WORLD_SPANS, WORLD_REQUEST_BYTES, w->storage, w, count_interrupt);
	start(w, avail_base);

	make_ring(w, &w->other_ring, WORLD_OTHER, WORLD_OTHER_SIZE);
	w->other_storage = malloc(vio_devq_storage_bytes(WORLD_OTHER_SIZE, 2, 0));
	assert_non_null(w->other_storage);
	vio_devq_init(&w->other, 1, WORLD_OTHER_SIZE, 2, 0, w->other_storage, w, no_interrupt);
	config = test_ring_config(&w->other_ring, 0, features);
	assert_int_equal(vio_devq_start(&w->other, &w->memory.mem, &config), 0);
}

void test_world_close(struct test_world *w)
{
	vio_devq_stop(&w->q);
	vio_devq_stop(&w->other);
	free(w->storage);
	free(w->other_storage);
	test_ring_free(&w->ring);
	test_ring_free(&w->other_ring);
	test_memory_free(&w->memory);
}

/* One request through a ring: reads 3 bytes, writes 2. */
static void serve_one(struct test_memory *memory, struct test_ring *ring, struct vio_devq *q)
{
	uint16_t used = test_ring_used_idx(ring);
	bool two = ring->size > 1;
	struct vio_buf buf;
	char text[4] = "";

	test_memory_put(memory, WORLD_FAR + 100, "abc", 3);
	test_ring_desc(ring, 0, WORLD_FAR + 100, 3, two ? F_NEXT : 0, 1);
	if (two)
		test_ring_desc(ring, 1, WORLD_FAR + 200, 2, F_WRITE, 0);
	test_ring_offer(ring, 0);
	assert_true(vio_devq_pop(q, &buf));
	assert_int_equal(vio_read(&buf, text, sizeof(text)), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(vio_write(&buf, "xyz", 3), two ? 2 : 0);
	vio_devq_push(q, &buf, 2);
	vio_devq_notify(q);
	assert_int_equal(test_ring_used_idx(ring), (uint16_t)(used + 1));
	assert_int_equal(test_ring_used_id(ring, used), 0);
	assert_int_equal(test_ring_used_len(ring, used), two ? 2 : 0);
	if (two)
		assert_memory_equal(test_memory_at(memory, WORLD_FAR + 200), "xy", 2);
	assert_false(vio_devq_pop(q, &buf));
	assert_false(vio_devq_broken(q));
}

void test_world_serves(struct test_world *w)
{
	vio_devq_stop(&w->q);
	assert_false(w->q.running);
	make_ring(w, &w->ring, WORLD_RING, w->ring.size);
	start(w, 0);
	assert_int_equal(w->q.fault.kind, VIO_FAULT_NONE);
	serve_one(&w->memory, &w->ring, &w->q);
}

/* All that the device has no business to write: everything but the device area. */
static uint64_t untouchable(const struct test_world *w)
{
	uint64_t hash = test_memory_hash(&w->memory, WORLD_RING,
					 16u * (size_t)w->ring.size); /* spec: DEV-SPLIT-004 DEV-PACKED-004 */

	hash += test_memory_hash(&w->memory, w->ring.driver_area,
				 w->ring.packed ? 4 : 6 + 2u * (size_t)w->ring.size);
	hash ^= 3 * test_memory_hash(&w->memory, WORLD_LOW, 2 * WORLD_DATA_BYTES);
	hash ^= 5 * test_memory_hash(&w->memory, WORLD_FAR, WORLD_DATA_BYTES);
	hash ^= 7 * test_memory_hash(&w->memory, WORLD_ROM, WORLD_ROM_BYTES);
	return hash ^ 9 * test_memory_hash(&w->memory, WORLD_TOP, WORLD_TOP_BYTES);
}

/* Bits of a fault's value that don't count: whether flags are those of a lap or the other. */
static uint64_t ignored_state(const struct test_world *w, enum vio_fault_kind kind)
{
	bool flags = kind == VIO_FAULT_READ_AFTER_WRITE || kind == VIO_FAULT_INDIRECT_REFUSED ||
		     kind == VIO_FAULT_INDIRECT_NEXT || kind == VIO_FAULT_INDIRECT_NESTED ||
		     kind == VIO_FAULT_CHAIN_PART;

	return w->ring.packed && flags ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0;
}

void test_world_faults(struct test_world *w, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	uint64_t before = untouchable(w), state = ignored_state(w, kind);
	uint16_t used = test_ring_used_idx(&w->ring), in_flight = w->q.in_flight;
	struct vio_buf buf;
	int again;

	assert_false(vio_devq_broken(&w->q));
	for (again = 0; again < 3; again++) {
		assert_false(vio_devq_pop(&w->q, &buf));
		assert_string_equal(vio_fault_name(w->q.fault.kind), vio_fault_name(kind));
		assert_int_equal(w->q.fault.kind, kind);
		assert_int_equal(w->q.fault.queue, 0);
		assert_int_equal(w->q.fault.index, index);
		assert_int_equal(w->q.fault.value & ~state, value & ~state);
		assert_true(vio_devq_broken(&w->q));
		vio_devq_notify(&w->q);
		assert_true(vio_devq_enable_kick(&w->q));
		vio_devq_disable_kick(&w->q);
	}
	assert_int_equal(w->q.in_flight, in_flight);
	assert_int_equal(test_ring_used_idx(&w->ring), used);
	assert_int_equal(untouchable(w), before);
	serve_one(&w->memory, &w->other_ring, &w->other);
	test_world_serves(w);
}

struct vio_buf test_world_pops(struct test_world *w)
{
	struct vio_buf buf;
	bool popped = vio_devq_pop(&w->q, &buf);

	if (!popped)
		fail_msg("no buffer: %s, index %u, value %#llx", vio_fault_name(w->q.fault.kind),
			 w->q.fault.index, (unsigned long long)w->q.fault.value);
	return buf;
}

static void each_base(uint16_t size, uint64_t features, void (*body)(struct test_world *w))
{
	static const uint16_t bases[] = { 0, 65533, 32767 };
	/* Big rings take long to look over; one index will do. */
	const unsigned count = size > 256 ? 1 : VIO_ARRAY_SIZE(bases);
	struct test_world w;
	unsigned base;

	for (base = 0; base < count; base++) {
		test_world_open(&w, size, bases[base], features);
		body(&w);
		test_world_close(&w);
	}
}

static void each_of_size(uint16_t size, uint64_t features, void (*body)(struct test_world *w))
{
	const uint64_t indirect = TEST_BIT(VIRTIO_F_INDIRECT_DESC);
	const uint64_t varied = TEST_BIT(VIRTIO_F_EVENT_IDX) | (features & TEST_IN_ORDER) |
				(features & WORLD_ANY_INDIRECT ? indirect : 0);
	uint64_t set = varied;

	features &= ~(varied | WORLD_ANY_INDIRECT);
	do {
		set = (set - 1) & varied;
		each_base(size, features | set, body);
	} while (set != varied);
}

void test_world_each(uint16_t least, uint64_t features, void (*body)(struct test_world *w))
{
	static const uint16_t split_sizes[] = { 1, 2, 4, 8, 256, 1024, 32768 };
	static const uint16_t packed_sizes[] = { 1, 2, 3, 4, 7, 8, 256, 1024, 32768 };
	const bool packed = features & TEST_PACKED;
	unsigned count = packed ? VIO_ARRAY_SIZE(packed_sizes) : VIO_ARRAY_SIZE(split_sizes), i;

	for (i = 0; i < count; i++) {
		uint16_t size = packed ? packed_sizes[i] : split_sizes[i];

		if (size >= least)
			each_of_size(size, features, body);
	}
}
