/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/toy.h"

/* Saved devices: what comes back, and what is refused without a trace. */

#define BLOB_MAX 512u

struct blob {
	uint8_t bytes[BLOB_MAX + 1];
	size_t size;
};

static void save(struct toy_world *w, struct blob *blob)
{
	memset(blob, 0xa5, sizeof(*blob));
	blob->size = vio_device_save(&w->dev, NULL, 0);
	assert_in_range(blob->size, 16, BLOB_MAX);
	assert_int_equal(vio_device_save(&w->dev, blob->bytes, blob->size - 1), blob->size);
	assert_int_equal(blob->bytes[0], 0xa5); /* it didn't fit, so nothing was written */
	assert_int_equal(vio_device_save(&w->dev, blob->bytes, BLOB_MAX), blob->size);
	assert_int_equal(blob->bytes[blob->size], 0xa5);
}

static uint32_t crc(const uint8_t *from, size_t length)
{
	uint32_t value = UINT32_MAX;
	unsigned bit;
	size_t i;

	for (i = 0; i < length; i++)
		for (value ^= from[i], bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
	return ~value;
}

static void put32(uint8_t *to, uint32_t value)
{
	vio_le32 wire = vio_le32_make(value);

	memcpy(to, &wire, sizeof(wire));
}

/* Makes size and checksum fit what was changed, so that it is judged by what it says. */
static void seal(struct blob *blob)
{
	put32(blob->bytes + 8, (uint32_t)(blob->size - 16));
	put32(blob->bytes + 12, crc(blob->bytes + 16, blob->size - 16));
}

/* A device that has served, with indices beyond the wrap, a stopped queue, and configuration written. */
static void use(struct toy_world *w, uint64_t features)
{
	unsigned i;

	toy_run(w, features);
	for (i = 0; i < 65540; i++) {
		toy_request(w, 0, i % 4, i);
		vio_device_kick(&w->dev, 0);
	}
	vio_device_queue_stop(&w->dev, 1);
	assert_int_equal(vio_device_write_config(&w->dev, TOY_CONFIG_WRITABLE, "config!!", 8), 0);
}

/* The same device at another place, on the same memory. */
static void open_target(struct toy_world *target, struct toy_world *source)
{
	toy_open(target);
	vio_device_detach(&target->dev);
	vio_device_attach(&target->dev, &source->memory.mem, &source->dev.features_carried,
			  source->dev.events, target);
}

static void test_round_trip(void **state)
{
	static const uint64_t sets[] = { 0, TEST_BIT(VIRTIO_F_EVENT_IDX) | TEST_BIT(TOY_F_BASE) };
	struct toy_world a, b;
	struct blob blob;
	uint8_t config[TOY_CONFIG_BYTES];
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(sets); i++) {
		toy_open(&a);
		use(&a, sets[i]);
		/* Mid-stream: two are held, two wait unseen in the ring. */
		a.toy.hold = true;
		toy_request(&a, 0, 0, 1000);
		toy_request(&a, 0, 1, 1001);
		vio_device_kick(&a.dev, 0);
		save(&a, &blob);
		assert_int_equal(a.toy.held_count, 0); /* drained */
		assert_int_equal(toy_answer(&a, 0, 1), 1002);
		toy_request(&a, 0, 2, 2000);
		toy_request(&a, 0, 3, 2001);

		open_target(&b, &a);
		assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), 0);
		assert_int_equal(b.dev.status, TOY_RUNNING);
		assert_true(vio_features_equal(b.dev.features_accepted, a.dev.features_accepted));
		assert_int_equal(toy_answer(&a, 0, 3), 2002);
		assert_int_equal(b.toy.served, 65540 + 4);
		assert_int_equal(a.toy.served, 65540 + 2);
		assert_false(b.dev.queues[1].running);
		assert_true(b.dev.queues[2].running);
		assert_int_equal(b.dev.queues[0].avail_next, (uint16_t)(65540 + 4));
		assert_int_not_equal(b.dev.config_generation, a.dev.config_generation);
		vio_device_read_config(&b.dev, 0, config, sizeof(config));
		assert_memory_equal(config + TOY_CONFIG_WRITABLE, "config!!", 8);
		assert_int_equal(b.faults, 0);
		toy_close(&b);
		toy_close(&a);
	}
}

