/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/disk.h"

#include <string.h>

/* What the block device counts, and how it keeps to its limits. Time stands still unless a test moves it. */

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

static struct disk d;
static struct vio_block_counters counters[VIO_BLK_METER_QUEUES];
static struct disk_request requests[256];
static uint8_t buffers[256][4096];

static struct fake_block second; /* of a second thread */

static struct {
	uint64_t now_ns;
	uint64_t wake_ns[2]; /* of the disk and of the second; 0: nobody waits */
	unsigned wakes;
} clock_state;

static uint64_t test_now(void *context)
{
	assert_ptr_equal(context, &clock_state);
	return clock_state.now_ns;
}

static void test_wake(void *context, const struct vio_block *block, uint64_t delay_ns)
{
	assert_true(block == &d.fake.block || block == &second.block);
	assert_true(delay_ns > 0);
	clock_state.wake_ns[block == &second.block] = clock_state.now_ns + delay_ns;
	clock_state.wakes++;
}

static int setup(void **state)
{
	const struct vio_block_meter meter = { &clock_state, test_now, test_wake, counters };

	memset(counters, 0, sizeof(counters));
	memset(requests, 0, sizeof(requests));
	memset(&clock_state, 0, sizeof(clock_state));
	clock_state.now_ns = 1000 * SECOND;
	disk_make(&d, 65536, 512);
	assert_int_equal(vio_blk_meter(&d.h.dev, &meter), 0);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(d.h.faults, 0);
	disk_free(&d);
	return 0;
}

static void add_reads(unsigned queue, unsigned first, unsigned count, size_t bytes)
{
	for (unsigned i = first; i < first + count; i++) {
		requests[i] = (struct disk_request){
			.type = VIRTIO_BLK_T_IN,
			.sector = i * 8,
			.in = buffers[i],
			.in_bytes = bytes,
		};
		disk_add(&d, queue, &requests[i]);
	}
}

static unsigned done_of(unsigned first, unsigned count)
{
	unsigned done = 0;

	for (unsigned i = first; i < first + count; i++)
		done += requests[i].completed;
	return done;
}

/* What a thread is told to come back to, in that order, as loops do. */
static void serve_again(void)
{
	struct harness_queue *queues = d.h.queues;

	for (;;) {
		unsigned next = 0;

		for (unsigned queue = 1; queue < d.h.dev.queue_count; queue++)
			if (queues[queue].again &&
			    (!queues[next].again || queues[queue].again < queues[next].again))
				next = queue;
		if (!queues[next].again)
			return;
		queues[next].again = 0;
		assert_false(vio_device_serve(&d.h.dev, (uint16_t)next));
	}
}

/* Lets time pass, with what it brings. */
static void pass(uint64_t ns)
{
	const uint64_t end_ns = clock_state.now_ns + ns;
	const struct vio_block *blocks[] = { &d.fake.block, &second.block };

	for (;;) {
		const uint64_t *wake_ns = clock_state.wake_ns;
		const unsigned first = !wake_ns[0] || (wake_ns[1] && wake_ns[1] < wake_ns[0]);

		if (!wake_ns[first] || wake_ns[first] > end_ns)
			break;
		clock_state.now_ns = wake_ns[first];
		clock_state.wake_ns[first] = 0;
		vio_blk_resume(&d.h.dev, blocks[first]);
		serve_again();
	}
	clock_state.now_ns = end_ns;
}

