/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_DEVICE_H
#define VIREO_FUZZ_DEVICE_H

#include <vireo/device.h>
#include <vireo/drvq.h>

#include "input.h"

/*
 * What the targets of device types share: a device in memory of two regions, and a driver that keeps to
 * the rules of the rings and asks for anything in them. Every buffer comes back once, by the device or by
 * a reset; nothing that a driver says breaks the rings for it.
 *
 *	fuzz_device_make(), properties and backends, fuzz_device_realize(),
 *	fuzz_device_start(), fuzz_device_ask()..., fuzz_device_close()
 */
#define FUZZ_RING_BASE  UINT64_C(0x10000)
#define FUZZ_RING_BYTES 0x400u /* of each queue */
#define FUZZ_DATA_BASE  UINT64_C(0x100000)
#define FUZZ_DATA_BYTES 0x4000u
#define FUZZ_QUEUE_SIZE 16u
#define FUZZ_QUEUES_MAX 9u
#define FUZZ_ELEMENTS   8u
#define FUZZ_HEAD_BYTES 0x1000u

struct fuzz_device;

struct fuzz_queue {
	struct vio_drvq q;
	struct fuzz_device *device;
	void *shadow;
	unsigned in_flight;
};

struct fuzz_device {
	struct fuzz_input *input;
	struct vio_device dev;
	void *state, *storage;
	struct vio_region regions[2];
	struct vio_mem mem;
	uint8_t *rings, *data;
	struct fuzz_queue queues[FUZZ_QUEUES_MAX];
	bool running;
	/* What came back; NULL: whatever it is. */
	void (*got)(struct fuzz_device *device, unsigned queue, uint32_t written);
};

/* Requests of one kind. */
struct fuzz_ask {
	/* Lengths of the first element and of the last one that most of them need; 0: none is needed. */
	uint32_t first, last;
	/* Writes what the readable part begins with; up to FUZZ_HEAD_BYTES. NULL: whatever is there. */
	void (*write)(struct fuzz_device *device, uint8_t *to);
};

void fuzz_device_make(struct fuzz_device *device, const struct vio_device_class *class,
		      struct fuzz_input *input);
void fuzz_device_set(struct fuzz_device *device, const char *name, const char *value);
void fuzz_device_realize(struct fuzz_device *device);
/* What of the rings' formats a driver goes without that chose this. */
static inline uint64_t fuzz_device_ring_bits(uint8_t choice)
{
	return (choice & 1 ? UINT64_C(1) << VIRTIO_F_RING_PACKED : 0) |
	       (choice & 2 ? UINT64_C(1) << VIRTIO_F_IN_ORDER : 0);
}

/* Negotiates what is offered but for the bits `without`, from a reset on; not running if that is refused. */
void fuzz_device_start(struct fuzz_device *device, uint64_t without);
void fuzz_device_reset(struct fuzz_device *device);
/* Makes a buffer available, of pieces as the input says, and kicks. */
void fuzz_device_ask(struct fuzz_device *device, unsigned queue, const struct fuzz_ask *ask);
void fuzz_device_collect(struct fuzz_device *device);
/* Reads and writes somewhere in the configuration. */
void fuzz_device_configure(struct fuzz_device *device);
/* Is it part of the driver's memory? */
bool fuzz_device_lent(const struct fuzz_device *device, const void *from, size_t length);
/* Nothing is in flight but in a broken queue; resets, and takes what came of it into the digest. */
void fuzz_device_close(struct fuzz_device *device);

#endif
