/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Event index arithmetic: an event is passed exactly when it is one of the places that were left behind, for
 * all indices of a split ring, and for all positions in packed rings of every size from 1 to 32768.
 *
 * entry: split packed_moves packed_all_passed packed_only_passed
 * source: src/ring/split.h
 * source: src/ring/packed.h
 * mutant: src/ring/split.h: now - event - 1 => now - event
 * mutant: src/ring/split.h: return (uint16_t)(now - event - 1) => return (now - event - 1)
 * mutant: src/ring/packed.h: size && left && left => size && left
 * mutant: src/ring/packed.h: if (offset < size) => if (offset <= size)
 * mutant: src/ring/packed.h: (offset - size) | (~position & PVIRTQ_WRAP) => \
 *   (offset - size) | (position & PVIRTQ_WRAP)
 * mutant: src/ring/packed.h: (offset + size - count) | (~position & PVIRTQ_WRAP) => \
 *   (offset + size - count) | (position & PVIRTQ_WRAP)
 * mutant: src/ring/packed.h: (from & PVIRTQ_WRAP ? size : 0u) => (0u)
 */
#include "src/ring/split.h"
#include "src/ring/packed.h"

#include "nondet.h"

/* A place on the track of two laps. */
static unsigned lap_place(uint16_t position, unsigned size)
{
	return packed_offset(position) + (position & PVIRTQ_WRAP ? 0 : size);
}

void split(void)
{
	uint16_t event = nondet_u16(), before = nondet_u16(), now = nondet_u16();

	__CPROVER_assert(split_event_passed(event, now, before) ==
				 ((uint16_t)(event - before) < (uint16_t)(now - before)),
			 "exactly what lies behind");
}

/* Any move of at most a lap, in a ring of any size. */
struct move {
	uint16_t size, before, count, now;
};

static struct move any_move(void)
{
	struct move m = { nondet_u16(), nondet_u16(), nondet_u16(), 0 };

	__CPROVER_assume(m.size >= 1 && m.size <= VIRTQ_SIZE_MAX);
	__CPROVER_assume(packed_offset(m.before) < m.size && m.count <= m.size);
	m.now = packed_advance(m.before, m.count, m.size);
	return m;
}

void packed_moves(void)
{
	struct move m = any_move();
	unsigned place = lap_place(m.before, m.size) + m.count, moved = lap_place(m.now, m.size);

	__CPROVER_assert(packed_offset(m.now) < m.size, "stays in the ring");
	__CPROVER_assert(moved == place || moved + 2u * m.size == place, "goes on by as many entries");
	__CPROVER_assert(packed_retreat(m.now, m.count, m.size) == m.before, "and back by as many");
}

void packed_all_passed(void)
{
	struct move m = any_move();
	uint16_t steps = nondet_u16();

	__CPROVER_assume(steps < m.count);
	__CPROVER_assert(
		packed_event_passed(packed_advance(m.before, steps, m.size), m.now, m.before, m.size),
		"what lies behind is passed");
}

void packed_only_passed(void)
{
	struct move m = any_move();
	uint16_t event = nondet_u16();
	unsigned steps;

	if (!packed_event_passed(event, m.now, m.before, m.size))
		return;
	steps = packed_distance(m.before, event, m.size);
	__CPROVER_assert(steps < m.count, "nothing that lies before");
	__CPROVER_assert(packed_advance(m.before, (uint16_t)steps, m.size) == event, "nor anywhere else");
}
