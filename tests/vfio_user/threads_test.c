/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio_user/bed.h"

#include <poll.h>
#include <unistd.h>

#include <vireo/crew.h>

/*
 * Queues served by threads, kicked by eventfds from this one, which changes what they depend on all the
 * while: memory, masks, whether there are messages at all.
 */
#define THREADS 2u

static struct vio_crew *crew;

void bed_spread(struct bed *bed)
{
	struct vio_watch_crew table;
	int error;

	crew = vio_crew_create(bed->loop, THREADS, VIO_LOOP_NO_URING, &error);
	assert_non_null(crew);
	table = vio_crew_watch(crew);
	vio_crew_halt(crew);
	vio_vfio_user_spread(bed->server, &table);
	vio_crew_resume(crew);
}

static int make(void **state)
{
	return bed_make(state);
}

/* Until the answer is there and, unless it is masked, was told of; the last kick can't have been lost. */
static void await(struct bed *bed, int fd)
{
	struct pollfd told = { .fd = fd, .events = POLLIN };

	for (unsigned turns = 0; poll(&told, 1, 1) != 1; turns++) {
		bed_settle(bed);
		assert_true(turns < 10000);
	}
	assert_int_equal(bed_raised(fd), 1);
}

/* The ioeventfd of a queue. */
static int kick_of(struct bed *bed, unsigned queue)
{
	struct vfio_user_io_fds ask = { .argsz = 1000, .index = BED_BAR };

	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &ask, sizeof(ask)), 0);
	assert_true(queue < bed->client.fd_count);
	return dup(bed->client.fds[queue]);
}

static void masks_and_memory_change(void **state)
{
	struct bed *bed = *state;
	const uint64_t one = 1;
	int kick;

	bed_run(bed);
	kick = kick_of(bed, 0);
	assert_true(kick >= 0);
	for (uint32_t i = 1; i < 2000; i++) {
		const bool masked = i % 5 == 0;

		if (masked)
			assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_MASK, VFIO_USER_IRQ_MSIX, 1), 0);
		bed_offer(bed, 0, i);
		assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
		if (i % 7 == 0) {
			assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
			assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0,
							 bed->memory_fd),
					 0);
			assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
		}
		if (masked)
			assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_UNMASK, VFIO_USER_IRQ_MSIX, 1), 0);
		await(bed, bed->events[1]);
		assert_int_equal(bed_answer(bed, 0), i + 1);
	}
	assert_int_equal(bed->lines, 0);
	close(kick);
}

/* The line is the model's: its threads have the main one raise it. */
static void the_line_is_raised(void **state)
{
	struct bed *bed = *state;
	const uint64_t one = 1;
	int kick;

	bed_agree(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	bed_assign(bed, VFIO_USER_IRQ_INTX);
	bed_driver_start(bed, 0);
	kick = kick_of(bed, 0);
	for (uint32_t i = 1; i < 200; i++) {
		bed_offer(bed, 0, i);
		assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
		await(bed, bed->line_event);
		assert_int_equal(bed_answer(bed, 0), i + 1);
		assert_int_equal(bed_get(bed, 0x1000, 1), 1); /* the ISR status, which lowers it */
		assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_UNMASK, VFIO_USER_IRQ_INTX, 0), 0);
	}
	close(kick);
}

/* Clients come and go while there is something to do. */
static void clients_leave(void **state)
{
	struct bed *bed = *state;
	const uint64_t one = 1;

	for (unsigned i = 0; i < 50; i++) {
		int kick;

		bed_run(bed);
		kick = kick_of(bed, 0);
		bed_offer(bed, 0, 1);
		assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
		close(kick);
		bed_hang_up(bed);
		bed_raised(bed->events[1]);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, bed_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(masks_and_memory_change),
		CASE(the_line_is_raised),
		CASE(clients_leave),
	};

	return cmocka_run_group_tests_name("vfio-user-threads", tests, NULL, NULL);
}

void bed_gather(void)
{
	vio_crew_destroy(crew);
}
