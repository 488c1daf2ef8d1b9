/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Memory that can't be mapped, or not like that; what was there stays in force. */

static uint64_t set_table(struct frontend *fe, const struct vhost_user_mem_table *table, uint32_t size,
			  unsigned fd_count)
{
	int fds[8];

	for (unsigned i = 0; i < 8; i++)
		fds[i] = fe->memory_fd;
	return frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, table, size, fds, fd_count);
}

/* hostile: C13; the old table stays in force. */
static void memory_tables_that_cannot_be(void **state)
{
	struct frontend *fe = fixture_running(state);
	struct vhost_user_mem_table table = { .nregions = 0 };

	assert_int_not_equal(set_table(fe, &table, 8, 0), 0);
	table.nregions = 9;
	assert_int_not_equal(set_table(fe, &table, 264, 8), 0);
	table.nregions = UINT32_MAX;
	assert_int_not_equal(set_table(fe, &table, 264, 8), 0);
	for (unsigned i = 0; i < 8; i++)
		table.regions[i] = frontend_region(i * 0x10000, 0x10000);
	table.nregions = 8;
	assert_int_equal(set_table(fe, &table, 264, 8), 0);
	/* What the payload doesn't hold isn't a region. */
	assert_int_not_equal(set_table(fe, &table, 72, 8), 0);
	assert_int_not_equal(set_table(fe, &table, 40, 8), 0);
	table.nregions = 3;
	assert_int_not_equal(set_table(fe, &table, 72, 3), 0);
	table.nregions = 2;
	assert_int_not_equal(set_table(fe, &table, 40, 2), 0);
	assert_int_not_equal(set_table(fe, &table, 72, 1), 0);
	assert_int_not_equal(set_table(fe, &table, 72, 3), 0);
	assert_int_equal(leaks_mappings(FRONTEND_MEMORY_NAME), fe->bed->maps_before + 8);
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C13 */
static void regions_that_cannot_be(void **state)
{
	struct frontend *fe = fixture_running(state);
	const uint64_t all = FRONTEND_MEMORY_BYTES;
	const struct vhost_user_mem_region bad[] = {
		{ FRONTEND_BUS, 0, FRONTEND_USER, 0 },
		{ FRONTEND_BUS, all + 1, FRONTEND_USER, 0 },
		{ FRONTEND_BUS, all, FRONTEND_USER, 1 },
		{ FRONTEND_BUS, all, FRONTEND_USER, 0x1000 },
		{ FRONTEND_BUS, 0x1000, FRONTEND_USER, all },
		{ UINT64_MAX - 0xfff, 0x1001, FRONTEND_USER, 0 },
		{ FRONTEND_BUS, 0x1001, UINT64_MAX - 0xfff, 0 },
		{ FRONTEND_BUS, 0x1000, FRONTEND_USER, UINT64_MAX - 0xffe },
		{ FRONTEND_BUS, 0x1000, FRONTEND_USER, (uint64_t)INT64_MAX },
		{ FRONTEND_BUS, UINT64_C(1) << 63, FRONTEND_USER, 0 },
		{ 0, UINT64_MAX, 0, 0 },
		{ FRONTEND_BUS, UINT64_C(1) << 46, FRONTEND_USER, 0 },
	};
	struct vhost_user_mem_table table = { .nregions = 2 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		struct vhost_user_mem_reg slot = { 0, bad[i] };

		table.regions[0] = bad[i];
		table.regions[1] = (struct vhost_user_mem_region){ 0x1000, 0x1000, 0x1000, 0 };
		assert_int_not_equal(set_table(fe, &table, 72, 2), 0);
		table.regions[1] = bad[i];
		table.regions[0] = (struct vhost_user_mem_region){ 0x1000, 0x1000, 0x1000, 0 };
		assert_int_not_equal(set_table(fe, &table, 72, 2), 0);
		assert_int_not_equal(
			frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &fe->memory_fd, 1),
			0);
		frontend_roundtrip(fe, 0, (uint8_t)i);
	}
	/* By bus address, by user address, and the same twice. */
	table.regions[0] = (struct vhost_user_mem_region){ 0x1000, 0x2000, 0x100000, 0 };
	table.regions[1] = (struct vhost_user_mem_region){ 0x2fff, 0x1000, 0x200000, 0 };
	assert_int_not_equal(set_table(fe, &table, 72, 2), 0);
	table.regions[1] = (struct vhost_user_mem_region){ 0x3000, 0x1000, 0x100fff, 0 };
	assert_int_not_equal(set_table(fe, &table, 72, 2), 0);
	table.regions[1] = table.regions[0];
	assert_int_not_equal(set_table(fe, &table, 72, 2), 0);
	assert_int_equal(leaks_mappings(FRONTEND_MEMORY_NAME), fe->bed->maps_before + 1);
	frontend_roundtrip(fe, 0, 100);
}

