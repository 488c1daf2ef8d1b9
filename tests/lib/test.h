/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_TEST_H
#define TEST_LIB_TEST_H

/* cmocka wants these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
