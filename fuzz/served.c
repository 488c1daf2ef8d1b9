/* SPDX-License-Identifier: BSD-3-Clause */
#include "served.h"

#include <string.h>

#include <vireo/devices/caesar.h>

#include "input.h"

void fuzz_served_make(struct fuzz_served *served, uint32_t id, const char *queue_size)
{
	served->state = calloc(1, vio_caesar_class.state_bytes);
	FUZZ_CHECK(served->state);
	vio_device_init(&served->dev, &vio_caesar_class, served->state);
	served->dev.id = id;
	FUZZ_CHECK(vio_device_set_property(&served->dev, "queue-size", 10, queue_size) == 0);
	FUZZ_CHECK(vio_device_realize(&served->dev) == 0);
	served->storage = malloc(vio_device_storage_bytes(&served->dev));
	FUZZ_CHECK(served->storage);
	vio_device_provide(&served->dev, served->storage);
}

void fuzz_served_close(struct fuzz_served *served)
{
	vio_device_unrealize(&served->dev);
	free(served->storage);
	free(served->state);
}
