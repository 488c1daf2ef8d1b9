/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "lives.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vireo/drivers/blk.h>
#include <vireo/vhost_user_frontend.h>

#include "link/stop.h"

/*
 * Writes with numbers that grow, reads, and flushes, many at a time, to a disk whose back ends die:
 *
 *	lives [--kills N] [--points N] [--reconnects N] [--depth N] [--seed N] [-v]
 *
 * so many times at any instruction, at each of the places of stop.h in turn, and by hanging up. Prints what
 * it counted; exits 1 when a write that was acknowledged is lost, was done once more, came before a flush
 * that it should have come after, or when a request isn't answered at all.
 */

#define DEPTH_MAX  64u
#define PATIENCE_S 20u
#define RUNS       16u

struct run;

struct request {
	struct vio_blk_io io;
	struct vio_part part;
	struct run *run;
	unsigned slot;
	struct sector *data;   /* in memory that the device sees */
	uint64_t floor[SLOTS]; /* of a flush: what was acknowledged when it was asked for */
};

struct counts {
	uint64_t writes, reads, flushes;
	uint64_t lost, failed, misordered;
	unsigned random_kills, scripted_kills, lives;
	unsigned at_point[LINK_STOP_COUNT];
};

struct run {
	struct shared *shared;
	struct vio_dev dev;
	struct vio_blk blk;
	struct counts counts;
	uint64_t random;
	int listening;
	const char *path;
	pid_t back;
	unsigned depth;
	unsigned turn;                      /* of the points */
	unsigned kills, points, reconnects; /* that are still to come, by this kind of ring */
	bool closing;
	bool busy[SLOTS];
	uint64_t written[SLOTS];
	uint64_t durable[SLOTS]; /* of those, what was acknowledged: it has to be there, whatever dies */
	struct request requests[DEPTH_MAX];
	unsigned in_flight;
};

static uint32_t draw(struct run *run, uint32_t below)
{
	run->random ^= run->random << 13;
	run->random ^= run->random >> 7;
	run->random ^= run->random << 17;
	return (uint32_t)(run->random >> 32) % below;
}

/* Back ends. */

static void give_orders(struct run *run)
{
	struct orders *orders = &run->shared->orders;

	orders->after_us = 0;
	orders->stop_at = -1;
	orders->hang_up = run->kills || run->points ? 0 : run->reconnects;
	if (run->points && (!run->kills || draw(run, 4) == 0)) {
		orders->stop_at = (int)(run->turn++ % LINK_STOP_COUNT);
		/* Some aren't passed when nothing was in flight. */
		orders->after_us = 20000;
		orders->stop_count = 1 + draw(run, orders->stop_at < LINK_STOP_RECOVERED ? 12 : 1);
	} else if (run->kills) {
		/* Also while it is told what it has to know, which takes longer with threads. */
		orders->after_us = 1 + draw(run, draw(run, 4) ? 4000 : 700) * (orders->threads ? 4 : 1);
	}
}

static void new_back(struct run *run)
{
	const uint64_t seed = run->random;

	give_orders(run);
	run->counts.lives++;
	fflush(stdout);
	run->back = fork();
	if (run->back < 0)
		abort();
	if (!run->back)
		live(run->shared, run->listening, run->path, seed);
}

/* Takes notice of a death, whatever it was that was to come. */
static void bury(struct run *run, int status)
{
	const struct orders *orders = &run->shared->orders;

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		fprintf(stderr, "lives: a back end ended by itself, status %#x\n", (unsigned)status);
		run->counts.failed++;
	} else if (atomic_exchange(&run->shared->stopped, false)) {
		run->counts.at_point[orders->stop_at]++;
		run->counts.scripted_kills++;
		run->points--;
	} else if (orders->stop_at < 0) {
		run->counts.random_kills++;
		run->kills--;
	}
	run->back = 0;
}

