/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"

#define NS_PER_S      UINT64_C(1000000000)
#define NS_PER_MS     UINT64_C(1000000)
#define NS_PER_US     UINT64_C(1000)
/* An interrupt that never comes costs no more than that. hostile: B34 */
#define SLEEP_MOST_NS (10 * NS_PER_MS)
/* The same with nothing in flight, where only frames can come. */
#define IDLE_MOST_NS  (500 * NS_PER_MS)
/* Polls that found nothing before the clock is looked at. */
#define POLLS_A_LOOK  4096u

static uint64_t now_ns(void)
{
	return vu_front_now_ns();
}

int client_gone(const struct vio_client *client)
{
	return atomic_load_explicit(&client->gone, memory_order_acquire);
}

/* Data. */

void client_drop_copy(struct vio_client_queue *queue, struct client_slot *slot)
{
	struct vio_client *client = queue->client;

	if (!slot->copy)
		return;
	pthread_mutex_lock(&client->lock);
	vio_arena_give_back(&client->front->arena, &(struct vio_shared){ .host = slot->copy },
			    slot->copy_bytes);
	pthread_mutex_unlock(&client->lock);
	slot->copy = NULL;
}

static int place_copy(struct vio_client_queue *queue, const struct vio_client_request *request,
		      struct client_slot *slot, struct vio_sg *sg, bool device_writes, uint32_t total)
{
	uint8_t *at;

	if (queue->client->options.flags & VIO_CLIENT_NO_COPIES)
		return -VIO_EACCES;
	at = vio_client_alloc(queue->client, total); /* zeros, so that nothing of ours goes out */
	if (!at)
		return -VIO_ENOMEM;
	slot->copy = at;
	slot->copy_bytes = total;
	slot->copies_back = device_writes;
	slot->part_count = device_writes ? request->part_count : 0;
	if (device_writes)
		memcpy(slot->parts, request->parts, request->part_count * sizeof(*request->parts));
	for (unsigned i = 0; i < request->part_count; i++) {
		const struct vio_part *part = &request->parts[i];

		if (!device_writes)
			memcpy(at, part->host, part->length);
		sg[i] = (struct vio_sg){ client_addr(queue->client, at), part->length };
		at += part->length;
	}
	return 0;
}

int client_place(struct vio_client_queue *queue, const struct vio_client_request *request,
		 struct client_slot *slot, struct vio_sg *sg, bool device_writes, uint32_t total)
{
	const struct vio_client *client = queue->client;

	for (unsigned i = 0; i < request->part_count; i++) {
		const struct vio_part *part = &request->parts[i];

		if (!client_sees(client, part->host, part->length))
			return place_copy(queue, request, slot, sg, device_writes, total);
		sg[i] = (struct vio_sg){ client_addr(client, part->host), part->length };
	}
	return 0;
}

/* What the device wrote. */
static void copy_back(const struct client_slot *slot)
{
	const uint8_t *from = slot->copy;

	for (unsigned i = 0; i < slot->part_count; i++) {
		memcpy(slot->parts[i].host, from, slot->parts[i].length);
		from += slot->parts[i].length;
	}
}

/* Submitting. */

static void put_back(struct vio_client_queue *queue, struct client_slot *slot)
{
	slot->busy = false;
	slot->next = queue->free;
	queue->free = slot;
	queue->in_flight--;
}

static struct client_slot *take_slot(struct vio_client_queue *queue, uint64_t user_data)
{
	struct client_slot *slot = queue->free;

	if (!slot)
		return NULL;
	queue->free = slot->next;
	slot->user_data = user_data;
	slot->busy = true;
	if (!queue->in_flight++)
		queue->silent_since_ns = 0;
	return slot;
}

/* Fills up to CLIENT_BATCH buffers of the first requests: how many; *error says why there aren't more. */
static unsigned fill(struct vio_client_queue *queue, const struct vio_client_request *requests,
		     unsigned count, struct vio_drvq_buffer *buffers, unsigned *taken, int *error)
{
	unsigned filled = 0;

	for (*taken = 0; *taken < count && filled < CLIENT_BATCH; ++*taken) {
		const struct vio_client_request *request = &requests[*taken];
		struct client_slot *slot = take_slot(queue, request->user_data);
		struct vio_drvq_buffer *buffer = &buffers[filled];

		if (!slot) {
			*error = -VIO_ENOSPC;
			return filled;
		}
		buffer->sg = queue->sg[filled];
		buffer->token = slot;
		*error = queue->client->kind->fill(queue, request, slot, buffer);
		if (*error < 0) {
			put_back(queue, slot);
			return filled;
		}
		if (*error > 0) {
			*error = 0;
			/* First those before it, which may not be taken at all. */
			if (filled) {
				put_back(queue, slot);
				return filled;
			}
			slot->next = queue->done_first;
			queue->done_first = slot;
			continue;
		}
		filled++;
	}
	return filled;
}

