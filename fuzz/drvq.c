/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * A device that writes whatever it likes into a queue, anywhere in the memory that
 * both see, against the driver's side. Whatever it does: each token comes back
 * once and only when it was given, no more is written than there was room for,
 * and a queue that broke gives nothing more.
 */
#define SIZE_MAX_ENTRIES 16u
#define INDIRECT_MAX     4u
#define ELEMENTS_MAX     6u
#define TOKENS           64u
#define RING_ADDR        UINT64_C(0x100000)
#define INDIRECT_ADDR    UINT64_C(0x200000)

struct token {
	bool given;
	uint64_t writable_bytes;
};

struct world {
	struct fuzz_input *input;
	struct vio_drvq q;
	uint8_t *ring;
	uint8_t *used;
	size_t ring_bytes;
	uint16_t size;
	uint16_t used_idx;
	unsigned in_flight;
	bool broken;
	struct token tokens[TOKENS];
};

static void notified(void *context, struct vio_drvq *q)
{
	struct world *w = context;

	FUZZ_CHECK(q == &w->q);
}

static void add(struct world *w)
{
	static const uint64_t lengths[] = { 16, 1, 512, 4096, 0, UINT32_MAX };
	struct token *token = &w->tokens[fuzz_u8(w->input) % TOKENS];
	uint8_t counts = fuzz_u8(w->input);
	unsigned readable = counts % (ELEMENTS_MAX / 2 + 1), writable = counts / 16 % (ELEMENTS_MAX / 2 + 1);
	struct vio_sg sg[ELEMENTS_MAX];
	uint64_t writable_bytes = 0;
	int result;

	if (token->given)
		return;
	for (unsigned i = 0; i < readable + writable; i++) {
		sg[i].addr = vio_addr_make(0x300000 + 0x1000 * i);
		sg[i].length = (uint32_t)fuzz_choose(w->input, lengths, VIO_ARRAY_SIZE(lengths));
		if (i >= readable)
			writable_bytes += sg[i].length;
	}
	result = vio_drvq_add(&w->q, sg, readable, writable, token);
	FUZZ_CHECK(w->broken ? result == -VIO_EPEER : result != -VIO_EPEER);
	if (result)
		return;
	FUZZ_CHECK(readable + writable > 0);
	token->given = true;
	token->writable_bytes = writable_bytes;
	w->in_flight++;
}

static void get(struct world *w)
{
	uint32_t written = 0;
	struct token *token = vio_drvq_get(&w->q, &written);

	if (!token)
		return;
	FUZZ_CHECK(!w->broken);
	FUZZ_CHECK(token >= w->tokens && token < w->tokens + TOKENS && token->given);
	FUZZ_CHECK(written <= token->writable_bytes);
	fuzz_note(w->input, (uint64_t)(token - w->tokens));
	fuzz_note(w->input, written);
	token->given = false;
	w->in_flight--;
}

static void kick(struct world *w)
{
	vio_drvq_kick(&w->q);
}

static void callbacks(struct world *w)
{
	switch (fuzz_u8(w->input) % 4) {
	case 0:
		vio_drvq_disable_cb(&w->q);
		break;
	case 1:
		vio_drvq_enable_cb(&w->q);
		break;
	case 2:
		vio_drvq_enable_cb_delayed(&w->q);
		break;
	default:
		vio_drvq_pending(&w->q);
	}
}

static void put_le16(uint8_t *to, uint16_t value)
{
	vio_le16 wire = vio_le16_make(value);

	memcpy(to, &wire, sizeof(wire));
}

static void put_le32(uint8_t *to, uint32_t value)
{
	vio_le32 wire = vio_le32_make(value);

	memcpy(to, &wire, sizeof(wire));
}

