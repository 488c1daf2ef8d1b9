/* SPDX-License-Identifier: BSD-3-Clause */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "link/socket.h"

static void client_forget_answer(struct vio_control_client *client)
{
	struct vio_watcher *watcher = &client->control->daemon->watcher;

	free(client->unsent);
	client->unsent = NULL;
	if (client->room.fd < 0)
		return;
	watcher->remove(watcher->context, &client->room);
	close(client->room.fd);
	client->room.fd = -1;
}

static void client_close(struct vio_control_client *client)
{
	struct vio_watcher *watcher = &client->control->daemon->watcher;

	if (client->listening)
		watcher->remove(watcher->context, &client->watch);
	client->listening = false;
	client_forget_answer(client);
	close(client->watch.fd);
	client->watch.fd = -1;
}

static bool client_listen(struct vio_control_client *client)
{
	struct vio_watcher *watcher = &client->control->daemon->watcher;

	client->listening = watcher->add(watcher->context, &client->watch) == 0;
	return client->listening;
}

/* 1: all is sent; 0: there is no room; -1: the client is gone. */
static int client_send(struct vio_control_client *client)
{
	while (client->unsent_at < client->unsent_bytes) {
		ssize_t sent = send(client->watch.fd, client->unsent + client->unsent_at,
				    client->unsent_bytes - client->unsent_at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 0 : -1;
		client->unsent_at += (size_t)sent;
	}
	return 1;
}

/* Until the client has read something it isn't listened to, so that one answer is all that is kept. */
static bool client_wait_for_room(struct vio_control_client *client)
{
	struct vio_watcher *watcher = &client->control->daemon->watcher;
	int fd = link_room_open(client->watch.fd);

	if (fd < 0)
		return false;
	client->room.fd = fd;
	if (watcher->add(watcher->context, &client->room)) {
		client->room.fd = -1;
		close(fd);
		return false;
	}
	watcher->remove(watcher->context, &client->watch);
	client->listening = false;
	return true;
}

/* False: nothing more can be said to this client. What there is no room for follows later. */
static bool client_answer(struct vio_control_client *client, const char *word, const char *text)
{
	size_t bytes = strlen(word) + strlen(text) + 3;
	int sent;

	client->unsent = malloc(bytes);
	if (!client->unsent)
		return false;
	snprintf(client->unsent, bytes, "%s%s%s\n", word, *text ? " " : "", text);
	client->unsent_at = 0;
	client->unsent_bytes = strlen(client->unsent);
	sent = client_send(client);
	if (sent > 0)
		client_forget_answer(client);
	return sent ? sent > 0 : client_wait_for_room(client);
}

static json_t *status_properties(struct vio_daemon *daemon)
{
	json_t *object = json_object();
	const struct vio_property *property;
	struct vio_message unused;
	char value[VIO_HOST_PATH_BYTES + 1];

	for (unsigned i = 0; (property = vio_daemon_type_property(daemon->type, i)); i++)
		if (!vio_daemon_get(daemon, property->name, value, sizeof(value), &unused))
			json_object_set_new(object, property->name, json_string(value));
	return object;
}

static json_t *status_sandbox(const struct vio_sandbox *sandbox)
{
	return json_pack("{s:b,s:b,s:i,s:b,s:I}", "on", (int)sandbox->on, "calls", (int)sandbox->calls,
			 "landlock", sandbox->landlock, "no-new-code", (int)sandbox->no_new_code, "refused",
			 (json_int_t)vio_calls_refused());
}

/* In use, not what the allocator keeps; 0 where another one is in its place. */
static json_int_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return (json_int_t)(info.uordblks + info.hblkhd);
}

static char *status_text(struct vio_daemon *daemon)
{
	const struct vio_device *device = &daemon->device;
	json_int_t heap = heap_bytes();
	json_t *root =
		json_pack("{s:s,s:i,s:s,s:b,s:I,s:I,s:i,s:b,s:I,s:o,s:o}", "type", daemon->type->class->name,
			  "device-id", (int)device->id, "engine", vio_loop_engine(daemon->loop), "connected",
			  (int)daemon->connected, "connections", (json_int_t)daemon->connections, "faults",
			  (json_int_t)device->fault_count, "device-status", (int)device->status, "running",
			  (int)vio_device_running(device), "heap-bytes", heap, "sandbox",
			  status_sandbox(&daemon->sandbox), "properties", status_properties(daemon));
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	return text;
}

/* The word at the start of a line and what follows it; NULL if the line starts otherwise. */
static const char *line_after(const char *line, const char *word)
{
	size_t length = strlen(word);

	return strncmp(line, word, length) == 0 && line[length] == ' ' ? line + length + 1 : NULL;
}

static bool answer_json(struct vio_control_client *client, char *text)
{
	bool answered =
		text ? client_answer(client, "ok", text) : client_answer(client, "error", "out of memory");

	free(text);
	return answered;
}

static char *statistics_text(struct vio_daemon *daemon)
{
	json_t *root = daemon->type->statistics(&daemon->device, daemon->backend);
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	return text;
}

