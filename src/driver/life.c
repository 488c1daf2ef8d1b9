/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/config.h>

#include "driver/core.h"

/* The bits that belong to no device type (6); of these only what ring and core can do is ever accepted. */
#define FIRST_RESERVED 24u
#define LAST_RESERVED  49u

struct vio_features vio_dev_ring_features(void)
{
	const uint64_t some = (uint64_t)VIO_CONFIG_PACKED << VIRTIO_F_RING_PACKED |
			      (uint64_t)VIO_CONFIG_IN_ORDER << VIRTIO_F_IN_ORDER |
			      (uint64_t)VIO_CONFIG_ORDER_PLATFORM << VIRTIO_F_ORDER_PLATFORM;

	/* spec: DRV-BASIC-040 DRV-BASIC-041; where a transport carries longer notifications it makes them. */
	return vio_features_low(
		some | UINT64_C(1) << VIRTIO_F_INDIRECT_DESC | UINT64_C(1) << VIRTIO_F_EVENT_IDX |
		UINT64_C(1) << VIRTIO_F_NOTIFICATION_DATA | UINT64_C(1) << VIRTIO_F_RING_RESET);
}

/* spec: DRV-BASIC-008 DRV-BASIC-009 DRV-BASIC-043 DRV-BASIC-047 */
static struct vio_features understood(void)
{
	const uint64_t reserved = ((UINT64_C(1) << (LAST_RESERVED - FIRST_RESERVED + 1)) - 1)
				  << FIRST_RESERVED;
	struct vio_features types = { { ~reserved, UINT64_MAX } };

	/* Where a transport carries it, it knows what to write. */
	vio_features_set(&types, VIRTIO_F_NOTIF_CONFIG_DATA);
	return vio_features_or(types, vio_dev_ring_features());
}

static struct vio_features read_offer(struct vio_dev *dev)
{
	return vio_features_and(dev->transport->get_features(dev), dev->transport->carried);
}

/* What the device shows; all ones means that there is none. */
static uint8_t see_status(struct vio_dev *dev)
{
	return dev->transport->get_status(dev);
}

/* spec: DRV-BASIC-001 DRV-BASIC-002, also of the one bit that the device sets by itself. */
static int add_status(struct vio_dev *dev, uint8_t bits)
{
	uint8_t seen = see_status(dev);

	if (seen == STATUS_GONE) /* hostile: B45 */
		return vio_dev_lose(dev);
	dev->status |= bits;
	dev->transport->set_status(dev, dev->status | (seen & VIRTIO_CONFIG_S_NEEDS_RESET));
	return 0;
}

int vio_dev_lose(struct vio_dev *dev)
{
	dev->phase = VIO_DEV_GONE;
	vio_dev_stop_queues(dev);
	return -VIO_EHANGUP;
}

int vio_dev_fail(struct vio_dev *dev, int error)
{
	if (dev->phase == VIO_DEV_GONE)
		return error;
	/* spec: DRV-BASIC-011 DRV-BASIC-024 DRV-BASIC-025 */
	if (add_status(dev, VIRTIO_CONFIG_S_FAILED))
		return -VIO_EHANGUP;
	dev->phase = VIO_DEV_FAILED;
	vio_dev_stop_queues(dev);
	return error;
}

bool vio_dev_nap(struct vio_dev *dev, uint64_t since)
{
	uint64_t timeout = dev->timeout_ns ? dev->timeout_ns : VIO_DEV_TIMEOUT_NS;

	if (dev->platform->now_ns(dev->platform->context) - since >= timeout)
		return false;
	dev->platform->wait(dev->platform->context, VIO_DEV_NAP_NS);
	return true;
}

/* Resets and waits. 0, -VIO_EAGAIN or -VIO_EHANGUP, with the phase that goes with it but for success. */
static int reset(struct vio_dev *dev)
{
	uint64_t since = dev->platform->now_ns(dev->platform->context);
	uint8_t seen;

	dev->transport->set_status(dev, 0);
	dev->status = 0;
	vio_dev_stop_queues(dev); /* spec: DRV-BASIC-029; hostile: B31 */
	do {                      /* spec: DRV-BASIC-014; hostile: B49 */
		seen = see_status(dev);
		if (!seen)
			return 0;
		if (seen == STATUS_GONE)
			return vio_dev_lose(dev);
	} while (vio_dev_nap(dev, since));
	dev->phase = VIO_DEV_STUCK;
	return -VIO_EAGAIN;
}

static bool may_begin(enum vio_dev_phase phase)
{
	return phase == VIO_DEV_FOUND || phase == VIO_DEV_RESET || phase == VIO_DEV_FAILED ||
	       phase == VIO_DEV_STUCK;
}

int vio_dev_begin(struct vio_dev *dev, struct vio_dev_queue *queues, uint16_t queue_max)
{
	int error;

	if (!may_begin(dev->phase))
		return -VIO_EPHASE;
	error = reset(dev); /* spec: DRV-BASIC-003 DRV-BASIC-021 */
	if (error)
		return error;
	vio_dev_release_queues(dev);
	if (queue_max)
		memset(queues, 0, queue_max * sizeof(*queues));
	dev->queues = queues;
	dev->queue_max = queue_max;
	dev->accepted = VIO_FEATURES_NONE;
	dev->phase = VIO_DEV_BEGUN;
	error = add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (!error)
		error = add_status(dev, VIRTIO_CONFIG_S_DRIVER);
	if (error)
		return error;
	dev->offered = read_offer(dev);
	/* spec: DRV-BASIC-007 DRV-BASIC-011 DRV-BASIC-013; hostile: B41 */
	if (!dev->legacy && !vio_features_has(&dev->offered, VIRTIO_F_VERSION_1))
		return vio_dev_fail(dev, -VIO_ENOTSUP);
	/* spec: DRV-BASIC-039 */
	if (dev->platform->translates && !vio_features_has(&dev->offered, VIRTIO_F_ACCESS_PLATFORM))
		return vio_dev_fail(dev, -VIO_ENOTSUP);
	return 0;
}

