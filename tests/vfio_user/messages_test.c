/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio_user/bed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/vfio_far.h"

/*
 * Memory that comes without a descriptor: the client of the bed answers what the server asks for, late,
 * wrongly or not at all. What drivers do over it the rigs of lib/rig.h try. hostile: E23
 */
struct far_bed {
	struct bed *bed;
	struct vfio_far far;
};

static void settle(void *context)
{
	bed_settle(((struct far_bed *)context)->bed);
}

static void waiting(void *context)
{
	vfio_far_serve(&((struct far_bed *)context)->far, settle, context);
}

static void serve(struct far_bed *f)
{
	for (unsigned i = 0; i < 3; i++)
		waiting(f);
}

/* From here on all of memory is the client's own. */
static void begin(struct far_bed *f, struct bed *bed)
{
	*f = (struct far_bed){ .bed = bed,
			       .far = { .client = &bed->client,
					.address = BED_MEMORY,
					.size = BED_MEMORY_BYTES,
					.host = bed->memory,
					.seed = 7 } };
	bed->client.waiting = waiting;
	bed->client.context = f;
}

/* It hangs up, if it hasn't, and leaves what bed_free() and its client expect. */
static void end(struct far_bed *f)
{
	static struct far_bed quiet;

	if (f->bed->client.socket >= 0)
		bed_hang_up(f->bed);
	vfio_far_forget(&f->far);
	quiet = (struct far_bed){ .bed = f->bed, .far = { .client = &f->bed->client, .deaf = true } };
	f->bed->client.context = &quiet;
}

/* The lower half of memory comes so, and the upper one; -1: without a descriptor. */
static void start_on(struct far_bed *f, int lower_fd, int upper_fd)
{
	const uint64_t half = BED_MEMORY_BYTES / 2;
	struct bed *bed = f->bed;

	bed_agree(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, half, 0, lower_fd), 0);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY + half, half, half, upper_fd), 0);
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	bed_driver_start(bed, 1);
}

static void start(struct far_bed *f)
{
	struct bed *bed = f->bed;

	bed_agree(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, -1), 0);
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	bed_driver_start(bed, 1);
}

static void ask(struct far_bed *f, uint32_t number)
{
	bed_offer(f->bed, 0, number);
	bed_kick(f->bed, 0);
	serve(f);
}

static void expect_answer(struct far_bed *f, uint32_t number)
{
	bed_raised(f->bed->events[1]);
	ask(f, number);
	assert_int_equal(bed_answer(f->bed, 0), number + 1);
	assert_int_equal(bed_raised(f->bed->events[1]), 1);
}

static void requests_are_served(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	for (unsigned way = 0; way < 4; way++) {
		begin(&f, bed);
		f.far.brief = way & 1;
		f.far.shuffled = way & 2;
		start(&f);
		for (uint32_t i = 0; i < 50; i++) {
			bed_offer(bed, 0, i);
			bed_kick(bed, 0);
			while (bed_answer(bed, 0) != i + 1 || f.far.held_count)
				waiting(&f);
		}
		serve(&f);
		assert_true(bed_raised(bed->events[1]) > 0);
		assert_true(f.far.reads > 100 && f.far.writes > 100);
		assert_int_equal(bed->dev.fault_count, 0);
		end(&f);
	}
}

/* Rings that are mapped, buffers that aren't; and the other way round. */
static void memory_is_mixed(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	for (unsigned other = 0; other < 2; other++) {
		begin(&f, bed);
		start_on(&f, other ? -1 : bed->memory_fd, other ? bed->memory_fd : -1);
		for (uint32_t i = 0; i < 20; i++)
			expect_answer(&f, i);
		assert_int_equal(bed->dev.fault_count, 0);
		end(&f);
	}
}

/* A client that takes little at a time gets little. */
static void pieces_are_as_agreed(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	bed_connect(bed);
	assert_int_equal(vfio_client_version(&bed->client, "{\"capabilities\":{\"max_data_xfer_size\":64}}"),
			 0);
	f.far.most = 64;
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, -1), 0);
	bed->notify = 0x3000;
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	bed_driver_start(bed, 1);
	bed_offer(bed, 0, 5);
	bed_set(bed, bed->notify, 2, 0);
	serve(&f);
	assert_int_equal(bed_answer(bed, 0), 6);
	end(&f);
}

