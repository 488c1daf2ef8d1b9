/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim/sim.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/features.h>

/*
 * sim [--format split|packed|both] [--seed N] [--steps N | --runs N] [--plant NAME]
 *
 * Runs with seed N, N + 1, ... until so many steps or runs are done. With --plants, plants each
 * bug in turn and fails when one isn't found. tests/sim/sim.h says what it is about.
 */
#define FAILURES_MAX 5u

static const struct sim_plant plants[] = {
	{ "driver-kick", SIM_DRIVER, 1u << SIM_KICK, false },
	{ "driver-enable", SIM_DRIVER, 1u << SIM_ENABLE | 1u << SIM_GET, false },
	{ "device-notify", SIM_DEVICE, 1u << SIM_NOTIFY, false },
	{ "device-enable", SIM_DEVICE, 1u << SIM_ENABLE | 1u << SIM_POP, false },
	{ "driver-release", SIM_DRIVER, 1u << SIM_ADD | 1u << SIM_KICK, true },
	{ "device-release", SIM_DEVICE, 1u << SIM_PUSH | 1u << SIM_NOTIFY, true },
};

static const unsigned sizes[SIM_SIZES] = { 1, 2, 3, 4, 7, 8, 12, 16 };

/* What the seed and not the caller decides. */
static void decide(struct sim *sim)
{
	struct sim_config *c = &sim->config;
	unsigned hostile = sim_below(sim, 4);

	if (c->packed < 0)
		c->packed = (int)sim_below(sim, 2);
	do {
		unsigned size = sizes[sim_below(sim, SIM_SIZES)];

		if (!sim->config.size && (c->packed || vio_is_power_of_two(size)))
			c->size = size;
	} while (!c->size);
	if (c->indirect < 0)
		c->indirect = (int)sim_below(sim, 2);
	if (c->event_idx < 0)
		c->event_idx = (int)sim_below(sim, 2);
	if (c->in_order < 0)
		c->in_order = !sim_below(sim, 3);
	if (c->hostile < 0)
		c->hostile = hostile < 2 ? (int)hostile : SIM_NOBODY;
	sim->features = vio_features_low(
		UINT64_C(1) << VIRTIO_F_VERSION_1 | (uint64_t)c->packed << VIRTIO_F_RING_PACKED |
		(uint64_t)c->indirect << VIRTIO_F_INDIRECT_DESC |
		(uint64_t)c->event_idx << VIRTIO_F_EVENT_IDX | (uint64_t)c->in_order << VIRTIO_F_IN_ORDER);
}

static void interrupt(void *context, struct vio_devq *q)
{
	struct sim *sim = context;

	SIM_CHECK(sim, q == &sim->dev);
	sim_wake(sim, SIM_DRIVER);
}

/* A split ring's indices run modulo 2^16: half of the runs begin shortly before that. */
static struct vio_devq_position jump(struct sim *sim)
{
	uint16_t to = (uint16_t)(65535 - sim_below(sim, 30));

	if (sim->config.packed || sim_below(sim, 2))
		return sim_position(sim);
	sim->drv.avail_next = sim->drv.avail_visible = sim->drv.used_next = sim->drv.used_seen = to;
	sim->drv.avail->idx = sim->drv.used->idx = vio_le16_make(to);
	vio_drvq_get(&sim->drv, NULL); /* which asks for the next interrupt */
	return (struct vio_devq_position){ to, to };
}

static void open_sim(struct sim *sim)
{
	const uint16_t size = (uint16_t)sim->config.size, spans = 2 * SIM_ELEMENTS_MAX + 2;
	const uint64_t first =
		1230; /* bytes of data in a region of its own: its end lies within an element */

	sim->ring_bytes = (vio_drvq_ring_bytes(size) + 63) / 64 * 64;
	test_memory_init(&sim->memory);
	test_memory_add(&sim->memory, SIM_RING, sim->ring_bytes, TEST_RW);
	if (sim->config.indirect)
		test_memory_add(&sim->memory, SIM_TABLES, vio_drvq_indirect_bytes(size, SIM_INDIRECT_MAX),
				VIO_MEM_READ);
	test_memory_add(&sim->memory, SIM_DATA, first, TEST_RW);
	test_memory_add(&sim->memory, SIM_DATA + first, SIM_OUTS * SIM_SLAB_BYTES - first, TEST_RW);
	sim->drv_storage = malloc(vio_drvq_storage_bytes(size));
	sim->dev_storage = malloc(vio_devq_storage_bytes(size, spans, 8));
	if (!sim->drv_storage || !sim->dev_storage)
		abort();
	vio_devq_init(&sim->dev, 3, size, spans, 8, sim->dev_storage, sim, interrupt);
	sim->current = SIM_NOBODY;
	sim_driver_start(sim);
	sim_device_start(sim, jump(sim));
}

/* After what a hostile twin did: whatever state that left, a reset of both mends it. */
static void mend(struct sim *sim)
{
	sim->current = SIM_NOBODY;
	sim_driver_take_back(sim);
	vio_devq_stop(&sim->dev);
	memset(test_memory_at(&sim->memory, SIM_RING), 0, sim->ring_bytes);
	sim_driver_start(sim);
	sim_device_start(sim, sim_position(sim));
	sim->held_count = 0;
	sim->lies = sim->over = false;
	sim->life = SIM_RUNS;
	sim->added = sim->returned = 0;
	sim->target = 4 * sim->config.size;
	sim->steps = 0;
	if (!sim->failed)
		sim_spawn(sim);
}

