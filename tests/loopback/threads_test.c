/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/pair.h"

/*
 * A driver and a device in threads of their own over one ring, each of which
 * sleeps until it is notified. Under ThreadSanitizer this checks the barriers; in
 * every build it checks that no wake-up is lost: who waits much longer than
 * anything here can take has missed one.
 */
#define PATIENCE_SECONDS 20
#define BUFFERS          12000u
#define SLOT_BYTES       16u

/* As an eventfd: remembers that it was rung. Nobody sleeps at a `restless` one, which races more. */
struct bell {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool rung;
	bool restless;
	bool heard; /* of a restless one, atomic */
};

struct run {
	struct test_pair pair;
	struct bell driver_bell, device_bell;
	unsigned driver_sleeps, device_sleeps;
	unsigned interrupts;
	unsigned size, buffers;
	unsigned patience; /* how many buffers the device holds before it answers; at least 1 */
	bool delayed;
	bool lost;
};

static void bell_init(struct bell *bell, bool restless)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&bell->lock, NULL);
	pthread_cond_init(&bell->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	bell->rung = bell->heard = false;
	bell->restless = restless;
}

static void bell_free(struct bell *bell)
{
	pthread_cond_destroy(&bell->changed);
	pthread_mutex_destroy(&bell->lock);
}

static void bell_ring(struct bell *bell)
{
	if (bell->restless) {
		__atomic_store_n(&bell->heard, true, __ATOMIC_RELEASE);
		return;
	}
	pthread_mutex_lock(&bell->lock);
	bell->rung = true;
	pthread_cond_signal(&bell->changed);
	pthread_mutex_unlock(&bell->lock);
}

static bool bell_listen(struct bell *bell, const struct timespec *end)
{
	struct timespec now;
	unsigned spins;

	for (spins = 1; !__atomic_exchange_n(&bell->heard, false, __ATOMIC_ACQUIRE); spins++) {
		if (spins % 256)
			continue;
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end->tv_sec)
			return false;
	}
	return true;
}

/* false: it didn't ring for so long that it never will. */
static bool bell_wait(struct bell *bell)
{
	struct timespec end;
	bool rung;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PATIENCE_SECONDS;
	if (bell->restless)
		return bell_listen(bell, &end);
	pthread_mutex_lock(&bell->lock);
	while (!bell->rung)
		if (pthread_cond_timedwait(&bell->changed, &bell->lock, &end) == ETIMEDOUT)
			break;
	rung = bell->rung;
	bell->rung = false;
	pthread_mutex_unlock(&bell->lock);
	return rung;
}

/* In the driver's thread. */
static void kicked(struct test_pair *pair)
{
	struct run *run = pair->user;

	bell_ring(&run->device_bell);
}

/* In the device's thread. */
static void interrupted(struct test_pair *pair)
{
	struct run *run = pair->user;

	bell_ring(&run->driver_bell);
}

static void answer(struct run *run, struct vio_buf *buf)
{
	uint32_t number = 0;

	vio_read(buf, &number, sizeof(number));
	number = ~number;
	vio_devq_push(&run->pair.dev, buf, (uint32_t)vio_write(buf, &number, sizeof(number)));
}

static void *device_thread(void *context)
{
	struct run *run = context;
	struct vio_buf held[64];
	unsigned served = 0, count = 0;

	while (served < run->buffers) {
		while (count < run->patience && vio_devq_pop(&run->pair.dev, &held[count]))
			count++;
		if (vio_devq_broken(&run->pair.dev))
			break;
		if (!count) {
			run->device_sleeps++;
			if (bell_wait(&run->device_bell))
				continue;
			run->lost = true;
			break;
		}
		served += count;
		while (count)
			answer(run, &held[--count]);
		vio_devq_notify(&run->pair.dev);
	}
	return NULL;
}

/* Adds a buffer for each free slot, of which there are as many as the ring has room for. */
static unsigned add_some(struct run *run, uint32_t *slots, unsigned *free_slots, unsigned *free_count,
			 unsigned left)
{
	unsigned added = 0;

	while (*free_count && added < left) {
		unsigned slot = free_slots[*free_count - 1];
		uint64_t at = PAIR_DATA + SLOT_BYTES * slot;
		const struct vio_sg sg[2] = { { vio_addr_make(at), 4 }, { vio_addr_make(at + 4), 4 } };

		slots[slot] += 0x10001;
		test_memory_put(&run->pair.memory, at, &slots[slot], sizeof(slots[slot]));
		assert_int_equal(vio_drvq_add(&run->pair.drv, sg, 1, 1, &slots[slot]), 0);
		(*free_count)--;
		added++;
	}
	vio_drvq_kick(&run->pair.drv);
	return added;
}

