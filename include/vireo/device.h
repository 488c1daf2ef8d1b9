/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICE_H
#define VIREO_DEVICE_H

#include <vireo/devq.h>
#include <vireo/property.h>
#include <vireo/spec/virtio_ids.h>
#include <vireo/state.h>

/*
 * A device, written once and attached anywhere.
 *
 * A device type is one const struct vio_device_class of named callbacks, of which
 * only kick is required. An instance is a struct vio_device plus `state_bytes` of
 * the type's own. Its life:
 *
 *   vio_device_init()      state zeroed, properties at their defaults
 *     properties are set, backends attached
 *   vio_device_realize()   class->realize checks them and may change queue_count,
 *                          queue_size, config_bytes, ...
 *   vio_device_provide()   storage for the queues
 *   vio_device_attach()    a link or transport connects it to a driver's memory
 *     the driver negotiates, sets queues up, kicks, resets, as often as it likes
 *   vio_device_detach()    back to reset; another attachment may follow
 *   vio_device_unrealize()
 *
 * Callbacks run in the thread that drives the attachment, one at a time. They
 * never see a queue that isn't running, values the driver isn't allowed to
 * negotiate, or configuration accesses out of bounds. Whatever the driver does
 * wrong on a queue becomes a fault: the core shows DEVICE_NEEDS_RESET, tells the
 * attachment, and calls nobody until reset.
 */
struct vio_device;

struct vio_device_class {
	const char *name;    /* as in `vireo serve NAME` */
	const char *summary; /* one line, no full stop */
	uint32_t id;         /* default device id */

	uint16_t queue_count;
	uint16_t queue_size;    /* entries offered, a power of two */
	uint16_t spans_max;     /* of a buffer; 0: VIO_DEVICE_SPANS_DEFAULT */
	uint32_t request_bytes; /* of vio_buf.request */
	uint32_t state_bytes;
	uint32_t config_bytes;
	struct vio_property_table properties; /* offsets into the state */

	/* All properties are set: check them, prepare. A negative code refuses. */
	int (*realize)(struct vio_device *dev);
	void (*unrealize)(struct vio_device *dev);

	/* Adds what the device offers to what the core offers. The set may not depend on the driver. */
	void (*get_features)(struct vio_device *dev, struct vio_features *offer);
	/* `accepted` is a legal subset of the offer. A negative code refuses FEATURES_OK. */
	int (*validate_features)(struct vio_device *dev, const struct vio_features *accepted);
	/*
	 * May be NULL. Takes away what a peer can't have meant that passes on a driver's features and keeps a
	 * part of the device to itself, as QEMU does with the control queue of a network device. What is left
	 * is judged with dev->part_only.
	 */
	void (*trim_features)(const struct vio_device *dev, struct vio_features *sent);
	/* FEATURES_OK was granted; dev->features_accepted stands until reset. */
	void (*set_features)(struct vio_device *dev);

	/* Fills the whole space, config_bytes, from the state. Legal in every status. */
	void (*get_config)(struct vio_device *dev, void *config);
	/*
	 * The driver wrote [offset, offset + length), which lies inside; `config` is the whole
	 * space as it would be. Take what is writable and legal, leave the rest.
	 */
	void (*set_config)(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length);

	/* The status changed to a new value other than 0. */
	void (*set_status)(struct vio_device *dev, uint8_t status);
	/* Back to the state after realize. Queues are drained and stopped already. */
	void (*reset)(struct vio_device *dev);

	/*
	 * Buffers may be there. Pop until false, push what is done, notify. Pop nowhere else: to
	 * look again later, call vio_device_kick().
	 */
	void (*kick)(struct vio_device *dev, struct vio_devq *q);
	/*
	 * Complete or abandon everything popped from q before returning: the queue is about to
	 * stop and its memory to go. Only devices that keep buffers need it.
	 */
	void (*drain)(struct vio_device *dev, struct vio_devq *q);

	/* A property with VIO_PROPERTY_RUNTIME was changed from outside. */
	void (*property_changed)(struct vio_device *dev, const struct vio_property *property);

	/*
	 * What of the state isn't in the properties. Load judges all before it changes what a reset
	 * doesn't bring back, and refuses with vio_state_refuse() or, where the world failed, another
	 * negative code. The queues have been started by then, and nothing was served yet.
	 */
	void (*save)(struct vio_device *dev, struct vio_state_writer *writer);
	int (*load)(struct vio_device *dev, struct vio_state_reader *reader, unsigned version);
	unsigned version; /* of that state, raised when its layout changes */
};

/* Where an instance is in its life; a call out of phase is refused or a bug of the owner. */
enum vio_device_phase {
	VIO_DEVICE_MADE,     /* properties may be set, realize is next */
	VIO_DEVICE_REALIZED, /* storage is awaited */
	VIO_DEVICE_READY,    /* may be attached */
	VIO_DEVICE_ATTACHED, /* a driver may talk to it */
};

