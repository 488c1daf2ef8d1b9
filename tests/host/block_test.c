/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB UINT64_C(1048576)

static struct drive drive;

/* Reads and writes. */

static void write_and_read_back(void **state)
{
	uint8_t out[8192], in[8192];

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open(&drive);
	assert_int_equal(drive.block->size_bytes, MIB);
	assert_int_equal(drive.block->block_bytes, 512);
	assert_int_equal(drive.block->read_only, 0);
	assert_int_not_equal(drive.block->volatile_cache, 0);
	assert_true(vio_is_power_of_two(drive.block->physical_bytes));
	drive_pattern(out, sizeof(out), 1);
	assert_int_equal(drive_write(&drive, 512, out, sizeof(out), 0), 0);
	assert_int_equal(drive_write(&drive, MIB - 512, out, 512, VIO_BLOCK_STABLE), 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(drive_read(&drive, 512, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(drive_read(&drive, MIB - 512, in, 512), 0);
	assert_memory_equal(in, out, 512);
	/* It is where it belongs, and survives. */
	drive_close(&drive);
	drive_set(&drive, "readonly", "on");
	drive_open(&drive);
	assert_int_equal(drive_read(&drive, 0, in, 1024), 0);
	assert_true(drive_is_zero(in, 512));
	assert_memory_equal(in + 512, out, 512);
	drive_remove(&drive);
}

/* More spans than one system call takes, of odd sizes, some empty, also the first and the last. */
static void many_spans(void **state)
{
	enum { SPANS = 3000, BYTES = 4096 * 64 };
	static uint8_t bytes[BYTES], back[BYTES];
	static struct vio_span spans[SPANS];
	struct drive_request request = { .request = { .op = VIO_BLOCK_WRITE, .length = BYTES } };
	size_t used = 0;
	unsigned i;

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open(&drive);
	drive_pattern(bytes, BYTES, 2);
	for (i = 0; i < SPANS; i++) {
		size_t length = i < 1100 || i == SPANS - 1 ? 0 : i % 7 * 40;

		if (i == SPANS - 2 || length > BYTES - used)
			length = BYTES - used;
		spans[i] = (struct vio_span){ bytes + used, length };
		used += length;
	}
	assert_int_equal(used, BYTES);
	request.request.spans = spans;
	request.request.span_count = SPANS;
	drive_submit(&drive, &request);
	drive_wait(&drive, &request);
	assert_int_equal(request.result, 0);
	assert_int_equal(drive_read(&drive, 0, back, BYTES), 0);
	assert_memory_equal(back, bytes, BYTES);
	drive_remove(&drive);
}

/* hostile: A117 */
static void ranges_are_judged(void **state)
{
	static uint8_t bytes[4096];
	struct vio_span short_span = { bytes, 512 };
	struct drive_request lying = {
		.request = { .op = VIO_BLOCK_WRITE, .length = 1024, .spans = &short_span, .span_count = 1 }
	};
	struct stat status;

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open(&drive);
	assert_int_equal(drive_read(&drive, MIB, bytes, 512), -VIO_ERANGE);
	assert_int_equal(drive_write(&drive, MIB - 512, bytes, 1024, 0), -VIO_ERANGE);
	assert_int_equal(drive_write(&drive, UINT64_MAX - 511, bytes, 1024, 0), -VIO_ERANGE);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, MIB - 512, 1024, 0), -VIO_ERANGE);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, UINT64_MAX - 511, 0), -VIO_ERANGE);
	assert_int_equal(drive_read(&drive, 256, bytes, 512), -VIO_EIO);
	assert_int_equal(drive_read(&drive, 0, bytes, 100), -VIO_EIO);
	drive_submit(&drive, &lying);
	assert_int_equal(lying.result, -VIO_EIO);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, MIB, 0, 0), 0);
	assert_int_equal(stat(drive.options.path, &status), 0);
	assert_int_equal(status.st_size, MIB);
	drive_remove(&drive);
}

