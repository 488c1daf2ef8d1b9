/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_COMPAT_LINUX_VIRTIO_IDS_H
#define VIREO_COMPAT_LINUX_VIRTIO_IDS_H

#include <vireo/spec/virtio_ids.h>

#endif
