#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Guests in QEMU, by `vireo boot --vmm qemu`: scripts as in User-Mode Linux, and mistakes that are named.

  tests/guest/qemu.py VIREO

Exits 0, 1, or 77 with a line that names what is absent.
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.argv.append("qemu")  # guest.py takes two programs
import guest as g  # pylint: disable=wrong-import-position


def mistakes(guest, image):
    for words, why in ((["--queues", "200"], "it offers"),
                       (["--vmm-option", "-object memory-backend-ram,id=m1,size=64M"], "isn't shared"),
                       (["--device", "console"], "QEMU has no PCI device")):
        process = guest.start("exit 0\n", "--vmm", "qemu", "--device", f"blk,path={image}", *words)
        assert process.wait(60) == 2 and why in guest.said(), guest.said()


# QEMU 7.2 says of neither that its driver is ready (DRIVER_OK), nor that it is gone.
def rng(guest):
    guest.boot("""
        grep -q virtio /sys/class/misc/hw_random/rng_current
        for name in first second; do
            timeout 60 dd if=/dev/hwrng of=$name bs=64 count=16 iflag=fullblock 2>/dev/null
            device=$(basename "$(readlink -f /sys/bus/virtio/drivers/virtio_rng/virtio*)")
            echo "$device" >/sys/bus/virtio/drivers/virtio_rng/unbind
            echo "$device" >/sys/bus/virtio/drivers/virtio_rng/bind
        done
        """, "--vmm", "qemu", "--device", "rng")
    with open(guest.path("first"), "rb") as first, open(guest.path("second"), "rb") as second:
        first, second = first.read(), second.read()
    assert len(first) == len(second) == 1024 and first != second


def main():
    g.need("busybox", "cpio", "qemu-system-x86_64")
    kernel = g.script("guest-qemu")
    if not kernel:
        g.absent("Debian's cloud kernel can't be downloaded")
    with tempfile.TemporaryDirectory(prefix="vireo-qemu-") as directory:
        guest = g.Guest(directory)
        guest.kernel = kernel
        image = guest.image("disk", 16 * g.MIB)
        mistakes(guest, image)
        rng(guest)
        out = guest.boot("""
            busybox printf 'from the guest' | busybox dd of=/dev/vda bs=512 conv=sync oflag=direct 2>/dev/null
            busybox touch written
            busybox touch /etc/vireo-test 2>/dev/null && exit 1
            echo "$WORD"
            exit 42
            """, "--vmm", "qemu", "--device", f"blk,path={image}", "--env", "WORD=it's two words", expect=42)
        assert out == "it's two words\n", out
        assert os.path.exists(guest.path("written")) and not os.path.exists("/etc/vireo-test")
        with open(image, "rb") as file:
            assert file.read(14) == b"from the guest"


if __name__ == "__main__":
    main()
