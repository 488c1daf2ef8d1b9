/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vduse/bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vireo/guard.h>

/* A kernel, a driver or a file that says what can't be: hostile.md, 2.6. */

/* hostile: F1 */
static void unknown_requests_are_refused(void **state)
{
	static const uint32_t types[] = { 3, 4, 255, UINT32_MAX };
	struct bed *bed = *state;
	struct vduse_dev_response response;

	bed_run(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(types); i++) {
		struct vduse_dev_request request = { .type = types[i] };

		memset(request.padding, 0xff, sizeof(request.padding));
		assert_int_equal(bed_ask(bed, &request, &response), VDUSE_REQ_RESULT_FAILED);
		assert_non_null(strstr(bed->line, "isn't known"));
		bed_check_serves(bed);
	}
}

/* hostile: F2, who asked gave up waiting: its id is nobody's any more. */
static void answers_may_come_too_late(void **state)
{
	struct vduse_dev_request request = { .type = VDUSE_UPDATE_IOTLB, .iova = { 0, UINT64_MAX } };
	struct bed *bed = *state;

	bed_run(bed);
	bed->kernel.failure = ENOENT;
	/* The only call that it takes. */
	bed->kernel.steps_until_failure = bed->kernel.steps;
	assert_true(fake_kernel_ask(&bed->kernel, &request));
	bed_settle(bed);
	assert_non_null(strstr(bed->line, "nobody waits"));
	assert_int_equal(bed->closed, 0);
	bed->kernel.steps_until_failure = FAKE_NEVER;
	bed_check_serves(bed);
	/* The same id once more, and one far away. */
	for (unsigned i = 0; i < 2; i++) {
		bed->kernel.request_id = i ? UINT32_MAX : 1;
		assert_int_equal(bed_update(bed, 0, 0), VDUSE_REQ_RESULT_OK);
	}
	bed_check_serves(bed);
}

/* hostile: F3 */
static void status_comes_in_any_order(void **state)
{
	static const uint8_t refused[] = {
		VIRTIO_CONFIG_S_DRIVER_OK,
		VIRTIO_CONFIG_S_FEATURES_OK,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK,
		0x30,
	};
	struct bed *bed = *state;
	unsigned value;

	assert_int_equal(bed_start(bed), 0);
	bed_map(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(refused); i++) {
		assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
		assert_int_equal(bed_status(bed, refused[i]), VDUSE_REQ_RESULT_FAILED);
		assert_false(vio_device_running(&bed->dev));
	}
	bed_run(bed);
	/* Bits that a driver takes back stay; whoever gave up waits for a reset. */
	assert_int_equal(bed_status(bed, VIRTIO_CONFIG_S_ACKNOWLEDGE), VDUSE_REQ_RESULT_OK);
	bed->kernel.status = TOY_RUNNING;
	bed_check_serves(bed);
	assert_int_equal(bed_status(bed, TOY_RUNNING | VIRTIO_CONFIG_S_FAILED), VDUSE_REQ_RESULT_OK);
	for (value = 0; value < 512; value++)
		assert_true(bed_status(bed, (uint8_t)(value * 73)) >= 0);
	assert_int_equal(bed->closed, 0);
	bed_run(bed);
	bed_check_serves(bed);
}

/* Starts the device with queue 0 as `info` has it; whether that runs. The others do. */
static bool runs(struct bed *bed, const struct vduse_vq_info *info, uint64_t features)
{
	bool running;

	bed_map(bed);
	bed_negotiate(bed);
	if (features) {
		assert_int_equal(bed_status(bed, 0), 0);
		bed->kernel.accepted = features;
		assert_int_equal(bed_status(bed, TOY_NEGOTIATED), 0);
	}
	for (uint16_t i = 0; i < TOY_QUEUES; i++)
		bed_queue(bed, i);
	bed->kernel.queues[0].info = *info;
	assert_int_equal(bed_status(bed, TOY_RUNNING), VDUSE_REQ_RESULT_OK);
	fake_kernel_kick(&bed->kernel, 0);
	bed_settle(bed);
	running = bed->dev.queues[0].running;
	assert_true(features || bed->dev.queues[1].running);
	assert_int_equal(bed->closed, 0);
	return running;
}

