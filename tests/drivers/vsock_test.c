/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/drivers/vsock.h>

#include "drivers/liar.h"

/* The socket driver against a peer that says what the test wants, over every transport. */

#define BIT(bit) (UINT64_C(1) << (bit))
#define CID      7u
#define HEARD    64u
#define SOCKETS  4u
#define MEMORY   1024u
#define EVERYTHING \
	(BIT(VIRTIO_VSOCK_F_STREAM) | BIT(VIRTIO_VSOCK_F_SEQPACKET) | BIT(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM))

struct packet {
	struct virtio_vsock_hdr header;
	uint8_t payload[VIO_VSOCK_BUFFER_BYTES];
	uint32_t bytes; /* of both */
};

struct vsock_device {
	uint64_t features;
	uint64_t cid;
	struct packet say;
	bool saying, deaf;
	unsigned to_reset; /* events; */
	struct packet heard[HEARD];
	unsigned heard_count, looked_at;
};

static struct vsock_device *device_of(struct vio_device *device)
{
	return vio_device_state(device);
}

static void kick(struct vio_device *device, struct vio_devq *q)
{
	struct vsock_device *vsock = device_of(device);
	const struct virtio_vsock_event event = { vio_le32_make(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET) };
	struct vio_buf buf;

	while (q->index == VIRTIO_VSOCK_RXQ && vsock->saying && vio_devq_pop(q, &buf)) {
		vsock->saying = false;
		vio_devq_push(q, &buf, (uint32_t)vio_write(&buf, &vsock->say, vsock->say.bytes));
	}
	while (q->index == VIRTIO_VSOCK_TXQ && !vsock->deaf && vio_devq_pop(q, &buf)) {
		struct packet *packet = &vsock->heard[vsock->heard_count++ % HEARD];

		packet->bytes = (uint32_t)vio_read(&buf, packet, sizeof(*packet) - 4);
		assert_int_equal(buf.writable_bytes, 0);
		vio_devq_push(q, &buf, 0);
	}
	while (q->index == VIRTIO_VSOCK_EVENTQ && vsock->to_reset && vio_devq_pop(q, &buf)) {
		vsock->to_reset--;
		vio_devq_push(q, &buf, (uint32_t)vio_write(&buf, &event, sizeof(event)));
	}
	vio_devq_notify(q);
}

static void get_features(struct vio_device *device, struct vio_features *offer)
{
	*offer = vio_features_or(*offer, vio_features_low(device_of(device)->features));
}

static void get_config(struct vio_device *device, void *config)
{
	const struct virtio_vsock_config wire = { vio_le64_make(device_of(device)->cid) };

	memcpy(config, &wire, sizeof(wire));
}

static const struct vio_device_class vsock_class = {
	.name = "vsock",
	.summary = "does what a test says",
	.id = VIRTIO_ID_VSOCK,
	.queue_count = 3,
	.queue_size = 64,
	.state_bytes = sizeof(struct vsock_device),
	.config_bytes = sizeof(struct virtio_vsock_config),
	.get_features = get_features,
	.get_config = get_config,
	.kick = kick,
};

static void furnish(struct vio_device *device, void *context)
{
	device_of(device)->features = *(const uint64_t *)context;
	device_of(device)->cid = CID;
}

static void each(uint64_t features, void (*body)(struct rig *rig))
{
	const struct rig_options options = {
		.class = &vsock_class,
		.furnish = furnish,
		.context = &features,
	};

	rig_each(&options, body);
}

static struct vio_vsock *driver_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

/* The table. */
static struct vio_vsock_socket sockets[SOCKETS];
static uint8_t memory[SOCKETS][MEMORY];

static void begin(struct rig *rig)
{
	memset(sockets, 0, sizeof(sockets));
	for (unsigned i = 0; i < SOCKETS; i++) {
		sockets[i].memory = memory[i];
		sockets[i].memory_bytes = MEMORY;
	}
	assert_int_equal(rig_bind(rig, &vio_vsock_driver), 0);
	assert_int_equal(vio_vsock_give_sockets(&rig->dev, sockets, SOCKETS), 0);
	assert_int_equal(driver_of(rig)->cid, CID);
}

