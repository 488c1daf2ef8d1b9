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
			      (uint64_t)VIO_CONFIG_ORDER_PLATFORM << VIRTIO_F_ORDER_PLATFORM |
			      (uint64_t)VIO_CONFIG_INDIRECT << VIRTIO_F_INDIRECT_DESC |
			      (uint64_t)VIO_CONFIG_RING_RESET << VIRTIO_F_RING_RESET |
			      UINT64_C(1) << VIRTIO_F_SUSPEND;

	/* spec: DRV-BASIC-040 DRV-BASIC-041; where a transport carries longer notifications it makes them. */
	return vio_features_low(some | UINT64_C(1) << VIRTIO_F_EVENT_IDX |
				UINT64_C(1) << VIRTIO_F_NOTIFICATION_DATA);
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

/* What the device shows, or -VIO_EHANGUP, as all ones mean that there is none. hostile: B45 */
static int look(struct vio_dev *dev)
{
	uint8_t seen = dev->transport->get_status(dev);

	return seen == STATUS_GONE ? vio_dev_lose(dev) : seen;
}

/* spec: DRV-BASIC-001 DRV-BASIC-002, also of the one bit that the device sets by itself. */
static int add_status(struct vio_dev *dev, uint8_t bits)
{
	int seen = look(dev);

	if (seen < 0)
		return seen;
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
	int seen;

	dev->transport->set_status(dev, 0);
	dev->status = 0;
	vio_dev_stop_queues(dev); /* spec: DRV-BASIC-029; hostile: B31 */
	do {                      /* spec: DRV-BASIC-014; hostile: B49 */
		seen = look(dev);
		if (seen <= 0)
			return seen;
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
	/* spec: DRV-BASIC-007 DRV-BASIC-011 DRV-BASIC-013 DRV-BASIC-MAY-002; hostile: B41 */
	if (!vio_dev_is_legacy(dev) && !vio_features_has(&dev->offered, VIRTIO_F_VERSION_1))
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
	vio_features_set(&always, VIRTIO_F_NOTIF_CONFIG_DATA); /* spec: DRV-BASIC-045 */
	vio_features_set(&always, vio_dev_is_legacy(dev) ? VIRTIO_F_ANY_LAYOUT : VIRTIO_F_VERSION_1);
	return vio_features_and(dev->offered,
				vio_features_or(vio_features_and(*wanted, understood()), always));
}

/* Adds status bits and sees whether the device shows them; if not, gives up with `refused`. */
static int advance(struct vio_dev *dev, uint8_t bits, int refused)
{
	int seen = bits ? add_status(dev, bits) : 0;

	if (!seen)
		seen = look(dev);
	if (seen < 0)
		return seen;
	if (seen & VIRTIO_CONFIG_S_NEEDS_RESET) /* hostile: B37 */
		return vio_dev_fail(dev, -VIO_EPEER);
	return (seen & bits) == bits ? 0 : vio_dev_fail(dev, refused);
}

int vio_dev_accept(struct vio_dev *dev, const struct vio_features *wanted)
{
	int error;

	if (dev->phase != VIO_DEV_BEGUN)
		return -VIO_EPHASE;
	if (!vio_features_equal(read_offer(dev), dev->offered)) /* hostile: B41 */
		return vio_dev_fail(dev, -VIO_EPEER);
	dev->accepted = choose(dev, wanted);
	dev->transport->set_features(dev, &dev->accepted);
	/* spec: DRV-BASIC-021 DRV-BASIC-027; hostile: B41 */
	error = advance(dev, vio_dev_is_legacy(dev) ? 0 : VIRTIO_CONFIG_S_FEATURES_OK, -VIO_ENOTSUP);
	if (!error)
		dev->phase = VIO_DEV_ACCEPTED; /* spec: DRV-BASIC-023 */
	return error;
}

int vio_dev_ready(struct vio_dev *dev)
{
	int error;

	if (dev->phase != VIO_DEV_ACCEPTED)
		return -VIO_EPHASE;
	error = advance(dev, VIRTIO_CONFIG_S_DRIVER_OK, -VIO_EPEER);
	if (error)
		return error;
	dev->phase = VIO_DEV_READY;
	vio_dev_kick_late(dev);
	return 0;
}

/* Waits until the device shows `set` and not `clear`; what doesn't come to that is given up. */
static int await_status(struct vio_dev *dev, uint8_t set, uint8_t clear)
{
	uint64_t since = dev->platform->now_ns(dev->platform->context);
	int seen;

	do {
		seen = look(dev);
		if (seen < 0)
			return seen;
		if (seen & VIRTIO_CONFIG_S_NEEDS_RESET)
			return vio_dev_fail(dev, -VIO_EPEER);
		if ((seen & set) == set && !(seen & clear))
			return 0;
	} while (vio_dev_nap(dev, since));
	return vio_dev_fail(dev, -VIO_EAGAIN);
}

int vio_dev_suspend(struct vio_dev *dev)
{
	int error;

	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (!vio_dev_has_feature(dev, VIRTIO_F_SUSPEND)) /* spec: DRV-BASIC-030 */
		return -VIO_ENOTSUP;
	/* spec: DRV-BASIC-033 DRV-BASIC-034, before the device hears of it. */
	vio_dev_hold_queues(dev);
	dev->phase = VIO_DEV_SUSPENDED;
	error = add_status(dev, VIRTIO_CONFIG_S_SUSPEND);
	if (!error) /* spec: DRV-BASIC-031 */
		error = await_status(dev, VIRTIO_CONFIG_S_SUSPEND, VIRTIO_CONFIG_S_DRIVER_OK);
	if (!error) /* it was the device that took it back */
		dev->status &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	return error;
}

int vio_dev_resume(struct vio_dev *dev)
{
	uint16_t queue;
	int error;

	if (dev->phase != VIO_DEV_SUSPENDED)
		return -VIO_EPHASE;
	error = add_status(dev, VIRTIO_CONFIG_S_DRIVER_OK);
	if (!error) /* spec: DRV-BASIC-035 */
		error = await_status(dev, VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_SUSPEND);
	if (error)
		return error;
	dev->status &= (uint8_t)~VIRTIO_CONFIG_S_SUSPEND;
	vio_dev_let_go_queues(dev);
	dev->phase = VIO_DEV_READY;
	vio_dev_kick_late(dev);
	/* What it finished before it stood still; `used` may reset the device, which ends the loop's work. */
	for (queue = 0; queue < dev->queue_max; queue++)
		vio_dev_interrupt_queue(dev, queue);
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

bool vio_dev_stuck(struct vio_dev *dev)
{
	if (dev->phase != VIO_DEV_STUCK)
		return false;
	if (!look(dev))
		dev->phase = VIO_DEV_RESET;
	return dev->phase == VIO_DEV_STUCK && vio_dev_holds_memory(dev);
}

int vio_dev_end(struct vio_dev *dev)
{
	if (dev->phase == VIO_DEV_BEGUN || dev->phase == VIO_DEV_ACCEPTED)
		vio_dev_fail(dev, 0);
	if (dev->phase == VIO_DEV_READY || dev->phase == VIO_DEV_SUSPENDED || dev->phase == VIO_DEV_FAILED)
		(void)reset(dev);
	if (vio_dev_stuck(dev))
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
	const struct vio_dev_queue *queue = dev->queues;
	unsigned left;

	if (dev->phase == VIO_DEV_FOUND || dev->phase == VIO_DEV_RESET)
		return false;
	/* spec: DRV-BASIC-004; hostile: B37 B45, in the status of a device that is gone it stands, too. */
	if (dev->phase >= VIO_DEV_FAILED || (dev->transport->get_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET))
		return true;
	if (dev->phase == VIO_DEV_SUSPENDED)
		return false;
	for (left = dev->queue_max; left; left--, queue++)
		if (queue->enabled && vio_drvq_broken(&queue->q))
			return true;
	return false;
}
