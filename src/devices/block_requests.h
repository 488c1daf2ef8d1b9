/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DEVICES_BLOCK_REQUESTS_H
#define VIO_DEVICES_BLOCK_REQUESTS_H

#include <vireo/block.h>
#include <vireo/device.h>
#include <vireo/spec/virtio_blk.h>

/*
 * Request queues as the block device (5.2) has them, for each device type that has such: its state
 * begins with a struct vio_block_requests, its properties with VIO_BLOCK_REQUESTS_PROPERTIES, its
 * configuration with a struct virtio_blk_config, and the functions below are its class's callbacks,
 * or part of them.
 *
 * The life of a request: kick pops it, judges all of it and either answers or hands it to the storage,
 * once for each segment; then the status is written and the buffer given back.
 */
#define VIO_BLOCK_REQUESTS_QUEUES_MAX   256u
#define VIO_BLOCK_REQUESTS_SEG_MAX      1000u /* so that what goes to readv() stays below the usual 1024 */
#define VIO_BLOCK_REQUESTS_SEGMENTS_MAX 16u   /* of a discard or write-zeroes request */
#define VIO_BLOCK_REQUESTS_RATE_MAX     UINT64_C(1000000000000)

/* What belongs to one queue. */
struct vio_block_lane {
	struct vio_block *block; /* that of the device, or one of the thread that serves the queue */
	uint32_t in_flight;
	bool batched;      /* a notification will follow anyway */
	bool waiting;      /* for the limits: not all that is there was taken */
	uint16_t reserved; /* requests that the limit was told of, and that aren't taken yet */
	/* Of the batch that is being served: when it was taken, and what was done before that was over. */
	uint64_t now_ns;
	uint16_t done[VIO_BLOCK_KINDS];
	uint16_t turn;     /* of the queues that its block serves: of the first of them */
	uint8_t apart[30]; /* other queues may be served by other threads */
};

/*
 * A bucket that fills at `rate` units a second up to what BURST_NS brings, kept as the time when it
 * was or will be empty. Who finds it not in debt may take any amount. Threads share it.
 */
struct vio_block_bucket {
	uint64_t rate; /* 0: no limit */
	uint64_t empty_ns;
};

struct vio_block_requests {
	/* Properties. */
	char serial[VIRTIO_BLK_ID_BYTES + 1];
	bool read_only;
	bool write_cache;
	bool config_wce;
	bool discard;
	bool write_zeroes;
	uint16_t num_queues;
	uint32_t seg_max;
	uint32_t size_max;
	uint32_t max_discard_sectors;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_segments;
	struct vio_block_bucket requests, bytes; /* properties are their rates */

	struct vio_block *block;
	uint64_t capacity;            /* in sectors, as the driver was told */
	uint32_t segments_offered;    /* seg_max in the configuration */
	bool writeback;               /* as in the configuration */
	struct vio_block_meter meter; /* functions and counters may be NULL */
	bool spread;                  /* other threads serve the queues */
	const struct vio_block *last; /* whose thread was the last to take what a limit allows */
	struct vio_block_lane lanes[VIO_BLOCK_REQUESTS_QUEUES_MAX];

	/*
	 * For a type that doesn't serve all of its capacity: whether this range, which is not empty and
	 * lies in the capacity, is served now. Requests in flight are listed then. NULL: all is served.
	 */
	bool (*serves)(const struct vio_device *dev, uint64_t sector, uint64_t sectors);
	struct vio_block_request_state *listed;
};

struct vio_block_segment {
	uint64_t sector;
	uint32_t sectors;
	unsigned flags; /* VIO_BLOCK_... */
};

struct vio_block_request_state {
	struct vio_block_request storage;
	struct vio_device *dev;
	struct vio_devq *q;
	struct vio_buf buf;
	uint8_t *status;
	uint32_t written; /* if it succeeds, with the status byte */
	int result;
	bool submitting; /* completion inside submit is for blk_run() to see */
	bool done;
	uint8_t segment;
	uint8_t segment_count;
	uint8_t kind;   /* enum vio_block_kind */
	uint64_t bytes; /* of data */
	uint64_t begun_ns;
	struct vio_block_segment segments[VIO_BLOCK_REQUESTS_SEGMENTS_MAX];
	struct vio_block_request_state *next, **link; /* while listed */
};

#define VIO_BLOCK_ROW(property, member, kind) \
	.name = (property), VIO_PROPERTY_MEMBER(struct vio_block_requests, member, kind)

