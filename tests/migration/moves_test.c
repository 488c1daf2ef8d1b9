/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/frontend.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A driver moves between two back ends, twenty times there and back, with requests in flight. Its memory is
 * copied as a monitor does it: all of it, then what the log says and what the driver itself wrote, while it
 * works; and what arrives is the same to the last byte.
 */
#define PAGE      VHOST_USER_LOG_PAGE
#define PAGES     (FRONTEND_MEMORY_BYTES / PAGE)
#define LOG_BYTES ((FRONTEND_BUS + FRONTEND_MEMORY_BYTES) / PAGE / 8)
#define MOVES     40u
#define PASSES    4u
#define REQUESTS  12u /* a pass */
#define HELD      3u  /* of them stay with the device until the next */
#define PROTOCOLS (USUAL_PROTOCOL | PROTOCOL(LOG_SHMFD) | PROTOCOL(DEVICE_STATE))

struct guest {
	struct bed beds[2];
	struct frontend fe;
	uint64_t features;
	int log_fd;
	uint8_t *log;
	uint8_t there[FRONTEND_MEMORY_BYTES]; /* the copy */
	uint8_t before[FRONTEND_MEMORY_BYTES];
	bool written[PAGES]; /* by the driver, since it was copied */
	uint8_t next;
	bool waits[256]; /* requests without an answer */
	unsigned answers;
};

/* What the driver writes, the monitor knows. */
static void begin_writing(struct guest *guest)
{
	memcpy(guest->before, guest->fe.memory, FRONTEND_MEMORY_BYTES);
}

static void end_writing(struct guest *guest)
{
	for (size_t page = 0; page < PAGES; page++)
		if (memcmp(guest->before + page * PAGE, guest->fe.memory + page * PAGE, PAGE))
			guest->written[page] = true;
}

static void offer(struct guest *guest)
{
	while (guest->waits[guest->next])
		guest->next++;
	begin_writing(guest);
	frontend_offer(&guest->fe, 0, guest->next);
	end_writing(guest);
	guest->waits[guest->next++] = true;
}

/* Takes what was answered: each once, and rightly. */
static void collect(struct guest *guest)
{
	uint32_t written;
	uint8_t *at;

	begin_writing(guest);
	while ((at = vio_drvq_get(&guest->fe.queues[0].drvq, &written)) != NULL) {
		assert_int_equal(written, 4);
		assert_true(guest->waits[at[0]]);
		guest->waits[at[0]] = false;
		guest->answers++;
		for (unsigned i = 4; i < 8; i++)
			assert_int_equal(at[i], (uint8_t)(at[0] + 1));
	}
	end_writing(guest);
}

/* Copies what changed; the mark goes first. */
static void copy(struct guest *guest, bool all)
{
	for (size_t page = 0; page < PAGES; page++) {
		const uint64_t at = FRONTEND_BUS / PAGE + page;
		const uint8_t bit = (uint8_t)(1u << at % 8);
		const uint8_t was = __atomic_fetch_and(&guest->log[at / 8], (uint8_t)~bit, __ATOMIC_SEQ_CST);

		if (all || guest->written[page] || was & bit)
			memcpy(guest->there + page * PAGE, guest->fe.memory + page * PAGE, PAGE);
		guest->written[page] = false;
	}
}

static void log_on(struct guest *guest)
{
	struct frontend *fe = &guest->fe;
	const struct vhost_user_log wire = { LOG_BYTES, 0 };
	const uint64_t features = guest->features | FEATURE(VHOST_F_LOG_ALL);
	struct vhost_user_vring_addr addr = frontend_areas(fe, 0);

	assert_int_equal(
		frontend_ask_fds(fe, VHOST_USER_SET_LOG_BASE, &wire, sizeof(wire), &guest->log_fd, 1), 0);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features)), 0);
	addr.flags = VHOST_USER_VRING_F_LOG;
	addr.log = vio_drvq_device_area(&fe->queues[0].drvq).raw;
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
}

/* The copy becomes the driver's memory, at the place where the driver has it. */
static void arrive(struct guest *guest)
{
	struct frontend *fe = &guest->fe;
	int fd = memfd_create(FRONTEND_MEMORY_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, guest->there, FRONTEND_MEMORY_BYTES, 0), FRONTEND_MEMORY_BYTES);
	assert_true(mmap(fe->memory, FRONTEND_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, 0) == fe->memory);
	close(fe->memory_fd);
	fe->memory_fd = fd;
}

static void connect_to(struct guest *guest, unsigned bed, uint32_t base, bool first)
{
	struct frontend *fe = &guest->fe;

	fe->bed = &guest->beds[bed];
	frontend_connect(fe);
	frontend_negotiate(fe, guest->features, PROTOCOLS);
	assert_int_equal(frontend_share_memory(fe), 0);
	if (first)
		frontend_queue_make(fe, 0, guest->features);
	frontend_queue_start(fe, 0, base);
}

static uint32_t leave(struct guest *guest)
{
	struct bed *bed = guest->fe.bed;
	uint32_t base;

	log_on(guest);
	copy(guest, true);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		for (unsigned i = 0; i < REQUESTS; i++) {
			bed->echo->hold = i >= REQUESTS - HELD;
			offer(guest);
			bed_settle(bed);
		}
		collect(guest);
		copy(guest, false);
	}
	/* One that the device never sees here; for those that it has it writes alone. */
	offer(guest);
	copy(guest, false);
	base = frontend_queue_stop(&guest->fe, 0);
	bed->echo->hold = false;
	copy(guest, false);
	assert_memory_equal(guest->there, guest->fe.memory, FRONTEND_MEMORY_BYTES);
	frontend_hang_up(&guest->fe);
	bed->closed = 0;
	return base;
}

static void move(uint64_t more)
{
	static struct guest guest;
	const bool packed = more & FEATURE(VIRTIO_F_RING_PACKED);
	uint32_t base = packed ? PVIRTQ_WRAP | (uint32_t)PVIRTQ_WRAP << 16 : 0;
	unsigned asked;

	memset(&guest, 0, sizeof(guest));
	guest.features = USUAL_FEATURES | more;
	bed_make(&guest.beds[0]);
	bed_make(&guest.beds[1]);
	frontend_make(&guest.fe, &guest.beds[0]);
	guest.log_fd = memfd_create("test-log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(guest.log_fd, LOG_BYTES), 0);
	guest.log = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, guest.log_fd, 0);
	assert_true(guest.log != MAP_FAILED);
	connect_to(&guest, 0, base, true);
	for (unsigned turn = 1; turn <= MOVES; turn++) {
		base = leave(&guest);
		arrive(&guest);
		connect_to(&guest, turn & 1, base, false);
		bed_settle(guest.fe.bed);
		collect(&guest);
	}
	asked = MOVES * (PASSES * REQUESTS + 1);
	assert_int_equal(guest.answers, asked);
	assert_int_equal(guest.beds[0].echo->served[0] + guest.beds[1].echo->served[0], asked);
	frontend_hang_up(&guest.fe);
	munmap(guest.log, LOG_BYTES);
	close(guest.log_fd);
	guest.fe.bed = &guest.beds[0];
	frontend_free(&guest.fe);
	bed_free(&guest.beds[1]);
	bed_free(&guest.beds[0]);
}

static void split(void **state)
{
	(void)state;
	move(0);
	move(FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC));
}

static void packed(void **state)
{
	(void)state;
	move(FEATURE(VIRTIO_F_RING_PACKED));
	move(FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(split), cmocka_unit_test(packed) };

	return cmocka_run_group_tests_name("migration, moves", tests, NULL, NULL);
}
