/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/drivers/balloon.h>

#include "drivers/liar.h"

/* The balloon's driver against a device that does what the test says, over every transport. */

#define BIT(bit) (UINT64_C(1) << (bit))
#define PAGES    600u
#define LOG      8u

/* What free_page_vq and reporting_vq saw: elements that the device may write, or a command's id. */
struct block_seen {
	uint64_t readable_bytes, writable_bytes;
	unsigned writable_count;
	uint32_t command;
};

struct balloon_device {
	uint64_t features;
	uint32_t num_pages, actual, command, poison;
	unsigned actual_writes, poison_writes, poison_late;
	uint8_t in[PAGES]; /* by number of the page */
	unsigned requests, wrong;
	uint32_t actual_at_request; /* as the device knew it when the last request came */
	bool deaf, boasts, gap;     /* boasts: says how much it read; gap: queue 4 isn't there, 3 reports */
	struct vio_buf parked;
	bool has_parked;
	unsigned stats_seen;
	uint8_t stats[256];
	uint64_t stats_bytes;
	struct block_seen seen[LOG];
	unsigned seen_count;
};

static struct balloon_device *device_of(struct vio_device *device)
{
	return vio_device_state(device);
}

static void take_pages(struct balloon_device *balloon, struct vio_devq *q)
{
	bool in = q->index == VIRTIO_BALLOON_INFLATEQ;
	struct vio_buf buf;
	vio_le32 number;

	while (!balloon->deaf && vio_devq_pop(q, &buf)) {
		balloon->requests++;
		balloon->actual_at_request = balloon->actual;
		balloon->wrong += buf.writable_bytes != 0 || buf.readable_bytes % 4;
		while (vio_read(&buf, &number, 4) == 4) {
			uint32_t page = vio_le32_get(number);

			assert_true(page < PAGES);
			balloon->wrong += balloon->in[page] == in;
			balloon->in[page] = in;
		}
		if (balloon->boasts) {
			liar_use(q, 0, buf.head, 100);
			liar_advance(q, 1);
			q->interrupt(q->interrupt_context, q);
		} else {
			vio_devq_push(q, &buf, 0);
		}
	}
}

/* spec: DRV-BALLOON-013: never two */
static void park_stats(struct balloon_device *balloon, struct vio_devq *q)
{
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		balloon->wrong += balloon->has_parked || buf.writable_bytes;
		balloon->parked = buf;
		balloon->has_parked = true;
		balloon->stats_bytes = buf.readable_bytes;
		vio_read(&buf, balloon->stats, sizeof(balloon->stats));
		balloon->stats_seen++;
	}
}

static void see_blocks(struct balloon_device *balloon, struct vio_devq *q)
{
	struct vio_buf buf;

	while (!balloon->deaf && vio_devq_pop(q, &buf)) {
		struct block_seen *seen = &balloon->seen[balloon->seen_count++ % LOG];
		vio_le32 word = vio_le32_make(0);

		memset(seen, 0, sizeof(*seen));
		seen->readable_bytes = buf.readable_bytes;
		seen->writable_bytes = buf.writable_bytes;
		seen->writable_count = buf.writable_count;
		if (buf.readable_bytes) {
			vio_read(&buf, &word, 4);
			seen->command = vio_le32_get(word);
		}
		vio_devq_push(q, &buf, 0);
	}
}

static void kick(struct vio_device *device, struct vio_devq *q)
{
	struct balloon_device *balloon = device_of(device);

	if (q->index <= VIRTIO_BALLOON_DEFLATEQ)
		take_pages(balloon, q);
	else if (q->index == VIRTIO_BALLOON_STATSQ)
		park_stats(balloon, q);
	else
		see_blocks(balloon, q);
	vio_devq_notify(q);
}

static int realize(struct vio_device *device)
{
	device->queue_count = device_of(device)->gap ? 4 : 5;
	return 0;
}

static void get_features(struct vio_device *device, struct vio_features *offer)
{
	*offer = vio_features_or(*offer, vio_features_low(device_of(device)->features));
}

