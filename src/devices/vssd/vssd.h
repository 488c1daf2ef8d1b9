/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DEVICES_VSSD_VSSD_H
#define VIO_DEVICES_VSSD_VSSD_H

#include "devices/block_requests.h"
#include "devices/vssd/map.h"

/*
 * What the files of this device type share: map.c keeps which blocks are provisioned, control.c deals
 * with lists and resizes, saved.c saves and loads, vssd.c is the class.
 */

/* A change of the map, one at a time. */
enum vssd_change {
	VSSD_REST,
	VSSD_EVICT, /* recorded first, punched then */
	VSSD_CLAIM, /* zeroed first, recorded then */
	VSSD_NOTE,  /* of a target, recorded */
};

struct vssd {
	struct vio_block_requests requests; /* first: see there */
	/* Properties. */
	uint64_t unit;
	uint32_t deadline_ms;

	struct vio_vssd_storage storage;
	struct vssd_map map;
	uint32_t ticket;
	enum vio_vssd_outcome outcome;
	uint64_t unpunched;
	bool map_failed; /* what is on the storage isn't known any more */

	enum vssd_change change;
	bool recorded;
	bool answering; /* buf waits for the change's end */
	bool draining;
	bool serving;                     /* the queue's loop looks for the next one itself */
	enum vio_vssd_outcome withdrawal; /* after the change; NONE: none */
	struct vio_buf buf;
	struct vio_device *dev;
	struct vio_block_request work;
	struct vio_block *work_on;
	uint64_t run_first, run_count;
	int result;
	bool submitting, done;

	void *watch_context;
	void (*changed)(void *context, struct vio_device *dev);
};

static inline uint32_t vssd_state_towards(const struct vssd_map *map, uint64_t target)
{
	if (target == map->provisioned)
		return VIRTIO_VSSD_STATE_IDLE;
	return target < map->provisioned ? VIRTIO_VSSD_STATE_SHRINKING : VIRTIO_VSSD_STATE_GROWING;
}

/* As the driver sees it. */
static inline uint32_t vssd_state(const struct vssd *vssd)
{
	return vssd_state_towards(&vssd->map, vssd->map.target);
}

/* Behind the request queues that there are for this driver. */
uint16_t vio_vssd_control_queue(const struct vio_device *dev);

/* Reads the map, as it is now, and punches what isn't provisioned. */
int vio_vssd_open_map(struct vssd *vssd);

/* saved.c */

void vio_vssd_save(struct vio_device *dev, struct vio_state_writer *writer);
int vio_vssd_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version);

/* The control queue was kicked. */
void vio_vssd_control(struct vio_device *dev, struct vio_devq *q);
/* Returns when no change is being made. */
void vio_vssd_control_drain(struct vio_device *dev);

#endif
