/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "link/vdpa/driver.h"
#include "link/vhost_kernel/driver.h"

static int refuse(int number)
{
	errno = number;
	return -1;
}

/* One more call: whether it goes well. */
static bool step(struct fake *fake, unsigned long request)
{
	bool last = fake->steps++ == fake->steps_until_failure;

	if (!last && request != fake->failing)
		return true;
	/* A device that is gone stays so. */
	if (fake->failure == ENODEV)
		fake->steps_until_failure = fake->steps;
	errno = fake->failure;
	return false;
}

/* The device behind vhost-vdpa. */

static void queue_interrupt(void *context, uint16_t queue)
{
	struct fake *fake = context;
	const uint64_t one = 1;

	if (fake->queues[queue].call >= 0)
		assert_int_equal(write(fake->queues[queue].call, &one, sizeof(one)), sizeof(one));
}

static void config_interrupt(void *context)
{
}

static void kick_again(void *context, uint16_t queue)
{
}

static const struct vio_device_events events = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.kick_again = kick_again,
};

static void work(struct fake *fake)
{
	uint64_t count;

	for (uint16_t i = 0; fake->kind == FAKE_VDPA && i < fake->device.queue_count; i++)
		if (fake->queues[i].kick >= 0 && !fake->suspended &&
		    read(fake->queues[i].kick, &count, sizeof(count)) == sizeof(count))
			vio_device_kick(&fake->device, i);
}

static void forget_queues(struct fake *fake)
{
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		fake->queues[i] = (struct fake_queue){ .kick = -1, .call = -1, .backend = -1 };
}

static void reset_device(struct fake *fake)
{
	vio_device_write_status(&fake->device, 0);
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		fake->queues[i].ready = false;
	fake->suspended = false;
	if (fake->mem.count && !fake->keeps_maps)
		vio_mem_init(&fake->mem, fake->regions, VIO_ARRAY_SIZE(fake->regions));
}

static int set_status(struct fake *fake, uint8_t status)
{
	if (status && fake->device.status & ~status)
		return refuse(EINVAL);
	if (!status && !fake->stuck)
		reset_device(fake);
	else if (status)
		vio_device_write_status(&fake->device, status);
	return 0;
}

static int set_enable(struct fake *fake, const struct vhost_vring_state *state)
{
	struct fake_queue *queue = &fake->queues[state->index];
	const struct vio_devq_config config = {
		.size = (uint16_t)queue->size,
		/* Packed: what comes next to be filled in the upper half. */
		.at = { (uint16_t)queue->base, (uint16_t)(queue->base >> 16) },
		.descriptor_area = vio_addr_make(queue->addr.desc_user_addr),
		.driver_area = vio_addr_make(queue->addr.avail_user_addr),
		.device_area = vio_addr_make(queue->addr.used_user_addr),
	};

	queue->ready = !vio_device_queue_start(&fake->device, (uint16_t)state->index, &config);
	return queue->ready ? 0 : refuse(EINVAL);
}

static int config_call(struct fake *fake, struct vhost_vdpa_config *config, bool write)
{
	if (!config->len || config->off > fake->device.config_bytes ||
	    config->len > fake->device.config_bytes - config->off)
		return refuse(E2BIG);
	if (write)
		return vio_device_write_config(&fake->device, config->off, config->buf, config->len);
	vio_device_read_config(&fake->device, config->off, config->buf, config->len);
	return 0;
}

/* 1: it is none of these. */
static int control_limits(struct fake *fake, unsigned long request, void *argument)
{
	switch (request) {
	case VHOST_VDPA_GET_DEVICE_ID:
		*(uint32_t *)argument = fake->id;
		return 0;
	case VHOST_VDPA_GET_VRING_NUM:
		*(uint16_t *)argument = fake->vring_num;
		return 0;
	case VHOST_VDPA_GET_IOVA_RANGE:
		*(struct vhost_vdpa_iova_range *)argument = fake->range;
		return 0;
	case VHOST_VDPA_GET_VQS_COUNT:
		*(uint32_t *)argument = fake->queue_count;
		return 0;
	case VHOST_VDPA_GET_CONFIG_SIZE:
		*(uint32_t *)argument = fake->config_bytes;
		return 0;
	case VHOST_VDPA_GET_GROUP_NUM:
	case VHOST_VDPA_GET_AS_NUM:
		*(uint32_t *)argument = 1;
		return 0;
	default:
		return 1;
	}
}

