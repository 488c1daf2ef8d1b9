/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_CONSOLE_H
#define VIREO_SPEC_VIRTIO_CONSOLE_H

#include <vireo/spec/types.h>

/* Console device (5.3). Feature bits are bit numbers. */

#define VIRTIO_CONSOLE_F_SIZE 0
#define VIRTIO_CONSOLE_F_MULTIPORT 1
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2

/* Queues of port 0, and of the control messages; ports from 1 on follow behind. */
#define VIRTIO_CONSOLE_RECEIVEQ 0u
#define VIRTIO_CONSOLE_TRANSMITQ 1u
#define VIRTIO_CONSOLE_CONTROL_RECEIVEQ 2u
#define VIRTIO_CONSOLE_CONTROL_TRANSMITQ 3u

struct virtio_console_config {
	vio_le16 cols; /* F_SIZE */
	vio_le16 rows;
	vio_le32 max_nr_ports; /* F_MULTIPORT */
	vio_le32 emerg_wr;     /* F_EMERG_WRITE */
};

/* Events of control messages. */
#define VIRTIO_CONSOLE_DEVICE_READY 0u
#define VIRTIO_CONSOLE_DEVICE_ADD 1u
#define VIRTIO_CONSOLE_DEVICE_REMOVE 2u
#define VIRTIO_CONSOLE_PORT_READY 3u
#define VIRTIO_CONSOLE_CONSOLE_PORT 4u
#define VIRTIO_CONSOLE_RESIZE 5u
#define VIRTIO_CONSOLE_PORT_OPEN 6u
#define VIRTIO_CONSOLE_PORT_NAME 7u

struct virtio_console_control {
	vio_le32 id; /* of the port */
	vio_le16 event;
	vio_le16 value;
};

/* Follows a control message with VIRTIO_CONSOLE_RESIZE. */
struct virtio_console_resize {
	vio_le16 cols;
	vio_le16 rows;
};

#endif
