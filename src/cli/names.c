/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>
#include <string.h>

#include <vireo/spec/vhost_user.h>
#include <vireo/spec/virtio_adder.h>
#include <vireo/spec/virtio_blk.h>
#include <vireo/spec/virtio_caesar.h>
#include <vireo/spec/virtio_config.h>
#include <vireo/spec/virtio_console.h>
#include <vireo/spec/virtio_vssd.h>

#include "cli/client.h"

static const struct client_bit common_bits[] = {
	{ VIRTIO_F_NOTIFY_ON_EMPTY, "NOTIFY_ON_EMPTY" },
	{ VHOST_F_LOG_ALL, "LOG_ALL" },
	{ VIRTIO_F_ANY_LAYOUT, "ANY_LAYOUT" },
	{ VIRTIO_F_INDIRECT_DESC, "INDIRECT_DESC" },
	{ VIRTIO_F_EVENT_IDX, "EVENT_IDX" },
	{ VHOST_USER_F_PROTOCOL_FEATURES, "PROTOCOL_FEATURES" },
	{ VIRTIO_F_VERSION_1, "VERSION_1" },
	{ VIRTIO_F_ACCESS_PLATFORM, "ACCESS_PLATFORM" },
	{ VIRTIO_F_RING_PACKED, "RING_PACKED" },
	{ VIRTIO_F_IN_ORDER, "IN_ORDER" },
	{ VIRTIO_F_ORDER_PLATFORM, "ORDER_PLATFORM" },
	{ VIRTIO_F_SR_IOV, "SR_IOV" },
	{ VIRTIO_F_NOTIFICATION_DATA, "NOTIFICATION_DATA" },
	{ VIRTIO_F_NOTIF_CONFIG_DATA, "NOTIF_CONFIG_DATA" },
	{ VIRTIO_F_RING_RESET, "RING_RESET" },
	{ VIRTIO_F_ADMIN_VQ, "ADMIN_VQ" },
	{ VIRTIO_F_SUSPEND, "SUSPEND" },
	{ 0, NULL },
};

static const struct client_bit protocol_bits[] = {
	{ VHOST_USER_PROTOCOL_F_MQ, "MQ" },
	{ VHOST_USER_PROTOCOL_F_LOG_SHMFD, "LOG_SHMFD" },
	{ 2, "RARP" },
	{ VHOST_USER_PROTOCOL_F_REPLY_ACK, "REPLY_ACK" },
	{ 4, "MTU" },
	{ VHOST_USER_PROTOCOL_F_BACKEND_REQ, "BACKEND_REQ" },
	{ 6, "CROSS_ENDIAN" },
	{ 7, "CRYPTO_SESSION" },
	{ 8, "PAGEFAULT" },
	{ VHOST_USER_PROTOCOL_F_CONFIG, "CONFIG" },
	{ VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD, "BACKEND_SEND_FD" },
	{ 11, "HOST_NOTIFIER" },
	{ VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, "INFLIGHT_SHMFD" },
	{ VHOST_USER_PROTOCOL_F_RESET_DEVICE, "RESET_DEVICE" },
	{ VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS, "INBAND_NOTIFICATIONS" },
	{ VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, "CONFIGURE_MEM_SLOTS" },
	{ VHOST_USER_PROTOCOL_F_STATUS, "STATUS" },
	{ 17, "XEN_MMAP" },
	{ 18, "SHARED_OBJECT" },
	{ 19, "DEVICE_STATE" },
	{ 0, NULL },
};

/* VHOST_BACKEND_F_... */
static const struct client_bit backend_bits[] = {
	{ 1, "IOTLB_MSG_V2" }, { 2, "IOTLB_BATCH" },   { 3, "IOTLB_ASID" },
	{ 4, "SUSPEND" },      { 5, "RESUME" },        { 6, "ENABLE_AFTER_DRIVER_OK" },
	{ 7, "DESC_ASID" },    { 8, "IOTLB_PERSIST" }, { 0, NULL },
};

static const struct client_bit no_bits[] = { { 0, NULL } };
static const struct client_field no_fields[] = { { .name = NULL } };

/* Bits and fields that VSSD has, too. */
/* clang-format off */
#define BLK_BITS \
	{ VIRTIO_BLK_F_SIZE_MAX, "SIZE_MAX" }, \
	{ VIRTIO_BLK_F_SEG_MAX, "SEG_MAX" }, \
	{ VIRTIO_BLK_F_GEOMETRY, "GEOMETRY" }, \
	{ VIRTIO_BLK_F_RO, "RO" }, \
	{ VIRTIO_BLK_F_BLK_SIZE, "BLK_SIZE" }, \
	{ VIRTIO_BLK_F_FLUSH, "FLUSH" }, \
	{ VIRTIO_BLK_F_TOPOLOGY, "TOPOLOGY" }, \
	{ VIRTIO_BLK_F_CONFIG_WCE, "CONFIG_WCE" }, \
	{ VIRTIO_BLK_F_MQ, "MQ" }, \
	{ VIRTIO_BLK_F_DISCARD, "DISCARD" }, \
	{ VIRTIO_BLK_F_WRITE_ZEROES, "WRITE_ZEROES" }, \
	{ VIRTIO_BLK_F_LIFETIME, "LIFETIME" }, \
	{ VIRTIO_BLK_F_SECURE_ERASE, "SECURE_ERASE" }, \
	{ VIRTIO_BLK_F_ZONED, "ZONED" }

