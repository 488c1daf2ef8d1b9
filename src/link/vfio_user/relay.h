/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VFIO_USER_RELAY_H
#define VIO_LINK_VFIO_USER_RELAY_H

#include <vireo/devq.h>

#include "link/arena.h"
#include "link/vfio_user/dma.h"
#include "ring/walk.h"

/*
 * A queue whose rings or buffers lie in memory that came without a descriptor. The device's queue runs on
 * rings of the same size, format and position in memory of our own (here: near), and the relay keeps the two
 * alike. Towards the driver's rings (far) it does what a device does, by batches of copies, and nobody waits:
 *
 *	in    look at what is available; fetch descriptors, then indirect tables, then what can be read of
 *	      the buffers; make all of that available near, and serve the queue. Ask for kicks, look again.
 *	out   what the device has shown near: write what it filled and the used elements, then what makes
 *	      those visible; look at what the driver asked for, interrupt.
 *
 * Each buffer is copied into pages of its own, but for what lies in a region with a descriptor, which the
 * device is given as it is. Judging is the near ring's affair: what a driver got wrong is handed on as it is.
 * While queues rest a relay does, too: it begins its present step again afterwards, but for making visible,
 * which isn't done twice. It ends with the queue, by a reset or with the connection.
 *
 * A queue that has its rings here is served as ever, at the price of a log that does nothing. The first
 * buffer that it finds in memory without a descriptor makes a relay of it.
 */

#define VFU_RELAY_BYTES (UINT64_C(32) << 20) /* of copies a queue */
#define VFU_UNLINKED    UINT16_MAX           /* a descriptor that no buffer has */

struct vfu_relay;
struct vfu_queue;

/* What the device may fill of a buffer, in order. */
struct vfu_writable {
	uint64_t address;
	uint8_t *host; /* NULL: it has the real thing */
	uint32_t bytes;
};

/* A buffer that is on its way: by its name. */
struct vfu_record {
	bool taken;
	uint16_t entries; /* of the ring */
	uint32_t written;
	/* The device may cut the last byte off, to write that whatever it wrote of the rest. */
	const struct vio_span *last;
	const uint8_t *last_end;
	bool cut;
	struct vio_shared memory;
	size_t bytes; /* of that */
	struct vfu_writable *writable;
	unsigned writable_count;
	uint16_t linked; /* split: descriptors of the ring, see vfu_relay.links */
};

/* One that is being fetched. */
struct vfu_fetch {
	uint16_t name;
	uint16_t position;      /* of its first descriptor among the ring's own, */
	uint16_t descriptors;   /* and how many of those it has */
	uint16_t indirect;      /* the one that refers to a table, */
	bool refers;            /* if one does, */
	uint32_t table_entries; /* of that, 0: there is none that can be fetched */
	size_t table;           /* where it is in relay->tables */
	size_t sum;             /* of descriptors, with those before it */
	struct vio_shared memory;
	size_t bytes;
};

/* What differs between the formats. Those that return false leave a relay that is broken. */
struct vfu_ring_ops {
	/* Makes the near rings, and says where they are. */
	int (*make)(struct vfu_relay *relay, struct vio_devq_config *near);
	struct descriptor (*load)(const void *from);
	/* in */
	void (*look)(struct vfu_relay *relay);    /* begins VFU_IN_LOOK */
	void (*looked)(struct vfu_relay *relay);  /* begins VFU_IN_FETCH, or there is nothing */
	void (*fetched)(struct vfu_relay *relay); /* fills relay->fetches, and goes on with their tables */
	void (*show)(struct vfu_relay *relay);    /* they are here: makes them available near */
	bool (*ask)(struct vfu_relay *relay);     /* begins VFU_IN_ASK, if kicks have to be asked for */
	/* out: add to the batch of a step */
	bool (*give)(struct vfu_relay *relay); /* sets relay->showing */
	bool (*make_visible)(struct vfu_relay *relay);
	bool (*read_wish)(struct vfu_relay *relay);
	bool (*wanted)(const struct vfu_relay *relay); /* an interrupt */
};

enum vfu_in {
	VFU_IN_IDLE,
	VFU_IN_LOOK,
	VFU_IN_FETCH,
	VFU_IN_TABLES,
	VFU_IN_DATA,
	VFU_IN_ASK,
};

enum vfu_out {
	VFU_OUT_IDLE,
	VFU_OUT_GIVE,
	VFU_OUT_SHOW,
	VFU_OUT_WISH,
};

struct vfu_relay {
	struct vio_devq_log log;
	struct vfu_queue *queue;
	const struct vfu_ring_ops *ops;
	struct vio_devq_config far;
	uint16_t size;
	bool packed, event_idx, in_order, indirect;
	bool begun; /* the driver was ready */
	bool resting;
	bool broken;
	bool kicked;  /* while it looked */
	bool starved; /* waits for what the device gives back: pages, or entries of the ring */

	struct vio_arena arena; /* near memory */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct pvirtq_desc *ring;
	struct pvirtq_event_suppress *driver_event, *device_event;