static struct virtio_vsock_hdr header(uint16_t op, uint32_t peer_port, uint32_t port, uint32_t length)
{
	return (struct virtio_vsock_hdr){
		.src_cid = { vio_le32_make(VIRTIO_VSOCK_CID_HOST) },
		.dst_cid = { vio_le32_make(CID) },
		.src_port = vio_le32_make(peer_port),
		.dst_port = vio_le32_make(port),
		.len = vio_le32_make(length),
		.type = vio_le16_make(VIRTIO_VSOCK_TYPE_STREAM),
		.op = vio_le16_make(op),
		.buf_alloc = vio_le32_make(10000),
	};
}

static void say_packet(struct rig *rig, struct virtio_vsock_hdr what, const void *payload, uint32_t length)
{
	struct vsock_device *device = device_of(&rig->device);

	device->say.header = what;
	if (length)
		memcpy(device->say.payload, payload, length);
	device->say.bytes = (uint32_t)sizeof(what) + length;
	device->saying = true;
	vio_device_kick(&rig->device, VIRTIO_VSOCK_RXQ);
	rig_run(rig);
	vio_vsock_poll(&rig->dev);
	rig_run(rig);
	assert_false(device->saying);
}

static void say(struct rig *rig, uint16_t op, uint32_t peer_port, uint32_t port)
{
	say_packet(rig, header(op, peer_port, port, 0), NULL, 0);
}

/* The next packet that the device heard; all of them are from this machine. */
static const struct packet *hears(struct rig *rig, uint16_t op)
{
	struct vsock_device *device = device_of(&rig->device);
	const struct packet *packet = &device->heard[device->looked_at % HEARD];

	rig_run(rig);
	assert_true(device->looked_at < device->heard_count);
	device->looked_at++;
	assert_int_equal(vio_le16_get(packet->header.op), op);
	assert_int_equal(vio_le32_get(packet->header.src_cid[0]), device->cid); /* spec: DRV-VSOCK-006 */
	assert_int_equal(packet->bytes, sizeof(packet->header) + vio_le32_get(packet->header.len));
	return packet;
}

static void hears_nothing(struct rig *rig)
{
	rig_run(rig);
	assert_int_equal(device_of(&rig->device)->looked_at, device_of(&rig->device)->heard_count);
}

/* A connection of the driver's to port 9 of the peer. */
static void connect_first(struct rig *rig, uint16_t type)
{
	struct virtio_vsock_hdr answer;
	const struct packet *packet;

	assert_int_equal(vio_vsock_connect(&rig->dev, &sockets[0], type, VIRTIO_VSOCK_CID_HOST, 9), 0);
	assert_int_equal(sockets[0].state, VIO_VSOCK_CONNECTING);
	packet = hears(rig, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(vio_le32_get(packet->header.dst_cid[0]), VIRTIO_VSOCK_CID_HOST);
	assert_int_equal(vio_le32_get(packet->header.dst_port), 9);
	assert_int_equal(vio_le32_get(packet->header.src_port), sockets[0].port);
	assert_int_equal(vio_le16_get(packet->header.type), type);
	/* spec: DRV-VSOCK-005 */
	assert_int_equal(vio_le32_get(packet->header.buf_alloc),
			 type == VIRTIO_VSOCK_TYPE_STREAM ? MEMORY : MEMORY / 2);
	assert_int_equal(vio_le32_get(packet->header.fwd_cnt), 0);
	answer = header(VIRTIO_VSOCK_OP_RESPONSE, 9, sockets[0].port, 0);
	answer.type = vio_le16_make(type);
	say_packet(rig, answer, NULL, 0);
	assert_int_equal(sockets[0].state, VIO_VSOCK_CONNECTED);
}

static unsigned events[SOCKETS + 1];

static void on_event(struct vio_dev *dev, struct vio_vsock_socket *socket)
{
	events[socket ? socket - sockets : SOCKETS]++;
}

static uint8_t text[8192];

static void stream_body(struct rig *rig)
{
	struct virtio_vsock_hdr data, update;
	const struct packet *packet;
	uint8_t got_text[MEMORY];
	uint32_t got, sent;

	begin(rig);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], got_text, 1, &got, NULL), -VIO_EAGAIN);
	/* Round and round the ring of memory; a credit update comes by itself. */
	for (uint32_t i = 0, total = 0; i < 50; i++) {
		data = header(VIRTIO_VSOCK_OP_RW, 9, sockets[0].port, 300);
		say_packet(rig, data, text + i, 300);
		assert_int_equal(
			vio_vsock_receive(&rig->dev, &sockets[0], got_text, sizeof(got_text), &got, NULL), 0);
		assert_int_equal(got, 300);
		assert_memory_equal(got_text, text + i, 300);
		total += 300;
		if (i % 2) {
			packet = hears(rig, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			assert_int_equal(vio_le32_get(packet->header.fwd_cnt), total);
			assert_int_equal(vio_le32_get(packet->header.buf_alloc), MEMORY);
		}
	}
	say(rig, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 9, sockets[0].port);
	packet = hears(rig, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(vio_le32_get(packet->header.fwd_cnt), 15000);
	/* spec: DRV-VSOCK-004: no more than the 10000 that the peer has room for */
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 8192, 0, &sent), 0);
	assert_int_equal(sent, 8192);
	assert_int_equal(hears(rig, VIRTIO_VSOCK_OP_RW)->bytes, VIO_VSOCK_BUFFER_BYTES);
	assert_memory_equal(hears(rig, VIRTIO_VSOCK_OP_RW)->payload, text + 4052, 4052);
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RW)->header.len), 88);
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 8192, 0, &sent), 0);
	assert_int_equal(sent, 1808);
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RW)->header.len), 1808);
	hears(rig, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 1, 0, &sent), -VIO_EAGAIN);
	hears_nothing(rig); /* it has been asked */
	driver_of(rig)->event = on_event;
	memset(events, 0, sizeof(events));
	update = header(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9, sockets[0].port, 0);
	update.fwd_cnt = vio_le32_make(5);
	say_packet(rig, update, NULL, 0);
	assert_int_equal(events[0], 1);
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 8, 0, &sent), 0);
	assert_int_equal(sent, 5);
	assert_int_equal(rig->device.fault_count, 0);
}

