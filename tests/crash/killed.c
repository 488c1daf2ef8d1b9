/* SPDX-License-Identifier: BSD-3-Clause */
#include "../crash/killed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 16u

static struct killed *current; /* for the timer */

static void kill_daemon(int number)
{
	if (current->pid)
		kill(current->pid, SIGKILL);
}

void killed_init(struct killed *killed, const char *vireo, const char *directory, uint64_t seed)
{
	killed->vireo = vireo;
	killed->seed = seed;
	snprintf(killed->socket_path, sizeof(killed->socket_path), "%s/s", directory);
	current = killed;
	signal(SIGALRM, kill_daemon);
}

void killed_fail(struct killed *killed, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	if (killed->pid)
		kill(killed->pid, SIGKILL);
	exit(1);
}

unsigned killed_chance(struct killed *killed, unsigned below)
{
	killed->seed = killed->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(killed->seed >> 33) % below;
}

void killed_start(struct killed *killed, const char *const *arguments)
{
	char at[120], type[16];
	char *words[ARGUMENTS_MAX] = { (char[]){ "vireo" }, (char[]){ "serve" }, type, at };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	snprintf(type, sizeof(type), "%s", arguments[0]);
	snprintf(at, sizeof(at), "--socket-path=%s", killed->socket_path);
	for (unsigned i = 1; arguments[i] && i + 4 < ARGUMENTS_MAX; i++)
		words[i + 3] = strdup(arguments[i]);
	killed->pid = fork();
	if (!killed->pid) {
		if (!getenv("CRASH_VERBOSE"))
			dup2(null, 2);
		execv(killed->vireo, words);
		_exit(127);
	}
	close(null);
	for (unsigned i = 4; i < ARGUMENTS_MAX && words[i]; i++)
		free(words[i]);
}

void killed_connect(struct killed *killed, uint32_t id, const struct vio_driver *driver, void *state)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	struct vio_vhost_user_frontend_options options = { .id = id };
	struct vio_vhost_user_mistake mistake = { "" };
	int fd, error = -VIO_EHANGUP;

	/* One that was killed may listen for a moment longer: its io_uring is taken down after it. */
	for (unsigned tries = 0; error == -VIO_EHANGUP && tries < 2000; tries++) {
		fd = vio_vhost_user_frontend_connect(killed->socket_path);
		if (fd >= 0)
			error = vio_vhost_user_frontend_open(fd, &options, &killed->dev, &mistake);
		if (error == -VIO_EHANGUP)
			nanosleep(&moment, NULL);
	}
	if (error ||
	    vio_driver_bind(&killed->dev, driver, vio_vhost_user_frontend_platform(&killed->dev), state))
		killed_fail(killed, "the daemon doesn't answer: %s %s", mistake.text, strerror(errno));
}

void killed_arm(struct killed *killed, unsigned life_us)
{
	const struct itimerval when = { .it_value.tv_usec = 1000 + killed_chance(killed, life_us) };

	setitimer(ITIMER_REAL, &when, NULL);
}

void killed_end(struct killed *killed, int well)
{
	int status;

	if (well)
		kill(killed->pid, SIGTERM);
	vio_vhost_user_frontend_hang_up(&killed->dev);
	vio_dev_close(&killed->dev);
	waitpid(killed->pid, &status, 0);
	killed->pid = 0;
	if (well && status)
		killed_fail(killed, "the daemon didn't end well: status %#x", (unsigned)status);
	if (!well && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL))
		killed_fail(killed, "the daemon ended by itself: status %#x", (unsigned)status);
}
