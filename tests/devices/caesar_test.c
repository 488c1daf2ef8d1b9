/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/harness.h"

#include <stdlib.h>
#include <string.h>

#include <vireo/devices/caesar.h>

static int setup(void **state)
{
	static struct harness h;

	harness_make(&h, &vio_caesar_class);
	harness_realize(&h);
	harness_start(&h, harness_offer(&h) & ~(UINT64_C(1) << VIRTIO_F_INDIRECT_DESC), 256);
	*state = &h;
	return 0;
}

static int teardown(void **state)
{
	harness_free(*state);
	return 0;
}

static int64_t rotate(struct harness *h, const void *out, size_t out_bytes, void *in, size_t in_bytes,
		      size_t piece)
{
	struct harness_io io = { out, out_bytes, in, in_bytes, piece };

	return harness_call(h, 0, &io);
}

static void assert_rotates(struct harness *h, const char *from, const char *to)
{
	char in[64] = { 0 };
	size_t bytes = strlen(from);

	assert_int_equal(rotate(h, from, bytes, in, bytes, 0), bytes);
	assert_string_equal(in, to);
}

static void write_config(struct harness *h, uint32_t offset, uint8_t value)
{
	assert_int_equal(vio_device_write_config(&h->dev, offset, &value, 1), 0);
}

static void assert_config(struct harness *h, uint8_t shift, uint8_t mode)
{
	uint8_t config[4];

	vio_device_read_config(&h->dev, 0, config, sizeof(config));
	assert_int_equal(config[0], shift);
	assert_int_equal(config[1], mode);
	assert_int_equal(config[2] | config[3], 0);
}

static void rotates_letters_only(void **state)
{
	struct harness *h = *state;

	assert_rotates(h, "Hello, World! xyz XYZ @[`{ 09", "Khoor, Zruog! abc ABC @[`{ 09");
	write_config(h, 1, VIRTIO_CAESAR_MODE_DECIPHER);
	assert_rotates(h, "Khoor, Zruog! abc ABC @[`{ 09", "Hello, World! xyz XYZ @[`{ 09");
	write_config(h, 0, 0);
	assert_rotates(h, "unchanged", "unchanged");
}

/* Every shift, every byte, both ways, against a table made another way. */
static void every_byte_comes_back(void **state)
{
	static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", lower[] = "abcdefghijklmnopqrstuvwxyz";
	uint8_t all[256], there[256], back[256];

	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	for (uint8_t shift = 0; shift <= VIRTIO_CAESAR_SHIFT_MAX; shift++) {
		write_config(*state, 0, shift);
		write_config(*state, 1, VIRTIO_CAESAR_MODE_ENCIPHER);
		assert_int_equal(rotate(*state, all, 256, there, 256, 0), 256);
		for (unsigned i = 0; i < 256; i++) {
			const char *u = i ? strchr(upper, (int)i) : NULL;
			const char *l = i ? strchr(lower, (int)i) : NULL;
			unsigned expected = u ? (unsigned)upper[(u - upper + shift) % 26] :
					    l ? (unsigned)lower[(l - lower + shift) % 26] : i;

			assert_int_equal(there[i], expected);
		}
		write_config(*state, 1, VIRTIO_CAESAR_MODE_DECIPHER);
		assert_int_equal(rotate(*state, there, 256, back, 256, 0), 256);
		assert_memory_equal(back, all, 256);
	}
}

static void shorter_part_decides(void **state)
{
	uint8_t out[20], in[20];

	memset(out, 'a', sizeof(out));
	for (size_t n = 0; n <= 20; n++) {
		for (size_t m = n ? 0 : 1; m <= 20; m++) {
			size_t expected = n < m ? n : m;

			assert_int_equal(rotate(*state, out, n, in, m, n % 3), expected);
			for (size_t i = 0; i < m; i++)
				assert_int_equal(in[i], i < expected ? 'd' : 0xc5);
		}
	}
}

/* spec: DEV-SPLIT-001 */
static void takes_long_texts_in_any_framing(void **state)
{
	static const size_t pieces[] = { 0, 1009, 4096, 65536 };
	size_t bytes = 100000;
	uint8_t *out = malloc(bytes), *in = malloc(bytes);

	assert_true(out && in);
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)('a' + i % 23);
	for (unsigned p = 0; p < VIO_ARRAY_SIZE(pieces); p++) {
		memset(in, 0, bytes);
		assert_int_equal(rotate(*state, out, bytes, in, bytes, pieces[p]), bytes);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(in[i], out[i] + 3);
	}
	assert_int_equal(rotate(*state, out, 100, in, 100, 1), 100);
	assert_int_equal(rotate(*state, out, 128, in, 128, 1), 128);
	free(out);
	free(in);
}

