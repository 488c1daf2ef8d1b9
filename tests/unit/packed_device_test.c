/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "lib/memory.h"
#include "lib/ring.h"
#include "ring/packed.h"

/*
 * The device's side of a packed ring, written descriptor by descriptor: what it takes, where
 * and how it writes what it gives back, and when it wants to be told and tells.
 */
#define RING  UINT64_C(0x100000)
#define DATA  UINT64_C(0x400000)
#define SPLIT UINT64_C(0x401000) /* DATA goes on here in other host memory */
#define SPANS 4u

struct bed {
	struct test_memory memory;
	struct vio_devq q;
	void *storage;
	uint16_t size;
	uint16_t at;   /* where the driver makes the next descriptor available */
	uint16_t used; /* where it looks for the next used one */
	struct pvirtq_desc *ring;
	struct pvirtq_event_suppress *driver_event, *device_event;
	unsigned interrupts;
};

static void interrupt(void *context, struct vio_devq *q)
{
	((struct bed *)context)->interrupts++;
}

static int start(struct bed *b, struct vio_devq_position at, uint64_t features)
{
	const struct vio_devq_config config = {
		.size = b->size,
		.at = at,
		.descriptor_area = vio_addr_make(RING),
		.driver_area = vio_addr_make(RING + 16ull * b->size),
		.device_area = vio_addr_make(RING + 16ull * b->size + 4),
		.features = vio_features_low(features | TEST_PLAIN | TEST_BIT(VIRTIO_F_RING_PACKED)),
	};

	return vio_devq_start(&b->q, &b->memory.mem, &config);
}

static void open_bed(struct bed *b, uint16_t size, uint16_t at, uint64_t features)
{
	memset(b, 0, sizeof(*b));
	b->size = size;
	test_memory_init(&b->memory);
	b->ring = (struct pvirtq_desc *)(void *)test_memory_add(&b->memory, RING, 16ull * size + 16, TEST_RW);
	test_memory_add(&b->memory, DATA, SPLIT - DATA, TEST_RW);
	test_memory_add(&b->memory, SPLIT, 0x1000, TEST_RW);
	b->driver_event = (struct pvirtq_event_suppress *)(void *)&b->ring[size];
	b->device_event = b->driver_event + 1;
	b->storage = malloc(vio_devq_storage_bytes(size, SPANS, 8));
	assert_non_null(b->storage);
	vio_devq_init(&b->q, 3, size, SPANS, 8, b->storage, b, interrupt);
	b->at = b->used = at;
	assert_int_equal(start(b, (struct vio_devq_position){ at, at }, features), 0);
}

static void close_bed(struct bed *b)
{
	vio_devq_stop(&b->q);
	free(b->storage);
	test_memory_free(&b->memory);
}

static void put(struct bed *b, uint16_t position, uint64_t addr, uint32_t len, unsigned flags, uint16_t id)
{
	struct pvirtq_desc *desc = &b->ring[packed_offset(position)];

	desc->addr = vio_le64_make(addr);
	desc->len = vio_le32_make(len);
	desc->id = vio_le16_make(id);
	vio_store_release_le16(&desc->flags, (uint16_t)(flags | packed_avail_flags(position)));
}

/* Makes a list of `count` descriptors of 8 bytes available, the first `readable` of them readable. */
static void offer(struct bed *b, uint16_t id, unsigned count, unsigned readable)
{
	unsigned i = count;

	while (i--) {
		uint16_t position = packed_advance(b->at, (uint16_t)i, b->size);

		put(b, position, DATA + 16 * i, 8,
		    (i + 1 < count ? F_NEXT : 0u) | (i >= readable ? F_WRITE : 0u), id);
	}
	b->at = packed_advance(b->at, (uint16_t)count, b->size);
}

static struct vio_buf pop(struct bed *b)
{
	struct vio_buf buf;

	if (!vio_devq_pop(&b->q, &buf))
		fail_msg("no buffer: %s, index %u, value %#llx", vio_fault_name(b->q.fault.kind),
			 b->q.fault.index, (unsigned long long)b->q.fault.value);
	return buf;
}

