#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux guests in QEMU, for what it has PCI devices for.

  tests/guest/qemu.py VIREO DUMMY_DAEMON CASE

Which of its devices carries ours, and what the guest's driver is told to look for:

  net, blk, rng  QEMU 7.2's own for that type
  adder, dummy   its I2C controller: one queue, no configuration; id=34
  console        its GPIO controller: two queues, eight bytes of configuration, so that there are no ports;
                 the kernel's module has another number in its table
  input, vssd    the input device of the backports' QEMU, which 7.2 has for KVM alone; VSSD's module has id=18
  caesar         nothing: all that passes a configuration on asks for two queues, and it has one. Linux's
                 virtio-pci driver meets it in tests/umlpci

Exits 0, 1, or 77 with a line that names what is absent.
"""

import contextlib
import glob
import os
import socket
import struct
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest as g  # pylint: disable=wrong-import-position
import machine  # pylint: disable=wrong-import-position

VIREO, DUMMY = (os.path.abspath(path) for path in sys.argv[1:3])


def cloud_kernel():
    """Debian's kernel package, unpacked."""
    cache = os.environ.get("VIREO_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vireo")
    return sorted(glob.glob(f"{cache}/linux-image-*-cloud-amd64"))[-1]


def boot(guest, text, *words, expect=0):
    return guest.boot(text, "--vmm", "qemu", *words, expect=expect)


def case_boot(guest):
    """What is written in the guest is on the disk, and only there; the exit status comes back."""
    image = guest.image("disk", 16 * g.MIB)
    out = boot(guest, """
        busybox printf 'from the guest' | busybox dd of=/dev/vda bs=512 conv=sync oflag=direct 2>/dev/null
        busybox touch written
        busybox touch /etc/vireo-test 2>/dev/null && exit 1
        echo "$WORD"
        exit 42
        """, "--device", f"blk,path={image}", "--env", "WORD=it's two words", expect=42)
    assert out == "it's two words\n", out
    assert os.path.exists(guest.path("written")) and not os.path.exists("/etc/vireo-test")
    with open(image, "rb") as file:
        assert file.read(14) == b"from the guest"


def case_mistakes(guest):
    """What can't work is refused before QEMU says something else."""
    image = guest.image("disk", 16 * g.MIB)
    for words, why in ((["--queues", "200"], "it offers"),
                       (["--vmm-option", "-object memory-backend-ram,id=m1,size=64M"], "isn't shared"),
                       (["--device", "console"], "QEMU has no PCI device")):
        process = guest.start("exit 0\n", "--vmm", "qemu", "--device", f"blk,path={image}", *words)
        assert process.wait(60) == 2 and why in guest.said(), guest.said()


def case_rng(guest):
    """QEMU 7.2 says of neither that its driver is ready (DRIVER_OK), nor that it is gone."""
    boot(guest, """
        grep -q virtio /sys/class/misc/hw_random/rng_current
        for name in first second; do
            timeout 60 dd if=/dev/hwrng of=$name bs=64 count=16 iflag=fullblock 2>/dev/null
            device=$(basename "$(readlink -f /sys/bus/virtio/drivers/virtio_rng/virtio*)")
            echo "$device" >/sys/bus/virtio/drivers/virtio_rng/unbind
            echo "$device" >/sys/bus/virtio/drivers/virtio_rng/bind
        done
        """, "--device", "rng")
    with open(guest.path("first"), "rb") as first, open(guest.path("second"), "rb") as second:
        first, second = first.read(), second.read()
    assert len(first) == len(second) == 1024 and first != second


