/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VFIO_USER_SERVER_H
#define VIO_LINK_VFIO_USER_SERVER_H

#include <vireo/pci.h>
#include <vireo/vfio_user.h>

#include "base/atomic.h"
#include "link/log.h"
#include "link/signal.h"
#include "link/socket.h"
#include "link/vfio_user/dma.h"
#include "link/vfio_user/memory.h"
#include "link/vfio_user/relay.h"
#include "link/vfio_user/wire.h"
#include "ring/packed.h"
#include "ring/split.h"

/* One interrupt: what to raise, and whether it may be. */
struct vfu_irq {
	struct link_signal signal;
	bool masked;
};

/* What a queue has beside the model's part of it. */
struct vfu_queue {
	struct vio_vfio_user *server;
	struct vio_watch kick;         /* its ioeventfd, -1: not asked for yet */
	struct vio_devq_position base; /* where it stands while it is held */
	uint16_t index;
	struct vfu_relay *relay;    /* or NULL: its rings are where the driver said */
	struct vio_devq_log watch;  /* without one, while there is memory that only one can reach */
	bool wants_relay;           /* a buffer lies in it */
	bool kicked;                /* with a crew: for the relay */
	bool held;                  /* stopped when memory changed, and not started since */
	struct vio_watcher watcher; /* of the thread that serves it */
	/* threads.c: what its thread has to come back to, and what is not for that thread. */
	struct vio_task again, settle, interrupt;
};

/* The migration's state machine: what there is of the device's state, which is read or written bit by bit. */
struct vfu_migration {
	uint32_t state; /* VFIO_USER_STATE_... */
	uint8_t *data;
	size_t bytes;
	size_t at; /* read up to here */
};

struct vio_vfio_user {
	struct vio_device *dev;
	struct vio_watcher watcher;
	struct vio_watch_crew crew; /* post is NULL: one thread serves all */
	const struct vio_device_events
		*model_events; /* with a crew: those of the model, which hear after us */
	const struct vio_vfio_user_events *events;
	void *context;
	struct link_log log; /* of this connection */
	uint64_t heard;      /* likewise, messages */

	struct link_socket socket;
	struct vio_watch rest; /* a timer after changes of memory under queues; fd -1: none */
	bool resting;          /* queues are held until memory seems to stand */

	bool negotiated;
	unsigned client_fds;  /* what the client takes with one message */
	uint32_t client_data; /* bytes of data, likewise */

	struct vio_pci_device model;
	struct vio_task work; /* what one kick left undone */
	uint16_t vector_count;
	bool line; /* the level that the model wants */
	struct vfu_irq intx;
	struct vfu_irq *msix; /* vector_count of them */
	struct vio_pci_vector *vectors;
	struct vfu_queue *queues; /* dev->queue_count of them */
	struct vio_pci_queue *model_queues;

	struct vfu_migration migration;
	struct vfu_dma dma;
	struct vfu_memory memory;
	struct vfu_receiver receiver;
	struct vfu_sender sender;
};

/* One line to the owner's log. */
void vfu_log(struct vio_vfio_user *server, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a request that isn't granted; returns `error`. */
int vfu_refuse(struct vio_vfio_user *server, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sends what is in the sender: 1; 0: it waits for room; a negative code ends the connection. */
int vfu_flush(struct vio_vfio_user *server);

/*
 * Handles the message that is complete in the receiver; a reply is left in the sender. A
 * negative code ends the connection.
 */
int vfu_handle_message(struct vio_vfio_user *server);

/*
 * Handlers of commands: the payload is in the receiver and has the command's least size. They
 * return the size of the payload that they left in the sender, or a negative code, for the client.
 */
int vfu_version(struct vio_vfio_user *server);
int vfu_device_info(struct vio_vfio_user *server);
int vfu_region_info(struct vio_vfio_user *server);
int vfu_region_io_fds(struct vio_vfio_user *server);
int vfu_region_read(struct vio_vfio_user *server);
int vfu_region_write(struct vio_vfio_user *server);
int vfu_region_write_multi(struct vio_vfio_user *server);
int vfu_irq_info(struct vio_vfio_user *server);
int vfu_set_irqs(struct vio_vfio_user *server);

int vfu_feature(struct vio_vfio_user *server);
int vfu_migration_read(struct vio_vfio_user *server);
int vfu_migration_write(struct vio_vfio_user *server);

/* migration.c */
static inline bool vfu_stopped(const struct vio_vfio_user *server)
{
	return server->migration.state != VFIO_USER_STATE_RUNNING;
}
/* Runs, with nothing to be read or written. */
void vfu_migration_reset(struct vio_vfio_user *server);

/* interrupts.c: what the model calls; while the device is stopped it waits. */
void vfu_line(void *context, unsigned level);
void vfu_vector(void *context, unsigned vector);
/* What waited goes out. */
void vfu_interrupts_settle(struct vio_vfio_user *server);
/* Masks and what waited are forgotten; the descriptors stay. */
void vfu_interrupts_reset(struct vio_vfio_user *server);
void vfu_interrupts_close(struct vio_vfio_user *server);

/* threads.c: nothing without a crew. */
void vfu_halt(struct vio_vfio_user *server);
void vfu_resume(struct vio_vfio_user *server);
/* Comes between the device and the model, which isn't made for threads. */
void vfu_threads_attach(struct vio_vfio_user *server);
/* Nothing that threads left is done any more. */
void vfu_threads_cancel(struct vio_vfio_user *server);
/* The queue was kicked, in its thread. */
void vfu_serve(struct vfu_queue *queue);

/* regions.c */
void vfu_kicks_close(struct vio_vfio_user *server);

/* hold.c: stops all queues that run, for a change of memory that follows. */
void vfu_hold_queues(struct vio_vfio_user *server);
/* It seems to be over: those that have their rings go on, the others wait for the next change. */
void vfu_release_queues(struct vio_vfio_user *server);
/* The driver wants this one to run, by a message: without rings that is its fault. */
void vfu_release_kicked(struct vio_vfio_user *server, uint16_t index);
/* None is to go on. */
void vfu_forget_held(struct vio_vfio_user *server);

#endif
