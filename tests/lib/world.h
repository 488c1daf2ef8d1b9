/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_WORLD_H
#define TEST_LIB_WORLD_H

#include "lib/ring.h"

/*
 * A device's queue on a ring that the test writes by hand, in this memory:
 *
 *	RING   the ring, up to its last byte
 *	LOW    64 KiB  } neighbours by bus address, apart in the host
 *	HIGH   64 KiB  }
 *	       a hole of 64 KiB
 *	FAR    64 KiB
 *	ROM    4 KiB, readable only
 *	OTHER  the ring of a second queue, which has to go on whatever befalls the first
 *	TOP    the last bytes below 2^64 - 1
 */
#define WORLD_RING       UINT64_C(0x100000)
#define WORLD_LOW        UINT64_C(0x200000)
#define WORLD_HIGH       UINT64_C(0x210000)
#define WORLD_HOLE       UINT64_C(0x220000)
#define WORLD_FAR        UINT64_C(0x230000)
#define WORLD_DATA_BYTES UINT64_C(0x10000)
#define WORLD_ROM        UINT64_C(0x300000)
#define WORLD_ROM_BYTES  TEST_PAGE
#define WORLD_OTHER      UINT64_C(0x400000)
#define WORLD_OTHER_SIZE 4u
#define WORLD_TOP        UINT64_C(0xfffffffffffff000)
#define WORLD_TOP_BYTES  UINT64_C(0xfff)

#define WORLD_SPANS         8u
#define WORLD_REQUEST_BYTES 40u

struct test_world {
	struct test_memory memory;
	struct test_ring ring, other_ring;
	struct vio_devq q, other;
	void *storage, *other_storage;
	uint64_t features;
	unsigned interrupts;
};

void test_world_open(struct test_world *w, uint16_t size, uint16_t avail_base, uint64_t features);
void test_world_close(struct test_world *w);

/*
 * The next pop finds this fault (with the index that test_ring_place() gives), and has done no
 * harm: memory is as it was but
 * for the device area, nothing more comes, nothing is pushed, the other queue
 * goes on, and after stop and start a good request succeeds.
 */
void test_world_faults(struct test_world *w, enum vio_fault_kind kind, uint32_t index, uint64_t value);
/* The next pop finds a buffer. */
struct vio_buf test_world_pops(struct test_world *w);
/* Starts anew and serves one good request. */
void test_world_serves(struct test_world *w);

/*
 * Runs `body` on rings of every size from `least` on, with and without EVENT_IDX, from several
 * indices; with IN_ORDER in `features` also without it; with WORLD_ANY also without IN_ORDER, and
 * with and without INDIRECT_DESC; packed ones with RING_PACKED.
 */
#define WORLD_ANY_INDIRECT TEST_BIT(63) /* no feature */
#define WORLD_ANY          (TEST_PLAIN | TEST_IN_ORDER | WORLD_ANY_INDIRECT)
void test_world_each(uint16_t least, uint64_t features, void (*body)(struct test_world *w));

/* Test functions that do it, and their lines in a list of tests. */
#define WORLD_SPLIT(least, features, body)              \
	static void split_##body(void **state)          \
	{                                               \
		test_world_each(least, features, body); \
	}
#define WORLD_PACKED(least, features, body)                             \
	static void packed_##body(void **state)                         \
	{                                                               \
		test_world_each(least, (features) | TEST_PACKED, body); \
	}
#define WORLD_BOTH(least, features, body)  \
	WORLD_SPLIT(least, features, body) \
	WORLD_PACKED(least, features, body)
#define WORLD_TESTS(body) cmocka_unit_test(split_##body), cmocka_unit_test(packed_##body)

#endif
