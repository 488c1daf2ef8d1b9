/* SPDX-License-Identifier: BSD-3-Clause */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/guard.h>

#include "daemon/daemon.h"
#include "daemon/version.h"

/* Exit codes beside 0: the world failed, or the command line is wrong. */
#define EXIT_WORLD 1
#define EXIT_USAGE 2

#define NO_FD           UINT64_MAX
#define ACCEPT_RETRY_MS 1000u
#define DIAL_RETRY_MS   100u
#define PATIENCE_S      10u
#define QUEUE_SIZE_ANY  1024u /* entries that a front end may choose whatever queue-size says */

const char *vio_version(void)
{
	return VIO_VERSION;
}

static void daemon_listen_resume(struct vio_daemon *daemon)
{
	if (daemon->socket.fd < 0 || daemon->listening || daemon->connected || daemon->stopping)
		return;
	daemon->listening = daemon->watcher.add(daemon->watcher.context, &daemon->listen_watch) == 0;
	if (!daemon->listening) {
		vio_log_line(&daemon->log, "can't watch the listening socket; ending");
		daemon->exit_status = EXIT_WORLD;
		vio_loop_stop(daemon->loop);
	}
}

static void daemon_listen_pause(struct vio_daemon *daemon)
{
	if (daemon->listening)
		daemon->watcher.remove(daemon->watcher.context, &daemon->listen_watch);
	daemon->listening = false;
}

/* Ends, or sees to it that there is a next front end. */
static void daemon_await_next(struct vio_daemon *daemon, int exit_status)
{
	if (daemon->settings.once || (daemon->socket.fd < 0 && !daemon->settings.client)) {
		daemon->exit_status = exit_status;
		vio_loop_stop(daemon->loop);
	} else if (daemon->settings.client) {
		vio_loop_arm(daemon->loop, &daemon->dial, DIAL_RETRY_MS);
	} else {
		daemon_listen_resume(daemon);
	}
}

/*
 * Front ends that come while one is served. They wait; but not for one whose driver doesn't drive, and that
 * says nothing, or nothing more (hostile: C3).
 */

static bool daemon_drives(const struct vio_daemon *daemon)
{
	for (unsigned i = 0; i < daemon->device.queue_count; i++)
		if (daemon->device.queues[i].running)
			return true;
	return false;
}

/* From now on, for as long as others wait. */
static void daemon_have_patience(struct vio_daemon *daemon)
{
	daemon->heard_before = vio_daemon_link_heard(daemon);
	vio_loop_arm(daemon->loop, &daemon->patience, daemon->patience_s * UINT64_C(1000));
}

static void daemon_watch_next(struct vio_daemon *daemon)
{
	if (daemon->socket.fd < 0 || !daemon->watcher.knows_edges || daemon->watches_next)
		return;
	daemon->watches_next = daemon->watcher.add(daemon->watcher.context, &daemon->next_watch) == 0;
}

static void daemon_unwatch_next(struct vio_daemon *daemon)
{
	if (daemon->watches_next)
		daemon->watcher.remove(daemon->watcher.context, &daemon->next_watch);
	daemon->watches_next = false;
	vio_loop_disarm(daemon->loop, &daemon->patience);
}

static void daemon_next_came(struct vio_watch *watch)
{
	struct vio_daemon *daemon = VIO_CONTAINER_OF(watch, struct vio_daemon, next_watch);

	vio_log_detail(&daemon->log, "connection %llu: another front end waits until it ends",
		       (unsigned long long)daemon->connections);
	if (daemon->patience_s && !daemon->patience.armed)
		daemon_have_patience(daemon);
}

static void daemon_lost_patience(struct vio_timer *timer)
{
	struct vio_daemon *daemon = VIO_CONTAINER_OF(timer, struct vio_daemon, patience);
	struct pollfd next = { .fd = daemon->socket.fd, .events = POLLIN };

	/* The next one that comes begins it anew. */
	if (poll(&next, 1, 0) <= 0)
		return;
	if (daemon_drives(daemon) || vio_daemon_link_heard(daemon) != daemon->heard_before) {
		daemon_have_patience(daemon);
		return;
	}
	vio_log_line(&daemon->log,
		     "connection %llu: no queue, not a word for %llu s, and another front end waits",
		     (unsigned long long)daemon->connections, (unsigned long long)daemon->patience_s);
	vio_daemon_link_hang_up(daemon);
	vio_daemon_link_closed(daemon, -VIO_EAGAIN);
}