static void get_config(struct vio_device *device, void *config)
{
	const struct balloon_device *balloon = device_of(device);
	const struct virtio_balloon_config wire = {
		.num_pages = vio_le32_make(balloon->num_pages),
		.actual = vio_le32_make(balloon->actual),
		.free_page_hint_cmd_id = vio_le32_make(balloon->command),
		.poison_val = vio_le32_make(balloon->poison),
	};

	memcpy(config, &wire, sizeof(wire));
}

/* spec: DRV-BALLOON-012: four bytes at once, or none */
static void set_config(struct vio_device *device, const void *config, uint32_t offset, uint32_t length)
{
	struct balloon_device *balloon = device_of(device);
	struct virtio_balloon_config wire;

	memcpy(&wire, config, sizeof(wire));
	balloon->wrong += length != 4 || (offset != 4 && offset != 12);
	if (offset == 4) {
		balloon->actual = vio_le32_get(wire.actual);
		balloon->actual_writes++;
	} else {
		balloon->poison = vio_le32_get(wire.poison_val);
		balloon->poison_writes++;
		balloon->poison_late += !!(device->status & VIRTIO_CONFIG_S_DRIVER_OK);
	}
}

static const struct vio_device_class balloon_class = {
	.name = "balloon",
	.summary = "does what a test says",
	.id = VIRTIO_ID_BALLOON,
	.queue_count = 5,
	.queue_size = 64,
	.state_bytes = sizeof(struct balloon_device),
	.config_bytes = sizeof(struct virtio_balloon_config),
	.realize = realize,
	.get_features = get_features,
	.get_config = get_config,
	.set_config = set_config,
	.kick = kick,
};

static void furnish(struct vio_device *device, void *context)
{
	*device_of(device) = *(const struct balloon_device *)context;
}

static void each_like(struct balloon_device is, void (*body)(struct rig *rig))
{
	const struct rig_options options = { .class = &balloon_class, .furnish = furnish, .context = &is };

	rig_each(&options, body);
}

static void each(uint64_t features, void (*body)(struct rig *rig))
{
	each_like((struct balloon_device){ .features = features }, body);
}

static struct vio_balloon *driver_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

/* Pages whose numbers are first.., and whose memory is `memory`. */
static uint8_t memory[PAGES][VIO_BALLOON_PAGE_BYTES] __attribute__((aligned(4096)));
static struct vio_shared pages[PAGES + 1]; /* the last one isn't there */

static void make_pages(void)
{
	memset(memory, 0x11, sizeof(memory));
	for (unsigned i = 0; i < PAGES; i++) {
		pages[i].host = memory[i];
		pages[i].addr = vio_addr_make((uint64_t)i * VIO_BALLOON_PAGE_BYTES);
	}
}

static void want(struct rig *rig, uint32_t num_pages)
{
	device_of(&rig->device)->num_pages = num_pages;
	vio_device_config_changed(&rig->device);
	rig_run(rig);
}

static unsigned count_in(struct rig *rig)
{
	unsigned count = 0;

	for (unsigned i = 0; i < PAGES; i++)
		count += device_of(&rig->device)->in[i];
	return count;
}

static void assert_at_rest(struct rig *rig)
{
	assert_int_equal(rig->device.fault_count, 0);
	assert_int_equal(device_of(&rig->device)->wrong, 0);
	assert_false(vio_dev_broken(&rig->dev));
}

static void on_changed(struct vio_dev *dev)
{
	++*(unsigned *)dev->owner;
}

