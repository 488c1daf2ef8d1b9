/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include <vireo/linux_base.h>

/* Memory of drivers in the manner of Linux; a program with definitions of its own gets those. */

void *vio_linux_alloc(size_t bytes)
{
	return malloc(bytes ? bytes : 1);
}

void vio_linux_free(void *memory)
{
	free(memory);
}
