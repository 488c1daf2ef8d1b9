/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <vireo/daemon.h>
#include <vireo/watch.h>

#include "daemon/sandbox.h"

/*
 * The parts of a daemon and what they share. options.c reads the command line,
 * properties.c gives the device its settings, socket.c owns the sockets, link.c what is
 * spoken there, control.c
 * answers on the control socket, log.c writes lines, document.c prints what the
 * daemon says about itself, and daemon.c leads it through its life.
 */

/* Lines on standard error or in a file, so many at a time and no more. */
struct vio_log {
	FILE *out;
	const char *program;
	bool verbose;
	uint64_t window_start_ms;
	unsigned lines;   /* in this window */
	uint64_t dropped; /* since one was written */
};

/* A listening socket that has a name in the file system. */
struct vio_socket {
	int fd; /* -1: none */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	/* Which file is ours to remove; 0: none. */
	dev_t device;
	ino_t inode;
};

struct vio_daemon_settings {
	const char *socket_path;    /* whichever protocol is spoken there */
	const char *vfio_user_path; /* the same path when it is vfio-user; else NULL */
	const char *vduse_name;     /* NULL: there are sockets */
	const char *vduse_account;
	uint64_t fd; /* UINT64_MAX: not given */
	const char *control_path;
	const char *log_path;
	const char *sandbox; /* NULL: on */
	const char *user;    /* NULL: stays who it is */
	uint64_t max_memory; /* bytes; 0: no limit */
	uint64_t patience_s;
	bool once;
	bool client;
	bool no_uring;
	uint64_t poll_us;
	uint64_t threads;
	bool verbose;
	bool print_capabilities;
	bool help;
	bool version;
	bool print_manual;
	/* Given by the conventions' options, in the order of the type's table. */
	bool convention_flags[VIO_DAEMON_CONVENTIONS_MAX];
	const char *convention_values[VIO_DAEMON_CONVENTIONS_MAX];
};

#define VIO_CONTROL_CLIENTS    8u
#define VIO_CONTROL_LINE_BYTES 2048u

struct vio_control_client {
	struct vio_control *control;
	struct vio_watch watch; /* fd -1: a free place */
	bool listening;         /* watch is added; else room is */
	uint64_t order;
	size_t used;
	char line[VIO_CONTROL_LINE_BYTES];
	/* One answer at most; until it is gone nothing more is obeyed. */
	char *unsent; /* NULL: none */
	size_t unsent_at, unsent_bytes;
	struct vio_watch room; /* an epoll instance that is readable when the socket has room */
};

struct vio_control {
	struct vio_daemon *daemon;
	struct vio_socket socket;
	struct vio_watch watch;
	bool watching;
	uint64_t accepted;
	struct vio_control_client clients[VIO_CONTROL_CLIENTS];
};

struct vio_daemon {
	const struct vio_daemon_type *type;
	const char *program;
	struct vio_daemon_settings settings;
	struct vio_log log;

	struct vio_device device;
	void *state;
	void *backend;
	void *storage;
	bool opened;
	bool realized;

	struct vio_loop *loop;
	struct vio_watcher watcher;
	struct vio_crew *crew; /* NULL: the main thread serves all */
	/* The link: one of them. */
	struct vio_vhost_user *vhost_user;
	struct vio_vfio_user *vfio_user;
	struct vio_vduse *vduse;
	struct vio_socket socket;
	struct vio_watch listen_watch;
	struct vio_watch next_watch; /* of the same, while somebody is served: others who come */
	struct vio_timer patience;   /* with who says nothing while others wait */
	uint64_t heard_before;       /* messages, when that was armed */
	bool watches_next;           /* next_watch is added */
	uint64_t patience_s;
	struct vio_watch signal_watch;
	struct vio_control control;
	struct vio_timer retry; /* while there are no descriptors to accept with */
	struct vio_timer dial;  /* while the front end doesn't listen yet; --client */
	bool dialled_in_vain;
	bool listening; /* listen_watch is added */
	struct vio_sandbox sandbox;
	struct vio_service service;
	bool connected;
	bool stopping;
	uint64_t connections;
	uint64_t faults_before; /* this connection */
	int exit_status;
};

/* link.c */

