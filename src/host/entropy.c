/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/random.h>

#include <vireo/host.h>

/* So that one call ends soon, whatever the peer asks for. */
#define ENTROPY_BYTES_MAX 65536u

static int kernel_fill(struct vio_entropy *entropy, void *to, size_t length)
{
	ssize_t got;

	if (length > ENTROPY_BYTES_MAX)
		length = ENTROPY_BYTES_MAX;
	do
		got = getrandom(to, length, GRND_NONBLOCK);
	while (got < 0 && errno == EINTR);
	if (got >= 0)
		return (int)got;
	/* Early in the life of a machine it has none yet. */
	return errno == EAGAIN ? 0 : vio_error_from_errno(errno);
}

void vio_host_entropy(struct vio_entropy *entropy)
{
	entropy->fill = kernel_fill;
	entropy->context = NULL;
}