#define VIO_DEVICE_SPANS_DEFAULT 16u
#define VIO_DEVICE_KICK_BUDGET   1024u /* buffers a queue may pop in one kick */

/* What a link or transport is told. All are called in the attachment's thread. */
struct vio_device_events {
	/* Used buffers are there and the driver wants to hear. */
	void (*queue_interrupt)(void *context, uint16_t queue);
	/* The configuration (or NEEDS_RESET) changed. */
	void (*config_interrupt)(void *context);
	/* The queue has more to do than one kick allows: call vio_device_kick() again, after others. */
	void (*kick_again)(void *context, uint16_t queue);
	/* The driver broke the standard; for logs and error eventfds. May be NULL. */
	void (*fault)(void *context, const struct vio_fault *fault);
};

struct vio_device {
	const struct vio_device_class *class;
	void *state;

	/* Set by init from the class; properties and class->realize may change them. */
	uint32_t id;
	uint16_t queue_count;
	uint16_t queue_size;
	uint16_t queue_size_max; /* what a driver may choose where the transport lets it; >= queue_size */
	uint16_t spans_max;
	uint32_t request_bytes;
	uint32_t config_bytes;
	bool indirect_desc; /* offer VIRTIO_F_INDIRECT_DESC, EVENT_IDX, RING_PACKED: unless turned off */
	bool event_idx;
	bool packed;
	bool in_order; /* offer VIRTIO_F_IN_ORDER: when turned on */

	struct vio_features features_offered;  /* stable from realize on */
	struct vio_features features_accepted; /* empty before FEATURES_OK */
	struct vio_features features_driver;   /* as written by the driver */
	struct vio_features features_carried;  /* what the attachment can carry */
	uint8_t status;
	uint8_t phase;    /* enum vio_device_phase */
	bool config_read; /* since the generation was raised */
	bool config_owed; /* it changed while the device was suspended */
	bool part_only;   /* the attachment's peer may keep queues of the device to itself (trim_features) */
	uint32_t config_generation;
	uint64_t fault_count;
	struct vio_fault fault;           /* the last one */
	struct vio_state_refusal refusal; /* of the last load */

	struct vio_devq *queues;               /* queue_count of them, in the storage */
	struct vio_devq_config *queue_configs; /* as last started, for save */
	void *config;                          /* scratch space of config_bytes, in the storage */

	const struct vio_mem *mem;
	const struct vio_device_events *events;
	void *events_context;
};

/* For device authors. */

static inline void *vio_device_state(const struct vio_device *dev)
{
	return dev->state;
}

static inline bool vio_device_has_feature(const struct vio_device *dev, unsigned bit)
{
	return vio_features_has(&dev->features_accepted, bit);
}

/* Whether a queue can have that many entries, as far as the driver's features say. */
static inline bool vio_device_can_size(const struct vio_device *dev, uint32_t entries)
{
	return entries && (vio_is_power_of_two(entries) || vio_device_has_feature(dev, VIRTIO_F_RING_PACKED));
}

/* The driver has it stand still (VIRTIO_F_SUSPEND): it keeps all that was negotiated, and serves nothing. */
static inline bool vio_device_suspended(const struct vio_device *dev)
{
	return dev->status & VIRTIO_CONFIG_S_SUSPEND;
}

static inline bool vio_device_running(const struct vio_device *dev)
{
	return (dev->status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) ==
	       VIRTIO_CONFIG_S_DRIVER_OK;
}

/* The device changed its configuration: raises the generation and tells the driver. */
VIO_API void vio_device_config_changed(struct vio_device *dev);

/* The device can't go on: shows DEVICE_NEEDS_RESET and tells the driver (2.1). */
VIO_API void vio_device_needs_reset(struct vio_device *dev);

/* For owners: programs that make devices. */

/*
 * `state` has class->state_bytes, aligned as malloc() aligns, and belongs to the
 * caller; it is zeroed here.
 */
VIO_API void vio_device_init(struct vio_device *dev, const struct vio_device_class *class, void *state);

/* Properties that every device has (id, queue-size, ...), with offsets into struct vio_device. */
VIO_API const struct vio_property_table *vio_device_common_properties(void);

/*
 * Sets a property by name, the type's own or a common one. -VIO_ENOENT: no such
 * property; -VIO_EINVAL, -VIO_ERANGE: as vio_property_set(); -VIO_EPHASE: realized
 * already and not changeable at run time. `length` is that of the name.
 */
VIO_API int vio_device_set_property(struct vio_device *dev, const char *name, size_t length,
				    const char *text);

/* The property of that name and in *structure (may be NULL) what it is a member of; NULL if none. */
VIO_API const struct vio_property *vio_device_find_property(struct vio_device *dev, const char *name,
							    size_t length, void **structure);

