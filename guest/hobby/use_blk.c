/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drivers/blk.h>

#include "use.h"

/*
 * Reads what the host wrote to the first MiB, writes the second one, reads that back, and leaves zeros in the
 * third. tests/hobby/disk.py has the same numbers and looks at the disk afterwards.
 */
#define MIB         0x100000u
#define MIB_SECTORS (MIB / VIRTIO_BLK_SECTOR_BYTES)
#define HOST        UINT64_C(0x686f7374)
#define GUEST       UINT64_C(0x6775657374)
#define MULTIPLIER  UINT64_C(0x9e3779b97f4a7c15)

#define FLIGHT        12u /* requests at once */
#define REQUEST_BYTES 8192u
#define PARTS         2u
#define ANSWER_NS     UINT64_C(5000000000)

static const char serial[] = "hobby disk";

struct flight {
	struct vio_blk_io io[FLIGHT];
	struct vio_part parts[FLIGHT][PARTS];
	uint8_t *memory; /* of a MiB */
	uint64_t first_sector;
	uint32_t next; /* byte to be asked for */
	unsigned in_flight;
	unsigned done;
	int error;
};

static void fill(uint8_t *memory, uint64_t seed)
{
	vio_le64 *words = (vio_le64 *)(void *)memory;
	unsigned word;

	for (word = 0; word < MIB / 8; word++)
		words[word] = vio_le64_make((seed + word) * MULTIPLIER);
}

static int judge(const uint8_t *memory, uint64_t seed)
{
	const vio_le64 *words = (const vio_le64 *)(const void *)memory;
	unsigned word;

	for (word = 0; word < MIB / 8; word++)
		if (vio_le64_get(words[word]) != (seed + word) * MULTIPLIER) {
			os_print("blk: byte 0x%x of its MiB is wrong\n", word * 8);
			return -VIO_EIO;
		}
	return 0;
}

/* Asks for the next piece, in two parts that divide it unevenly. */
static void submit(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct flight *flight = io->owner;
	struct vio_part *parts = flight->parts[io - flight->io];
	const uint32_t cut = 8 + flight->next / REQUEST_BYTES * 16;
	int error;

	if (flight->next == MIB || flight->error)
		return;
	parts[0] = (struct vio_part){ flight->memory + flight->next, cut };
	parts[1] = (struct vio_part){ flight->memory + flight->next + cut, REQUEST_BYTES - cut };
	io->sector = flight->first_sector + flight->next / VIRTIO_BLK_SECTOR_BYTES;
	error = vio_blk_submit(dev, io);
	if (error) {
		flight->error = error;
		return;
	}
	flight->next += REQUEST_BYTES;
	flight->in_flight++;
}

static void done(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct flight *flight = io->owner;

	flight->in_flight--;
	flight->done++;
	if (io->result)
		flight->error = io->result;
	submit(dev, io);
}

/* A MiB from or to `sector`, several requests at a time. */
static int transfer(struct os *os, struct vio_dev *dev, uint32_t type, uint64_t sector, uint8_t *memory)
{
	struct flight *flight = os_pages_take(os, sizeof(*flight));
	const uint64_t since = os_now_ns(os);
	int error = 0, polled = 0;
	unsigned at;

	if (!flight)
		return -VIO_ENOMEM;
	flight->memory = memory;
	flight->first_sector = sector;
	for (at = 0; at < FLIGHT; at++) {
		flight->io[at] = (struct vio_blk_io){
			.type = type,
			.parts = flight->parts[at],
			.part_count = PARTS,
			.done = done,
			.owner = flight,
		};
		submit(dev, &flight->io[at]);
	}
	while (flight->in_flight && !error) {
		vio_blk_kick(dev, 0);
		if (os->board.has_interrupts) /* what they bring is done when this returns */
			os_wait(os, ANSWER_NS / 10);
		else
			polled = vio_blk_poll(dev, 0);
		if (polled < 0)
			error = polled;
		else if (flight->in_flight && os_now_ns(os) - since > ANSWER_NS)
			error = -VIO_EAGAIN;
	}
	if (error)
		(void)vio_blk_stop(dev); /* whoever still has memory of ours loses it */
	if (!error)
		error = flight->error;
	if (!error && flight->done != MIB / REQUEST_BYTES)
		error = -VIO_EIO;
	os_pages_give_back(os, flight, sizeof(*flight));
	return error;
}

