/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_INPUT_H
#define VIREO_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * How a target reads its input: as a program of small choices, most of them from
 * menus of the values at which code breaks. Raw bytes would hardly ever make a
 * ring that is worth walking. Past its end the input is all zeros.
 */
struct fuzz_input {
	const uint8_t *bytes;
	size_t left;
	uint64_t digest; /* of what came out, the same on every machine: see fuzz_note() */
};

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->bytes++;
}

static inline uint64_t fuzz_u64(struct fuzz_input *input, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | fuzz_u8(input);
	return value;
}

/* One of `count` values, or now and then any value at all. */
static inline uint64_t fuzz_choose(struct fuzz_input *input, const uint64_t *menu, unsigned count)
{
	uint8_t choice = fuzz_u8(input);

	return choice == 255 ? fuzz_u64(input, 8) : menu[choice % count];
}

/* Takes a result into the digest, so that runs on machines of either byte order can be compared. */
static inline void fuzz_note(struct fuzz_input *input, uint64_t value)
{
	input->digest = (input->digest ^ value) * UINT64_C(0x100000001b3);
	input->digest ^= input->digest >> 29;
}

static inline void fuzz_note_bytes(struct fuzz_input *input, const uint8_t *bytes, size_t length)
{
	while (length--)
		fuzz_note(input, *bytes++);
}

/* What a target finds wrong ends the run: libFuzzer keeps the input, a replay fails. */
#define FUZZ_CHECK(condition)                                                                   \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

/*
 * Before a function of a target that decides nothing about the way through the library: the fuzzer
 * needn't follow it, and is much faster for it.
 */
#if defined(__clang__)
#define FUZZ_UNSEEN __attribute__((no_sanitize("coverage")))
#else
#define FUZZ_UNSEEN
#endif

struct world; /* of a target whose program is a list of steps */

/* Runs at most `rounds` of the `count` steps that the input names; 255 is a restart. */
static inline void fuzz_walk(struct fuzz_input *input, struct world *w,
			     void (*const steps[])(struct world *w), unsigned count,
			     void (*restart)(struct world *w), unsigned rounds)
{
	for (unsigned i = 0; i < rounds && input->left; i++) {
		uint8_t what = fuzz_u8(input);

		if (what == 255)
			restart(w);
		else
			steps[what % count](w);
	}
}

/* The target. */
void fuzz_run(struct fuzz_input *input);

#endif
