/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring/walk.h"

bool vio_walk_memory_slowly(struct vio_devq *q, struct walk *walk, uint64_t addr, uint32_t len,
			    unsigned access)
{
	uint64_t at = addr, left = len;

	/* Ends: what resolves is at least a byte. */
	while (left) {
		struct vio_span span;
		uint64_t piece = left;
		int found;

		found = vio_mem_resolve(q->mem, &q->mem_hint, vio_addr_make(at), piece, access, &span, 1);
		if (found == -VIO_ENOSPC)
			piece = span.length; /* the first region's part, which did fit */
		else if (found < 0)
			return false;
		walk_append(walk, span, access == VIO_MEM_WRITE);
		at += piece;
		left -= piece;
	}
	return true;
}

bool vio_walk_open_table(struct vio_devq *q, const struct descriptor *d, uint32_t index, struct table *table)
{
	const struct vio_region *region = mem_region_last(q->mem, q->mem_hint);
	unsigned entries = d->len / 16;
	struct vio_span span;
	int found = 1;

	if (!q->indirect)
		return devq_fault(q, VIO_FAULT_INDIRECT_REFUSED, index, d->flags); /* hostile: A34 */
	if (d->flags & VIRTQ_DESC_F_NEXT)
		return devq_fault(q, VIO_FAULT_INDIRECT_NEXT, index, d->flags); /* hostile: A35 A49 */
	if (!entries || d->len % 16 || entries > q->size)
		return devq_fault(q, VIO_FAULT_INDIRECT_LENGTH, index, d->len); /* hostile: A37 A40 */
	if (!region || !mem_region_hit(region, d->addr, d->len, VIO_MEM_READ, &span))
		found = vio_mem_resolve(q->mem, &q->mem_hint, vio_addr_make(d->addr), d->len, VIO_MEM_READ,
					&span, 1);
	if (found == -VIO_EACCES)
		return devq_fault(q, VIO_FAULT_INDIRECT_MEMORY, index, d->addr); /* hostile: A41 */
	table->host = NULL;
	if (found == 1 && !((uintptr_t)span.host % _Alignof(struct virtq_desc)))
		table->host = span.host;
	table->addr = d->addr;
	table->entries = entries;
	return true;
}

bool vio_walk_copy_entry(struct vio_devq *q, uint64_t table, unsigned at, struct virtq_desc *copy)
{
	const struct vio_addr addr = vio_addr_make(table + 16ull * at);
	uint8_t *to = (uint8_t *)copy;
	struct vio_span spans[sizeof(*copy)];
	int count, i;
	size_t byte;

	count = vio_mem_resolve(q->mem, &q->mem_hint, addr, sizeof(*copy), VIO_MEM_READ, spans,
				sizeof(*copy));
	for (i = 0; i < count; i++)
		for (byte = 0; byte < spans[i].length; byte++)
			*to++ = *(volatile uint8_t *)&spans[i].host[byte];
	return count > 0;
}
