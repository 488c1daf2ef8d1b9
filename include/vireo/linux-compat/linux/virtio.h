/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_COMPAT_LINUX_VIRTIO_H
#define VIREO_COMPAT_LINUX_VIRTIO_H

#include <vireo/linux.h>

#endif
