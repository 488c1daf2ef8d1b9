/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/disk.h"

#include <stdlib.h>
#include <string.h>

/* Requests in flight together: order, failure, drain, and a model to compare with. */

#define SECTORS 4096u
#define BATCH   64u

static struct disk d;
static struct disk_request requests[256];
static uint8_t buffers[256][4096];

static int setup(void **state)
{
	disk_make(&d, SECTORS, 512);
	memset(requests, 0, sizeof(requests));
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(d.h.faults, 0);
	disk_free(&d);
	return 0;
}

static void add_reads(unsigned queue, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		requests[i] = (struct disk_request){
			.type = VIRTIO_BLK_T_IN,
			.sector = i * 3,
			.in = buffers[i],
			.in_bytes = SECTOR,
		};
		disk_add(&d, queue, &requests[i]);
	}
}

static void assert_reads(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		assert_int_equal(requests[i].completed, 1);
		assert_int_equal(requests[i].status, VIRTIO_BLK_S_OK);
		assert_int_equal(requests[i].written, SECTOR + 1);
		assert_memory_equal(buffers[i], d.fake.data + i * 3 * SECTOR, SECTOR);
	}
}

/* Storage that completes inside submit neither recurses nor interrupts more than once for eight. */
static void fast_storage_is_served_in_a_loop(void **state)
{
	disk_start(&d, BIT(VIRTIO_F_EVENT_IDX), 256);
	d.h.queues[0].interrupts = 0;
	add_reads(0, 0, 250);
	harness_kick(&d.h, 0);
	assert_in_range(d.h.queues[0].interrupts, 1, 250 / 8 + 1);
	assert_int_equal(disk_collect(&d, 0), 250);
	assert_reads(0, 250);
	assert_int_equal(d.fake.depth_max, 1);
}

static void completes_in_the_order_of_the_storage(void **state)
{
	disk_start(&d, 0, 256);
	d.fake.later = true;
	add_reads(0, 0, 200);
	harness_kick(&d.h, 0);
	assert_int_equal(d.fake.pending_count, 200);
	assert_int_equal(disk_collect(&d, 0), 0);
	for (unsigned i = 200; i-- > 0;) {
		fake_block_complete(&d.fake, i);
		/* Out of a kick the driver hears at once. */
		assert_int_equal(disk_collect(&d, 0), 1);
		assert_int_equal(requests[i].completed, 1);
	}
	assert_reads(0, 200);
}

static void failures_are_told(void **state)
{
	static const struct {
		int result;
		uint8_t status;
	} cases[] = {
		{ -VIO_EIO, VIRTIO_BLK_S_IOERR },      { -VIO_ENOSPC, VIRTIO_BLK_S_IOERR },
		{ -VIO_ERANGE, VIRTIO_BLK_S_IOERR },   { -VIO_EACCES, VIRTIO_BLK_S_IOERR },
		{ -VIO_ENOTSUP, VIRTIO_BLK_S_UNSUPP }, { 1, VIRTIO_BLK_S_IOERR },
	};
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	struct virtio_blk_discard_write_zeroes list[2] = { disk_segment(0, 8, 0), disk_segment(8, 8, 0) };

	disk_start(&d, 0, 64);
	for (unsigned c = 0; c < VIO_ARRAY_SIZE(cases); c++) {
		for (unsigned t = 0; t < VIO_ARRAY_SIZE(types); t++) {
			struct disk_request request = { .type = types[t] };

			if (types[t] == VIRTIO_BLK_T_IN) {
				request.in = buffers[0];
				request.in_bytes = SECTOR;
			} else if (types[t] != VIRTIO_BLK_T_FLUSH) {
				bool write = types[t] == VIRTIO_BLK_T_OUT;

				request.out = write ? (void *)buffers[1] : (void *)list;
				request.out_bytes = write ? SECTOR : sizeof(list);
			}
			d.fake.result = cases[c].result;
			assert_int_equal(disk_call(&d, 0, &request), 1);
			assert_int_equal(request.status, cases[c].status);
			d.fake.result = 0;
			assert_true(disk_call(&d, 0, &request) >= 1);
			assert_int_equal(request.status, VIRTIO_BLK_S_OK);
		}
	}
}

