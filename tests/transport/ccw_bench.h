/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSPORT_CCW_BENCH_H
#define TEST_TRANSPORT_CCW_BENCH_H

#include <vireo/ccw.h>

#include "transport/parrot.h"

/* The model on a bench, and a hand that gives it channel command words. */

#define VERSION_1  (UINT64_C(1) << VIRTIO_F_VERSION_1)
#define SUBCHANNEL 0x00010007u

/* Where on the bench the driver keeps what; rings lie at the beginning of memory. */
#define AT_PAYLOAD    (BASE + 0xa000u)
#define AT_INDICATORS (BASE + 0xb000u)
#define AT_CONFIG     (BASE + 0xb100u)
#define AT_SUMMARY    (BASE + 0xb201u)
#define AT_PROGRAM    (BASE + 0xc000u)
#define AT_ROM        (BASE + MEMORY_BYTES)

struct bench {
	struct parrot parrot;
	struct vio_ccw_device model;
	struct vio_ccw_queue queues[QUEUES];
	unsigned interrupts, adapter_interrupts, work, faults;
	uint8_t isc; /* of the last one */
	struct vio_ccw_trace last;
	struct vio_ccw_status status; /* of the last command */
};

void bench_make(struct bench *b, uint16_t revision_min, uint16_t revision_max);
void bench_free(struct bench *b);

/* The driver's byte at an address. */
uint8_t *bench_at(struct bench *b, uint64_t address);

/* Runs a command. */
void bench_run(struct bench *b, uint8_t command, uint8_t flags, uint16_t count, uint64_t data);
/* With a payload that is put into memory before; the right length, and not suppressed. */
void bench_put(struct bench *b, uint8_t command, const void *payload, uint16_t length);

/* How it ended. */
void bench_done(const struct bench *b, uint16_t residual);
void bench_rejected(struct bench *b); /* and the sense says so, once */
void bench_wrong_length(const struct bench *b);
void bench_program_check(const struct bench *b);

void bench_set_revision(struct bench *b, uint16_t revision);
void bench_status(struct bench *b, uint8_t status);
void bench_feature_word(struct bench *b, uint8_t index, uint32_t word);
uint32_t bench_offer(struct bench *b, uint8_t index);
void bench_set_queue(struct bench *b, uint16_t index, uint16_t entries, uint64_t descriptor_area,
		     uint64_t driver_area, uint64_t device_area);
void bench_good_queue(struct bench *b);
void bench_put_address(struct bench *b, uint8_t command, uint64_t address);
void bench_two_stage(struct bench *b, uint64_t summary, uint64_t indicator, uint64_t bit);

/* Everything from the revision to DRIVER_OK, with classic indicators. */
void bench_bring_up(struct bench *b);
/* One request there and back. */
void bench_works(struct bench *b);

#endif
