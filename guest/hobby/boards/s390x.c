/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "os.h"

/* QEMU's `s390-ccw-virtio`: devices behind subchannels, a console behind the service processor. */

#define MODE     UINT64_C(0x0000000180000000) /* of a PSW: 64 bits */
#define WAITING  UINT64_C(0x0002000000000000)
#define IO       UINT64_C(0x0200000000000000)
#define EXTERNAL UINT64_C(0x0100000000000000)
#define CONTENT  0xfffu /* where to wait for nothing says what came of it */

#define FIRST        0x00010000u /* subchannel */
#define ADAPTER      31          /* the number of all adapter interrupts; others are those of subchannels */
#define IO_ADAPTER   0x80000000u
#define PMCW_ENABLED 0x18800000u /* with interrupts of subclass 3 */
#define PMCW_VALID   0x00010000u
#define ORB_FORMAT_1 0x0080ff00u /* on any path */

#define SCLP_READ_INFO  0x00020001u
#define SCLP_WRITE      0x00760005u
#define SCLP_WRITE_MASK 0x00780005u
#define SERVICE_SIGNAL  0x2401

/* As the machine has them. */
struct block {
	_Alignas(8) uint32_t word[32];
};

/* At the bottom of memory the machine says which interrupt it was. */
extern uint8_t lowcore[];
#define EXTERNAL_CODE (*(volatile uint16_t *)(void *)(lowcore + 0x86))
#define IO_SUBCHANNEL (*(volatile uint32_t *)(void *)(lowcore + 0xb8))
#define IO_WORD       (*(volatile uint32_t *)(void *)(lowcore + 0xc0))
/* And there is room for what this program has to remember: interrupts that came and weren't taken. */
#define CAME          (*(volatile uint32_t *)(void *)(lowcore + 0x300))
#define SCCB          (lowcore + 0x8000) /* what is said to the service processor, and its answer */

/* s390x.S; whether an I/O interrupt came. */
int listen_to(uint64_t psw_mask);

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

static void listen(uint64_t mask)
{
	if (listen_to(MODE | mask))
		CAME |= UINT32_C(1) << (IO_WORD & IO_ADAPTER ? ADAPTER : IO_SUBCHANNEL & 31);
}

/* The service processor says by an interrupt that it is done with `length` bytes. */
static void service(uint32_t command, uint8_t length)
{
	SCCB[1] = length;
	__asm__ volatile("sckc %0" : : "Q"((uint64_t){ UINT64_MAX }));
	__asm__ volatile(".insn rre, 0xb2200000, %0, %1" : : "d"(command), "d"(SCCB) : "cc", "memory");
	for (EXTERNAL_CODE = 0; EXTERNAL_CODE != SERVICE_SIGNAL;)
		listen(WAITING | EXTERNAL);
}

void board_put(char character)
{
	const uint8_t text[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0x1a, 0, 0, 0, (uint8_t)character };

	memcpy(SCCB, text, sizeof(text));
	service(SCLP_WRITE, sizeof(text));
}

uint64_t board_ticks(void)
{
	uint64_t clock; /* 4096 are a microsecond */

	__asm__ volatile("stck %0" : "=Q"(clock) : : "cc");
	return clock;
}

void board_exit(int failed)
{
	const uint64_t end[2] = { MODE | WAITING, failed ? 0 : CONTENT };

	for (;;)
		__asm__ volatile("lpswe %0" : : "Q"(end) : "memory");
}

static int run(void *context, const struct vio_ccw *ccw, struct vio_ccw_status *status)
{
	const uint32_t subchannel = (uint32_t)(uintptr_t)context, bit = UINT32_C(1) << (subchannel & 31);
	const uint64_t word = (uint64_t)ccw->command << 56 | (uint64_t)ccw->flags << 48 |
			      (uint64_t)ccw->count << 32 | ccw->data;
	struct block orb = { { 0, ORB_FORMAT_1, (uint32_t)(uintptr_t)&word } }, irb;
	uint32_t before;
	unsigned code;

	/* What is in the way tells of an interrupt, which is the driver's all the same. */
	while ((code = ssch(subchannel, &orb)) == 1)
		if (!tsch(subchannel, &irb))
			CAME |= bit;
	if (code)
		return -VIO_EHANGUP;
	before = CAME & bit;
	do {
		for (CAME &= ~bit; !(CAME & bit);)
			listen(WAITING | IO);
		code = tsch(subchannel, &irb);
	} while (code == 1);
	CAME = (CAME & ~bit) | before;
	*status = (struct vio_ccw_status){ (uint8_t)(irb.word[2] >> 24), (uint8_t)(irb.word[2] >> 16),
					   (uint16_t)irb.word[2] };
	return code ? -VIO_EHANGUP : 0;
}

static int64_t notify(void *context, uint64_t data, int64_t cookie)
{
	register uint64_t r1 __asm__("1") = VIRTIO_CCW_DIAGNOSE_FUNCTION;
	register int64_t r2 __asm__("2") = (int64_t)(uintptr_t)context;
	register uint64_t r3 __asm__("3") = data;
	register int64_t r4 __asm__("4") = cookie;

	__asm__ volatile("diag 2, 4, 0x500" : "+d"(r2) : "d"(r1), "d"(r3), "d"(r4) : "memory", "cc");
	return r2;
}

static int subchannel(const struct board *board, unsigned number, struct vio_ccw_driver_config *config)
{
	struct block schib;

	if (stsch(FIRST + number, &schib) || !(schib.word[1] & PMCW_VALID))
		return -VIO_ENOENT;
	schib.word[1] |= PMCW_ENABLED;
	if (msch(FIRST + number, &schib))
		return -VIO_EHANGUP;
	config->access = (struct vio_ccw_access){ (void *)(uintptr_t)(FIRST + number), run, notify };
	config->isc = 2;
	config->flags = board->messages ? VIO_CCW_ADAPTER : 0;
	return 0;
}

/* With the machine's loadparm=CLASSIC interrupts are those of subchannels alone. */
void board_describe(struct board *board)
{
	service(SCLP_READ_INFO, 255);
	*board = (struct board){
		.name = "s390-ccw-virtio",
		.ticks_per_second = 4096000000,
		.subchannels = ADAPTER,
		.subchannel = subchannel,
		.has_interrupts = true,
		.first_message = ADAPTER,
		.messages = SCCB[24] == 0xc3 ? 0 : 1, /* a C in EBCDIC */
		.messages_are_all = true,
	};
	memset(SCCB, 0, 28);
	SCCB[11] = 4;    /* bytes of a mask */
	SCCB[19] = 0x40; /* text is sent */
	service(SCLP_WRITE_MASK, 28);
}

void board_interrupt_enable(int number)
{
}

void board_sleep(uint64_t ticks)
{
	__asm__ volatile("sckc %0" : : "Q"((uint64_t){ board_ticks() + ticks }));
	if (!CAME)
		listen(WAITING | IO | EXTERNAL);
}

/* The status that a subchannel has goes with its interrupt. */
int board_interrupt_take(void)
{
	struct block irb;
	int number;

	if (!CAME)
		listen(IO);
	if (!CAME)
		return -1;
	number = __builtin_ctz(CAME);
	CAME &= CAME - 1;
	if (number != ADAPTER)
		(void)tsch(FIRST + (unsigned)number, &irb);
	return number;
}

void board_interrupt_done(int number)
{
}
