/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devq.h>
#include <vireo/drvq.h>
#include <vireo/spec/virtio_config.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * One script of operations of a driver and a device, in four worlds: over a split and over a
 * packed ring, a buffer at a time and many at once. All four have to see the same buffers of
 * the same bytes in the same order, and whoever asked to be told is told.
 */
#define SIZE_MAX_ENTRIES 8u
#define WORLDS           4u
#define SPANS            6u
#define ELEMENTS_MAX     5u
#define INDIRECT_MAX     3u
#define BATCH_MAX        4u
#define TOKENS           16u

#define RING_AT       UINT64_C(0x1000)
#define TABLES_AT     UINT64_C(0x2000)
#define DATA_AT       UINT64_C(0x3000)
#define RING_BYTES    320u
#define TABLE_BYTES   (SIZE_MAX_ENTRIES * INDIRECT_MAX * 16u)
#define DATA_BYTES    4096u
#define DRIVER_BYTES  512u
#define DEVICE_BYTES  2048u
#define REGIONS_COUNT 3u

struct world {
	_Alignas(64) uint8_t ring[RING_BYTES];
	_Alignas(16) uint8_t tables[TABLE_BYTES];
	_Alignas(16) uint8_t data[DATA_BYTES]; /* never touched, only pointed to */
	_Alignas(16) uint8_t driver_storage[DRIVER_BYTES];
	_Alignas(16) uint8_t device_storage[DEVICE_BYTES];
	struct vio_region regions[REGIONS_COUNT];
	struct vio_mem mem;
	struct vio_drvq driver;
	struct vio_devq device;
	bool packed, many;
	unsigned kicks, interrupts;
	struct vio_buf held[SIZE_MAX_ENTRIES];
	/* What the last operation gave; the same in all worlds. */
	uint64_t result;
};

/* What the driver knows of a buffer that is out. */
struct token {
	bool out;
	uint32_t writable, written;
};

struct script {
	struct fuzz_input *input;
	struct world *worlds;
	unsigned size, held;
	bool indirect, event_idx, in_order;
	unsigned added, shown; /* buffers since the last reset, modulo 2^32 */
	unsigned taken, pushed, told, got;
	bool device_listens, driver_listens;
	struct token tokens[TOKENS];
	unsigned next_token;
};

FUZZ_UNSEEN static void note(struct world *w, uint64_t value)
{
	w->result = (w->result ^ value) * UINT64_C(0x100000001b3) ^ w->result >> 31;
}

static void kicked(void *context, struct vio_drvq *q)
{
	struct world *w = context;

	FUZZ_CHECK(q == &w->driver);
	w->kicks++;
}

static void interrupted(void *context, struct vio_devq *q)
{
	struct world *w = context;

	FUZZ_CHECK(q == &w->device);
	w->interrupts++;
}

/* After each operation. */
FUZZ_UNSEEN static void compare(const struct script *s)
{
	for (unsigned i = 0; i < WORLDS; i++) {
		const struct world *w = &s->worlds[i];

		FUZZ_CHECK(w->result == s->worlds[0].result);
		FUZZ_CHECK(!vio_drvq_broken(&w->driver) && !vio_devq_broken(&w->device));
		FUZZ_CHECK(w->driver.in_flight == s->added - s->got);
		FUZZ_CHECK(w->driver.free_count == s->worlds[0].driver.free_count);
	}
	fuzz_note(s->input, s->worlds[0].result);
}

FUZZ_UNSEEN static void shape(struct script *s, struct vio_sg *sg, struct vio_drvq_buffer *buffer)
{
	static const uint32_t lengths[] = { 1, 16, 512, 100 };
	uint8_t counts = fuzz_u8(s->input), bytes = fuzz_u8(s->input);
	unsigned count = 1 + counts % ELEMENTS_MAX;
	struct token *token = &s->tokens[s->next_token];

	while (token->out)
		token = &s->tokens[s->next_token = (s->next_token + 1) % TOKENS];
	token->out = true; /* undone when it doesn't fit */
	token->writable = 0;
	buffer->readable = counts / 16 % (count + 1);
	buffer->writable = count - buffer->readable;
	buffer->sg = sg;
	buffer->token = token;
	for (unsigned i = 0; i < count; i++) {
		sg[i] = (struct vio_sg){ vio_addr_make(DATA_AT + (bytes + 77 * i) % 3500),
					 lengths[(bytes >> i) & 3] };
		if (i >= buffer->readable)
			token->writable += sg[i].length;
	}
}

