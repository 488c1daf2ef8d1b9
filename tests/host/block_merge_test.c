/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/drive.h"
#include "host/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Requests that are submitted together and lie side by side: what is one transfer, and what each is told. */
enum { PAGE = 4096, COUNT = 96, FILE_BYTES = 4 << 20 };

struct piece {
	struct drive_request drive;
	struct vio_span spans[2];
};

static struct drive drive;
static struct piece pieces[COUNT];
static uint8_t memory[COUNT][2 * PAGE]; /* of two pages, so that pieces don't touch each other there */
static uint8_t expected[COUNT * PAGE];

static int setup(void **state)
{
	faults_reset();
	engine_setup_epoll(state);
	drive_make_file(&drive, engine_loop(state), "/var/tmp", FILE_BYTES);
	drive_open(&drive);
	memset(pieces, 0, sizeof(pieces));
	return 0;
}

static int teardown(void **state)
{
	drive_remove(&drive);
	return engine_teardown(state);
}

static void hold(void)
{
	drive.block->ops->hold(drive.block);
}

static void settle(void)
{
	drive.block->ops->settle(drive.block);
}

static void release(void)
{
	drive.block->ops->release(drive.block);
}

/* Two spans, the first of which doesn't end where a block does. */
static void add(unsigned index, enum vio_block_op op, uint64_t offset, unsigned flags)
{
	struct piece *piece = &pieces[index];

	piece->spans[0] = (struct vio_span){ memory[index], 1000 };
	piece->spans[1] = (struct vio_span){ memory[index] + PAGE, PAGE - 1000 };
	piece->drive.request = (struct vio_block_request){ .op = op,
							   .flags = flags,
							   .offset = offset,
							   .length = PAGE,
							   .spans = piece->spans,
							   .span_count = 2 };
	drive_submit(&drive, &piece->drive);
}

/* `count` neighbours from `offset` on, from piece `first` on; what is written has bytes of its own. */
static void add_row(enum vio_block_op op, unsigned first, unsigned count, uint64_t offset, unsigned flags)
{
	for (unsigned i = first; i < first + count; i++) {
		uint8_t *bytes = expected + (size_t)i * PAGE;

		if (op == VIO_BLOCK_WRITE) {
			drive_pattern(bytes, PAGE, 1000 + i + (unsigned)offset);
			memcpy(memory[i], bytes, 1000);
			memcpy(memory[i] + PAGE, bytes + 1000, PAGE - 1000);
		} else {
			memset(memory[i], 0xee, sizeof(memory[i]));
		}
		add(i, op, offset + (uint64_t)(i - first) * PAGE, flags);
	}
}

static void wait_row(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		drive_wait(&drive, &pieces[i].drive);
}

static void assert_results(unsigned first, unsigned count, int result)
{
	for (unsigned i = first; i < first + count; i++)
		assert_int_equal(pieces[i].drive.result, result);
}

/* What was read is what was written into the same pieces. */
static void assert_read(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		assert_memory_equal(memory[i], expected + (size_t)i * PAGE, 1000);
		assert_memory_equal(memory[i] + PAGE, expected + (size_t)i * PAGE + 1000, PAGE - 1000);
		assert_int_equal(memory[i][1000], 0xee);
	}
}

static void run_row(enum vio_block_op op, unsigned count, uint64_t offset, unsigned flags)
{
	hold();
	add_row(op, 0, count, offset, flags);
	release();
	wait_row(0, count);
}

static void neighbours_are_one(void **state)
{
	run_row(VIO_BLOCK_WRITE, 8, 8192, 0);
	assert_results(0, 8, 0);
	assert_int_equal(faults.writes, 1);
	run_row(VIO_BLOCK_READ, 8, 8192, 0);
	assert_results(0, 8, 0);
	assert_int_equal(faults.reads, 1);
	assert_read(0, 8);
	/* A row of its own by a single request, too. */
	run_row(VIO_BLOCK_READ, 1, 8192, 0);
	assert_int_equal(faults.reads, 2);
	assert_read(0, 1);
}

