/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vireo/guard.h>

/*
 * Requests in flight, written down in a file. A back end that dies is played by one whose memory and file are
 * put back to what they were at that moment, after it ended in order.
 */
#define WITH_FILE (USUAL_PROTOCOL | PROTOCOL(INFLIGHT_SHMFD))
#define PACKED    FEATURE(VIRTIO_F_RING_PACKED)
#define INDIRECT  FEATURE(VIRTIO_F_INDIRECT_DESC)
#define FIRST     (PVIRTQ_WRAP | (uint32_t)PVIRTQ_WRAP << 16)
#define SHORT     offsetof(struct vhost_user_inflight, padding)

struct file {
	struct vhost_user_inflight wire;
	int fd;
	uint8_t *bytes;
};

struct moment {
	uint8_t *memory, *file;
};

/* Receives the reply to GET_INFLIGHT_FD, and the descriptor that may come along. */
static int receive_file(struct frontend *fe, struct vhost_user_inflight *wire, uint32_t size)
{
	struct vhost_user_header header;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov[2] = { { &header, sizeof(header) }, { wire, size } };
	struct msghdr msg = {
		.msg_iov = iov, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	int fd = -1;

	assert_int_equal(recvmsg(fe->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), sizeof(header) + size);
	assert_int_equal(header.request, VHOST_USER_GET_INFLIGHT_FD);
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int ask_for_file(struct frontend *fe, struct vhost_user_inflight *wire, uint32_t size)
{
	frontend_send(fe, VHOST_USER_GET_INFLIGHT_FD, wire, size);
	return receive_file(fe, wire, size);
}

static uint64_t give_file(struct frontend *fe, const struct file *file)
{
	return frontend_ask_fds(fe, VHOST_USER_SET_INFLIGHT_FD, &file->wire, sizeof(file->wire), &file->fd,
				1);
}

static void open_file(struct frontend *fe, struct file *file)
{
	file->wire = (struct vhost_user_inflight){ .num_queues = BED_QUEUES, .queue_size = BED_QUEUE_SIZE };
	file->fd = ask_for_file(fe, &file->wire, sizeof(file->wire));
	assert_true(file->fd >= 0);
	file->bytes = mmap(NULL, file->wire.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	assert_true(file->bytes != MAP_FAILED);
}

static void close_file(struct file *file)
{
	munmap(file->bytes, file->wire.mmap_size);
	close(file->fd);
}

static struct moment remember(const struct frontend *fe, const struct file *file)
{
	struct moment moment = { malloc(FRONTEND_MEMORY_BYTES), malloc(file->wire.mmap_size) };

	memcpy(moment.memory, fe->memory, FRONTEND_MEMORY_BYTES);
	memcpy(moment.file, file->bytes, file->wire.mmap_size);
	return moment;
}

/* The back end ends, and what it did from the moment on didn't happen. */
static void die_at(struct frontend *fe, struct file *file, struct moment *moment)
{
	frontend_hang_up(fe);
	fe->bed->closed = 0;
	frontend_drain(fe->queues[0].call);
	memcpy(fe->memory, moment->memory, FRONTEND_MEMORY_BYTES);
	memcpy(file->bytes, moment->file, file->wire.mmap_size);
	free(moment->memory);
	free(moment->file);
}

static uint32_t first_base(uint64_t features)
{
	return features & PACKED ? FIRST : 0;
}

static void connect_with(struct frontend *fe, uint64_t features)
{
	frontend_connect(fe);
	frontend_negotiate(fe, features, WITH_FILE);
	assert_int_equal(frontend_share_memory(fe), 0);
}

static void begin(struct frontend *fe, struct file *file, uint64_t features)
{
	connect_with(fe, features);
	open_file(fe, file);
	assert_int_equal(give_file(fe, file), 0);
	frontend_queue_make(fe, 0, features);
	frontend_queue_start(fe, 0, first_base(features));
}

static void go_on(struct frontend *fe, struct file *file, uint64_t features)
{
	connect_with(fe, features);
	assert_int_equal(give_file(fe, file), 0);
	frontend_queue_start(fe, 0, first_base(features)); /* it can't know better */
}

/* Takes the answers that are there, and that each of these came once; their sum of 1 << value. */
static uint64_t answers(struct frontend *fe)
{
	uint64_t seen = 0;
	uint32_t written;
	uint8_t *at;

	bed_settle(fe->bed);
	while ((at = vio_drvq_get(&fe->queues[0].drvq, &written))) {
		assert_int_equal(written, 4);
		assert_int_equal(at[4], at[0] + 1);
		assert_false(seen >> at[0] & 1);
		seen |= UINT64_C(1) << at[0];
	}
	assert_false(vio_drvq_broken(&fe->queues[0].drvq));
	return seen;
}

static const uint64_t kinds[] = { USUAL_FEATURES, USUAL_FEATURES | PACKED, USUAL_FEATURES | INDIRECT,
				  USUAL_FEATURES | PACKED | INDIRECT };

static void a_file_is_made_to_measure(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_inflight wire;
	struct stat status;

	connect_with(fe, USUAL_FEATURES);
	for (unsigned i = 0; i < 2; i++) {
		const uint32_t size = i ? SHORT : sizeof(wire);
		int fd;

		wire = (struct vhost_user_inflight){ .num_queues = 2, .queue_size = 128 };
		fd = ask_for_file(fe, &wire, size);
		assert_true(fd >= 0);
		assert_int_equal(wire.num_queues, 2);
		assert_int_equal(wire.queue_size, 128);
		assert_int_equal(wire.mmap_offset, 0);
		assert_true(wire.mmap_size >= 2 * (32 + 128 * 32));
		assert_int_equal(fstat(fd, &status), 0);
		assert_true((uint64_t)status.st_size >= wire.mmap_size);
		assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK);
		close(fd);
	}
}

static void no_file_for_what_cannot_be(void **state)
{
	static const uint16_t bad[][2] = { { 0, 64 }, { BED_QUEUES + 1, 64 }, { UINT16_MAX, 64 },
					   { 1, 0 },  { 1, 0x8001 },          { UINT16_MAX, UINT16_MAX } };
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	connect_with(fe, USUAL_FEATURES);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		struct vhost_user_inflight wire = { .num_queues = bad[i][0], .queue_size = bad[i][1] };

		assert_int_equal(ask_for_file(fe, &wire, sizeof(wire)), -1);
		assert_int_equal(wire.mmap_size, 0);
	}
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 1);
}

