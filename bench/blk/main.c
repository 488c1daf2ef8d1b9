/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/driver.h>
#include <vireo/drivers/blk.h>
#include <vireo/vhost_user_frontend.h>

/*
 *   bench-blk [OPTION...] SOCKET
 *
 * Keeps requests in flight on a disk behind a vhost-user socket, by Vireo's own driver, and prints how many
 * there were a second, how long they took, and what processor time both sides spent for each.
 */

#define SECTOR      512u
#define DEPTH_MAX   128u
#define STEPS       16u /* of the histogram, for each power of two */
#define ARENA_BYTES ((size_t)192 << 20)
#define BYTES_MAX   (1u << 20)

struct settings {
	unsigned depth, queues, bytes;
	double seconds;
	bool polls, writes, split, sequential;
	const char *path;
};

/* In memory that the device sees, so that nothing is copied. */
struct slot {
	struct vio_blk_io io;
	struct vio_part part;
	uint64_t begun_ns;
};

struct bench {
	struct settings settings;
	struct vio_dev dev;
	struct vio_blk blk;
	struct vio_transport_ops ops;
	const struct vio_platform *platform;
	uint64_t random, next, end_ns, now_ns;
	uint64_t blocks; /* of settings.bytes on the disk */
	uint64_t begun, done, failed, total_ns;
	uint64_t histogram[64 * STEPS];
	bool slept; /* and what time it is by now isn't known */
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "bench-blk: %s: %s\n", what, why);
	return 1;
}

static void count(struct bench *bench, uint64_t ns)
{
	unsigned power = 63 - (unsigned)__builtin_clzll(ns | 1);
	unsigned step = power < 4 ? 0 : (unsigned)(ns >> (power - 4)) % STEPS;

	bench->histogram[power * STEPS + step]++;
	bench->total_ns += ns;
}

static double quantile_us(const struct bench *bench, double share)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < 64 * STEPS; i++) {
		seen += bench->histogram[i];
		if (seen && (double)seen >= share * (double)bench->done)
			return (double)((UINT64_C(1) << i / STEPS) * (STEPS + i % STEPS)) / STEPS / 1000;
	}
	return 0;
}

static void begin(struct bench *bench, struct slot *slot)
{
	uint64_t block = bench->next++;

	if (!bench->settings.sequential) {
		bench->random ^= bench->random << 13;
		bench->random ^= bench->random >> 7;
		bench->random ^= bench->random << 17;
		block = bench->random;
	}
	slot->io.sector = block % bench->blocks * (bench->settings.bytes / SECTOR);
	slot->begun_ns = bench->now_ns;
	bench->begun++;
	if (vio_blk_submit(&bench->dev, &slot->io))
		bench->failed++;
}

/* The clock is read once for what came together. */
static void tick(struct bench *bench)
{
	bench->now_ns = bench->platform->now_ns(bench->platform->context);
	bench->slept = false;
}

static void done(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct bench *bench = dev->owner;
	struct slot *slot = io->owner;

	if (bench->slept)
		tick(bench);
	bench->done++;
	if (io->result)
		bench->failed++;
	count(bench, bench->now_ns - slot->begun_ns);
	if (bench->now_ns < bench->end_ns && !bench->failed)
		begin(bench, slot);
}

static int look(struct bench *bench)
{
	int found = 0;

	for (uint16_t queue = 0; queue < bench->settings.queues; queue++) {
		int polled = vio_blk_poll(&bench->dev, queue);

		if (polled < 0)
			return polled;
		found += polled;
		if (polled)
			vio_blk_kick(&bench->dev, queue);
	}
	return found;
}

static int drive(struct bench *bench)
{
	const struct vio_platform *platform = bench->platform;
	uint64_t last_ns;
	int found;

	tick(bench);
	last_ns = bench->now_ns;
	while (bench->done < bench->begun && !bench->failed) {
		tick(bench);
		found = look(bench);
		if (found < 0)
			return fail(bench->settings.path, vio_strerror(found));
		if (found)
			last_ns = bench->now_ns;
		else if (bench->now_ns - last_ns > UINT64_C(10000000000))
			return fail(bench->settings.path, "no answer for 10 seconds");
		if (bench->settings.polls || found)
			continue;
		/* What comes meanwhile is completed inside. */
		bench->slept = true;
		platform->wait(platform->context, UINT64_C(1000000000));
		for (uint16_t queue = 0; queue < bench->settings.queues; queue++)
			vio_blk_kick(&bench->dev, queue);
	}
	return bench->failed ? fail(bench->settings.path, "requests failed") : 0;
}

/* Processor time of a process, in us; 0 when it can't be told. */
static double cpu_of(int pid)
{
	unsigned long user, system;
	char path[64];
	FILE *file;
	int got;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	got = fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		     &system);
	fclose(file);
	return got == 2 ? (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK) : 0;
}

