#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tests/hobby/small.sh    builds guest/hobby/small.c for riscv64, says what it weighs, and has it add one to
#                         the first byte of a disk, over both versions of virtio-mmio, and over the modern
#                         one with all left out that can be
#
# It is built below $HOBBY_OUT (build/hobby). Exits 77 when a tool is absent, and says which.

set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
out=${HOBBY_OUT:-$root/build/hobby}
for tool in qemu-system-riscv64 riscv64-linux-gnu-gcc riscv64-linux-gnu-ld; do
	command -v $tool >/dev/null || { echo "$tool is absent"; exit 77; }
done

mkdir -p "$out"
flock "$out/lock" make -s -f "$root/guest/hobby/Makefile" BOARD=riscv64 OUT="$out" size || exit 1

disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
printf 'A%511s' >"$disk"
for run in riscv64:true riscv64:false riscv64-lean:false; do
	legacy=${run#*:}
	timeout -k 2 30 qemu-system-riscv64 -M virt -bios none -nodefaults -display none -no-reboot \
		-global virtio-mmio.force-legacy=$legacy -kernel "$out/${run%:*}/small.elf" \
		-drive "if=none,id=disk,file=$disk,format=raw" -device virtio-blk-device,drive=disk </dev/null
	status=$?
	[ $status -eq 0 ] || { echo "FAILED: $run: exit status $status"; exit 1; }
done
[ "$(head -c 1 "$disk")" = D ] || { echo "FAILED: the disk begins with $(head -c 1 "$disk"), not D"; exit 1; }