static void what_was_in_flight_is_taken_again(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(kinds); i++) {
		struct moment moment;
		struct file file;

		begin(fe, &file, kinds[i]);
		/* Past the end of the ring, so that wrap counters are others. */
		for (unsigned round = 0; round < BED_QUEUE_SIZE + 11; round++)
			frontend_roundtrip(fe, 0, (uint8_t)(round % 50));
		f->bed.echo->hold = true;
		for (uint8_t value = 1; value <= 5; value++)
			frontend_offer(fe, 0, value);
		bed_settle(&f->bed);
		assert_int_equal(f->bed.echo->held_count, 5);
		moment = remember(fe, &file);
		die_at(fe, &file, &moment);

		f->bed.echo->hold = true;
		go_on(fe, &file, kinds[i]);
		bed_settle(&f->bed);
		assert_int_equal(f->bed.echo->held_count, 5);
		/* In their order, and before others. */
		frontend_offer(fe, 0, 6);
		bed_settle(&f->bed);
		assert_int_equal(f->bed.echo->held_count, 6);
		for (unsigned value = 1; value <= 6; value++) {
			const uint8_t *bytes = f->bed.echo->held[value - 1].readable->host;

			assert_int_equal(bytes[0], value);
		}
		f->bed.echo->hold = false;
		frontend_queue_stop(fe, 0); /* drains */
		assert_int_equal(answers(fe), 0x7e);
		frontend_hang_up(fe);
		f->bed.closed = 0;
		close_file(&file);
	}
}

/* Takes the answers that are there, which go on with *value. */
static void answers_go_on(struct frontend *fe, uint8_t *value)
{
	uint32_t written;
	const uint8_t *at;

	bed_settle(fe->bed);
	while ((at = vio_drvq_get(&fe->queues[0].drvq, &written))) {
		assert_int_equal(written, 4);
		assert_int_equal(at[0], *value);
		assert_int_equal(at[4], at[0] + 1);
		++*value;
	}
	assert_false(vio_drvq_broken(&fe->queues[0].drvq));
}