static int control_vdpa(struct fake *fake, unsigned long request, void *argument)
{
	int result = control_limits(fake, request, argument);

	if (result <= 0)
		return result;
	switch (request) {
	case VHOST_VDPA_GET_STATUS:
		*(uint8_t *)argument = fake->device.status | fake->always_set;
		return 0;
	case VHOST_VDPA_SET_STATUS:
		return set_status(fake, *(uint8_t *)argument);
	case VHOST_VDPA_GET_CONFIG:
	case VHOST_VDPA_SET_CONFIG:
		return config_call(fake, argument, request == VHOST_VDPA_SET_CONFIG);
	case VHOST_VDPA_SET_VRING_ENABLE:
		return set_enable(fake, argument);
	case VHOST_VDPA_SET_CONFIG_CALL:
		return 0;
	case VHOST_VDPA_SUSPEND:
	case VHOST_VDPA_RESUME:
		fake->suspended = request == VHOST_VDPA_SUSPEND;
		return 0;
	default:
		return refuse(ENOTTY);
	}
}

/* vhost-net, its tap, and vhost-vsock. */

static int control_tap(struct fake *fake, unsigned long request, void *argument)
{
	switch (request) {
	case TUNGETIFF:
		((struct ifreq *)argument)->ifr_flags = fake->tap_flags;
		return 0;
	case TUNSETVNETHDRSZ:
		fake->header_bytes = *(int *)argument;
		return 0;
	case TUNSETOFFLOAD:
		fake->offloads = (uintptr_t)argument;
		return 0;
	case TUNSETSNDBUF:
		fake->send_buffer = *(int *)argument;
		return 0;
	default:
		return refuse(ENOTTY);
	}
}

static int control_vhost(struct fake *fake, unsigned long request, void *argument)
{
	const struct vhost_vring_file *file = argument;

	if (fake->kind == FAKE_VSOCK && request == VHOST_VSOCK_SET_GUEST_CID) {
		if (*(uint64_t *)argument < 3)
			return refuse(EINVAL);
		fake->cid = *(uint64_t *)argument;
		return 0;
	}
	/* Before there is an owner nothing else is looked at. */
	if (!fake->owned)
		return refuse(EPERM);
	if (fake->kind == FAKE_NET && request == VHOST_NET_SET_BACKEND) {
		if (file->fd < 0 && fake->stuck)
			return refuse(EIO);
		fake->queues[file->index].backend = file->fd;
		return 0;
	}
	if (fake->kind == FAKE_VSOCK && request == VHOST_VSOCK_SET_RUNNING) {
		if (!*(int *)argument && fake->stuck)
			return refuse(EIO);
		fake->running = *(int *)argument;
		return 0;
	}
	if (request == VHOST_SET_MEM_TABLE) {
		fake->memory_tables++;
		return 0;
	}
	return refuse(ENOTTY);
}

/* What they all have. */

static int control_queue(struct fake *fake, unsigned long request, void *argument)
{
	struct fake_queue *queue;
	uint32_t index = *(uint32_t *)argument;

	if (index >= (fake->kind == FAKE_VDPA ? fake->device.queue_count : 2u))
		return refuse(ENOBUFS);
	queue = &fake->queues[index];
	switch (request) {
	case VHOST_SET_VRING_NUM:
		queue->size = ((struct vhost_vring_state *)argument)->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		queue->base = ((struct vhost_vring_state *)argument)->num;
		return 0;
	case VHOST_GET_VRING_BASE:
		((struct vhost_vring_state *)argument)->num = queue->base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		queue->addr = *(struct vhost_vring_addr *)argument;
		return 0;
	case VHOST_SET_VRING_KICK:
		queue->kick = ((struct vhost_vring_file *)argument)->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		queue->call = ((struct vhost_vring_file *)argument)->fd;
		return 0;
	default: /* VHOST_SET_VRING_ERR */
		return 0;
	}
}

static int set_features(struct fake *fake, uint64_t features)
{
	struct vio_features set = vio_features_low(features);

	if (features & ~fake->features)
		return refuse(EOPNOTSUPP);
	fake->accepted = features;
	if (fake->kind == FAKE_VDPA)
		vio_device_write_features(&fake->device, &set);
	return 0;
}

static int control_common(struct fake *fake, unsigned long request, void *argument)
{
	switch (request) {
	case VHOST_SET_OWNER:
		fake->owned = true;
		return 0;
	case VHOST_GET_FEATURES:
		*(uint64_t *)argument = fake->features;
		return 0;
	case VHOST_SET_FEATURES:
		return set_features(fake, *(uint64_t *)argument);
	case VHOST_GET_BACKEND_FEATURES:
		*(uint64_t *)argument = fake->backend_features;
		return 0;
	case VHOST_SET_BACKEND_FEATURES:
		fake->backend_accepted = *(uint64_t *)argument;
		return fake->backend_accepted & ~fake->backend_features ? refuse(EOPNOTSUPP) : 0;
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_ADDR:
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		return control_queue(fake, request, argument);
	default:
		return 1;
	}
}

