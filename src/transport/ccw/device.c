/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/ccw.h>
#include <vireo/device.h>

#include "base/atomic.h"
#include "transport/ccw/wire.h"
#include "transport/legacy.h"

#define REVISION_UNSET (-1)
#define DATA_LIMIT     (UINT64_C(1) << 31) /* of addresses in a channel program */
#define SPANS_MAX      8u                  /* pieces of memory that one payload may lie in */
#define PIECE_BYTES    256u

#define ENDED (CCW_DSTAT_CHANNEL_END | CCW_DSTAT_DEVICE_END)

/* Flags with which the data doesn't simply lie where the word says. */
#define DATA_ELSEWHERE (CCW_FLAG_CD | CCW_FLAG_SKIP | CCW_FLAG_IDA | CCW_FLAG_SUSPEND | CCW_FLAG_MIDA)

/* What a command comes to. */
enum outcome {
	DONE,
	REJECTED,     /* unit check with command reject */
	WRONG_LENGTH, /* where that isn't suppressed */
	BAD_PROGRAM,  /* a flag that isn't taken, or memory that isn't there */
};

/* Payloads of fixed length are in memory of the model's while a command is performed. */
#define LONGEST 32u

struct transfer {
	const struct vio_ccw *ccw;
	uint8_t bytes[LONGEST];
	uint32_t moved; /* bytes, of the count */
};

enum direction {
	NO_DATA,
	IN,   /* the device reads the payload */
	OUT,  /* it writes the payload */
	BOTH, /* it reads what is asked for, and writes the answer over it */
	OWN,  /* the function moves what it wants, of any length */
};

struct ccw_command {
	uint8_t code;
	const char *name;
	int revision;    /* from which on it exists; REVISION_UNSET: needs none */
	uint32_t length; /* of the payload */
	enum direction direction;
	enum outcome (*perform)(struct vio_ccw_device *model, struct transfer *transfer);
};

static struct vio_device *device_of(const struct vio_ccw_device *model)
{
	return model->config.device;
}

static bool is_legacy(const struct vio_ccw_device *model)
{
	return model->revision == VIRTIO_CCW_REV_LEGACY;
}

/* Sets bits of a byte of the driver's; what they were before, or -1 where there is no such byte. */
static int set_bits(const struct vio_ccw_device *model, uint64_t address, uint8_t bits)
{
	uint8_t *byte =
		vio_mem_pointer(model->config.mem, vio_addr_make(address), 1, VIO_MEM_READ | VIO_MEM_WRITE);

	/* What was used comes before; pairs with the exchange in the driver's half. */
	return byte ? vio_fetch_or8(byte, bits) : -1;
}

/* Bit `bit` of a big-endian doubleword, counted from the right. */
static bool set_classic(const struct vio_ccw_device *model, struct vio_addr indicator, unsigned bit)
{
	return bit < 64 && indicator.raw &&
	       set_bits(model, indicator.raw + 7 - bit / 8, (uint8_t)(1u << bit % 8)) >= 0;
}

/* spec: DEV-CCW-020; memory that has gone meanwhile swallows the interrupt. hostile: A106 */
static void notify_two_stage(struct vio_ccw_device *model, uint16_t queue)
{
	uint64_t bit = model->bit_nr + queue;
	int before;

	if (set_bits(model, model->indicator.raw + bit / 8, (uint8_t)(0x80u >> bit % 8)) < 0)
		return;
	before = set_bits(model, model->summary_indicator.raw, VIRTIO_CCW_SUMMARY);
	if (before >= 0 && !(before & VIRTIO_CCW_SUMMARY))
		model->config.adapter_interrupt(model->config.context, model->isc);
}

static void queue_interrupt(void *context, uint16_t queue)
{
	struct vio_ccw_device *model = context;

	if (model->indicators == VIO_CCW_TWO_STAGE)
		notify_two_stage(model, queue);
	else if (model->indicators == VIO_CCW_CLASSIC && set_classic(model, model->indicator, queue))
		model->config.interrupt(model->config.context);
}