static void read_only_refuses_writes(void **state)
{
	uint8_t bytes[512] = { 1 };

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_set(&drive, "readonly", "on");
	assert_int_equal(chmod(drive.options.path, 0400), 0);
	drive_open(&drive);
	assert_int_not_equal(drive.block->read_only, 0);
	assert_int_equal(drive_write(&drive, 0, bytes, 512, 0), -VIO_EACCES);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 512, 0), -VIO_EACCES);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 512, 0), -VIO_EACCES);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(drive_read(&drive, 0, bytes, 512), 0);
	assert_true(drive_is_zero(bytes, 512));
	drive_remove(&drive);
}

/* Zeros and discards. */

/* Of three times 64 KiB the middle is to become zeros by `op`. */
static void check_zeroing(struct drive *d, enum vio_block_op op, unsigned flags, uint64_t start)
{
	enum { PART = 65536 };
	static uint8_t out[3 * PART], in[3 * PART];

	drive_pattern(out, sizeof(out), (unsigned)op + flags);
	assert_int_equal(drive_write(d, start, out, sizeof(out), 0), 0);
	assert_int_equal(drive_run(d, op, start + PART + 512, PART - 1024, flags), 0);
	assert_int_equal(drive_read(d, start, in, sizeof(in)), 0);
	assert_memory_equal(in, out, PART + 512);
	assert_true(drive_is_zero(in + PART + 512, PART - 1024));
	assert_memory_equal(in + 2 * PART - 512, out + 2 * PART - 512, PART + 512);
}

static uint64_t allocated_bytes(const struct drive *d)
{
	struct stat status;

	assert_int_equal(stat(d->options.path, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

/* spec: DEV-BLK-MAY-004 DEV-BLK-MAY-005 */
static void check_all_zeroing(struct vio_loop *loop, const char *folder)
{
	uint64_t before;

	drive_make_file(&drive, loop, folder, 8 * MIB);
	drive_open(&drive);
	check_zeroing(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 0);
	check_zeroing(&drive, VIO_BLOCK_WRITE_ZEROES, VIO_BLOCK_STABLE, 4096);
	check_zeroing(&drive, VIO_BLOCK_WRITE_ZEROES, VIO_BLOCK_UNMAP, 512);
	check_zeroing(&drive, VIO_BLOCK_WRITE_ZEROES, VIO_BLOCK_UNMAP | VIO_BLOCK_STABLE, 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 8 * MIB, 0), 0);
	before = allocated_bytes(&drive);
	if (drive.block->discard_bytes) {
		/* Discarded contents are undefined by contract, but nobody wants to see old data. */
		check_zeroing(&drive, VIO_BLOCK_DISCARD, 0, 0);
		check_zeroing(&drive, VIO_BLOCK_DISCARD, VIO_BLOCK_STABLE, 512);
		assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, 8 * MIB, 0), 0);
		assert_true(allocated_bytes(&drive) < before || !before);
		assert_true(allocated_bytes(&drive) < 65536);
	}
	drive_remove(&drive);
}

static void zeroes_and_discards(void **state)
{
	check_all_zeroing(engine_loop(state), "/tmp");
}

/* A file system that has holes but no zeroed ranges. */
static void zeroes_and_discards_on_tmpfs(void **state)
{
	struct vio_loop *loop = engine_loop(state);

	if (access("/dev/shm", W_OK)) {
		print_message("/dev/shm is absent\n");
		skip();
	}
	check_all_zeroing(loop, "/dev/shm");
}

/* Direct I/O. */

static void direct_with_aligned_memory(void **state)
{
	uint8_t *bytes, *back;

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open_direct(&drive);
	bytes = aligned_alloc(4096, 65536);
	back = aligned_alloc(4096, 65536);
	drive_pattern(bytes, 65536, 3);
	assert_int_equal(drive_write(&drive, 4096, bytes, 65536, VIO_BLOCK_STABLE), 0);
	assert_int_equal(drive_read(&drive, 4096, back, 65536), 0);
	assert_memory_equal(bytes, back, 65536);
	check_zeroing(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 0);
	free(bytes);
	free(back);
	drive_remove(&drive);
}

