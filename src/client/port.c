/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/client.h"

#define HEADER_BYTES CLIENT_NET_BYTES
#define FRAME_LEAST  14u /* the Ethernet header */
#define LINK_BYTES   18u /* with a VLAN tag */
#define MTU_DEFAULT  1500u
#define MTU_LEAST    68u /* less than any IP packet */
#define ALIGN        64u
#define COMMAND_SIZE 4u
#define NAP_NS       100000
#define NS_PER_MS    UINT64_C(1000000)
#define AT(field)    ((uint32_t)offsetof(struct virtio_net_config, field))

VIO_STATIC_ASSERT(sizeof(struct virtio_net_hdr) == HEADER_BYTES, "the header's length");

/* Frames to send. */

static int sum_parts(const struct vio_client *client, const struct vio_client_request *request,
		     uint64_t *total, bool *seen)
{
	*total = 0;
	*seen = true;
	if (!request->part_count)
		return -VIO_EINVAL;
	if (request->part_count > VIO_CLIENT_PARTS_MAX)
		return -VIO_ERANGE;
	for (unsigned i = 0; i < request->part_count; i++) {
		const struct vio_part *part = &request->parts[i];

		if (!part->length)
			return -VIO_EINVAL;
		*total += part->length;
		*seen = *seen && client_sees(client, part->host, part->length);
	}
	/* spec: DRV-NET-009 */
	return *total < FRAME_LEAST ? -VIO_EINVAL : *total > client->frame_max ? -VIO_ERANGE : 0;
}

/* Behind the header, in memory of the slot's own. */
static uint32_t copy_parts(const struct vio_client_request *request, uint8_t *to)
{
	uint32_t length = 0;

	for (unsigned i = 0; i < request->part_count; i++) {
		memcpy(to + length, request->parts[i].host, request->parts[i].length);
		length += request->parts[i].length;
	}
	return length;
}

static int port_fill(struct vio_client_queue *queue, const struct vio_client_request *request,
		     struct client_slot *slot, struct vio_drvq_buffer *buffer)
{
	const struct vio_client *client = queue->client;
	struct vio_sg *sg = (struct vio_sg *)(uintptr_t)buffer->sg;
	struct client_frame *frame = &queue->frames[slot->index];
	uint8_t *copy;
	uint64_t total;
	bool seen;
	int error = request->op == VIO_CLIENT_SEND && !request->flags ? 0 : -VIO_EINVAL;

	if (!error)
		error = sum_parts(client, request, &total, &seen);
	if (error)
		return error;
	buffer->writable = 0;
	if (!seen && client->options.flags & VIO_CLIENT_NO_COPIES)
		return -VIO_EACCES;
	if (!seen) {
		copy = (uint8_t *)queue->copies.host + (size_t)slot->index * queue->buffer_bytes;
		memset(copy, 0, HEADER_BYTES); /* spec: DRV-NET-016: nothing is asked for */
		sg[0] = (struct vio_sg){ client_addr(client, copy),
					 HEADER_BYTES + copy_parts(request, copy + HEADER_BYTES) };
		buffer->readable = 1;
		return 0;
	}
	memset(&frame->header, 0, sizeof(frame->header));
	sg[0] = (struct vio_sg){ client_addr(client, frame), HEADER_BYTES };
	for (unsigned i = 0; i < request->part_count; i++)
		sg[i + 1] = (struct vio_sg){ client_addr(client, request->parts[i].host),
					     request->parts[i].length };
	buffer->readable = request->part_count + 1u;
	return 0;
}

static int port_outcome(const struct vio_client_queue *queue, const struct client_slot *slot,
			uint32_t written)
{
	return 0;
}

/* Frames that come. */

static uint8_t *buffer_of(const struct vio_client_queue *queue, uint32_t index)
{
	return (uint8_t *)queue->buffers.host + (size_t)index * queue->buffer_bytes;
}

/* Tokens aren't NULL. */
static void *token_of(uint32_t index)
{
	return (void *)(uintptr_t)(index + 1);
}

