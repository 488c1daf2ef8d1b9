/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/block_requests.h"

/*
 * Counting what a block device does, and keeping it to a rate. A limit is a bucket that may go into
 * debt by one batch's last request: as nobody knows how large a request is before it is taken, one is
 * taken when there is no debt, and what it costs keeps back those that follow.
 */
#define NS_PER_S    UINT64_C(1000000000)
#define BURST_NS    (NS_PER_S / 10)
#define WAIT_MIN_NS UINT64_C(1000000)

void vio_block_requests_meter(struct vio_device *dev, const struct vio_block_meter *meter)
{
	struct vio_block_requests *blk = vio_device_state(dev);

	blk->meter = *meter;
}

/*
 * Limits. Several threads may keep them together, so the time is moved by compare and exchange; nothing else
 * hangs on it, so that its order among other accesses is of no account.
 */

static uint64_t bucket_cost_ns(const struct vio_block_bucket *bucket, uint64_t amount)
{
	/* Whole seconds first, so that no product is too large; the rest rounded up: nothing is free. */
	return amount / bucket->rate * NS_PER_S +
	       (amount % bucket->rate * NS_PER_S + bucket->rate - 1) / bucket->rate;
}

/* Since when it fills, as far as that counts. */
static uint64_t bucket_since(uint64_t empty_ns, uint64_t now_ns)
{
	const uint64_t least_ns = now_ns > BURST_NS ? now_ns - BURST_NS : 0;

	return empty_ns < least_ns ? least_ns : empty_ns;
}

