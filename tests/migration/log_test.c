/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vireo/guard.h>

/*
 * A front end that has the pages logged that a back end writes: what is marked, when, and what happens to
 * logs that can't be.
 */
#define PAGE      VHOST_USER_LOG_PAGE
#define PAGES     (FRONTEND_MEMORY_BYTES / PAGE)
#define LOG_BYTES ((FRONTEND_BUS + FRONTEND_MEMORY_BYTES) / PAGE / 8)
#define LOGGING   (USUAL_PROTOCOL | PROTOCOL(LOG_SHMFD))
#define LOG_ALL   FEATURE(VHOST_F_LOG_ALL)
#define PACKED    FEATURE(VIRTIO_F_RING_PACKED)

struct page_log {
	int fd;
	uint64_t offset;
	uint8_t *bits;
	uint8_t before[FRONTEND_MEMORY_BYTES];
};

static void log_make(struct page_log *log, uint64_t offset)
{
	uint8_t *map;

	log->fd = memfd_create("test-log", MFD_CLOEXEC);
	log->offset = offset;
	assert_true(log->fd >= 0);
	assert_int_equal(ftruncate(log->fd, (off_t)(offset + LOG_BYTES)), 0);
	map = mmap(NULL, offset + LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	assert_true(map != MAP_FAILED);
	log->bits = map + offset;
}

static void log_free(struct page_log *log)
{
	munmap(log->bits - log->offset, log->offset + LOG_BYTES);
	close(log->fd);
}

static uint64_t log_base(struct frontend *fe, const struct page_log *log, uint64_t bytes)
{
	const struct vhost_user_log wire = { bytes, log->offset };

	return frontend_ask_fds(fe, VHOST_USER_SET_LOG_BASE, &wire, sizeof(wire), &log->fd, 1);
}

static uint64_t log_rings(struct frontend *fe, unsigned queue, bool on, uint64_t log)
{
	struct vhost_user_vring_addr addr = frontend_areas(fe, queue);

	addr.flags = on ? VHOST_USER_VRING_F_LOG : 0;
	addr.log = log;
	return frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));
}

static uint64_t used_addr(const struct frontend *fe, unsigned queue)
{
	return vio_drvq_device_area(&fe->queues[queue].drvq).raw;
}

