/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_VSSD_BENCH_H
#define TESTS_DEVICES_VSSD_BENCH_H

#include "devices/fake_block.h"
#include "devices/harness.h"

#include <vireo/devices/vssd.h>

/* The harness with a VSSD on two fake storages, and lists in the words of docs/vssd.md. */
#define UNIT     4096u
#define SECTORS  (UNIT / VIRTIO_BLK_SECTOR_BYTES)
#define BLOCKS   40u
#define CONTROL  1u
#define LIST_MAX 32u

struct bench {
	struct harness h;
	struct fake_block data, map;
	void *memory;
	unsigned told;
};

/* A range of a list. */
struct pair {
	uint64_t first, count;
};

/* A device on new storage that isn't realized yet. */
void bench_make(struct bench *bench);
/* Realizes and starts it with all that is offered. */
void bench_start(struct bench *bench);
void bench_free(struct bench *bench);
struct virtio_vssd_config config_of(struct bench *bench);
uint32_t ticket_of(struct bench *bench);
struct vio_vssd_report report_of(struct bench *bench);
/* A control request with a list; its bytes. */
size_t make_list(uint8_t *out, uint32_t type, uint32_t ticket, const struct pair *list, unsigned count);
/* The status, with the range to blame in the upper half. */
uint32_t control(struct bench *bench, uint32_t type, uint32_t ticket, const struct pair *list,
		 unsigned count);
uint32_t evict(struct bench *bench, uint64_t first, uint64_t count);
uint32_t claim(struct bench *bench, uint64_t first, uint64_t count);
void pattern(uint8_t *bytes, uint64_t block, uint8_t seed);
void fill(struct bench *bench, uint64_t block, uint8_t seed);
/* Each block with a pattern of its own, which assert_kept() expects. */
void fill_all(struct bench *bench);
void assert_kept(struct bench *bench, uint64_t first, uint64_t count);
void assert_zeros(struct bench *bench, uint64_t first, uint64_t count);
/* Neither read nor written, and nothing of it is left in the image. */
void assert_gone(struct bench *bench, uint64_t first, uint64_t count);
void assert_numbers(struct bench *bench, uint64_t provisioned, uint64_t target, uint32_t state);
uint8_t transfer(struct bench *bench, uint32_t type, uint64_t block, uint8_t *bytes);

#endif
