/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_CLIENT_FAKE_H
#define TEST_CLIENT_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <vireo/spec/vhost_user.h>
#include <vireo/spec/virtio_blk.h>
#include <vireo/spec/virtio_ring.h>

/*
 * A back end in a thread of its own: a disk in memory behind split rings, written by hand, that does as it
 * should but for one trick.
 */
#define FAKE_BYTES  (1u << 20)
#define FAKE_QUEUES 2u
#define FAKE_SERIAL "not to be trusted"

enum fake_trick {
	FAKE_HONEST,
	/* With each request that comes. */
	FAKE_SILENT,         /* takes it, and never answers */
	FAKE_LATE,           /* answers, and tells nobody */
	FAKE_HANGS_UP,       /* takes it, and hangs up */
	FAKE_STATUS_UNKNOWN, /* a status that there isn't */
	FAKE_STATUS_UNWRITTEN,
	FAKE_SAYS_NOTHING, /* a used length of 0 */
	FAKE_SAYS_LESS,    /* than the data has */
	FAKE_FAILS,
	FAKE_KNOWS_NOTHING, /* "unsupported" */
	/* Rings that are broken. */
	FAKE_SAYS_MORE,    /* than the buffer has */
	FAKE_ID_BEYOND,    /* of the ring */
	FAKE_ID_NOT_THERE, /* not in flight */
	FAKE_TWICE,        /* the same again */
	FAKE_INDEX_FAR,    /* the used index jumps */
	FAKE_SCRIBBLES,    /* over all that it sees */
	FAKE_RING_ERROR,   /* says that the ring is broken */
	FAKE_ASKS_FOR_RESET,
	FAKE_SHRINKS, /* the disk, and says so */
	FAKE_FLOODS,  /* the channel, and the interrupt */
	FAKE_TRICKS
};

struct fake_queue {
	int kick, call, error;
	uint16_t size, next, used;
	bool started;
	uint64_t descriptor, available, used_area;
};

struct fake {
	int socket, channel, peer; /* `peer`: the front end's end, until it is connected */
	pthread_t thread;
	atomic_int trick;
	atomic_bool ends;
	atomic_uint taken; /* requests */
	uint64_t features, protocol, features_accepted;
	bool nonsense; /* in reply to GET_FEATURES */
	uint8_t status;
	uint8_t *memory;
	uint64_t base, bytes;
	struct virtio_blk_config config;
	struct fake_queue queues[FAKE_QUEUES];
	uint8_t disk[FAKE_BYTES];
};

struct fake *fake_start(enum fake_trick trick);
/* For struct vio_client_options: hands over the one connection that there is. */
int fake_connect(void *context);
void fake_end(struct fake *fake);

#endif
