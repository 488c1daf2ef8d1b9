/* SPDX-License-Identifier: BSD-3-Clause */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/boot.h"

/* How often to look for the script's exit status, and how long the kernel may take to stop after it. */
#define LOOK_MS 100
#define STOP_MS 5000

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool boot_argument(char **arguments, const char *format, ...)
{
	va_list values;
	unsigned at = 0;
	int made;

	while (arguments[at])
		at++;
	if (at + 1 >= BOOT_ARGUMENTS_MAX)
		return false;
	va_start(values, format);
	made = vasprintf(&arguments[at], format, values);
	va_end(values);
	if (made < 0)
		arguments[at] = NULL;
	return made >= 0;
}

void boot_arguments_free(char **arguments)
{
	for (unsigned i = 0; arguments[i]; i++)
		free(arguments[i]);
}

void boot_child_prepare(const struct boot *boot, pid_t parent, int death_signal)
{
	prctl(PR_SET_PDEATHSIG, death_signal);
	if (getppid() != parent)
		_exit(CLI_FAILED);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &boot->signals_before, NULL);
}

static void run_vmm(struct boot *boot, char **arguments, pid_t parent, int output, int messages)
{
	struct rlimit no_core = { 0, 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	boot_child_prepare(boot, parent, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	/* A session of its own: its processes can be ended together, and no terminal's signals reach it. */
	setsid();
	if (!boot->settings.shell) {
		dup2(null, 0);
		dup2(output, 1);
	}
	dup2(messages, 2);
	execv(arguments[0], arguments);
	dprintf(2, "can't execute %s: %s\n", arguments[0], strerror(errno));
	_exit(CLI_FAILED);
}

int boot_start_vmm(struct boot *boot, struct vio_message *message)
{
	char *arguments[BOOT_ARGUMENTS_MAX] = { NULL };
	int output[2] = { -1, -1 }, messages[2] = { -1, -1 };
	pid_t parent = getpid();
	int error = boot->vmm->command(boot, arguments, message);

	if (!error && (pipe2(output, O_CLOEXEC) || pipe2(messages, O_CLOEXEC)))
		error = vio_fail(message, -VIO_ESYS, "can't make a pipe: %s", strerror(errno));
	if (!error) {
		boot->terminal_changed = boot->settings.shell && tcgetattr(0, &boot->terminal) == 0;
		boot->vmm_pid = fork();
		if (boot->vmm_pid == 0)
			run_vmm(boot, arguments, parent, output[1], messages[1]);
		if (boot->vmm_pid < 0) {
			boot->vmm_pid = 0;
			error = vio_fail(message, -VIO_ESYS, "can't start a process: %s", strerror(errno));
		}
	}
	boot_arguments_free(arguments);
	boot->output = (struct boot_relay){ output[0], STDOUT_FILENO };
	boot->messages = (struct boot_relay){ messages[0], boot->settings.verbose ? STDERR_FILENO : -1 };
	for (unsigned i = 0; i < 2; i++) {
		int ours = i ? messages[0] : output[0];
		int theirs = i ? messages[1] : output[1];

		if (theirs >= 0)
			close(theirs);
		if (ours >= 0)
			fcntl(ours, F_SETFL, O_NONBLOCK);
	}
	return error;
}

static void write_all(int fd, const char *from, size_t length)
{
	while (length) {
		ssize_t written = write(fd, from, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN) {
			struct pollfd room = { .fd = fd, .events = POLLOUT };

			poll(&room, 1, -1);
			continue;
		}
		if (written <= 0)
			return;
		from += written;
		length -= (size_t)written;
	}
}

/* Keeps the end of what the kernel says, to show when things go wrong. */
static void keep_log(struct boot *boot, const char *from, size_t length)
{
	if (length > sizeof(boot->log)) {
		from += length - sizeof(boot->log);
		length = sizeof(boot->log);
	}
	if (boot->log_used + length > sizeof(boot->log)) {
		size_t gone = boot->log_used + length - sizeof(boot->log);

		memmove(boot->log, boot->log + gone, boot->log_used - gone);
		boot->log_used -= gone;
	}
	memcpy(boot->log + boot->log_used, from, length);
	boot->log_used += length;
}

/* Passes on what is there; false at the end. */
static bool relay(struct boot *boot, struct boot_relay *from)
{
	char bytes[16384];
	ssize_t got;

	if (from->fd < 0)
		return false;
	got = read(from->fd, bytes, sizeof(bytes));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		close(from->fd);
		from->fd = -1;
		return false;
	}
	if (from == &boot->messages)
		keep_log(boot, bytes, (size_t)got);
	if (from->to >= 0)
		write_all(from->to, bytes, (size_t)got);
	return true;
}

static void show_log(const struct boot *boot)
{
	const char *start = boot->log;
	size_t length = boot->log_used;
	unsigned lines = 0;

	if (boot->settings.verbose || !length)
		return;
	while (length && lines < 20)
		lines += start[--length] == '\n';
	fprintf(stderr, "%s: the kernel's last messages:\n", boot->program);
	fwrite(start + length, 1, boot->log_used - length, stderr);
	fputc('\n', stderr);
}

static void show_hint(const struct boot *boot)
{
	const char *hint = boot->vmm->hint ? boot->vmm->hint(boot->log, boot->log_used) : NULL;

	if (hint)
		cli_complain(boot->program, 0, "%s", hint);
}

/* The script's exit status, or -1 while there is none. */
static int read_status(const struct boot *boot)
{
	char path[PATH_MAX + 8];
	int status = -1;
	FILE *in;

	snprintf(path, sizeof(path), "%s/status", boot->dir);
	in = fopen(path, "re");
	if (!in)
		return -1;
	if (fscanf(in, "%d", &status) != 1)
		status = -1;
	fclose(in);
	return status;
}

/* A child ended. The exit status when that is the end of all, or -1. */
static int reap(struct boot *boot)
{
	int result = -1;
	int how;
	pid_t pid;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
		if (pid == boot->vmm_pid) {
			/* Its helpers may outlive it: boot_end_vmm() sees to them. */
			int status = read_status(boot);

			if (status >= 0)
				return status;
			while (relay(boot, &boot->messages))
				continue;
			show_hint(boot);
			show_log(boot);
			return cli_complain(boot->program, BOOT_GUEST_BROKE,
					    "the guest ended early, by %s %d",
					    WIFSIGNALED(how) ? "signal" : "status",
					    WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
		}
		for (unsigned i = 0; i < boot->device_count; i++) {
			struct boot_device *device = &boot->devices[i];

			if (device->pid != pid)
				continue;
			device->pid = 0;
			result = cli_complain(boot->program, CLI_FAILED, "device %s ended early, by %s %d",
					      device->name, WIFSIGNALED(how) ? "signal" : "status",
					      WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
		}
	}
	return result;
}

static int take_signal(struct boot *boot)
{
	struct signalfd_siginfo info;
	int result = -1;

	while (result < 0 && read(boot->signal_fd, &info, sizeof(info)) == sizeof(info))
		result = info.ssi_signo == SIGCHLD ? reap(boot) : 128 + (int)info.ssi_signo;
	return result;
}

int boot_watch(struct boot *boot)
{
	int64_t start = clock_ms();
	int64_t timeout = (int64_t)boot->settings.timeout_s * 1000;
	int64_t done = 0;
	int result = -1;

	while (result < 0) {
		struct pollfd fds[] = {
			{ .fd = boot->signal_fd, .events = POLLIN },
			{ .fd = boot->output.fd, .events = POLLIN },
			{ .fd = boot->messages.fd, .events = POLLIN },
		};

		poll(fds, VIO_ARRAY_SIZE(fds), LOOK_MS);
		while (relay(boot, &boot->output))
			continue;
		relay(boot, &boot->messages);
		result = take_signal(boot);
		if (result >= 0)
			break;
		if (!done && read_status(boot) >= 0)
			done = clock_ms();
		/* Some kernels don't get through their own shutdown. */
		if (done && clock_ms() - done > STOP_MS)
			result = read_status(boot);
		if (!done && timeout && clock_ms() - start > timeout) {
			show_log(boot);
			result = cli_complain(boot->program, BOOT_TIMED_OUT,
					      "the guest ran for longer than %llu s",
					      (unsigned long long)boot->settings.timeout_s);
		}
	}
	return result;
}

void boot_end_vmm(struct boot *boot)
{
	if (boot->vmm_pid) {
		kill(-boot->vmm_pid, SIGKILL);
		waitpid(boot->vmm_pid, NULL, 0);
		boot->vmm_pid = 0;
		while (relay(boot, &boot->output))
			continue;
	}
	if (boot->files_pid) {
		kill(-boot->files_pid, SIGKILL);
		waitpid(boot->files_pid, NULL, 0);
		boot->files_pid = 0;
	}
	if (boot->output.fd >= 0)
		close(boot->output.fd);
	if (boot->messages.fd >= 0)
		close(boot->messages.fd);
	if (boot->terminal_changed)
		tcsetattr(0, TCSANOW, &boot->terminal);
}
