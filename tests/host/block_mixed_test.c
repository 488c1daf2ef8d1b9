/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/drive.h"
#include "host/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Batches of reads and writes of a small range: neighbours, overlapping ones, in any order, on storage that
 * has bad blocks, stops short and is interrupted, against a model. Every write has a value of its own. What
 * is in flight together has no order, so the model knows for each block all values that it may have.
 * VIREO_SEED chooses another run.
 */
enum { BLOCK = 512, BLOCKS = 96, BATCH = 24, BLOCKS_MAX = 12, ROUNDS = 400, SPANS = 3, WORDS = BLOCK / 4 };

struct slot {
	struct drive_request drive;
	struct vio_span spans[SPANS];
	uint32_t words[BLOCKS_MAX * WORDS];
	unsigned first, count;
	uint32_t value; /* of a write */
};

static struct {
	struct drive drive;
	struct slot slots[BATCH];
	uint32_t values[BLOCKS]; /* before the batch */
	bool bad[BLOCKS];
	uint32_t last_value;
	unsigned seed, errors;
	unsigned whole, calls; /* requests where nothing failed, and what they took */
} world;

static unsigned below(unsigned limit)
{
	return (unsigned)rand_r(&world.seed) % limit;
}

static void choose_range(struct slot *slot, const struct slot *before)
{
	slot->count = 1 + below(BLOCKS_MAX);
	slot->first = below(BLOCKS - slot->count + 1);
	if (before && below(4) && before->first + before->count + slot->count <= BLOCKS)
		slot->first = before->first + before->count;
}

static void scatter(struct slot *slot)
{
	const size_t length = (size_t)slot->count * BLOCK;
	size_t used = 0;

	for (unsigned i = 0; i < SPANS; i++) {
		size_t part = i == SPANS - 1 ? length - used : below((unsigned)(length - used) + 1);

		slot->spans[i] = (struct vio_span){ (uint8_t *)slot->words + used, part };
		used += part;
	}
}

static void start(struct slot *slot, const struct slot *before)
{
	enum vio_block_op op = below(2) ? VIO_BLOCK_READ : VIO_BLOCK_WRITE;

	if (before && below(4))
		op = before->drive.request.op;
	choose_range(slot, before);
	scatter(slot);
	slot->value = op == VIO_BLOCK_WRITE ? ++world.last_value : 0;
	for (unsigned i = 0; i < slot->count * WORDS; i++)
		slot->words[i] = slot->value;
	slot->drive.request = (struct vio_block_request){ .op = op,
							  .offset = (uint64_t)slot->first * BLOCK,
							  .length = (uint64_t)slot->count * BLOCK,
							  .spans = slot->spans,
							  .span_count = SPANS };
	if (op == VIO_BLOCK_WRITE && !below(6))
		slot->drive.request.flags = VIO_BLOCK_STABLE;
	drive_submit(&world.drive, &slot->drive);
}

static bool covers(const struct slot *slot, unsigned block)
{
	return slot->first <= block && block < slot->first + slot->count;
}

/* May a read that was in flight with this batch, or (after) comes after it, see this value there? */
static bool may_be(unsigned block, uint32_t value, bool after)
{
	bool written = false, found = false;

	for (unsigned i = 0; i < BATCH; i++) {
		const struct slot *slot = &world.slots[i];

		if (slot->drive.request.op != VIO_BLOCK_WRITE || !covers(slot, block))
			continue;
		found = found || slot->value == value;
		written = written || !slot->drive.result;
	}
	return found || (value == world.values[block] && !(after && written));
}

static void check_answers(void)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct slot *slot = &world.slots[i];
		bool bad = false;

		for (unsigned block = slot->first; block < slot->first + slot->count; block++)
			bad = bad || world.bad[block];
		assert_int_equal(slot->drive.done, 1);
		assert_int_equal(slot->drive.result, bad ? -VIO_EIO : 0);
		world.errors += bad;
		if (bad || slot->drive.request.op != VIO_BLOCK_READ)
			continue;
		for (unsigned k = 0; k < slot->count * WORDS; k++)
			assert_true(may_be(slot->first + k / WORDS, slot->words[k], false));
	}
}

static void check_image(void)
{
	static uint32_t words[BLOCKS * WORDS];

	faults_reset();
	assert_int_equal(drive_read(&world.drive, 0, words, sizeof(words)), 0);
	for (unsigned block = 0; block < BLOCKS; block++) {
		const uint32_t *at = words + (size_t)block * WORDS;

		for (unsigned i = 0; i < WORDS; i++)
			assert_true(may_be(block, at[i], true));
		/* A bad block may have been written to in part: it gets a value for the next round. */
		world.values[block] = at[0];
		for (unsigned i = 1; i < WORDS; i++)
			assert_int_equal(at[i], at[0]);
	}
}

static void choose_faults(void)
{
	static const unsigned shorts[] = { 0, 0, BLOCK, 5 * BLOCK, 20 * BLOCK };

	memset(world.bad, 0, sizeof(world.bad));
	faults.short_bytes = shorts[below(VIO_ARRAY_SIZE(shorts))];
	if (!below(2))
		faults.glance_error = 0;
	if (!below(3)) {
		const unsigned first = below(BLOCKS), count = 1 + below(3);

		faults.bad_first = first * BLOCK;
		faults.bad_end = (first + count) * BLOCK;
		faults.bad_error = EROFS;
		for (unsigned i = first; i < first + count && i < BLOCKS; i++)
			world.bad[i] = true;
	} else if (!below(3)) {
		faults.read_error = faults.write_error = below(2) ? EINTR : EAGAIN;
		faults.times = (int)below(12);
	}
}

static void round_of_requests(void)
{
	struct vio_block *block = world.drive.block;
	unsigned i;

	choose_faults();
	block->ops->hold(block);
	for (i = 0; i < BATCH; i++) {
		start(&world.slots[i], i ? &world.slots[i - 1] : NULL);
		if (i % 8 == 7)
			block->ops->settle(block);
	}
	block->ops->release(block);
	for (i = 0; i < BATCH; i++)
		drive_wait(&world.drive, &world.slots[i].drive);
	if (!faults.bad_error && !faults.short_bytes && !faults.write_error) {
		world.whole += BATCH;
		world.calls += faults.reads + faults.writes;
	}
	check_answers();
	check_image();
}

static void mixed(void **state)
{
	const char *seed = getenv("VIREO_SEED");

	memset(&world, 0, sizeof(world));
	world.seed = seed ? (unsigned)strtoul(seed, NULL, 0) : 20261121;
	print_message("# seed %u\n", world.seed);
	faults_reset();
	drive_make_file(&world.drive, engine_loop(state), "/var/tmp", (uint64_t)BLOCKS * BLOCK);
	drive_open(&world.drive);
	for (unsigned i = 0; i < ROUNDS; i++)
		round_of_requests();
	drive_remove(&world.drive);
	/* It would be no test otherwise. */
	assert_in_range(world.errors, ROUNDS / 2, (uint64_t)ROUNDS * BATCH / 2);
	assert_in_range(world.calls, world.whole / BATCH, world.whole * 2 / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mixed, engine_setup_epoll, engine_teardown),
	};

	return cmocka_run_group_tests_name("block-mixed", tests, NULL, NULL);
}
