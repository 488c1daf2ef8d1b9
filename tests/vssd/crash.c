/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vireo/spec/virtio_vssd.h>

#include "../crash/killed.h"

/*
 * A VSSD daemon that is killed again and again while it is written to, shrunk and grown.
 *
 *	crash VIREO DIRECTORY CYCLES SEED
 *
 * Every write has a number of its own. What a block may hold after a crash is what was acknowledged
 * last or, where a write was in flight, that; any other number means that one was lost, or done twice.
 * The same holds for being provisioned.
 */
#define UNIT     4096u
#define SECTORS  (UNIT / VIRTIO_BLK_SECTOR_BYTES)
#define BLOCKS   256u
#define SLOTS    16u
#define LIST_MAX 8u
#define LIFE_US  60000u /* the longest that a daemon lives under load */

enum fate {
	FATE_KNOWN,
	FATE_EVICTING, /* handed back, not answered */
	FATE_CLAIMING,
};

/* What is known of a block. */
struct block {
	bool live;
	enum fate fate;
	uint64_t number;  /* of the last write acknowledged; 0: zeros */
	uint64_t pending; /* of the one in flight; 0: none */
};

struct slot {
	struct virtio_blk_req header;
	uint64_t data[UNIT / sizeof(uint64_t)];
	uint8_t status;
	bool busy, write;
	unsigned block;
	uint64_t number;
	struct vio_sg sg[3];
};

struct test {
	struct killed killed;
	char image[256], control_path[110];
	struct block blocks[BLOCKS];
	struct slot slots[SLOTS];
	uint64_t next_number;
	uint64_t acknowledged, lists, torn, resizes;
	struct vio_dev_queue queues[2];
	struct vio_drvq *requests, *control;
	struct {
		struct virtio_vssd_control header;
		struct virtio_vssd_range ranges[BLOCKS];
		struct virtio_vssd_from from;
		struct virtio_vssd_answer answer;
		uint8_t bits[BLOCKS / 8];
	} wire;
};

static struct test test;

static void fail(const char *what, unsigned block, uint64_t found)
{
	const struct block *b = &test.blocks[block % BLOCKS];

	killed_fail(&test.killed, "block %u: %s: found %llx, acknowledged %llx, in flight %llx, %s, fate %d",
		    block, what, (unsigned long long)found, (unsigned long long)b->number,
		    (unsigned long long)b->pending, b->live ? "live" : "absent", (int)b->fate);
}

/* The driver. */

static int probe(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 64 };
	struct vio_features wanted = vio_dev_ring_features();
	int error = vio_dev_begin(dev, test.queues, 2);

	vio_features_set(&wanted, VIRTIO_BLK_F_FLUSH);
	vio_features_set(&wanted, VIRTIO_VSSD_F_RESIZE);
	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, 0, &wish, &test.requests);
	if (!error)
		error = vio_dev_add_queue(dev, 1, &wish, &test.control);
	return error ? error : vio_dev_ready(dev);
}

static const struct vio_driver driver = {
	.name = "vssd",
	.ids = (const uint32_t[]){ VIRTIO_ID_VSSD, 0 },
	.state_bytes = 1,
	.probe = probe,
};

#define FRAME (VIO_MEM_READ | VIO_MEM_WRITE)