/* Checks everything, fixes queue_count, features. -VIO_EPHASE when done already, or as the class says. */
VIO_API int vio_device_realize(struct vio_device *dev);
VIO_API void vio_device_unrealize(struct vio_device *dev);

/* Storage that a realized device needs for its queues, and giving it. Aligned as malloc() aligns. */
VIO_API size_t vio_device_storage_bytes(const struct vio_device *dev);
VIO_API void vio_device_provide(struct vio_device *dev, void *storage);

/* For links and transports. */

/*
 * Connects the device, which must be provided and not attached. `carried` are the
 * features the attachment can carry (transport features and device features alike);
 * `mem` may be changed by the attachment while no queue runs.
 */
VIO_API void vio_device_attach(struct vio_device *dev, const struct vio_mem *mem,
			       const struct vio_features *carried, const struct vio_device_events *events,
			       void *context);
/* Resets and disconnects. */
VIO_API void vio_device_detach(struct vio_device *dev);

/* What may be offered to the driver through this attachment. */
VIO_API struct vio_features vio_device_features(const struct vio_device *dev);

/* The driver wrote its features; ignored once FEATURES_OK is set. */
VIO_API void vio_device_write_features(struct vio_device *dev, const struct vio_features *features);

/*
 * The driver wrote the status. 0 resets. A bit that was set stays set. FEATURES_OK
 * stays clear when the features written are refused, DRIVER_OK without FEATURES_OK.
 * Returns the status now.
 */
VIO_API uint8_t vio_device_write_status(struct vio_device *dev, uint8_t status);
VIO_API void vio_device_reset(struct vio_device *dev);

/* Reads beyond the space give zeros. Writes beyond it are ignored: -VIO_ERANGE. */
VIO_API void vio_device_read_config(struct vio_device *dev, uint32_t offset, void *to, uint32_t length);
VIO_API int vio_device_write_config(struct vio_device *dev, uint32_t offset, const void *from,
				    uint32_t length);

/*
 * Starts a queue; the buffers in it are served once DRIVER_OK is set. What was
 * negotiated stands in for config->features. Codes of
 * vio_devq_start(), and -VIO_ERANGE for no such queue, -VIO_EPHASE before
 * FEATURES_OK, -VIO_EBUSY when it runs. A driver's error (-VIO_EPEER) is a fault.
 */
VIO_API int vio_device_queue_start(struct vio_device *dev, uint16_t queue,
				   const struct vio_devq_config *config);

/* Drains and stops a queue; returns where to start again (zeros when it doesn't run). */
VIO_API struct vio_devq_position vio_device_queue_stop(struct vio_device *dev, uint16_t queue);

/* The driver kicked (or may have). Ignored before DRIVER_OK, for absent and broken queues. */
VIO_API void vio_device_kick(struct vio_device *dev, uint16_t queue);

/*
 * The two halves of it, for an attachment whose queues are served by several threads, each queue by
 * one, while another is in charge of the device: serve() touches nothing but the queue and what the
 * type keeps for it. true: the driver broke the queue, and settle(), which tells so, is to be called
 * in the thread that is in charge, while nobody serves. All else of this header is for that thread and
 * time, too.
 */
VIO_API bool vio_device_serve(struct vio_device *dev, uint16_t queue);
VIO_API void vio_device_settle(struct vio_device *dev, uint16_t queue);

/*
 * Saves a device that is attached with its queues stopped or drained, or loads it
 * into one of the same type and properties that is attached and reset.
 * save returns the size of the blob, which was written when it is <= size.
 * load: -VIO_ESTATE for a damaged, foreign or newer blob, -VIO_EPHASE when the device isn't
 * in reset, or what queue_start says. Then dev->refusal names what was wrong, and the device
 * is in reset as before.
 */
VIO_API size_t vio_device_save(struct vio_device *dev, void *to, size_t size);
VIO_API int vio_device_load(struct vio_device *dev, const void *from, size_t size);
/* For an attachment that starts the queues itself: a blob in which one runs is damaged. Nothing is served. */
VIO_API int vio_device_load_stopped(struct vio_device *dev, const void *from, size_t size);

/*
 * The same of what no peer knows, the type's own state, for attachments whose peer brings features, status
 * and queues to the next device itself. save_own: no queue runs. load_own: features are negotiated, the same
 * ones, and no queue runs yet; check_own says what it would say, of a device that is attached and in reset,
 * and leaves it so. What was saved before there were features is that of any device in reset, and changes
 * nothing. Codes as above; a device whose own state is refused has none that can be relied on
 * before its reset.
 */
VIO_API size_t vio_device_save_own(struct vio_device *dev, void *to, size_t size);
VIO_API int vio_device_check_own(struct vio_device *dev, const void *from, size_t size);
VIO_API int vio_device_load_own(struct vio_device *dev, const void *from, size_t size);

#endif
