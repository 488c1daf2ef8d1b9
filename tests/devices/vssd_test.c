/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_block.h"
#include "devices/harness.h"

#include <stdlib.h>
#include <string.h>

#include <vireo/devices/vssd.h>

/* The clauses cited are those of docs/vssd.md. */

#define UNIT     4096u
#define SECTORS  (UNIT / VIRTIO_BLK_SECTOR_BYTES)
#define BLOCKS   40u /* not a multiple of 8 times 2 for nothing */
#define CONTROL  1u
#define LIST_MAX 32u

static struct bench {
	struct harness h;
	struct fake_block data, map;
	void *memory;
	unsigned told;
} b;

struct pair {
	uint64_t first, count;
};

static void told(void *context, struct vio_device *dev)
{
	((struct bench *)context)->told++;
}

static void bench_furnish(struct bench *bench)
{
	struct vio_vssd_storage storage = { &bench->data.block, &bench->map.block, bench->memory };

	assert_int_equal(vio_vssd_attach(&bench->h.dev, &storage), 0);
	assert_int_equal(vio_vssd_watch(&bench->h.dev, bench, told), 0);
}

static void bench_make(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	harness_make(&bench->h, &vio_vssd_class);
	harness_set(&bench->h, "unit", "4K");
	fake_block_init(&bench->data, BLOCKS * UNIT, 512);
	fake_block_init(&bench->map, vio_vssd_map_bytes(&bench->h.dev, BLOCKS * UNIT), 512);
	memset(bench->map.data, 0, bench->map.block.size_bytes);
	memset(bench->map.durable, 0, bench->map.block.size_bytes);
	bench->memory = malloc(vio_vssd_memory_bytes(&bench->h.dev, BLOCKS * UNIT));
	assert_non_null(bench->memory);
	bench_furnish(bench);
}

static void bench_start(struct bench *bench)
{
	harness_realize(&bench->h);
	harness_start(&bench->h, harness_offer(&bench->h), 64);
}

static void bench_free(struct bench *bench)
{
	assert_int_equal(bench->h.faults, 0);
	bench->data.later = bench->map.later = false;
	harness_free(&bench->h);
	fake_block_free(&bench->data);
	fake_block_free(&bench->map);
	free(bench->memory);
}

static int setup(void **state)
{
	bench_make(&b);
	return 0;
}

static int teardown(void **state)
{
	bench_free(&b);
	return 0;
}

static struct virtio_vssd_config config_of(struct bench *bench)
{
	struct virtio_vssd_config config;

	vio_device_read_config(&bench->h.dev, 0, &config, sizeof(config));
	return config;
}

static uint32_t ticket_of(struct bench *bench)
{
	return vio_le32_get(config_of(bench).ticket);
}

static struct vio_vssd_report report_of(struct bench *bench)
{
	struct vio_vssd_report report;

	vio_vssd_get_report(&bench->h.dev, &report);
	return report;
}

/* Control requests. */

static size_t make_list(uint8_t *out, uint32_t type, uint32_t ticket, const struct pair *list, unsigned count)
{
	struct virtio_vssd_control header = { vio_le32_make(type), vio_le32_make(ticket) };

	memcpy(out, &header, sizeof(header));
	for (unsigned i = 0; i < count; i++) {
		struct virtio_vssd_range range = { vio_le64_make(list[i].first),
						   vio_le64_make(list[i].count) };

		memcpy(out + sizeof(header) + i * sizeof(range), &range, sizeof(range));
	}
	return sizeof(header) + count * sizeof(struct virtio_vssd_range);
}

/* The status, with the range to blame in the upper half. */
static uint32_t control(struct bench *bench, uint32_t type, uint32_t ticket, const struct pair *list,
			unsigned count)
{
	uint8_t out[sizeof(struct virtio_vssd_control) + LIST_MAX * sizeof(struct virtio_vssd_range)];
	struct virtio_vssd_answer answer;
	struct harness_io io = { .out = out, .in = &answer, .in_bytes = sizeof(answer) };

	io.out_bytes = make_list(out, type, ticket, list, count);
	assert_int_equal(harness_call(&bench->h, CONTROL, &io), sizeof(answer));
	assert_int_equal(vio_le64_get(answer.provisioned), vio_le64_get(config_of(bench).provisioned));
	return vio_le32_get(answer.status) | vio_le32_get(answer.index) << 16;
}

static uint32_t evict(struct bench *bench, uint64_t first, uint64_t count)
{
	struct pair list = { first, count };

	return control(bench, VIRTIO_VSSD_T_EVICT, ticket_of(bench), &list, 1);
}

static uint32_t claim(struct bench *bench, uint64_t first, uint64_t count)
{
	struct pair list = { first, count };

	return control(bench, VIRTIO_VSSD_T_CLAIM, ticket_of(bench), &list, 1);
}

/* Data requests on one block; the status. */

