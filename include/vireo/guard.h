/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_GUARD_H
#define VIREO_GUARD_H

#include <vireo/base.h>

/*
 * Memory that others give us as files, over vireo/vhost_user.h and vireo/vfio_user.h: they may cut a file
 * short after it was mapped, and who touches what is gone then gets SIGBUS. This installs a handler for the
 * process, which puts zeros there and ends the one connection (reason: -VIO_EPROTO); bus errors elsewhere go
 * to the handler that was installed before. Call it once before there are threads; a second time it does
 * nothing. -VIO_ESYS.
 */
VIO_API int vio_guard_memory(void);

#endif