static void test_every_status(void **state)
{
	static const uint8_t statuses[] = { 0, 1, 3, TOY_NEGOTIATED, TOY_RUNNING, 0x80 | TOY_RUNNING, 0x83 };
	struct toy_world a, b;
	struct blob blob;
	unsigned i, broken;

	for (i = 0; i < VIO_ARRAY_SIZE(statuses); i++) {
		for (broken = 0; broken < 2; broken++) {
			toy_open(&a);
			vio_device_write_features(&a.dev, &(struct vio_features){ { TEST_PLAIN, 0 } });
			vio_device_write_status(&a.dev, statuses[i]);
			if (broken && statuses[i])
				vio_device_needs_reset(&a.dev);
			save(&a, &blob);
			open_target(&b, &a);
			assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), 0);
			assert_int_equal(b.dev.status, a.dev.status);
			vio_device_detach(&b.dev);
			toy_attach(&b); /* to memory of its own */
			toy_works(&b);
			toy_close(&b);
			toy_close(&a);
		}
	}
}

/* A broken queue stays broken on the other side: its ring isn't touched until reset. */
static void test_broken_stays_broken(void **state)
{
	struct toy_world a, b;
	struct blob blob;

	toy_open(&a);
	toy_run(&a, 0);
	test_ring_offer(&a.rings[0], 0xffff);
	vio_device_kick(&a.dev, 0);
	assert_int_equal(a.faults, 1);
	save(&a, &blob);
	open_target(&b, &a);
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), 0);
	assert_int_equal(b.dev.status, TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	vio_device_kick(&b.dev, 0);
	vio_device_kick(&b.dev, 2);
	assert_int_equal(b.toy.counts.kick, 0);
	toy_close(&b);
	toy_close(&a);
}

/* hostile: G15: a ring that went bad before it was looked at is the driver's fault, not that of the blob. */
static void test_bad_ring_is_no_bad_blob(void **state)
{
	struct toy_world a, b;
	struct blob blob;

	toy_open(&a);
	toy_run(&a, 0);
	save(&a, &blob);
	test_ring_offer(&a.rings[2], TOY_SIZE);
	open_target(&b, &a);
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), 0);
	assert_int_equal(b.dev.status, TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(b.fault.kind, VIO_FAULT_HEAD_RANGE);
	assert_int_equal(b.fault.queue, 2);
	assert_int_equal(b.config_interrupts, 1);
	toy_close(&b);
	toy_close(&a);
}

/* A refused load leaves a device in reset that works and knows nothing of the blob. */
static void expect_refused(struct toy_world *w, const struct blob *blob, int error)
{
	int got = vio_device_load(&w->dev, blob->bytes, blob->size);

	if (error)
		assert_int_equal(got, error);
	else
		assert_int_not_equal(got, 0);
	assert_int_equal(w->dev.status, 0);
	assert_true(vio_features_empty(w->dev.features_accepted));
	assert_int_equal(w->toy.served, 0);
	assert_false(w->dev.queues[0].running || w->dev.queues[1].running || w->dev.queues[2].running);
	assert_int_equal(w->toy.counts.kick, 0);
}

static void make_blob(struct blob *blob, struct toy_world *source)
{
	toy_open(source);
	toy_run(source, 0);
	toy_request(source, 0, 0, 1);
	vio_device_kick(&source->dev, 0);
	save(source, blob);
}

/* hostile: G1 G10 */
static void test_truncated_and_trailing(void **state)
{
	struct blob blob, cut;
	struct toy_world a, b;
	size_t size;

	make_blob(&blob, &a);
	open_target(&b, &a);
	for (size = 0; size < blob.size; size++) {
		cut = blob;
		cut.size = size;
		expect_refused(&b, &cut, -VIO_ESTATE);
		if (size < 16)
			continue;
		seal(&cut); /* short, but consistent */
		expect_refused(&b, &cut, -VIO_ESTATE);
	}
	for (size = 1; size < 40; size++) {
		cut = blob;
		memset(cut.bytes + cut.size, 0, size);
		cut.size += size;
		expect_refused(&b, &cut, -VIO_ESTATE);
		seal(&cut);
		expect_refused(&b, &cut, -VIO_ESTATE);
	}
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), 0);
	toy_close(&b);
	toy_close(&a);
}

