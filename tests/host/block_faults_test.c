/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/drive.h"
#include "host/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Storage that fails, stops short or can't do what is asked. */
#define MIB UINT64_C(1048576)

static struct drive drive;

static int setup(void **state)
{
	faults_reset();
	engine_setup_epoll(state);
	drive_make_file(&drive, engine_loop(state), "/var/tmp", 4 * MIB);
	drive_open(&drive);
	return 0;
}

static int teardown(void **state)
{
	drive_remove(&drive);
	return engine_teardown(state);
}

/* Whether the bytes can be written and read back, over many spans. */
static void check_transfers(void)
{
	enum { BYTES = 65536, SPANS = 9 };
	static uint8_t out[BYTES], in[BYTES];
	struct vio_span spans[SPANS];
	struct drive_request request = { .request = { .op = VIO_BLOCK_READ,
						      .offset = 1024,
						      .length = BYTES,
						      .spans = spans,
						      .span_count = SPANS } };

	drive_pattern(out, BYTES, 11);
	memset(in, 0, BYTES);
	assert_int_equal(drive_write(&drive, 1024, out, BYTES, 0), 0);
	for (unsigned i = 0; i < SPANS; i++)
		spans[i] = (struct vio_span){ in + i * 7001, i == SPANS - 1 ? BYTES - i * 7001 : 7001 };
	drive_submit(&drive, &request);
	drive_wait(&drive, &request);
	assert_int_equal(request.result, 0);
	assert_memory_equal(in, out, BYTES);
}

static void short_transfers_go_on(void **state)
{
	static const unsigned sizes[] = { 701, 7001, 20000, 1000000 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		faults.short_bytes = sizes[i];
		check_transfers();
	}
	assert_true(faults.writes > 65536 / 701);
}

static void interruptions_are_overcome(void **state)
{
	faults.read_error = faults.write_error = EINTR;
	faults.times = 5;
	check_transfers();
	assert_int_equal(faults.times, 0);
	faults.read_error = faults.write_error = EAGAIN;
	faults.times = 5;
	check_transfers();
	assert_int_equal(faults.times, 0);
	/* But not for ever. */
	faults.times = -1;
	assert_int_equal(drive_write(&drive, 0, "x", 0, 0), 0);
	assert_int_equal(drive_write(&drive, 0, &drive, 512, 0), -VIO_EIO);
}

static void errors_are_told(void **state)
{
	uint8_t bytes[512];

	faults.read_error = EIO;
	assert_int_equal(drive_read(&drive, 0, bytes, 512), -VIO_EIO);
	faults.write_error = ENOSPC;
	assert_int_equal(drive_write(&drive, 0, bytes, 512, 0), -VIO_ENOSPC);
	faults.write_error = EDQUOT;
	assert_int_equal(drive_write(&drive, 0, bytes, 512, VIO_BLOCK_STABLE), -VIO_ENOSPC);
	/* ENOTSUP would tell the driver not to try such a thing again. */
	faults.write_error = EOPNOTSUPP;
	assert_int_equal(drive_write(&drive, 0, bytes, 512, 0), -VIO_EIO);
	faults.read_error = faults.write_error = 0;
	check_transfers();
}

/* hostile: H12; the file system was made read-only under an image, and is made writable again. */
static void read_only_remount(void **state)
{
	uint8_t bytes[512];

	check_transfers();
	faults.write_error = faults.stable_error = faults.punch_error = faults.zero_error = EROFS;
	assert_int_equal(drive_write(&drive, 0, bytes, 512, 0), -VIO_EIO);
	assert_int_equal(drive_write(&drive, 0, bytes, 512, VIO_BLOCK_STABLE), -VIO_EIO);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 512, 0), -VIO_EIO);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 4096, 0), -VIO_EIO);
	assert_int_equal(drive_read(&drive, 0, bytes, 512), 0);
	faults.write_error = faults.stable_error = faults.punch_error = faults.zero_error = 0;
	check_transfers();
}

