/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user/fixture.h"

#include <string.h>

/* Queues, configuration and status set to what they can't be, or when they can't. */

/* hostile: C16 */
static void queues_that_are_not_there(void **state)
{
	struct frontend *fe = fixture_running(state);
	static const uint32_t indices[] = { BED_QUEUES, 255, 0x100, 0x10000, 0x80000000, UINT32_MAX };
	struct vhost_user_vring_addr areas = frontend_areas(fe, 0);

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(indices); i++) {
		uint64_t word = indices[i];

		assert_int_not_equal(frontend_queue_num(fe, indices[i], 16), 0);
		assert_int_not_equal(frontend_queue_base(fe, indices[i], 0), 0);
		assert_int_not_equal(frontend_queue_enable(fe, indices[i], 1), 0);
		areas.index = indices[i];
		assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &areas, sizeof(areas)), 0);
		for (uint32_t request = VHOST_USER_SET_VRING_KICK; request <= VHOST_USER_SET_VRING_ERR;
		     request++)
			assert_int_not_equal(frontend_ask_fds(fe, request, &word, 8, &fe->queues[0].kick, 1),
					     0);
		word = UINT64_C(1) << 32;
		assert_int_not_equal(
			frontend_ask_fds(fe, VHOST_USER_SET_VRING_KICK, &word, 8, &fe->queues[0].kick, 1), 0);
		frontend_roundtrip(fe, 0, (uint8_t)i);
	}
}

/* GET_VRING_BASE has no way to say no. */
static void base_of_a_queue_that_is_not_there(void **state)
{
	struct frontend *fe = fixture_running(state);
	const struct vhost_user_vring_state wrong = { BED_QUEUES, 0 };
	const struct frontend_message message = { VHOST_USER_GET_VRING_BASE,
						  VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_NEED_REPLY,
						  sizeof(wrong),
						  &wrong,
						  sizeof(wrong),
						  NULL,
						  0 };

	frontend_send_raw(fe, &message);
	fixture_expect_dropped(fe);
}

/* hostile: C18 */
static void addresses_that_cannot_be(void **state)
{
	struct frontend *fe = fixture_ready(state);
	struct vhost_user_vring_addr good, bad;
	const uint64_t end = FRONTEND_USER + FRONTEND_MEMORY_BYTES;
	const struct {
		uint64_t descriptor, available, used;
	} wrong[] = {
		{ 0, FRONTEND_USER + 0x1000, FRONTEND_USER + 0x2000 },
		{ FRONTEND_USER - 16, FRONTEND_USER + 0x1000, FRONTEND_USER + 0x2000 },
		{ FRONTEND_USER, end, FRONTEND_USER + 0x2000 },
		{ FRONTEND_USER, FRONTEND_USER + 0x1000, end - 16 },
		{ end - 16, FRONTEND_USER + 0x1000, FRONTEND_USER + 0x2000 },
		{ FRONTEND_USER + 8, FRONTEND_USER + 0x1000, FRONTEND_USER + 0x2000 },
		{ FRONTEND_USER, FRONTEND_USER + 0x1001, FRONTEND_USER + 0x2000 },
		{ FRONTEND_USER, FRONTEND_USER + 0x1000, FRONTEND_USER + 0x2002 },
		{ FRONTEND_USER, FRONTEND_USER, FRONTEND_USER + 0x2000 },
		{ FRONTEND_USER, FRONTEND_USER + 0x1000, FRONTEND_USER + 0x1004 },
		{ UINT64_MAX - 15, FRONTEND_USER + 0x1000, FRONTEND_USER + 0x2000 },
	};

	frontend_queue_make(fe, 0, USUAL_FEATURES);
	good = bad = frontend_areas(fe, 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		uint64_t refused = 0;

		bad.descriptor = wrong[i].descriptor;
		bad.available = wrong[i].available;
		bad.used = wrong[i].used;
		assert_int_equal(frontend_queue_num(fe, 0, BED_QUEUE_SIZE), 0);
		refused |= frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &bad, sizeof(bad));
		refused |= frontend_queue_kick(fe, 0);
		refused |= frontend_queue_enable(fe, 0, 1);
		assert_int_not_equal(refused, 0);
		assert_false(fe->bed->dev.queues[0].running);
		frontend_queue_enable(fe, 0, 0);
		frontend_queue_stop(fe, 0);
	}
	bad = good;
	bad.flags = 2;
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &bad, sizeof(bad)), 0);
	bad.flags = 2 | VHOST_USER_VRING_F_LOG;
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &bad, sizeof(bad)), 0);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 1);
}

/*
 * hostile: C18; user addresses that touch may be bus addresses that don't, and
 * then something else may lie at the bus addresses in between.
 */