static uint64_t log_features(struct frontend *fe, uint64_t features)
{
	return frontend_ask(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
}

static bool marked(const struct page_log *log, uint64_t addr)
{
	return log->bits[addr / PAGE / 8] >> addr / PAGE % 8 & 1;
}

static unsigned marked_count(const struct page_log *log)
{
	unsigned count = 0;

	for (uint64_t i = 0; i < LOG_BYTES; i++)
		count += (unsigned)__builtin_popcount(log->bits[i]);
	return count;
}

/* Takes the marks away, as a front end does. */
static void log_clear(struct page_log *log)
{
	memset(log->bits, 0, LOG_BYTES);
}

/* All pages that differ are marked, and the others but `spare` aren't. How many differ. */
static unsigned compare(const struct frontend *fe, const struct page_log *log, unsigned spare)
{
	unsigned changed = 0;

	for (uint64_t page = 0; page < PAGES; page++) {
		const bool differs = memcmp(fe->memory + page * PAGE, log->before + page * PAGE, PAGE) != 0;

		if (differs)
			assert_true(marked(log, FRONTEND_BUS + page * PAGE));
		changed += differs;
	}
	assert_in_range(marked_count(log), changed, changed + spare);
	return changed;
}

/* One request, with what the device writes marked. */
static void logged_roundtrip(struct frontend *fe, struct page_log *log, uint8_t value)
{
	log_clear(log);
	frontend_offer(fe, 0, value);
	memcpy(log->before, fe->memory, FRONTEND_MEMORY_BYTES);
	bed_settle(fe->bed);
	assert_in_range(compare(fe, log, 2), 2, 4);
	assert_true(frontend_answered(fe, 0, value));
}

static void start_log(struct frontend *fe, struct page_log *log, uint64_t features)
{
	assert_int_equal(log_base(fe, log, LOG_BYTES), 0);
	assert_int_equal(log_features(fe, features | LOG_ALL), 0);
	assert_int_equal(log_rings(fe, 0, true, used_addr(fe, 0)), 0);
	log_clear(log);
}

static void marks_while_it_is_asked_for(void **state)
{
	static const uint64_t more[] = { 0, FEATURE(VIRTIO_F_EVENT_IDX), PACKED,
					 PACKED | FEATURE(VIRTIO_F_EVENT_IDX) };
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(more); i++) {
		const uint64_t features = USUAL_FEATURES | more[i];
		const uint32_t first = more[i] & PACKED ? PVIRTQ_WRAP | (uint32_t)PVIRTQ_WRAP << 16 : 0;

		log_make(&log, i * 24);
		frontend_connect(fe);
		frontend_negotiate(fe, features, LOGGING);
		assert_int_equal(frontend_share_memory(fe), 0);
		frontend_queue_make(fe, 0, features);
		frontend_queue_start(fe, 0, first);
		frontend_roundtrip(fe, 0, 1);
		start_log(fe, &log, features);
		for (unsigned round = 0; round < 3 * BED_QUEUE_SIZE; round++)
			logged_roundtrip(fe, &log, (uint8_t)round);
		/* Not any more, in the same order. */
		assert_int_equal(log_features(fe, features), 0);
		assert_int_equal(log_rings(fe, 0, false, 0), 0);
		log_clear(&log);
		frontend_roundtrip(fe, 0, 9);
		assert_int_equal(marked_count(&log), 0);
		/* And once more. */
		start_log(fe, &log, features);
		logged_roundtrip(fe, &log, 10);
		frontend_hang_up(fe);
		f->bed.closed = 0;
		log_free(&log);
	}
}

/* What is marked of what: buffers by the feature, rings by each queue's flag. */
static void each_by_its_own_switch(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint64_t buffer;

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	frontend_offer(fe, 0, 7);
	buffer = FRONTEND_BUS +
		 (uint64_t)((uint8_t *)memmem(fe->memory, FRONTEND_MEMORY_BYTES, "\7\7\7\7", 4) - fe->memory);
	assert_true(frontend_answered(fe, 0, 7));
	assert_int_equal(log_base(fe, &log, LOG_BYTES), 0);
	frontend_roundtrip(fe, 0, 7);
	assert_int_equal(marked_count(&log), 0);
	assert_int_equal(log_features(fe, USUAL_FEATURES | LOG_ALL), 0);
	frontend_roundtrip(fe, 0, 7);
	assert_true(marked(&log, buffer));
	assert_int_equal(marked_count(&log), 1);
	assert_int_equal(log_features(fe, USUAL_FEATURES), 0);
	/* A ring is marked where the front end says that it is, even where no memory is. */
	assert_int_equal(log_rings(fe, 0, true, 5 * PAGE), 0);
	log_clear(&log);
	frontend_roundtrip(fe, 0, 7);
	assert_true(marked(&log, 5 * PAGE));
	assert_int_equal(marked_count(&log), 1);
	log_free(&log);
}

