/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_COMPAT_LINUX_SCATTERLIST_H
#define VIREO_COMPAT_LINUX_SCATTERLIST_H

#include <vireo/linux_base.h>

#endif
