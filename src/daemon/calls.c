/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE

#include <errno.h>

#include "daemon/sandbox.h"
#include "daemon/version.h"

#if !VIO_HAVE_SECCOMP

int vio_calls_limit(const char *program, int log_fd, unsigned flags)
{
	return -VIO_ENOTSUP;
}

unsigned vio_calls_refused(void)
{
	return 0;
}

#else

#include <linux/blkzoned.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* What seccomp.h makes comparisons with leaves the second datum out. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wmissing-field-initializers"
#endif

#define CALLS_MAX  512u
#define NAME_BYTES 32u
#define LINES_MAX  32u

/* What the handler of a refused call needs. */
struct refusals {
	const char *program;
	int log_fd;
	atomic_uint count;
	char names[CALLS_MAX][NAME_BYTES];
};

/* A signal handler is told nothing of whose it is. */
static struct refusals *refusals(void)
{
	static struct refusals all;

	return &all;
}

unsigned vio_calls_refused(void)
{
	return atomic_load(&refusals()->count);
}

/* Nothing here waits or allocates: it runs in a signal handler. */

static size_t put_text(char *line, size_t at, size_t size, const char *text)
{
	while (*text && at < size)
		line[at++] = *text++;
	return at;
}

static size_t put_number(char *line, size_t at, size_t size, unsigned number)
{
	char digits[11];
	size_t first = sizeof(digits) - 1;

	digits[first] = '\0';
	do
		digits[--first] = (char)('0' + number % 10);
	while (number /= 10);
	return put_text(line, at, size, digits + first);
}

static void tell(const struct refusals *all, unsigned number)
{
	const char *name = number < CALLS_MAX ? all->names[number] : "";
	char line[256];
	size_t at = put_text(line, 0, sizeof(line), all->program);

	at = put_text(line, at, sizeof(line), ": sandbox: system call ");
	at = put_number(line, at, sizeof(line), number);
	at = put_text(line, at, sizeof(line), " (");
	at = put_text(line, at, sizeof(line), *name ? name : "?");
	at = put_text(line, at, sizeof(line), ") was refused; --sandbox=off allows it\n");
	(void)!write(all->log_fd, line, at);
}

/* The call that was trapped has failed; false where we don't know how to say so. */
static bool set_result(ucontext_t *context, long result)
{
#if defined(__x86_64__)
	context->uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
	context->uc_mcontext.regs[0] = (unsigned long long)result;
#elif defined(__riscv)
	context->uc_mcontext.__gregs[REG_A0] = (unsigned long)result;
#else
	(void)context;
	(void)result;
	return false;
#endif
	return true;
}

static void on_refusal(int number, siginfo_t *info, void *context)
{
	struct refusals *all = refusals();
	const int saved = errno;

	(void)number;
	if (atomic_fetch_add(&all->count, 1) < LINES_MAX)
		tell(all, (unsigned)info->si_syscall);
	if (!set_result(context, -EPERM))
		_exit(1);
	errno = saved;
}

/* What serving takes, whatever it is that is served. */
static const int allowed[] = {
	/* data */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(lseek),
	SCMP_SYS(_llseek),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(ftruncate64),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	/* descriptors */
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(fcntl),
	SCMP_SYS(fcntl64),
	SCMP_SYS(fstat),
	SCMP_SYS(fstat64),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatat64),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(statx),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(memfd_create),
	/* waiting */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	/* sockets */
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	/* threads, signals, time */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(membarrier),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getpgrp),
	SCMP_SYS(getpgid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getpid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	/* A pipe of a front end's that nobody reads: its signal is taken back. */
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getrandom),
};

/* Where sanitizers do what they like, these aren't theirs. */
static const int never[] = { SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(setuid),
			     SCMP_SYS(io_uring_setup) };

/* Terminals, networks and input devices are asked and told; none lets text be typed into a terminal. */
static const unsigned long requests[] = {
	TCGETS,   TCSETS,        TCSETSW,     TCSETSF,      TIOCGWINSZ, TIOCGPGRP,
	FIONREAD, TUNSETOFFLOAD, TUNSETQUEUE, BLKGETSIZE64, BLKDISCARD, BLKZEROOUT,
};

/* All requests of these types: input devices, VDUSE. */
static const unsigned long request_types[] = { 'E', 0x81 };

static int allow_all(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; i < VIO_ARRAY_SIZE(allowed) && !error; i++) {
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
		/* One that this machine doesn't have. */
		if (error == -EDOM || error == -EINVAL)
			error = 0;
	}
	return error;
}

