/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/toy.h"

static const struct vio_property toy_properties[] = {
	{ .name = "level",
	  VIO_PROPERTY_MEMBER(struct toy, level, VIO_PROPERTY_U8),
	  .min = 1,
	  .max = 9,
	  .initial = "7" },
	{ .name = "loud",
	  VIO_PROPERTY_MEMBER(struct toy, loud, VIO_PROPERTY_BOOL),
	  .flags = VIO_PROPERTY_RUNTIME },
	{ .name = "label", VIO_PROPERTY_MEMBER(struct toy, label, VIO_PROPERTY_STRING), .initial = "toy" },
};

static int toy_realize(struct vio_device *dev)
{
	struct toy *toy = vio_device_state(dev);

	toy->counts.realize++;
	if (toy->make_queues)
		dev->queue_count = toy->make_queues;
	return toy->realize_error;
}

static void toy_unrealize(struct vio_device *dev)
{
	struct toy *toy = vio_device_state(dev);

	toy->counts.unrealize++;
}

static void toy_get_features(struct vio_device *dev, struct vio_features *offer)
{
	vio_features_set(offer, TOY_F_BASE);
	vio_features_set(offer, TOY_F_MORE);
	vio_features_set(offer, TOY_F_HIGH);
}

static int toy_validate_features(struct vio_device *dev, const struct vio_features *accepted)
{
	struct toy *toy = vio_device_state(dev);

	toy->counts.validate++;
	return vio_features_has(accepted, TOY_F_MORE) && !vio_features_has(accepted, TOY_F_BASE) ? -VIO_EINVAL
												 : 0;
}

static void toy_set_features(struct vio_device *dev)
{
	struct toy *toy = vio_device_state(dev);

	assert_true(dev->status & VIRTIO_CONFIG_S_FEATURES_OK);
	toy->counts.set_features++;
}

static void toy_get_config(struct vio_device *dev, void *config)
{
	struct toy *toy = vio_device_state(dev);
	vio_le32 served = vio_le32_make(toy->served);
	uint8_t *to = config;

	toy->counts.get_config++;
	memcpy(to, "toy!", 4);
	memcpy(to + TOY_CONFIG_COUNTER, &served, sizeof(served));
	memcpy(to + TOY_CONFIG_WRITABLE, toy->writable, sizeof(toy->writable));
	memset(to + 16, 0xee, 4);
}

static void toy_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	struct toy *toy = vio_device_state(dev);

	toy->counts.set_config++;
	toy->counts.set_offset = offset;
	toy->counts.set_length = length;
	memcpy(toy->writable, (const uint8_t *)config + TOY_CONFIG_WRITABLE, sizeof(toy->writable));
}

static void toy_set_status(struct vio_device *dev, uint8_t status)
{
	struct toy *toy = vio_device_state(dev);

	assert_int_equal(status, dev->status);
	assert_int_not_equal(status, 0);
	toy->counts.set_status++;
}

static void toy_reset(struct vio_device *dev)
{
	struct toy *toy = vio_device_state(dev);
	uint16_t queue;

	for (queue = 0; dev->queues && queue < dev->queue_count; queue++)
		assert_false(dev->queues[queue].running);
	assert_int_equal(toy->held_count, 0);
	toy->counts.reset++;
	toy->served = 0;
	memset(toy->writable, 0, sizeof(toy->writable));
}

static void answer(struct toy *toy, struct vio_devq *q, struct vio_buf *buf)
{
	vio_le32 number = { 0 };

	vio_read(buf, &number, sizeof(number));
	number = vio_le32_make(vio_le32_get(number) + 1);
	vio_devq_push(q, buf, (uint32_t)vio_write(buf, &number, sizeof(number)));
	toy->served++;
}

static void toy_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct toy *toy = vio_device_state(dev);
	struct vio_buf buf;

	assert_true(vio_device_running(dev) && q->running);
	toy->counts.kick++;
	while (vio_devq_pop(q, &buf)) {
		if (toy->hold) {
			assert_true(toy->held_count < TOY_HELD_MAX);
			toy->held_queue[toy->held_count] = q->index;
			toy->held[toy->held_count++] = buf;
		} else {
			answer(toy, q, &buf);
		}
	}
	vio_devq_notify(q);
}

