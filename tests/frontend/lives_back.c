/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "lives.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vireo/devices/blk.h>
#include <vireo/loop.h>
#include <vireo/vhost_user.h>
#include <vireo/vhost_user_frontend.h>

#include "link/vhost_user/stop.h"

/*
 * Storage that answers later, several at once and in any order, as disks do. With a cache, writes go to the
 * disk when they are flushed.
 */

#define WAITING_MAX 256u

struct back {
	struct shared *shared;
	struct orders orders;
	uint64_t random;
	struct vio_loop *loop;
	struct vio_watcher watcher;
	struct vio_device dev;
	struct vio_vhost_user *link;
	struct vio_watch listening;
	struct vio_block block;
	struct vio_task answer;
	struct vio_timer hang_up;
	struct vio_block_request *waiting[WAITING_MAX];
	unsigned waiting_count;
	const char *path;
};

static struct back *current; /* for the points, which know nobody */

void vu_stop_point(enum vu_stop at)
{
	if (!current || (int)at != current->orders.stop_at || --current->orders.stop_count)
		return;
	atomic_store(&current->shared->stopped, true);
	kill(getpid(), SIGKILL);
}

static uint32_t draw(struct back *back, uint32_t below)
{
	back->random ^= back->random << 13;
	back->random ^= back->random >> 7;
	back->random ^= back->random << 17;
	return (uint32_t)(back->random >> 32) % below;
}

static void flush(struct back *back)
{
	struct shared *shared = back->shared;

	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (atomic_load(&shared->cached[slot])) {
			shared->disk[slot] = shared->cache[slot];
			atomic_store(&shared->cached[slot], false);
		}
}

static void gather(const struct vio_block_request *request, struct sector *sector)
{
	uint8_t *to = (uint8_t *)sector;

	for (unsigned i = 0; i < request->span_count; i++) {
		memcpy(to, request->spans[i].host, request->spans[i].length);
		to += request->spans[i].length;
	}
}

static int write_slot(struct back *back, const struct vio_block_request *request, uint64_t slot)
{
	struct sector fresh;

	gather(request, &fresh);
	if (fresh.slot != slot)
		return -VIO_EIO;
	if (atomic_load(&back->shared->acknowledged[slot]) >= fresh.sequence)
		atomic_fetch_add(&back->shared->doubled, 1);
	if (back->orders.cache && !(request->flags & VIO_BLOCK_STABLE)) {
		back->shared->cache[slot] = fresh;
		atomic_store(&back->shared->cached[slot], true);
	} else {
		back->shared->disk[slot] = fresh;
	}
	return 0;
}

static int read_slot(struct back *back, struct vio_block_request *request, uint64_t slot)
{
	const uint8_t *from =
		(const uint8_t *)(atomic_load(&back->shared->cached[slot]) ? &back->shared->cache[slot]
									   : &back->shared->disk[slot]);

	for (unsigned i = 0; i < request->span_count; i++) {
		memcpy(request->spans[i].host, from, request->spans[i].length);
		from += request->spans[i].length;
	}
	return 0;
}

static void execute(struct back *back, struct vio_block_request *request)
{
	uint64_t slot = request->offset / SECTOR;
	int result = 0;

	atomic_fetch_add(&back->shared->executed, 1);
	if (request->op == VIO_BLOCK_FLUSH)
		flush(back);
	else if (request->length != SECTOR || slot >= SLOTS)
		result = -VIO_ERANGE;
	else if (request->op == VIO_BLOCK_WRITE)
		result = write_slot(back, request, slot);
	else
		result = read_slot(back, request, slot);
	request->done(request, result);
}

/* Some of those that wait, in any order, as one batch or each by itself. */
static void execute_some(struct back *back, unsigned count)
{
	const bool batch = draw(back, 4);

	if (batch)
		vio_block_begin_batch(&back->block);
	for (; count && back->waiting_count; count--) {
		unsigned at = draw(back, back->waiting_count);
		struct vio_block_request *request = back->waiting[at];

		back->waiting[at] = back->waiting[--back->waiting_count];
		execute(back, request);
	}
	if (batch)
		vio_block_end_batch(&back->block);
}

static void answer(struct vio_task *task)
{
	struct back *back = VIO_CONTAINER_OF(task, struct back, answer);

	execute_some(back, 1 + draw(back, 16));
	if (back->waiting_count)
		back->watcher.defer(back->watcher.context, &back->answer);
}