/* Longer than a bounce buffer, at odd addresses, in odd pieces. */
static void direct_with_odd_memory(void **state)
{
	enum { BYTES = 3 * 262144 + 4096, PIECES = 40 };
	uint8_t *bytes, *back;
	struct vio_span spans[PIECES];
	struct drive_request request = { .request = { .op = VIO_BLOCK_READ,
						      .offset = 8192,
						      .length = BYTES,
						      .spans = spans,
						      .span_count = PIECES } };

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open_direct(&drive);
	bytes = malloc(BYTES + 1);
	back = malloc(BYTES);
	drive_pattern(back, BYTES, 4);
	memcpy(bytes + 1, back, BYTES);
	for (unsigned turn = 0; turn < 2; turn++) {
		size_t used = 0;

		for (unsigned i = 0; i < PIECES; i++) {
			size_t length = i == PIECES - 1 ? BYTES - used : 10007 + i;

			spans[i] = (struct vio_span){ bytes + 1 + used, length };
			used += length;
		}
		request.request.op = turn ? VIO_BLOCK_READ : VIO_BLOCK_WRITE;
		request.request.spans = spans;
		request.request.span_count = PIECES;
		drive_submit(&drive, &request);
		drive_wait(&drive, &request);
		assert_int_equal(request.result, 0);
		assert_memory_equal(bytes + 1, back, BYTES);
		memset(bytes, 0, BYTES + 1);
	}
	free(bytes);
	free(back);
	drive_remove(&drive);
}

/* More at once than there are bounce buffers. */
static void direct_runs_out_of_bounces(void **state)
{
	enum { COUNT = 50, BYTES = 16384 };
	static uint8_t memory[COUNT][BYTES + 1];
	static struct vio_span spans[COUNT];
	static struct drive_request requests[COUNT];
	uint8_t back[BYTES];

	drive_make_file(&drive, engine_loop(state), "/tmp", COUNT * BYTES);
	drive_open_direct(&drive);
	for (unsigned i = 0; i < COUNT; i++) {
		drive_pattern(memory[i] + 1, BYTES, i);
		spans[i] = (struct vio_span){ memory[i] + 1, BYTES };
		requests[i].request = (struct vio_block_request){
			.op = VIO_BLOCK_WRITE,
			.offset = i * BYTES,
			.length = BYTES,
			.spans = &spans[i],
			.span_count = 1,
		};
		drive_submit(&drive, &requests[i]);
	}
	drive.block->ops->drain(drive.block);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(requests[i].done, 1);
		assert_int_equal(requests[i].result, 0);
		assert_int_equal(drive_read(&drive, i * BYTES, back, BYTES), 0);
		assert_memory_equal(back, memory[i] + 1, BYTES);
	}
	drive_remove(&drive);
}

/* Opening. */

static void opening_names_what_is_wrong(void **state)
{
	struct drive other;

	drive_make_file(&drive, engine_loop(state), "/tmp", 1000);
	drive_refuses(&drive, -VIO_ERANGE, "is 1000 bytes long, not a multiple of 512");
	assert_non_null(strstr(drive.message.text, drive.options.path));
	assert_int_equal(truncate(drive.options.path, 0), 0);
	drive_refuses(&drive, -VIO_ERANGE, "is empty");
	assert_int_equal(truncate(drive.options.path, 1536), 0);
	drive_set(&drive, "block-size", "4096");
	drive_refuses(&drive, -VIO_ERANGE, "not a multiple of 4096");
	drive_set(&drive, "block-size", "1000");
	drive_refuses(&drive, -VIO_EINVAL, "block-size 1000");
	drive_set(&drive, "block-size", "512");
	drive_set(&drive, "size", "1M");
	drive_refuses(&drive, -VIO_EINVAL, "leave out size 1048576");
	drive.options.size = 0;
	drive.options.backend = 200;
	drive_refuses(&drive, -VIO_EINVAL, "200");
	drive.options.backend = VIO_HOST_BLOCK_FILE;
	drive_open(&drive);
	drive_remove(&drive);
	drive_refuses(&drive, -VIO_ENOENT, "doesn't exist");

	other = drive;
	drive_set(&other, "path", "/tmp");
	drive_refuses(&other, -VIO_EINVAL,
		      "image '/tmp' is a directory; give a regular file or a block device");
	drive_set(&other, "path", "/dev/null");
	drive_refuses(&other, -VIO_EINVAL, "image '/dev/null' is a character device");
	drive_set(&other, "path", "/dev/null/x");
	drive_refuses(&other, -VIO_EINVAL, "Not a directory");
	assert_int_equal(mkfifo(drive.options.path, 0600), 0);
	drive_refuses(&drive, -VIO_EINVAL, "is a pipe");
	drive_remove(&drive);
	drive_set(&other, "path", "");
	drive_refuses(&other, -VIO_EINVAL, "needs a path");
	memset(other.options.path, 'x', 1000);
	other.options.path[1000] = '\0';
	drive_refuses(&other, -VIO_EINVAL, "File name too long");
}

