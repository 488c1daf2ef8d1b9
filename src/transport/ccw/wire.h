/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_TRANSPORT_CCW_WIRE_H
#define VIO_TRANSPORT_CCW_WIRE_H

#include <vireo/base.h>

/* Big-endian numbers of 1 to 8 bytes. */

static inline uint64_t vio_be_load(const uint8_t *bytes, unsigned length)
{
	uint64_t value = 0;

	while (length--)
		value = value << 8 | *bytes++;
	return value;
}

static inline void vio_be_store(uint8_t *bytes, unsigned length, uint64_t value)
{
	for (; length; length--, value >>= 8)
		bytes[length - 1] = (uint8_t)value;
}

#endif
