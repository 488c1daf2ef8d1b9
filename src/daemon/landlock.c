/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/sandbox.h"
#include "daemon/version.h"

/*
 * Landlock, as the kernel has it: its structures grow from version to version, and its headers may be older
 * than itself. What is open stays so; an image that was opened can be read, written, and change its size.
 */
struct ruleset {
	uint64_t files, network, scopes;
};

struct __attribute__((packed)) rule {
	uint64_t allowed;
	int32_t directory;
};

#define CREATE_RULESET 444
#define ADD_RULE       445
#define RESTRICT_SELF  446
#define ASK_VERSION    1u
#define RULE_BENEATH   1

#define FILES_READ   (UINT64_C(1) << 2 | UINT64_C(1) << 3)
#define FILES_REMOVE (UINT64_C(1) << 5)
#define NETWORK_ALL  UINT64_C(3)
#define SCOPES_ALL   UINT64_C(3) /* sockets without a file, and signals */

static uint64_t files_of(long version)
{
	if (version < 2)
		return 0x1fff;
	if (version < 3)
		return 0x3fff;
	return version < 5 ? 0x7fff : 0xffff;
}

static size_t ruleset_bytes(long version)
{
	if (version < 4)
		return offsetof(struct ruleset, network);
	return version < 6 ? offsetof(struct ruleset, scopes) : sizeof(struct ruleset);
}

static int allow(int ruleset, const char *path, uint64_t what)
{
	struct rule rule = { what, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	long result;

	if (rule.directory < 0)
		return -1;
	result = syscall(ADD_RULE, ruleset, RULE_BENEATH, &rule, 0);
	close(rule.directory);
	return (int)result;
}

/*
 * What lies in the folder can be removed, also in those within: there is no right to a single name. Whoever
 * can't is no worse than one that doesn't care.
 */
static void allow_removal(int ruleset, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	if (folder)
		(void)!allow(ruleset, folder, FILES_REMOVE);
	free(folder);
}

struct removals {
	int ruleset;
	const struct vio_service *service;
};

/* Sockets that were given to us stay when we end. */
static int allow_socket_removal(void *context, int fd, const char *path)
{
	const struct removals *removals = context;

	if (!vio_service_gave(removals->service, fd))
		allow_removal(removals->ruleset, path);
	return 0;
}

static bool is_named_socket(int fd, struct sockaddr_un *address)
{
	socklen_t size = sizeof(*address) - 1, flag = sizeof(int);
	int listens = 0;

	memset(address, 0, sizeof(*address));
	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag) && listens &&
	       !getsockname(fd, (struct sockaddr *)address, &size) && address->sun_family == AF_UNIX &&
	       address->sun_path[0];
}

int vio_each_named_socket(vio_named_socket tell, void *context)
{
	DIR *folder = opendir("/proc/self/fd");
	struct sockaddr_un address;
	struct dirent *entry;
	int error = 0;

	if (!folder)
		return -VIO_ESYS;
	while (!error && (entry = readdir(folder))) {
		const int fd = entry->d_name[0] == '.' ? -1 : atoi(entry->d_name);

		if (fd >= 0 && is_named_socket(fd, &address))
			error = tell(context, fd, address.sun_path);
	}
	closedir(folder);
	return error;
}

int vio_landlock(const char *const *links, const struct vio_service *service)
{
	long version = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
	struct ruleset rules = { files_of(version), NETWORK_ALL, SCOPES_ALL };
	struct removals removals = { -1, service };
	int ruleset, error = 0;

	if (version <= 0)
		return 0;
	ruleset = (int)syscall(CREATE_RULESET, &rules, ruleset_bytes(version), 0);
	if (ruleset < 0)
		return -VIO_ESYS;
	removals.ruleset = ruleset;
	vio_each_named_socket(allow_socket_removal, &removals);
	for (; *links; links++)
		allow_removal(ruleset, *links);
	/* What sanitizers read when they report. */
	if (VIO_INSTRUMENTED)
		allow(ruleset, "/", files_of(version) & ~FILES_REMOVE);
	if (syscall(RESTRICT_SELF, ruleset, 0))
		error = -VIO_ESYS;
	close(ruleset);
	return error ? error : (int)version;
}