static bool submit(struct slot *slot, bool write, unsigned block, uint64_t number)
{
	const struct vio_platform *platform = test.killed.dev.platform;
	void *host[3] = { &slot->header, slot->data, &slot->status };
	const uint32_t length[3] = { sizeof(slot->header), UNIT, 1 };

	slot->header = (struct virtio_blk_req){
		.type = vio_le32_make(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
		.sector = vio_le64_make((uint64_t)block * SECTORS),
	};
	slot->status = 0xff;
	slot->write = write;
	slot->block = block;
	slot->number = number;
	for (unsigned i = 0; write && i < VIO_ARRAY_SIZE(slot->data); i++)
		slot->data[i] = number;
	for (unsigned i = 0; i < 3; i++) {
		slot->sg[i].length = length[i];
		if (platform->share(platform->context, host[i], length[i], FRAME, &slot->sg[i].addr))
			return false;
	}
	slot->busy = !vio_drvq_add(test.requests, slot->sg, write ? 2 : 1, write ? 1 : 2, slot);
	return slot->busy;
}

static void finish(struct slot *slot)
{
	const struct vio_platform *platform = test.killed.dev.platform;
	struct block *block = &test.blocks[slot->block];

	platform->unshare(platform->context, &slot->header, sizeof(slot->header), FRAME, slot->sg[0].addr);
	platform->unshare(platform->context, slot->data, UNIT, FRAME, slot->sg[1].addr);
	platform->unshare(platform->context, &slot->status, 1, FRAME, slot->sg[2].addr);
	slot->busy = false;
	if (!slot->write)
		return;
	if (slot->status != VIRTIO_BLK_S_OK)
		fail("a write failed", slot->block, slot->status);
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

static uint32_t call(uint32_t type, unsigned ranges, uint32_t ticket)
{
	bool map = type == VIRTIO_VSSD_T_MAP;
	struct vio_part parts[] = {
		vio_part_readable(&test.wire.header, sizeof(test.wire.header)),
		map ? vio_part_readable(&test.wire.from, sizeof(test.wire.from))
		    : vio_part_readable(test.wire.ranges, ranges * (uint32_t)sizeof(test.wire.ranges[0])),
		{ &test.wire.answer, sizeof(test.wire.answer) },
		{ test.wire.bits, sizeof(test.wire.bits) },
	};
	uint32_t written = 0;

	test.wire.header.type = vio_le32_make(type);
	test.wire.header.ticket = vio_le32_make(ticket);
	test.wire.from.first = vio_le64_make(0);
	if (vio_dev_exchange(&test.killed.dev, test.control, parts, 2, map ? 2 : 1, &written,
			     KILLED_ANSWER_NS))
		return UINT32_MAX;
	return vio_le32_get(test.wire.answer.status);
}

/* What a crash left is what is known from now on. */
static void accept_block(unsigned i, bool live, const uint64_t *data)
{
	struct block *block = &test.blocks[i];

	if (block->fate == FATE_KNOWN && live != block->live)
		fail(live ? "is there and was handed back" : "is gone and wasn't handed back", i, live);
	if (live && block->fate == FATE_CLAIMING && data[0])
		fail("was taken and isn't zeros", i, data[0]);
	if (live && block->fate != FATE_CLAIMING && data[0] != block->number &&
	    !(block->pending && data[0] == block->pending))
		fail("holds what it can't", i, data[0]);
	for (unsigned w = 1; live && w < UNIT / sizeof(uint64_t); w++)
		if (data[w] != data[0])
			test.torn += block->pending ? 1 : (fail("is torn", i, data[w]), 0);
	block->live = live;
	block->number = live ? data[0] : 0;
	block->pending = 0;
	block->fate = FATE_KNOWN;
}

static void verify(void)
{
	static const uint64_t nothing[1];
	struct slot *slot = &test.slots[0];

	if (call(VIRTIO_VSSD_T_MAP, 0, 0) != VIRTIO_VSSD_S_OK)
		fail("the map can't be read", 0, 0);
	for (unsigned i = 0; i < BLOCKS; i++) {
		bool live = test.wire.bits[i / 8] >> (i % 8) & 1;

		if (live) {
			if (!submit(slot, false, i, 0))
				fail("can't be read", i, 0);
			vio_drvq_kick(test.requests);
			while (slot->busy)
				if (!collect())
					fail("isn't read", i, 0);
			if (slot->status != VIRTIO_BLK_S_OK)
				fail("can't be read", i, slot->status);
		}
		accept_block(i, live, live ? slot->data : nothing);
	}
}

/* The load. */

static bool start_writes(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		unsigned block = killed_chance(&test.killed, BLOCKS);

		if (test.slots[i].busy || !test.blocks[block].live || test.blocks[block].pending)
			continue;
		test.blocks[block].pending = ++test.next_number;
		if (!submit(&test.slots[i], true, block, test.next_number))
			return false;
	}
	vio_drvq_kick(test.requests);
	return true;
}

/* A list of so many blocks that are, or aren't, the driver's. */
static unsigned make_list(bool live, uint64_t most, enum fate fate)
{
	unsigned count = 0, first = killed_chance(&test.killed, BLOCKS);

	for (unsigned n = 0; n < BLOCKS && count < most; n++) {
		unsigned i = (first + n) % BLOCKS;

		if (test.blocks[i].live != live || test.blocks[i].pending ||
		    killed_chance(&test.killed, 3) == 0)
			continue;
		test.wire.ranges[count++] = (struct virtio_vssd_range){ vio_le64_make(i), vio_le64_make(1) };
		test.blocks[i].fate = fate;
	}
	return count;
}

/* Answers to what the device asks for; false when it is gone. */
static bool resize_some(void)
{
	struct virtio_vssd_config config;
	uint64_t provisioned, target, left;
	bool shrink;
	unsigned count;

	if (vio_dev_read_config(&test.killed.dev, 0, &config, sizeof(config)))
		return false;
	provisioned = vio_le64_get(config.provisioned);
	target = vio_le64_get(config.target);
	if (provisioned == target)
		return true;
	shrink = target < provisioned;
	left = shrink ? provisioned - target : target - provisioned;
	count = make_list(shrink,
			  1 + killed_chance(&test.killed, left < LIST_MAX ? (unsigned)left : LIST_MAX),
			  shrink ? FATE_EVICTING : FATE_CLAIMING);
	if (!count)
		return true;
	switch (call(shrink ? VIRTIO_VSSD_T_EVICT : VIRTIO_VSSD_T_CLAIM, count,
		     vio_le32_get(config.ticket))) {
	case VIRTIO_VSSD_S_OK:
		break;
	case UINT32_MAX:
		return false;
	default:
		fail("a list was refused", count, vio_le32_get(test.wire.answer.status));
	}
	for (unsigned i = 0; i < count; i++) {
		struct block *block = &test.blocks[vio_le64_get(test.wire.ranges[i].first)];

		block->live = !shrink;
		block->number = 0;
		block->fate = FATE_KNOWN;
	}
	test.lists++;
	return true;
}

/* One line to the control socket; the answer is of no interest. */
static void ask_for(unsigned blocks)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[64];
	int length = snprintf(line, sizeof(line), "resize %u\n", blocks * UNIT);

	memcpy(address.sun_path, test.control_path, strlen(test.control_path) + 1);
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)) &&
	    send(fd, line, (size_t)length, MSG_NOSIGNAL) == length && recv(fd, line, sizeof(line), 0) > 0)
		test.resizes++;
	close(fd);
}

