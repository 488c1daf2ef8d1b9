/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <stdint.h>

/* The four functions that Vireo and the compiler take from a C library. */

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	uint8_t *at = to;
	const uint8_t *source = from;

	while (length--)
		*at++ = *source++;
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	uint8_t *at = to;
	const uint8_t *source = from;

	if ((uintptr_t)to <= (uintptr_t)from)
		return memcpy(to, from, length);
	while (length--)
		at[length] = source[length];
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	uint8_t *at = to;

	while (length--)
		*at++ = (uint8_t)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const uint8_t *left = a, *right = b;

	for (; length; length--, left++, right++)
		if (*left != *right)
			return *left < *right ? -1 : 1;
	return 0;
}
