/* SPDX-License-Identifier: BSD-3-Clause */

/* The device's side of a split ring once more, with the test's eye on each access to shared memory. */
#define TEST_HOOKED
#include "lib/hook.h"

#include "ring/split_device.c"