static bool control_obey_halted(struct vio_control_client *client, const char *line)
{
	struct vio_daemon *daemon = client->control->daemon;
	struct vio_message message = { "" };
	char value[VIO_HOST_PATH_BYTES + 1] = "";
	const char *rest;
	int error;

	if (strcmp(line, "status") == 0)
		return answer_json(client, status_text(daemon));
	if (strcmp(line, "statistics") == 0 && daemon->type->statistics)
		return answer_json(client, statistics_text(daemon));
	if ((rest = line_after(line, "get")))
		error = vio_daemon_get(daemon, rest, value, sizeof(value), &message);
	else if ((rest = line_after(line, "set")))
		error = vio_daemon_set(daemon, rest, &message);
	else
		error = daemon->type->command
				? daemon->type->command(&daemon->device, line, value, sizeof(value), &message)
				: -VIO_ENOENT;
	if (error == -VIO_ENOENT && !*message.text)
		error = vio_fail(&message, -VIO_EINVAL,
				 "'%.64s' is not known; there are set NAME=VALUE, get NAME and status", line);
	if (error)
		return client_answer(client, "error", message.text);
	if (line_after(line, "set"))
		vio_log_line(&daemon->log, "property set: %s", rest);
	return client_answer(client, "ok", value);
}

/* What is told and changed may be in use by other threads. */
static bool control_obey(struct vio_control_client *client, const char *line)
{
	struct vio_daemon *daemon = client->control->daemon;
	bool obeyed;

	vio_daemon_halt(daemon);
	obeyed = control_obey_halted(client, line);
	vio_daemon_resume(daemon);
	return obeyed;
}

/* Obeys the lines that are there, for as long as there is room for the answers. */
static void client_go_on(struct vio_control_client *client)
{
	char *end;

	while (!client->unsent && (end = memchr(client->line, '\n', client->used))) {
		size_t taken = (size_t)(end + 1 - client->line);

		*end = '\0';
		if (!control_obey(client, client->line)) {
			client_close(client);
			return;
		}
		client->used -= taken;
		memmove(client->line, client->line + taken, client->used);
	}
	if (!client->unsent && client->used == sizeof(client->line)) {
		client_answer(client, "error", "the line is too long");
		client_close(client);
	}
}

static void client_ready(struct vio_watch *watch)
{
	struct vio_control_client *client = VIO_CONTAINER_OF(watch, struct vio_control_client, watch);
	ssize_t got = recv(watch->fd, client->line + client->used, sizeof(client->line) - client->used,
			   MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		client_close(client);
		return;
	}
	client->used += (size_t)got;
	client_go_on(client);
}

static void client_has_room(struct vio_watch *watch)
{
	struct vio_control_client *client = VIO_CONTAINER_OF(watch, struct vio_control_client, room);
	int sent = client_send(client);

	if (!sent)
		return;
	client_forget_answer(client);
	if (sent < 0 || !client_listen(client))
		client_close(client);
	else
		client_go_on(client);
}

static struct vio_control_client *control_place(struct vio_control *control)
{
	struct vio_control_client *oldest = &control->clients[0];

	for (unsigned i = 0; i < VIO_CONTROL_CLIENTS; i++) {
		struct vio_control_client *client = &control->clients[i];

		if (client->watch.fd < 0)
			return client;
		if (client->order < oldest->order)
			oldest = client;
	}
	/* Whoever keeps a connection open for long can come back. */
	client_close(oldest);
	return oldest;
}

static void control_ready(struct vio_watch *watch)
{
	struct vio_control *control = VIO_CONTAINER_OF(watch, struct vio_control, watch);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct vio_control_client *client;

	if (fd < 0) {
		vio_daemon_accept_failed(control->daemon, errno);
		return;
	}
	client = control_place(control);
	client->used = 0;
	client->order = ++control->accepted;
	client->watch.fd = fd;
	client->watch.ready = client_ready;
	client->room.ready = client_has_room;
	if (!client_listen(client))
		client_close(client);
}

static void control_begin(struct vio_control *control, struct vio_daemon *daemon)
{
	control->daemon = daemon;
	for (unsigned i = 0; i < VIO_CONTROL_CLIENTS; i++) {
		control->clients[i].control = control;
		control->clients[i].watch.fd = -1;
		control->clients[i].room.fd = -1;
	}
	control->watch.fd = control->socket.fd;
	control->watch.ready = control_ready;
	vio_control_resume(control);
}

int vio_control_open(struct vio_control *control, struct vio_daemon *daemon, const char *path,
		     struct vio_message *message)
{
	int error = vio_socket_listen(&control->socket, path, 0600, message);

	if (!error)
		control_begin(control, daemon);
	return error;
}

void vio_control_take(struct vio_control *control, struct vio_daemon *daemon, int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	control->socket.fd = fd;
	control_begin(control, daemon);
}

void vio_control_resume(struct vio_control *control)
{
	struct vio_watcher *watcher = &control->daemon->watcher;

	if (control->socket.fd >= 0 && !control->watching)
		control->watching = watcher->add(watcher->context, &control->watch) == 0;
}

void vio_control_pause(struct vio_control *control)
{
	struct vio_watcher *watcher = &control->daemon->watcher;

	if (control->watching)
		watcher->remove(watcher->context, &control->watch);
	control->watching = false;
}

void vio_control_close(struct vio_control *control)
{
	if (control->socket.fd < 0)
		return;
	for (unsigned i = 0; i < VIO_CONTROL_CLIENTS; i++)
		if (control->clients[i].watch.fd >= 0)
			client_close(&control->clients[i]);
	vio_control_pause(control);
	vio_socket_close(&control->socket);
}