static void daemon_retry(struct vio_timer *timer)
{
	struct vio_daemon *daemon = VIO_CONTAINER_OF(timer, struct vio_daemon, retry);

	daemon_listen_resume(daemon);
	vio_control_resume(&daemon->control);
}

void vio_daemon_accept_failed(struct vio_daemon *daemon, int errno_value)
{
	if (errno_value == EAGAIN || errno_value == EINTR || errno_value == ECONNABORTED)
		return;
	vio_log_line(&daemon->log, "can't accept a connection: %s; trying again in a second",
		     strerror(errno_value));
	daemon_listen_pause(daemon);
	vio_control_pause(&daemon->control);
	vio_loop_arm(daemon->loop, &daemon->retry, ACCEPT_RETRY_MS);
}

static void daemon_connect(struct vio_daemon *daemon, int fd)
{
	int error;

	daemon->connections++;
	daemon->connected = true;
	daemon->faults_before = daemon->device.fault_count;
	vio_log_line(&daemon->log, "connection %llu begins", (unsigned long long)daemon->connections);
	error = vio_daemon_link_start(daemon, fd);
	if (!error)
		return;
	vio_log_line(&daemon->log, "connection %llu failed: %s", (unsigned long long)daemon->connections,
		     vio_strerror(error));
	daemon->connected = false;
	daemon_await_next(daemon, EXIT_WORLD);
}

/* With --client it is the front end that listens, and may not do so yet. */
static void daemon_dial(struct vio_timer *timer)
{
	struct vio_daemon *daemon = VIO_CONTAINER_OF(timer, struct vio_daemon, dial);
	int fd = vio_socket_dial(daemon->settings.socket_path);

	if (fd >= 0) {
		daemon->dialled_in_vain = false;
		daemon_connect(daemon, fd);
		return;
	}
	if (!daemon->dialled_in_vain)
		vio_log_line(&daemon->log, "nobody listens at '%s' yet: %s; trying again",
			     daemon->settings.socket_path, strerror(errno));
	daemon->dialled_in_vain = true;
	vio_loop_arm(daemon->loop, timer, DIAL_RETRY_MS);
}

static void daemon_accept(struct vio_watch *watch)
{
	struct vio_daemon *daemon = VIO_CONTAINER_OF(watch, struct vio_daemon, listen_watch);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		vio_daemon_accept_failed(daemon, errno);
		return;
	}
	/* One front end at a time: the next ones wait in the socket's queue. */
	daemon_listen_pause(daemon);
	daemon_connect(daemon, fd);
	if (daemon->connected)
		daemon_watch_next(daemon);
}

static void daemon_prepare_listening(struct vio_daemon *daemon)
{
	daemon->listen_watch = (struct vio_watch){ .fd = daemon->socket.fd, .ready = daemon_accept };
	daemon->next_watch =
		(struct vio_watch){ .fd = daemon->socket.fd, .edge = true, .ready = daemon_next_came };
	daemon->patience.expired = daemon_lost_patience;
}

void vio_daemon_link_closed(struct vio_daemon *daemon, int reason)
{
	uint64_t faults = daemon->device.fault_count - daemon->faults_before;

	vio_log_line(&daemon->log, "connection %llu ends: %s, %llu faults",
		     (unsigned long long)daemon->connections,
		     reason == -VIO_EHANGUP ? "closed by the front end" : vio_strerror(reason),
		     (unsigned long long)faults);
	daemon->connected = false;
	daemon_unwatch_next(daemon);
	daemon_await_next(daemon, reason == -VIO_EHANGUP ? 0 : EXIT_WORLD);
}

static void daemon_signal(struct vio_watch *watch)
{
	struct vio_daemon *daemon = VIO_CONTAINER_OF(watch, struct vio_daemon, signal_watch);
	struct signalfd_siginfo info;

	if (read(watch->fd, &info, sizeof(info)) != sizeof(info) || daemon->stopping)
		return;
	daemon->stopping = true;
	vio_log_detail(&daemon->log, "ending on signal %u", info.ssi_signo);
	vio_loop_stop(daemon->loop);
}

