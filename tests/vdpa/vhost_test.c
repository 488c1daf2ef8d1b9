/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa/fake.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>

#include <vireo/spec/virtio_net.h>

#include "link/vhost_kernel/driver.h"

/* The kernel's vhost: what it is told of a driver's life, and what it may refuse. No data goes by here. */

static void set_up(struct fake *fake, struct vio_dev_queue *queues, uint16_t count, uint64_t wanted)
{
	const struct vio_queue_wish wish = { .size = 64 };
	const struct vio_features features = vio_features_low(wanted);
	struct vio_drvq *q;

	fake->dev.platform = &fake->platform;
	assert_int_equal(vio_dev_begin(&fake->dev, queues, count), 0);
	assert_int_equal(vio_dev_accept(&fake->dev, &features), 0);
	for (uint16_t i = 0; i < count; i++)
		assert_int_equal(vio_dev_add_queue(&fake->dev, i, &wish, &q), 0);
}

#define WANTED (1u << VIRTIO_NET_F_MRG_RXBUF | 1u << VIRTIO_NET_F_GUEST_CSUM)

static void net_lives(short tap_flags)
{
	const bool headers = tap_flags & IFF_VNET_HDR;
	struct vio_dev_queue queues[2];
	struct fake fake;
	uint16_t mtu;

	fake_make(&fake, FAKE_NET, NULL);
	fake.tap_flags = tap_flags;
	assert_int_equal(fake_open_net(&fake, FAKE_TAP), 0);
	assert_int_equal(fake.dev.id, VIRTIO_ID_NET);
	for (unsigned life = 0; life < 2; life++) {
		set_up(&fake, queues, 2, WANTED);
		assert_int_equal(vio_dev_has_feature(&fake.dev, VIRTIO_NET_F_GUEST_CSUM), headers);
		assert_int_equal(
			vio_dev_read_config16(&fake.dev, offsetof(struct virtio_net_config, mtu), &mtu), 0);
		assert_int_equal(mtu, 1500);
		assert_int_equal(vio_dev_read_config16(&fake.dev, 12, &mtu), -VIO_ERANGE);
		/* Who makes the header of a packet. */
		assert_int_equal(fake.accepted >> VHOST_KERNEL_F_VIRTIO_NET_HDR & 1, !headers);
		assert_int_equal(fake.header_bytes, headers ? 12 : 0);
		assert_int_equal(fake.offloads, headers ? TUN_F_CSUM : 0);
		assert_int_equal(fake.send_buffer, headers ? 0 : INT_MAX - 1);
		assert_int_equal(fake.memory_tables, 1);
		/* Rings are told by where the process has them. */
		assert_ptr_equal((void *)(uintptr_t)fake.queues[0].addr.desc_user_addr, queues[0].ring.host);
		assert_int_equal(fake.queues[0].backend, -1);
		assert_int_equal(vio_dev_ready(&fake.dev), 0);
		assert_int_equal(fake.queues[0].backend, FAKE_TAP);
		assert_int_equal(fake.queues[1].backend, FAKE_TAP);
		assert_int_equal(vio_dev_reset(&fake.dev), 0);
		assert_int_equal(fake.queues[0].backend, -1);
		assert_int_equal(fake.queues[1].backend, -1);
		assert_int_equal(fake.queues[0].kick, -1);
	}
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

static void a_network_card_lives(void **state)
{
	net_lives(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	net_lives(IFF_TAP | IFF_NO_PI);
}

static void a_socket_lives(void **state)
{
	struct vio_dev_queue queues[3];
	struct fake fake;
	uint64_t cid;

	fake_make(&fake, FAKE_VSOCK, NULL);
	assert_int_equal(fake_open_vsock(&fake, 77), 0);
	assert_int_equal(fake.cid, 77);
	for (unsigned life = 0; life < 2; life++) {
		set_up(&fake, queues, 3, 0);
		assert_int_equal(vio_dev_read_config64(&fake.dev, 0, &cid), 0);
		assert_int_equal(cid, 77);
		assert_int_equal(vio_dev_write_config32(&fake.dev, 8, 0), -VIO_ERANGE);
		assert_int_equal(vio_dev_ready(&fake.dev), 0);
		assert_true(fake.running);
		assert_int_equal(vio_dev_reset(&fake.dev), 0);
		assert_false(fake.running);
	}
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

static void kinds_are_told_apart(void **state)
{
	static const struct {
		enum fake_kind fake;
		enum vio_kernel_kind kind;
	} cases[] = {
		{ FAKE_NET, VIO_KERNEL_NET },      { FAKE_VSOCK, VIO_KERNEL_VSOCK },
		{ FAKE_SCSI, VIO_KERNEL_OTHER },   { FAKE_VDPA, VIO_KERNEL_VDPA },
		{ FAKE_NOTHING, VIO_KERNEL_NONE },
	};
	struct fake fake;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		fake_make(&fake, cases[i].fake, NULL);
		assert_int_equal(vhost_kernel_kind(fake.fd, &fake.system), cases[i].kind);
		assert_int_equal(fake_open_net(&fake, -1), cases[i].fake == FAKE_NET ? 0 : -VIO_ENOTSUP);
		if (cases[i].fake == FAKE_NET)
			assert_int_equal(fake_close(&fake), 0);
		else
			assert_string_equal(fake.mistake.text, "it is no vhost-net");
		fake_free(&fake);
	}
}

static void wrong_options_are_refused(void **state)
{
	const struct vio_vhost_net_options small = { .tap_fd = -1, .mtu = 67 };
	struct fake fake;

	for (uint32_t cid = 1; cid <= 2; cid++) {
		fake_make(&fake, FAKE_VSOCK, NULL);
		assert_int_equal(fake_open_vsock(&fake, cid), -VIO_EINVAL);
		assert_non_null(strstr(fake.mistake.text, cid == 1 ? "cid 1: give one from 3" : "cid 2"));
		fake_free(&fake);
	}
	fake_make(&fake, FAKE_NET, NULL);
	assert_int_equal(vhost_net_open(fake.fd, &small, &fake.system, &fake.dev, NULL), -VIO_EINVAL);
	fake_free(&fake);
	fake_make(&fake, FAKE_NET, NULL);
	fake.tap_flags = IFF_TUN;
	assert_int_equal(fake_open_net(&fake, FAKE_TAP), -VIO_EINVAL);
	assert_string_equal(fake.mistake.text, "tap: it must have been made with IFF_TAP and IFF_NO_PI");
	fake_free(&fake);
	/* The world says no. */
	fake_make(&fake, FAKE_VSOCK, NULL);
	fake.failing = VHOST_SET_OWNER;
	fake.failure = EBUSY;
	assert_int_equal(fake_open_vsock(&fake, 3), -VIO_EBUSY);
	fake_free(&fake);
}

/* What a device was opened without is missed when it has to work. */
static void without_a_tap_nothing_gets_ready(void **state)
{
	struct vio_dev_queue queues[3];
	struct fake fake;

	fake_make(&fake, FAKE_NET, NULL);
	assert_int_equal(fake_open_net(&fake, -1), 0);
	set_up(&fake, queues, 2, 0);
	assert_int_equal(vio_dev_ready(&fake.dev), -VIO_EPEER);
	assert_string_equal(vio_vhost_kernel_mistake(&fake.dev), "the device was opened without a tap");
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
	fake_make(&fake, FAKE_VSOCK, NULL);
	assert_int_equal(fake_open_vsock(&fake, 0), 0);
	set_up(&fake, queues, 3, 0);
	assert_int_equal(vio_dev_ready(&fake.dev), -VIO_EPEER);
	assert_string_equal(vio_vhost_kernel_mistake(&fake.dev), "the device was opened without a cid");
	assert_int_equal(fake_close(&fake), 0);
	fake_free(&fake);
}

/* All of a life, with the call that fails further back each time; true when none failed. */
static bool live(enum fake_kind kind, unsigned steps, int failure)
{
	const struct vio_queue_wish wish = { .size = 64 };
	const struct vio_features wanted = vio_features_low(WANTED);
	struct vio_dev_queue queues[2];
	struct vio_drvq *q;
	struct fake fake;
	bool whole;
	int error;

	fake_make(&fake, kind, NULL);
	fake.steps_until_failure = steps;
	fake.failure = failure;
	error = kind == FAKE_NET ? fake_open_net(&fake, FAKE_TAP) : fake_open_vsock(&fake, 3);
	if (!error) {
		fake.dev.platform = &fake.platform;
		fake.dev.timeout_ns = 2000000;
		(void)vio_dev_begin(&fake.dev, queues, 2);
		(void)vio_dev_accept(&fake.dev, &wanted);
		(void)vio_dev_add_queue(&fake.dev, 0, &wish, &q);
		(void)vio_dev_add_queue(&fake.dev, 1, &wish, &q);
		(void)vio_dev_ready(&fake.dev);
		fake_close_any(&fake, vio_vhost_kernel_hang_up);
	}
	whole = fake.steps <= steps;
	fake_free(&fake);
	return whole;
}

static void any_call_may_fail(void **state)
{
	fake_fail_each_call(live, FAKE_VSOCK, 15);
	fake_fail_each_call(live, FAKE_NET, 15);
}

/* hostile: B49; as long as the kernel uses a ring, the reset isn't over, and the memory stays. */
static void a_queue_may_never_stop(void **state)
{
	struct vio_dev_queue queues[3];
	struct fake fake;

	for (unsigned kind = 0; kind < 2; kind++) {
		fake_make(&fake, kind ? FAKE_NET : FAKE_VSOCK, NULL);
		assert_int_equal(kind ? fake_open_net(&fake, FAKE_TAP) : fake_open_vsock(&fake, 3), 0);
		set_up(&fake, queues, 2, 0);
		assert_int_equal(vio_dev_ready(&fake.dev), 0);
		fake.stuck = true;
		fake.dev.timeout_ns = 5000000;
		assert_int_equal(vio_dev_reset(&fake.dev), -VIO_EAGAIN);
		assert_int_equal(fake_close(&fake), -VIO_EAGAIN);
		fake.stuck = false;
		/* It comes round. */
		assert_int_equal(vio_dev_reset(&fake.dev), 0);
		assert_int_equal(fake_close(&fake), 0);
		fake_free(&fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_card_lives),
		cmocka_unit_test(a_socket_lives),
		cmocka_unit_test(kinds_are_told_apart),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(without_a_tap_nothing_gets_ready),
		cmocka_unit_test(any_call_may_fail),
		cmocka_unit_test(a_queue_may_never_stop),
	};

	return cmocka_run_group_tests_name("vhost-driver", tests, NULL, NULL);
}