/* As if it had died before it closed its second batch, of three. */
static void leave_open(struct moment *moment, uint64_t features)
{
	if (features & PACKED) {
		struct vhost_user_inflight_packed *region = (void *)moment->file;

		region->old_used_idx = 2; /* each buffer takes two entries */
	} else {
		struct vhost_user_inflight_split *region = (void *)moment->file;

		region->used_idx = 1;
		for (unsigned n = 0, d = region->last_batch_head; n < 3; n++, d = region->desc[d].next)
			region->desc[d].inflight = 1;
	}
}

/*
 * A driver that sleeps until it is interrupted, and a back end that died when it had shown its answers,
 * before or after it wrote that down. Who didn't die, or never began, has nothing to tell.
 */
static void a_driver_that_sleeps_is_woken(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < 2 * VIO_ARRAY_SIZE(kinds); i++) {
		const uint64_t features = kinds[i % VIO_ARRAY_SIZE(kinds)];
		struct moment moment;
		struct file file;

		begin(fe, &file, features);
		bed_settle(&f->bed);
		assert_int_equal(frontend_drain(fe->queues[0].call), 0);
		frontend_roundtrip(fe, 0, 1);
		for (uint8_t value = 2; value <= 4; value++)
			frontend_offer(fe, 0, value);
		bed_settle(&f->bed);
		moment = remember(fe, &file);
		if (i < VIO_ARRAY_SIZE(kinds))
			leave_open(&moment, features);
		die_at(fe, &file, &moment);
		go_on(fe, &file, features);
		bed_settle(&f->bed);
		assert_int_equal(frontend_drain(fe->queues[0].call), 1);
		assert_int_equal(answers(fe), 0x1c);
		frontend_queue_start(fe, 0, frontend_queue_stop(fe, 0));
		assert_int_equal(frontend_share_memory(fe), 0);
		bed_settle(&f->bed);
		assert_int_equal(frontend_drain(fe->queues[0].call), 0);
		frontend_hang_up(fe);
		f->bed.closed = 0;
		close_file(&file);
	}
}

/*
 * A device that takes and can't serve yet: what it puts back it gets again, once, in the same order, and it
 * stays in flight meanwhile. Of five 1, 3 or 5 were in flight when the back end died; up to 4 are put back.
 */
static void what_is_put_back_is_not_lost(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < 18 * VIO_ARRAY_SIZE(kinds); i++) {
		const uint64_t features = kinds[i % VIO_ARRAY_SIZE(kinds)];
		const unsigned which = i / VIO_ARRAY_SIZE(kinds);
		uint8_t next = 1;
		struct moment moment;
		struct file file;

		begin(fe, &file, features);
		for (unsigned round = 0; round < BED_QUEUE_SIZE - 9; round++)
			frontend_roundtrip(fe, 0, (uint8_t)(round % 50));
		f->bed.echo->hold = true;
		for (uint8_t value = 1; value <= 5; value++) {
			frontend_offer(fe, 0, value);
			if (value == 1 + which % 3 * 2)
				bed_settle(&f->bed);
		}
		moment = remember(fe, &file);
		die_at(fe, &file, &moment);
		f->bed.echo->hold = false;
		f->bed.echo->put_back = 1u << which / 3 % 3;
		go_on(fe, &file, features);
		answers_go_on(fe, &next);
		assert_int_equal(next, 2);
		if (which >= 9) {
			moment = remember(fe, &file);
			die_at(fe, &file, &moment);
			go_on(fe, &file, features);
		} else {
			vio_device_kick(&f->bed.dev, 0); /* it can go on */
		}
		answers_go_on(fe, &next);
		assert_int_equal(next, 6);
		frontend_offer(fe, 0, 6);
		answers_go_on(fe, &next);
		assert_int_equal(next, 7);
		frontend_roundtrip(fe, 0, 7);
		frontend_hang_up(fe);
		f->bed.closed = 0;
		close_file(&file);
	}
}

/* Those that were answered, and only those, aren't done again, wherever the back end stopped. */
static void what_was_answered_is_not(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(kinds); i++) {
		struct moment before;
		struct file file;
		unsigned served;

		begin(fe, &file, kinds[i]);
		frontend_roundtrip(fe, 0, 1);
		for (uint8_t value = 2; value <= 4; value++)
			frontend_offer(fe, 0, value);
		bed_settle(&f->bed);
		before = remember(fe, &file);
		leave_open(&before, kinds[i]);
		die_at(fe, &file, &before);
		served = f->bed.echo->served[0];
		go_on(fe, &file, kinds[i]);
		assert_int_equal(answers(fe), 0x1c);
		assert_int_equal(f->bed.echo->served[0], served);
		frontend_roundtrip(fe, 0, 9);
		frontend_hang_up(fe);
		f->bed.closed = 0;
		close_file(&file);
	}
}

