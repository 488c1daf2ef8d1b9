/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "lib/test.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vireo/client.h>

#include "client/fake.h"
#include "lib/leaks.h"

/* A disk behind vireo/client.h, honest and not: each request completes once, in time, and nothing else. */

#define BLOCK   4096u
#define WAIT_NS UINT64_C(20000000000)

struct rig {
	struct fake *fake;
	struct vio_client *client;
	struct vio_client_queue *queue;
	struct vio_client_options options;
	uint8_t *memory; /* two blocks */
	struct vio_part part;
};

static int set_up_with(void **state, unsigned flags)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->fake = fake_start(FAKE_HONEST);
	rig->options = (struct vio_client_options){ .connect = fake_connect,
						    .context = rig->fake,
						    .flags = flags,
						    .depth = 8,
						    .queue_count = FAKE_QUEUES,
						    .timeout_ms = 2000,
						    .request_ms = 300,
						    .memory_bytes = 1 << 20 };
	*state = rig;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, 0);
}

static int set_up_strict(void **state)
{
	return set_up_with(state, VIO_CLIENT_NO_COPIES);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	vio_client_close(rig->client);
	fake_end(rig->fake);
	free(rig);
	return 0;
}

static void open_disk(struct rig *rig)
{
	struct vio_message message;

	if (vio_client_open_disk(&rig->options, &rig->client, &message))
		fail_msg("%s", message.text);
	rig->queue = vio_client_get_queue(rig->client, 0);
	rig->memory = vio_client_alloc(rig->client, 2u * BLOCK);
	assert_non_null(rig->memory);
	rig->part = (struct vio_part){ rig->memory, BLOCK };
}

static struct vio_client_request request_of(const struct rig *rig, enum vio_client_op op, uint64_t offset)
{
	return (struct vio_client_request){
		.op = (uint16_t)op, .offset = offset, .parts = &rig->part, .part_count = 1, .user_data = 42
	};
}

static int submit(struct rig *rig, enum vio_client_op op, uint64_t offset)
{
	struct vio_client_request request = request_of(rig, op, offset);

	return vio_client_submit(rig->queue, &request, 1);
}

/* The result of the one request in flight. */
static int finish(struct rig *rig)
{
	struct vio_client_completion completion = { 0, 1 };

	assert_int_equal(vio_client_wait(rig->queue, &completion, 1, WAIT_NS), 1);
	assert_int_equal(completion.user_data, 42);
	assert_int_equal(vio_client_in_flight(rig->queue), 0);
	return completion.result;
}

static int run(struct rig *rig, enum vio_client_op op, uint64_t offset)
{
	assert_int_equal(submit(rig, op, offset), 1);
	return finish(rig);
}

/* What the back end has there, once it has served so many: to a checker rings don't order what they do. */
static uint8_t on_disk(struct rig *rig, unsigned served, size_t at)
{
	const struct timespec moment = { 0, 1000000 };

	while (atomic_load(&rig->fake->taken) < served)
		nanosleep(&moment, NULL);
	return rig->fake->disk[at];
}

static void test_says_what_it_is(void **state)
{
	struct rig *rig = *state;
	struct vio_client_info info;

	open_disk(rig);
	vio_client_get_info(rig->client, &info);
	assert_int_equal(info.disk.bytes, FAKE_BYTES);
	assert_int_equal(info.queue_count, FAKE_QUEUES);
	assert_int_equal(info.depth, 8);
	assert_int_equal(info.disk.parts_max, 16);
	assert_int_equal(info.disk.discard_bytes_max, 0);
	assert_true(info.disk.writeback);
	assert_false(info.disk.read_only);
	assert_false(info.can_reconnect);
	assert_int_equal(info.gone, 0);
	assert_null(vio_client_get_queue(rig->client, FAKE_QUEUES));
}

