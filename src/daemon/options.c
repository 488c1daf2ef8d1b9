/* SPDX-License-Identifier: BSD-3-Clause */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/options.h>

/* getopt_long() answers options without a letter by this and their index. */
#define OPTION_VALUE 0x100
#define HELP_COLUMN  28

static bool option_takes_argument(const struct vio_option *option)
{
	return option->kind != VIO_OPTION_FLAG && option->kind != VIO_OPTION_DEFAULT;
}

static int option_set_number(const struct vio_option *option, void *member, const char *text,
			     struct vio_message *message)
{
	bool bytes = option->kind == VIO_OPTION_BYTES;
	struct vio_property property = {
		.name = option->name,
		.type = bytes ? VIO_PROPERTY_BYTES : VIO_PROPERTY_U64,
		.size = sizeof(uint64_t),
		.min = option->min,
		.max = option->max,
	};
	int error = vio_property_set(&property, member, text);

	if (error == -VIO_ERANGE && option->max)
		return vio_fail(message, error, "option '--%s': %s is out of range, %llu to %llu%s",
				option->name, text, (unsigned long long)option->min,
				(unsigned long long)option->max, bytes ? " bytes" : "");
	if (error)
		return vio_fail(message, error, "option '--%s': '%s' is not a %s", option->name, text,
				bytes ? "size; write a number with K, M, G or T, such as 512M" : "number");
	return 0;
}

static int option_set(const struct vio_option *option, void *values, const char *text,
		      struct vio_message *message)
{
	void *member = (char *)values + option->offset;
	struct vio_option_list *list = member;

	switch (option->kind) {
	case VIO_OPTION_FLAG:
		*(bool *)member = true;
		return 0;
	case VIO_OPTION_TEXT:
		if (!*text)
			return vio_fail(message, -VIO_EINVAL, "option '--%s' needs %s, not an empty text",
					option->name, option->argument);
		*(const char **)member = text;
		return 0;
	case VIO_OPTION_NUMBER:
	case VIO_OPTION_BYTES:
		return option_set_number(option, member, text, message);
	case VIO_OPTION_LIST:
		if (list->count == VIO_OPTION_LIST_MAX)
			return vio_fail(message, -VIO_ERANGE, "option '--%s' was given more than %u times",
					option->name, VIO_OPTION_LIST_MAX);
		list->items[list->count++] = text;
		return 0;
	case VIO_OPTION_DEFAULT:
		return 0;
	}
	return vio_fail(message, -VIO_EINVAL, "option '--%s' has no known kind", option->name);
}

/* An option that getopt_long() didn't take: `shown` is the argument as the user wrote it. */
static int option_unknown(const struct vio_option_table *table, const char *shown,
			  struct vio_message *message)
{
	struct vio_nearest nearest = { .word = shown + 2 };
	bool is_long = shown[0] == '-' && shown[1] == '-';

	nearest.length = is_long ? strcspn(shown + 2, "=") : 0;
	for (unsigned i = 0; is_long && i < table->count; i++) {
		const struct vio_option *option = &table->options[i];

		if (strlen(option->name) == nearest.length &&
		    !strncmp(option->name, nearest.word, nearest.length))
			return vio_fail(message, -VIO_EINVAL, "option '--%s' takes no argument",
					option->name);
		if (option->help)
			vio_nearest_offer(&nearest, option->name);
	}
	if (nearest.best)
		return vio_fail(message, -VIO_EINVAL, "option '--%.*s' is not known; did you mean --%s?",
				(int)nearest.length, nearest.word, nearest.best);
	return vio_fail(message, -VIO_EINVAL, "option '%s' is not known; --help lists them", shown);
}

static int options_prepare(const struct vio_option_table *table, struct option *longs, char *letters)
{
	/* The colon in front makes getopt_long() tell a missing argument from an unknown option. */
	*letters++ = ':';
	for (unsigned i = 0; i < table->count; i++) {
		const struct vio_option *option = &table->options[i];

		longs[i].name = option->name;
		longs[i].has_arg = option_takes_argument(option) ? required_argument : no_argument;
		longs[i].val = OPTION_VALUE + (int)i;
		if (!option->letter)
			continue;
		*letters++ = (char)option->letter;
		if (option_takes_argument(option))
			*letters++ = ':';
	}
	*letters = '\0';
	return 0;
}