/* The first that fails ends a request of several segments. */
static void a_failed_segment_ends_its_request(void **state)
{
	struct virtio_blk_discard_write_zeroes list[16];
	struct disk_request request = { VIRTIO_BLK_T_WRITE_ZEROES, .out = list, .out_bytes = sizeof(list) };

	disk_start(&d, 0, 64);
	for (unsigned i = 0; i < 16; i++)
		list[i] = disk_segment(i * 8, 8, 0);
	for (unsigned later = 0; later < 2; later++) {
		for (int good = 0; good < 16; good++) {
			d.fake.submitted[VIO_BLOCK_WRITE_ZEROES] = 0;
			d.fake.result = -VIO_EIO;
			d.fake.result_after = good;
			d.fake.later = later;
			disk_add(&d, 0, &request);
			harness_kick(&d.h, 0);
			while (d.fake.pending_count)
				fake_block_complete(&d.fake, 0);
			assert_int_equal(disk_collect(&d, 0), 1);
			assert_int_equal(request.status, VIRTIO_BLK_S_IOERR);
			assert_int_equal(d.fake.submitted[VIO_BLOCK_WRITE_ZEROES], good + 1);
		}
	}
	assert_int_equal(d.fake.depth_max, 1);
}

/* Good when they were judged, beyond the end when their turn comes. */
static void segments_follow_the_capacity(void **state)
{
	struct virtio_blk_discard_write_zeroes list[2] = { disk_segment(0, 8, 0),
							   disk_segment(SECTORS - 8, 8, 0) };
	struct disk_request request = { VIRTIO_BLK_T_WRITE_ZEROES, .out = list, .out_bytes = sizeof(list) };

	disk_start(&d, 0, 64);
	d.fake.later = true;
	disk_add(&d, 0, &request);
	harness_kick(&d.h, 0);
	fake_block_resize(&d.fake, (SECTORS - 1) * SECTOR);
	fake_block_complete(&d.fake, 0);
	assert_int_equal(d.fake.pending_count, 0);
	assert_int_equal(d.fake.submitted[VIO_BLOCK_WRITE_ZEROES], 1);
	assert_int_equal(disk_collect(&d, 0), 1);
	assert_int_equal(request.status, VIRTIO_BLK_S_IOERR);
}

static void queues_are_independent(void **state)
{
	harness_set(&d.h, "num-queues", "4");
	disk_start(&d, 0, 64);
	d.fake.later = true;
	for (unsigned queue = 0; queue < 4; queue++) {
		add_reads(queue, queue * 40, 40);
		harness_kick(&d.h, queue);
	}
	assert_int_equal(d.fake.pending_count, 160);
	/* Stopping one queue completes what it had, whatever else that completes. */
	vio_device_queue_stop(&d.h.dev, 2);
	assert_int_equal(d.fake.pending_count, 0);
	for (unsigned queue = 0; queue < 4; queue++)
		assert_int_equal(disk_collect(&d, queue), 40);
	assert_reads(0, 160);
	d.fake.later = false;
	add_reads(0, 0, 10);
	harness_kick(&d.h, 0);
	assert_int_equal(disk_collect(&d, 0), 10);
	add_reads(2, 0, 10);
	harness_kick(&d.h, 2);
	assert_int_equal(disk_collect(&d, 2), 0);
}

/* A completion for one queue inside the kick of another is told at once, the queue's own with its batch. */
static void completions_are_told_to_the_right_queue(void **state)
{
	harness_set(&d.h, "num-queues", "2");
	disk_start(&d, BIT(VIRTIO_F_EVENT_IDX), 64);
	d.fake.later = true;
	add_reads(0, 0, 1);
	harness_kick(&d.h, 0);
	d.fake.later = false;
	d.h.queues[0].interrupts = d.h.queues[1].interrupts = 0;
	add_reads(1, 1, 5);
	harness_kick(&d.h, 1);
	assert_int_equal(d.h.queues[1].interrupts, 1);
	assert_int_equal(d.h.queues[0].interrupts, 0);
	fake_block_complete(&d.fake, 0);
	assert_int_equal(d.h.queues[0].interrupts, 1);
	assert_int_equal(disk_collect(&d, 0), 1);
	assert_int_equal(disk_collect(&d, 1), 5);
	assert_reads(0, 6);
}

