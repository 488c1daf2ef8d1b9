/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/vssd_bench.h"

#include <stdlib.h>
#include <string.h>

/* VSSD when storage, power or drivers fail; the clauses cited are those of docs/vssd.md. */

static struct bench b;

static int setup(void **state)
{
	bench_make(&b);
	return 0;
}

static int teardown(void **state)
{
	bench_free(&b);
	return 0;
}

/* A device on what a power cut left of the other's storage. */
static void restart_from(struct bench *again, const struct bench *from)
{
	bench_make(again);
	memcpy(again->data.data, from->data.durable, BLOCKS * UNIT);
	memcpy(again->data.durable, from->data.durable, BLOCKS * UNIT);
	memcpy(again->map.data, from->map.durable, again->map.block.size_bytes);
	memcpy(again->map.durable, from->map.durable, again->map.block.size_bytes);
	bench_start(again);
}

static bool is_gone(struct bench *bench, uint64_t block)
{
	uint8_t bytes[UNIT];

	return transfer(bench, VIRTIO_BLK_T_IN, block, bytes) != VIRTIO_BLK_S_OK;
}

/* Each block is somebody's: those not handed back have their contents, the numbers are those of the map. */
static void assert_consistent(struct bench *again, uint64_t first, uint64_t count, bool growing)
{
	uint64_t live = 0;

	for (uint64_t i = 0; i < BLOCKS; i++) {
		bool named = i >= first && i < first + count;

		if (is_gone(again, i)) {
			assert_true(named);
			assert_gone(again, i, 1);
			continue;
		}
		live++;
		if (named && growing)
			assert_zeros(again, i, 1);
		else
			assert_kept(again, i, 1);
	}
	assert_int_equal(report_of(again).provisioned, live);
}

/* Completes the storage's requests one at a time; after each the power may fail. */
static unsigned crash_everywhere(uint64_t first, uint64_t count, bool growing)
{
	static struct bench again;
	unsigned steps = 0;
	bool answered;

	for (answered = false; !answered; steps++) {
		answered = harness_get(&b.h, CONTROL, &(uint32_t){ 0 }) != NULL;
		restart_from(&again, &b);
		assert_consistent(&again, first, count, growing);
		/* What was acknowledged stands. */
		if (answered)
			assert_int_equal(is_gone(&again, first), !growing);
		/* The resize goes on or is over. */
		if (report_of(&again).state == VIRTIO_VSSD_STATE_SHRINKING)
			assert_int_equal(evict(&again, first, count), VIRTIO_VSSD_S_OK);
		if (report_of(&again).state == VIRTIO_VSSD_STATE_GROWING)
			assert_int_equal(claim(&again, first, count), VIRTIO_VSSD_S_OK);
		assert_int_equal(report_of(&again).state, VIRTIO_VSSD_STATE_IDLE);
		bench_free(&again);
		if (b.map.pending_count)
			fake_block_complete(&b.map, 0);
		else if (b.data.pending_count)
			fake_block_complete(&b.data, 0);
	}
	return steps;
}