static void work(void)
{
	for (unsigned round = 0;; round++) {
		if (round % 8 == 0)
			ask_for(BLOCKS / 4 + killed_chance(&test.killed, BLOCKS * 3 / 4));
		if (!start_writes() || !resize_some() || !collect())
			return;
	}
}

static void cycle(bool last)
{
	char path[300];
	const char *const arguments[] = { "vssd", path, "size=1M", "unit=4K", NULL };
	static uint8_t state[1];

	snprintf(path, sizeof(path), "path=%s", test.image);
	killed_start(&test.killed, arguments);
	killed_connect(&test.killed, VIRTIO_ID_VSSD, &driver, state);
	verify();
	if (!last) {
		killed_arm(&test.killed, LIFE_US);
		work();
	}
	killed_end(&test.killed, last);
	memset(test.slots, 0, sizeof(test.slots));
}

int main(int argc, char **argv)
{
	unsigned cycles;

	if (argc != 5) {
		fputs("usage: crash VIREO DIRECTORY CYCLES SEED\n", stderr);
		return 2;
	}
	killed_init(&test.killed, argv[1], argv[2], (uint64_t)atoll(argv[4]));
	snprintf(test.image, sizeof(test.image), "%s/disk.img", argv[2]);
	snprintf(test.control_path, sizeof(test.control_path), "%s.control", test.killed.socket_path);
	cycles = (unsigned)atoi(argv[3]);
	for (unsigned i = 0; i < BLOCKS; i++)
		test.blocks[i].live = true;
	for (unsigned i = 0; i <= cycles; i++)
		cycle(i == cycles);
	printf("%u times killed: %llu writes and %llu lists acknowledged, %llu resizes\n", cycles,
	       (unsigned long long)test.acknowledged, (unsigned long long)test.lists,
	       (unsigned long long)test.resizes);
	return !test.acknowledged || !test.lists;
}
