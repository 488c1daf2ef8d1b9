/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VDUSE_SERVER_H
#define VIO_LINK_VDUSE_SERVER_H

#include <linux/vduse.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include <vireo/vduse.h>

#include "link/guard.h"
#include "link/inflight.h"
#include "link/log.h"

/* The calls that reach the kernel, as open(2), ioctl(2) and write(2); tests put theirs here. */
struct vds_system {
	int (*open)(void *context, const char *path, int flags);
	int (*control)(void *context, int fd, unsigned long request, void *argument);
	ssize_t (*tell)(void *context, int fd, const void *message, size_t length);
	void *context;
};

extern const struct vds_system vds_system_real;

struct vds_mapping {
	struct vio_region region;
	struct link_mapping map;
};

struct vds_memory {
	struct vio_mem mem; /* of no regions: all is translated */
	struct vio_region storage[1];
	struct vds_mapping mappings[VIO_VDUSE_REGIONS_MAX];
	unsigned count;
	unsigned last; /* the one that was asked for last, a guess */
};

/* The beginning of the account's file; the queues' regions follow after a page. */
#define VDS_ACCOUNT_MAGIC   "vireo\nv1"
#define VDS_ACCOUNT_QUEUES  UINT64_C(4096)
#define VDS_ACCOUNT_VERSION 1u

struct vds_account_head {
	char magic[8]; /* written last */
	uint32_t version;
	uint32_t id;
	uint64_t features;
	uint32_t config_bytes;
	uint32_t queue_count;
	uint32_t queue_size;
	uint32_t status; /* as last told by the driver: the kernel doesn't tell it again */
	char name[VDUSE_NAME_MAX];
};

struct vds_account {
	int fd;     /* -1: none */
	bool fresh; /* nobody wrote there before us */
	struct link_mapping map;
	struct vds_account_head *head;
	struct link_inflight inflight;
	char path[4096];
};

/*
 * A queue. It runs while the driver is there, the kernel says that it is ready, and its rings are in memory.
 */
struct vds_queue {
	struct vio_vduse *vduse;
	struct vio_watch kick; /* fd -1: none */
	struct vio_task again;
	uint16_t index;
	bool watched;
	bool known;                  /* `at` is where it stands; else the kernel knows where it begins */
	bool refused;                /* it can't start as the driver has it; said once */
	bool had_run;                /* here: what was shown, the driver was told of */
	bool owes_interrupt;         /* the kernel didn't take it yet */
	struct vio_devq_position at; /* while it doesn't run */
	enum {
		VDS_ENDED_NOWHERE, /* it never ran, or that can't be told */
		VDS_ENDED_SPLIT,
		VDS_ENDED_PACKED,
	} ended; /* `at` is where it stood when the driver reset the device */
	struct link_ledger ledger;
};

struct vio_vduse {
	struct vio_device *dev;
	struct vio_watcher watcher;
	const struct vio_vduse_events *events;
	void *context;
	const struct vds_system *system;
	struct link_log log;
	struct vio_vduse_mistake *mistake; /* while it starts */

	char name[VIO_VDUSE_NAME_MAX + 1];
	int control;             /* /dev/vduse/control; -1 */
	struct vio_watch device; /* /dev/vduse/NAME; fd -1: not started */
	bool watched;
	bool attached;
	bool ours;  /* made here, or taken over: to be removed */
	int failed; /* the kernel won't have more of us; the code */
	struct vio_task ending;
	struct vio_task serving; /* of what an earlier server left */
	struct vio_watch timer;  /* to interrupt once more; fd -1 */
	unsigned patience;       /* how often yet */
	bool owes_config;        /* an interrupt for the configuration, as a queue's */

	uint64_t withhold; /* what the device that was taken over was made without as well */
	struct vds_account account;
	struct vds_memory memory;
	struct vds_queue *queues; /* dev->queue_count of them */
	uint8_t *config;          /* as the kernel has it */
};

void vds_log(struct vio_vduse *vduse, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for what ends a start, which the caller is told; returns `error`. */
int vds_refuse(struct vio_vduse *vduse, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An ioctl on the device. 0 or more, or -1 and errno; a device that the kernel gave up ends the link. */
int vds_control(struct vio_vduse *vduse, unsigned long request, void *argument);
/* What errno says, as a code. */
int vds_error(void);
/* Everything ends, after what is being done now. */
void vds_fail(struct vio_vduse *vduse, int reason);

/* What a driver may be offered. */
uint64_t vds_features(const struct vio_vduse *vduse);
/* Shows the kernel the configuration, if it has changed. Whether it had. */
bool vds_config_send(struct vio_vduse *vduse);
/* Starts the queues that can. */
void vds_serve(struct vio_vduse *vduse);

/* open.c: the kernel's device. */
int vds_open(struct vio_vduse *vduse, const struct vio_vduse_options *options);
/* 0: it is removed; -VIO_EBUSY: it stays. */
int vds_close(struct vio_vduse *vduse);

/* account.c */
int vds_account_open(struct vio_vduse *vduse, const char *path);
/* A device that is new has nothing in flight. */
int vds_account_begin(struct vio_vduse *vduse);
/* -VIO_ESTATE: it isn't this device's. */
int vds_account_judge(struct vio_vduse *vduse);
int vds_account_map(struct vio_vduse *vduse);
/* How far the driver has come, for who comes after us. */
void vds_account_note(struct vio_vduse *vduse, uint32_t status);
/* Ends the link, when somebody cut the file short. */
void vds_account_check(struct vio_vduse *vduse);
void vds_account_close(struct vds_account *account, bool remove);

/* memory.c */
void vds_memory_init(struct vio_vduse *vduse);
/* Whether anything of it is mapped. */
bool vds_memory_covers(const struct vds_memory *memory, uint64_t start, uint64_t last);
/* No queue may run that could have it in use. */
void vds_memory_drop(struct vds_memory *memory, uint64_t start, uint64_t last);
bool vds_memory_torn(const struct vds_memory *memory);

/* queue.c */
void vds_queue_init(struct vds_queue *queue, struct vio_vduse *vduse, uint16_t index);
/* Gives the kernel something to kick. */
int vds_queue_listen(struct vds_queue *queue);
/* Starts it, if it doesn't run and nothing is missing. */
void vds_queue_start(struct vds_queue *queue);
/* Stops it, drained, keeping where it stands. */
void vds_queue_pause(struct vds_queue *queue);
/* The driver is about to reset the device: notes where it stands, paused as it is. */
void vds_queue_end(struct vds_queue *queue);
/* The driver begins anew. */
void vds_queue_reset(struct vds_queue *queue);
void vds_queue_close(struct vds_queue *queue);
void vds_queue_interrupt(struct vds_queue *queue);
/* Where it would go on; false when that isn't known. */
bool vds_queue_position(struct vds_queue *queue, struct vio_devq_position *at);
void vds_config_interrupt(struct vio_vduse *vduse);
void vds_interrupts_close(struct vio_vduse *vduse);

/* messages.c: takes and answers one request. 1: there was one; 0: none; a negative code ends the link. */
int vds_message(struct vio_vduse *vduse);

#endif
