/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_SERVED_H
#define VIREO_FUZZ_SERVED_H

#include <vireo/device.h>

/* The device behind the targets of links and register models: the Caesar cipher. */
struct fuzz_served {
	struct vio_device dev;
	void *state, *storage;
};

/* As the class says, or with another type's id, as a transitional device has to have one of those. */
void fuzz_served_make(struct fuzz_served *served, uint32_t id, const char *queue_size);
void fuzz_served_close(struct fuzz_served *served);

#endif