static uint8_t transfer(struct bench *bench, uint32_t type, uint64_t block, uint8_t *bytes)
{
	uint8_t out[sizeof(struct virtio_blk_req) + UNIT], in[UNIT + 1];
	struct virtio_blk_req header = { vio_le32_make(type), vio_le32_make(0),
					 vio_le64_make(block * SECTORS) };
	bool write = type == VIRTIO_BLK_T_OUT;
	struct harness_io io = { .out = out, .in = in };

	io.out_bytes = sizeof(header) + (write ? UNIT : 0);
	io.in_bytes = write ? 1 : UNIT + 1;
	memcpy(out, &header, sizeof(header));
	if (write)
		memcpy(out + sizeof(header), bytes, UNIT);
	assert_true(harness_call(&bench->h, 0, &io) >= 1);
	if (!write)
		memcpy(bytes, in, UNIT);
	return in[io.in_bytes - 1];
}

static void pattern(uint8_t *bytes, uint64_t block, uint8_t seed)
{
	for (unsigned i = 0; i < UNIT; i++)
		bytes[i] = (uint8_t)(block * 31 + i * 7 + (i >> 8) + seed) | 1;
}

static void fill(struct bench *bench, uint64_t block, uint8_t seed)
{
	uint8_t bytes[UNIT];

	pattern(bytes, block, seed);
	assert_int_equal(transfer(bench, VIRTIO_BLK_T_OUT, block, bytes), VIRTIO_BLK_S_OK);
}

static void fill_all(struct bench *bench)
{
	for (uint64_t i = 0; i < BLOCKS; i++)
		fill(bench, i, 5);
}

static void assert_kept(struct bench *bench, uint64_t first, uint64_t count)
{
	uint8_t bytes[UNIT], expected[UNIT];

	for (uint64_t i = first; i < first + count; i++) {
		pattern(expected, i, 5);
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_IN, i, bytes), VIRTIO_BLK_S_OK);
		assert_memory_equal(bytes, expected, UNIT);
	}
}

static void assert_zeros(struct bench *bench, uint64_t first, uint64_t count)
{
	static const uint8_t zeros[UNIT];
	uint8_t bytes[UNIT];

	for (uint64_t i = first; i < first + count; i++) {
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_IN, i, bytes), VIRTIO_BLK_S_OK);
		assert_memory_equal(bytes, zeros, UNIT);
	}
}

/* Neither read nor written, and nothing of it is left in the image. */
static void assert_gone(struct bench *bench, uint64_t first, uint64_t count)
{
	uint8_t bytes[UNIT] = { 0 };

	for (uint64_t i = first; i < first + count; i++) {
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_IN, i, bytes), VIRTIO_BLK_S_IOERR);
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_OUT, i, bytes), VIRTIO_BLK_S_IOERR);
		for (unsigned at = 0; at < UNIT; at++)
			assert_int_equal(bench->data.data[i * UNIT + at], 0);
	}
}

static void assert_numbers(struct bench *bench, uint64_t provisioned, uint64_t target, uint32_t state)
{
	struct virtio_vssd_config config = config_of(bench);

	assert_int_equal(vio_le64_get(config.total), BLOCKS);
	assert_int_equal(vio_le64_get(config.provisioned), provisioned);
	assert_int_equal(vio_le64_get(config.target), target);
	assert_int_equal(vio_le32_get(config.state), state);
	assert_int_equal(vio_le32_get(config.block_bytes), UNIT);
}