static bool shown(const struct bed *b)
{
	uint16_t flags = vio_load_le16(&b->ring[packed_offset(b->used)].flags);

	return (flags & PACKED_STATE_FLAGS) == packed_used_flags(b->used);
}

/* The next used element, which takes `count` entries. */
static void expect_used(struct bed *b, uint16_t id, uint32_t length, uint16_t count)
{
	const struct pvirtq_desc *desc = &b->ring[packed_offset(b->used)];

	assert_true(shown(b));
	assert_int_equal(vio_le16_get(desc->id), id);
	assert_int_equal(vio_le32_get(desc->len), length);
	assert_int_equal(!(vio_le16_get(desc->flags) & F_WRITE), !length);
	b->used = packed_advance(b->used, count, b->size);
}

static void expect_fault(struct bed *b, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	uint16_t in_flight = b->q.in_flight, next = b->q.avail_next;
	struct vio_buf buf;

	assert_false(vio_devq_pop(&b->q, &buf));
	assert_string_equal(vio_fault_name(b->q.fault.kind), vio_fault_name(kind));
	assert_int_equal(b->q.fault.queue, 3);
	assert_int_equal(b->q.fault.index, index);
	assert_int_equal(b->q.fault.value, value);
	assert_int_equal(b->q.in_flight, in_flight);
	assert_int_equal(b->q.avail_next, next);
	assert_int_equal(vio_devq_pop_many(&b->q, &buf, 1), 0);
	vio_devq_notify(&b->q);
	assert_true(vio_devq_enable_kick(&b->q));
	vio_devq_disable_kick(&b->q);
}

/* Every size, several laps: spec: DEV-PACKED-001 DEV-PACKED-002 DEV-PACKED-005 DEV-PACKED-007 */
static void test_laps(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 5, 8, 100, 32768 };
	unsigned i, turn;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		const uint16_t size = sizes[i];
		struct vio_buf buf;
		struct bed b;

		open_bed(&b, size, PVIRTQ_WRAP, 0);
		for (turn = 0; turn < (size > 100 ? 2u * size : 40u); turn++) {
			unsigned count = 1 + turn % (size < SPANS ? size : SPANS),
				 readable = turn % (count + 1);

			assert_false(vio_devq_pop(&b.q, &buf));
			offer(&b, (uint16_t)(turn % size), count, readable);
			buf = pop(&b);
			assert_int_equal(buf.readable_count, readable);
			assert_int_equal(buf.writable_count, count - readable);
			assert_int_equal(buf.readable_bytes, 8 * readable);
			assert_int_equal(buf.writable_bytes, 8 * (count - readable));
			if (readable)
				assert_ptr_equal(buf.readable[0].host, test_memory_at(&b.memory, DATA));
			vio_devq_push(&b.q, &buf, UINT32_MAX);
			assert_false(shown(&b));
			vio_devq_notify(&b.q);
			expect_used(&b, (uint16_t)(turn % size), 8 * (count - readable), (uint16_t)count);
			assert_int_equal(b.q.avail_next, b.at);
			assert_int_equal(b.q.used_visible, b.used);
		}
		close_bed(&b);
	}
}

/* The device's order of completion; all of a batch is there when its first is. spec: DEV-PACKED-006 */
static void test_out_of_order(void **state)
{
	static const unsigned order[4] = { 2, 0, 3, 1 };
	struct vio_buf bufs[4];
	unsigned turn, i;
	struct bed b;

	open_bed(&b, 7, PVIRTQ_WRAP | 4, 0);
	for (turn = 0; turn < 20; turn++) {
		for (i = 0; i < 4; i++)
			offer(&b, (uint16_t)(6 - i), i == 2 ? 3 : 1, 1);
		assert_int_equal(vio_devq_pop_many(&b.q, bufs, 4), 4);
		assert_int_equal(b.q.entries, 6);
		for (i = 0; i < 4; i++)
			vio_devq_push(&b.q, &bufs[order[i]], order[i] == 2 ? turn % 17 : 0);
		assert_false(shown(&b));
		vio_devq_notify(&b.q);
		for (i = 0; i < 4; i++)
			expect_used(&b, (uint16_t)(6 - order[i]),
				    order[i] == 2 ? (turn % 17 > 16 ? 16 : turn % 17) : 0,
				    order[i] == 2 ? 3 : 1);
		assert_int_equal(b.q.entries, 0);
	}
	close_bed(&b);
}