/* A buffer of several pages, in pieces and across a page's end; the device fills less than there is. */
static void marks_what_was_filled(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t out = FRONTEND_BUS + 0x90000, in = FRONTEND_BUS + 0xa0000;
	struct vio_sg sg[4] = { { vio_addr_make(out), 100 },
				{ vio_addr_make(in + PAGE - 60), 30 },
				{ vio_addr_make(in + 3 * PAGE - 20), 40 },
				{ vio_addr_make(in + 6 * PAGE), 5 * PAGE } };
	uint32_t written;

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	start_log(fe, &log, USUAL_FEATURES);
	memset(fe->memory + 0x90000, 0x55, 100);
	assert_int_equal(vio_drvq_add(&fe->queues[0].drvq, sg, 1, 3, fe), 0);
	vio_drvq_kick(&fe->queues[0].drvq);
	memcpy(log.before, fe->memory, FRONTEND_MEMORY_BYTES);
	bed_settle(fe->bed);
	assert_in_range(compare(fe, &log, 1), 5, 6);
	for (unsigned page = 0; page < 12; page++)
		assert_int_equal(marked(&log, in + page * PAGE),
				 page == 0 || page == 2 || page == 3 || page == 6);
	assert_ptr_equal(vio_drvq_get(&fe->queues[0].drvq, &written), fe);
	assert_int_equal(written, 100);
	log_free(&log);
}

/* Requests that are with the device when marking begins, and when the queue stops. */
static void what_is_in_flight_is_marked(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	unsigned answers = 0;
	uint32_t written;

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	f->bed.echo->hold = true;
	frontend_offer(fe, 0, 3);
	bed_settle(fe->bed);
	assert_int_equal(log_base(fe, &log, LOG_BYTES), 0);
	assert_int_equal(log_rings(fe, 0, true, used_addr(fe, 0)), 0);
	assert_int_equal(log_features(fe, USUAL_FEATURES | LOG_ALL), 0);
	frontend_offer(fe, 0, 4);
	bed_settle(fe->bed);
	log_clear(&log);
	memcpy(log.before, fe->memory, FRONTEND_MEMORY_BYTES);
	assert_int_equal(frontend_queue_stop(fe, 0), 2);
	assert_in_range(compare(fe, &log, 2), 2, 4);
	while (vio_drvq_get(&fe->queues[0].drvq, &written))
		answers++;
	assert_int_equal(answers, 2);
	/* From then on nothing is written, nor said. */
	memcpy(log.before, fe->memory, FRONTEND_MEMORY_BYTES);
	log_clear(&log);
	frontend_offer(fe, 0, 5);
	memcpy(log.before, fe->memory, FRONTEND_MEMORY_BYTES);
	vio_device_config_changed(&f->bed.dev);
	bed_settle(fe->bed);
	assert_int_equal(compare(fe, &log, 0), 0);
	log_free(&log);
}

/* It is told to another descriptor, too, if there is one. */
static void tells_of_changes(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	int changed = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_LOG_FD, NULL, 0, &changed, 1), 0);
	frontend_roundtrip(fe, 0, 1);
	assert_int_equal(frontend_drain(changed), 0);
	start_log(fe, &log, USUAL_FEATURES);
	frontend_drain(changed);
	frontend_roundtrip(fe, 0, 1);
	assert_int_not_equal(frontend_drain(changed), 0);
	/* hostile: C12 */
	assert_int_not_equal(frontend_ask_fds(fe, VHOST_USER_SET_LOG_FD, NULL, 0, &fe->memory_fd, 1), 0);
	close(changed);
	log_free(&log);
}

/* Another log takes the place of the first, also while queues run. */
static void one_log_after_the_other(void **state)
{
	static struct page_log logs[2];
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	log_make(&logs[0], 0);
	log_make(&logs[1], PAGE);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	start_log(fe, &logs[0], USUAL_FEATURES);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(log_base(fe, &logs[i & 1], LOG_BYTES), 0);
		log_clear(&logs[!(i & 1)]);
		logged_roundtrip(fe, &logs[i & 1], (uint8_t)i);
		assert_int_equal(marked_count(&logs[!(i & 1)]), 0);
	}
	log_free(&logs[0]);
	log_free(&logs[1]);
}

/* The feature without a log is legal for as long as the log takes to come. hostile: C26 */
static void a_log_that_comes_late(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES | LOG_ALL, LOGGING);
	assert_int_equal(log_rings(fe, 0, true, used_addr(fe, 0)), 0);
	frontend_roundtrip(fe, 0, 1);
	assert_int_equal(log_base(fe, &log, LOG_BYTES), 0);
	logged_roundtrip(fe, &log, 2);
	log_free(&log);
}

