/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devq.h>
#include <vireo/spec/virtio_config.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * A driver that writes whatever it likes into a queue, against the device's side.
 * Whatever it does: every span that a buffer offers lies in memory with that
 * right, no descriptor is in flight twice, the used index moves by what was
 * pushed, and a queue that broke stays broken.
 */
#define SIZE_MAX_ENTRIES 16u
#define HELD_MAX         8u
#define REQUEST_BYTES    24u
#define DRIVER_AREA      0x400u /* in the ring's pages */

#define RING_BASE UINT64_C(0x1000)
#define DATA_BASE UINT64_C(0x3000) /* touches the end of the ring's region */
#define ROM_BASE  UINT64_C(0x10000)
#define PAGE      UINT64_C(0x1000)

struct world {
	struct fuzz_input *input;
	uint8_t *ring; /* two pages: descriptors and driver area, then the device area */
	uint8_t *data; /* one page */
	uint8_t *rom;  /* one page, read-only */
	struct vio_region regions[3];
	struct vio_mem mem;
	struct vio_devq q;
	uint16_t size;
	uint16_t avail_idx;
	uint16_t used_first;
	uint32_t pushed;
	bool was_broken;
	struct vio_buf held[HELD_MAX];
	unsigned held_count;
};

static bool inside(const uint8_t *base, size_t size, const struct vio_span *span)
{
	return span->host >= base && span->length <= size &&
	       (size_t)(span->host - base) <= size - span->length;
}

static void check_spans(const struct world *w, const struct vio_buf *buf, bool writable)
{
	const struct vio_span *spans = writable ? buf->writable : buf->readable;
	unsigned count = writable ? buf->writable_count : buf->readable_count;
	uint64_t bytes = writable ? buf->writable_bytes : buf->readable_bytes;
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++) {
		bool good = inside(w->ring, 2 * PAGE, &spans[i]) || inside(w->data, PAGE, &spans[i]);

		FUZZ_CHECK(good || (!writable && inside(w->rom, PAGE, &spans[i])));
		sum += spans[i].length;
	}
	FUZZ_CHECK(buf->truncated ? sum <= bytes : sum == bytes);
}

static void interrupted(void *context, struct vio_devq *q)
{
	struct world *w = context;

	FUZZ_CHECK(q == &w->q && q->running);
}

static uint64_t choose_address(struct fuzz_input *input)
{
	static const uint64_t menu[] = {
		RING_BASE,
		DATA_BASE,
		DATA_BASE + 16,
		DATA_BASE + PAGE - 1,
		DATA_BASE + PAGE,
		DATA_BASE + 64,
		ROM_BASE,
		ROM_BASE + 1,
		ROM_BASE + PAGE - 16,
		DATA_BASE - 8,
		RING_BASE + PAGE,
		RING_BASE - 1,
		0,
		UINT64_MAX,
		UINT64_MAX - 15,
	};

	return fuzz_choose(input, menu, VIO_ARRAY_SIZE(menu));
}

static uint32_t choose_length(struct fuzz_input *input)
{
	static const uint64_t menu[] = {
		16, 1, 32, 48, 0, 17, 256, 4096, 4097, 8192, UINT32_MAX, 0x80000000u
	};

	return (uint32_t)fuzz_choose(input, menu, VIO_ARRAY_SIZE(menu));
}

/* A descriptor in the table, or in what may become an indirect table in the data page. */
static void write_descriptor(struct world *w)
{
	uint8_t where = fuzz_u8(w->input);
	uint8_t flags = fuzz_u8(w->input);
	struct virtq_desc desc = {
		.addr = vio_le64_make(choose_address(w->input)),
		.len = vio_le32_make(choose_length(w->input)),
		.flags = vio_le16_make(flags < 250 ? flags & 7 : (uint16_t)fuzz_u64(w->input, 2)),
		.next = vio_le16_make(fuzz_u8(w->input) % (w->size + 1u)),
	};
	uint8_t *table = where & 0x80 ? w->data : w->ring;

	memcpy(table + (where & 0x1f) * sizeof(desc), &desc, sizeof(desc));
}

