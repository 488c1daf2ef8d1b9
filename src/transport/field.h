/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_TRANSPORT_FIELD_H
#define VIO_TRANSPORT_FIELD_H

#include <string.h>

#include <vireo/base.h>

/* How driver halves get bytes of a configuration through registers; see struct vio_transport_ops. */

/* The width of the accesses: natural for one field, 1 for all else. spec: DRV-MMIO-005 DRV-PCI-004 */
static inline unsigned vio_field_width(uint32_t offset, uint32_t length)
{
	if (length > 8 || (length & (length - 1)) || (offset & (length - 1)))
		return 1;
	return length > 4 ? 4 : length;
}

/* Registers are numbers, bytes lie as on the wire. */
static inline uint32_t vio_field_load(const uint8_t *bytes, unsigned width)
{
	vio_le32 wire = { 0 };

	memcpy(&wire, bytes, width);
	return vio_le32_get(wire);
}

static inline void vio_field_store(uint8_t *bytes, unsigned width, uint32_t value)
{
	vio_le32 wire = vio_le32_make(value);

	memcpy(bytes, &wire, width);
}

#endif
