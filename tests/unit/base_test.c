/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <limits.h>
#include <string.h>

#include <vireo/fault.h>
#include <vireo/features.h>
#include <vireo/state.h>

/* Errors, arithmetic, byte order, features, cursors over saved state. */

static void test_strerror(void **state)
{
	int code, other;

	for (code = 0; code < VIO_ERROR_COUNT; code++) {
		assert_true(strlen(vio_strerror(code)) > 2);
		assert_ptr_equal(vio_strerror(code), vio_strerror(-code));
		for (other = 0; other < code; other++)
			assert_string_not_equal(vio_strerror(code), vio_strerror(other));
	}
	assert_string_equal(vio_strerror(0), "success");
	assert_string_equal(vio_strerror(VIO_ERROR_COUNT), "unknown error");
	assert_string_equal(vio_strerror(-VIO_ERROR_COUNT), "unknown error");
	assert_string_equal(vio_strerror(INT_MIN), "unknown error");
	assert_string_equal(vio_strerror(INT_MAX), "unknown error");
}

static void test_fault_names(void **state)
{
	int kind, other;

	for (kind = 0; kind < VIO_FAULT_KIND_COUNT; kind++) {
		assert_true(strlen(vio_fault_name((enum vio_fault_kind)kind)) > 4);
		for (other = 0; other < kind; other++)
			assert_string_not_equal(vio_fault_name((enum vio_fault_kind)kind),
						vio_fault_name((enum vio_fault_kind)other));
	}
	assert_string_equal(vio_fault_name(VIO_FAULT_KIND_COUNT), "unknown fault");
	assert_string_equal(vio_fault_name((enum vio_fault_kind) - 1), "unknown fault");
}

static void test_arithmetic(void **state)
{
	uint64_t value = 5;

	assert_true(vio_add_u64(UINT64_MAX - 1, 1, &value));
	assert_int_equal(value, UINT64_MAX);
	assert_false(vio_add_u64(UINT64_MAX, 1, &value));
	assert_false(vio_add_u64(UINT64_MAX, UINT64_MAX, &value));
	assert_true(vio_mul_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &value));
	assert_int_equal(value, 0xffffffff00000000u);
	assert_false(vio_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &value));
	assert_true(vio_mul_u64(0, UINT64_MAX, &value));
	assert_int_equal(value, 0);
	assert_false(vio_is_power_of_two(0));
	assert_true(vio_is_power_of_two(1));
	assert_false(vio_is_power_of_two(3));
	assert_true(vio_is_power_of_two(UINT64_C(1) << 63));
	assert_false(vio_is_power_of_two(UINT64_MAX));
}

static void test_byte_order(void **state)
{
	vio_le16 half = vio_le16_make(0x0102);
	vio_le32 word = vio_le32_make(0x01020304);
	vio_le64 two = vio_le64_make(UINT64_C(0x0102030405060708));

	assert_memory_equal(&half, "\2\1", 2);
	assert_memory_equal(&word, "\4\3\2\1", 4);
	assert_memory_equal(&two, "\10\7\6\5\4\3\2\1", 8);
	assert_int_equal(vio_le16_get(half), 0x0102);
	assert_int_equal(vio_le32_get(word), 0x01020304);
	assert_int_equal(vio_le64_get(two), UINT64_C(0x0102030405060708));
	assert_int_equal(vio_bswap16(0x0102), 0x0201);
	assert_int_equal(vio_bswap32(0x01020304), 0x04030201);
	assert_int_equal(vio_bswap64(UINT64_C(0x0102030405060708)), UINT64_C(0x0807060504030201));
}

static void test_features(void **state)
{
	struct vio_features all = VIO_FEATURES_NONE, one, rest;
	unsigned bit, other;

	for (bit = 0; bit < VIO_FEATURE_BITS; bit++) {
		one = VIO_FEATURES_NONE;
		vio_features_set(&one, bit);
		for (other = 0; other < VIO_FEATURE_BITS; other++)
			assert_int_equal(vio_features_has(&one, other), other == bit);
		assert_false(vio_features_empty(one));
		assert_true(vio_features_empty(vio_features_and(all, one)));
		all = vio_features_or(all, one);
		rest = vio_features_minus(all, one);
		assert_false(vio_features_has(&rest, bit));
		assert_true(vio_features_equal(vio_features_or(rest, one), all));
		vio_features_clear(&one, bit);
		assert_true(vio_features_empty(one));
	}
	assert_true(vio_features_equal(all, (struct vio_features){ { UINT64_MAX, UINT64_MAX } }));
	assert_false(vio_features_has(&all, VIO_FEATURE_BITS));
	assert_false(vio_features_has(&all, UINT_MAX));
	assert_false(vio_features_equal(all, vio_features_low(UINT64_MAX)));
	assert_true(vio_features_equal(vio_features_low(3), (struct vio_features){ { 3, 0 } }));
}