static void put_le16(uint8_t *to, uint16_t value)
{
	vio_le16 wire = vio_le16_make(value);

	memcpy(to, &wire, sizeof(wire));
}

static void make_available(struct world *w)
{
	uint8_t head = fuzz_u8(w->input);
	uint8_t step = fuzz_u8(w->input);
	uint8_t *area = w->ring + DRIVER_AREA;

	put_le16(area + 4 + 2 * (w->avail_idx % w->size), head < 250 ? head % w->size : head * 257u);
	w->avail_idx += step < 240 ? 1 : step;
	put_le16(area + 2, w->avail_idx);
}

static void set_suppression(struct world *w)
{
	put_le16(w->ring + DRIVER_AREA, fuzz_u8(w->input));
	put_le16(w->ring + DRIVER_AREA + 4 + 2 * w->size, (uint16_t)fuzz_u64(w->input, 2));
}

static void pop(struct world *w)
{
	struct vio_buf buf;

	if (w->held_count == HELD_MAX || !vio_devq_pop(&w->q, &buf))
		return;
	FUZZ_CHECK(!w->was_broken && !vio_devq_broken(&w->q));
	for (unsigned i = 0; i < w->held_count; i++)
		FUZZ_CHECK(w->held[i].generation != buf.generation || w->held[i].head != buf.head);
	check_spans(w, &buf, false);
	check_spans(w, &buf, true);
	fuzz_note(w->input, buf.head);
	fuzz_note(w->input, buf.readable_bytes);
	fuzz_note(w->input, buf.writable_bytes);
	memset(buf.request, 0xa5, REQUEST_BYTES);
	w->held[w->held_count++] = buf;
}

static void use(struct world *w)
{
	uint8_t bytes[300];
	uint8_t what = fuzz_u8(w->input);
	size_t length = what & 0x80 ? sizeof(bytes) : what & 0x1f;
	struct vio_buf *buf;

	/* A buffer of an earlier life may be pushed but not used: its spans are others' now. */
	if (!w->held_count || w->held[w->held_count - 1].generation != w->q.generation)
		return;
	buf = &w->held[w->held_count - 1];
	memset(bytes, what, sizeof(bytes));
	if (what & 0x40)
		FUZZ_CHECK(vio_read(buf, bytes, length) <= length);
	else if (what & 0x20)
		FUZZ_CHECK(vio_write(buf, bytes, length) <= length);
	else if (what & 0x10)
		FUZZ_CHECK(vio_skip(buf, length) <= length);
	else if (buf->writable_bytes && !buf->truncated)
		FUZZ_CHECK(vio_buf_take_last(buf) != NULL);
	check_spans(w, buf, false);
	check_spans(w, buf, true);
}

static void push(struct world *w)
{
	uint8_t which = fuzz_u8(w->input);
	unsigned index;

	if (!w->held_count)
		return;
	index = which % w->held_count;
	if (w->q.running && !vio_devq_broken(&w->q) && w->held[index].generation == w->q.generation)
		w->pushed++;
	vio_devq_push(&w->q, &w->held[index], choose_length(w->input));
	w->held[index] = w->held[--w->held_count];
}

static void notify(struct world *w)
{
	vio_devq_notify(&w->q);
	if (!w->q.running || vio_devq_broken(&w->q))
		return;
	FUZZ_CHECK(w->q.used_visible == w->q.used_next);
	FUZZ_CHECK((uint16_t)(w->q.used_next - w->used_first) == (uint16_t)w->pushed);
}