static void kinds_are_counted(void **state)
{
	uint8_t bytes[4096] = { 0 };
	struct virtio_blk_discard_write_zeroes segment = disk_segment(8, 16, 0);
	struct disk_request read = { VIRTIO_BLK_T_IN, .in = bytes, .in_bytes = 4096 };
	struct disk_request beyond = { VIRTIO_BLK_T_IN, .sector = 65536, .in = bytes, .in_bytes = 512 };
	struct disk_request write = { VIRTIO_BLK_T_OUT, .out = bytes, .out_bytes = 1024 };
	struct disk_request flush = { .type = VIRTIO_BLK_T_FLUSH };
	struct disk_request zero = { VIRTIO_BLK_T_WRITE_ZEROES, .out = &segment,
				     .out_bytes = sizeof(segment) };
	struct disk_request odd = { .type = 0x1234 };

	disk_start(&d, 0, 256);
	disk_call(&d, 0, &read);
	disk_call(&d, 0, &read);
	disk_call(&d, 0, &beyond);
	disk_call(&d, 0, &write);
	disk_call(&d, 0, &flush);
	disk_call(&d, 0, &zero);
	disk_call(&d, 0, &odd);
	assert_int_equal(counters[0].requests[VIO_BLOCK_KIND_READ], 3);
	assert_int_equal(counters[0].errors[VIO_BLOCK_KIND_READ], 1);
	assert_int_equal(counters[0].bytes[VIO_BLOCK_KIND_READ], 8192);
	assert_int_equal(counters[0].requests[VIO_BLOCK_KIND_WRITE], 1);
	assert_int_equal(counters[0].bytes[VIO_BLOCK_KIND_WRITE], 1024);
	assert_int_equal(counters[0].requests[VIO_BLOCK_KIND_FLUSH], 1);
	assert_int_equal(counters[0].requests[VIO_BLOCK_KIND_OTHER], 2);
	assert_int_equal(counters[0].errors[VIO_BLOCK_KIND_OTHER], 1);
	assert_int_equal(counters[0].bytes[VIO_BLOCK_KIND_OTHER], 16 * SECTOR);
}

/* From being taken to being given back, whether that was inside of submit or later. */
static void latency_is_counted(void **state)
{
	const uint64_t *latencies = counters[0].latencies[VIO_BLOCK_KIND_READ];

	disk_start(&d, 0, 256);
	add_reads(0, 0, 4, 512);
	harness_kick(&d.h, 0);
	assert_int_equal(disk_collect(&d, 0), 4);
	assert_int_equal(latencies[0], 4); /* no time at all */
	d.fake.later = true;
	add_reads(0, 4, 3, 512);
	harness_kick(&d.h, 0);
	clock_state.now_ns += 1023;
	fake_block_complete(&d.fake, 0);
	clock_state.now_ns += 1;
	fake_block_complete(&d.fake, 0);
	clock_state.now_ns += 3600 * SECOND;
	fake_block_complete(&d.fake, 0);
	assert_int_equal(disk_collect(&d, 0), 3);
	assert_int_equal(latencies[9], 1);
	assert_int_equal(latencies[10], 1);
	assert_int_equal(latencies[VIO_BLOCK_LATENCIES - 1], 1);
	assert_int_equal(counters[0].total_ns[VIO_BLOCK_KIND_READ], 1023 + 1024 + 1024 + 3600 * SECOND);
	assert_int_equal(counters[0].requests[VIO_BLOCK_KIND_READ], 7);
}

/* Storage that keeps what it can: of the requests kept, settle does one half, release the rest. */
static struct {
	const struct vio_block_ops *ops; /* of the storage itself */
	unsigned holds, settles, releases;
	bool holding;
} keeping;

static void keeping_hold(struct vio_block *block)
{
	assert_false(keeping.holding);
	keeping.holding = true;
	keeping.holds++;
	d.fake.later = true;
}

static void keeping_settle(struct vio_block *block)
{
	assert_true(keeping.holding);
	keeping.settles++;
	clock_state.now_ns += 1000;
	for (unsigned half = d.fake.pending_count / 2; half; half--)
		fake_block_complete(&d.fake, 0);
}

static void keeping_release(struct vio_block *block)
{
	assert_true(keeping.holding);
	keeping.holding = false;
	keeping.releases++;
	d.fake.later = false;
	clock_state.now_ns += 1000;
	while (d.fake.pending_count)
		fake_block_complete(&d.fake, 0);
}

