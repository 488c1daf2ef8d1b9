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

/* Limits. */

static void bucket_spend(struct vio_block_bucket *bucket, uint64_t now_ns, uint64_t amount)
{
	const uint64_t least_ns = now_ns > BURST_NS ? now_ns - BURST_NS : 0;
	uint64_t cost_ns;

	if (!bucket->rate)
		return;
	if (bucket->empty_ns < least_ns)
		bucket->empty_ns = least_ns;
	/* Whole seconds first, so that no product is too large; the rest rounded up: nothing is free. */
	cost_ns = amount / bucket->rate * NS_PER_S;
	cost_ns += (amount % bucket->rate * NS_PER_S + bucket->rate - 1) / bucket->rate;
	bucket->empty_ns += cost_ns;
}

/* How long it stays in debt, in ns. */
static uint64_t bucket_debt(const struct vio_block_bucket *bucket, uint64_t now_ns)
{
	return bucket->rate && bucket->empty_ns > now_ns ? bucket->empty_ns - now_ns : 0;
}

/* How many of cost 1 until it is in debt; at least one, as it isn't. */
static uint64_t bucket_room(const struct vio_block_bucket *bucket, uint64_t now_ns)
{
	const uint64_t least_ns = now_ns > BURST_NS ? now_ns - BURST_NS : 0;
	const uint64_t empty_ns = bucket->empty_ns < least_ns ? least_ns : bucket->empty_ns;
	const uint64_t each_ns = (NS_PER_S + bucket->rate - 1) / bucket->rate;

	return (now_ns - empty_ns) / each_ns + 1;
}

unsigned vio_block_meter_allows(struct vio_device *dev, struct vio_block_lane *lane, unsigned max)
{
	struct vio_block_requests *blk = vio_device_state(dev);
	const struct vio_block_meter *meter = &blk->meter;
	const uint64_t now_ns = meter->now_ns(meter->context);
	const uint64_t requests_ns = bucket_debt(&blk->requests, now_ns);
	const uint64_t bytes_ns = bucket_debt(&blk->bytes, now_ns);
	uint64_t wait_ns = requests_ns > bytes_ns ? requests_ns : bytes_ns;

	lane->waiting = wait_ns != 0;
	if (wait_ns) {
		meter->wake(meter->context, wait_ns > WAIT_MIN_NS ? wait_ns : WAIT_MIN_NS);
		return 0;
	}
	if (blk->bytes.rate)
		return 1;
	return bucket_room(&blk->requests, now_ns) < max ? (unsigned)bucket_room(&blk->requests, now_ns)
							 : max;
}

/* Whoever was first the last time is last now, so that a limit is shared by all that have something to do. */
void vio_block_requests_resume(struct vio_device *dev)
{
	struct vio_block_requests *blk = vio_device_state(dev);

	if (blk->turn >= dev->queue_count)
		blk->turn = 0;
	for (uint16_t i = 0; i < dev->queue_count; i++) {
		const uint16_t queue = (uint16_t)((blk->turn + i) % dev->queue_count);

		if (!blk->lanes[queue].waiting)
			continue;
		blk->lanes[queue].waiting = false;
		vio_device_kick(dev, queue);
	}
	blk->turn++;
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
	vio_block_requests_resume(dev);
}

/* Counting. */

void vio_block_meter_begin(struct vio_block_requests *blk, struct vio_block_lane *lane, unsigned count)
{
	lane->now_ns = blk->meter.now_ns(blk->meter.context);
	bucket_spend(&blk->requests, lane->now_ns, count);
}

void vio_block_meter_bytes(struct vio_block_requests *blk, struct vio_block_lane *lane, uint64_t bytes)
{
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
