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

/* What others gave us to begin with; -1: there is none. */
struct vio_service {
	int socket, control; /* of a service manager */
	int given;           /* by --fd */
	int count;           /* of descriptors that the service manager passed */
	int notify;          /* where it is told */
};

/* confine.c */

/* The limits and the user that were asked for; an error message when that can't be. */
int vio_daemon_confine(struct vio_daemon *daemon, struct vio_message *message);
/* When there are all threads. */
int vio_daemon_confine_calls(struct vio_daemon *daemon, struct vio_message *message);

/* landlock.c */

/*
 * Takes away all files but the removal of sockets that this process made and listens on, and of `links`,
 * paths of symbolic links that are ours, terminated by NULL. The version, 0 if there is none, or a negative
 * code.
 */
int vio_landlock(const char *const *links, const struct vio_service *service);

/* What it is told of each socket with a name that this process listens on; stops at the first error. */
typedef int (*vio_named_socket)(void *context, int fd, const char *path);
int vio_each_named_socket(vio_named_socket tell, void *context);

/* calls.c */

/*
 * From now on every system call beyond those that serving takes fails with EPERM, and a line of `program`
 * on descriptor `log_fd` names it. -VIO_ENOTSUP: built without libseccomp, or the kernel has no filters.
 */
#define VIO_CALLS_CONNECT 1u /* serving takes connecting to Unix sockets, whichever they are */
int vio_calls_limit(const char *program, int log_fd, unsigned flags);
/* How many were refused. */
unsigned vio_calls_refused(void);

/* service.c */

/*
 * Sockets that a service manager passes, as systemd does (LISTEN_FDS): the first one that isn't named
 * "control", and the one that is; -1: none. Forgets the environment that says so.
 */
void vio_service_sockets(struct vio_service *service);
/* Whether the descriptor was passed, and not made here. */
bool vio_service_gave(const struct vio_service *service, int fd);
/* Connects to the service manager, if there is one (NOTIFY_SOCKET), while that is allowed. */
void vio_service_connect(struct vio_service *service);
/* Tells it "READY=1" and the like. */
void vio_service_tell(const struct vio_service *service, const char *state);
void vio_service_leave(struct vio_service *service);

#endif