static bool bucket_move(struct vio_block_bucket *bucket, uint64_t *from_ns, uint64_t to_ns)
{
	return __atomic_compare_exchange_n(&bucket->empty_ns, from_ns, to_ns, true, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

/* Of what there is, and into debt. */
static void bucket_spend(struct vio_block_bucket *bucket, uint64_t now_ns, uint64_t amount)
{
	const uint64_t cost_ns = bucket_cost_ns(bucket, amount);
	uint64_t empty_ns = __atomic_load_n(&bucket->empty_ns, __ATOMIC_RELAXED);

	while (!bucket_move(bucket, &empty_ns, bucket_since(empty_ns, now_ns) + cost_ns))
		;
}

/* How long it stays in debt, in ns. */
static uint64_t bucket_debt(const struct vio_block_bucket *bucket, uint64_t now_ns)
{
	const uint64_t empty_ns = __atomic_load_n(&bucket->empty_ns, __ATOMIC_RELAXED);

	return bucket->rate && empty_ns > now_ns ? empty_ns - now_ns : 0;
}

/* Spends on so many of cost 1 as it takes to be in debt, but at most `max`; 0 when it is in debt. */
static unsigned bucket_reserve(struct vio_block_bucket *bucket, uint64_t now_ns, unsigned max)
{
	const uint64_t each_ns = bucket_cost_ns(bucket, 1);
	uint64_t empty_ns = __atomic_load_n(&bucket->empty_ns, __ATOMIC_RELAXED);
	uint64_t since_ns, room;

	do {
		since_ns = bucket_since(empty_ns, now_ns);
		if (since_ns > now_ns)
			return 0;
		room = (now_ns - since_ns) / each_ns + 1;
		if (room > max)
			room = max;
	} while (!bucket_move(bucket, &empty_ns, since_ns + bucket_cost_ns(bucket, room)));
	return (unsigned)room;
}

/* Who had the last of it lets others come first: all wait for the same moment. */
static void wait_for_debt(struct vio_block_requests *blk, struct vio_block_lane *lane, uint64_t wait_ns)
{
	if (wait_ns < WAIT_MIN_NS)
		wait_ns = WAIT_MIN_NS;
	if (blk->spread && __atomic_load_n(&blk->last, __ATOMIC_RELAXED) == lane->block)
		wait_ns += WAIT_MIN_NS;
	lane->waiting = true;
	blk->meter.wake(blk->meter.context, lane->block, wait_ns);
}

unsigned vio_block_meter_allows(struct vio_device *dev, struct vio_block_lane *lane, unsigned max)
{
	struct vio_block_requests *blk = vio_device_state(dev);
	const uint64_t now_ns = blk->meter.now_ns(blk->meter.context);
	uint64_t wait_ns = bucket_debt(&blk->bytes, now_ns);
	unsigned count = blk->bytes.rate ? 1 : max;

	lane->waiting = false;
	if (!wait_ns && blk->requests.rate) {
		count = bucket_reserve(&blk->requests, now_ns, count);
		lane->reserved = (uint16_t)count;
	}
	if (wait_ns || !count) {
		const uint64_t requests_ns = bucket_debt(&blk->requests, now_ns);

		wait_for_debt(blk, lane, wait_ns > requests_ns ? wait_ns : requests_ns);
		return 0;
	}
	return count;
}

/* The first of the queues that this block serves; NULL: of all. */
static uint16_t first_queue(const struct vio_device *dev, const struct vio_block *block)
{
	const struct vio_block_requests *blk = vio_device_state(dev);
	uint16_t queue = 0;

	while (block && queue + 1u < dev->queue_count && blk->lanes[queue].block != block)
		queue++;
	return queue;
}

/* Whoever was first the last time is last now, so that a limit is shared by all that have something to do. */
void vio_block_requests_resume(struct vio_device *dev, const struct vio_block *block)
{
	struct vio_block_requests *blk = vio_device_state(dev);
	uint16_t *turn = &blk->lanes[first_queue(dev, block)].turn;

	if (*turn >= dev->queue_count)
		*turn = 0;
	for (uint16_t i = 0; i < dev->queue_count; i++) {
		const uint16_t queue = (uint16_t)((*turn + i) % dev->queue_count);
		struct vio_block_lane *lane = &blk->lanes[queue];

		if ((block && lane->block != block) || !lane->waiting)
			continue;
		lane->waiting = false;
		if (!blk->spread)
			vio_device_kick(dev, queue);
		else if (dev->events) /* a fault is not for this thread to settle */
			dev->events->kick_again(dev->events_context, queue);
	}
	++*turn;
}

/*
 * What was borrowed at the rate before is forgiven: a debt is kept as a time, which at the new rate would
 * be another amount. Nothing is given either, so that changing it often is no way around it.
 */
static void bucket_forgive(struct vio_block_bucket *bucket, uint64_t now_ns)
{
	if (bucket->empty_ns > now_ns)
		bucket->empty_ns = now_ns;
}

void vio_block_requests_property_changed(struct vio_device *dev, const struct vio_property *property)
{
	struct vio_block_requests *blk = vio_device_state(dev);
	const struct vio_block_meter *meter = &blk->meter;

	if (!meter->now_ns)
		return;
	if (property->offset == offsetof(struct vio_block_requests, requests.rate))
		bucket_forgive(&blk->requests, meter->now_ns(meter->context));
	else if (property->offset == offsetof(struct vio_block_requests, bytes.rate))
		bucket_forgive(&blk->bytes, meter->now_ns(meter->context));
	else
		return;
	/* The wake that was asked for may be far away; who has to wait still asks for another. */
	vio_block_requests_resume(dev, NULL);
}

/* Counting. */

void vio_block_meter_begin(struct vio_block_requests *blk, struct vio_block_lane *lane, unsigned count)
{
	lane->now_ns = blk->meter.now_ns(blk->meter.context);
	if (!lane->reserved)
		return;
	if (count)
		__atomic_store_n(&blk->last, lane->block, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&blk->requests.empty_ns,
			   bucket_cost_ns(&blk->requests, lane->reserved) -
				   bucket_cost_ns(&blk->requests, count),
			   __ATOMIC_RELAXED);
	lane->reserved = 0;
}

void vio_block_meter_bytes(struct vio_block_requests *blk, struct vio_block_lane *lane, uint64_t bytes)
{
	__atomic_store_n(&blk->last, lane->block, __ATOMIC_RELAXED);
	bucket_spend(&blk->bytes, lane->now_ns, bytes);
}

static unsigned log2_of(uint64_t value)
{
	unsigned exponent = 0;

	for (unsigned step = 32; step; step /= 2) {
		if (value >> step) {
			value >>= step;
			exponent += step;
		}
	}
	return exponent;
}

static void count_latency(struct vio_block_counters *counters, unsigned kind, uint64_t ns, unsigned count)
{
	const unsigned bucket = log2_of(ns);

	counters->total_ns[kind] += ns * count;
	counters->latencies[kind][bucket < VIO_BLOCK_LATENCIES ? bucket : VIO_BLOCK_LATENCIES - 1] += count;
}

void vio_block_meter_done(struct vio_block_requests *blk, const struct vio_block_request_state *request,
			  bool failed)
{
	const uint16_t queue = request->q->index;
	struct vio_block_counters *counters = &blk->meter.counters[queue];
	struct vio_block_lane *lane = &blk->lanes[queue];
	const unsigned kind = request->kind;

	counters->requests[kind]++;
	counters->errors[kind] += failed;
	counters->bytes[kind] += failed ? 0 : request->bytes;
	if (lane->batched && request->begun_ns == lane->now_ns)
		lane->done[kind]++;
	else
		count_latency(counters, kind, blk->meter.now_ns(blk->meter.context) - request->begun_ns, 1);
}

void vio_block_meter_end(struct vio_block_requests *blk, struct vio_block_lane *lane, uint16_t queue)
{
	uint64_t ns = 0;

	for (unsigned kind = 0; kind < VIO_BLOCK_KINDS; kind++) {
		if (!lane->done[kind])
			continue;
		if (!ns)
			ns = blk->meter.now_ns(blk->meter.context) - lane->now_ns;
		count_latency(&blk->meter.counters[queue], kind, ns, lane->done[kind]);
		lane->done[kind] = 0;
	}
}