/* Signals become events. Before the loop exists, so that its threads have them blocked too. */
static int daemon_take_signals(struct vio_daemon *daemon, struct vio_message *message)
{
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	daemon->signal_watch.ready = daemon_signal;
	daemon->signal_watch.fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signal_watch.fd < 0)
		return vio_fail(message, vio_error_from_errno(errno), "can't receive signals: %s",
				strerror(errno));
	return 0;
}

static int daemon_open_log(struct vio_daemon *daemon, struct vio_message *message)
{
	const char *path = daemon->settings.log_path;

	daemon->log.verbose = daemon->settings.verbose;
	if (!path)
		return 0;
	daemon->log.out = fopen(path, "ae");
	if (!daemon->log.out) {
		daemon->log.out = stderr;
		return vio_fail(message, vio_error_from_errno(errno), "can't write the log '%s': %s", path,
				strerror(errno));
	}
	return 0;
}

static int daemon_make_device(struct vio_daemon *daemon, struct vio_message *message)
{
	const struct vio_device_class *class = daemon->type->class;

	/* One byte more, so that nothing asked for is no NULL. */
	daemon->state = calloc(1, (size_t) class->state_bytes + 1);
	daemon->backend = calloc(1, (size_t)daemon->type->backend_bytes + 1);
	if (!daemon->state || !daemon->backend)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_device_init(&daemon->device, class, daemon->state);
	/* The size of a queue is the front end's choice, and some know only one: User-Mode Linux 256. */
	daemon->device.queue_size_max = QUEUE_SIZE_ANY;
	if (daemon->type->backend_properties)
		vio_property_set_defaults(daemon->type->backend_properties(), daemon->backend);
	return 0;
}

static int daemon_set_conventions(struct vio_daemon *daemon, struct vio_message *message)
{
	const struct vio_daemon_convention *convention = daemon->type->conventions;
	char assignment[VIO_HOST_PATH_BYTES + 64];
	int error = 0;

	for (unsigned i = 0; !error && convention && convention[i].option && i < VIO_DAEMON_CONVENTIONS_MAX;
	     i++) {
		const char *value = daemon->settings.convention_flags[i]
					    ? convention[i].value
					    : daemon->settings.convention_values[i];

		if (!value)
			continue;
		if ((size_t)snprintf(assignment, sizeof(assignment), "%s=%s", convention[i].property,
				     value) >= sizeof(assignment))
			return vio_fail(message, -VIO_ERANGE, "option '--%s': the text is %zu bytes long",
					convention[i].option, strlen(value));
		error = vio_daemon_set(daemon, assignment, message);
	}
	return error;
}

static int daemon_set_properties(struct vio_daemon *daemon, int count, char **assignments,
				 struct vio_message *message)
{
	int error = daemon_set_conventions(daemon, message);

	for (int i = 0; !error && i < count; i++)
		error = vio_daemon_set(daemon, assignments[i], message);
	return error;
}

/* The device has what it stands on: makes it ready for front ends. */
static int daemon_join(struct vio_daemon *daemon, struct vio_message *message)
{
	struct vio_device *device = &daemon->device;
	int error = vio_device_realize(device);

	if (error)
		return vio_fail(message, error, "%s can't work with these properties: %s",
				daemon->type->class->name, vio_strerror(error));
	daemon->realized = true;
	daemon->storage = calloc(1, vio_device_storage_bytes(device) + 1);
	if (!daemon->storage)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_device_provide(device, daemon->storage);
	error = vio_daemon_link_make(daemon);
	return error ? vio_fail(message, error, "out of memory") : 0;
}

static int daemon_realize(struct vio_daemon *daemon, struct vio_message *message)
{
	if (daemon->type->open) {
		int error = daemon->type->open(&daemon->device, daemon->loop, daemon->backend, message);

		if (error)
			return error;
	}
	daemon->opened = true;
	return daemon_join(daemon, message);
}

/* The descriptor the user gave: 1 if it listens, 0 if it is connected, or a negative code. */
static int daemon_judge_fd(int fd, struct vio_message *message)
{
	int domain = 0, type = 0, listens = 0;
	socklen_t size = sizeof(int);
	struct sockaddr_un peer;
	socklen_t peer_size = sizeof(peer);

	if (fcntl(fd, F_GETFD) < 0)
		return vio_fail(message, -VIO_EINVAL, "option '--fd': descriptor %d is not open", fd);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) || domain != AF_UNIX)
		return vio_fail(message, -VIO_EINVAL, "option '--fd': descriptor %d is no Unix socket", fd);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_STREAM)
		return vio_fail(message, -VIO_EINVAL, "option '--fd': descriptor %d is no stream socket", fd);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens)
		return 1;
	if (getpeername(fd, (struct sockaddr *)&peer, &peer_size))
		return vio_fail(message, -VIO_EINVAL,
				"option '--fd': descriptor %d neither listens nor is connected", fd);
	return 0;
}

