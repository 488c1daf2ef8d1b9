/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim/sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hook.h"

#define STACK_BYTES 0x40000u
#define IDLE_MAX    60000u
#define LIES_MAX    3000u /* steps of a run with a hostile twin */

struct test_hook test_hook;

unsigned sim_below(struct sim *sim, unsigned count)
{
	return test_random_below(&sim->random, count);
}

static struct sim_fiber *me(struct sim *sim)
{
	return &sim->fibers[sim->current];
}

void sim_finish(struct sim *sim)
{
	enum sim_role role = sim->current;

	sim->current = SIM_NOBODY;
	swapcontext(&sim->fibers[role].context, &sim->main);
	abort(); /* nobody comes back to a run that ended */
}

void sim_fail(struct sim *sim, const char *format, ...)
{
	const struct sim_config *config = &sim->config;
	va_list arguments;

	if (!sim->failed && !config->quiet) {
		fprintf(stderr, "sim: step %llu, %s: ", (unsigned long long)sim->steps,
			sim->current == SIM_DRIVER   ? "driver"
			: sim->current == SIM_DEVICE ? "device"
						     : "after the run");
		va_start(arguments, format);
		vfprintf(stderr, format, arguments);
		va_end(arguments);
		fprintf(stderr,
			"\n     size %u, indirect %d, event_idx %d, in_order %d, hostile %d; %u added, "
			"%u back, device holds %u, driver %s, device %s\n"
			"     again: --format %s --seed %llu --runs 1%s%s\n",
			config->size, config->indirect, config->event_idx, config->in_order, config->hostile,
			sim->added, sim->returned, sim->held_count,
			sim->fibers[0].asleep ? "asleep" : "awake",
			sim->fibers[1].asleep ? "asleep" : "awake", config->packed ? "packed" : "split",
			(unsigned long long)config->seed, config->plant ? " --plant " : "",
			config->plant ? config->plant->name : "");
	}
	sim->failed = true;
	if (sim->current != SIM_NOBODY)
		sim_finish(sim);
}

static bool overlaps(const struct sim_store *a, const uint8_t *address, size_t size)
{
	return a->address < address + size && address < a->address + a->size;
}

/* Lets store `index` of a role reach memory. */
static void drain_one(struct sim_fiber *fiber, unsigned index)
{
	const struct sim_store *store = &fiber->stores[index];

	memcpy(store->address, store->bytes, store->size);
	fiber->store_count--;
	memmove(&fiber->stores[index], &fiber->stores[index + 1],
		(fiber->store_count - index) * sizeof(*fiber->stores));
}

void sim_drain(struct sim *sim, enum sim_role role)
{
	while (sim->fibers[role].store_count)
		drain_one(&sim->fibers[role], 0);
}

/* One store of a role, any that needn't wait for an earlier one. */
static void drain_any(struct sim *sim, struct sim_fiber *fiber)
{
	unsigned index = sim_below(sim, fiber->store_count), i;
	const struct sim_store *store = &fiber->stores[index];

	for (i = 0; i < index; i++)
		if (store->release || overlaps(&fiber->stores[i], store->address, store->size))
			index = 0;
	drain_one(fiber, index);
}

static void go_to(struct sim *sim, enum sim_role role)
{
	struct sim_fiber *from = me(sim);

	sim->current = role;
	swapcontext(&from->context, &sim->fibers[role].context);
}

static bool can_run(const struct sim *sim, const struct sim_fiber *fiber)
{
	return !fiber->done && (!fiber->asleep || fiber->woken || sim->over);
}

/* Somewhere in the ring or a table, a word of some kind. */
static void write_garbage(struct sim *sim)
{
	static const uint16_t words[] = { 0,      1,      2,      3,      4,      5,      7,      8,
					  16,     32,     0x80,   0x8000, 0x8080, 0x7fff, 0xffff, 0x8001,
					  0x0081, 0x0082, 0x8002, 0x8082, 0x0084, 0x8084 };
	bool table = sim->config.indirect > 0 && !sim_below(sim, 6);
	uint64_t bytes = table ? vio_drvq_indirect_bytes((uint16_t)sim->config.size, SIM_INDIRECT_MAX)
			       : sim->ring_bytes;
	uint64_t offset = sim_below(sim, (unsigned)bytes / 2) * 2;
	uint16_t word = words[sim_below(sim, VIO_ARRAY_SIZE(words))];
	uint8_t *at;

	at = test_memory_at(&sim->memory, (table ? SIM_TABLES : SIM_RING) + offset);
	switch (sim_below(sim, 4)) {
	case 0:
		word = (uint16_t)test_random(&sim->random);
		break;
	case 1:
		memcpy(&word, at, 2);
		word = (uint16_t)(word + (sim_below(sim, 2) ? 1 : -1));
		break;
	case 2:
		memcpy(&word, at, 2);
		word ^= (uint16_t)(1u << sim_below(sim, 16));
		break;
	}
	memcpy(at, &word, 2);
}

void sim_step(struct sim *sim)
{
	uint64_t dice = test_random(&sim->random);
	enum sim_role other = sim->current == SIM_DRIVER ? SIM_DEVICE : SIM_DRIVER;
	struct sim_fiber *drained = &sim->fibers[dice & 1];

	sim->steps++;
	if (sim->lies) {
		if (sim->steps > LIES_MAX)
			sim->over = true;
		if (sim->steps > LIES_MAX + IDLE_MAX)
			sim_fail(sim, "a call that doesn't end");
		if (!(dice >> 40 & 31))
			write_garbage(sim);
	} else if (++sim->idle > IDLE_MAX) {
		sim_fail(sim, "nothing came back for %u steps", sim->idle);
	}
	if (drained->store_count && !(dice >> 1 & sim->drain_mask))
		drain_any(sim, drained);
	if (!(dice >> 20 & sim->switch_mask) && can_run(sim, &sim->fibers[other]))
		go_to(sim, other);
}