/* spec: VSSD-DEV-1, VSSD-DEV-3 */
static void all_is_provisioned_at_first(void **state)
{
	bench_start(&b);
	assert_numbers(&b, BLOCKS, BLOCKS, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(vio_le64_get(config_of(&b).blk.capacity), BLOCKS * SECTORS);
	assert_int_equal(b.h.dev.queue_count, 2);
	assert_true(harness_offer(&b.h) >> VIRTIO_VSSD_F_RESIZE & 1);
	fill_all(&b);
	assert_kept(&b, 0, BLOCKS);
	harness_poke_config(&b.h, 1);
}

/* spec: VSSD-DEV-2, VSSD-DEV-3, VSSD-DEV-10, VSSD-DEV-11, VSSD-DRV-1 */
static void shrinks_and_grows(void **state)
{
	static const struct pair scattered[] = { { 0, 1 }, { 9, 7 }, { 38, 2 } };

	bench_start(&b);
	fill_all(&b);
	b.h.config_interrupts = 0;
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 12), 0);
	assert_int_equal(b.h.config_interrupts, 1);
	assert_numbers(&b, BLOCKS, BLOCKS - 12, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(report_of(&b).outcome, VIO_VSSD_NONE);
	assert_int_equal(control(&b, VIRTIO_VSSD_T_EVICT, ticket_of(&b), scattered, 3), VIRTIO_VSSD_S_OK);
	assert_numbers(&b, BLOCKS - 10, BLOCKS - 12, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(b.h.config_interrupts, 2);
	assert_int_equal(vio_le64_get(config_of(&b).blk.capacity), (BLOCKS - 2) * SECTORS);
	assert_int_equal(evict(&b, 20, 2), VIRTIO_VSSD_S_OK);
	assert_numbers(&b, BLOCKS - 12, BLOCKS - 12, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(report_of(&b).outcome, VIO_VSSD_DONE);
	assert_gone(&b, 0, 1);
	assert_gone(&b, 9, 7);
	assert_gone(&b, 20, 2);
	assert_gone(&b, 38, 2);
	assert_kept(&b, 1, 8);
	assert_kept(&b, 16, 4);
	assert_kept(&b, 22, 16);

	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 3), 0);
	assert_numbers(&b, BLOCKS - 12, BLOCKS - 3, VIRTIO_VSSD_STATE_GROWING);
	assert_int_equal(claim(&b, 9, 7), VIRTIO_VSSD_S_OK);
	assert_int_equal(claim(&b, 38, 2), VIRTIO_VSSD_S_OK);
	assert_numbers(&b, BLOCKS - 3, BLOCKS - 3, VIRTIO_VSSD_STATE_IDLE);
	assert_zeros(&b, 9, 7);
	assert_zeros(&b, 38, 2);
	assert_gone(&b, 20, 2);
	assert_kept(&b, 1, 8);
	assert_int_equal(vio_le64_get(config_of(&b).blk.capacity), BLOCKS * SECTORS);
	assert_true(b.told >= 6);
}

/* spec: VSSD-DEV-4, VSSD-DEV-5, VSSD-DEV-6, VSSD-DEV-7, VSSD-DEV-9 */
static void lists_are_refused_whole(void **state)
{
	static const struct {
		struct pair list[3];
		unsigned count;
		uint32_t status, index;
	} cases[] = {
		{ { { 0, 11 } }, 1, VIRTIO_VSSD_S_TOOMANY, 0 },
		{ { { 0, 6 }, { 10, 4 }, { 30, 1 } }, 3, VIRTIO_VSSD_S_TOOMANY, 2 },
		{ { { 0, 3 }, { 2, 3 } }, 2, VIRTIO_VSSD_S_STATE, 1 },
		{ { { 0, 1 }, { 1, 1 }, { 0, 1 } }, 3, VIRTIO_VSSD_S_STATE, 2 },
		{ { { BLOCKS, 1 } }, 1, VIRTIO_VSSD_S_RANGE, 0 },
		{ { { 1, 1 }, { BLOCKS - 1, 2 } }, 2, VIRTIO_VSSD_S_RANGE, 1 },
		{ { { 1, 0 } }, 1, VIRTIO_VSSD_S_RANGE, 0 },
		{ { { UINT64_MAX, 1 } }, 1, VIRTIO_VSSD_S_RANGE, 0 },
		{ { { 1, UINT64_MAX } }, 1, VIRTIO_VSSD_S_RANGE, 0 },
		{ { { UINT64_MAX, UINT64_MAX } }, 1, VIRTIO_VSSD_S_RANGE, 0 },
		{ { { 0, 0 } }, 0, VIRTIO_VSSD_S_UNSUPP, 0 },
	};
	uint32_t ticket;

	bench_start(&b);
	fill_all(&b);
	assert_int_equal(evict(&b, 0, 1), VIRTIO_VSSD_S_STALE);
	assert_int_equal(claim(&b, 0, 1), VIRTIO_VSSD_S_STALE);
	assert_int_equal(control(&b, VIRTIO_VSSD_T_DECLINE, ticket_of(&b), NULL, 0), VIRTIO_VSSD_S_STALE);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 10), 0);
	ticket = ticket_of(&b);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++)
		assert_int_equal(control(&b, VIRTIO_VSSD_T_EVICT, ticket, cases[i].list, cases[i].count),
				 cases[i].status | cases[i].index << 16);
	assert_int_equal(claim(&b, 0, 1), VIRTIO_VSSD_S_STALE);
	assert_int_equal(control(&b, VIRTIO_VSSD_T_EVICT, ticket + 1, cases[0].list, 1), VIRTIO_VSSD_S_STALE);
	assert_int_equal(control(&b, VIRTIO_VSSD_T_EVICT, ticket - 1, cases[0].list, 1), VIRTIO_VSSD_S_STALE);
	assert_int_equal(control(&b, 4, ticket, NULL, 0), VIRTIO_VSSD_S_UNSUPP);
	assert_int_equal(control(&b, UINT32_MAX, ticket, NULL, 0), VIRTIO_VSSD_S_UNSUPP);
	assert_int_equal(control(&b, VIRTIO_VSSD_T_DECLINE, ticket, cases[0].list, 1), VIRTIO_VSSD_S_UNSUPP);
	assert_numbers(&b, BLOCKS, BLOCKS - 10, VIRTIO_VSSD_STATE_SHRINKING);
	assert_kept(&b, 0, BLOCKS);
	assert_int_equal(evict(&b, 5, 3), VIRTIO_VSSD_S_OK);
	assert_int_equal(evict(&b, 7, 1), VIRTIO_VSSD_S_STATE); /* a second time */
	assert_int_equal(evict(&b, 30, 7), VIRTIO_VSSD_S_OK);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 9), 0);
	assert_int_equal(claim(&b, 4, 1), VIRTIO_VSSD_S_STATE);
	assert_int_equal(claim(&b, 5, 2), VIRTIO_VSSD_S_TOOMANY);
	assert_int_equal(evict(&b, 4, 1), VIRTIO_VSSD_S_STALE);
	assert_kept(&b, 8, 22);
}

