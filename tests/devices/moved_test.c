/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/subjects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A device of each type, with requests in flight, is saved and destroyed, and another one goes on with
 * its state: in this process behind another mapping of the memory, and in another process. Each request
 * is answered exactly once, rightly, and what the driver had chosen stands.
 *
 * `moved_test serve FD SOCKET SUBJECT` is that other process.
 */
#define SIZE      8u
#define WARM      13u /* requests before: the rings are in their second round */
#define IN_FLIGHT 5u
#define AFTER     11u

/* What the two processes tell each other through the room. */
struct notes {
	uint32_t blob_bytes;
	uint32_t config_bytes;
	uint8_t config[256];
	uint8_t blob[0x8000];
};

struct shape {
	bool packed, in_order;
	uint16_t size;
};

static const struct shape shapes[] = {
	{ false, false, SIZE }, { false, true, SIZE },     { true, false, SIZE },
	{ true, true, SIZE },   { true, false, SIZE - 1 }, { true, true, SIZE - 1 },
};

static struct notes *notes_of(uint8_t *room)
{
	return (struct notes *)(void *)(room + ROOM_NOTES);
}

static void read_config(struct bed *bed, struct notes *notes)
{
	notes->config_bytes = bed->h.dev.config_bytes;
	assert_true(notes->config_bytes <= sizeof(notes->config));
	vio_device_read_config(&bed->h.dev, 0, notes->config, notes->config_bytes);
}

/* A driver has worked for a while, and now three requests are with the device and two on their way. */
static void begin(struct bed *bed, const struct shape *shape, struct subject_request *requests)
{
	const struct subject *subject = bed->subject;
	unsigned done = 0;

	harness_start(&bed->h, bed_features(bed, shape->packed, shape->in_order), shape->size);
	subject->choose(bed);
	for (unsigned i = 0; i < WARM; i++) {
		struct subject_request request;

		bed_add(bed, &request, i);
		harness_kick(&bed->h, subject->queue);
		subject->release(bed, 1);
		assert_int_equal(bed_collect(bed), 1);
	}
	subject->hold(bed);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		bed_add(bed, &requests[i], WARM + i);
		if (i == 2)
			harness_kick(&bed->h, subject->queue);
	}
	/* One of those that were answered is taken back, if there are any. */
	done = harness_get(&bed->h, subject->queue, &(uint32_t){ 0 }) == &requests[0];
	requests[0].completed = done;
	vio_drvq_kick(&bed->h.queues[subject->queue].q);
}

/* Saves and destroys; a driver that kicks now does so in vain. */
static void save(struct bed *bed)
{
	struct notes *notes = notes_of(bed->room);
	size_t bytes;

	read_config(bed, notes);
	bytes = vio_device_save(&bed->h.dev, NULL, 0);
	assert_in_range(bytes, 16, sizeof(notes->blob));
	/* Counting drained it already, and so both say the same. */
	assert_int_equal(vio_device_save(&bed->h.dev, notes->blob, sizeof(notes->blob)), bytes);
	notes->blob_bytes = (uint32_t)bytes;
	assert_int_equal(bed->h.faults, 0);
	bed_end_device(bed);
}

static void load(struct bed *bed)
{
	const struct notes *notes = notes_of(bed->room);
	int error = vio_device_load(&bed->h.dev, notes->blob, notes->blob_bytes);

	if (error)
		fail_msg("%s: %s %llu", vio_strerror(error), bed->h.dev.refusal.what,
			 (unsigned long long)bed->h.dev.refusal.value);
	assert_null(bed->h.dev.refusal.what);
	assert_true(vio_device_running(&bed->h.dev));
}

static void expect_config(const struct subject *subject, const struct notes *before, const struct notes *now)
{
	uint32_t same = subject->config_changes ? subject->config_changes : before->config_bytes;

	assert_int_equal(now->config_bytes, before->config_bytes);
	assert_memory_equal(now->config, before->config, same);
	if (subject->config_changes)
		assert_memory_equal(now->config + subject->config_stays_at,
				    before->config + subject->config_stays_at,
				    before->config_bytes - subject->config_stays_at);
}

/* How the other place is asked for something; `what`: 'k'ick, 'r'elease. */
typedef void ask_fn(void *context, char what, unsigned count);

/* The driver's part from then on. */
static void go_on(struct bed *driver, struct subject_request *requests, void *context, ask_fn *ask)
{
	unsigned left = 0, got;
	struct subject_request more[AFTER];

	for (unsigned i = 0; i < IN_FLIGHT; i++)
		left += !requests[i].completed;
	got = bed_collect(driver);
	ask(context, 'r', left - got);
	assert_int_equal(got + bed_collect(driver), left);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		assert_int_equal(requests[i].completed, 1);
	for (unsigned i = 0; i < AFTER; i++) {
		bed_add(driver, &more[i], WARM + IN_FLIGHT + i);
		harness_kick(&driver->h, driver->subject->queue);
		ask(context, 'k', driver->subject->queue);
		ask(context, 'r', 1);
		assert_int_equal(bed_collect(driver), 1);
	}
}

