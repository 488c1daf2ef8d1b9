/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
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
#include <vireo/loop.h>

/*
 * A daemon that can be told, by a line on its control socket, to do what no daemon has to: "try WORD [PATH]"
 * in the main thread, "old WORD [PATH]" in a thread that is older than the sandbox. The answer is 0 when it
 * was done, or the number of the error. "ring WORD [PATH]" asks a ring of the kind that daemons have, which
 * no filter of system calls sees; a loop of our own has it, so that nobody is confused by what is done there.
 */

#define PAGE 4096u

/* As the loop makes its ring. */
#define SQ_ENTRIES 256u
#define CQ_ENTRIES 4096u

struct backend {
	struct vio_loop *loop;
	struct io_uring ring; /* the loop's; ring_fd -1: it has none */
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
	if (!strcmp(word, "unix"))
		return closed(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (!strcmp(word, "connect"))
		return connect(-1, NULL, 0) ? errno : 0; /* EBADF when it may */
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

/* Where the loop's ring is told what to do: as in another that is made alike. */
static int map_ring(struct backend *backend, struct vio_message *message)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
					  .cq_entries = CQ_ENTRIES };
	struct io_uring alike;
	int error;

	backend->loop = vio_loop_create(0, &error);
	if (!backend->loop)
		return vio_fail(message, error, "no loop");
	backend->ring.ring_fd = -1;
	if (strcmp(vio_loop_engine(backend->loop), "io_uring") != 0)
		return 0;
	if (io_uring_queue_init_params(SQ_ENTRIES, &alike, &params))
		return vio_fail(message, -VIO_ESYS, "no ring");
	io_uring_queue_exit(&alike);
	error = io_uring_queue_mmap(vio_loop_fd(backend->loop), &params, &backend->ring);
	return error ? vio_fail(message, -VIO_ESYS, "the ring can't be mapped") : 0;
}

static int ask_ring(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	uint64_t whose;
	int result;

	result = io_uring_submit(ring);
	if (result != 1)
		return result < 0 ? -result : EIO;
	do {
		result = io_uring_wait_cqe(ring, &cqe);
		if (result)
			return -result;
		whose = io_uring_cqe_get_data64(cqe);
		result = cqe->res;
		io_uring_cqe_seen(ring, cqe);
	} while (whose != PAGE);
	return result < 0 ? -result : 0;
}

static int try_ring(const char *word, const char *path)
{
	struct io_uring *ring = &the_backend(NULL)->ring;
	struct io_uring_sqe *sqe;

	if (ring->ring_fd < 0)
		return ENOTSUP;
	ring->sq.sqe_head = ring->sq.sqe_tail = *ring->sq.ktail;
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_nop(sqe);
	if (!strcmp(word, "open"))
		io_uring_prep_openat(sqe, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	else if (!strcmp(word, "remove"))
		io_uring_prep_unlinkat(sqe, AT_FDCWD, path, 0);
	else if (!strcmp(word, "socket"))
		io_uring_prep_socket(sqe, AF_INET, SOCK_STREAM, 0, 0);
	else if (!strcmp(word, "connect"))
		io_uring_prep_connect(sqe, ring->ring_fd, NULL, 0);
	else if (!strcmp(word, "linked"))
		sqe->flags = IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, PAGE);
	return ask_ring(ring);
}

static int try_line(char *line, int (*attempt)(const char *word, const char *path))
{
	char *path = strchr(line, ' ');

	if (path)
		*path++ = '\0';
	return attempt(line, path ? path : "");
}

static void *old_thread(void *context)
{
	struct backend *backend = context;

	for (;;) {
		while (sem_wait(&backend->asked))
			;
		if (backend->ending)
			return NULL;
		backend->result = try_line(backend->line, try);
		sem_post(&backend->answered);
	}
}

static int tempted_open(struct vio_device *dev, struct vio_loop *loop, void *memory,
			struct vio_message *message)
{
	struct backend *backend = memory;
	int error = map_ring(backend, message);

	if (error)
		return error;
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
	vio_loop_destroy(backend->loop);
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
	int result;

	snprintf(copy, sizeof(copy), "%s", line);
	if (!strncmp(copy, "try ", 4))
		result = try_line(copy + 4, try);
	else if (!strncmp(copy, "old ", 4))
		result = try_old(copy + 4);
	else if (!strncmp(copy, "ring ", 5))
		result = try_line(copy + 5, try_ring);
	else
		return -VIO_ENOENT;
	snprintf(answer, size, "%d", result);
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
