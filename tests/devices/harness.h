/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_HARNESS_H
#define TESTS_DEVICES_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <vireo/device.h>
#include <vireo/drvq.h>

/*
 * A driver and a device in one process: memory, queues of the driver's side, and
 * the calls a transport would make. A failure of the harness itself fails the test.
 *
 *	harness_make(), harness_set()..., harness_realize(), harness_start(),
 *	harness_call()..., harness_free()
 */
#define HARNESS_QUEUES_MAX   9u
#define HARNESS_SG_MAX       1024u
#define HARNESS_MEMORY_BYTES (16u << 20)

struct harness_queue {
	struct vio_drvq q;
	void *storage;
	unsigned interrupts;
	unsigned again; /* which kick_again event was its first since this was set to 0 */
};

struct harness {
	struct vio_device dev;
	void *state;
	void *storage;
	struct vio_mem mem;
	struct vio_region region;
	uint8_t *memory;
	size_t used; /* of memory */
	struct harness_queue queues[HARNESS_QUEUES_MAX];
	unsigned config_interrupts;
	unsigned again; /* kick_again events */
	unsigned faults;
	struct vio_features features; /* as negotiated */
};

/* One request: `out` goes to the device, `in` comes back. */
struct harness_io {
	const void *out;
	size_t out_bytes;
	void *in;
	size_t in_bytes;
	size_t piece; /* bytes of each element; 0: one element a part */
};

void harness_make(struct harness *h, const struct vio_device_class *class);
void harness_set(struct harness *h, const char *name, const char *value);
int harness_try_set(struct harness *h, const char *name, const char *value);
void harness_realize(struct harness *h);
void harness_free(struct harness *h);

/* Negotiates, without DRIVER_OK; returns the status. `features` counts bits 0..63. */
uint8_t harness_negotiate(struct harness *h, uint64_t features);

/* Everything the device offers. */
uint64_t harness_offer(struct harness *h);

/* Negotiates `features`, which must be accepted, starts every queue with `size` entries, DRIVER_OK. */
void harness_start(struct harness *h, uint64_t features, uint16_t size);

/* Resets and forgets what was in flight and taken. */
void harness_reset(struct harness *h);

/* Saves h and loads it into `to`, which is realized and of the same type, with the memory of h. */
void harness_move(struct harness *h, struct harness *to);

/* Zeroed memory that the device sees. */
void *harness_take(struct harness *h, size_t bytes);
struct vio_sg harness_sg(const struct harness *h, const void *host, size_t bytes);

/* Splits [host, host + bytes) into elements of `piece` bytes (0: one) at sg; returns how many. */
unsigned harness_split(const struct harness *h, const void *host, size_t bytes, size_t piece,
		       struct vio_sg *sg);

/*
 * Makes a request available in fresh memory; `token` comes back from harness_get().
 * Returns where `in` will be.
 */
uint8_t *harness_add(struct harness *h, unsigned queue, const struct harness_io *io, void *token);
void harness_kick(struct harness *h, unsigned queue);
void *harness_get(struct harness *h, unsigned queue, uint32_t *written);

/*
 * Adds, kicks and waits for nothing: the used length, or -1 when the device hasn't
 * used it yet. Checks that the device wrote neither `out` nor around `in`.
 */
int64_t harness_call(struct harness *h, unsigned queue, const struct harness_io *io);

/* A small generator, so that a seed replays a test on every machine. */
static inline uint32_t harness_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* Reads and writes the configuration at every offset with widths 1..8 and at the ends of all arithmetic. */
void harness_poke_config(struct harness *h, uint64_t seed);

#endif
