/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <pthread.h>
#include <string.h>

#include "base/atomic.h"
#include "lib/hook.h"
#include "lib/pair.h"
#include "lib/world.h"

/*
 * Memory that changes between two reads. What a queue reads from shared memory it
 * reads once; so first, no byte is loaded twice, and second, whatever changes
 * before any load, no harm is done. hostile: A111 A112 A113 A115
 */
#define RING_SIZE     8u
#define TABLE         WORLD_LOW
#define TABLE_ENTRIES 3u
#define SPLIT_TABLE   (WORLD_HIGH - 24)
#define LOADS_MAX     512u

struct test_hook test_hook;

struct eye {
	struct test_world *w;
	const void *addresses[LOADS_MAX];
	size_t sizes[LOADS_MAX];
	unsigned count;
	unsigned strike_at; /* the load before which memory changes; from 1 */
	unsigned strike_with;
	uint64_t seed;
};

/* Descriptors that matter: in a larger ring all requests are in the first ones. */
static unsigned few(const struct test_world *w)
{
	return w->ring.size < RING_SIZE ? w->ring.size : RING_SIZE;
}

static bool in_memory(const struct eye *eye, const void *address)
{
	return test_memory_owns(&eye->w->memory, address, 1, VIO_MEM_READ);
}

/* One where the device looks. What makes a packed one available stays, half of the time. */
static void put_descriptor(struct test_world *w, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
			   unsigned next)
{
	struct pvirtq_desc *desc;
	unsigned state;

	if (!w->ring.packed) {
		test_ring_desc(&w->ring, i, addr, len, flags, next);
		return;
	}
	desc = &w->ring.packed[i];
	state = next & 1 ? flags : vio_le16_get(desc->flags);
	*desc = (struct pvirtq_desc){ vio_le64_make(addr), vio_le32_make(len), vio_le16_make((uint16_t)next),
				      vio_le16_make((uint16_t)((flags & 0x7f7f) | (state & 0x8080))) };
}

static void put_entry(struct test_world *w, uint64_t table, unsigned i, uint64_t addr, uint32_t len,
		      unsigned flags, unsigned next)
{
	if (w->ring.packed)
		test_packed_table_desc(&w->memory, table, i, addr, len, flags);
	else
		test_table_desc(&w->memory, table, i, addr, len, flags, next);
}

static void all_descriptors(struct test_world *w, uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
	unsigned i;

	for (i = 0; i < few(w); i++)
		put_descriptor(w, i, addr, len, flags, next);
	for (i = 0; i < TABLE_ENTRIES; i++) {
		put_entry(w, TABLE, i, addr, len, flags, next);
		put_entry(w, SPLIT_TABLE, i, addr, len, flags, next);
	}
}

/* What names the buffer: a head in the available ring, or an id. */
static void put_head(struct test_world *w, unsigned i, unsigned head)
{
	if (w->ring.packed)
		w->ring.packed[i % few(w)].id = vio_le16_make((uint16_t)head);
	else
		test_ring_entry(&w->ring, i, head);
}

/* Everything is available, or nothing: idx far ahead, or behind. */
static void move_available(struct test_world *w, unsigned by)
{
	unsigned i;

	if (!w->ring.packed) {
		test_ring_avail_idx(&w->ring, w->ring.avail_idx + by);
		return;
	}
	for (i = 0; i < few(w); i++)
		w->ring.packed[i].flags =
			vio_le16_make((uint16_t)((vio_le16_get(w->ring.packed[i].flags) & 7) |
						 (by == 0x4000u ? 0x80 : 0x8000)));
}

static void scramble(struct test_world *w, uint64_t *seed)
{
	static const uint64_t addresses[] = {
		0,         WORLD_LOW,  WORLD_HIGH - 8, WORLD_HOLE, WORLD_ROM,
		WORLD_FAR, UINT64_MAX, WORLD_RING,     TABLE,      SPLIT_TABLE
	};
	static const uint32_t lengths[] = { 0, 1, 16, 32, 48, 0x10000, UINT32_MAX };
	const unsigned count = few(w);
	unsigned i;

	for (i = 0; i < count + 2 * TABLE_ENTRIES; i++) {
		uint64_t addr = addresses[test_random_below(seed, VIO_ARRAY_SIZE(addresses))];
		uint32_t len = lengths[test_random_below(seed, VIO_ARRAY_SIZE(lengths))];
		unsigned flags = test_random_below(seed, 8), next = test_random_below(seed, RING_SIZE + 1);

		if (i < count)
			put_descriptor(w, i, addr, len, flags, next);
		else
			put_entry(w, i < count + TABLE_ENTRIES ? TABLE : SPLIT_TABLE,
				  (i - count) % TABLE_ENTRIES, addr, len, flags, next);
		put_head(w, i, test_random_below(seed, RING_SIZE + 1));
	}
}