static void config_interrupt(void *context)
{
	struct vio_ccw_device *model = context;

	if (set_classic(model, model->config_indicator, 0))
		model->config.interrupt(model->config.context);
}

static void kick_again(void *context, uint16_t queue)
{
	struct vio_ccw_device *model = context;

	model->config.queues[queue].again = true;
	if (model->config.work)
		model->config.work(model->config.context);
}

static void fault(void *context, const struct vio_fault *what)
{
	struct vio_ccw_device *model = context;

	if (model->config.fault)
		model->config.fault(model->config.context, what);
}

static const struct vio_device_events events = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.kick_again = kick_again,
	.fault = fault,
};

/* What a driver of this revision can negotiate; without VERSION_1 the device core has a legacy driver. */
static struct vio_features carried(int revision)
{
	struct vio_features all = { { UINT64_MAX, UINT64_MAX } };

	if (revision == VIRTIO_CCW_REV_LEGACY)
		return vio_features_low(UINT32_MAX);
	vio_features_clear(&all, VIRTIO_F_SR_IOV);
	vio_features_clear(&all, VIRTIO_F_NOTIF_CONFIG_DATA);
	vio_features_clear(&all, VIRTIO_F_RING_RESET);
	vio_features_clear(&all, VIRTIO_F_ADMIN_VQ);
	/* Before revision 2 a driver doesn't see the status, and the bits are the same for all. */
	vio_features_clear(&all, VIRTIO_F_SUSPEND);
	return all;
}

static void choose_revision(struct vio_ccw_device *model, int revision)
{
	model->revision = revision;
	device_of(model)->features_carried = carried(revision);
}

/* The model's part of a reset; the device core's is done. The revision stays. */
static void forget(struct vio_ccw_device *model)
{
	const struct vio_addr none = { 0 };
	uint16_t queue;

	for (queue = 0; queue < device_of(model)->queue_count; queue++)
		model->config.queues[queue] = (struct vio_ccw_queue){ 0 };
	model->indicators = VIO_CCW_NO_INDICATORS;
	model->indicator = none;
	model->config_indicator = none;
	model->summary_indicator = none;
	model->driver_features = VIO_FEATURES_NONE;
}

/* Copies between the driver's memory and `bytes`; false, and nothing copied, where it isn't all there. */
static bool move(const struct vio_ccw_device *model, uint64_t address, uint8_t *bytes, uint32_t length,
		 unsigned access)
{
	struct vio_span spans[SPANS_MAX];
	unsigned hint = 0;
	int count = vio_mem_resolve(model->config.mem, &hint, vio_addr_make(address), length, access, spans,
				    SPANS_MAX);
	int i;

	for (i = 0; i < count; i++) {
		if (access & VIO_MEM_WRITE)
			memcpy(spans[i].host, bytes, spans[i].length);
		else
			memcpy(bytes, spans[i].host, spans[i].length);
		bytes += spans[i].length;
	}
	return count >= 0;
}

/* Gives `length` bytes to a driver that may want more or fewer of them. spec: DEV-CCW-004 */
static enum outcome answer(struct vio_ccw_device *model, struct transfer *transfer, uint8_t *bytes,
			   uint32_t length)
{
	const struct vio_ccw *ccw = transfer->ccw;
	uint32_t given = ccw->count < length ? ccw->count : length;

	if (ccw->count != length && !(ccw->flags & CCW_FLAG_SLI))
		return WRONG_LENGTH;
	if (!move(model, ccw->data, bytes, given, VIO_MEM_WRITE))
		return BAD_PROGRAM;
	transfer->moved = given;
	return DONE;
}

static enum outcome noop(struct vio_ccw_device *model, struct transfer *transfer)
{
	return DONE;
}

static enum outcome basic_sense(struct vio_ccw_device *model, struct transfer *transfer)
{
	uint8_t bytes[CCW_SENSE_BYTES] = { model->sense };

	return answer(model, transfer, bytes, sizeof(bytes));
}