/* What storage keeps to carry it out together is counted one by one, and told. */
static void kept_requests_are_counted(void **state)
{
	struct vio_block_ops ops = *d.fake.block.ops;
	const uint64_t *latencies = counters[0].latencies[VIO_BLOCK_KIND_READ];

	memset(&keeping, 0, sizeof(keeping));
	keeping.ops = d.fake.block.ops;
	ops.hold = keeping_hold;
	ops.settle = keeping_settle;
	ops.release = keeping_release;
	d.fake.block.ops = &ops;
	disk_start(&d, 0, 256);
	add_reads(0, 0, 30, 512);
	d.fake.result = -VIO_EIO;
	d.fake.result_after = 25;
	harness_kick(&d.h, 0);
	assert_int_equal(disk_collect(&d, 0), 30);
	assert_int_equal(counters[0].requests[VIO_BLOCK_KIND_READ], 30);
	assert_int_equal(counters[0].errors[VIO_BLOCK_KIND_READ], 5);
	assert_int_equal(counters[0].bytes[VIO_BLOCK_KIND_READ], 25 * 512);
	assert_int_equal(keeping.holds, 1);
	assert_int_equal(keeping.releases, 1);
	assert_in_range(keeping.settles, 4, 5);
	assert_int_equal(latencies[0], 0);
	assert_true(d.h.queues[0].interrupts > 0);
	/* One that comes alone has nobody to be carried out with. */
	d.fake.result = 0;
	add_reads(0, 30, 1, 512);
	harness_kick(&d.h, 0);
	assert_int_equal(disk_collect(&d, 0), 1);
	assert_int_equal(keeping.holds, 1);
	d.fake.block.ops = keeping.ops;
}

/* Queues have counters of their own, and none is lost when a queue is drained. */
static void queues_count_apart(void **state)
{
	harness_set(&d.h, "num-queues", "3");
	disk_start(&d, 0, 256);
	d.fake.later = true;
	add_reads(0, 0, 5, 512);
	add_reads(2, 5, 7, 512);
	harness_kick(&d.h, 0);
	harness_kick(&d.h, 2);
	harness_reset(&d.h);
	assert_int_equal(counters[0].requests[VIO_BLOCK_KIND_READ], 5);
	assert_int_equal(counters[1].requests[VIO_BLOCK_KIND_READ], 0);
	assert_int_equal(counters[2].requests[VIO_BLOCK_KIND_READ], 7);
	for (unsigned queue = 0; queue < 3; queue++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < VIO_BLOCK_LATENCIES; i++)
			sum += counters[queue].latencies[VIO_BLOCK_KIND_READ][i];
		assert_int_equal(sum, counters[queue].requests[VIO_BLOCK_KIND_READ]);
	}
}

/* Never more than rate * (t + 0.1 s), and not much less either. */
static void requests_are_limited(void **state)
{
	harness_set(&d.h, "iops", "100");
	disk_start(&d, 0, 256);
	add_reads(0, 0, 64, 512);
	harness_kick(&d.h, 0);
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 64), 10, 11);
	harness_kick(&d.h, 0); /* insisting doesn't help */
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 64), 10, 11);
	pass(200 * MS);
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 64), 29, 31);
	pass(400 * MS);
	disk_collect(&d, 0);
	assert_int_equal(done_of(0, 64), 64);
	assert_true(clock_state.wakes < 80);
	/* A pause brings a tenth of a second's worth, no more. */
	pass(3600 * SECOND);
	assert_int_equal(clock_state.wake_ns[0], 0);
	add_reads(0, 64, 30, 512);
	harness_kick(&d.h, 0);
	disk_collect(&d, 0);
	assert_in_range(done_of(64, 30), 10, 11);
}

/* hostile: H18; who was stopped for an hour finds the clock far ahead: what waits goes on, at its rate. */
static void clock_jumps(void **state)
{
	harness_set(&d.h, "iops", "100");
	disk_start(&d, 0, 256);
	add_reads(0, 0, 64, 512);
	harness_kick(&d.h, 0);
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 64), 10, 11);
	assert_int_not_equal(clock_state.wake_ns[0], 0);
	clock_state.now_ns += 3600 * SECOND;
	clock_state.wake_ns[0] = 0;
	vio_blk_resume(&d.h.dev, &d.fake.block);
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 64), 20, 23);
	pass(SECOND);
	disk_collect(&d, 0);
	assert_int_equal(done_of(0, 64), 64);
}