static void test_reads_what_was_written(void **state)
{
	struct rig *rig = *state;
	uint8_t own[BLOCK];

	open_disk(rig);
	memset(rig->memory, 0x5a, BLOCK);
	assert_int_equal(run(rig, VIO_CLIENT_WRITE, BLOCK), 0);
	assert_int_equal(on_disk(rig, 1, BLOCK), 0x5a);
	memset(rig->memory, 0, BLOCK);
	assert_int_equal(run(rig, VIO_CLIENT_READ, BLOCK), 0);
	assert_int_equal(rig->memory[BLOCK - 1], 0x5a);
	/* Memory that the back end doesn't see. */
	memset(own, 0x33, sizeof(own));
	rig->part.host = own;
	assert_int_equal(run(rig, VIO_CLIENT_WRITE, 0), 0);
	assert_int_equal(on_disk(rig, 3, 0), 0x33);
	assert_int_equal(run(rig, VIO_CLIENT_READ, BLOCK), 0);
	assert_int_equal(own[0], 0x5a);
	rig->part.length = VIRTIO_BLK_ID_BYTES;
	assert_int_equal(run(rig, VIO_CLIENT_SERIAL, 0), 0);
	assert_memory_equal(own, FAKE_SERIAL, strlen(FAKE_SERIAL));
	rig->part.length = BLOCK;
	assert_int_equal(
		vio_client_submit(rig->queue,
				  &(struct vio_client_request){ .op = VIO_CLIENT_FLUSH, .user_data = 42 }, 1),
		1);
	assert_int_equal(finish(rig), 0);
}

static void test_copies_are_refused_where_they_arent_wanted(void **state)
{
	struct rig *rig = *state;
	uint8_t own[BLOCK] = { 0 };

	open_disk(rig);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
	rig->part.host = own;
	assert_int_equal(submit(rig, VIO_CLIENT_READ, 0), -VIO_EACCES);
	assert_int_equal(vio_client_in_flight(rig->queue), 0);
}

static void test_refuses_what_makes_no_sense(void **state)
{
	struct rig *rig = *state;
	struct vio_client_request request;

	open_disk(rig);
	assert_int_equal(submit(rig, VIO_CLIENT_READ, 100), -VIO_EINVAL);
	assert_int_equal(submit(rig, VIO_CLIENT_READ, FAKE_BYTES - BLOCK + 512), -VIO_ERANGE);
	assert_int_equal(submit(rig, VIO_CLIENT_READ, UINT64_MAX / 512 * 512), -VIO_ERANGE);
	assert_int_equal(submit(rig, VIO_CLIENT_FLUSH, 0), -VIO_EINVAL);
	assert_int_equal(submit(rig, VIO_CLIENT_SEND, 0), -VIO_EINVAL);
	assert_int_equal(submit(rig, (enum vio_client_op)99, 0), -VIO_EINVAL);
	assert_int_equal(submit(rig, VIO_CLIENT_DISCARD, 0), -VIO_ENOTSUP);
	rig->part.length = 0;
	assert_int_equal(submit(rig, VIO_CLIENT_WRITE, 0), -VIO_EINVAL);
	rig->part.length = 100;
	assert_int_equal(submit(rig, VIO_CLIENT_WRITE, 0), -VIO_EINVAL);
	rig->part.length = BLOCK;
	request = request_of(rig, VIO_CLIENT_READ, 0);
	request.part_count = 17;
	assert_int_equal(vio_client_submit(rig->queue, &request, 1), -VIO_ERANGE);
	request.part_count = 0;
	assert_int_equal(vio_client_submit(rig->queue, &request, 1), -VIO_EINVAL);
	request.part_count = 1;
	request.flags = VIO_CLIENT_UNMAP;
	assert_int_equal(vio_client_submit(rig->queue, &request, 1), -VIO_EINVAL);
	assert_int_equal(vio_client_in_flight(rig->queue), 0);
	assert_int_equal(vio_client_receive(rig->queue, NULL, 0), -VIO_ENOTSUP);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
}

/* Of a batch those before the wrong one are taken, and no more than fit. */
static void test_takes_the_beginning_of_a_batch(void **state)
{
	struct rig *rig = *state;
	struct vio_client_request requests[12];
	struct vio_client_completion completions[12];
	unsigned seen = 0, done = 0;

	open_disk(rig);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(requests); i++) {
		requests[i] = request_of(rig, VIO_CLIENT_READ, i == 3 ? 5 : 0);
		requests[i].user_data = i;
	}
	assert_int_equal(vio_client_submit(rig->queue, requests, 12), 3);
	assert_int_equal(vio_client_submit(rig->queue, requests + 3, 9), -VIO_EINVAL);
	requests[3].offset = 0;
	assert_int_equal(vio_client_submit(rig->queue, requests + 3, 9), 5);
	assert_int_equal(vio_client_in_flight(rig->queue), 8);
	assert_int_equal(vio_client_submit(rig->queue, requests + 8, 4), -VIO_ENOSPC);
	while (done < 8) {
		int count = vio_client_wait(rig->queue, completions, 3, WAIT_NS);

		assert_in_range(count, 1, 3);
		for (int i = 0; i < count; i++) {
			assert_int_equal(completions[i].result, 0);
			assert_false(seen >> completions[i].user_data & 1);
			seen |= 1u << completions[i].user_data;
		}
		done += (unsigned)count;
	}
	assert_int_equal(seen, 0xff);
	assert_int_equal(vio_client_wait(rig->queue, completions, 3, 0), 0);
}

