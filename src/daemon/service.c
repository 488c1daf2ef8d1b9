/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/sandbox.h"

/* What a service manager says to its services, and they to it: descriptors, and that they are ready. */

#define FIRST_FD 3
#define MOST_FDS 16ul

/* The next of the names, which colons separate; true if it is the one. */
static bool next_is(const char **names, const char *name)
{
	size_t length = strcspn(*names, ":");
	bool is = length == strlen(name) && !strncmp(*names, name, length);

	*names += length + ((*names)[length] == ':');
	return is;
}

void vio_service_sockets(struct vio_service *service)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"),
		   *names = getenv("LISTEN_FDNAMES");
	unsigned long fds = pid && count && strtoul(pid, NULL, 10) == (unsigned long)getpid()
				    ? strtoul(count, NULL, 10)
				    : 0;

	service->socket = service->control = -1;
	service->count = (int)(fds < MOST_FDS ? fds : MOST_FDS);
	names = names ? names : "";
	for (int fd = FIRST_FD; fd < FIRST_FD + service->count; fd++) {
		int *to = next_is(&names, "control") ? &service->control : &service->socket;

		if (*to < 0)
			*to = fd;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

bool vio_service_gave(const struct vio_service *service, int fd)
{
	return fd == service->given || (fd >= FIRST_FD && fd < FIRST_FD + service->count);
}

void vio_service_connect(struct vio_service *service)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	int fd;

	if (!length || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	/* A name without a file begins with a zero. */
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&address, size))
		close(fd);
	else
		service->notify = fd;
}

void vio_service_tell(const struct vio_service *service, const char *state)
{
	if (service->notify >= 0)
		(void)!send(service->notify, state, strlen(state), MSG_NOSIGNAL);
}

void vio_service_leave(struct vio_service *service)
{
	if (service->notify >= 0)
		close(service->notify);
	service->notify = -1;
}
