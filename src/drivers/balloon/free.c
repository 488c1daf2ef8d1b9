/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/balloon/balloon.h"

/* What the device is told beside the balloon itself: statistics, free pages. */

VIO_STATIC_ASSERT(sizeof(struct virtio_balloon_stat) == 10, "a statistic has holes");

#define TURNS_MAX 16u

/* Statistics. */

void vio_balloon_unshare_stats(struct vio_dev *dev)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);

	dev->platform->unshare(dev->platform->context, balloon->wire,
			       balloon->stat_count * sizeof(balloon->wire[0]), VIO_MEM_READ,
			       balloon->wire_addr);
	balloon->stats_lent = false;
}

/* spec: DRV-BALLOON-016 DRV-BALLOON-018: false when the tags aren't those of the first time */
static bool gather(struct vio_dev *dev, struct vio_balloon *balloon)
{
	struct vio_balloon_stat stats[VIO_BALLOON_STATS_MAX];
	unsigned i, count = balloon->options.stats(dev, stats);
	bool first = !balloon->stat_count;

	if (!count || count > VIO_BALLOON_STATS_MAX || (!first && count != balloon->stat_count))
		return false;
	for (i = 0; i < count; i++) {
		vio_le64 value = vio_le64_make(stats[i].value);

		if (!first && vio_le16_get(balloon->wire[i].tag) != stats[i].tag)
			return false;
		balloon->wire[i].tag = vio_le16_make(stats[i].tag);
		memcpy(balloon->wire[i].val, &value, sizeof(value));
	}
	balloon->stat_count = count;
	return true;
}

int vio_balloon_lend_stats(struct vio_dev *dev)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	struct vio_sg sg;
	int error;

	if (!gather(dev, balloon))
		return -VIO_EINVAL;
	sg.length = balloon->stat_count * (uint32_t)sizeof(balloon->wire[0]);
	error = dev->platform->share(dev->platform->context, balloon->wire, sg.length, VIO_MEM_READ,
				     &sg.addr);
	if (error)
		return error;
	balloon->wire_addr = sg.addr;
	balloon->stats_lent = true;
	error = vio_drvq_add(balloon->stats, &sg, 1, 0, balloon->wire);
	if (error)
		vio_balloon_unshare_stats(dev);
	else
		vio_drvq_kick(balloon->stats);
	return error;
}

int vio_balloon_poll(struct vio_dev *dev)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	unsigned turns = TURNS_MAX;
	int error = 0;

	if (!balloon)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	/* spec: DRV-BALLOON-013 DRV-BALLOON-015; ends, however fast the device asks */
	while (balloon->stats && !error && turns-- && vio_drvq_get(balloon->stats, NULL)) {
		vio_balloon_unshare_stats(dev);
		error = vio_balloon_lend_stats(dev);
	}
	return !error && vio_dev_broken(dev) ? -VIO_EPEER : error;
}

/* Reports. */

int vio_balloon_report(struct vio_dev *dev, const struct vio_part *blocks, unsigned count)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	unsigned i;

	if (!balloon || count > VIO_EXCHANGE_PARTS_MAX)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (!balloon->reporting)
		return -VIO_ENOTSUP;
	/* spec: DRV-BALLOON-032; without poison they stay as they are: DRV-BALLOON-031 DRV-BALLOON-035 */
	for (i = 0; i < count && balloon->options.poisoned; i++)
		vio_balloon_fill(blocks[i].host, blocks[i].length, balloon->options.poison);
	/* spec: DRV-BALLOON-033 DRV-BALLOON-034 */
	return vio_balloon_exchange(dev, balloon->reporting, blocks, 0, count);
}

/* Hints. */

static int wanted_command(struct vio_dev *dev, uint32_t *id)
{
	return vio_balloon_read(dev, (uint32_t)offsetof(struct virtio_balloon_config, free_page_hint_cmd_id),
				id);
}

/* spec: DRV-BALLOON-019 */
static int say(struct vio_dev *dev, struct vio_balloon *balloon, uint32_t id)
{
	const struct vio_part part = { &balloon->command, sizeof(balloon->command) };

	balloon->command = vio_le32_make(id);
	return vio_balloon_exchange(dev, balloon->free_page, &part, 1, 0);
}

/* With the id that the device wants hints for now. */
static int judge(struct vio_dev *dev, uint32_t *id)
{
	const struct vio_balloon *balloon = vio_balloon_of(dev);

	if (!balloon)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	return balloon->free_page ? wanted_command(dev, id) : -VIO_ENOTSUP;
}

int vio_balloon_hint_begin(struct vio_dev *dev)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	uint32_t id;
	int error = judge(dev, &id);

	if (error)
		return error;
	if (balloon->hinting)
		return -VIO_EPHASE;
	/* spec: DRV-BALLOON-021 DRV-BALLOON-023 */
	if (id <= VIRTIO_BALLOON_CMD_ID_DONE || id == balloon->hinted)
		return -VIO_EAGAIN;
	error = say(dev, balloon, id); /* spec: DRV-BALLOON-020 */
	if (error)
		return error;
	balloon->hinting = balloon->hinted = id;
	return 0;
}

int vio_balloon_hint(struct vio_dev *dev, void *block, uint32_t bytes)
{
	const struct vio_part part = { block, bytes };
	uint32_t id;
	int error = judge(dev, &id);

	if (error)
		return error;
	if (!vio_balloon_of(dev)->hinting)
		return -VIO_EPHASE;
	if (id != vio_balloon_of(dev)->hinting) /* spec: DRV-BALLOON-023 */
		return -VIO_EAGAIN;
	/* spec: DRV-BALLOON-022 */
	return vio_balloon_exchange(dev, vio_balloon_of(dev)->free_page, &part, 0, 1);
}

int vio_balloon_hint_end(struct vio_dev *dev)
{
	struct vio_balloon *balloon = vio_balloon_of(dev);
	uint32_t id;
	int error = judge(dev, &id);

	if (error)
		return error;
	if (!balloon->hinting)
		return -VIO_EPHASE;
	balloon->hinting = 0;
	return say(dev, balloon, VIRTIO_BALLOON_CMD_ID_STOP); /* spec: DRV-BALLOON-024 */
}

int vio_balloon_hint_release(struct vio_dev *dev, void *block, uint32_t bytes)
{
	const struct vio_balloon *balloon = vio_balloon_of(dev);
	uint32_t id;

	if (!balloon)
		return -VIO_EINVAL;
	/* spec: DRV-BALLOON-025 DRV-BALLOON-026 DRV-BALLOON-027; who can't be asked may not be done */
	if (judge(dev, &id) || id != VIRTIO_BALLOON_CMD_ID_DONE)
		vio_balloon_fill(block, bytes, balloon->options.poisoned ? balloon->options.poison : 0);
	return 0;
}
