/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/balloon/balloon.h"

#include <string.h>

#define AT(field) ((uint32_t)offsetof(struct virtio_balloon_config, field))

VIO_STATIC_ASSERT(sizeof(struct virtio_balloon_config) == 16, "the configuration has holes");
VIO_STATIC_ASSERT(1u << VIRTIO_BALLOON_PFN_SHIFT == VIO_BALLOON_PAGE_BYTES, "pages have one size");

int vio_balloon_read(struct vio_dev *dev, uint32_t offset, uint32_t *value)
{
	vio_le32 wire;
	int error = vio_dev_read_config(dev, offset, &wire, sizeof(wire));

	if (!error)
		*value = vio_le32_get(wire);
	return error;
}

/* In one access. spec: DRV-BALLOON-012 */
static int write_config(struct vio_dev *dev, uint32_t offset, uint32_t value)
{
	vio_le32 wire = vio_le32_make(value);

	return vio_dev_write_config(dev, offset, &wire, sizeof(wire));
}

int vio_balloon_exchange(struct vio_dev *dev, struct vio_drvq *q, const struct vio_part *parts,
			 unsigned readable, unsigned writable)
{
	int error =
		vio_dev_exchange(dev, q, parts, readable, writable, NULL, vio_balloon_of(dev)->timeout_ns);

	if (error && dev->phase != VIO_DEV_READY)
		vio_balloon_stop(dev);
	return error;
}

void vio_balloon_fill(void *block, uint32_t bytes, uint32_t word)
{
	uint8_t *at = block;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word))
		memcpy(at, &word, sizeof(word));
}

/* Pages that go and come. */

static bool fit(const struct vio_shared *pages, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (pages[i].addr.raw % VIO_BALLOON_PAGE_BYTES ||
		    (uintptr_t)pages[i].host % VIO_BALLOON_PAGE_BYTES ||
		    pages[i].addr.raw >> VIRTIO_BALLOON_PFN_SHIFT > UINT32_MAX)
			return false;
	return true;
}

/* Tells the device of up to VIO_BALLOON_BATCH pages and waits until it has heard. */
static int tell(struct vio_dev *dev, struct vio_drvq *q, const struct vio_shared *pages, uint32_t count)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	const struct vio_part part = { balloon->pages, count * (uint32_t)sizeof(balloon->pages[0]) };
	uint32_t i;

	for (i = 0; i < count; i++)
		balloon->pages[i] = vio_le32_make((uint32_t)(pages[i].addr.raw >> VIRTIO_BALLOON_PFN_SHIFT));
	return vio_balloon_exchange(dev, q, &part, 1, 0);
}

static int count_anew(struct vio_dev *dev, uint32_t actual)
{
	vio_balloon_of(dev)->actual = actual;
	return write_config(dev, AT(actual), actual); /* spec: DRV-BALLOON-010 */
}

static uint32_t batch(uint32_t left)
{
	return left < VIO_BALLOON_BATCH ? left : VIO_BALLOON_BATCH;
}

static int judge(const struct vio_dev *dev, const struct vio_shared *pages, uint32_t count)
{
	if (!vio_balloon_of(dev) || !fit(pages, count))
		return -VIO_EINVAL;
	return dev->phase == VIO_DEV_READY ? 0 : -VIO_EPHASE;
}

int vio_balloon_inflate(struct vio_dev *dev, const struct vio_shared *pages, uint32_t count, uint32_t *done)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	int error = judge(dev, pages, count);

	*done = 0;
	if (error)
		return error;
	/* spec: DRV-BALLOON-004 */
	if (balloon->target < balloon->actual || balloon->target - balloon->actual < count)
		return -VIO_ERANGE;
	while (!error && *done < count) {
		uint32_t now = batch(count - *done);

		/* spec: DRV-BALLOON-008 DRV-BALLOON-009: nothing else happens before the device has heard */
		error = tell(dev, balloon->inflate, pages + *done, now);
		if (error)
			break;
		*done += now;
		error = count_anew(dev, balloon->actual + now);
	}
	return error;
}

int vio_balloon_deflate(struct vio_dev *dev, const struct vio_shared *pages, uint32_t count, uint32_t *done)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	int error = judge(dev, pages, count);
	uint32_t i;

	*done = 0;
	if (error)
		return error;
	if (count > balloon->actual)
		return -VIO_EINVAL;
	/* spec: DRV-BALLOON-005 */
	if (count && balloon->actual - count < balloon->target &&
	    !vio_dev_has_feature(dev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
		return -VIO_EACCES;
	while (!error && *done < count) {
		uint32_t now = batch(count - *done);

		/* spec: DRV-BALLOON-006 DRV-BALLOON-007 */
		error = tell(dev, balloon->deflate, pages + *done, now);
		if (error)
			break;
		for (i = *done; balloon->options.poisoned && i < *done + now; i++) /* spec: DRV-BALLOON-028 */
			vio_balloon_fill(pages[i].host, VIO_BALLOON_PAGE_BYTES, balloon->options.poison);
		*done += now;
		error = count_anew(dev, balloon->actual - now);
	}
	return error;
}

/* Life. */

int vio_balloon_stop(struct vio_dev *dev)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	int error;

	if (!balloon)
		return -VIO_EINVAL;
	error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);
	if (error && error != -VIO_EHANGUP)
		return error;
	if (balloon->stats_lent)
		vio_balloon_unshare_stats(dev);
	balloon->actual = 0;
	balloon->hinting = 0;
	balloon->hinted = 0;
	return error;
}

