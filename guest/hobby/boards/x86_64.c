/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

#define UART        0x3f8u
#define EXIT        0xf4u /* -device isa-debug-exit,iobase=0xf4,iosize=4 */
#define PIT_COUNT   0x40u
#define PIT_COMMAND 0x43u
#define PIT_HZ      1193182u
#define PIT_WINDOW  12000u /* about 10 ms */

#define APIC(at)     (*(volatile uint32_t *)(uintptr_t)(0xfee00000u + (at)))
#define APIC_END     0x0b0u
#define APIC_ENABLE  0x0f0u
#define APIC_SERVING 0x100u /* 32 vectors each 16 bytes */
#define APIC_TIMER   0x320u
#define APIC_LINT0   0x350u
#define APIC_COUNT   0x380u
#define ALARM        0x40 /* below all others */
#define PERIODIC     0x20000u
#define MOMENT       1000000u    /* not long: a few milliseconds */
#define IOAPIC       0xfec00000u /* a second one 64 KiB behind */
#define IOAPIC_PINS  24
#define LEVEL        0x8000u

static uint32_t port_read(void *context, uint32_t port, unsigned width)
{
	uint32_t value = 0;

	if (width == 1)
		__asm__ volatile("inb %w1, %b0" : "+a"(value) : "Nd"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("inw %w1, %w0" : "+a"(value) : "Nd"(port) : "memory");
	else
		__asm__ volatile("inl %w1, %0" : "+a"(value) : "Nd"(port) : "memory");
	return value;
}

static void port_write(void *context, uint32_t port, unsigned width, uint32_t value)
{
	if (width == 1)
		__asm__ volatile("outb %b0, %w1" : : "a"(value), "Nd"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("outw %w0, %w1" : : "a"(value), "Nd"(port) : "memory");
	else
		__asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

/* Counts while the old timer goes down once. */
static uint64_t ticks_per_second(void)
{
	uint64_t since = board_ticks();

	port_write(NULL, PIT_COMMAND, 1, 0x30);
	port_write(NULL, PIT_COUNT, 1, PIT_WINDOW & 0xff);
	port_write(NULL, PIT_COUNT, 1, PIT_WINDOW >> 8);
	do
		port_write(NULL, PIT_COMMAND, 1, 0xe2); /* its status */
	while (!(port_read(NULL, PIT_COUNT, 1) & 0x80));
	return (board_ticks() - since) * PIT_HZ / PIT_WINDOW;
}

struct board x86_describe(const char *name)
{
	APIC(APIC_ENABLE) = 0x1ff;
	APIC(APIC_LINT0) = 0x10000; /* nothing from the old controllers */
	APIC(APIC_TIMER) = PERIODIC | ALARM;
	APIC(APIC_COUNT) = MOMENT;
	return (struct board){
		.name = name,
		.ticks_per_second = ticks_per_second(),
		.pci = { .port_read = port_read, .port_write = port_write },
		.has_interrupts = true,
	};
}

void board_put(char character)
{
	while (!(port_read(NULL, UART + 5, 1) & 0x20))
		continue;
	port_write(NULL, UART, 1, (uint8_t)character);
}

uint64_t board_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* QEMU ends with twice that and one. */
void board_exit(int failed)
{
	port_write(NULL, EXIT, 4, failed ? 0x11 : 0x10);
	for (;;)
		__asm__ volatile("hlt");
}

void board_interrupt_enable(int number)
{
	const unsigned line = (unsigned)(number - X86_FIRST_LINE), pin = line % IOAPIC_PINS;
	volatile uint32_t *ioapic = (volatile uint32_t *)(uintptr_t)(IOAPIC + line / IOAPIC_PINS * 0x10000);

	if (number >= X86_FIRST_MESSAGE) /* those come without */
		return;
	ioapic[0] = 0x10 + 2 * pin;
	ioapic[4] = LEVEL | (uint32_t)number;
}

/* At most until the APIC's timer comes, which always runs. */
void board_sleep(uint64_t ticks)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* Those that wait at the APIC raise their vectors; the highest is taken until it is ended. */
int board_interrupt_take(void)
{
	unsigned bank = 5;
	int number;

	__asm__ volatile("sti; nop; cli" ::: "memory");
	while (!APIC(APIC_SERVING + 16 * bank) && bank)
		bank--;
	number = bank ? (int)(32 * bank + 31) - __builtin_clz(APIC(APIC_SERVING + 16 * bank)) : -1;
	if (number != ALARM)
		return number;
	board_interrupt_done(ALARM);
	return -1;
}

void board_interrupt_done(int number)
{
	APIC(APIC_END) = 0;
}
