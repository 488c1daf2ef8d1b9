/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <vireo/host.h>

int vio_fail(struct vio_message *message, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message->text, sizeof(message->text), format, arguments);
	va_end(arguments);
	return error;
}

int vio_error_from_errno(int errno_value)
{
	switch (errno_value) {
	case EINVAL:
	case EBADF:
	case ENAMETOOLONG:
	case EISDIR:
	case ENOTDIR:
	case ELOOP:
		return -VIO_EINVAL;
	case ERANGE:
	case EOVERFLOW:
		return -VIO_ERANGE;
	case ENOENT:
	case ENXIO:
	case ENODEV:
	case ESRCH:
		return -VIO_ENOENT;
	case EEXIST:
		return -VIO_EEXIST;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return -VIO_ENOMEM;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return -VIO_ENOSPC;
	case EAGAIN:
	case EINTR:
		return -VIO_EAGAIN;
	case EBUSY:
	case ETXTBSY:
	case EADDRINUSE:
		return -VIO_EBUSY;
	case EPROTO:
	case EBADMSG:
		return -VIO_EPROTO;
	case EOPNOTSUPP:
	case ENOSYS:
	case ENOTTY:
		return -VIO_ENOTSUP;
	case EIO:
	case EREMOTEIO:
	case ETIMEDOUT:
		return -VIO_EIO;
	case EACCES:
	case EPERM:
	case EROFS:
		return -VIO_EACCES;
	case EPIPE:
	case ECONNRESET:
	case ECONNREFUSED:
		return -VIO_EHANGUP;
	default:
		return -VIO_ESYS;
	}
}
