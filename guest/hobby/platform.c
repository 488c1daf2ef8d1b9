/* SPDX-License-Identifier: BSD-3-Clause */
#include "os.h"

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	memory->host = os_pages_take(context, bytes);
	memory->addr = vio_addr_make((uintptr_t)memory->host);
	return memory->host ? 0 : -VIO_ENOMEM;
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
	os_pages_give_back(context, memory->host, bytes);
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	((struct os *)context)->shared++;
	*addr = vio_addr_make((uintptr_t)host);
	return 0;
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
	((struct os *)context)->shared--;
}

static uint64_t now_ns(void *context)
{
	return os_now_ns(context);
}

static void wait(void *context, uint64_t timeout_ns)
{
	os_wait(context, timeout_ns);
}

void os_platform_init(struct os *os)
{
	os->platform = (struct vio_platform){ os, false, take, give_back, share, unshare, now_ns, wait };
}
