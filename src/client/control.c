/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "client/client.h"

/*
 * The thread that has the connection. It sleeps but when the back end says something or dies, or when a
 * queue wants the connection to end.
 */

static void wake(const struct vio_client *client)
{
	const uint64_t one = 1;

	if (write(client->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is awake already */
}

void client_give_up(struct vio_client *client, int code, const char *format, ...)
{
	va_list arguments;

	pthread_mutex_lock(&client->lock);
	if (!client->mistake.text[0]) {
		va_start(arguments, format);
		vsnprintf(client->mistake.text, sizeof(client->mistake.text), format, arguments);
		va_end(arguments);
		client->info.gone = code;
	}
	pthread_mutex_unlock(&client->lock);
	atomic_store(&client->hang_up, true);
	wake(client);
}

void vio_client_hang_up(struct vio_client *client)
{
	client_give_up(client, -VIO_EHANGUP, "hung up");
}

/* The connection is over: each queue finds it out. */
static void leave(struct vio_client *client, int code)
{
	pthread_mutex_lock(&client->lock);
	if (!client->mistake.text[0]) {
		snprintf(client->mistake.text, sizeof(client->mistake.text), "%s",
			 vio_vhost_user_frontend_mistake(&client->dev));
		client->info.gone = code;
	}
	client->info.reconnecting = false;
	pthread_mutex_unlock(&client->lock);
	atomic_store(&client->reconnecting, false);
	atomic_store(&client->gone, -VIO_EHANGUP);
	vu_front_wake(client->front);
}

static void note_lives(struct vio_client *client)
{
	unsigned lives = client->front->lives;

	if (lives == atomic_load(&client->lives) && !atomic_load(&client->reconnecting))
		return;
	atomic_store(&client->lives, lives);
	atomic_store(&client->reconnecting, false);
	pthread_mutex_lock(&client->lock);
	client->info.reconnects = lives;
	client->info.reconnecting = false;
	pthread_mutex_unlock(&client->lock);
}

static void *control(void *context)
{
	struct vio_client *client = context;
	uint64_t count;
	int error = 0;

	while (!error && !atomic_load(&client->closing)) {
		error = vu_front_attend(client->front, client->wake_fd);
		if (read(client->wake_fd, &count, sizeof(count)) > 0 && atomic_load(&client->hang_up)) {
			vio_vhost_user_frontend_hang_up(&client->dev);
			error = -VIO_EHANGUP;
		}
		note_lives(client);
	}
	if (error)
		leave(client, error);
	return NULL;
}

int client_control_start(struct vio_client *client)
{
	sigset_t all, before;
	int error;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&client->thread, NULL, control, client);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	client->thread_runs = !error;
	return error ? -VIO_ENOMEM : 0;
}

void client_control_stop(struct vio_client *client)
{
	if (!client->thread_runs)
		return;
	atomic_store(&client->closing, true);
	wake(client);
	pthread_join(client->thread, NULL);
	client->thread_runs = false;
}
