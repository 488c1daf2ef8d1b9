/* SPDX-License-Identifier: BSD-3-Clause */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/boot.h"

#define READY_MS       20000
#define END_MS         15000
#define PROPERTIES_MAX 32u

/* The descriptor on which a daemon finds its socket. */
#define SOCKET_FD 3

static void sleep_ms(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* Cuts `text` at single commas; a doubled one is a comma. The parts lie in `text`. */
static unsigned split_properties(char *text, char **parts, unsigned most)
{
	unsigned count = 0;
	char *to = text;

	parts[count++] = to;
	for (char *from = text; *from; from++) {
		if (*from == ',' && from[1] == ',')
			from++;
		else if (*from == ',' && count < most) {
			*to++ = '\0';
			parts[count++] = to;
			continue;
		}
		*to++ = *from;
	}
	*to = '\0';
	return count;
}

static int listen_at(const char *path, struct vio_message *message)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4)) {
		vio_fail(message, -VIO_ESYS, "can't listen on socket '%s': %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -VIO_ESYS;
	}
	return fd;
}

static void run_daemon(const struct boot *boot, const struct boot_device *device, int fd, pid_t parent,
		       char **properties)
{
	char *arguments[BOOT_ARGUMENTS_MAX] = { NULL };
	bool fits = boot_argument(arguments, "vireo") && boot_argument(arguments, "serve") &&
		    boot_argument(arguments, "%s", device->type->class->name) &&
		    boot_argument(arguments, "--fd=%d", SOCKET_FD) &&
		    boot_argument(arguments, "--control-path=%s", device->control);

	if (!boot->settings.verbose)
		fits = fits && boot_argument(arguments, "--log=%s/%s.log", boot->dir, device->name);
	for (unsigned i = 0; fits && properties[i]; i++)
		fits = boot_argument(arguments, "%s", properties[i]);
	boot_child_prepare(boot, parent, SIGTERM);
	/* The terminal's Ctrl-C is for us, who end the devices last. */
	setpgid(0, 0);
	if (fits && (fd == SOCKET_FD || dup2(fd, SOCKET_FD) == SOCKET_FD))
		execv("/proc/self/exe", arguments);
	_exit(CLI_FAILED);
}

/* The device is ready when its control socket is there. */
static int wait_ready(struct boot *boot, struct boot_device *device, struct vio_message *message)
{
	for (int waited = 0; waited < READY_MS; waited += 5) {
		int status;

		if (access(device->control, F_OK) == 0)
			return 0;
		if (waitpid(device->pid, &status, WNOHANG) == device->pid) {
			device->pid = 0;
			return vio_fail(message,
					WIFEXITED(status) && WEXITSTATUS(status) == CLI_USAGE ? -VIO_EINVAL
											      : -VIO_EIO,
					"device %s didn't start", device->name);
		}
		sleep_ms(5);
	}
	return vio_fail(message, -VIO_EIO, "device %s isn't ready after %d s", device->name, READY_MS / 1000);
}

static int device_name(struct boot *boot, struct boot_device *device, struct vio_message *message)
{
	unsigned same = 0;

	for (unsigned i = 0; i < boot->device_count; i++)
		same += boot->devices[i].type == device->type;
	snprintf(device->name, sizeof(device->name), "%.16s%u", device->type->class->name, same);
	snprintf(device->socket, sizeof(device->socket), "%s/%s.sock", boot->dir, device->name);
	snprintf(device->control, sizeof(device->control), "%s/%s.sock.control", boot->dir, device->name);
	if (strlen(device->control) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return vio_fail(
			message, -VIO_ERANGE,
			"socket path '%.60s...' is too long for the system; shorten TMPDIR or --run-dir",
			device->control);
	return 0;
}

/* The id that the guest is to be told, which is a property like any other. */
static uint32_t device_id(const struct vio_daemon_type *type, char **properties)
{
	uint32_t id = type->class->id;

	for (unsigned i = 0; properties[i]; i++)
		if (strncmp(properties[i], "id=", 3) == 0)
			id = (uint32_t)strtoul(properties[i] + 3, NULL, 0);
	return id;
}

static int start(struct boot *boot, struct boot_device *device, char **properties,
		 struct vio_message *message)
{
	pid_t parent = getpid();
	int fd = listen_at(device->socket, message);

	if (fd < 0)
		return fd;
	device->pid = fork();
	if (device->pid == 0)
		run_daemon(boot, device, fd, parent, properties);
	close(fd);
	if (device->pid < 0) {
		device->pid = 0;
		return vio_fail(message, -VIO_ESYS, "can't start a process: %s", strerror(errno));
	}
	boot->device_count++;
	return wait_ready(boot, device, message);
}

int boot_device_start(struct boot *boot, const char *text, struct vio_message *message)
{
	struct boot_device *device = &boot->devices[boot->device_count];
	char *parts[PROPERTIES_MAX + 1] = { NULL };
	char *copy;
	int error;

	if (boot->device_count == BOOT_DEVICES_MAX)
		return vio_fail(message, -VIO_EINVAL, "more than %u devices", BOOT_DEVICES_MAX);
	copy = strdup(text);
	if (!copy)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	split_properties(copy, parts, PROPERTIES_MAX);
	device->type = cli_find_type(boot->program, parts[0]);
	if (!device->type) {
		*message->text = '\0';
		error = -VIO_EINVAL;
	} else {
		device->id = device_id(device->type, parts + 1);
		error = device_name(boot, device, message);
		if (!error)
			error = start(boot, device, parts + 1, message);
	}
	free(copy);
	return error;
}

int boot_devices_end(struct boot *boot)
{
	int result = CLI_OK;

	for (unsigned i = 0; i < boot->device_count; i++)
		if (boot->devices[i].pid)
			kill(boot->devices[i].pid, SIGTERM);
	for (unsigned i = 0; i < boot->device_count; i++) {
		struct boot_device *device = &boot->devices[i];
		int status = 0;
		int waited = 0;

		if (!device->pid)
			continue;
		while (waitpid(device->pid, &status, WNOHANG) == 0) {
			if (waited == END_MS)
				kill(device->pid, SIGKILL);
			sleep_ms(5);
			waited += 5;
		}
		device->pid = 0;
		unlink(device->socket);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		result = cli_complain(boot->program, CLI_FAILED, "device %s ended with %s %d", device->name,
				      WIFSIGNALED(status) ? "signal" : "status",
				      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	return result;
}