static void opening_for_writing_needs_permission(void **state)
{
	uid_t before = geteuid();

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	assert_int_equal(chmod(drive.options.path, 0444), 0);
	/* Root may do anything; nobody in particular may not. */
	if (!before)
		assert_int_equal(seteuid(65534), 0);
	drive_refuses(&drive, -VIO_EACCES, "readonly=on may help");
	assert_int_equal(seteuid(before), 0);
	drive_remove(&drive);
}

static void images_are_locked(void **state)
{
	struct drive other;

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	other = drive;
	drive_open(&drive);
	drive_refuses(&other, -VIO_EBUSY, "is locked");
	assert_non_null(strstr(other.message.text, other.options.path));
	/* Who says that it knows what it does is believed. */
	drive_set(&other, "shared", "on");
	drive_open(&other);
	drive_close(&other);
	drive_set(&other, "shared", "off");
	drive_set(&other, "readonly", "on");
	drive_refuses(&other, -VIO_EBUSY, "open for writing elsewhere");
	drive_close(&drive);
	drive_open(&other);
	drive_refuses(&drive, -VIO_EBUSY, "is locked");
	drive_set(&drive, "readonly", "on");
	drive_open(&drive);
	drive_close(&drive);
	drive_close(&other);
	drive_set(&drive, "readonly", "off");
	drive_open(&drive);
	drive_remove(&drive);
}

/* The image changes under the device. */

static bool has_changed(void *context)
{
	return ((struct drive *)context)->changed != 0;
}

static void image_shrinks(void **state)
{
	static uint8_t bytes[65536];

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open(&drive);
	assert_int_equal(truncate(drive.options.path, 32768 + 100), 0);
	assert_int_equal(drive_read(&drive, 65536, bytes, 512), -VIO_EIO);
	assert_int_equal(drive.changed, 1);
	assert_int_equal(drive.block->size_bytes, 32768);
	assert_int_equal(drive_read(&drive, 0, bytes, 65536), -VIO_ERANGE);
	assert_int_equal(drive_read(&drive, 0, bytes, 32768), 0);
	assert_int_equal(drive_write(&drive, 32768, bytes, 512, 0), -VIO_ERANGE);
	/* Across the end. */
	assert_int_equal(truncate(drive.options.path, 16384), 0);
	assert_int_equal(drive_read(&drive, 0, bytes, 32768), -VIO_EIO);
	assert_int_equal(drive.block->size_bytes, 16384);
	assert_int_equal(drive.changed, 2);
	drive_remove(&drive);
}

static void image_grows(void **state)
{
	static uint8_t bytes[512];

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open(&drive);
	assert_int_equal(truncate(drive.options.path, 2 * MIB + 200), 0);
	engine_step_until(drive.loop, has_changed, &drive);
	assert_int_equal(drive.block->size_bytes, 2 * MIB);
	assert_int_equal(drive_write(&drive, 2 * MIB - 512, bytes, 512, 0), 0);
	drive_remove(&drive);
}

