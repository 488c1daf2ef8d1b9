/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_MODEL_H
#define VIREO_FUZZ_MODEL_H

#include <vireo/drvq.h>

#include "input.h"
#include "served.h"

/*
 * What the targets of register models share: a device, memory of a machine with a piece that only reads, and
 * a driver's queue in it, to see that a driver that means well is served after whatever was done before.
 */
#define FUZZ_MODEL_BASE       UINT64_C(0x10000)
#define FUZZ_MODEL_BYTES      0x4000u
#define FUZZ_MODEL_TEXT       (FUZZ_MODEL_BASE + 0x3000)
#define FUZZ_MODEL_ROM        UINT64_C(0x20000)
#define FUZZ_MODEL_ROM_BYTES  0x100u
#define FUZZ_MODEL_QUEUES_MAX 4u
#define FUZZ_MODEL_QUEUE_SIZE 16u

struct fuzz_model {
	struct fuzz_served served;
	struct vio_region regions[2];
	struct vio_mem mem;
	uint8_t *memory, *rom;
	struct vio_drvq q;
	void *shadow;
};

void fuzz_model_make(struct fuzz_model *model, uint32_t id);
/* Nothing was written where only reading is allowed. */
void fuzz_model_close(struct fuzz_model *model);
/* Clears the memory and makes queue 0 in it, for a driver with these features; align 0: not legacy. */
void fuzz_model_ring(struct fuzz_model *model, const struct vio_features *features, uint32_t align,
		     void (*notify)(void *context, struct vio_drvq *q), void *context);
/* Sends a text through it, which has to come back enciphered. */
void fuzz_model_ask(struct fuzz_model *model);
/* Writes somewhere in the memory: a byte, a descriptor, or an index that makes descriptors available. */
void fuzz_model_scribble(struct fuzz_model *model, struct fuzz_input *input);

#endif
