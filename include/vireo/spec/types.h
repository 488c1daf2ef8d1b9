/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_TYPES_H
#define VIREO_SPEC_TYPES_H

/*
 * Integers as they lie on the wire. Each is a type of its own, so that a value
 * can't be used without the conversion that vireo/base.h offers. Inside the
 * Linux kernel they are the kernel's own checked types.
 */
#ifdef __KERNEL__

#include <linux/types.h>

typedef __le16 vio_le16;
typedef __le32 vio_le32;
typedef __le64 vio_le64;

#else

#include <stdint.h>

typedef struct {
	uint16_t raw;
} vio_le16;

typedef struct {
	uint32_t raw;
} vio_le32;

typedef struct {
	uint64_t raw;
} vio_le64;

#endif

#endif
