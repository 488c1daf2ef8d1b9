#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A machine in QEMU whose Debian kernel is new enough to have all of it: disks and network cards of ours for
# that same kernel by VDUSE, and drivers of ours for its vhost-vdpa, vhost-net and vhost-vsock.
#
#   tests/vduse/machine.sh VIREO DRIVE
#
# The kernel of the backports is downloaded into the cache once. Exits 77 when something is absent.

set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
vireo=$1
drive=$2
PATH=$PATH:/usr/sbin:/sbin

absent() { echo "$*"; exit 77; }

for tool in fio busybox cpio depmod modprobe xz mke2fs e2fsck vdpa qemu-system-x86_64 apt-get; do
	command -v $tool >/dev/null || absent "$tool is not installed; run scripts/setup check slow"
done
debian=$("$top/scripts/foreign-program" bookworm,bookworm-backports linux linux-image-amd64) ||
	absent "the kernel of Debian's backports can't be had"
release=$(basename "$debian"/lib/modules/*)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,modules,mnt}
cp "$(command -v busybox)" "$root/bin/busybox"
for path in "$vireo" "$drive" $(for name in fio mke2fs e2fsck vdpa; do command -v $name; done); do
	cp "$path" "$root/bin"
	for library in $(ldd "$path" | grep -o '/[^ ]*' | sort -u); do
		[ -e "$library" ] || continue
		mkdir -p "$root${library%/*}"
		cp -L "$library" "$root$library"
	done
done
mv "$root/bin/${vireo##*/}" "$root/bin/vireo"
mv "$root/bin/${drive##*/}" "$root/bin/drive"

# Who needs which module is said beside the package, not in it.
mkdir -p "$work/kernel/lib/modules/$release"
ln -s "$debian/lib/modules/$release"/* "$work/kernel/lib/modules/$release"
depmod -b "$work/kernel" "$release"
modprobe -d "$work/kernel" -S "$release" --show-depends -a vduse virtio_vdpa virtio_blk virtio_net ext4 tun \
	vhost_net vhost_vsock vhost_vdpa |
	awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
	name=${module##*/}
	xz -dc "$module" >"$root/modules/${name%.xz}"
	echo "busybox insmod /modules/${name%.xz} || true"
done >"$work/insmod"

cat >"$root/init" <<GUEST
#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
busybox mount -t tmpfs tmpfs /tmp
busybox mount -t tmpfs tmpfs /run
busybox --install /bin
$(cat "$work/insmod")
GUEST
cat >>"$root/init" <<'GUEST'
fail() { echo "FAILED: $*"; tail -n 20 /tmp/*.log; poweroff -f; }
try() { "$@" >/tmp/last.log 2>&1 || fail "$*"; }
same() { [ "$1" = "$2" ] || fail "$3: '$1' is not '$2'"; }
ready() {
	for tenth in $(seq 300); do
		[ ! -e "$1" ] || return 0
		sleep 0.1
	done
	fail "$1 doesn't come"
}
# serve NAME TYPE WORD...: its process is $daemon
serve() {
	name=$1
	type=$2
	shift 2
	vireo serve $type --vduse $name --log /tmp/$name.log "$@" &
	daemon=$!
}
# The device gets a driver: the kernel's, or vhost.
appear() {
	ready /dev/vduse/$1
	for tenth in $(seq 100); do
		! vdpa dev add name $1 mgmtdev vduse >/tmp/vdpa.log 2>&1 || return 0
		sleep 0.1
	done
	fail "vdpa dev add $1"
}
lend() {
	device=/sys/bus/vdpa/devices/$1
	[ ! -e $device/driver ] || echo $1 >$device/driver/unbind
	echo vhost_vdpa >$device/driver_override
	echo $1 >/sys/bus/vdpa/drivers/vhost_vdpa/bind
}
busybox ip link set lo up
echo "kernel: $(uname -r)"

# A disk, and daemons that die under it.
truncate -s 32M /tmp/image
serve disk blk path=/tmp/image num-queues=2
appear disk
ready /dev/vda
fio="fio --filename=/dev/vda --direct=1 --verify=crc32c --do_verify=1 --verify_fatal=1 --iodepth=16"
fio="$fio --eta=never"
try $fio --size=8M --offset_increment=16M --name=w --numjobs=2 --ioengine=libaio --rw=randwrite --bs=4k
(
	rounds=0
	until [ -e /tmp/enough ]; do
		$fio --name=k --size=8M --ioengine=libaio --rw=randwrite --bssplit=4k/60:16k/30:64k/10 \
			--thread --randseed=$rounds >/tmp/fio.log 2>&1 || exit 1
		rounds=$((rounds + 1))
	done
	echo "blk: $rounds rounds"
) &
writer=$!
for kill in 1 2 3 4 5 6 7 8 9 10 11 12; do
	sleep 0.$((kill * 7 % 10))3
	signal=9
	[ $((kill % 4)) -gt 0 ] || signal=TERM
	kill -$signal $daemon
	wait $daemon
	kill -0 $writer 2>/dev/null || fail "who writes is gone"
	engine=
	[ $((kill % 3)) -eq 0 ] || engine=--no-uring
	serve disk blk path=/tmp/image num-queues=2 $engine
done
touch /tmp/enough
wait $writer || fail "what was written isn't there"
try /bin/mke2fs -q -t ext4 /dev/vda
try mount -t ext4 /dev/vda /mnt
dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null
cp /tmp/data /mnt
umount /mnt
echo 3 >/proc/sys/vm/drop_caches
try mount -t ext4 /dev/vda /mnt
same "$(md5sum </mnt/data)" "$(md5sum </tmp/data)" "the file on the disk"
umount /mnt
try /bin/e2fsck -fn /dev/vda
same "$(cut -c 35 /sys/bus/virtio/devices/virtio0/features)" 1 "packed"
try vdpa dev del disk
kill $daemon
wait $daemon || fail "the daemon's exit status: $?"
[ ! -e /dev/vduse/disk ] || fail "the device stayed behind"
echo "blk: $(grep -c 'taken once more' /tmp/disk.log) of 12 daemons had requests in flight"
echo "blk: done"

# Two cards that are connected to each other, one of them in a network namespace of its own.
serve card0 net backend=socket path=/tmp/wire listen=on mac=02:00:00:00:00:10
ready /tmp/wire
serve card1 net backend=socket path=/tmp/wire mac=02:00:00:00:00:11
other=$daemon
appear card0
appear card1
find_card() { for path in /sys/class/net/*; do grep -q "$1" $path/address && echo ${path##*/}; done; }
near=$(find_card 02:00:00:00:00:10)
far=$(find_card 02:00:00:00:00:11)
[ -n "$near" -a -n "$far" ] || fail "the cards are no interfaces"
unshare -n sleep 10000 &
there=$!
sleep 1
try ip link set $far netns $there
in_there() { nsenter -t $there -n "$@"; }
try in_there ip addr add 10.0.0.2/24 dev $far
try in_there ip link set $far up
try ip addr add 10.0.0.1/24 dev $near
try ip link set $near up
sleep 1
try ping -c 3 -s 1400 -W 10 10.0.0.2
# What is read from must not end, or the sender takes it for the end of everything.
tail -f /dev/null | in_there nc -l -p 5000 >/tmp/came &
sleep 1
nc 10.0.0.2 5000 </tmp/data &
# One of the two daemons dies meanwhile, and what is lost is sent again.
for tenth in $(seq 600); do
	[ ! -s /tmp/came ] || break
	sleep 0.1
