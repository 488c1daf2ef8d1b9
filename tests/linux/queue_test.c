/* SPDX-License-Identifier: BSD-3-Clause */
#include "linux/echo.h"

#include <string.h>

#include <vireo/spec/virtio_ring.h>

/* Queues in the Linux spelling, over every transport. */

static void begin(struct rig *rig)
{
	echo_init();
	assert_int_equal(echo_bind(rig), 0);
}

/* Everything answered is back, with nothing left shared and the ring as empty as it was. */
static void assert_idle(struct rig *rig)
{
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(echo.vqs[0]->num_free, virtqueue_get_vring_size(echo.vqs[0]));
	assert_int_equal(rig->device.fault_count, 0);
}

static void fill(u8 *bytes, unsigned length, unsigned from)
{
	for (unsigned i = 0; i < length; i++)
		bytes[i] = (u8)(from + i);
}

/* A request of out[0..1] and in[0..1] with so many elements each, all of 5 bytes. */
static void exchange(struct rig *rig, const unsigned elements[4])
{
	struct scatterlist table[4][ECHO_SIZE], *lists[4];
	u8 from[5 * ECHO_SIZE], to[5 * ECHO_SIZE];
	unsigned readable = 5 * (elements[0] + elements[1]), length = 0, at[2] = { 0, 0 };

	fill(from, sizeof(from), readable);
	memset(to, 0, sizeof(to));
	for (unsigned i = 0; i < 4; i++) {
		u8 *bytes = i < 2 ? from : to;

		sg_init_table(table[i], elements[i]);
		for (unsigned j = 0; j < elements[i]; j++, at[i / 2] += 5)
			sg_set_buf(&table[i][j], bytes + at[i / 2], 5);
		lists[i] = table[i];
	}
	assert_int_equal(virtqueue_add_sgs(echo.vqs[0], lists, 2, 2, to, GFP_KERNEL), 0);
	assert_true(virtqueue_kick(echo.vqs[0]));
	rig_run(rig);
	assert_ptr_equal(virtqueue_get_buf(echo.vqs[0], &length), to);
	assert_int_equal(length, at[0] < at[1] ? at[0] : at[1]);
	assert_memory_equal(to, from, length);
	assert_null(virtqueue_get_buf(echo.vqs[0], &length));
	assert_idle(rig);
}

/* As it comes, and in order; rig_each() has both formats. */
static void each_format(void (*body)(struct rig *rig))
{
	static const char *const in_order[] = { "in-order=on", NULL };
	struct rig_options options = echo_options;

	rig_each(&options, body);
	options.properties = in_order;
	rig_each(&options, body);
}

static void sgs_body(struct rig *rig)
{
	static const unsigned shapes[][4] = {
		{ 1, 1, 1, 1 }, { 3, 1, 1, 2 }, { 2, 1, 4, 1 },
		{ 4, 4, 4, 4 }, { 1, 7, 7, 1 }, { 6, 1, 1, 1 },
	};

	begin(rig);
	for (unsigned round = 0; round < 20; round++)
		for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++)
			exchange(rig, shapes[i]);
}

static void several_lists_are_one_buffer(void **state)
{
	each_format(sgs_body);
}

static void kinds_body(struct rig *rig)
{
	struct scatterlist sg[3];
	u8 from[12], context_of;
	void *context = NULL;
	unsigned length = 1;

	begin(rig);
	fill(from, sizeof(from), 1);
	sg_init_table(sg, 3);
	for (unsigned i = 0; i < 3; i++)
		sg_set_buf(&sg[i], from + 4 * i, 4);
	assert_int_equal(virtqueue_add_outbuf(echo.vqs[0], sg, 3, from, GFP_ATOMIC), 0);
	assert_int_equal(virtqueue_add_inbuf_ctx(echo.vqs[0], sg, 2, &length, &context_of, GFP_ATOMIC), 0);
	assert_int_equal(rig->platform.shared, 5); /* of the second list two elements were to be taken */
	assert_int_equal(virtqueue_add_inbuf(echo.vqs[0], sg, 3, sg, GFP_ATOMIC), 0);
	if (virtqueue_kick_prepare(echo.vqs[0]))
		assert_true(virtqueue_notify(echo.vqs[0]));
	rig_run(rig);
	assert_ptr_equal(virtqueue_get_buf_ctx(echo.vqs[0], &length, &context), from);
	assert_null(context);
	assert_int_equal(length, 0);
	assert_ptr_equal(virtqueue_get_buf_ctx(echo.vqs[0], &length, &context), &length);
	assert_ptr_equal(context, &context_of);
	assert_ptr_equal(virtqueue_get_buf(echo.vqs[0], NULL), sg);
	assert_idle(rig);
}

static void outbufs_and_inbufs_have_contexts(void **state)
{
	each_format(kinds_body);
}

