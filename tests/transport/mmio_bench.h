/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSPORT_MMIO_BENCH_H
#define TEST_TRANSPORT_MMIO_BENCH_H

#include <vireo/mmio.h>

#include "transport/parrot.h"

/* The register model on a bench, and a hand at the registers. */

#define VERSION_1  (UINT64_C(1) << VIRTIO_F_VERSION_1)
#define RING_RESET (UINT64_C(1) << VIRTIO_F_RING_RESET)

struct bench {
	struct parrot parrot;
	struct vio_mmio_device model;
	struct vio_mmio_queue queues[QUEUES];
	unsigned level, raised, lowered, work, faults;
	struct vio_mmio_trace last;
};

void bench_make(struct bench *b, uint32_t version);
void bench_free(struct bench *b);

uint32_t bench_get(struct bench *b, uint32_t offset);
void bench_set(struct bench *b, uint32_t offset, uint32_t value);
/* A write that is to be ignored. */
void bench_set_ignored(struct bench *b, uint32_t offset, uint32_t value);

/* From reset to FEATURES_OK, which may be refused. */
void bench_negotiate(struct bench *b, uint64_t low_features);

void bench_write_addresses(struct bench *b, uint64_t descriptor_area, uint64_t driver_area,
			   uint64_t device_area);
void bench_write_good_addresses(struct bench *b);
void bench_start_queue(struct bench *b);
void bench_legacy_queue(struct bench *b, uint32_t align, uint32_t pfn);

/* Everything up to DRIVER_OK. */
void bench_bring_up(struct bench *b, uint64_t features);

/* One request there and back. */
void bench_works(struct bench *b);

/* Every offset, width and direction, against a table of its own. Versions: modern 1, legacy 2. */
void bench_check_registers(struct bench *b, unsigned version_bit);

/* A driver out of its mind: whatever it writes anywhere, the device works again after a reset. */
void bench_mad_driver(struct bench *b, uint32_t version);

#endif