static void failed_flush_is_remembered(void **state)
{
	uint8_t bytes[512] = { 1 };

	faults.sync_error = EIO;
	faults.times = 1;
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), -VIO_EIO);
	/* The kernel would say yes to this one. */
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), -VIO_EIO);
	assert_int_equal(faults.syncs, 1);
	assert_int_equal(drive_write(&drive, 0, bytes, 512, 0), 0);
	drive_close(&drive);
	drive_open(&drive);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
}

static void stable_writes_are_stable(void **state)
{
	uint8_t bytes[512] = { 1 };

	assert_int_equal(drive_write(&drive, 0, bytes, 512, 0), 0);
	assert_int_equal(faults.stables + faults.syncs, 0);
	assert_int_equal(drive_write(&drive, 0, bytes, 512, VIO_BLOCK_STABLE), 0);
	assert_int_equal(faults.stables, 1);
	assert_int_equal(faults.syncs, 0);
	/* Every part of one that comes in parts. */
	faults.short_bytes = 100;
	assert_int_equal(drive_write(&drive, 0, bytes, 512, VIO_BLOCK_STABLE), 0);
	assert_int_equal(faults.stables, 1 + 6);
	faults.short_bytes = 0;
	/* The other way. */
	faults.stable_error = EOPNOTSUPP;
	bytes[0] = 2;
	assert_int_equal(drive_write(&drive, 0, bytes, 512, VIO_BLOCK_STABLE), 0);
	assert_int_equal(faults.syncs, 1);
	assert_int_equal(drive_write(&drive, 0, bytes, 512, VIO_BLOCK_STABLE), 0);
	assert_int_equal(faults.syncs, 2);
	assert_int_equal(faults.stables, 1 + 6 + 1);
	faults.sync_error = EIO;
	assert_int_equal(drive_write(&drive, 0, bytes, 512, VIO_BLOCK_STABLE), -VIO_EIO);
	bytes[0] = 0;
	assert_int_equal(drive_read(&drive, 0, bytes, 512), 0);
	assert_int_equal(bytes[0], 2);
}

static void check_zeroes(unsigned flags)
{
	enum { BYTES = 3 * 1048576 };
	uint8_t *bytes = malloc(BYTES);

	drive_pattern(bytes, BYTES, 12);
	assert_int_equal(drive_write(&drive, 0, bytes, BYTES, 0), 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 512, BYTES - 1024, flags), 0);
	assert_int_equal(drive_read(&drive, 0, bytes, BYTES), 0);
	assert_false(drive_is_zero(bytes, 512));
	assert_true(drive_is_zero(bytes + 512, BYTES - 1024));
	assert_false(drive_is_zero(bytes + BYTES - 512, 512));
	free(bytes);
}

static void zeroes_fall_back(void **state)
{
	unsigned writes;

	faults.punches = 0;
	check_zeroes(VIO_BLOCK_UNMAP);
	if (drive.block->discard_bytes)
		assert_int_equal(faults.punches, 1);
	/* For one request only. */
	faults.punch_error = EPERM;
	check_zeroes(VIO_BLOCK_UNMAP);
	assert_int_equal(faults.zeros, 1);
	/* For good. */
	faults.punch_error = EOPNOTSUPP;
	check_zeroes(VIO_BLOCK_UNMAP);
	faults.punches = 0;
	check_zeroes(VIO_BLOCK_UNMAP);
	assert_int_equal(faults.punches, 0);
	assert_int_equal(faults.zeros, 3);
	faults.zero_error = EOPNOTSUPP;
	check_zeroes(VIO_BLOCK_UNMAP);
	faults.zeros = 0;
	faults.writes = 0;
	check_zeroes(VIO_BLOCK_STABLE);
	assert_int_equal(faults.zeros, 0);
	assert_int_equal(faults.writes, 1 + 3);
	assert_int_equal(faults.syncs, 1);
	faults.short_bytes = 100000;
	check_zeroes(0);
	/* Broken or full storage isn't written to instead. */
	drive_close(&drive);
	faults.punch_error = 0;
	drive_open(&drive);
	writes = faults.writes;
	faults.punch_error = faults.zero_error = EIO;
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 512, VIO_BLOCK_UNMAP), -VIO_EIO);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 512, 0), -VIO_EIO);
	faults.zero_error = ENOSPC;
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 512, 0), -VIO_ENOSPC);
	assert_int_equal(faults.writes, writes);
}