/* Makes the link that the settings ask for; -VIO_ENOMEM. */
int vio_daemon_link_make(struct vio_daemon *daemon);
/* Takes over a connected socket (also on failure). */
int vio_daemon_link_start(struct vio_daemon *daemon, int fd);
/* Ends the connection, without a word to the daemon. */
void vio_daemon_link_hang_up(struct vio_daemon *daemon);
/* How many whole messages have come by the connection. */
uint64_t vio_daemon_link_heard(const struct vio_daemon *daemon);
/* Also when there is none. */
void vio_daemon_link_end(struct vio_daemon *daemon);

/* vduse.c */

int vio_daemon_vduse_make(struct vio_daemon *daemon);
/* The link is there from the start, and once. */
int vio_daemon_vduse_start(struct vio_daemon *daemon, struct vio_message *message);
void vio_daemon_vduse_end(struct vio_daemon *daemon);

/* log.c */

void vio_log_line(struct vio_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Only with --verbose. */
void vio_log_detail(struct vio_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says how many lines were dropped, if any. */
void vio_log_settle(struct vio_log *log);

/* properties.c */

/* Sets NAME=VALUE, in the device or its backend. The message says what is wrong and what is right. */
int vio_daemon_set(struct vio_daemon *daemon, const char *assignment, struct vio_message *message);
/* Writes the value of the property into `to`. */
int vio_daemon_get(struct vio_daemon *daemon, const char *name, char *to, size_t size,
		   struct vio_message *message);
/* socket.c */

/*
 * Listens at the path with the given permissions (0: as the umask says). Removes a
 * socket that nobody listens on; refuses to touch anything else that is there.
 */
int vio_socket_listen(struct vio_socket *sock, const char *path, mode_t mode, struct vio_message *message);
/* Connects to who listens at the path, without waiting: a descriptor, or -1 and errno. */
int vio_socket_dial(const char *path);
/* Closes it and removes its file, unless that is another one by now. */
void vio_socket_close(struct vio_socket *sock);

/* control.c */

int vio_control_open(struct vio_control *control, struct vio_daemon *daemon, const char *path,
		     struct vio_message *message);
/* The same with a socket that listens already. */
void vio_control_take(struct vio_control *control, struct vio_daemon *daemon, int fd);
void vio_control_close(struct vio_control *control);
/* Starts or stops taking clients, those that there are aside. */
void vio_control_resume(struct vio_control *control);
void vio_control_pause(struct vio_control *control);

/* daemon.c */

/* The connection is over; `reason` as vhost-user's and vfio-user's events have it. */
void vio_daemon_link_closed(struct vio_daemon *daemon, int reason);

/* Accepting failed: stops it for a second when the system lacks something. */
void vio_daemon_accept_failed(struct vio_daemon *daemon, int errno_value);

/*
 * A further device in the loop of the first, with sockets of its own. The caller has
 * set type, program, loop, watcher, state and backend, the descriptors to -1, and made
 * the device up to what it stands on. To be closed even when opening it failed.
 */
int vio_daemon_open_port(struct vio_daemon *port, const struct vio_daemon *first, const char *path,
			 struct vio_message *message);
void vio_daemon_close_port(struct vio_daemon *port);

/* threads.c */

/* Starts the threads that were asked for, and has them serve the queues. */
int vio_daemon_spread(struct vio_daemon *daemon, struct vio_message *message);
/* While the main thread touches what is theirs. Nothing where there are none. */
void vio_daemon_halt(struct vio_daemon *daemon);
void vio_daemon_resume(struct vio_daemon *daemon);

/* blk.c */

extern const struct vio_daemon_type vio_daemon_blk_type;

/* console.c */

extern const struct vio_daemon_type vio_daemon_console_type;

/* input.c */

extern const struct vio_daemon_type vio_daemon_input_type;

/* net.c */

extern const struct vio_daemon_type vio_daemon_net_type;

/* vssd.c */

extern const struct vio_daemon_type vio_daemon_vssd_type;

/* document.c */

/* The options of a daemon of this type; `options` has VIO_DAEMON_OPTIONS_MAX places. */
#define VIO_DAEMON_OPTIONS_MAX 28u
struct vio_option_table vio_daemon_type_options(const struct vio_daemon_type *type,
						struct vio_option *options);
void vio_daemon_print_help(const struct vio_daemon_type *type, const char *program, FILE *out);
void vio_daemon_print_manual(const struct vio_daemon_type *type, const char *program, FILE *out);
int vio_daemon_print_capabilities(const struct vio_daemon_type *type, FILE *out);
const char *vio_daemon_type_name(const struct vio_daemon_type *type);

#endif
