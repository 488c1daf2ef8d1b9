/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user/fixture.h"

/*
 * Packed queues across the socket: where one stands is told in two halves, what is taken
 * next below and what is filled next above, each with its wrap counter on top.
 */
#define PACKED     FEATURE(VIRTIO_F_RING_PACKED)
#define FIRST      (PVIRTQ_WRAP | (uint32_t)PVIRTQ_WRAP << 16)
#define PER_BUFFER 2u /* entries, without indirect descriptors */

static void prepare(struct frontend *fe, uint64_t features)
{
	frontend_connect(fe);
	frontend_negotiate(fe, features, USUAL_PROTOCOL);
	assert_int_equal(frontend_share_memory(fe), 0);
	frontend_queue_make(fe, 0, features);
	assert_true(fe->queues[0].drvq.packed);
}

/* Both halves after so many buffers, all of them given back. */
static uint32_t base_after(unsigned buffers)
{
	const unsigned entries = buffers * PER_BUFFER;
	const uint32_t lap = entries / BED_QUEUE_SIZE & 1 ? 0 : PVIRTQ_WRAP;
	const uint32_t at = entries % BED_QUEUE_SIZE | lap;

	return at | at << 16;
}

static void is_offered(void **state)
{
	struct fixture *f = *state;

	frontend_connect(&f->fe);
	assert_true(frontend_get_u64(&f->fe, VHOST_USER_GET_FEATURES) & PACKED);
}

static void serves_lap_after_lap(void **state)
{
	const uint64_t more[] = { 0, FEATURE(VIRTIO_F_EVENT_IDX), FEATURE(VIRTIO_F_INDIRECT_DESC),
				  FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC) };
	struct fixture *f = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(more); i++) {
		prepare(&f->fe, USUAL_FEATURES | PACKED | more[i]);
		frontend_queue_start(&f->fe, 0, FIRST);
		for (unsigned round = 0; round < 5 * BED_QUEUE_SIZE; round++)
			frontend_roundtrip(&f->fe, 0, (uint8_t)round);
		frontend_hang_up(&f->fe);
		f->bed.closed = 0;
	}
}

/* On the first lap and on later ones, at its begin, within and at its end. */
static void goes_on_at_the_base(void **state)
{
	static const unsigned counts[] = { 0, 1, 31, 32, 33, 63, 64, 65, 95, 96 };
	const uint64_t features = USUAL_FEATURES | PACKED;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(counts); i++) {
		prepare(fe, features);
		frontend_queue_start(fe, 0, FIRST);
		for (unsigned round = 0; round < counts[i]; round++)
			frontend_roundtrip(fe, 0, (uint8_t)round);
		assert_int_equal(frontend_queue_stop(fe, 0), base_after(counts[i]));
		frontend_offer(fe, 0, 42);
		assert_false(frontend_answered(fe, 0, 42));
		assert_int_equal(frontend_queue_stop(fe, 0), base_after(counts[i]));

		frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
		assert_int_equal(frontend_share_memory(fe), 0);
		frontend_queue_start(fe, 0, base_after(counts[i]));
		assert_true(frontend_answered(fe, 0, 42));
		for (unsigned round = 0; round < BED_QUEUE_SIZE; round++)
			frontend_roundtrip(fe, 0, (uint8_t)round);
		assert_int_equal(frontend_queue_stop(fe, 0), base_after(counts[i] + 1 + BED_QUEUE_SIZE));
		frontend_hang_up(fe);
		f->bed.closed = 0;
	}
}

/* What was taken is given back before the position is told: its halves are the same. */
static void the_base_comes_after_what_was_taken(void **state)
{
	struct fixture *f = *state;

	prepare(&f->fe, USUAL_FEATURES | PACKED);
	frontend_queue_start(&f->fe, 0, FIRST);
	f->bed.echo->hold = true;
	frontend_offer(&f->fe, 0, 5);
	assert_false(frontend_answered(&f->fe, 0, 5));
	assert_int_equal(frontend_queue_stop(&f->fe, 0), base_after(1));
	f->bed.echo->hold = false;
	assert_true(frontend_answered(&f->fe, 0, 5));
}

/* Front ends that tell only what is taken next, and such as tell nothing of a queue that never ran. */
static void half_a_base_will_do(void **state)
{
	static const uint32_t bases[] = { PVIRTQ_WRAP, 0 };
	struct fixture *f = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bases); i++) {
		prepare(&f->fe, USUAL_FEATURES | PACKED);
		frontend_queue_start(&f->fe, 0, bases[i]);
		for (unsigned round = 0; round < 2 * BED_QUEUE_SIZE; round++)
			frontend_roundtrip(&f->fe, 0, (uint8_t)round);
		assert_int_equal(frontend_queue_stop(&f->fe, 0), base_after(2 * BED_QUEUE_SIZE));
		frontend_hang_up(&f->fe);
		f->bed.closed = 0;
	}
}

/* 0 is a true position, too, at the begin of every second lap. */
static void a_base_of_nothing_is_looked_into(void **state)
{
	const uint64_t features = USUAL_FEATURES | PACKED;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	prepare(fe, features);
	frontend_queue_start(fe, 0, FIRST);
	for (unsigned round = 0; round < BED_QUEUE_SIZE / PER_BUFFER; round++)
		frontend_roundtrip(fe, 0, (uint8_t)round);
	assert_int_equal(frontend_queue_stop(fe, 0), 0);
	frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
	frontend_queue_start(fe, 0, 0);
	for (unsigned round = 0; round < BED_QUEUE_SIZE; round++)
		frontend_roundtrip(fe, 0, (uint8_t)round);
}

/* hostile: C19, and the next try is a new one. */
static void a_base_beyond_the_ring_is_refused(void **state)
{
	static const uint32_t bases[] = { PVIRTQ_WRAP | BED_QUEUE_SIZE, PVIRTQ_WRAP | 0x7fffu,
					  (PVIRTQ_WRAP | BED_QUEUE_SIZE) << 16 | PVIRTQ_WRAP };
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bases); i++) {
		prepare(fe, USUAL_FEATURES | PACKED);
		assert_int_equal(frontend_queue_num(fe, 0, BED_QUEUE_SIZE), 0);
		assert_int_equal(frontend_queue_addr(fe, 0), 0);
		assert_int_equal(frontend_queue_call(fe, 0), 0);
		assert_int_equal(frontend_queue_kick(fe, 0), 0);
		assert_int_equal(frontend_queue_base(fe, 0, bases[i]), 0);
		assert_int_not_equal(frontend_queue_enable(fe, 0, 1), 0);
		assert_int_equal(frontend_queue_base(fe, 0, FIRST), 0);
		frontend_roundtrip(fe, 0, 1);
		frontend_hang_up(fe);
		f->bed.closed = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(is_offered),
		FIXTURE_CASE(serves_lap_after_lap),
		FIXTURE_CASE(goes_on_at_the_base),
		FIXTURE_CASE(the_base_comes_after_what_was_taken),
		FIXTURE_CASE(half_a_base_will_do),
		FIXTURE_CASE(a_base_of_nothing_is_looked_into),
		FIXTURE_CASE(a_base_beyond_the_ring_is_refused),
	};

	return cmocka_run_group_tests_name("vhost-user, packed", tests, NULL, NULL);
}