static int add_one_by_one(struct world *w, const struct vio_drvq_buffer *buffers, unsigned count)
{
	int error = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		error = vio_drvq_add(&w->driver, buffers[i].sg, buffers[i].readable, buffers[i].writable,
				     buffers[i].token);
		if (error < 0)
			break;
	}
	return i ? (int)i : error;
}

static void add(struct script *s)
{
	struct vio_drvq_buffer buffers[BATCH_MAX];
	struct vio_sg sg[BATCH_MAX][ELEMENTS_MAX];
	unsigned count = 1 + fuzz_u8(s->input) % BATCH_MAX, i;
	int added = 0;

	for (i = 0; i < count; i++)
		shape(s, sg[i], &buffers[i]);
	for (i = 0; i < WORLDS; i++) {
		struct world *w = &s->worlds[i];

		added = w->many ? vio_drvq_add_many(&w->driver, buffers, count)
				: add_one_by_one(w, buffers, count);
		note(w, (uint64_t)added);
	}
	if (added < 0)
		added = 0;
	for (i = (unsigned)added; i < count; i++)
		((struct token *)buffers[i].token)->out = false;
	s->added += (unsigned)added;
	compare(s);
}

static void kick(struct script *s)
{
	for (unsigned i = 0; i < WORLDS; i++) {
		struct world *w = &s->worlds[i];
		unsigned before = w->kicks;

		vio_drvq_kick(&w->driver);
		if (s->device_listens && s->added != s->shown)
			FUZZ_CHECK(w->kicks == before + 1);
	}
	if (s->added != s->shown)
		s->device_listens = false;
	s->shown = s->added;
	compare(s);
}

FUZZ_UNSEEN static void note_buffer(struct world *w, const struct vio_buf *buf)
{
	note(w, buf->readable_bytes);
	note(w, buf->writable_bytes);
	note(w, buf->readable_count);
	note(w, buf->writable_count);
	for (unsigned i = 0; i < buf->readable_count; i++) {
		note(w, (uint64_t)(buf->readable[i].host - w->data));
		note(w, buf->readable[i].length);
	}
	for (unsigned i = 0; i < buf->writable_count; i++) {
		note(w, (uint64_t)(buf->writable[i].host - w->data));
		note(w, buf->writable[i].length);
	}
}

static void pop(struct script *s)
{
	unsigned most = 1 + fuzz_u8(s->input) % BATCH_MAX, got = 0, i;

	if (most > SIZE_MAX_ENTRIES - s->held)
		most = SIZE_MAX_ENTRIES - s->held;
	for (i = 0; most && i < WORLDS; i++) {
		struct world *w = &s->worlds[i];
		struct vio_buf *to = &w->held[s->held];

		got = 0;
		do {
			unsigned more = w->many ? vio_devq_pop_many(&w->device, &to[got], most - got)
						: vio_devq_pop(&w->device, &to[got]);

			if (!more)
				break;
			got += more;
		} while (got < most);
		note(w, got);
		for (unsigned j = 0; j < got; j++)
			note_buffer(w, &to[j]);
	}
	s->held += got;
	s->taken += got;
	if (most)
		s->device_listens = false;
	/* A pop that finds nothing says that the driver will kick. */
	if (got < most && !s->worlds[0].device.polling)
		s->device_listens = true;
	FUZZ_CHECK(got == most || s->taken == s->shown);
	compare(s);
}

static void push(struct script *s)
{
	struct vio_buf buffers[WORLDS][BATCH_MAX];
	uint32_t written[BATCH_MAX];
	unsigned count = 1 + fuzz_u8(s->input) % BATCH_MAX, i, j;

	if (count > s->held)
		count = s->held;
	for (j = 0; j < count; j++) {
		uint8_t what = fuzz_u8(s->input);
		unsigned which = what % s->held;
		uint32_t limit = (uint32_t)s->worlds[0].held[which].writable_bytes;

		written[j] = what & 0x80 ? limit : what & 0x40 ? limit / 2 : 0;
		s->held--;
		for (i = 0; i < WORLDS; i++) {
			struct world *w = &s->worlds[i];

			buffers[i][j] = w->held[which];
			memmove(&w->held[which], &w->held[which + 1], (s->held - which) * sizeof(w->held[0]));
		}
	}
	for (i = 0; i < WORLDS; i++) {
		struct world *w = &s->worlds[i];

		if (w->many)
			vio_devq_push_many(&w->device, buffers[i], written, count);
		for (j = 0; !w->many && j < count; j++)
			vio_devq_push(&w->device, &buffers[i][j], written[j]);
	}
	s->pushed += count;
	compare(s);
}