def blk(guest, *words):
    g.need("fio", "mke2fs", "e2fsck", "debugfs")
    image = guest.image("disk", 64 * g.MIB)
    fio = g.FIO.replace("--minimal", "--eta=never --size=4M --offset_increment=16M --minimal")
    out = boot(guest, f"""
        modprobe -d {cloud_kernel()} ext4
        {fio} --name=w --numjobs=4 --ioengine=libaio --rw=randwrite --bs=4k
        {fio} --name=m --numjobs=2 --ioengine=io_uring --rw=randrw --bsrange=4k-64k
        mke2fs -q -t ext4 -E nodiscard /dev/vda
        mkdir -p /run/disk
        mount -t ext4 /dev/vda /run/disk
        cp -a /usr/include/linux/netfilter /run/disk
        dd if=/dev/urandom of=/run/disk/noise bs=64k count=50 2>/dev/null
        (cd /run/disk && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums
        umount /run/disk
        e2fsck -fn /dev/vda
        cat /sys/block/vda/device/features
        """, "--device", f"blk,path={image}", *words)
    g.check_dump(guest, image)
    # Bit 34 of those that the driver took, lowest first.
    return out.split()[-1][34]


def case_blk(guest):
    """Random writes, verified, and a file system that is whole from outside, too."""
    assert blk(guest) == "0"


def case_blk_packed(guest):
    """The same over packed rings."""
    assert blk(guest, "--vmm-option", "-global vhost-user-blk-pci.packed=on") == "1"


def ours(name):
    found = machine.modules()
    if not found:
        g.absent("no headers of Debian's cloud kernel: linux-headers-cloud-amd64 is not installed")
    return found[name]


def case_adder(guest):
    """Numbers through the module and the I2C controller."""
    out = boot(guest, g.ADD, "--module", ours("virtio_adder"), "--device", "adder")
    assert out == "added 10005\n", out


def case_dummy(guest):
    """Bytes that count up, in every buffer."""
    box = machine.Machine(guest.directory, guest.kernel)
    box.put(ours("virtio_dummy"), "virtio_dummy.ko")
    with g.serve(DUMMY, "--socket-path", guest.path("s"), "buffers=1000"):
        out = box.run("""
            insmod /virtio_dummy.ko id=34
            until [ "$(cut -d' ' -f1 /sys/bus/virtio/devices/*/counts)" = 1000 ]; do sleep 0.1; done
            cat /sys/bus/virtio/devices/*/counts
            """, (guest.path("s"), "vhost-user-i2c-pci"))
    assert out == "1000 100000 0\n", out


def renumbered(name, old, new):
    """One of the kernel's modules, for another device id and without the signature that this breaks."""
    paths = glob.glob(f"{cloud_kernel()}/lib/modules/*/kernel/**/{name}.ko", recursive=True)
    assert len(paths) == 1, paths
    with open(paths[0], "rb") as file:
        module = file.read()
    if module.endswith(b"~Module signature appended~\n"):
        module = module[:-40 - int.from_bytes(module[-32:-28], "big")]
    entry = struct.pack("<IIQ", old, 0xFFFFFFFF, 0)
    assert module.count(entry) == 1, (name, module.count(entry))
    return module.replace(entry, struct.pack("<IIQ", new, 0xFFFFFFFF, 0))


def case_console(guest):
    """Lines out of the guest, and one into it."""
    box = machine.Machine(guest.directory, guest.kernel)
    with open(os.path.join(box.root, "virtio_console.ko"), "wb") as file:
        file.write(renumbered("virtio_console", 3, 41))
    with g.serve(VIREO, "serve", "console", "--socket-path", guest.path("s"), "backend=socket",
                 f"path={guest.path('terminal')}"), socket.socket(socket.AF_UNIX) as terminal:
        terminal.connect(guest.path("terminal"))
        process = box.start("""
            rmmod virtio_console
            insmod /virtio_console.ko
            exec 3<>/dev/hvc0
            stty -echo <&3
            for n in $(seq 500); do echo "line $n of the guest's"; done >&3
            head -n 1 <&3
            """, (guest.path("s"), "vhost-user-gpio-pci"))
        shown = b""
        terminal.settimeout(240)
        while b"line 500 of the guest's" not in shown:
            got = terminal.recv(65536)
            assert got, shown
            shown += got
        terminal.sendall(b"from the host\n")
        out = box.finish(process)
    lines = [line for line in shown.decode().replace("\r", "").split("\n") if line.startswith("line")]
    assert lines == [f"line {n} of the guest's" for n in range(1, 501)], lines
    assert out == "from the host\n", out


