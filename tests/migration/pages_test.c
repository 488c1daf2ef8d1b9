/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/subjects.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link/vhost_user/dirty.h"

/*
 * Devices of each type work on memory of which all is known before and after: each page that they changed
 * is marked in the log, and hardly any other.
 */
#define ROUNDS    40u
#define IN_FLIGHT 5u
#define SIZE      8u
#define BUS       UINT64_C(0x7ffff000) /* of the first page: odd in the log */
#define PAGES     (HARNESS_MEMORY_BYTES / VHOST_USER_LOG_PAGE)
#define LOG_BYTES ((size_t)(BUS / VHOST_USER_LOG_PAGE + PAGES) / 8 + 1)

struct watched {
	struct bed *bed;
	struct vu_dirty dirty;
	struct vu_memory memory;
	struct vu_tracker trackers[HARNESS_QUEUES_MAX];
	uint8_t *before;
	bool changed[PAGES];
	unsigned changes, spare;
};

struct shape {
	bool packed, in_order;
	uint16_t size;
};

static const struct shape shapes[] = {
	{ false, false, SIZE }, { false, true, SIZE },     { true, false, SIZE },
	{ true, true, SIZE },   { true, false, SIZE - 1 }, { true, true, SIZE - 1 },
};

/* The driver's memory as the link would have it, and the queues as it would have started them. */
static void watch(struct watched *w)
{
	struct harness *h = &w->bed->h;
	const uint64_t base = h->region.base.raw;

	w->dirty = (struct vu_dirty){ .bits = calloc(1, LOG_BYTES), .bytes = LOG_BYTES };
	w->before = malloc(HARNESS_MEMORY_BYTES);
	assert_true(w->dirty.bits && w->before);
	w->memory.count = 1;
	w->memory.regions[0].host = h->memory;
	w->memory.regions[0].wire = (struct vhost_user_mem_region){ BUS, HARNESS_MEMORY_BYTES, BUS, 0 };
	for (uint16_t i = 0; i < h->dev.queue_count; i++) {
		struct vio_devq_config config = h->dev.queue_configs[i];
		const struct vu_tracker_queue queue = { &config, h->dev.spans_max,
							config.device_area.raw - base + BUS, true, true };

		config.descriptor_area.raw += BUS - base;
		assert_int_equal(vu_tracker_begin(&w->trackers[i], &w->dirty, &w->memory, &queue), 0);
		h->dev.queues[i].log = &w->trackers[i].log;
	}
}

static void look_before(struct watched *w)
{
	memcpy(w->before, w->bed->h.memory, w->bed->h.used);
}

static bool is_marked(const struct watched *w, size_t page)
{
	const uint64_t at = BUS / VHOST_USER_LOG_PAGE + page;

	return w->dirty.bits[at / 8] >> at % 8 & 1;
}

static void look_after(struct watched *w)
{
	const struct harness *h = &w->bed->h;

	for (size_t page = 0; page * VHOST_USER_LOG_PAGE < h->used; page++) {
		const size_t at = page * VHOST_USER_LOG_PAGE;
		const size_t bytes = h->used - at < VHOST_USER_LOG_PAGE ? h->used - at : VHOST_USER_LOG_PAGE;
		const bool differs = memcmp(h->memory + at, w->before + at, bytes) != 0;

		if (differs && !is_marked(w, page))
			fail_msg("%s wrote page %zu and didn't mark it", h->dev.class->name, page);
		w->changes += differs && !w->changed[page];
		w->changed[page] |= differs;
	}
}

static void kick(struct watched *w)
{
	const unsigned queue = w->bed->subject->queue;

	vio_drvq_kick_prepare(&w->bed->h.queues[queue].q);
	look_before(w);
	vio_device_kick(&w->bed->h.dev, (uint16_t)queue);
	look_after(w);
}

static void release(struct watched *w, unsigned count)
{
	look_before(w);
	w->bed->subject->release(w->bed, count);
	look_after(w);
}

static void stop(struct watched *w)
{
	struct harness *h = &w->bed->h;

	look_before(w);
	for (uint16_t i = 0; i < h->dev.queue_count; i++) {
		vio_device_queue_stop(&h->dev, i);
		vu_tracker_end(&w->trackers[i], &h->dev.queues[i]);
	}
	look_after(w);
	for (size_t page = 0; page < PAGES; page++)
		w->spare += is_marked(w, page) && !w->changed[page];
}