static void serve(struct bed *b, unsigned count)
{
	uint32_t written[8] = { 8, 8, 8, 8, 8, 8, 8, 8 };
	struct vio_buf bufs[8];
	unsigned i;

	for (i = 0; i < count; i++)
		offer(b, (uint16_t)i, 1, 0);
	assert_int_equal(vio_devq_pop_many(&b->q, bufs, count), count);
	vio_devq_push_many(&b->q, bufs, written, count);
	vio_devq_notify(&b->q);
	b->used = b->at;
}

/* The driver's wishes: 0 always, 1 never, 2 at a position; 3 means nothing and so always. */
static void test_interrupts(void **state)
{
	unsigned flags, event_idx, ahead, wrap;
	struct bed b;

	for (event_idx = 0; event_idx < 2; event_idx++) {
		open_bed(&b, 5, PVIRTQ_WRAP, event_idx ? TEST_BIT(VIRTIO_F_EVENT_IDX) : 0);
		for (flags = 0; flags < 4; flags++) {
			for (ahead = 0; ahead < 12; ahead++) {
				uint16_t event = packed_advance(b.used, (uint16_t)(ahead % 5), 5);
				bool passed = ahead % 5 < 3;

				wrap = ahead / 5 == 1;
				b.driver_event->desc =
					vio_le16_make((uint16_t)(event ^ (wrap ? PVIRTQ_WRAP : 0)));
				if (ahead == 11)
					b.driver_event->desc = vio_le16_make(5);
				b.driver_event->flags = vio_le16_make((uint16_t)flags);
				b.interrupts = 0;
				serve(&b, 3);
				if (wrap || ahead == 11)
					passed = false;
				assert_int_equal(b.interrupts, flags == RING_EVENT_FLAGS_DISABLE ? 0
							       : flags == RING_EVENT_FLAGS_DESC && event_idx
								       ? passed
								       : 1);
				vio_devq_notify(&b.q);
			}
		}
		close_bed(&b);
	}
}

static void test_kicks(void **state)
{
	unsigned event_idx;
	struct vio_buf buf;
	struct bed b;

	for (event_idx = 0; event_idx < 2; event_idx++) {
		open_bed(&b, 3, PVIRTQ_WRAP, event_idx ? TEST_BIT(VIRTIO_F_EVENT_IDX) : 0);
		assert_int_equal(vio_le16_get(b.device_event->flags), RING_EVENT_FLAGS_ENABLE);
		assert_false(vio_devq_pop(&b.q, &buf));
		assert_int_equal(vio_le16_get(b.device_event->flags),
				 event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_ENABLE);
		assert_int_equal(vio_le16_get(b.device_event->desc), event_idx ? PVIRTQ_WRAP : 0);
		offer(&b, 0, 1, 1);
		assert_false(vio_devq_enable_kick(&b.q)); /* there is one already */
		buf = pop(&b);
		assert_int_equal(vio_le16_get(b.device_event->flags),
				 event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_DISABLE);
		vio_devq_push(&b.q, &buf, 0);
		assert_true(vio_devq_enable_kick(&b.q));
		assert_int_equal(vio_le16_get(b.device_event->desc), event_idx ? PVIRTQ_WRAP | 1 : 0);
		vio_devq_disable_kick(&b.q);
		assert_int_equal(vio_le16_get(b.device_event->flags), RING_EVENT_FLAGS_DISABLE);
		assert_false(vio_devq_pop(&b.q, &buf));
		assert_int_equal(vio_le16_get(b.device_event->flags), RING_EVENT_FLAGS_DISABLE);
		vio_devq_stop(&b.q);
		vio_devq_disable_kick(&b.q); /* nothing to do */
		assert_true(vio_devq_enable_kick(&b.q));
		close_bed(&b);
	}
}