static void rings_across_regions(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_table table = { .nregions = 3 };
	const int fds[3] = { fe->memory_fd, fe->memory_fd, fe->memory_fd };
	uint64_t refused = 0;

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	fe->queues[0].offset = 0xe00;
	table.regions[0] = frontend_region(0, 0x1000);
	table.regions[1] = frontend_region(0x1000, FRONTEND_HALF);
	table.regions[1].guest_phys_addr += 0x10000000;
	table.regions[2] = (struct vhost_user_mem_region){ FRONTEND_BUS + 0x1000, 0x1000, 0x1000, 0x1000 };
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 104, fds, 3), 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	refused |= frontend_queue_num(fe, 0, BED_QUEUE_SIZE);
	refused |= frontend_queue_addr(fe, 0);
	refused |= frontend_queue_kick(fe, 0);
	refused |= frontend_queue_enable(fe, 0, 1);
	/* Half of the 64 descriptors lie in the first region, the others behind its end. */
	assert_int_not_equal(refused, 0);
	assert_false(f->bed.dev.queues[0].running);
}

/* hostile: C19 */
static void numbers_that_cannot_be(void **state)
{
	struct frontend *fe = fixture_ready(state);
	static const uint32_t sizes[] = {
		0, 3, 5, 63, 65, 128, 32768, 65536, 0x10040, 0x80000000, UINT32_MAX
	};
	static const uint32_t bases[] = { 0x10000, 0x80008000, 0x80000000, UINT32_MAX };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++)
		assert_int_not_equal(frontend_queue_num(fe, 0, sizes[i]), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bases); i++)
		assert_int_not_equal(frontend_queue_base(fe, 0, bases[i]), 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 1);
}

/* A base that the rings don't bear out is the driver's lie, found at the first look. */
static void a_base_out_of_nowhere(void **state)
{
	struct frontend *fe = fixture_ready(state);

	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 40000);
	bed_settle(fe->bed);
	assert_int_equal(frontend_drain(fe->queues[0].err), 1);
	assert_true(fe->bed->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* hostile: C20 */
static void settings_while_the_queue_runs(void **state)
{
	struct frontend *fe = fixture_running(state);
	struct vhost_user_vring_addr areas = frontend_areas(fe, 0);
	uint64_t features = USUAL_FEATURES | FEATURE(VIRTIO_F_EVENT_IDX);

	assert_int_not_equal(frontend_queue_num(fe, 0, 16), 0);
	assert_int_not_equal(frontend_queue_base(fe, 0, 3), 0);
	areas.used += 0x1000;
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &areas, sizeof(areas)), 0);
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_FEATURES, &features, 8), 0);
	assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	/* The same addresses again, as QEMU sends them, change nothing. */
	assert_int_equal(frontend_queue_addr(fe, 0), 0);
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C21 */
static void base_without_start_and_twice(void **state)
{
	struct frontend *fe = fixture_ready(state);

	assert_int_equal(frontend_queue_stop(fe, 0), 0);
	assert_int_equal(frontend_queue_base(fe, 1, 1234), 0);
	assert_int_equal(frontend_queue_stop(fe, 1), 1234);
	assert_int_equal(frontend_queue_stop(fe, 1), 1234);
	/* Another kick descriptor is what starts it again. */
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 1);
	assert_int_equal(frontend_queue_stop(fe, 0), 1);
	assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	assert_int_equal(frontend_queue_num(fe, 0, BED_QUEUE_SIZE), 0);
	frontend_offer(fe, 0, 2);
	assert_false(frontend_answered(fe, 0, 2));
	assert_int_equal(frontend_queue_kick(fe, 0), 0);
	assert_true(frontend_answered(fe, 0, 2));
}

/* hostile: C24 */
static void enable_oddly(void **state)
{
	struct frontend *fe = fixture_ready(state);

	assert_int_not_equal(frontend_queue_enable(fe, 0, 2), 0);
	assert_int_not_equal(frontend_queue_enable(fe, 0, UINT32_MAX), 0);
	/* Before everything else is legal. */
	assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	assert_int_equal(frontend_queue_call(fe, 0), 0);
	assert_int_equal(frontend_queue_base(fe, 0, 0), 0);
	assert_int_equal(frontend_queue_kick(fe, 0), 0);
	assert_int_equal(frontend_queue_addr(fe, 0), 0);
	assert_int_equal(frontend_queue_num(fe, 0, BED_QUEUE_SIZE), 0);
	frontend_roundtrip(fe, 0, 1);
}

static bool get_config(struct frontend *fe, uint32_t offset, uint32_t size, uint32_t bytes)
{
	struct vhost_user_config config = { offset, size, 0, { 0 } };

	frontend_send(fe, VHOST_USER_GET_CONFIG, &config, bytes);
	assert_true(frontend_receive(fe));
	return fe->header.size > 0;
}

static uint64_t set_config(struct frontend *fe, uint32_t offset, uint32_t size, uint32_t flags,
			   uint32_t bytes)
{
	struct vhost_user_config config = { offset, size, flags, { 0 } };

	return frontend_ask(fe, VHOST_USER_SET_CONFIG, &config, bytes);
}