static double cpu_own(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int fill(struct bench *bench)
{
	const struct settings *settings = &bench->settings;
	const struct vio_platform *platform = bench->platform;
	const unsigned slots = settings->depth * settings->queues;
	struct vio_shared data, memory;

	if (platform->take(platform->context, slots * sizeof(struct slot), VIO_MEM_READ | VIO_MEM_WRITE,
			   &memory) ||
	    platform->take(platform->context, (size_t)slots * settings->bytes, VIO_MEM_READ | VIO_MEM_WRITE,
			   &data))
		return fail(settings->path, "so many and so large requests don't fit into memory");
	tick(bench);
	bench->end_ns = bench->now_ns + (uint64_t)(settings->seconds * 1e9);
	for (unsigned i = 0; i < slots; i++) {
		struct slot *slot = (struct slot *)memory.host + i;

		slot->part = (struct vio_part){ (uint8_t *)data.host + (size_t)i * settings->bytes,
						settings->bytes };
		slot->io.type = settings->writes ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
		slot->io.queue = (uint16_t)(i % settings->queues);
		slot->io.parts = &slot->part;
		slot->io.part_count = 1;
		slot->io.done = done;
		slot->io.owner = slot;
		begin(bench, slot);
	}
	for (uint16_t queue = 0; queue < settings->queues; queue++)
		vio_blk_kick(&bench->dev, queue);
	return 0;
}

static int measure(struct bench *bench, int server)
{
	const uint64_t start_ns = bench->platform->now_ns(bench->platform->context);
	const double server_us = cpu_of(server), own_us = cpu_own();
	double seconds, requests;
	int status = fill(bench);

	if (!status)
		status = drive(bench);
	if (status)
		return status;
	tick(bench);
	seconds = (double)(bench->now_ns - start_ns) / 1e9;
	requests = (double)bench->done;
	printf("iops %.0f\nmean-us %.3f\np50-us %.3f\np99-us %.3f\nserver-cpu-us %.3f\nclient-cpu-us %.3f\n",
	       requests / seconds, (double)bench->total_ns / requests / 1000, quantile_us(bench, 0.5),
	       quantile_us(bench, 0.99), (cpu_of(server) - server_us) / requests,
	       (cpu_own() - own_us) / requests);
	return 0;
}

static int open_disk(struct bench *bench, int *server)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_BLOCK,
								 .queues_unsaid = 1,
								 .arena_bytes = ARENA_BYTES };
	const char *path = bench->settings.path;
	int socket = vio_vhost_user_frontend_connect(path), error;
	struct vio_vhost_user_mistake mistake = { "" };
	struct ucred peer = { .pid = 0 };
	socklen_t length = sizeof(peer);

	if (socket < 0)
		return fail(path, "nobody listens there");
	getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	*server = peer.pid;
	error = vio_vhost_user_frontend_open(socket, &options, &bench->dev, &mistake);
	if (error)
		return fail(path, *mistake.text ? mistake.text : vio_strerror(error));
	bench->ops = *bench->dev.transport;
	if (bench->settings.split)
		vio_features_clear(&bench->ops.carried, VIRTIO_F_RING_PACKED);
	bench->dev.transport = &bench->ops;
	bench->platform = vio_vhost_user_frontend_platform(&bench->dev);
	error = vio_driver_bind(&bench->dev, &vio_blk_driver, bench->platform, &bench->blk);
	if (error)
		return fail(path, vio_strerror(error));
	bench->dev.owner = bench;
	bench->blocks = bench->blk.identity.capacity * SECTOR / bench->settings.bytes;
	if (bench->blk.identity.queue_count < bench->settings.queues || !bench->blocks)
		return fail(path, "the disk is too small or has fewer queues");
	return 0;
}

static bool read_arguments(struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "depth", required_argument, NULL, 'd' },
		{ "queues", required_argument, NULL, 'q' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "seconds", required_argument, NULL, 's' },
		{ "poll", no_argument, NULL, 'p' },
		{ "write", no_argument, NULL, 'w' },
		{ "split", no_argument, NULL, 'S' },
		{ "sequential", no_argument, NULL, 'Q' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			settings->depth = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'q':
			settings->queues = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'b':
			settings->bytes = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 's':
			settings->seconds = strtod(optarg, NULL);
			break;
		case 'p':
			settings->polls = true;
			break;
		case 'w':
			settings->writes = true;
			break;
		case 'S':
			settings->split = true;
			break;
		case 'Q':
			settings->sequential = true;
			break;
		default:
			return false;
		}
	}
	settings->path = argv[optind];
	return optind + 1 == argc && settings->depth && settings->depth <= DEPTH_MAX && settings->queues &&
	       settings->queues <= VIO_BLK_QUEUES_MAX && settings->bytes && settings->bytes <= BYTES_MAX &&
	       settings->bytes % SECTOR == 0 && settings->seconds > 0 && settings->seconds < 3600;
}

int main(int argc, char **argv)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int server = 0, status;

	if (!bench)
		return fail("memory", "none left");
	bench->settings = (struct settings){ .depth = 1, .queues = 1, .bytes = 4096, .seconds = 1 };
	bench->random = UINT64_C(0x9e3779b97f4a7c15);
	if (!read_arguments(&bench->settings, argc, argv)) {
		fprintf(stderr,
			"usage: bench-blk [--depth 1..%u] [--queues 1..%u] [--bytes N] [--seconds S] "
			"[--poll] [--write] [--sequential] [--split] SOCKET\n",
			DEPTH_MAX, VIO_BLK_QUEUES_MAX);
		free(bench);
		return 2;
	}
	status = open_disk(bench, &server);
	if (!status)
		status = measure(bench, server);
	if (bench->dev.transport)
		vio_dev_close(&bench->dev);
	free(bench);
	return status;
}
