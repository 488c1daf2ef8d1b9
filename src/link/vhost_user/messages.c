/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "link/vhost_user/backend.h"

/*
 * One row a message: what it has to look like, what has to be negotiated before,
 * and who handles it. A message is held against its row before a handler sees it,
 * and a handler checks the rest before it changes anything.
 *
 * A handler returns 0, a negative code for a request that is refused, or
 * VU_REPLIED when it has made the reply that the message always has.
 */
#define NEEDS_NOTHING 0xffu

struct vu_row {
	const char *name;
	uint32_t size_min, size_max;
	uint8_t fds_min, fds_max;
	uint8_t protocol; /* bit that has to be negotiated */
	bool queue;       /* begins with the index of a queue that has to exist */
	int (*handle)(struct vio_vhost_user *backend, struct vu_message *message);
};

/* hostile: C7, NEED_REPLY counts only where REPLY_ACK was negotiated. */
static bool answer_wanted(const struct vio_vhost_user *backend, const struct vu_message *message)
{
	return message->header.flags & VHOST_USER_FLAGS_NEED_REPLY &&
	       vu_has_protocol(backend, VHOST_USER_PROTOCOL_F_REPLY_ACK);
}

static struct vu_vring *vring_of(struct vio_vhost_user *backend, const struct vu_message *message)
{
	return &backend->vrings[message->payload.state.index];
}

/* Features and the state of the device. */

static int get_features(struct vio_vhost_user *backend, struct vu_message *message)
{
	uint64_t features = vio_device_features(backend->dev).word[0];

	return vu_reply_u64(backend, message,
			    features | UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES |
				    UINT64_C(1) << VHOST_F_LOG_ALL);
}

/* A front end without STATUS says nothing of it: all of the negotiation, from reset on. */
static int negotiate(struct vio_vhost_user *backend, const struct vio_features *features)
{
	struct vio_device *dev = backend->dev;
	/* A status that was made up remains one: nobody will say DRIVER_OK. */
	const uint8_t begun =
		vu_status_made_up(backend) ? 0 : VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	if (dev->status)
		vio_device_reset(dev);
	vio_device_write_status(dev, begun);
	vio_device_write_features(dev, features);
	if (vio_device_write_status(dev, begun | VIRTIO_CONFIG_S_FEATURES_OK) & VIRTIO_CONFIG_S_FEATURES_OK)
		return vu_state_apply(&backend->state);
	vio_device_reset(dev);
	vu_log(backend, "features %#llx refused", (unsigned long long)features->word[0]);
	return -VIO_ENOTSUP;
}

/* What is the device's of the features that the front end sends. */
static struct vio_features features_of(const struct vio_device *dev, uint64_t sent)
{
	struct vio_features features = vio_features_low(
		sent & ~(UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES | UINT64_C(1) << VHOST_F_LOG_ALL));

	if (dev->class->trim_features)
		dev->class->trim_features(dev, &features);
	return features;
}

static int set_features(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vio_device *dev = backend->dev;
	struct vio_features features = features_of(dev, message->payload.u64);
	/* QEMU repeats what stands. That mends nothing while queues run, nor harms. */
	bool stands = dev->status & VIRTIO_CONFIG_S_FEATURES_OK &&
		      vio_features_equal(features, dev->features_accepted) &&
		      (vu_any_runs(backend) || !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET));
	uint16_t queue;
	int error;

	if (!vio_features_empty(vio_features_minus(features, vio_device_features(dev)))) {
		vu_log(backend, "features %#llx were not offered", (unsigned long long)message->payload.u64);
		return -VIO_EPROTO;
	}
	if (!stands && vu_any_runs(backend)) /* hostile: C20 */
		return -VIO_EBUSY;
	if (vu_has_status(backend)) {
		vio_device_write_features(dev, &features);
	} else if (!stands) {
		error = negotiate(backend, &features);
		if (error)
			return error;
	}
	backend->log_all = message->payload.u64 >> VHOST_F_LOG_ALL & 1;
	error = vu_log_update(backend);
	if (error)
		return error;
	/* Without the protocol's features nobody would say that rings are enabled. */
	if (!(message->payload.u64 >> VHOST_USER_F_PROTOCOL_FEATURES & 1))
		for (queue = 0; queue < dev->queue_count; queue++)
			backend->vrings[queue].enabled = true;
	vu_update_all(backend);
	return 0;
}

