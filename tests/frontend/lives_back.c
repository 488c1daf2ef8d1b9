/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "lives.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vireo/crew.h>
#include <vireo/devices/blk.h>
#include <vireo/loop.h>
#include <vireo/vhost_user.h>
#include <vireo/vhost_user_frontend.h>

#include "link/stop.h"

/*
 * Storage that answers later, several at once and in any order, as disks do. With a cache, writes go to the
 * disk when they are flushed. Each thread has its own way to it, with what waits there.
 */

#define WAITING_MAX 256u
#define THREADS_MAX 4u

struct way {
	struct vio_block block;
	struct back *back;
	struct vio_watcher watcher;
	struct vio_task answer;
	uint64_t random;
	struct vio_block_request *waiting[WAITING_MAX];
	unsigned waiting_count;
};

struct back {
	struct shared *shared;
	struct orders orders;
	_Atomic unsigned stop_count;
	uint64_t random;
	pthread_mutex_t lock; /* of the places: a flush is of all */
	struct vio_loop *loop;
	struct vio_crew *crew;
	struct vio_watcher watcher;
	struct vio_device dev;
	struct vio_vhost_user *link;
	struct vio_watch listening;
	struct vio_timer hang_up;
	struct way ways[THREADS_MAX];
	const char *path;
};

static struct back *current; /* for the points, which know nobody */

void link_stop_point(enum link_stop at)
{
	if (!current || (int)at != current->orders.stop_at || atomic_fetch_sub(&current->stop_count, 1) != 1)
		return;
	atomic_store(&current->shared->stopped, true);
	kill(getpid(), SIGKILL);
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random >> 32) % below;
}

static void flush(struct back *back)
{
	struct shared *shared = back->shared;

	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (atomic_load(&shared->cached[slot])) {
			place_put(&shared->disk[slot], place_look(&shared->cache[slot]));
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
		place_put(&back->shared->cache[slot], &fresh);
		atomic_store(&back->shared->cached[slot], true);
	} else {
		place_put(&back->shared->disk[slot], &fresh);
	}
	return 0;
}

static int read_slot(struct back *back, struct vio_block_request *request, uint64_t slot)
{
	struct shared *shared = back->shared;
	const uint8_t *from = (const uint8_t *)place_look(
		atomic_load(&shared->cached[slot]) ? &shared->cache[slot] : &shared->disk[slot]);

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
	pthread_mutex_lock(&back->lock);
	if (request->op == VIO_BLOCK_FLUSH)
		flush(back);
	else if (request->length != SECTOR || slot >= SLOTS)
		result = -VIO_ERANGE;
	else if (request->op == VIO_BLOCK_WRITE)
		result = write_slot(back, request, slot);
	else
		result = read_slot(back, request, slot);
	pthread_mutex_unlock(&back->lock);
	request->done(request, result);
}

/* Some of those that wait, in any order, as one batch or each by itself. */
static void execute_some(struct way *way, unsigned count)
{
	const bool batch = draw(&way->random, 4);

	if (batch)
		vio_block_begin_batch(&way->block);
	for (; count && way->waiting_count; count--) {
		unsigned at = draw(&way->random, way->waiting_count);
		struct vio_block_request *request = way->waiting[at];

		way->waiting[at] = way->waiting[--way->waiting_count];
		execute(way->back, request);
	}
	if (batch)
		vio_block_end_batch(&way->block);
}

static void answer(struct vio_task *task)
{
	struct way *way = VIO_CONTAINER_OF(task, struct way, answer);

	execute_some(way, 1 + draw(&way->random, 16));
	if (way->waiting_count)
		way->watcher.defer(way->watcher.context, &way->answer);
}

static void submit(struct vio_block *block, struct vio_block_request *request)
{
	struct way *way = VIO_CONTAINER_OF(block, struct way, block);

	if (way->waiting_count == WAITING_MAX || !draw(&way->random, 8)) {
		execute(way->back, request); /* from inside submit, as a storage may */
		return;
	}
	way->waiting[way->waiting_count++] = request;
	way->watcher.defer(way->watcher.context, &way->answer);
}

static void drain(struct vio_block *block)
{
	struct way *way = VIO_CONTAINER_OF(block, struct way, block);

	while (way->waiting_count)
		execute_some(way, 4);
}

static const struct vio_block_ops block_ops = { .submit = submit, .drain = drain };

static void begin_connection(struct back *back)
{
	int fd = back->orders.client ? vio_vhost_user_frontend_connect(back->path)
				     : accept4(back->listening.fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || vio_vhost_user_start(back->link, fd))
		_exit(2);
	if (back->orders.hang_up)
		vio_loop_arm(back->loop, &back->hang_up, 1 + draw(&back->random, 3));
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

static struct way *make_way(struct back *back, unsigned index, struct vio_loop *loop)
{
	struct way *way = &back->ways[index];

	way->back = back;
	way->random = back->random + index * UINT64_C(0x9e3779b97f4a7c15);
	way->watcher = vio_loop_watcher(loop);
	way->answer.run = answer;
	way->block = (struct vio_block){ .ops = &block_ops,
					 .size_bytes = SLOTS * SECTOR,
					 .block_bytes = SECTOR,
					 .physical_bytes = SECTOR,
					 .volatile_cache = back->orders.cache };
	return way;
}

static void make_disk(struct back *back)
{
	void *state = calloc(1, vio_blk_class.state_bytes);
	char queues[12];

	snprintf(queues, sizeof(queues), "%u", back->orders.queues);
	vio_device_init(&back->dev, &vio_blk_class, state);
	back->dev.packed = back->orders.packed;
	back->dev.in_order = back->orders.in_order;
	if (vio_device_set_property(&back->dev, "num-queues", 10, queues) ||
	    vio_blk_attach(&back->dev, &make_way(back, 0, back->loop)->block) ||
	    vio_device_realize(&back->dev))
		_exit(2);
	vio_device_provide(&back->dev, calloc(1, vio_device_storage_bytes(&back->dev) + 1));
}

/* Queues in threads. */

static void spread(struct back *back)
{
	struct vio_watch_crew crew;
	struct vio_block *blocks[THREADS_MAX];
	int error;

	if (!back->orders.threads)
		return;
	back->crew = vio_crew_create(back->loop, back->orders.threads, VIO_LOOP_NO_URING, &error);
	if (!back->crew)
		_exit(2);
	vio_crew_halt(back->crew);
	for (unsigned i = 0; i < back->orders.threads; i++)
		blocks[i] = &make_way(back, i, vio_crew_loop(back->crew, i))->block;
	if (vio_blk_spread(&back->dev, blocks, back->orders.threads))
		_exit(2);
	crew = vio_crew_watch(back->crew);
	vio_vhost_user_spread(back->link, &crew);
	vio_crew_resume(back->crew);
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
	back->stop_count = back->orders.stop_count;
	pthread_mutex_init(&back->lock, NULL);
	back->path = path;
	if (back->orders.after_us)
		die_in(back->orders.after_us);
	back->loop = vio_loop_create(VIO_LOOP_NO_URING, &error);
	if (!back->loop)
		_exit(2);
	back->watcher = vio_loop_watcher(back->loop);
	back->hang_up.expired = hang_up;
	back->listening = (struct vio_watch){ .fd = listening, .ready = front_end_came };
	make_disk(back);
	back->link = vio_vhost_user_create(&back->dev, &back->watcher, &events, back);
	if (!back->link)
		_exit(2);
	spread(back);
	next_connection(back);
	vio_loop_run(back->loop);
	_exit(3);
}