/* A batch: how many requests were taken. */
static unsigned submit_some(struct vio_client_queue *queue, const struct vio_client_request *requests,
			    unsigned count, int *error)
{
	struct vio_drvq_buffer buffers[CLIENT_BATCH];
	unsigned taken, filled = fill(queue, requests, count, buffers, &taken, error);
	int added = filled ? vio_drvq_add_many(queue->q, buffers, filled) : 0;

	if (added >= 0 && (unsigned)added == filled)
		return taken;
	*error = added < 0 ? added : -VIO_ENOSPC;
	for (unsigned i = filled; i > (added < 0 ? 0 : (unsigned)added); i--) {
		struct client_slot *slot = buffers[i - 1].token;

		client_drop_copy(queue, slot);
		put_back(queue, slot);
		taken--;
	}
	return taken;
}

int vio_client_submit(struct vio_client_queue *queue, const struct vio_client_request *requests,
		      unsigned count)
{
	unsigned taken = 0;
	int error = queue->dead ? queue->dead_as : client_gone(queue->client);

	if (error)
		return error;
	while (taken < count && !error)
		taken += submit_some(queue, requests + taken, count - taken, &error);
	if (taken)
		vio_drvq_kick(queue->q);
	return taken ? (int)taken : error;
}

/* Completing. */

static void complete(struct vio_client_queue *queue, struct client_slot *slot, int result,
		     struct vio_client_completion *completion)
{
	if (slot->copy) {
		if (!result && slot->copies_back)
			copy_back(slot);
		client_drop_copy(queue, slot);
	}
	*completion = (struct vio_client_completion){ slot->user_data, result };
	put_back(queue, slot);
}

static unsigned take_own(struct vio_client_queue *queue, struct vio_client_completion *completions,
			 unsigned max)
{
	unsigned count = 0;

	while (count < max && queue->done_first) {
		struct client_slot *slot = queue->done_first;

		queue->done_first = slot->next;
		complete(queue, slot, 0, &completions[count++]);
	}
	return count;
}

static unsigned take_used(struct vio_client_queue *queue, struct vio_client_completion *completions,
			  unsigned max)
{
	const struct client_kind *kind = queue->client->kind;
	uint32_t written[CLIENT_BATCH];
	void *tokens[CLIENT_BATCH];
	unsigned count = 0, got;

	do {
		got = vio_drvq_get_many(queue->q, tokens, written,
					max - count < CLIENT_BATCH ? max - count : CLIENT_BATCH);
		for (unsigned i = 0; i < got; i++) {
			struct client_slot *slot = tokens[i];

			complete(queue, slot, kind->outcome(queue, slot, written[i]), &completions[count++]);
		}
	} while (got == CLIENT_BATCH && count < max);
	queue->completed += count;
	return count;
}

/*
 * Of a queue whose ring isn't looked at any more: what was in flight, once each. The back end may go on
 * with it, now or when nobody listens to it any more, so the memory of copies isn't used again.
 */
static unsigned take_dead(struct vio_client_queue *queue, struct vio_client_completion *completions,
			  unsigned max)
{
	unsigned count = 0;

	for (; count < max && queue->dead_next < queue->depth; queue->dead_next++) {
		struct client_slot *slot = &queue->slots[queue->dead_next];

		if (!slot->busy)
			continue;
		completions[count++] = (struct vio_client_completion){ slot->user_data, queue->dead_as };
		put_back(queue, slot);
	}
	return count;
}

static void die(struct vio_client_queue *queue, int code)
{
	if (queue->dead)
		return;
	queue->dead = true;
	queue->dead_as = code;
}

/* hostile: B29, a device that has something and says nothing, while there is one. */
static int judge_silence(struct vio_client_queue *queue)
{
	struct vio_client *client = queue->client;
	const unsigned patience_ms = client->options.request_ms;
	unsigned life = atomic_load_explicit(&client->lives, memory_order_relaxed);
	uint64_t now;

	if (!queue->in_flight || patience_ms == UINT_MAX)
		return 0;
	now = now_ns();
	if (!queue->silent_since_ns || queue->completed != queue->seen_completed ||
	    life != queue->seen_life || atomic_load_explicit(&client->reconnecting, memory_order_relaxed)) {
		queue->silent_since_ns = now;
		queue->seen_completed = queue->completed;
		queue->seen_life = life;
		return 0;
	}
	if (now - queue->silent_since_ns < patience_ms * NS_PER_MS)
		return 0;
	client_give_up(client, -VIO_EAGAIN, "queue %u: %u requests in flight, and no answer for %u ms",
		       queue->index, queue->in_flight, patience_ms);
	return -VIO_EHANGUP;
}

