/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim/sim.h"

#include <string.h>

#define BATCH_MAX 8u

static void begin(struct sim *sim, enum sim_op op)
{
	sim->fibers[SIM_DRIVER].op = op;
}

static void end(struct sim *sim)
{
	sim->fibers[SIM_DRIVER].op = SIM_OTHER;
	if (vio_drvq_broken(&sim->drv)) {
		if (!sim->lies)
			sim_fail(sim, "%s: index %u, value %llu", vio_fault_name(sim->drv.fault.kind),
				 sim->drv.fault.index, (unsigned long long)sim->drv.fault.value);
		/* The liar goes on lying. */
		if (sim->config.hostile != SIM_DRIVER)
			sim->over = true;
	}
}

static void notify_device(void *context, struct vio_drvq *q)
{
	struct sim *sim = context;

	SIM_CHECK(sim, q == &sim->drv);
	sim_wake(sim, SIM_DEVICE);
}

void sim_driver_start(struct sim *sim)
{
	const struct sim_config *c = &sim->config;
	struct vio_drvq_config config = {
		.index = 3,
		.size = (uint16_t)c->size,
		.features = sim->features,
		.ring = { test_memory_at(&sim->memory, SIM_RING), vio_addr_make(SIM_RING) },
		.storage = sim->drv_storage,
		.indirect_max = c->indirect ? SIM_INDIRECT_MAX : 0,
		.context = sim,
		.notify_device = notify_device,
	};

	if (c->indirect)
		config.indirect = (struct vio_shared){ test_memory_at(&sim->memory, SIM_TABLES),
						       vio_addr_make(SIM_TABLES) };
	SIM_CHECK(sim, vio_drvq_start(&sim->drv, &config) == 0);
}

static uint64_t element_addr(const struct sim *sim, const struct sim_out *out, unsigned element)
{
	return SIM_DATA + (uint64_t)(out - sim->outs) * SIM_SLAB_BYTES +
	       (uint64_t)element * SIM_ELEMENT_BYTES;
}

static void shape(struct sim *sim, struct sim_out *out, struct vio_sg *sg)
{
	unsigned most = sim->config.size < SIM_ELEMENTS_MAX ? sim->config.size : SIM_ELEMENTS_MAX;
	unsigned count = 1 + sim_below(sim, sim_below(sim, 3) ? (most < 2 ? most : 2) : most), i;
	uint8_t bytes[SIM_ELEMENT_BYTES];
	uint64_t dice;
	uint32_t at;

	out->readable = sim_below(sim, count + 1);
	out->writable = count - out->readable;
	out->writable_bytes = 0;
	out->payload = SIM_HASH_BEGIN;
	for (i = 0; i < count; i++) {
		uint32_t length = 1 + sim_below(sim, SIM_ELEMENT_BYTES);

		out->length[i] = length;
		sg[i] = (struct vio_sg){ vio_addr_make(element_addr(sim, out, i)), length };
		dice = test_random(&sim->random);
		for (at = 0; at < length; at++)
			bytes[at] = i < out->readable ? (uint8_t)(dice >> at % 8 * 8) : 0xee;
		test_memory_put(&sim->memory, element_addr(sim, out, i), bytes, length);
		if (i < out->readable && !sim->lies) { /* its first byte may come late */
			uint8_t *first = test_memory_at(&sim->memory, element_addr(sim, out, i));

			*first = 0xdd;
			sim_store(sim, first, bytes, 1);
		}
		if (i < out->readable)
			out->payload = sim_hash(out->payload, bytes, length);
		else
			out->writable_bytes += length;
	}
}

static struct sim_out *free_out(struct sim *sim)
{
	unsigned first = sim_below(sim, SIM_OUTS), i;

	for (i = 0; i < SIM_OUTS; i++)
		if (!sim->outs[(first + i) % SIM_OUTS].busy)
			return &sim->outs[(first + i) % SIM_OUTS];
	return NULL;
}

