/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "link/vdpa/driver.h"

static unsigned long long lockable_bytes(void)
{
	struct rlimit locked;

	return getrlimit(RLIMIT_MEMLOCK, &locked) ? 0 : locked.rlim_cur;
}

/* One message, in the form that was agreed on. */
static int tell(struct vdpa *vdpa, uint8_t type, const char *name)
{
	const struct kernel_system *system = vdpa->kernel.system;
	const struct vio_arena *arena = &vdpa->kernel.arena;
	const bool second = vdpa_has(vdpa, VHOST_BACKEND_F_IOTLB_MSG_V2);
	struct vhost_msg message;

	if (vdpa->kernel.failed)
		return vdpa->kernel.failed;
	memset(&message, 0, sizeof(message));
	message.type = second ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG;
	message.iotlb = (struct vhost_iotlb_msg){
		.iova = arena->addr.raw,
		.size = arena->bytes,
		.uaddr = (uintptr_t)arena->host,
		.perm = VHOST_ACCESS_RW,
		.type = type,
	};
	if (system->tell(system->context, vdpa->kernel.fd, &message, sizeof(message)) >= 0)
		return 0;
	/* The kernel says the same of everything that it can't do. */
	return kernel_complain(&vdpa->kernel, kernel_error(&vdpa->kernel),
			       "%s of %zu bytes at %#llx: %s, of %llu that may be locked", name, arena->bytes,
			       (unsigned long long)arena->addr.raw, strerror(errno), lockable_bytes());
}

static int tell_batch(struct vdpa *vdpa, uint8_t type, const char *name)
{
	bool batch = vdpa_has(vdpa, VHOST_BACKEND_F_IOTLB_BATCH);
	int error = batch ? tell(vdpa, VHOST_IOTLB_BATCH_BEGIN, "beginning a batch of mappings") : 0;
	int ended;

	if (error)
		return error;
	error = tell(vdpa, type, name);
	/* Also after a refusal: the kernel would take what comes next for a part of this batch. */
	ended = batch ? tell(vdpa, VHOST_IOTLB_BATCH_END, "ending a batch of mappings") : 0;
	return error ? error : ended;
}

static bool reaches(const struct vio_vdpa_info *info, uint64_t base, size_t bytes)
{
	return base >= info->iova_first && base <= info->iova_last && bytes - 1 <= info->iova_last - base;
}

int vdpa_place_arena(struct vdpa *vdpa)
{
	const struct vio_vdpa_info *info = &vdpa->info;
	size_t bytes = vdpa->kernel.arena.bytes;
	uint64_t base = KERNEL_ARENA_BASE;

	if (!reaches(info, base, bytes)) {
		/* The first page that is none of zero, so that no address of ours looks like none. */
		base = info->iova_first ? info->iova_first : 1;
		if (base > UINT64_MAX - VIO_ARENA_PAGE)
			base = 0;
		base = (base + VIO_ARENA_PAGE - 1) & ~(uint64_t)(VIO_ARENA_PAGE - 1);
	}
	if (!base || !reaches(info, base, bytes))
		return kernel_complain(
			&vdpa->kernel, -VIO_EPEER,
			"the device can address %#llx to %#llx, which has no room for %zu bytes",
			(unsigned long long)info->iova_first, (unsigned long long)info->iova_last, bytes);
	vdpa->kernel.arena.addr = vio_addr_make(base);
	return 0;
}

int vdpa_map(struct vdpa *vdpa)
{
	int error = vdpa->mapped ? 0 : tell_batch(vdpa, VHOST_IOTLB_UPDATE, "mapping");
	const struct vio_kernel_mistake mistake = vdpa->kernel.mistake;

	vdpa->mapped = !error;
	if (error) {
		/* It may be there all the same, and would stand in the way of the next attempt. */
		(void)tell(vdpa, VHOST_IOTLB_INVALIDATE, "unmapping");
		vdpa->kernel.mistake = mistake;
	}
	return error;
}

void vdpa_unmap(struct vdpa *vdpa)
{
	if (vdpa->mapped)
		(void)tell_batch(vdpa, VHOST_IOTLB_INVALIDATE, "unmapping");
	vdpa->mapped = false;
}
