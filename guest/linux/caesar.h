/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
#ifndef CAESAR_H
#define CAESAR_H
/*
 * What the files of the module virtio_caesar share: caesar_device.c is the virtio side and the
 * module's life, caesar_file.c is the character device.
 */
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/* Descriptors of a request: the text and the place for what becomes of it. */
#define CAESAR_DESCRIPTORS 2

struct caesar {
	struct kref ref;
	struct virtio_device *vdev;
	struct virtqueue *vq;		/* NULL while suspended; written under lock */
	struct caesar_piece *parked;	/* unfinished when suspended */
	spinlock_t lock;		/* the virtqueue, the pieces */
	struct mutex config_lock;	/* configuration access against removal */
	bool gone;			/* written under both locks */
	unsigned int unfinished;	/* pieces that the device has */
	unsigned int changes;		/* configuration changes by the device so far; under lock */
	struct work_struct config_work;
	wait_queue_head_t wait;		/* a piece is done, room, a change, or the device went away */
	int index;
	char name[24];
	struct miscdevice misc;
};

struct caesar_file {
	struct caesar *caesar;
	struct mutex read_lock;		/* the stream goes to one reader at a time */
	struct mutex write_lock;	/* the text of one write() stays together */
	struct list_head pieces;	/* oldest first */
	unsigned int count;
	unsigned int changes_seen;
};

enum caesar_state {
	CAESAR_PENDING,		/* the device may use the buffers */
	CAESAR_DONE,		/* belongs to the file */
	CAESAR_ABANDONED,	/* as PENDING, but the file is closed: the callback frees it */
};

struct caesar_piece {
	struct list_head node;	/* in caesar_file->pieces */
	enum caesar_state state;
	struct caesar_piece *next;	/* while parked */
	int error;
	unsigned int length;
	unsigned int read;	/* bytes that read() has returned; under read_lock */
	u8 *in;			/* what the device reads, and */
	u8 *out;		/* writes: allocations of their own, so fit for any DMA */
};

/* The two configuration bytes, by name of the field */
enum caesar_field {
	CAESAR_SHIFT,
	CAESAR_MODE,
};

void caesar_free(struct kref *ref);
struct caesar_piece *caesar_piece_alloc(unsigned int length);
void caesar_piece_free(struct caesar_piece *piece);

/* With caesar->lock held */
int caesar_check(struct caesar *caesar);
int caesar_add(struct caesar *caesar, struct caesar_piece *piece);

/* These may sleep. */
int caesar_get(struct caesar *caesar, enum caesar_field field, u32 *value);
int caesar_set(struct caesar *caesar, enum caesar_field field, u32 value);

/* caesar_file.c */
extern const struct file_operations caesar_fops;

#endif