static void carries_streams(void **state)
{
	each(EVERYTHING, stream_body);
	each(0, stream_body); /* spec: DRV-VSOCK-002 */
}

static void message_body(struct rig *rig)
{
	struct virtio_vsock_hdr data;
	uint8_t got_text[MEMORY];
	unsigned flags;
	uint32_t got, sent;

	begin(rig);
	assert_int_equal(vio_vsock_connect(&rig->dev, &sockets[0], 3, 2, 9), -VIO_ENOTSUP);
	connect_first(rig, VIRTIO_VSOCK_TYPE_SEQPACKET);
	data = header(VIRTIO_VSOCK_OP_RW, 9, sockets[0].port, 100);
	data.type = vio_le16_make(VIRTIO_VSOCK_TYPE_SEQPACKET);
	say_packet(rig, data, text, 100);
	data.flags = vio_le32_make(VIRTIO_VSOCK_SEQ_EOM);
	say_packet(rig, data, text + 100, 100);
	data.flags = vio_le32_make(VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR);
	data.len = vio_le32_make(7);
	say_packet(rig, data, text, 7);
	data.len = vio_le32_make(0);
	say_packet(rig, data, NULL, 0);
	assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], got_text, 150, &got, &flags), 0);
	assert_int_equal(got, 150);
	assert_int_equal(flags, 0);
	assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], got_text + 150, 500, &got, &flags), 0);
	assert_int_equal(got, 50);
	assert_int_equal(flags, VIRTIO_VSOCK_SEQ_EOM);
	assert_memory_equal(got_text, text, 200);
	assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], got_text, 500, &got, &flags), 0);
	assert_int_equal(got, 7);
	assert_int_equal(flags, VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR);
	assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], got_text, 500, &got, &flags), 0);
	assert_int_equal(got, 0);
	assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], got_text, 500, &got, &flags), -VIO_EAGAIN);
	/* Messages of one byte: memory ends before the credit does, and then the rest waits. */
	data.len = vio_le32_make(1);
	for (unsigned i = 0; i < 220; i++)
		say_packet(rig, data, text + i, 1);
	assert_int_equal(sockets[0].state, VIO_VSOCK_CONNECTED);
	for (unsigned i = 0; i < 220; i++) {
		assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], got_text, 500, &got, &flags), 0);
		assert_int_equal(got, 1);
		assert_int_equal(got_text[0], text[i]);
	}
	device_of(&rig->device)->looked_at = device_of(&rig->device)->heard_count;
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 5000, VIRTIO_VSOCK_SEQ_EOM, &sent), 0);
	assert_int_equal(sent, 5000);
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RW)->header.flags), 0);
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RW)->header.flags), VIRTIO_VSOCK_SEQ_EOM);
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 1, 4, &sent), -VIO_EINVAL);
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 0, 1, &sent), -VIO_EINVAL);
}

