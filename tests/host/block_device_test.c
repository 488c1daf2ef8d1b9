/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A loop device, which goes by itself when nobody has it open. It takes rights that few tests have. */
#define MIB   UINT64_C(1048576)
#define TRIES 10

static struct drive drive;
static int device;

static int configure(int backing, uint32_t block_bytes, uint32_t flags)
{
	struct loop_config config = { .fd = (uint32_t)backing,
				      .block_size = block_bytes,
				      .info.lo_flags = LO_FLAGS_AUTOCLEAR | flags };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int fd = -1;

	/* Somebody else may be faster to take the one that is free. */
	for (unsigned i = 0; control >= 0 && fd < 0 && i < TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		snprintf(drive.options.path, sizeof(drive.options.path), "/dev/loop%d", number);
		fd = number < 0 ? -1 : open(drive.options.path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config)) {
			close(fd);
			fd = -1;
		}
	}
	if (control >= 0)
		close(control);
	return fd;
}

static void make(void **state, uint32_t block_bytes, uint32_t flags)
{
	struct vio_loop *loop = engine_loop(state);
	int backing;

	drive_make_file(&drive, loop, "/var/tmp", 4 * MIB);
	backing = open(drive.options.path, O_RDWR | O_CLOEXEC);
	assert_true(backing >= 0);
	unlink(drive.options.path);
	device = configure(backing, block_bytes, flags);
	close(backing);
	if (device >= 0)
		return;
	print_message("the right to make loop devices is absent\n");
	skip();
}

static void blocks_of_4096(void **state)
{
	static uint8_t out[16384], in[16384];

	make(state, 4096, 0);
	drive_set(&drive, "block-size", "512");
	drive_refuses(&drive, -VIO_ERANGE, "takes no less than 4096 bytes");
	drive_set(&drive, "block-size", "0");
	drive_open(&drive);
	assert_int_equal(drive.block->block_bytes, 4096);
	assert_int_equal(drive.block->physical_bytes % 4096, 0);
	assert_int_equal(drive.block->size_bytes, 4 * MIB);
	drive_pattern(out, sizeof(out), 20);
	assert_int_equal(drive_write(&drive, 4096, out, sizeof(out), VIO_BLOCK_STABLE), 0);
	assert_int_equal(drive_read(&drive, 4096, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(drive_read(&drive, 512, in, 4096), -VIO_EIO);
	assert_int_equal(drive_read(&drive, 4 * MIB, in, 4096), -VIO_ERANGE);
	drive_close(&drive);
	close(device);
}

static void zeroes_and_discards(void **state)
{
	static const unsigned flags[] = { 0, VIO_BLOCK_UNMAP, VIO_BLOCK_STABLE };
	static uint8_t out[65536], in[65536];

	make(state, 512, 0);
	drive_open(&drive);
	assert_int_equal(drive.block->block_bytes, 512);
	drive_pattern(out, sizeof(out), 21);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(flags); i++) {
		assert_int_equal(drive_write(&drive, 0, out, sizeof(out), 0), 0);
		assert_int_equal(drive_run(&drive, VIO_BLOCK_WRITE_ZEROES, 512, 65536 - 1024, flags[i]), 0);
		assert_int_equal(drive_read(&drive, 0, in, sizeof(in)), 0);
		assert_memory_equal(in, out, 512);
		assert_true(drive_is_zero(in + 512, 65536 - 1024));
		assert_memory_equal(in + 65024, out + 65024, 512);
	}
	/* What is behind the device here can always be punched. */
	assert_int_not_equal(drive.block->discard_bytes, 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_DISCARD, 0, MIB, 0), 0);
	assert_int_equal(drive_run(&drive, VIO_BLOCK_FLUSH, 0, 0, 0), 0);
	drive_close(&drive);
	close(device);
}

static void in_use(void **state)
{
	struct drive other;

	make(state, 512, 0);
	other = drive;
	drive_open(&drive);
	drive_refuses(&other, -VIO_EBUSY, "is in use");
	drive_close(&drive);
	drive_open(&other);
	drive_close(&other);
	close(device);
}

static void read_only_device(void **state)
{
	uint8_t bytes[512];

	make(state, 512, LO_FLAGS_READ_ONLY);
	drive_refuses(&drive, -VIO_EACCES, "readonly=on");
	drive_set(&drive, "readonly", "on");
	drive_open(&drive);
	assert_int_equal(drive_read(&drive, 0, bytes, sizeof(bytes)), 0);
	assert_int_equal(drive_write(&drive, 0, bytes, sizeof(bytes), 0), -VIO_EACCES);
	drive_close(&drive);
	close(device);
}

static void direct(void **state)
{
	static uint8_t out[65536 + 1], in[65536 + 1];

	make(state, 512, 0);
	drive_set(&drive, "direct", "on");
	drive_open(&drive);
	drive_pattern(out, sizeof(out), 22);
	assert_int_equal(drive_write(&drive, 512, out + 1, 65536, 0), 0);
	assert_int_equal(drive_read(&drive, 512, in + 1, 65536), 0);
	assert_memory_equal(in + 1, out + 1, 65536);
	drive_close(&drive);
	close(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(blocks_of_4096), ON_BOTH_ENGINES(zeroes_and_discards),
		ON_BOTH_ENGINES(in_use),         ON_BOTH_ENGINES(read_only_device),
		ON_BOTH_ENGINES(direct),
	};

	return cmocka_run_group_tests_name("block-device", tests, NULL, NULL);
}