done
kill -9 $other
wait $other
serve card1 net backend=socket path=/tmp/wire mac=02:00:00:00:00:11
for second in $(seq 90); do
	[ $(stat -c %s /tmp/came) != 4194304 ] || break
	sleep 1
done
same "$(md5sum </tmp/came)" "$(md5sum </tmp/data)" "what came over the network"
try ping -c 3 -W 10 10.0.0.2
echo "net: done"

# Our drivers: of a device of ours, in packed rings and in split ones, and of the kernel's.
truncate -s 8M /tmp/image2
for packed in on off; do
	serve lent$packed blk path=/tmp/image2 num-queues=2 packed=$packed
	appear lent$packed
	lend lent$packed
	ready /dev/vhost-vdpa-0
	try vireo probe /dev/vhost-vdpa-0
	same "$(grep -c RING_PACKED /tmp/last.log)" $([ $packed = on ] && echo 1 || echo 0) "RING_PACKED"
	try drive blk-slow /dev/vhost-vdpa-0
	head -c 204800 /dev/urandom >/tmp/noise
	vireo blk /dev/vhost-vdpa-0 write --offset 1M </tmp/noise || fail write
	vireo blk /dev/vhost-vdpa-0 read --offset 1M --length 200K | cmp - /tmp/noise || fail read
	try vdpa dev del lent$packed
	kill $daemon
	wait $daemon || fail "the daemon's exit status: $?"
	echo "vhost-vdpa, packed=$packed: done"
done
try drive tap tap0
try drive tap-plain tap1
echo "vhost-net: done"
try drive vsock 42
echo "vhost-vsock: done"
echo "VIREO GUEST DONE"
poweroff -f
GUEST
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initrd"

timeout -k 5 1000 qemu-system-x86_64 -M q35 -m 1024 -accel tcg -nodefaults -no-user-config -display none \
	 -serial stdio -no-reboot -kernel "$debian/boot/vmlinuz-$release" -initrd "$work/initrd" \
	-append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on net.ifnames=0" \
	</dev/null >"$work/serial" 2>&1 || echo "QEMU: exit status $?" >>"$work/serial"
if ! grep -q 'VIREO GUEST DONE' "$work/serial" || grep -q FAILED "$work/serial"; then
	tail -n 60 "$work/serial"
	exit 1
fi
grep -E '^(kernel|blk|net|vhost)' "$work/serial"
