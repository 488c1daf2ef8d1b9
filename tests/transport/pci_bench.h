/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSPORT_PCI_BENCH_H
#define TEST_TRANSPORT_PCI_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <vireo/device.h>
#include <vireo/drvq.h>
#include <vireo/pci.h>

/* The register model on a bench: a device behind it, memory, and a hand at the registers. */

#define QUEUES       3u
#define QUEUE_SIZE   8u
#define CONFIG_BYTES 12u
#define VECTORS      4u
#define BASE         0x40000000u
#define MEMORY_BYTES 0x10000u
#define HIGH_FEATURE 70u
#define BAR_ADDRESS  0xe0000000u
#define PORT         0xc000u
#define ALL_DONE     (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define DRIVER_OK    VIRTIO_CONFIG_S_DRIVER_OK
#define NONE         VIRTIO_MSI_NO_VECTOR

#define BIT(bit) (UINT64_C(1) << (bit))

/* A device that gives each buffer back, or keeps it when it is told to. */
struct parrot {
	uint8_t config[CONFIG_BYTES];
	bool keep;
	struct vio_buf kept;
	unsigned kicks[QUEUES], popped, drained, resets;
	uint64_t more; /* features of words 0 and 1 */
};

struct bench {
	struct vio_device device;
	struct parrot parrot;
	void *storage;
	struct vio_mem mem;
	struct vio_region region;
	uint8_t *memory;
	struct vio_pci_device model;
	struct vio_pci_queue queues[QUEUES];
	struct vio_pci_vector vectors[VECTORS];
	unsigned level, raised, messages, work, moved, faults;
	uint64_t message_address;
	uint32_t message_data;
	struct vio_pci_trace last;
	struct vio_drvq drvq;
	void *drvq_storage;
};

struct bench_options {
	enum vio_pci_kind kind;
	unsigned flags;
	uint16_t vectors;
	uint32_t id;   /* 0: VIRTIO_ID_BLOCK */
	uint64_t more; /* features */
};

/* Ready for a driver: BARs placed, memory, ports and mastering on. */
void bench_make(struct bench *b, const struct bench_options *options);
void bench_free(struct bench *b);
void bench_place(struct bench *b);

uint32_t bench_config(struct bench *b, unsigned offset, unsigned width);
void bench_set_config(struct bench *b, unsigned offset, unsigned width, uint32_t value);
/* The offset of the first capability with this id and, for vendor ones, type; 0: none. */
unsigned bench_capability(struct bench *b, unsigned id, unsigned type);
/* Where a structure begins in the memory BAR. */
uint32_t bench_structure(struct bench *b, unsigned type);

/* Registers of the memory BAR's common configuration, and of the ports. */
uint32_t bench_get(struct bench *b, uint32_t offset, unsigned width);
void bench_set(struct bench *b, uint32_t offset, unsigned width, uint32_t value);
uint32_t bench_in(struct bench *b, uint32_t offset, unsigned width);
void bench_out(struct bench *b, uint32_t offset, unsigned width, uint32_t value);
void bench_assert_outcome(const struct bench *b, enum vio_pci_outcome outcome);

void bench_negotiate(struct bench *b, uint64_t low_features);
/* Rings for queue 0 at the beginning of memory; `align` of the device area. */
void bench_make_rings(struct bench *b, uint32_t align);
void bench_write_addresses(struct bench *b);
void bench_start_queue(struct bench *b, uint16_t queue);
/* Everything up to DRIVER_OK, with queue 0. */
void bench_bring_up(struct bench *b, uint64_t features);
void bench_legacy_bring_up(struct bench *b, uint32_t features);
void bench_notify(struct bench *b, uint16_t queue);
/* Makes one buffer available. */
void bench_add(struct bench *b);
/* Makes the table's entry and maps nothing. */
void bench_fill_vector(struct bench *b, unsigned vector, uint32_t control);
void bench_msix(struct bench *b, uint32_t control);

static inline uint64_t bench_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 16;
}

#endif