/* spec: VSSD-DEV-9 */
static void malformed_requests_are_answered(void **state)
{
	uint8_t out[sizeof(struct virtio_vssd_control) + 40] = { 0 };
	struct virtio_vssd_answer answer;
	struct harness_io io = { .out = out, .in = &answer, .in_bytes = sizeof(answer) };
	size_t list = sizeof(struct virtio_vssd_control);

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 10), 0);
	make_list(out, VIRTIO_VSSD_T_EVICT, ticket_of(&b), &(struct pair){ 0, 1 }, 1);
	for (size_t bytes = 1; bytes < list + 40; bytes++) {
		if (bytes > list && (bytes - list) % 16 == 0)
			continue;
		io.out_bytes = bytes;
		assert_int_equal(harness_call(&b.h, CONTROL, &io), sizeof(answer));
		assert_int_equal(vio_le32_get(answer.status), VIRTIO_VSSD_S_UNSUPP);
	}
	/* Where there is no room for an answer, nothing is done either. */
	io.out_bytes = list + 16;
	for (io.in_bytes = 0; io.in_bytes < sizeof(answer); io.in_bytes++)
		assert_int_equal(harness_call(&b.h, CONTROL, &io), io.in_bytes);
	assert_numbers(&b, BLOCKS, BLOCKS - 10, VIRTIO_VSSD_STATE_SHRINKING);
}

/* A block that a request in flight has to do with is still in use. spec: VSSD-DEV-8 */
static void blocks_in_use_are_refused(void **state)
{
	uint8_t out[sizeof(struct virtio_blk_req) + 2 * sizeof(struct virtio_blk_discard_write_zeroes)];
	struct virtio_blk_req header = { .type = vio_le32_make(VIRTIO_BLK_T_IN) };
	struct harness_io io = { .out = out, .out_bytes = sizeof(header), .in_bytes = 2 * 512 + 1 };

	bench_start(&b);
	fill_all(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 10), 0);
	b.data.later = true;
	header.sector = vio_le64_make(3 * SECTORS - 1); /* the end of block 2, the beginning of 3 */
	memcpy(out, &header, sizeof(header));
	harness_add(&b.h, 0, &io, &io);
	header = (struct virtio_blk_req){ .type = vio_le32_make(VIRTIO_BLK_T_WRITE_ZEROES) };
	memcpy(out, &header, sizeof(header));
	for (unsigned i = 0; i < 2; i++) {
		struct virtio_blk_discard_write_zeroes segment = {
			vio_le64_make((10 + i * 10) * SECTORS),
			vio_le32_make(SECTORS),
			vio_le32_make(0),
		};

		memcpy(out + sizeof(header) + i * sizeof(segment), &segment, sizeof(segment));
	}
	io.out_bytes = sizeof(out);
	io.in_bytes = 1;
	harness_add(&b.h, 0, &io, &header);
	harness_kick(&b.h, 0);
	assert_int_equal(b.data.pending_count, 2);
	assert_int_equal(evict(&b, 2, 1), VIRTIO_VSSD_S_BUSY);
	assert_int_equal(evict(&b, 3, 4), VIRTIO_VSSD_S_BUSY);
	assert_int_equal(evict(&b, 10, 1), VIRTIO_VSSD_S_BUSY);
	assert_int_equal(evict(&b, 20, 1), VIRTIO_VSSD_S_BUSY);
	assert_numbers(&b, BLOCKS, BLOCKS - 10, VIRTIO_VSSD_STATE_SHRINKING);
	while (b.data.pending_count)
		fake_block_complete(&b.data, 0);
	assert_non_null(harness_get(&b.h, 0, &(uint32_t){ 0 }));
	assert_non_null(harness_get(&b.h, 0, &(uint32_t){ 0 }));
	b.data.later = false;
	assert_int_equal(evict(&b, 2, 5), VIRTIO_VSSD_S_OK);
	assert_int_equal(evict(&b, 10, 1), VIRTIO_VSSD_S_OK);
	assert_kept(&b, 21, 10);
}