/* What became of a client that told a lie. */
static void judge_lie(struct far_bed *f, unsigned lie)
{
	struct bed *bed = f->bed;

	if (f->far.lie != VFIO_FAR_HONEST) { /* it took fewer messages */
		assert_int_equal(bed_answer(bed, 0), 2);
	} else if (bed->closed) {
		assert_int_not_equal(lie, VFIO_FAR_ERROR);
		assert_int_not_equal(lie, VFIO_FAR_SILENCE);
		assert_int_equal(bed->reason, -VIO_EPROTO);
		assert_int_equal(bed->lines, 1);
		vfio_client_close(&bed->client);
		bed_check_idle(bed);
		bed->closed = 0;
	} else if (lie == VFIO_FAR_ERROR) {
		assert_int_equal(bed->dev.fault_count, 1);
		assert_int_equal(bed->lines, 2);
		assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1),
				 TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	} else if (lie == VFIO_FAR_SILENCE) { /* nothing but the queue waits for it */
		assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
	} else { /* a write may be answered by the header alone, in which there is little to lie about */
		assert_true(lie == VFIO_FAR_EMPTY ||
			    (f->far.brief && (lie == VFIO_FAR_ADDRESS || lie == VFIO_FAR_COUNT)));
		assert_int_equal(bed_answer(bed, 0), 2);
	}
}

static void lie_once(struct bed *bed, unsigned brief, unsigned lie, unsigned after)
{
	struct far_bed f;

	begin(&f, bed);
	f.far.brief = brief;
	start(&f);
	serve(&f);
	bed->lines = 0;
	bed->dev.fault_count = 0;
	f.far.lie = (enum vfio_far_lie)lie;
	f.far.lie_after = after;
	bed_offer(bed, 0, 1);
	vfio_client_write(&bed->client, BED_BAR, bed->notify, 2, 0);
	serve(&f);
	judge_lie(&f, lie);
	end(&f);
}

/* Every lie, at every message that one request takes. */
static void answers_lie(void **state)
{
	for (unsigned brief = 0; brief < 2; brief++)
		for (unsigned lie = VFIO_FAR_ERROR; lie < VFIO_FAR_LIES; lie++)
			for (unsigned after = 0; after < 14; after++)
				lie_once(*state, brief, lie, after);
}

/* An answer where nothing was asked. */
static void answers_to_nothing(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	for (uint16_t command = VFIO_USER_DMA_READ; command <= VFIO_USER_DMA_WRITE; command++) {
		begin(&f, bed);
		bed_agree(bed);
		vfio_client_send(&bed->client, &(struct vfio_client_message){
						       .command = command, .flags = VFIO_USER_FLAGS_REPLY });
		bed_expect_dropped(bed);
		end(&f);
	}
}

/* spec: DEV-BASIC-010 */
static void a_reset_waits_for_what_is_under_way(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	start(&f);
	for (unsigned after = 0; after < 14; after++) {
		serve(&f);
		f.far.lie = VFIO_FAR_HONEST;
		bed_offer(bed, 0, 9);
		bed->client.waiting = settle;
		bed_kick(bed, 0);
		for (unsigned i = 0; i < after; i++) {
			bed_settle(bed);
			vfio_far_take(&f.far);
			vfio_far_answer(&f.far);
		}
		bed_settle(bed);
		while (vfio_far_take(&f.far))
			bed_settle(bed);
		bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(bed->dev.status, 0);
		assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1) != 0, f.far.held_count != 0);
		bed->client.waiting = waiting;
		serve(&f);
		assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), 0);
		bed_driver_start(bed, 1);
		expect_answer(&f, 4);
	}
	assert_int_equal(bed->dev.fault_count, 0);
	end(&f);
}

/* Memory goes and comes back under a request: it is answered all the same, and the answer is one. */
static void memory_goes_under_way(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	start(&f);
	for (uint32_t after = 0; after < 14; after++) {
		serve(&f);
		bed_raised(bed->events[1]);
		bed_offer(bed, 0, after);
		bed->client.waiting = settle;
		bed_kick(bed, 0);
		for (uint32_t i = 0; i < after; i++) {
			bed_settle(bed);
			vfio_far_take(&f.far);
			vfio_far_answer(&f.far);
		}
		bed_settle(bed);
		while (vfio_far_take(&f.far))
			bed_settle(bed);
		/* Nobody waits for the client, which has to answer this first. */
		assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
		assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, -1), 0);
		bed->client.waiting = waiting;
		assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
		serve(&f);
		assert_int_equal(bed_answer(bed, 0), after + 1);
		assert_true(bed_raised(bed->events[1]) > 0);
	}
	assert_int_equal(bed->dev.fault_count, 0);
	end(&f);
}