/* The first one is only there to be agreed with. */
static void retire(struct run *run)
{
	int status;

	kill(run->back, SIGKILL);
	waitpid(run->back, &status, 0);
	new_back(run);
}

static void look_after(struct run *run)
{
	const struct timespec pause = { 0, 20000000 };
	int status;

	/* hostile: H4, it is slow, that is all. */
	if (run->back && !draw(run, 3000)) {
		kill(run->back, SIGSTOP);
		nanosleep(&pause, NULL);
		kill(run->back, SIGCONT);
	}
	if (run->back && waitpid(run->back, &status, WNOHANG) == run->back)
		bury(run, status);
	if (!run->back && !run->closing)
		new_back(run);
}

/* A back end may die before it takes a connection that is waiting for it already. */
static void waiting(void *context)
{
	look_after(context);
}

/* The other end of the next connection, in both roles of the socket. */
static int next_socket(void *context)
{
	struct run *run = context;
	struct pollfd pollfd = { .fd = run->listening, .events = POLLIN };

	look_after(run);
	if (!run->shared->orders.client)
		return vio_vhost_user_frontend_connect(run->path);
	if (poll(&pollfd, 1, 1) != 1)
		return -VIO_EAGAIN;
	return accept4(run->listening, NULL, NULL, SOCK_CLOEXEC);
}

/* Requests. */

static void fill(struct sector *sector, uint64_t slot, uint64_t sequence)
{
	sector->slot = slot;
	sector->sequence = sequence;
	memset(sector->filling, (int)(sequence * 7 + slot), sizeof(sector->filling));
}

/* Which write is there; UINT64_MAX: none, or parts of several. */
static uint64_t sequence_of(const struct sector *sector, uint64_t slot)
{
	const struct sector is = *sector;
	struct sector expected;

	if (!is.sequence)
		return 0;
	fill(&expected, slot, is.sequence);
	return memcmp(&expected, &is, sizeof(expected)) ? UINT64_MAX : is.sequence;
}

static void complain(struct run *run, const char *what, unsigned slot, uint64_t is, uint64_t least)
{
	if (run->counts.lost + run->counts.misordered < 10)
		fprintf(stderr,
			"lives: %s: sector %u has write %lld, write %llu was done (life %u, point %d)\n",
			what, slot, (long long)is, (unsigned long long)least, run->counts.lives,
			run->shared->orders.stop_at);
}

static void judge_sequence(struct run *run, uint64_t is, unsigned slot, uint64_t least, uint64_t *count)
{
	if (is != UINT64_MAX && is >= least && is <= run->written[slot])
		return;
	complain(run, count == &run->counts.lost ? "lost" : "flushed too early", slot, is, least);
	++*count;
}

static void judge(struct run *run, const struct sector *sector, unsigned slot, uint64_t least,
		  uint64_t *count)
{
	judge_sequence(run, sequence_of(sector, slot), slot, least, count);
}

/* A back end that lives may put something new there twice while it is looked at. */
static void judge_place(struct run *run, const struct place *place, unsigned slot, uint64_t least,
			uint64_t *count)
{
	uint64_t is = sequence_of(place_look(place), slot);

	for (unsigned i = 0; i < 100 && is == UINT64_MAX; i++) {
		usleep(100);
		is = sequence_of(place_look(place), slot);
	}
	judge_sequence(run, is, slot, least, count);
}

/* What was acknowledged before the flush was asked for is on the disk itself, or something newer. */
static void judge_flush(struct run *run, const struct request *request)
{
	struct shared *shared = run->shared;

	for (unsigned i = 0; i < SLOTS; i++)
		judge_place(run, &shared->disk[i], i, request->floor[i], &run->counts.misordered);
}