/* Bytes of a single request may go beyond it, and are paid for by waiting. */
static void bytes_are_limited(void **state)
{
	harness_set(&d.h, "bps", "40960");
	disk_start(&d, 0, 256);
	add_reads(0, 0, 20, 4096);
	harness_kick(&d.h, 0);
	disk_collect(&d, 0);
	assert_int_equal(done_of(0, 20), 2);
	pass(SECOND);
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 20), 11, 12);
	pass(SECOND);
	disk_collect(&d, 0);
	assert_int_equal(done_of(0, 20), 20);
}

static void limits_are_shared_in_turn(void **state)
{
	harness_set(&d.h, "num-queues", "4");
	harness_set(&d.h, "iops", "100");
	disk_start(&d, 0, 64);
	for (unsigned queue = 0; queue < 4; queue++)
		add_reads(queue, queue * 60, 60, 512);
	for (unsigned queue = 0; queue < 4; queue++)
		harness_kick(&d.h, queue);
	pass(SECOND);
	for (unsigned queue = 0; queue < 4; queue++) {
		disk_collect(&d, queue);
		assert_in_range(done_of(queue * 60, 60), 20, 40);
	}
	assert_in_range(done_of(0, 240), 105, 111);
}

/* Queues of two threads, of which one has two: the limit is one, and neither thread starves. */
static void threads_share_limits(void **state)
{
	struct vio_block *blocks[] = { &d.fake.block, &second.block };
	unsigned done[3];

	fake_block_init(&second, 65536 * SECTOR, SECTOR);
	harness_set(&d.h, "num-queues", "3");
	harness_set(&d.h, "iops", "100");
	harness_realize(&d.h);
	assert_int_equal(vio_blk_spread(&d.h.dev, blocks, 2), 0);
	disk_start(&d, 0, 64);
	for (unsigned queue = 0; queue < 3; queue++)
		add_reads(queue, queue * 60, 60, 512);
	for (unsigned queue = 0; queue < 3; queue++)
		harness_kick(&d.h, queue);
	pass(SECOND);
	for (unsigned queue = 0; queue < 3; queue++) {
		disk_collect(&d, queue);
		done[queue] = done_of(queue * 60, 60);
		assert_in_range(done[queue], 15, 60);
	}
	assert_in_range(done[0] + done[1] + done[2], 105, 111);
	assert_in_range(second.submitted[VIO_BLOCK_READ], 30, 60);
	/* Bytes likewise; the one request that is more is each thread's. */
	pass(SECOND);
	harness_set(&d.h, "iops", "0");
	harness_set(&d.h, "bps", "40960");
	serve_again();
	for (unsigned queue = 0; queue < 3; queue++)
		add_reads(queue, 180 + queue * 20, 20, 4096);
	for (unsigned queue = 0; queue < 3; queue++)
		harness_kick(&d.h, queue);
	pass(2 * SECOND);
	for (unsigned queue = 0; queue < 3; queue++)
		disk_collect(&d, queue);
	assert_in_range(done_of(180, 60), 20, 23);
	assert_in_range(done_of(200, 20), 5, 15);
	fake_block_free(&second);
}

/* While it runs, up and down and off. */
static void limits_change(void **state)
{
	harness_set(&d.h, "iops", "10");
	disk_start(&d, 0, 256);
	add_reads(0, 0, 100, 512);
	harness_kick(&d.h, 0);
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 100), 1, 2);
	harness_set(&d.h, "iops", "100");
	pass(300 * MS);
	disk_collect(&d, 0);
	assert_in_range(done_of(0, 100), 20, 45);
	harness_set(&d.h, "iops", "0");
	pass(100 * MS);
	disk_collect(&d, 0);
	assert_int_equal(done_of(0, 100), 100);
}

/*
 * A request that is larger than the limit by far leaves a long debt. Whoever waits for that waits no longer
 * when the limit is another, and for no more than the limit that is still there.
 */