static void only_when_wanted(void **state)
{
	drive_close(&drive);
	drive_set(&drive, "merge", "off");
	drive_open(&drive);
	run_row(VIO_BLOCK_WRITE, 8, 0, 0);
	run_row(VIO_BLOCK_READ, 8, 0, 0);
	assert_results(0, 8, 0);
	assert_read(0, 8);
	assert_int_equal(faults.writes, 8);
	assert_int_equal(faults.reads, 8);
	/* Nor outside of hold and release. */
	drive_close(&drive);
	drive_set(&drive, "merge", "on");
	drive_open(&drive);
	add_row(VIO_BLOCK_READ, 0, 8, 0, 0);
	wait_row(0, 8);
	assert_int_equal(faults.reads, 16);
}

/* What comes between, or isn't next, ends a row. */
static void others_are_apart(void **state)
{
	hold();
	add_row(VIO_BLOCK_WRITE, 0, 2, 0, 0);
	add_row(VIO_BLOCK_WRITE, 2, 2, (uint64_t)3 * PAGE, 0);      /* a gap */
	add_row(VIO_BLOCK_WRITE, 4, 2, (uint64_t)4 * PAGE, 0);      /* an overlap */
	add_row(VIO_BLOCK_WRITE, 6, 2, 512, 0);                     /* backwards */
	add_row(VIO_BLOCK_READ, 8, 2, (uint64_t)2 * PAGE + 512, 0); /* another operation */
	release();
	wait_row(0, 10);
	assert_results(0, 10, 0);
	assert_int_equal(faults.writes, 4);
	assert_int_equal(faults.reads, 1);
	hold();
	add_row(VIO_BLOCK_WRITE, 0, 2, 0, 0);
	add_row(VIO_BLOCK_WRITE, 2, 2, (uint64_t)2 * PAGE, VIO_BLOCK_STABLE);
	add_row(VIO_BLOCK_WRITE, 4, 2, (uint64_t)4 * PAGE, 0);
	release();
	wait_row(0, 6);
	assert_results(0, 6, 0);
	assert_int_equal(faults.writes, 4 + 3);
	assert_int_equal(faults.stables, 1);
	for (unsigned op = VIO_BLOCK_FLUSH; op <= VIO_BLOCK_WRITE_ZEROES; op++) {
		faults.writes = 0;
		hold();
		add_row(VIO_BLOCK_WRITE, 0, 3, 0, 0);
		pieces[3].drive.request = (struct vio_block_request){ .op = op };
		if (op != VIO_BLOCK_FLUSH) {
			pieces[3].drive.request.offset = FILE_BYTES / 2;
			pieces[3].drive.request.length = PAGE;
		}
		drive_submit(&drive, &pieces[3].drive);
		add_row(VIO_BLOCK_WRITE, 4, 3, (uint64_t)3 * PAGE, 0);
		release();
		wait_row(0, 7);
		assert_int_equal(faults.writes, 2);
	}
}

/* So many bytes, and so many spans, and so many transfers at a time. */
static void limits_are_kept(void **state)
{
	run_row(VIO_BLOCK_WRITE, COUNT, 0, 0);
	assert_results(0, COUNT, 0);
	assert_in_range(faults.writes, 2, COUNT / 16);
	run_row(VIO_BLOCK_READ, COUNT, 0, 0);
	assert_in_range(faults.reads, 2, COUNT / 16);
	assert_read(0, COUNT);
	faults.reads = 0;
	hold();
	for (unsigned i = 0; i < COUNT; i += 2)
		add_row(VIO_BLOCK_READ, i, 2, (uint64_t)i / 2 * 5 * PAGE, 0);
	release();
	wait_row(0, COUNT);
	assert_results(0, COUNT, 0);
	assert_in_range(faults.reads, COUNT / 2 + 1, COUNT - 1);
	/* And all of them are there again. */
	faults.reads = 0;
	hold();
	for (unsigned i = 0; i < 64; i += 2)
		add_row(VIO_BLOCK_READ, i, 2, (uint64_t)i / 2 * 5 * PAGE, 0);
	release();
	wait_row(0, 64);
	assert_int_equal(faults.reads, 32);
}