static void refused_body(struct rig *rig)
{
	struct scatterlist many[ECHO_SIZE + 1], sg[2], *lists[] = { sg, sg };
	u8 bytes[ECHO_SIZE + 1];

	begin(rig);
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], bytes, 4);
	assert_int_equal(virtqueue_add_inbuf(echo.vqs[0], sg, 2, bytes, GFP_KERNEL),
			 -EINVAL); /* an empty one */
	sg_set_buf(&sg[1], bytes + 4, 4);
	assert_int_equal(virtqueue_add_inbuf(echo.vqs[0], sg, 2, NULL, GFP_KERNEL), -EINVAL);
	assert_int_equal(virtqueue_add_inbuf(echo.vqs[0], sg, 0, bytes, GFP_KERNEL), -EINVAL);
	assert_int_equal(virtqueue_add_sgs(echo.vqs[0], lists, 0, 0, bytes, GFP_KERNEL), -EINVAL);
	sg_init_table(many, ECHO_SIZE + 1);
	for (unsigned i = 0; i <= ECHO_SIZE; i++)
		sg_set_buf(&many[i], bytes + i, 1);
	if (virtqueue_get_vring_size(echo.vqs[0]) <= ECHO_SIZE)
		assert_int_equal(virtqueue_add_outbuf(echo.vqs[0], many, ECHO_SIZE + 1, bytes, GFP_KERNEL),
				 -ENOSPC);
	for (unsigned after = 0; after < 4; after++) { /* the platform has no address for one of them */
		rig->platform.fail_after = after;
		assert_int_equal(virtqueue_add_sgs(echo.vqs[0], lists, 1, 1, bytes, GFP_KERNEL), -ENOMEM);
		assert_idle(rig);
	}
	rig->platform.fail_after = TEST_PLATFORM_NEVER;
	assert_true(virtqueue_kick(echo.vqs[0])); /* of nothing */
	exchange(rig, (const unsigned[]){ 1, 1, 1, 1 });
}

static void what_can_not_be_added_leaves_nothing(void **state)
{
	each_format(refused_body);
}

static void full_body(struct rig *rig)
{
	u8 bytes[2 * ECHO_SIZE][2];
	unsigned size, added = 0;

	begin(rig);
	size = virtqueue_get_vring_size(echo.vqs[1]);
	assert_int_equal(echo.vqs[1]->num_free, size);
	assert_true(size <= ECHO_SIZE);
	for (struct scatterlist sg; added < size; added++) {
		sg_init_one(&sg, bytes[added], 2);
		assert_int_equal(virtqueue_add_inbuf(echo.vqs[1], &sg, 1, bytes[added], GFP_ATOMIC), 0);
		assert_int_equal(echo.vqs[1]->num_free, size - added - 1);
	}
	assert_int_equal(echo_add(echo.vqs[1], bytes[added], bytes[added + 1], 2), -ENOSPC);
	assert_int_equal(rig->platform.shared, size);
	assert_true(virtqueue_kick(echo.vqs[1]));
	rig_run(rig);
	assert_null(virtqueue_get_buf(echo.vqs[1], NULL));
	/* The device has them; nobody else does before it is reset. */
	assert_null(virtqueue_detach_unused_buf(echo.vqs[1]));
	rig_unbind(rig);
	assert_int_equal(echo.removed, 1);
	assert_int_equal(echo.detached, size);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(rig->platform.taken, 0);
}

static void buffers_outstanding_come_back_at_remove(void **state)
{
	each_format(full_body);
}

static void lazy_body(struct rig *rig)
{
	u8 bytes[4];

	begin(rig);
	echo.lazy = true;
	assert_int_equal(echo_add(echo.vqs[1], bytes, bytes + 2, 2), 0);
	virtqueue_kick(echo.vqs[1]);
	rig_unbind(rig);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(rig->platform.taken, 0);
}

static void a_lazy_remove_leaks_nothing(void **state)
{
	each_format(lazy_body);
}

static void send(struct rig *rig, u8 *bytes)
{
	assert_int_equal(echo_add(echo.vqs[0], bytes, bytes + 2, 2), 0);
	assert_true(virtqueue_kick(echo.vqs[0]));
	rig_run(rig);
}

static void callback_body(struct rig *rig)
{
	struct virtqueue *vq;
	u8 bytes[8] = { 1, 2 };
	unsigned mark;

	begin(rig);
	vq = echo.vqs[0];
	send(rig, bytes);
	assert_int_equal(echo.callbacks, 1);
	assert_ptr_equal(virtqueue_get_buf(vq, NULL), bytes);
	assert_null(virtqueue_get_buf(vq, NULL));

	/* What comes between the last look and enable is found by enable. */
	virtqueue_disable_cb(vq);
	assert_null(virtqueue_get_buf(vq, NULL));
	send(rig, bytes);
	assert_false(virtqueue_enable_cb(vq));
	assert_false(virtqueue_enable_cb(vq));
	assert_ptr_equal(virtqueue_get_buf(vq, NULL), bytes);
	assert_true(virtqueue_enable_cb(vq));

	/* In two steps: a mark, and whether something came since. */
	virtqueue_disable_cb(vq);
	mark = virtqueue_enable_cb_prepare(vq);
	assert_false(virtqueue_poll(vq, mark));
	echo.callbacks = 0;
	send(rig, bytes);
	assert_int_equal(echo.callbacks, 1);
	assert_true(virtqueue_poll(vq, mark));
	assert_ptr_equal(virtqueue_get_buf(vq, NULL), bytes);
	assert_true(virtqueue_poll(vq, mark));
	assert_false(virtqueue_poll(vq, virtqueue_enable_cb_prepare(vq)));

	virtqueue_disable_cb(vq);
	send(rig, bytes);
	assert_false(virtqueue_enable_cb_delayed(vq));
	assert_ptr_equal(virtqueue_get_buf(vq, NULL), bytes);
	assert_true(virtqueue_enable_cb_delayed(vq));
	assert_idle(rig);
}

