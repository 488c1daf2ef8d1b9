/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vireo/spec/virtio_ring.h>

#include "link/vhost_user/frontend.h"

#define BIT(number) (UINT64_C(1) << (number))
/* Of a packed queue that never ran: what is taken and what is filled next, each with its wrap counter set. */
#define PACKED_BASE (PVIRTQ_WRAP | (uint32_t)PVIRTQ_WRAP << 16)
/* What is negotiated where it is offered. */
#define PROTOCOL_WANTED                                                                \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |        \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) |  \
	 BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | BIT(VHOST_USER_PROTOCOL_F_STATUS) | \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

static uint64_t protocol_wanted(const struct vu_front *front)
{
	uint64_t wanted = PROTOCOL_WANTED;

	/* Without somebody to go on with it, it would only cost time. */
	if (front->options.reconnect)
		wanted |= BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	return front->protocol_offered & wanted & ~front->options.withhold;
}

int vu_front_ask_u64(struct vu_front *front, uint32_t request, uint64_t *value)
{
	return vu_front_ask(front, &(struct vu_front_request){ .request = request, .fd = -1 }, value,
			    sizeof(*value));
}

int vu_front_tell_short(struct vu_front *front, uint32_t request, const void *payload, uint32_t size)
{
	return vu_front_tell(front, &(struct vu_front_request){ request, size, payload, -1, NULL });
}

int vu_front_tell_u64(struct vu_front *front, uint32_t request, uint64_t value)
{
	return vu_front_tell_short(front, request, &value, sizeof(value));
}

int vu_front_tell_queue(struct vu_front *front, uint32_t request, uint16_t queue, uint32_t value)
{
	const struct vhost_user_vring_state state = { queue, value };

	return vu_front_tell_short(front, request, &state, sizeof(state));
}

static int tell_queue_fd(struct vu_front *front, uint32_t request, uint16_t queue, int fd)
{
	const uint64_t index = queue;

	return vu_front_tell(front, &(struct vu_front_request){ request, sizeof(index), &index, fd, NULL });
}

struct vhost_user_mem_region vu_front_region_of(const struct vio_vhost_user_memory *memory)
{
	/* Bus addresses stand in for ours. */
	return (struct vhost_user_mem_region){ memory->addr.raw, memory->bytes, memory->addr.raw, 0 };
}