/* hostile: G16: the checksum finds any change of one byte. */
static void test_every_byte_flipped(void **state)
{
	struct blob blob, bad;
	struct toy_world a, b;
	size_t at;
	unsigned bit;

	make_blob(&blob, &a);
	open_target(&b, &a);
	for (at = 0; at < blob.size; at++) {
		for (bit = 0; bit < 9; bit++) {
			bad = blob;
			bad.bytes[at] ^= bit == 8 ? 0xff : (uint8_t)(1u << bit);
			expect_refused(&b, &bad, -VIO_ESTATE);
		}
	}
	toy_close(&b);
	toy_close(&a);
}

/* Whether what the device became is something that a driver could have made of it. */
static void check_loaded(struct toy_world *b)
{
	const uint8_t known = TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;
	uint8_t status = b->dev.status;
	unsigned i;

	assert_int_equal(status & ~known, 0);
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		assert_true(status & VIRTIO_CONFIG_S_FEATURES_OK);
	assert_true(vio_features_empty(
		vio_features_minus(b->dev.features_accepted, vio_device_features(&b->dev))));
	for (i = 0; i < TOY_QUEUES; i++)
		if (b->dev.queues[i].running)
			assert_true(b->dev.queues[i].size <= TOY_SIZE &&
				    (status & VIRTIO_CONFIG_S_FEATURES_OK));
}

/*
 * hostile: G2 G15: every byte takes values that a checksum vouches for; refused,
 * or loaded as something sane.
 */
static void test_every_byte_forged(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 0x10, 0x40 };
	unsigned i, refused = 0, loaded = 0;
	struct blob blob, bad;
	struct toy_world a, b;
	size_t at;

	make_blob(&blob, &a);
	open_target(&b, &a);
	for (at = 16; at < blob.size; at++) {
		for (i = 0; i < VIO_ARRAY_SIZE(values) + 2; i++) {
			bad = blob;
			if (i < VIO_ARRAY_SIZE(values))
				bad.bytes[at] = values[i];
			else
				bad.bytes[at] = (uint8_t)(bad.bytes[at] + (i & 1 ? 1 : -1));
			seal(&bad);
			if (vio_device_load(&b.dev, bad.bytes, bad.size) < 0) {
				refused++;
				assert_int_equal(b.dev.status, 0);
			} else {
				loaded++;
				check_loaded(&b);
			}
			vio_device_write_status(&b.dev, 0);
			assert_int_equal(b.toy.held_count, 0);
		}
	}
	assert_true(refused > 500 && loaded > 100);
	/* The rings were the source's; what a mistaken index did there is the blob's fault. */
	toy_works(&a);
	toy_close(&b);
	toy_close(&a);
}

/* Where things stand in a blob. */
#define AT_MAGIC         0
#define AT_FORMAT        4
#define AT_ZERO          6
#define AT_NAME          16
#define AT_ID            32
#define AT_CLASS_VERSION 36
#define AT_FEATURES      40
#define AT_STATUS        56
#define AT_QUEUES        61
#define AT_RUNS          63
#define AT_SIZE          64