/* hostile: C26; a log that is none ends the connection, as nobody would look at what it is answered. */
static void logs_that_cannot_be(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const struct vhost_user_log wrong[] = {
		{ 0, 0 },
		{ LOG_BYTES, 1 },          /* beyond the file's end */
		{ LOG_BYTES, UINT64_MAX }, /* wraps */
		{ UINT64_MAX, 0 },
		{ UINT64_MAX, 1 },
		{ LOG_BYTES - 1, 0 }, /* a byte less than the memory needs */
		{ 1, 0 },
	};
	int pipes[2];

	log_make(&log, 0);
	assert_int_equal(pipe(pipes), 0);
	for (unsigned i = 0; i <= VIO_ARRAY_SIZE(wrong); i++) {
		const struct vhost_user_log good = { LOG_BYTES, 0 };
		const bool no_file = i == VIO_ARRAY_SIZE(wrong);

		f->bed.lines = 0;
		frontend_start(fe, USUAL_FEATURES | LOG_ALL, LOGGING);
		frontend_roundtrip(fe, 0, 1);
		frontend_send_fds(fe, VHOST_USER_SET_LOG_BASE, no_file ? &good : &wrong[i], sizeof(good),
				  no_file ? &pipes[0] : &log.fd, 1);
		assert_int_equal(f->bed.closed, 1);
		assert_int_not_equal(f->bed.lines, 0);
		close(fe->socket);
		fe->socket = -1;
		f->bed.closed = 0;
	}
	close(pipes[0]);
	close(pipes[1]);
	log_free(&log);
}

/* hostile: C26; what a log doesn't cover is neither memory that may come nor a ring's place. */
static void more_than_the_log_covers(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_reg more = { 0, frontend_region(0, PAGE) };
	struct vhost_user_mem_table table = { .nregions = 1,
					      .regions = { frontend_region(0, FRONTEND_MEMORY_BYTES) } };
	const uint64_t end = LOG_BYTES * 8 * PAGE;

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	start_log(fe, &log, USUAL_FEATURES);
	more.region.guest_phys_addr = end;
	more.region.userspace_addr -= 0x1000000;
	assert_int_not_equal(
		frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &more, sizeof(more), &fe->memory_fd, 1), 0);
	table.regions[0].guest_phys_addr += PAGE;
	assert_int_not_equal(frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 40, &fe->memory_fd, 1),
			     0);
	assert_int_not_equal(log_rings(fe, 0, true, end - 8), 0);
	assert_int_not_equal(log_rings(fe, 0, true, UINT64_MAX), 0);
	assert_int_equal(log_rings(fe, 0, true, used_addr(fe, 0)), 0);
	logged_roundtrip(fe, &log, 5);
	log_free(&log);
}

/* A move that was called off: what comes later is none of the log's business. */
static void a_log_that_is_given_up(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_reg more = { 0, frontend_region(0, PAGE) };

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	start_log(fe, &log, USUAL_FEATURES);
	logged_roundtrip(fe, &log, 5);
	assert_int_equal(log_features(fe, USUAL_FEATURES), 0);
	assert_int_equal(log_rings(fe, 0, false, 0), 0);
	more.region.guest_phys_addr = LOG_BYTES * 8 * PAGE;
	more.region.userspace_addr -= 0x1000000;
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &more, sizeof(more), &fe->memory_fd, 1),
			 0);
	assert_int_equal(log_features(fe, USUAL_FEATURES), 0);
	assert_int_equal(log_rings(fe, 0, false, 0), 0);
	frontend_roundtrip(fe, 0, 6);
	/* Nor can it be taken up again. hostile: C26 */
	assert_int_not_equal(log_features(fe, USUAL_FEATURES | LOG_ALL), 0);
	log_free(&log);
}