/* Storage that completes several in one go costs one interrupt for each queue, not one for each request. */
static void batches_of_completions_interrupt_once(void **state)
{
	harness_set(&d.h, "num-queues", "3");
	disk_start(&d, BIT(VIRTIO_F_EVENT_IDX), 64);
	d.fake.later = true;
	add_reads(0, 0, 20);
	add_reads(1, 20, 20);
	harness_kick(&d.h, 0);
	harness_kick(&d.h, 1);
	for (unsigned queue = 0; queue < 3; queue++)
		d.h.queues[queue].interrupts = 0;
	vio_block_begin_batch(&d.fake.block);
	while (d.fake.pending_count)
		fake_block_complete(&d.fake, 0);
	assert_int_equal(disk_collect(&d, 0), 0);
	vio_block_end_batch(&d.fake.block);
	assert_int_equal(d.h.queues[0].interrupts, 1);
	assert_int_equal(d.h.queues[1].interrupts, 1);
	assert_int_equal(d.h.queues[2].interrupts, 0);
	assert_int_equal(disk_collect(&d, 0), 20);
	assert_int_equal(disk_collect(&d, 1), 20);
	assert_reads(0, 40);
}

/* hostile: A97; spec: DEV-BASIC-011 */
static void reset_drains(void **state)
{
	struct virtio_blk_discard_write_zeroes list[16];
	struct disk_request zeroes = { VIRTIO_BLK_T_WRITE_ZEROES, .out = list, .out_bytes = sizeof(list) };

	for (unsigned i = 0; i < 16; i++)
		list[i] = disk_segment(i * 8, 8, 0);
	for (unsigned round = 0; round < 4; round++) {
		unsigned interrupts;
		uint8_t *memory = d.h.memory;

		d.fake.backwards = round == 1;
		d.fake.shallow = round > 1;
		disk_start(&d, 0, 64);
		d.fake.later = true;
		add_reads(0, 0, 50);
		disk_add(&d, 0, &zeroes);
		harness_kick(&d.h, 0);
		assert_int_equal(d.fake.pending_count, 51);
		harness_reset(&d.h);
		assert_int_equal(d.fake.pending_count, 0);
		assert_int_equal(d.fake.done, (round + 1) * (50 + 16));
		/* The memory is the driver's again: nothing writes to it any more. */
		interrupts = d.h.queues[0].interrupts;
		memset(memory, 0x99, 65536);
		vio_device_kick(&d.h.dev, 0);
		for (unsigned i = 0; i < 65536; i++)
			assert_int_equal(memory[i], 0x99);
		assert_int_equal(d.h.queues[0].interrupts, interrupts);
	}
	/* With nothing in flight there is nothing to wait for. */
	disk_start(&d, 0, 64);
	d.fake.drains = 0;
	harness_reset(&d.h);
	assert_int_equal(d.fake.drains, 0);
}

/* A device that is saved with requests in flight has none afterwards. */
static void saving_drains(void **state)
{
	uint8_t blob[4096];

	disk_start(&d, 0, 64);
	d.fake.later = true;
	add_reads(0, 0, 30);
	harness_kick(&d.h, 0);
	assert_in_range(vio_device_save(&d.h.dev, blob, sizeof(blob)), 1, sizeof(blob));
	assert_int_equal(disk_collect(&d, 0), 30);
	assert_reads(0, 30);
}