static int control(void *context, int fd, unsigned long request, void *argument)
{
	struct fake *fake = context;
	int result;

	if (!step(fake, request))
		return -1;
	if (fake->kind == FAKE_NOTHING)
		return refuse(ENOTTY);
	for (unsigned i = 0; i < FAKE_UNKNOWN; i++)
		if (fake->unknown[i] && fake->unknown[i] == request)
			return refuse(ENOTTY);
	if (fd == FAKE_TAP)
		return control_tap(fake, request, argument);
	assert_int_equal(fd, fake->fd);
	result = control_common(fake, request, argument);
	if (result <= 0)
		return result;
	return fake->kind == FAKE_VDPA ? control_vdpa(fake, request, argument)
				       : control_vhost(fake, request, argument);
}

static int map(struct fake *fake, const struct vhost_iotlb_msg *message)
{
	const struct vio_region region = { vio_addr_make(message->iova), message->size,
					   (uint8_t *)(uintptr_t)message->uaddr, FAKE_RIGHTS };

	if (fake->map_bytes)
		return refuse(EFAULT); /* it is there already */
	if (message->iova < fake->range.first || message->size - 1 > fake->range.last - message->iova)
		return refuse(EFAULT);
	fake->map_first = message->iova;
	fake->map_bytes = message->size;
	fake->maps++;
	assert_int_equal(message->perm, VHOST_ACCESS_RW);
	assert_int_equal(vio_mem_add(&fake->mem, &region), 0);
	return 0;
}

static int unmap(struct fake *fake, const struct vhost_iotlb_msg *message)
{
	if (!fake->map_bytes)
		return 0;
	assert_int_equal(message->iova, fake->map_first);
	assert_int_equal(message->size, fake->map_bytes);
	fake->map_bytes = 0;
	fake->unmaps++;
	vio_mem_init(&fake->mem, fake->regions, VIO_ARRAY_SIZE(fake->regions));
	return 0;
}

static ssize_t tell(void *context, int fd, const void *bytes, size_t length)
{
	const struct vhost_msg *message = bytes;
	struct fake *fake = context;
	int result = 0;

	assert_int_equal(length, sizeof(*message));
	assert_true(fake->owned);
	if (!step(fake, FAKE_TELL))
		return -1;
	if (message->type == VHOST_IOTLB_MSG)
		fake->first_forms++;
	else
		assert_int_equal(message->type, VHOST_IOTLB_MSG_V2);
	switch (message->iotlb.type) {
	case VHOST_IOTLB_UPDATE:
		result = map(fake, &message->iotlb);
		break;
	case VHOST_IOTLB_INVALIDATE:
		result = unmap(fake, &message->iotlb);
		break;
	case VHOST_IOTLB_BATCH_BEGIN:
		fake->in_batch = true;
		fake->batches++;
		break;
	default:
		assert_int_equal(message->iotlb.type, VHOST_IOTLB_BATCH_END);
		assert_true(fake->in_batch);
		fake->in_batch = false;
		break;
	}
	return result ? -1 : (ssize_t)length;
}

/* The platform: the device works while the driver waits. */

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	const struct vio_platform *inner = ((struct fake *)context)->inner;

	return inner->take(inner->context, bytes, rights, memory);
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
	const struct vio_platform *inner = ((struct fake *)context)->inner;

	inner->give_back(inner->context, memory, bytes);
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	const struct vio_platform *inner = ((struct fake *)context)->inner;

	return inner->share(inner->context, host, length, rights, addr);
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
	const struct vio_platform *inner = ((struct fake *)context)->inner;

	inner->unshare(inner->context, host, length, rights, addr);
}

static uint64_t now_ns(void *context)
{
	const struct vio_platform *inner = ((struct fake *)context)->inner;

	return inner->now_ns(inner->context);
}

static void wait_for_device(void *context, uint64_t timeout_ns)
{
	const struct vio_platform *inner = ((struct fake *)context)->inner;

	work(context);
	inner->wait(inner->context, timeout_ns);
}

/* Life. */

static void make_device(struct fake *fake, const struct vio_device_class *class)
{
	const struct vio_features carried = { { UINT64_MAX & ~(UINT64_C(1) << VIRTIO_F_RING_RESET), 0 } };

	fake->device_state = calloc(1, class->state_bytes);
	vio_device_init(&fake->device, class, fake->device_state);
	assert_int_equal(vio_device_realize(&fake->device), 0);
	vio_features_set(&fake->device.features_offered, VIRTIO_F_ACCESS_PLATFORM);
	fake->device_storage = calloc(1, vio_device_storage_bytes(&fake->device));
	vio_device_provide(&fake->device, fake->device_storage);
	vio_device_attach(&fake->device, &fake->mem, &carried, &events, fake);
	fake->features = vio_device_features(&fake->device).word[0];
	fake->id = fake->device.id;
	fake->queue_count = fake->device.queue_count;
	fake->config_bytes = fake->device.config_bytes;
}