/* The client goes with answers owed. */
static void it_hangs_up_under_way(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	for (unsigned after = 0; after < 14; after++) {
		begin(&f, bed);
		start(&f);
		serve(&f);
		bed_offer(bed, 0, 9);
		bed->client.waiting = settle;
		bed_kick(bed, 0);
		for (unsigned i = 0; i < after; i++) {
			vfio_far_take(&f.far);
			vfio_far_answer(&f.far);
			bed_settle(bed);
		}
		bed_hang_up(bed);
		bed_check_idle(bed);
		bed->client.waiting = waiting;
		end(&f);
	}
}

static void put(struct bed *bed, unsigned index, uint64_t address, uint32_t bytes, uint16_t flags,
		uint16_t next)
{
	struct virtq_desc *desc = (void *)(bed->memory + BED_RINGS);

	desc[index] = (struct virtq_desc){ vio_le64_make(address), vio_le32_make(bytes), vio_le16_make(flags),
					   vio_le16_make(next) };
}

struct mistake {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags, next;
	enum vio_fault_kind kind;
};

/* What a driver gets wrong is found as it would be in its own ring. */
static void drivers_lie(void **state)
{
	static const struct mistake all[] = {
		{ BED_MEMORY + BED_MEMORY_BYTES, 4, 0, 0, VIO_FAULT_BUFFER_MEMORY },
		{ BED_MEMORY + BED_MEMORY_BYTES - 2, 4, 0, 0, VIO_FAULT_BUFFER_MEMORY },
		{ UINT64_C(0xffff000000000000), 4, 0, 0, VIO_FAULT_BUFFER_MEMORY }, /* ours, if it could */
		{ UINT64_C(0xfffeffffffffffff), 4, VIRTQ_DESC_F_WRITE, 0, VIO_FAULT_BUFFER_MEMORY },
		{ BED_MEMORY, 4, VIRTQ_DESC_F_NEXT, 0, VIO_FAULT_CHAIN_LOOP },
		{ BED_MEMORY, 4, VIRTQ_DESC_F_NEXT, TOY_SIZE, VIO_FAULT_NEXT_RANGE },
		{ BED_MEMORY, 16, VIRTQ_DESC_F_INDIRECT, 0, VIO_FAULT_INDIRECT_REFUSED },
		{ UINT64_C(0xffff000000000000), 16, VIRTQ_DESC_F_INDIRECT, 0, VIO_FAULT_INDIRECT_REFUSED },
	};
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	start(&f);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(all); i++) {
		bed->dev.fault_count = 0;
		bed_offer(bed, 0, 1);
		put(bed, 0, all[i].address, all[i].bytes, all[i].flags, all[i].next);
		bed_kick(bed, 0);
		serve(&f);
		assert_int_equal(bed->dev.fault_count, 1);
		assert_int_equal(bed->dev.fault.kind, all[i].kind);
		bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		serve(&f);
		bed_driver_start(bed, 1);
		expect_answer(&f, 2);
	}
	end(&f);
}

/* hostile: A6 A52 A56 */
static void rings_lie(void **state)
{
	static const enum vio_fault_kind kinds[] = { VIO_FAULT_HEAD_RANGE, VIO_FAULT_AVAIL_IDX,
						     VIO_FAULT_HEAD_BUSY };
	struct bed *bed = *state;
	struct virtq_avail *avail = (void *)(bed->memory + BED_RINGS + 0x1000);
	struct far_bed f;

	begin(&f, bed);
	start(&f);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(kinds); i++) {
		bed->dev.fault_count = 0;
		bed->toy->hold = kinds[i] == VIO_FAULT_HEAD_BUSY;
		bed_offer(bed, 0, 1);
		if (kinds[i] == VIO_FAULT_HEAD_RANGE)
			avail->ring[(bed->offered[0] - 1) % TOY_SIZE] = vio_le16_make(TOY_SIZE);
		if (kinds[i] == VIO_FAULT_AVAIL_IDX)
			avail->idx = vio_le16_make((uint16_t)(bed->offered[0] + TOY_SIZE));
		bed_kick(bed, 0);
		serve(&f);
		if (kinds[i] == VIO_FAULT_HEAD_BUSY)
			ask(&f, 2); /* by the same name */
		assert_int_equal(bed->dev.fault_count, 1);
		assert_int_equal(bed->dev.fault.kind, kinds[i]);
		bed->toy->hold = false;
		bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		serve(&f);
		bed_driver_start(bed, 1);
		expect_answer(&f, 2);
	}
	end(&f);
}