static int lend(struct vio_client_queue *queue, uint32_t index)
{
	const struct vio_sg sg = { client_addr(queue->client, buffer_of(queue, index)), queue->buffer_bytes };

	return vio_drvq_add(queue->receive, &sg, 0, 1, token_of(index));
}

/* hostile: B55, false for what is no frame */
static bool take_frame(struct vio_client_queue *queue, uint32_t index, uint32_t written,
		       struct vio_client_frame *frame)
{
	if (written < HEADER_BYTES + FRAME_LEAST)
		return false;
	*frame = (struct vio_client_frame){ buffer_of(queue, index) + HEADER_BYTES, written - HEADER_BYTES,
					    index };
	queue->lent[index] = true;
	return true;
}

int vio_client_receive(struct vio_client_queue *queue, struct vio_client_frame *frames, unsigned max)
{
	uint32_t written[CLIENT_BATCH];
	void *tokens[CLIENT_BATCH];
	unsigned count = 0, dropped = 0, got;

	if (!queue->receive)
		return -VIO_ENOTSUP;
	client_disarm(queue);
	if (queue->dead)
		return queue->dead_as;
	do {
		got = vio_drvq_get_many(queue->receive, tokens, written,
					max - count < CLIENT_BATCH ? max - count : CLIENT_BATCH);
		for (unsigned i = 0; i < got; i++) {
			uint32_t index = (uint32_t)((uintptr_t)tokens[i] - 1);

			if (take_frame(queue, index, written[i], &frames[count]))
				count++;
			else
				dropped += !lend(queue, index);
		}
	} while (got == CLIENT_BATCH && count < max);
	if (dropped)
		vio_drvq_kick(queue->receive);
	return count ? (int)count : client_judge(queue);
}

void vio_client_give_back(struct vio_client_queue *queue, const struct vio_client_frame *frames,
			  unsigned count)
{
	unsigned lent = 0;

	for (unsigned i = 0; i < count && !queue->dead; i++) {
		uint32_t index = frames[i].index;

		if (index >= queue->buffer_count || !queue->lent[index])
			continue;
		queue->lent[index] = false;
		lent += !lend(queue, index);
	}
	if (lent)
		vio_drvq_kick(queue->receive);
}

/* Commands. */

struct command {
	struct virtio_net_ctrl_hdr header;
	vio_le16 pairs;
	uint8_t ack;
};

/* Tells how many pairs are in use, and waits for the answer, without a look at anybody's interrupts. */
static int command_pairs(struct vio_client *client)
{
	const struct timespec nap = { 0, NAP_NS };
	const unsigned patience_ms =
		client->options.timeout_ms ? client->options.timeout_ms : VIO_VHOST_USER_TIMEOUT_MS;
	const uint64_t end_ns = vu_front_now_ns() + patience_ms * NS_PER_MS;
	struct command *command = client->command_memory.host;
	struct vio_sg sg[2];
	int error;

	*command = (struct command){ { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET },
				     vio_le16_make(client->queue_count),
				     VIRTIO_NET_ERR };
	sg[0] = (struct vio_sg){ client_addr(client, command), offsetof(struct command, ack) };
	sg[1] = (struct vio_sg){ client_addr(client, &command->ack), 1 };
	error = vio_drvq_add(client->command, sg, 1, 1, command);
	if (error)
		return error;
	vio_drvq_kick(client->command);
	while (!vio_drvq_get(client->command, NULL)) {
		if (vio_drvq_broken(client->command))
			return -VIO_EPEER;
		if (vu_front_now_ns() > end_ns)
			return -VIO_EAGAIN;
		nanosleep(&nap, NULL);
	}
	return __atomic_load_n(&command->ack, __ATOMIC_RELAXED) == VIRTIO_NET_OK ? 0 : -VIO_EPEER;
}

/* The device's life. */

/* What is read of the configuration has to be there: back ends without it say nothing. */
static bool says(const struct vio_client *client, unsigned feature)
{
	return vu_front_has(client->front, VHOST_USER_PROTOCOL_F_CONFIG) &&
	       vio_dev_has_feature(&client->dev, feature);
}