/* hostile: F5 */
static void queues_lie_where_they_cannot(void **state)
{
	const uint64_t ring = BED_RINGS;
	const struct vduse_vq_info good = { .num = TOY_SIZE,
					    .desc_addr = ring,
					    .driver_addr = ring + 0x1000,
					    .device_addr = ring + 0x2000,
					    .ready = 1 };
	static const uint32_t sizes[] = { 0,    3,     TOY_SIZE - 1,     TOY_SIZE + 1, 2 * TOY_SIZE,
					  1024, 65536, 65536 + TOY_SIZE, UINT32_MAX };
	static const uint64_t places[] = { 0,
					   1,
					   BED_RINGS + 1,
					   BED_RINGS + BED_RING_BYTES,
					   0x123456789000,
					   UINT64_MAX,
					   UINT64_MAX - 0xfff };
	struct bed *bed = *state;
	struct vduse_vq_info info;

	assert_int_equal(bed_start(bed), 0);
	assert_true(runs(bed, &good, 0));
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		info = good;
		info.num = sizes[i];
		assert_false(runs(bed, &info, 0));
	}
	for (unsigned i = 0; i < 3 * VIO_ARRAY_SIZE(places); i++) {
		info = good;
		*(i % 3 == 0   ? &info.desc_addr
		  : i % 3 == 1 ? &info.driver_addr
			       : &info.device_addr) = places[i / 3];
		assert_false(runs(bed, &info, 0));
	}
	assert_true(bed->lines > 20);
	/* A split queue that begins anywhere has its entries in the driver's ring, and they are judged. */
	info = good;
	info.split.avail_index = 0xfff0;
	(void)runs(bed, &info, BED_FEATURES);
	assert_non_null(strstr(bed->line, "available index"));
	assert_true(runs(bed, &good, 0));
	bed_check_serves(bed);
}

/* hostile: F5 */
static void packed_queues_begin_inside(void **state)
{
	static const struct vduse_vq_state_packed beyond[] = {
		{ 1, TOY_SIZE, 1, 0 }, { 1, 0, 1, TOY_SIZE }, { 1, 0x7fff, 1, 0x7fff }, { 2, 0, 1, 0 },
		{ 1, 0, 0xffff, 0 },   { 1, 0xffff, 1, 0 },   { 0, 0x8000, 0, 0x8000 },
	};
	const uint64_t features = BED_FEATURES | TEST_BIT(VIRTIO_F_RING_PACKED);
	const uint64_t ring = BED_RINGS;
	struct vduse_vq_info info = { .num = TOY_SIZE,
				      .desc_addr = ring,
				      .driver_addr = ring + 0x1000,
				      .device_addr = ring + 0x2000,
				      .ready = 1 };
	struct bed *bed = *state;
	struct vduse_dev_request request = { .type = VDUSE_GET_VQ_STATE };
	struct vduse_dev_response response;

	assert_int_equal(bed_start(bed), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(beyond); i++) {
		info.packed = beyond[i];
		assert_false(runs(bed, &info, features));
		assert_non_null(strstr(bed->line, "queue"));
		/* Nor does it tell of one that can't be. */
		assert_int_equal(bed_ask(bed, &request, &response), VDUSE_REQ_RESULT_FAILED);
	}
	info.packed = (struct vduse_vq_state_packed){ 1, 3, 1, 3 };
	assert_true(runs(bed, &info, features));
	assert_int_equal(bed_ask(bed, &request, &response), VDUSE_REQ_RESULT_OK);
	assert_memory_equal(&response.vq_state.packed, &info.packed, sizeof(info.packed));
	/* Said to be nowhere at all: its ring tells that it never ran. */
	info.packed = (struct vduse_vq_state_packed){ 0 };
	assert_true(runs(bed, &info, features));
	assert_int_equal(bed_ask(bed, &request, &response), VDUSE_REQ_RESULT_OK);
	assert_int_equal(response.vq_state.packed.last_avail_counter, 1);
	/* Without a driver the kernel would take it for a split one. */
	assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed_ask(bed, &request, &response), VDUSE_REQ_RESULT_FAILED);
}