static const struct vio_option *option_by_value(const struct vio_option_table *table, int value)
{
	if (value >= OPTION_VALUE)
		return &table->options[value - OPTION_VALUE];
	for (unsigned i = 0; i < table->count; i++)
		if (table->options[i].letter == value)
			return &table->options[i];
	return NULL;
}

static int options_walk(const struct vio_option_table *table, void *values, int argc, char **argv,
			const struct option *longs, const char *letters, struct vio_message *message)
{
	int error = 0;

	optind = 0;
	opterr = 0;
	while (!error) {
		int value = getopt_long(argc, argv, letters, longs, NULL);
		const struct vio_option *option;
		char letter[3] = { '-', (char)optopt, '\0' };

		if (value == -1)
			return optind;
		if (value == ':') {
			option = option_by_value(table, optopt);
			return vio_fail(message, -VIO_EINVAL, "option '--%s' needs %s", option->name,
					option->argument);
		}
		if (value == '?') {
			bool is_letter = optopt && optopt < OPTION_VALUE;

			return option_unknown(table, is_letter ? letter : argv[optind - 1], message);
		}
		option = option_by_value(table, value);
		error = option_set(option, values, optarg, message);
	}
	return error;
}

int vio_options_parse(const struct vio_option_table *table, void *values, int argc, char **argv,
		      struct vio_message *message)
{
	struct option *longs = calloc(table->count + 1, sizeof(*longs));
	char *letters = calloc(2 * (size_t)table->count + 2, 1);
	int result;

	if (!longs || !letters) {
		free(longs);
		free(letters);
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	}
	options_prepare(table, longs, letters);
	result = options_walk(table, values, argc, argv, longs, letters, message);
	free(longs);
	free(letters);
	return result;
}

void vio_options_help(const struct vio_option_table *table, FILE *out)
{
	for (unsigned i = 0; i < table->count; i++) {
		const struct vio_option *option = &table->options[i];
		int used;

		if (!option->help)
			continue;
		used = option->letter ? fprintf(out, "  -%c, --%s", option->letter, option->name)
				      : fprintf(out, "      --%s", option->name);
		if (option->argument)
			used += fprintf(out, " %s", option->argument);
		if (used >= HELP_COLUMN - 1)
			used = fprintf(out, "\n") - 1;
		fprintf(out, "%*s%s\n", HELP_COLUMN - used, "", option->help);
	}
}

void vio_manual_text(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

void vio_options_manual(const struct vio_option_table *table, FILE *out)
{
	for (unsigned i = 0; i < table->count; i++) {
		const struct vio_option *option = &table->options[i];

		if (!option->help)
			continue;
		fputs(".TP\n", out);
		if (option->letter)
			fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
		fputs("\\fB\\-\\-", out);
		vio_manual_text(option->name, out);
		fputs("\\fR", out);
		if (option->argument) {
			fputs(" \\fI", out);
			vio_manual_text(option->argument, out);
			fputs("\\fR", out);
		}
		fputc('\n', out);
		vio_manual_text(option->help, out);
		fputs(".\n", out);
	}
}

void vio_options_words(const struct vio_option_table *table, FILE *out)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->options[i].help)
			fprintf(out, "%s--%s", i ? " " : "", table->options[i].name);
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, removals, replacements and swaps of neighbours that lead from one word to the other. */
static unsigned word_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][32];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= a_length; i++) {
		unsigned *oldest = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned replaced = last[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = min3(last[j] + 1, row[j - 1] + 1, replaced);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    row[j] > before[j - 2] + 1)
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = oldest;
	}
	return last[b_length];
}

void vio_nearest_offer(struct vio_nearest *nearest, const char *candidate)
{
	size_t length = strlen(candidate);
	/* Up to a third of the letters wrong is a slip; more is another word. */
	unsigned limit = (unsigned)(nearest->length > length ? nearest->length : length) / 3;
	unsigned distance;

	if (nearest->length > 31 || length > 31)
		return;
	if (limit == 0)
		limit = 1;
	distance = word_distance(nearest->word, nearest->length, candidate, length);
	if (nearest->length >= 3 && length > nearest->length &&
	    !strncmp(nearest->word, candidate, nearest->length))
		distance = 1;
	if (distance > limit || (nearest->best && distance >= nearest->distance))
		return;
	nearest->best = candidate;
	nearest->distance = distance;
}