/* What the owner may ask for. spec: VSSD-DEV-13 */
static void resizes_are_refused(void **state)
{
	harness_realize(&b.h);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 10), -VIO_EPHASE);
	harness_start(&b.h, harness_offer(&b.h) & ~(UINT64_C(1) << VIRTIO_VSSD_F_RESIZE), 64);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 10), -VIO_EPHASE);
	assert_int_equal(evict(&b, 0, 1), VIRTIO_VSSD_S_UNSUPP);
	harness_reset(&b.h);
	harness_start(&b.h, harness_offer(&b.h), 64);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 0), -VIO_ERANGE);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS + 1), -VIO_ERANGE);
	assert_int_equal(vio_vssd_resize(&b.h.dev, UINT64_MAX), -VIO_ERANGE);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS), 0);
	assert_int_equal(report_of(&b).outcome, VIO_VSSD_DONE);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 10), 0);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 20), -VIO_EBUSY);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS), -VIO_EBUSY);
	assert_numbers(&b, BLOCKS, 10, VIRTIO_VSSD_STATE_SHRINKING);
}

/* spec: VSSD-DEV-14, VSSD-DRV-2 */
static void withdrawn_resizes_keep_what_was_handed_back(void **state)
{
	static const enum vio_vssd_outcome outcomes[] = { VIO_VSSD_CANCELLED, VIO_VSSD_EXPIRED,
							  VIO_VSSD_DECLINED };
	uint32_t ticket;

	bench_start(&b);
	fill_all(&b);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(outcomes); i++) {
		assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
		ticket = ticket_of(&b);
		assert_int_equal(evict(&b, 2 * i, 2), VIRTIO_VSSD_S_OK);
		if (outcomes[i] == VIO_VSSD_DECLINED)
			assert_int_equal(control(&b, VIRTIO_VSSD_T_DECLINE, ticket, NULL, 0),
					 VIRTIO_VSSD_S_OK);
		else
			vio_vssd_withdraw(&b.h.dev, outcomes[i]);
		assert_int_equal(report_of(&b).outcome, outcomes[i]);
		assert_numbers(&b, BLOCKS - 2 * (i + 1), BLOCKS - 2 * (i + 1), VIRTIO_VSSD_STATE_IDLE);
		assert_int_not_equal(ticket_of(&b), ticket);
		assert_int_equal(control(&b, VIRTIO_VSSD_T_EVICT, ticket, &(struct pair){ 20, 1 }, 1),
				 VIRTIO_VSSD_S_STALE);
	}
	assert_gone(&b, 0, 6);
	assert_kept(&b, 6, BLOCKS - 6);
	vio_vssd_withdraw(&b.h.dev, VIO_VSSD_CANCELLED); /* nothing goes on */
	assert_int_equal(report_of(&b).outcome, VIO_VSSD_DECLINED);
}

/* A cancel in the middle of a list lets the list end first. */
static void cancel_waits_for_the_list(void **state)
{
	uint8_t out[64];
	struct harness_io io = { .out = out, .in_bytes = sizeof(struct virtio_vssd_answer) };
	struct virtio_vssd_answer answer;
	uint8_t *in;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
	b.map.later = b.data.later = true;
	io.out_bytes = make_list(out, VIRTIO_VSSD_T_EVICT, ticket_of(&b), &(struct pair){ 4, 3 }, 1);
	in = harness_add(&b.h, CONTROL, &io, &io);
	harness_kick(&b.h, CONTROL);
	vio_vssd_withdraw(&b.h.dev, VIO_VSSD_CANCELLED);
	assert_numbers(&b, BLOCKS, 30, VIRTIO_VSSD_STATE_SHRINKING);
	while (b.map.pending_count || b.data.pending_count)
		fake_block_complete(b.map.pending_count ? &b.map : &b.data, 0);
	assert_non_null(harness_get(&b.h, CONTROL, &(uint32_t){ 0 }));
	memcpy(&answer, in, sizeof(answer));
	assert_int_equal(vio_le32_get(answer.status), VIRTIO_VSSD_S_OK);
	assert_numbers(&b, BLOCKS - 3, BLOCKS - 3, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(report_of(&b).outcome, VIO_VSSD_CANCELLED);
}

/* Many lists at once are dealt with one after the other, however fast the storage. */
static void lists_queue_up(void **state)
{
	uint8_t out[64];
	struct harness_io io = { .out = out, .in_bytes = sizeof(struct virtio_vssd_answer) };
	unsigned answered = 0;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 30), 0);
	for (unsigned i = 0; i < 30; i++) {
		io.out_bytes = make_list(out, VIRTIO_VSSD_T_EVICT, ticket_of(&b), &(struct pair){ i, 1 }, 1);
		harness_add(&b.h, CONTROL, &io, &io);
	}
	b.map.later = true;
	harness_kick(&b.h, CONTROL);
	while (b.map.pending_count) {
		assert_int_equal(b.map.pending_count, 1);
		fake_block_complete(&b.map, 0);
	}
	while (harness_get(&b.h, CONTROL, &(uint32_t){ 0 }))
		answered++;
	assert_int_equal(answered, 30);
	assert_numbers(&b, BLOCKS - 30, BLOCKS - 30, VIRTIO_VSSD_STATE_IDLE);
}