static void discards_are_refused(void **state)
{
	faults.punch_error = EIO;
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 4096, 0), -VIO_EIO);
	faults.punch_error = EOPNOTSUPP;
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 4096, 0), -VIO_ENOTSUP);
	faults.punch_error = 0;
	faults.punches = 0;
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 4096, 0), -VIO_ENOTSUP);
	assert_int_equal(faults.punches, 0);
	/* A file system that can't from the start doesn't offer it. */
	drive_close(&drive);
	faults.punch_error = EOPNOTSUPP;
	drive_open(&drive);
	assert_int_equal(drive.block->discard_bytes, 0);
	assert_int_equal(drive.block->zeroes_unmap, 0);
}

static void stable_discards_are_synced(void **state)
{
	if (!drive.block->discard_bytes) {
		print_message("holes in files are absent here\n");
		skip();
	}
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 4096, VIO_BLOCK_STABLE), 0);
	assert_int_equal(faults.syncs, 1);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 4096, VIO_BLOCK_STABLE), 0);
	assert_int_equal(faults.syncs, 2);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 4096, 0), 0);
	assert_int_equal(faults.syncs, 2);
}

/* Reads a sector so many times; how many of them were answered inside submit. */
static unsigned read_often(unsigned count)
{
	uint8_t bytes[512];
	struct vio_span span;
	unsigned at_once = 0;

	while (count--) {
		struct drive_request request = { .request = { .op = VIO_BLOCK_READ,
							      .offset = 512,
							      .length = 512,
							      .spans = &span,
							      .span_count = 1 } };

		span = (struct vio_span){ bytes, 512 };
		memset(bytes, 0, sizeof(bytes));
		drive_submit(&drive, &request);
		at_once += request.done;
		drive_wait(&drive, &request);
		assert_int_equal(request.result, 0);
		assert_int_equal(bytes[0] | bytes[511], 0x5a);
	}
	return at_once;
}

/* What the page cache has is answered at once; what it hasn't is seldom looked for there. */
static void glances_are_spared(void **state)
{
	uint8_t bytes[512];

	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(drive_write(&drive, 512, bytes, 512, 0), 0);
	assert_int_equal(read_often(1000), 0);
	assert_in_range(faults.glances, 1000 / 64, 30);
	/* Cached by now: after the reads that it is passed over for, all of them. */
	faults.glance_error = 0;
	assert_in_range(read_often(100), 100 - 64, 100);
	assert_int_equal(read_often(100), 100);
	/* Half of it is as good as nothing, and nothing of it is lost. */
	faults.short_bytes = 200;
	assert_int_equal(read_often(1), 0);
	faults.short_bytes = 0;
	assert_in_range(read_often(3), 1, 3);
	/* A file system that can't isn't asked again. */
	faults.glance_error = EOPNOTSUPP;
	assert_int_equal(read_often(1), 0);
	faults.glances = 0;
	assert_int_equal(read_often(200), 0);
	assert_int_equal(faults.glances, 0);
}

static void works_without_threads(void **state)
{
#ifdef __SANITIZE_THREAD__
	print_message("a way to refuse threads is absent under ThreadSanitizer\n");
	skip();
#endif
	faults.no_threads = true;
	check_transfers();
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
	faults.no_threads = false;
	check_transfers();
}

#define FAULTY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULTY(short_transfers_go_on),
		FAULTY(interruptions_are_overcome),
		FAULTY(errors_are_told),
		FAULTY(read_only_remount),
		FAULTY(failed_flush_is_remembered),
		FAULTY(stable_writes_are_stable),
		FAULTY(zeroes_fall_back),
		FAULTY(discards_are_refused),
		FAULTY(stable_discards_are_synced),
		FAULTY(works_without_threads),
		FAULTY(glances_are_spared),
	};

	return cmocka_run_group_tests_name("block-faults", tests, NULL, NULL);
}