/* hostile: C26; the log is cut short under a queue that runs: this connection ends, in order. */
static void a_log_that_is_cut_short(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	assert_int_equal(vio_guard_memory(), 0);
	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	start_log(fe, &log, USUAL_FEATURES);
	assert_int_equal(ftruncate(log.fd, 0), 0);
	frontend_offer(fe, 0, 1);
	bed_settle(fe->bed);
	assert_int_equal(f->bed.closed, 1);
	assert_int_equal(f->bed.reason, -VIO_EPROTO);
	close(fe->socket);
	fe->socket = -1;
	assert_int_equal(ftruncate(log.fd, (off_t)LOG_BYTES), 0);
	log_free(&log);
}

/* hostile: H16; given up after each of its steps, and begun anew: the device serves on and marks again. */
static void given_up_at_each_step(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint32_t base;

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	for (unsigned step = 0; step < 5; step++) {
		assert_int_equal(log_base(fe, &log, LOG_BYTES), 0);
		if (step > 0)
			assert_int_equal(log_features(fe, USUAL_FEATURES | LOG_ALL), 0);
		if (step > 1)
			assert_int_equal(log_rings(fe, 0, true, used_addr(fe, 0)), 0);
		if (step > 2)
			logged_roundtrip(fe, &log, 3);
		if (step > 3) {
			base = frontend_queue_stop(fe, 0);
			frontend_queue_start(fe, 0, base);
		}
		assert_int_equal(log_features(fe, USUAL_FEATURES), 0);
		assert_int_equal(log_rings(fe, 0, false, 0), 0);
		log_clear(&log);
		frontend_roundtrip(fe, 0, 4);
		assert_int_equal(marked_count(&log), 0);
		start_log(fe, &log, USUAL_FEATURES);
		logged_roundtrip(fe, &log, 5);
		assert_int_equal(log_features(fe, USUAL_FEATURES), 0);
		assert_int_equal(log_rings(fe, 0, false, 0), 0);
	}
	log_free(&log);
}

/* hostile: H17; a front end that comes back in the middle says features and flags before it has the log. */
static void comes_back_while_it_moves(void **state)
{
	static struct page_log log;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t features = USUAL_FEATURES | LOG_ALL;
	uint32_t base;

	log_make(&log, 0);
	frontend_start(fe, USUAL_FEATURES, LOGGING);
	start_log(fe, &log, USUAL_FEATURES);
	for (unsigned turn = 0; turn < 5; turn++) {
		logged_roundtrip(fe, &log, (uint8_t)turn);
		base = frontend_queue_stop(fe, 0);
		frontend_hang_up(fe);
		f->bed.closed = 0;
		frontend_connect(fe);
		frontend_negotiate(fe, features, LOGGING);
		assert_int_equal(frontend_share_memory(fe), 0);
		assert_int_equal(frontend_queue_num(fe, 0, BED_QUEUE_SIZE), 0);
		assert_int_equal(frontend_queue_base(fe, 0, base), 0);
		assert_int_equal(log_rings(fe, 0, true, used_addr(fe, 0)), 0);
		assert_int_equal(frontend_queue_call(fe, 0), 0);
		assert_int_equal(frontend_queue_kick(fe, 0), 0);
		assert_int_equal(log_base(fe, &log, LOG_BYTES), 0);
		assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	}
	logged_roundtrip(fe, &log, 9);
	log_free(&log);
}