static int get_protocol_features(struct vio_vhost_user *backend, struct vu_message *message)
{
	return vu_reply_u64(backend, message, vio_vhost_user_protocol_features(backend));
}

static int set_protocol_features(struct vio_vhost_user *backend, struct vu_message *message)
{
	if (message->payload.u64 & ~vio_vhost_user_protocol_features(backend))
		return -VIO_ENOTSUP;
	backend->protocol_features = message->payload.u64;
	return 0;
}

static int set_owner(struct vio_vhost_user *backend, struct vu_message *message)
{
	(void)backend, (void)message; /* the connection is the owner */
	return 0;
}

/* Out of use. What is left of its meaning is that rings stop; a new kick descriptor starts them. */
static int reset_owner(struct vio_vhost_user *backend, struct vu_message *message)
{
	uint16_t queue;

	(void)message;
	vu_pause_all(backend);
	for (queue = 0; queue < backend->dev->queue_count; queue++)
		backend->vrings[queue].held = true;
	return 0;
}

static int reset_device(struct vio_vhost_user *backend, struct vu_message *message)
{
	uint16_t queue;

	(void)message;
	for (queue = 0; queue < backend->dev->queue_count; queue++)
		vu_vring_reset(&backend->vrings[queue]);
	vio_device_reset(backend->dev);
	vu_forget_all(backend);
	return 0;
}

/* As GET_VRING_BASE says it. */
static uint32_t position_of(const struct vu_vring *vring)
{
	const bool packed = vio_device_has_feature(vring->backend->dev, VIRTIO_F_RING_PACKED);

	return vring->base.avail | (packed ? (uint32_t)vring->base.used << 16 : 0);
}

/*
 * QEMU 7.2 says this also when the guest only stands still, to be moved for instance, and asks for the
 * positions afterwards. A driver that begins anew gets its own by SET_VRING_BASE.
 */
static int reset_status(struct vio_vhost_user *backend, struct vu_message *message)
{
	const uint16_t count = backend->dev->queue_count;
	uint32_t ended[VIO_VHOST_USER_QUEUES_MAX];
	uint16_t queue;

	vu_pause_all(backend);
	for (queue = 0; queue < count; queue++)
		ended[queue] = position_of(&backend->vrings[queue]);
	vu_state_keep(&backend->state);
	reset_device(backend, message);
	for (queue = 0; queue < count; queue++)
		backend->vrings[queue].ended = ended[queue];
	return 0;
}