#define FIELD(type, member) \
	#member, (uint32_t)offsetof(struct type, member), (uint32_t)sizeof(((struct type *)0)->member)

#define BLK_FIELDS \
	{ FIELD(virtio_blk_config, capacity), -1 }, \
	{ FIELD(virtio_blk_config, size_max), VIRTIO_BLK_F_SIZE_MAX }, \
	{ FIELD(virtio_blk_config, seg_max), VIRTIO_BLK_F_SEG_MAX }, \
	{ FIELD(virtio_blk_config, geometry.cylinders), VIRTIO_BLK_F_GEOMETRY }, \
	{ FIELD(virtio_blk_config, geometry.heads), VIRTIO_BLK_F_GEOMETRY }, \
	{ FIELD(virtio_blk_config, geometry.sectors), VIRTIO_BLK_F_GEOMETRY }, \
	{ FIELD(virtio_blk_config, blk_size), VIRTIO_BLK_F_BLK_SIZE }, \
	{ FIELD(virtio_blk_config, topology.physical_block_exp), VIRTIO_BLK_F_TOPOLOGY }, \
	{ FIELD(virtio_blk_config, topology.alignment_offset), VIRTIO_BLK_F_TOPOLOGY }, \
	{ FIELD(virtio_blk_config, topology.min_io_size), VIRTIO_BLK_F_TOPOLOGY }, \
	{ FIELD(virtio_blk_config, topology.opt_io_size), VIRTIO_BLK_F_TOPOLOGY }, \
	{ FIELD(virtio_blk_config, writeback), VIRTIO_BLK_F_CONFIG_WCE }, \
	{ FIELD(virtio_blk_config, num_queues), VIRTIO_BLK_F_MQ }, \
	{ FIELD(virtio_blk_config, max_discard_sectors), VIRTIO_BLK_F_DISCARD }, \
	{ FIELD(virtio_blk_config, max_discard_seg), VIRTIO_BLK_F_DISCARD }, \
	{ FIELD(virtio_blk_config, discard_sector_alignment), VIRTIO_BLK_F_DISCARD }, \
	{ FIELD(virtio_blk_config, max_write_zeroes_sectors), VIRTIO_BLK_F_WRITE_ZEROES }, \
	{ FIELD(virtio_blk_config, max_write_zeroes_seg), VIRTIO_BLK_F_WRITE_ZEROES }, \
	{ FIELD(virtio_blk_config, write_zeroes_may_unmap), VIRTIO_BLK_F_WRITE_ZEROES }, \
	{ FIELD(virtio_blk_config, max_secure_erase_sectors), VIRTIO_BLK_F_SECURE_ERASE }, \
	{ FIELD(virtio_blk_config, max_secure_erase_seg), VIRTIO_BLK_F_SECURE_ERASE }, \
	{ FIELD(virtio_blk_config, secure_erase_sector_alignment), VIRTIO_BLK_F_SECURE_ERASE }
/* clang-format on */

static const struct client_bit blk_bits[] = { BLK_BITS, { 0, NULL } };
static const struct client_field blk_fields[] = { BLK_FIELDS, { .name = NULL } };

static const struct client_bit vssd_bits[] = { BLK_BITS, { VIRTIO_VSSD_F_RESIZE, "RESIZE" }, { 0, NULL } };

static const struct client_field vssd_fields[] = {
	BLK_FIELDS,
	{ FIELD(virtio_vssd_config, total), -1 },
	{ FIELD(virtio_vssd_config, provisioned), -1 },
	{ FIELD(virtio_vssd_config, target), -1 },
	{ FIELD(virtio_vssd_config, block_bytes), -1 },
	{ FIELD(virtio_vssd_config, state), -1 },
	{ FIELD(virtio_vssd_config, ticket), -1 },
	{ FIELD(virtio_vssd_config, deadline_ms), -1 },
	{ .name = NULL },
};

static const struct client_bit console_bits[] = {
	{ VIRTIO_CONSOLE_F_SIZE, "SIZE" },
	{ VIRTIO_CONSOLE_F_MULTIPORT, "MULTIPORT" },
	{ VIRTIO_CONSOLE_F_EMERG_WRITE, "EMERG_WRITE" },
	{ 0, NULL },
};

static const struct client_field console_fields[] = {
	{ FIELD(virtio_console_config, cols), VIRTIO_CONSOLE_F_SIZE },
	{ FIELD(virtio_console_config, rows), VIRTIO_CONSOLE_F_SIZE },
	{ FIELD(virtio_console_config, max_nr_ports), VIRTIO_CONSOLE_F_MULTIPORT },
	{ .name = NULL },
};