/* More than is copied at a time, of memory that nobody has to have for that. */
static void buffers_are_too_much(void **state)
{
	const uint64_t there = UINT64_C(0x100000000);
	struct bed *bed = *state;
	struct far_bed f;
	unsigned reads;

	begin(&f, bed);
	start(&f);
	assert_int_equal(vfio_client_map(&bed->client, there, UINT64_C(1) << 32, 0, -1), 0);
	bed_offer(bed, 0, 1);
	put(bed, 0, there, UINT32_C(33) << 20, 0, 0);
	reads = f.far.reads;
	bed_kick(bed, 0);
	serve(&f);
	assert_int_equal(bed->dev.fault_count, 1);
	assert_true(f.far.reads < reads + 8);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1),
			 TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	end(&f);
}

#define NEAR UINT64_C(0xffff000000000000) /* where a relay has its memory, for its own queue alone */

/* Whatever the client says is there: it is told no, and nothing else changes. */
static void relays_are_in_nobodys_way(void **state)
{
	static const uint64_t maps[][2] = {
		{ NEAR, 0x1000 },
		{ NEAR - 0x1000, 0x2000 },
		{ NEAR + 0x3000, 0x1000 },
		{ NEAR + (UINT64_C(1) << 32), 0x100000 },
		{ UINT64_C(1) << 40, UINT64_MAX - (UINT64_C(1) << 40) },
	};
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	bed_agree(bed);
	for (unsigned turn = 0; turn < 2; turn++) { /* before there is a relay, and with one */
		for (unsigned i = 0; i < 2 * VIO_ARRAY_SIZE(maps); i++) {
			bed->lines = 0;
			assert_int_equal(vfio_client_map(&bed->client, maps[i / 2][0], maps[i / 2][1], 0,
							 i % 2 ? bed->memory_fd : -1),
					 EEXIST);
			assert_int_equal(bed->lines, 1);
			assert_non_null(strstr(bed->line, "DMA_MAP"));
		}
		if (!turn) {
			assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, -1),
					 0);
			bed_assign(bed, VFIO_USER_IRQ_MSIX);
			bed_driver_start(bed, 1);
		}
		expect_answer(&f, turn);
	}
	/* Right in front of it is anybody's. */
	assert_int_equal(vfio_client_map(&bed->client, NEAR - 0x1000, 0x1000, 0, bed->memory_fd), 0);
	expect_answer(&f, 7);
	assert_int_equal(bed->dev.fault_count, 0);
	end(&f);
}

/* A driver that knows where its queue's copies lie has nothing of it. */
static void near_is_nowhere(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	start(&f);
	for (unsigned i = 0; i < 32; i++) {
		const uint16_t write = i % 2 ? VIRTQ_DESC_F_WRITE : 0;

		bed->dev.fault_count = 0;
		bed_offer(bed, 0, 1);
		put(bed, 0, BED_MEMORY + BED_DATA, 4, VIRTQ_DESC_F_NEXT, 1);
		put(bed, 1, NEAR + i / 2 * 0x1000, 4, write, 0);
		bed_kick(bed, 0);
		serve(&f);
		assert_int_equal(bed->dev.fault_count, 1);
		assert_int_equal(bed->dev.fault.kind, VIO_FAULT_BUFFER_MEMORY);
		bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		serve(&f);
		bed_driver_start(bed, 1);
		expect_answer(&f, 2);
	}
	end(&f);
}

/* Nor has another queue, with its own rings there or its buffers: here queue 1 has all it needs mapped. */
static void near_is_nowhere_for_other_queues(void **state)
{
	const uint64_t half = BED_MEMORY_BYTES / 2, ring = BED_MEMORY + BED_DATA + 0x1000;
	struct bed *bed = *state;
	struct virtq_desc *desc = (void *)(bed->memory + BED_DATA + 0x1000);
	struct virtq_avail *avail = (void *)(bed->memory + BED_DATA + 0x2000);
	struct far_bed f;

	for (unsigned i = 0; i < 4; i++) {
		const bool rings = i >= 2;

		begin(&f, bed);
		bed_agree(bed);
		assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, half, 0, -1), 0);
		assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY + half, half, half, bed->memory_fd),
				 0);
		bed_assign(bed, VFIO_USER_IRQ_MSIX);
		bed_driver_start(bed, 1);
		expect_answer(&f, 1);
		bed->dev.fault_count = 0;
		memset(desc, 0, 0x3000);
		desc[0] = (struct virtq_desc){ vio_le64_make(NEAR + 0x2000), vio_le32_make(4),
					       vio_le16_make(i % 2 ? VIRTQ_DESC_F_WRITE : 0),
					       vio_le16_make(0) };
		avail->idx = vio_le16_make(1);
		bed_set(bed, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
		bed_set(bed, VIRTIO_PCI_COMMON_Q_DESCLO, 8, ring);
		bed_set(bed, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, ring + 0x1000);
		bed_set(bed, VIRTIO_PCI_COMMON_Q_USEDLO, 8, rings ? NEAR + 0x2000 : ring + 0x2000);
		bed_set(bed, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		bed_kick(bed, 1);
		serve(&f);
		assert_true(bed->dev.fault_count > 0);
		assert_int_equal(bed->dev.fault.queue, 1);
		assert_int_equal(bed->dev.fault.kind,
				 rings ? VIO_FAULT_RING_MEMORY : VIO_FAULT_BUFFER_MEMORY);
		end(&f);
	}
}