static void sizes_body(struct rig *rig)
{
	struct balloon_device *device = device_of(&rig->device);
	unsigned changes = 0;
	uint32_t done;

	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 1, &done), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	assert_int_equal(device->actual_writes, 1);
	rig->dev.owner = &changes;
	driver_of(rig)->changed = on_changed;
	/* spec: DRV-BALLOON-004 */
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 1, &done), -VIO_ERANGE);
	want(rig, 600);
	assert_int_equal(changes, 1);
	assert_int_equal(driver_of(rig)->target, 600); /* spec: BOTH-BALLOON-001 */
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 600, &done), 0);
	assert_int_equal(done, 600);
	assert_int_equal(count_in(rig), 600);
	assert_int_equal(device->requests, 3); /* 256 in each at most */
	/* spec: DRV-BALLOON-010: after the request, not before */
	assert_int_equal(device->actual, 600);
	assert_int_equal(device->actual_at_request, 512);
	/* spec: DRV-BALLOON-005: the device wants to keep them */
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages, 1, &done), -VIO_EACCES);
	assert_int_equal(done, 0);
	want(rig, 100);
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages, 501, &done), -VIO_EACCES);
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages, 601, &done), -VIO_EINVAL);
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages, 500, &done), 0); /* spec: DRV-BALLOON-006 */
	assert_int_equal(done, 500);
	assert_int_equal(count_in(rig), 100);
	assert_int_equal(device->actual, 100);
	assert_int_equal(driver_of(rig)->actual, 100);
	assert_int_equal(memory[7][5], 0x11); /* nobody asked for poison: DRV-BALLOON-002 */
	assert_false(vio_dev_has_feature(&rig->dev, VIRTIO_BALLOON_F_PAGE_POISON));
	assert_int_equal(vio_balloon_report(&rig->dev, NULL, 0), -VIO_ENOTSUP);
	assert_int_equal(vio_balloon_hint_begin(&rig->dev), -VIO_ENOTSUP);
	assert_int_equal(vio_balloon_poll(&rig->dev), 0);
	assert_at_rest(rig);
}

static void grows_and_shrinks(void **state)
{
	each(BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST) | BIT(VIRTIO_BALLOON_F_PAGE_POISON), sizes_body);
	each(0, sizes_body);
}

static void oom_body(struct rig *rig)
{
	uint32_t done;

	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	/* spec: DRV-BALLOON-001 */
	assert_true(vio_dev_has_feature(&rig->dev, VIRTIO_BALLOON_F_MUST_TELL_HOST));
	want(rig, 10);
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 10, &done), 0);
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages, 10, &done), 0);
	assert_int_equal(count_in(rig), 0);
	assert_int_equal(device_of(&rig->device)->actual, 0);
	assert_at_rest(rig);
}

static void shrinks_in_need(void **state)
{
	each(BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST), oom_body);
}

static void refuse_body(struct rig *rig)
{
	struct vio_shared odd = pages[1], far = pages[2], askew = pages[3];
	uint32_t done;

	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	want(rig, 10);
	odd.addr.raw += 512;
	far.addr.raw = UINT64_C(1) << 44;
	askew.host = (uint8_t *)askew.host + 8;
	assert_int_equal(vio_balloon_inflate(&rig->dev, &odd, 1, &done), -VIO_EINVAL);
	assert_int_equal(vio_balloon_inflate(&rig->dev, &far, 1, &done), -VIO_EINVAL);
	assert_int_equal(vio_balloon_inflate(&rig->dev, &askew, 1, &done), -VIO_EINVAL);
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 11, &done), -VIO_ERANGE);
	assert_int_equal(device_of(&rig->device)->requests, 0);
	/* Nobody answers: reset, and all pages are here again. */
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 5, &done), 0);
	device_of(&rig->device)->deaf = true;
	driver_of(rig)->timeout_ns = 1000000;
	/* spec: DRV-BALLOON-008 DRV-BALLOON-009 */
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages + 5, 5, &done), -VIO_EAGAIN);
	assert_int_equal(done, 0);
	assert_int_equal(driver_of(rig)->actual, 0);
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages, 1, &done), -VIO_EPHASE);
	assert_int_equal(vio_balloon_poll(&rig->dev), -VIO_EPHASE);
	device_of(&rig->device)->deaf = false;
	memset(device_of(&rig->device)->in, 0, PAGES);
	assert_int_equal(vio_balloon_start(&rig->dev, NULL), 0);
	assert_int_equal(device_of(&rig->device)->actual, 0);
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 10, &done), 0);
	want(rig, 0);
	device_of(&rig->device)->deaf = true;
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages, 10, &done), -VIO_EAGAIN);
	assert_int_equal(done, 0); /* spec: DRV-BALLOON-007 */
	assert_int_equal(vio_balloon_stop(&rig->dev), 0);
	if (rig->transport->pull_out) {
		rig->transport->pull_out(rig);
		assert_int_equal(vio_balloon_start(&rig->dev, NULL), -VIO_EHANGUP);
	}
}