static int read_state(struct vio_client *client, bool *link_up)
{
	uint16_t status = VIRTIO_NET_S_LINK_UP; /* spec: DRV-NET-005 */
	int error = 0;

	if (says(client, VIRTIO_NET_F_STATUS)) /* spec: DRV-NET-006 */
		error = vio_dev_read_config16(&client->dev, AT(status), &status);
	*link_up = status & VIRTIO_NET_S_LINK_UP;
	return error;
}

static int identify(struct vio_client *client)
{
	struct vio_client_port *port = &client->info.port;
	int error;

	port->mtu = MTU_DEFAULT;
	port->mac_known = says(client, VIRTIO_NET_F_MAC); /* spec: DRV-NET-003 DRV-NET-004 */
	error = port->mac_known ? vio_dev_read_config(&client->dev, 0, port->mac, sizeof(port->mac)) : 0;
	if (!error)
		error = read_state(client, &port->link_up);
	if (!error && says(client, VIRTIO_NET_F_MTU))
		error = vio_dev_read_config16(&client->dev, AT(mtu), &port->mtu);
	if (error)
		return error;
	client->frame_max = port->mtu + FRAME_LEAST;
	port->frame_max = client->frame_max;
	return port->mtu < MTU_LEAST ? -VIO_EPEER : 0; /* hostile: B55 */
}

/* As many pairs as the device has. *commands: it waits to be told how many are in use. */
static int read_pairs(struct vio_client *client, uint16_t *pairs, bool *commands)
{
	struct vio_dev *dev = &client->dev;
	int error = 0;

	*pairs = 1;
	*commands = false;
	if (client->options.queue_count < 2)
		return 0;
	if (vu_front_has(client->front, VHOST_USER_PROTOCOL_F_CONFIG)) {
		*commands = vio_features_has(&dev->offered, VIRTIO_NET_F_MQ) &&
			    vio_features_has(&dev->offered, VIRTIO_NET_F_CTRL_VQ);
		if (*commands)
			error = vio_dev_read_config16(dev, AT(max_virtqueue_pairs), pairs);
	} else if (client->front->queue_count) {
		/* Rings that are enabled are in use, as DPDK has it. */
		*pairs = client->front->queue_count < UINT16_MAX ? (uint16_t)client->front->queue_count : 1;
	}
	return !error && !*pairs ? -VIO_EPEER : error;
}

static struct vio_features wanted_of(const struct vio_client *client, bool commands)
{
	struct vio_features wanted = vio_dev_ring_features();

	vio_features_set(&wanted, VIRTIO_NET_F_MAC);
	vio_features_set(&wanted, VIRTIO_NET_F_MTU);
	vio_features_set(&wanted, VIRTIO_NET_F_STATUS);
	if (commands) {
		vio_features_set(&wanted, VIRTIO_NET_F_MQ);
		vio_features_set(&wanted, VIRTIO_NET_F_CTRL_VQ);
	}
	if (client->options.flags & VIO_CLIENT_SPLIT)
		vio_features_clear(&wanted, VIRTIO_F_RING_PACKED);
	return wanted;
}

static int take_buffers(struct vio_client *client, struct vio_client_queue *queue)
{
	const struct vio_platform *platform = client->platform;
	uint32_t longest = client->info.port.mtu > MTU_DEFAULT ? client->info.port.mtu : MTU_DEFAULT;
	int error;

	/* spec: DRV-NET-055 DRV-NET-056: each buffer holds the longest frame */
	queue->buffer_bytes = (HEADER_BYTES + LINK_BYTES + longest + ALIGN - 1) / ALIGN * ALIGN;
	queue->buffer_count = queue->receive->size;
	queue->lent = calloc(queue->buffer_count, sizeof(*queue->lent));
	if (!queue->lent)
		return -VIO_ENOMEM;
	error = platform->take(platform->context, (size_t)queue->buffer_bytes * queue->buffer_count,
			       VIO_MEM_READ | VIO_MEM_WRITE, &queue->buffers);
	if (!error)
		error = platform->take(platform->context, (size_t)queue->buffer_bytes * queue->depth,
				       VIO_MEM_READ | VIO_MEM_WRITE, &queue->copies);
	for (uint32_t i = 0; !error && i < queue->buffer_count; i++) /* spec: DRV-NET-059 */
		error = lend(queue, i);
	return error;
}