void toy_complete(struct vio_device *dev, struct vio_devq *q)
{
	struct toy *toy = vio_device_state(dev);
	unsigned i, kept = 0;

	for (i = toy->held_count; i-- > 0;)
		if (toy->held_queue[i] == q->index)
			answer(toy, q, &toy->held[i]);
	for (i = 0; i < toy->held_count; i++) {
		if (toy->held_queue[i] == q->index)
			continue;
		toy->held_queue[kept] = toy->held_queue[i];
		toy->held[kept++] = toy->held[i];
	}
	toy->held_count = kept;
}

static void toy_drain(struct vio_device *dev, struct vio_devq *q)
{
	struct toy *toy = vio_device_state(dev);

	assert_true(q->running);
	toy->counts.drain++;
	toy_complete(dev, q);
	vio_devq_notify(q);
}

static void toy_property_changed(struct vio_device *dev, const struct vio_property *property)
{
	struct toy *toy = vio_device_state(dev);

	assert_ptr_equal(property, &toy_properties[1]);
	toy->counts.property_changed++;
}

static void toy_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	struct toy *toy = vio_device_state(dev);

	vio_state_put_u32(writer, toy->served);
	vio_state_put_bytes(writer, toy->writable, sizeof(toy->writable));
}

static int toy_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct toy *toy = vio_device_state(dev);

	assert_in_range(version, 0, 3);
	toy->counts.load++;
	toy->served = vio_state_get_u32(reader);
	vio_state_get_bytes(reader, toy->writable, sizeof(toy->writable));
	return toy->load_error;
}

const struct vio_device_class toy_class = {
	.name = "toy",
	.summary = "A device to test with",
	.id = 42,
	.queue_count = TOY_QUEUES,
	.queue_size = TOY_SIZE,
	.state_bytes = sizeof(struct toy),
	.config_bytes = TOY_CONFIG_BYTES,
	.properties = { toy_properties, VIO_ARRAY_SIZE(toy_properties) },
	.realize = toy_realize,
	.unrealize = toy_unrealize,
	.get_features = toy_get_features,
	.validate_features = toy_validate_features,
	.set_features = toy_set_features,
	.get_config = toy_get_config,
	.set_config = toy_set_config,
	.set_status = toy_set_status,
	.reset = toy_reset,
	.kick = toy_kick,
	.drain = toy_drain,
	.property_changed = toy_property_changed,
	.save = toy_save,
	.load = toy_load,
	.version = 3,
};

static void on_queue_interrupt(void *context, uint16_t queue)
{
	struct toy_world *w = context;

	assert_true(queue < TOY_QUEUES);
	assert_true(w->dev.status & VIRTIO_CONFIG_S_DRIVER_OK); /* spec: DEV-BASIC-001 */
	w->interrupts[queue]++;
	if (w->interrupted)
		w->interrupted(w, queue);
}

static void on_config_interrupt(void *context)
{
	struct toy_world *w = context;

	w->config_interrupts++;
}

static void on_kick_again(void *context, uint16_t queue)
{
	struct toy_world *w = context;

	assert_true(queue < TOY_QUEUES);
	w->again[queue]++;
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	struct toy_world *w = context;

	w->faults++;
	w->fault = *fault;
}

static const struct vio_device_events events = { on_queue_interrupt, on_config_interrupt, on_kick_again,
						 on_fault };