/* Nothing outside of the memory, either: what is below it in the log stays clear. */
static void expect_nothing_below(const struct watched *w)
{
	for (uint64_t page = 0; page < BUS / VHOST_USER_LOG_PAGE; page++)
		if (w->dirty.bits[page / 8] >> page % 8 & 1)
			fail_msg("page %llu is marked", (unsigned long long)page);
}

static void work(const struct subject *subject, const struct shape *shape)
{
	static struct watched w;
	struct subject_request requests[ROUNDS + IN_FLIGHT];
	int fd = room_make();

	memset(&w, 0, sizeof(w));
	w.bed = bed_make(subject, room_map(fd), true);
	harness_start(&w.bed->h, bed_features(w.bed, shape->packed, shape->in_order), shape->size);
	subject->choose(w.bed);
	watch(&w);
	for (unsigned i = 0; i < ROUNDS; i++) {
		bed_add(w.bed, &requests[i], i);
		/* So that not all of them lie in a few pages. */
		harness_take(&w.bed->h, i % 7 * 1000);
		kick(&w);
		release(&w, 1);
		assert_int_equal(bed_collect(w.bed), 1);
	}
	/* Some are with the device when it stops, and some never came to it. */
	subject->hold(w.bed);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		bed_add(w.bed, &requests[ROUNDS + i], ROUNDS + i);
	kick(&w);
	stop(&w);
	expect_nothing_below(&w);
	if (!w.changes)
		fail_msg("%s changed nothing", w.bed->h.dev.class->name);
	/* The page of an event index that was written as it was; what lies beside an answer of a byte. */
	if (w.spare > 4)
		fail_msg("%s: %u pages changed, %u more are marked", w.bed->h.dev.class->name, w.changes,
			 w.spare);
	free(w.dirty.bits);
	free(w.before);
	bed_free(w.bed);
	close(fd);
}

static void pages_of_all_types(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SUBJECTS; i++)
		for (unsigned j = 0; j < VIO_ARRAY_SIZE(shapes); j++)
			work(&subjects[i], &shapes[j]);
}

/* Ends and edges of the log's arithmetic. hostile: C26 */
static void marks_no_further_than_the_log(void **state)
{
	uint8_t bits[6] = { 0xff, 0, 0, 0, 0, 0xff };
	const struct vu_dirty dirty = { .bits = bits + 1, .bytes = 4 };
	const uint64_t page = VHOST_USER_LOG_PAGE;

	(void)state;
	assert_true(vu_dirty_covers(&dirty, 0, 32 * page));
	assert_false(vu_dirty_covers(&dirty, 0, 32 * page + 1));
	assert_true(vu_dirty_covers(&dirty, 32 * page - 1, 1));
	assert_false(vu_dirty_covers(&dirty, 32 * page - 1, 2));
	assert_false(vu_dirty_covers(&dirty, UINT64_MAX, 1));
	assert_false(vu_dirty_covers(&dirty, 1, UINT64_MAX));
	assert_true(vu_dirty_covers(&dirty, UINT64_MAX, 0));
	vu_dirty_mark(&dirty, 3 * page - 1, 2);
	assert_memory_equal(bits + 1, ((uint8_t[]){ 0x0c, 0, 0, 0 }), 4);
	vu_dirty_mark(&dirty, 9 * page, page);
	vu_dirty_mark(&dirty, 31 * page, 0);
	assert_memory_equal(bits + 1, ((uint8_t[]){ 0x0c, 2, 0, 0 }), 4);
	vu_dirty_mark(&dirty, 31 * page, 100 * page);
	vu_dirty_mark(&dirty, 32 * page, page);
	vu_dirty_mark(&dirty, UINT64_MAX - page, page);
	vu_dirty_mark(&dirty, UINT64_MAX, 2);
	assert_memory_equal(bits, ((uint8_t[]){ 0xff, 0x0c, 2, 0, 0x80, 0xff }), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_all_types),
		cmocka_unit_test(marks_no_further_than_the_log),
	};

	return cmocka_run_group_tests_name("dirty pages", tests, NULL, NULL);
}
