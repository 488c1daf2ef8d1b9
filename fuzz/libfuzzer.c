/* SPDX-License-Identifier: BSD-3-Clause */
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = { .bytes = bytes, .left = size };

	fuzz_run(&input);
	return 0;
}