/* hostile: A33 */
static void too_many_pieces_get_nothing(void **state)
{
	struct harness *h = *state;
	uint8_t out[300], in[300];

	teardown(state);
	harness_make(h, &vio_caesar_class);
	harness_set(h, "queue-size", "1024");
	harness_realize(h);
	harness_start(h, harness_offer(h), 1024);
	memset(out, 'a', sizeof(out));
	assert_int_equal(rotate(h, out, 300, in, 300, 1), 0);
	for (unsigned i = 0; i < sizeof(in); i++)
		assert_int_equal(in[i], 0xc5);
	assert_int_equal(rotate(h, out, 300, in, 300, 3), 300);
}

static void driver_writes_what_is_legal(void **state)
{
	struct harness *h = *state;
	vio_le32 both = vio_le32_make(0xffff0119); /* reserved, decipher, 25 */

	assert_config(h, 3, 0);
	write_config(h, 0, 26);
	write_config(h, 1, 2);
	write_config(h, 0, 255);
	assert_config(h, 3, 0);
	assert_int_equal(vio_device_write_config(&h->dev, 0, &both, 4), 0);
	assert_config(h, 25, 1);
	assert_int_equal(h->config_interrupts, 0);
	for (unsigned shift = 0; shift < 256; shift++) {
		write_config(h, 0, (uint8_t)shift);
		assert_config(h, (uint8_t)(shift > 25 ? 25 : shift), 1);
	}
}

static void host_changes_are_announced(void **state)
{
	struct harness *h = *state;
	uint32_t generation = h->dev.config_generation;

	write_config(h, 0, 7);
	assert_config(h, 7, 0);
	harness_set(h, "mode", "decipher");
	assert_int_equal(h->config_interrupts, 1);
	assert_int_not_equal(h->dev.config_generation, generation);
	assert_config(h, 7, 1); /* the driver's shift stands */
	write_config(h, 1, 0);
	harness_set(h, "shift", "13");
	assert_int_equal(h->config_interrupts, 2);
	assert_config(h, 13, 0); /* and so does the mode */
	write_config(h, 1, 1);
	assert_int_equal(harness_try_set(h, "shift", "26"), -VIO_ERANGE);
	assert_int_equal(harness_try_set(h, "mode", "sideways"), -VIO_EINVAL);
	assert_int_equal(h->config_interrupts, 2);
	assert_rotates(h, "Uryyb", "Hello");
	write_config(h, 0, 1);
	harness_reset(h);
	assert_config(h, 13, 1);
}

/* hostile: A100 */
static void config_is_bounded(void **state)
{
	uint8_t config[2];

	harness_poke_config(*state, 2);
	vio_device_read_config(&((struct harness *)*state)->dev, 0, config, 2);
	assert_in_range(config[0], 0, 25);
	assert_in_range(config[1], 0, 1);
}

static void moves(void **state)
{
	struct harness *h = *state;
	struct harness other;

	write_config(h, 0, 21);
	write_config(h, 1, 1);
	harness_make(&other, &vio_caesar_class);
	harness_realize(&other);
	harness_move(h, &other);
	assert_config(&other, 21, 1);
	harness_reset(&other);
	assert_config(&other, 3, 0);
	harness_free(&other);
}

/* hostile: G2 */
static void refuses_impossible_state(void **state)
{
	static const uint8_t bad[][2] = { { 26, 0 }, { 255, 1 }, { 3, 2 }, { 0, 255 } };
	struct harness *h = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		struct vio_state_reader reader = { .from = bad[i], .size = 2 };

		assert_int_equal(vio_caesar_class.load(&h->dev, &reader, 1), -VIO_ESTATE);
		assert_config(h, 3, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rotates_letters_only, setup, teardown),
		cmocka_unit_test_setup_teardown(every_byte_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(shorter_part_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_long_texts_in_any_framing, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_pieces_get_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(driver_writes_what_is_legal, setup, teardown),
		cmocka_unit_test_setup_teardown(host_changes_are_announced, setup, teardown),
		cmocka_unit_test_setup_teardown(config_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(moves, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_impossible_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
