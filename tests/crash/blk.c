/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vireo/spec/virtio_blk.h>

#include "killed.h"

/*
 * A disk whose daemon is killed again and again while it is written to.
 *
 *	crash-blk VIREO DIRECTORY CYCLES SEED [PROPERTY...]
 *
 * Every write has a number of its own, and fills its block with it; a block has one in flight at most.
 * After each crash a block holds what was acknowledged last or, where a write was in flight, that; any
 * other number is one that was lost, or one of an older write that was done twice. What was in flight
 * is then submitted again, and has to be acknowledged, once.
 */
#define BLOCK_BYTES 4096u
#define SECTORS     (BLOCK_BYTES / VIRTIO_BLK_SECTOR_BYTES)
#define BLOCKS      512u
#define SLOTS       24u
#define LIFE_US     60000u /* the longest that a daemon lives under load */

#define FRAME (VIO_MEM_READ | VIO_MEM_WRITE)

struct block {
	uint64_t number;  /* of the last write acknowledged; 0: zeros */
	uint64_t pending; /* of the one in flight; 0: none */
};

enum slot_state {
	SLOT_FREE,
	SLOT_BUSY,   /* the device has it */
	SLOT_ORPHAN, /* a write that the device took with it */
};

struct slot {
	struct virtio_blk_req header;
	uint64_t data[BLOCK_BYTES / sizeof(uint64_t)];
	uint8_t status;
	enum slot_state state;
	uint32_t type;
	unsigned block;
	uint64_t number;
	struct vio_sg sg[3];
};

struct test {
	struct killed killed;
	struct block blocks[BLOCKS];
	struct slot slots[SLOTS];
	uint64_t next_number;
	uint64_t submitted, again, acknowledged, torn;
	struct vio_dev_queue queues[1];
	struct vio_drvq *requests;
	const char *arguments[8];
};

static struct test test;

static void fail(const char *what, unsigned i, uint64_t found)
{
	const struct block *block = &test.blocks[i];

	killed_fail(&test.killed, "block %u: %s: found %llx, acknowledged %llx, in flight %llx", i, what,
		    (unsigned long long)found, (unsigned long long)block->number,
		    (unsigned long long)block->pending);
}

static int probe(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 128 };
	struct vio_features wanted = vio_dev_ring_features();
	int error = vio_dev_begin(dev, test.queues, 1);

	vio_features_set(&wanted, VIRTIO_BLK_F_FLUSH);
	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, 0, &wish, &test.requests);
	return error ? error : vio_dev_ready(dev);
}

static const struct vio_driver driver = {
	.name = "blk",
	.ids = (const uint32_t[]){ VIRTIO_ID_BLOCK, 0 },
	.state_bytes = 1,
	.probe = probe,
};

/* Hands over what the slot says; false when the daemon is gone. */
static bool submit(struct slot *slot)
{
	const struct vio_platform *platform = test.killed.dev.platform;
	void *host[3] = { &slot->header, slot->data, &slot->status };
	const uint32_t length[3] = { sizeof(slot->header), BLOCK_BYTES, 1 };
	bool write = slot->type == VIRTIO_BLK_T_OUT;

	slot->header = (struct virtio_blk_req){
		.type = vio_le32_make(slot->type),
		.sector = vio_le64_make((uint64_t)slot->block * SECTORS),
	};
	slot->status = 0xff;
	for (unsigned i = 0; write && i < VIO_ARRAY_SIZE(slot->data); i++)
		slot->data[i] = slot->number;
	for (unsigned i = 0; i < 3; i++) {
		slot->sg[i].length = length[i];
		if (platform->share(platform->context, host[i], length[i], FRAME, &slot->sg[i].addr))
			return false;
	}
	if (vio_drvq_add(test.requests, slot->sg, write ? 2 : 1, write ? 1 : 2, slot))
		return false;
	slot->state = SLOT_BUSY;
	return true;
}

static void finish(struct slot *slot)
{
	const struct vio_platform *platform = test.killed.dev.platform;
	struct block *block = &test.blocks[slot->block];

	if (slot->state != SLOT_BUSY)
		fail("a request was completed twice", slot->block, slot->number);
	platform->unshare(platform->context, &slot->header, sizeof(slot->header), FRAME, slot->sg[0].addr);
	platform->unshare(platform->context, slot->data, BLOCK_BYTES, FRAME, slot->sg[1].addr);
	platform->unshare(platform->context, &slot->status, 1, FRAME, slot->sg[2].addr);
	slot->state = SLOT_FREE;
	if (slot->status != VIRTIO_BLK_S_OK)
		fail("a request failed", slot->block, slot->status);
	if (slot->type != VIRTIO_BLK_T_OUT)
		return;
	if (block->pending != slot->number)
		fail("a write was acknowledged that isn't in flight", slot->block, slot->number);
	block->number = slot->number;
	block->pending = 0;
	test.acknowledged++;
}

