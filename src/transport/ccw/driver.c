/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/ccw.h>
#include <vireo/driver.h>

#include "transport/ccw/wire.h"

/* The area: indicators first, then the bits of two-stage ones, then the payload of the command under way. */
#define AT_INDICATORS 0u
#define AT_CONFIG     8u
#define AT_SUMMARY    16u
#define AT_BITS       64u
#define AT_PAYLOAD    192u

#define WORD_BITS     32u
#define QUEUES_MAX    ((AT_PAYLOAD - AT_BITS) * 8)
#define CLASSIC_MAX   64u
#define PAYLOAD_BYTES (VIO_CCW_AREA_BYTES - AT_PAYLOAD)
#define AREA_LIMIT    (UINT64_C(1) << 31)

#define STATUS_GONE UINT8_MAX

#define LEGACY_ALIGN_BYTES 4096u

#define ENDED (CCW_DSTAT_CHANNEL_END | CCW_DSTAT_DEVICE_END)

static struct vio_ccw_driver *ccw_of(const struct vio_dev *dev)
{
	return dev->transport_context;
}

static uint8_t *area_of(const struct vio_ccw_driver *ccw)
{
	return ccw->config.area.host;
}

static void *payload_of(const struct vio_ccw_driver *ccw)
{
	return area_of(ccw) + AT_PAYLOAD;
}

/* Runs one command with the payload in the area, and says how it ended. */
static int run(struct vio_ccw_driver *ccw, uint8_t command, uint8_t flags, uint32_t length,
	       struct vio_ccw_status *status)
{
	const struct vio_ccw word = { command, flags, (uint16_t)length,
				      length ? ccw->config.area.addr.raw + AT_PAYLOAD : 0 };
	int error;

	memset(status, 0, sizeof(*status));
	error = ccw->gone ? -VIO_EHANGUP : ccw->config.access.run(ccw->config.access.context, &word, status);
	if (error == -VIO_EHANGUP)
		ccw->gone = true;
	return error;
}

/* Why the last command ended in a unit check. hostile: B48, sense of no bytes says nothing. */
static int unit_check(struct vio_ccw_driver *ccw)
{
	struct vio_ccw_status status;
	const uint8_t *sense = payload_of(ccw);
	int error;

	memset(payload_of(ccw), 0, CCW_SENSE_BYTES);
	error = run(ccw, CCW_CMD_BASIC_SENSE, CCW_FLAG_SLI, CCW_SENSE_BYTES, &status);
	if (error)
		return error;
	if (status.device != ENDED || status.subchannel || status.residual >= CCW_SENSE_BYTES)
		return -VIO_EIO;
	return sense[0] & CCW_SENSE_COMMAND_REJECT ? -VIO_ENOTSUP : -VIO_EIO;
}

/*
 * Runs a command of `length` bytes, the right number. -VIO_ENOTSUP: command reject; -VIO_ERANGE: the device
 * has another length in mind, or fewer bytes; -VIO_EHANGUP; -VIO_EIO for all else. spec: DRV-CCW-003
 */
static int command(struct vio_ccw_driver *ccw, uint8_t code, uint32_t length)
{
	struct vio_ccw_status status;
	int error = run(ccw, code, 0, length, &status);

	if (error)
		return error;
	if (status.device & CCW_DSTAT_UNIT_CHECK)
		return unit_check(ccw);
	if (status.subchannel & (CCW_CSTAT_INCORRECT_LENGTH | CCW_CSTAT_PROGRAM_CHECK))
		return -VIO_ERANGE;
	if (status.device != ENDED || status.subchannel)
		return -VIO_EIO;
	return length && status.residual ? -VIO_ERANGE : 0;
}

/*
 * Before revision 2 what was written last has to do, and that somebody is there at all.
 * spec: DRV-CCW-010 DRV-CCW-011
 */
static uint8_t get_status(struct vio_dev *dev)
{
	struct vio_ccw_driver *ccw = ccw_of(dev);
	int error = 0;

	*(uint8_t *)payload_of(ccw) = VIRTIO_CONFIG_S_NEEDS_RESET;
	if (ccw->revision < VIRTIO_CCW_REV_STATUS)
		(void)command(ccw, CCW_CMD_NOOP, 0);
	else
		error = command(ccw, CCW_CMD_READ_STATUS, 1);
	if (ccw->gone)
		return STATUS_GONE;
	if (ccw->revision < VIRTIO_CCW_REV_STATUS)
		return ccw->status;
	/* Who doesn't tell may still be at work. */
	return error ? VIRTIO_CONFIG_S_NEEDS_RESET : *(const uint8_t *)payload_of(ccw);
}

static int put_addresses(struct vio_ccw_driver *ccw, uint8_t code, uint32_t at)
{
	vio_be_store(payload_of(ccw), 8, ccw->config.area.addr.raw + at);
	return command(ccw, code, 8);
}

