/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

/*
 * Interrupts by message only, to the local APIC. The entries in x86_64.S note which vector was raised and
 * return; that happens only while the processor sleeps.
 */
#define APIC           0xfee00000u
#define APIC_SPURIOUS  0x0f0u
#define APIC_TIMER     0x320u
#define APIC_INITIAL   0x380u
#define APIC_CURRENT   0x390u
#define APIC_DIVISOR   0x3e0u
#define APIC_ENABLE    0x1ffu
#define DIVISOR_ONE    0xbu
#define TIMER_VECTOR   (X86_FIRST_MESSAGE + X86_MESSAGES)
#define GATE_INTERRUPT 0x8e00u
#define CODE_SELECTOR  8u

struct gate {
	uint16_t low, selector, kind, middle;
	uint32_t high, unused;
};

/* x86_64.S */
extern struct gate x86_gates[256];
extern uint32_t x86_raised;
extern const uint8_t x86_entries[]; /* 16 bytes each, from X86_FIRST_MESSAGE on; the last is the timer's */

static void apic_write(unsigned at, uint32_t value)
{
	*(volatile uint32_t *)(uintptr_t)(APIC + at) = value;
}

static void set_gate(unsigned vector, uintptr_t entry)
{
	x86_gates[vector] = (struct gate){
		(uint16_t)entry, CODE_SELECTOR, GATE_INTERRUPT, (uint16_t)(entry >> 16), 0, 0,
	};
}

void x86_interrupts_init(struct board *board)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) table = { sizeof(x86_gates) - 1, (uintptr_t)x86_gates };
	unsigned vector;

	x86_port_write(NULL, 0x21, 1, 0xff); /* nothing from the two 8259 */
	x86_port_write(NULL, 0xa1, 1, 0xff);
	for (vector = X86_FIRST_MESSAGE; vector <= TIMER_VECTOR; vector++)
		set_gate(vector, (uintptr_t)x86_entries + (vector - X86_FIRST_MESSAGE) * 16);
	set_gate(0xff, (uintptr_t)x86_entries + (TIMER_VECTOR - X86_FIRST_MESSAGE) * 16);
	__asm__ volatile("lidt %0" : : "m"(table));
	apic_write(APIC_SPURIOUS, APIC_ENABLE);
	apic_write(APIC_DIVISOR, DIVISOR_ONE);
	apic_write(APIC_TIMER, TIMER_VECTOR);
	board->has_interrupts = true;
	board->mmio_interrupt = -1;
	board->first_message = X86_FIRST_MESSAGE;
	board->messages = X86_MESSAGES;
	board->message_address = APIC;
}

void board_interrupt_enable(int number)
{
}

/* How far the APIC's timer goes in a while is measured here, so that a sleep is never much too long. */
void board_sleep(uint64_t ticks)
{
	const uint64_t end = board_ticks() + ticks;
	uint64_t since = board_ticks(), passed, counts;

	apic_write(APIC_INITIAL, UINT32_MAX);
	do
		passed = board_ticks() - since;
	while (passed < 1000);
	counts = UINT32_MAX - *(volatile uint32_t *)(uintptr_t)(APIC + APIC_CURRENT);
	counts = ticks / passed * (counts ? counts : 1);
	apic_write(APIC_INITIAL, counts > UINT32_MAX ? UINT32_MAX : counts ? (uint32_t)counts : 1);
	if (!*(volatile uint32_t *)&x86_raised && board_ticks() < end)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
	apic_write(APIC_INITIAL, 0);
}

int board_interrupt_take(void)
{
	uint32_t raised;
	int number;

	__asm__ volatile("sti; nop; cli" ::: "memory"); /* those that wait at the APIC */
	raised = *(volatile uint32_t *)&x86_raised;
	if (!raised)
		return -1;
	number = __builtin_ctz(raised);
	__asm__ volatile("lock btrl %1, %0" : "+m"(x86_raised) : "r"(number) : "cc");
	return X86_FIRST_MESSAGE + number;
}

void board_interrupt_done(int number)
{
}