/* Finds out where front ends come from; *connected is the descriptor of one that is there already, or -1. */
static int daemon_open_sockets(struct vio_daemon *daemon, int *connected, struct vio_message *message)
{
	struct vio_daemon_settings *settings = &daemon->settings;
	char control[sizeof(daemon->control.socket.path) + 16];
	int fd = (int)settings->fd;
	int result;

	*connected = -1;
	if (settings->vduse_name) {
		result = vio_daemon_vduse_start(daemon, message);
		if (result)
			return result;
	} else if (settings->client) {
		vio_loop_arm(daemon->loop, &daemon->dial, 0);
	} else if (settings->socket_path) {
		result = vio_socket_listen(&daemon->socket, settings->socket_path, 0, message);
		if (result)
			return result;
	} else {
		result = daemon_judge_fd(fd, message);
		if (result < 0)
			return result;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (result) {
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
			daemon->socket.fd = fd;
		} else {
			*connected = fd;
		}
	}
	if (daemon->service.control >= 0 && !settings->control_path) {
		vio_control_take(&daemon->control, daemon, daemon->service.control);
		return 0;
	}
	if (settings->control_path)
		return vio_control_open(&daemon->control, daemon, settings->control_path, message);
	if (!settings->socket_path)
		return 0;
	snprintf(control, sizeof(control), "%s.control", settings->socket_path);
	return vio_control_open(&daemon->control, daemon, control, message);
}

static int daemon_start(struct vio_daemon *daemon, struct vio_message *message)
{
	int connected;
	int error = daemon_take_signals(daemon, message);

	if (error)
		return error;
	/* Before there are threads. Without it a front end could end us by cutting its memory short. */
	error = vio_guard_memory();
	if (error)
		return vio_fail(message, error, "can't handle bus errors: %s", strerror(errno));
	daemon->loop = vio_loop_create(
		VIO_LOOP_ONE_THREAD | (daemon->settings.no_uring ? VIO_LOOP_NO_URING : 0), &error);
	if (!daemon->loop)
		return vio_fail(message, error, "can't make an event loop: %s", vio_strerror(error));
	vio_loop_poll(daemon->loop, (unsigned)daemon->settings.poll_us);
	daemon->watcher = vio_loop_watcher(daemon->loop);
	daemon->retry.expired = daemon_retry;
	daemon->dial.expired = daemon_dial;
	error = daemon->watcher.add(daemon->watcher.context, &daemon->signal_watch);
	if (error) {
		close(daemon->signal_watch.fd);
		daemon->signal_watch.fd = -1;
		return vio_fail(message, error, "can't watch for signals: %s", vio_strerror(error));
	}
	/* The library would read it from a file when it makes the first object. */
	json_object_seed(0);
	vio_service_connect(&daemon->service);
	error = daemon_realize(daemon, message);
	if (!error)
		error = daemon_open_sockets(daemon, &connected, message);
	if (!error)
		error = vio_daemon_confine(daemon, message);
	if (!error)
		error = vio_daemon_spread(daemon, message);
	if (!error)
		error = vio_daemon_confine_calls(daemon, message);
	if (error)
		return error;
	vio_service_tell(&daemon->service, "READY=1");
	vio_log_line(&daemon->log, "serves %s with %s on %s", daemon->type->class->name,
		     vio_loop_engine(daemon->loop),
		     daemon->settings.vduse_name    ? daemon->settings.vduse_name
		     : daemon->settings.socket_path ? daemon->settings.socket_path
						    : "the given descriptor");
	daemon->patience_s = daemon->settings.patience_s;
	daemon_prepare_listening(daemon);
	daemon_listen_resume(daemon);
	if (connected >= 0)
		daemon_connect(daemon, connected);
	return 0;
}

