/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <linux/if_tun.h>
#include <net/if.h>

#include <vireo/spec/virtio_net.h>

#include "link/vhost_kernel/driver.h"

#define BIT(number)  (UINT64_C(1) << (number))
#define MTU_LEAST    68u
/* Up to the last field that is filled in. */
#define CONFIG_BYTES (offsetof(struct virtio_net_config, mtu) + sizeof(vio_le16))

VIO_STATIC_ASSERT(sizeof(struct virtio_net_config) <= VHOST_CONFIG_BYTES, "the configuration has no room");

/* Before a file has an owner, all calls that it doesn't know look alike: its features tell. */
bool vhost_net_recognize(struct kernel *kernel, uint64_t features)
{
	return features >> VIRTIO_NET_F_MRG_RXBUF & 1;
}

/* Checksums go with the header, which has to reach the tap for that. */
static uint64_t own_features(const struct vhost *vhost)
{
	uint64_t bits = 0;

	if (vhost->net.mac)
		bits |= BIT(VIRTIO_NET_F_MAC);
	if (vhost->net.mtu)
		bits |= BIT(VIRTIO_NET_F_MTU);
	if (vhost->tap_headers)
		bits |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM);
	return bits;
}

static int set_tap(struct vhost *vhost, unsigned long request, void *argument, const char *name)
{
	const struct kernel_system *system = vhost->kernel.system;

	if (system->control(system->context, vhost->net.tap_fd, request, argument) >= 0)
		return 0;
	return kernel_complain(&vhost->kernel, -VIO_ESYS, "tap: %s: %s", name, strerror(errno));
}

/*
 * A tap with a send buffer that isn't quite endless is given one frame each time. For several at once, Linux
 * (6.1 and others) takes what it finds in memory for the header where there is none, and loses
 * most of them. A socket doesn't know this call, and needs none.
 */
static void avoid_batches(struct vhost *vhost)
{
	const struct kernel_system *system = vhost->kernel.system;
	int bytes = INT_MAX - 1;

	if (vhost->net.tap_fd >= 0)
		(void)system->control(system->context, vhost->net.tap_fd, TUNSETSNDBUF, &bytes);
}

/* Where the tap has no headers, the kernel makes and drops them. */
static int accept_features(struct vhost *vhost, uint64_t accepted, uint64_t *kernel_bits)
{
	const struct kernel_system *system = vhost->kernel.system;
	unsigned long offloads = accepted & BIT(VIRTIO_NET_F_GUEST_CSUM) ? TUN_F_CSUM : 0;
	bool modern = accepted & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF));
	int header = modern ? (int)sizeof(struct virtio_net_hdr) : (int)VIRTIO_NET_HDR_BYTES_SHORT;
	int error;

	if (!vhost->tap_headers) {
		*kernel_bits |= BIT(VHOST_KERNEL_F_VIRTIO_NET_HDR);
		avoid_batches(vhost);
		return 0;
	}
	error = set_tap(vhost, TUNSETVNETHDRSZ, &header, "TUNSETVNETHDRSZ");
	/* This one takes a number for its argument. */
	if (!error && system->control(system->context, vhost->net.tap_fd, TUNSETOFFLOAD,
				      (void *)(uintptr_t)offloads) < 0)
		error = kernel_complain(&vhost->kernel, -VIO_ESYS, "tap: TUNSETOFFLOAD: %s", strerror(errno));
	return error;
}

static int attach(struct vhost *vhost, int fd)
{
	int error = 0, first = 0;
	uint32_t queue;

	for (queue = 0; queue < VIO_VHOST_NET_QUEUES; queue++) {
		struct vhost_vring_file backend = { queue, fd };

		if (!vhost->kernel.queues[queue].started)
			continue;
		error = kernel_call(&vhost->kernel, VHOST_NET_SET_BACKEND, &backend, "VHOST_NET_SET_BACKEND");
		first = first ? first : error;
		if (first && fd >= 0)
			return first;
	}
	return first;
}

static int start(struct vhost *vhost)
{
	if (vhost->net.tap_fd < 0)
		return kernel_complain(&vhost->kernel, -VIO_EINVAL, "the device was opened without a tap");
	return attach(vhost, vhost->net.tap_fd);
}

static int stop(struct vhost *vhost)
{
	return vhost->net.tap_fd < 0 ? 0 : attach(vhost, VHOST_FILE_UNBIND);
}

static const struct vhost_kind kind = {
	.name = "vhost-net",
	.id = VIRTIO_ID_NET,
	.queue_count = VIO_VHOST_NET_QUEUES,
	.kernel_queues = VIO_VHOST_NET_QUEUES,
	.recognize = vhost_net_recognize,
	.own_features = own_features,
	.accept = accept_features,
	.start = start,
	.stop = stop,
};

/* A socket isn't asked for more than that it is open: it has no headers. */
static int look_at_tap(struct vhost *vhost)
{
	const struct kernel_system *system = vhost->kernel.system;
	struct ifreq interface;

	if (vhost->net.tap_fd < 0)
		return 0;
	memset(&interface, 0, sizeof(interface));
	if (system->control(system->context, vhost->net.tap_fd, TUNGETIFF, &interface) < 0)
		return errno == EBADF
			       ? kernel_complain(&vhost->kernel, -VIO_EINVAL,
						 "tap: file descriptor %d isn't open", vhost->net.tap_fd)
			       : 0;
	if (!(interface.ifr_flags & IFF_TAP) || !(interface.ifr_flags & IFF_NO_PI))
		return kernel_complain(&vhost->kernel, -VIO_EINVAL,
				       "tap: it must have been made with IFF_TAP and IFF_NO_PI");
	vhost->tap_headers = interface.ifr_flags & IFF_VNET_HDR;
	return 0;
}

static int furnish(struct vhost *vhost, const struct vio_vhost_net_options *options)
{
	struct virtio_net_config config = { .mtu = vio_le16_make(options->mtu) };

	vhost->net = *options;
	if (options->mtu && options->mtu < MTU_LEAST)
		return kernel_complain(&vhost->kernel, -VIO_EINVAL, "mtu %u: %u is the least", options->mtu,
				       MTU_LEAST);
	if (options->mac)
		memcpy(config.mac, options->mac, sizeof(config.mac));
	memcpy(vhost->config, &config, sizeof(config));
	vhost->config_bytes = CONFIG_BYTES;
	return look_at_tap(vhost);
}

int vhost_net_open(int fd, const struct vio_vhost_net_options *options, const struct kernel_system *system,
		   struct vio_dev *dev, struct vio_kernel_mistake *mistake)
{
	int error;
	struct vhost *vhost = vhost_begin(fd, &kind, options->arena_bytes, system, dev, mistake, &error);

	return vhost ? vhost_finish(vhost, furnish(vhost, options), mistake) : error;
}

int vio_vhost_net_open(int vhost_fd, const struct vio_vhost_net_options *options, struct vio_dev *dev,
		       struct vio_kernel_mistake *mistake)
{
	return vhost_net_open(vhost_fd, options, &kernel_system_real, dev, mistake);
}
