/* SPDX-License-Identifier: BSD-3-Clause */

/* A device's walk along descriptors once more, with the test's eye on each access to shared memory. */
#define TEST_HOOKED
#include "lib/hook.h"

#include "ring/walk.c"