static void carries_messages(void **state)
{
	each(EVERYTHING, message_body);
}

static void types_body(struct rig *rig)
{
	begin(rig);
	/* spec: DRV-VSOCK-001 */
	assert_true(vio_dev_has_feature(&rig->dev, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM));
	assert_false(driver_of(rig)->streams);
	assert_int_equal(vio_vsock_listen(&rig->dev, &sockets[0], VIRTIO_VSOCK_TYPE_STREAM, 5), -VIO_ENOTSUP);
	assert_int_equal(vio_vsock_listen(&rig->dev, &sockets[0], VIRTIO_VSOCK_TYPE_SEQPACKET, 5), 0);
}

static void knows_its_types(void **state)
{
	each(BIT(VIRTIO_VSOCK_F_SEQPACKET) | BIT(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM), types_body);
}

static void listen_body(struct rig *rig)
{
	struct vio_vsock_socket *first, *second, *third;
	struct vio_dev *dev = &rig->dev;
	uint32_t sent;
	uint8_t byte;

	begin(rig);
	assert_int_equal(vio_vsock_give_sockets(dev, sockets, SOCKETS), -VIO_EBUSY);
	assert_int_equal(vio_vsock_listen(dev, &sockets[1], VIRTIO_VSOCK_TYPE_STREAM, 80), 0);
	assert_int_equal(vio_vsock_listen(dev, &sockets[1], VIRTIO_VSOCK_TYPE_STREAM, 81), -VIO_EPHASE);
	assert_int_equal(vio_vsock_listen(dev, &sockets[0], VIRTIO_VSOCK_TYPE_STREAM, 80), -VIO_EEXIST);
	assert_int_equal(vio_vsock_accept(dev, &sockets[1], &first), -VIO_EAGAIN);
	say(rig, VIRTIO_VSOCK_OP_REQUEST, 1000, 80);
	hears(rig, VIRTIO_VSOCK_OP_RESPONSE);
	say(rig, VIRTIO_VSOCK_OP_REQUEST, 1001, 80);
	hears(rig, VIRTIO_VSOCK_OP_RESPONSE);
	say(rig, VIRTIO_VSOCK_OP_REQUEST, 1002, 81); /* nobody listens */
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RST)->header.dst_port), 1002);
	assert_int_equal(vio_vsock_accept(dev, &sockets[1], &first), 0);
	assert_int_equal(first->peer_port, 1000);
	assert_int_equal(vio_vsock_accept(dev, &sockets[1], &second), 0);
	assert_int_equal(second->peer_port, 1001);
	assert_int_equal(vio_vsock_accept(dev, &sockets[1], &third), -VIO_EAGAIN);
	say(rig, VIRTIO_VSOCK_OP_REQUEST, 1003, 80);
	hears(rig, VIRTIO_VSOCK_OP_RESPONSE);
	say(rig, VIRTIO_VSOCK_OP_REQUEST, 1004, 80); /* the table is full */
	hears(rig, VIRTIO_VSOCK_OP_RST);
	/* Half of it ends, then the other. */
	say_packet(rig, header(VIRTIO_VSOCK_OP_RW, 1000, 80, 1), "x", 1);
	assert_int_equal(vio_vsock_shutdown(dev, first, 4), -VIO_EINVAL);
	assert_int_equal(vio_vsock_shutdown(dev, first, VIRTIO_VSOCK_SHUTDOWN_F_SEND), 0);
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_SHUTDOWN)->header.flags), 2);
	assert_int_equal(vio_vsock_send(dev, first, "y", 1, 0, &sent), -VIO_EPHASE);
	device_of(&rig->device)->say.header = header(VIRTIO_VSOCK_OP_SHUTDOWN, 1000, 80, 0);
	device_of(&rig->device)->say.header.flags = vio_le32_make(3);
	say_packet(rig, device_of(&rig->device)->say.header, NULL, 0);
	hears(rig, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(first->state, VIO_VSOCK_CLOSED);
	assert_int_equal(first->error, 0);
	assert_int_equal(vio_vsock_receive(dev, first, &byte, 1, &sent, NULL), 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(vio_vsock_receive(dev, first, &byte, 1, &sent, NULL), -VIO_EHANGUP);
	assert_int_equal(vio_vsock_release(dev, first), 0);
	hears_nothing(rig);
	assert_int_equal(vio_vsock_release(dev, first), -VIO_EPHASE);
	/* A release tells a peer that doesn't know. */
	assert_int_equal(vio_vsock_release(dev, second), 0);
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RST)->header.dst_port), 1001);
	say_packet(rig, header(VIRTIO_VSOCK_OP_RST, 1003, 80, 0), NULL, 0);
	assert_int_equal(vio_vsock_accept(dev, &sockets[1], &third), 0);
	assert_int_equal(vio_vsock_send(dev, third, "y", 1, 0, &sent), -VIO_EHANGUP);
	assert_int_equal(third->error, -VIO_EHANGUP);
	hears_nothing(rig);
}