/* spec: DRV-CCW-MAY-001 */
static int put_adapter(struct vio_ccw_driver *ccw)
{
	struct virtio_thinint_area *wire = payload_of(ccw);

	memset(wire, 0, sizeof(*wire));
	vio_be_store(wire->summary_indicator, 8, ccw->config.area.addr.raw + AT_SUMMARY);
	vio_be_store(wire->indicator, 8, ccw->config.area.addr.raw + AT_BITS);
	wire->isc = ccw->config.isc;
	return command(ccw, CCW_CMD_SET_IND_ADAPTER, sizeof(*wire));
}

/* A reset has made the device forget them, so before each DRIVER_OK. */
static int set_up_indicators(struct vio_dev *dev)
{
	struct vio_ccw_driver *ccw = ccw_of(dev);
	int error = -VIO_ENOTSUP;

	memset(area_of(ccw), 0, AT_PAYLOAD);
	ccw->adapter = false;
	if ((ccw->config.flags & VIO_CCW_ADAPTER) && dev->queue_max <= QUEUES_MAX)
		error = put_adapter(ccw);
	if (!error)
		ccw->adapter = true;
	else if (error == -VIO_ENOTSUP && dev->queue_max <= CLASSIC_MAX)
		error = put_addresses(ccw, CCW_CMD_SET_IND, AT_INDICATORS);
	return error ? error : put_addresses(ccw, CCW_CMD_SET_CONF_IND, AT_CONFIG);
}

/* spec: DRV-CCW-MAY-002 DRV-CCW-MAY-003, the latter in get_status() */
static void reset(struct vio_ccw_driver *ccw)
{
	ccw->refused = false;
	ccw->adapter = false;
	/* hostile: B48, a reset that failed isn't over, and never is. */
	ccw->status = command(ccw, CCW_CMD_VDEV_RESET, 0) ? VIRTIO_CONFIG_S_FAILED : 0;
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	struct vio_ccw_driver *ccw = ccw_of(dev);

	if (!status) {
		reset(ccw);
		return;
	}
	/* The device has other features than the driver thinks. */
	if (ccw->refused && (status & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)))
		return;
	if ((status & ~ccw->status & VIRTIO_CONFIG_S_DRIVER_OK) && set_up_indicators(dev))
		return;
	*(uint8_t *)payload_of(ccw) = status;
	if (!command(ccw, CCW_CMD_WRITE_STATUS, 1)) /* spec: DRV-CCW-009 */
		ccw->status = status;
}

static unsigned feature_words(const struct vio_dev *dev)
{
	return vio_dev_is_legacy(dev) ? 1 : VIO_FEATURE_BITS / 32;
}

static struct vio_features get_features(struct vio_dev *dev)
{
	struct virtio_feature_desc *wire = payload_of(ccw_of(dev));
	struct vio_features features = VIO_FEATURES_NONE;
	unsigned word;
	vio_le32 value;

	for (word = 0; word < feature_words(dev); word++) {
		memset(wire, 0, sizeof(*wire));
		wire->index = (uint8_t)word;
		if (command(ccw_of(dev), CCW_CMD_READ_FEAT, sizeof(*wire)))
			continue;
		memcpy(&value, wire->features, sizeof(value));
		features.word[word / 2] |= (uint64_t)vio_le32_get(value) << (word % 2 * 32);
	}
	return features;
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	struct vio_ccw_driver *ccw = ccw_of(dev);
	struct virtio_feature_desc *wire = payload_of(ccw);
	unsigned word;
	vio_le32 value;

	for (word = 0; word < feature_words(dev); word++) {
		value = vio_le32_make((uint32_t)(features->word[word / 2] >> (word % 2 * 32)));
		memcpy(wire->features, &value, sizeof(value));
		wire->index = (uint8_t)word;
		if (command(ccw, CCW_CMD_WRITE_FEAT, sizeof(*wire)))
			ccw->refused = true;
	}
}

/* A configuration is transferred in one piece. */
static uint32_t get_generation(struct vio_dev *dev)
{
	return 0;
}

/* Reads up to the end of a field, as there is no other place to begin. */
static int fetch_config(struct vio_dev *dev, uint32_t offset, uint32_t length)
{
	if (offset > PAYLOAD_BYTES || length > PAYLOAD_BYTES - offset)
		return -VIO_ERANGE;
	memset(payload_of(ccw_of(dev)), 0, offset + length);
	return command(ccw_of(dev), CCW_CMD_READ_CONF, offset + length);
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	struct vio_ccw_driver *ccw = ccw_of(dev);
	int error = fetch_config(dev, offset, length);

	if (ccw->gone) {
		memset(to, UINT8_MAX, length);
		return 0;
	}
	if (!error)
		memcpy(to, (const uint8_t *)payload_of(ccw) + offset, length);
	return error;
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	struct vio_ccw_driver *ccw = ccw_of(dev);
	int error = fetch_config(dev, offset, length);

	if (!error) {
		memcpy((uint8_t *)payload_of(ccw) + offset, from, length);
		error = command(ccw, CCW_CMD_WRITE_CONF, offset + length);
	}
	return ccw->gone ? 0 : error;
}