/* spec: VSSD-DEV-15 */
static void the_map_can_be_read(void **state)
{
	uint8_t out[sizeof(struct virtio_vssd_control) + sizeof(struct virtio_vssd_from)];
	struct virtio_vssd_control header = { .type = vio_le32_make(VIRTIO_VSSD_T_MAP) };
	uint8_t in[sizeof(struct virtio_vssd_answer) + 8], *bits = in + sizeof(struct virtio_vssd_answer);
	struct harness_io io = { .out = out, .out_bytes = sizeof(out), .in = in, .in_bytes = sizeof(in) };
	struct virtio_vssd_from from = { vio_le64_make(0) };

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 3), 0);
	assert_int_equal(evict(&b, 9, 3), VIRTIO_VSSD_S_OK);
	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), &from, sizeof(from));
	assert_int_equal(harness_call(&b.h, CONTROL, &io), sizeof(struct virtio_vssd_answer) + 5);
	assert_memory_equal(bits, "\xff\xf1\xff\xff\xff", 5);
	io.in_bytes = sizeof(struct virtio_vssd_answer) + 1;
	from.first = vio_le64_make(8);
	memcpy(out + sizeof(header), &from, sizeof(from));
	assert_int_equal(harness_call(&b.h, CONTROL, &io), io.in_bytes);
	assert_int_equal(bits[0], 0xf1);
	for (uint64_t bad = 1; bad; bad = bad == 1 ? BLOCKS : bad == BLOCKS ? UINT64_MAX - 7 : 0) {
		from.first = vio_le64_make(bad);
		memcpy(out + sizeof(header), &from, sizeof(from));
		assert_int_equal(harness_call(&b.h, CONTROL, &io), sizeof(struct virtio_vssd_answer));
		assert_int_equal(in[0], bad == 1 ? VIRTIO_VSSD_S_UNSUPP : VIRTIO_VSSD_S_RANGE);
	}
}

/* Crashes. */

/* A device on what a power cut left of the other's storage. */
static void restart_from(struct bench *again, const struct bench *from)
{
	bench_make(again);
	memcpy(again->data.data, from->data.durable, BLOCKS * UNIT);
	memcpy(again->data.durable, from->data.durable, BLOCKS * UNIT);
	memcpy(again->map.data, from->map.durable, again->map.block.size_bytes);
	memcpy(again->map.durable, from->map.durable, again->map.block.size_bytes);
	bench_start(again);
}

static bool is_gone(struct bench *bench, uint64_t block)
{
	uint8_t bytes[UNIT];

	return transfer(bench, VIRTIO_BLK_T_IN, block, bytes) != VIRTIO_BLK_S_OK;
}

/* Each block is somebody's: those not handed back have their contents, the numbers are those of the map. */
static void assert_consistent(struct bench *again, uint64_t first, uint64_t count, bool growing)
{
	uint64_t live = 0;

	for (uint64_t i = 0; i < BLOCKS; i++) {
		bool named = i >= first && i < first + count;

		if (is_gone(again, i)) {
			assert_true(named);
			assert_gone(again, i, 1);
			continue;
		}
		live++;
		if (named && growing)
			assert_zeros(again, i, 1);
		else
			assert_kept(again, i, 1);
	}
	assert_int_equal(report_of(again).provisioned, live);
}

/* Completes the storage's requests one at a time; after each the power may fail. */
static unsigned crash_everywhere(uint64_t first, uint64_t count, bool growing)
{
	static struct bench again;
	unsigned steps = 0;
	bool answered;

	for (answered = false; !answered; steps++) {
		answered = harness_get(&b.h, CONTROL, &(uint32_t){ 0 }) != NULL;
		restart_from(&again, &b);
		assert_consistent(&again, first, count, growing);
		/* What was acknowledged stands. */
		if (answered)
			assert_int_equal(is_gone(&again, first), !growing);
		/* The resize goes on or is over. */
		if (report_of(&again).state == VIRTIO_VSSD_STATE_SHRINKING)
			assert_int_equal(evict(&again, first, count), VIRTIO_VSSD_S_OK);
		if (report_of(&again).state == VIRTIO_VSSD_STATE_GROWING)
			assert_int_equal(claim(&again, first, count), VIRTIO_VSSD_S_OK);
		assert_int_equal(report_of(&again).state, VIRTIO_VSSD_STATE_IDLE);
		bench_free(&again);
		if (b.map.pending_count)
			fake_block_complete(&b.map, 0);
		else if (b.data.pending_count)
			fake_block_complete(&b.data, 0);
	}
	return steps;
}

