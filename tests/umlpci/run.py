#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux's own virtio-pci driver and our PCI register model: the test kernel has one slot, served by pcidev.

  tests/umlpci/run.py VIREO PCIDEV CASE

Exits 0, 1, or 77 with a line that names what is absent.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as boots  # pylint: disable=wrong-import-position

PCIDEV = os.path.abspath(sys.argv[2])
SLOT_ID = 1234
TIMEOUT_S = 60
# This kernel waits 40 ms for the answer to a read, then goes on without it and uses its buffer again. On a
# busy machine that happens, and nothing that follows can be judged: such a run is made again.
ATTEMPTS = 3


class Late(Exception):
    """The kernel didn't wait for an answer, or stands still."""


# Capabilities of virtio: type -> name and bytes of the capability.
CAPABILITIES = {1: ("common", 16), 2: ("notify", 20), 3: ("isr", 16), 4: ("device", 16), 5: ("pci", 20)}

BLK_CONFIG_BYTES = 96
ADDER_CONFIG_BYTES = 4
NET_CONFIG_BYTES = 28

# Powering off hangs in this kernel once the slot is gone: the script says how it went, and is ended then.
WRAPPER = """
verdict() {{
    status=$?
    set +e
    cat /proc/interrupts >interrupts
    dmesg | grep 'um virt-pci delay' >late
    sync
    echo $status >verdict.new
    mv verdict.new verdict
    sync
    while :; do sleep 60; done
}}
trap verdict EXIT
basename "$(readlink /sys/bus/pci/devices/*/driver)" >driver
lspci -vv >lspci 2>/dev/null
{text}
dd if="$(echo /sys/bus/pci/devices/*/config)" of=config bs=256 2>/dev/null
"""


@contextlib.contextmanager
def serve(log, *words):
    """The slot's daemon, with what it says in a file; ended by force if need be."""
    with open(log, "w", encoding="utf-8") as file:
        # Ahead of others, as far as we may, for the sake of those 40 ms.
        daemon = subprocess.Popen(  # pylint: disable=consider-using-with
            ["nice", "-n", "-10", PCIDEV, *words], stderr=file)
    try:
        boots.until(lambda: daemon.poll() is not None or boots.answers(words[1]), "the slot to be ready")
        yield daemon
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


class Slot:
    """A guest with our device in its slot, the daemon's log, and what was seen."""

    def __init__(self, directory):
        self.guest = boots.Guest(directory)
        self.log = ""

    def read(self, name, mode="r"):
        with open(self.guest.path(name), mode) as file:  # pylint: disable=unspecified-encoding
            return file.read()

    def run(self, text, *properties, modules=False, meanwhile=None):
        """Runs the script to its end; what it wrote. `meanwhile` is called when the script makes "ready"."""
        for name in ("verdict", "config", "interrupts", "lspci", "late", "ready"):
            if os.path.exists(self.guest.path(name)):
                os.unlink(self.guest.path(name))
        path = self.guest.path("slot.sock")
        log = self.guest.path("slot.log")
        with serve(log, "--socket-path", path, *properties) as daemon:
            arguments = self.guest.modules() if modules else []
            process = self.guest.start(WRAPPER.format(text=text), *arguments, "--append",
                                       f"virtio_uml.device={path}:{SLOT_ID}")
            try:
                if meanwhile:
                    boots.until(lambda: os.path.exists(self.guest.path("ready")) or
                                os.path.exists(self.guest.path("verdict")) or process.poll() is not None,
                                "the guest to be ready", TIMEOUT_S)
                    meanwhile(path)
                boots.until(lambda: os.path.exists(self.guest.path("verdict")) or
                            process.poll() is not None or daemon.poll() is not None, "the guest",
                            TIMEOUT_S)
            except AssertionError as error:
                raise Late(f"{error}\n{self.guest.said()}") from error
            finally:
                process.terminate()
                process.wait(60)
            daemon.terminate()
            assert daemon.wait(60) == 0
        assert os.path.exists(self.guest.path("verdict")), self.guest.said()
        if self.read("late"):
            raise Late(self.read("late"))
        assert self.read("verdict").strip() == "0", self.guest.said()
        return self.guest.said()


def little(data, offset, size):
    return int.from_bytes(data[offset:offset + size], "little")


