/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drivers/rng.h>

#include "use.h"

#define BYTES 1000u

/* Random bytes are hardly all the same, nor twice the same. */
static int judge(const uint8_t *first, const uint8_t *second)
{
	unsigned at, different = 0;

	for (at = 1; at < BYTES; at++)
		different += first[at] != first[0];
	return different > BYTES / 2 && memcmp(first, second, BYTES) ? 0 : -VIO_EIO;
}

static int use(struct os *os, struct vio_dev *dev, char *report)
{
	uint8_t *bytes = os_pages_take(os, 2 * BYTES);
	int error;

	if (!bytes)
		return -VIO_ENOMEM;
	error = vio_rng_fill(dev, bytes, BYTES);
	if (!error)
		error = vio_rng_fill(dev, bytes + BYTES, BYTES);
	if (!error)
		error = judge(bytes, bytes + BYTES);
	os_append(report, USE_REPORT_BYTES, "%u random bytes read", error ? 0 : 2 * BYTES);
	os_pages_give_back(os, bytes, 2 * BYTES);
	return error;
}

const struct use use_rng = { "rng", &vio_rng_driver, use };
