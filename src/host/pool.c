/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vireo/host.h>

#include "host/pool.h"

#define POOL_THREADS 4u

struct vio_pool {
	pthread_t threads[POOL_THREADS]; /* the first `started`; only the loop's thread looks at them */
	unsigned started;
	int eventfd;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;
	struct vio_io_queue waiting;
	struct vio_io_queue finished;
	unsigned waiting_count;
	unsigned busy; /* threads that are carrying something out */
	bool ending;
};

static int carry_out_once(const struct vio_io *io)
{
	switch (io->op) {
	case VIO_IO_READ:
		return (int)preadv2(io->fd, io->iov, (int)io->iov_count, (off_t)io->offset, io->mode);
	case VIO_IO_WRITE:
		return (int)pwritev2(io->fd, io->iov, (int)io->iov_count, (off_t)io->offset, io->mode);
	case VIO_IO_SYNC:
		return fdatasync(io->fd);
	case VIO_IO_FALLOCATE:
		return fallocate(io->fd, io->mode, (off_t)io->offset, (off_t)io->length);
	}
	errno = EINVAL;
	return -1;
}

/* One call never transfers more than 2 GiB, so an int holds the result. */
static int carry_out(const struct vio_io *io)
{
	int result;

	do
		result = carry_out_once(io);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : result;
}

/* Called with the lock held. */
static void finish(struct vio_pool *pool, struct vio_io *io, int result)
{
	const uint64_t one = 1;
	bool first = !pool->finished.first;

	io->result = result;
	vio_io_queue_put(&pool->finished, io);
	while (first && write(pool->eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Called with the lock held. */
static struct vio_io *take(struct vio_pool *pool)
{
	struct vio_io *io = vio_io_queue_take(&pool->waiting);

	if (io)
		pool->waiting_count--;
	return io;
}

static void *worker(void *context)
{
	struct vio_pool *pool = context;

	/* By itself: another thread would have to open a file, which a sandbox forbids. */
	pthread_setname_np(pthread_self(), "vireo-io");
	pthread_mutex_lock(&pool->lock);
	while (!pool->ending) {
		struct vio_io *io = take(pool);
		int result;

		if (!io) {
			pthread_cond_wait(&pool->work, &pool->lock);
			continue;
		}
		pool->busy++;
		pthread_mutex_unlock(&pool->lock);
		result = carry_out(io);
		pthread_mutex_lock(&pool->lock);
		pool->busy--;
		finish(pool, io, result);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Signals are for the threads of whoever uses us, but for that of a call that is refused. */
static bool start_one(struct vio_pool *pool)
{
	pthread_t *thread = &pool->threads[pool->started];
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, NULL, worker, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return false;
	pool->started++;
	return true;
}

/* Called with the lock held: as many threads as there is work for, if they are to be had. */
static void start_enough(struct vio_pool *pool)
{
	while (pool->started < POOL_THREADS && pool->started - pool->busy < pool->waiting_count)
		if (!start_one(pool))
			return;
}

void vio_pool_submit(struct vio_pool *pool, struct vio_io_queue *queue)
{
	struct vio_io *io;

	if (!queue->first)
		return;
	pthread_mutex_lock(&pool->lock);
	for (io = queue->first; io; io = io->next)
		pool->waiting_count++;
	vio_io_queue_move(&pool->waiting, queue);
	start_enough(pool);
	/* Where no thread can be had at all, slow is better than never. */
	while (!pool->started && (io = take(pool)))
		finish(pool, io, carry_out(io));
	if (pool->waiting_count > 1)
		pthread_cond_broadcast(&pool->work);
	else if (pool->waiting_count)
		pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

void vio_pool_collect(struct vio_pool *pool, struct vio_io_queue *finished)
{
	uint64_t count;

	pthread_mutex_lock(&pool->lock);
	/* Under the lock, so that what is written next is written for something that isn't collected yet. */
	if (read(pool->eventfd, &count, sizeof(count)) == sizeof(count))
		vio_io_queue_move(finished, &pool->finished);
	pthread_mutex_unlock(&pool->lock);
}

int vio_pool_fd(const struct vio_pool *pool)
{
	return pool->eventfd;
}

struct vio_pool *vio_pool_create(int *error)
{
	struct vio_pool *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		*error = -VIO_ENOMEM;
		return NULL;
	}
	pool->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->eventfd < 0) {
		*error = vio_error_from_errno(errno);
		free(pool);
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	*error = 0;
	return pool;
}

void vio_pool_destroy(struct vio_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	close(pool->eventfd);
	free(pool);
}
