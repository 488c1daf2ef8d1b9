/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * Requests of all kinds at random, many in flight at a time, against an array that
 * says what has to be there. Requests that are in flight together don't overlap; many
 * are neighbours, and are held back to be carried out together.
 * VIREO_SEED chooses another run.
 */
enum { BLOCK = 512, BLOCKS = 2048, SLOTS = 48, SPANS = 6, BLOCKS_MAX = 64, REQUESTS = 3000 };

struct slot {
	struct drive_request drive;
	struct vio_span spans[SPANS];
	uint8_t *memory; /* not aligned for direct transfers */
	bool busy;
	unsigned first, count; /* blocks */
};

static struct world {
	struct drive drive;
	struct slot slots[SLOTS];
	uint8_t image[BLOCKS * BLOCK];
	bool taken[BLOCKS];
	bool undefined[BLOCKS]; /* after a discard */
	unsigned next;          /* behind what was asked for last */
	bool held;
	unsigned seed;
} world;

static unsigned below(unsigned limit)
{
	return (unsigned)rand_r(&world.seed) % limit;
}

static void scatter(struct slot *slot, size_t length)
{
	size_t used = 0;

	for (unsigned i = 0; i < SPANS; i++) {
		size_t part = i == SPANS - 1 ? length - used : below((unsigned)(length - used) + 1);

		slot->spans[i] = (struct vio_span){ slot->memory + used, part };
		used += part;
	}
	slot->drive.request.spans = slot->spans;
	slot->drive.request.span_count = SPANS;
}

static bool reserve(struct slot *slot)
{
	slot->count = 1 + below(BLOCKS_MAX);
	slot->first = below(BLOCKS - slot->count + 1);
	if (below(2) && world.next + slot->count <= BLOCKS)
		slot->first = world.next;
	for (unsigned i = 0; i < slot->count; i++)
		if (world.taken[slot->first + i])
			return false;
	for (unsigned i = 0; i < slot->count; i++)
		world.taken[slot->first + i] = true;
	world.next = slot->first + slot->count;
	return true;
}

static void start(struct slot *slot)
{
	static const enum vio_block_op ops[] = {
		VIO_BLOCK_READ,  VIO_BLOCK_READ,    VIO_BLOCK_READ,         VIO_BLOCK_WRITE, VIO_BLOCK_WRITE,
		VIO_BLOCK_WRITE, VIO_BLOCK_DISCARD, VIO_BLOCK_WRITE_ZEROES, VIO_BLOCK_FLUSH,
	};
	struct vio_block_request *request = &slot->drive.request;
	size_t length;

	if (!reserve(slot))
		return;
	length = (size_t)slot->count * BLOCK;
	*request = (struct vio_block_request){ .op = ops[below(VIO_ARRAY_SIZE(ops))] };
	if (request->op != VIO_BLOCK_FLUSH) {
		request->offset = (uint64_t)slot->first * BLOCK;
		request->length = length;
	}
	if (request->op == VIO_BLOCK_WRITE_ZEROES && below(2))
		request->flags |= VIO_BLOCK_UNMAP;
	if (request->op != VIO_BLOCK_READ && request->op != VIO_BLOCK_FLUSH && !below(8))
		request->flags |= VIO_BLOCK_STABLE;
	if (request->op == VIO_BLOCK_WRITE)
		drive_pattern(slot->memory, length, below(1u << 30));
	else
		memset(slot->memory, 0xee, length);
	if (request->op == VIO_BLOCK_WRITE || request->op == VIO_BLOCK_READ)
		scatter(slot, length);
	slot->busy = true;
	drive_submit(&world.drive, &slot->drive);
}

static void check_read(const struct slot *slot)
{
	for (unsigned i = 0; i < slot->count; i++)
		if (!world.undefined[slot->first + i])
			assert_memory_equal(slot->memory + i * BLOCK, world.image + (slot->first + i) * BLOCK,
					    BLOCK);
}