static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	struct vq_config_block *wire = payload_of(ccw_of(dev));

	memset(wire, 0, sizeof(*wire));
	vio_be_store(wire->index, sizeof(wire->index), queue);
	if (command(ccw_of(dev), CCW_CMD_READ_VQ_CONF, sizeof(*wire)))
		return 0;
	return (uint32_t)vio_be_load(wire->max_num, sizeof(wire->max_num));
}

static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	struct vq_info_block *wire = payload_of(ccw_of(dev));

	if (place->size > queue_size_max(dev, queue)) /* hostile: B42 */
		return -VIO_EPEER;
	memset(wire, 0, sizeof(*wire));
	vio_be_store(wire->desc, sizeof(wire->desc), place->descriptor_area.raw);
	vio_be_store(wire->index, sizeof(wire->index), queue);
	vio_be_store(wire->num, sizeof(wire->num), place->size);
	vio_be_store(wire->driver, sizeof(wire->driver), place->driver_area.raw);
	vio_be_store(wire->device, sizeof(wire->device), place->device_area.raw);
	if (command(ccw_of(dev), CCW_CMD_SET_VQ, sizeof(*wire))) /* hostile: B51 */
		return -VIO_EPEER;
	dev->queues[queue].notify_place = 0; /* the cookie */
	return 0;
}

/* The three areas lie in one piece. */
static int legacy_queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	struct vq_info_block_legacy *wire = payload_of(ccw_of(dev));
	uint64_t ring = place->descriptor_area.raw, device_area;

	device_area = (ring + 18u * place->size + 6 + LEGACY_ALIGN_BYTES - 1) / LEGACY_ALIGN_BYTES *
		      LEGACY_ALIGN_BYTES;
	if (place->driver_area.raw != ring + 16u * place->size || place->device_area.raw != device_area)
		return -VIO_EINVAL;
	if (place->size > queue_size_max(dev, queue))
		return -VIO_EPEER;
	memset(wire, 0, sizeof(*wire));
	vio_be_store(wire->queue, sizeof(wire->queue), ring);
	vio_be_store(wire->align, sizeof(wire->align), LEGACY_ALIGN_BYTES);
	vio_be_store(wire->index, sizeof(wire->index), queue);
	vio_be_store(wire->num, sizeof(wire->num), place->size);
	if (command(ccw_of(dev), CCW_CMD_SET_VQ, sizeof(*wire)))
		return -VIO_EPEER;
	dev->queues[queue].notify_place = 0;
	return 0;
}

/* spec: DRV-CCW-013 */
static void queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	struct vio_ccw_driver *ccw = ccw_of(dev);
	struct vio_dev_queue *queue = &dev->queues[q->index];
	uint64_t data = q->index;
	int64_t cookie;

	if (vio_dev_has_feature(dev, VIRTIO_F_NOTIFICATION_DATA))
		data |= (uint64_t)vio_drvq_notification_data(q) << 16;
	cookie = ccw->config.access.notify(ccw->config.access.context, data, (int64_t)queue->notify_place);
	if (cookie >= 0)
		queue->notify_place = (uint64_t)cookie;
}

/* Takes all bits of `bytes` bytes, a multiple of 4. */
static bool take_bits(const struct vio_ccw_driver *ccw, uint32_t at, uint32_t bytes)
{
	uint32_t *word = (uint32_t *)(void *)(area_of(ccw) + at), any = 0;

	/* Pairs with the device's setting them: what was used before is seen behind. */
	for (; bytes; bytes -= sizeof(*word))
		any |= __atomic_exchange_n(word++, 0, __ATOMIC_SEQ_CST);
	return any != 0;
}

/*
 * The summary goes first: what the device does while queue bits are looked at sets it again, and interrupts.
 * spec: DRV-CCW-012
 */
static unsigned take_interrupts(struct vio_dev *dev)
{
	const struct vio_ccw_driver *ccw = ccw_of(dev);
	uint32_t bytes = (dev->queue_max + WORD_BITS - 1) / WORD_BITS * sizeof(uint32_t);
	unsigned causes = 0;

	if (ccw->adapter) {
		(void)take_bits(ccw, AT_SUMMARY, sizeof(uint32_t));
		if (take_bits(ccw, AT_BITS, bytes))
			causes |= VIO_INTERRUPT_QUEUE;
	} else if (take_bits(ccw, AT_INDICATORS, 8)) {
		causes |= VIO_INTERRUPT_QUEUE;
	}
	if (take_bits(ccw, AT_CONFIG, 8))
		causes |= VIO_INTERRUPT_CONFIG;
	return causes;
}

