#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A Linux guest in a QEMU that has vfio-user uses our devices as whole PCI functions: a disk, two network
# devices that are connected to each other, adder and caesar with modules of ours, and the example's adder.
#
#   tests/guest/vfio-user.sh VIREO ADDER [private]
#
# With "private" the machine's memory isn't shared: all that drivers and devices exchange goes by messages.
#
# QEMU 11 and Debian's cloud kernel are downloaded into the cache once. Exits 77 when something is absent.

set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
vireo=$1
adder=$2
memory=(-M q35,memory-backend=m0 -object memory-backend-memfd,id=m0,size=512M,share=on)
[ "${3:-}" != private ] || memory=(-M q35 -m 512)
PATH=$PATH:/usr/sbin:/sbin

absent() { echo "$*"; exit 77; }

for tool in fio busybox cpio modprobe mke2fs e2fsck apt-get; do
	command -v $tool >/dev/null || absent "$tool is not installed; run scripts/setup check slow"
done
"$top/scripts/guest-qemu" >/dev/null || absent "Debian's cloud kernel can't be had"
headers=$("$top/scripts/guest-qemu" --modules) || absent "linux-headers-cloud-amd64 isn't installed"
ours=$("$top/scripts/guest-modules" "$headers")
qemu=$("$top/scripts/foreign-program" trixie,trixie-backports qemu qemu-system-x86) ||
	absent "QEMU 11 can't be downloaded"
release=${headers#*linux-headers-}
. "$top/guest/linux/cache.sh"
kernel=$(cache_root)/linux-image-$release

work=$(mktemp -d)
daemons=()
cleanup() {
	[ ${#daemons[@]} -eq 0 ] || kill "${daemons[@]}" 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT

root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules,mnt}
cp "$(command -v busybox)" "$root/bin/busybox"
for program in fio mke2fs e2fsck; do
	path=$(command -v $program)
	cp "$path" "$root/bin"
	for library in $(ldd "$path" | grep -o '/[^ ]*'); do
		mkdir -p "$root${library%/*}"
		cp -L "$library" "$root$library"
	done
done
modprobe -d "$kernel" -S "$release" --show-depends -a virtio_pci virtio_blk virtio_net ext4 |
	awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/modules"
printf '%s\n' "$ours"/virtio_{adder,caesar}.ko >>"$work/modules"
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
try() { "\$@" >/tmp/log 2>&1 || { echo "FAILED: \$*"; tail -n 20 /tmp/log; poweroff -f; }; }
same() { [ "\$1" = "\$2" ] || { echo "FAILED: \$3: '\$1' is not '\$2'"; poweroff -f; }; }
echo "functions: \$(ls /sys/bus/virtio/devices | wc -l)"

fio="fio --filename=/dev/vda --direct=1 --verify=crc32c --do_verify=1 --verify_fatal=1 --iodepth=32"
try \$fio --size=16M --offset_increment=32M --name=w --numjobs=2 --ioengine=libaio --rw=randwrite --bs=4k
# By path: the shell would take its own.
try /bin/mke2fs -q -t ext4 /dev/vda
try mount -t ext4 /dev/vda /mnt
dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null
cp /tmp/data /mnt
umount /mnt
echo 3 >/proc/sys/vm/drop_caches
try mount -t ext4 /dev/vda /mnt
same "\$(md5sum </mnt/data)" "\$(md5sum </tmp/data)" "the file on the disk"
umount /mnt
try /bin/e2fsck -fn /dev/vda
echo "blk: done"

# One of them in a network namespace of its own.
unshare -n sleep 10000 &
there=\$!
sleep 1
try ip link set eth1 netns \$there
in_there() { nsenter -t \$there -n "\$@"; }
try in_there ip addr add 10.0.0.2/24 dev eth1
try in_there ip link set eth1 up
try ip addr add 10.0.0.1/24 dev eth0
try ip link set eth0 up
sleep 1
try ping -c 3 -s 1400 -W 10 10.0.0.2
# What is read from must not end, or the sender takes it for the end of everything.
tail -f /dev/null | in_there nc -l -p 5000 >/tmp/came &
sleep 1
nc 10.0.0.2 5000 </tmp/data &
for second in \$(seq 60); do
	[ \$(stat -c %s /tmp/came) != 4194304 ] || break
	sleep 1
done
same "\$(md5sum </tmp/came)" "\$(md5sum </tmp/data)" "what came over the network"
echo "net: done"

exec 3<>/dev/adder0
for number in 6 99; do
	printf "\\\\x\$(printf %02x \$number)\\\\0\\\\0\\\\0" >&3
	same "\$(head -c 4 <&3 | od -An -td4 | tr -d ' ')" \$((number + 1)) "the sum"
done
# The example's has no configuration, which our module wants; the bus has it all the same.
same "\$(cat /sys/bus/virtio/devices/*/device | grep -c 0x003c)" 2 "adders"
echo "adder: done"
exec 4<>/dev/caesar0
echo 13 >/sys/class/misc/caesar0/shift
printf Hello >&4
same "\$(head -c 5 <&4)" Uryyb "the cipher"
echo "caesar: done"

grep virtio /proc/interrupts
# Each function once more, by another driver's life.
for device in /sys/bus/pci/drivers/virtio-pci/0000:*; do
	echo \${device##*/} >/sys/bus/pci/drivers/virtio-pci/unbind
	echo \${device##*/} >/sys/bus/pci/drivers/virtio-pci/bind
done
try dd if=/dev/vda of=/dev/null bs=1M count=4 iflag=direct
echo "VIREO GUEST DONE"
poweroff -f
GUEST
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initrd"

devices=()
# serve NAME PROGRAM...
serve() {
	local name=$1

	shift
	"$@" --vfio-user "$work/$name.sock" ${properties[@]+"${properties[@]}"} 2>"$work/$name.log" &
	daemons+=($!)
	for _ in $(seq 500); do
		[ ! -S "$work/$name.sock.control" ] || break
		sleep 0.02
	done
	devices+=(-device
		"{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"$work/$name.sock\"}}")
}

truncate -s 128M "$work/disk.img"
properties=(path="$work/disk.img"); serve blk "$vireo" serve blk
properties=(backend=socket path="$work/wire" listen=on); serve net "$vireo" serve net
properties=(backend=socket path="$work/wire"); serve net2 "$vireo" serve net
properties=(); serve adder "$vireo" serve adder
properties=(); serve example "$adder"
properties=(); serve caesar "$vireo" serve caesar

timeout -k 5 240 "$qemu/run" qemu-system-x86_64 -L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" \
	"${memory[@]}" -accel tcg \
	-nodefaults -no-user-config -display none -serial stdio -no-reboot \
	-kernel "$kernel/boot/vmlinuz-$release" -initrd "$work/initrd" \
	-append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on net.ifnames=0" \
	"${devices[@]}" </dev/null >"$work/serial" 2>&1 || echo "QEMU: exit status $?" >>"$work/serial"

bad=0
for daemon in "${daemons[@]}"; do
	kill "$daemon" && wait "$daemon" || bad=$?
done
daemons=()
if ! grep -q 'VIREO GUEST DONE' "$work/serial" || grep -q FAILED "$work/serial" || [ $bad -ne 0 ] ||
	grep -h 'faults' "$work"/*.log | grep -v ' 0 faults'; then
	tail -n 40 "$work/serial" "$work"/*.log
	echo "a daemon's exit status: $bad"
	exit 1
fi
e2fsck -fn "$work/disk.img" >/dev/null 2>&1
grep -E 'functions|done|virtio' "$work/serial"