static void start(struct world *w)
{
	static const uint64_t device_areas[] = { RING_BASE + PAGE,     RING_BASE + PAGE,
						 RING_BASE + PAGE + 4, RING_BASE + 2 * PAGE - 70,
						 RING_BASE + 0x400,    ROM_BASE };
	uint8_t what = fuzz_u8(w->input);
	struct vio_devq_config config = {
		.size = (uint16_t)(1u << (what & 3) << (what >> 2 & 1)),
		.at = { .avail = (uint16_t)(what & 0x40 ? 0xfffe : 0) },
		.descriptor_area = vio_addr_make(RING_BASE),
		.driver_area = vio_addr_make(RING_BASE + DRIVER_AREA),
		.device_area =
			vio_addr_make(fuzz_choose(w->input, device_areas, VIO_ARRAY_SIZE(device_areas))),
	};

	vio_features_set(&config.features, VIRTIO_F_VERSION_1);
	if (what & 0x10)
		vio_features_set(&config.features, VIRTIO_F_INDIRECT_DESC);
	if (what & 0x20)
		vio_features_set(&config.features, VIRTIO_F_EVENT_IDX);
	if (vio_devq_start(&w->q, &w->mem, &config))
		return;
	w->size = config.size;
	w->was_broken = false;
	w->avail_idx = config.at.avail;
	put_le16(w->ring + DRIVER_AREA + 2, w->avail_idx);
	w->used_first = w->q.used_next;
	w->pushed = 0;
}

static void stop(struct world *w)
{
	if (!w->q.running)
		return;
	vio_devq_stop(&w->q);
	start(w);
}

static void poll_mode(struct world *w)
{
	if (!w->q.running)
		return;
	if (fuzz_u8(w->input) & 1)
		vio_devq_disable_kick(&w->q);
	else
		vio_devq_enable_kick(&w->q);
}

static void step(struct world *w)
{
	static void (*const steps[])(struct world * w) = {
		write_descriptor, make_available,  pop, use,  push, write_descriptor,
		make_available,   set_suppression, pop, push, stop, poll_mode,
		notify,           notify,
	};

	steps[fuzz_u8(w->input) % VIO_ARRAY_SIZE(steps)](w);
	if (w->was_broken && w->q.running)
		FUZZ_CHECK(vio_devq_broken(&w->q));
	w->was_broken = vio_devq_broken(&w->q);
}

static uint8_t *pages(unsigned count)
{
	uint8_t *memory = aligned_alloc(PAGE, count * PAGE);

	FUZZ_CHECK(memory != NULL);
	memset(memory, 0, count * PAGE);
	return memory;
}

static void add_region(struct world *w, uint64_t base, uint64_t size, uint8_t *host, unsigned rights)
{
	struct vio_region region = { vio_addr_make(base), size, host, rights };

	FUZZ_CHECK(vio_mem_add(&w->mem, &region) == 0);
}

void fuzz_run(struct fuzz_input *input)
{
	struct world w = { .input = input, .ring = pages(2), .data = pages(1), .rom = pages(1), .size = 1 };
	uint16_t spans_max = (uint16_t)(1 + fuzz_u8(w.input) % 4);
	void *storage = malloc(vio_devq_storage_bytes(SIZE_MAX_ENTRIES, spans_max, REQUEST_BYTES));
	unsigned steps = 0;

	FUZZ_CHECK(storage != NULL);
	vio_mem_init(&w.mem, w.regions, VIO_ARRAY_SIZE(w.regions));
	add_region(&w, RING_BASE, 2 * PAGE, w.ring, VIO_MEM_READ | VIO_MEM_WRITE);
	add_region(&w, DATA_BASE, PAGE, w.data, VIO_MEM_READ | VIO_MEM_WRITE);
	add_region(&w, ROM_BASE, PAGE, w.rom, VIO_MEM_READ);
	vio_devq_init(&w.q, 3, SIZE_MAX_ENTRIES, spans_max, REQUEST_BYTES, storage, &w, interrupted);
	start(&w);
	while (w.input->left && steps++ < 1000)
		step(&w);
	fuzz_note(input, w.q.fault.kind);
	fuzz_note(input, w.q.fault.index);
	fuzz_note(input, w.q.fault.value);
	fuzz_note(input, w.q.running ? vio_devq_stop(&w.q).avail : 0);
	fuzz_note_bytes(input, w.ring, 2 * PAGE);
	fuzz_note_bytes(input, w.data, PAGE);
	free(storage);
	free(w.rom);
	free(w.data);
	free(w.ring);
}