static void refuses_bad_pages(void **state)
{
	each(0, refuse_body);
}

static unsigned count_of_stats, first_tag;

static unsigned give_stats(struct vio_dev *dev, struct vio_balloon_stat *stats)
{
	static const uint64_t big = UINT64_C(0x1122334455667788);

	for (unsigned i = 0; i < count_of_stats && i < VIO_BALLOON_STATS_MAX; i++)
		stats[i] = (struct vio_balloon_stat){ (uint16_t)(first_tag + i), big + i };
	return count_of_stats;
}

static void ask_for_stats(struct rig *rig)
{
	struct balloon_device *device = device_of(&rig->device);
	struct vio_devq *q = &rig->device.queues[VIRTIO_BALLOON_STATSQ];

	assert_true(device->has_parked);
	device->has_parked = false;
	vio_devq_push(q, &device->parked, 0);
	vio_devq_notify(q);
	rig_run(rig);
}

static void stats_body(struct rig *rig)
{
	const struct vio_balloon_options options = { .stats = give_stats };
	struct balloon_device *device = device_of(&rig->device);
	unsigned changes = 0;

	count_of_stats = 6;
	first_tag = VIRTIO_BALLOON_S_SWAP_IN;
	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	assert_int_equal(device->stats_seen, 0); /* not asked for, not negotiated */
	assert_int_equal(vio_balloon_start(&rig->dev, &options), 0);
	rig_run(rig);
	assert_int_equal(device->stats_seen, 1); /* spec: DRV-BALLOON-014 */
	/* spec: DRV-BALLOON-016 */
	assert_int_equal(device->stats_bytes, 60);
	assert_int_equal(device->stats[50], 5);
	assert_int_equal(device->stats[52], 0x8d);
	assert_int_equal(device->stats[59], 0x11);
	for (unsigned i = 2; i < 20; i++) { /* spec: DRV-BALLOON-015 */
		ask_for_stats(rig);
		assert_int_equal(device->stats_seen, i);
		assert_int_equal(device->stats_bytes, 60);
	}
	assert_at_rest(rig);
	/* spec: DRV-BALLOON-018: others than at first aren't handed on */
	rig->dev.owner = &changes;
	driver_of(rig)->changed = on_changed;
	first_tag = 1;
	ask_for_stats(rig);
	assert_int_equal(device->stats_seen, 19);
	assert_int_equal(changes, 1);
	count_of_stats = VIO_BALLOON_STATS_MAX + 1;
	assert_int_equal(vio_balloon_start(&rig->dev, &options), -VIO_EINVAL);
	count_of_stats = 0;
	assert_int_equal(vio_balloon_start(&rig->dev, &options), -VIO_EINVAL);
}

static void tells_statistics(void **state)
{
	each(BIT(VIRTIO_BALLOON_F_STATS_VQ), stats_body);
}

static unsigned looked_at;
static int (*share)(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr);

/* spec: DRV-BALLOON-032: when the device is told of a block, it holds the value already */
static int look_and_share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	for (size_t i = 0; rights == VIO_MEM_WRITE && i < length / 4; i++)
		assert_int_equal(((const uint32_t *)host)[i], 0xaabbccdd);
	looked_at += rights == VIO_MEM_WRITE;
	return share(context, host, length, rights, addr);
}

