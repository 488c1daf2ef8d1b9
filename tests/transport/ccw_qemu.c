/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/ccw.h>
#include <vireo/driver.h>
#include <vireo/drivers/blk.h>

/*
 * A program for QEMU's s390-ccw-virtio, without a system under it: finds a disk behind its subchannels, reads
 * sector 1, turns its bits over and writes them to sector 2; what it knows goes to sector 3. ccw_qemu.sh
 * looks at the disk.
 */
#define PAGES         64u
#define PAGE          4096u
#define SUBCHANNELS   16u
#define FIRST         0x00010000u /* subchannel identification word */
#define PMCW_ENABLED  0x00800000u
#define PMCW_VALID    0x00010000u
#define ORB_FORMAT_1  0x00800000u
#define ORB_ALL_PATHS 0x0000ff00u
#define DISABLED_WAIT UINT64_C(0x0002000180000000)
#define NEW_PSW       0x1d0u /* of program checks */

/* As the machine has them. */
struct block {
	_Alignas(8) uint32_t word[32];
};

struct machine {
	_Alignas(4096) uint8_t pages[PAGES][PAGE];
	_Alignas(8) uint8_t area[VIO_CCW_AREA_BYTES];
	struct block schib, orb, irb;
	_Alignas(8) struct ccw1 ccw;
	unsigned used;
	uint32_t subchannel;
	struct vio_platform platform;
	struct vio_ccw_driver transport;
	struct vio_dev dev;
	struct vio_blk blk;
	uint8_t sector[512];
};

_Noreturn void go(void);

__asm__(".section .text.entry, \"ax\"\n"
	".globl _start\n"
	"_start: larl %r15, stack_end - 160\n"
	"	brasl %r14, go\n"
	".section .bss.stack, \"aw\", @nobits\n"
	".balign 16\n"
	".skip 65536\n"
	"stack_end:\n"
	".text\n");

/* One of the channel subsystem's instructions; its condition code. */
#define CHANNEL(name)                                                  \
	static unsigned name(uint32_t subchannel, struct block *block) \
	{                                                              \
		register uint64_t r1 __asm__("1") = subchannel;        \
		unsigned code;                                         \
		__asm__ volatile(#name " %1\n ipm %0\n srl %0, 28"     \
				 : "=&d"(code), "+Q"(*block)           \
				 : "d"(r1)                             \
				 : "cc", "memory");                    \
		return code;                                           \
	}

CHANNEL(stsch)
CHANNEL(msch)
CHANNEL(ssch)
CHANNEL(tsch)

static int run(void *context, const struct vio_ccw *ccw, struct vio_ccw_status *status)
{
	struct machine *m = context;
	unsigned code;

	m->ccw = (struct ccw1){
		ccw->command, ccw->flags, { (uint8_t)(ccw->count >> 8), (uint8_t)ccw->count }, { 0 }
	};
	for (unsigned i = 0; i < 4; i++)
		m->ccw.cda[i] = (uint8_t)(ccw->data >> (24 - 8 * i));
	memset(&m->orb, 0, sizeof(m->orb));
	m->orb.word[1] = ORB_FORMAT_1 | ORB_ALL_PATHS;
	m->orb.word[2] = (uint32_t)(uintptr_t)&m->ccw;
	/* Status may be pending that tells of an interrupt: it is in the way of a start. */
	while ((code = ssch(m->subchannel, &m->orb)) == 1)
		(void)tsch(m->subchannel, &m->irb);
	if (code)
		return -VIO_EHANGUP;
	while ((code = tsch(m->subchannel, &m->irb)) == 1)
		continue;
	*status = (struct vio_ccw_status){ (uint8_t)(m->irb.word[2] >> 24), (uint8_t)(m->irb.word[2] >> 16),
					   (uint16_t)m->irb.word[2] };
	return code ? -VIO_EHANGUP : 0;
}

