#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A Linux guest in QEMU writes and verifies a disk whose daemon is killed every few seconds, and started anew.
#
#   tests/frontend/qemu-killed.sh VIREO listens|connects [PROPERTIES]
#
# The daemon listens and QEMU connects again, or the other way round. PROPERTIES are QEMU's, of its device.
#
# Debian's cloud kernel is downloaded into the cache once. Exits 77 when something it needs is absent.

set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
vireo=$1
how=$2
properties=${3:+,$3}
PATH=$PATH:/usr/sbin:/sbin
. "$top/guest/linux/cache.sh"

absent() { echo "$*"; exit 77; }

for tool in qemu-system-x86_64 fio busybox cpio depmod modprobe mke2fs dpkg-deb; do
	command -v $tool >/dev/null || absent "$tool is not installed; run scripts/setup check slow"
done

package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
[ -n "$package" ] || absent "no linux-image-cloud-amd64 in the package lists"
release=${package#linux-image-}
kernel=$(cache_root)/$package
if [ ! -d "$kernel" ]; then
	mkdir -p "$(cache_root)"
	fetched=$(mktemp -d "$(cache_root)/.cloud.XXXXXX")
	trap 'rm -rf "$fetched"' EXIT
	(cd "$fetched" && apt-get -q download "$package" >/dev/null 2>&1) ||
		absent "$package can't be downloaded"
	dpkg-deb -x "$fetched"/*.deb "$fetched/root"
	depmod -b "$fetched/root" "$release"
	mv -T "$fetched/root" "$kernel" 2>/dev/null || [ -d "$kernel" ]
	rm -rf "$fetched"
fi

work=$(mktemp -d)
killer=
cleanup() {
	[ -z "$killer" ] || kill "$killer" 2>/dev/null || :
	[ ! -s "$work/pid" ] || kill "$(cat "$work/pid")" 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT

# The guest's files: busybox, fio with its libraries, the modules for a virtio disk behind PCI.
root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules}
cp "$(command -v busybox)" "$root/bin/busybox"
for program in fio mke2fs e2fsck; do
	path=$(command -v $program)
	cp "$path" "$root/bin"
	for library in $(ldd "$path" | grep -o '/[^ ]*'); do
		mkdir -p "$root${library%/*}"
		cp -L "$library" "$root$library"
	done
done
modprobe -d "$kernel" -S "$release" --show-depends -a virtio_pci virtio_blk ext4 |
	awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/modules"
while read -r module; do
	cp "$module" "$root/modules"
	echo "busybox insmod /modules/${module##*/} || true"
done <"$work/modules" >"$work/insmod"
cat >"$root/init" <<GUEST
#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
busybox --install /bin
$(cat "$work/insmod")
echo "VIREO GUEST BEGINS"
try() { "\$@" >/tmp/log 2>&1 || { echo "FAILED: \$*"; tail -n 20 /tmp/log; poweroff -f; }; }
fio="fio --filename=/dev/vda --direct=1 --verify=crc32c --do_verify=1 --verify_fatal=1 --iodepth=32"
fio="\$fio --size=4M --offset_increment=32M"
try \$fio --name=w --numjobs=4 --ioengine=libaio --rw=randwrite --bs=4k
try \$fio --name=m --numjobs=2 --ioengine=io_uring --rw=randrw --bsrange=4k-64k
# By path: the shell would take its own.
try /bin/mke2fs -q -t ext4 /dev/vda
try mount -t ext4 /dev/vda /tmp
cp /bin/busybox /tmp
umount /tmp
try /bin/e2fsck -fn /dev/vda
echo "requests: \$(cat /sys/block/vda/stat)"
echo "features: \$(cat /sys/block/vda/device/features)"
echo "VIREO GUEST DONE"
poweroff -f
GUEST
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initrd"

truncate -s 128M "$work/disk.img"
chardev=
role=
case $how in
listens) chardev=,reconnect=1 ;;
connects) chardev=,server=on role=--client ;;
esac
serve() {
	"$vireo" serve blk --socket-path "$work/blk.sock" $role path="$work/disk.img" 2>>"$work/daemon.log" &
	daemon=$!
	echo $daemon >"$work/pid"
}
# While the guest works.
kill_again_and_again() {
	until [ -e "$work/ended" ] || grep -qs 'VIREO GUEST BEGINS' "$work/serial"; do sleep 0.1; done
	for delay in 1 2 2 1.5 2.5 1.2 2 1.4; do
		sleep $delay
		[ ! -e "$work/ended" ] || break
		kill -9 "$daemon"
		wait "$daemon" 2>/dev/null || :
		echo killed >>"$work/kills"
		serve
	done
	# What it started is waited for here.
	until [ -e "$work/ended" ]; do sleep 0.1; done
	kill "$daemon"
	wait "$daemon"
}
{ serve; kill_again_and_again; } &
killer=$!
for _ in $(seq 500); do
	[ ! -S "$work/blk.sock.control" ] || break
	sleep 0.02
done

timeout -k 5 360 qemu-system-x86_64 -M q35,memory-backend=m0 \
	-object memory-backend-memfd,id=m0,size=512M,share=on -accel tcg \
	-nodefaults -no-user-config -display none -serial stdio -no-reboot \
	-kernel "$kernel/boot/vmlinuz-$release" -initrd "$work/initrd" \
	-append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on" \
	-chardev socket,id=c,path="$work/blk.sock$chardev" \
	-device "vhost-user-blk-pci,chardev=c,num-queues=1$properties" \
	</dev/null >"$work/serial" 2>&1 || echo "QEMU: exit status $?" >>"$work/serial"

touch "$work/ended"
status=0
wait "$killer" || status=$?
killer=
rm "$work/pid"
if ! grep -q 'VIREO GUEST DONE' "$work/serial" || grep -q FAILED "$work/serial" || [ $status -ne 0 ]; then
	tail -n 40 "$work/serial" "$work/daemon.log"
	echo "the daemon's exit status: $status"
	exit 1
fi
# Bit 34 of those that the driver took, lowest first.
taken=$(sed -n 's/.*features: \([01]*\).*/\1/p' "$work/serial")
case $properties in
*packed=on*)
	[ "${taken:34:1}" = 1 ] || { echo "the guest took no packed rings: $taken"; exit 1; } ;;
esac
[ "$(wc -l <"$work/kills")" -ge 3 ] || { echo "the daemon was hardly ever killed"; exit 1; }
# From outside, too.
e2fsck -fn "$work/disk.img" >/dev/null 2>&1
grep 'requests:' "$work/serial"
echo "killed $(wc -l <"$work/kills") times; taken once more:" \
	"$(grep -c 'taken once more' "$work/daemon.log") times"
