/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/base.h>

static const char *const names[VIO_ERROR_COUNT] = {
	[0] = "success",
	[VIO_EINVAL] = "malformed argument",
	[VIO_ERANGE] = "value out of range",
	[VIO_ENOENT] = "no such thing",
	[VIO_EEXIST] = "exists already",
	[VIO_ENOMEM] = "out of memory",
	[VIO_ENOSPC] = "no room",
	[VIO_EAGAIN] = "try again",
	[VIO_EBUSY] = "in use",
	[VIO_EPHASE] = "not in this phase",
	[VIO_EPEER] = "the peer broke the standard",
	[VIO_EPROTO] = "malformed message",
	[VIO_ENOTSUP] = "not supported",
	[VIO_EIO] = "input or output failed",
	[VIO_EACCES] = "not allowed",
	[VIO_ESTATE] = "saved state damaged or foreign",
	[VIO_EHANGUP] = "connection closed by the peer",
	[VIO_ESYS] = "system call failed",
};

const char *vio_strerror(int error)
{
	unsigned code = error < 0 ? 0u - (unsigned)error : (unsigned)error;

	return code < VIO_ERROR_COUNT ? names[code] : "unknown error";
}
