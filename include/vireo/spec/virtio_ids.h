/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_IDS_H
#define VIREO_SPEC_VIRTIO_IDS_H

/* Device ids (5). The last group is Vireo's own, above what the standard has allocated. */

#define VIRTIO_ID_NET 1
#define VIRTIO_ID_BLOCK 2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG 4
#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_SCSI 8
#define VIRTIO_ID_9P 9
#define VIRTIO_ID_GPU 16
#define VIRTIO_ID_RTC 17
#define VIRTIO_ID_INPUT 18
#define VIRTIO_ID_VSOCK 19
#define VIRTIO_ID_CRYPTO 20
#define VIRTIO_ID_IOMMU 23
#define VIRTIO_ID_MEM 24
#define VIRTIO_ID_SOUND 25
#define VIRTIO_ID_FS 26
#define VIRTIO_ID_PMEM 27
#define VIRTIO_ID_RPMB 28
#define VIRTIO_ID_SCMI 32
#define VIRTIO_ID_I2C 34
#define VIRTIO_ID_CAN 36
#define VIRTIO_ID_GPIO 41
#define VIRTIO_ID_SPI 45
#define VIRTIO_ID_MEDIA 48

#define VIRTIO_ID_VSSD 54
#define VIRTIO_ID_ADDER 60
#define VIRTIO_ID_CAESAR 61
#define VIRTIO_ID_DUMMY 62

#endif