static void crash_with(uint32_t type, uint64_t first, uint64_t count, uint64_t to)
{
	uint8_t out[64];
	struct harness_io io = { .out = out, .in_bytes = sizeof(struct virtio_vssd_answer) };

	b.map.later = b.data.later = true;
	assert_int_equal(vio_vssd_resize(&b.h.dev, to), 0);
	/* It has begun for the owner, not yet for the driver. */
	assert_int_equal(report_of(&b).target, to);
	assert_int_not_equal(report_of(&b).state, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(vio_le32_get(config_of(&b).state), VIRTIO_VSSD_STATE_IDLE);
	fake_block_complete(&b.map, 0);
	io.out_bytes = make_list(out, type, ticket_of(&b), &(struct pair){ first, count }, 1);
	harness_add(&b.h, CONTROL, &io, &io);
	harness_kick(&b.h, CONTROL);
	assert_true(crash_everywhere(first, count, type == VIRTIO_VSSD_T_CLAIM) >= 3);
	b.map.later = b.data.later = false;
}

/* spec: VSSD-DEV-10, VSSD-DEV-11, VSSD-DEV-12; hostile: H11 */
static void a_crash_at_any_step_loses_nothing(void **state)
{
	uint8_t flush[sizeof(struct virtio_blk_req)] = { VIRTIO_BLK_T_FLUSH }, status;
	struct harness_io io = { .out = flush, .out_bytes = sizeof(flush), .in = &status, .in_bytes = 1 };

	bench_start(&b);
	fill_all(&b);
	assert_int_equal(harness_call(&b.h, 0, &io), 1);
	assert_int_equal(status, VIRTIO_BLK_S_OK);
	crash_with(VIRTIO_VSSD_T_EVICT, 11, 6, BLOCKS - 6);
	crash_with(VIRTIO_VSSD_T_CLAIM, 11, 6, BLOCKS);
	assert_zeros(&b, 11, 6);
	assert_kept(&b, 0, 11);
}

/* A resize that was begun before a crash is still asked for. spec: VSSD-DEV-12 */
static void a_resize_goes_on_after_a_crash(void **state)
{
	static struct bench again;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
	assert_int_equal(evict(&b, 0, 4), VIRTIO_VSSD_S_OK);
	/* The driver's crash: */
	harness_reset(&b.h);
	harness_start(&b.h, harness_offer(&b.h), 64);
	assert_numbers(&b, BLOCKS - 4, 30, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(evict(&b, 4, 1), VIRTIO_VSSD_S_OK);
	/* The device's: */
	restart_from(&again, &b);
	assert_numbers(&again, BLOCKS - 5, 30, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(evict(&again, 5, 5), VIRTIO_VSSD_S_OK);
	assert_numbers(&again, 30, 30, VIRTIO_VSSD_STATE_IDLE);
	bench_free(&again);
}

/*
 * Saved in the middle of a resize, with a list that is being recorded: the other device goes on under the
 * same ticket. spec: VSSD-DEV-12
 */
static void a_resize_moves(void **state)
{
	static struct bench to;
	uint8_t out[64];
	struct harness_io io = { .out = out, .in_bytes = sizeof(struct virtio_vssd_answer) };
	struct virtio_vssd_answer answer;
	uint8_t *in;
	uint32_t ticket;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
	ticket = ticket_of(&b);
	assert_int_equal(evict(&b, 0, 4), VIRTIO_VSSD_S_OK); /* the map has a higher number now */
	b.map.later = b.data.later = true;
	io.out_bytes = make_list(out, VIRTIO_VSSD_T_EVICT, ticket, &(struct pair){ 4, 3 }, 1);
	in = harness_add(&b.h, CONTROL, &io, &io);
	harness_kick(&b.h, CONTROL);
	bench_make(&to);
	/* Made before the other one has ended, and so on a map that isn't the last. */
	memcpy(to.map.data, b.map.data, b.map.block.size_bytes);
	harness_realize(&to.h);
	vio_device_save(&b.h.dev, NULL, 0); /* waits for the storage */
	memcpy(to.data.data, b.data.data, BLOCKS * UNIT);
	memcpy(to.map.data, b.map.data, b.map.block.size_bytes);
	assert_non_null(harness_get(&b.h, CONTROL, &(uint32_t){ 0 }));
	memcpy(&answer, in, sizeof(answer));
	assert_int_equal(vio_le32_get(answer.status), VIRTIO_VSSD_S_OK);
	harness_move(&b.h, &to.h);
	assert_int_equal(ticket_of(&to), ticket);
	assert_numbers(&to, BLOCKS - 7, 30, VIRTIO_VSSD_STATE_SHRINKING);
	/* By a driver of its own, from the beginning, as the other's belongs to the other memory. */
	harness_reset(&to.h);
	harness_start(&to.h, harness_offer(&to.h), 64);
	assert_int_equal(control(&to, VIRTIO_VSSD_T_EVICT, ticket, &(struct pair){ 10, 3 }, 1),
			 VIRTIO_VSSD_S_OK);
	assert_numbers(&to, 30, 30, VIRTIO_VSSD_STATE_IDLE);
	assert_gone(&to, 0, 7);
	bench_free(&to);
}

/* The map beside a saved device has to be its own. hostile: G7 G15 */
static void other_maps_are_refused(void **state)
{
	static struct bench to;
	uint8_t blob[1024];
	size_t bytes;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
	bytes = vio_device_save(&b.h.dev, blob, sizeof(blob));
	assert_in_range(bytes, 1, sizeof(blob));
	bench_make(&to);
	harness_realize(&to.h); /* a new one */
	memcpy(to.h.memory, b.h.memory, HARNESS_MEMORY_BYTES);
	assert_int_equal(vio_device_load(&to.h.dev, blob, bytes), -VIO_ESTATE);
	assert_string_equal(to.h.dev.refusal.what, "number of the map");
	assert_int_equal(to.h.dev.status, 0);
	memset(to.map.data, 0x5a, to.map.block.size_bytes); /* and one that became unreadable */
	assert_int_equal(vio_device_load(&to.h.dev, blob, bytes), -VIO_ESTATE);
	assert_string_equal(to.h.dev.refusal.what, "map, of number");
	memcpy(to.map.data, b.map.data, b.map.block.size_bytes);
	assert_int_equal(vio_device_load(&to.h.dev, blob, bytes), 0);
	assert_numbers(&to, BLOCKS, 30, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(vio_vssd_resize(&to.h.dev, 30), -VIO_EBUSY);
	bench_free(&to);
}

/* Every byte of the newer slot may be torn: the older one stands. */
static void torn_maps_are_seen(void **state)
{
	static struct bench again;
	size_t slot = b.map.block.size_bytes / 2;

	bench_start(&b);
	fill_all(&b);
	memcpy(b.data.durable, b.data.data, BLOCKS * UNIT);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 6), 0); /* the second record: slot 0 */
	for (size_t at = 0; at < slot; at += at < 80 || (at >= 4096 && at < 4110) ? 1 : 509) {
		b.map.durable[at] ^= 0x40;
		if (at >= 8 && at < 16) { /* of another version or unit: that is no crash */
			b.map.durable[at] ^= 0x40;
			continue;
		}
		restart_from(&again, &b);
		assert_numbers(&again, BLOCKS, BLOCKS, VIRTIO_VSSD_STATE_IDLE);
		bench_free(&again);
		b.map.durable[at] ^= 0x40;
	}
}

static int realize_with_map(struct bench *bench)
{
	int error = vio_device_realize(&bench->h.dev);

	if (!error)
		vio_device_unrealize(&bench->h.dev);
	return error;
}

static void damaged_maps_are_refused(void **state)
{
	static struct bench other;
	size_t slot = b.map.block.size_bytes / 2;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 6), 0);
	bench_make(&other);
	memcpy(other.map.data, b.map.data, 2 * slot);
	other.map.data[4096] ^= 1;
	other.map.data[slot + 4096] ^= 1;
	assert_int_equal(realize_with_map(&other), -VIO_ESTATE);
	memcpy(other.map.data, b.map.data, 2 * slot);
	other.data.block.size_bytes -= UNIT; /* other data */
	assert_int_equal(realize_with_map(&other), -VIO_ESTATE);
	other.data.block.size_bytes += UNIT;
	harness_set(&other.h, "unit", "8K");
	assert_int_equal(realize_with_map(&other), -VIO_ESTATE);
	harness_set(&other.h, "unit", "4K");
	other.map.result = -VIO_EIO;
	assert_int_equal(realize_with_map(&other), -VIO_EIO);
	other.map.result = 0;
	other.map.block.size_bytes -= 512;
	assert_int_equal(realize_with_map(&other), -VIO_ERANGE);
	other.map.block.size_bytes += 512;
	assert_int_equal(realize_with_map(&other), 0);
	other.h.storage = NULL;
	vio_device_init(&other.h.dev, &vio_vssd_class, other.h.state);
	assert_int_equal(vio_device_realize(&other.h.dev), -VIO_ENOENT);
	free(other.h.state);
	free(other.h.memory);
	fake_block_free(&other.data);
	fake_block_free(&other.map);
	free(other.memory);
}