/* hostile: F5 */
static void queues_that_are_not_there_have_no_state(void **state)
{
	static const uint32_t queues[] = { TOY_QUEUES, 255, 256, 65536, UINT32_MAX };
	struct bed *bed = *state;
	struct vduse_dev_response response;

	bed_run(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(queues); i++) {
		struct vduse_dev_request request = { .type = VDUSE_GET_VQ_STATE,
						     .vq_state.index = queues[i] };

		assert_int_equal(bed_ask(bed, &request, &response), VDUSE_REQ_RESULT_FAILED);
	}
	bed_check_serves(bed);
}

/* hostile: F6 */
static void there_may_be_many_queues(void **state)
{
	struct bed *bed = *state;

	bed_free_server(bed);
	bed_make_server(bed, 257);
	bed_run(bed);
	assert_int_equal(bed->kernel.queue_count, 257);
	assert_int_equal(bed->kernel.queues[256].max_size, TOY_SIZE);
	assert_true(bed->kernel.queues[256].kick >= 0);
	bed_check_serves(bed);
	/* The last of them, in the place of the first. */
	bed->kernel.queues[256].info = bed->kernel.queues[0].info;
	bed->kernel.queues[256].info.split.avail_index = bed->offered[0];
	fake_kernel_kick(&bed->kernel, 256);
	bed_settle(bed);
	assert_true(bed->dev.queues[256].running);
	assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
	bed_stop(bed);
	bed_free_server(bed);
	bed_make_server(bed, 0);
}

/* What the kernel says of memory, and what it does with it. */
static void memory_is_judged(void **state)
{
	const struct vduse_iotlb_entry good = { .offset = BED_DATA,
						.start = BED_DATA,
						.last = BED_DATA + BED_DATA_BYTES - 1,
						.perm = VDUSE_ACCESS_RW };
	struct vduse_iotlb_entry bad[8];
	struct bed *bed = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[0].perm = 0;
	bad[1].perm = VDUSE_ACCESS_RO;
	bad[2].perm = VDUSE_ACCESS_WO; /* the request can't be read */
	bad[3].last = UINT64_MAX;
	bad[4].offset = BED_BYTES - 0x1000;
	bad[5].offset = UINT64_MAX - 0xfff;
	bad[6].last = BED_RINGS; /* where there is something else */
	bad[7].start = BED_DATA + 4;
	bed_run(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		bed_run(bed);
		bed->kernel.pieces[0].entry = bad[i];
		bed_offer(bed, 0, 5);
		assert_int_equal(bed_answer(bed, 0), 0);
		assert_int_equal(bed->closed, 0);
	}
	/* Files that are none. */
	for (unsigned i = 0; i < 2; i++) {
		int fd = i ? open("/", O_RDONLY | O_DIRECTORY) : open("/dev/null", O_RDWR);

		bed_run(bed);
		bed->kernel.pieces[0].fd = fd;
		bed_offer(bed, 0, 5);
		assert_int_equal(bed_answer(bed, 0), 0);
		close(fd);
	}
	/* Ranges that are none. */
	bed_run(bed);
	assert_int_equal(bed_update(bed, 5, 4), VDUSE_REQ_RESULT_FAILED);
	assert_int_equal(bed_update(bed, UINT64_MAX, 0), VDUSE_REQ_RESULT_FAILED);
	assert_int_equal(bed_update(bed, UINT64_MAX, UINT64_MAX), VDUSE_REQ_RESULT_OK);
	bed_check_serves(bed);
}