/* spec: DRV-BASIC-005 DRV-BASIC-010 DRV-BASIC-012 DRV-BASIC-036 DRV-BASIC-037 DRV-BASIC-038 DRV-BASIC-046 */
static struct vio_features choose(const struct vio_dev *dev, const struct vio_features *wanted)
{
	struct vio_features always = VIO_FEATURES_NONE;

	vio_features_set(&always, VIRTIO_F_ACCESS_PLATFORM);
	vio_features_set(&always, dev->legacy ? VIRTIO_F_ANY_LAYOUT : VIRTIO_F_VERSION_1);
	return vio_features_and(dev->offered,
				vio_features_or(vio_features_and(*wanted, understood()), always));
}

int vio_dev_accept(struct vio_dev *dev, const struct vio_features *wanted)
{
	uint8_t seen;
	int error;

	if (dev->phase != VIO_DEV_BEGUN)
		return -VIO_EPHASE;
	if (!vio_features_equal(read_offer(dev), dev->offered)) /* hostile: B41 */
		return vio_dev_fail(dev, -VIO_EPEER);
	dev->accepted = choose(dev, wanted);
	dev->transport->set_features(dev, &dev->accepted);
	if (!dev->legacy) { /* spec: DRV-BASIC-027 */
		error = add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
		if (error)
			return error;
	}
	seen = see_status(dev);
	if (seen == STATUS_GONE)
		return vio_dev_lose(dev);
	if (seen & VIRTIO_CONFIG_S_NEEDS_RESET) /* hostile: B37 */
		return vio_dev_fail(dev, -VIO_EPEER);
	if (!dev->legacy && !(seen & VIRTIO_CONFIG_S_FEATURES_OK)) /* spec: DRV-BASIC-021; hostile: B41 */
		return vio_dev_fail(dev, -VIO_ENOTSUP);
	dev->phase = VIO_DEV_ACCEPTED; /* spec: DRV-BASIC-023 */
	return 0;
}

int vio_dev_ready(struct vio_dev *dev)
{
	uint8_t seen;
	int error;

	if (dev->phase != VIO_DEV_ACCEPTED)
		return -VIO_EPHASE;
	error = add_status(dev, VIRTIO_CONFIG_S_DRIVER_OK);
	if (error)
		return error;
	seen = see_status(dev);
	if (seen == STATUS_GONE)
		return vio_dev_lose(dev);
	if ((seen & VIRTIO_CONFIG_S_NEEDS_RESET) || !(seen & VIRTIO_CONFIG_S_DRIVER_OK)) /* hostile: B37 */
		return vio_dev_fail(dev, -VIO_EPEER);
	dev->phase = VIO_DEV_READY;
	vio_dev_kick_late(dev);
	return 0;
}

int vio_dev_reset(struct vio_dev *dev)
{
	int error;

	if (dev->phase == VIO_DEV_GONE)
		return -VIO_EHANGUP;
	error = reset(dev);
	if (!error && dev->phase != VIO_DEV_FOUND)
		dev->phase = VIO_DEV_RESET;
	return error;
}

/* Whether giving up has to be told before it is done. */
static bool setting_up(const struct vio_dev *dev)
{
	return dev->phase == VIO_DEV_BEGUN || dev->phase == VIO_DEV_ACCEPTED;
}

int vio_dev_end(struct vio_dev *dev)
{
	if (setting_up(dev))
		vio_dev_fail(dev, 0);
	if (dev->phase == VIO_DEV_READY || dev->phase == VIO_DEV_FAILED)
		(void)reset(dev);
	else if (dev->phase == VIO_DEV_STUCK && see_status(dev) == STATUS_GONE)
		vio_dev_lose(dev);
	else if (dev->phase == VIO_DEV_STUCK && !see_status(dev))
		dev->phase = VIO_DEV_RESET;
	if (dev->phase == VIO_DEV_STUCK && vio_dev_holds_memory(dev))
		return -VIO_EAGAIN;
	vio_dev_release_queues(dev);
	dev->offered = VIO_FEATURES_NONE;
	dev->accepted = VIO_FEATURES_NONE;
	if (dev->phase != VIO_DEV_GONE)
		dev->phase = VIO_DEV_FOUND;
	return 0;
}

bool vio_dev_broken(struct vio_dev *dev)
{
	uint16_t queue;
	uint8_t seen;

	if (dev->phase == VIO_DEV_FOUND || dev->phase == VIO_DEV_RESET)
		return false;
	if (dev->phase >= VIO_DEV_FAILED)
		return true;
	seen = see_status(dev);
	if (seen == STATUS_GONE ||
	    (seen & VIRTIO_CONFIG_S_NEEDS_RESET)) /* spec: DRV-BASIC-004; hostile: B37 B45 */
		return true;
	for (queue = 0; queue < dev->queue_max; queue++)
		if (dev->queues[queue].enabled && vio_drvq_broken(&dev->queues[queue].q))
			return true;
	return false;
}