/* hostile: C30, a bit that can't be set stays clear, and the front end sees it in GET_STATUS. */
static int set_status(struct vio_vhost_user *backend, struct vu_message *message)
{
	const uint8_t before = backend->dev->status;
	int error = 0;

	if (message->payload.u64 > UINT8_MAX)
		return -VIO_EPROTO;
	if (!message->payload.u64)
		return reset_status(backend, message);
	/* What was sent of its state it has before the driver is served. */
	if (!(before & VIRTIO_CONFIG_S_FEATURES_OK)) {
		vio_device_write_status(backend->dev,
					(uint8_t)message->payload.u64 & (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK);
		if (backend->dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
			error = vu_state_apply(&backend->state);
		if (error)
			return error;
	}
	vio_device_write_status(backend->dev, (uint8_t)message->payload.u64);
	vu_update_all(backend);
	return 0;
}

static int get_status(struct vio_vhost_user *backend, struct vu_message *message)
{
	return vu_reply_u64(backend, message, backend->dev->status);
}

static int get_queue_num(struct vio_vhost_user *backend, struct vu_message *message)
{
	return vu_reply_u64(backend, message, backend->dev->queue_count);
}

/* Memory. */

/*
 * A payload of the size that the regions need, or of two where there is one: User-Mode Linux up to 6.12
 * always sends its structure whole.
 */
static bool table_sound(const struct vu_message *message)
{
	uint32_t count = message->payload.table.nregions, slot = sizeof(struct vhost_user_mem_region);

	return count && count <= VHOST_USER_FDS_MAX && count == message->fd_count &&
	       (message->header.size == 8 + slot * count ||
		(count == 1 && message->header.size == 8 + slot * 2));
}

/* Where front ends speak of guest addresses only, the other is what they don't look at. */
static struct vhost_user_mem_region region_of(const struct vio_vhost_user *backend,
					      const struct vhost_user_mem_region *sent)
{
	struct vhost_user_mem_region wire = *sent;

	if (vu_has_protocol(backend, VHOST_USER_PROTOCOL_F_GPA_ADDRESSES))
		wire.userspace_addr = wire.guest_phys_addr;
	return wire;
}

/* Queues stand still while memory changes, and nothing changes before all of it is sound. */
static int set_mem_table(struct vio_vhost_user *backend, struct vu_message *message)
{
	const struct vhost_user_mem_table *table = &message->payload.table;
	uint32_t count = table->nregions, i;
	struct vu_memory fresh;
	int error = 0;

	if (!table_sound(message))
		return -VIO_EPROTO;
	vu_memory_init(&fresh);
	for (i = 0; i < count && !error; i++) {
		const struct vhost_user_mem_region wire = region_of(backend, &table->regions[i]);
		struct vu_region region;

		error = vu_log_admits(backend, &wire) ? 0 : -VIO_ERANGE;
		if (!error)
			error = vu_region_map(&region, &wire, message->fds[i], backend->socket.fd);
		if (error)
			break;
		error = vu_memory_add(&fresh, &region);
		if (error)
			vu_region_unmap(&region);
	}
	if (error) {
		vu_log(backend, "memory region %u refused: %s", i, vio_strerror(error));
		vu_memory_clear(&fresh);
		return error;
	}
	vu_pause_all(backend);
	vu_memory_clear(&backend->memory);
	for (i = 0; i < fresh.count; i++)
		vu_memory_add(&backend->memory, &fresh.regions[i]);
	vu_update_all(backend);
	return 0;
}

static int get_max_mem_slots(struct vio_vhost_user *backend, struct vu_message *message)
{
	return vu_reply_u64(backend, message, VIO_VHOST_USER_REGIONS_MAX);
}

static int add_mem_reg(struct vio_vhost_user *backend, struct vu_message *message)
{
	const struct vhost_user_mem_region wire = region_of(backend, &message->payload.reg.region);
	struct vu_region region;
	int error;

	if (!vu_log_admits(backend, &wire)) /* hostile: C26 */
		return -VIO_ERANGE;
	error = vu_region_map(&region, &wire, message->fds[0], backend->socket.fd);
	if (error)
		return error;
	error = vu_memory_admits(&backend->memory, &region.wire); /* hostile: C14 */
	if (error) {
		vu_region_unmap(&region);
		return error;
	}
	vu_pause_all(backend);
	vu_memory_add(&backend->memory, &region);
	vu_update_all(backend);
	return 0;
}

/* A queue whose rings go with it stays stopped until they come back. */
static int rem_mem_reg(struct vio_vhost_user *backend, struct vu_message *message)
{
	const struct vhost_user_mem_region wire = region_of(backend, &message->payload.reg.region);

	if (!vu_memory_has(&backend->memory, &wire)) /* hostile: C14 */
		return -VIO_ENOENT;
	vu_pause_all(backend);
	vu_memory_remove(&backend->memory, &wire);
	vu_update_all(backend);
	return 0;
}

/* Queues. */

static int set_vring_num(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vu_vring *vring = vring_of(backend, message);
	uint32_t num = message->payload.state.num;

	/* hostile: C20 A80 */
	if (vu_vring_runs(vring))
		return -VIO_EBUSY;
	if (!vio_device_can_size(backend->dev, num) || num > backend->dev->queue_size_max) {
		vu_log(backend, "queue %u: size %u; a power of two up to %u would do", vring->index, num,
		       backend->dev->queue_size_max);
		return -VIO_ERANGE;
	}
	vring->num = (uint16_t)num;
	return vu_vring_update(vring);
}

static int set_vring_addr(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vu_vring *vring = vring_of(backend, message);
	const struct vhost_user_vring_addr *addr = &message->payload.addr;
	struct vio_addr ignored;
	int error;

	/* Without the flag the log's address says nothing: User-Mode Linux sends -1. */
	if (addr->flags & ~VHOST_USER_VRING_F_LOG)
		return -VIO_ENOTSUP;
	if (vu_vring_runs(vring)) { /* hostile: C20; the same again changes nothing but what is marked */
		if (addr->descriptor != vring->addr.descriptor || addr->available != vring->addr.available ||
		    addr->used != vring->addr.used)
			return -VIO_EBUSY;
		vring->addr = *addr;
		return vu_log_update(backend);
	}
	/* hostile: C18; how long they are is known when it starts. */
	if (addr->descriptor % 16 || addr->available % 2 || addr->used % 4)
		return -VIO_EPROTO;
	if (!vu_memory_from_user(&backend->memory, addr->descriptor, 1, &ignored) ||
	    !vu_memory_from_user(&backend->memory, addr->available, 1, &ignored) ||
	    !vu_memory_from_user(&backend->memory, addr->used, 1, &ignored))
		return -VIO_ERANGE;
	vring->addr = *addr;
	vring->has_addr = true;
	error = vu_log_update(backend);
	return error ? error : vu_vring_update(vring);
}

static int set_vring_base(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vu_vring *vring = vring_of(backend, message);
	struct vio_device *dev = backend->dev;
	const bool packed = vio_device_has_feature(dev, VIRTIO_F_RING_PACKED);
	const uint32_t base = message->payload.state.num;
	const bool first = !base || (packed && (uint16_t)base == PVIRTQ_WRAP);
	int error = 0;

	/* hostile: C19 C20 */
	if (vu_vring_runs(vring))
		return -VIO_EBUSY;
	if (base > UINT16_MAX && !packed)
		return -VIO_ERANGE;
	/*
	 * Without STATUS nobody says that a driver reset the device. But the queues of a new
	 * driver begin anew, while those of one that only paused go on.
	 */
	if (first && vring->base.avail != (uint16_t)base && dev->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	    !vu_any_runs(backend) && !vu_has_status(backend)) {
		struct vio_features features = dev->features_accepted;

		error = negotiate(backend, &features);
		vu_forget_all(backend);
	}
	vring->base = (struct vio_devq_position){ (uint16_t)base, (uint16_t)(base >> 16) };
	vring->ended = 0;
	return error ? error : vu_vring_update(vring);
}

static int get_vring_base(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vu_vring *vring = vring_of(backend, message);
	struct vhost_user_vring_state state = { .index = vring->index };

	vu_vring_pause(vring);
	vring->held = true;
	state.num = vring->ended ? vring->ended : position_of(vring);
	return vu_reply(backend, message, &state, sizeof(state));
}

static int set_vring_enable(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vu_vring *vring = vring_of(backend, message);

	if (message->payload.state.num > 1) /* hostile: C24 */
		return -VIO_EPROTO;
	vring->enabled = message->payload.state.num;
	if (vring->enabled)
		return vu_vring_update(vring);
	vu_vring_pause(vring);
	return 0;
}

/*
 * The queue of KICK, CALL and ERR, and of what kind the descriptor is that came
 * along; NONE: the message says that there is none. `access` is what it must allow.
 */
static int vring_fd(struct vio_vhost_user *backend, const struct vu_message *message, int access,
		    struct vu_vring **vring, enum link_signal_kind *kind)
{
	uint64_t index = message->payload.u64 & VHOST_USER_VRING_INDEX_MASK;
	bool without = message->payload.u64 & VHOST_USER_VRING_NOFD_MASK;

	/* hostile: C16 C22 */
	if (message->payload.u64 & ~(uint64_t)(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NOFD_MASK) ||
	    index >= backend->dev->queue_count || message->fd_count != (without ? 0 : 1))
		return -VIO_EPROTO;
	*vring = &backend->vrings[index];
	*kind = without ? LINK_SIGNAL_NONE : link_signal_kind(message->fds[0], access);
	if (without || *kind == LINK_SIGNAL_EVENT || *kind == LINK_SIGNAL_PIPE)
		return 0;
	/* What User-Mode Linux calls a pipe, and gives to be called by, is a socket pair. */
	if (*kind == LINK_SIGNAL_SOCKET && access == O_WRONLY)
		return 0;
	vu_log(backend, "queue %u: the file descriptor is no eventfd, pipe or socket", (*vring)->index);
	return -VIO_EINVAL; /* hostile: C12 */
}

static int set_vring_kick(struct vio_vhost_user *backend, struct vu_message *message)
{
	enum link_signal_kind kind;
	struct vu_vring *vring;
	int error;

	error = vring_fd(backend, message, O_RDONLY, &vring, &kind);
	if (error)
		return error;
	if (kind == LINK_SIGNAL_NONE) {
		vu_log(backend, "queue %u: has no kick descriptor, and polling is not supported",
		       vring->index);
		return -VIO_ENOTSUP;
	}
	error = vu_vring_set_kick(vring, kind, vu_message_take_fd(message, 0));
	if (error)
		return error;
	vring->held = false;
	return vu_vring_update(vring);
}

static int set_vring_call(struct vio_vhost_user *backend, struct vu_message *message)
{
	enum link_signal_kind kind;
	struct vu_vring *vring;
	int error = vring_fd(backend, message, O_WRONLY, &vring, &kind);

	if (!error)
		vu_vring_set_call(vring, kind, vu_message_take_fd(message, 0));
	return error;
}

static int set_vring_err(struct vio_vhost_user *backend, struct vu_message *message)
{
	enum link_signal_kind kind;
	struct vu_vring *vring;
	int error = vring_fd(backend, message, O_WRONLY, &vring, &kind);

	if (!error)
		link_signal_set(&vring->err, kind, vu_message_take_fd(message, 0));
	return error;
}

/* Requests in flight. */

/* A reply without a file says that there is none to be had. */
static int get_inflight_fd(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vhost_user_inflight wire = message->payload.inflight;
	int fd;

	wire.padding = 0;
	wire.mmap_size = wire.mmap_offset = 0;
	if (!wire.num_queues || wire.num_queues > backend->dev->queue_count || !wire.queue_size ||
	    wire.queue_size > VIRTQ_SIZE_MAX) {
		vu_log(backend, "GET_INFLIGHT_FD: %u queues of %u entries; there are %u queues",
		       wire.num_queues, wire.queue_size, backend->dev->queue_count);
		return vu_reply(backend, message, &wire, message->header.size);
	}
	fd = link_inflight_make(&wire);
	if (fd < 0)
		vu_log(backend, "GET_INFLIGHT_FD: no file can be made for it");
	vu_sender_put_fd(&backend->sender, fd < 0 ? -1 : fd);
	return vu_reply(backend, message, &wire, message->header.size);
}

static int set_inflight_fd(struct vio_vhost_user *backend, struct vu_message *message)
{
	const struct vhost_user_inflight *wire = &message->payload.inflight;
	int error;

	if (vu_any_runs(backend)) /* hostile: C20 */
		return -VIO_EBUSY;
	if (wire->num_queues > backend->dev->queue_count)
		return -VIO_ERANGE;
	error = link_inflight_map(&backend->inflight, wire, message->fds[0], backend->socket.fd);
	if (!error)
		vu_update_all(backend);
	return error;
}

/* Configuration. */

static int set_backend_req_fd(struct vio_vhost_user *backend, struct vu_message *message)
{
	enum link_signal_kind kind = link_signal_kind(message->fds[0], O_WRONLY);

	/* hostile: C32, another one takes the place of the first. */
	if (kind != LINK_SIGNAL_SOCKET && kind != LINK_SIGNAL_PIPE)
		return -VIO_EINVAL;
	link_signal_set(&backend->channel, kind, vu_message_take_fd(message, 0));
	return 0;
}

/* Whether the message's size is what its own header says, and the range is one that can be. */
static bool config_sound(const struct vu_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;
	uint64_t end = (uint64_t)config->offset + config->size;

	return config->size && config->size <= VHOST_USER_CONFIG_BYTES_MAX &&
	       end <= VHOST_USER_CONFIG_BYTES_MAX &&
	       message->header.size == offsetof(struct vhost_user_config, payload) + config->size;
}

static int get_config(struct vio_vhost_user *backend, struct vu_message *message)
{
	struct vhost_user_config *config = &message->payload.config;

	/* hostile: C28; an empty payload says that it failed. */
	if (!config_sound(message))
		return vu_reply(backend, message, NULL, 0);
	vio_device_read_config(backend->dev, config->offset, config->payload, config->size);
	return vu_reply(backend, message, config, message->header.size);
}

static int set_config(struct vio_vhost_user *backend, struct vu_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;

	if (!config_sound(message) || config->flags > VHOST_USER_CONFIG_FLAG_MIGRATION)
		return -VIO_EPROTO;
	if (!vio_device_write_config(backend->dev, config->offset, config->payload, config->size))
		return 0;
	/* It was the driver who wrote beyond the end; that alone doesn't cost it its device. */
	vu_log(backend, "SET_CONFIG: %u bytes at %u of %u", config->size, config->offset,
	       backend->dev->config_bytes);
	return answer_wanted(backend, message) ? -VIO_ERANGE : 0;
}

#define U64           sizeof(uint64_t), sizeof(uint64_t)
#define VRING_STATE   sizeof(struct vhost_user_vring_state), sizeof(struct vhost_user_vring_state)
#define VRING_ADDR    sizeof(struct vhost_user_vring_addr), sizeof(struct vhost_user_vring_addr)
#define MEM_TABLE     8 + 32, sizeof(struct vhost_user_mem_table)
#define MEM_REG       sizeof(struct vhost_user_mem_reg), sizeof(struct vhost_user_mem_reg)
#define LOG           sizeof(struct vhost_user_log), sizeof(struct vhost_user_log)
#define DEVICE_STATE  sizeof(struct vhost_user_device_state), sizeof(struct vhost_user_device_state)
#define INFLIGHT      offsetof(struct vhost_user_inflight, padding), sizeof(struct vhost_user_inflight)
#define CONFIG        offsetof(struct vhost_user_config, payload), sizeof(struct vhost_user_config)
#define PROTOCOL(bit) VHOST_USER_PROTOCOL_F_##bit

static const struct vu_row rows[] = {
	[VHOST_USER_GET_FEATURES] = { "GET_FEATURES", 0, 0, 0, 0, NEEDS_NOTHING, false, get_features },
	[VHOST_USER_SET_FEATURES] = { "SET_FEATURES", U64, 0, 0, NEEDS_NOTHING, false, set_features },
	[VHOST_USER_SET_OWNER] = { "SET_OWNER", 0, 0, 0, 0, NEEDS_NOTHING, false, set_owner },
	[VHOST_USER_RESET_OWNER] = { "RESET_OWNER", 0, 0, 0, 0, NEEDS_NOTHING, false, reset_owner },
	[VHOST_USER_SET_MEM_TABLE] = { "SET_MEM_TABLE", MEM_TABLE, 1, VHOST_USER_FDS_MAX, NEEDS_NOTHING,
				       false, set_mem_table },
	[VHOST_USER_SET_LOG_BASE] = { "SET_LOG_BASE", LOG, 1, 1, PROTOCOL(LOG_SHMFD), false,
				      vu_set_log_base },
	/* Old front ends fill the payload with something. */
	[VHOST_USER_SET_LOG_FD] = { "SET_LOG_FD", 0, 8, 1, 1, NEEDS_NOTHING, false, vu_set_log_fd },
	[VHOST_USER_SET_VRING_NUM] = { "SET_VRING_NUM", VRING_STATE, 0, 0, NEEDS_NOTHING, true,
				       set_vring_num },
	[VHOST_USER_SET_VRING_ADDR] = { "SET_VRING_ADDR", VRING_ADDR, 0, 0, NEEDS_NOTHING, true,
					set_vring_addr },
	[VHOST_USER_SET_VRING_BASE] = { "SET_VRING_BASE", VRING_STATE, 0, 0, NEEDS_NOTHING, true,
					set_vring_base },
	[VHOST_USER_GET_VRING_BASE] = { "GET_VRING_BASE", VRING_STATE, 0, 0, NEEDS_NOTHING, true,
					get_vring_base },
	[VHOST_USER_SET_VRING_KICK] = { "SET_VRING_KICK", U64, 0, 1, NEEDS_NOTHING, false, set_vring_kick },
	[VHOST_USER_SET_VRING_CALL] = { "SET_VRING_CALL", U64, 0, 1, NEEDS_NOTHING, false, set_vring_call },
	[VHOST_USER_SET_VRING_ERR] = { "SET_VRING_ERR", U64, 0, 1, NEEDS_NOTHING, false, set_vring_err },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", 0, 0, 0, 0, NEEDS_NOTHING, false,
					       get_protocol_features },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", U64, 0, 0, NEEDS_NOTHING, false,
					       set_protocol_features },
	[VHOST_USER_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", 0, 0, 0, 0, PROTOCOL(MQ), false, get_queue_num },
	[VHOST_USER_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", VRING_STATE, 0, 0, NEEDS_NOTHING, true,
					  set_vring_enable },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 8, 1, 1, PROTOCOL(BACKEND_REQ), false,
					    set_backend_req_fd },
	[VHOST_USER_GET_CONFIG] = { "GET_CONFIG", CONFIG, 0, 0, PROTOCOL(CONFIG), false, get_config },
	[VHOST_USER_SET_CONFIG] = { "SET_CONFIG", CONFIG, 0, 0, PROTOCOL(CONFIG), false, set_config },
	[VHOST_USER_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", INFLIGHT, 0, 0, PROTOCOL(INFLIGHT_SHMFD), false,
					 get_inflight_fd },
	[VHOST_USER_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", INFLIGHT, 1, 1, PROTOCOL(INFLIGHT_SHMFD), false,
					 set_inflight_fd },
	[VHOST_USER_RESET_DEVICE] = { "RESET_DEVICE", 0, 0, 0, 0, PROTOCOL(RESET_DEVICE), false,
				      reset_device },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", 0, 0, 0, 0, PROTOCOL(CONFIGURE_MEM_SLOTS),
					   false, get_max_mem_slots },
	[VHOST_USER_ADD_MEM_REG] = { "ADD_MEM_REG", MEM_REG, 1, 1, PROTOCOL(CONFIGURE_MEM_SLOTS), false,
				     add_mem_reg },
	/* The descriptor is of no use, but old front ends send one. */
	[VHOST_USER_REM_MEM_REG] = { "REM_MEM_REG", MEM_REG, 0, 1, PROTOCOL(CONFIGURE_MEM_SLOTS), false,
				     rem_mem_reg },
	[VHOST_USER_SET_STATUS] = { "SET_STATUS", U64, 0, 0, PROTOCOL(STATUS), false, set_status },
	[VHOST_USER_GET_STATUS] = { "GET_STATUS", 0, 0, 0, 0, PROTOCOL(STATUS), false, get_status },
	[VHOST_USER_SET_DEVICE_STATE_FD] = { "SET_DEVICE_STATE_FD", DEVICE_STATE, 1, 1,
					     PROTOCOL(DEVICE_STATE), false, vu_set_device_state_fd },
	[VHOST_USER_CHECK_DEVICE_STATE] = { "CHECK_DEVICE_STATE", 0, 0, 0, 0, PROTOCOL(DEVICE_STATE), false,
					    vu_check_device_state },
};

