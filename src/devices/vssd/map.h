/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DEVICES_VSSD_MAP_H
#define VIO_DEVICES_VSSD_MAP_H

#include <vireo/devices/vssd.h>

/*
 * Which blocks are provisioned: a bit for each, as it is (now) and as it will be when the change that
 * is being made is recorded (next). A block is live when it is in both.
 */
struct vssd_map {
	struct vio_block *block;
	uint64_t total;
	uint64_t slot_bytes;
	uint64_t sequence;   /* of the last slot written */
	uint8_t *now, *next; /* slots: a header, and the bits VIO_VSSD_SLOT_ALIGN bytes behind it */
	uint64_t provisioned, provisioned_next;
	uint64_t target, target_next;
	uint32_t block_bytes;
	struct vio_span span;
};

uint64_t vio_vssd_map_slot_bytes(uint64_t total);

/* Reads the newest slot that is whole, or records that all is provisioned where there is none yet. */
int vio_vssd_map_open(struct vssd_map *map, void *memory);

/* Makes the request that records `next`; to be submitted to map->block. */
void vio_vssd_map_prepare(struct vssd_map *map, struct vio_block_request *request);
/* It was done: next becomes now. */
void vio_vssd_map_settle(struct vssd_map *map);
/* It won't be: next becomes what now is. */
void vio_vssd_map_forget(struct vssd_map *map);

/* Whether all `count` blocks from `first`, which exist, are live. */
bool vio_vssd_map_is_live(const struct vssd_map *map, uint64_t first, uint64_t count);
/* Whether one of them is not what it will be. */
bool vio_vssd_map_changes(const struct vssd_map *map, uint64_t first, uint64_t count);
/* Changes next, where all of them have to be the opposite; false and nothing changed otherwise. */
bool vio_vssd_map_mark(struct vssd_map *map, uint64_t first, uint64_t count, bool provisioned);

/*
 * The first run of blocks from *first on that change or, with `absent`, that aren't live; *count
 * blocks, false when there is none.
 */
bool vio_vssd_map_run(const struct vssd_map *map, bool absent, uint64_t *first, uint64_t *count);

/* Behind the last live block. */
uint64_t vio_vssd_map_end(const struct vssd_map *map);

/* Eight blocks from `first`, a multiple of 8, as bits. */
uint8_t vio_vssd_map_eight(const struct vssd_map *map, uint64_t first);

#endif
