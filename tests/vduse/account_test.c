/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vduse/bed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vireo/guard.h>

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

/* As vio_guard_memory() set it: cmocka sets its own for each case. */
static struct sigaction guarding;

/* The next server, with the account as one that is killed now would leave it. */
static void follow_the_dead(struct bed *bed)
{
	int fd = open(bed->account, O_RDONLY);

	whole_bytes = read(fd, whole, sizeof(whole));
	assert_in_range(whole_bytes, VDS_ACCOUNT_QUEUES, sizeof(whole) - 1);
	close(fd);
	bed->kernel.in_use = true;
	bed_stop(bed);
	put_account(bed, O_TRUNC);
	assert_int_equal(bed_start(bed), 0);
	bed_settle(bed);
	bed->kernel.in_use = false;
}

/* hostile: F8, what broke a ring breaks it no second time: the device stands still until it is reset. */
static void what_is_broken_stays_broken(void **state)
{
	const uint64_t used = BED_RING_OFFSET + 0x2000;
	struct bed *bed = *state;

	assert_int_equal(sigaction(SIGBUS, &guarding, NULL), 0);
	for (unsigned way = 0; way < 4; way++) {
		bed_run(bed);
		bed_check_serves(bed);
		if (way == 0) {
			/* More buffers than the ring has. */
			*(vio_le16 *)(void *)(bed->memory + BED_RING_OFFSET + 0x1002) =
				vio_le16_make((uint16_t)(bed->offered[0] + TOY_SIZE + 1));
			fake_kernel_kick(&bed->kernel, 0);
			bed_settle(bed);
		} else if (way == 1) {
			assert_int_equal(ftruncate(bed->memory_fd, 0), 0);
			fake_kernel_kick(&bed->kernel, 1);
			bed_settle(bed);
			assert_int_equal(ftruncate(bed->memory_fd, (off_t)BED_BYTES), 0);
		} else if (way == 2) {
			vio_device_needs_reset(&bed->dev);
		} else {
			assert_int_equal(bed_status(bed, TOY_RUNNING | VIRTIO_CONFIG_S_FAILED), 0);
		}
		follow_the_dead(bed);
		bed_map(bed);
		for (uint16_t i = 0; i < TOY_QUEUES; i++)
			bed_queue(bed, i);
		assert_false(vio_device_running(&bed->dev));
		/* Neither by a kick nor by a status that isn't 0. */
		assert_int_equal(bed_status(bed, TOY_RUNNING), VDUSE_REQ_RESULT_FAILED);
		bed_offer(bed, 0, 7);
		assert_int_equal(bed_answer(bed, 0), 0);
		assert_int_equal(vio_le16_get(*(vio_le16 *)(void *)(bed->memory + used + 2)), 0);
		/* Nor by the server after that. */
		follow_the_dead(bed);
		assert_false(vio_device_running(&bed->dev));
		assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
		follow_the_dead(bed);
		assert_int_equal(bed->dev.status, 0);
		bed_run(bed);
		bed_check_serves(bed);
	}
}

static void drain_and_break(struct vio_device *dev, struct vio_devq *q)
{
	toy_class.drain(dev, q);
	vio_device_needs_reset(dev);
}

/* A device that breaks when a reset drains it isn't broken for the next driver. */
static void a_reset_mends(void **state)
{
	struct vio_device_class class = toy_class;
	struct bed *bed = *state;

	class.drain = drain_and_break;
	bed_run(bed);
	bed->dev.class = &class;
	assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
	bed->dev.class = &toy_class;
	assert_int_equal(bed->server->account.head->status, 0);
	follow_the_dead(bed);
	assert_int_equal(bed->dev.status, 0);
	bed_run(bed);
	bed_check_serves(bed);
}

/* A server that could offer more than the one that made the device. */
static void a_newer_server_follows(void **state)
{
	const uint64_t more = TEST_BIT(VIRTIO_F_RING_PACKED) | TEST_BIT(TOY_F_BASE);
	struct bed *bed = *state;

	bed->options.withhold = more;
	bed_run(bed);
	bed_check_serves(bed);
	bed->options.withhold = 0;
	/* The second is known to what the first left. */
	for (unsigned i = 0; i < 2; i++) {
		follow_the_dead(bed);
		assert_int_equal(bed->dev.status, TOY_RUNNING);
		assert_int_equal(vds_features(bed->server), bed->kernel.features);
		assert_int_equal(vds_features(bed->server) & more, 0);
		bed_check_serves(bed);
	}
	/* Nor can less be offered than the driver may have taken. */
	bed->options.withhold = more | TEST_BIT(VIRTIO_F_EVENT_IDX);
	bed->kernel.in_use = true;
	bed_stop(bed);
	assert_int_equal(bed_start(bed), -VIO_ESTATE);
	assert_non_null(strstr(bed->mistake.text, "other properties"));
	bed->options.withhold = more;
	assert_int_equal(bed_start(bed), 0);
	bed_check_serves(bed);
	bed->kernel.in_use = false;
	/* A device of its own has all of it. */
	bed_stop(bed);
	bed->options.withhold = 0;
	assert_int_equal(bed_start(bed), 0);
	assert_int_equal(bed->kernel.features & more, more);
}

/* hostile: F8, an account that somebody cuts short while it is in use. */
static void an_account_may_be_torn(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(sigaction(SIGBUS, &guarding, NULL), 0);
	for (unsigned way = 0; way < 2; way++) {
		bed->closed = 0;
		bed_run(bed);
		bed_check_serves(bed);
		assert_int_equal(truncate(bed->account, way ? 0 : (off_t)VDS_ACCOUNT_QUEUES), 0);
		if (way) {
			struct vduse_dev_request request = { .type = VDUSE_SET_STATUS,
							     .s.status = TOY_RUNNING };

			assert_true(fake_kernel_ask(&bed->kernel, &request));
			bed_settle(bed);
		} else {
			bed_offer(bed, 0, 7);
		}
		assert_int_equal(bed->closed, 1);
		assert_int_equal(bed->reason, -VIO_ESTATE);
		assert_non_null(strstr(bed->line, "cut short"));
		fake_kernel_free(&bed->kernel);
		fake_kernel_init(&bed->kernel);
		unlink(bed->account);
	}
	bed->closed = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(an_account_may_come_and_go),
		BED_CASE(a_failed_start_takes_nothing_along),
		BED_CASE(the_configuration_is_shown_anew),
		BED_CASE(what_is_broken_stays_broken),
		BED_CASE(a_reset_mends),
		BED_CASE(a_newer_server_follows),
		BED_CASE(an_account_may_be_torn),
	};

	if (vio_guard_memory() || sigaction(SIGBUS, NULL, &guarding))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