/* A queue that was stopped and goes on over the same connection, and a driver that begins anew. */
static void stopping_and_beginning_anew(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(kinds); i++) {
		struct file file;

		begin(fe, &file, kinds[i]);
		for (unsigned round = 0; round < 7; round++)
			frontend_roundtrip(fe, 0, (uint8_t)round);
		frontend_queue_start(fe, 0, frontend_queue_stop(fe, 0));
		for (unsigned round = 0; round < BED_QUEUE_SIZE; round++)
			frontend_roundtrip(fe, 0, (uint8_t)(round % 50));
		assert_int_equal(frontend_ask(fe, VHOST_USER_RESET_DEVICE, NULL, 0), 0);
		frontend_send(fe, VHOST_USER_SET_FEATURES, &kinds[i], sizeof(kinds[i]));
		frontend_queue_make(fe, 0, kinds[i]);
		frontend_queue_start(fe, 0, first_base(kinds[i]));
		for (unsigned round = 0; round < BED_QUEUE_SIZE; round++)
			frontend_roundtrip(fe, 0, (uint8_t)(round % 50));
		frontend_hang_up(fe);
		f->bed.closed = 0;
		close_file(&file);
	}
}

/* hostile: C20; files that hold no memory, that are too short, and descriptions that can't be. */
static void files_that_cannot_be(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct file file, other;
	struct vhost_user_inflight bad[8];

	begin(fe, &file, USUAL_FEATURES);
	assert_int_not_equal(give_file(fe, &file), 0); /* while a queue runs */
	frontend_roundtrip(fe, 0, 1);
	frontend_queue_stop(fe, 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++)
		bad[i] = file.wire;
	bad[0].mmap_size--;
	bad[1].mmap_offset = 4096;
	bad[2].mmap_offset = UINT64_MAX - 7;
	bad[3].num_queues = 0;
	bad[4].num_queues = BED_QUEUES + 1;
	bad[5].queue_size = 0;
	bad[6].queue_size = UINT16_MAX;
	bad[7].mmap_offset = 4;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		other = (struct file){ bad[i], file.fd, NULL };
		assert_int_not_equal(give_file(fe, &other), 0);
	}
	other = (struct file){ file.wire, fe->queues[0].kick, NULL };
	assert_int_not_equal(give_file(fe, &other), 0);
	other.fd = fe->socket;
	assert_int_not_equal(give_file(fe, &other), 0);
	/* What was there stays in force. */
	frontend_queue_start(fe, 0, 1);
	frontend_roundtrip(fe, 0, 2);
	close_file(&file);
}

static void expect_refused(struct frontend *fe, struct file *file, uint64_t features)
{
	const unsigned lines = fe->bed->lines + 1; /* and one that the message is refused */

	connect_with(fe, features);
	assert_int_equal(give_file(fe, file), 0);
	assert_int_equal(frontend_queue_num(fe, 0, BED_QUEUE_SIZE), 0);
	assert_int_equal(frontend_queue_base(fe, 0, first_base(features)), 0);
	assert_int_equal(frontend_queue_addr(fe, 0), 0);
	assert_int_equal(frontend_queue_err(fe, 0), 0);
	assert_int_equal(frontend_queue_call(fe, 0), 0);
	assert_int_equal(frontend_queue_kick(fe, 0), 0);
	assert_int_not_equal(frontend_queue_enable(fe, 0, 1), 0);
	assert_false(fe->bed->dev.queues[0].running);
	assert_true(frontend_drain(fe->queues[0].err) > 0);
	assert_true(fe->bed->lines > lines);
	frontend_hang_up(fe);
	fe->bed->closed = 0;
}