/* With slots memory is added, and taken away again; without them a table is replaced by the next one. */
int vu_front_tell_memory(struct vu_front *front)
{
	const struct vhost_user_mem_table table = { .nregions = 1,
						    .regions = { vu_front_region_of(&front->memory) } };
	const struct vhost_user_mem_reg slot = { .region = table.regions[0] };
	struct vu_front_request request = { VHOST_USER_SET_MEM_TABLE,
					    (uint32_t)offsetof(struct vhost_user_mem_table, regions[1]),
					    &table, front->memory.fd, NULL };
	int error;

	if (front->memory_told)
		return 0;
	if (vu_front_has(front, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
		request.request = VHOST_USER_ADD_MEM_REG;
		request.size = sizeof(slot);
		request.payload = &slot;
	}
	error = vu_front_tell(front, &request);
	front->memory_told = !error;
	return error;
}

uint32_t vu_front_first_base(const struct vu_front *front)
{
	return vu_front_is_packed(front) ? PACKED_BASE : 0;
}

/* hostile: D10, a file that isn't what the reply says. */
static int judge_file(struct vu_front *front, const struct vhost_user_inflight *asked)
{
	const struct vhost_user_inflight *wire = &front->inflight;
	uint64_t end;
	struct stat status;

	if (front->inflight_fd < 0 && !wire->mmap_size)
		return 0; /* it has none to give */
	if (wire->num_queues != asked->num_queues || wire->queue_size != asked->queue_size ||
	    !wire->mmap_size || front->inflight_fd < 0 ||
	    !vio_add_u64(wire->mmap_offset, wire->mmap_size, &end) || fstat(front->inflight_fd, &status) ||
	    !S_ISREG(status.st_mode) || (uint64_t)status.st_size < end)
		return vu_front_fail(front, -VIO_EPROTO,
				     "GET_INFLIGHT_FD: %llu bytes for %u queues of %u, and no such file",
				     (unsigned long long)wire->mmap_size, wire->num_queues, wire->queue_size);
	return 0;
}

static int get_inflight(struct vu_front *front)
{
	const struct vhost_user_inflight asked = {
		.num_queues =
			(uint16_t)(front->queue_count ? front->queue_limit : front->options.queues_unsaid),
		.queue_size = front->options.queue_size,
	};
	const struct vu_front_request request = { VHOST_USER_GET_INFLIGHT_FD, sizeof(asked), &asked, -1,
						  &front->inflight_fd };
	int error;

	if (!asked.num_queues)
		return 0;
	error = vu_front_ask(front, &request, &front->inflight, sizeof(front->inflight));
	return error ? error : judge_file(front, &asked);
}

int vu_front_tell_inflight(struct vu_front *front)
{
	const struct vu_front_request request = { VHOST_USER_SET_INFLIGHT_FD, sizeof(front->inflight),
						  &front->inflight, front->inflight_fd, NULL };
	int error;

	if (!vu_front_has(front, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	if (front->inflight_fd >= 0)
		return vu_front_tell(front, &request);
	error = get_inflight(front);
	if (error || front->inflight_fd < 0)
		return error;
	return vu_front_tell_inflight(front);
}

int vu_front_show_queue(struct vu_front *front, uint16_t queue, uint32_t base)
{
	struct vu_front_queue *own = &front->queues[queue];
	const struct vio_queue_place *place = &own->place;
	const struct vhost_user_vring_addr addr = {
		.index = queue,
		.descriptor = place->descriptor_area.raw,
		.used = place->device_area.raw,
		.available = place->driver_area.raw,
	};
	int error = vu_front_tell_queue(front, VHOST_USER_SET_VRING_NUM, queue, place->size);

	if (!error)
		error = vu_front_tell_queue(front, VHOST_USER_SET_VRING_BASE, queue, base);
	if (!error)
		error = vu_front_tell_short(front, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));
	if (!error)
		error = tell_queue_fd(front, VHOST_USER_SET_VRING_ERR, queue, front->error_fd);
	if (!error)
		error = tell_queue_fd(front, VHOST_USER_SET_VRING_CALL, queue, own->call);
	if (error)
		return error;
	if (!own->started) /* else its thread may look at it meanwhile */
		own->started = true;
	error = tell_queue_fd(front, VHOST_USER_SET_VRING_KICK, queue, own->kick);
	if (!error && vu_front_enables(front))
		error = vu_front_tell_queue(front, VHOST_USER_SET_VRING_ENABLE, queue, 1);
	return error;
}

static int negotiate_protocol(struct vu_front *front)
{
	int error = vu_front_ask_u64(front, VHOST_USER_GET_FEATURES, &front->features);

	if (error || !vu_front_enables(front))
		return error;
	error = vu_front_ask_u64(front, VHOST_USER_GET_PROTOCOL_FEATURES, &front->protocol_offered);
	if (error)
		return error;
	/* What is being negotiated doesn't apply yet: this message has no answer. */
	error = vu_front_tell_u64(front, VHOST_USER_SET_PROTOCOL_FEATURES, protocol_wanted(front));
	if (!error)
		front->protocol = protocol_wanted(front);
	return error;
}

/* hostile: D7 */
static int count_queues(struct vu_front *front)
{
	uint64_t count;
	int error;

	front->queue_limit = VU_FRONT_QUEUES_MAX;
	if (!vu_front_has(front, VHOST_USER_PROTOCOL_F_MQ)) {
		if (front->options.queues_unsaid && front->options.queues_unsaid < front->queue_limit)
			front->queue_limit = front->options.queues_unsaid;
		return 0;
	}
	error = vu_front_ask_u64(front, VHOST_USER_GET_QUEUE_NUM, &count);
	if (error)
		return error;
	if (!count || count > UINT16_MAX + 1u)
		return vu_front_fail(front, -VIO_EPROTO, "GET_QUEUE_NUM: %llu is no number of queues",
				     (unsigned long long)count);
	front->queue_count = (uint32_t)count;
	if (front->options.flags & VIO_VHOST_USER_PAIRS)
		count *= 2;
	if (count < front->queue_limit)
		front->queue_limit = (uint32_t)count;
	return 0;
}

/* One slot is enough; how many more there are doesn't matter. hostile: D8 */
static int count_slots(struct vu_front *front)
{
	int error;

	if (!vu_front_has(front, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return 0;
	error = vu_front_ask_u64(front, VHOST_USER_GET_MAX_MEM_SLOTS, &front->memory_slots);
	if (!error && !front->memory_slots)
		return vu_front_fail(front, -VIO_EPROTO, "GET_MAX_MEM_SLOTS: there is no slot for memory");
	return error;
}

static int open_channel(struct vu_front *front)
{
	struct vu_front_request request = { .request = VHOST_USER_SET_BACKEND_REQ_FD };
	int ends[2], error;

	if (!vu_front_has(front, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return vu_front_fail(front, -VIO_ESYS, "socketpair: %s", strerror(errno));
	front->channel.fd = ends[0];
	request.fd = ends[1];
	error = vu_front_tell(front, &request);
	close(ends[1]);
	return error;
}

int vu_front_introduce(struct vu_front *front)
{
	int error = negotiate_protocol(front);

	if (!error)
		error = vu_front_tell_short(front, VHOST_USER_SET_OWNER, NULL, 0);
	if (!error)
		error = count_queues(front);
	if (!error)
		error = count_slots(front);
	return error ? error : open_channel(front);
}
