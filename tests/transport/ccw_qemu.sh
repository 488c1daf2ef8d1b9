#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The driver's half of channel I/O on an emulated s390x, with QEMU's own disk: ccw_qemu.c says what it does
# there. Both formats of rings, adapter interrupts, revisions 1 and 2; revision 0 is refused.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
for tool in qemu-system-s390x s390x-linux-gnu-gcc; do
	if ! command -v $tool >/dev/null; then
		echo "$tool is absent"
		exit 77
	fi
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

sources=$(find "$top"/src/base "$top"/src/memory "$top"/src/ring "$top"/src/driver "$top"/src/drivers/blk \
	-maxdepth 1 -name '*.c' ! -name '*_test.c')
# shellcheck disable=SC2086
s390x-linux-gnu-gcc -std=gnu11 -O1 -msoft-float -ffreestanding -fno-pic -no-pie -fno-stack-protector \
	-Wall -Wextra -Wno-unused-parameter -Werror -Wno-array-bounds -Wno-stringop-overflow \
	-nostdlib -static -ffunction-sections -Wl,--gc-sections -Wl,--build-id=none \
	-Wl,-Ttext-segment=0x100000 \
	-isystem "$top/src/base/freestanding" -I"$top/include" -I"$top/src" -o "$out/ccw.elf" \
	"$top/tests/transport/ccw_qemu.c" "$top/src/transport/ccw/driver.c" "$top/guest/hobby/mem.c" $sources

# What QEMU is told of the disk, and what the program has to say of it: "" is nothing at all.
try()
{
	options=$1 expected=$2
	awk 'BEGIN { for (i = 0; i < 8192; i++) printf "%c", 65 + int(i / 512) }' >"$out/disk"
	timeout 60 qemu-system-s390x -M s390-ccw-virtio -m 64 -display none -serial none -monitor none \
		-nodefaults -action panic=shutdown -kernel "$out/ccw.elf" \
		-drive "file=$out/disk,format=raw,if=none,id=disk" \
		-device "virtio-blk-ccw,drive=disk$options" || true
	said=$(dd if="$out/disk" bs=1 skip=1536 count=5 2>/dev/null)
	turned=$(dd if="$out/disk" bs=512 skip=2 count=1 2>/dev/null | od -An -v -tx1 | tr -d ' \n' |
		sed 's/\(bd\)*//')
	if [ -z "$expected" ]; then
		[ "$said" = DDDDD ] && return
	else
		[ "$said" = "$expected" ] && [ -z "$turned" ] && return
	fi
	echo "virtio-blk-ccw$options: '$said' instead of '${expected:-DDDDD}'," \
		"sector 2 ${turned:-turned over}"
	exit 1
}

try "" r2asi
try ",packed=on" r2api
try ",max_revision=1" r1asi
try ",max_revision=0" ""