/* A program behind vhost-vdpa that cuts its memory short. */
static void memory_may_go(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(vio_guard_memory(), 0);
	bed_run(bed);
	bed_check_serves(bed);
	assert_int_equal(ftruncate(bed->memory_fd, 0), 0);
	fake_kernel_kick(&bed->kernel, 1);
	bed_settle(bed);
	assert_true(bed->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(strstr(bed->line, "reset"));
	assert_int_equal(bed->server->memory.count, 0);
	assert_int_equal(bed->closed, 0);
	assert_int_equal(ftruncate(bed->memory_fd, (off_t)BED_BYTES), 0);
	bed_run(bed);
	bed_check_serves(bed);
}

/* hostile: F9 */
static void the_kernel_may_give_up(void **state)
{
	struct bed *bed = *state;

	for (unsigned way = 0; way < 4; way++) {
		char half[16] = "";

		bed->closed = 0;
		bed_run(bed);
		bed->toy->hold = true;
		bed_offer(bed, 0, 5);
		bed->toy->hold = false;
		if (way == 0) {
			/* It waited too long for an answer, and says so whatever it is asked. */
			bed->kernel.broken = true;
			vio_device_kick(&bed->dev, 0);
			toy_complete(&bed->dev, &bed->dev.queues[0]);
			vio_devq_notify(&bed->dev.queues[0]);
		} else if (way == 1) {
			close(bed->kernel.peer);
			bed->kernel.peer = -1;
		} else if (way == 2) {
			assert_int_equal(send(bed->kernel.peer, half, sizeof(half), 0), sizeof(half));
		} else {
			struct vduse_dev_request request = { .type = VDUSE_GET_VQ_STATE };

			bed->kernel.broken = true;
			assert_true(fake_kernel_ask(&bed->kernel, &request));
		}
		bed_settle(bed);
		bed->kernel.broken = false;
		assert_int_equal(bed->closed, 1);
		assert_int_equal(bed->reason, way == 2 ? -VIO_EPROTO : -VIO_EHANGUP);
		fake_kernel_reset(&bed->kernel);
		bed->kernel.exists = false;
		unlink(bed->account);
		bed_check_idle(bed);
	}
	bed->closed = 0;
}

/* hostile: F9, each call fails in its turn, with whatever there is to say. */
static void each_call_may_fail(void **state)
{
	static const int failures[] = { EINVAL, EPERM, ENOMEM, EBUSY, EIO, ENODEV };
	struct bed *bed = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(failures); i++) {
		bool over = false;

		for (unsigned steps = 0; !over; steps++) {
			int error;

			fake_kernel_init(&bed->kernel);
			bed->kernel.failure = failures[i];
			bed->kernel.steps_until_failure = steps;
			bed->closed = 0;
			assert_true(steps < 200);
			error = bed_start(bed);
			over = !error && bed->kernel.steps <= steps;
			if (error) {
				assert_true(strlen(bed->mistake.text) > 10);
			} else {
				bed_map(bed);
				(void)bed_status(bed, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
				bed->kernel.accepted = BED_FEATURES;
				for (uint16_t queue = 0; queue < TOY_QUEUES; queue++)
					bed_queue(bed, queue);
				if (!bed->closed)
					(void)bed_status(bed, TOY_RUNNING);
				for (uint16_t queue = 0; !bed->closed && queue < TOY_QUEUES; queue++)
					bed_offer(bed, queue, queue);
				over = bed->kernel.steps <= steps;
			}
			bed->kernel.steps_until_failure = FAKE_NEVER;
			(void)vio_vduse_stop(bed->server);
			fake_kernel_free(&bed->kernel);
			unlink(bed->account);
			bed_check_idle(bed);
		}
	}
}

static void refuse_name(struct bed *bed, const char *name)
{
	const unsigned before = bed->kernel.steps;

	bed->options.name = name;
	assert_int_equal(bed_start(bed), -VIO_EINVAL);
	assert_true(strlen(bed->mistake.text) > 10);
	/* Nobody heard of it, and nothing was made. */
	assert_int_equal(bed->kernel.steps, before);
	assert_int_equal(access(bed->account, F_OK), -1);
}

/* hostile: F10 */
static void names_are_judged(void **state)
{
	static const char *const names[] = { "",          ".",    "..",       "control", "a/b", "../../etc/x",
					     "two words", "a\nb", "-option",  ".hidden", "a%n", "\xff",
					     "b\xc3\xa4", "a;b",  "a\033[31m" };
	struct bed *bed = *state;
	char name[300];

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(names); i++)
		refuse_name(bed, names[i]);
	memset(name, 'n', sizeof(name));
	name[256] = 0;
	refuse_name(bed, name);
	name[255] = 0;
	bed->options.name = name;
	assert_int_equal(bed_start(bed), 0);
	assert_int_equal(vio_vduse_start(bed->server, &bed->options, NULL), -VIO_EBUSY);
	assert_string_equal(bed->kernel.name, name);
	bed_stop(bed);
}