static void listens_and_closes(void **state)
{
	each(EVERYTHING, listen_body);
}

/* A connection that ends when the peer says this; what comes for it later is answered by resets. */
static void ends(struct rig *rig, struct virtio_vsock_hdr what, uint32_t length)
{
	struct virtio_vsock_hdr late = header(VIRTIO_VSOCK_OP_RW, 9, sockets[0].port, 1);

	what.dst_port = vio_le32_make(sockets[0].port);
	say_packet(rig, what, text, length);
	assert_int_equal(sockets[0].state, VIO_VSOCK_CLOSED);
	assert_int_equal(sockets[0].error, -VIO_EPEER);
	hears(rig, VIRTIO_VSOCK_OP_RST);
	say_packet(rig, late, text, 1);
	hears(rig, VIRTIO_VSOCK_OP_RST);
	hears_nothing(rig);
	assert_int_equal(vio_vsock_release(&rig->dev, &sockets[0]), 0);
}

/* hostile: B58 */
static void liar_body(struct rig *rig)
{
	struct virtio_vsock_hdr what;

	begin(rig);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	ends(rig, header(VIRTIO_VSOCK_OP_RW, 9, 0, MEMORY + 1), MEMORY + 1); /* more than its credit */
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	ends(rig, header(VIRTIO_VSOCK_OP_RW, 9, 0, 101), 100); /* more than the packet has */
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	ends(rig, header(VIRTIO_VSOCK_OP_RW, 9, 0, UINT32_MAX), 100);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	what = header(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 9, 0, 0);
	what.fwd_cnt = vio_le32_make(1); /* it read what wasn't sent */
	ends(rig, what, 0);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	ends(rig, header(VIRTIO_VSOCK_OP_RESPONSE, 9, 0, 0), 0);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	ends(rig, header(VIRTIO_VSOCK_OP_REQUEST, 9, 0, 0), 0);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	ends(rig, header(VIRTIO_VSOCK_OP_INVALID, 9, 0, 0), 0);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	ends(rig, header(8, 9, 0, 0), 0);
	/* Data after its end, and data in place of a response. */
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	what = header(VIRTIO_VSOCK_OP_SHUTDOWN, 9, sockets[0].port, 0);
	what.flags = vio_le32_make(VIRTIO_VSOCK_SHUTDOWN_F_SEND);
	say_packet(rig, what, NULL, 0);
	ends(rig, header(VIRTIO_VSOCK_OP_RW, 9, 0, 1), 1);
	assert_int_equal(vio_vsock_connect(&rig->dev, &sockets[0], VIRTIO_VSOCK_TYPE_STREAM, 2, 9), 0);
	hears(rig, VIRTIO_VSOCK_OP_REQUEST);
	ends(rig, header(VIRTIO_VSOCK_OP_RW, 9, 0, 1), 1);
	assert_int_equal(rig->device.fault_count, 0);
}

static void refuses_lies(void **state)
{
	each(EVERYTHING, liar_body);
}