static void put_all(struct vio_state_writer *writer)
{
	vio_state_put_u8(writer, 0x12);
	vio_state_put_u16(writer, 0x3456);
	vio_state_put_u32(writer, 0x789abcde);
	vio_state_put_u64(writer, UINT64_C(0x0123456789abcdef));
	vio_state_put_bytes(writer, "bytes", 5);
	vio_state_put_bytes(writer, NULL, 0);
}

#define ALL_BYTES 20u

static void test_state_cursors(void **state)
{
	static const uint8_t expected[ALL_BYTES + 1] =
		"\x12\x56\x34\xde\xbc\x9a\x78\xef\xcd\xab\x89\x67\x45\x23\x01"
		"bytes";
	struct vio_state_writer count = { NULL, 0, 0, false };
	uint8_t bytes[ALL_BYTES + 1];
	struct vio_state_writer writer = { bytes, ALL_BYTES, 0, false };
	struct vio_state_reader reader = { .from = bytes, .size = ALL_BYTES };
	char text[6] = "";

	put_all(&count);
	assert_int_equal(count.used, ALL_BYTES);
	assert_false(count.failed);
	bytes[ALL_BYTES] = 0xa5;
	put_all(&writer);
	assert_false(writer.failed);
	assert_int_equal(writer.used, ALL_BYTES);
	assert_memory_equal(bytes, expected, ALL_BYTES);
	assert_int_equal(bytes[ALL_BYTES], 0xa5);

	assert_int_equal(vio_state_get_u8(&reader), 0x12);
	assert_int_equal(vio_state_get_u16(&reader), 0x3456);
	assert_int_equal(vio_state_get_u32(&reader), 0x789abcde);
	assert_int_equal(vio_state_get_u64(&reader), UINT64_C(0x0123456789abcdef));
	vio_state_get_bytes(&reader, text, 5);
	assert_string_equal(text, "bytes");
	assert_false(reader.failed);
	assert_int_equal(vio_state_get_u8(&reader), 0);
	assert_true(reader.failed);
}

/* Too short by any number of bytes: sticky, and nothing beyond the end is touched. */
static void test_state_cursors_at_their_end(void **state)
{
	uint8_t bytes[ALL_BYTES], source[ALL_BYTES];
	unsigned size;

	memset(source, 0xff, sizeof(source));
	for (size = 0; size < ALL_BYTES; size++) {
		struct vio_state_writer writer = { bytes, size, 0, false };
		struct vio_state_reader reader = { .from = source, .size = size };
		uint64_t sum = 0;
		uint8_t five[5];

		memset(bytes, 0xa5, sizeof(bytes));
		put_all(&writer);
		assert_true(writer.failed);
		assert_true(writer.used > size);
		assert_int_equal(bytes[size], 0xa5);
		vio_state_put_u8(&writer, 1);
		assert_int_equal(bytes[size], 0xa5);

		sum += size >= 1 ? 0xff : 0;
		assert_int_equal(vio_state_get_u8(&reader), sum);
		assert_int_equal(vio_state_get_u16(&reader), size >= 3 ? 0xffff : 0);
		assert_int_equal(vio_state_get_u32(&reader), size >= 7 ? 0xffffffff : 0);
		assert_int_equal(vio_state_get_u64(&reader), size >= 15 ? UINT64_MAX : 0);
		memset(five, 0x11, sizeof(five));
		vio_state_get_bytes(&reader, five, 5);
		assert_memory_equal(five, "\0\0\0\0\0", 5);
		assert_true(reader.failed);
		assert_int_equal(vio_state_get_u8(&reader), 0); /* though one may be left */
		assert_true(reader.used <= size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strerror),
		cmocka_unit_test(test_fault_names),
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_state_cursors),
		cmocka_unit_test(test_state_cursors_at_their_end),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