/* What a split queue's region may say, and can't be. */
static void damage_split(struct vhost_user_inflight_split *region, unsigned how)
{
	switch (how) {
	case 0:
		region->version = 2;
		break;
	case 1:
		region->features = 1;
		break;
	case 2:
		region->desc_num = BED_QUEUE_SIZE - 1;
		break;
	case 3:
		region->desc_num = UINT16_MAX;
		break;
	case 4:
		region->used_idx = (uint16_t)(region->used_idx + 1);
		break;
	case 5:
		region->used_idx = (uint16_t)(region->used_idx - BED_QUEUE_SIZE - 1);
		break;
	case 6:
		region->used_idx--;
		region->last_batch_head = BED_QUEUE_SIZE;
		break;
	case 7:
		region->used_idx = (uint16_t)(region->used_idx - 2);
		region->last_batch_head = 1;
		region->desc[1].next = UINT16_MAX;
		break;
	}
}

/* The same of a packed one. */
static void damage_packed(struct vhost_user_inflight_packed *region, unsigned how)
{
	unsigned head = 0;

	while (!region->desc[head].inflight)
		head++;
	switch (how) {
	case 0:
		region->version = UINT16_MAX;
		break;
	case 1:
		region->features = 1;
		break;
	case 2:
		region->desc_num = BED_QUEUE_SIZE + 1;
		break;
	case 3:
		region->used_idx = region->old_used_idx = BED_QUEUE_SIZE;
		break;
	case 4:
		region->desc[head].num = 0;
		break;
	case 5:
		region->desc[head].num = UINT16_MAX;
		break;
	case 6:
		region->desc[head].last = UINT16_MAX;
		break;
	case 7:
		region->desc[head].next = (uint16_t)head;
		break;
	case 8:
		region->desc[head].next = BED_QUEUE_SIZE;
		break;
	case 9: /* a free list that bites its tail */
		region->desc[region->old_free_head].next = region->old_free_head;
		break;
	case 10: /* two that share an entry */
		region->desc[head + 1].inflight = 1;
		region->desc[head + 1].num = 1;
		region->desc[head + 1].last = (uint16_t)(head + 1);
		break;
	case 11:
		region->desc[head + 1].next = region->old_free_head;
		region->desc[head].last = region->old_free_head;
		region->desc[head].num = 3;
		region->old_used_idx = 0x7fff;
		break;
	}
}

/* hostile: C13 C20; each is refused with a line that says why, and a file that is sound works afterwards. */
static void contents_that_cannot_be(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < 2; i++) {
		const uint64_t features = kinds[i];

		for (unsigned how = 0; how < (i ? 12u : 8u); how++) {
			struct moment moment, sound;
			struct file file;

			begin(fe, &file, features);
			for (unsigned round = 0; round < 5; round++)
				frontend_roundtrip(fe, 0, (uint8_t)round);
			f->bed.echo->hold = true;
			frontend_offer(fe, 0, 1);
			frontend_offer(fe, 0, 2);
			bed_settle(&f->bed);
			moment = remember(fe, &file);
			die_at(fe, &file, &moment);
			sound = remember(fe, &file);
			if (i)
				damage_packed((void *)file.bytes, how);
			else
				damage_split((void *)file.bytes, how);
			expect_refused(fe, &file, features);
			connect_with(fe, features);
			memcpy(file.bytes, sound.file, file.wire.mmap_size);
			free(sound.memory);
			free(sound.file);
			f->bed.echo->hold = false;
			frontend_hang_up(fe);
			f->bed.closed = 0;
			go_on(fe, &file, features);
			assert_int_equal(answers(fe), 6);
			frontend_hang_up(fe);
			f->bed.closed = 0;
			close_file(&file);
		}
	}
}

/* hostile: A6 A56; whatever bytes are in it, nothing worse happens than that a queue stops. */
static void any_bytes_at_all(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint32_t random = 1;

	for (unsigned i = 0; i < 400; i++) {
		const uint64_t features = kinds[i % VIO_ARRAY_SIZE(kinds)];
		struct moment moment;
		struct file file;

		begin(fe, &file, features);
		frontend_roundtrip(fe, 0, 1);
		f->bed.echo->hold = true;
		for (uint8_t value = 0; value < 4; value++)
			frontend_offer(fe, 0, value);
		bed_settle(&f->bed);
		moment = remember(fe, &file);
		die_at(fe, &file, &moment);
		for (unsigned n = 0; n < 1 + i % 7; n++) {
			random = random * 1664525u + 1013904223u;
			file.bytes[(random >> 8) % 512] = (uint8_t)(random >> 24 & (i & 1 ? 0xff : 3));
		}
		f->bed.echo->hold = i % 3 == 0;
		connect_with(fe, features);
		assert_int_equal(give_file(fe, &file), 0);
		frontend_queue_num(fe, 0, BED_QUEUE_SIZE);
		frontend_queue_base(fe, 0, first_base(features));
		frontend_queue_addr(fe, 0);
		frontend_queue_call(fe, 0);
		frontend_queue_kick(fe, 0);
		frontend_queue_enable(fe, 0, 1);
		bed_settle(&f->bed);
		f->bed.echo->hold = false;
		frontend_hang_up(fe);
		f->bed.closed = 0;
		close_file(&file);
	}
}