static void test_a_descriptor_says_when(void **state)
{
	struct rig *rig = *state;
	struct vio_client_completion completion;
	struct pollfd pollfd;

	open_disk(rig);
	pollfd = (struct pollfd){ vio_client_queue_fd(rig->queue), POLLIN, 0 };
	assert_true(vio_client_arm(rig->queue));
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	assert_int_equal(submit(rig, VIO_CLIENT_READ, 0), 1);
	assert_int_equal(poll(&pollfd, 1, 10000), 1);
	assert_int_equal(vio_client_poll(rig->queue, &completion, 1), 1);
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	/* And when there is nobody any more. */
	assert_true(vio_client_arm(rig->queue));
	vio_client_hang_up(rig->client);
	assert_int_equal(poll(&pollfd, 1, 10000), 1);
	assert_int_equal(vio_client_poll(rig->queue, &completion, 1), -VIO_EHANGUP);
	assert_int_equal(submit(rig, VIO_CLIENT_READ, 0), -VIO_EHANGUP);
}

static void test_options_are_judged(void **state)
{
	struct rig *rig = *state;
	struct vio_client_options options = rig->options;
	struct vio_client *client;
	struct vio_message message;

	options.depth = VIO_CLIENT_DEPTH_MAX + 1;
	assert_int_equal(vio_client_open_disk(&options, &client, &message), -VIO_EINVAL);
	assert_non_null(strstr(message.text, "1025"));
	options = rig->options;
	options.queue_count = 9;
	assert_int_equal(vio_client_open_disk(&options, &client, &message), -VIO_EINVAL);
	options = rig->options;
	options.flags = 1u << 31;
	assert_int_equal(vio_client_open_disk(&options, &client, &message), -VIO_EINVAL);
	options = rig->options;
	options.path = "/nowhere/at/all";
	assert_int_equal(vio_client_open_disk(&options, &client, &message), -VIO_EINVAL);
	options.connect = NULL;
	assert_int_equal(vio_client_open_disk(&options, &client, &message), -VIO_ESYS);
	assert_non_null(strstr(message.text, "/nowhere/at/all"));
	assert_null(client);
}

/* A back end that can't be agreed with. */
static void test_nonsense_is_no_disk(void **state)
{
	struct rig *rig = *state;
	struct vio_message message;

	rig->fake->nonsense = true;
	assert_int_equal(vio_client_open_disk(&rig->options, &rig->client, &message), -VIO_EPROTO);
	assert_null(rig->client);
	assert_true(*message.text);
}

/* spec: DRV-BLK-001 DRV-BLK-012; what is stable needs no request */
static void test_without_a_cache_a_flush_is_done(void **state)
{
	const struct vio_client_request flush = { .op = VIO_CLIENT_FLUSH, .user_data = 42 };
	struct rig *rig = *state;

	rig->fake->features &= ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH);
	open_disk(rig);
	assert_int_equal(vio_client_submit(rig->queue, &flush, 1), 1);
	assert_int_equal(finish(rig), 0);
	assert_int_equal(atomic_load(&rig->fake->taken), 0);
}

/* spec: DRV-BLK-010 */
static void test_a_disk_to_read(void **state)
{
	struct rig *rig = *state;

	rig->fake->features |= UINT64_C(1) << VIRTIO_BLK_F_RO;
	open_disk(rig);
	assert_int_equal(submit(rig, VIO_CLIENT_WRITE, 0), -VIO_EACCES);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
}

/* Tricks of one request: an error, and the next one works. hostile: B10 B56 */
static void answers_wrongly(struct rig *rig, enum fake_trick trick, int result)
{
	atomic_store(&rig->fake->trick, (int)trick);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), result);
	atomic_store(&rig->fake->trick, FAKE_HONEST);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
}

static void test_wrong_answers_fail_one_request(void **state)
{
	struct rig *rig = *state;

	open_disk(rig);
	answers_wrongly(rig, FAKE_STATUS_UNKNOWN, -VIO_EPEER);
	answers_wrongly(rig, FAKE_STATUS_UNWRITTEN, -VIO_EPEER);
	answers_wrongly(rig, FAKE_SAYS_NOTHING, -VIO_EPEER);
	answers_wrongly(rig, FAKE_SAYS_LESS, -VIO_EPEER);
	answers_wrongly(rig, FAKE_FAILS, -VIO_EIO);
	answers_wrongly(rig, FAKE_KNOWS_NOTHING, -VIO_ENOTSUP);
}