bool vio_ccw_driver_pending(const struct vio_dev *dev)
{
	const uint32_t *word = (const uint32_t *)(const void *)area_of(ccw_of(dev));
	const uint32_t *end = word + AT_PAYLOAD / sizeof(*word);
	uint32_t any = 0;

	while (word < end)
		any |= __atomic_load_n(word++, __ATOMIC_SEQ_CST);
	return any != 0;
}

/*
 * Neither what belongs to PCI nor the reset of a queue, for which there is no command; nor what takes a look
 * at the status, which there is from revision 2 on.
 */
#define CARRIED_LOW                                                                                  \
	(UINT64_MAX & ~(UINT64_C(1) << VIRTIO_F_SR_IOV | UINT64_C(1) << VIRTIO_F_NOTIF_CONFIG_DATA | \
			UINT64_C(1) << VIRTIO_F_RING_RESET | UINT64_C(1) << VIRTIO_F_ADMIN_VQ |      \
			UINT64_C(1) << VIRTIO_F_SUSPEND))

static const struct vio_transport_ops modern_ops = {
	.name = "virtio-ccw",
	.carried = { { CARRIED_LOW, UINT64_MAX } },
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
};

static const struct vio_transport_ops legacy_ops = {
	.name = "virtio-ccw-legacy",
	.carried = { { UINT32_MAX, 0 } },
	.flags = VIO_TRANSPORT_SIZE_FIXED,
	.device_align = LEGACY_ALIGN_BYTES,
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = legacy_queue_enable,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
};

/* spec: DRV-CCW-001 DRV-CCW-002 */
static int identify(struct vio_ccw_driver *ccw, uint32_t *id)
{
	const struct ccw_sense_id *wire = payload_of(ccw);
	struct vio_ccw_status status;
	int error;

	memset(payload_of(ccw), 0, sizeof(*wire));
	error = run(ccw, CCW_CMD_SENSE_ID, CCW_FLAG_SLI, sizeof(*wire), &status);
	if (error)
		return error;
	/* The type and model of the device needn't come. */
	if (status.device != ENDED || status.subchannel ||
	    status.residual > sizeof(*wire) - offsetof(struct ccw_sense_id, dev_type))
		return -VIO_EIO;
	if (vio_be_load(wire->cu_type, sizeof(wire->cu_type)) != VIRTIO_CCW_CU_TYPE)
		return -VIO_EPEER;
	*id = wire->cu_model;
	return 0;
}

/* From the highest on; hostile: B48. spec: DRV-CCW-004 DRV-CCW-005 DRV-CCW-006 DRV-CCW-007 DRV-CCW-008 */
static int agree_on_revision(struct vio_ccw_driver *ccw)
{
	/* Rings in the order of a big-endian driver are more than vio_drvq can do. */
	const bool transitional = VIO_CONFIG_LEGACY && VIO_LE16_RAW(1) == 1;
	struct virtio_rev_info *wire = payload_of(ccw);
	int lowest = transitional ? VIRTIO_CCW_REV_LEGACY : VIRTIO_CCW_REV_MODERN, revision;
	int error = -VIO_ENOTSUP;

	for (revision = VIRTIO_CCW_REV_MAX; revision >= lowest && error == -VIO_ENOTSUP; revision--) {
		memset(wire, 0, sizeof(*wire));
		vio_be_store(wire->revision, sizeof(wire->revision), (uint64_t)revision);
		ccw->revision = (uint16_t)revision;
		error = command(ccw, CCW_CMD_SET_VIRTIO_REV, sizeof(*wire));
	}
	/* A device older than the command is one of revision 0. */
	return error == -VIO_ENOTSUP && transitional ? 0 : error;
}

int vio_ccw_driver_probe(struct vio_ccw_driver *ccw, const struct vio_ccw_driver_config *config,
			 struct vio_dev *dev)
{
	uint64_t area = config->area.addr.raw;
	int error;

	memset(dev, 0, sizeof(*dev));
	if (!config->area.host || area % 8 || (uintptr_t)config->area.host % 8)
		return -VIO_EINVAL;
	if (area > AREA_LIMIT - VIO_CCW_AREA_BYTES)
		return -VIO_ERANGE;
	*ccw = (struct vio_ccw_driver){ .config = *config };
	error = identify(ccw, &dev->id);
	if (!error && !dev->id)
		error = -VIO_ENOENT;
	if (!error)
		error = agree_on_revision(ccw);
	if (error)
		return error;
	dev->transport_context = ccw;
	dev->legacy = ccw->revision == VIRTIO_CCW_REV_LEGACY;
	dev->transport = dev->legacy ? &legacy_ops : &modern_ops;
	return 0;
}