def capabilities(config):
    """What the list holds, in its order: (offset, id)."""
    assert little(config, 6, 2) & 0x10, "no capability list"
    found, at = [], config[0x34]
    while at:
        assert at >= 0x40 and at % 4 == 0 and at not in [offset for offset, _ in found], (at, found)
        found.append((at, config[at]))
        at = config[at + 1]
    return found


def check_space(slot, device_id, config_bytes, queues, vectors, wide=False, one=False):
    """The configuration space as Linux left it, through its own files. spec: DEV-PCI-002 DEV-PCI-011"""
    config = slot.read("config", "rb")
    assert len(config) >= 256, len(config)
    assert little(config, 0, 4) == device_id << 16 | 0x1AF4, hex(little(config, 0, 4))
    assert little(config, 4, 2) & 6 == 6, "memory and mastering aren't on"
    assert (little(config, 0x20, 4) & 7) == (4 if wide else 0), hex(little(config, 0x20, 4))
    seen, msix = {}, None
    for at, kind in capabilities(config):
        if kind == 0x11:
            msix = little(config, at + 2, 2)
            continue
        assert kind == 9, kind
        name, length = CAPABILITIES[config[at + 3]]
        assert name not in seen and config[at + 2] == length, (name, config[at + 2])
        assert name == "pci" or config[at + 4] == 4, name
        seen[name] = little(config, at + 12, 4)
        if name == "notify":
            assert bool(little(config, at + 16, 4)) == (not one)
    want = {"common": 64, "notify": 4 * queues, "isr": 1, "pci": seen.get("pci")}
    if config_bytes:
        want["device"] = config_bytes
    assert seen == want, (seen, want)
    if vectors:
        assert msix == 0x8000 | vectors - 1, msix and hex(msix)
    else:
        assert msix is None, hex(msix)
    check_lspci(slot, seen, vectors)
    assert slot.read("driver").strip() == "virtio-pci"


def check_lspci(slot, seen, vectors):
    """What pciutils make of it: each capability by name, in a BAR of its own size. spec: DEV-PCI-001"""
    text = slot.read("lspci")
    names = {"common": "CommonCfg", "notify": "Notify", "isr": "ISR", "device": "DeviceCfg"}
    for name, length in seen.items():
        line = rf"Vendor Specific Information: VirtIO: {names.get(name)}\n\s+BAR=4 offset=\w+ size=(\w+)"
        found = re.findall(line, text)
        assert name == "pci" or [int(size, 16) for size in found] == [length], (name, length, text)
    assert text.count("VirtIO: ") == len(seen), text
    assert "Kernel driver in use: virtio-pci" in text and "BusMaster+" in text, text
    if vectors:
        assert f"MSI-X: Enable+ Count={vectors} Masked-" in text, text
    assert "<access denied>" not in text and "!!!" not in text, text


def interrupts(slot, *names):
    """How often each vector of the device was raised, all of which have to be there."""
    counts = {}
    for line in slot.read("interrupts").splitlines():
        found = re.match(r"\s*\d+:\s+(\d+)\s+.*\s(virtio\d+(?:-\S+)?)$", line)
        if found:
            counts[found[2].partition("-")[2] or "line"] = int(found[1])
    assert set(names) <= set(counts), slot.read("interrupts")
    return counts


def check_log(slot):
    """The model met nothing that it didn't know."""
    log = slot.read("slot.log")
    assert "bad:" not in log, log


DISK = """
test "$(cat /sys/block/vda/size)" = 131072
head -c 16777216 /dev/urandom >/run/noise
dd if=/run/noise of=/dev/vda bs=256k oflag=direct 2>/dev/null
blockdev --flushbufs /dev/vda
dd if=/dev/vda bs=64k count=256 iflag=direct 2>/dev/null | cmp - /run/noise
mke2fs -q -t ext2 -E nodiscard /dev/vda
mkdir -p /run/disk
mount -t ext2 /dev/vda /run/disk
cp /run/noise /run/disk/noise
umount /run/disk
e2fsck -fn /dev/vda 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
mount -t ext2 -o ro /dev/vda /run/disk
cmp /run/noise /run/disk/noise
umount /run/disk
echo served
"""


def case_blk(slot):
    """16 MiB through virtio_blk and back, then a file system; a message for the queue."""
    boots.need("mke2fs", "e2fsck")
    out = slot.run(DISK, "type=blk")
    assert "served" in out, out
    check_space(slot, 0x1042, BLK_CONFIG_BYTES, 1, 4)
    counts = interrupts(slot, "config", "req.0")
    assert counts["req.0"] > 64 and counts["config"] == 0, counts
    check_log(slot)