/* Direct, the end of the image in the middle of a transfer that bounces and of one that doesn't. */
static void image_shrinks_under_direct(void **state)
{
	uint8_t *bytes;

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open_direct(&drive);
	bytes = aligned_alloc(4096, 65536 * 2);
	assert_int_equal(truncate(drive.options.path, 32768 + 100), 0);
	assert_int_equal(drive_read(&drive, 0, bytes, 65536), -VIO_EIO);
	assert_int_equal(truncate(drive.options.path, MIB), 0);
	drive.changed = 0;
	engine_step_until(drive.loop, has_changed, &drive);
	assert_int_equal(truncate(drive.options.path, 32768 + 100), 0);
	assert_int_equal(drive_read(&drive, 0, bytes + 1, 65536), -VIO_EIO);
	free(bytes);
	drive_remove(&drive);
}

/* Errors of the file system. */

static void full_is_told(void **state)
{
	struct rlimit limit, before;
	uint8_t bytes[4096] = { 1 };

	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open(&drive);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 65536;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(drive_write(&drive, 131072, bytes, sizeof(bytes), 0), -VIO_ENOSPC);
	assert_int_equal(drive_write(&drive, 0, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	drive_remove(&drive);
}

static void bad_memory_is_an_error(void **state)
{
	drive_make_file(&drive, engine_loop(state), "/tmp", MIB);
	drive_open(&drive);
	assert_int_equal(drive_read(&drive, 0, (void *)4096, 512), -VIO_EIO);
	drive_remove(&drive);
}

/* Memory and null. */

static void make_sized(void **state, const char *backend, const char *size)
{
	memset(&drive, 0, sizeof(drive));
	drive.loop = engine_loop(state);
	vio_property_set_defaults(vio_host_block_properties(), &drive.options);
	drive_set(&drive, "backend", backend);
	drive_set(&drive, "size", size);
}

static void memory_keeps(void **state)
{
	uint8_t out[8192], in[8192];
	struct vio_span span = { in, sizeof(in) };
	struct drive_request request = {
		.request = { .op = VIO_BLOCK_READ, .length = sizeof(in), .spans = &span, .span_count = 1 }
	};

	make_sized(state, "memory", "8M");
	drive_open(&drive);
	assert_int_equal(drive.block->size_bytes, 8 * MIB);
	assert_int_equal(drive.block->volatile_cache, 0);
	drive_pattern(out, sizeof(out), 5);
	assert_int_equal(drive_write(&drive, 512, out, sizeof(out), 0), 0);
	request.request.offset = 512;
	drive_submit(&drive, &request);
	/* Done inside submit. */
	assert_int_equal(request.done, 1);
	assert_int_equal(request.result, 0);
	assert_memory_equal(in, out, sizeof(in));
	check_zeroing(&drive, VIO_BLOCK_WRITE_ZEROES, 0, 0);
	check_zeroing(&drive, VIO_BLOCK_WRITE_ZEROES, VIO_BLOCK_UNMAP, 512);
	check_zeroing(&drive, VIO_BLOCK_DISCARD, 0, 4096);
	/* Shorter than a page. */
	assert_int_equal(drive_write(&drive, 0, out, sizeof(out), 0), 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 512, 1024, 0), 0);
	assert_int_equal(drive_read(&drive, 0, in, sizeof(in)), 0);
	assert_true(drive_is_zero(in + 512, 1024));
	assert_memory_equal(in, out, 512);
	assert_memory_equal(in + 1536, out + 1536, sizeof(in) - 1536);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(drive_read(&drive, 8 * MIB, in, 512), -VIO_ERANGE);
	drive.block->ops->drain(drive.block);
	drive_close(&drive);
	drive_set(&drive, "readonly", "on");
	drive_set(&drive, "block-size", "4096");
	drive_open(&drive);
	assert_int_equal(drive.block->block_bytes, 4096);
	assert_int_equal(drive_write(&drive, 0, out, 4096, 0), -VIO_EACCES);
	drive_close(&drive);
}

static void null_does_nothing(void **state)
{
	uint8_t bytes[512] = { 1, 2, 3 };

	make_sized(state, "null", "16T");
	drive_open(&drive);
	assert_int_equal(drive_write(&drive, 0, bytes, 512, 0), 0);
	assert_int_equal(drive_read(&drive, 15 * MIB * MIB, bytes, 512), 0);
	assert_int_equal(bytes[2], 3);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, MIB, 0), 0);
	assert_int_equal(drive_read(&drive, 16 * MIB * MIB, bytes, 512), -VIO_ERANGE);
	drive.block->ops->drain(drive.block);
	drive_close(&drive);
}

