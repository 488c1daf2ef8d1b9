/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Entered by PVH: 32 bits, protected mode, no paging. Goes on with 64 bits and the first 4 GiB mapped one
 * to one, what lies above 3 GiB uncached.
 */
#define PRESENT_WRITE 0x3
#define LARGE         0x83
#define UNCACHED      0x18

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18
	.asciz	"Xen"
	.quad	_start

	.section .entry, "ax"
	.code32
	.globl	_start
_start:	movl	$top_table, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER */
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax	/* PG */
	movl	%eax, %cr0
	lgdt	descriptors_pointer
	ljmp	$8, $long_mode

	.code64
long_mode:
	xorl	%eax, %eax
	movl	%eax, %ss
	movl	$stack_end, %esp
	lidt	gates_pointer
	movl	$pages_start, %edi
	call	os_start

trap:	popq	%rdi			/* what the processor left: a code, if it has one, and where it was */
	popq	%rsi
	movq	%cr2, %rdx
	call	os_trap
raised:	iretq				/* the APIC keeps which one it was */

	.data
	.balign	4096
directories:
	.set	page, 0
	.rept	4 * 512
	.quad	page + LARGE - (page >= 0xc0000000) * UNCACHED	/* true is -1 */
	.set	page, page + 0x200000
	.endr
directory_pointers:
	.quad	directories + PRESENT_WRITE, directories + 0x1000 + PRESENT_WRITE
	.quad	directories + 0x2000 + PRESENT_WRITE, directories + 0x3000 + PRESENT_WRITE
	.balign	4096
top_table:
	.quad	directory_pointers + PRESENT_WRITE
	.balign	4096
gates:	.rept	32
	.word	trap - _start, 8, 0x8e00, IMAGE_BASE >> 16, 0, 0, 0, 0
	.endr
	.rept	256 - 32
	.word	raised - _start, 8, 0x8e00, IMAGE_BASE >> 16, 0, 0, 0, 0
	.endr
gates_pointer:
	.word	256 * 16 - 1
	.quad	gates
descriptors:
	.quad	0, 0x00209a0000000000	/* none; code, 64 bits */
descriptors_pointer:
	.word	15
	.long	descriptors