/* One run; adds its steps to *total. */
static bool run(const struct sim_config *config, uint64_t *total)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	bool good;

	if (!sim)
		abort();
	sim->config = *config;
	sim->random = config->seed;
	decide(sim);
	sim->lies = sim->config.hostile != SIM_NOBODY;
	sim->target = 20 + sim_below(sim, 150);
	sim_hook(sim);
	open_sim(sim);
	if (!sim->failed)
		sim_spawn(sim);
	*total += sim->steps;
	if (sim->lies && !sim->failed) {
		mend(sim);
		*total += sim->steps;
	}
	sim_hook(NULL);
	good = !sim->failed;
	if (sim->dev.running)
		vio_devq_stop(&sim->dev);
	test_memory_free(&sim->memory);
	free(sim->drv_storage);
	free(sim->dev_storage);
	free(sim);
	return good;
}

/* Each planted bug has to be found before so many steps, or the simulation is worth nothing. */
static bool find_plants(struct sim_config config)
{
	const uint64_t limit = 20000000;
	bool all = true;
	unsigned i;

	config.quiet = true;
	config.hostile = SIM_NOBODY;
	for (i = 0; i < VIO_ARRAY_SIZE(plants); i++) {
		uint64_t steps = 0;
		bool found = false;

		config.plant = &plants[i];
		for (config.seed = 1; !found && steps < limit; config.seed++)
			found = !run(&config, &steps);
		printf("sim: %s, bug %s: %s after %llu steps\n", config.packed ? "packed" : "split",
		       plants[i].name, found ? "found" : "NOT FOUND", (unsigned long long)steps);
		all = all && found;
	}
	return all;
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [--format split|packed|both] [--seed N] [--steps N] [--runs N]\n"
			"           [--size N] [--indirect 0|1] [--event-idx 0|1] [--in-order 0|1]\n"
			"           [--hostile driver|device|nobody] [--plant NAME | --plants]\n");
	return 2;
}

struct request {
	struct sim_config config;
	uint64_t steps, runs;
	bool plants;
};

static bool take_name(struct request *r, int option, const char *value)
{
	static const char *const roles[] = { "driver", "device", "nobody" };
	unsigned i;

	if (option == 'f') {
		r->config.packed = !strcmp(value, "packed") ? 1 : !strcmp(value, "split") ? 0 : -1;
		return r->config.packed >= 0 || !strcmp(value, "both");
	}
	if (option == 'h') {
		for (i = 0; i < VIO_ARRAY_SIZE(roles); i++)
			if (!strcmp(value, roles[i]))
				r->config.hostile = (int)i;
		return r->config.hostile >= 0;
	}
	for (i = 0; i < VIO_ARRAY_SIZE(plants); i++)
		if (!strcmp(value, plants[i].name))
			r->config.plant = &plants[i];
	return r->config.plant;
}

static bool parse(struct request *r, int argc, char **argv)
{
	static const struct option options[] = {
		{ "format", 1, NULL, 'f' },    { "seed", 1, NULL, 's' },     { "steps", 1, NULL, 'n' },
		{ "runs", 1, NULL, 'r' },      { "size", 1, NULL, 'z' },     { "indirect", 1, NULL, 'i' },
		{ "event-idx", 1, NULL, 'e' }, { "in-order", 1, NULL, 'o' }, { "hostile", 1, NULL, 'h' },
		{ "plant", 1, NULL, 'p' },     { "plants", 0, NULL, 'P' },   { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;

		if (option == 's')
			r->config.seed = number;
		else if (option == 'n')
			r->steps = number;
		else if (option == 'r')
			r->runs = number;
		else if (option == 'z' && number <= SIM_SIZE_MAX)
			r->config.size = (unsigned)number;
		else if (option == 'i' && number <= 1)
			r->config.indirect = (int)number;
		else if (option == 'e' && number <= 1)
			r->config.event_idx = (int)number;
		else if (option == 'o' && number <= 1)
			r->config.in_order = (int)number;
		else if (option == 'P')
			r->plants = true;
		else if (!strchr("fhp", option) || !take_name(r, option, optarg))
			return false;
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	struct request r = { .config = { .packed = -1,
					 .indirect = -1,
					 .event_idx = -1,
					 .in_order = -1,
					 .hostile = -1,
					 .seed = 1 },
			     .steps = 1000000 };
	uint64_t total = 0, runs = 0, failed = 0;
	int format;

	if (!parse(&r, argc, argv))
		return usage();
	if (r.plants) {
		bool all = true;

		for (format = 0; format < 2; format++) {
			struct sim_config config = r.config;

			if (config.packed >= 0 && config.packed != format)
				continue;
			config.packed = format;
			all = find_plants(config) && all;
		}
		return !all;
	}
	for (; failed < FAILURES_MAX && (r.runs ? runs < r.runs : total < r.steps); r.config.seed++, runs++)
		failed += !run(&r.config, &total);
	printf("sim: %llu steps in %llu runs, %llu failed\n", (unsigned long long)total,
	       (unsigned long long)runs, (unsigned long long)failed);
	return failed != 0;
}
