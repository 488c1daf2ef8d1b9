/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_CRASH_KILLED_H
#define TEST_CRASH_KILLED_H

#include <sys/types.h>

#include <vireo/vhost_user_frontend.h>

/*
 * A daemon that is started, connected to and killed again and again. One a process, as the timer is.
 *
 * Chance is a sequence that a seed names, so that a failure can be tried again.
 */
#define KILLED_ANSWER_NS UINT64_C(10000000000)

struct killed {
	const char *vireo;
	char socket_path[100];
	volatile pid_t pid; /* 0: not running */
	uint64_t seed;
	struct vio_dev dev;
};

/* Where its socket will be: DIRECTORY/s. */
void killed_init(struct killed *killed, const char *vireo, const char *directory, uint64_t seed);
unsigned killed_chance(struct killed *killed, unsigned below);
/* `arguments` begin behind the socket's and end with NULL; the first is the device's name. */
void killed_start(struct killed *killed, const char *const *arguments);
/* Waits for the daemon, opens it and binds the driver. Doesn't return without. */
void killed_connect(struct killed *killed, uint32_t id, const struct vio_driver *driver, void *state);
/* From 1 to 1 + life_us from now on it is killed. */
void killed_arm(struct killed *killed, unsigned life_us);
/* The connection and the daemon are over; it ended by SIGKILL, or well where that is expected. */
void killed_end(struct killed *killed, int well);
/* Says why, in one line, ends the daemon and the process. */
void killed_fail(struct killed *killed, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

#endif