static void done(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct request *request = io->owner;
	struct run *run = request->run;
	struct shared *shared = run->shared;
	const unsigned slot = request->slot;

	(void)dev;
	run->in_flight--;
	if (run->closing)
		return; /* after a failure: it is handed back */
	if (io->result) {
		fprintf(stderr, "lives: a request failed: %s\n", vio_strerror(io->result));
		run->counts.failed++;
	} else if (io->type == VIRTIO_BLK_T_OUT) {
		run->counts.writes++;
		atomic_store(&shared->acknowledged[slot], run->written[slot]);
		run->durable[slot] = run->written[slot];
		judge_place(run,
			    atomic_load(&shared->cached[slot]) ? &shared->cache[slot] : &shared->disk[slot],
			    slot, run->durable[slot], &run->counts.lost);
	} else if (io->type == VIRTIO_BLK_T_IN) {
		run->counts.reads++;
		judge(run, request->data, slot, run->durable[slot], &run->counts.lost);
	} else {
		run->counts.flushes++;
		judge_flush(run, request);
	}
	if (io->type != VIRTIO_BLK_T_FLUSH)
		run->busy[slot] = false;
}

static void begin_flush(struct run *run, struct request *request)
{
	request->io.type = VIRTIO_BLK_T_FLUSH;
	memcpy(request->floor, run->durable, sizeof(request->floor));
}

static void begin_transfer(struct run *run, struct request *request)
{
	unsigned slot = draw(run, SLOTS);

	while (run->busy[slot])
		slot = (slot + 1) % SLOTS;
	run->busy[slot] = true;
	request->slot = slot;
	request->io.sector = slot;
	request->part = (struct vio_part){ request->data, SECTOR };
	request->io.parts = &request->part;
	request->io.part_count = 1;
	request->io.type = draw(run, 3) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	if (request->io.type == VIRTIO_BLK_T_OUT)
		fill(request->data, slot, ++run->written[slot]);
	else
		memset(request->data, 0xee, SECTOR);
}

static void begin(struct run *run, struct request *request)
{
	int error;

	request->io = (struct vio_blk_io){ .done = done, .owner = request };
	request->io.queue = (uint16_t)((request - run->requests) % run->blk.identity.queue_count);
	if (draw(run, 12))
		begin_transfer(run, request);
	else
		begin_flush(run, request);
	run->in_flight++;
	error = vio_blk_submit(&run->dev, &request->io);
	if (!error)
		return;
	fprintf(stderr, "lives: a request isn't taken: %s\n", vio_strerror(error));
	run->counts.failed++;
	run->in_flight--;
}

static bool more_to_come(const struct run *run)
{
	return run->kills || run->points || atomic_load(&run->shared->hang_ups) < run->reconnects;
}

static void poll_all(struct run *run)
{
	const struct vio_platform *platform = run->dev.platform;

	for (uint16_t queue = 0; queue < run->blk.identity.queue_count; queue++) {
		vio_blk_kick(&run->dev, queue);
		if (vio_blk_poll(&run->dev, queue) < 0)
			run->counts.failed++;
	}
	platform->wait(platform->context, UINT64_C(300000));
	look_after(run);
}

static void work(struct run *run)
{
	const struct vio_platform *platform = run->dev.platform;
	uint64_t last_ns = platform->now_ns(platform->context), before = 0;

	while ((more_to_come(run) || run->in_flight) && run->counts.failed + run->counts.lost < 5) {
		uint64_t answered = run->counts.writes + run->counts.reads + run->counts.flushes;
		uint64_t now_ns = platform->now_ns(platform->context);

		for (unsigned i = 0; i < run->depth && more_to_come(run); i++)
			if (!run->requests[i].io.busy)
				begin(run, &run->requests[i]);
		poll_all(run);
		/* Killed at some points again and again none gets anything done, so lives count as well. */
		answered += run->counts.lives;
		if (answered != before)
			last_ns = now_ns;
		before = answered;
		if (now_ns - last_ns > PATIENCE_S * UINT64_C(1000000000)) {
			fprintf(stderr, "lives: %u requests aren't answered\n", run->in_flight);
			run->counts.failed++;
			return;
		}
	}
}

