/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim/sim.h"

#include <string.h>

static void begin(struct sim *sim, enum sim_op op)
{
	sim->fibers[SIM_DEVICE].op = op;
}

static void end(struct sim *sim)
{
	sim->fibers[SIM_DEVICE].op = SIM_OTHER;
	if (vio_devq_broken(&sim->dev)) {
		if (!sim->lies)
			sim_fail(sim, "%s: index %u, value %llu", vio_fault_name(sim->dev.fault.kind),
				 sim->dev.fault.index, (unsigned long long)sim->dev.fault.value);
		/* The liar goes on lying. */
		if (sim->config.hostile != SIM_DEVICE)
			sim->over = true;
	}
}

struct vio_devq_position sim_position(const struct sim *sim)
{
	if (sim->config.packed)
		return (struct vio_devq_position){ PVIRTQ_WRAP, PVIRTQ_WRAP };
	return (struct vio_devq_position){ 0, 0 };
}

void sim_device_start(struct sim *sim, struct vio_devq_position at)
{
	struct vio_devq_config config = {
		.size = (uint16_t)sim->config.size,
		.at = at,
		.descriptor_area = vio_drvq_descriptor_area(&sim->drv),
		.driver_area = vio_drvq_driver_area(&sim->drv),
		.device_area = vio_drvq_device_area(&sim->drv),
		.features = sim->features,
	};

	SIM_CHECK(sim, vio_devq_start(&sim->dev, &sim->memory.mem, &config) == 0);
}

static void check_taken(struct sim *sim, const struct vio_buf *buf)
{
	unsigned i;

	SIM_CHECK(sim, !buf->truncated);
	for (i = 0; i < buf->readable_count; i++)
		SIM_CHECK(sim, test_memory_owns(&sim->memory, buf->readable[i].host, buf->readable[i].length,
						VIO_MEM_READ));
	for (i = 0; i < buf->writable_count; i++)
		SIM_CHECK(sim, test_memory_owns(&sim->memory, buf->writable[i].host, buf->writable[i].length,
						VIO_MEM_WRITE));
	for (i = 0; i < sim->held_count; i++) {
		SIM_CHECK(sim, sim->held[i].slot != buf->slot);
		SIM_CHECK(sim, sim->held[i].head != buf->head);
	}
}

/* Takes some; true when there was no more and the driver knows that it has to kick. */
static bool pop_some(struct sim *sim)
{
	unsigned most = 1 + sim_below(sim, sim->config.size), way = sim_below(sim, 8), got = 0;
	struct vio_buf buf[SIM_SIZE_MAX];

	if (most > SIM_SIZE_MAX - sim->held_count)
		most = SIM_SIZE_MAX - sim->held_count;
	if (!way)
		vio_devq_set_budget(&sim->dev, sim_below(sim, 4));
	begin(sim, SIM_POP);
	if (way & 1) {
		unsigned i;

		got = vio_devq_pop_many(&sim->dev, buf, most);
		SIM_CHECK(sim, got <= most);
		for (i = 0; i < got; i++) {
			check_taken(sim, &buf[i]);
			sim->held[sim->held_count++] = buf[i];
		}
	} else {
		while (got < most && vio_devq_pop(&sim->dev, &buf[0])) {
			check_taken(sim, &buf[0]);
			sim->held[sim->held_count++] = buf[0];
			got++;
		}
	}
	end(sim);
	if (got && !sim_below(sim, 16)) {
		vio_devq_unpop(&sim->dev, &sim->held[--sim->held_count]);
		vio_devq_set_budget(&sim->dev, VIO_DEVQ_NO_BUDGET);
		return false;
	}
	if (vio_devq_exhausted(&sim->dev)) {
		vio_devq_set_budget(&sim->dev, VIO_DEVQ_NO_BUDGET);
		return false;
	}
	vio_devq_set_budget(&sim->dev, VIO_DEVQ_NO_BUDGET);
	return most && (way & 1 ? !got : got < most);
}