/* hostile: C13 */
static void memory_replaced_ten_thousand_times(void **state)
{
	struct frontend *fe = fixture_running(state);

	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(frontend_share_memory(fe), 0);
	assert_int_equal(leaks_mappings(FRONTEND_MEMORY_NAME), fe->bed->maps_before + 1);
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C12 C13 */
static void files_that_are_no_memory(void **state)
{
	struct frontend *fe = fixture_running(state);
	const struct vhost_user_mem_table table = { .nregions = 1,
						    .regions = { frontend_region(0, 0x1000) } };
	int fds[8], pipes[2], count = 0;

	assert_int_equal(pipe(pipes), 0);
	fds[count++] = pipes[0];
	fds[count++] = fe->queues[0].kick;
	fds[count++] = fe->socket;
	fds[count++] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[count++] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[count++] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fds[count++] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	/* Sealed against writing. */
	fds[count] = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fds[count], 0x1000), 0);
	assert_int_equal(fcntl(fds[count++], F_ADD_SEALS, F_SEAL_WRITE), 0);
	for (int i = 0; i < count; i++) {
		assert_true(fds[i] >= 0);
		assert_int_not_equal(frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 40, &fds[i], 1),
				     0);
		frontend_roundtrip(fe, 0, (uint8_t)i);
	}
	for (int i = 0; i < count; i++)
		if (fds[i] != fe->queues[0].kick && fds[i] != fe->socket)
			close(fds[i]);
	close(pipes[1]);
}

/* hostile: C14; whatever is refused leaves the queue running. */
static void slots_that_cannot_be(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);
	struct vhost_user_mem_reg slot = { 0, { 0, 0x1000, 0, 0 } };
	const struct vhost_user_mem_region there = frontend_region(0, FRONTEND_MEMORY_BYTES);
	struct vhost_user_mem_reg wrong[3] = { { 0, there }, { 0, there }, { 0, there } };

	wrong[0].region.guest_phys_addr++;
	wrong[1].region.userspace_addr--;
	wrong[2].region.memory_size -= 0x1000;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_not_equal(frontend_ask(fe, VHOST_USER_REM_MEM_REG, &wrong[i], sizeof(wrong[i])),
				     0);
		frontend_roundtrip(fe, 0, (uint8_t)i);
	}
	for (unsigned i = 1; i < VIO_VHOST_USER_REGIONS_MAX; i++) {
		slot.region.guest_phys_addr = slot.region.userspace_addr = i * 0x1000u;
		assert_int_equal(
			frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &fe->memory_fd, 1),
			0);
	}
	/* None is left, and the same again is refused in any case. */
	assert_int_not_equal(
		frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &fe->memory_fd, 1), 0);
	slot.region.guest_phys_addr = slot.region.userspace_addr = 0x1000000;
	assert_int_not_equal(
		frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &fe->memory_fd, 1), 0);
	frontend_roundtrip(fe, 0, 50);
	slot.region.guest_phys_addr = slot.region.userspace_addr = 0x1000;
	assert_int_equal(frontend_ask(fe, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot)), 0);
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot)), 0);
	frontend_roundtrip(fe, 0, 51);
	assert_int_equal(f->bed.closed, 0);
}

/* hostile: C14; a queue whose memory goes away stops, the other one goes on. */
static void memory_of_a_running_queue_goes(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_reg low = { 0, frontend_region(0, 0x4000) };
	struct vhost_user_mem_reg high = { 0, frontend_region(0x4000, FRONTEND_MEMORY_BYTES - 0x4000) };

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &low, sizeof(low), &fe->memory_fd, 1),
			 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &high, sizeof(high), &fe->memory_fd, 1),
			 0);
	for (unsigned queue = 0; queue < 2; queue++) {
		frontend_queue_make(fe, queue, USUAL_FEATURES);
		frontend_queue_start(fe, queue, 0);
		frontend_roundtrip(fe, queue, 1);
	}
	frontend_ask(fe, VHOST_USER_REM_MEM_REG, &low, sizeof(low));
	bed_settle(&f->bed);
	assert_int_equal(frontend_drain(fe->queues[0].err), 1);
	assert_false(f->bed.dev.queues[0].running);
	frontend_offer(fe, 0, 2);
	frontend_roundtrip(fe, 1, 3);
	/* It comes back with its memory. */
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &low, sizeof(low), &fe->memory_fd, 1),
			 0);
	assert_true(frontend_answered(fe, 0, 2));
	frontend_roundtrip(fe, 1, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(memory_tables_that_cannot_be),
		FIXTURE_CASE(regions_that_cannot_be),
		FIXTURE_CASE(memory_replaced_ten_thousand_times),
		FIXTURE_CASE(files_that_are_no_memory),
		FIXTURE_CASE(slots_that_cannot_be),
		FIXTURE_CASE(memory_of_a_running_queue_goes),
	};

	return cmocka_run_group_tests_name("vhost-user-hostile-memory", tests, NULL, NULL);
}
