/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Exception level 1, no MMU. Maps 512 GiB one to one by blocks of 1 GiB: the second one is memory, all
 * others are registers. Until then nothing may be misaligned.
 */
#define BLOCK_REGISTERS 0x0060000000000401	/* attribute 0, not to be executed */
#define BLOCK_MEMORY    0x0000000000000705	/* attribute 1, shared */
#define ATTRIBUTES      0xff00			/* 0: nGnRnE, 1: write back */
#define CONTROL         0x0000000200803519	/* 39 bits at 4 KiB, cached walks, 40 bits out, one table */

	.section .entry, "ax"
	.globl	_start
_start:
	adrp	x0, stack_end
	add	sp, x0, :lo12:stack_end
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0

	adrp	x0, table
	ldr	x1, =BLOCK_REGISTERS
	mov	x2, #0
1:	add	x3, x1, x2, lsl #30
	str	x3, [x0, x2, lsl #3]
	add	x2, x2, #1
	cmp	x2, #512
	b.ne	1b
	ldr	x1, =(BLOCK_MEMORY + 0x40000000)
	str	x1, [x0, #8]
	msr	ttbr0_el1, x0
	mov	x1, #ATTRIBUTES
	msr	mair_el1, x1
	ldr	x1, =CONTROL
	msr	tcr_el1, x1
	dsb	sy
	tlbi	vmalle1
	dsb	sy
	isb
	mrs	x1, sctlr_el1
	mov	x2, #0x1005		/* MMU, caches */
	orr	x1, x1, x2
	bic	x1, x1, #2		/* misaligned accesses are fine from now on */
	msr	sctlr_el1, x1
	isb

	adrp	x0, pages_start
	add	x0, x0, :lo12:pages_start
	bl	os_start

	.balign	2048
vectors:
	.rept	16
	.balign	128
	mrs	x0, esr_el1
	mrs	x1, elr_el1
	mrs	x2, far_el1
	b	os_trap
	.endr

	.bss
	.balign	4096
table:	.skip	4096