int client_judge(struct vio_client_queue *queue)
{
	struct vio_client *client = queue->client;
	int error = client_gone(client);
	const struct vio_drvq *broken = vio_drvq_broken(queue->q) ? queue->q : NULL;

	if (queue->receive && vio_drvq_broken(queue->receive))
		broken = queue->receive;
	if (broken) {
		client_give_up(client, -VIO_EPEER, "queue %u: the device broke its ring (%s)", broken->index,
			       vio_fault_name(broken->fault.kind));
		error = -VIO_EPEER;
	}
	if (!error && ++queue->empty_polls >= POLLS_A_LOOK) {
		queue->empty_polls = 0;
		error = judge_silence(queue);
	}
	if (error)
		die(queue, error);
	return error;
}

void client_disarm(struct vio_client_queue *queue)
{
	uint64_t count;

	if (!queue->armed)
		return;
	queue->armed = false;
	vio_drvq_disable_cb(queue->q);
	if (queue->receive)
		vio_drvq_disable_cb(queue->receive);
	if (read(queue->fd, &count, sizeof(count)) < 0)
		return; /* nobody said anything */
}

int vio_client_poll(struct vio_client_queue *queue, struct vio_client_completion *completions, unsigned max)
{
	unsigned count = 0;

	client_disarm(queue);
	if (!max)
		return 0;
	if (queue->done_first)
		count = take_own(queue, completions, max);
	if (!queue->dead && count < max)
		count += take_used(queue, completions + count, max - count);
	if (count)
		return (int)count;
	if (!queue->dead && !client_judge(queue))
		return 0;
	count = take_dead(queue, completions, max);
	return count ? (int)count : queue->dead_as;
}

/* Waiting. */

static bool pending(const struct vio_client_queue *queue)
{
	return queue->done_first || queue->dead || client_gone(queue->client) || vio_drvq_pending(queue->q) ||
	       (queue->receive && vio_drvq_pending(queue->receive));
}

bool vio_client_arm(struct vio_client_queue *queue)
{
	bool quiet;

	if (pending(queue))
		return false;
	queue->armed = true;
	queue->empty_polls = POLLS_A_LOOK; /* time will pass, look at the clock then */
	quiet = vio_drvq_enable_cb(queue->q);
	if (queue->receive)
		quiet = vio_drvq_enable_cb(queue->receive) && quiet;
	/* One that is gone by now may have said so before. */
	return quiet && !client_gone(queue->client);
}

static void sleep_on(struct vio_client_queue *queue, uint64_t ns)
{
	struct pollfd pollfd = { .fd = queue->fd, .events = POLLIN };
	const uint64_t most = queue->in_flight ? SLEEP_MOST_NS : IDLE_MOST_NS;
	struct timespec timeout;

	if (!vio_client_arm(queue))
		return;
	if (ns > most)
		ns = most;
	timeout = (struct timespec){ (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
	ppoll(&pollfd, 1, &timeout, NULL);
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Until there is something, or `until`. */
static void spin(struct vio_client_queue *queue, uint64_t until)
{
	while (now_ns() < until)
		for (unsigned i = 0; i < 16; i++) {
			if (pending(queue))
				return;
			relax();
		}
}

int vio_client_wait(struct vio_client_queue *queue, struct vio_client_completion *completions, unsigned max,
		    uint64_t timeout_ns)
{
	int count = vio_client_poll(queue, completions, max);
	uint64_t now, end;

	if (count || !max)
		return count;
	now = now_ns();
	end = timeout_ns && timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
	while (!count) {
		if (!queue->in_flight && !queue->receive)
			return 0;
		if (queue->client->options.poll_us)
			spin(queue, now + queue->client->options.poll_us * NS_PER_US);
		if (!pending(queue)) {
			if (now >= end)
				return 0;
			sleep_on(queue, end - now);
		}
		count = vio_client_poll(queue, completions, max);
		if (!count && queue->receive && vio_drvq_pending(queue->receive))
			return 0;
		now = now_ns();
	}
	return count;
}

unsigned vio_client_in_flight(const struct vio_client_queue *queue)
{
	return queue->in_flight;
}

int vio_client_queue_fd(const struct vio_client_queue *queue)
{
	return queue->fd;
}