def case_fio(slot):
    """Deep queues of random writes, every block verified; a BAR of 64 bits, one notification address."""
    boots.need("fio")
    common = boots.FIO + " --numjobs=4 --size=4M --offset_increment=16M"
    slot.run(f"""
        {common} --name=aio --ioengine=libaio --rw=randwrite --bs=4k
        {common} --name=ring --ioengine=io_uring --rw=randrw --bsrange=4k-64k
        """, "type=blk", "bar-64=on", "notify-one=on", "vectors=2", "queues=4")
    check_space(slot, 0x1042, BLK_CONFIG_BYTES, 4, 2, wide=True, one=True)
    assert interrupts(slot, "config", "req.0")["req.0"] > 100
    check_log(slot)


# Accesses by hand, as root may make them through sysfs, beside a driver at work.
BY_HAND = """
cat >by_hand.py <<'PYTHON'
import glob, os, struct, subprocess, time
space = os.open(glob.glob("/sys/bus/pci/devices/*/config")[0], os.O_RDWR)
def get(at, size=4):
    return int.from_bytes(os.pread(space, size, at), "little")
def put(at, value, size=4):
    os.pwrite(space, value.to_bytes(size, "little"), at)
caps, at = {}, get(0x34, 1)
while at:
    caps[get(at, 1) if get(at, 1) != 9 else "virtio%d" % get(at + 3, 1)] = at
    at = get(at + 1, 1)
window, common, config = caps["virtio5"], caps["virtio1"], caps["virtio4"]

def look(bar, offset, length, size=4):
    put(window + 4, bar, 1)
    put(window + 8, offset)
    put(window + 12, length)
    return get(window + 16, size)
base = get(common + 8)
assert look(4, base + 0x12, 2, 2) == 4, "num_queues"
assert look(4, base + 0x14, 1, 1) == 0x0f, "device_status"
assert look(4, get(config + 8), 4) == 131072, "capacity"
# What isn't there, or no access, changes nothing.
for bar, offset, length in ((0, 0, 4), (5, 0, 4), (6, 0, 4), (255, 0, 4), (4, 0xfffffffc, 4),
                            (4, base + 1, 4), (4, base, 3), (4, base, 0), (4, base, 0xffffffff)):
    look(bar, offset, length)
    put(window + 16, 0xffffffff)
assert look(4, base + 0x14, 1, 1) == 0x0f, "device_status"

def waits(at, size, bits, value):
    # The request is done, but nobody hears of it until the register is as it was.
    before = get(at, size)
    put(at, before & ~bits | value, size)
    words = ["dd", "if=/dev/vda", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"]
    dd = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    assert dd.poll() is None, "a message came through"
    put(at, before, size)
    assert dd.wait(20) == 0
waits(4, 2, 4, 0)                         # no mastering of the bus
waits(caps[0x11] + 2, 2, 0, 0x4000)       # all messages masked
# Read-only registers stay what they are.
before = os.pread(space, 4, 0) + os.pread(space, 8, 0x2c)
put(0, 0xffffffff)
put(0x2c, 0)
put(common + 8, 0xffffffff)
assert os.pread(space, 4, 0) + os.pread(space, 8, 0x2c) == before and get(common + 8) == base
print("by hand")
PYTHON
python3 by_hand.py
"""


def case_by_hand(slot):
    """The window in the configuration space, and messages that have to wait. spec: DEV-PCI-054 DEV-PCI-055"""
    boots.need("mke2fs", "e2fsck")
    out = slot.run(BY_HAND + DISK, "type=blk", "queues=4")
    assert "by hand" in out and "served" in out, out
    check_space(slot, 0x1042, BLK_CONFIG_BYTES, 4, 4)
    check_log(slot)


def case_transitional(slot):
    """Where there are no ports, Linux takes the modern interface of a transitional device."""
    boots.need("mke2fs", "e2fsck")
    out = slot.run(DISK, "type=blk", "kind=transitional")
    assert "served" in out, out
    check_space(slot, 0x1001, BLK_CONFIG_BYTES, 1, 4)
    check_log(slot)


def case_adder(slot):
    """Numbers through the module, thousands at once and one by one."""
    out = slot.run(boots.ADD + "cat /sys/class/misc/adder0/status\n", "type=adder", modules=True)
    assert out.split() == ["added", "10005", "99"], out
    check_space(slot, 0x1040 + 60, ADDER_CONFIG_BYTES, 1, 4)
    counts = interrupts(slot, "config")
    assert sum(counts.values()) > 5000, counts
    check_log(slot)