/* hostile: F10 F8, the name is taken: by a process, by another's device, by one of ours of another kind. */
static void names_may_be_taken(void **state)
{
	struct bed *bed = *state;
	const char *account = bed->account;
	struct bed other = { .loop = bed->loop, .watcher = bed->watcher };

	bed_run(bed);
	bed->kernel.in_use = true;
	bed_make_server(&other, 0);
	other.server->system = &bed->kernel.system;
	other.options = bed->options;
	assert_int_equal(bed_start(&other), -VIO_EBUSY);
	assert_non_null(strstr(other.mistake.text, "another process"));
	snprintf(other.account, sizeof(other.account), "%.40s2", account);
	other.options.account = other.account;
	assert_int_equal(bed_start(&other), -VIO_EBUSY);
	assert_non_null(strstr(other.mistake.text, "served by another process"));
	bed_check_serves(bed);
	bed_stop(bed);
	/* In use, and its account is elsewhere. */
	assert_int_equal(bed_start(&other), -VIO_ESTATE);
	assert_non_null(strstr(other.mistake.text, "isn't in"));
	bed_free_server(&other);
	bed_make_server(&other, 5);
	other.server->system = &bed->kernel.system;
	other.options.account = account;
	assert_int_equal(bed_start(&other), -VIO_ESTATE);
	assert_non_null(strstr(other.mistake.text, "other properties"));
	bed_free_server(&other);
	/* None of it took anything away. */
	assert_int_equal(bed_start(bed), 0);
	bed_check_serves(bed);
	bed->kernel.in_use = false;
}

/* hostile: F8 G16, an account that somebody wrote in. */
static void accounts_may_be_damaged(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct bed *bed = *state;
	uint8_t *whole = malloc(1 << 16);
	size_t head = sizeof(struct vds_account_head), taken = 0;
	ssize_t bytes;
	int fd;

	assert_non_null(whole);
	bed_run(bed);
	bed->kernel.in_use = true;
	bed_check_serves(bed);
	bed_stop(bed);
	fd = open(bed->account, O_RDWR);
	bytes = pread(fd, whole, 1 << 16, 0);
	for (size_t i = 0; i < (size_t)bytes; i++) {
		const uint8_t value = values[i % VIO_ARRAY_SIZE(values)];

		/* The name's tail and what lies between head and queues are zeros all over. */
		if ((i > head && i < VDS_ACCOUNT_QUEUES) || (i > 100 && i < head) || whole[i] == value)
			continue;
		assert_int_equal(pwrite(fd, &value, 1, (off_t)i), 1);
		bed->closed = 0;
		if (!bed_start(bed)) {
			bed_settle(bed);
			taken++;
			(void)vio_vduse_stop(bed->server);
		}
		assert_int_equal(pwrite(fd, whole, (size_t)bytes, 0), bytes);
	}
	assert_true(taken);
	/* Cut short at every place that matters. */
	for (size_t i = 1; i < (size_t)bytes; i = i < 0x200 ? i + 7 : i + 0x200) {
		assert_int_equal(ftruncate(fd, (off_t)i), 0);
		assert_int_equal(bed_start(bed), -VIO_ESTATE);
		assert_int_equal(pwrite(fd, whole, (size_t)bytes, 0), bytes);
	}
	assert_int_equal(bed_start(bed), 0);
	bed_stop(bed);
	close(fd);
	bed->kernel.in_use = false;
	unlink(bed->account);
	fake_kernel_free(&bed->kernel);
	fake_kernel_init(&bed->kernel);
	/* No file at all in its place. */
	assert_int_equal(symlink("/tmp/nowhere", bed->account), 0);
	assert_int_not_equal(bed_start(bed), 0);
	assert_int_equal(unlink(bed->account), 0);
	assert_int_equal(mkdir(bed->account, 0700), 0);
	assert_int_not_equal(bed_start(bed), 0);
	assert_int_equal(rmdir(bed->account), 0);
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(unknown_requests_are_refused),
		BED_CASE(answers_may_come_too_late),
		BED_CASE(status_comes_in_any_order),
		BED_CASE(queues_lie_where_they_cannot),
		BED_CASE(packed_queues_begin_inside),
		BED_CASE(queues_that_are_not_there_have_no_state),
		BED_CASE(there_may_be_many_queues),
		BED_CASE(memory_is_judged),
		BED_CASE(memory_may_go),
		BED_CASE(the_kernel_may_give_up),
		BED_CASE(each_call_may_fail),
		BED_CASE(names_are_judged),
		BED_CASE(names_may_be_taken),
		BED_CASE(accounts_may_be_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