/* spec: DEV-BLK-028: what completed before a flush is durable after it. */
static void flush_keeps_its_promise(void **state)
{
	disk_start(&d, 0, 64);
	memset(buffers, 0x42, sizeof(buffers));
	d.fake.later = true;
	for (unsigned i = 0; i < 10; i++) {
		requests[i] = (struct disk_request){
			.type = VIRTIO_BLK_T_OUT,
			.sector = i * 8,
			.out = buffers[i],
			.out_bytes = 4096,
		};
		disk_add(&d, 0, &requests[i]);
	}
	harness_kick(&d.h, 0);
	while (d.fake.pending_count)
		fake_block_complete(&d.fake, d.fake.pending_count / 2);
	assert_int_equal(disk_collect(&d, 0), 10);
	assert_memory_not_equal(d.fake.durable, buffers, 40960);
	requests[10] = (struct disk_request){ .type = VIRTIO_BLK_T_FLUSH };
	disk_add(&d, 0, &requests[10]);
	harness_kick(&d.h, 0);
	assert_int_equal(d.fake.submitted[VIO_BLOCK_FLUSH], 1);
	assert_int_equal(disk_collect(&d, 0), 0);
	fake_block_complete(&d.fake, 0);
	assert_int_equal(disk_collect(&d, 0), 1);
	assert_int_equal(requests[10].status, VIRTIO_BLK_S_OK);
	assert_memory_equal(d.fake.durable, buffers, 40960);
}

/* The model: what the disk should hold, and what each request should bring. */
struct model {
	uint8_t disk[SECTORS * SECTOR];
	uint8_t expected[BATCH][4096];
	struct virtio_blk_discard_write_zeroes segment[BATCH];
	uint64_t seed;
};

static uint32_t pick(struct model *model, uint32_t below)
{
	return harness_random(&model->seed) % below;
}

/* Requests of a batch touch disjoint 8-sector slots, so that their order doesn't matter. */
static void model_request(struct model *model, unsigned index, uint32_t slot)
{
	struct disk_request *request = &requests[index];
	uint32_t first = pick(model, 8), sectors = 1 + pick(model, 8 - first);
	uint64_t sector = slot * 8 + first;
	uint8_t *at = model->disk + sector * SECTOR;
	size_t bytes = sectors * SECTOR;

	*request = (struct disk_request){ .sector = sector };
	request->piece = pick(model, 2) ? 0 : 500 + pick(model, 700);
	switch (pick(model, 5)) {
	case 0:
	case 1:
		request->type = VIRTIO_BLK_T_IN;
		request->in = buffers[index];
		request->in_bytes = bytes;
		memcpy(model->expected[index], at, bytes);
		break;
	case 2:
	case 3:
		request->type = VIRTIO_BLK_T_OUT;
		request->out = buffers[index];
		request->out_bytes = bytes;
		for (size_t i = 0; i < bytes; i++)
			buffers[index][i] = (uint8_t)harness_random(&model->seed);
		memcpy(at, buffers[index], bytes);
		break;
	default:
		request->type = pick(model, 2) ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD;
		model->segment[index] = disk_segment(sector, sectors, 0);
		request->out = &model->segment[index];
		request->out_bytes = sizeof(model->segment[index]);
		request->piece = 0;
		memset(at, request->type == VIRTIO_BLK_T_DISCARD ? 0xdd : 0, bytes);
	}
}

static void model_batch(struct model *model, unsigned queues)
{
	unsigned count = 1 + pick(model, BATCH);
	uint32_t stride = 1 + pick(model, SECTORS / 8 / BATCH), at = pick(model, SECTORS / 8);
	size_t mark = d.h.used;
	unsigned collected = 0;

	d.fake.later = pick(model, 4) != 0;
	for (unsigned i = 0; i < count; i++) {
		model_request(model, i, (at + i * stride) % (SECTORS / 8));
		disk_add(&d, i % queues, &requests[i]);
		if (!pick(model, 5))
			harness_kick(&d.h, i % queues);
	}
	for (unsigned queue = 0; queue < queues; queue++)
		harness_kick(&d.h, queue);
	while (d.fake.pending_count)
		fake_block_complete(&d.fake, pick(model, d.fake.pending_count));
	for (unsigned queue = 0; queue < queues; queue++)
		collected += disk_collect(&d, queue);
	assert_int_equal(collected, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(requests[i].completed, 1);
		assert_int_equal(requests[i].status, VIRTIO_BLK_S_OK);
		assert_int_equal(requests[i].written, requests[i].in_bytes + 1);
		if (requests[i].in_bytes)
			assert_memory_equal(buffers[i], model->expected[i], requests[i].in_bytes);
	}
	assert_memory_equal(d.fake.data, model->disk, sizeof(model->disk));
	d.h.used = mark;
}

