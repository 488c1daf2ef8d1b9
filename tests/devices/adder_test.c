/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/harness.h"

#include <string.h>

#include <vireo/devices/adder.h>

static int setup(void **state)
{
	static struct harness h;

	harness_make(&h, &vio_adder_class);
	harness_realize(&h);
	harness_start(&h, harness_offer(&h), 64);
	*state = &h;
	return 0;
}

static int teardown(void **state)
{
	harness_free(*state);
	return 0;
}

static int64_t add(struct harness *h, const void *out, size_t out_bytes, void *in, size_t in_bytes,
		   size_t piece)
{
	struct harness_io io = { out, out_bytes, in, in_bytes, piece };

	return harness_call(h, 0, &io);
}

static void adds_one(void **state)
{
	static const uint32_t numbers[] = { 0, 1, 41, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	vio_le32 out, in;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(numbers); i++) {
		out = vio_le32_make(numbers[i]);
		assert_int_equal(add(*state, &out, 4, &in, 4, 0), 4);
		assert_int_equal(vio_le32_get(in), numbers[i] + 1);
	}
}

/* spec: DEV-SPLIT-001; hostile: A30 */
static void takes_any_framing(void **state)
{
	for (size_t piece = 1; piece <= 4; piece++) {
		vio_le32 out = vio_le32_make(255), in;

		assert_int_equal(add(*state, &out, 4, &in, 4, piece), 4);
		assert_int_equal(vio_le32_get(in), 256);
	}
}

/* hostile: A26, A27 and every truncation */
static void short_parts_get_nothing(void **state)
{
	uint8_t out[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, in[8];

	for (size_t out_bytes = 0; out_bytes <= 8; out_bytes++) {
		for (size_t in_bytes = out_bytes ? 0 : 1; in_bytes <= 8; in_bytes++) {
			int64_t expected = out_bytes >= 4 && in_bytes >= 4 ? 4 : 0;

			assert_int_equal(add(*state, out, out_bytes, in, in_bytes, 0), expected);
		}
	}
}

/* hostile: A33 */
static void too_many_pieces_get_nothing(void **state)
{
	uint8_t out[40] = { 7 }, in[4];

	assert_int_equal(add(*state, out, sizeof(out), in, sizeof(in), 1), 0);
	assert_int_equal(add(*state, out, 4, in, 4, 0), 4);
}

static void batches_interrupt_once(void **state)
{
	struct harness *h = *state;
	vio_le32 numbers[16];
	uint8_t *in[16];
	uint32_t written;

	for (uint32_t i = 0; i < 16; i++) {
		struct harness_io io = { .out = &numbers[i], .out_bytes = 4, .in_bytes = 4 };

		numbers[i] = vio_le32_make(i * 1000);
		in[i] = harness_add(h, 0, &io, &numbers[i]);
	}
	harness_kick(h, 0);
	assert_int_equal(h->queues[0].interrupts, 1);
	for (uint32_t i = 0; i < 16; i++) {
		vio_le32 result;

		assert_ptr_equal(harness_get(h, 0, &written), &numbers[i]);
		memcpy(&result, in[i], 4);
		assert_int_equal(vio_le32_get(result), i * 1000 + 1);
	}
	assert_null(harness_get(h, 0, &written));
}

static uint32_t status_word(struct harness *h)
{
	vio_le32 word;

	vio_device_read_config(&h->dev, 0, &word, sizeof(word));
	return vio_le32_get(word);
}

static void status_is_the_drivers(void **state)
{
	struct harness *h = *state;
	vio_le32 word = vio_le32_make(0xdeadbeef);
	uint8_t byte = 0x11;

	assert_int_equal(status_word(h), 99);
	assert_int_equal(vio_device_write_config(&h->dev, 0, &word, sizeof(word)), 0);
	assert_int_equal(status_word(h), 0xdeadbeef);
	assert_int_equal(vio_device_write_config(&h->dev, 1, &byte, 1), 0);
	assert_int_equal(status_word(h), 0xdead11ef);
	assert_int_equal(h->config_interrupts, 0);
	harness_reset(h);
	assert_int_equal(status_word(h), 99);
}

/* hostile: A100 */
static void config_is_bounded(void **state)
{
	harness_poke_config(*state, 1);
}

static void moves(void **state)
{
	struct harness *h = *state;
	struct harness other;
	vio_le32 word = vio_le32_make(1234567), in;

	assert_int_equal(vio_device_write_config(&h->dev, 0, &word, sizeof(word)), 0);
	assert_int_equal(add(h, &word, 4, &in, 4, 0), 4);
	harness_make(&other, &vio_adder_class);
	harness_realize(&other);
	harness_move(h, &other);
	assert_int_equal(status_word(&other), 1234567);
	assert_true(vio_device_running(&other.dev));
	harness_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adds_one, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_any_framing, setup, teardown),
		cmocka_unit_test_setup_teardown(short_parts_get_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_pieces_get_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(batches_interrupt_once, setup, teardown),
		cmocka_unit_test_setup_teardown(status_is_the_drivers, setup, teardown),
		cmocka_unit_test_setup_teardown(config_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(moves, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
