/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_LEAKS_H
#define TEST_LIB_LEAKS_H

/* What this process has, to be compared before and after: what somebody left behind shows. */

unsigned leaks_descriptors(void);
/* Mappings of files whose name has that in it. */
unsigned leaks_mappings(const char *name);

#endif