/* In the opposite order of making; whatever isn't there is skipped. */
static void daemon_end(struct vio_daemon *daemon)
{
	int error = 0;

	if (daemon->loop)
		vio_service_tell(&daemon->service, "STOPPING=1");
	vio_service_leave(&daemon->service);
	daemon->stopping = true;
	if (daemon->loop) {
		vio_loop_disarm(daemon->loop, &daemon->retry);
		vio_loop_disarm(daemon->loop, &daemon->dial);
		daemon_unwatch_next(daemon);
		daemon_listen_pause(daemon);
		vio_control_close(&daemon->control);
		vio_socket_close(&daemon->socket);
	}
	vio_daemon_halt(daemon);
	vio_daemon_link_end(daemon);
	if (daemon->realized)
		vio_device_unrealize(&daemon->device);
	if (daemon->opened && daemon->type->close)
		error = daemon->type->close(&daemon->device, daemon->backend);
	if (error) {
		vio_log_line(&daemon->log, "writes may be lost, storing them failed: %s",
			     vio_strerror(error));
		daemon->exit_status = EXIT_WORLD;
	}
	if (daemon->signal_watch.fd >= 0) {
		if (daemon->loop)
			daemon->watcher.remove(daemon->watcher.context, &daemon->signal_watch);
		close(daemon->signal_watch.fd);
	}
	vio_crew_destroy(daemon->crew);
	if (daemon->loop)
		vio_loop_destroy(daemon->loop);
	free(daemon->storage);
	free(daemon->backend);
	free(daemon->state);
	vio_log_settle(&daemon->log);
	if (daemon->log.out != stderr)
		fclose(daemon->log.out);
}

int vio_daemon_open_port(struct vio_daemon *port, const struct vio_daemon *first, const char *path,
			 struct vio_message *message)
{
	char control[sizeof(port->control.socket.path) + 16];
	int error;

	port->settings.socket_path = path;
	port->retry.expired = daemon_retry;
	port->log = first->log;
	error = daemon_join(port, message);
	if (!error)
		error = vio_socket_listen(&port->socket, path, 0, message);
	if (error)
		return error;
	snprintf(control, sizeof(control), "%s.control", path);
	error = vio_control_open(&port->control, port, control, message);
	if (error)
		return error;
	port->patience_s = first->settings.patience_s;
	daemon_prepare_listening(port);
	daemon_listen_resume(port);
	return 0;
}

void vio_daemon_close_port(struct vio_daemon *port)
{
	port->stopping = true;
	vio_loop_disarm(port->loop, &port->retry);
	daemon_unwatch_next(port);
	daemon_listen_pause(port);
	vio_control_close(&port->control);
	vio_socket_close(&port->socket);
	vio_daemon_link_end(port);
	if (port->realized)
		vio_device_unrealize(&port->device);
	free(port->storage);
}

static int daemon_complain(const struct vio_daemon *daemon, int status, const struct vio_message *message)
{
	fprintf(stderr, "%s: %s\n", daemon->program, message->text);
	return status;
}

/* What only needs to be said. -1: nothing of the kind was asked for. */
static int daemon_inform(const struct vio_daemon *daemon)
{
	const struct vio_daemon_settings *settings = &daemon->settings;

	if (settings->help)
		vio_daemon_print_help(daemon->type, daemon->program, stdout);
	else if (settings->version)
		printf("vireo %s\n", vio_version());
	else if (settings->print_manual)
		vio_daemon_print_manual(daemon->type, daemon->program, stdout);
	else if (settings->print_capabilities)
		return vio_daemon_print_capabilities(daemon->type, stdout) ? EXIT_WORLD : 0;
	else
		return -1;
	return fflush(stdout) ? EXIT_WORLD : 0;
}

/* The device has one driver, the kernel's, and no place where peers come from. */
static int daemon_choose_vduse(const struct vio_daemon_settings *settings, struct vio_message *message)
{
	if (settings->socket_path || settings->vfio_user_path || settings->fd != NO_FD)
		return vio_fail(message, -VIO_EINVAL, "--vduse and %s exclude each other",
				settings->socket_path      ? "--socket-path"
				: settings->vfio_user_path ? "--vfio-user"
							   : "--fd");
	if (settings->client)
		return vio_fail(message, -VIO_EINVAL,
				"--client connects to --socket-path PATH, not to VDUSE");
	return 0;
}