/* Up to `count` buffers, one at a time or all at once. */
static void add_some(struct sim *sim, unsigned count)
{
	struct vio_sg sg[BATCH_MAX][SIM_ELEMENTS_MAX];
	struct vio_drvq_buffer buffers[BATCH_MAX];
	unsigned prepared, i;
	int added = 0;

	for (prepared = 0; prepared < count && sim->added + prepared < sim->target; prepared++) {
		struct sim_out *out = free_out(sim);

		if (!out)
			break;
		shape(sim, out, sg[prepared]);
		out->busy = true;
		buffers[prepared] =
			(struct vio_drvq_buffer){ sg[prepared], out->readable, out->writable, out };
	}
	begin(sim, SIM_ADD);
	if (sim_below(sim, 2)) {
		if (prepared)
			added = vio_drvq_add_many(&sim->drv, buffers, prepared);
	} else {
		int result = 0;

		while ((unsigned)added < prepared) {
			const struct vio_drvq_buffer *b = &buffers[added];

			result = vio_drvq_add(&sim->drv, b->sg, b->readable, b->writable, b->token);
			if (result < 0)
				break;
			added++;
		}
		if (!added && result < 0)
			added = result;
	}
	end(sim);
	SIM_CHECK(sim, added >= 0 || sim->lies || (added == -VIO_ENOSPC && sim->added != sim->returned));
	if (added < (int)prepared)
		sim_drain(sim, SIM_DRIVER); /* of what didn't go out nothing may come late */
	for (i = added < 0 ? 0 : (unsigned)added; i < prepared; i++)
		((struct sim_out *)buffers[i].token)->busy = false;
	for (i = 0; added > 0 && i < (unsigned)added; i++)
		sim->order[(sim->added + i) % SIM_OUTS] =
			(uint64_t)((struct sim_out *)buffers[i].token - sim->outs);
	sim->added += added < 0 ? 0 : (unsigned)added;
}

static void kick(struct sim *sim)
{
	begin(sim, SIM_KICK);
	if (sim_below(sim, 2)) {
		vio_drvq_kick(&sim->drv);
	} else if (vio_drvq_kick_prepare(&sim->drv)) {
		sim_step(sim); /* a lock is left here */
		vio_drvq_notify(&sim->drv);
	}
	end(sim);
}

static void check_bytes(struct sim *sim, const struct sim_out *out, uint32_t written)
{
	uint32_t at = 0, byte, answered = sim_answer_length(out->payload, out->writable_bytes);
	uint64_t payload = SIM_HASH_BEGIN;
	uint8_t bytes[SIM_ELEMENT_BYTES];
	unsigned i;

	/* Of the buffers of a batch that one used element gave back, only the last one's length is told. */
	if (!sim->config.in_order || written != out->writable_bytes)
		SIM_CHECK(sim, written == answered);
	for (i = 0; i < out->readable + out->writable; i++) {
		test_memory_get(&sim->memory, element_addr(sim, out, i), bytes, out->length[i]);
		if (i < out->readable) {
			payload = sim_hash(payload, bytes, out->length[i]);
			continue;
		}
		for (byte = 0; byte < out->length[i]; byte++, at++)
			SIM_CHECK(sim, bytes[byte] == (at < answered ? sim_answer_byte(payload, at) : 0xee));
	}
	SIM_CHECK(sim, payload == out->payload);
}

static void came_back(struct sim *sim, void *token, uint32_t written, bool used)
{
	struct sim_out *out = token;

	SIM_CHECK(sim, out >= sim->outs && out < sim->outs + SIM_OUTS && out->busy);
	SIM_CHECK(sim, written <= out->writable_bytes);
	if (sim->config.in_order && used)
		SIM_CHECK(sim, out == &sim->outs[sim->order[sim->returned % SIM_OUTS]]);
	if (used && !sim->lies)
		check_bytes(sim, out, written);
	out->busy = false;
	sim->returned++;
	sim->idle = 0;
}

