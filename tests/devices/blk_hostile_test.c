/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/disk.h"

#include <string.h>

/* Requests that a driver shouldn't make. hostile: A117 throughout */

#define SECTORS 256u
#define LAST (SECTORS - 1)

static struct disk d;
static uint8_t data[DISK_DATA_MAX], before[SECTORS * SECTOR];

static const uint64_t wild_sectors[] = { SECTORS, SECTORS + 1, UINT32_MAX, UINT64_C(1) << 54,
					 (UINT64_C(1) << 55) - 1, UINT64_C(1) << 55, (UINT64_C(1) << 55) + 1,
					 UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX };

static int setup(void **state)
{
	disk_make(&d, SECTORS, 512);
	memset(data, 0x77, sizeof(data));
	memcpy(before, d.fake.data, sizeof(before));
	return 0;
}

static int setup_started(void **state)
{
	setup(state);
	disk_start(&d, 0, 256);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(d.h.faults, 0);
	disk_free(&d);
	return 0;
}

static uint8_t ask(uint32_t type, uint64_t sector, size_t out_bytes, size_t in_bytes)
{
	static uint8_t in[DISK_DATA_MAX];
	struct disk_request request = { .type = type, .sector = sector, .out = data, .out_bytes = out_bytes,
					.in = in, .in_bytes = in_bytes };
	int64_t written = disk_call(&d, 0, &request);

	assert_int_equal(written, request.status ? 1 : (int64_t)in_bytes + 1);
	return request.status;
}

static uint8_t ask_segments(uint32_t type, const struct virtio_blk_discard_write_zeroes *list, size_t bytes)
{
	struct disk_request request = { .type = type, .out = list, .out_bytes = bytes };

	assert_int_equal(disk_call(&d, 0, &request), 1);
	return request.status;
}

/* The storage heard nothing since the counter was `submitted`, and is as it was. */
static void assert_untouched(unsigned submitted)
{
	assert_int_equal(fake_block_total(&d.fake), submitted);
	assert_memory_equal(d.fake.data, before, sizeof(before));
}

static void wild_sectors_are_refused(void **state)
{
	static const size_t lengths[] = { 512, 1024, 65536 };

	for (unsigned l = 0; l < VIO_ARRAY_SIZE(lengths); l++) {
		for (unsigned s = 0; s < VIO_ARRAY_SIZE(wild_sectors); s++) {
			uint64_t sector = wild_sectors[s];
			size_t bytes = lengths[l];

			assert_int_equal(ask(VIRTIO_BLK_T_IN, sector, 0, bytes), VIRTIO_BLK_S_IOERR);
			assert_int_equal(ask(VIRTIO_BLK_T_OUT, sector, bytes, 0), VIRTIO_BLK_S_IOERR);
		}
	}
	/* One past the end, beginning well inside. */
	assert_int_equal(ask(VIRTIO_BLK_T_IN, LAST, 0, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, LAST, 1024, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 1, sizeof(before), 0), VIRTIO_BLK_S_IOERR);
	assert_untouched(0);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, LAST, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 1, 0, 512), VIRTIO_BLK_S_OK);
}

static void odd_lengths_are_refused(void **state)
{
	for (size_t bytes = 1; bytes < 1100; bytes++) {
		if (!(bytes % 512))
			continue;
		assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, 0, bytes), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, bytes, 0), VIRTIO_BLK_S_IOERR);
	}
	/* Data on the wrong side, or on both. */
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, 1, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, 512, 1), VIRTIO_BLK_S_IOERR);
	assert_untouched(0);
	/* No data is a multiple, too. */
	assert_int_equal(ask(VIRTIO_BLK_T_IN, SECTORS, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, SECTORS + 1, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_untouched(0);
}

/* spec: DEV-BLK-032 */
static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t wild[] = { 0x7fffffff, 0x80000000, 0x80000001,
					 0x80000004, 0xfffffffe, 0xffffffff };
	static const uint32_t known[] = { VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
					  VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
					  VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

	for (uint32_t type = 0; type < 300; type++) {
		bool is_known = false;

		for (unsigned i = 0; i < VIO_ARRAY_SIZE(known); i++)
			is_known = is_known || type == known[i];
		if (is_known)
			continue;
		assert_int_equal(ask(type, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(ask(type, UINT64_MAX, 512, 512), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(ask(type, 0, 16, 0), VIRTIO_BLK_S_UNSUPP);
	}
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wild); i++)
		assert_int_equal(ask(wild[i], 0, 512, 0), VIRTIO_BLK_S_UNSUPP);
	assert_untouched(0);
}

static void wrong_id_lengths_are_refused(void **state)
{
	for (size_t bytes = 0; bytes <= 64; bytes++)
		if (bytes != VIRTIO_BLK_ID_BYTES)
			assert_int_equal(ask(VIRTIO_BLK_T_GET_ID, 0, 0, bytes), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_GET_ID, 0, 20, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_GET_ID, 0, 1, 20), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_GET_ID, UINT64_MAX, 0, 20), VIRTIO_BLK_S_OK);
}

