/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PROOFS_NONDET_H
#define VIO_PROOFS_NONDET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any value at all; CBMC knows these by their names. */
bool nondet_bool(void);
uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
unsigned nondet_unsigned(void);
size_t nondet_size(void);

#endif