static void notify(struct script *s)
{
	for (unsigned i = 0; i < WORLDS; i++) {
		struct world *w = &s->worlds[i];
		unsigned before = w->interrupts;

		vio_devq_notify(&w->device);
		/* In order, what is pushed may have to wait for what isn't. */
		if (s->driver_listens && s->pushed != s->told && (!s->in_order || !s->held))
			FUZZ_CHECK(w->interrupts == before + 1);
	}
	if (s->pushed != s->told)
		s->driver_listens = false;
	s->told = s->pushed;
	compare(s);
}

static unsigned get_from(struct script *s, struct world *w, struct token **tokens, uint32_t *written,
			 unsigned most)
{
	void *found[BATCH_MAX];
	unsigned got = 0;

	if (w->many)
		got = vio_drvq_get_many(&w->driver, found, written, most);
	else
		while (got < most && (found[got] = vio_drvq_get(&w->driver, &written[got])) != NULL)
			got++;
	note(w, got);
	for (unsigned j = 0; j < got; j++) {
		tokens[j] = found[j];
		FUZZ_CHECK(tokens[j] >= s->tokens && tokens[j] < s->tokens + TOKENS && tokens[j]->out);
		note(w, (uint64_t)(tokens[j] - s->tokens));
		note(w, written[j]);
	}
	return got;
}

static void get(struct script *s)
{
	unsigned most = 1 + fuzz_u8(s->input) % BATCH_MAX, got = 0;
	struct token *tokens[BATCH_MAX];
	uint32_t written[BATCH_MAX];

	for (unsigned i = 0; i < WORLDS; i++)
		got = get_from(s, &s->worlds[i], tokens, written, most);
	for (unsigned j = 0; j < got; j++) {
		FUZZ_CHECK(tokens[j]->out && written[j] <= tokens[j]->writable);
		tokens[j]->out = false;
	}
	s->got += got;
	if (s->event_idx)
		s->driver_listens = got < most && !s->worlds[0].driver.callbacks_off;
	FUZZ_CHECK(got == most || s->in_order || s->got == s->told);
	compare(s);
}

static void callbacks(struct script *s)
{
	uint8_t what = fuzz_u8(s->input);

	for (unsigned i = 0; i < WORLDS; i++) {
		struct world *w = &s->worlds[i];

		if (what % 3 == 0)
			vio_drvq_disable_cb(&w->driver);
		else if (what % 3 == 1)
			note(w, vio_drvq_enable_cb(&w->driver));
		else
			vio_drvq_enable_cb_delayed(&w->driver);
		note(w, vio_drvq_pending(&w->driver));
	}
	s->driver_listens = what % 3 == 1 && (s->in_order || s->got == s->told);
	if (s->in_order && vio_drvq_pending(&s->worlds[0].driver))
		s->driver_listens = false;
	compare(s);
}

static void kicks(struct script *s)
{
	bool on = fuzz_u8(s->input) & 1;

	for (unsigned i = 0; i < WORLDS; i++) {
		struct world *w = &s->worlds[i];

		if (on)
			note(w, vio_devq_enable_kick(&w->device));
		else
			vio_devq_disable_kick(&w->device);
	}
	s->device_listens = on && s->taken == s->shown;
	compare(s);
}

static void unpop(struct script *s)
{
	/* Only right behind a pop that gave something, which is made here. */
	unsigned before = s->held;

	pop(s);
	if (s->held == before)
		return;
	s->held--;
	s->taken--;
	s->device_listens = false;
	for (unsigned i = 0; i < WORLDS; i++)
		vio_devq_unpop(&s->worlds[i].device, &s->worlds[i].held[s->held]);
	compare(s);
}

static void start_device(struct script *s, struct world *w, struct vio_devq_position at)
{
	struct vio_devq_config config = {
		.size = (uint16_t)s->size,
		.at = at,
		.descriptor_area = vio_drvq_descriptor_area(&w->driver),
		.driver_area = vio_drvq_driver_area(&w->driver),
		.device_area = vio_drvq_device_area(&w->driver),
		.features = vio_features_low((uint64_t)w->packed << VIRTIO_F_RING_PACKED |
					     (uint64_t)s->indirect << VIRTIO_F_INDIRECT_DESC |
					     (uint64_t)s->event_idx << VIRTIO_F_EVENT_IDX |
					     (uint64_t)s->in_order << VIRTIO_F_IN_ORDER |
					     UINT64_C(1) << VIRTIO_F_VERSION_1),
	};

	FUZZ_CHECK(vio_devq_start(&w->device, &w->mem, &config) == 0);
}

/* Stops a device that holds nothing, and lets it go on. */
static void pause(struct script *s)
{
	if (s->held)
		return;
	notify(s);
	for (unsigned i = 0; i < WORLDS; i++)
		start_device(s, &s->worlds[i], vio_devq_stop(&s->worlds[i].device));
	s->device_listens = false;
}

