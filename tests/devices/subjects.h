/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_SUBJECTS_H
#define TESTS_DEVICES_SUBJECTS_H

#include "devices/fake_block.h"
#include "devices/fake_events.h"
#include "devices/fake_network.h"
#include "devices/fake_terminal.h"
#include "devices/harness.h"

#include <vireo/entropy.h>

/*
 * One device of each type, for tests that do the same to all: requests on one queue whose answers are
 * known, and a backend that answers late when it is told to. The driver's memory and what is on a disk
 * lie in a file, the room, so that another device, in this process or another one, can go on with both.
 */
#define SUBJECT_BYTES_MAX 640u

struct bed;

struct subject {
	const struct vio_device_class *class;
	uint16_t queue;           /* on which the requests go */
	uint32_t config_changes;  /* configuration bytes before this one stay when it moves; 0: all do */
	uint32_t config_stays_at; /* and those from here on */
	/* Properties and backends. */
	void (*furnish)(struct bed *bed);
	/* What the driver chooses, and a device that moves keeps. */
	void (*choose)(struct bed *bed);
	/* A request of that number: out_bytes are at `out`, room for in_bytes is wanted. */
	void (*make)(unsigned number, struct harness_io *io, uint8_t *out);
	/* The backend keeps what it gets. */
	void (*hold)(struct bed *bed);
	/* It does what it kept, and whatever comes, or gives what `count` requests wait for. */
	void (*release)(struct bed *bed, unsigned count);
	/* What came back. */
	void (*judge)(unsigned number, const uint8_t *in, uint32_t written);
};

extern const struct subject subjects[];
#define SUBJECTS 8u

struct bed {
	struct harness h;
	const struct subject *subject;
	uint8_t *room;
	bool first; /* on this room */
	struct fake_block disk, map;
	uint8_t *disk_own, *map_own; /* what they had instead of the room */
	void *map_memory;
	struct fake_network network;
	struct fake_terminal terminal;
	struct fake_events events;
	struct vio_entropy entropy;
	bool dry;
};

struct subject_request {
	const struct subject *subject;
	unsigned number, completed;
	uint8_t *in;
};

/* Where things are in the room. */
#define ROOM_DISK       HARNESS_MEMORY_BYTES
#define ROOM_DISK_BYTES 0x40000u
#define ROOM_MAP        (ROOM_DISK + ROOM_DISK_BYTES)
#define ROOM_MAP_BYTES  0x10000u
#define ROOM_NOTES      (ROOM_MAP + ROOM_MAP_BYTES)
#define ROOM_BYTES      (ROOM_NOTES + 0x10000u)

int room_make(void);
/* A mapping of its own each time. */
uint8_t *room_map(int fd);

/* A device in that mapping, attached and in reset. */
struct bed *bed_make(const struct subject *subject, uint8_t *room, bool first);
/* The device is no more; the driver's queues and the room are still there. */
void bed_end_device(struct bed *bed);
void bed_free(struct bed *bed);

/* All that is offered, with these of VIRTIO_F_RING_PACKED and VIRTIO_F_IN_ORDER. */
uint64_t bed_features(const struct bed *bed, bool packed, bool in_order);
/* Makes a request available. */
void bed_add(struct bed *bed, struct subject_request *request, unsigned number);
/* Takes back what is done and judges it; how many there were. */
unsigned bed_collect(struct bed *bed);

#endif
