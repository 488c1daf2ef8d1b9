/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_COMPAT_LINUX_VIRTIO_CONFIG_H
#define VIREO_COMPAT_LINUX_VIRTIO_CONFIG_H

#include <vireo/linux_config.h>

#endif