static void it_can_not_be_taken_elsewhere(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	start(&f);
	assert_int_equal(vfio_client_go(&bed->client, VFIO_USER_STATE_STOP_COPY), EOPNOTSUPP);
	expect_answer(&f, 1);
	end(&f);
}

/* The layout that QEMU has, met by a write before anything was read: the rings are mapped. */
static void layout_is_learned_from_writes(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	for (unsigned brief = 0; brief < 2; brief++) {
		begin(&f, bed);
		f.far.brief = brief;
		start_on(&f, bed->memory_fd, -1);
		for (uint32_t i = 0; i < 4; i++) /* nothing but zeros is read for the first one */
			expect_answer(&f, i);
		assert_int_equal(bed->dev.fault_count, 0);
		end(&f);
	}
}

/* All of it goes and comes back, as when QEMU moves a window, while the queue looks for what is new. */
static void memory_is_away_for_a_while(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	start(&f);
	serve(&f);
	bed_offer(bed, 0, 5);
	bed->client.waiting = settle;
	bed_kick(bed, 0);
	bed_settle(bed);
	while (vfio_far_take(&f.far))
		bed_settle(bed);
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
	while (vfio_far_answer(&f.far))
		bed_settle(bed);
	bed_settle(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, -1), 0);
	bed->client.waiting = waiting;
	serve(&f);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
	serve(&f);
	assert_int_equal(bed_answer(bed, 0), 6);
	assert_int_equal(bed->dev.fault_count, 0);
	end(&f);
}

/* What was mapped comes back without a descriptor, and nobody says anything more. */
static void memory_comes_back_otherwise(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;

	begin(&f, bed);
	bed_agree(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	bed_driver_start(bed, 1);
	expect_answer(&f, 3);
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, -1), 0);
	bed_offer(bed, 0, 7);
	for (unsigned i = 0; i < 10000 && bed_answer(bed, 0) != 8; i++) {
		usleep(1000);
		serve(&f);
	}
	assert_int_equal(bed_answer(bed, 0), 8);
	end(&f);
}

/* Two buffers that have a descriptor in common, and are available at once. hostile: A6 */
static void buffers_share_a_descriptor(void **state)
{
	struct bed *bed = *state;
	struct far_bed f;
	struct virtq_desc *desc = (void *)(bed->memory + BED_RINGS);
	struct virtq_avail *avail = (void *)(bed->memory + BED_RINGS + 0x1000);

	begin(&f, bed);
	start(&f);
	serve(&f);
	bed_offer(bed, 0, 5);
	desc[2] = desc[0];
	avail->ring[bed->offered[0]++ % TOY_SIZE] = vio_le16_make(2);
	avail->idx = vio_le16_make(bed->offered[0]);
	bed_kick(bed, 0);
	serve(&f);
	assert_int_equal(bed->dev.fault_count, 1);
	assert_int_equal(bed->dev.fault.kind, VIO_FAULT_HEAD_BUSY);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(requests_are_served),
		BED_CASE(memory_is_mixed),
		BED_CASE(pieces_are_as_agreed),
		BED_CASE(answers_lie),
		BED_CASE(answers_to_nothing),
		BED_CASE(a_reset_waits_for_what_is_under_way),
		BED_CASE(memory_goes_under_way),
		BED_CASE(it_hangs_up_under_way),
		BED_CASE(drivers_lie),
		BED_CASE(rings_lie),
		BED_CASE(buffers_are_too_much),
		BED_CASE(it_can_not_be_taken_elsewhere),
		BED_CASE(relays_are_in_nobodys_way),
		BED_CASE(layout_is_learned_from_writes),
		BED_CASE(memory_is_away_for_a_while),
		BED_CASE(memory_comes_back_otherwise),
		BED_CASE(buffers_share_a_descriptor),
		BED_CASE(near_is_nowhere),
		BED_CASE(near_is_nowhere_for_other_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