static int64_t notify(void *context, uint64_t data, int64_t cookie)
{
	register uint64_t r1 __asm__("1") = VIRTIO_CCW_DIAGNOSE_FUNCTION;
	register int64_t r2 __asm__("2") = ((struct machine *)context)->subchannel;
	register uint64_t r3 __asm__("3") = data;
	register int64_t r4 __asm__("4") = cookie;

	__asm__ volatile("diag 2, 4, 0x500" : "+d"(r2) : "d"(r1), "d"(r3), "d"(r4) : "memory", "cc");
	return r2;
}

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	struct machine *m = context;
	unsigned count = (unsigned)((bytes + PAGE - 1) / PAGE);

	if (count > PAGES - m->used)
		return -VIO_ENOMEM;
	memory->host = m->pages[m->used];
	memory->addr = vio_addr_make((uintptr_t)memory->host);
	m->used += count;
	return 0;
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	*addr = vio_addr_make((uintptr_t)host);
	return 0;
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
}

static uint64_t now_ns(void *context)
{
	uint64_t clock; /* 4096 are a microsecond */

	__asm__ volatile("stck %0" : "=Q"(clock) : : "cc");
	return (clock >> 9) * 125;
}

static void wait(void *context, uint64_t timeout_ns)
{
}

/* Enables the next subchannel that has a device, and looks for a disk there. */
static int find_disk(struct machine *m)
{
	const struct vio_ccw_driver_config config = {
		.access = { m, run, notify },
		.area = { m->area, vio_addr_make((uintptr_t)m->area) },
		.flags = VIO_CCW_ADAPTER,
	};

	for (m->subchannel = FIRST; m->subchannel < FIRST + SUBCHANNELS; m->subchannel++) {
		if (stsch(m->subchannel, &m->schib) || !(m->schib.word[1] & PMCW_VALID))
			continue;
		m->schib.word[1] |= PMCW_ENABLED;
		if (!msch(m->subchannel, &m->schib) &&
		    !vio_ccw_driver_probe(&m->transport, &config, &m->dev) && m->dev.id == VIRTIO_ID_BLOCK)
			return 0;
	}
	return -VIO_ENOENT;
}

static void use_disk(struct machine *m)
{
	if (vio_driver_bind(&m->dev, &vio_blk_driver, &m->platform, &m->blk))
		return;
	for (unsigned round = 0; round < 100; round++)
		if (vio_blk_read(&m->dev, 1, m->sector, sizeof(m->sector)))
			return;
	for (unsigned i = 0; i < sizeof(m->sector); i++)
		m->sector[i] = (uint8_t)~m->sector[i];
	if (vio_blk_write(&m->dev, 2, m->sector, sizeof(m->sector)))
		return;
	memset(m->sector, 0, sizeof(m->sector));
	m->sector[0] = 'r';
	m->sector[1] = (uint8_t)('0' + m->transport.revision);
	m->sector[2] = m->transport.adapter ? 'a' : 'c';
	m->sector[3] = vio_dev_has_feature(&m->dev, VIRTIO_F_RING_PACKED) ? 'p' : 's';
	m->sector[4] = vio_dev_interrupt(&m->dev) & VIO_INTERRUPT_QUEUE ? 'i' : '-';
	(void)vio_blk_write(&m->dev, 3, m->sector, sizeof(m->sector));
	(void)vio_driver_unbind(&m->dev);
}

/* A program check ends the machine, and so does the end: it waits with interrupts off. */
_Noreturn void go(void)
{
	static struct machine m;
	const uint64_t end[2] = { DISABLED_WAIT, 0 };

	memcpy((void *)(uintptr_t)NEW_PSW, end, sizeof(end));
	m.platform = (struct vio_platform){
		.context = &m,
		.take = take,
		.give_back = give_back,
		.share = share,
		.unshare = unshare,
		.now_ns = now_ns,
		.wait = wait,
	};
	if (!find_disk(&m))
		use_disk(&m);
	for (;;)
		__asm__ volatile("lpswe %0" : : "Q"(end) : "memory");
}
