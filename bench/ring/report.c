/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void report_sort(struct result *results, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		qsort(results[i].ns, results[i].rounds, sizeof(*results[i].ns), compare);
}

double result_quantile(const struct result *result, double at)
{
	const double place = at * (result->rounds - 1);
	const unsigned low = (unsigned)place, high = low + 1 < result->rounds ? low + 1 : low;

	return result->ns[low] + (result->ns[high] - result->ns[low]) * (place - low);
}

void report_table(const struct result *results, unsigned count)
{
	unsigned i;

	printf("%-40s %9s %9s %9s %9s   ns per buffer\n", "case", "median", "p25", "p75", "min");
	for (i = 0; i < count; i++) {
		const struct result *r = &results[i];

		printf("%-40s %9.2f %9.2f %9.2f %9.2f\n", r->name, result_quantile(r, 0.5),
		       result_quantile(r, 0.25), result_quantile(r, 0.75), r->ns[0]);
	}
}

void report_json(const struct result *results, unsigned count)
{
	unsigned i, k;

	printf("{\"unit\": \"ns per buffer\", \"cases\": [");
	for (i = 0; i < count; i++) {
		const struct result *r = &results[i];

		printf("%s\n  {\"name\": \"%s\", \"median\": %.3f, \"p25\": %.3f, \"p75\": %.3f, "
		       "\"min\": %.3f, \"rounds\": [",
		       i ? "," : "", r->name, result_quantile(r, 0.5), result_quantile(r, 0.25),
		       result_quantile(r, 0.75), r->ns[0]);
		for (k = 0; k < r->rounds; k++)
			printf("%s%.3f", k ? ", " : "", r->ns[k]);
		printf("]}");
	}
	printf("\n]}\n");
}

#define ROW   18
#define LEFT  300
#define WIDTH 560
#define TOP   40

/* On a scale of five powers of ten, from 1 ns on. */
static double across(double ns)
{
	return ns > 1 ? log10(ns) * WIDTH / 5 : 0;
}

static void plot_row(FILE *f, const struct result *r, unsigned row)
{
	const double median = result_quantile(r, 0.5), low = across(result_quantile(r, 0.25)),
		     high = across(result_quantile(r, 0.75));
	const unsigned y = TOP + row * ROW;

	fprintf(f, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y + 12, r->name);
	fprintf(f, "<rect x=\"%d\" y=\"%u\" width=\"%.1f\" height=\"%d\" fill=\"#4a7fb0\"/>\n", LEFT, y + 2,
		across(median), ROW - 5);
	fprintf(f, "<path d=\"M%.1f %uH%.1f\" stroke=\"#222\" stroke-width=\"2\"/>\n", LEFT + low, y + 8,
		LEFT + high);
	fprintf(f, "<text x=\"%.1f\" y=\"%u\">%.3g</text>\n",
		LEFT + (high > across(median) ? high : across(median)) + 5, y + 12, median);
}

bool report_plot(const struct result *results, unsigned count, const char *file)
{
	FILE *f = fopen(file, "w");
	unsigned i, power;
	bool written;

	if (!f)
		return false;
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
		"<text x=\"%d\" y=\"14\" font-size=\"13\">ns per buffer: medians and quartiles</text>\n",
		LEFT + WIDTH + 70, TOP + count * ROW + 10, LEFT);
	for (i = 0, power = 1; i <= 5; i++, power *= 10) {
		fprintf(f, "<path d=\"M%d %dV%u\" stroke=\"#ddd\"/>\n", LEFT + (int)i * WIDTH / 5, TOP,
			TOP + count * ROW);
		fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" fill=\"#777\">%u</text>\n",
			LEFT + (int)i * WIDTH / 5, TOP - 6, power);
	}
	for (i = 0; i < count; i++)
		plot_row(f, &results[i], i);
	fprintf(f, "</svg>\n");
	written = !ferror(f);
	return !fclose(f) && written;
}