/* Requests that have a reply of their own, whether asked for one or not. */
static bool replies(uint32_t request)
{
	switch (request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_STATUS:
	case VHOST_USER_GET_INFLIGHT_FD:
	case VHOST_USER_SET_LOG_BASE:
	case VHOST_USER_SET_DEVICE_STATE_FD:
	case VHOST_USER_CHECK_DEVICE_STATE:
		return true;
	default:
		return false;
	}
}

/* Why the message can't be what it says it is; NULL if it can. */
static const char *mistake(const struct vio_vhost_user *backend, const struct vu_row *row,
			   const struct vu_message *message)
{
	if (!row)
		return "not known";
	if (row->protocol != NEEDS_NOTHING && !vu_has_protocol(backend, row->protocol))
		return "was not negotiated";
	if (message->header.size < row->size_min || message->header.size > row->size_max)
		return "wrong size";
	if (message->fd_count < row->fds_min || message->fd_count > row->fds_max)
		return "wrong number of file descriptors"; /* hostile: C12 */
	if (row->queue && message->payload.state.index >= backend->dev->queue_count)
		return "no such queue"; /* hostile: C16 */
	return NULL;
}

int vu_handle_message(struct vio_vhost_user *backend)
{
	struct vu_message *message = &backend->receiver.message;
	uint32_t request = message->header.request;
	const struct vu_row *row =
		request < VIO_ARRAY_SIZE(rows) && rows[request].handle ? &rows[request] : NULL;
	const char *wrong = mistake(backend, row, message);
	int result;

	if (wrong)
		vu_log(backend, "message %u (%s, %u bytes, %u descriptors): %s", request,
		       row ? row->name : "?", message->header.size, message->fd_count, wrong);
	result = wrong ? -VIO_EPROTO : row->handle(backend, message);
	if (result == VU_REPLIED)
		return 0;
	if (result && !wrong)
		vu_log(backend, "%s refused: %s", row->name, vio_strerror(result));
	/*
	 * Looked at only now: User-Mode Linux wants an answer to the very message that negotiates
	 * answers. In place of a reply of the request's own it would be taken for that.
	 */
	if (answer_wanted(backend, message) && !replies(request)) {
		vu_reply_u64(backend, message, result != 0);
		return 0;
	}
	/* Nobody waits for an error: the only way to tell is to hang up. */
	return result;
}