static void submit(struct vio_block *block, struct vio_block_request *request)
{
	struct back *back = VIO_CONTAINER_OF(block, struct back, block);

	if (back->waiting_count == WAITING_MAX || !draw(back, 8)) {
		execute(back, request); /* from inside submit, as a storage may */
		return;
	}
	back->waiting[back->waiting_count++] = request;
	back->watcher.defer(back->watcher.context, &back->answer);
}

static void drain(struct vio_block *block)
{
	struct back *back = VIO_CONTAINER_OF(block, struct back, block);

	while (back->waiting_count)
		execute_some(back, 4);
}

static const struct vio_block_ops block_ops = { .submit = submit, .drain = drain };

static void begin_connection(struct back *back)
{
	int fd = back->orders.client ? vio_vhost_user_frontend_connect(back->path)
				     : accept4(back->listening.fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || vio_vhost_user_start(back->link, fd))
		_exit(2);
	if (back->orders.hang_up)
		vio_loop_arm(back->loop, &back->hang_up, 1 + draw(back, 3));
}

static void front_end_came(struct vio_watch *watch)
{
	struct back *back = VIO_CONTAINER_OF(watch, struct back, listening);

	back->watcher.remove(back->watcher.context, watch);
	begin_connection(back);
}

static void next_connection(struct back *back)
{
	if (atomic_load(&back->shared->closing))
		_exit(0);
	if (back->orders.client)
		begin_connection(back);
	else if (back->watcher.add(back->watcher.context, &back->listening))
		_exit(2);
}

static void hang_up(struct vio_timer *timer)
{
	struct back *back = VIO_CONTAINER_OF(timer, struct back, hang_up);

	/* So often and no more, and only under load. */
	if (atomic_load(&back->shared->hang_ups) >= back->orders.hang_up)
		return;
	if (!(back->dev.status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		vio_loop_arm(back->loop, &back->hang_up, 1);
		return;
	}
	atomic_fetch_add(&back->shared->hang_ups, 1);
	vio_vhost_user_stop(back->link);
	next_connection(back);
}

static void closed(void *context, int reason)
{
	struct back *back = context;

	(void)reason;
	vio_loop_disarm(back->loop, &back->hang_up);
	next_connection(back);
}

static void say(void *context, const char *line)
{
	(void)context;
	if (getenv("LIVES_LOG")) {
		ssize_t ignored = write(2, line, strlen(line)) + write(2, "\n", 1);

		(void)ignored;
	}
}

/* The process kills itself, at any instruction. */
static void die_in(unsigned after_us)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	const struct itimerspec time = { .it_value = { after_us / 1000000, after_us % 1000000 * 1000l } };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &time, NULL))
		_exit(2);
}

static void make_disk(struct back *back)
{
	void *state = calloc(1, vio_blk_class.state_bytes);

	back->block = (struct vio_block){ .ops = &block_ops,
					  .size_bytes = SLOTS * SECTOR,
					  .block_bytes = SECTOR,
					  .physical_bytes = SECTOR,
					  .volatile_cache = back->orders.cache };
	vio_device_init(&back->dev, &vio_blk_class, state);
	back->dev.packed = back->orders.packed;
	back->dev.in_order = back->orders.in_order;
	if (vio_device_set_property(&back->dev, "num-queues", 10, "2") ||
	    vio_blk_attach(&back->dev, &back->block) || vio_device_realize(&back->dev))
		_exit(2);
	vio_device_provide(&back->dev, calloc(1, vio_device_storage_bytes(&back->dev) + 1));
}

void live(struct shared *shared, int listening, const char *path, uint64_t seed)
{
	static const struct vio_vhost_user_events events = { .closed = closed, .log = say };
	struct back *back = calloc(1, sizeof(*back));
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!back)
		_exit(2);
	current = back;
	back->shared = shared;
	back->orders = shared->orders;
	back->random = seed | 1;
	back->path = path;
	if (back->orders.after_us)
		die_in(back->orders.after_us);
	back->loop = vio_loop_create(VIO_LOOP_NO_URING, &error);
	if (!back->loop)
		_exit(2);
	back->watcher = vio_loop_watcher(back->loop);
	back->answer.run = answer;
	back->hang_up.expired = hang_up;
	back->listening = (struct vio_watch){ .fd = listening, .ready = front_end_came };
	make_disk(back);
	back->link = vio_vhost_user_create(&back->dev, &back->watcher, &events, back);
	if (!back->link)
		_exit(2);
	next_connection(back);
	vio_loop_run(back->loop);
	_exit(3);
}