/* Sends itself a bus error that is none, and returns what became of a process that is guarded. */
static int with_a_bus_error(int code, void (*before)(int number))
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = code };
	struct sigaction now;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		const struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGBUS, before);
		if (vio_guard_memory())
			_exit(2);
		if (syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info))
			_exit(3);
		/* It lives; so does what guards it. */
		_exit(sigaction(SIGBUS, NULL, &now) || now.sa_handler == SIG_DFL ||
		      now.sa_handler == SIG_IGN);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* As if nobody was on guard: what somebody sent ends the process, or is ignored, and guards nothing less. */
static void bus_errors_that_are_sent(void **state)
{
	static const int sent[] = { SI_USER, SI_QUEUE, SI_TKILL };

	(void)state;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sent); i++) {
		const int status = with_a_bus_error(sent[i], SIG_DFL);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
		assert_int_equal(with_a_bus_error(sent[i], SIG_IGN), 0);
	}
	assert_int_equal(with_a_bus_error(BUS_MCEERR_AO, SIG_DFL), 0);
}

/* hostile: C13 C26 H13; memory or the file is cut short: that connection ends, and the process lives. */
static void truncated_under_a_running_queue(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t one = 1;

	assert_int_equal(vio_guard_memory(), 0);
	assert_int_equal(vio_guard_memory(), 0);
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t features = kinds[i & 1];
		struct file file;
		int cut;

		begin(fe, &file, features);
		frontend_roundtrip(fe, 0, 1);
		frontend_offer(fe, 0, 2);
		if (i < 2) {
			cut = fe->memory_fd;
		} else {
			/* One that isn't sealed, as ours are. */
			frontend_hang_up(fe);
			fe->bed->closed = 0;
			close_file(&file);
			file.fd = cut = memfd_create("unsealed", MFD_CLOEXEC);
			assert_int_equal(ftruncate(cut, (off_t)file.wire.mmap_size), 0);
			file.bytes = mmap(NULL, file.wire.mmap_size, PROT_READ, MAP_SHARED, cut, 0);
			connect_with(fe, features);
			assert_int_equal(give_file(fe, &file), 0);
			frontend_queue_make(fe, 0, features);
			frontend_queue_start(fe, 0, first_base(features));
			frontend_offer(fe, 0, 2);
		}
		assert_int_equal(ftruncate(cut, 0), 0);
		close_file(&file);
		assert_int_equal(write(fe->queues[0].kick, &one, sizeof(one)), sizeof(one));
		fixture_expect_dropped(fe);
		assert_non_null(strstr(fe->bed->line, "short"));
		/* The next case wants memory of the usual size. */
		assert_int_equal(ftruncate(fe->memory_fd, FRONTEND_MEMORY_BYTES), 0);
		frontend_drain(fe->queues[0].call);
		frontend_drain(fe->queues[0].kick);
		frontend_drain(fe->queues[0].err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(a_file_is_made_to_measure),         FIXTURE_CASE(no_file_for_what_cannot_be),
		FIXTURE_CASE(what_was_in_flight_is_taken_again), FIXTURE_CASE(what_was_answered_is_not),
		FIXTURE_CASE(a_driver_that_sleeps_is_woken),     FIXTURE_CASE(what_is_put_back_is_not_lost),
		FIXTURE_CASE(stopping_and_beginning_anew),       FIXTURE_CASE(files_that_cannot_be),
		FIXTURE_CASE(contents_that_cannot_be),           FIXTURE_CASE(any_bytes_at_all),
		FIXTURE_CASE(bus_errors_that_are_sent), /* before there is a guard */
		FIXTURE_CASE(truncated_under_a_running_queue),
	};

	return cmocka_run_group_tests_name("vhost-user-inflight", tests, NULL, NULL);
}