def case_caesar(slot):
    """Driver and device change the configuration, and text of any length goes through."""
    def shift(path):
        subprocess.run([boots.VIREO, "set", "--socket-path", path, "shift=5"], check=True)

    out = slot.run("""
        s=/sys/class/misc/caesar0
        echo 13 >$s/shift
        cat $s/shift
        exec 3<>/dev/caesar0
        printf %s 'Hello, World!' >&3
        head -c 13 <&3
        head -c 300000 /dev/urandom | od -An -tx1 >plain
        cat plain >&3 &
        head -c $(wc -c <plain) <&3 >cipher
        tr a-z n-za-m <plain | cmp - cipher
        echo same
        touch ready
        tries=0
        while [ "$(cat $s/shift)" != 5 ] && [ $tries -lt 200 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        cat $s/shift
        """, "type=caesar", modules=True, meanwhile=shift)
    assert out.split("\n")[:3] == ["13", "Uryyb, Jbeyq!same", "5"], out
    counts = interrupts(slot, "config")
    assert counts["config"] >= 1, counts
    check_log(slot)


# Frames of all lengths go out and come back from an echo, in their order.
FRAMES = """
ip link set eth0 up
cat >frames.py <<'PYTHON'
import os, random, socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x88b5)
wire.bind(("eth0", 0x88b5))
wire.settimeout(10)
own, other = bytes.fromhex("525400000001"), bytes.fromhex("525400000002")
wait = []
def check():
    frame = wire.recv(2000)
    assert frame == own + other + wait.pop(0)
for number in range(3000):
    rest = b"\\x88\\xb5" + os.urandom(random.randrange(46, 1500))
    wire.send(other + own + rest)
    wait.append(rest)
    if len(wait) == 32:
        check()
while wait:
    check()
print("echoed")
PYTHON
python3 frames.py
cat /sys/class/net/eth0/address
"""


def case_net(slot):
    """Thousands of frames through virtio_net and back, with a message for each queue."""
    boots.need("ip")
    out = slot.run(FRAMES, "type=net")
    assert out.split() == ["echoed", "52:54:00:00:00:01"], out
    check_space(slot, 0x1041, NET_CONFIG_BYTES, 3, 4)
    counts = interrupts(slot, "config", "input.0", "output.0")
    assert counts["input.0"] > 50 and counts["config"] == 0, counts
    check_log(slot)


def case_rng(slot):
    """Random numbers, also after the driver has let the device go and taken it again."""
    slot.run("""
        grep -q virtio /sys/class/misc/hw_random/rng_current
        dd if=/dev/hwrng of=first bs=4096 count=16 iflag=fullblock 2>/dev/null
        cat /proc/interrupts >interrupts.first
        device=$(basename /sys/bus/pci/devices/*)
        for turn in 1 2 3; do
            echo $device >/sys/bus/pci/drivers/virtio-pci/unbind
            refused grep -q virtio /sys/class/misc/hw_random/rng_available
            echo $device >/sys/bus/pci/drivers/virtio-pci/bind
            dd if=/dev/hwrng of=second bs=4096 count=16 iflag=fullblock 2>/dev/null
        done
        echo 1 >/sys/bus/pci/devices/$device/remove
        echo 1 >/sys/bus/pci/rescan
        dd if=/dev/hwrng of=third bs=4096 count=16 iflag=fullblock 2>/dev/null
        """, "type=rng", "vectors=2")
    noise = [slot.read(name, "rb") for name in ("first", "second", "third")]
    assert all(len(part) == 65536 and len(set(part)) == 256 for part in noise) and len(set(noise)) == 3
    check_space(slot, 0x1044, 0, 1, 2)
    assert interrupts(slot, "config", "input")["input"] > 16
    check_log(slot)


CASES = {name[len("case_"):]: value for name, value in globals().items() if name.startswith("case_")}


def main():
    if boots.KERNEL is None:
        boots.absent("the test kernel isn't built; run scripts/guest-kernel")
    boots.need("busybox", "lspci")
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="vireo-umlpci-") as directory:
            try:
                CASES[sys.argv[3]](Slot(directory))
                return
            except Late as late:
                print(f"attempt {attempt}: {late}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
