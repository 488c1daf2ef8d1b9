/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PROOFS_LOOP_H
#define VIO_PROOFS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Cuts a loop, so that what is proven holds for any number of rounds.
 *
 * proofs/run puts LOOP_BEGINS before the loop, and at the beginning of its body a macro of the proof's
 * which says LOOP_ROUND. The first round shows that `holds` is true, goes over to any state that a round
 * can begin with (`changes` gives each variable that the loop changes any value; `holds` is assumed of
 * these), and runs the body; the next one shows that `holds` is true again and that `left` has become
 * less, and ends there. So all rounds are proven by one, and as `left` can't become less for ever, the
 * loop ends.
 *
 * `changes` has to name all that the loop changes: of what it forgets only what the first rounds do to it is
 * proven. Let `holds` say of the rest of the queue that it stays as it was.
 */
#define LOOP_BEGINS(n)         \
	bool loop_##n = false; \
	uint64_t loop_left_##n = 0;

#define LOOP_ROUND(n, changes, holds, left)                                                         \
	if (loop_##n) {                                                                             \
		__CPROVER_assert(holds, "what holds when a round begins holds when the next does"); \
		__CPROVER_assert((left) < loop_left_##n, "each round is nearer to the end");        \
		__CPROVER_assume(false);                                                            \
	}                                                                                           \
	__CPROVER_assert(holds, "what holds when a round begins holds when the first does");        \
	changes;                                                                                    \
	__CPROVER_assume(holds);                                                                    \
	loop_##n = true;                                                                            \
	loop_left_##n = (left);

#endif