/* An entry of the used ring, and idx one further, or anywhere. */
static void use(struct world *w)
{
	static const uint64_t lengths[] = { 0, 1, 16, 512, 4096, 4097, UINT32_MAX };
	uint8_t id = fuzz_u8(w->input), step = fuzz_u8(w->input);
	uint8_t *entry = w->used + 4 + 8 * (w->used_idx % w->size);

	put_le32(entry, id < 250 ? id % w->size : id * 0x01010101u);
	put_le32(entry + 4, (uint32_t)fuzz_choose(w->input, lengths, VIO_ARRAY_SIZE(lengths)));
	w->used_idx += step < 240 ? 1 : step;
	put_le16(w->used + 2, w->used_idx);
}

static void scribble(struct world *w)
{
	size_t at = fuzz_u64(w->input, 2) % w->ring_bytes;

	w->ring[at] = fuzz_u8(w->input);
}

static void suppress(struct world *w)
{
	put_le16(w->used, fuzz_u8(w->input));
	put_le16(w->used + 4 + 8 * w->size, (uint16_t)fuzz_u64(w->input, 2));
}

static void step(struct world *w)
{
	static void (*const steps[])(struct world * w) = {
		add, kick, use, get, add, use, get, callbacks, suppress, scribble,
	};

	steps[fuzz_u8(w->input) % VIO_ARRAY_SIZE(steps)](w);
	FUZZ_CHECK(!w->broken || vio_drvq_broken(&w->q));
	w->broken = vio_drvq_broken(&w->q);
}

/* After a reset every buffer that wasn't used comes back, once. */
static void detach(struct world *w)
{
	struct token *token;

	while ((token = vio_drvq_detach_unused(&w->q)) != NULL) {
		FUZZ_CHECK(token >= w->tokens && token < w->tokens + TOKENS && token->given);
		token->given = false;
		w->in_flight--;
	}
	FUZZ_CHECK(w->in_flight == 0);
}

static uint8_t *memory(size_t bytes)
{
	uint8_t *at = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	FUZZ_CHECK(at != NULL);
	memset(at, 0, bytes);
	return at;
}

void fuzz_run(struct fuzz_input *input)
{
	struct world w = { .input = input };
	uint8_t what = fuzz_u8(w.input);
	struct vio_drvq_config config = {
		.index = 1,
		.size = (uint16_t)(1u << what % 5),
		.indirect_max = what & 0x10 ? INDIRECT_MAX : 0,
		.context = &w,
		.notify_device = notified,
	};
	unsigned steps = 0;

	w.size = config.size;
	w.ring_bytes = vio_drvq_ring_bytes(w.size);
	w.ring = memory(w.ring_bytes);
	config.ring = (struct vio_shared){ w.ring, vio_addr_make(RING_ADDR) };
	config.indirect = (struct vio_shared){ memory(vio_drvq_indirect_bytes(w.size, INDIRECT_MAX)),
					       vio_addr_make(INDIRECT_ADDR) };
	config.storage = malloc(vio_drvq_storage_bytes(w.size));
	FUZZ_CHECK(config.storage != NULL);
	if (what & 0x10)
		vio_features_set(&config.features, VIRTIO_F_INDIRECT_DESC);
	if (what & 0x20)
		vio_features_set(&config.features, VIRTIO_F_EVENT_IDX);
	vio_features_set(&config.features, VIRTIO_F_VERSION_1);
	FUZZ_CHECK(vio_drvq_start(&w.q, &config) == 0);
	w.used = w.ring + (vio_drvq_device_area(&w.q).raw - RING_ADDR);
	while (w.input->left && steps++ < 1000)
		step(&w);
	fuzz_note(input, w.q.fault.kind);
	fuzz_note(input, w.q.fault.index);
	fuzz_note(input, w.q.fault.value);
	fuzz_note_bytes(input, w.ring, w.ring_bytes);
	fuzz_note_bytes(input, config.indirect.host, vio_drvq_indirect_bytes(w.size, config.indirect_max));
	detach(&w);
	free(config.storage);
	free(config.indirect.host);
	free(w.ring);
}
