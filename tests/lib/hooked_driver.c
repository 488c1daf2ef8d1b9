/* SPDX-License-Identifier: BSD-3-Clause */

/* The driver's side of the ring once more, with the test's eye on each load. */
#include "lib/hook.h"
#define VIO_SHARED_LOAD(address, size) test_hook_load(address, size)

#include "ring/split_driver.c"