/* What can't be recorded is neither the driver's nor the host's until somebody looks. hostile: H7 */
static void a_map_that_fails_ends_resizes(void **state)
{
	bench_start(&b);
	fill_all(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
	b.map.result = -VIO_EIO;
	assert_int_equal(evict(&b, 3, 4), VIRTIO_VSSD_S_IOERR);
	assert_int_equal(report_of(&b).outcome, VIO_VSSD_FAILED);
	assert_int_equal(report_of(&b).state, VIRTIO_VSSD_STATE_IDLE);
	assert_true(is_gone(&b, 3) && is_gone(&b, 6));
	assert_kept(&b, 7, BLOCKS - 7);
	b.map.result = 0;
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), -VIO_EIO);
	assert_int_equal(evict(&b, 8, 1), VIRTIO_VSSD_S_IOERR);
}

/* Space that can't be given back is tried again by the next life of the device. */
static void punching_may_fail(void **state)
{
	static struct bench again;

	bench_start(&b);
	fill_all(&b);
	memcpy(b.data.durable, b.data.data, BLOCKS * UNIT);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 4), 0);
	b.data.result = -VIO_EIO;
	assert_int_equal(evict(&b, 3, 4), VIRTIO_VSSD_S_OK);
	assert_int_equal(report_of(&b).unpunched, 4);
	b.data.result = 0;
	assert_true(is_gone(&b, 3));
	restart_from(&again, &b);
	assert_gone(&again, 3, 4);
	assert_int_equal(report_of(&again).unpunched, 0);
	bench_free(&again);
	/* Zeroes that can't be written keep a block from being taken. */
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS), 0);
	b.data.result = -VIO_EIO;
	assert_int_equal(claim(&b, 3, 4), VIRTIO_VSSD_S_IOERR);
	b.data.result = 0;
	assert_numbers(&b, BLOCKS - 4, BLOCKS, VIRTIO_VSSD_STATE_GROWING);
	assert_int_equal(claim(&b, 3, 4), VIRTIO_VSSD_S_OK);
	assert_zeros(&b, 3, 4);
}