/* What wasn't read stays what it was. */
static void test_failed_reads_copy_nothing(void **state)
{
	struct rig *rig = *state;
	uint8_t own[BLOCK];

	open_disk(rig);
	memset(own, 7, sizeof(own));
	rig->part.host = own;
	answers_wrongly(rig, FAKE_FAILS, -VIO_EIO);
	atomic_store(&rig->fake->trick, FAKE_FAILS);
	memset(own, 7, sizeof(own));
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), -VIO_EIO);
	assert_int_equal(own[0], 7);
}

/* hostile: B34, who isn't told looks */
static void test_interrupts_may_get_lost(void **state)
{
	struct rig *rig = *state;

	open_disk(rig);
	atomic_store(&rig->fake->trick, FAKE_LATE);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
}

/* The connection ends: all in flight completes, once, and then it says so. */
static void expect_end(struct rig *rig, unsigned submitted, unsigned right)
{
	struct vio_client_completion completions[8];
	struct vio_message message;
	struct vio_client_info info;
	unsigned done = 0, failed = 0;
	int count;

	while ((count = vio_client_wait(rig->queue, completions, 8, WAIT_NS)) > 0) {
		for (int i = 0; i < count; i++)
			failed += completions[i].result != 0;
		done += (unsigned)count;
	}
	assert_int_equal(done, submitted);
	assert_in_range(failed, submitted - right, submitted);
	assert_true(count == -VIO_EHANGUP || count == -VIO_EPEER);
	assert_int_equal(vio_client_in_flight(rig->queue), 0);
	assert_true(submit(rig, VIO_CLIENT_READ, 0) < 0);
	/* Other queues hear of it as well. */
	rig->queue = vio_client_get_queue(rig->client, 1);
	for (unsigned i = 0; i < 1000 && (count = submit(rig, VIO_CLIENT_READ, 0)) > 0; i++)
		(void)vio_client_wait(rig->queue, completions, 8, WAIT_NS);
	/* By its own ring, if that was lied to meanwhile. */
	assert_true(count == -VIO_EHANGUP || count == -VIO_EPEER);
	vio_client_get_mistake(rig->client, &message);
	assert_true(*message.text);
	/* The thread that has the connection hears of it last. */
	for (unsigned i = 0; i < 20000; i++) {
		const struct timespec moment = { 0, 1000000 };

		vio_client_get_info(rig->client, &info);
		if (info.gone)
			break;
		nanosleep(&moment, NULL);
	}
	assert_true(info.gone < 0);
}

static void end_by(struct rig *rig, enum fake_trick trick, unsigned right)
{
	struct vio_client_request requests[4];

	open_disk(rig);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
	atomic_store(&rig->fake->trick, (int)trick);
	for (unsigned i = 0; i < 4; i++)
		requests[i] = request_of(rig, VIO_CLIENT_READ, 0);
	assert_int_equal(vio_client_submit(rig->queue, requests, 4), 4);
	expect_end(rig, 4, right);
}

/* hostile: B29 */
static void test_silence_ends_it(void **state)
{
	end_by(*state, FAKE_SILENT, 0);
}

/* hostile: D13 */
static void test_hanging_up_ends_it(void **state)
{
	end_by(*state, FAKE_HANGS_UP, 0);
}

static void test_lengths_beyond_a_buffer_end_it(void **state)
{
	end_by(*state, FAKE_SAYS_MORE, 0);
}

static void test_ids_beyond_the_ring_end_it(void **state)
{
	end_by(*state, FAKE_ID_BEYOND, 4);
}

static void test_ids_that_arent_there_end_it(void **state)
{
	end_by(*state, FAKE_ID_NOT_THERE, 4);
}

static void test_answering_twice_ends_it(void **state)
{
	end_by(*state, FAKE_TWICE, 4);
}

static void test_jumping_ends_it(void **state)
{
	end_by(*state, FAKE_INDEX_FAR, 4);
}

static void test_scribbling_ends_it(void **state)
{
	end_by(*state, FAKE_SCRIBBLES, 1);
}