/* hostile: B58 */
static void stray_body(struct rig *rig)
{
	struct vsock_device *device = device_of(&rig->device);
	struct virtio_vsock_hdr what = header(VIRTIO_VSOCK_OP_RW, 1, 2, 0);
	const struct packet *packet;

	begin(rig);
	what.type = vio_le16_make(77); /* spec: DRV-VSOCK-007 */
	say_packet(rig, what, NULL, 0);
	packet = hears(rig, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(vio_le16_get(packet->header.type), 77);
	assert_int_equal(vio_le32_get(packet->header.dst_port), 1);
	assert_int_equal(vio_le32_get(packet->header.src_port), 2);
	what.dst_cid[0] = vio_le32_make(CID + 1); /* somebody else's */
	say_packet(rig, what, NULL, 0);
	what.dst_cid[0] = vio_le32_make(CID);
	what.dst_cid[1] = vio_le32_make(1);
	say_packet(rig, what, NULL, 0);
	say(rig, VIRTIO_VSOCK_OP_RST, 1, 2);
	hears_nothing(rig);
	device->say.bytes = 43;
	device->saying = true;
	vio_device_kick(&rig->device, VIRTIO_VSOCK_RXQ);
	rig_run(rig);
	vio_vsock_poll(&rig->dev);
	assert_int_equal(driver_of(rig)->strays, 5);
	/* spec: DRV-VSOCK-003: with tx full, rx goes on as long as there is room for what is owed */
	device->deaf = true;
	for (unsigned i = 0; i < VIO_VSOCK_BUFFERS + VIO_VSOCK_RESETS; i++)
		say(rig, VIRTIO_VSOCK_OP_RW, i, 2);
	assert_int_equal(driver_of(rig)->strays, 5 + VIO_VSOCK_BUFFERS + VIO_VSOCK_RESETS);
	say(rig, VIRTIO_VSOCK_OP_RW, 100, 2);
	assert_int_equal(driver_of(rig)->strays, 5 + VIO_VSOCK_BUFFERS + VIO_VSOCK_RESETS);
	device->deaf = false;
	vio_device_kick(&rig->device, VIRTIO_VSOCK_TXQ);
	for (unsigned i = 0; i < 4; i++) {
		rig_run(rig);
		assert_int_equal(vio_vsock_poll(&rig->dev), 0);
	}
	for (unsigned i = 0; i < VIO_VSOCK_BUFFERS + VIO_VSOCK_RESETS; i++)
		assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RST)->header.dst_port), i);
	assert_int_equal(vio_le32_get(hears(rig, VIRTIO_VSOCK_OP_RST)->header.dst_port), 100);
	hears_nothing(rig);
}

static void answers_strays(void **state)
{
	each(EVERYTHING, stray_body);
}

