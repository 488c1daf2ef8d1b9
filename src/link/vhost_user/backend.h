/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_BACKEND_H
#define VIO_LINK_VHOST_USER_BACKEND_H

#include <vireo/vhost_user.h>

#include "link/inflight.h"
#include "link/log.h"
#include "link/signal.h"
#include "link/socket.h"
#include "link/vhost_user/dirty.h"
#include "link/vhost_user/memory.h"
#include "link/vhost_user/state.h"
#include "link/vhost_user/wire.h"

/*
 * One queue as the front end describes it. It runs in the device when it has a
 * size, addresses, a kick descriptor, is enabled and the features are negotiated;
 * it stops when any of that is taken away. Descriptors are owned here.
 */
struct vu_vring {
	struct vio_vhost_user *backend;
	struct vio_watch kick; /* fd -1: none */
	struct link_signal call;
	struct link_signal err;
	uint16_t index;
	uint16_t num;
	struct vio_devq_position base; /* where it stands, while it doesn't run */
	uint32_t ended; /* where it stood when the status became 0, as GET_VRING_BASE says it */
	bool watched;
	bool has_addr;
	bool enabled;
	bool held;           /* GET_VRING_BASE stopped it: a new kick descriptor starts it again */
	bool faulty;         /* it didn't start as it is set up now */
	bool owes_interrupt; /* there was nothing to raise when the driver wanted to hear */
	bool had_run;        /* over this connection: what was shown, the driver was told of */
	struct vhost_user_vring_addr addr;
	struct vio_task again;
	struct vio_watcher watcher; /* of the thread that serves it */
	struct vio_task settle;     /* something that is not for that thread */
	bool lost;                  /* nobody holds the other end of the kick descriptor */
	struct link_ledger ledger;
	struct vu_tracker tracker; /* of pages that were written */
};

struct vio_vhost_user {
	struct vio_device *dev;
	struct vio_watcher watcher;
	const struct vio_vhost_user_events *events;
	void *context;
	struct link_log log;        /* of this connection */
	uint64_t heard;             /* likewise, messages */
	struct vio_watch_crew crew; /* halt is NULL: one thread serves all */

	struct link_socket socket;
	struct link_signal channel; /* for our own requests to the front end */
	bool features_set;
	uint64_t protocol_features;
	struct vu_receiver receiver;
	struct vu_sender sender;
	struct vu_memory memory;
	struct link_inflight inflight;
	struct vu_dirty dirty;
	bool log_all; /* the driver's buffers are to be marked, too, where there is a log */
	struct vu_state_transfer state;
	bool owes_config; /* the configuration changed while nothing may be said */
	struct vu_vring vrings[VIO_VHOST_USER_QUEUES_MAX];
};

/* One line to the owner's log. */
void vu_log(struct vio_vhost_user *backend, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool vu_has_protocol(const struct vio_vhost_user *backend, unsigned bit)
{
	return backend->protocol_features >> bit & 1;
}

/*
 * FEATURES_OK without DRIVER is no status of a driver: the front end made it up. QEMU 7.2 does with
 * rng, i2c and gpio, and never says DRIVER_OK after it, though it negotiated STATUS.
 */
static inline bool vu_status_made_up(const struct vio_vhost_user *backend)
{
	const uint8_t both = VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;

	return (backend->dev->status & both) == VIRTIO_CONFIG_S_FEATURES_OK;
}

/* Whether the front end passes on what the driver writes into the status. */
static inline bool vu_has_status(const struct vio_vhost_user *backend)
{
	return vu_has_protocol(backend, VHOST_USER_PROTOCOL_F_STATUS) && !vu_status_made_up(backend);
}

/* What a handler of a message returns when it has made the reply that the message always has. */
#define VU_REPLIED 1

static inline int vu_reply(struct vio_vhost_user *backend, const struct vu_message *message,
			   const void *payload, uint32_t size)
{
	vu_sender_put(&backend->sender, message->header.request, payload, size);
	return VU_REPLIED;
}

static inline int vu_reply_u64(struct vio_vhost_user *backend, const struct vu_message *message,
			       uint64_t value)
{
	return vu_reply(backend, message, &value, sizeof(value));
}

/* migrate.c: handlers. */
int vu_set_log_base(struct vio_vhost_user *backend, struct vu_message *message);
int vu_set_log_fd(struct vio_vhost_user *backend, struct vu_message *message);
int vu_set_device_state_fd(struct vio_vhost_user *backend, struct vu_message *message);
int vu_check_device_state(struct vio_vhost_user *backend, struct vu_message *message);
/* Queues that mark something else now are stopped and started. A log that is too short: -VIO_ERANGE. */
int vu_log_update(struct vio_vhost_user *backend);
/* Whether the log has bits for that memory, if it is to be marked. */
bool vu_log_admits(const struct vio_vhost_user *backend, const struct vhost_user_mem_region *wire);
/* What is to be marked of a queue. */
bool vu_marks_buffers(const struct vu_vring *vring);
bool vu_marks_rings(const struct vu_vring *vring);

/*
 * Handles the message that is complete in the receiver; a reply is left in the
 * sender. A negative code ends the connection.
 */
int vu_handle_message(struct vio_vhost_user *backend);

void vu_vring_init(struct vu_vring *vring, struct vio_vhost_user *backend, uint16_t index);
/* What the driver said is forgotten; descriptors to write to stay. */
void vu_vring_reset(struct vu_vring *vring);
/* Everything back to how it was before the connection. */
void vu_vring_close(struct vu_vring *vring);
/*
 * Something of it was set: starts it if nothing is missing any more. A negative code when it
 * can't start so; it isn't tried again before something of it, or the memory, is set anew.
 */
int vu_vring_update(struct vu_vring *vring);
/* Stops it in the device, keeping where it was. */
void vu_vring_pause(struct vu_vring *vring);
/* Takes over a new descriptor (or -1 for none) for kicks; on failure it is closed. */
int vu_vring_set_kick(struct vu_vring *vring, enum link_signal_kind kind, int fd);
/* Takes over what to raise for interrupts; one that is owed is raised. */
void vu_vring_set_call(struct vu_vring *vring, enum link_signal_kind kind, int fd);
void vu_vring_interrupt(struct vu_vring *vring);

static inline bool vu_vring_runs(const struct vu_vring *vring)
{
	return vring->index < vring->backend->dev->queue_count &&
	       vring->backend->dev->queues[vring->index].running;
}

/*
 * All that run, and those that could, for a change of memory, status or features in between.
 * One that can't start is told by its error descriptor and the log, and doesn't hold up others.
 */
void vu_pause_all(struct vio_vhost_user *backend);
void vu_update_all(struct vio_vhost_user *backend);
bool vu_any_runs(const struct vio_vhost_user *backend);
/* All queues are stopped by GET_VRING_BASE: the driver and the front end hear nothing. */
bool vu_suspended(const struct vio_vhost_user *backend);
/* Tells of a configuration change. */
void vu_tell_config(struct vio_vhost_user *backend);
/* A driver begins anew: nothing of what an earlier one asked for is in flight. */
void vu_forget_all(struct vio_vhost_user *backend);

#endif
