/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_ENTROPY_H
#define VIREO_ENTROPY_H

#include <vireo/base.h>

/*
 * A source of random bytes. `fill` puts 1..length bytes at `to` and returns how
 * many; 0 when there are none now; a negative code when the source failed.
 */
struct vio_entropy {
	int (*fill)(struct vio_entropy *entropy, void *to, size_t length);
	void *context;
};

#endif