static void stats_used(struct vio_dev *dev, struct vio_drvq *q)
{
	const struct vio_balloon *balloon = vio_balloon_of(dev);

	if (vio_balloon_poll(dev) && balloon->changed)
		balloon->changed(dev);
}

/* The reporting queue has its number from the standard, and from implementations that close up gaps. */
static int add_reporting(struct vio_dev *dev, struct vio_balloon *balloon)
{
	const struct vio_queue_wish waited_for = { .size = VIO_EXCHANGE_PARTS_MAX };
	int error = vio_dev_add_queue(dev, VIRTIO_BALLOON_REPORTINGQ, &waited_for, &balloon->reporting);

	if (error == -VIO_ENOENT && !balloon->free_page)
		error = vio_dev_add_queue(dev, VIRTIO_BALLOON_FREE_PAGEQ, &waited_for, &balloon->reporting);
	return error;
}

static int add_queues(struct vio_dev *dev, struct vio_balloon *balloon)
{
	const struct vio_queue_wish waited_for = { .size = 2 };
	const struct vio_queue_wish heard = { .size = 2, .used = stats_used };
	int error = vio_dev_add_queue(dev, VIRTIO_BALLOON_INFLATEQ, &waited_for, &balloon->inflate);

	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_BALLOON_DEFLATEQ, &waited_for, &balloon->deflate);
	if (!error && vio_dev_has_feature(dev, VIRTIO_BALLOON_F_STATS_VQ))
		error = vio_dev_add_queue(dev, VIRTIO_BALLOON_STATSQ, &heard, &balloon->stats);
	if (!error && vio_dev_has_feature(dev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		error = vio_dev_add_queue(dev, VIRTIO_BALLOON_FREE_PAGEQ, &waited_for, &balloon->free_page);
	if (!error && vio_dev_has_feature(dev, VIRTIO_BALLOON_F_PAGE_REPORTING))
		error = add_reporting(dev, balloon);
	if (error)
		return error;
	if (balloon->stats) /* QEMU says how much it read */
		balloon->stats->lengths_ignored = true;
	return 0;
}

static struct vio_features wishes(const struct vio_dev *dev, const struct vio_balloon_options *options)
{
	static const int poisoned[] = { VIRTIO_BALLOON_F_PAGE_POISON, -1 };
	struct vio_features wanted = vio_dev_ring_features();

	vio_features_set(&wanted, VIRTIO_BALLOON_F_MUST_TELL_HOST); /* spec: DRV-BALLOON-001 */
	vio_features_set(&wanted, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	vio_features_set(&wanted, VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	vio_features_set(&wanted, VIRTIO_BALLOON_F_PAGE_REPORTING);
	if (options->stats)
		vio_features_set(&wanted, VIRTIO_BALLOON_F_STATS_VQ);
	if (options->poisoned && vio_features_has(&dev->offered, VIRTIO_BALLOON_F_PAGE_POISON))
		vio_features_set(&wanted, VIRTIO_BALLOON_F_PAGE_POISON); /* spec: DRV-BALLOON-002 */
	if (options->poisoned)                                           /* spec: DRV-BALLOON-003 */
		vio_features_require(&wanted, VIRTIO_BALLOON_F_PAGE_REPORTING, poisoned);
	return wanted;
}

static int begin(struct vio_dev *dev, struct vio_balloon *balloon)
{
	struct vio_features wanted;
	int error = vio_dev_begin(dev, balloon->queues, (uint16_t)VIO_ARRAY_SIZE(balloon->queues));

	if (error)
		return error;
	wanted = wishes(dev, &balloon->options);
	error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = add_queues(dev, balloon);
	/* spec: DRV-BALLOON-029 DRV-BALLOON-030 */
	if (!error && vio_dev_has_feature(dev, VIRTIO_BALLOON_F_PAGE_POISON))
		error = write_config(dev, AT(poison_val), balloon->options.poison);
	if (!error)
		error = vio_dev_ready(dev);
	if (!error)
		error = vio_balloon_read(dev, AT(num_pages), &balloon->target);
	if (!error)
		error = count_anew(dev, 0);
	if (!error && balloon->stats) /* spec: DRV-BALLOON-014 */
		error = vio_balloon_lend_stats(dev);
	return error;
}

int vio_balloon_start(struct vio_dev *dev, const struct vio_balloon_options *options)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	int error = vio_balloon_stop(dev);

	if (error)
		return error;
	if (options)
		balloon->options = *options;
	balloon->inflate = balloon->deflate = balloon->stats = balloon->free_page = balloon->reporting = NULL;
	balloon->stat_count = 0;
	error = begin(dev, balloon);
	if (error)
		vio_balloon_stop(dev);
	return error;
}

static int balloon_probe(struct vio_dev *dev)
{
	struct vio_balloon *balloon = dev->driver_state;

	balloon->timeout_ns = VIO_BALLOON_TIMEOUT_NS;
	return vio_balloon_start(dev, NULL);
}

static void balloon_remove(struct vio_dev *dev)
{
	vio_balloon_stop(dev);
}

static void balloon_config_changed(struct vio_dev *dev)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);

	(void)vio_balloon_read(dev, AT(num_pages), &balloon->target); /* else it stays as it was */
	if (balloon->changed)
		balloon->changed(dev);
}

const struct vio_driver vio_balloon_driver = {
	.name = "balloon",
	.ids = (const uint32_t[]){ VIRTIO_ID_BALLOON, 0 },
	.state_bytes = sizeof(struct vio_balloon),
	.probe = balloon_probe,
	.remove = balloon_remove,
	.config_changed = balloon_config_changed,
};