static void obey(struct bed *bed, char what, unsigned count)
{
	if (what == 'k')
		vio_device_kick(&bed->h.dev, (uint16_t)count);
	else
		bed->subject->release(bed, count);
}

static void ask_here(void *context, char what, unsigned count)
{
	obey(context, what, count);
}

static void judge_terminals(const struct bed *from, const struct bed *to)
{
	unsigned at = 0;

	for (; at < from->terminal.shown_bytes; at++)
		assert_int_equal(from->terminal.shown[at], (uint8_t)at);
	for (unsigned i = 0; i < to->terminal.shown_bytes; i++, at++)
		assert_int_equal(to->terminal.shown[i], (uint8_t)at);
	if (at)
		assert_int_equal(at, 10 * (WARM + IN_FLIGHT + AFTER));
}

static void judge_networks(const struct bed *from, const struct bed *to)
{
	unsigned sent = from->network.sent_count + to->network.sent_count;

	if (sent)
		assert_int_equal(sent, WARM + IN_FLIGHT + AFTER);
}

static void move_here(const struct subject *subject, const struct shape *shape)
{
	struct subject_request requests[IN_FLIGHT];
	int fd = room_make();
	struct bed *from = bed_make(subject, room_map(fd), true), *to;
	struct notes before;

	begin(from, shape, requests);
	save(from);
	before = *notes_of(from->room);
	to = bed_make(subject, room_map(fd), false);
	load(to);
	read_config(to, notes_of(to->room));
	expect_config(subject, &before, notes_of(to->room));
	go_on(from, requests, to, ask_here);
	judge_terminals(from, to);
	judge_networks(from, to);
	assert_int_equal(to->h.faults, 0);
	bed_free(to);
	bed_free(from);
	close(fd);
}

static void all_types_move(void **state)
{
	for (unsigned i = 0; i < SUBJECTS; i++)
		for (unsigned j = 0; j < VIO_ARRAY_SIZE(shapes); j++)
			move_here(&subjects[i], &shapes[j]);
}

/* Another process. */

struct request {
	char what;
	uint32_t count;
};

static int serve(int fd, int control, unsigned number)
{
	struct bed *bed = bed_make(&subjects[number], room_map(fd), false);
	struct request request = { 'l', 0 };
	bool good = true;

	load(bed);
	read_config(bed, notes_of(bed->room));
	do {
		if (request.what != 'l')
			obey(bed, request.what, request.count);
		good = write(control, &request, sizeof(request)) == sizeof(request) &&
		       read(control, &request, sizeof(request)) == sizeof(request);
	} while (good && request.what != 'q');
	good = good && !bed->h.faults;
	bed_free(bed);
	return good ? 0 : 1;
}

static void await(int control)
{
	struct request answer;

	assert_int_equal(read(control, &answer, sizeof(answer)), sizeof(answer));
}

static void ask_there(void *context, char what, unsigned count)
{
	const struct request request = { what, count };
	int control = *(int *)context;

	assert_int_equal(write(control, &request, sizeof(request)), sizeof(request));
	await(control);
}

static pid_t start_process(int fd, int control, unsigned number)
{
	char arguments[3][16];
	pid_t child;

	snprintf(arguments[0], sizeof(arguments[0]), "%d", fd);
	snprintf(arguments[1], sizeof(arguments[1]), "%d", control);
	snprintf(arguments[2], sizeof(arguments[2]), "%u", number);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		execl("/proc/self/exe", "moved_test", "serve", arguments[0], arguments[1], arguments[2],
		      (char *)NULL);
		_exit(2);
	}
	return child;
}

static void move_there(unsigned number, const struct shape *shape)
{
	const struct subject *subject = &subjects[number];
	struct subject_request requests[IN_FLIGHT];
	const struct request quit = { 'q', 0 };
	int fd = room_make(), control[2], status;
	struct bed *from = bed_make(subject, room_map(fd), true);
	struct notes before;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control), 0);
	begin(from, shape, requests);
	save(from);
	before = *notes_of(from->room);
	child = start_process(fd, control[1], number);
	close(control[1]);
	await(control[0]); /* it has loaded */
	expect_config(subject, &before, notes_of(from->room));
	go_on(from, requests, &control[0], ask_there);
	assert_int_equal(write(control[0], &quit, sizeof(quit)), sizeof(quit));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(control[0]);
	bed_free(from);
	close(fd);
}

static void all_types_move_to_another_process(void **state)
{
	for (unsigned i = 0; i < SUBJECTS; i++)
		for (unsigned j = 0; j < 4; j++)
			move_there(i, &shapes[j]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_move),
		cmocka_unit_test(all_types_move_to_another_process),
	};

	if (argc == 5 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]), atoi(argv[3]), (unsigned)atoi(argv[4]));
	return cmocka_run_group_tests_name("moved devices", tests, NULL, NULL);
}