static void callbacks_are_not_missed(void **state)
{
	each_format(callback_body);
}

static void lie_body(struct rig *rig)
{
	struct virtqueue *vq;
	u8 bytes[8];

	begin(rig);
	vq = echo.vqs[1];
	assert_int_equal(echo_add(vq, bytes, bytes + 2, 2), 0);
	assert_true(virtqueue_kick(vq));
	assert_false(virtqueue_is_broken(vq));
	/* hostile: B13, the device says that it used more than it was given. */
	vq->q->used->idx = vio_le16_make(3);
	assert_null(virtqueue_get_buf(vq, NULL));
	assert_true(virtqueue_is_broken(vq));
	assert_int_equal(echo_add(vq, bytes + 4, bytes + 6, 2), -EIO);
	assert_false(virtqueue_kick(vq));
	assert_false(virtqueue_kick_prepare(vq));
	assert_false(virtqueue_notify(vq));
	assert_true(virtqueue_enable_cb(vq)); /* a driver that goes on until true ends */
	assert_true(virtqueue_enable_cb_delayed(vq));
	assert_false(virtqueue_poll(vq, virtqueue_enable_cb_prepare(vq) + 1));
	assert_null(virtqueue_detach_unused_buf(vq));
	assert_int_equal(rig->platform.shared, 2);
	assert_int_equal(echo_add(echo.vqs[0], bytes + 4, bytes + 6, 2), 0); /* the other one goes on */
	rig_unbind(rig);
	assert_int_equal(echo.detached, 2);
}

static void a_lie_breaks_the_queue(void **state)
{
	static const char *const split[] = { "packed=off", NULL };
	struct rig_options options = echo_options;

	options.properties = split;
	rig_each(&options, lie_body);
}

static void pull_out_body(struct rig *rig)
{
	u8 bytes[4];

	begin(rig);
	assert_int_equal(echo_add(echo.vqs[1], bytes, bytes + 2, 2), 0);
	virtqueue_kick(echo.vqs[1]);
	rig->transport->pull_out(rig);
	rig_unbind(rig);
	assert_int_equal(echo.detached, 1);
	assert_int_equal(rig->platform.shared, 0);
}

static void a_device_pulled_out_gives_its_buffers_up(void **state)
{
	each_format(pull_out_body);
}

static uint8_t never_reset(struct vio_dev *dev)
{
	return VIRTIO_CONFIG_S_ACKNOWLEDGE;
}

/* hostile: B49 */
static void stuck_body(struct rig *rig)
{
	const struct vio_transport_ops *real = rig->dev.transport;
	struct vio_transport_ops stuck = *real;
	struct vio_platform *platform = &rig->platform.platform;
	struct scatterlist sg;
	struct vio_addr addr;
	u8 bytes[4] = { 0 };

	begin(rig);
	sg_init_one(&sg, bytes, 4);
	assert_int_equal(virtqueue_add_inbuf(echo.vqs[1], &sg, 1, bytes, GFP_ATOMIC), 0);
	virtqueue_kick(echo.vqs[1]);
	addr = vio_addr_make(vio_le64_get(echo.vqs[1]->q->desc[0].addr));
	stuck.get_status = never_reset;
	rig->dev.transport = &stuck;
	assert_int_equal(vio_driver_unbind(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(rig->dev.phase, VIO_DEV_STUCK);
	assert_int_equal(echo.detached, 0);
	assert_int_equal(rig->platform.shared, 1);
	rig->dev.transport = real;
	rig_unbind(rig);
	assert_int_equal(echo.removed, 1);
	assert_int_equal(rig->platform.taken, 0);
	/* Shared for as long as the machine runs; here it ends. */
	platform->unshare(platform->context, bytes, 4, VIO_MEM_WRITE, addr);
}

static void a_stuck_device_keeps_its_buffers(void **state)
{
	each_format(stuck_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_lists_are_one_buffer),
		cmocka_unit_test(outbufs_and_inbufs_have_contexts),
		cmocka_unit_test(what_can_not_be_added_leaves_nothing),
		cmocka_unit_test(buffers_outstanding_come_back_at_remove),
		cmocka_unit_test(a_lazy_remove_leaks_nothing),
		cmocka_unit_test(callbacks_are_not_missed),
		cmocka_unit_test(a_lie_breaks_the_queue),
		cmocka_unit_test(a_device_pulled_out_gives_its_buffers_up),
		cmocka_unit_test(a_stuck_device_keeps_its_buffers),
	};

	return cmocka_run_group_tests_name("linux queue", tests, NULL, NULL);
}