static void poison_body(struct rig *rig)
{
	const struct vio_balloon_options options = { .poisoned = true, .poison = 0xaabbccdd };
	struct balloon_device *device = device_of(&rig->device);
	struct vio_part blocks[VIO_EXCHANGE_PARTS_MAX + 1];
	uint32_t done;

	share = rig->platform.platform.share;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(blocks); i++)
		blocks[i] = (struct vio_part){ memory[10 * i], 8192 };
	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	assert_int_equal(device->poison_writes, 0);
	/* spec: DRV-BALLOON-031 DRV-BALLOON-035: the driver writes nothing there */
	assert_int_equal(vio_balloon_report(&rig->dev, blocks, 2), 0);
	assert_int_equal(memory[0][0], TEST_PLATFORM_POISON);
	assert_int_equal(device->seen_count, 1);
	assert_int_equal(device->seen[0].writable_bytes, 16384); /* spec: DRV-BALLOON-034 */
	assert_int_equal(device->seen[0].readable_bytes, 0);
	assert_int_equal(vio_balloon_start(&rig->dev, &options), 0);
	/* spec: DRV-BALLOON-029 DRV-BALLOON-030 */
	assert_int_equal(device->poison_writes, 1);
	assert_int_equal(device->poison_late, 0);
	assert_int_equal(device->poison, 0xaabbccdd);
	want(rig, 3);
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 3, &done), 0);
	want(rig, 1);
	memset(memory[1], 0, VIO_BALLOON_PAGE_BYTES);
	assert_int_equal(vio_balloon_deflate(&rig->dev, pages + 1, 2, &done), 0);
	/* spec: DRV-BALLOON-028 */
	for (unsigned i = 0; i < 2 * VIO_BALLOON_PAGE_BYTES / 4; i++)
		assert_int_equal(((uint32_t *)(void *)memory[1])[i], 0xaabbccdd);
	rig->platform.platform.share = look_and_share;
	looked_at = 0;
	assert_int_equal(vio_balloon_report(&rig->dev, blocks, VIO_EXCHANGE_PARTS_MAX), 0);
	assert_int_equal(looked_at, VIO_EXCHANGE_PARTS_MAX);
	assert_int_equal(vio_balloon_report(&rig->dev, blocks, VIO_EXCHANGE_PARTS_MAX + 1), -VIO_EINVAL);
	assert_int_equal(device->seen[1].writable_bytes, 8192 * VIO_EXCHANGE_PARTS_MAX);
	/* spec: DRV-BALLOON-033: it waits for the device */
	device->deaf = true;
	driver_of(rig)->timeout_ns = 1000000;
	assert_int_equal(vio_balloon_report(&rig->dev, blocks, 1), -VIO_EAGAIN);
	assert_int_equal(device->wrong, 0);
}

static void fills_with_poison(void **state)
{
	const uint64_t features = BIT(VIRTIO_BALLOON_F_PAGE_POISON) | BIT(VIRTIO_BALLOON_F_PAGE_REPORTING);

	each(features, poison_body);
	each_like((struct balloon_device){ .features = features, .gap = true }, poison_body);
}

static void no_poison_body(struct rig *rig)
{
	const struct vio_balloon_options options = { .poisoned = true, .poison = 1 };
	const struct vio_part block = { memory[0], 4096 };

	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	assert_int_equal(vio_balloon_report(&rig->dev, &block, 1), 0);
	assert_int_equal(vio_balloon_start(&rig->dev, &options), 0);
	/* spec: DRV-BALLOON-003 */
	assert_int_equal(vio_balloon_report(&rig->dev, &block, 1), -VIO_ENOTSUP);
}

static void reports_nothing_that_counts(void **state)
{
	each(BIT(VIRTIO_BALLOON_F_PAGE_REPORTING), no_poison_body);
}