/* QEMU 7.2 takes the status back before it asks where the queues of a guest that moves or pauses stood. */
static void positions_after_the_status(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t protocol = USUAL_PROTOCOL | PROTOCOL(STATUS);
	uint64_t status = 15, zero = 0;

	for (unsigned packed = 0; packed < 2; packed++) {
		const uint64_t features = USUAL_FEATURES | (packed ? PACKED : 0);
		const uint32_t first = packed ? PVIRTQ_WRAP | (uint32_t)PVIRTQ_WRAP << 16 : 0;
		uint32_t base;

		frontend_connect(fe);
		frontend_negotiate(fe, features, protocol);
		assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &status, 8), 0);
		assert_int_equal(frontend_share_memory(fe), 0);
		frontend_queue_make(fe, 0, features);
		frontend_queue_start(fe, 0, first);
		for (unsigned i = 0; i < 5; i++)
			frontend_roundtrip(fe, 0, (uint8_t)i);
		f->bed.echo->hold = true;
		frontend_offer(fe, 0, 9);
		bed_settle(fe->bed);
		f->bed.echo->hold = false;
		assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &zero, 8), 0);
		assert_int_equal(f->bed.dev.status, 0);
		base = frontend_queue_stop(fe, 0);
		assert_int_equal(base & 0xffff, packed ? (12 | PVIRTQ_WRAP) : 6);
		assert_int_equal(base >> 16, packed ? (12 | PVIRTQ_WRAP) : 0);
		assert_true(frontend_answered(fe, 0, 9));
		/* Who goes on there does; the next one begins where it says. */
		assert_int_equal(log_features(fe, features), 0);
		assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &status, 8), 0);
		frontend_queue_start(fe, 0, base);
		frontend_roundtrip(fe, 0, 6);
		assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &zero, 8), 0);
		frontend_queue_make(fe, 0, features);
		assert_int_equal(log_features(fe, features), 0);
		assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &status, 8), 0);
		frontend_queue_start(fe, 0, first);
		frontend_roundtrip(fe, 0, 7);
		frontend_hang_up(fe);
		f->bed.closed = 0;
	}
}

/* Rings are where the driver has them, and nobody looks at what else a region is called. */
static void guest_addresses(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_reg more = { 0, frontend_region(0, FRONTEND_MEMORY_BYTES) };
	struct vhost_user_vring_addr addr;

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL | PROTOCOL(GPA_ADDRESSES));
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &more, sizeof(more), &fe->memory_fd, 1),
			 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	addr = frontend_areas(fe, 0);
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	addr.descriptor -= FRONTEND_USER - FRONTEND_BUS;
	addr.available -= FRONTEND_USER - FRONTEND_BUS;
	addr.used -= FRONTEND_USER - FRONTEND_BUS;
	assert_int_equal(frontend_queue_num(fe, 0, BED_QUEUE_SIZE), 0);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	assert_int_equal(frontend_queue_call(fe, 0), 0);
	assert_int_equal(frontend_queue_kick(fe, 0), 0);
	assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	frontend_roundtrip(fe, 0, 1);
	frontend_queue_stop(fe, 0);
	more.region.userspace_addr = 0;
	assert_int_equal(frontend_ask(fe, VHOST_USER_REM_MEM_REG, &more, sizeof(more)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(marks_while_it_is_asked_for),
		FIXTURE_CASE(each_by_its_own_switch),
		FIXTURE_CASE(marks_what_was_filled),
		FIXTURE_CASE(what_is_in_flight_is_marked),
		FIXTURE_CASE(tells_of_changes),
		FIXTURE_CASE(one_log_after_the_other),
		FIXTURE_CASE(a_log_that_comes_late),
		FIXTURE_CASE(logs_that_cannot_be),
		FIXTURE_CASE(more_than_the_log_covers),
		FIXTURE_CASE(a_log_that_is_given_up),
		FIXTURE_CASE(a_log_that_is_cut_short),
		FIXTURE_CASE(given_up_at_each_step),
		FIXTURE_CASE(comes_back_while_it_moves),
		FIXTURE_CASE(positions_after_the_status),
		FIXTURE_CASE(guest_addresses),
	};

	return cmocka_run_group_tests_name("migration, log", tests, NULL, NULL);
}