/* hostile: A63 A64 A67 A9 A35 A48 and more than the ring holds */
static void test_faults(void **state)
{
	struct vio_buf bufs[4];
	unsigned which;
	struct bed b;

	for (which = 0; which < 9; which++) {
		open_bed(&b, 4, PVIRTQ_WRAP | 3, which == 8 ? 0 : TEST_BIT(VIRTIO_F_INDIRECT_DESC));
		offer(&b, 1, 1, 0);
		bufs[0] = pop(&b);
		switch (which) {
		case 0:
			offer(&b, 4, 1, 0);
			expect_fault(&b, VIO_FAULT_HEAD_RANGE, 0, 4);
			break;
		case 1:
			offer(&b, 1, 1, 1);
			expect_fault(&b, VIO_FAULT_HEAD_BUSY, 0, 1);
			break;
		case 2:
			offer(&b, 1, 2, 1);
			expect_fault(&b, VIO_FAULT_HEAD_BUSY, 0, 1);
			break;
		case 3: /* only the first is there */
			put(&b, 0, DATA, 8, F_NEXT, 0);
			expect_fault(&b, VIO_FAULT_CHAIN_PART, 1, 0);
			break;
		case 4: /* over what is in flight */
			offer(&b, 0, 3, 3);
			bufs[1] = pop(&b);
			put(&b, 3, DATA, 8, 0, 2);
			expect_fault(&b, VIO_FAULT_AVAIL_IDX, 3, 5);
			vio_devq_push_many(&b.q, bufs, (uint32_t[]){ 1, 1 }, 2);
			assert_int_equal(b.q.in_flight, 0);
			break;
		case 5: /* a list as long as it goes on */
			vio_devq_push(&b.q, &bufs[0], 0);
			vio_devq_notify(&b.q);
			offer(&b, 0, 4, 4);
			put(&b, 3, DATA, 8, F_NEXT, 0);
			put(&b, PVIRTQ_WRAP, DATA, 8, 0, 0);
			vio_store_le16(&b.ring[0].flags, F_NEXT | packed_avail_flags(0));
			expect_fault(&b, VIO_FAULT_CHAIN_PART, 0, F_NEXT | packed_avail_flags(0));
			break;
		case 6:
			put(&b, 1, DATA, 16, F_INDIRECT, 0);
			put(&b, 0, DATA, 8, F_NEXT, 0);
			expect_fault(&b, VIO_FAULT_INDIRECT_NEXT, 1, F_INDIRECT | packed_avail_flags(1));
			break;
		case 7:
			put(&b, 0, DATA, 16, F_INDIRECT | F_NEXT, 0);
			expect_fault(&b, VIO_FAULT_INDIRECT_NEXT, 0,
				     F_INDIRECT | F_NEXT | packed_avail_flags(0));
			break;
		default:
			put(&b, 0, DATA, 16, F_INDIRECT, 0);
			expect_fault(&b, VIO_FAULT_INDIRECT_REFUSED, 0, F_INDIRECT | packed_avail_flags(0));
		}
		close_bed(&b);
	}
}

/* A list through the whole ring of one lap that goes on into the next. */
static void test_endless_list(void **state)
{
	struct bed b;

	open_bed(&b, 1, PVIRTQ_WRAP, 0);
	put(&b, PVIRTQ_WRAP, DATA, 8, F_NEXT, 0);
	/* To be available in both laps at once is more than flags can say. */
	expect_fault(&b, VIO_FAULT_CHAIN_PART, 0, F_NEXT | packed_avail_flags(PVIRTQ_WRAP));
	close_bed(&b);
}

static bool nobody(void *context, struct vio_addr addr, unsigned access, struct vio_region *found)
{
	const struct vio_region *region = context;

	*found = *region;
	return addr.raw % 0x1000 < 0x20;
}

static void table(struct bed *b, uint64_t addr, unsigned count, unsigned flags)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		struct pvirtq_desc desc = { vio_le64_make(DATA + 64 * i), vio_le32_make(5), vio_le16_make(77),
					    vio_le16_make((uint16_t)(flags | (i ? F_WRITE : 0u))) };

		test_memory_put(&b->memory, addr + 16 * i, &desc, sizeof(desc));
	}
}