/* Looks at what has come back and brings the array up to date. */
static void end(struct slot *slot)
{
	enum vio_block_op op = slot->drive.request.op;
	uint8_t *at = world.image + (size_t)slot->first * BLOCK;
	size_t length = (size_t)slot->count * BLOCK;

	assert_int_equal(slot->drive.done, 1);
	if (op != VIO_BLOCK_DISCARD || slot->drive.result != -VIO_ENOTSUP)
		assert_int_equal(slot->drive.result, 0);
	if (op == VIO_BLOCK_READ)
		check_read(slot);
	if (op == VIO_BLOCK_WRITE)
		memcpy(at, slot->memory, length);
	if (op == VIO_BLOCK_WRITE_ZEROES)
		memset(at, 0, length);
	for (unsigned i = 0; i < slot->count; i++) {
		if (op == VIO_BLOCK_WRITE || op == VIO_BLOCK_WRITE_ZEROES || op == VIO_BLOCK_DISCARD)
			world.undefined[slot->first + i] = op == VIO_BLOCK_DISCARD;
		world.taken[slot->first + i] = false;
	}
	slot->busy = false;
}

static void check_all(void)
{
	uint8_t *bytes = aligned_alloc(4096, sizeof(world.image));

	assert_int_equal(drive_read(&world.drive, 0, bytes, sizeof(world.image)), 0);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (!world.undefined[i])
			assert_memory_equal(bytes + i * BLOCK, world.image + i * BLOCK, BLOCK);
	free(bytes);
}

static void prepare(void)
{
	const char *seed = getenv("VIREO_SEED");

	memset(&world, 0, sizeof(world));
	world.seed = seed ? (unsigned)strtoul(seed, NULL, 0) : 20240607;
	for (unsigned i = 0; i < SLOTS; i++) {
		world.slots[i].memory = malloc(BLOCKS_MAX * BLOCK + 1);
		assert_non_null(world.slots[i].memory);
	}
}

/* Not all storage holds anything back. */
static void hold_or_release(void)
{
	struct vio_block *block = world.drive.block;

	if (!block->ops->hold)
		return;
	if (!world.held && !below(8)) {
		block->ops->hold(block);
		world.held = true;
	} else if (world.held && !below(5)) {
		block->ops->settle(block);
	} else if (world.held && !below(10)) {
		block->ops->release(block);
		world.held = false;
	}
}

static void play(void)
{
	print_message("# seed %u\n", world.seed);
	for (unsigned turn = 0; turn < REQUESTS; turn++) {
		struct slot *slot = &world.slots[below(SLOTS)];

		hold_or_release();
		if (!slot->busy)
			start(slot);
		if (!below(200))
			world.drive.block->ops->drain(world.drive.block);
		else if (!below(6))
			assert_true(vio_loop_step(world.drive.loop, 0) >= 0);
		for (unsigned i = 0; i < SLOTS; i++)
			if (world.slots[i].busy && world.slots[i].drive.done)
				end(&world.slots[i]);
	}
	world.drive.block->ops->drain(world.drive.block);
	for (unsigned i = 0; i < SLOTS; i++) {
		if (world.slots[i].busy)
			end(&world.slots[i]);
		free(world.slots[i].memory);
	}
	check_all();
	drive_close(&world.drive);
}

static void file(void **state)
{
	struct vio_loop *loop = engine_loop(state);

	prepare();
	drive_make_file(&world.drive, loop, "/tmp", sizeof(world.image));
	drive_open(&world.drive);
	play();
	drive_remove(&world.drive);
}

static void file_direct(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct drive probe;

	drive_make_file(&probe, loop, "/tmp", sizeof(world.image));
	drive_open_direct(&probe);
	if (probe.block->block_bytes != BLOCK) {
		print_message("direct I/O of 512 bytes is absent here\n");
		drive_remove(&probe);
		skip();
	}
	drive_close(&probe);
	prepare();
	world.drive = probe;
	drive_open(&world.drive);
	play();
	drive_remove(&world.drive);
}

static void memory(void **state)
{
	struct vio_loop *loop = engine_loop(state);

	prepare();
	world.drive.loop = loop;
	vio_property_set_defaults(vio_host_block_properties(), &world.drive.options);
	drive_set(&world.drive, "backend", "memory");
	drive_set(&world.drive, "size", "1M");
	drive_open(&world.drive);
	play();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(file),
		ON_BOTH_ENGINES(file_direct),
		ON_BOTH_ENGINES(memory),
	};

	return cmocka_run_group_tests_name("block-random", tests, NULL, NULL);
}