/* What a driver is to refuse by itself, and what the device says of itself. */
static int ask(struct vio_dev *dev, uint8_t *memory)
{
	const struct vio_blk *blk = dev->driver_state;
	char id[VIRTIO_BLK_ID_BYTES + 1];
	int error;

	if (blk->identity.capacity != 8 * MIB_SECTORS)
		return -VIO_EIO;
	if (vio_blk_read(dev, blk->identity.capacity, memory, VIRTIO_BLK_SECTOR_BYTES) != -VIO_ERANGE)
		return -VIO_EIO;
	error = vio_blk_get_id(dev, id);
	if (error)
		return error;
	return memcmp(id, serial, sizeof(serial)) ? -VIO_EIO : 0;
}

/* Leaves zeros in the third MiB by every way that the device knows. */
static int clear(struct vio_dev *dev, uint8_t *memory)
{
	const struct vio_blk *blk = dev->driver_state;
	int error = vio_blk_write(dev, 2 * MIB_SECTORS, memory, MIB / 8);

	if (!error && blk->identity.zeroes_sectors_max)
		error = vio_blk_write_zeroes(dev, 2 * MIB_SECTORS, 64, 0);
	if (!error && blk->identity.zeroes_sectors_max)
		error = vio_blk_write_zeroes(dev, 2 * MIB_SECTORS + 64, 64,
					     VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	if (!error && blk->identity.discard_sectors_max)
		error = vio_blk_discard(dev, 2 * MIB_SECTORS + 128, 64);
	memset(memory, 0, MIB / 8);
	if (!error)
		error = vio_blk_write(dev, 2 * MIB_SECTORS + 128, memory, MIB / 16);
	if (!error && !blk->identity.zeroes_sectors_max)
		error = vio_blk_write(dev, 2 * MIB_SECTORS, memory, MIB / 16);
	return error ? error : vio_blk_flush(dev);
}

static void changed(struct vio_dev *dev)
{
	*(bool *)dev->owner = true;
}

/* Waits until the host makes the disk one MiB larger; the device tells by an interrupt. */
static int grow(struct os *os, struct vio_dev *dev, uint8_t *sector)
{
	struct vio_blk *blk = dev->driver_state;
	const uint64_t since = os_now_ns(os), before = blk->identity.capacity;
	bool told = false;

	dev->owner = &told;
	blk->changed = changed;
	os_print("blk: may grow now\n");
	while (!told && os_now_ns(os) - since < ANSWER_NS) {
		if (os->board.has_interrupts)
			os_wait(os, ANSWER_NS);
		else
			(void)vio_dev_interrupt(dev);
	}
	blk->changed = NULL;
	if (!told)
		return -VIO_EAGAIN;
	if (blk->identity.capacity != before + MIB_SECTORS)
		return -VIO_EIO;
	return vio_blk_read(dev, before + MIB_SECTORS - 1, sector, VIRTIO_BLK_SECTOR_BYTES);
}

static int use(struct os *os, struct vio_dev *dev, char *report)
{
	uint8_t *memory = os_pages_take(os, MIB);
	int error;

	if (!memory)
		return -VIO_ENOMEM;
	error = ask(dev, memory);
	if (!error)
		error = transfer(os, dev, VIRTIO_BLK_T_IN, 0, memory);
	if (!error)
		error = judge(memory, HOST);
	fill(memory, GUEST);
	if (!error)
		error = transfer(os, dev, VIRTIO_BLK_T_OUT, MIB_SECTORS, memory);
	if (!error)
		error = vio_blk_flush(dev);
	memset(memory, 0, MIB);
	if (!error) /* what was written outlives the driver's life */
		error = vio_blk_stop(dev);
	if (!error)
		error = vio_blk_start(dev);
	if (!error)
		error = vio_blk_read(dev, MIB_SECTORS, memory, MIB);
	if (!error)
		error = judge(memory, GUEST);
	if (!error)
		error = clear(dev, memory);
	if (!error)
		error = grow(os, dev, memory);
	os_append(report, USE_REPORT_BYTES, "3 MiB read, written, cleared; grew to %u MiB",
		  (unsigned)(((struct vio_blk *)dev->driver_state)->identity.capacity / MIB_SECTORS));
	os_pages_give_back(os, memory, MIB);
	return error;
}

const struct use use_blk = { "blk", &vio_blk_driver, use };