/* In one piece, over the end of a region, misaligned; NEXT and ids mean nothing in it. */
static void test_tables(void **state)
{
	static const uint64_t places[] = { DATA + 0x800, SPLIT - 16, SPLIT - 24, DATA + 0x804 };
	unsigned place, count;
	struct vio_buf buf;
	struct bed b;

	open_bed(&b, 3, PVIRTQ_WRAP, TEST_BIT(VIRTIO_F_INDIRECT_DESC));
	for (place = 0; place < VIO_ARRAY_SIZE(places); place++) {
		for (count = 1; count <= 3; count++) {
			table(&b, places[place], count, F_NEXT | VIRTQ_DESC_F_AVAIL);
			put(&b, b.at, places[place], 16 * count, F_INDIRECT | (count & 1 ? F_WRITE : 0u), 2);
			b.at = packed_advance(b.at, 1, 3);
			buf = pop(&b);
			assert_int_equal(buf.readable_bytes, 5);
			assert_int_equal(buf.writable_bytes, 5 * (count - 1));
			vio_devq_push(&b.q, &buf, 3);
			vio_devq_notify(&b.q);
			expect_used(&b, 2, count > 1 ? 3 : 0, 1);
		}
	}
	table(&b, DATA + 0x800, 2, F_INDIRECT);
	put(&b, b.at, DATA + 0x800, 32, F_INDIRECT, 0);
	expect_fault(&b, VIO_FAULT_INDIRECT_NESTED, 0, F_INDIRECT);
	close_bed(&b);

	/* What was there when the table was judged, and isn't any more. */
	open_bed(&b, 3, PVIRTQ_WRAP, TEST_BIT(VIRTIO_F_INDIRECT_DESC));
	table(&b, DATA + 4, 3, 0);
	put(&b, b.at, DATA + 0x2000 + 4, 48, F_INDIRECT, 0);
	b.memory.mem.translate = nobody;
	b.memory.mem.translate_context =
		&(struct vio_region){ vio_addr_make(DATA + 0x2000), 0x1000, test_memory_at(&b.memory, DATA),
				      VIO_MEM_READ };
	expect_fault(&b, VIO_FAULT_INDIRECT_MEMORY, 0, DATA + 0x2000 + 4);
	close_bed(&b);
}

static void test_table_element_outside(void **state)
{
	struct pvirtq_desc desc = { vio_le64_make(1), vio_le32_make(5), vio_le16_make(0), vio_le16_make(0) };
	struct bed b;

	open_bed(&b, 3, PVIRTQ_WRAP, TEST_BIT(VIRTIO_F_INDIRECT_DESC));
	test_memory_put(&b.memory, DATA, &desc, sizeof(desc));
	put(&b, b.at, DATA, 16, F_INDIRECT, 0);
	expect_fault(&b, VIO_FAULT_BUFFER_MEMORY, 0, 1);
	close_bed(&b);
	open_bed(&b, 3, PVIRTQ_WRAP, 0);
	put(&b, b.at, 1, 16, 0, 0);
	expect_fault(&b, VIO_FAULT_BUFFER_MEMORY, 0, 1);
	close_bed(&b);
}

static void test_unpop_and_budget(void **state)
{
	struct vio_buf bufs[4], again;
	unsigned turn, i;
	struct bed b;

	open_bed(&b, 6, PVIRTQ_WRAP, 0);
	for (turn = 0; turn < 12; turn++) {
		offer(&b, 0, 3, 1);
		vio_devq_set_budget(&b.q, 1);
		bufs[0] = pop(&b);
		assert_false(vio_devq_pop(&b.q, &again));
		assert_int_equal(vio_devq_pop_many(&b.q, &again, 1), 0);
		assert_true(vio_devq_exhausted(&b.q));
		vio_devq_unpop(&b.q, &bufs[0]);
		assert_int_equal(b.q.budget, 1);
		assert_int_equal(b.q.entries, 0);
		again = pop(&b);
		assert_int_equal(again.readable_bytes, 8);
		vio_devq_push(&b.q, &again, 1);
		for (i = 0; i < 2; i++)
			offer(&b, (uint16_t)(i + 1), 1, 0);
		vio_devq_set_budget(&b.q, 2);
		assert_int_equal(vio_devq_pop_many(&b.q, bufs, 0), 0);
		assert_int_equal(vio_devq_pop_many(&b.q, bufs, 4), 2);
		vio_devq_push_many(&b.q, bufs, (uint32_t[]){ 1, 2 }, 2);
		vio_devq_notify(&b.q);
		expect_used(&b, 0, 1, 3);
		expect_used(&b, 1, 1, 1);
		expect_used(&b, 2, 2, 1);
	}
	close_bed(&b);
}