static void keeps_asking(struct rig *rig, enum fake_trick trick)
{
	struct vio_client_completion completion;
	int count = 1;

	open_disk(rig);
	atomic_store(&rig->fake->trick, (int)trick);
	for (unsigned i = 0; i < 100000 && count > 0; i++) {
		count = submit(rig, VIO_CLIENT_READ, 0);
		if (count > 0)
			count = vio_client_wait(rig->queue, &completion, 1, WAIT_NS);
	}
	assert_int_equal(count, -VIO_EHANGUP);
}

static void test_a_broken_ring_that_it_tells_of(void **state)
{
	keeps_asking(*state, FAKE_RING_ERROR);
}

static void test_a_device_that_asks_for_a_reset(void **state)
{
	keeps_asking(*state, FAKE_ASKS_FOR_RESET);
}

/* spec: DRV-BLK-008 DRV-BLK-009 */
static void test_a_disk_that_shrinks(void **state)
{
	const struct timespec moment = { 0, 1000000 };
	struct rig *rig = *state;
	struct vio_client_info info;

	open_disk(rig);
	atomic_store(&rig->fake->trick, FAKE_SHRINKS);
	assert_int_equal(run(rig, VIO_CLIENT_READ, FAKE_BYTES - BLOCK), 0);
	do {
		nanosleep(&moment, NULL);
		vio_client_get_info(rig->client, &info);
	} while (!info.changes);
	assert_int_equal(info.disk.bytes, 8 * 512);
	assert_int_equal(submit(rig, VIO_CLIENT_READ, FAKE_BYTES - BLOCK), -VIO_ERANGE);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
}

/* hostile: D12 */
static void test_floods_stop_nothing(void **state)
{
	struct rig *rig = *state;

	open_disk(rig);
	atomic_store(&rig->fake->trick, FAKE_FLOODS);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
}

static void test_nothing_is_left_behind(void **state)
{
	unsigned before = leaks_descriptors();
	void *inner;

	for (unsigned i = 0; i < 20; i++) {
		set_up(&inner);
		open_disk(inner);
		/* Some with requests in flight. */
		if (i % 2)
			atomic_store(&((struct rig *)inner)->fake->trick, FAKE_SILENT);
		assert_int_equal(submit(inner, VIO_CLIENT_READ, 0), 1);
		tear_down(&inner);
	}
	assert_int_equal(leaks_descriptors(), before);
}

static void test_memory_is_counted(void **state)
{
	struct rig *rig = *state;
	uint8_t own[BLOCK];
	void *all[1024];
	unsigned count = 0;

	open_disk(rig);
	while (count < VIO_ARRAY_SIZE(all) && (all[count] = vio_client_alloc(rig->client, BLOCK)))
		count++;
	assert_in_range(count, 100, 1023);
	/* There is none for a copy. */
	rig->part.host = own;
	assert_int_equal(submit(rig, VIO_CLIENT_READ, 0), -VIO_ENOMEM);
	for (unsigned i = 0; i < count; i++)
		vio_client_free(rig->client, all[i], BLOCK);
	vio_client_free(rig->client, NULL, BLOCK);
	vio_client_free(rig->client, own, BLOCK);
	assert_int_equal(run(rig, VIO_CLIENT_READ, 0), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_says_what_it_is),
		CASE(test_reads_what_was_written),
		cmocka_unit_test_setup_teardown(test_copies_are_refused_where_they_arent_wanted,
						set_up_strict, tear_down),
		CASE(test_refuses_what_makes_no_sense),
		CASE(test_takes_the_beginning_of_a_batch),
		CASE(test_a_descriptor_says_when),
		CASE(test_options_are_judged),
		CASE(test_nonsense_is_no_disk),
		CASE(test_without_a_cache_a_flush_is_done),
		CASE(test_a_disk_to_read),
		CASE(test_wrong_answers_fail_one_request),
		CASE(test_failed_reads_copy_nothing),
		CASE(test_interrupts_may_get_lost),
		CASE(test_silence_ends_it),
		CASE(test_hanging_up_ends_it),
		CASE(test_lengths_beyond_a_buffer_end_it),
		CASE(test_ids_beyond_the_ring_end_it),
		CASE(test_ids_that_arent_there_end_it),
		CASE(test_answering_twice_ends_it),
		CASE(test_jumping_ends_it),
		CASE(test_scribbling_ends_it),
		CASE(test_a_broken_ring_that_it_tells_of),
		CASE(test_a_device_that_asks_for_a_reset),
		CASE(test_a_disk_that_shrinks),
		CASE(test_floods_stop_nothing),
		CASE(test_nothing_is_left_behind),
		CASE(test_memory_is_counted),
	};

	return cmocka_run_group_tests_name("client-disk", tests, NULL, NULL);
}