/* A driver should not (DRV-BLK-011, DRV-BLK-012), but what it wants is clear. */
static void flush_with_data_flushes(void **state)
{
	struct disk_request request = { .type = VIRTIO_BLK_T_FLUSH, .sector = UINT64_MAX, .out = data,
					.out_bytes = 700, .in = data, .in_bytes = 0 };

	assert_int_equal(disk_call(&d, 0, &request), 1);
	assert_int_equal(request.status, VIRTIO_BLK_S_OK);
	assert_int_equal(d.fake.submitted[VIO_BLOCK_FLUSH], 1);
	assert_untouched(1);
}

/* spec: DEV-BLK-021, DEV-BLK-022 */
static void read_only_stays_as_it_is(void **state)
{
	struct virtio_blk_discard_write_zeroes segment = disk_segment(0, 8, 0);

	for (unsigned way = 0; way < 2; way++) {
		setup(state);
		if (way)
			harness_set(&d.h, "readonly", "on");
		else
			d.fake.block.read_only = 1;
		disk_start(&d, way ? BIT(VIRTIO_BLK_F_RO) : 0, 64); /* offered, negotiated or not */
		assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, 0, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask(VIRTIO_BLK_T_OUT, UINT64_MAX, 512, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_segments(VIRTIO_BLK_T_DISCARD, &segment, 16), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(ask_segments(VIRTIO_BLK_T_WRITE_ZEROES, &segment, 16), VIRTIO_BLK_S_UNSUPP);
		assert_untouched(0);
		assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
		assert_int_equal(ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
		if (!way)
			teardown(state);
	}
}

static void what_was_not_negotiated_is_unsupported(void **state)
{
	struct virtio_blk_discard_write_zeroes segment = disk_segment(0, 8, 0);

	setup(state);
	disk_start(&d, BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES), 64);
	assert_int_equal(ask_segments(VIRTIO_BLK_T_DISCARD, &segment, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask_segments(VIRTIO_BLK_T_WRITE_ZEROES, &segment, 16), VIRTIO_BLK_S_UNSUPP);
	assert_untouched(0);
}

/* spec: DEV-BLK-023, DEV-BLK-024 */
static void unknown_flags_are_unsupported(void **state)
{
	struct virtio_blk_discard_write_zeroes list[4];

	for (unsigned bit = 0; bit < 32; bit++) {
		for (unsigned at = 0; at < 4; at++) {
			for (unsigned i = 0; i < 4; i++)
				list[i] = disk_segment(i * 8, 8, i == at ? 1u << bit : 0);
			assert_int_equal(ask_segments(VIRTIO_BLK_T_DISCARD, list, 64), VIRTIO_BLK_S_UNSUPP);
			if (bit)
				assert_int_equal(ask_segments(VIRTIO_BLK_T_WRITE_ZEROES, list, 64),
						 VIRTIO_BLK_S_UNSUPP);
		}
	}
	list[0] = disk_segment(UINT64_MAX, 1, 0); /* a bad range besides */
	list[1] = disk_segment(0, 0, UINT32_MAX); /* of nothing at all */
	assert_int_equal(ask_segments(VIRTIO_BLK_T_DISCARD, list, 32), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask_segments(VIRTIO_BLK_T_WRITE_ZEROES, list, 32), VIRTIO_BLK_S_UNSUPP);
	assert_untouched(0);
}

static void bad_segments_are_refused_whole(void **state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	struct virtio_blk_discard_write_zeroes list[40];

	for (unsigned t = 0; t < 2; t++) {
		for (unsigned i = 0; i < 40; i++)
			list[i] = disk_segment(i, 1, 0);
		for (unsigned count = 17; count <= 40; count++) /* 33 among them */
			assert_int_equal(ask_segments(types[t], list, count * 16), VIRTIO_BLK_S_IOERR);
		for (size_t bytes = 0; bytes <= 16 * 16; bytes++)
			if (!bytes || bytes % 16)
				assert_int_equal(ask_segments(types[t], list, bytes), VIRTIO_BLK_S_IOERR);
		/* The last of several is wrong: none is carried out. */
		for (unsigned s = 0; s < VIO_ARRAY_SIZE(wild_sectors); s++) {
			list[7] = disk_segment(wild_sectors[s], 1, 0);
			assert_int_equal(ask_segments(types[t], list, 8 * 16), VIRTIO_BLK_S_IOERR);
		}
		list[7] = disk_segment(0, SECTORS + 1, 0);
		assert_int_equal(ask_segments(types[t], list, 8 * 16), VIRTIO_BLK_S_IOERR);
		list[7] = disk_segment(0, UINT32_MAX, 0);
		assert_int_equal(ask_segments(types[t], list, 8 * 16), VIRTIO_BLK_S_IOERR);
		list[7] = disk_segment(LAST, 2, 0);
		assert_int_equal(ask_segments(types[t], list, 8 * 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask(types[t], 0, 16, 1), VIRTIO_BLK_S_IOERR);
	}
	assert_untouched(0);
}

static void segments_longer_than_told_are_refused(void **state)
{
	struct virtio_blk_discard_write_zeroes list[3] = { disk_segment(0, 16, 0), disk_segment(32, 17, 0) };

	setup(state);
	harness_set(&d.h, "max-discard-sectors", "16");
	harness_set(&d.h, "max-write-zeroes-sectors", "16");
	harness_set(&d.h, "max-segments", "2");
	disk_start(&d, 0, 64);
	assert_int_equal(ask_segments(VIRTIO_BLK_T_DISCARD, list, 32), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_segments(VIRTIO_BLK_T_WRITE_ZEROES, list, 32), VIRTIO_BLK_S_IOERR);
	list[1] = list[2] = list[0];
	assert_int_equal(ask_segments(VIRTIO_BLK_T_DISCARD, list, 48), VIRTIO_BLK_S_IOERR);
	assert_untouched(0);
	assert_int_equal(ask_segments(VIRTIO_BLK_T_DISCARD, list, 32), VIRTIO_BLK_S_OK);
}

static void parts_of_large_blocks_are_refused(void **state)
{
	struct virtio_blk_discard_write_zeroes segment;

	disk_make(&d, SECTORS, 4096);
	memcpy(before, d.fake.data, sizeof(before));
	disk_start(&d, 0, 64);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 1, 0, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 4, 4096, 0), VIRTIO_BLK_S_IOERR);
	segment = disk_segment(8, 4, 0);
	assert_int_equal(ask_segments(VIRTIO_BLK_T_WRITE_ZEROES, &segment, 16), VIRTIO_BLK_S_IOERR);
	assert_untouched(0);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 8, 0, 4096), VIRTIO_BLK_S_OK);
}

