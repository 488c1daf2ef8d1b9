#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The driver of examples/dummy is a module for every kernel whose headers are installed, unchanged.
#
#   tests/linux/kbuild.sh VIRTIO_DUMMY_C

set -euo pipefail
shopt -s nullglob

source=$1
built=0

for kdir in "/lib/modules/$(uname -r)/build" /usr/src/linux-headers-*; do
	if [ ! -f "$kdir/include/config/kernel.release" ] || [ ! -f "$kdir/Makefile" ]; then
		continue
	fi
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	cp "$source" "$work/virtio_dummy.c"
	echo 'obj-m := virtio_dummy.o' >"$work/Kbuild"
	echo "# $(cat "$kdir/include/config/kernel.release")"
	nice -n 5 make -C "$kdir" M="$work" modules >"$work/log" 2>&1 || {
		cat "$work/log"
		exit 1
	}
	if grep -i 'warning: .*' "$work/log" | grep -v 'compiler differs\|BTF'; then
		echo "the module is built with warnings"
		exit 1
	fi
	# modinfo isn't everywhere: what it shows is text in the module.
	grep -aq 'alias=virtio:d0000003Ev\*' "$work/virtio_dummy.ko" || {
		echo "the module has no alias for device 62"
		exit 1
	}
	rm -rf "$work"
	built=$((built + 1))
done

if [ $built -eq 0 ]; then
	echo "no kernel's headers are installed (package linux-headers-...)"
	exit 77
fi
echo "built for $built kernels"