static void sized_backends_refuse(void **state)
{
	make_sized(state, "memory", "0");
	drive_refuses(&drive, -VIO_EINVAL, "backend 'memory' needs a size");
	drive_set(&drive, "size", "1000");
	drive_refuses(&drive, -VIO_ERANGE, "size 1000 is not a multiple");
	drive_set(&drive, "size", "1M");
	drive_set(&drive, "path", "x.img");
	drive_refuses(&drive, -VIO_EINVAL, "path is 'x.img'");
	drive_set(&drive, "path", "");
	drive_set(&drive, "direct", "on");
	drive_refuses(&drive, -VIO_EINVAL, "leave out direct");
	drive_set(&drive, "direct", "off");
	drive.options.size = UINT64_C(1) << 62;
	drive_refuses(&drive, -VIO_ENOMEM, "4611686018427387904");
}

/* Entropy. */

static void entropy_comes(void **state)
{
	struct vio_entropy entropy;
	uint8_t first[64] = { 0 }, second[64] = { 0 };
	static uint8_t much[200000];
	int got;

	vio_host_entropy(&entropy);
	assert_int_equal(entropy.fill(&entropy, first, sizeof(first)), sizeof(first));
	assert_int_equal(entropy.fill(&entropy, second, sizeof(second)), sizeof(second));
	assert_memory_not_equal(first, second, sizeof(first));
	got = entropy.fill(&entropy, much, sizeof(much));
	assert_in_range(got, 1, sizeof(much));
}

static void messages_and_codes(void **state)
{
	struct vio_message message;
	char longer[2000];

	assert_int_equal(vio_fail(&message, -VIO_EIO, "%s %d", "number", 5), -VIO_EIO);
	assert_string_equal(message.text, "number 5");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(vio_fail(&message, -VIO_EIO, "%s", longer), -VIO_EIO);
	assert_int_equal(strlen(message.text), VIO_MESSAGE_BYTES - 1);
	assert_int_equal(vio_error_from_errno(ENOENT), -VIO_ENOENT);
	assert_int_equal(vio_error_from_errno(EROFS), -VIO_EACCES);
	assert_int_equal(vio_error_from_errno(EAGAIN), -VIO_EAGAIN);
	assert_int_equal(vio_error_from_errno(99999), -VIO_ESYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(write_and_read_back),
		ON_BOTH_ENGINES(many_spans),
		ON_BOTH_ENGINES(ranges_are_judged),
		ON_BOTH_ENGINES(read_only_refuses_writes),
		ON_BOTH_ENGINES(zeroes_and_discards),
		ON_BOTH_ENGINES(zeroes_and_discards_on_tmpfs),
		ON_BOTH_ENGINES(direct_with_aligned_memory),
		ON_BOTH_ENGINES(direct_with_odd_memory),
		ON_BOTH_ENGINES(direct_runs_out_of_bounces),
		ON_BOTH_ENGINES(opening_names_what_is_wrong),
		ON_BOTH_ENGINES(opening_for_writing_needs_permission),
		ON_BOTH_ENGINES(images_are_locked),
		ON_BOTH_ENGINES(image_shrinks),
		ON_BOTH_ENGINES(image_grows),
		ON_BOTH_ENGINES(image_shrinks_under_direct),
		ON_BOTH_ENGINES(full_is_told),
		ON_BOTH_ENGINES(bad_memory_is_an_error),
		ON_BOTH_ENGINES(memory_keeps),
		ON_BOTH_ENGINES(null_does_nothing),
		ON_BOTH_ENGINES(sized_backends_refuse),
		cmocka_unit_test(entropy_comes),
		cmocka_unit_test(messages_and_codes),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