/* Returns how many came back right. */
static unsigned drive(struct run *run)
{
	uint32_t slots[64] = { 0 }, *token, written, number;
	unsigned free_slots[64], free_count, added = 0, back = 0;
	struct vio_drvq *q = &run->pair.drv;

	for (free_count = 0; free_count < run->size; free_count++)
		free_slots[free_count] = free_count;
	while (back < run->buffers && !vio_drvq_broken(q)) {
		vio_drvq_disable_cb(q);
		added += add_some(run, slots, free_slots, &free_count, run->buffers - added);
		while ((token = vio_drvq_get(q, &written)) != NULL) {
			unsigned slot = (unsigned)(token - slots);

			test_memory_get(&run->pair.memory, PAIR_DATA + SLOT_BYTES * slot + 4, &number, 4);
			if (written != 4 || number != ~*token)
				return back;
			free_slots[free_count++] = slot;
			back++;
		}
		if (back == run->buffers ||
		    (free_count && added < run->buffers && free_count > run->size / 2))
			continue;
		if (!(run->delayed ? vio_drvq_enable_cb_delayed(q) : vio_drvq_enable_cb(q)))
			continue;
		run->driver_sleeps++;
		if (!bell_wait(&run->driver_bell)) {
			run->lost = true;
			break;
		}
	}
	return back;
}

/* In each run; VIREO_BUFFERS asks for another number, for runs that take as long as they take. */
static unsigned buffers_wanted(void)
{
	const char *text = getenv("VIREO_BUFFERS");
	unsigned long wanted = text ? strtoul(text, NULL, 0) : 0;

	return wanted ? (unsigned)wanted : BUFFERS;
}

static void run_threads(unsigned size, uint64_t features, unsigned patience, bool delayed, bool restless)
{
	const struct test_pair_config config = { .size = (uint16_t)size,
						 .features = features,
						 .indirect_max = 2 };
	struct run run = { .size = size,
			   .patience = patience,
			   .delayed = delayed,
			   .buffers = restless ? BUFFERS / 4 : buffers_wanted() };
	pthread_t thread;
	unsigned back;

	test_pair_open(&run.pair, &config);
	test_pair_start_device(&run.pair);
	run.pair.user = &run;
	run.pair.kicked = kicked;
	run.pair.interrupted = interrupted;
	bell_init(&run.driver_bell, restless);
	bell_init(&run.device_bell, restless);
	assert_int_equal(pthread_create(&thread, NULL, device_thread, &run), 0);
	back = drive(&run);
	if (back < run.buffers &&
	    !test_pair_packed(&run.pair)) { /* a fault, so that the other side ends, too */
		test_ring_avail_idx(&run.pair.ring, run.pair.drv.avail_next + 0x4000u);
		bell_ring(&run.device_bell);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (run.lost)
		fail_msg("nobody rang: %u of %u came back, driver slept %u times, device %u times", back,
			 run.buffers, run.driver_sleeps, run.device_sleeps);
	assert_int_equal(run.pair.drv.fault.kind, VIO_FAULT_NONE);
	assert_int_equal(run.pair.dev.fault.kind, VIO_FAULT_NONE);
	assert_int_equal(back, run.buffers);
	bell_free(&run.driver_bell);
	bell_free(&run.device_bell);
	test_pair_close(&run.pair);
}

static const unsigned sizes[] = { 2, 4, 64 };
static const unsigned patiences[] = { 1, 16 };
static const uint64_t formats[] = { 0, TEST_PACKED, TEST_IN_ORDER, TEST_PACKED | TEST_IN_ORDER };

static void run_all(uint64_t features)
{
	unsigned size, patience, format;

	for (format = 0; format < VIO_ARRAY_SIZE(formats); format++)
		for (size = 0; size < VIO_ARRAY_SIZE(sizes); size++)
			for (patience = 0; patience < VIO_ARRAY_SIZE(patiences); patience++)
				run_threads(sizes[size] - (format & 1 && size > 0),
					    features | formats[format], patiences[patience], size & 1, false);
}

/* spec: DRV-SPLIT-026 DRV-SPLIT-027 DRV-PACKED-015 DRV-PACKED-016; hostile: H21 */
static void test_flags(void **state)
{
	run_all(TEST_INDIRECT);
}

static void test_event_idx(void **state)
{
	run_all(TEST_INDIRECT | TEST_EVENT);
}

/* Where the ring is long, so that most of it is one batch. */
static void test_event_idx_delayed(void **state)
{
	unsigned format;

	for (format = 0; format < VIO_ARRAY_SIZE(formats); format++) {
		run_threads(64, TEST_INDIRECT | TEST_EVENT | formats[format], 64, true, false);
		run_threads(64, TEST_INDIRECT | formats[format], 3, true, false);
	}
}

/* So tight that a missing barrier shows on a machine of two processors. */
static void test_restless(void **state)
{
	unsigned format;

	for (format = 0; format < VIO_ARRAY_SIZE(formats); format++) {
		run_threads(2, TEST_INDIRECT | TEST_EVENT | formats[format], 1, false, true);
		run_threads(2, TEST_INDIRECT | formats[format], 1, false, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_event_idx),
		cmocka_unit_test(test_event_idx_delayed),
		cmocka_unit_test(test_restless),
	};

	return cmocka_run_group_tests_name("loopback: threads", tests, NULL, NULL);
}