#define STRIKES 12u

static void strike(struct eye *eye)
{
	struct test_world *w = eye->w;
	unsigned i;

	switch (eye->strike_with) {
	case 0: /* addresses to where nothing is */
		all_descriptors(w, WORLD_HOLE, 16, 0, 0);
		break;
	case 1:
		all_descriptors(w, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
		break;
	case 2: /* lengths beyond the region */
		all_descriptors(w, WORLD_LOW, UINT32_MAX, F_WRITE, 0);
		break;
	case 3: /* next beyond the table */
		all_descriptors(w, WORLD_LOW, 4, F_NEXT, 0xffff);
		break;
	case 4: /* a loop */
		all_descriptors(w, WORLD_LOW, 4, F_NEXT | F_WRITE, 0);
		break;
	case 5: /* tables where there were none */
		all_descriptors(w, WORLD_HOLE - 8, 32, F_INDIRECT, 0);
		break;
	case 6: /* writable where it isn't */
		all_descriptors(w, WORLD_ROM, 64, F_WRITE | F_NEXT, 1);
		break;
	case 7:
		for (i = 0; i < RING_SIZE; i++)
			put_head(w, i, w->ring.size + i);
		break;
	case 8:
		for (i = 0; i < RING_SIZE; i++)
			put_head(w, i, 0);
		break;
	case 9:
		move_available(w, 0x4000u);
		break;
	case 10:
		move_available(w, 0xffffu);
		test_ring_used_event(&w->ring, 0x1234);
		break;
	default:
		scramble(w, &eye->seed);
		break;
	}
}

static void watch(void *context, const void *address, size_t size)
{
	struct eye *eye = context;

	if (eye->count < LOADS_MAX) { /* what goes round in a big ring makes many */
		eye->addresses[eye->count] = address;
		eye->sizes[eye->count] = size;
	}
	if (++eye->count == eye->strike_at)
		strike(eye);
}

/* Of these as many as a small ring has room for: a table, a single one, a chain. */
static unsigned offer_some(struct test_world *w)
{
	const unsigned size = w->ring.size, entries = size < TABLE_ENTRIES ? size : TABLE_ENTRIES;
	unsigned i;

	for (i = 0; i < entries; i++)
		put_entry(w, TABLE, i, WORLD_FAR + 0x2000 + 64 * i, 64,
			  (i ? F_WRITE : 0u) | (i + 1 < entries ? F_NEXT : 0u), i + 1);
	test_ring_desc(&w->ring, 0, TABLE, 16 * entries, F_INDIRECT, 0);
	test_ring_offer(&w->ring, 0);
	if (size == 1)
		return 1;
	test_ring_desc(&w->ring, 1, WORLD_ROM, 100, 0, 0);
	test_ring_offer(&w->ring, 1);
	if (size == 2)
		return 2;
	test_ring_desc(&w->ring, 2, WORLD_FAR, 16, F_NEXT, 3);
	test_ring_desc(&w->ring, 3, WORLD_FAR + 0x800, 64, F_WRITE, 0);
	test_ring_offer(&w->ring, 2);
	return 3;
}

/*
 * Four requests of every kind: a chain, a table, a chain that ends in a table over
 * two regions, a single one. How many they are.
 */
static unsigned offer_requests(struct test_world *w)
{
	unsigned i;

	if (w->ring.size < RING_SIZE)
		return offer_some(w);
	test_ring_desc(&w->ring, 0, WORLD_FAR, 16, F_NEXT, 3);
	test_ring_desc(&w->ring, 3, WORLD_ROM, 100, F_NEXT, 1);
	test_ring_desc(&w->ring, 1, WORLD_FAR + 0x800, 64, F_WRITE, 0);
	test_ring_desc(&w->ring, 2, TABLE, 16 * TABLE_ENTRIES, F_INDIRECT, 0);
	/* In a packed ring a table is a buffer by itself. */
	test_ring_desc(&w->ring, 4, WORLD_FAR, 8, w->ring.packed ? 0 : F_NEXT, 5);
	if (w->ring.packed)
		test_ring_desc(&w->ring, 4, SPLIT_TABLE, 16 * TABLE_ENTRIES, F_INDIRECT, 0);
	test_ring_desc(&w->ring, 5, SPLIT_TABLE, 16 * TABLE_ENTRIES, F_INDIRECT, 0);
	test_ring_desc(&w->ring, 6, WORLD_FAR + 0x1000, 4, F_WRITE, 0);
	for (i = 0; i < TABLE_ENTRIES; i++) {
		unsigned flags = (i ? F_WRITE : 0u) | (i + 1 < TABLE_ENTRIES ? F_NEXT : 0u);

		put_entry(w, TABLE, i, WORLD_FAR + 0x2000 + 64 * i, 64, flags, i + 1);
		put_entry(w, SPLIT_TABLE, i, WORLD_FAR + 0x3000 + 64 * i, 64, flags, i + 1);
	}
	test_ring_offer(&w->ring, 0);
	test_ring_offer(&w->ring, 2);
	test_ring_offer(&w->ring, 4);
	test_ring_offer(&w->ring, 6);
	return 4;
}

static void check_spans(struct test_world *w, const struct vio_span *spans, unsigned count, unsigned access)
{
	unsigned i;

	assert_true(count <= WORLD_SPANS);
	for (i = 0; i < count; i++)
		assert_true(test_memory_owns(&w->memory, spans[i].host, spans[i].length, access));
}

/* Takes, uses and returns what comes; returns how many came. */
static unsigned serve(struct test_world *w)
{
	uint8_t bytes[256];
	struct vio_buf buf;
	unsigned served = 0;

	memset(bytes, 0x5a, sizeof(bytes));
	while (served < 2 * RING_SIZE && vio_devq_pop(&w->q, &buf)) {
		check_spans(w, buf.readable, buf.readable_count, VIO_MEM_READ);
		check_spans(w, buf.writable, buf.writable_count, VIO_MEM_WRITE);
		vio_read(&buf, bytes, sizeof(bytes));
		vio_write(&buf, bytes, 32);
		vio_devq_push(&w->q, &buf, 32);
		served++;
	}
	vio_devq_notify(&w->q);
	return served;
}

static unsigned run(uint16_t size, unsigned strike_at, unsigned strike_with, uint64_t features,
		    struct eye *eye)
{
	struct test_world w;
	unsigned served, offered;

	test_world_open(&w, size, 0, features);
	offered = offer_requests(&w);
	*eye = (struct eye){ .w = &w, .strike_at = strike_at, .strike_with = strike_with, .seed = strike_at };
	test_hook = (struct test_hook){ .load = watch, .context = eye };
	served = serve(&w);
	test_hook.load = NULL;
	if (!strike_at)
		assert_int_equal(served, offered);
	test_world_serves(&w);
	eye->w = NULL;
	test_world_close(&w);
	return served;
}

/*
 * Only idx and the driver's suppression words are looked at more than once, and in a packed ring
 * the flags of the first descriptor that isn't available yet; the rest is read and then known.
 */
static void each_byte_once(uint64_t features)
{
	unsigned i, j, twice = 0;
	struct test_world w;
	struct eye eye = { .w = &w };

	test_world_open(&w, RING_SIZE, 0, features);
	offer_requests(&w);
	test_hook = (struct test_hook){ .load = watch, .context = &eye };
	assert_int_equal(serve(&w), 4);
	test_hook.load = NULL;
	assert_false(vio_devq_broken(&w.q));
	assert_in_range(eye.count, 4 * 3, LOADS_MAX - 1);
	for (i = 0; i < eye.count; i++) {
		uintptr_t a = (uintptr_t)eye.addresses[i];

		if (!in_memory(&eye, eye.addresses[i])) /* a private copy */
			continue;
		for (j = 0; j < i; j++) {
			uintptr_t b = (uintptr_t)eye.addresses[j];

			if (a + eye.sizes[i] <= b || b + eye.sizes[j] <= a)
				continue;
			if (w.ring.packed)
				assert_in_range(a, (uintptr_t)&w.ring.packed[6],
						(uintptr_t)&w.ring.packed[7] - 1);
			else
				assert_ptr_equal(eye.addresses[i], &w.ring.avail->idx);
			twice++;
		}
	}
	assert_true(twice > 0);
	test_world_close(&w);
}

static void test_each_byte_once(void **state)
{
	each_byte_once(TEST_INDIRECT | TEST_EVENT);
}

/* hostile: A116 */
static void test_each_byte_once_packed(void **state)
{
	each_byte_once(TEST_INDIRECT | TEST_EVENT | TEST_PACKED);
	each_byte_once(TEST_INDIRECT | TEST_PACKED | TEST_IN_ORDER);
}

/* Counts in served[] how many requests came through. */
static void change_before_each_load(uint16_t size, uint64_t features, unsigned *served)
{
	const unsigned step = size > 256 ? 7 : 1; /* big rings take long to make */
	unsigned with, at, loads, got;
	struct eye eye;

	run(size, 0, 0, features, &eye);
	loads = eye.count;
	for (with = 0; with < STRIKES; with++) {
		for (at = 1 + with % step; at <= loads; at += step) {
			got = run(size, at, with, features, &eye);
			served[got < 4 ? got : 4]++;
		}
	}
}

static void test_change_before_each_load(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 4, 8, 256, 1024, 32768 };
	static const uint64_t features[] = { TEST_INDIRECT, TEST_INDIRECT | TEST_EVENT,
					     TEST_INDIRECT | TEST_IN_ORDER, TEST_INDIRECT | TEST_PACKED,
					     TEST_INDIRECT | TEST_PACKED | TEST_EVENT | TEST_IN_ORDER };
	unsigned served[5] = { 0 }, set, i;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++)
		for (set = 0; set < VIO_ARRAY_SIZE(features); set++)
			change_before_each_load(sizes[i], features[set], served);
	/* The changes did matter, and came at every point. */
	assert_true(served[0] && served[1] && served[2] && served[3] && served[4]);
}