static int allow_requests(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; i < VIO_ARRAY_SIZE(requests) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					 SCMP_A1_32(SCMP_CMP_EQ, (uint32_t)requests[i]));
	for (size_t i = 0; i < VIO_ARRAY_SIZE(request_types) && !error; i++)
		error = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1_32(SCMP_CMP_MASKED_EQ, 0xff00, (uint32_t)request_types[i] << 8));
	return error;
}

static int allow_with(scmp_filter_ctx filter, int call, struct scmp_arg_cmp argument)
{
	int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &argument);

	return error == -EDOM ? 0 : error;
}

/* Threads, not processes; files, not code; our own socket family; signals to ourselves. */
static int allow_some(scmp_filter_ctx filter, unsigned flags)
{
	const uint32_t pid = (uint32_t)getpid();
	int error = allow_requests(filter);

	if (!error)
		error = allow_with(filter, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!error)
		error = allow_with(filter, SCMP_SYS(mmap2), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!error)
		error = allow_with(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!error && flags & VIO_CALLS_CONNECT)
		error = allow_with(filter, SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
	if (!error && flags & VIO_CALLS_CONNECT)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
	if (!error)
		error = allow_with(filter, SCMP_SYS(kill), SCMP_A0_32(SCMP_CMP_EQ, pid));
	if (!error)
		error = allow_with(filter, SCMP_SYS(tgkill), SCMP_A0_32(SCMP_CMP_EQ, pid));
	if (!error)
		error = allow_with(filter, SCMP_SYS(prctl), SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME));
	if (!error)
#ifdef __s390__
		error = allow_with(filter, SCMP_SYS(clone),
				   SCMP_A1(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
#else
		error = allow_with(filter, SCMP_SYS(clone),
				   SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
#endif
	/* Its arguments can't be seen; the C library makes threads by clone() then. */
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return error;
}

static int refuse_with(scmp_filter_ctx filter, int call, struct scmp_arg_cmp argument)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_TRAP, call, 1, &argument);
}

/* For a build with sanitizers, of which nobody knows what they do when they look for leaks or report. */
static int refuse_some(scmp_filter_ctx filter, unsigned flags)
{
	const uint32_t pid = (uint32_t)getpid();
	int error = 0;

	for (size_t i = 0; i < VIO_ARRAY_SIZE(never) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_TRAP, never[i], 0);
	if (!error)
		error = refuse_with(filter, SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_NE, AF_UNIX));
	if (!error && !(flags & VIO_CALLS_CONNECT))
		error = refuse_with(filter, SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
	if (!error && !(flags & VIO_CALLS_CONNECT))
		error = seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(connect), 0);
	if (!error)
		error = refuse_with(filter, SCMP_SYS(kill), SCMP_A0_32(SCMP_CMP_NE, pid));
	if (!error)
		error = refuse_with(filter, SCMP_SYS(mmap),
				    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	if (!error)
		error = refuse_with(filter, SCMP_SYS(mprotect),
				    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	return error;
}

static int load(scmp_filter_ctx filter, unsigned flags)
{
	int error = VIO_INSTRUMENTED ? refuse_some(filter, flags) : allow_all(filter);

	if (!error && !VIO_INSTRUMENTED)
		error = allow_some(filter, flags);
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* A tree, where there are many: serving makes thousands of calls a second. */
	if (!error)
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return error ? error : seccomp_load(filter);
}

static void learn_names(struct refusals *all)
{
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)i);

		if (name)
			snprintf(all->names[i], sizeof(all->names[i]), "%s", name);
		free(name);
	}
}

int vio_calls_limit(const char *program, int log_fd, unsigned flags)
{
	struct sigaction action = { .sa_sigaction = on_refusal, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct refusals *all = refusals();
	scmp_filter_ctx filter = seccomp_init(VIO_INSTRUMENTED ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
	int error;

	if (!filter)
		return -VIO_ENOTSUP;
	all->program = program;
	all->log_fd = log_fd;
	learn_names(all);
	sigemptyset(&action.sa_mask);
	error = sigaction(SIGSYS, &action, NULL) ? -errno : load(filter, flags);
	seccomp_release(filter);
	if (error == -EINVAL || error == -ENOSYS || error == -EOPNOTSUPP)
		return -VIO_ENOTSUP;
	return error ? -VIO_ESYS : 0;
}

#endif
