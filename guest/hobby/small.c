/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drivers/blk.h>
#include <vireo/mmio.h>

#include "os.h"

/*
 * How small it can be: one disk behind virtio-mmio, nothing else. Adds one to the first byte of the disk.
 * `make size` weighs it, `make small` builds it; it runs where hobby.elf does.
 */
#define ARENA_PAGES 16u

struct small {
	uint8_t *next; /* page to be taken */
	unsigned left;
	uint64_t ticks_per_second;
};

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	struct small *small = context;
	size_t pages = (bytes + OS_PAGE_BYTES - 1) / OS_PAGE_BYTES;

	if (pages > small->left)
		return -VIO_ENOMEM;
	*memory = (struct vio_shared){ small->next, vio_addr_make((uintptr_t)small->next) };
	memset(small->next, 0, pages * OS_PAGE_BYTES);
	small->next += pages * OS_PAGE_BYTES;
	small->left -= (unsigned)pages;
	return 0;
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	*addr = vio_addr_make((uintptr_t)host);
	return 0;
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
}

static uint64_t now_ns(void *context)
{
	const struct small *small = context;

	return board_ticks() * (UINT64_C(1000000000) / small->ticks_per_second);
}

static void wait(void *context, uint64_t timeout_ns)
{
}

static int use(const struct board *board, const struct vio_platform *platform, uint8_t *sector)
{
	struct vio_mmio_access access;
	struct vio_mmio_driver mmio;
	struct vio_blk blk;
	struct vio_dev dev;
	unsigned window = 0;
	int error;

	do {
		access = vio_mmio_access_mapped(
			(volatile void *)(board->mmio_base + (uintptr_t)window * board->mmio_bytes));
		error = vio_mmio_driver_probe(&mmio, &access, board->mmio_bytes, &dev);
	} while ((error || dev.id != VIRTIO_ID_BLOCK) && ++window < board->mmio_count);
	if (window == board->mmio_count)
		return -VIO_ENOENT;
	error = vio_driver_bind(&dev, &vio_blk_driver, platform, &blk);
	if (!error)
		error = vio_blk_read(&dev, 0, sector, VIRTIO_BLK_SECTOR_BYTES);
	if (!error) {
		sector[0]++;
		error = vio_blk_write(&dev, 0, sector, VIRTIO_BLK_SECTOR_BYTES);
	}
	return error ? error : vio_driver_unbind(&dev);
}

void os_trap(unsigned long cause, unsigned long at, unsigned long value)
{
	board_exit(1);
}

void os_start(void *memory)
{
	struct small small = { (uint8_t *)memory + OS_PAGE_BYTES, ARENA_PAGES, 0 };
	const struct vio_platform platform = { &small, false, take, give_back, share, unshare, now_ns, wait };
	struct board board;

	board_describe(&board);
	small.ticks_per_second = board.ticks_per_second;
	board_exit(use(&board, &platform, memory));
}
