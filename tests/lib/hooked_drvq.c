/* SPDX-License-Identifier: BSD-3-Clause */

/* A driver's queue once more, with the test's eye on each access to shared memory. */
#define TEST_HOOKED
#include "lib/hook.h"

#include "ring/drvq.c"