static void crash_with(uint32_t type, uint64_t first, uint64_t count, uint64_t to)
{
	uint8_t out[64];
	struct harness_io io = { .out = out, .in_bytes = sizeof(struct virtio_vssd_answer) };

	b.map.later = b.data.later = true;
	assert_int_equal(vio_vssd_resize(&b.h.dev, to), 0);
	/* It has begun for the owner, not yet for the driver. */
	assert_int_equal(report_of(&b).target, to);
	assert_int_not_equal(report_of(&b).state, VIRTIO_VSSD_STATE_IDLE);
	assert_int_equal(vio_le32_get(config_of(&b).state), VIRTIO_VSSD_STATE_IDLE);
	fake_block_complete(&b.map, 0);
	io.out_bytes = make_list(out, type, ticket_of(&b), &(struct pair){ first, count }, 1);
	harness_add(&b.h, CONTROL, &io, &io);
	harness_kick(&b.h, CONTROL);
	assert_true(crash_everywhere(first, count, type == VIRTIO_VSSD_T_CLAIM) >= 3);
	b.map.later = b.data.later = false;
}

/* spec: VSSD-DEV-10, VSSD-DEV-11, VSSD-DEV-12; hostile: H11 */
static void a_crash_at_any_step_loses_nothing(void **state)
{
	uint8_t flush[sizeof(struct virtio_blk_req)] = { VIRTIO_BLK_T_FLUSH }, status;
	struct harness_io io = { .out = flush, .out_bytes = sizeof(flush), .in = &status, .in_bytes = 1 };

	bench_start(&b);
	fill_all(&b);
	assert_int_equal(harness_call(&b.h, 0, &io), 1);
	assert_int_equal(status, VIRTIO_BLK_S_OK);
	crash_with(VIRTIO_VSSD_T_EVICT, 11, 6, BLOCKS - 6);
	crash_with(VIRTIO_VSSD_T_CLAIM, 11, 6, BLOCKS);
	assert_zeros(&b, 11, 6);
	assert_kept(&b, 0, 11);
}

/* A resize that was begun before a crash is still asked for. spec: VSSD-DEV-12 */
static void a_resize_goes_on_after_a_crash(void **state)
{
	static struct bench again;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
	assert_int_equal(evict(&b, 0, 4), VIRTIO_VSSD_S_OK);
	/* The driver's crash: */
	harness_reset(&b.h);
	harness_start(&b.h, harness_offer(&b.h), 64);
	assert_numbers(&b, BLOCKS - 4, 30, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(evict(&b, 4, 1), VIRTIO_VSSD_S_OK);
	/* The device's: */
	restart_from(&again, &b);
	assert_numbers(&again, BLOCKS - 5, 30, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(evict(&again, 5, 5), VIRTIO_VSSD_S_OK);
	assert_numbers(&again, 30, 30, VIRTIO_VSSD_STATE_IDLE);
	bench_free(&again);
}

/* Every byte of the newer slot may be torn: the older one stands. */
static void torn_maps_are_seen(void **state)
{
	static struct bench again;
	size_t slot = b.map.block.size_bytes / 2;

	bench_start(&b);
	fill_all(&b);
	memcpy(b.data.durable, b.data.data, BLOCKS * UNIT);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 6), 0); /* the second record: slot 0 */
	for (size_t at = 0; at < slot; at += at < 80 || (at >= 4096 && at < 4110) ? 1 : 509) {
		b.map.durable[at] ^= 0x40;
		if (at >= 8 && at < 16) { /* of another version or unit: that is no crash */
			b.map.durable[at] ^= 0x40;
			continue;
		}
		restart_from(&again, &b);
		assert_numbers(&again, BLOCKS, BLOCKS, VIRTIO_VSSD_STATE_IDLE);
		bench_free(&again);
		b.map.durable[at] ^= 0x40;
	}
}

static int realize_with_map(struct bench *bench)
{
	int error = vio_device_realize(&bench->h.dev);

	if (!error)
		vio_device_unrealize(&bench->h.dev);
	return error;
}

