#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Devices of Linux's own, driven by ours: vDPA's simulator, vhost-net and vhost-vsock of the test kernel.

  tests/vdpa/run.py VIREO VIREO_IN_GUEST DRIVE_IN_GUEST CASE

Exits 0, 1, or 77 with a line that names what is absent.
"""

import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as boots  # pylint: disable=wrong-import-position

PROGRAMS = {"vireo": sys.argv[2], "drive": sys.argv[3]}
MAC = "02:00:00:00:99:01"

# Makes a vDPA device of the simulator's and gives it to vhost: simulate NAME KIND [WORD...]. It becomes the
# next of /dev/vhost-vdpa-0, -1, ...
SIMULATE = """
simulate() {
    name=$1
    kind=$2
    shift 2
    vdpa dev add name "$name" mgmtdev "vdpasim_$kind" "$@"
    lend "$name"
}
"""


def boot(guest, text):
    """What the script says, with the programs beside it."""
    return guest.boot_beside(PROGRAMS, boots.LEND + SIMULATE + text)


def probe(guest, path, *words):
    """A line of the script, and what to do with its result."""
    name = os.path.basename(path)
    return f"./vireo probe {path} {' '.join(words)} --json >{name}.json\n", guest.path(name + ".json")


def report(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def case_probe(guest):
    """What each of the kernel's devices says of itself; and who is refused, with which words."""
    blk_line, blk = probe(guest, "/dev/vhost-vdpa-0")
    net_line, net = probe(guest, "/dev/vhost-vdpa-1", "--type net")
    tap_line, tap = probe(guest, "/dev/vhost-net")
    vsock_line, vsock = probe(guest, "/dev/vhost-vsock")
    out = boot(guest, f"simulate b blk\nsimulate n net mac {MAC} mtu 1400\n"
               + blk_line + net_line + tap_line + vsock_line + """
        ./vireo probe /dev/vhost-vdpa-0
        complaint() {
            if ./vireo "$@" 2>complaint.new; then
                echo "should have failed: $*"
                exit 1
            fi
            cat complaint.new
        }
        complaint probe /dev/net/tun
        complaint probe /dev/null
        complaint probe /etc/passwd
        complaint probe /dev/vhost-vdpa-0 --type net
        complaint probe /dev/vhost-vdpa-7
        exec 5<>/dev/vhost-vdpa-0
        complaint probe /dev/vhost-vdpa-0
        exec 5<&-
        complaint blk /dev/vhost-vdpa-1 info
        """)
    blk, net, tap, vsock = map(report, (blk, net, tap, vsock))
    assert blk["type"] == "blk" and blk["id"] == 2 and blk["queues"] == 1, blk
    assert blk["config"]["capacity"] == 262144 and blk["queue-size-max"] == 256, blk
    assert {"VERSION_1", "ACCESS_PLATFORM", "FLUSH"} <= set(blk["features"]), blk
    assert {"IOTLB_MSG_V2", "IOTLB_BATCH", "SUSPEND"} <= set(blk["backend-features"]), blk
    assert blk["iova-first"] == 0 and blk["iova-last"] == str(2**64 - 1), blk
    assert net["type"] == "net" and net["config"] == {"mac": MAC, "mtu": 1400}, net
    assert net["queues"] == 3 and net["queue-groups"] == 2, net
    assert tap["type"] == "net" and tap["queues"] == 2 and "MRG_RXBUF" in tap["features"], tap
    assert vsock["type"] == "vsock" and vsock["id"] == 19 and vsock["queues"] == 3, vsock
    assert vsock["config"] == {"guest_cid": 0}, vsock
    assert "\nblk_size                        512\n" in out, out
    for words in ("'/dev/net/tun': it is neither a socket nor a vhost device",
                  "'/dev/null': it is neither a socket nor a vhost device",
                  "'/etc/passwd' is neither a socket nor a device of the kernel's",
                  "'/dev/vhost-vdpa-0' is a device with id 2 (blk), not 1 (net)",
                  "'/dev/vhost-vdpa-7': No such file or directory",
                  "'/dev/vhost-vdpa-0': somebody drives that device already",
                  "'/dev/vhost-vdpa-1' is a device with id 1 (net), not 2 (blk)"):
        assert words in out, (words, out)


def case_blk(guest):
    """The simulator's disk: reads and writes at random, and as a command."""
    out = boot(guest, """
        simulate b blk
        ./drive blk /dev/vhost-vdpa-0
        ./vireo blk /dev/vhost-vdpa-0 info
        head -c 204800 /dev/urandom >noise
        ./vireo blk /dev/vhost-vdpa-0 write --offset 1M <noise
        ./vireo blk /dev/vhost-vdpa-0 read --offset 1M --length 200K | cmp - noise
        # With little memory that may be locked.
        ulimit -l 512
        ./vireo blk /dev/vhost-vdpa-0 read --offset 1M --length 200K | cmp - noise
        ulimit -l 64
        refused ./vireo blk /dev/vhost-vdpa-0 info
        """)
    assert "blk: verified" in out and "vdpa_blk_sim" in out, out


def case_vduse(guest):
    """A process of the guest serves a disk through VDUSE: two queues, and more features of rings."""
    boots.need("qemu-storage-daemon")
    out = boot(guest, """
        truncate -s 8M /run/disk
        qemu-storage-daemon --blockdev driver=file,node-name=f,filename=/run/disk --export \
            type=vduse-blk,id=e,node-name=f,name=v,writable=on,num-queues=2 &
        tries=0
        until [ -e /dev/vduse/v ] && vdpa dev add name v mgmtdev vduse 2>/dev/null; do
            tries=$((tries + 1))
            [ $tries -lt 200 ]
            sleep 0.1
        done
        lend v
        ./vireo probe /dev/vhost-vdpa-0
        ./drive blk-slow /dev/vhost-vdpa-0
        head -c 204800 /dev/urandom >noise
        ./vireo blk /dev/vhost-vdpa-0 write --offset 1M <noise
        ./vireo blk /dev/vhost-vdpa-0 read --offset 1M --length 200K | cmp - noise
        cmp -n 204800 /run/disk noise -i 1048576:0
        """)
    assert "blk: verified" in out and "num_queues                      2" in out, out
    assert "EVENT_IDX" in out and "INDIRECT_DESC" in out, out


def case_net(guest):
    """The simulator's network card gives frames back."""
    out = boot(guest, f"simulate n net mac {MAC}\n./drive net /dev/vhost-vdpa-0\n")
    assert "net: frames came back" in out, out


def case_tap(guest):
    """vhost-net and a tap: our driver asks for the kernel's address and pings it."""
    out = boot(guest, "./drive tap tap0\n./drive tap-plain tap1\n")
    assert out.count("tap: answered") == 2, out


def case_vsock(guest):
    """vhost-vsock: connections from the kernel's side and to it."""
    out = boot(guest, "./drive vsock 42\n")
    assert "vsock: talked" in out, out


def main():
    case = globals()[f"case_{sys.argv[4]}"]
    if boots.KERNEL is None:
        boots.absent("the test kernel isn't built; run scripts/guest-kernel")
    boots.need("busybox", "vdpa")
    with tempfile.TemporaryDirectory(prefix="vireo-vdpa-") as directory:
        case(boots.Guest(directory))


if __name__ == "__main__":
    main()