/* Lists and single ones in one batch, and one that ends it. */
static void test_many(void **state)
{
	struct vio_buf bufs[8];
	struct bed b;

	open_bed(&b, 8, PVIRTQ_WRAP | 5, 0);
	offer(&b, 0, 1, 0);
	offer(&b, 1, 2, 1);
	offer(&b, 2, 1, 1);
	assert_int_equal(vio_devq_pop_many(&b.q, bufs, 8), 3);
	assert_int_equal(bufs[1].entries, 2);
	offer(&b, 3, 1, 1);
	offer(&b, 3, 1, 1);
	assert_int_equal(vio_devq_pop_many(&b.q, bufs + 3, 5), 1);
	assert_int_equal(b.q.fault.kind, VIO_FAULT_HEAD_BUSY);
	assert_int_equal(b.q.fault.index, packed_offset(packed_retreat(b.at, 1, 8)));
	vio_devq_push(&b.q, &bufs[3], 0);
	assert_int_equal(b.q.in_flight, 3);
	vio_devq_stop(&b.q);
	vio_devq_push_many(&b.q, bufs, (uint32_t[]){ 1, 2, 3 }, 3);
	assert_int_equal(b.q.in_flight, 3);
	close_bed(&b);
	open_bed(&b, 8, PVIRTQ_WRAP, 0);
	offer(&b, 0, 1, 0);
	offer(&b, 1, 1, 0);
	put(&b, b.at, 1, 3, F_NEXT, 0);
	assert_int_equal(vio_devq_pop_many(&b.q, bufs, 8), 2);
	assert_int_equal(b.q.fault.kind, VIO_FAULT_BUFFER_MEMORY);
	close_bed(&b);
}

/* Stopped anywhere in a lap it goes on there. Where it can't have stood, it doesn't start. */
static void test_positions(void **state)
{
	static const struct vio_devq_position wrong[] = {
		{ 5, 0 }, { 0, 5 }, { 1, 2 }, { 3 | PVIRTQ_WRAP, 2 }, { PVIRTQ_WRAP | 5, PVIRTQ_WRAP }
	};
	struct vio_buf old, buf;
	struct vio_devq_position at;
	struct bed b;
	unsigned i;

	open_bed(&b, 5, PVIRTQ_WRAP, 0);
	assert_int_equal(start(&b, (struct vio_devq_position){ 0, 0 }, 0), -VIO_EBUSY);
	for (i = 0; i < 23; i++) {
		offer(&b, 0, 2, 1);
		old = pop(&b);
		vio_devq_push(&b.q, &old, 0);
		vio_devq_notify(&b.q);
		expect_used(&b, 0, 0, 2);
		at = vio_devq_stop(&b.q);
		assert_int_equal(at.avail, b.at);
		assert_int_equal(at.used, b.used);
		assert_int_equal(start(&b, at, 0), 0);
		vio_devq_push(&b.q, &old, 0); /* of an earlier life */
		vio_devq_push_many(&b.q, &old, (uint32_t[]){ 1 }, 1);
		vio_devq_unpop(&b.q, &old);
		assert_int_equal(b.q.in_flight, 0);
	}
	/* What an earlier life took and lost stays where it is. */
	offer(&b, 0, 3, 1);
	old = pop(&b);
	at = vio_devq_stop(&b.q);
	assert_int_equal(start(&b, at, 0), 0);
	assert_int_equal(b.q.entries, 3);
	offer(&b, 1, 3, 1);
	expect_fault(&b, VIO_FAULT_AVAIL_IDX, packed_offset(b.used), 6);
	vio_devq_stop(&b.q);
	for (i = 0; i < VIO_ARRAY_SIZE(wrong); i++)
		assert_int_equal(start(&b, wrong[i], 0), -VIO_EINVAL);
	assert_int_equal(start(&b, (struct vio_devq_position){ 2, 2 | PVIRTQ_WRAP }, 0), 0);
	assert_int_equal(b.q.entries, 5);
	assert_false(vio_devq_pop(&b.q, &buf));
	close_bed(&b);
}

