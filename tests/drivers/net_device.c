/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <vireo/spec/virtio_ids.h>

#include "drivers/liar.h"

static struct net_device *device_of(struct vio_device *device)
{
	return vio_device_state(device);
}

static bool several(const struct vio_device *device)
{
	return vio_features_has(&device->features_accepted, VIRTIO_NET_F_MQ) ||
	       vio_features_has(&device->features_accepted, VIRTIO_NET_F_RSS);
}

static void use(const struct net_device *net, struct vio_devq *q, struct vio_buf *buf, uint32_t written)
{
	if (!net->boasts) {
		vio_devq_push(q, buf, written);
		return;
	}
	liar_use(q, 0, buf->head, 1000);
	liar_advance(q, 1);
}

static void obey(struct net_device *net, struct vio_devq *q)
{
	const struct virtio_net_ctrl_coal result = { vio_le32_make(11), vio_le32_make(22) };
	struct vio_buf buf;

	while (!net->deaf && vio_devq_pop(q, &buf)) {
		uint32_t written = 0;

		net->commands++;
		net->elements = buf.readable_count;
		net->command_bytes = (uint32_t)vio_read(&buf, net->command, sizeof(net->command));
		if (net->ack != NET_DEVICE_SILENT)
			written += (uint32_t)vio_write(&buf, &net->ack, 1);
		if (buf.writable_bytes > 1 && net->ack == VIRTIO_NET_OK)
			written += (uint32_t)vio_write(&buf, &result, sizeof(result));
		use(net, q, &buf, written);
	}
}

static void kick(struct vio_device *device, struct vio_devq *q)
{
	struct net_device *net = device_of(device);
	struct vio_buf buf;

	if (q->index == (several(device) ? 2 * NET_DEVICE_PAIRS : 2)) {
		obey(net, q);
	} else if (q->index % 2) {
		while (!net->deaf && vio_devq_pop(q, &buf)) {
			net->output_queue = q->index;
			net->output_elements = buf.readable_count;
			net->output_bytes = (uint32_t)vio_read(&buf, net->output, sizeof(net->output));
			use(net, q, &buf, 0);
		}
	} else {
		while (net->input_sent < net->input_bytes && vio_devq_pop(q, &buf)) {
			uint32_t length = net->input_bytes - net->input_sent;

			if (net->piece && length > net->piece)
				length = net->piece;
			length = (uint32_t)vio_write(&buf, net->input + net->input_sent, length);
			net->input_sent += length;
			vio_devq_push(q, &buf, length);
		}
	}
	if (net->boasts)
		q->interrupt(q->interrupt_context, q);
	else
		vio_devq_notify(q);
}

static void get_features(struct vio_device *device, struct vio_features *offer)
{
	*offer = vio_features_or(*offer, vio_features_low(device_of(device)->features));
}

static void get_config(struct vio_device *device, void *config)
{
	const struct net_device *net = device_of(device);
	const struct virtio_net_config wire = {
		.mac = { 2, 3, 4, 5, 6, 7 },
		.status = vio_le16_make(net->status),
		.max_virtqueue_pairs = vio_le16_make(net->pairs),
		.speed = vio_le32_make(net->speed),
		.duplex = net->duplex,
		.rss_max_key_size = net->key_max,
		.rss_max_indirection_table_length = vio_le16_make(net->steering_max),
		.supported_hash_types = vio_le32_make(net->hash_types),
	};

	memcpy(config, &wire, sizeof(wire));
}

/* spec: DRV-NET-001 */
static void set_config(struct vio_device *device, const void *config, uint32_t offset, uint32_t length)
{
	fail_msg("%u bytes written at %u of the configuration", length, offset);
}

const struct vio_device_class net_device_class = {
	.name = "net",
	.summary = "does what a test says",
	.id = VIRTIO_ID_NET,
	.queue_count = 2 * NET_DEVICE_PAIRS + 1,
	.queue_size = 64,
	.state_bytes = sizeof(struct net_device),
	.config_bytes = sizeof(struct virtio_net_config),
	.get_features = get_features,
	.get_config = get_config,
	.set_config = set_config,
	.kick = kick,
};

void net_device_furnish(struct vio_device *device, void *context)
{
	struct net_device *net = device_of(device);

	net->features = *(const uint64_t *)context;
	net->pairs = NET_DEVICE_PAIRS;
	net->status = VIRTIO_NET_S_LINK_UP;
	net->key_max = 40;
	net->steering_max = 64;
	net->hash_types = VIRTIO_NET_HASH_TYPE_IPv4 | VIRTIO_NET_HASH_TYPE_TCPv4;
}