static int daemon_choose_sandbox(const struct vio_daemon_settings *settings, struct vio_message *message)
{
	if (!settings->sandbox || !strcmp(settings->sandbox, "on") || !strcmp(settings->sandbox, "off"))
		return 0;
	return vio_fail(message, -VIO_EINVAL, "option '--sandbox': '%.64s' is neither on nor off",
			settings->sandbox);
}

/* There is one place where peers come from. */
static int daemon_choose_socket(struct vio_daemon *daemon, struct vio_message *message)
{
	struct vio_daemon_settings *settings = &daemon->settings;

	if (settings->vduse_name)
		return daemon_choose_vduse(settings, message);
	if (settings->vduse_account)
		return vio_fail(message, -VIO_EINVAL, "--vduse-account is nothing without --vduse NAME");
	if (settings->vfio_user_path && (settings->socket_path || settings->fd != NO_FD))
		return vio_fail(message, -VIO_EINVAL, "--vfio-user and %s exclude each other",
				settings->socket_path ? "--socket-path" : "--fd");
	if (settings->vfio_user_path)
		settings->socket_path = settings->vfio_user_path;
	if (!settings->socket_path && settings->fd == NO_FD && daemon->service.socket >= 0)
		settings->fd = (uint64_t)daemon->service.socket;
	if (settings->fd != NO_FD)
		daemon->service.given = (int)settings->fd;
	if (!settings->socket_path && settings->fd == NO_FD)
		return vio_fail(message, -VIO_EINVAL,
				"where do front ends come from? Give --socket-path PATH or --fd N, or, for a "
				"client of vfio-user, --vfio-user PATH, or --vduse NAME for this kernel");
	if (settings->socket_path && settings->fd != NO_FD)
		return vio_fail(message, -VIO_EINVAL, "--socket-path and --fd exclude each other");
	if (settings->client && (settings->vfio_user_path || !settings->socket_path))
		return vio_fail(message, -VIO_EINVAL, "--client connects to --socket-path PATH, not to %s",
				settings->vfio_user_path ? "a client of vfio-user" : "a descriptor");
	if (settings->vfio_user_path && settings->poll_us)
		return vio_fail(message, -VIO_ENOTSUP,
				"option '--poll-us': queues aren't polled over vfio-user");
	return 0;
}

/* Everything that the command line alone decides. */
static int daemon_read_arguments(struct vio_daemon *daemon, int argc, char **argv,
				 struct vio_message *message)
{
	struct vio_option options[VIO_DAEMON_OPTIONS_MAX];
	struct vio_option_table table = vio_daemon_type_options(daemon->type, options);
	int first = vio_options_parse(&table, &daemon->settings, argc, argv, message);
	int error;

	vio_service_sockets(&daemon->service);
	if (first < 0)
		return first;
	if (daemon->settings.help || daemon->settings.version || daemon->settings.print_capabilities ||
	    daemon->settings.print_manual)
		return 0;
	error = daemon_choose_sandbox(&daemon->settings, message);
	if (!error)
		error = daemon_choose_socket(daemon, message);
	if (!error)
		error = daemon_make_device(daemon, message);
	if (!error)
		error = daemon_set_properties(daemon, argc - first, argv + first, message);
	return error;
}

int vio_daemon_main(const struct vio_daemon_type *type, int argc, char **argv)
{
	struct vio_daemon daemon = {
		.type = type,
		.program = argv[0],
		.settings.fd = NO_FD,
		.settings.patience_s = PATIENCE_S,
		.socket.fd = -1,
		.control.socket.fd = -1,
		.signal_watch.fd = -1,
		.service = { -1, -1, -1, 0, -1 },
		.log = { .out = stderr, .program = argv[0] },
	};
	struct vio_message message = { "" };
	int error = daemon_read_arguments(&daemon, argc, argv, &message);
	int told;

	if (error) {
		daemon_end(&daemon);
		return daemon_complain(&daemon, EXIT_USAGE, &message);
	}
	told = daemon_inform(&daemon);
	if (told >= 0)
		return told;

	error = daemon_open_log(&daemon, &message);
	if (!error)
		error = daemon_start(&daemon, &message);
	if (!error)
		error = vio_loop_run(daemon.loop);
	if (error && !*message.text)
		vio_fail(&message, error, "the event loop failed: %s", vio_strerror(error));
	daemon_end(&daemon);
	return error ? daemon_complain(&daemon, EXIT_WORLD, &message) : daemon.exit_status;
}
