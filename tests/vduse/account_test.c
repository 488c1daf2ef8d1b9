/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vduse/bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a server leaves to the next one, while others come and go. */

/* What another process does between the opening of a file and its lock. */
static void (*before_lock)(struct bed *bed);
static struct bed *locking;

int flock(int fd, int operation)
{
	if (before_lock)
		before_lock(locking);
	return (int)syscall(SYS_flock, fd, operation);
}

static int start_meanwhile(struct bed *bed, void (*other)(struct bed *bed))
{
	int error;

	before_lock = other;
	locking = bed;
	error = bed_start(bed);
	before_lock = NULL;
	return error;
}

static uint8_t whole[1 << 16];
static ssize_t whole_bytes;

/* A driver has the device, and its server ended. */
static void leave(struct bed *bed)
{
	int fd;

	bed_run(bed);
	bed->kernel.in_use = true;
	bed_check_serves(bed);
	bed_stop(bed);
	fd = open(bed->account, O_RDONLY);
	whole_bytes = read(fd, whole, sizeof(whole));
	assert_in_range(whole_bytes, VDS_ACCOUNT_QUEUES, sizeof(whole) - 1);
	close(fd);
}

static void put_account(struct bed *bed, int flags)
{
	int fd = open(bed->account, O_WRONLY | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, whole, (size_t)whole_bytes), whole_bytes);
	close(fd);
}

static void write_and_die(struct bed *bed)
{
	before_lock = NULL;
	put_account(bed, 0);
}

static void remove_and_make(struct bed *bed)
{
	before_lock = NULL;
	assert_int_equal(unlink(bed->account), 0);
	put_account(bed, O_CREAT | O_EXCL);
}

static void remove_always(struct bed *bed)
{
	assert_int_equal(unlink(bed->account), 0);
}

/* hostile: F8, an account that was empty when it was opened, and one that isn't there any more. */
static void an_account_may_come_and_go(void **state)
{
	static void (*const others[])(struct bed * bed) = { write_and_die, remove_and_make };
	struct bed *bed = *state;
	struct stat there, ours;

	leave(bed);
	for (unsigned i = 0; i < 2 * VIO_ARRAY_SIZE(others); i++) {
		if (i & 1)
			assert_int_equal(truncate(bed->account, 0), 0);
		assert_int_equal(start_meanwhile(bed, others[i / 2]), 0);
		bed_settle(bed);
		assert_int_equal(bed->dev.status, TOY_RUNNING);
		assert_int_equal(stat(bed->account, &there), 0);
		assert_int_equal(fstat(bed->server->account.fd, &ours), 0);
		assert_int_equal(there.st_ino, ours.st_ino);
		bed_check_serves(bed);
		bed_stop(bed);
		put_account(bed, O_TRUNC);
		/* As far as the rings have come. */
		assert_int_equal(bed_start(bed), 0);
		bed_stop(bed);
	}
	assert_int_equal(start_meanwhile(bed, remove_always), -VIO_EBUSY);
	assert_non_null(strstr(bed->mistake.text, "away"));
	put_account(bed, O_CREAT);
	assert_int_equal(bed_start(bed), 0);
	bed_check_serves(bed);
	bed->kernel.in_use = false;
}

/* hostile: F8, who failed with a file of its own doesn't take it for its own when another has it. */
static void a_failed_start_takes_nothing_along(void **state)
{
	struct bed *bed = *state;
	struct bed other = { .loop = bed->loop, .watcher = bed->watcher, .options = bed->options };
	struct stat there;

	bed_make_server(&other, 0);
	other.server->system = &bed->kernel.system;
	bed->kernel.failing = VDUSE_CREATE_DEV;
	bed->kernel.failure = EINVAL;
	assert_int_equal(bed_start(&other), -VIO_ENOTSUP);
	assert_int_equal(access(bed->account, F_OK), -1);
	bed->kernel.failing = 0;
	bed_run(bed);
	bed_check_serves(bed);
	assert_int_equal(bed_start(&other), -VIO_EBUSY);
	assert_int_equal(stat(bed->account, &there), 0);
	assert_true(there.st_size > (off_t)VDS_ACCOUNT_QUEUES);
	bed_check_serves(bed);
	bed_free_server(&other);
}

/* hostile: F7, what the one that died had shown the kernel nobody knows, driver or none. */
static void the_configuration_is_shown_anew(void **state)
{
	struct bed *bed = *state;

	for (unsigned way = 0; way < 3; way++) {
		assert_int_equal(bed_start(bed), 0);
		bed->kernel.in_use = true;
		if (way == 1)
			bed_run(bed);
		else
			assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
		bed_stop(bed);
		/* The device, and no account of it. */
		if (way == 2)
			assert_int_equal(unlink(bed->account), 0);
		memset(bed->kernel.config, 0x55, sizeof(bed->kernel.config));
		assert_int_equal(bed_start(bed), 0);
		assert_memory_equal(bed->kernel.config, "toy!", 4);
		assert_int_equal(bed->kernel.config[TOY_CONFIG_COUNTER], (uint8_t)bed->toy->served);
		bed_stop(bed);
	}
	bed->kernel.in_use = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(an_account_may_come_and_go),
		BED_CASE(a_failed_start_takes_nothing_along),
		BED_CASE(the_configuration_is_shown_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