static void agrees_with_a_model(void **state)
{
	struct model *model = malloc(sizeof(*model));

	assert_non_null(model);
	for (unsigned seed = 1; seed <= 4; seed++) {
		unsigned queues = 1 + seed % 3;
		char text[2] = { (char)('0' + queues), 0 };

		setup(state);
		model->seed = seed;
		harness_set(&d.h, "num-queues", text);
		harness_set(&d.h, "queue-size", "1024");
		disk_start(&d, seed % 2 ? BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC) : 0, 1024);
		memcpy(model->disk, d.fake.data, sizeof(model->disk));
		for (unsigned batch = 0; batch < 60; batch++)
			model_batch(model, queues);
		if (seed < 4)
			teardown(state);
	}
	free(model);
}

static struct {
	const struct vio_block_ops *ops; /* of the storage itself */
	struct disk_request *requests;   /* of queue 0, so many */
	unsigned count, added;
} endless;

/* A driver that has another request for each one that is served, as long as the device goes on. */
static void endless_submit(struct vio_block *block, struct vio_block_request *request)
{
	endless.ops->submit(block, request);
	disk_collect(&d, 0);
	if (endless.added < endless.count)
		disk_add(&d, 0, &endless.requests[endless.added++]);
	vio_drvq_publish(&d.h.queues[0].q);
}

/* A queue that always has more takes turns with the others: it gives way long before it is empty. */
static void queues_are_fair(void **state)
{
	enum { COUNT = 2000, TURN = 256 + 8 };
	static struct disk_request reads[COUNT];
	static uint8_t bytes[SECTOR];
	struct disk_request other = { VIRTIO_BLK_T_IN, .in = bytes, .in_bytes = SECTOR };
	struct vio_block_ops ops = *d.fake.block.ops;
	unsigned turns = 0;

	harness_set(&d.h, "num-queues", "2");
	disk_start(&d, 0, 64);
	for (unsigned i = 0; i < COUNT; i++)
		reads[i] = (struct disk_request){ VIRTIO_BLK_T_IN, .in = bytes, .in_bytes = SECTOR };
	endless.ops = d.fake.block.ops;
	endless.requests = reads;
	endless.count = COUNT;
	for (endless.added = 0; endless.added < 16; endless.added++)
		disk_add(&d, 0, &reads[endless.added]);
	ops.submit = endless_submit;
	d.fake.block.ops = &ops;
	harness_kick(&d.h, 0);
	assert_in_range(d.fake.done, 1, TURN);
	assert_int_not_equal(d.h.queues[0].again, 0);
	/* The other one is served in between, at once. */
	disk_add(&d, 1, &other);
	harness_kick(&d.h, 1);
	assert_int_equal(disk_collect(&d, 1), 1);
	assert_int_equal(other.status, VIRTIO_BLK_S_OK);
	while (d.h.queues[0].again) {
		const unsigned before = d.fake.done;

		d.h.queues[0].again = 0;
		vio_device_kick(&d.h.dev, 0);
		assert_in_range(d.fake.done - before, 1, TURN);
		turns++;
	}
	d.fake.block.ops = endless.ops;
	disk_collect(&d, 0);
	assert_in_range(turns, COUNT / TURN - 1, COUNT / 200);
	assert_int_equal(d.fake.done, COUNT + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(queues_are_fair, setup, teardown),
		cmocka_unit_test_setup_teardown(fast_storage_is_served_in_a_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(completes_in_the_order_of_the_storage, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_segment_ends_its_request, setup, teardown),
		cmocka_unit_test_setup_teardown(segments_follow_the_capacity, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_are_independent, setup, teardown),
		cmocka_unit_test_setup_teardown(completions_are_told_to_the_right_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(batches_of_completions_interrupt_once, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(saving_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_keeps_its_promise, setup, teardown),
		cmocka_unit_test_teardown(agrees_with_a_model, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