/* Only who touches it hears of a bad block. */
static void errors_are_told_apart(void **state)
{
	static const unsigned flags[] = { 0, VIO_BLOCK_STABLE };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(flags); i++) {
		run_row(VIO_BLOCK_WRITE, 8, 0, 0);
		assert_results(0, 8, 0);
		faults.bad_error = EROFS;
		faults.bad_first = 5 * PAGE + 512;
		faults.bad_end = faults.bad_first + 512;
		faults.writes = faults.reads = 0;
		run_row(VIO_BLOCK_READ, 8, 0, 0);
		assert_int_equal(faults.reads, 1 + 8);
		assert_results(0, 5, 0);
		assert_int_equal(pieces[5].drive.result, -VIO_EIO);
		assert_results(6, 2, 0);
		assert_read(0, 5);
		assert_read(6, 2);
		run_row(VIO_BLOCK_WRITE, 8, 0, flags[i]);
		assert_int_equal(faults.writes, 1 + 8);
		assert_results(0, 5, 0);
		assert_int_equal(pieces[5].drive.result, -VIO_EIO);
		assert_results(6, 2, 0);
		faults.bad_error = 0;
		run_row(VIO_BLOCK_READ, 8, 0, 0);
		assert_read(0, 5);
		assert_read(6, 2);
		assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
	}
	/* The code is that of each, and interruptions are nobody's error. */
	faults.write_error = ENOSPC;
	run_row(VIO_BLOCK_WRITE, 4, 0, 0);
	assert_results(0, 4, -VIO_ENOSPC);
	faults.write_error = EINTR;
	faults.times = 7;
	run_row(VIO_BLOCK_WRITE, 4, 0, 0);
	assert_results(0, 4, 0);
	assert_int_equal(faults.times, 0);
}

/* Who lies in the part that was transferred is done; for the others it goes on. */
static void short_transfers_go_on(void **state)
{
	static const unsigned sizes[] = { 10000, PAGE, PAGE - 1, 700 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		faults.short_bytes = sizes[i];
		faults.writes = 0;
		run_row(VIO_BLOCK_WRITE, 8, 512, 0);
		assert_results(0, 8, 0);
		if (sizes[i] >= PAGE)
			assert_int_equal(faults.writes, 1 + 8 - sizes[i] / PAGE);
		run_row(VIO_BLOCK_READ, 8, 512, 0);
		assert_results(0, 8, 0);
		assert_read(0, 8);
	}
}

/* The end of the image moved while requests were on their way. */
static void end_of_the_image(void **state)
{
	run_row(VIO_BLOCK_WRITE, 8, FILE_BYTES - 8 * PAGE, 0);
	assert_results(0, 8, 0);
	hold();
	add_row(VIO_BLOCK_READ, 0, 8, FILE_BYTES - 8 * PAGE, 0);
	assert_int_equal(truncate(drive.options.path, FILE_BYTES - 3 * PAGE), 0);
	release();
	wait_row(0, 8);
	assert_results(0, 5, 0);
	assert_results(5, 3, -VIO_EIO);
	assert_read(0, 5);
	assert_true(drive.changed > 0);
}

static void stable_rows(void **state)
{
	run_row(VIO_BLOCK_WRITE, 8, 0, VIO_BLOCK_STABLE);
	assert_results(0, 8, 0);
	assert_int_equal(faults.stables, 1);
	assert_int_equal(faults.syncs, 0);
	/* Where the file system can't, each is synced by itself. */
	faults.stable_error = EOPNOTSUPP;
	run_row(VIO_BLOCK_WRITE, 8, 0, VIO_BLOCK_STABLE);
	assert_results(0, 8, 0);
	assert_int_equal(faults.syncs, 8);
	faults.writes = 0;
	run_row(VIO_BLOCK_WRITE, 8, 0, VIO_BLOCK_STABLE);
	assert_int_equal(faults.syncs, 16);
	assert_int_equal(faults.writes, 8);
}

/* The kernel tells once of what it couldn't write, maybe of another write: trying anew doesn't undo it. */
static void lost_writes_are_remembered(void **state)
{
	faults.stable_error = EIO;
	faults.times = 1;
	run_row(VIO_BLOCK_WRITE, 8, 0, VIO_BLOCK_STABLE);
	assert_results(0, 8, 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), -VIO_EIO);
	drive_close(&drive);
	drive_open(&drive);
	faults.times = 1;
	assert_int_equal(drive_write(&drive, 0, expected, 512, VIO_BLOCK_STABLE), -VIO_EIO);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), -VIO_EIO);
}

