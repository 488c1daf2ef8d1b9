/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_RING_FLOOR_H
#define BENCH_RING_FLOOR_H

#include <stdint.h>

/* The two formats as the standard lays them out, on a little-endian machine. */

struct floor_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct floor_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct floor_used {
	uint16_t flags;
	uint16_t idx;
	struct {
		uint32_t id;
		uint32_t len;
	} ring[];
};

struct floor_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

struct floor_event {
	uint16_t desc;
	uint16_t flags;
};

#define FLOOR_EVENT_DISABLE 1u

#define FLOOR_NEXT     1u
#define FLOOR_WRITE    2u
#define FLOOR_INDIRECT 4u
#define FLOOR_AVAIL    (1u << 7)
#define FLOOR_USED     (1u << 15)

#endif