def newer(guest):
    qemu = machine.newer_qemu()
    if not qemu:
        g.absent("the QEMU of the backports can't be downloaded")
    return machine.Machine(guest.directory, guest.kernel, qemu)


def wire(*events):
    """As Linux writes them."""
    return b"".join(struct.pack("<QQHHi", 0, 0, *event) for event in events)


def case_input(guest):
    """Every event of a keyboard, in order, none lost; a light goes back."""
    box = newer(guest)
    total, step = 800, 20
    with open(os.path.join(box.root, "light"), "wb") as file:
        file.write(wire((0x11, 1, 1), (0, 0, 0)))
    os.mkfifo(guest.path("pipe"))
    pipe = os.open(guest.path("pipe"), os.O_RDWR)
    with g.serve(VIREO, "serve", "input", "--socket-path", guest.path("s"), "backend=script",
                 f"path={guest.path('pipe')}", "name=a keyboard"):
        # The reader has the light's two events first. Of the rest each is as the driver gave it to Linux.
        process = box.start(f"""
            events=$(grep -l 'a keyboard' /sys/class/input/event*/device/name | cut -d/ -f5)
            hexdump -v -n {(total + 2) * 24} -e '24/1 "%02x" "\\n"' /dev/input/$events &
            sleep 1
            cat /light >/dev/input/$events
            wait
            sleep 3
            """, (guest.path("s"), "vhost-user-input-pci"))

        def read():
            return [struct.unpack("<QQHHi", bytes.fromhex(line))[2:]
                    for line in box.text("said").split("\n")[:-1] if len(line.strip()) == 48]

        expected = [(0x11, 1, 1), (0, 0, 0)]
        for at in range(0, total, step):
            g.until(lambda: len(read()) >= len(expected) or process.poll() is not None, f"event {at}", 120)
            for number in range(at, at + step, 2):
                event = (1, 2 + number // 4 % 50, 1 - number // 2 % 2)
                os.write(pipe, "EV_KEY {1} {2}\nEV_SYN 0 0\n".format(*event).encode())
                expected += [event, (0, 0, 0)]
        g.until(lambda: len(read()) >= len(expected) or process.poll() is not None, "the end", 120)
        counts = [g.get(guest.path("s"), name) for name in ("leds", "lost", "unknown")]
        assert counts == ["2", "0", "0"], counts
        box.finish(process)
        assert read() == expected, (len(read()), len(expected))
    os.close(pipe)


@contextlib.contextmanager
def vssd(guest, box):
    box.put(ours("virtio_vssd"), "virtio_vssd.ko")
    with g.serve(VIREO, "serve", "vssd", "--socket-path", guest.path("v"), f"path={guest.path('disk')}",
                 "size=32M"):
        yield guest.path("v"), "vhost-user-input-pci"


# A number, plus one.
ASK = """
ask() {
    printf '\\051\\000\\000\\000' >&3
    test "$(head -c 4 <&3 | hexdump -e '1/4 "%d"')" = 42
}
"""


def case_vssd(guest):
    """A disk is filled, compared and read from outside."""
    box = newer(guest)
    with vssd(guest, box) as device:
        out = box.run("""
            rmmod virtio_input
            insmod /virtio_vssd.ko id=18
            cat /sys/block/vssd0/size
            dd if=/dev/urandom of=/tmp/noise bs=64k count=128 2>/dev/null
            dd if=/tmp/noise of=/dev/vssd0 bs=64k oflag=direct 2>/dev/null
            echo 3 >/proc/sys/vm/drop_caches
            cmp -n 8388608 /tmp/noise /dev/vssd0
            sha256sum </tmp/noise
            """, device)
    assert out.split()[0] == "65536", out
    assert g.sha256(guest.path("disk"), 8 * g.MIB) == out.split()[1], out


# The clock wakes the machine.
SLEEP = """
sleeps() {
    echo 0 >/sys/class/rtc/rtc0/wakealarm
    echo +3 >/sys/class/rtc/rtc0/wakealarm
    echo mem >/sys/power/state
}
"""


def case_sleep(guest):
    """Suspended to memory and woken, with files open: the adder's module and the dummy's."""
    box = machine.Machine(guest.directory, guest.kernel)
    for name in ("virtio_adder", "virtio_dummy"):
        box.put(ours(name), name + ".ko")
    with g.serve(VIREO, "serve", "adder", "--socket-path", guest.path("a")), \
            g.serve(DUMMY, "--socket-path", guest.path("d"), "buffers=1000"):
        out = box.run(ASK + SLEEP + """
            rmmod virtio_rng
            insmod /virtio_adder.ko id=34
            insmod /virtio_dummy.ko id=4
            exec 3<>/dev/adder0
            came() { cut -d' ' -f1 /sys/bus/virtio/drivers/virtio_dummy/virtio*/counts; }
            for turn in 1 2 3; do
                ask
                # What isn't read yet outlives the sleep.
                printf '\\007\\000\\000\\000' >&3
                sleeps
                test "$(head -c 4 <&3 | hexdump -e '1/4 "%d"')" = 8
                ask
                # The device fills a thousand in each of its lives.
                until [ "$(came)" = $((turn * 1000 + 1000)) ]; do sleep 0.1; done
            done
            dmesg | grep -c 'PM: suspend exit'
            cut -d' ' -f3 /sys/bus/virtio/drivers/virtio_dummy/virtio*/counts
            dmesg | grep -E 'BUG|WARNING|Oops' && exit 1
            exit 0
            """, (guest.path("a"), "vhost-user-i2c-pci"), (guest.path("d"), "vhost-user-rng-pci"))
    assert out.split() == ["3", "0"], out


def case_sleep_vssd(guest):
    """The same for the disk, with writes under way."""
    box = newer(guest)
    with vssd(guest, box) as device:
        out = box.run(SLEEP + """
            rmmod virtio_input
            insmod /virtio_vssd.ko id=18
            dd if=/dev/urandom of=/tmp/noise bs=64k count=256 2>/dev/null
            for turn in 1 2 3; do
                (while [ ! -e /tmp/stop ]; do
                    dd if=/tmp/noise of=/dev/vssd0 bs=64k oflag=direct 2>/dev/null || touch /tmp/failed
                    echo x >>/tmp/rounds
                done) &
                sleep 1
                sleeps
                sleep 1
                touch /tmp/stop
                wait
                rm /tmp/stop
                echo 3 >/proc/sys/vm/drop_caches
                cmp -n 16777216 /tmp/noise /dev/vssd0
            done
            test ! -e /tmp/failed
            dmesg | grep -c 'PM: suspend exit'
            sha256sum </tmp/noise
            dmesg | grep -E 'BUG|WARNING|Oops' && exit 1
            exit 0
            """, device)
    assert out.split()[0] == "3", out
    assert g.sha256(guest.path("disk"), 16 * g.MIB) == out.split()[1], out


def main():
    g.TIMEOUT_S = 400
    g.need("busybox", "cpio", "qemu-system-x86_64")
    kernel = g.script("guest-qemu")
    if not kernel:
        g.absent("Debian's cloud kernel can't be downloaded")
    with tempfile.TemporaryDirectory(prefix="vireo-qemu-") as directory:
        guest = g.Guest(directory)
        guest.kernel = kernel
        globals()[f"case_{sys.argv[3]}"](guest)


if __name__ == "__main__":
    main()