static uint32_t answer(struct sim *sim, struct vio_buf *buf)
{
	uint64_t payload = SIM_HASH_BEGIN;
	uint8_t bytes[SIM_SLAB_BYTES];
	uint8_t *first = buf->writable_count ? buf->writable->host : NULL;
	uint32_t length, at;
	size_t piece;

	while ((piece = vio_read(buf, bytes, sizeof(bytes))) > 0 && !sim->lies)
		payload = sim_hash(payload, bytes, piece);
	if (sim->lies)
		return (uint32_t)vio_write(buf, bytes, sim_below(sim, sizeof(bytes)));
	length = sim_answer_length(payload, (uint32_t)buf->writable_bytes);
	for (at = 0; at < length; at++)
		bytes[at] = sim_answer_byte(payload, at);
	SIM_CHECK(sim, vio_write(buf, bytes, length) == length);
	if (length) { /* its first byte may come late */
		*first = 0xdd;
		sim_store(sim, first, bytes, 1);
	}
	return length;
}

static void push_some(struct sim *sim)
{
	struct vio_buf buffers[SIM_SIZE_MAX];
	uint32_t written[SIM_SIZE_MAX];
	unsigned count = sim_below(sim, sim->held_count + 1), i;
	bool many = sim_below(sim, 2);

	for (i = 0; i < count; i++) {
		unsigned which = sim_below(sim, sim->held_count);

		buffers[i] = sim->held[which];
		sim->held_count--;
		memmove(&sim->held[which], &sim->held[which + 1],
			(sim->held_count - which) * sizeof(sim->held[0]));
		written[i] = answer(sim, &buffers[i]);
		begin(sim, SIM_PUSH);
		if (!many)
			vio_devq_push(&sim->dev, &buffers[i], written[i]);
		end(sim);
	}
	begin(sim, SIM_PUSH);
	if (many)
		vio_devq_push_many(&sim->dev, buffers, written, count);
	end(sim);
}

static void notify(struct sim *sim)
{
	begin(sim, SIM_NOTIFY);
	vio_devq_notify(&sim->dev);
	end(sim);
}

/* The driver resets the queue: what is held is dropped, and coming too late does nothing. */
static void follow_reset(struct sim *sim)
{
	struct vio_buf late[SIM_SIZE_MAX];
	unsigned count = sim->held_count, i;

	memcpy(late, sim->held, sizeof(late));
	sim->held_count = 0;
	if (sim_below(sim, 2))
		notify(sim);
	sim_drain(sim, SIM_DEVICE);
	vio_devq_stop(&sim->dev);
	sim->life = SIM_RESET_DONE;
	while (sim->life != SIM_RESTARTED)
		sim_step(sim);
	sim_device_start(sim, sim_position(sim));
	for (i = 0; i < count; i++)
		vio_devq_push(&sim->dev, &late[i], 1);
	SIM_CHECK(sim, sim->dev.in_flight == 0);
	sim->life = SIM_RUNS;
}

/* As a device does when it is moved to another host with nothing in its hands. */
static void stop_and_go_on(struct sim *sim)
{
	notify(sim);
	sim_drain(sim, SIM_DEVICE);
	sim_device_start(sim, vio_devq_stop(&sim->dev));
}

/* Sleeps if it may: with nothing in its hands and everything told. */
static void rest(struct sim *sim, bool asked, bool *polling)
{
	notify(sim);
	if (!asked && sim_below(sim, 2)) {
		begin(sim, SIM_ENABLE);
		asked = vio_devq_enable_kick(&sim->dev);
		*polling = false;
		end(sim);
	}
	if (asked)
		sim_sleep(sim);
}

void sim_device(struct sim *sim)
{
	bool polling = false, asked;

	while (!sim->fibers[SIM_DRIVER].done && !sim->over) {
		sim_step(sim);
		if (sim->life == SIM_RESET_WANTED) {
			follow_reset(sim);
			polling = false;
		}
		if (!sim_below(sim, 32)) {
			begin(sim, SIM_ENABLE);
			polling = sim_below(sim, 2);
			if (polling)
				vio_devq_disable_kick(&sim->dev);
			else
				vio_devq_enable_kick(&sim->dev);
			end(sim);
		}
		asked = pop_some(sim) && !polling;
		if (sim_below(sim, 4))
			push_some(sim);
		if (sim_below(sim, 2))
			notify(sim);
		if (!sim->held_count && sim->life == SIM_RUNS) {
			if (!sim_below(sim, 32)) {
				stop_and_go_on(sim);
				polling = false;
				continue;
			}
			rest(sim, asked, &polling);
		}
	}
	SIM_CHECK(sim, sim->lies || sim->held_count == 0);
	SIM_CHECK(sim, sim->lies || sim->dev.in_flight == 0);
}
