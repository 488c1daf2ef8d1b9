/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/fault.h>

static const char *const names[VIO_FAULT_KIND_COUNT] = {
	[VIO_FAULT_NONE] = "no fault",
	[VIO_FAULT_AVAIL_IDX] = "available index moved by more than the queue size",
	[VIO_FAULT_HEAD_RANGE] = "head beyond the descriptor table",
	[VIO_FAULT_HEAD_BUSY] = "head is in flight already",
	[VIO_FAULT_NEXT_RANGE] = "next beyond the descriptor table",
	[VIO_FAULT_CHAIN_LOOP] = "descriptor chain loops",
	[VIO_FAULT_CHAIN_LENGTH] = "descriptor chain longer than 4 GiB",
	[VIO_FAULT_READ_AFTER_WRITE] = "readable descriptor after a writable one",
	[VIO_FAULT_INDIRECT_REFUSED] = "indirect descriptor without the feature",
	[VIO_FAULT_INDIRECT_NEXT] = "indirect descriptor with a next",
	[VIO_FAULT_INDIRECT_NESTED] = "indirect descriptor inside an indirect table",
	[VIO_FAULT_INDIRECT_LENGTH] = "indirect table of illegal length",
	[VIO_FAULT_INDIRECT_MEMORY] = "indirect table outside of memory",
	[VIO_FAULT_BUFFER_MEMORY] = "buffer outside of memory",
	[VIO_FAULT_RING_MEMORY] = "ring misaligned or outside of memory",
	[VIO_FAULT_RING_OVERLAP] = "ring areas overlap",
	[VIO_FAULT_CHAIN_PART] = "descriptor chain isn't wholly available",
	[VIO_FAULT_USED_IDX] = "used index moved by more than is in flight",
	[VIO_FAULT_USED_ID] = "used id beyond the descriptor table",
	[VIO_FAULT_USED_NOT_IN_FLIGHT] = "used id is not in flight",
	[VIO_FAULT_USED_LENGTH] = "used length beyond the buffer",
	[VIO_FAULT_STOPPED] = "queue was reset",
};

const char *vio_fault_name(enum vio_fault_kind kind)
{
	return (unsigned)kind < VIO_FAULT_KIND_COUNT ? names[kind] : "unknown fault";
}