struct racer {
	struct test_world *w;
	bool stop;
};

static void *race(void *context)
{
	struct racer *racer = context;
	struct test_ring *ring = &racer->w->ring;
	uint64_t seed = 1;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_ACQUIRE)) {
		unsigned i = test_random_below(&seed, RING_SIZE);
		struct virtq_desc *desc = &ring->desc[i];
		unsigned what = test_random_below(&seed, 5);

		if (what == 0)
			vio_store_le64(&desc->addr, i & 1 ? WORLD_FAR + 64 * i : WORLD_HOLE - 4);
		else if (what == 1)
			vio_store_le32(&desc->len, i & 1 ? 4 : UINT32_MAX >> (seed & 31));
		else if (what == 2)
			vio_store_le16(&desc->flags, (uint16_t)test_random_below(&seed, 8));
		else if (what == 3)
			vio_store_le16(&desc->next, (uint16_t)test_random_below(&seed, RING_SIZE + 1));
		else
			vio_store_le16(&ring->avail->ring[i],
				       (uint16_t)test_random_below(&seed, RING_SIZE + 1));
	}
	return NULL;
}

/* The same, by a thread that never rests. */
static void test_racing_driver(void **state)
{
	struct test_world w;
	struct racer racer = { .w = &w };
	struct vio_devq_config config;
	unsigned i, broken = 0, served = 0;
	pthread_t thread;

	test_world_open(&w, RING_SIZE, 0, TEST_INDIRECT);
	config = test_ring_config(&w.ring, 0, w.features);
	assert_int_equal(pthread_create(&thread, NULL, race, &racer), 0);
	/* On a busy machine the thread may be long in coming. */
	for (i = 0; i < 20000 || (!(served && broken) && i < 200000000); i++) {
		test_ring_avail_idx(&w.ring, w.ring.avail_idx + 1u);
		served += serve(&w);
		if (!vio_devq_broken(&w.q))
			continue;
		broken++;
		vio_devq_stop(&w.q);
		config.at.avail = w.ring.avail_idx;
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), 0);
	}
	__atomic_store_n(&racer.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(served && broken);
	test_world_serves(&w);
	test_world_close(&w);
}