/* hostile: C28 */
static void configuration_out_of_bounds(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);
	uint8_t before[BED_CONFIG_BYTES];

	memcpy(before, f->bed.echo->config, sizeof(before));
	assert_false(get_config(fe, 0, 257, 268));
	assert_false(get_config(fe, 1, 256, 268));
	assert_false(get_config(fe, 256, 1, 13));
	assert_false(get_config(fe, UINT32_MAX, 1, 13));
	assert_false(get_config(fe, UINT32_MAX, 2, 14));
	assert_false(get_config(fe, 1, UINT32_MAX, 268));
	assert_false(get_config(fe, 0, 8, 19));
	assert_false(get_config(fe, 0, 8, 21));
	assert_true(get_config(fe, 0, 8, 20));

	assert_int_not_equal(set_config(fe, BED_CONFIG_BYTES, 1, 0, 13), 0);
	assert_int_not_equal(set_config(fe, BED_CONFIG_BYTES - 1, 2, 0, 14), 0);
	assert_int_not_equal(set_config(fe, UINT32_MAX, 2, 0, 14), 0);
	assert_int_not_equal(set_config(fe, 0, 257, 0, 268), 0);
	assert_int_not_equal(set_config(fe, 0, 4, 2, 16), 0);
	assert_int_not_equal(set_config(fe, 0, 4, UINT32_MAX, 16), 0);
	assert_int_not_equal(set_config(fe, 0, 4, 0, 15), 0);
	assert_memory_equal(before, f->bed.echo->config, sizeof(before));
	frontend_roundtrip(fe, 0, 2);
}

/* A driver that writes beyond the space must not be able to end its device's connection. */
static void a_driver_writes_beyond_the_configuration(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);
	const struct vhost_user_config config = { BED_CONFIG_BYTES, 4, 0, { 0 } };

	frontend_send(fe, VHOST_USER_SET_CONFIG, &config, 16);
	assert_int_equal(f->bed.closed, 0);
	assert_int_not_equal(f->bed.lines, 0);
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C30 */
static void status_in_odd_orders(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	static const uint64_t values[] = { 4, 15, 0, 8, 4, 1, 2, 255, 128, 64, 0, 7, 8, 0, 15, 0, 0 };
	uint64_t status = 256;

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL | PROTOCOL(STATUS));
	assert_int_equal(frontend_share_memory(fe), 0);
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &status, 8), 0);
	status = UINT64_C(1) << 32;
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &status, 8), 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(values); i++) {
			assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &values[i], 8), 0);
			status = frontend_get_u64(fe, VHOST_USER_GET_STATUS);
			assert_int_equal(status & ~values[i] & ~(uint64_t)f->bed.dev.status, 0);
			if (!values[i])
				assert_int_equal(status, 0);
		}
		/* The second time with a queue in it. */
		frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL | PROTOCOL(STATUS));
		frontend_queue_make(fe, 0, USUAL_FEATURES);
		frontend_queue_start(fe, 0, 0);
	}
	assert_int_equal(f->bed.closed, 0);
}

/* hostile: C31 */
static void resets_under_load(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);
	static const uint32_t resets[] = { VHOST_USER_RESET_DEVICE, VHOST_USER_RESET_OWNER };
	const uint64_t features = USUAL_FEATURES;

	f->bed.echo->hold = true;
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned j = 0; j < 10; j++)
			frontend_offer(fe, 0, (uint8_t)j);
		if (i % 3)
			bed_settle(&f->bed);
		assert_int_equal(frontend_ask(fe, resets[i % 2], NULL, 0), 0);
		assert_int_equal(f->bed.echo->held_count, 0);
		assert_false(f->bed.dev.queues[0].running);
		frontend_send(fe, VHOST_USER_SET_FEATURES, &features, 8);
		frontend_queue_make(fe, 0, features);
		frontend_queue_start(fe, 0, 0);
	}
	f->bed.echo->hold = false;
	frontend_roundtrip(fe, 0, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(queues_that_are_not_there),
		FIXTURE_CASE(base_of_a_queue_that_is_not_there),
		FIXTURE_CASE(addresses_that_cannot_be),
		FIXTURE_CASE(rings_across_regions),
		FIXTURE_CASE(numbers_that_cannot_be),
		FIXTURE_CASE(a_base_out_of_nowhere),
		FIXTURE_CASE(settings_while_the_queue_runs),
		FIXTURE_CASE(base_without_start_and_twice),
		FIXTURE_CASE(enable_oddly),
		FIXTURE_CASE(configuration_out_of_bounds),
		FIXTURE_CASE(a_driver_writes_beyond_the_configuration),
		FIXTURE_CASE(status_in_odd_orders),
		FIXTURE_CASE(resets_under_load),
	};

	return cmocka_run_group_tests_name("vhost-user-hostile-queues", tests, NULL, NULL);
}