static const struct client_field adder_fields[] = {
	{ FIELD(virtio_adder_config, status), -1 },
	{ .name = NULL },
};

static const struct client_field caesar_fields[] = {
	{ FIELD(virtio_caesar_config, shift), -1 },
	{ FIELD(virtio_caesar_config, mode), -1 },
	{ .name = NULL },
};

/* Network device (5.1). */
static const struct client_bit net_bits[] = {
	{ 0, "CSUM" },
	{ 1, "GUEST_CSUM" },
	{ 2, "CTRL_GUEST_OFFLOADS" },
	{ 3, "MTU" },
	{ 5, "MAC" },
	{ 7, "GUEST_TSO4" },
	{ 8, "GUEST_TSO6" },
	{ 9, "GUEST_ECN" },
	{ 10, "GUEST_UFO" },
	{ 11, "HOST_TSO4" },
	{ 12, "HOST_TSO6" },
	{ 13, "HOST_ECN" },
	{ 14, "HOST_UFO" },
	{ 15, "MRG_RXBUF" },
	{ 16, "STATUS" },
	{ 17, "CTRL_VQ" },
	{ 18, "CTRL_RX" },
	{ 19, "CTRL_VLAN" },
	{ 21, "GUEST_ANNOUNCE" },
	{ 22, "MQ" },
	{ 23, "CTRL_MAC_ADDR" },
	{ 52, "VQ_NOTF_COAL" },
	{ 54, "GUEST_USO4" },
	{ 55, "GUEST_USO6" },
	{ 56, "HOST_USO" },
	{ 57, "HASH_REPORT" },
	{ 59, "GUEST_HDRLEN" },
	{ 60, "RSS" },
	{ 61, "RSC_EXT" },
	{ 62, "STANDBY" },
	{ 63, "SPEED_DUPLEX" },
	{ 0, NULL },
};

static const struct client_field net_fields[] = {
	{ "mac", 0, 6, 5 },  { "status", 6, 2, 16 }, { "max_virtqueue_pairs", 8, 2, 22 },
	{ "mtu", 10, 2, 3 }, { "speed", 12, 4, 63 }, { "duplex", 16, 1, 63 },
	{ .name = NULL },
};

/* Input device (5.8): what stands behind these three depends on what is selected. */
static const struct client_field input_fields[] = {
	{ "select", 0, 1, -1 },
	{ "subsel", 1, 1, -1 },
	{ "size", 2, 1, -1 },
	{ .name = NULL },
};

/* Socket device (5.10). */
static const struct client_bit vsock_bits[] = {
	{ 0, "STREAM" },
	{ 1, "SEQPACKET" },
	{ 2, "NO_IMPLIED_STREAM" },
	{ 0, NULL },
};

static const struct client_field vsock_fields[] = {
	{ "guest_cid", 0, 8, -1 },
	{ .name = NULL },
};

static const struct client_type types[] = {
	{ "net", VIRTIO_ID_NET, net_bits, net_fields },
	{ "blk", VIRTIO_ID_BLOCK, blk_bits, blk_fields },
	{ "vssd", VIRTIO_ID_VSSD, vssd_bits, vssd_fields },
	{ "console", VIRTIO_ID_CONSOLE, console_bits, console_fields },
	{ "rng", VIRTIO_ID_RNG, no_bits, no_fields },
	{ "input", VIRTIO_ID_INPUT, no_bits, input_fields },
	{ "vsock", VIRTIO_ID_VSOCK, vsock_bits, vsock_fields },
	{ "adder", VIRTIO_ID_ADDER, no_bits, adder_fields },
	{ "caesar", VIRTIO_ID_CAESAR, no_bits, caesar_fields },
};

const char *client_type_name(unsigned index)
{
	return index < VIO_ARRAY_SIZE(types) ? types[index].name : NULL;
}

const struct client_type *client_type_by_name(const char *name)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

const struct client_type *client_type_by_id(uint32_t id)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(types); i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

static const char *find(const struct client_bit *bits, unsigned bit)
{
	for (; bits->name; bits++)
		if (bits->bit == bit)
			return bits->name;
	return NULL;
}

const char *client_feature_name(const struct client_type *type, unsigned bit)
{
	const char *name = find(common_bits, bit);

	return name || !type ? name : find(type->bits, bit);
}

const char *client_protocol_name(const struct client_type *type, unsigned bit)
{
	return find(protocol_bits, bit);
}

const char *client_backend_name(const struct client_type *type, unsigned bit)
{
	return find(backend_bits, bit);
}

const char *client_value_name(const struct client_type *type, const struct client_field *field,
			      uint64_t value)
{
	static const char *const states[] = { "idle", "shrinking", "growing" };

	if (type->id == VIRTIO_ID_VSSD && field->offset == offsetof(struct virtio_vssd_config, state) &&
	    value < VIO_ARRAY_SIZE(states))
		return states[value];
	return NULL;
}
