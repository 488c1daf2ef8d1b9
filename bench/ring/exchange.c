/* SPDX-License-Identifier: BSD-3-Clause */
#include "exchange.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct run {
	const struct bench_case *c;
	const struct bench_cores *cores;
	struct bench_memory memory;
	void *driver, *device;
	uint64_t count;
	uint64_t device_sum;
	const char *why; /* atomic: set once by either side, which ends both */
	bool ready;      /* atomic */
};

/* The driver's count of what it made. */
struct turn {
	uint64_t started, done;
	unsigned put, next; /* slots: the next to add, the next to come back */
};

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A clock that is cheap to read, in whatever unit. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return bench_now_ns();
#endif
}

void bench_settle(int core, bool realtime)
{
	struct sched_param param = { .sched_priority = realtime ? 5 : 0 };
	cpu_set_t set;

	if (core >= 0) {
		CPU_ZERO(&set);
		CPU_SET(core, &set);
		/* A core that isn't there was found out by main(). */
		pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	}
	pthread_setschedparam(pthread_self(), realtime ? SCHED_FIFO : SCHED_OTHER, &param);
}

void *bench_alloc(size_t bytes)
{
	const size_t pair = 128;
	void *at;

	bytes = (bytes + pair - 1) / pair * pair;
	at = aligned_alloc(pair, bytes);
	return at ? memset(at, 0, bytes) : NULL;
}

/* What reading the clock costs between two looks at it. */
static uint64_t ticks_between(void)
{
	uint64_t least = UINT64_MAX;
	unsigned i;

	for (i = 0; i < 1000; i++) {
		const uint64_t first = ticks(), passed = ticks() - first;

		if (passed < least)
			least = passed;
	}
	return least;
}

static bool failed(const struct run *run)
{
	return __atomic_load_n(&run->why, __ATOMIC_RELAXED) != NULL;
}