static void hint_body(struct rig *rig)
{
	struct balloon_device *device = device_of(&rig->device);
	const struct block_seen *seen = device->seen;

	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	assert_int_equal(vio_balloon_hint_begin(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(vio_balloon_hint(&rig->dev, memory[0], 4096), -VIO_EPHASE);
	assert_int_equal(vio_balloon_hint_end(&rig->dev), -VIO_EPHASE);
	device->command = 7;
	/* spec: DRV-BALLOON-019 DRV-BALLOON-020 */
	assert_int_equal(vio_balloon_hint_begin(&rig->dev), 0);
	assert_int_equal(seen[0].readable_bytes, 4);
	assert_int_equal(seen[0].command, 7);
	assert_int_equal(vio_balloon_hint_begin(&rig->dev), -VIO_EPHASE);
	assert_int_equal(vio_balloon_hint(&rig->dev, memory[0], 40960), 0); /* spec: DRV-BALLOON-022 */
	assert_int_equal(seen[1].writable_bytes, 40960);
	/* spec: DRV-BALLOON-026 */
	memset(memory[0], 0x11, 4096);
	assert_int_equal(vio_balloon_hint_release(&rig->dev, memory[0], 4096), 0);
	assert_int_equal(memory[0][0] | memory[0][4095], 0);
	device->command = VIRTIO_BALLOON_CMD_ID_STOP; /* spec: DRV-BALLOON-023 */
	assert_int_equal(vio_balloon_hint(&rig->dev, memory[1], 4096), -VIO_EAGAIN);
	assert_int_equal(device->seen_count, 2);
	assert_int_equal(vio_balloon_hint_end(&rig->dev), 0); /* spec: DRV-BALLOON-024 */
	assert_int_equal(seen[2].readable_bytes, 4);
	assert_int_equal(seen[2].command, VIRTIO_BALLOON_CMD_ID_STOP);
	device->command = 7;
	assert_int_equal(vio_balloon_hint_begin(&rig->dev), -VIO_EAGAIN); /* spec: DRV-BALLOON-021 */
	device->command = 8;
	assert_int_equal(vio_balloon_hint_begin(&rig->dev), 0);
	assert_int_equal(vio_balloon_hint_end(&rig->dev), 0);
	device->command = VIRTIO_BALLOON_CMD_ID_DONE;
	assert_int_equal(vio_balloon_hint_begin(&rig->dev), -VIO_EAGAIN);
	/* spec: DRV-BALLOON-025 DRV-BALLOON-027: done, so nothing has to be written */
	memset(memory[0], 0x11, 4096);
	assert_int_equal(vio_balloon_hint_release(&rig->dev, memory[0], 4096), 0);
	assert_int_equal(memory[0][0], 0x11);
	assert_at_rest(rig);
}

static void hints_at_free_pages(void **state)
{
	each(BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT), hint_body);
}

static void boast_body(struct rig *rig)
{
	uint32_t done;

	assert_int_equal(rig_bind(rig, &vio_balloon_driver), 0);
	want(rig, 10);
	device_of(&rig->device)->boasts = true;
	/* spec: DRV-BALLOON-011; hostile: B11 */
	assert_int_equal(vio_balloon_inflate(&rig->dev, pages, 1, &done), rig->dev.legacy ? 0 : -VIO_EPEER);
	assert_int_equal(done, rig->dev.legacy);
}

static void lets_old_devices_boast(void **state)
{
	struct balloon_device is = { 0 };

	/* It writes the used ring of a split queue. */
	rig_each(&(struct rig_options){ .class = &balloon_class,
					.withhold = BIT(VIRTIO_F_RING_PACKED),
					.furnish = furnish,
					.context = &is },
		 boast_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_shrinks),   cmocka_unit_test(shrinks_in_need),
		cmocka_unit_test(refuses_bad_pages),   cmocka_unit_test(tells_statistics),
		cmocka_unit_test(fills_with_poison),   cmocka_unit_test(reports_nothing_that_counts),
		cmocka_unit_test(hints_at_free_pages), cmocka_unit_test(lets_old_devices_boast),
	};

	make_pages();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