static enum outcome sense_id(struct vio_ccw_device *model, struct transfer *transfer)
{
	struct ccw_sense_id id = { .reserved = 0xff, .cu_model = (uint8_t)device_of(model)->id };

	vio_be_store(id.cu_type, sizeof(id.cu_type), VIRTIO_CCW_CU_TYPE);
	return answer(model, transfer, (uint8_t *)&id, sizeof(id));
}

/* spec: DEV-CCW-005 DEV-CCW-006 DEV-CCW-007 DEV-CCW-009; what is asked for is judged before the length is. */
static enum outcome set_revision(struct vio_ccw_device *model, struct transfer *transfer)
{
	const struct vio_ccw *ccw = transfer->ccw;
	struct virtio_rev_info info;
	uint64_t revision;

	if (ccw->count < sizeof(info))
		return ccw->flags & CCW_FLAG_SLI ? REJECTED : WRONG_LENGTH;
	if (!move(model, ccw->data, (uint8_t *)&info, sizeof(info), VIO_MEM_READ))
		return BAD_PROGRAM;
	revision = vio_be_load(info.revision, sizeof(info.revision));
	if (model->revision != REVISION_UNSET || revision < model->config.revision_min ||
	    revision > model->config.revision_max || vio_be_load(info.length, sizeof(info.length)))
		return REJECTED;
	if (ccw->count > sizeof(info) && !(ccw->flags & CCW_FLAG_SLI))
		return WRONG_LENGTH;
	choose_revision(model, (int)revision);
	transfer->moved = sizeof(info);
	return DONE;
}

static uint32_t offered_word(const struct vio_ccw_device *model, unsigned word)
{
	struct vio_features offer = vio_device_features(device_of(model));

	if (is_legacy(model)) /* spec: DEV-BASIC-032, framing means nothing to our devices */
		vio_features_set(&offer, VIRTIO_F_ANY_LAYOUT);
	return word < VIO_FEATURE_BITS / 32 ? (uint32_t)(offer.word[word / 2] >> (word % 2 * 32)) : 0;
}

static enum outcome read_features(struct vio_ccw_device *model, struct transfer *transfer)
{
	struct virtio_feature_desc *wire = (struct virtio_feature_desc *)transfer->bytes;
	vio_le32 word = vio_le32_make(offered_word(model, wire->index));

	memcpy(wire->features, &word, sizeof(word));
	return DONE;
}

/* hostile: A90; bits that there are none of are refused, and zeros for them taken. */
static enum outcome write_features(struct vio_ccw_device *model, struct transfer *transfer)
{
	const struct virtio_feature_desc *wire = (const struct virtio_feature_desc *)transfer->bytes;
	unsigned shift = wire->index % 2 * 32;
	uint64_t *half, value;
	vio_le32 word;

	memcpy(&word, wire->features, sizeof(word));
	value = vio_le32_get(word);
	if (device_of(model)->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return REJECTED;
	if (wire->index >= VIO_FEATURE_BITS / 32)
		return value ? REJECTED : DONE;
	half = &model->driver_features.word[wire->index / 2];
	*half = (*half & ~((uint64_t)UINT32_MAX << shift)) | value << shift;
	vio_device_write_features(device_of(model), &model->driver_features);
	return DONE;
}

/* A driver may want less than there is, of which the standard tells no length. hostile: A100 */
static enum outcome config_length(struct vio_ccw_device *model, struct transfer *transfer)
{
	const struct vio_ccw *ccw = transfer->ccw;
	uint32_t there = device_of(model)->config_bytes;

	if (ccw->count > there && !(ccw->flags & CCW_FLAG_SLI))
		return WRONG_LENGTH;
	transfer->moved = ccw->count < there ? ccw->count : there;
	return DONE;
}

static enum outcome read_config(struct vio_ccw_device *model, struct transfer *transfer)
{
	enum outcome outcome = config_length(model, transfer);
	uint8_t bytes[PIECE_BYTES];
	uint32_t at, now;

