/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_IMAGE_H
#define VIO_HOST_IMAGE_H

#include <vireo/host.h>

/* An image file or block device, open and locked, and what it asks of its user. */
struct vio_image {
	int fd;
	bool is_device;
	uint64_t size_bytes;
	uint32_t block_bytes;    /* smallest unit of transfer */
	uint32_t physical_bytes; /* what it reads and writes at a time underneath */
	uint32_t optimal_bytes;  /* 0: unknown */
	uint32_t memory_align;   /* of the memory transferred; 1 unless direct */
	bool can_punch;          /* gives room back by FALLOC_FL_PUNCH_HOLE */
};

/* Opens what options->path names, and locks it. */
int vio_image_open(const struct vio_host_block_options *options, struct vio_image *image,
		   struct vio_message *message);

/* Gives it up; when this returns, others can lock it. */
void vio_image_close(struct vio_image *image);

/* Its size now; false when that can't be told. */
bool vio_image_measure(int fd, uint64_t *size_bytes);

#endif
