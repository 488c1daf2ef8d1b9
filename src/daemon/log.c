/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <time.h>

#include "daemon/daemon.h"

/* A peer decides how much there is to say, so it must not decide how much is said. */
#define LOG_WINDOW_MS    10000u
#define LOG_WINDOW_LINES 40u

static uint64_t log_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void vio_log_settle(struct vio_log *log)
{
	if (!log->dropped)
		return;
	fprintf(log->out, "%s: %llu lines more were not written\n", log->program,
		(unsigned long long)log->dropped);
	log->dropped = 0;
}

static void log_write(struct vio_log *log, const char *format, va_list arguments)
{
	uint64_t now = log_clock_ms();

	if (now - log->window_start_ms >= LOG_WINDOW_MS) {
		log->window_start_ms = now;
		log->lines = 0;
		vio_log_settle(log);
	}
	if (log->lines >= LOG_WINDOW_LINES) {
		log->dropped++;
		return;
	}
	log->lines++;
	fprintf(log->out, "%s: ", log->program);
	vfprintf(log->out, format, arguments);
	fputc('\n', log->out);
	fflush(log->out);
}

void vio_log_line(struct vio_log *log, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_write(log, format, arguments);
	va_end(arguments);
}

void vio_log_detail(struct vio_log *log, const char *format, ...)
{
	va_list arguments;

	if (!log->verbose)
		return;
	va_start(arguments, format);
	log_write(log, format, arguments);
	va_end(arguments);
}