static void damaged_maps_are_refused(void **state)
{
	static struct bench other;
	size_t slot = b.map.block.size_bytes / 2;

	bench_start(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 6), 0);
	bench_make(&other);
	memcpy(other.map.data, b.map.data, 2 * slot);
	other.map.data[4096] ^= 1;
	other.map.data[slot + 4096] ^= 1;
	assert_int_equal(realize_with_map(&other), -VIO_ESTATE);
	memcpy(other.map.data, b.map.data, 2 * slot);
	other.data.block.size_bytes -= UNIT; /* other data */
	assert_int_equal(realize_with_map(&other), -VIO_ESTATE);
	other.data.block.size_bytes += UNIT;
	harness_set(&other.h, "unit", "8K");
	assert_int_equal(realize_with_map(&other), -VIO_ESTATE);
	harness_set(&other.h, "unit", "4K");
	other.map.result = -VIO_EIO;
	assert_int_equal(realize_with_map(&other), -VIO_EIO);
	other.map.result = 0;
	other.map.block.size_bytes -= 512;
	assert_int_equal(realize_with_map(&other), -VIO_ERANGE);
	other.map.block.size_bytes += 512;
	assert_int_equal(realize_with_map(&other), 0);
	other.h.storage = NULL;
	vio_device_init(&other.h.dev, &vio_vssd_class, other.h.state);
	assert_int_equal(vio_device_realize(&other.h.dev), -VIO_ENOENT);
	free(other.h.state);
	free(other.h.memory);
	fake_block_free(&other.data);
	fake_block_free(&other.map);
	free(other.memory);
}

/* What can't be recorded is neither the driver's nor the host's until somebody looks. hostile: H7 */
static void a_map_that_fails_ends_resizes(void **state)
{
	bench_start(&b);
	fill_all(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), 0);
	b.map.result = -VIO_EIO;
	assert_int_equal(evict(&b, 3, 4), VIRTIO_VSSD_S_IOERR);
	assert_int_equal(report_of(&b).outcome, VIO_VSSD_FAILED);
	assert_int_equal(report_of(&b).state, VIRTIO_VSSD_STATE_IDLE);
	assert_true(is_gone(&b, 3) && is_gone(&b, 6));
	assert_kept(&b, 7, BLOCKS - 7);
	b.map.result = 0;
	assert_int_equal(vio_vssd_resize(&b.h.dev, 30), -VIO_EIO);
	assert_int_equal(evict(&b, 8, 1), VIRTIO_VSSD_S_IOERR);
}

/* Space that can't be given back is tried again by the next life of the device. */
static void punching_may_fail(void **state)
{
	static struct bench again;

	bench_start(&b);
	fill_all(&b);
	memcpy(b.data.durable, b.data.data, BLOCKS * UNIT);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 4), 0);
	b.data.result = -VIO_EIO;
	assert_int_equal(evict(&b, 3, 4), VIRTIO_VSSD_S_OK);
	assert_int_equal(report_of(&b).unpunched, 4);
	b.data.result = 0;
	assert_true(is_gone(&b, 3));
	restart_from(&again, &b);
	assert_gone(&again, 3, 4);
	assert_int_equal(report_of(&again).unpunched, 0);
	bench_free(&again);
	/* Zeroes that can't be written keep a block from being taken. */
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS), 0);
	b.data.result = -VIO_EIO;
	assert_int_equal(claim(&b, 3, 4), VIRTIO_VSSD_S_IOERR);
	b.data.result = 0;
	assert_numbers(&b, BLOCKS - 4, BLOCKS, VIRTIO_VSSD_STATE_GROWING);
	assert_int_equal(claim(&b, 3, 4), VIRTIO_VSSD_S_OK);
	assert_zeros(&b, 3, 4);
}

/* A reset in the middle of a list: the list is dealt with, the buffer is dropped. */
static void reset_in_the_middle_of_a_list(void **state)
{
	uint8_t out[64];
	struct harness_io io = { .out = out, .in_bytes = sizeof(struct virtio_vssd_answer) };

	bench_start(&b);
	fill_all(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 5), 0);
	b.map.later = b.data.later = true;
	io.out_bytes = make_list(out, VIRTIO_VSSD_T_EVICT, ticket_of(&b), &(struct pair){ 4, 3 }, 1);
	harness_add(&b.h, CONTROL, &io, &io);
	harness_add(&b.h, CONTROL, &io, &io);
	harness_kick(&b.h, CONTROL);
	harness_reset(&b.h);
	b.map.later = b.data.later = false;
	harness_start(&b.h, harness_offer(&b.h), 64);
	assert_numbers(&b, BLOCKS - 3, BLOCKS - 5, VIRTIO_VSSD_STATE_SHRINKING);
	assert_gone(&b, 4, 3);
	assert_kept(&b, 7, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_provisioned_at_first, setup, teardown),
		cmocka_unit_test_setup_teardown(shrinks_and_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_refused_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_requests_are_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks_in_use_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(resizes_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(withdrawn_resizes_keep_what_was_handed_back, setup, teardown),
		cmocka_unit_test_setup_teardown(cancel_waits_for_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_queue_up, setup, teardown),
		cmocka_unit_test_setup_teardown(the_map_can_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_crash_at_any_step_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_resize_goes_on_after_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_maps_are_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_maps_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_map_that_fails_ends_resizes, setup, teardown),
		cmocka_unit_test_setup_teardown(punching_may_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_in_the_middle_of_a_list, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
