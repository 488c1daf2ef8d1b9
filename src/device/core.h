/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DEVICE_CORE_H
#define VIO_DEVICE_CORE_H

#include <vireo/device.h>

/* Everything in a device's storage begins at such a boundary. */
static inline size_t core_align(size_t bytes)
{
	const size_t align = _Alignof(max_align_t);

	return (bytes + align - 1) / align * align;
}

#endif
