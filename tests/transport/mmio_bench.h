/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSPORT_MMIO_BENCH_H
#define TEST_TRANSPORT_MMIO_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <vireo/device.h>
#include <vireo/drvq.h>
#include <vireo/mmio.h>

/* The register model on a bench: a device behind it, memory, and a hand at the registers. */

#define QUEUES       2u
#define QUEUE_SIZE   8u
#define CONFIG_BYTES 8u
#define BASE         0x40000000u
#define MEMORY_BYTES 0x10000u
#define FEATURE      3u
#define HIGH_FEATURE 70u
#define ALL_DONE     (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

#define VERSION_1  (UINT64_C(1) << VIRTIO_F_VERSION_1)
#define RING_RESET (UINT64_C(1) << VIRTIO_F_RING_RESET)

/* A device that gives each buffer back, or keeps it when it is told to. */
struct parrot {
	uint8_t config[CONFIG_BYTES];
	bool keep;
	struct vio_buf kept;
	unsigned popped, drained, resets, status_writes;
};

struct bench {
	struct vio_device device;
	struct parrot parrot;
	void *storage;
	struct vio_mem mem;
	struct vio_region regions[2];
	uint8_t *memory;
	struct vio_mmio_device model;
	struct vio_mmio_queue queues[QUEUES];
	unsigned level, raised, lowered, work, faults;
	struct vio_mmio_trace last;
	struct vio_drvq drvq;
	void *drvq_storage;
};

void bench_make(struct bench *b, uint32_t version);
void bench_free(struct bench *b);

uint32_t bench_get(struct bench *b, uint32_t offset);
void bench_set(struct bench *b, uint32_t offset, uint32_t value);
/* A write that is to be ignored. */
void bench_set_ignored(struct bench *b, uint32_t offset, uint32_t value);

/* From reset to FEATURES_OK, which may be refused. */
void bench_negotiate(struct bench *b, uint64_t low_features);

/* Rings of queue 0 as a driver makes them, at the beginning of memory. */
void bench_make_rings(struct bench *b);
void bench_write_addresses(struct bench *b, uint64_t descriptor_area, uint64_t driver_area,
			   uint64_t device_area);
void bench_write_good_addresses(struct bench *b);
void bench_start_queue(struct bench *b);
void bench_legacy_queue(struct bench *b, uint32_t align, uint32_t pfn);

/* Everything up to DRIVER_OK. */
void bench_bring_up(struct bench *b, uint64_t features);

/* Makes one buffer available. */
void bench_add(struct bench *b);
/* One request there and back. */
void bench_works(struct bench *b);

/* Every offset, width and direction, against a table of its own. Versions: modern 1, legacy 2. */
void bench_check_registers(struct bench *b, unsigned version_bit);

/* A driver out of its mind: whatever it writes anywhere, the device works again after a reset. */
void bench_mad_driver(struct bench *b, uint32_t version);

#endif
