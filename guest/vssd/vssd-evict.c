/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <virtio_vssd_ioctl.h>

/*
 * The program that a guest needs beside the module virtio_vssd: it waits until the host asks for
 * blocks, and hands back those that were written least recently.
 */

#define RANGES_MAX   1024u   /* of one list: so that progress is seen */
#define PIECE_BLOCKS 262144u /* whose times are asked for at once */
#define TRIES_MAX    1000u   /* when blocks are written all the time */

struct evict {
	int fd;
	bool once, verbose;
	uint64_t keep_bytes;

	uint64_t total;
	uint32_t *times; /* of all blocks */
	uint32_t clock;
	uint64_t *chosen; /* blocks, in order */
};

static int complain(const char *what)
{
	fprintf(stderr, "vssd-evict: %s: %s\n", what, strerror(errno));
	return 1;
}

/* When each block was written; the clock is that of the first piece, so that nothing is missed. */
static int look(struct evict *evict)
{
	for (uint64_t first = 0; first < evict->total; first += PIECE_BLOCKS) {
		uint64_t left = evict->total - first;
		struct virtio_vssd_blocks blocks = {
			.first = first,
			.count = left < PIECE_BLOCKS ? left : PIECE_BLOCKS,
			.times = (uintptr_t)&evict->times[first],
		};

		if (ioctl(evict->fd, VIRTIO_VSSD_IOC_BLOCKS, &blocks))
			return -1;
		if (!first)
			evict->clock = blocks.clock;
	}
	return 0;
}

struct candidate {
	uint64_t block;
	uint32_t time;
};

/* Least recently written first; of those never written, the last of the disk. */
static int compare_age(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->block > y->block ? -1 : x->block < y->block;
}

static int compare_place(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The blocks to hand back, at most `wanted`, in the order of the disk; how many, or -1. */
static int64_t choose(struct evict *evict, uint64_t wanted, uint32_t block_bytes)
{
	uint64_t keep = evict->keep_bytes / block_bytes + (evict->keep_bytes % block_bytes != 0);
	struct candidate *candidates = malloc((evict->total + 1) * sizeof(*candidates));
	uint64_t count = 0;

	if (!candidates)
		return -1;
	for (uint64_t i = keep; i < evict->total; i++)
		if (evict->times[i] != VIRTIO_VSSD_ABSENT)
			candidates[count++] = (struct candidate){ i, evict->times[i] };
	qsort(candidates, count, sizeof(*candidates), compare_age);
	if (count > wanted)
		count = wanted;
	for (uint64_t i = 0; i < count; i++)
		evict->chosen[i] = candidates[i].block;
	free(candidates);
	qsort(evict->chosen, count, sizeof(*evict->chosen), compare_place);
	return (int64_t)count;
}

/* Hands back the first of those chosen, as far as one list goes. With none: declines. */
static int hand_back(struct evict *evict, const struct virtio_vssd_ask *ask, uint64_t count)
{
	static struct virtio_vssd_blocks_range ranges[RANGES_MAX];
	struct virtio_vssd_evict list = {
		.ticket = ask->ticket,
		.clock = evict->clock,
		.ranges = (uintptr_t)ranges,
	};

	for (uint64_t i = 0; i < count; i++) {
		struct virtio_vssd_blocks_range *last = &ranges[list.count - (list.count != 0)];

		if (list.count && last->first + last->count == evict->chosen[i]) {
			last->count++;
			continue;
		}
		if (list.count == RANGES_MAX)
			break;
		ranges[list.count++] = (struct virtio_vssd_blocks_range){ evict->chosen[i], 1 };
	}
	if (evict->verbose)
		printf("%" PRIu64 " blocks asked for: %u ranges handed back\n", (uint64_t)ask->blocks,
		       list.count);
	return ioctl(evict->fd, VIRTIO_VSSD_IOC_EVICT, &list);
}

/* Makes room for what is known of a disk of that size. */
static int prepare(struct evict *evict, uint64_t total)
{
	if (evict->times && evict->total == total)
		return 0;
	free(evict->times);
	free(evict->chosen);
	evict->total = total;
	evict->times = calloc(total, sizeof(*evict->times));
	evict->chosen = calloc(total, sizeof(*evict->chosen));
	return evict->times && evict->chosen ? 0 : -1;
}

/* Answers one ask, to its end. 0: done or withdrawn; 1: declined; -1 and errno. */
static int answer(struct evict *evict, struct virtio_vssd_ask *ask)
{
	unsigned tries = 0;
	int64_t count;

	while (ask->blocks) {
		if (prepare(evict, ask->total) || look(evict))
			return -1;
		count = choose(evict, ask->blocks, ask->block_bytes);
		if (count < 0)
			return -1;
		if (!hand_back(evict, ask, (uint64_t)count))
			tries = 0;
		else if (errno != EBUSY && errno != ESTALE && errno != EINTR)
			return -1;
		else if (++tries == TRIES_MAX)
			return -1;
		else
			usleep(1000);
		if (!count)
			return 1;
		if (ioctl(evict->fd, VIRTIO_VSSD_IOC_ASK, ask))
			return -1;
	}
	return 0;
}

static int serve(struct evict *evict)
{
	struct virtio_vssd_ask ask;
	int result;

	for (;;) {
		if (read(evict->fd, &ask, sizeof(ask)) != sizeof(ask)) {
			if (errno == EINTR)
				continue;
			return errno == ENODEV && !evict->once ? 0 : complain("waiting for the host");
		}
		result = answer(evict, &ask);
		if (result < 0 && errno == ENODEV && !evict->once)
			return 0;
		if (result < 0)
			complain("handing blocks back");
		if (result > 0)
			fprintf(stderr, "vssd-evict: nothing is left to hand back; declined\n");
		if (evict->once || result < 0)
			return result != 0;
		fflush(stdout);
	}
}

/* A number that K, M or G may follow. */
static bool parse_bytes(const char *text, uint64_t *bytes)
{
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (*end == 'K' || *end == 'k')
		shift = 10;
	else if (*end == 'M' || *end == 'm')
		shift = 20;
	else if (*end == 'G' || *end == 'g')
		shift = 30;
	end += shift != 0;
	if (*end || errno || *bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

static int usage(void)
{
	fputs("usage: vssd-evict [-1v] [-k BYTES] CONTROL, such as /dev/vssd0-control\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct evict evict = { 0 };
	int option, status;

	while ((option = getopt(argc, argv, "1vk:")) != -1) {
		switch (option) {
		case '1':
			evict.once = true;
			break;
		case 'v':
			evict.verbose = true;
			break;
		case 'k':
			if (parse_bytes(optarg, &evict.keep_bytes))
				break;
			fprintf(stderr, "vssd-evict: '%s' is no number of bytes, such as 64M\n", optarg);
			return 2;
		default:
			return usage();
		}
	}
	if (optind + 1 != argc)
		return usage();
	evict.fd = open(argv[optind], O_RDWR | O_CLOEXEC);
	if (evict.fd < 0)
		return complain(argv[optind]);
	status = serve(&evict);
	free(evict.times);
	free(evict.chosen);
	close(evict.fd);
	return status;
}