	for (at = 0; outcome == DONE && at < transfer->moved; at += now) {
		now = transfer->moved - at < PIECE_BYTES ? transfer->moved - at : PIECE_BYTES;
		vio_device_read_config(device_of(model), at, bytes, now);
		if (!move(model, transfer->ccw->data + at, bytes, now, VIO_MEM_WRITE))
			outcome = BAD_PROGRAM;
	}
	return outcome;
}

/* How many bytes of a piece are as they were. */
static uint32_t unchanged(struct vio_ccw_device *model, uint32_t at, const uint8_t *bytes, uint32_t length)
{
	uint8_t before[PIECE_BYTES];
	uint32_t same = 0;

	vio_device_read_config(device_of(model), at, before, length);
	while (same < length && before[same] == bytes[same])
		same++;
	return same;
}

/*
 * Drivers write one field, and have to write what lies before it along with it: the device is told from
 * the word on that isn't as it was, or of the last one.
 */
static enum outcome write_config(struct vio_ccw_device *model, struct transfer *transfer)
{
	enum outcome outcome = config_length(model, transfer);
	bool found = false;
	uint8_t bytes[PIECE_BYTES];
	uint32_t at, now, skip;

	for (at = 0; outcome == DONE && at < transfer->moved; at += now) {
		now = transfer->moved - at < PIECE_BYTES ? transfer->moved - at : PIECE_BYTES;
		if (!move(model, transfer->ccw->data + at, bytes, now, VIO_MEM_READ))
			return BAD_PROGRAM;
		skip = found ? 0 : unchanged(model, at, bytes, now);
		if (skip == now && at + now < transfer->moved)
			continue;
		skip = (skip == now ? now - 1 : skip) & ~3u;
		found = true;
		/* spec: DEV-BASIC-015; inside, so that nothing of it is refused */
		(void)vio_device_write_config(device_of(model), at + skip, bytes + skip, now - skip);
	}
	return outcome;
}

static void reset(struct vio_ccw_device *model)
{
	vio_device_reset(device_of(model));
	forget(model);
}

static bool set_legacy_status(struct vio_ccw_device *model, uint8_t status)
{
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;

	if (status & ~known)
		return false;
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		vio_legacy_advance(device_of(model), model->driver_features, VIRTIO_CONFIG_S_DRIVER_OK);
	if (status & VIRTIO_CONFIG_S_FAILED)
		vio_device_write_status(device_of(model), VIRTIO_CONFIG_S_FAILED);
	return true;
}

/* spec: DEV-CCW-015; hostile: A88 A93, all that can be refused is looked at before anything is done. */
static bool set_status(struct vio_ccw_device *model, uint8_t status)
{
	const uint8_t given_up = VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
			      VIRTIO_CONFIG_S_FAILED;
	struct vio_device *device = device_of(model);
	uint8_t gained = (uint8_t)(status & ~device->status);

	if (is_legacy(model))
		return set_legacy_status(model, status);
	if (device->status & ~status)
		return false;
	if (!gained)
		return true;
	if ((gained & ~known) || (device->status & given_up))
		return false;
	if ((gained & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		return false;
	/* Alone, so that nothing else has changed when it is refused. */
	if ((gained & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    !(vio_device_write_status(device, device->status | VIRTIO_CONFIG_S_FEATURES_OK) &
	      VIRTIO_CONFIG_S_FEATURES_OK))
		return false;
	vio_device_write_status(device, status);
	return true;
}

/* spec: DEV-CCW-016 */
static enum outcome write_status(struct vio_ccw_device *model, struct transfer *transfer)
{
	if (!transfer->bytes[0]) {
		reset(model);
		return DONE;
	}
	return set_status(model, transfer->bytes[0]) ? DONE : REJECTED;
}

/* spec: DEV-CCW-017 */
static enum outcome read_status(struct vio_ccw_device *model, struct transfer *transfer)
{
	transfer->bytes[0] = device_of(model)->status;
	return DONE;
}

/* spec: DEV-CCW-022 DEV-CCW-023, it is over when the command is. */
static enum outcome vdev_reset(struct vio_ccw_device *model, struct transfer *transfer)
{
	reset(model);
	return DONE;
}

/* hostile: A79 */
static enum outcome read_queue(struct vio_ccw_device *model, struct transfer *transfer)
{
	struct vq_config_block *wire = (struct vq_config_block *)transfer->bytes;
	uint64_t index = vio_be_load(wire->index, sizeof(wire->index));

	vio_be_store(wire->max_num, sizeof(wire->max_num),
		     index < device_of(model)->queue_count ? device_of(model)->queue_size : 0);
	return DONE;
}

/* Starts a queue, or stops it where there is no address. hostile: A79 A80 A81 A82 A83 */
static enum outcome set_queue(struct vio_ccw_device *model, uint64_t index, struct vio_devq_config *config,
			      uint64_t entries)
{
	struct vio_device *device = device_of(model);

	if (index >= device->queue_count)
		return REJECTED;
	if (!config->descriptor_area.raw) {
		vio_device_queue_stop(device, (uint16_t)index);
		model->config.queues[index] = (struct vio_ccw_queue){ 0 };
		return DONE;
	}
	if (model->config.queues[index].ready || !vio_device_can_size(device, (uint32_t)entries) ||
	    entries > device->queue_size)
		return REJECTED;
	config->size = (uint16_t)entries;
	config->at = vio_devq_position_first(&device->features_accepted);
	model->config.queues[index].ready = true; /* before the device may look at it and report */
	if (!vio_device_queue_start(device, (uint16_t)index, config))
		return DONE;
	model->config.queues[index].ready = false;
	return REJECTED;
}

/* spec: DEV-CCW-014 */
static enum outcome set_vq(struct vio_ccw_device *model, struct transfer *transfer)
{
	const struct vq_info_block *wire = (const struct vq_info_block *)transfer->bytes;
	struct vio_devq_config config = {
		.descriptor_area = vio_addr_make(vio_be_load(wire->desc, sizeof(wire->desc))),
		.driver_area = vio_addr_make(vio_be_load(wire->driver, sizeof(wire->driver))),
		.device_area = vio_addr_make(vio_be_load(wire->device, sizeof(wire->device))),
	};

	return set_queue(model, vio_be_load(wire->index, sizeof(wire->index)), &config,
			 vio_be_load(wire->num, sizeof(wire->num)));
}

/* hostile: A103, an alignment that isn't one refuses; what wraps is outside of memory. */
static enum outcome set_vq_legacy(struct vio_ccw_device *model, struct transfer *transfer)
{
	const struct vq_info_block_legacy *wire = (const struct vq_info_block_legacy *)transfer->bytes;
	uint64_t queue = vio_be_load(wire->queue, sizeof(wire->queue));
	uint64_t align = vio_be_load(wire->align, sizeof(wire->align));
	uint64_t entries = vio_be_load(wire->num, sizeof(wire->num));
	uint64_t behind = queue + 16 * entries + 6 + 2 * entries;
	struct vio_devq_config config = { .descriptor_area = vio_addr_make(queue) };

	if (queue && !vio_is_power_of_two(align))
		return REJECTED;
	if (queue) {
		vio_legacy_advance(device_of(model), model->driver_features, 0);
		config.driver_area = vio_addr_make(queue + 16 * entries);
		config.device_area = vio_addr_make((behind + align - 1) & ~(align - 1));
	}
	return set_queue(model, vio_be_load(wire->index, sizeof(wire->index)), &config, entries);
}

/* Whether the device can set bits there; 0, which gives indicators back, is as good. hostile: A106 */
static bool can_set(const struct vio_ccw_device *model, uint64_t address, uint64_t bytes)
{
	struct vio_span spans[SPANS_MAX];
	unsigned hint = 0;

	return !address || vio_mem_resolve(model->config.mem, &hint, vio_addr_make(address), bytes,
					   VIO_MEM_READ | VIO_MEM_WRITE, spans, SPANS_MAX) > 0;
}

/* spec: DEV-CCW-018 */
static enum outcome set_indicators(struct vio_ccw_device *model, struct transfer *transfer)
{
	uint64_t address = vio_be_load(transfer->bytes, 8);

	if (model->indicators == VIO_CCW_TWO_STAGE || !can_set(model, address, 8))
		return REJECTED;
	model->indicators = address ? VIO_CCW_CLASSIC : VIO_CCW_NO_INDICATORS;
	model->indicator = vio_addr_make(address);
	return DONE;
}

static enum outcome set_config_indicators(struct vio_ccw_device *model, struct transfer *transfer)
{
	uint64_t address = vio_be_load(transfer->bytes, 8);

	if (!can_set(model, address, 8))
		return REJECTED;
	model->config_indicator = vio_addr_make(address);
	return DONE;
}

/* spec: DEV-CCW-019 */
static enum outcome set_adapter_indicators(struct vio_ccw_device *model, struct transfer *transfer)
{
	const struct virtio_thinint_area *wire = (const struct virtio_thinint_area *)transfer->bytes;
	uint64_t summary = vio_be_load(wire->summary_indicator, sizeof(wire->summary_indicator));
	uint64_t indicator = vio_be_load(wire->indicator, sizeof(wire->indicator));
	uint64_t bit_nr = vio_be_load(wire->bit_nr, sizeof(wire->bit_nr));
	uint64_t bytes = (bit_nr % 8 + device_of(model)->queue_count + 7) / 8, first;

	if (model->indicators == VIO_CCW_CLASSIC || !summary != !indicator)
		return REJECTED;
	if (summary && (!vio_add_u64(indicator, bit_nr / 8, &first) || !can_set(model, first, bytes) ||
			!can_set(model, summary, 1)))
		return REJECTED;
	model->indicators = summary ? VIO_CCW_TWO_STAGE : VIO_CCW_NO_INDICATORS;
	model->indicator = vio_addr_make(summary ? indicator : 0);
	model->summary_indicator = vio_addr_make(summary);
	model->bit_nr = bit_nr;
	model->isc = wire->isc;
	return DONE;
}

/* clang-format off */
static const struct ccw_command commands[] = {
	{ CCW_CMD_NOOP, "NOOP", REVISION_UNSET, 0, OWN, noop },
	{ CCW_CMD_BASIC_SENSE, "BASIC_SENSE", REVISION_UNSET, 0, OWN, basic_sense },
	{ CCW_CMD_SENSE_ID, "SENSE_ID", REVISION_UNSET, 0, OWN, sense_id },
	{ CCW_CMD_SET_VIRTIO_REV, "SET_VIRTIO_REV", REVISION_UNSET, 0, OWN, set_revision },
	{ CCW_CMD_READ_FEAT, "READ_FEAT", 0, sizeof(struct virtio_feature_desc), BOTH, read_features },
	{ CCW_CMD_WRITE_FEAT, "WRITE_FEAT", 0, sizeof(struct virtio_feature_desc), IN, write_features },
	{ CCW_CMD_READ_CONF, "READ_CONF", 0, 0, OWN, read_config },
	{ CCW_CMD_WRITE_CONF, "WRITE_CONF", 0, 0, OWN, write_config },
	{ CCW_CMD_READ_STATUS, "READ_STATUS", VIRTIO_CCW_REV_STATUS, 1, OUT, read_status },
	{ CCW_CMD_WRITE_STATUS, "WRITE_STATUS", 0, 1, IN, write_status },
	{ CCW_CMD_READ_VQ_CONF, "READ_VQ_CONF", 0, sizeof(struct vq_config_block), BOTH, read_queue },
	{ CCW_CMD_SET_VQ, "SET_VQ", 0, sizeof(struct vq_info_block), IN, set_vq },
	{ CCW_CMD_SET_IND, "SET_IND", 0, 8, IN, set_indicators },
	{ CCW_CMD_SET_CONF_IND, "SET_CONF_IND", 0, 8, IN, set_config_indicators },
	{ CCW_CMD_SET_IND_ADAPTER, "SET_IND_ADAPTER", 0, sizeof(struct virtio_thinint_area), IN,
	  set_adapter_indicators },
	{ CCW_CMD_VDEV_RESET, "VDEV_RESET", 0, 0, NO_DATA, vdev_reset },
};

/* The one command whose payload is another one in revision 0. */
static const struct ccw_command set_vq_of_old = {
	CCW_CMD_SET_VQ, "SET_VQ", 0, sizeof(struct vq_info_block_legacy), IN, set_vq_legacy
};
/* clang-format on */

static const struct ccw_command *find(const struct vio_ccw_device *model, uint8_t code)
{
	unsigned i;

	if (code == CCW_CMD_SET_VQ && is_legacy(model))
		return &set_vq_of_old;
	for (i = 0; i < VIO_ARRAY_SIZE(commands); i++)
		if (commands[i].code == code)
			return &commands[i];
	return NULL;
}

/* spec: DEV-CCW-008 DEV-CCW-010 DEV-CCW-011 DEV-CCW-012 DEV-CCW-013 */
static bool permitted(struct vio_ccw_device *model, const struct ccw_command *command)
{
	if (command->revision == REVISION_UNSET)
		return true;
	if (model->revision == REVISION_UNSET && model->config.revision_min == VIRTIO_CCW_REV_LEGACY)
		choose_revision(model, VIRTIO_CCW_REV_LEGACY);
	return model->revision != REVISION_UNSET && model->revision >= command->revision;
}

/* Moves a payload of fixed length there and back. spec: DEV-CCW-002 DEV-CCW-003 DEV-CCW-004 */
static enum outcome perform(struct vio_ccw_device *model, const struct ccw_command *command,
			    struct transfer *transfer)
{
	const struct vio_ccw *ccw = transfer->ccw;
	enum outcome outcome;

	if (command->direction == OWN)
		return command->perform(model, transfer);
	if (ccw->count != command->length && !(ccw->flags & CCW_FLAG_SLI))
		return WRONG_LENGTH;
	if (ccw->count < command->length)
		return REJECTED;
	if ((command->direction == IN || command->direction == BOTH) &&
	    !move(model, ccw->data, transfer->bytes, command->length, VIO_MEM_READ))
		return BAD_PROGRAM;
	outcome = command->perform(model, transfer);
	if (outcome == DONE && (command->direction == OUT || command->direction == BOTH) &&
	    !move(model, ccw->data, transfer->bytes, command->length, VIO_MEM_WRITE))
		return BAD_PROGRAM;
	transfer->moved = command->length;
	return outcome;
}

/* spec: DEV-CCW-001 */
static enum outcome judge(struct vio_ccw_device *model, const struct ccw_command *command,
			  struct transfer *transfer)
{
	if (transfer->ccw->flags & DATA_ELSEWHERE)
		return BAD_PROGRAM;
	if (!command)
		return REJECTED;
	if (!permitted(model, command))
		return REJECTED;
	/* It may have become that of revision 0 just now. */
	return perform(model, find(model, command->code), transfer);
}

void vio_ccw_device_command(struct vio_ccw_device *model, const struct vio_ccw *ccw,
			    struct vio_ccw_status *status)
{
	const struct ccw_command *command = find(model, ccw->command);
	struct transfer transfer = { .ccw = ccw };
	enum outcome outcome = judge(model, command, &transfer);

	*status = (struct vio_ccw_status){ ENDED, 0, ccw->count };
	model->sense = 0;
	if (outcome == DONE) {
		status->residual = (uint16_t)(ccw->count - transfer.moved);
	} else if (outcome == REJECTED) {
		status->device = ENDED | CCW_DSTAT_UNIT_CHECK;
		model->sense = CCW_SENSE_COMMAND_REJECT;
	} else if (outcome == WRONG_LENGTH) {
		status->subchannel = CCW_CSTAT_INCORRECT_LENGTH;
	} else {
		*status = (struct vio_ccw_status){ 0, CCW_CSTAT_PROGRAM_CHECK, ccw->count };
	}
	if (model->config.trace) {
		struct vio_ccw_trace trace = { command ? command->name : NULL, *ccw, *status };

		model->config.trace(model->config.context, &trace);
	}
}

static bool fetch(const struct vio_ccw_device *model, uint64_t address, struct vio_ccw *ccw)
{
	struct ccw1 wire;

	if (address % sizeof(wire) || address >= DATA_LIMIT ||
	    !move(model, address, (uint8_t *)&wire, sizeof(wire), VIO_MEM_READ))
		return false;
	*ccw = (struct vio_ccw){ wire.cmd_code, wire.flags,
				 (uint16_t)vio_be_load(wire.count, sizeof(wire.count)),
				 vio_be_load(wire.cda, sizeof(wire.cda)) };
	return ccw->data < DATA_LIMIT;
}

uint64_t vio_ccw_device_program(struct vio_ccw_device *model, uint64_t address, struct vio_ccw_status *status)
{
	struct vio_ccw ccw;
	bool transferred = true; /* the first word may not be a transfer, nor may one follow another */
	unsigned left;

	for (left = VIO_CCW_PROGRAM_MAX; left; left--) {
		if (!fetch(model, address, &ccw))
			break;
		address += sizeof(struct ccw1);
		if (ccw.command == CCW_CMD_TIC) {
			if (transferred || ccw.flags || ccw.count)
				break;
			transferred = true;
			address = ccw.data;
			continue;
		}
		transferred = false;
		vio_ccw_device_command(model, &ccw, status);
		if (status->device != ENDED || status->subchannel || !(ccw.flags & CCW_FLAG_CC))
			return address;
	}
	*status = (struct vio_ccw_status){ .subchannel = CCW_CSTAT_PROGRAM_CHECK };
	return address;
}

/* spec: DEV-CCW-021 DEV-CCW-MAY-001; hostile: A84 A85 A86 */
int64_t vio_ccw_device_notify(struct vio_ccw_device *model, uint64_t subchannel, uint64_t data,
			      uint64_t cookie)
{
	struct vio_device *device = device_of(model);

	if ((uint32_t)subchannel != model->config.subchannel)
		return -VIO_ENOENT;
	if (vio_device_has_feature(device, VIRTIO_F_NOTIFICATION_DATA))
		data &= UINT16_MAX;
	if (data >= device->queue_count)
		return -VIO_ERANGE;
	if (!model->config.queues[data].ready)
		return -VIO_EPHASE;
	if (is_legacy(model) && !(device->status & VIRTIO_CONFIG_S_DRIVER_OK))
		vio_legacy_advance(device, model->driver_features,
				   VIRTIO_CONFIG_S_DRIVER_OK); /* which kicks */
	else
		vio_device_kick(device, (uint16_t)data);
	return (int64_t)data; /* queues are found by their number, whatever cookie comes back */
}

bool vio_ccw_device_run(struct vio_ccw_device *model)
{
	bool more = false;
	uint16_t queue;

	for (queue = 0; queue < device_of(model)->queue_count; queue++) {
		if (!model->config.queues[queue].again)
			continue;
		model->config.queues[queue].again = false;
		vio_device_kick(device_of(model), queue); /* may set it again */
		more |= model->config.queues[queue].again;
	}
	return more;
}

void vio_ccw_device_enable(struct vio_ccw_device *model)
{
	choose_revision(model, REVISION_UNSET); /* spec: DEV-CCW-010 */
}

int vio_ccw_device_init(struct vio_ccw_device *model, const struct vio_ccw_device_config *config)
{
	struct vio_features features = carried(REVISION_UNSET);

	if (config->revision_min > VIRTIO_CCW_REV_MODERN || config->revision_max > VIRTIO_CCW_REV_MAX ||
	    config->revision_min > config->revision_max)
		return -VIO_ENOTSUP;
	if (config->device->phase != VIO_DEVICE_READY)
		return -VIO_EPHASE;
	memset(model, 0, sizeof(*model));
	model->config = *config;
	model->revision = REVISION_UNSET;
	vio_device_attach(config->device, config->mem, &features, &events, model);
	forget(model);
	return 0;
}

void vio_ccw_device_end(struct vio_ccw_device *model)
{
	vio_device_detach(device_of(model));
	forget(model);
}