/* Header cut at every byte, with and without a status byte, the framing down to single bytes. */
static void truncated_requests_are_answered(void **state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, 0xffffffff };

	for (unsigned t = 0; t < VIO_ARRAY_SIZE(types); t++) {
		for (size_t bytes = 0; bytes < 16; bytes++) {
			struct virtio_blk_req header = { .type = vio_le32_make(types[t]) };
			uint8_t in[21] = { 0 };
			struct harness_io io = { &header, bytes, in, 1, bytes % 3 };

			assert_int_equal(harness_call(&d.h, 0, &io), 1);
			assert_int_equal(in[0], VIRTIO_BLK_S_IOERR);
			io.in_bytes = sizeof(in);
			assert_int_equal(harness_call(&d.h, 0, &io), 1);
			assert_int_equal(in[20], VIRTIO_BLK_S_IOERR);
		}
	}
	assert_untouched(0);
}

/* hostile: A28, A29 */
static void no_status_byte_no_deed(void **state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_WRITE_ZEROES };
	uint8_t out[16 + 512] = { 0 };

	for (unsigned t = 0; t < VIO_ARRAY_SIZE(types); t++) {
		struct virtio_blk_req header = { .type = vio_le32_make(types[t]) };

		memcpy(out, &header, sizeof(header));
		for (size_t bytes = 1; bytes <= sizeof(out); bytes += bytes < 40 ? 1 : 61) {
			struct harness_io io = { .out = out, .out_bytes = bytes };

			assert_int_equal(harness_call(&d.h, 0, &io), 0);
		}
	}
	assert_untouched(0);
}