void toy_open(struct toy_world *w)
{
	uint16_t queue;

	memset(w, 0, sizeof(*w));
	test_memory_init(&w->memory);
	for (queue = 0; queue < TOY_QUEUES; queue++) {
		uint64_t base = TOY_RINGS + 2 * TEST_PAGE * queue;

		test_memory_add(&w->memory, base, test_ring_bytes(TOY_SIZE), TEST_RW);
		test_ring_make(&w->rings[queue], &w->memory, base, TOY_SIZE);
	}
	test_memory_add(&w->memory, TOY_DATA, TOY_DATA_BYTES, TEST_RW);
	vio_device_init(&w->dev, &toy_class, &w->toy);
	assert_int_equal(vio_device_realize(&w->dev), 0);
	w->storage = malloc(vio_device_storage_bytes(&w->dev));
	assert_non_null(w->storage);
	vio_device_provide(&w->dev, w->storage);
	toy_attach(w);
}

void toy_attach(struct toy_world *w)
{
	const struct vio_features all = { { UINT64_MAX, UINT64_MAX } };

	vio_device_attach(&w->dev, &w->memory.mem, &all, &events, w);
}

void toy_close(struct toy_world *w)
{
	vio_device_detach(&w->dev);
	vio_device_unrealize(&w->dev);
	free(w->storage);
	test_memory_free(&w->memory);
}

void toy_negotiate(struct toy_world *w, uint64_t features)
{
	struct vio_features set = vio_features_low(features | TEST_PLAIN);

	vio_device_write_status(&w->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	vio_device_write_status(&w->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	vio_device_write_features(&w->dev, &set);
	assert_int_equal(vio_device_write_status(&w->dev, TOY_NEGOTIATED), TOY_NEGOTIATED);
}

void toy_start(struct toy_world *w, uint16_t queue, uint16_t base)
{
	struct vio_devq_config config = test_ring_config(&w->rings[queue], base, 0);

	assert_int_equal(vio_device_queue_start(&w->dev, queue, &config), 0);
}

void toy_run(struct toy_world *w, uint64_t features)
{
	uint16_t queue;

	toy_negotiate(w, features);
	for (queue = 0; queue < TOY_QUEUES; queue++) {
		test_ring_make(&w->rings[queue], &w->memory, w->rings[queue].descriptor_area, TOY_SIZE);
		toy_start(w, queue, 0);
	}
	assert_int_equal(vio_device_write_status(&w->dev, TOY_RUNNING), TOY_RUNNING);
}

static uint64_t request_at(uint16_t queue, unsigned head)
{
	return TOY_DATA + 0x1000 * queue + 16 * head;
}

void toy_request(struct toy_world *w, uint16_t queue, unsigned head, uint32_t number)
{
	struct test_ring *ring = &w->rings[queue];
	uint64_t at = request_at(queue, head);
	vio_le32 wire[2] = { vio_le32_make(number), vio_le32_make(0) };

	test_memory_put(&w->memory, at, wire, sizeof(wire));
	test_ring_desc(ring, head, at, 4, F_NEXT, head + TOY_SIZE / 2);
	test_ring_desc(ring, head + TOY_SIZE / 2, at + 4, 4, F_WRITE, 0);
	test_ring_offer(ring, head);
}

uint32_t toy_answer(struct toy_world *w, uint16_t queue, unsigned head)
{
	vio_le32 wire;

	test_memory_get(&w->memory, request_at(queue, head) + 4, &wire, sizeof(wire));
	return vio_le32_get(wire);
}

void toy_works(struct toy_world *w)
{
	uint16_t queue;

	vio_device_write_status(&w->dev, 0);
	assert_int_equal(w->dev.status, 0);
	w->toy.hold = false;
	toy_run(w, TEST_BIT(VIRTIO_F_INDIRECT_DESC));
	for (queue = 0; queue < TOY_QUEUES; queue++) {
		unsigned interrupts = w->interrupts[queue];

		toy_request(w, queue, 2, 100 + queue);
		vio_device_kick(&w->dev, queue);
		assert_int_equal(toy_answer(w, queue, 2), 101 + queue);
		assert_int_equal(test_ring_used_idx(&w->rings[queue]), 1);
		assert_int_equal(w->interrupts[queue], interrupts + 1);
	}
	assert_int_equal(w->dev.status, TOY_RUNNING);
	vio_device_write_status(&w->dev, 0);
}