/* Takes what is done; false when the daemon is gone. */
static bool collect(void)
{
	struct slot *slot;
	uint32_t written;

	if (vio_dev_wait(&test.killed.dev, test.requests, KILLED_ANSWER_NS))
		return false;
	while ((slot = vio_drvq_get(test.requests, &written)))
		finish(slot);
	return true;
}

static void collect_surely(struct slot *slot)
{
	while (slot->state == SLOT_BUSY)
		if (!collect())
			fail("no answer", slot->block, 0);
}

/* After a crash; a write that was in flight may have come half the way. */
static void check_block(unsigned i, const uint64_t *data)
{
	const struct block *block = &test.blocks[i];

	for (unsigned w = 0; w < BLOCK_BYTES / sizeof(uint64_t); w++) {
		if (data[w] != block->number && !(block->pending && data[w] == block->pending))
			fail("holds what it can't", i, data[w]);
		if (data[w] != data[0]) {
			test.torn++;
			break;
		}
	}
}

static void verify(void)
{
	static struct slot reads[SLOTS];

	for (unsigned first = 0; first < BLOCKS; first += SLOTS) {
		for (unsigned i = 0; i < SLOTS && first + i < BLOCKS; i++) {
			reads[i].type = VIRTIO_BLK_T_IN;
			reads[i].block = first + i;
			if (!submit(&reads[i]))
				fail("can't be read", first + i, 0);
		}
		vio_drvq_kick(test.requests);
		for (unsigned i = 0; i < SLOTS && first + i < BLOCKS; i++) {
			collect_surely(&reads[i]);
			check_block(first + i, reads[i].data);
		}
	}
}

/* What the last daemon took with it. */
static bool submit_again(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (test.slots[i].state != SLOT_ORPHAN)
			continue;
		test.again++;
		if (!submit(&test.slots[i]))
			return false;
	}
	vio_drvq_kick(test.requests);
	return true;
}

static bool start_writes(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &test.slots[i];
		unsigned block = killed_chance(&test.killed, BLOCKS);

		if (slot->state != SLOT_FREE || test.blocks[block].pending)
			continue;
		slot->type = VIRTIO_BLK_T_OUT;
		slot->block = block;
		slot->number = ++test.next_number;
		slot->state = SLOT_ORPHAN; /* until the device has it */
		test.blocks[block].pending = slot->number;
		test.submitted++;
		if (!submit(slot))
			return false;
	}
	vio_drvq_kick(test.requests);
	return true;
}

static void cycle(bool last)
{
	static uint8_t state[1];

	killed_start(&test.killed, test.arguments);
	killed_connect(&test.killed, VIRTIO_ID_BLOCK, &driver, state);
	verify();
	if (!last) {
		killed_arm(&test.killed, LIFE_US);
		while (submit_again() && start_writes() && collect())
			;
	} else {
		submit_again();
		for (unsigned i = 0; i < SLOTS; i++)
			collect_surely(&test.slots[i]);
		verify();
	}
	killed_end(&test.killed, last);
	for (unsigned i = 0; i < SLOTS; i++)
		if (test.slots[i].state == SLOT_BUSY)
			test.slots[i].state = SLOT_ORPHAN;
}

static void make_image(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, BLOCKS * BLOCK_BYTES))
		killed_fail(&test.killed, "can't make the image '%s'", path);
	close(fd);
}

int main(int argc, char **argv)
{
	char path[300];
	unsigned cycles, count = 0;

	if (argc < 5 || argc > 10) {
		fputs("usage: crash-blk VIREO DIRECTORY CYCLES SEED [PROPERTY...]\n", stderr);
		return 2;
	}
	killed_init(&test.killed, argv[1], argv[2], (uint64_t)atoll(argv[4]));
	snprintf(path, sizeof(path), "path=%s/disk.img", argv[2]);
	make_image(path + strlen("path="));
	test.arguments[count++] = "blk";
	test.arguments[count++] = path;
	for (int i = 5; i < argc; i++)
		test.arguments[count++] = argv[i];
	cycles = (unsigned)atoi(argv[3]);
	for (unsigned i = 0; i <= cycles; i++)
		cycle(i == cycles);
	printf("%u times killed: %llu writes, %llu of them submitted again, %llu acknowledged, %llu torn in "
	       "flight\n",
	       cycles, (unsigned long long)test.submitted, (unsigned long long)test.again,
	       (unsigned long long)test.acknowledged, (unsigned long long)test.torn);
	return test.acknowledged != test.submitted || !test.submitted;
}