/* hostile: A33: more pieces than there is room for, of which the last is the status. */
static void too_many_pieces_are_refused(void **state)
{
	struct disk_request request = { .type = VIRTIO_BLK_T_OUT, .out = data, .out_bytes = 512, .piece = 3 };
	uint8_t out[200] = { 0 };
	struct harness_io io = { .out = out, .out_bytes = sizeof(out), .piece = 1 };
	unsigned status_only[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN, 99 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(status_only); i++) {
		request.type = status_only[i];
		assert_int_equal(disk_call(&d, 0, &request), 1);
		assert_int_equal(request.status, VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(harness_call(&d.h, 0, &io), 0);
	request = (struct disk_request){ .type = VIRTIO_BLK_T_IN, .in = data, .in_bytes = 512, .piece = 3 };
	assert_int_equal(disk_call(&d, 0, &request), 1);
	assert_int_equal(request.status, VIRTIO_BLK_S_IOERR);
	assert_untouched(0);
}

/* hostile: A111, A114: segments that change after they were judged. */
static void segments_are_read_once(void **state)
{
	struct virtio_blk_discard_write_zeroes list[3] = { disk_segment(0, 1, 0), disk_segment(1, 1, 0),
							   disk_segment(2, 1, 0) };
	struct disk_request request = { VIRTIO_BLK_T_DISCARD, .out = list, .out_bytes = sizeof(list) };

	d.fake.later = true;
	disk_add(&d, 0, &request);
	harness_kick(&d.h, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(d.fake.pending_count, 1);
		assert_int_equal(d.fake.pending[0]->offset, i * SECTOR);
		assert_int_equal(d.fake.pending[0]->length, SECTOR);
		/* Everything the driver can reach but the rings, which come first. */
		memset(request.in_memory - 1024, 0xff, 1024);
		fake_block_complete(&d.fake, 0);
	}
	assert_int_equal(disk_collect(&d, 0), 1);
	assert_int_equal(request.status, VIRTIO_BLK_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wild_sectors_are_refused, setup_started, teardown),
		cmocka_unit_test_setup_teardown(odd_lengths_are_refused, setup_started, teardown),
		cmocka_unit_test_setup_teardown(unknown_types_are_unsupported, setup_started, teardown),
		cmocka_unit_test_setup_teardown(wrong_id_lengths_are_refused, setup_started, teardown),
		cmocka_unit_test_setup_teardown(flush_with_data_flushes, setup_started, teardown),
		cmocka_unit_test_teardown(read_only_stays_as_it_is, teardown),
		cmocka_unit_test_teardown(what_was_not_negotiated_is_unsupported, teardown),
		cmocka_unit_test_setup_teardown(unknown_flags_are_unsupported, setup_started, teardown),
		cmocka_unit_test_setup_teardown(bad_segments_are_refused_whole, setup_started, teardown),
		cmocka_unit_test_teardown(segments_longer_than_told_are_refused, teardown),
		cmocka_unit_test_teardown(parts_of_large_blocks_are_refused, teardown),
		cmocka_unit_test_setup_teardown(truncated_requests_are_answered, setup_started, teardown),
		cmocka_unit_test_setup_teardown(no_status_byte_no_deed, setup_started, teardown),
		cmocka_unit_test_setup_teardown(too_many_pieces_are_refused, setup_started, teardown),
		cmocka_unit_test_setup_teardown(segments_are_read_once, setup_started, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