struct driver_eye {
	struct test_pair *pair;
	unsigned entries, indices;
};

static void watch_driver(void *context, const void *address, size_t size)
{
	struct driver_eye *eye = context;
	const struct virtq_used *used = eye->pair->ring.used;
	uintptr_t first = (uintptr_t)used->ring;
	uintptr_t at = (uintptr_t)address;

	if (address == &used->idx || address == &used->flags) {
		eye->indices++;
	} else {
		/* hostile: B18 B19 B21: what it wrote itself it never reads back. */
		assert_in_range(at, first, first + 8u * eye->pair->ring.size + 1);
		eye->entries += at < first + 8u * eye->pair->ring.size;
	}
}

/* The driver's side reads the used ring alone, two words for each buffer. hostile: B22 */
static void test_driver_reads_once(void **state)
{
	struct test_pair_config config = { .size = 8,
					   .features = TEST_EVENT | TEST_INDIRECT,
					   .indirect_max = 4 };
	struct vio_sg sg[2] = { { vio_addr_make(PAIR_DATA), 4 }, { vio_addr_make(PAIR_DATA + 8), 4 } };
	struct test_pair pair;
	struct driver_eye eye = { .pair = &pair };
	unsigned i;
	int token;

	test_pair_open(&pair, &config);
	test_hook = (struct test_hook){ .load = watch_driver, .context = &eye };
	for (i = 0; i < 20; i++) {
		assert_int_equal(vio_drvq_add(&pair.drv, sg, 1, i & 1, &token), 0);
		vio_drvq_kick(&pair.drv);
		test_ring_use(&pair.ring, vio_le16_get(pair.ring.avail->ring[i % 8]), 0);
		assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
		assert_null(vio_drvq_get(&pair.drv, NULL));
		assert_true(vio_drvq_enable_cb_delayed(&pair.drv));
	}
	test_hook.load = NULL;
	assert_int_equal(eye.entries, 2 * 20);
	assert_true(eye.indices >= 20);
	test_pair_close(&pair);
}