/*
 * In order: nothing is shown before what was taken earlier, and a run of buffers with nothing
 * left unwritten takes one used element. spec: DEV-BASIC-027
 */
static void test_in_order(void **state)
{
	struct vio_buf bufs[6];
	unsigned turn, i;
	struct bed b;

	open_bed(&b, 11, PVIRTQ_WRAP, TEST_BIT(VIRTIO_F_IN_ORDER));
	for (turn = 0; turn < 30; turn++) {
		for (i = 0; i < 5; i++)
			offer(&b, (uint16_t)i, 2, 1);
		assert_int_equal(vio_devq_pop_many(&b.q, bufs, 6), 5);
		vio_devq_push(&b.q, &bufs[1], 8);
		vio_devq_push(&b.q, &bufs[4], 8);
		vio_devq_notify(&b.q);
		assert_false(shown(&b));
		vio_devq_push(&b.q, &bufs[0], 8);
		vio_devq_notify(&b.q);
		expect_used(&b, 1, 8, 4); /* 0 is skipped */
		assert_false(shown(&b));
		vio_devq_push(&b.q, &bufs[2], 7); /* not wholly written: tells of itself */
		assert_int_equal(b.q.in_flight, 2);
		vio_devq_push(&b.q, &bufs[3], 8);
		vio_devq_notify(&b.q);
		expect_used(&b, 2, 7, 2);
		expect_used(&b, 4, 8, 4);
		assert_false(shown(&b));
		assert_int_equal(b.q.entries, 0);
	}
	/* What a driver receives into is told one by one, and what was taken last can be left. */
	for (i = 0; i < 3; i++)
		offer(&b, (uint16_t)i, 1, 0);
	for (i = 0; i < 3; i++)
		bufs[i] = pop(&b);
	vio_devq_unpop(&b.q, &bufs[2]);
	bufs[2] = pop(&b);
	vio_devq_push_many(&b.q, bufs, (uint32_t[]){ 8, 8, 8 }, 3);
	vio_devq_notify(&b.q);
	for (i = 0; i < 3; i++)
		expect_used(&b, (uint16_t)i, 8, 1);
	offer(&b, 5, 1, 1);
	offer(&b, 5, 1, 1);
	bufs[0] = pop(&b);
	expect_fault(&b, VIO_FAULT_HEAD_BUSY, packed_offset(packed_retreat(b.at, 1, 11)), 5);
	vio_devq_push(&b.q, &bufs[0], 0);
	assert_int_equal(b.q.in_flight, 1);
	close_bed(&b);
}

/* A driver that doesn't wait to see what it offers again: no run is longer than the ring. */
static void test_in_order_rush(void **state)
{
	struct vio_buf buf;
	unsigned i;
	struct bed b;

	open_bed(&b, 3, PVIRTQ_WRAP, TEST_BIT(VIRTIO_F_IN_ORDER));
	for (i = 0; i < 6; i++) {
		offer(&b, (uint16_t)(i % 3), 1, 1);
		buf = pop(&b);
		vio_devq_push(&b.q, &buf, 0);
		assert_true(b.q.run.entries <= 3);
	}
	assert_int_equal(b.q.in_flight, 3);
	offer(&b, 0, 1, 1);
	assert_false(vio_devq_pop(&b.q, &buf));
	assert_int_equal(b.q.fault.kind, VIO_FAULT_AVAIL_IDX);
	close_bed(&b);

	open_bed(&b, 3, PVIRTQ_WRAP, TEST_BIT(VIRTIO_F_IN_ORDER));
	for (i = 0; i < 5; i++) {
		offer(&b, (uint16_t)(i % 3), 1, 1);
		buf = pop(&b);
		vio_devq_push(&b.q, &buf, 0);
	}
	vio_devq_notify(&b.q); /* a full lap, and what is more of the next */
	assert_int_equal(b.q.in_flight, 0);
	assert_int_equal(b.q.used_visible, 2);
	close_bed(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_laps),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_kicks),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_endless_list),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_table_element_outside),
		cmocka_unit_test(test_unpop_and_budget),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_in_order_rush),
	};

	return cmocka_run_group_tests_name("the device's packed queue", tests, NULL, NULL);
}
