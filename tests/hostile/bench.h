/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_HOSTILE_BENCH_H
#define TEST_HOSTILE_BENCH_H

#include "lib/pair.h"

/*
 * A driver's queue against a device that writes what it likes into a ring of either format. A case
 * is written once, for rings of any size from the least one on that it can happen in.
 */
#define BENCH_TOKENS       4
/* Tables have as many elements; buffers with more are lists although INDIRECT_DESC was accepted. */
#define BENCH_INDIRECT_MAX 2

struct bench {
	struct test_pair pair;
	int tokens[BENCH_TOKENS];   /* named by their addresses */
	unsigned ids[BENCH_TOKENS]; /* under which buffers went out */
	bool many;                  /* buffers are got with get_many */
	uint16_t at;                /* packed: where the device writes next */
};

/*
 * Runs `body` on rings of every size from `least` on, from several indices, with `always`, and with
 * each set of the features in `varied`.
 */
void bench_each(uint16_t least, uint64_t always, uint64_t varied, void (*body)(struct bench *b));
#define BENCH_ANY (TEST_EVENT | TEST_INDIRECT | TEST_IN_ORDER)

/* Test functions that do it, and their lines in a list of tests. */
#define BENCH_SPLIT(least, always, varied, body)         \
	static void split_##body(void **state)           \
	{                                                \
		bench_each(least, always, varied, body); \
	}
#define BENCH_PACKED(least, always, varied, body)                        \
	static void packed_##body(void **state)                          \
	{                                                                \
		bench_each(least, (always) | TEST_PACKED, varied, body); \
	}
#define BENCH_BOTH(least, always, varied, body)  \
	BENCH_SPLIT(least, always, varied, body) \
	BENCH_PACKED(least, always, varied, body)
#define BENCH_TESTS(body) cmocka_unit_test(split_##body), cmocka_unit_test(packed_##body)

bool bench_packed(const struct bench *b);
bool bench_in_order(const struct bench *b);
/* `count`, or as many as the ring has without `spare` ones. */
unsigned bench_few(const struct bench *b, unsigned count, unsigned spare);

/* Adds `count` buffers, the i-th of 1 + i writable bytes, and shows them. */
void bench_expose(struct bench *b, unsigned count);
/* A buffer of `count` elements, the first readable, the others with 4 writable bytes each; shown, too. */
void bench_expose_list(struct bench *b, unsigned count);
/* An id that none of the last `count` buffers has. */
unsigned bench_other_id(const struct bench *b, unsigned count);
/* Which of `count` buffers a device that may choose uses as the i-th: not the first one first. */
unsigned bench_turn(const struct bench *b, unsigned i, unsigned count);
/* The device uses a buffer that took `count` descriptors. */
void bench_use(struct bench *b, uint32_t id, uint32_t length, unsigned count);

void *bench_get(struct bench *b, uint32_t *written);
/* It gets the i-th buffer that was exposed. */
void bench_gets(struct bench *b, unsigned i);
/*
 * The next get finds this fault: the caller gets nothing, neither ring memory nor the lists
 * change, nothing comes until the queue is started again, and what was exposed can be taken
 * back, each buffer once.
 */
void bench_faults(struct bench *b, enum vio_fault_kind kind, uint64_t value);
/* The same when nothing is out any more, and the device uses a buffer nevertheless. */
void bench_faults_on_one_more(struct bench *b, unsigned id);
/* A good buffer comes and goes. */
void bench_serves(struct bench *b);

#endif