/* A reset in the middle of a list: the list is dealt with, the buffer is dropped. */
static void reset_in_the_middle_of_a_list(void **state)
{
	uint8_t out[64];
	struct harness_io io = { .out = out, .in_bytes = sizeof(struct virtio_vssd_answer) };

	bench_start(&b);
	fill_all(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 5), 0);
	b.map.later = b.data.later = true;
	io.out_bytes = make_list(out, VIRTIO_VSSD_T_EVICT, ticket_of(&b), &(struct pair){ 4, 3 }, 1);
	harness_add(&b.h, CONTROL, &io, &io);
	harness_add(&b.h, CONTROL, &io, &io);
	harness_kick(&b.h, CONTROL);
	harness_reset(&b.h);
	b.map.later = b.data.later = false;
	harness_start(&b.h, harness_offer(&b.h), 64);
	assert_numbers(&b, BLOCKS - 3, BLOCKS - 5, VIRTIO_VSSD_STATE_SHRINKING);
	assert_gone(&b, 4, 3);
	assert_kept(&b, 7, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_crash_at_any_step_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_resize_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(other_maps_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_resize_goes_on_after_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_maps_are_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_maps_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_map_that_fails_ends_resizes, setup, teardown),
		cmocka_unit_test_setup_teardown(punching_may_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_in_the_middle_of_a_list, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
