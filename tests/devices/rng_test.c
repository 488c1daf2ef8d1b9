/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/harness.h"

#include <string.h>

#include <vireo/devices/rng.h>

/* A source that counts, in portions, until it is empty or broken. */
struct counting {
	struct vio_entropy entropy;
	uint8_t next;
	size_t portion; /* most bytes a call */
	size_t left;
	int result; /* if not 0: what fill says */
	unsigned calls;
	size_t asked; /* the most */
};

static struct harness h;
static struct counting source;

static int fill(struct vio_entropy *entropy, void *to, size_t length)
{
	struct counting *from = VIO_CONTAINER_OF(entropy, struct counting, entropy);
	uint8_t *bytes = to;

	from->calls++;
	if (length > from->asked)
		from->asked = length;
	if (from->result)
		return from->result;
	if (length > from->portion)
		length = from->portion;
	if (length > from->left)
		length = from->left;
	for (size_t i = 0; i < length; i++)
		bytes[i] = ++from->next;
	from->left -= length;
	return (int)length;
}

static int setup(void **state)
{
	source = (struct counting){ .entropy.fill = fill, .portion = 1000000, .left = SIZE_MAX };
	harness_make(&h, &vio_rng_class);
	assert_int_equal(vio_rng_attach(&h.dev, &source.entropy), 0);
	harness_set(&h, "max-bytes", "512");
	harness_realize(&h);
	harness_start(&h, harness_offer(&h), 64);
	return 0;
}

static int teardown(void **state)
{
	harness_free(&h);
	return 0;
}

static int64_t ask(void *in, size_t in_bytes, size_t piece)
{
	struct harness_io io = { .in = in, .in_bytes = in_bytes, .piece = piece };

	return harness_call(&h, 0, &io);
}

static void assert_counts(const uint8_t *bytes, size_t count, uint8_t first)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(bytes[i], (uint8_t)(first + i));
}

/* spec: DEV-RNG-001, DEV-RNG-MAY-001 */
static void fills_up_to_its_limit(void **state)
{
	uint8_t in[2000];
	uint8_t first = 1;

	for (size_t bytes = 1; bytes <= sizeof(in); bytes += bytes < 8 ? 1 : 127) {
		int64_t written = ask(in, bytes, 0);

		assert_int_equal(written, bytes < 512 ? bytes : 512);
		assert_counts(in, (size_t)written, first);
		first = (uint8_t)(first + written);
	}
	assert_true(source.asked <= 512);
}

static void fills_pieces(void **state)
{
	uint8_t in[600];

	source.portion = 7;
	assert_int_equal(ask(in, 12, 1), 12);
	assert_counts(in, 12, 1);
	assert_int_equal(ask(in, 600, 100), 512);
	assert_counts(in, 512, 13);
}

/* hostile: A33: what is missing at the end isn't bridged over. */
static void fills_no_further_than_it_sees(void **state)
{
	uint8_t in[40];
	int64_t written = ask(in, sizeof(in), 1);

	assert_in_range(written, 1, VIO_DEVICE_SPANS_DEFAULT - 1);
	assert_counts(in, (size_t)written, 1);
	assert_int_equal(in[sizeof(in) - 1], 0xc5);
}

/* hostile: A26, A27 */
static void readable_bytes_are_left_alone(void **state)
{
	uint8_t out[40] = { 0 }, in[4];
	struct harness_io io = { out, sizeof(out), NULL, 0, 0 };

	assert_int_equal(harness_call(&h, 0, &io), 0);
	io = (struct harness_io){ out, sizeof(out), in, sizeof(in), 0 };
	assert_int_equal(harness_call(&h, 0, &io), 4);
	io.piece = 1; /* the writable part lies beyond what is seen */
	assert_int_equal(harness_call(&h, 0, &io), 0);
	assert_int_equal(ask(in, 4, 0), 4);
}

/* hostile: A121 */
static void a_huge_buffer_costs_no_more_than_the_limit(void **state)
{
	uint8_t *memory = harness_take(&h, 8 << 20);
	struct vio_sg sg[16];
	uint32_t written;

	/* The same 8 MiB again and again: 120 MiB in one chain. */
	for (unsigned i = 0; i < 15; i++)
		sg[i] = harness_sg(&h, memory, 8 << 20);
	assert_int_equal(vio_drvq_add(&h.queues[0].q, sg, 0, 15, &h), 0);
	harness_kick(&h, 0);
	assert_ptr_equal(harness_get(&h, 0, &written), &h);
	assert_int_equal(written, 512);
	assert_true(source.asked <= 512);
}

/* hostile: A121: 4 GiB but for what the rings take, which no device should try to fill. */
static void four_gib(void **state)
{
	struct vio_sg sg[256];
	uint32_t written;

	harness_reset(&h);
	harness_start(&h, 0, 256);
	for (unsigned i = 0; i < 256; i++)
		sg[i] = harness_sg(&h, h.memory, HARNESS_MEMORY_BYTES);
	sg[0] = harness_sg(&h, harness_take(&h, 4096), 4096);
	assert_int_equal(vio_drvq_add(&h.queues[0].q, sg, 0, 256, &h), 0);
	harness_kick(&h, 0);
	assert_ptr_equal(harness_get(&h, 0, &written), &h);
	assert_int_equal(written, 512);
	assert_true(source.asked <= 512);
}

