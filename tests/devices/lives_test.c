/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/subjects.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What can happen to any device, done to each type: reset, removal, lies, with requests in flight. */
#define SIZE      8u
#define IN_FLIGHT 5u
#define MANY      50u
#define WORK_AT   0x20000u /* behind all rings */

static void start(struct bed *bed, bool packed)
{
	harness_start(&bed->h, bed_features(bed, packed, false), SIZE);
	bed->subject->choose(bed);
}

static struct bed *open_bed(unsigned number, bool packed)
{
	int fd = room_make();
	struct bed *bed = bed_make(&subjects[number], room_map(fd), true);

	close(fd);
	start(bed, packed);
	return bed;
}

/* Held by the backend, if it can, and on their way. */
static void put_in_flight(struct bed *bed, struct subject_request *requests)
{
	bed->subject->hold(bed);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		bed_add(bed, &requests[i], i);
		if (i == 2)
			harness_kick(&bed->h, bed->subject->queue);
	}
}

static void expect_service(struct bed *bed)
{
	struct subject_request request;

	for (unsigned i = 0; i < 2 * SIZE; i++) {
		bed_add(bed, &request, i);
		harness_kick(&bed->h, bed->subject->queue);
		bed->subject->release(bed, 1);
		assert_int_equal(bed_collect(bed), 1);
	}
}

/* hostile: A96 H15: what was in flight is over with the reset, and nothing of it comes later. */
static void reset_in_flight(void **state)
{
	struct subject_request requests[IN_FLIGHT];

	for (unsigned i = 0; i < 2 * SUBJECTS; i++) {
		struct bed *bed = open_bed(i / 2, i & 1);
		size_t used;

		put_in_flight(bed, requests);
		used = bed->h.used;
		assert_int_equal(vio_device_write_status(&bed->h.dev, 0), 0);
		memset(bed->room, 0xa7, used);
		bed->subject->release(bed, 0);
		for (size_t at = 0; at < used; at++)
			assert_int_equal(bed->room[at], 0xa7);
		memset(bed->room, 0, used);
		harness_reset(&bed->h);
		start(bed, i & 1);
		fake_network_clear(&bed->network);
		expect_service(bed);
		assert_int_equal(bed->h.faults, 0);
		bed_free(bed);
	}
}

/* hostile: A97: one queue stops with requests in flight and goes on where it was: each is answered once. */
static void queue_stops_in_flight(void **state)
{
	struct subject_request requests[IN_FLIGHT];

	for (unsigned i = 0; i < 2 * SUBJECTS; i++) {
		struct bed *bed = open_bed(i / 2, i & 1);
		uint16_t queue = bed->subject->queue;
		struct vio_devq_config config;
		unsigned done;

		put_in_flight(bed, requests);
		config = bed->h.dev.queue_configs[queue];
		config.at = vio_device_queue_stop(&bed->h.dev, queue);
		done = bed_collect(bed);
		vio_drvq_kick(&bed->h.queues[queue].q);
		bed->subject->release(bed, 0);
		assert_int_equal(bed_collect(bed), 0);
		assert_int_equal(vio_device_queue_start(&bed->h.dev, queue, &config), 0);
		bed->subject->release(bed, IN_FLIGHT - done);
		assert_int_equal(bed_collect(bed), IN_FLIGHT - done);
		expect_service(bed);
		assert_int_equal(bed->h.faults, 0);
		bed_free(bed);
	}
}

/* hostile: H14: the device goes, its memory goes, then the backend. */
static void pulled_out_in_flight(void **state)
{
	struct subject_request requests[IN_FLIGHT];

	for (unsigned i = 0; i < 2 * SUBJECTS; i++) {
		struct bed *bed = open_bed(i / 2, i & 1);

		put_in_flight(bed, requests);
		vio_device_detach(&bed->h.dev);
		memset(bed->room, 0, bed->h.used);
		bed->subject->release(bed, 0);
		for (size_t at = 0; at < bed->h.used; at++)
			assert_int_equal(bed->room[at], 0);
		bed_free(bed);
	}
}

/* hostile: A100: the configuration of each type at every offset and width, and beyond, in flight. */
static void configurations_have_ends(void **state)
{
	struct subject_request requests[IN_FLIGHT];

	for (unsigned i = 0; i < SUBJECTS; i++) {
		struct bed *bed = open_bed(i, true);

		put_in_flight(bed, requests);
		harness_poke_config(&bed->h, i + 1);
		bed_free(bed);
	}
}

/* A head that no descriptor has, on each queue in turn; packed, an id. */
static void lie(struct bed *bed, uint16_t queue)
{
	const struct vio_devq *q = &bed->h.dev.queues[queue];

	if (q->packed) {
		q->ring[q->avail_next & ~PVIRTQ_WRAP].id = vio_le16_make(0xffff);
		q->ring[q->avail_next & ~PVIRTQ_WRAP].flags = vio_le16_make(VIRTQ_DESC_F_AVAIL);
		q->ring[q->avail_next & ~PVIRTQ_WRAP].len = vio_le32_make(0);
	} else {
		q->avail->ring[q->avail_next % q->size] = vio_le16_make(0xffff);
		q->avail->idx = vio_le16_make((uint16_t)(q->avail_next + 1));
	}
	vio_device_kick(&bed->h.dev, queue);
}

/* hostile: A7 A63 H24: fifty devices of all types; each type is told a lie, and the others don't notice. */
static void one_of_many(void **state)
{
	struct bed *beds[MANY];

	for (unsigned i = 0; i < MANY; i++)
		beds[i] = open_bed(i % SUBJECTS, i / SUBJECTS & 1);
	for (unsigned liar = 0; liar < 2 * SUBJECTS; liar++) {
		struct bed *bed = beds[liar];

		/* An input device looks for buffers when there is something for them. */
		bed->subject->release(bed, bed->subject == &subjects[SUBJECTS - 1]);
		lie(bed, bed->subject->queue);
		assert_int_equal(bed->h.faults, 1);
		assert_true(bed->h.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
		for (unsigned i = 0; i < MANY; i++) {
			if (i == liar)
				continue;
			beds[i]->h.used = WORK_AT;
			expect_service(beds[i]);
			fake_network_clear(&beds[i]->network);
			assert_int_equal(beds[i]->h.faults, 0);
		}
		harness_reset(&bed->h);
		start(bed, true);
		bed->h.faults = 0;
		expect_service(bed);
	}
	for (unsigned i = 0; i < MANY; i++)
		bed_free(beds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_in_flight),      cmocka_unit_test(queue_stops_in_flight),
		cmocka_unit_test(pulled_out_in_flight), cmocka_unit_test(configurations_have_ends),
		cmocka_unit_test(one_of_many),
	};

	return cmocka_run_group_tests_name("lives of devices", tests, NULL, NULL);
}