void sim_sleep(struct sim *sim)
{
	enum sim_role self = sim->current, other = self == SIM_DRIVER ? SIM_DEVICE : SIM_DRIVER;

	unsigned i;

	/* What is stored becomes visible soon, but not at once. */
	for (i = sim_below(sim, 4); i > 0; i--)
		sim_step(sim);
	sim_drain(sim, self);
	while (!sim->fibers[self].woken && !sim->over) {
		sim->fibers[self].asleep = true;
		if (can_run(sim, &sim->fibers[other]))
			go_to(sim, other);
		else if (sim->lies)
			sim->over = true;
		else
			sim_fail(sim, "lost wake-up");
	}
	sim->fibers[self].woken = false;
	sim->fibers[self].asleep = false;
}

void sim_wake(struct sim *sim, enum sim_role role)
{
	sim->fibers[role].woken = true;
}

static bool planted(const struct sim *sim, bool releases)
{
	const struct sim_plant *plant = sim->config.plant;

	return plant && plant->releases == releases && plant->role == sim->current &&
	       plant->ops >> sim->fibers[sim->current].op & 1;
}

static void on_load(void *context, const void *address, size_t size)
{
	struct sim *sim = context;
	struct sim_fiber *fiber;
	unsigned i;

	if (sim->current == SIM_NOBODY)
		return;
	sim_step(sim);
	/* What this role stored itself it sees. */
	fiber = me(sim);
	for (i = fiber->store_count; i > 0; i--)
		if (overlaps(&fiber->stores[i - 1], address, size))
			break;
	while (i--)
		drain_one(fiber, 0);
}

static void store(struct sim *sim, const struct sim_store *new)
{
	struct sim_fiber *fiber;

	sim_step(sim);
	fiber = me(sim);
	if (fiber->store_count == SIM_STORES)
		drain_one(fiber, 0);
	fiber->stores[fiber->store_count++] = *new;
}

static bool on_store(void *context, void *address, uint64_t raw, size_t size, bool release)
{
	struct sim *sim = context;
	struct sim_store new = { .address = address, .size = size };
	uint16_t raw16 = (uint16_t)raw;
	uint32_t raw32 = (uint32_t)raw;

	if (sim->current == SIM_NOBODY)
		return false;
	new.release = release && !planted(sim, true);
	memcpy(new.bytes, size == 2 ? (void *)&raw16 : size == 4 ? (void *)&raw32 : (void *)&raw, size);
	store(sim, &new);
	return true;
}

void sim_store(struct sim *sim, uint8_t *address, const void *bytes, size_t size)
{
	struct sim_store new = { .address = address, .size = size };

	memcpy(new.bytes, bytes, size);
	store(sim, &new);
}

static void on_barrier(void *context)
{
	struct sim *sim = context;

	if (sim->current == SIM_NOBODY)
		return;
	sim_step(sim);
	if (!planted(sim, false))
		sim_drain(sim, sim->current);
}

void sim_hook(struct sim *sim)
{
	test_hook = (struct test_hook){ 0 };
	if (sim)
		test_hook = (struct test_hook){ on_load, sim, on_store, on_barrier };
}

/* makecontext() hands over ints alone. */
static void fiber_main(unsigned high, unsigned low)
{
	struct sim *sim = (struct sim *)(uintptr_t)((uint64_t)high << 32 | low);
	enum sim_role self = sim->current, other = self == SIM_DRIVER ? SIM_DEVICE : SIM_DRIVER;

	if (self == SIM_DRIVER)
		sim_driver(sim);
	else
		sim_device(sim);
	sim_drain(sim, self);
	sim->fibers[self].done = true;
	sim_wake(sim, other); /* so that it sees that there is nothing more */
	if (!sim->fibers[other].done)
		go_to(sim, other);
	sim_finish(sim);
}

static void prepare(struct sim *sim, struct sim_fiber *fiber, char *stack)
{
	const uint64_t address = (uintptr_t)sim;

	memset(fiber, 0, sizeof(*fiber));
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = stack;
	fiber->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&fiber->context, (void (*)(void))fiber_main, 2, (unsigned)(address >> 32),
		    (unsigned)address);
}

void sim_spawn(struct sim *sim)
{
	static _Alignas(64) char stacks[2][STACK_BYTES];

	prepare(sim, &sim->fibers[SIM_DRIVER], stacks[SIM_DRIVER]);
	prepare(sim, &sim->fibers[SIM_DEVICE], stacks[SIM_DEVICE]);
	sim->idle = 0;
	sim->switch_mask = (1u << sim_below(sim, 7)) - 1;
	sim->drain_mask = (1u << sim_below(sim, 7)) - 1;
	sim->current = sim_below(sim, 2) ? SIM_DRIVER : SIM_DEVICE;
	swapcontext(&sim->main, &sim->fibers[sim->current].context);
	/* Whoever ended it, what is stored gets there. */
	sim_drain(sim, SIM_DRIVER);
	sim_drain(sim, SIM_DEVICE);
}
