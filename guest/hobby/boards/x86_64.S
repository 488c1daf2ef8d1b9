/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Entered by PVH: 32 bits, protected mode, no paging. Maps the first 4 GiB one to one, what
 * lies above 3 GiB uncached, and goes on with 64 bits.
 */
#include "x86_64.h"

#define PAGE_PRESENT_WRITE 0x3
#define PAGE_LARGE         0x83
#define PAGE_UNCACHED      0x18
#define DIRECTORY_ENTRIES  512

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18
	.asciz	"Xen"
	.quad	_start

	.section .entry, "ax"
	.code32
	.globl	_start
_start:
	cld
	movl	$bss_start, %edi
	movl	$bss_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb

	movl	$(directory_pointers + PAGE_PRESENT_WRITE), top_table
	movl	$directory_pointers, %edi
	movl	$(directories + PAGE_PRESENT_WRITE), %eax
	movl	$4, %ecx
1:	movl	%eax, (%edi)
	addl	$8, %edi
	addl	$4096, %eax
	loop	1b

	movl	$directories, %edi
	movl	$PAGE_LARGE, %eax
	movl	$(4 * DIRECTORY_ENTRIES), %ecx
2:	movl	%eax, (%edi)
	cmpl	$(DIRECTORY_ENTRIES + 1), %ecx
	jae	3f
	orl	$PAGE_UNCACHED, (%edi)
3:	addl	$8, %edi
	addl	$0x200000, %eax
	loop	2b

	movl	$top_table, %eax
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
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$stack_end, %esp
	movl	$pages_start, %edi
	call	os_start

/* Each raised vector leaves a bit; the timer's none. */
	.section .text.x86_entries, "ax"
	.balign	16
	.globl	x86_entries
x86_entries:
	.set	bit, 0
	.rept	X86_MESSAGES
	.balign	16
	lock btsl $bit, x86_raised
	jmp	end_of_interrupt
	.set	bit, bit + 1
	.endr
	.balign	16
end_of_interrupt:
	pushq	%rax
	movl	$0xfee000b0, %eax
	movl	$0, (%rax)
	popq	%rax
	iretq

	.section .rodata
	.balign	8
descriptors:
	.quad	0
	.quad	0x00209a0000000000	/* code, 64 bits */
descriptors_pointer:
	.word	. - descriptors - 1
	.long	descriptors

	.section .bss.x86_gates, "aw", @nobits
	.balign	16
	.globl	x86_gates, x86_raised
x86_gates:
	.skip	256 * 16
x86_raised:
	.skip	4

	.bss
	.balign	4096
top_table:
	.skip	4096
directory_pointers:
	.skip	4096
directories:
	.skip	4 * 4096

	.section .note.GNU-stack, "", @progbits