static void start_driver(struct script *s, struct world *w)
{
	const struct vio_drvq_config config = {
		.size = (uint16_t)s->size,
		.features = vio_features_low((uint64_t)w->packed << VIRTIO_F_RING_PACKED |
					     (uint64_t)s->indirect << VIRTIO_F_INDIRECT_DESC |
					     (uint64_t)s->event_idx << VIRTIO_F_EVENT_IDX |
					     (uint64_t)s->in_order << VIRTIO_F_IN_ORDER |
					     UINT64_C(1) << VIRTIO_F_VERSION_1),
		.ring = { w->ring, vio_addr_make(RING_AT) },
		.storage = w->driver_storage,
		.indirect = { w->tables, vio_addr_make(TABLES_AT) },
		.indirect_max = s->indirect ? INDIRECT_MAX : 0,
		.context = w,
		.notify_device = kicked,
	};

	FUZZ_CHECK(vio_drvq_start(&w->driver, &config) == 0);
}

/* Everything comes back, used or not; then a new life with other features. */
static void restart(struct script *s)
{
	uint8_t what = fuzz_u8(s->input);
	bool first = !s->size;

	s->size = 1u << (what & 3);
	s->indirect = what & 4;
	s->event_idx = what & 8;
	s->in_order = what & 16;
	for (unsigned i = 0; i < WORLDS; i++) {
		struct world *w = &s->worlds[i];
		unsigned left = s->added - s->got, seen = 0;
		struct token *token;

		while (!first && (token = vio_drvq_detach_unused(&w->driver)) != NULL) {
			FUZZ_CHECK(token->out && !(seen >> (token - s->tokens) & 1));
			seen |= 1u << (token - s->tokens);
			left--;
		}
		FUZZ_CHECK(left == 0);
		if (!first)
			vio_devq_stop(&w->device);
		start_driver(s, w);
		start_device(s, w,
			     w->packed ? (struct vio_devq_position){ PVIRTQ_WRAP, PVIRTQ_WRAP }
				       : (struct vio_devq_position){ 0, 0 });
	}
	memset(s->tokens, 0, sizeof(s->tokens));
	s->added = s->shown = s->taken = s->pushed = s->told = s->got = s->held = 0;
	s->device_listens = s->driver_listens = false;
	compare(s);
}

FUZZ_UNSEEN static void add_region(struct world *w, uint64_t base, uint8_t *host, uint64_t bytes)
{
	struct vio_region region = { vio_addr_make(base), bytes, host, VIO_MEM_READ | VIO_MEM_WRITE };

	FUZZ_CHECK(vio_mem_add(&w->mem, &region) == 0);
}

static void prepare(struct world *w, unsigned index)
{
	FUZZ_CHECK(vio_drvq_ring_bytes(SIZE_MAX_ENTRIES) <= RING_BYTES);
	FUZZ_CHECK(vio_drvq_storage_bytes(SIZE_MAX_ENTRIES) <= DRIVER_BYTES);
	FUZZ_CHECK(vio_devq_storage_bytes(SIZE_MAX_ENTRIES, SPANS, 0) <= DEVICE_BYTES);
	w->packed = index & 1;
	w->many = index & 2;
	vio_mem_init(&w->mem, w->regions, REGIONS_COUNT);
	add_region(w, RING_AT, w->ring, RING_BYTES);
	add_region(w, TABLES_AT, w->tables, TABLE_BYTES);
	add_region(w, DATA_AT, w->data, DATA_BYTES);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct script * s) = { add,   kick,  pop,  push,  notify,    get,
							    pop,   add,   push, get,   callbacks, kicks,
							    unpop, pause, kick, notify };
	static struct world worlds[WORLDS];
	struct script s = { .input = input, .worlds = worlds };

	for (unsigned i = 0; i < WORLDS; i++) {
		struct world *w = &worlds[i];

		if (!w->mem.regions)
			prepare(w, i);
		vio_devq_init(&w->device, 2, SIZE_MAX_ENTRIES, SPANS, 0, w->device_storage, w, interrupted);
		w->kicks = w->interrupts = 0;
		w->result = 0;
	}
	restart(&s);
	for (unsigned i = 0; i < 300 && input->left; i++) {
		uint8_t what = fuzz_u8(input);

		if (what == 255)
			restart(&s);
		else
			steps[what % VIO_ARRAY_SIZE(steps)](&s);
	}
	restart(&s);
	for (unsigned i = 0; i < WORLDS; i++)
		vio_devq_stop(&worlds[i].device);
}