/* hostile: G2 G4 G14 */
static void test_fields(void **state)
{
	static const struct {
		size_t at, length;
		uint64_t value;
	} fields[] = {
		{ AT_MAGIC, 4, 0 },
		{ AT_FORMAT, 2, 0 },
		{ AT_FORMAT, 2, 2 }, /* newer */
		{ AT_ZERO, 2, 1 },
		{ AT_NAME, 1, 'T' }, /* another type */
		{ AT_NAME + 3, 1, 's' },
		{ AT_NAME + 15, 1, 'x' },
		{ AT_ID, 4, 43 },
		{ AT_CLASS_VERSION, 4, 4 }, /* newer */
		{ AT_CLASS_VERSION, 4, UINT32_MAX },
		{ AT_FEATURES, 8, 0 }, /* without VERSION_1 */
		{ AT_FEATURES, 8, UINT64_MAX },
		{ AT_FEATURES, 8, TEST_PLAIN | 2 }, /* what the class refuses */
		{ AT_FEATURES + 8, 8, 1 },
		{ AT_STATUS, 1, 7 }, /* DRIVER_OK without FEATURES_OK */
		{ AT_STATUS, 1, 0 }, /* queues run in a device that is reset */
		{ AT_STATUS, 1, 0x1f },
		{ AT_STATUS, 1, 0x6f },
		{ AT_STATUS, 1, 0xff },
		{ AT_STATUS, 1, 0x47 },
		{ AT_QUEUES, 2, 0 },
		{ AT_QUEUES, 2, 2 },
		{ AT_QUEUES, 2, 4 },
		{ AT_QUEUES, 2, 0xffff },
		{ AT_RUNS, 1, 2 },
		{ AT_RUNS, 1, 0xff },
		{ AT_RUNS, 1, 0 },
		{ AT_SIZE, 2, 0 },
		{ AT_SIZE, 2, 3 },
		{ AT_SIZE, 2, 2 * TOY_SIZE },
		{ AT_SIZE, 2, 0x8000 },
		{ AT_SIZE + 4, 8, TOY_RINGS + 8 }, /* misaligned */
		{ AT_SIZE + 4, 8, UINT64_MAX - 15 },
		{ AT_SIZE + 12, 8, TOY_RINGS }, /* overlapping */
		{ AT_SIZE + 20, 8, TOY_DATA + TOY_DATA_BYTES },
	};
	struct blob blob, bad;
	struct toy_world a, b;
	unsigned i, byte;

	make_blob(&blob, &a);
	open_target(&b, &a);
	for (i = 0; i < VIO_ARRAY_SIZE(fields); i++) {
		bad = blob;
		for (byte = 0; byte < fields[i].length; byte++)
			bad.bytes[fields[i].at + byte] = (uint8_t)(fields[i].value >> (8 * byte));
		seal(&bad);
		if (!vio_device_load(&b.dev, bad.bytes, bad.size))
			fail_msg("field %u was taken: %zu bytes at %zu, %#llx", i, fields[i].length,
				 fields[i].at, (unsigned long long)fields[i].value);
		expect_refused(&b, &bad, 0);
	}
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), 0);
	/* An older class is told which one. */
	vio_device_write_status(&b.dev, 0);
	bad = blob;
	put32(bad.bytes + AT_CLASS_VERSION, 2);
	seal(&bad);
	assert_int_equal(vio_device_load(&b.dev, bad.bytes, bad.size), 0);
	toy_close(&b);
	toy_close(&a);
}

/* hostile: G9: a length that says more than there is asks for nothing. */
static void test_own_length(void **state)
{
	static const uint32_t lengths[] = { 0, 11, 13, 0x7fffffff, UINT32_MAX };
	struct blob blob, bad;
	struct toy_world a, b;
	unsigned i;

	make_blob(&blob, &a);
	open_target(&b, &a);
	for (i = 0; i < VIO_ARRAY_SIZE(lengths); i++) {
		bad = blob;
		put32(bad.bytes + bad.size - 16, lengths[i]);
		seal(&bad);
		expect_refused(&b, &bad, -VIO_ESTATE);
	}
	/* Consistent, but not what the class reads. */
	bad = blob;
	put32(bad.bytes + bad.size - 16, 11);
	bad.size--;
	seal(&bad);
	expect_refused(&b, &bad, -VIO_ESTATE);
	bad = blob;
	put32(bad.bytes + bad.size - 16, 13);
	bad.bytes[bad.size++] = 0;
	seal(&bad);
	expect_refused(&b, &bad, -VIO_ESTATE);
	b.toy.load_error = -VIO_ENOTSUP;
	expect_refused(&b, &blob, -VIO_ENOTSUP);
	toy_close(&b);
	toy_close(&a);
}

