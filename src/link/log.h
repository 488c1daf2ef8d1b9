/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_LOG_H
#define VIO_LINK_LOG_H

#include <stdarg.h>

/* What goes to the owner's log; not for ever, so that nobody fills a disk by mistakes. */
struct link_log {
	void (*line)(void *context, const char *line); /* NULL: nobody reads it */
	void *context;
	unsigned lines; /* set to 0 for whoever comes next */
};

void link_log(struct link_log *log, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

#endif