static void fail(struct run *run, const char *why)
{
	const char *none = NULL;

	__atomic_compare_exchange_n(&run->why, &none, why, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	/* Nobody sleeps on. */
	eventfd_write(run->memory.kick_fd, 1);
	eventfd_write(run->memory.call_fd, 1);
}

static void hear(struct run *run, int fd)
{
	eventfd_t value;

	if (eventfd_read(fd, &value))
		fail(run, "an eventfd can't be read");
}

/* Adds a batch if the window has room for it. */
static inline bool put(struct run *run, struct turn *turn)
{
	const struct bench_case *c = run->c;

	if (turn->started == run->count || turn->started - turn->done + c->batch > c->window)
		return false;
	if (!c->driver->add(run->driver, turn->put, c->batch)) {
		fail(run, "the driver can't add a buffer that the ring has room for");
		return false;
	}
	turn->started += c->batch;
	turn->put += c->batch;
	if (turn->put == run->memory.slots)
		turn->put = 0;
	return true;
}

/* Gets a batch; how many there were. */
static inline unsigned take(struct run *run, struct turn *turn)
{
	int count = run->c->driver->get(run->driver, turn->next, run->c->batch);

	if (count < 0) {
		fail(run, "a buffer came back that wasn't the next one");
		return 0;
	}
	turn->done += (unsigned)count;
	turn->next += (unsigned)count;
	if (turn->next >= run->memory.slots)
		turn->next -= run->memory.slots;
	return (unsigned)count;
}

static inline unsigned serve(struct run *run, uint64_t *sum)
{
	int count = run->c->device->serve(run->device, run->c->batch, sum);

	if (count < 0) {
		fail(run, "the device found a fault in the ring");
		return 0;
	}
	return (unsigned)count;
}

static void drive_polling(struct run *run, struct turn *turn)
{
	while (turn->done < run->count && !failed(run)) {
		if (put(run, turn))
			run->c->driver->show(run->driver);
		take(run, turn);
	}
}

static void drive_sleeping(struct run *run, struct turn *turn)
{
	const struct bench_driver *driver = run->c->driver;
	unsigned moved;

	for (;;) {
		driver->wake(run->driver);
		do {
			moved = 0;
			if (put(run, turn)) {
				driver->kick(run->driver);
				moved = 1;
			}
			moved += take(run, turn);
		} while (moved);
		if (turn->done == run->count || failed(run))
			return;
		if (driver->sleep(run->driver))
			hear(run, run->memory.call_fd);
	}
}

static void *device_thread(void *context)
{
	struct run *run = context;
	uint64_t done = 0, sum = 0; /* not in the run, which the other thread reads all the time */
	unsigned count;

	bench_settle(run->cores->device, run->cores->realtime);
	if (run->c->mode == BENCH_POLL)
		run->c->device->poll(run->device);
	__atomic_store_n(&run->ready, true, __ATOMIC_RELEASE);
	while (done < run->count && !failed(run)) {
		count = serve(run, &sum);
		done += count;
		if (!count && run->c->mode == BENCH_SLEEP)
			hear(run, run->memory.kick_fd);
	}
	run->device_sum = sum;
	return NULL;
}

static double drive_two(struct run *run, struct turn *turn)
{
	pthread_t thread;
	uint64_t begin;

	if (pthread_create(&thread, NULL, device_thread, run)) {
		run->why = "no thread can be made";
		return 0;
	}
	/* Only then, as the other thread begins on the same core. */
	while (!__atomic_load_n(&run->ready, __ATOMIC_ACQUIRE))
		sched_yield();
	bench_settle(run->cores->driver, run->cores->realtime);
	begin = bench_now_ns();
	if (run->c->mode == BENCH_SLEEP)
		drive_sleeping(run, turn);
	else
		drive_polling(run, turn);
	begin = bench_now_ns() - begin;
	bench_settle(-1, false);
	pthread_join(thread, NULL);
	return (double)begin;
}

/* Both roles in turn; ns of the part that counts. */
static double drive_one(struct run *run, struct turn *turn)
{
	const struct bench_case *c = run->c;
	const bool parts = c->part != BENCH_BOTH;
	uint64_t first, last, begin, nothing, spent[2] = { 0, 0 }, t[4] = { 0, 0, 0, 0 };

	bench_settle(run->cores->driver, run->cores->realtime);
	nothing = ticks_between();
	c->device->poll(run->device);
	begin = bench_now_ns();
	first = ticks();
	while (turn->done < run->count && !failed(run)) {
		if (parts)
			t[0] = ticks();
		if (put(run, turn))
			c->driver->kick(run->driver);
		if (parts)
			t[1] = ticks();
		if (serve(run, &run->device_sum) != c->batch)
			fail(run, "the device didn't see what was added");
		if (parts)
			t[2] = ticks();
		if (take(run, turn) != c->batch)
			fail(run, "the driver didn't see what was used");
		if (parts)
			t[3] = ticks();
		spent[0] += t[1] - t[0] + t[3] - t[2] - 2 * nothing;
		spent[1] += t[2] - t[1] - nothing;
	}
	last = ticks();
	begin = bench_now_ns() - begin;
	bench_settle(-1, false);
	if (!parts)
		return (double)begin;
	return (double)spent[c->part == BENCH_DEVICE] * (double)begin / (double)(last - first);
}

/* What the device has to have seen, if it saw each buffer once and whole. */
static uint64_t expected_sum(const struct run *run)
{
	const struct bench_memory *m = &run->memory;
	const uint64_t rounds = run->count / m->slots, rest = run->count % m->slots;
	uint64_t sum = 0;
	unsigned slot, i;

	for (slot = 0; slot < m->slots; slot++)
		for (i = 0; i < m->chain; i++)
			sum += (rounds + (slot < rest)) *
			       bench_weigh(m->data + (size_t)slot * BENCH_SLOT_BYTES + i * BENCH_BYTES,
					   BENCH_BYTES);
	return sum;
}

/* The arena: 96 KiB of ring at most, tables, data. */
#define TABLES_AT (UINT32_C(192) << 10)
#define DATA_AT   (UINT32_C(512) << 10)

static bool memory_open(struct run *run)
{
	struct bench_memory *m = &run->memory;
	const unsigned area_bytes = 16 * 1024;

	m->arena = aligned_alloc(4096, BENCH_ARENA_BYTES);
	m->kick_fd = eventfd(0, EFD_CLOEXEC);
	m->call_fd = eventfd(0, EFD_CLOEXEC);
	if (!m->arena || m->kick_fd < 0 || m->call_fd < 0)
		return false;
	memset(m->arena, 0, BENCH_ARENA_BYTES);
	m->chain = run->c->bits & BENCH_CHAINED ? BENCH_CHAIN : 1;
	m->slots = run->c->window;
	for (m->ring_size = 256; m->ring_size < m->slots * m->chain && !(run->c->bits & BENCH_INDIRECT);)
		m->ring_size *= 2;
	m->tables = m->arena + TABLES_AT;
	m->data = m->arena + DATA_AT;
	m->descriptor_area = m->arena;
	m->driver_area = m->arena + area_bytes;
	m->device_area = m->driver_area + area_bytes;
	return true;
}

static void memory_close(struct bench_memory *m)
{
	if (m->kick_fd >= 0)
		close(m->kick_fd);
	if (m->call_fd >= 0)
		close(m->call_fd);
	free(m->arena);
}

double bench_exchange(const struct bench_case *c, const struct bench_cores *cores, uint64_t count,
		      const char **why)
{
	struct run run = { .c = c, .cores = cores, .memory = { .kick_fd = -1, .call_fd = -1 } };
	struct turn turn = { 0, 0, 0, 0 };
	double ns = 0;

	run.count = (count / c->batch + 1) * c->batch;
	if (!memory_open(&run)) {
		run.why = "no memory or eventfd";
	} else {
		run.driver = c->driver->start(c, &run.memory);
		run.device = run.driver ? c->device->start(c, &run.memory) : NULL;
		if (!run.device)
			run.why = "a role can't be started";
	}
	if (!run.why)
		ns = c->mode == BENCH_ONE ? drive_one(&run, &turn) : drive_two(&run, &turn);
	if (!run.why && (turn.done != run.count || turn.started != run.count))
		run.why = "buffers were lost or doubled";
	if (!run.why && run.device_sum != expected_sum(&run))
		run.why = "the device saw other buffers than the driver added";
	if (run.device)
		c->device->stop(run.device);
	if (run.driver)
		c->driver->stop(run.driver);
	memory_close(&run.memory);
	*why = run.why;
	return run.why ? -1 : ns / (double)run.count;
}