static void read_back(struct run *run)
{
	struct sector sector;

	if (vio_blk_flush(&run->dev))
		run->counts.failed++;
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (vio_blk_read(&run->dev, slot, &sector, SECTOR))
			run->counts.failed++;
		else
			judge(run, &sector, slot, run->durable[slot], &run->counts.lost);
	}
}

static int drive(struct run *run)
{
	const struct vio_platform *platform = vio_vhost_user_frontend_platform(&run->dev);
	int error = vio_driver_bind(&run->dev, &vio_blk_driver, platform, &run->blk);

	if (error) {
		fprintf(stderr, "lives: no driver: %s (%s)\n", vio_strerror(error),
			vio_vhost_user_frontend_mistake(&run->dev));
		return 1;
	}
	for (unsigned i = 0; i < run->depth; i++) {
		struct vio_shared memory;

		if (platform->take(platform->context, SECTOR, VIO_MEM_READ | VIO_MEM_WRITE, &memory))
			return 1;
		run->requests[i].data = (void *)memory.host;
		run->requests[i].run = run;
	}
	retire(run);
	work(run);
	run->kills = run->points = 0;
	if (!run->counts.failed)
		read_back(run);
	return 0;
}

/* One kind of ring, socket and disk from the first to the last of its back ends. */
static int live_through(struct run *run, int first_socket)
{
	const struct vio_vhost_user_frontend_options options = {
		.id = VIRTIO_ID_BLOCK,
		.arena_bytes = 1 << 20,
		.timeout_ms = 10000,
		.waiting = waiting,
		.reconnect = next_socket,
		.reconnect_ms = 10000,
		.context = run,
	};
	struct vio_vhost_user_mistake mistake;
	int error = vio_vhost_user_frontend_open(first_socket, &options, &run->dev, &mistake), status;

	if (error) {
		fprintf(stderr, "lives: no agreement: %s\n", mistake.text);
		return 1;
	}
	run->dev.owner = run;
	error = drive(run);
	if (*vio_vhost_user_frontend_mistake(&run->dev))
		fprintf(stderr, "lives: %s\n", vio_vhost_user_frontend_mistake(&run->dev));
	run->closing = true;
	atomic_store(&run->shared->closing, true);
	vio_vhost_user_frontend_hang_up(&run->dev);
	if (vio_dev_close(&run->dev))
		error = 1;
	if (run->back) {
		kill(run->back, SIGKILL);
		waitpid(run->back, &status, 0);
	}
	return error;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 64))
		return -1;
	return fd;
}

static const char *const kinds[] = { "split", "packed", "split in order", "packed in order" };

static void report(const struct run *run, unsigned which)
{
	printf("%s, %s%s%s: ", kinds[which & 3], which & 4 ? "connects" : "is connected to",
	       run->shared->orders.cache ? ", with a cache" : "",
	       run->shared->orders.threads ? ", threads" : "");
	printf("%u lives, %u killed at any time, %u at a point, %llu hung up; %llu writes, %llu reads, ",
	       run->counts.lives, run->counts.random_kills, run->counts.scripted_kills,
	       (unsigned long long)atomic_load(&run->shared->hang_ups),
	       (unsigned long long)run->counts.writes, (unsigned long long)run->counts.reads);
	printf("%llu flushes; lost %llu, doubled %llu, misordered %llu, failed %llu\n",
	       (unsigned long long)run->counts.flushes, (unsigned long long)run->counts.lost,
	       (unsigned long long)atomic_load(&run->shared->doubled),
	       (unsigned long long)run->counts.misordered, (unsigned long long)run->counts.failed);
}