static int add_pair(struct vio_client *client, uint16_t index)
{
	struct vio_client_queue *queue = &client->queues[index];
	const struct vio_queue_wish wish = { .size = client_ring_size(client, 1) };
	/* A copied frame is one descriptor, others two or more. */
	int error = client_add_queue(client, index, 2 * index + 1, 2);

	if (!error)
		error = vu_front_set_call(client->front, 2 * index, queue->fd);
	if (!error)
		error = vio_dev_add_queue(&client->dev, 2 * index, &wish, &queue->receive);
	return error ? error : take_buffers(client, queue);
}

static int add_queues(struct vio_client *client, uint16_t pairs, bool commands)
{
	const struct vio_platform *platform = client->platform;
	const struct vio_queue_wish wish = { .size = COMMAND_SIZE };
	uint16_t wanted = client->options.queue_count < pairs ? client->options.queue_count : pairs, i;
	int error = 0;

	for (i = 0; !error && i < wanted; i++)
		error = add_pair(client, i);
	client->queue_count = wanted;
	if (error || !commands)
		return error;
	error = vio_dev_add_queue(&client->dev, 2 * pairs, &wish, &client->command);
	return error ? error
		     : platform->take(platform->context, sizeof(struct command), VIO_MEM_READ | VIO_MEM_WRITE,
				      &client->command_memory);
}

static int probe(struct vio_dev *dev)
{
	struct vio_client *client = dev->owner;
	struct vio_features wanted;
	uint16_t pairs = 1;
	bool commands = false;
	int error = vio_dev_begin(dev, client->dev_queues, 2 * VIO_CLIENT_QUEUES_MAX + 1);

	if (!error)
		error = read_pairs(client, &pairs, &commands);
	if (error)
		return error;
	wanted = wanted_of(client, commands);
	error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = identify(client);
	if (!error)
		error = add_queues(client, pairs, commands);
	if (!error)
		error = vio_dev_ready(dev);
	for (unsigned i = 0; !error && i < client->queue_count; i++)
		vio_drvq_kick(client->queues[i].receive);
	if (!error && commands)
		error = command_pairs(client);
	client->lives_told = client->front->lives;
	return error;
}

/* In the control thread. */
static void config_changed(struct vio_dev *dev)
{
	struct vio_client *client = dev->owner;
	bool link_up;
	int error = read_state(client, &link_up);

	if (dev->transport->get_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		client_give_up(client, -VIO_EPEER, "the device asks to be reset");
	/* Who came back knows the rings, and not what was commanded. */
	if (client->command && client->lives_told != client->front->lives) {
		client->lives_told = client->front->lives;
		if (command_pairs(client))
			client_give_up(client, -VIO_EPEER, "the back end that came back has fewer pairs");
	}
	pthread_mutex_lock(&client->lock);
	if (!error) /* what can't be read stays as it was */
		client->info.port.link_up = link_up;
	client->info.changes++;
	pthread_mutex_unlock(&client->lock);
}

static void remove_port(struct vio_dev *dev)
{
	(void)vio_dev_reset(dev); /* what is in flight is forgotten with the queues */
}

static const struct vio_driver driver = {
	.name = "client-port",
	.ids = (const uint32_t[]){ VIRTIO_ID_NET, 0 },
	.state_bytes = 1,
	.probe = probe,
	.remove = remove_port,
	.config_changed = config_changed,
};

const struct client_kind client_port = {
	.id = VIRTIO_ID_NET,
	.front_flags = VIO_VHOST_USER_PAIRS,
	.queues_unsaid = 2,
	.driver = &driver,
	.fill = port_fill,
	.outcome = port_outcome,
};
