/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include <stdbool.h>
#include <stdio.h>

#include <vireo/host.h>

/*
 * What a daemon gives up once everything is open, so that whoever takes it over gets nothing more. In this
 * order: another user, privileges of programs that could be started, code that could be made
 * (confine.c), files (landlock.c), and system calls (calls.c). The first four are of the thread that asks
 * for them and of those that it starts later, so they come before there are threads; the last one is of
 * all threads, and comes when they are there.
 *
 * Whatever is missing in the kernel or in the build is left out, and `status` tells; --sandbox=off leaves out
 * all but the user and the privileges.
 */

struct vio_daemon;

struct vio_sandbox {
	bool on;
	bool calls;       /* only those of a list are allowed */
	bool no_new_code; /* memory that was written never becomes executable */
	int landlock;     /* which version of it; 0: the kernel has none */
	FILE *sizes;      /* while it is being set up: how large the process is */
};

/* confine.c */

/* The limits and the user that were asked for; an error message when that can't be. */
int vio_daemon_confine(struct vio_daemon *daemon, struct vio_message *message);
/* When there are all threads. */
int vio_daemon_confine_calls(struct vio_daemon *daemon, struct vio_message *message);

/* landlock.c */

/*
 * Takes away all files but the removal of sockets that this process listens on, and of `links`, paths of
 * symbolic links and files that are ours, terminated by NULL. The version, 0 if there is none, or a negative
 * code.
 */
int vio_landlock(const char *const *links);

/* What it is told of each socket with a name that this process listens on; stops at the first error. */
typedef int (*vio_named_socket)(void *context, const char *path);
int vio_each_named_socket(vio_named_socket tell, void *context);

/* calls.c */

/*
 * From now on every system call beyond those that serving takes fails with EPERM, and a line of `program`
 * on descriptor `log_fd` names it. -VIO_ENOTSUP: built without libseccomp, or the kernel has no filters.
 */
int vio_calls_limit(const char *program, int log_fd);
/* How many were refused. */
unsigned vio_calls_refused(void);

/* service.c */

/*
 * Sockets that a service manager passes, as systemd does (LISTEN_FDS): the first one that isn't named
 * "control", and the one that is; -1: none. Forgets the environment that says so.
 */
void vio_service_sockets(int *device, int *control);
/* Tells the service manager, if there is one (NOTIFY_SOCKET): "READY=1" and the like. */
void vio_service_tell(const char *state);

#endif