static void watch_packed_driver(void *context, const void *address, size_t size)
{
	struct driver_eye *eye = context;
	const struct test_ring *ring = &eye->pair->ring;
	uintptr_t at = (uintptr_t)address, first = (uintptr_t)ring->packed;

	if (address == ring->device_event) {
		eye->indices++;
		return;
	}
	/* Length, id and flags, which the device writes, at once; never an address. */
	assert_in_range(at, first, first + 16u * ring->size - 1);
	assert_int_equal((at - first) % 16, 8);
	assert_int_equal(size, 8);
	eye->entries++;
}

/* hostile: B18 B22 in a packed ring: one load for each buffer that came, one for each look in vain. */
static void test_packed_driver_reads_once(void **state)
{
	struct test_pair_config config = { .size = 7,
					   .features = TEST_EVENT | TEST_INDIRECT | TEST_PACKED,
					   .indirect_max = 4 };
	struct vio_sg sg[2] = { { vio_addr_make(PAIR_DATA), 4 }, { vio_addr_make(PAIR_DATA + 8), 4 } };
	struct test_pair pair;
	struct driver_eye eye = { .pair = &pair };
	struct pvirtq_desc *desc;
	unsigned i;
	int token;

	test_pair_open(&pair, &config);
	test_hook = (struct test_hook){ .load = watch_packed_driver, .context = &eye };
	for (i = 0; i < 20; i++) {
		desc = &pair.ring.packed[pair.drv.avail_next & ~PVIRTQ_WRAP];
		assert_int_equal(vio_drvq_add(&pair.drv, sg, 1, i & 1, &token), 0);
		vio_drvq_kick(&pair.drv);
		desc->len = vio_le32_make(0);
		desc->flags = vio_le16_make(pair.drv.used_next & PVIRTQ_WRAP ? 0x8080 : 0);
		eye.entries = 0;
		assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
		assert_int_equal(eye.entries, 1);
		assert_null(vio_drvq_get(&pair.drv, NULL));
		assert_true(vio_drvq_enable_cb_delayed(&pair.drv));
	}
	test_hook.load = NULL;
	assert_int_equal(eye.indices, 20);
	test_pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_byte_once),
		cmocka_unit_test(test_each_byte_once_packed),
		cmocka_unit_test(test_change_before_each_load),
		cmocka_unit_test(test_racing_driver),
		cmocka_unit_test(test_driver_reads_once),
		cmocka_unit_test(test_packed_driver_reads_once),
	};

	return cmocka_run_group_tests_name("hostile: double fetch", tests, NULL, NULL);
}