/* One of RUNS: the kind of ring, who connects, whether there are threads; a cache every second. */
static int one(struct counts *sum, unsigned which, const struct run *wanted, uint64_t *doubled)
{
	struct run *run = calloc(1, sizeof(*run));
	char directory[] = "/tmp/vireo-lives-XXXXXX", path[64];
	int first = -1, error;

	if (!run || !mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/s", directory);
	*run = *wanted;
	run->random += which * UINT64_C(0x9e3779b97f4a7c15);
	run->path = path;
	run->turn = which * 7;
	run->listening = listen_at(path);
	run->shared =
		mmap(NULL, sizeof(*run->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->listening < 0 || run->shared == MAP_FAILED)
		return 1;
	run->shared->orders = (struct orders){ .packed = which & 1,
					       .in_order = which & 2,
					       .client = which & 4,
					       .cache = (which ^ which >> 1) & 1,
					       .queues = which & 8 ? 4 : 2,
					       .threads = which & 8 ? 2 : 0 };
	/* Opening has to succeed at once. */
	{
		const unsigned kills = run->kills, points = run->points, reconnects = run->reconnects;

		run->kills = run->points = run->reconnects = 0;
		new_back(run);
		run->kills = kills;
		run->points = points;
		run->reconnects = reconnects;
	}
	while (first < 0)
		first = next_socket(run);
	error = live_through(run, first);
	report(run, which);
	*doubled += atomic_load(&run->shared->doubled);
	sum->lost += run->counts.lost;
	sum->failed += run->counts.failed;
	sum->misordered += run->counts.misordered;
	sum->random_kills += run->counts.random_kills;
	sum->scripted_kills += run->counts.scripted_kills;
	sum->lives += (unsigned)atomic_load(&run->shared->hang_ups);
	for (unsigned i = 0; i < LINK_STOP_COUNT; i++)
		sum->at_point[i] += run->counts.at_point[i];
	close(run->listening);
	unlink(path);
	rmdir(directory);
	munmap(run->shared, sizeof(*run->shared));
	free(run);
	return error;
}

/* `whole` in as many parts, of which the first ones get what doesn't divide. */
static unsigned part_of(unsigned whole, unsigned which)
{
	return whole / RUNS + (which < whole % RUNS);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kills", 1, NULL, 'k' }, { "points", 1, NULL, 'p' }, { "reconnects", 1, NULL, 'r' },
		{ "depth", 1, NULL, 'd' }, { "seed", 1, NULL, 's' },   { NULL, 0, NULL, 0 },
	};
	struct run wanted = { .random = UINT64_C(88172645463325252), .depth = 32 };
	unsigned kills = 50, points = 4 * LINK_STOP_COUNT, reconnects = 50;
	struct counts sum = { .lost = 0 };
	uint64_t doubled = 0;
	int option, error = 0;

	signal(SIGPIPE, SIG_IGN);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long value = strtoul(optarg ? optarg : "0", NULL, 10);

		if (option == 'k')
			kills = (unsigned)value;
		else if (option == 'p')
			points = (unsigned)value;
		else if (option == 'r')
			reconnects = (unsigned)value;
		else if (option == 'd' && value && value <= DEPTH_MAX)
			wanted.depth = (unsigned)value;
		else if (option == 's')
			wanted.random += value;
		else
			return 2;
	}
	for (unsigned which = 0; which < RUNS; which++) {
		wanted.kills = part_of(kills, which);
		wanted.points = part_of(points, which);
		wanted.reconnects = part_of(reconnects, which);
		error |= one(&sum, which, &wanted, &doubled);
	}
	printf("%u killed at any time, %u at a point, %u hung up: lost %llu, doubled %llu, misordered %llu, "
	       "failed %llu\n",
	       sum.random_kills, sum.scripted_kills, sum.lives, (unsigned long long)sum.lost,
	       (unsigned long long)doubled, (unsigned long long)sum.misordered,
	       (unsigned long long)sum.failed);
	printf("at each point:");
	for (unsigned i = 0; i < LINK_STOP_COUNT; i++)
		printf(" %u", sum.at_point[i]);
	printf("\n");
	return error || sum.lost || doubled || sum.misordered || sum.failed;
}
