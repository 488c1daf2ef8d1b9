/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSPORT_PARROT_H
#define TEST_TRANSPORT_PARROT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <vireo/device.h>
#include <vireo/drvq.h>

/* What stands on every bench behind a register model: a device, memory for rings, and the driver's end. */

#define QUEUES       3u
#define QUEUE_SIZE   8u
#define CONFIG_BYTES 12u
#define BASE         0x40000000u
#define MEMORY_BYTES 0x10000u
#define ROM_BYTES    0x1000u /* behind the memory */
#define FEATURE      3u
#define HIGH_FEATURE 70u
#define ALL_DONE     (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

/* A device that gives each buffer back, or keeps it when it is told to. */
struct parrot {
	struct vio_device device;
	uint8_t config[CONFIG_BYTES];
	bool keep;
	struct vio_buf kept;
	unsigned kicks[QUEUES], popped, drained, resets;
	uint64_t more; /* features of bits 0..63 */
	void *storage;
	struct vio_mem mem;
	struct vio_region regions[2];
	uint8_t *memory;
	struct vio_drvq drvq;
	void *drvq_storage;
};

/* Everything but vio_device_realize(). `id` 0: its own. */
void parrot_make(struct parrot *parrot, uint32_t id, uint64_t more);
/* Ready to be attached. */
void parrot_provide(struct parrot *parrot);
void parrot_free(struct parrot *parrot);

/* Rings for queue 0 at the beginning of memory, as a driver makes them; `align` of the device area. */
void parrot_make_rings(struct parrot *parrot, uint32_t align);
/* Makes one buffer available. */
void parrot_add(struct parrot *parrot);

static inline uint64_t parrot_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 16;
}

#endif