static void large_debts_end_with_their_limit(void **state)
{
	static uint8_t large[DISK_DATA_MAX];
	struct disk_request reads[3] = {
		{ VIRTIO_BLK_T_IN, .in = large, .in_bytes = sizeof(large) },
		{ VIRTIO_BLK_T_IN, .in = large, .in_bytes = sizeof(large) },
		{ VIRTIO_BLK_T_IN, .in = large, .in_bytes = sizeof(large) },
	};

	harness_set(&d.h, "bps", "1024");
	harness_set(&d.h, "iops", "5");
	disk_start(&d, 0, 256);
	for (unsigned i = 0; i < 3; i++)
		disk_add(&d, 0, &reads[i]);
	harness_kick(&d.h, 0);
	assert_int_equal(disk_collect(&d, 0), 1);
	assert_true(clock_state.wake_ns[0] > clock_state.now_ns + 100 * SECOND);
	/* The requests' limit isn't what they wait for, and tells them nothing. */
	harness_set(&d.h, "iops", "4");
	assert_int_equal(disk_collect(&d, 0), 0);
	/* At another rate: one at once, as at the beginning; the debt is of that rate now. */
	harness_set(&d.h, "bps", "131072");
	assert_int_equal(disk_collect(&d, 0), 1);
	assert_in_range(clock_state.wake_ns[0] - clock_state.now_ns, SECOND / 10, SECOND);
	harness_set(&d.h, "bps", "1024");
	harness_set(&d.h, "bps", "0");
	pass(SECOND);
	assert_int_equal(disk_collect(&d, 0), 1);
	pass(SECOND);
	assert_int_equal(clock_state.wake_ns[0], 0);
}

/* Without any limit at all they are served inside of the change, with nothing to wait for. */
static void nobody_waits_without_limits(void **state)
{
	harness_set(&d.h, "num-queues", "2");
	harness_set(&d.h, "bps", "1");
	disk_start(&d, 0, 256);
	add_reads(0, 0, 20, 4096);
	add_reads(1, 20, 20, 4096);
	harness_kick(&d.h, 0);
	harness_kick(&d.h, 1);
	disk_collect(&d, 0);
	disk_collect(&d, 1);
	assert_int_equal(done_of(0, 40), 1);
	harness_set(&d.h, "bps", "0");
	assert_int_equal(disk_collect(&d, 0), 19);
	assert_int_equal(disk_collect(&d, 1), 20);
	/* Nor is the old debt there when there is a limit again. */
	harness_set(&d.h, "bps", "1M");
	add_reads(0, 40, 1, 4096);
	harness_kick(&d.h, 0);
	assert_int_equal(disk_collect(&d, 0), 1);
}

/* A limited queue stops and starts like any other, and who waits is forgotten by reset. */
static void reset_forgets_who_waits(void **state)
{
	harness_set(&d.h, "iops", "10");
	disk_start(&d, 0, 256);
	add_reads(0, 0, 100, 512);
	harness_kick(&d.h, 0);
	harness_reset(&d.h);
	pass(10 * SECOND);
	assert_int_equal(clock_state.wake_ns[0], 0);
	assert_in_range(counters[0].requests[VIO_BLOCK_KIND_READ], 1, 2);
	disk_start(&d, 0, 256);
	add_reads(0, 100, 1, 512);
	harness_kick(&d.h, 0);
	assert_int_equal(disk_collect(&d, 0), 1);
}

/* Without a clock there is nothing to hold a limit by. */
static void limits_need_a_clock(void **state)
{
	struct disk other;

	disk_make(&other, 64, 512);
	harness_set(&other.h, "iops", "10");
	assert_int_equal(vio_device_realize(&other.h.dev), -VIO_ENOTSUP);
	harness_set(&other.h, "iops", "0");
	disk_start(&other, 0, 16);
	disk_free(&other);
	disk_start(&d, 0, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kinds_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(latency_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_count_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_requests_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(requests_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(clock_jumps, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_are_shared_in_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_share_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_change, setup, teardown),
		cmocka_unit_test_setup_teardown(large_debts_end_with_their_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_without_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_forgets_who_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_need_a_clock, setup, teardown),
	};

	return cmocka_run_group_tests_name("blk-meter", tests, NULL, NULL);
}