/* True when there is nothing and, with callbacks on, the device was asked to interrupt. */
static bool get_some(struct sim *sim, unsigned most)
{
	uint32_t written[BATCH_MAX];
	void *tokens[BATCH_MAX];
	unsigned got, i, way = sim_below(sim, 4);

	if (way == 0) {
		begin(sim, SIM_GET);
		got = vio_drvq_get_many(&sim->drv, tokens, written, BATCH_MAX);
		for (i = 0; i < got; i++)
			came_back(sim, tokens[i], written[i], true);
		end(sim);
		return got < BATCH_MAX;
	}
	while (most--) {
		void *token;

		begin(sim, SIM_GET);
		token = way == 1 ? vio_drvq_poll(&sim->drv, written, 1 + sim_below(sim, 3))
				 : vio_drvq_get(&sim->drv, written);
		end(sim);
		if (!token)
			return way != 1;
		came_back(sim, token, written[0], true);
	}
	return false;
}

/* Falls asleep by one of the ways that a driver has; not every attempt ends in sleep. */
static void rest(struct sim *sim, bool *callbacks)
{
	bool sleep = false;

	if (sim->added == sim->returned)
		return;
	kick(sim);
	switch (sim_below(sim, 4)) {
	case 0:
		begin(sim, SIM_ENABLE);
		sleep = vio_drvq_enable_cb(&sim->drv);
		*callbacks = true;
		end(sim);
		break;
	case 1:
		begin(sim, SIM_ENABLE);
		sleep = vio_drvq_enable_cb_delayed(&sim->drv);
		*callbacks = true;
		end(sim);
		break;
	case 2:
		sleep = *callbacks && get_some(sim, UINT32_MAX) && sim->added != sim->returned;
		break;
	default:
		break;
	}
	if (sleep)
		sim_sleep(sim);
}

/* Both sides drop what they have, and begin anew. */
static void reset(struct sim *sim)
{
	sim->life = SIM_RESET_WANTED;
	sim_wake(sim, SIM_DEVICE);
	while (sim->life != SIM_RESET_DONE)
		sim_step(sim);
	sim_drain(sim, SIM_DRIVER);
	if (sim_below(sim, 2))
		get_some(sim, UINT32_MAX);
	sim_drain(sim, SIM_DRIVER);
	sim_driver_take_back(sim);
	sim_driver_start(sim);
	sim_drain(sim, SIM_DRIVER);
	sim->life = SIM_RESTARTED;
}

void sim_driver_take_back(struct sim *sim)
{
	unsigned left = sim->added - sim->returned;
	void *token;

	while ((token = vio_drvq_detach_unused(&sim->drv)) != NULL) {
		SIM_CHECK(sim, left-- > 0);
		came_back(sim, token, 0, false);
	}
	SIM_CHECK(sim, sim->added == sim->returned);
	SIM_CHECK(sim, sim->drv.in_flight == 0);
}

void sim_driver(struct sim *sim)
{
	bool callbacks = true;

	while (sim->returned < sim->target && !sim->over) {
		sim_step(sim);
		switch (sim_below(sim, 8)) {
		case 0:
		case 1:
		case 2:
			add_some(sim, 1 + sim_below(sim, BATCH_MAX));
			if (sim_below(sim, 4))
				kick(sim);
			break;
		case 3:
			get_some(sim, 1 + sim_below(sim, BATCH_MAX));
			break;
		case 4:
			begin(sim, SIM_ENABLE);
			vio_drvq_disable_cb(&sim->drv);
			callbacks = false;
			end(sim);
			break;
		case 5:
			if (!sim->lies && !sim_below(sim, 64) && sim->life == SIM_RUNS) {
				reset(sim);
				callbacks = true;
			}
			break;
		default:
			rest(sim, &callbacks);
			break;
		}
	}
	if (sim->lies)
		return;
	SIM_CHECK(sim, vio_drvq_get(&sim->drv, NULL) == NULL);
	SIM_CHECK(sim, vio_drvq_detach_unused(&sim->drv) == NULL);
	SIM_CHECK(sim, sim->drv.in_flight == 0);
}