void fake_make(struct fake *fake, enum fake_kind kind, const struct vio_device_class *class)
{
	memset(fake, 0, sizeof(*fake));
	fake->system = (struct kernel_system){ control, tell, fake };
	fake->kind = kind;
	fake->fd = eventfd(0, EFD_CLOEXEC);
	fake->steps_until_failure = FAKE_NEVER;
	fake->failure = EIO;
	fake->vring_num = 256;
	fake->range = (struct vhost_vdpa_iova_range){ 0, UINT64_MAX };
	fake->tap_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	fake->features = UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VHOST_KERNEL_F_VIRTIO_NET_HDR;
	if (kind == FAKE_NET)
		fake->features |= UINT64_C(1) << 15;
	fake->backend_features = UINT64_C(1) << VHOST_BACKEND_F_IOTLB_MSG_V2 |
				 UINT64_C(1) << VHOST_BACKEND_F_IOTLB_BATCH |
				 UINT64_C(1) << VHOST_BACKEND_F_SUSPEND;
	forget_queues(fake);
	vio_mem_init(&fake->mem, fake->regions, VIO_ARRAY_SIZE(fake->regions));
	if (class)
		make_device(fake, class);
}

void fake_free(struct fake *fake)
{
	if (fake->device_state) {
		vio_device_detach(&fake->device);
		vio_device_unrealize(&fake->device);
	}
	free(fake->device_storage);
	free(fake->device_state);
	free(fake->driver_state);
	/* The transport has closed it. */
	assert_int_equal(fcntl(fake->fd, F_GETFD), -1);
}

static void make_platform(struct fake *fake, const struct vio_platform *inner)
{
	fake->inner = inner;
	fake->platform = (struct vio_platform){
		.context = fake,
		.translates = inner->translates,
		.take = take,
		.give_back = give_back,
		.share = share,
		.unshare = unshare,
		.now_ns = now_ns,
		.wait = wait_for_device,
	};
}

int fake_open_vdpa(struct fake *fake, uint64_t withhold)
{
	const struct vio_vdpa_options options = { .withhold = withhold, .arena_bytes = 1 << 20 };
	int error = vdpa_open(fake->fd, &options, &fake->system, &fake->dev, &fake->mistake);

	if (!error)
		make_platform(fake, vio_vdpa_platform(&fake->dev));
	return error;
}

int fake_open_net(struct fake *fake, int tap_fd)
{
	const struct vio_vhost_net_options options = { .tap_fd = tap_fd, .mtu = 1500 };
	int error = vhost_net_open(fake->fd, &options, &fake->system, &fake->dev, &fake->mistake);

	if (!error)
		make_platform(fake, vio_vhost_kernel_platform(&fake->dev));
	return error;
}

int fake_open_vsock(struct fake *fake, uint32_t cid)
{
	const struct vio_vhost_vsock_options options = { .cid = cid };
	int error = vhost_vsock_open(fake->fd, &options, &fake->system, &fake->dev, &fake->mistake);

	if (!error)
		make_platform(fake, vio_vhost_kernel_platform(&fake->dev));
	return error;
}

int fake_bind(struct fake *fake, const struct vio_driver *driver)
{
	free(fake->driver_state);
	fake->driver_state = calloc(1, driver->state_bytes);
	return vio_driver_bind(&fake->dev, driver, &fake->platform, fake->driver_state);
}

int fake_close(struct fake *fake)
{
	return vio_dev_close(&fake->dev);
}

void fake_close_any(struct fake *fake, void (*hang_up)(struct vio_dev *dev))
{
	if (!fake_close(fake))
		return;
	assert_int_equal(fake->dev.phase, VIO_DEV_STUCK);
	hang_up(&fake->dev);
	assert_int_equal(fake_close(fake), 0);
}

void fake_fail_each_call(bool (*live)(enum fake_kind kind, unsigned steps, int failure), enum fake_kind kind,
			 unsigned least)
{
	static const int failures[] = { EIO, EINVAL, ENODEV, ENOTTY, ENOMEM };
	unsigned steps;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(failures); i++) {
		for (steps = 0; steps < 500 && !live(kind, steps, failures[i]); steps++)
			;
		assert_in_range(steps, least, 499);
	}
}
