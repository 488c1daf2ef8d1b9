/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "exchange.h"

/* Two threads that say nothing but "your turn". */

struct pair {
	const struct bench_cores *cores;
	uint64_t count;
	bool sleeping;
	int there, back;
	/* Atomic, and by itself on its cache line. */
	_Alignas(64) uint64_t turn;
	_Alignas(64) bool ready;
};

static void *answer(void *context)
{
	struct pair *pair = context;
	eventfd_t value;
	uint64_t i;

	bench_settle(pair->cores->device, pair->cores->realtime);
	__atomic_store_n(&pair->ready, true, __ATOMIC_RELEASE);
	for (i = 0; i < pair->count; i++) {
		if (pair->sleeping) {
			eventfd_read(pair->there, &value);
			eventfd_write(pair->back, 1);
			continue;
		}
		while (__atomic_load_n(&pair->turn, __ATOMIC_ACQUIRE) != 2 * i + 1)
			;
		__atomic_store_n(&pair->turn, 2 * i + 2, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void ask(struct pair *pair)
{
	eventfd_t value;
	uint64_t i;

	for (i = 0; i < pair->count; i++) {
		if (pair->sleeping) {
			eventfd_write(pair->there, 1);
			eventfd_read(pair->back, &value);
			continue;
		}
		__atomic_store_n(&pair->turn, 2 * i + 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&pair->turn, __ATOMIC_ACQUIRE) != 2 * i + 2)
			;
	}
}

double bench_limit(bool sleeping, const struct bench_cores *cores, uint64_t count, const char **why)
{
	struct pair pair = { .cores = cores, .count = count + 1, .sleeping = sleeping };
	pthread_t thread;
	double ns = -1;

	*why = "no eventfd or thread can be made";
	pair.there = eventfd(0, EFD_CLOEXEC);
	pair.back = eventfd(0, EFD_CLOEXEC);
	if (pair.there >= 0 && pair.back >= 0 && !pthread_create(&thread, NULL, answer, &pair)) {
		uint64_t begin;

		while (!__atomic_load_n(&pair.ready, __ATOMIC_ACQUIRE))
			sched_yield();
		bench_settle(cores->driver, cores->realtime);
		begin = bench_now_ns();
		ask(&pair);
		ns = (double)(bench_now_ns() - begin) / (double)pair.count;
		bench_settle(-1, false);
		pthread_join(thread, NULL);
		*why = NULL;
	}
	close(pair.there);
	close(pair.back);
	return ns;
}
