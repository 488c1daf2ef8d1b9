/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#include <string.h>

#include <vireo/spec/virtio_ring.h>

#define TEXT_BYTES 6u

void fuzz_model_make(struct fuzz_model *model, uint32_t id)
{
	memset(model, 0, sizeof(*model));
	fuzz_served_make(&model->served, id, "16");
	FUZZ_CHECK(model->served.dev.queue_count <= FUZZ_MODEL_QUEUES_MAX);
	model->memory = calloc(1, FUZZ_MODEL_BYTES);
	model->rom = calloc(1, FUZZ_MODEL_ROM_BYTES);
	model->shadow = malloc(vio_drvq_storage_bytes(FUZZ_MODEL_QUEUE_SIZE));
	FUZZ_CHECK(model->memory && model->rom && model->shadow);
	vio_mem_init(&model->mem, model->regions, 2);
	model->regions[0] = (struct vio_region){ vio_addr_make(FUZZ_MODEL_BASE), FUZZ_MODEL_BYTES,
						 model->memory, VIO_MEM_READ | VIO_MEM_WRITE };
	model->regions[1] = (struct vio_region){ vio_addr_make(FUZZ_MODEL_ROM), FUZZ_MODEL_ROM_BYTES,
						 model->rom, VIO_MEM_READ };
	model->mem.count = 2;
}

void fuzz_model_close(struct fuzz_model *model)
{
	for (unsigned i = 0; i < FUZZ_MODEL_ROM_BYTES; i++)
		FUZZ_CHECK(model->rom[i] == 0);
	fuzz_served_close(&model->served);
	free(model->shadow);
	free(model->rom);
	free(model->memory);
}

void fuzz_model_ring(struct fuzz_model *model, const struct vio_features *features, uint32_t align,
		     void (*notify)(void *context, struct vio_drvq *q), void *context)
{
	const struct vio_drvq_config config = {
		.size = FUZZ_MODEL_QUEUE_SIZE,
		.features = *features,
		.ring = { model->memory, vio_addr_make(FUZZ_MODEL_BASE) },
		.device_align = align,
		.storage = model->shadow,
		.context = context,
		.notify_device = notify,
	};

	memset(model->memory, 0, FUZZ_MODEL_BYTES);
	FUZZ_CHECK(vio_drvq_start(&model->q, &config) == 0);
}

void fuzz_model_ask(struct fuzz_model *model)
{
	const struct vio_sg sg[] = { { vio_addr_make(FUZZ_MODEL_TEXT), TEXT_BYTES },
				     { vio_addr_make(FUZZ_MODEL_TEXT + TEXT_BYTES), TEXT_BYTES } };
	uint8_t *text = model->memory + (FUZZ_MODEL_TEXT - FUZZ_MODEL_BASE);
	uint32_t written = 0;

	memcpy(text, "Abxyz!", TEXT_BYTES);
	FUZZ_CHECK(vio_drvq_add(&model->q, sg, 1, 1, model) == 0);
	vio_drvq_kick(&model->q);
	FUZZ_CHECK(vio_drvq_get(&model->q, &written) == model && written == TEXT_BYTES);
	FUZZ_CHECK(memcmp(text + TEXT_BYTES, "Deabc!", TEXT_BYTES) == 0);
}

void fuzz_model_scribble(struct fuzz_model *model, struct fuzz_input *input)
{
	static const uint64_t addresses[] = { FUZZ_MODEL_TEXT, FUZZ_MODEL_ROM, FUZZ_MODEL_BASE,
					      FUZZ_MODEL_BASE + FUZZ_MODEL_BYTES - 1, 0 };
	static const uint64_t lengths[] = { 16, 1, 0, 256, 0x1000, UINT32_MAX };
	const uint8_t what = fuzz_u8(input);
	struct virtq_desc desc;
	vio_le16 avail[2 + FUZZ_MODEL_QUEUE_SIZE] = { vio_le16_make(0), vio_le16_make(what % 20) };

	if (what < 64) {
		model->memory[fuzz_u64(input, 2) % FUZZ_MODEL_BYTES] = fuzz_u8(input);
	} else if (what < 160) {
		desc = (struct virtq_desc){
			.addr = vio_le64_make(fuzz_choose(input, addresses, VIO_ARRAY_SIZE(addresses))),
			.len = vio_le32_make((uint32_t)fuzz_choose(input, lengths, VIO_ARRAY_SIZE(lengths))),
			.flags = vio_le16_make(fuzz_u8(input)),
			.next = vio_le16_make(what % 18),
		};
		memcpy(model->memory + what % FUZZ_MODEL_QUEUE_SIZE * sizeof(desc), &desc, sizeof(desc));
	} else {
		for (unsigned i = 0; i < FUZZ_MODEL_QUEUE_SIZE; i++)
			avail[2 + i] = vio_le16_make((uint16_t)i);
		memcpy(model->memory + FUZZ_MODEL_QUEUE_SIZE * sizeof(desc), avail, sizeof(avail));
	}
}
