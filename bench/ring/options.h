/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_RING_OPTIONS_H
#define BENCH_RING_OPTIONS_H

#include "exchange.h"

#define OPTIONS_ONLY_MAX 64u

struct options {
	const char *only[OPTIONS_ONLY_MAX]; /* patterns; none: every case */
	unsigned only_count;
	unsigned rounds;
	unsigned time_ms; /* of a case in a round */
	struct bench_cores cores;
	bool list, json;
	const char *plot; /* file, or NULL */
};

/* false: the program is to end with *status, and everything was said. */
bool options_parse(struct options *options, int argc, char **argv, int *status);

#endif