	struct vfu_record *records; /* `size` of them, by name */
	uint16_t *order;            /* in order: names as they were taken, a ring of `size` */
	uint16_t order_first, order_count;

	/* in */
	enum vfu_in in_step;
	struct vfu_batch in;
	uint16_t seen;    /* up to here all is available near, as the ring counts */
	uint16_t entries; /* packed: of the ring that are neither free nor shown to the driver */
	uint16_t asked;   /* kicks are asked for from here on; */
	bool has_asked;   /* at all */
	bool counted;     /* packed: how many are available is known */
	uint16_t available;
	uint8_t *table;  /* the ring's descriptors, as far as they were fetched */
	vio_le16 *names; /* split: the available ring, likewise */
	/* Split: the descriptors that buffers on their way have, each the next; the last one has itself. */
	uint16_t *links;
	uint8_t *tables; /* indirect ones */
	size_t tables_bytes;
	struct vfu_fetch *fetches; /* `size` of them */
	unsigned fetch_count;
	uint8_t **places; /* of one buffer's descriptors */
	union {
		vio_le16 idx;
		uint32_t flags;
	} look;

	/* out */
	enum vfu_out out_step;
	struct vfu_batch out;
	uint16_t near_shown; /* what the driver could see near, */
	uint16_t shown;      /* what it can see, as the ring counts, */
	uint16_t showing;    /* and will be able to */
	uint16_t *giving;    /* names of what is being given back, `size` of them at most */
	unsigned giving_count;
	vio_le16 visible;
	union {
		struct {
			vio_le16 flags, event;
		} split;
		uint32_t packed;
	} wish;
	union {
		vio_le16 idx;
		uint32_t event;
	} asking;
};

struct vio_vfio_user;

/*
 * A queue is about to start on these rings: where they are out of the device's reach, but in the client's
 * memory, they are replaced by those of a relay.
 */
void vfu_relay_place(struct vfu_queue *queue, struct vio_devq_config *config);
/* Whether the rings, near or far, are in memory now. */
bool vfu_relay_present(const struct vfu_queue *queue);
/* The driver kicked. */
void vfu_relay_kick(struct vfu_queue *queue);
/* The device showed something, perhaps in another thread. */
void vfu_relay_settle(struct vfu_queue *queue);
void vfu_relay_rest(struct vfu_queue *queue);
void vfu_relay_go_on(struct vfu_queue *queue);
void vfu_relay_end(struct vfu_queue *queue);
/* After whatever the driver did: ends those whose queue was stopped and isn't held, begins what is ready. */
void vfu_relays_sweep(struct vio_vfio_user *server);
void vfu_relays_settle(struct vio_vfio_user *server);
bool vfu_relays_any(const struct vio_vfio_user *server);

/* For the two formats. */
extern const struct vfu_ring_ops vfu_split_ops, vfu_packed_ops;

/* The device needs a reset. */
void vfu_relay_fault(struct vfu_relay *relay, enum vio_fault_kind kind, uint32_t index, uint64_t value);
/* Adds to the batch of a side: reads, and writes. false: that failed, and the relay is broken. */
bool vfu_relay_in(struct vfu_relay *relay, uint64_t address, void *host, uint32_t bytes);
bool vfu_relay_ask(struct vfu_relay *relay, uint64_t address, const void *host, uint32_t bytes);
bool vfu_relay_wish(struct vfu_relay *relay, uint64_t address, void *host, uint32_t bytes);
bool vfu_relay_out(struct vfu_relay *relay, uint64_t address, const void *host, uint32_t bytes);
/* Begins the batch of the in side with the step it is for. */
void vfu_relay_begin(struct vfu_relay *relay, enum vfu_in step);
/* There is nothing new. */
void vfu_relay_none(struct vfu_relay *relay);

/* relay_buffers.c: a descriptor that refers to a table which can be fetched: how many entries, else 0. */
uint32_t vfu_relay_table(const struct vfu_relay *relay, const struct descriptor *d);
/* One more is to be fetched; false: not with those before it. */
bool vfu_relay_fetch(struct vfu_relay *relay, const struct vfu_fetch *fetch);
void vfu_relay_drop_fetches(struct vfu_relay *relay, unsigned from);
/* The descriptors of that buffer are nobody's. */
void vfu_relay_unlink(struct vfu_relay *relay, uint16_t name);
/* The steps from there on. */
void vfu_relay_tables(struct vfu_relay *relay);
void vfu_relay_lay(struct vfu_relay *relay);
void vfu_relay_show(struct vfu_relay *relay);
/*
 * The device gave back the buffer of that name, and in order those before it: how many buffers and entries
 * of the ring one used element stands for. false: the relay is broken.
 */
bool vfu_relay_give(struct vfu_relay *relay, uint16_t name, uint16_t *buffers, uint16_t *entries);
/* All of that is written. */
void vfu_relay_given(struct vfu_relay *relay);

#endif
