/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/vssd_bench.h"

#include <stdlib.h>
#include <string.h>

/* Resizes and their refusals; the clauses cited are those of docs/vssd.md. */

static struct bench b;

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
	while (b.map.pending_count || b.data.pending_count) {
		/* It goes on for whoever cancelled it until that is recorded. */
		assert_int_equal(report_of(&b).state, VIRTIO_VSSD_STATE_SHRINKING);
		assert_true(vio_vssd_resize(&b.h.dev, 30) == -VIO_EBUSY ||
			    vio_vssd_resize(&b.h.dev, 30) == -VIO_EAGAIN);
		fake_block_complete(b.map.pending_count ? &b.map : &b.data, 0);
	}
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

/* Only a driver that knows of several queues has several. spec: VSSD-DEV-16; hostile: A85 */
static void the_control_queue_is_the_next_one(void **state)
{
	const uint64_t mq = UINT64_C(1) << VIRTIO_BLK_F_MQ;
	uint8_t out[64];
	struct virtio_vssd_answer answer;
	struct harness_io io = { .out = out, .in = &answer, .in_bytes = sizeof(answer) };

	harness_set(&b.h, "num-queues", "3");
	harness_realize(&b.h);
	harness_start(&b.h, harness_offer(&b.h) & ~mq, 64);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 2), 0);
	assert_int_equal(evict(&b, 0, 1), VIRTIO_VSSD_S_OK); /* on queue 1 */
	io.out_bytes = make_list(out, VIRTIO_VSSD_T_EVICT, ticket_of(&b), &(struct pair){ 1, 1 }, 1);
	for (unsigned queue = 2; queue < 4; queue++)
		assert_int_equal(harness_call(&b.h, queue, &io), -1);
	harness_reset(&b.h);
	harness_start(&b.h, harness_offer(&b.h), 64);
	for (unsigned queue = 0; queue < 3; queue++) /* as a disk's request it is none */
		assert_true(harness_call(&b.h, queue, &io) == 1);
	assert_numbers(&b, BLOCKS - 1, BLOCKS - 2, VIRTIO_VSSD_STATE_SHRINKING);
	assert_int_equal(harness_call(&b.h, 3, &io), sizeof(answer));
	assert_int_equal(vio_le32_get(answer.status), VIRTIO_VSSD_S_OK);
	assert_numbers(&b, BLOCKS - 2, BLOCKS - 2, VIRTIO_VSSD_STATE_IDLE);
}

/* Requests that begin on a block that is there and end on one that isn't; the other way; lists of ranges. */
static void partly_there_is_not_there(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t sectors;
	} cases[] = { { 4 * SECTORS - 1, 2 },
		      { 6 * SECTORS - 1, 2 },
		      { 3 * SECTORS, 4 * SECTORS },
		      { 4 * SECTORS, 1 } };
	static uint8_t out[sizeof(struct virtio_blk_req) + 4 * UNIT], in[4 * UNIT + 1];
	struct harness_io io = { .out = out, .in = in };

	bench_start(&b);
	fill_all(&b);
	assert_int_equal(vio_vssd_resize(&b.h.dev, BLOCKS - 2), 0);
	assert_int_equal(evict(&b, 4, 2), VIRTIO_VSSD_S_OK);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		for (unsigned type = 0; type < 4;
		     type++) { /* IN, OUT, discard, write zeroes. spec: VSSD-DEV-2 */
			static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
							  VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
			struct virtio_blk_req header = { vio_le32_make(types[type]), vio_le32_make(0),
							 vio_le64_make(type < 2 ? cases[i].sector : 0) };
			struct virtio_blk_discard_write_zeroes segments[2] = {
				{ vio_le64_make(20 * SECTORS), vio_le32_make(1), vio_le32_make(0) },
				{ vio_le64_make(cases[i].sector), vio_le32_make(cases[i].sectors),
				  vio_le32_make(0) },
			};
			size_t bytes = cases[i].sectors * 512ul;

			memcpy(out, &header, sizeof(header));
			memset(out + sizeof(header), 0xee, sizeof(out) - sizeof(header));
			if (type > 1)
				memcpy(out + sizeof(header), segments, sizeof(segments));
			io.out_bytes = sizeof(header) + (type == 1 ? bytes : type > 1 ? sizeof(segments) : 0);
			io.in_bytes = type ? 1 : bytes + 1;
			assert_int_equal(harness_call(&b.h, 0, &io), 1);
			assert_int_equal(in[io.in_bytes - 1], VIRTIO_BLK_S_IOERR);
		}
	}
	assert_kept(&b, 0, 4);
	assert_kept(&b, 6, BLOCKS - 6);
	assert_gone(&b, 4, 2);
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
		cmocka_unit_test_setup_teardown(the_control_queue_is_the_next_one, setup, teardown),
		cmocka_unit_test_setup_teardown(partly_there_is_not_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
