/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_RING_REPORT_H
#define BENCH_RING_REPORT_H

#include "exchange.h"

struct result {
	const char *name;
	double *ns; /* one for each round; report_*() sort them */
	unsigned rounds;
};

double result_quantile(const struct result *result, double at);
void report_sort(struct result *results, unsigned count);
void report_table(const struct result *results, unsigned count);
void report_json(const struct result *results, unsigned count);
/* A picture: a bar for each case, its median, and a line between its quartiles. false: errno says why. */
bool report_plot(const struct result *results, unsigned count, const char *file);

#endif
