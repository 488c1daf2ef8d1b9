/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSPORT_PCI_BENCH_H
#define TEST_TRANSPORT_PCI_BENCH_H

#include <vireo/pci.h>

#include "transport/parrot.h"

/* The register model on a bench, and a hand at the registers. */

#define VECTORS     4u
#define BAR_ADDRESS 0xe0000000u
#define PORT        0xc000u
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define NONE        VIRTIO_MSI_NO_VECTOR

#define BIT(bit) (UINT64_C(1) << (bit))

struct bench {
	struct parrot parrot;
	struct vio_pci_device model;
	struct vio_pci_queue queues[QUEUES];
	struct vio_pci_vector vectors[VECTORS];
	unsigned level, raised, messages, work, moved, faults;
	uint64_t message_address;
	uint32_t message_data;
	struct vio_pci_trace last;
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
void bench_write_addresses(struct bench *b);
void bench_start_queue(struct bench *b, uint16_t queue);
/* Everything up to DRIVER_OK, with queue 0. */
void bench_bring_up(struct bench *b, uint64_t features);
void bench_legacy_bring_up(struct bench *b, uint32_t features);
void bench_notify(struct bench *b, uint16_t queue);
/* Makes the table's entry and maps nothing. */
void bench_fill_vector(struct bench *b, unsigned vector, uint32_t control);
void bench_msix(struct bench *b, uint32_t control);

#endif
