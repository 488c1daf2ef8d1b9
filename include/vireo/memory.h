/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_MEMORY_H
#define VIREO_MEMORY_H

#include <vireo/base.h>

/*
 * Memory that a peer addresses.
 *
 * A peer names memory by bus address; a device can only touch host bytes. The
 * table in struct vio_mem says which bus addresses are which host bytes, and
 * with what rights. vio_mem_resolve() is the only place in Vireo where the one
 * becomes the other, and it refuses whatever isn't wholly inside.
 *
 * A table is filled by whoever knows the mapping (a vhost-user back end, an
 * emulator) and read by the queues that point to it. Changing it while a queue
 * that uses it may run is the caller's mistake: stop the queues first. Reading
 * is safe from any number of threads. Where bus addresses are translated as they are
 * used, the table holds what always stands, and vio_mem.translate is asked for the rest.
 */

/* A bus address: a type of its own, so that it can't be taken for a pointer or a size. */
struct vio_addr {
	uint64_t raw;
};

static inline struct vio_addr vio_addr_make(uint64_t raw)
{
	return (struct vio_addr){ raw };
}

/* What a device may do with memory; also what it wants to do. */
#define VIO_MEM_READ 1u
#define VIO_MEM_WRITE 2u

struct vio_region {
	struct vio_addr base;
	uint64_t size;   /* bytes, not 0; base + size doesn't exceed 2^64 - 1 */
	uint8_t *host;   /* first byte; owned by whoever added the region */
	unsigned rights; /* VIO_MEM_READ | VIO_MEM_WRITE */
};

/*
 * Finds what isn't in the table, for an owner that translates addresses as an IOMMU does
 * (VIRTIO_F_ACCESS_PLATFORM): fills *found with a region that holds `addr`, as much as is
 * known around it, with the rights that the driver's platform grants. false refuses. It
 * is asked with what the device wants to do, and again for each page that isn't part of
 * what it said; nothing of it is kept, so a mapping that was taken back is gone with the
 * next question. Called in the thread of the queue, which may be one of several.
 */
typedef bool vio_mem_translate(void *context, struct vio_addr addr, unsigned access,
			       struct vio_region *found);

struct vio_mem {
	struct vio_region *regions; /* sorted by base, disjoint */
	unsigned count;
	unsigned capacity;
	vio_mem_translate *translate; /* or NULL; set it after vio_mem_init() */
	void *translate_context;
};

/* A run of host bytes. */
struct vio_span {
	uint8_t *host;
	size_t length;
};

/*
 * Makes an empty table over `storage`, an array of `capacity` entries that the
 * caller owns and that must outlive the table.
 */
VIO_API void vio_mem_init(struct vio_mem *mem, struct vio_region *storage, unsigned capacity);

/*
 * Adds a region. -VIO_ENOSPC when the table is full, -VIO_ERANGE when size is 0
 * or base + size wraps, -VIO_EEXIST when it overlaps a region that is there.
 */
VIO_API int vio_mem_add(struct vio_mem *mem, const struct vio_region *region);

/* Removes the region with exactly this base and size; -VIO_ENOENT when there is none. */
VIO_API int vio_mem_remove(struct vio_mem *mem, struct vio_addr base, uint64_t size);

/*
 * Resolves [addr, addr + length) for `access` (VIO_MEM_READ and/or _WRITE) into
 * at most `max` spans, in order. A span ends where a region ends; neighbours that
 * are contiguous in both worlds are joined. `hint` is the caller's own cache of
 * the last region hit, one for each thread of use; it may start as 0 and is
 * never trusted.
 *
 * Returns the number of spans (0 for length 0); -VIO_EACCES when any byte is not
 * in a region that grants `access`; -VIO_ENOSPC when it takes more than `max`.
 * Reads and writes nothing but the table, and asks `translate` about what isn't in it.
 */
VIO_API int vio_mem_resolve(const struct vio_mem *mem, unsigned *hint, struct vio_addr addr, uint64_t length,
			    unsigned access, struct vio_span *spans, unsigned max);

/*
 * The same where one span is wanted: the host address of `length` contiguous
 * bytes, or NULL.
 */
VIO_API void *vio_mem_pointer(const struct vio_mem *mem, struct vio_addr addr, uint64_t length,
			      unsigned access);

#endif