/* hostile: G11 G12 */
static void test_not_in_reset(void **state)
{
	struct blob blob;
	struct toy_world a, b;

	make_blob(&blob, &a);
	assert_int_equal(vio_device_load(&a.dev, blob.bytes, blob.size), -VIO_EPHASE);
	assert_int_equal(a.dev.status, TOY_RUNNING);
	assert_int_equal(a.toy.served, 1);
	open_target(&b, &a);
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), 0);
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), -VIO_EPHASE);
	assert_int_equal(b.toy.counts.load, 1);
	assert_int_equal(b.dev.status, TOY_RUNNING);
	vio_device_write_status(&b.dev, VIRTIO_CONFIG_S_FAILED | TOY_RUNNING);
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), -VIO_EPHASE);
	vio_device_detach(&b.dev);
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), -VIO_EPHASE);
	toy_attach(&b);
	toy_close(&b);
	toy_works(&a);
	toy_close(&a);
}

/* hostile: G13: these bytes are the same on every machine, whatever its byte order. */
static void test_layout(void **state)
{
	static const uint8_t head[] = { '1', 'V', 'I', 'O', 1, 0, 0, 0 };
	struct blob blob;
	struct toy_world a;

	make_blob(&blob, &a);
	assert_memory_equal(blob.bytes, head, sizeof(head));
	assert_memory_equal(blob.bytes + AT_NAME, "toy\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(blob.bytes + AT_ID, "\x2a\0\0\0\3\0\0\0", 8);
	assert_int_equal(blob.bytes[AT_STATUS], TOY_RUNNING);
	assert_memory_equal(blob.bytes + AT_QUEUES, "\3\0\1\x08\0\1\0", 7);
	assert_memory_equal(blob.bytes + blob.size - 16, "\x0c\0\0\0\1\0\0\0", 8);
	toy_close(&a);
}

/* Packed queues stand at two positions, and the format says so. Bytes 4 and 5 are the format. */
static void test_packed(void **state)
{
	static const struct vio_devq_position at = { 3, PVIRTQ_WRAP | 5 };
	struct toy_world a, b;
	struct blob blob;
	unsigned format;

	toy_open(&a);
	vio_features_set(&a.dev.features_offered, VIRTIO_F_RING_PACKED);
	toy_negotiate(&a, TEST_BIT(VIRTIO_F_RING_PACKED));
	for (uint16_t queue = 0; queue < 2; queue++) {
		struct vio_devq_config config = test_ring_config(&a.rings[queue], 0, 0);

		config.at = queue ? at : vio_devq_position_first(&a.dev.features_accepted);
		config.size = queue ? TOY_SIZE - 1 : TOY_SIZE; /* any size will do */
		assert_int_equal(vio_device_queue_start(&a.dev, queue, &config), 0);
	}
	save(&a, &blob);
	assert_int_equal(blob.bytes[4], 2);
	for (format = 0; format < 4; format++) {
		blob.bytes[4] = (uint8_t)format;
		open_target(&b, &a);
		vio_features_set(&b.dev.features_offered, VIRTIO_F_RING_PACKED);
		assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size),
				 format == 2 ? 0 : -VIO_ESTATE);
		if (format == 2) {
			assert_true(b.dev.queues[0].packed && b.dev.queues[1].packed);
			assert_int_equal(b.dev.queues[0].avail_next, PVIRTQ_WRAP);
			assert_int_equal(b.dev.queues[0].used_next, PVIRTQ_WRAP);
			assert_int_equal(b.dev.queues[1].avail_next, at.avail);
			assert_int_equal(b.dev.queues[1].used_next, at.used);
			assert_int_equal(b.dev.queues[1].size, TOY_SIZE - 1);
			assert_int_equal(vio_device_queue_stop(&b.dev, 1).used, at.used);
		}
		toy_close(&b);
	}
	toy_close(&a);

	toy_open(&a);
	toy_run(&a, 0);
	save(&a, &blob);
	assert_int_equal(blob.bytes[4], 1);
	blob.bytes[4] = 2;
	open_target(&b, &a);
	assert_int_equal(vio_device_load(&b.dev, blob.bytes, blob.size), -VIO_ESTATE);
	toy_close(&b);
	toy_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_every_status),
		cmocka_unit_test(test_broken_stays_broken),
		cmocka_unit_test(test_bad_ring_is_no_bad_blob),
		cmocka_unit_test(test_truncated_and_trailing),
		cmocka_unit_test(test_every_byte_flipped),
		cmocka_unit_test(test_every_byte_forged),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_own_length),
		cmocka_unit_test(test_not_in_reset),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests_name("saved devices", tests, NULL, NULL);
}
