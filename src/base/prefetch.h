/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_BASE_PREFETCH_H
#define VIO_BASE_PREFETCH_H

/* The line is to be ours, which a compiler asks for only where all processors of its target can do it. */
static inline void vio_prefetch_to_write(const void *at)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const unsigned char *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

#endif
