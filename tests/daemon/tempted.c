/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vireo/daemon.h>
#include <vireo/devices/adder.h>

/*
 * A daemon that can be told, by a line on its control socket, to do what no daemon has to: "try WORD [PATH]"
 * in the main thread, "old WORD [PATH]" in a thread that is older than the sandbox. The answer is 0 when it
 * was done, or the number of the error.
 */

#define PAGE 4096u

struct backend {
	pthread_t thread;
	sem_t asked, answered;
	char line[256];
	pid_t parent;
	int result;
	bool ending;
};

/* Commands are told the device alone. */
static struct backend *the_backend(struct backend *known)
{
	static struct backend *backend;

	if (known)
		backend = known;
	return backend;
}

static int map(int protection, int flags, int fd)
{
	void *at = mmap(NULL, PAGE, protection, flags, fd, 0);

	return at == MAP_FAILED ? errno : munmap(at, PAGE);
}

static int turn_into_code(void)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int result = mprotect(at, PAGE, PROT_READ | PROT_EXEC) ? errno : 0;

	munmap(at, PAGE);
	return result;
}

static int shared_code(void)
{
	int fd = memfd_create("tempted", MFD_CLOEXEC), result;

	if (fd < 0 || ftruncate(fd, PAGE))
		return errno;
	result = map(PROT_READ | PROT_EXEC, MAP_SHARED, fd);
	close(fd);
	return result;
}

static int new_process(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	return 0;
}

static int closed(int fd)
{
	return fd < 0 ? errno : close(fd);
}

static int try(const char *word, const char *path)
{
	char *const none[] = { NULL };

	if (!strcmp(word, "exec"))
		return execve("", none, none) ? errno : 0; /* ENOENT when it may */
	if (!strcmp(word, "fork"))
		return new_process();
	if (!strcmp(word, "inet"))
		return closed(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (!strcmp(word, "open"))
		return closed(open(path, O_RDONLY | O_CLOEXEC));
	if (!strcmp(word, "create"))
		return closed(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	if (!strcmp(word, "remove"))
		return unlink(path) ? errno : 0;
	if (!strcmp(word, "code"))
		return map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (!strcmp(word, "turn"))
		return turn_into_code();
	if (!strcmp(word, "shared"))
		return shared_code();
	if (!strcmp(word, "signal"))
		return kill(the_backend(NULL)->parent, 0) ? errno : 0;
	if (!strcmp(word, "peek"))
		return ptrace(PTRACE_PEEKDATA, 1, NULL, NULL) ? errno : 0; /* ESRCH when it may */
	if (!strcmp(word, "user"))
		return syscall(SYS_setuid, getuid()) ? errno : 0;
	return ENOSYS;
}

static int try_line(char *line)
{
	char *path = strchr(line, ' ');

	if (path)
		*path++ = '\0';
	return try(line, path ? path : "");
}

static void *old_thread(void *context)
{
	struct backend *backend = context;

	for (;;) {
		while (sem_wait(&backend->asked))
			;
		if (backend->ending)
			return NULL;
		backend->result = try_line(backend->line);
		sem_post(&backend->answered);
	}
}

static int tempted_open(struct vio_device *dev, struct vio_loop *loop, void *memory,
			struct vio_message *message)
{
	struct backend *backend = memory;

	the_backend(backend);
	backend->parent = getppid();
	sem_init(&backend->asked, 0, 0);
	sem_init(&backend->answered, 0, 0);
	if (pthread_create(&backend->thread, NULL, old_thread, backend))
		return vio_fail(message, -VIO_ENOMEM, "no thread");
	return 0;
}

static int tempted_close(struct vio_device *dev, void *memory)
{
	struct backend *backend = memory;

	backend->ending = true;
	sem_post(&backend->asked);
	pthread_join(backend->thread, NULL);
	sem_destroy(&backend->asked);
	sem_destroy(&backend->answered);
	return 0;
}

static int try_old(const char *line)
{
	struct backend *backend = the_backend(NULL);

	snprintf(backend->line, sizeof(backend->line), "%s", line);
	sem_post(&backend->asked);
	while (sem_wait(&backend->answered))
		;
	return backend->result;
}

static int tempted_command(struct vio_device *dev, const char *line, char *answer, size_t size,
			   struct vio_message *message)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", line);
	if (strncmp(copy, "try ", 4) != 0 && strncmp(copy, "old ", 4) != 0)
		return -VIO_ENOENT;
	snprintf(answer, size, "%d", *copy == 't' ? try_line(copy + 4) : try_old(copy + 4));
	return 0;
}

static const struct vio_daemon_type tempted_type = {
	.class = &vio_adder_class,
	.backend_bytes = sizeof(struct backend),
	.open = tempted_open,
	.close = tempted_close,
	.command = tempted_command,
};

int main(int argc, char **argv)
{
	return vio_daemon_main(&tempted_type, argc, argv);
}