static void move_body(struct rig *rig)
{
	struct vsock_device *device = device_of(&rig->device);
	struct vio_vsock_socket *accepted;
	uint32_t sent;

	begin(rig);
	assert_int_equal(vio_vsock_listen(&rig->dev, &sockets[3], VIRTIO_VSOCK_TYPE_STREAM, 80), 0);
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
	driver_of(rig)->event = on_event;
	for (unsigned i = 1; i <= 3; i++) { /* spec: DRV-VSOCK-008: three times four events */
		memset(events, 0, sizeof(events));
		device->to_reset = VIO_VSOCK_EVENTS;
		device->cid = CID + i;
		vio_device_kick(&rig->device, VIRTIO_VSOCK_EVENTQ);
		rig_run(rig);
		assert_int_equal(device->to_reset, 0);
		assert_int_equal(events[SOCKETS], 1);
		assert_int_equal(events[0], i == 1);
		assert_int_equal(driver_of(rig)->cid, CID + i); /* spec: DRV-VSOCK-009 */
	}
	assert_int_equal(sockets[0].state, VIO_VSOCK_CLOSED); /* spec: DRV-VSOCK-010 */
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], "x", 1, 0, &sent), -VIO_EHANGUP);
	assert_int_equal(sockets[3].state, VIO_VSOCK_LISTENING); /* spec: DRV-VSOCK-011 */
	device->say.header = header(VIRTIO_VSOCK_OP_REQUEST, 1000, 80, 0);
	device->say.header.dst_cid[0] = vio_le32_make(CID + 3);
	say_packet(rig, device->say.header, NULL, 0);
	hears(rig, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(vio_vsock_accept(&rig->dev, &sockets[3], &accepted), 0);
	/* The program's own reset. */
	assert_int_equal(vio_vsock_stop(&rig->dev), 0);
	assert_int_equal(accepted->state, VIO_VSOCK_CLOSED);
	assert_int_equal(vio_vsock_poll(&rig->dev), -VIO_EPHASE);
	assert_int_equal(vio_vsock_accept(&rig->dev, &sockets[3], &accepted), -VIO_EPHASE);
	assert_int_equal(vio_vsock_release(&rig->dev, &sockets[0]), 0);
	assert_int_equal(vio_vsock_start(&rig->dev), 0);
	assert_int_equal(vio_vsock_wait(&rig->dev, 1000000), -VIO_EAGAIN);
	say_packet(rig, device->say.header, NULL, 0);
	hears(rig, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(vio_vsock_wait(&rig->dev, 1000000), 0);
	if (rig->transport->pull_out) {
		rig->transport->pull_out(rig);
		assert_int_equal(vio_vsock_start(&rig->dev), -VIO_EHANGUP);
	}
}

static void outlives_a_move(void **state)
{
	each(EVERYTHING, move_body);
}

/* A queue that lies: everything stops, the program is told, and a new life works. */
static void broken_body(struct rig *rig)
{
	uint32_t sent;

	begin(rig);
	driver_of(rig)->event = on_event;
	for (uint16_t q = VIRTIO_VSOCK_RXQ; q <= VIRTIO_VSOCK_EVENTQ; q++) {
		struct vio_devq *liar = &rig->device.queues[q];

		connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
		memset(events, 0, sizeof(events));
		liar_use(liar, 0, 12345, 1); /* hostile: B1 */
		liar_advance(liar, 1);
		liar->interrupt(liar->interrupt_context, liar);
		rig_run(rig);
		assert_int_equal(vio_vsock_poll(&rig->dev), -VIO_EPEER);
		assert_int_not_equal(events[SOCKETS], 0);
		assert_int_equal(vio_vsock_start(&rig->dev), 0);
		assert_int_equal(sockets[0].error, -VIO_EHANGUP);
		assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], "x", 1, 0, &sent), -VIO_EHANGUP);
		assert_int_equal(vio_vsock_release(&rig->dev, &sockets[0]), 0);
	}
	connect_first(rig, VIRTIO_VSOCK_TYPE_STREAM);
}

static void lives_on_after_a_lie(void **state)
{
	uint64_t features = EVERYTHING;

	/* It writes the used rings of split queues. */
	rig_each(&(struct rig_options){ .class = &vsock_class,
					.withhold = UINT64_C(1) << VIRTIO_F_RING_PACKED,
					.furnish = furnish,
					.context = &features },
		 broken_body);
}

static void nothing_body(struct rig *rig)
{
	uint32_t count;

	assert_int_equal(vio_vsock_poll(&rig->dev), -VIO_EINVAL);
	assert_int_equal(vio_vsock_wait(&rig->dev, 1), -VIO_EINVAL);
	assert_int_equal(vio_vsock_stop(&rig->dev), -VIO_EINVAL);
	assert_int_equal(vio_vsock_start(&rig->dev), -VIO_EINVAL);
	assert_int_equal(vio_vsock_give_sockets(&rig->dev, sockets, 1), -VIO_EINVAL);
	assert_int_equal(vio_vsock_send(&rig->dev, &sockets[0], text, 1, 0, &count), -VIO_EINVAL);
	assert_int_equal(vio_vsock_receive(&rig->dev, &sockets[0], text, 1, &count, NULL), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_vsock_driver), 0);
	sockets[0].memory_bytes = VIO_VSOCK_MEMORY_LEAST - 1;
	assert_int_equal(vio_vsock_give_sockets(&rig->dev, sockets, 1), -VIO_EINVAL);
	say(rig, VIRTIO_VSOCK_OP_REQUEST, 1, 2); /* there is no table */
	hears(rig, VIRTIO_VSOCK_OP_RST);
}

static void works_without_sockets(void **state)
{
	each(EVERYTHING, nothing_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_streams),      cmocka_unit_test(carries_messages),
		cmocka_unit_test(knows_its_types),      cmocka_unit_test(listens_and_closes),
		cmocka_unit_test(refuses_lies),         cmocka_unit_test(answers_strays),
		cmocka_unit_test(outlives_a_move),      cmocka_unit_test(works_without_sockets),
		cmocka_unit_test(lives_on_after_a_lie),
	};

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 31 + i / 256);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
