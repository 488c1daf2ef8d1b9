/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/*
 *   bench-copy MODE BYTES MILLISECONDS
 *
 * What frames cost that only are copied, by memcpy() and one thread: MODE `receive` copies one frame into
 * FRAMES buffers in turn, `forward` from each of those into each of as many others. Prints millions of frames
 * a second. Buffers are as far apart as those that testpmd gives a device, which nobody else touches here.
 */

#define FRAMES      1024u
#define APART       2432u
#define BYTES_MAX   2048u
#define ARENA_BYTES ((size_t)8 << 20)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* In huge pages, if there are some. */
static uint8_t *arena(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *at = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);

	if (at == MAP_FAILED)
		at = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

int main(int argc, char **argv)
{
	const bool forward = argc == 4 && !strcmp(argv[1], "forward");
	const size_t bytes = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	const uint64_t wanted_ns = argc == 4 ? strtoul(argv[3], NULL, 10) * 1000000u : 0;
	uint8_t *const from = arena(), *const to = arena();
	uint64_t begin, end, frames = 0;

	if (!bytes || bytes > BYTES_MAX || !wanted_ns || (!forward && strcmp(argv[1], "receive") != 0)) {
		fprintf(stderr, "usage: bench-copy receive|forward BYTES MILLISECONDS; at most %u bytes\n",
			BYTES_MAX);
		return 2;
	}
	if (!from || !to) {
		fprintf(stderr, "bench-copy: out of memory\n");
		return 1;
	}
	begin = end = now_ns();
	while (end - begin < wanted_ns) {
		for (size_t i = 0; i < FRAMES; i++) {
			memcpy(to + i * APART, from + (forward ? i * APART : 0), bytes);
			__asm__ volatile("" ::: "memory");
		}
		frames += FRAMES;
		end = now_ns();
	}
	printf("%.3f\n", (double)frames * 1e3 / (double)(end - begin));
	return 0;
}