/* hostile: A121 */
static void pending_buffers_go_with_reset(void **state)
{
	struct harness_io io = { .in_bytes = 16 };
	uint8_t in[16];
	uint32_t written;

	source.left = 0;
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 64; i++)
			harness_add(&h, 0, &io, &h);
		harness_kick(&h, 0);
		assert_null(harness_get(&h, 0, &written));
		harness_reset(&h);
		harness_start(&h, harness_offer(&h), 64);
	}
	source.left = 100;
	assert_int_equal(ask(in, 16, 0), 16);
}

static void waits_for_its_source(void **state)
{
	struct harness_io io = { .in_bytes = 8 };
	uint8_t *in;
	uint32_t written = 0;

	source.left = 3;
	in = harness_add(&h, 0, &io, &io);
	harness_add(&h, 0, &io, &h);
	harness_kick(&h, 0);
	assert_ptr_equal(harness_get(&h, 0, &written), &io);
	assert_int_equal(written, 3);
	assert_counts(in, 3, 1);
	assert_null(harness_get(&h, 0, &written));
	vio_rng_ready(&h.dev); /* a lie */
	assert_null(harness_get(&h, 0, &written));
	source.left = 100;
	vio_rng_ready(&h.dev);
	assert_ptr_equal(harness_get(&h, 0, &written), &h);
	assert_int_equal(written, 8);
	assert_int_equal(h.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

/* Buffers that wait don't keep the driver from kicking, nor the device from asking again. */
static void asks_again_at_the_next_kick(void **state)
{
	struct harness_io io = { .in_bytes = 8 };
	uint32_t written = 0;

	harness_reset(&h);
	harness_start(&h, harness_offer(&h) & ~(UINT64_C(1) << VIRTIO_F_EVENT_IDX), 64);
	source.left = 0;
	harness_add(&h, 0, &io, &io);
	harness_kick(&h, 0);
	assert_null(harness_get(&h, 0, &written));
	source.left = 100;
	harness_add(&h, 0, &io, &h);
	harness_kick(&h, 0);
	assert_ptr_equal(harness_get(&h, 0, &written), &io);
	assert_ptr_equal(harness_get(&h, 0, &written), &h);
}

/* spec: DEV-BASIC-002, DEV-BASIC-003; hostile: A133 */
static void a_failed_source_stops_the_device(void **state)
{
	static const int results[] = { -VIO_EIO, -VIO_ESYS, 9, 100000, INT32_MIN, INT32_MAX };
	uint8_t in[8];

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(results); i++) {
		unsigned interrupts = h.config_interrupts;

		source.result = results[i];
		assert_int_equal(ask(in, sizeof(in), 0), -1);
		assert_true(h.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(h.config_interrupts, interrupts + 1);
		source.result = 0;
		harness_reset(&h);
		harness_start(&h, harness_offer(&h), 64);
		assert_int_equal(ask(in, sizeof(in), 0), 8);
	}
}

static void needs_a_source(void **state)
{
	struct harness bare;

	harness_make(&bare, &vio_rng_class);
	assert_int_equal(vio_device_realize(&bare.dev), -VIO_ENOENT);
	assert_int_equal(harness_try_set(&bare, "max-bytes", "0"), -VIO_ERANGE);
	assert_int_equal(harness_try_set(&bare, "max-bytes", "16777217"), -VIO_ERANGE);
	assert_int_equal(vio_rng_attach(&bare.dev, &source.entropy), 0);
	harness_realize(&bare);
	assert_int_equal(harness_offer(&bare) & 0xffffff, 0);
	assert_int_equal(bare.dev.config_bytes, 0);
	harness_poke_config(&bare, 3);
	harness_free(&bare);
}

static void moves(void **state)
{
	struct harness other;
	uint8_t in[8];
	struct harness_io io = { .in = in, .in_bytes = sizeof(in) };

	assert_int_equal(ask(in, sizeof(in), 0), 8);
	harness_make(&other, &vio_rng_class);
	assert_int_equal(vio_rng_attach(&other.dev, &source.entropy), 0);
	harness_realize(&other);
	harness_move(&h, &other);
	assert_true(vio_device_running(&other.dev));
	harness_reset(&other);
	harness_start(&other, 0, 4);
	assert_int_equal(harness_call(&other, 0, &io), 8);
	harness_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fills_up_to_its_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(fills_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(fills_no_further_than_it_sees, setup, teardown),
		cmocka_unit_test_setup_teardown(readable_bytes_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_huge_buffer_costs_no_more_than_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(four_gib, setup, teardown),
		cmocka_unit_test_setup_teardown(pending_buffers_go_with_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_its_source, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_again_at_the_next_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_source_stops_the_device, setup, teardown),
		cmocka_unit_test_setup_teardown(needs_a_source, setup, teardown),
		cmocka_unit_test_setup_teardown(moves, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
