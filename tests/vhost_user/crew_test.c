/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user/fixture.h"

#include <string.h>
#include <unistd.h>

/*
 * A back end whose queues belong to others. The crew here is one thread that keeps count: whatever
 * a queue's thread does happens while nobody is halted, whatever concerns the device while all are.
 */
static struct {
	struct bed *bed;
	unsigned halted; /* by now */
	unsigned halts;  /* ever */
	unsigned asked;  /* for watchers */
	unsigned added;  /* kick descriptors, in the queues' own loop */
	struct vio_task *posted;
} crew;

static int add(void *context, struct vio_watch *watch)
{
	assert_true(crew.halted);
	crew.added++;
	return crew.bed->watcher.add(crew.bed, watch);
}

static void remove_watch(void *context, struct vio_watch *watch)
{
	crew.bed->watcher.remove(crew.bed, watch);
}

static void defer(void *context, struct vio_task *task)
{
	crew.bed->watcher.defer(crew.bed, task);
}

static void cancel(void *context, struct vio_task *task)
{
	assert_true(crew.halted);
	crew.bed->watcher.cancel(crew.bed, task);
}

static struct vio_watcher crew_watcher(void *context, uint16_t queue)
{
	crew.asked++;
	return (struct vio_watcher){
		.context = &crew, .add = add, .remove = remove_watch, .defer = defer, .cancel = cancel
	};
}

static void crew_halt(void *context)
{
	crew.halted++;
	crew.halts++;
}

static void crew_resume(void *context)
{
	assert_true(crew.halted);
	crew.halted--;
}

static void crew_post(void *context, struct vio_task *task)
{
	assert_false(crew.halted);
	assert_true(!crew.posted || crew.posted == task);
	crew.posted = task;
}

static void crew_cancel(void *context, struct vio_task *task)
{
	assert_true(crew.halted);
	if (crew.posted == task)
		crew.posted = NULL;
}

static int setup(void **state)
{
	const struct vio_watch_crew table = { &crew,       crew_watcher, crew_halt,
					      crew_resume, crew_post,    crew_cancel };
	struct fixture *f;

	fixture_setup(state);
	f = *state;
	memset(&crew, 0, sizeof(crew));
	crew.bed = &f->bed;
	vio_vhost_user_spread(f->bed.backend, &table);
	assert_int_equal(crew.asked, VIO_VHOST_USER_QUEUES_MAX);
	return 0;
}

static int teardown(void **state)
{
	int result = fixture_teardown(state);

	assert_int_equal(crew.halted, 0);
	assert_null(crew.posted);
	return result;
}

static void run_posted(void)
{
	struct vio_task *task = crew.posted;

	assert_non_null(task);
	crew.posted = NULL;
	crew_halt(NULL);
	task->run(task);
	crew_resume(NULL);
}

/* hostile: A66: an index that can't be: the queue is dead, and the device is told when all stand still. */
static void break_queue(struct frontend *fe, unsigned queue)
{
	const struct vhost_user_vring_addr areas = frontend_areas(fe, queue);
	const uint64_t one = 1;
	uint16_t index = 30000;

	memcpy(fe->memory + (areas.available - FRONTEND_USER) + 2, &index, sizeof(index));
	assert_int_equal(write(fe->queues[queue].kick, &one, sizeof(one)), sizeof(one));
	bed_settle(fe->bed);
}

static void messages_halt(void **state)
{
	struct frontend *fe = fixture_running(state);
	unsigned halts = crew.halts;

	assert_true(crew.added >= 1);
	frontend_roundtrip(fe, 0, 2);
	assert_int_equal(crew.halts, halts);
	frontend_get_u64(fe, VHOST_USER_GET_FEATURES);
	assert_int_equal(crew.halts, halts + 1);
}

static void a_fault_is_told_when_all_stand_still(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);

	break_queue(fe, 0);
	assert_int_equal(f->bed.dev.fault_count, 0);
	assert_int_equal(f->bed.lines, 0);
	assert_false(f->bed.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	run_posted();
	assert_int_equal(f->bed.dev.fault_count, 1);
	assert_int_equal(f->bed.lines, 1);
	assert_true(f->bed.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* A reset came first: what is left of the fault is nothing. */
static void a_fault_goes_with_a_reset(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);
	const uint64_t features = USUAL_FEATURES;

	break_queue(fe, 0);
	assert_non_null(crew.posted);
	assert_int_equal(frontend_ask(fe, VHOST_USER_RESET_DEVICE, NULL, 0), 0);
	assert_null(crew.posted);
	assert_int_equal(f->bed.dev.fault_count, 0);
	frontend_send(fe, VHOST_USER_SET_FEATURES, &features, 8);
	frontend_queue_make(fe, 0, features);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 3);
}

static void hanging_up_takes_all_back(void **state)
{
	struct frontend *fe = fixture_running(state);

	break_queue(fe, 0);
	frontend_hang_up(fe);
	assert_null(crew.posted);
	assert_int_equal(crew.halted, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(messages_halt),
		CASE(a_fault_is_told_when_all_stand_still),
		CASE(a_fault_goes_with_a_reset),
		CASE(hanging_up_takes_all_back),
	};

	return cmocka_run_group_tests_name("vhost-user-crew", tests, NULL, NULL);
}
