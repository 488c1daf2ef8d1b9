/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_STATE_H
#define VIO_LINK_VHOST_USER_STATE_H

#include <vireo/device.h>
#include <vireo/watch.h>

#include "link/signal.h"

/*
 * The type's own state on its way to or from the front end, which keeps all other state itself. It goes
 * through a pipe or socket that nobody here waits for: the loop tells when there is room, or something to
 * read.
 *
 * A state that comes before features are negotiated is judged at once, and kept until they are. QEMU resets
 * a device whose guest only stands still, and asks for its state afterwards, so what it was stays here until
 * there is a driver again.
 */
#define VU_STATE_BYTES_MAX ((size_t)1 << 20)

enum vu_state_phase {
	VU_STATE_NONE,
	VU_STATE_SAVING,
	VU_STATE_LOADING,
	VU_STATE_DONE, /* `result` says how it ended */
};

struct vu_state_transfer {
	struct vio_device *dev;
	struct vio_watcher watcher;
	struct vio_watch watch; /* fd -1: none. The channel, or an epoll instance that waits for its room */
	struct link_signal channel;
	enum vu_state_phase phase;
	int result;
	uint8_t *bytes;
	size_t length, done;
	bool pending;   /* judged, and to be applied */
	uint8_t *ended; /* what the device was before its reset, or NULL */
	size_t ended_length;
};

void vu_state_init(struct vu_state_transfer *state, struct vio_device *dev,
		   const struct vio_watcher *watcher);
/* Forgets everything, whatever it was about. */
void vu_state_end(struct vu_state_transfer *state);
/* The device is going to be reset; no queue runs. */
void vu_state_keep(struct vu_state_transfer *state);

/*
 * Begins; takes over fd, which is of that kind, also on failure. An earlier one is forgotten. -VIO_ENOSPC:
 * larger than anybody would load.
 */
int vu_state_save(struct vu_state_transfer *state, enum link_signal_kind kind, int fd);
int vu_state_load(struct vu_state_transfer *state, enum link_signal_kind kind, int fd);
/* How it ended; -VIO_EAGAIN when it didn't, and won't any more. -VIO_ESTATE: see dev->refusal. */
int vu_state_check(struct vu_state_transfer *state);
/* Features are negotiated: gives the device what it was sent before, if anything, and what it was is over. */
int vu_state_apply(struct vu_state_transfer *state);

#endif