/* Rows of a property table. */
/* clang-format off */
#define VIO_BLOCK_REQUESTS_PROPERTIES \
	{ VIO_BLOCK_ROW("serial", serial, VIO_PROPERTY_STRING), \
	  .help = "up to 20 bytes that identify the disk" }, \
	{ VIO_BLOCK_ROW("readonly", read_only, VIO_PROPERTY_BOOL), .help = "refuse all writes" }, \
	{ VIO_BLOCK_ROW("num-queues", num_queues, VIO_PROPERTY_U16), .min = 1, \
	  .max = VIO_BLOCK_REQUESTS_QUEUES_MAX, \
	  .initial = "1", .help = "request queues" }, \
	{ VIO_BLOCK_ROW("seg-max", seg_max, VIO_PROPERTY_U32), .max = VIO_BLOCK_REQUESTS_SEG_MAX, \
	  .help = "data segments of a request, at most the queue size less 2; 0 chooses" }, \
	{ VIO_BLOCK_ROW("size-max", size_max, VIO_PROPERTY_U32), \
	  .help = "bytes of a data segment; 0 sets no limit" }, \
	{ VIO_BLOCK_ROW("write-cache", write_cache, VIO_PROPERTY_BOOL), .initial = "on", \
	  .help = "start in write-back mode" }, \
	{ VIO_BLOCK_ROW("config-wce", config_wce, VIO_PROPERTY_BOOL), .initial = "on", \
	  .help = "let the driver choose the cache mode" }, \
	{ VIO_BLOCK_ROW("discard", discard, VIO_PROPERTY_BOOL), .initial = "on", \
	  .help = "offer discard where the storage can" }, \
	{ VIO_BLOCK_ROW("write-zeroes", write_zeroes, VIO_PROPERTY_BOOL), .initial = "on", \
	  .help = "offer write zeroes" }, \
	{ VIO_BLOCK_ROW("max-discard-sectors", max_discard_sectors, VIO_PROPERTY_U32), .min = 8, \
	  .initial = "2097152", .help = "sectors of one discard segment" }, \
	{ VIO_BLOCK_ROW("max-write-zeroes-sectors", max_write_zeroes_sectors, VIO_PROPERTY_U32), .min = 8, \
	  .initial = "524288", .help = "sectors of one write-zeroes segment" }, \
	{ VIO_BLOCK_ROW("max-segments", max_segments, VIO_PROPERTY_U32), .min = 1, \
	  .max = VIO_BLOCK_REQUESTS_SEGMENTS_MAX, \
	  .initial = "16", .help = "segments of a discard or write-zeroes request" }

/* Of a class that has a meter. */
#define VIO_BLOCK_REQUESTS_LIMITS \
	{ VIO_BLOCK_ROW("iops", requests.rate, VIO_PROPERTY_U64), .flags = VIO_PROPERTY_RUNTIME, \
	  .max = VIO_BLOCK_REQUESTS_RATE_MAX, \
	  .help = "requests a second at most, of all queues; 0 sets no limit" }, \
	{ VIO_BLOCK_ROW("bps", bytes.rate, VIO_PROPERTY_BYTES), .flags = VIO_PROPERTY_RUNTIME, \
	  .max = VIO_BLOCK_REQUESTS_RATE_MAX, \
	  .help = "bytes of data a second at most, of all queues; 0 sets no limit" }
/* clang-format on */

/* Callbacks of a class. */
void vio_block_requests_kick(struct vio_device *dev, struct vio_devq *q);
void vio_block_requests_drain(struct vio_device *dev, struct vio_devq *q);
void vio_block_requests_get_features(struct vio_device *dev, struct vio_features *offer);
void vio_block_requests_set_features(struct vio_device *dev);
void vio_block_requests_get_config(struct vio_device *dev, void *config);
void vio_block_requests_set_config(struct vio_device *dev, const void *config, uint32_t offset,
				   uint32_t length);
void vio_block_requests_reset(struct vio_device *dev);
void vio_block_requests_property_changed(struct vio_device *dev, const struct vio_property *property);
int vio_block_requests_realize(struct vio_device *dev);
void vio_block_requests_unrealize(struct vio_device *dev);
void vio_block_requests_save(struct vio_device *dev, struct vio_state_writer *writer);
int vio_block_requests_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version);

/* Measures and limits from here on; before realize. */
void vio_block_requests_meter(struct vio_device *dev, const struct vio_block_meter *meter);
/*
 * Gives queue i blocks[i % count], which are the same storage for other threads; after realize, while
 * it isn't attached. -VIO_ENOTSUP with a `serves` function.
 */
int vio_block_requests_spread(struct vio_device *dev, struct vio_block *const *blocks, unsigned count);
/* What meter->wake asked for; NULL: of all queues. */
void vio_block_requests_resume(struct vio_device *dev, const struct vio_block *block);

/*
 * block_meter.c, for block_requests.c: how many requests may be taken now, for which begin is called
 * then, with those that were. If 0, it will call back.
 */
unsigned vio_block_meter_allows(struct vio_device *dev, struct vio_block_lane *lane, unsigned max);
/* A batch was taken, which may be none; its requests begin now. */
void vio_block_meter_begin(struct vio_block_requests *blk, struct vio_block_lane *lane, unsigned count);
/* One of them transfers so many bytes. */
void vio_block_meter_bytes(struct vio_block_requests *blk, struct vio_block_lane *lane, uint64_t bytes);
/* A request ended; those that did during their batch are dated when it is over. */
void vio_block_meter_done(struct vio_block_requests *blk, const struct vio_block_request_state *request,
			  bool failed);
void vio_block_meter_end(struct vio_block_requests *blk, struct vio_block_lane *lane, uint16_t queue);

/* Whether a request in flight, of those that are listed, has to do with a range for which `in` is true. */
bool vio_block_requests_touch(const struct vio_device *dev,
			      bool (*in)(const struct vio_device *dev, uint64_t sector, uint64_t sectors));

#endif
