/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/adder.h>

#include "use.h"

#define SUMS 1000u

/* Numbers all over their range, the last of which wraps round. */
static int use(struct os *os, struct vio_dev *dev, char *report)
{
	const uint32_t step = UINT32_MAX / (SUMS - 1);
	uint32_t number = UINT32_MAX - (SUMS - 1) * step, sum;
	unsigned good = 0;
	int error;

	do {
		error = vio_adder_add(dev, number, &sum);
		if (!error && sum != number + 1)
			error = -VIO_EIO;
		number += step;
	} while (!error && ++good < SUMS);
	os_append(report, USE_REPORT_BYTES, "%u sums right, the last one %u", good, error ? 1 : sum);
	return error;
}

const struct use use_adder = { "adder", &vio_adder_driver, use };
