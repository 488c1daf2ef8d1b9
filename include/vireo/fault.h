/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FAULT_H
#define VIREO_FAULT_H

#include <vireo/base.h>

/*
 * What a peer did that the standard forbids. The first violation on a queue is
 * recorded as one fault and breaks the queue: the device side then shows
 * DEVICE_NEEDS_RESET, the driver side answers -VIO_EPEER, until reset. Nothing
 * aborts, prints or exits.
 */
enum vio_fault_kind {
	VIO_FAULT_NONE,

	/* A driver did it to a device. `index` is the descriptor, `value` as said. */
	VIO_FAULT_AVAIL_IDX,         /* more than the queue holds; value: idx or, packed, how many */
	VIO_FAULT_HEAD_RANGE,        /* names a descriptor beyond the table; value: head or id */
	VIO_FAULT_HEAD_BUSY,         /* the head is in flight already; value: head or id */
	VIO_FAULT_NEXT_RANGE,        /* next beyond the table; value: next */
	VIO_FAULT_CHAIN_LOOP,        /* more descriptors than the table has; value: count */
	VIO_FAULT_CHAIN_LENGTH,      /* more than 2^32 bytes; value: the sum */
	VIO_FAULT_READ_AFTER_WRITE,  /* a readable descriptor behind a writable one; value: flags */
	VIO_FAULT_INDIRECT_REFUSED,  /* INDIRECT not negotiated; value: flags */
	VIO_FAULT_INDIRECT_NEXT,     /* INDIRECT together with NEXT; value: flags */
	VIO_FAULT_INDIRECT_NESTED,   /* INDIRECT inside a table; value: flags */
	VIO_FAULT_INDIRECT_LENGTH,   /* empty, not whole descriptors, or too many; value: bytes */
	VIO_FAULT_INDIRECT_MEMORY,   /* the table isn't in memory; value: address */
	VIO_FAULT_BUFFER_MEMORY,     /* the buffer isn't in memory with that right; value: address */
	VIO_FAULT_RING_MEMORY,       /* a ring area isn't in memory or misaligned; value: address */
	VIO_FAULT_RING_OVERLAP,      /* ring areas overlap; value: address of the device area */
	VIO_FAULT_CHAIN_PART,        /* packed: of a chain only the beginning is available; value: flags */

	/* A device did it to a driver. */
	VIO_FAULT_USED_IDX,          /* idx moved by more than is in flight; value: idx */
	VIO_FAULT_USED_ID,           /* id beyond the table; value: id */
	VIO_FAULT_USED_NOT_IN_FLIGHT,/* id isn't the head of a buffer in flight; value: id */
	VIO_FAULT_USED_LENGTH,       /* more written than the buffer has writable; value: len */

	/* Nobody's fault: the device or the queue was reset, and what is left is to detach buffers. */
	VIO_FAULT_STOPPED,

	VIO_FAULT_KIND_COUNT
};

struct vio_fault {
	enum vio_fault_kind kind;
	uint16_t queue; /* index of the queue in its device */
	uint32_t index; /* of the descriptor or ring slot at fault */
	uint64_t value; /* what stood there */
};

/* A short English phrase, such as "descriptor chain loops"; never NULL. */
VIO_API const char *vio_fault_name(enum vio_fault_kind kind);

#endif
