/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange.h"
#include "options.h"
#include "report.h"

/*
 * Every case in every round once, so that a machine which is slow for a while is so for all of
 * them. What a case costs is found out before the first round, and how often it is done in a
 * round follows from that.
 */

#define STUCK_SECONDS 60

struct variant {
	const char *name;
	unsigned bits;
};

static const struct variant variants[] = {
	{ "", 0 },
	{ "+event", BENCH_EVENT_IDX },
	{ "+order", BENCH_IN_ORDER },
	{ "+chain", BENCH_CHAINED },
	{ "+indirect", BENCH_CHAINED | BENCH_INDIRECT },
	{ "+all", BENCH_CHAINED | BENCH_INDIRECT | BENCH_EVENT_IDX | BENCH_IN_ORDER },
};

struct depth {
	unsigned window, batch;
};

static const struct depth depths[] = { { 1, 1 }, { 32, 1 }, { 32, 32 }, { 256, 1 }, { 256, 32 } };

static const char *const modes[BENCH_MODES] = { "one", "poll", "sleep" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CASES_MAX    1024u

/* A case of no driver is a limit. */
struct job {
	struct bench_case c;
	uint64_t count;
	double *ns;
};

static bool wanted(const struct options *o, const char *name)
{
	unsigned i;

	for (i = 0; i < o->only_count; i++)
		if (!fnmatch(o->only[i], name, 0))
			return true;
	return !o->only_count;
}

/* Two that poll and take turns on one core would measure the scheduler. */
static bool polls_apart(const struct options *o)
{
	return o->cores.driver != o->cores.device;
}

static bool possible(const struct options *o, const struct bench_pairing *p, enum bench_mode mode,
		     unsigned bits, const struct depth *depth)
{
	if (mode == BENCH_POLL && !polls_apart(o))
		return false;
	if (bits & (p->without | p->driver->without))
		return false;
	if (mode == BENCH_SLEEP && (p->driver->without_sleep || p->device->without_sleep))
		return false;
	/* In turn there is never more in flight than a batch. */
	return mode != BENCH_ONE || depth->window == depth->batch;
}

static unsigned add_depths(struct job *jobs, const struct options *o, const struct bench_pairing *p,
			   enum bench_mode mode, const struct variant *variant, unsigned packed)
{
	unsigned i, count = 0;

	for (i = 0; i < COUNT(depths); i++) {
		struct bench_case *c = &jobs[count].c;

		if (!possible(o, p, mode, variant->bits | packed, &depths[i]))
			continue;
		*c = (struct bench_case){ .bits = variant->bits | packed,
					  .mode = mode,
					  .part = p->part,
					  .window = depths[i].window,
					  .batch = depths[i].batch,
					  .driver = p->driver,
					  .device = p->device };
		snprintf(c->name, sizeof(c->name), "%s%s/%s/%s/w%u/b%u", packed ? "packed" : "split",
			 variant->name, p->name, modes[mode], c->window, c->batch);
		if (wanted(o, c->name))
			count++;
	}
	return count;
}

static unsigned add_limit(struct job *job, const struct options *o, enum bench_mode mode, const char *name)
{
	job->c = (struct bench_case){ .mode = mode };
	snprintf(job->c.name, sizeof(job->c.name), "limit/%s", name);
	return wanted(o, job->c.name);
}

/* At most CASES_MAX: there are far fewer pairings than that takes. */
static unsigned list_jobs(struct job *jobs, const struct options *o)
{
	const struct bench_pairing *p;
	unsigned count = 0, packed, v, mode;

	if (polls_apart(o))
		count += add_limit(jobs + count, o, BENCH_POLL, "line");
	count += add_limit(jobs + count, o, BENCH_SLEEP, "eventfd");
	for (p = bench_pairings; p->name; p++)
		for (mode = 0; mode < BENCH_MODES; mode++)
			for (v = 0; v < COUNT(variants); v++)
				for (packed = 0; packed <= BENCH_PACKED; packed += BENCH_PACKED)
					count += add_depths(jobs + count, o, p, (enum bench_mode)mode,
							    &variants[v], packed);
	return count;
}

static double run_job(const struct job *job, const struct options *o, uint64_t count)
{
	const char *why;
	double ns;

	alarm(STUCK_SECONDS);
	if (job->c.driver)
		ns = bench_exchange(&job->c, &o->cores, count, &why);
	else
		ns = bench_limit(job->c.mode == BENCH_SLEEP, &o->cores, count, &why);
	alarm(0);
	if (ns < 0)
		fprintf(stderr, "%s: %s\n", job->c.name, why);
	return ns;
}

/* Tries with more and more buffers until a run takes long enough to tell how many to take. */
static bool calibrate(struct job *job, const struct options *o)
{
	const double wanted_ns = o->time_ms * 1e6;
	uint64_t count = 64;
	double ns;

	for (;;) {
		ns = run_job(job, o, count);
		if (ns < 0)
			return false;
		if (ns * (double)count >= wanted_ns / 8 || count > UINT64_C(1) << 32)
			break;
		count *= 4;
	}
	job->count = (uint64_t)(wanted_ns / ns) + 1;
	return true;
}

static bool run_jobs(struct job *jobs, unsigned count, const struct options *o)
{
	unsigned round, i;

	for (i = 0; i < count; i++) {
		jobs[i].ns = calloc(o->rounds, sizeof(double));
		if (!jobs[i].ns || !calibrate(&jobs[i], o))
			return false;
	}
	for (round = 0; round < o->rounds; round++)
		for (i = 0; i < count; i++) {
			struct job *job = &jobs[(i + round) % count];

			job->ns[round] = run_job(job, o, job->count);
			if (job->ns[round] < 0)
				return false;
		}
	return true;
}

static int report(const struct job *jobs, unsigned count, const struct options *o)
{
	struct result *results = calloc(count, sizeof(*results));
	int status = 0;
	unsigned i;

	if (!results)
		return 1;
	for (i = 0; i < count; i++)
		results[i] = (struct result){ jobs[i].c.name, jobs[i].ns, o->rounds };
	report_sort(results, count);
	if (o->json)
		report_json(results, count);
	else
		report_table(results, count);
	if (o->plot && !report_plot(results, count, o->plot)) {
		fprintf(stderr, "--plot '%s': %s\n", o->plot, strerror(errno));
		status = 1;
	}
	free(results);
	return fflush(stdout) ? 1 : status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct job *jobs;
	unsigned count, i;
	int status;

	if (!options_parse(&options, argc, argv, &status))
		return status;
	jobs = calloc(CASES_MAX, sizeof(*jobs));
	if (!jobs) {
		fprintf(stderr, "%s: no memory\n", argv[0]);
		return 1;
	}
	count = list_jobs(jobs, &options);
	if (!count) {
		fprintf(stderr, "%s: --only '%s': no case has such a name; --list names them\n", argv[0],
			options.only[0]);
		status = 2;
	} else if (options.list) {
		for (i = 0; i < count; i++)
			printf("%s\n", jobs[i].c.name);
		status = 0;
	} else {
		status = run_jobs(jobs, count, &options) ? report(jobs, count, &options) : 1;
	}
	for (i = 0; i < count; i++)
		free(jobs[i].ns);
	free(jobs);
	return status;
}