/* What is in the page cache is answered in settle; the rest waits for what comes after it. */
static void cached_rows_are_answered(void **state)
{
	static uint8_t large[3 * 65536];

	run_row(VIO_BLOCK_WRITE, 16, 0, 0);
	faults.glance_error = 0;
	hold();
	add_row(VIO_BLOCK_READ, 0, 8, 0, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pieces[i].drive.done, 0);
	settle();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pieces[i].drive.done, 1);
	assert_int_equal(faults.glances, 1);
	settle();
	release();
	assert_results(0, 8, 0);
	assert_read(0, 8);
	/* One that is too long for company is answered in submit, after what was kept. */
	hold();
	add_row(VIO_BLOCK_READ, 0, 2, 0, 0);
	assert_int_equal(drive_read(&drive, 0, large, sizeof(large)), 0);
	assert_int_equal(pieces[1].drive.done, 1);
	release();
	assert_int_equal(faults.glances, 3);
	assert_memory_equal(large, expected, (size_t)16 * PAGE);
	faults.glances = 1;
	/* Half of it; what follows joins what wasn't there. */
	faults.short_bytes = 5 * PAGE - 1;
	faults.reads = 0;
	hold();
	add_row(VIO_BLOCK_READ, 0, 8, 0, 0);
	settle();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pieces[i].drive.done, i < 4);
	faults.short_bytes = 0;
	add_row(VIO_BLOCK_READ, 8, 8, (uint64_t)8 * PAGE, 0);
	settle();
	assert_int_equal(pieces[8].drive.done, 0);
	release();
	wait_row(4, 12);
	assert_results(0, 16, 0);
	assert_read(0, 16);
	assert_int_equal(faults.reads, 2);
	assert_int_equal(faults.glances, 2);
}

static void drain_releases(void **state)
{
	hold();
	add_row(VIO_BLOCK_WRITE, 0, 8, 0, 0);
	drive.block->ops->drain(drive.block);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pieces[i].drive.done, 1);
	add_row(VIO_BLOCK_READ, 0, 8, 0, 0);
	drive.block->ops->drain(drive.block);
	assert_read(0, 8);
	release();
	assert_int_equal(faults.reads + faults.writes, 2);
}

/* Each that is told of its end submits the next one at once. */
static struct piece chain[COUNT];
static unsigned chained;

static void chain_done(struct vio_block_request *request, int result)
{
	struct piece *piece = VIO_CONTAINER_OF(request, struct piece, drive.request);
	struct piece *next = &chain[chained];

	piece->drive.done++;
	piece->drive.result = result;
	if (chained == COUNT)
		return;
	chained++;
	*next = (struct piece){ .drive.request = { .op = VIO_BLOCK_READ,
						   .offset = (uint64_t)chained * PAGE,
						   .length = PAGE,
						   .spans = next->spans,
						   .span_count = 1,
						   .done = chain_done } };
	next->spans[0] = (struct vio_span){ memory[chained - 1], PAGE };
	drive.block->ops->submit(drive.block, &next->drive.request);
}

static void answers_bring_requests(void **state)
{
	for (unsigned cached = 0; cached < 2; cached++) {
		faults.glance_error = cached ? 0 : EAGAIN;
		chained = 0;
		hold();
		for (unsigned i = 0; i < 4; i++) {
			struct vio_block_request seed = { .done = chain_done };
			struct piece first = { .drive.request = seed };

			chain_done(&first.drive.request, 0);
			if (i == 1)
				settle();
		}
		release();
		for (unsigned i = 0; i < COUNT; i++) {
			engine_step_until_set(drive.loop, &chain[i].drive.done);
			assert_int_equal(chain[i].drive.result, 0);
			assert_int_equal(chain[i].drive.done, 1);
		}
	}
}

#define MERGING(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MERGING(neighbours_are_one),       MERGING(only_when_wanted),
		MERGING(others_are_apart),         MERGING(limits_are_kept),
		MERGING(errors_are_told_apart),    MERGING(short_transfers_go_on),
		MERGING(end_of_the_image),         MERGING(stable_rows),
		MERGING(cached_rows_are_answered), MERGING(lost_writes_are_remembered),
		MERGING(drain_releases),           MERGING(answers_bring_requests),
	};

	return cmocka_run_group_tests_name("block-merge", tests, NULL, NULL);
}
