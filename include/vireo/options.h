/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_OPTIONS_H
#define VIREO_OPTIONS_H

#include <stdio.h>

#include <vireo/host.h>

/*
 * Command-line options from one table, which drives parsing, --help, the manual
 * page and shell completions, so that the four can't differ.
 */
enum vio_option_kind {
	VIO_OPTION_FLAG,    /* bool: set to true */
	VIO_OPTION_TEXT,    /* const char *: the argument */
	VIO_OPTION_NUMBER,  /* uint64_t, within min..max */
	VIO_OPTION_BYTES,   /* uint64_t, within min..max, with an optional K, M, G or T */
	VIO_OPTION_LIST,    /* struct vio_option_list: the option may be repeated */
	VIO_OPTION_DEFAULT, /* nothing is kept: a name for what happens anyway */
};

#define VIO_OPTION_LIST_MAX 64u

struct vio_option_list {
	const char *items[VIO_OPTION_LIST_MAX];
	unsigned count;
};

struct vio_option {
	const char *name; /* without the dashes */
	int letter;       /* short form, or 0 */
	enum vio_option_kind kind;
	uint32_t offset;      /* of the member in the caller's structure */
	uint64_t min, max;    /* of NUMBER and BYTES; max 0: no limit */
	const char *argument; /* its name in help, such as "PATH"; NULL for FLAG and DEFAULT */
	const char *help;     /* one line, no full stop; NULL keeps the option out of all lists */
};

struct vio_option_table {
	const struct vio_option *options;
	unsigned count;
};

/*
 * Parses argv[1..] into `values` and moves what is no option to the end of argv.
 * Returns the index of the first such argument (argc when there is none), or
 * -VIO_EINVAL or -VIO_ERANGE with a message that names the option and its value.
 * Stands on getopt_long(), so one thread at a time.
 */
VIO_API int vio_options_parse(const struct vio_option_table *table, void *values, int argc, char **argv,
			      struct vio_message *message);

/* The options as lines for --help. */
VIO_API void vio_options_help(const struct vio_option_table *table, FILE *out);

/* The options as a list in the manual's language, roff with the man macros. */
VIO_API void vio_options_manual(const struct vio_option_table *table, FILE *out);

/* Writes `text` with what roff would take for its own escaped. */
VIO_API void vio_manual_text(const char *text, FILE *out);

/* The options, with their dashes, as words for a shell's completion. */
VIO_API void vio_options_words(const struct vio_option_table *table, FILE *out);

/* Keeps of many words the one nearest to a given one. Start with word set and the rest zero. */
struct vio_nearest {
	const char *word;
	size_t length;
	const char *best; /* NULL: none was near enough to be what was meant */
	unsigned distance;
};

/* Offers a candidate, which must live as long as `nearest`. */
VIO_API void vio_nearest_offer(struct vio_nearest *nearest, const char *candidate);

#endif
