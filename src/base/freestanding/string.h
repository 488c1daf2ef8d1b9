/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FREESTANDING_STRING_H
#define VIREO_FREESTANDING_STRING_H

#include <stddef.h>

/*
 * All that the core takes from a C library. Where there is none, build the core
 * with this folder on the include path (-isystem src/base/freestanding) and
 * define the four functions; the compiler wants them in any case.
 */
void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

#endif
