#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest under load moves between two QEMU processes, each with daemons of its own, and back.

  tests/migration/qemu.py VIREO ROUNDS [installed|newer] [PROPERTIES]

The disk of both places is one image; their networks lead to one neighbour, who answers pings. The guest
writes and compares a part of the disk, and keeps another part in its page cache: pages that a daemon filled
and no processor has touched since, which are wrong on arrival if anybody forgot to say so. Each request to
the network has to come to the neighbour once, in order; of the answers those may be lost that reach a place
from which the guest has just gone.

The newer QEMU is that of a later Debian. PROPERTIES are QEMU's, of both devices (",packed=on"). Exits 0, 1,
or 77 with a line that says what is absent.
"""

import contextlib
import hashlib
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as g  # pylint: disable=wrong-import-position
import machine  # pylint: disable=wrong-import-position

VIREO, ROUNDS = os.path.abspath(sys.argv[1]), int(sys.argv[2])
NEWER = sys.argv[3:4] == ["newer"]
PROPERTIES = "".join(sys.argv[4:5])

HOST_MAC, GUEST_MAC = b"\x52\x54\x00\x00\x00\x01", "52:54:00:00:00:02"
HOST_IP, GUEST_IP = "10.9.0.1", "10.9.0.2"
KEPT_AT, KEPT = 32 * g.MIB, 16 * g.MIB

GUEST = f"""
ifconfig eth0 {GUEST_IP} netmask 255.255.255.0 up
dd if=/dev/urandom of=/tmp/noise bs=64k count=32 2>/dev/null
md5sum </tmp/noise
kept() {{ dd if=/dev/vda bs=64k skip={KEPT_AT >> 16} count={KEPT >> 16} 2>/dev/null | md5sum; }}
bad() {{ echo "BAD: $*"; touch /tmp/stop; }}

# Written and read around the page cache.
while [ ! -e /tmp/stop ]; do
    for area in 0 32 64 96; do
        dd if=/tmp/noise of=/dev/vda bs=64k seek=$area oflag=direct conv=notrunc 2>/dev/null || bad write
        dd if=/dev/vda of=/tmp/back bs=64k skip=$area count=32 iflag=direct 2>/dev/null || bad read
        cmp /tmp/noise /tmp/back || bad compare
    done
    echo done >>/tmp/rounds
done &
direct=$!
# Read into the page cache, and looked at much later.
while [ ! -e /tmp/stop ]; do
    echo 1 >/proc/sys/vm/drop_caches
    # So that nobody looks at it: the kernel reads ahead for who asks for a byte of each 64 KiB.
    at={KEPT_AT >> 16}
    while [ $at -lt {(KEPT_AT + KEPT) >> 16} ]; do
        dd if=/dev/vda of=/dev/null bs=64k skip=$at count=1 2>/dev/null || bad read
        at=$((at + 1))
    done
    sleep 4
    [ "$(kept)" = "$(cat /tmp/kept)" ] || bad cache
    echo done >>/tmp/looks
done &
cache=$!
ping -q -i 0.05 -s 1000 {HOST_IP} >/tmp/pings &
ping=$!
stty -F /dev/ttyS2 -echo
exec 3</dev/ttyS2
echo ready
while read -r word <&3; do
    # How far it is.
    echo "$word $(wc -l </tmp/rounds) $(wc -l </tmp/looks)"
    [ "$word" != stop ] || break
done
touch /tmp/stop
wait $direct $cache
kill -INT $ping
wait $ping || true
grep received /tmp/pings
"""


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Neighbour(threading.Thread):
    """At the other end of both places' cables."""

    def __init__(self, paths):
        super().__init__(daemon=True)
        self.listeners = []
        for path in paths:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            self.listeners.append(listener)
        self.seen = []
        self.ended = False

    def run(self):
        pending = {}
        while not self.ended:
            ready = select.select([*self.listeners, *pending], [], [], 0.2)[0]
            for sock in ready:
                if sock in self.listeners:
                    pending[sock.accept()[0]] = b""
                    continue
                got = sock.recv(1 << 16)
                if not got:
                    del pending[sock]
                    continue
                pending[sock] = self.take(sock, pending[sock] + got)

    def take(self, sock, data):
        while len(data) >= 4:
            length = struct.unpack("!I", data[:4])[0]
            if len(data) < 4 + length:
                break
            answer = self.answer(data[4:4 + length])
            if answer:
                sock.sendall(struct.pack("!I", len(answer)) + answer)
            data = data[4 + length:]
        return data

    def answer(self, frame):
        head = frame[6:12] + HOST_MAC + frame[12:14]
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and \
                frame[38:42] == socket.inet_aton(HOST_IP):
            return head + frame[14:20] + b"\0\2" + HOST_MAC + frame[38:42] + frame[22:32]
        if frame[12:14] != b"\x08\0" or frame[23] != 1 or frame[34] != 8:
            return None
        size = struct.unpack("!H", frame[16:18])[0]
        echo = frame[34:14 + size]
        assert checksum(echo) == 0, "a frame was damaged"
        self.seen.append(struct.unpack("!H", echo[6:8])[0])
        echo = b"\0\0\0\0" + echo[4:]
        echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
        return head + frame[14:26] + frame[30:34] + frame[26:30] + echo


class Qmp:
    """A line of JSON each way."""

    def __init__(self, path):
        g.until(lambda: os.path.exists(path), path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                assert "return" in answer, (command, answer)
                return answer["return"]

    def migrate(self, path):
        self.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 32, "downtime-limit": 3000})
        self.ask("migrate", uri=f"unix:{path}")
        end = time.monotonic() + 200
        while True:
            said = self.ask("query-migrate")
            if said["status"] == "completed":
                return said
            assert said["status"] not in ("failed", "cancelled"), said
            assert time.monotonic() < end, said
            time.sleep(0.1)


class Place:
    """Daemons, and QEMU when the guest is there or about to come."""

    def __init__(self, box, name, stack):
        self.box, self.name = box, name
        self.process = self.qmp = None
        self.lives = 0
        for words in (["blk", f"path={box.directory}/disk", "shared=on"],
                      ["net", "backend=socket", f"path={box.directory}/cable-{name}", f"mac={GUEST_MAC}"]):
            stack.enter_context(g.serve(VIREO, "serve", words[0], "--socket-path",
                                        self.path(words[0]), *words[1:]))

    def path(self, what):
        return os.path.join(self.box.directory, f"{what}-{self.name}")

    def start(self, initial, *more):
        self.lives += 1
        directory = self.box.directory
        control = self.path(f"control-{self.lives}")
        words = [*self.box.qemu, "-M", "q35,memory-backend=m0", "-object",
                 "memory-backend-memfd,id=m0,size=256M,share=on", "-m", "256M", "-accel", "tcg",
                 "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                 "-kernel", self.box.kernel, "-initrd", initial, "-append",
                 "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on "
                 "8250.nr_uarts=4 ",
                 "-chardev", f"file,id=kernel,path={directory}/kernel,append=on", "-serial", "chardev:kernel",
                 "-chardev", f"file,id=said,path={directory}/said,append=on", "-serial", "chardev:said",
                 "-serial", f"unix:{control},server=on,wait=off",
                 "-qmp", f"unix:{control}.qmp,server=on,wait=off",
                 "-chardev", f"socket,id=c0,path={self.path('blk')}",
                 "-device", f"vhost-user-blk-pci,chardev=c0,num-queues=1{PROPERTIES}",
                 "-chardev", f"socket,id=c1,path={self.path('net')}",
                 "-netdev", "vhost-user,id=n0,chardev=c1",
                 # Without KVM QEMU 7.2 doesn't survive such a network device with MSI-X.
                 "-device", f"virtio-net-pci,netdev=n0,mac={GUEST_MAC},vectors=0,romfile={PROPERTIES}", *more]
        with open(os.path.join(directory, "qemu"), "ab") as out:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.qmp = Qmp(control + ".qmp")
        self.control = control

    def tell(self, word):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.control)
            line.sendall(word.encode() + b"\n")
            g.until(lambda: re.search(rf"^{word} \d+ \d+", self.box.text("said"), re.M) or self.is_over(),
                    f"{word} from the guest", 120)
        found = re.search(rf"^{word} (\d+) (\d+)", self.box.text("said"), re.M)
        assert found, self.box.text("said")
        return tuple(int(number) for number in found.groups())

    def is_over(self):
        return self.process.poll() is not None or "BAD" in self.box.text("said")

    def quit(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        self.process = None


def loads_go_on(place, turn):
    """Both have done something in this life of the guest's."""
    before = place.tell(f"at{turn}")
    for attempt in range(400):
        now = place.tell(f"at{turn}-{attempt}")
        if now[0] > before[0] and now[1] > before[1]:
            return
        time.sleep(0.3)
    raise AssertionError("the guest's loads don't go on")


def migrate_all(box, places, initial):
    here, there = places
    here.start(initial)
    g.until(lambda: "ready" in box.text("said") or here.is_over(), "the guest to begin", 200)
    for turn in range(2 * ROUNDS):
        assert not here.is_over(), \
            f"{here.process.poll()}\n" + \
            "".join(box.text(name)[-3000:] for name in ("said", "kernel", "qemu"))
        loads_go_on(here, turn)
        there.start(initial, "-incoming", f"unix:{box.directory}/way-{turn}")
        said = here.qmp.migrate(f"{box.directory}/way-{turn}")
        here.quit()
        print(f"# {turn}: {said['ram']['dirty-sync-count']} passes, {said['downtime']} ms down", flush=True)
        here, there = there, here
    loads_go_on(here, "last")
    here.tell("stop")
    return box.finish(here.process)


def judge(box, neighbour, kept, out):
    assert "BAD" not in out, out
    noise = re.search(r"^([0-9a-f]{32}) ", out, re.M).group(1)
    with open(f"{box.directory}/disk", "rb") as file:
        for _ in range(4):
            assert hashlib.md5(file.read(2 * g.MIB)).hexdigest() == noise, "the disk isn't what was written"
        file.seek(KEPT_AT)
        assert hashlib.md5(file.read(KEPT)).hexdigest() == kept, "the disk was written elsewhere"
    sent, received = (int(number) for number in
                      re.search(r"(\d+) packets transmitted, (\d+) packets received", out).groups())
    assert neighbour.seen == [number & 0xFFFF for number in range(sent)], "requests were lost, or came twice"
    # How many were on their way when the guest went depends on how busy this machine is.
    assert received > sent // 2, (sent, received)
    print(f"# {sent} pings, {sent - received} answers lost")


def main():
    g.need("busybox", "cpio", "qemu-system-x86_64")
    kernel = g.script("guest-qemu")
    if not kernel:
        g.absent("Debian's cloud kernel can't be downloaded")
    words = ["qemu-system-x86_64"]
    if NEWER:
        words = g.guests.newest_qemu()
        if not words:
            g.absent("QEMU 11 can't be downloaded")
    with tempfile.TemporaryDirectory(prefix="vireo-moves-") as directory, contextlib.ExitStack() as stack:
        box = machine.Machine(directory, kernel, words)
        kept = os.urandom(KEPT)
        with open(f"{directory}/disk", "wb") as file:
            file.truncate(64 * g.MIB)
            file.seek(KEPT_AT)
            file.write(kept)
        kept = hashlib.md5(kept).hexdigest()
        neighbour = Neighbour([f"{directory}/cable-{name}" for name in "ab"])
        neighbour.start()
        places = [Place(box, name, stack) for name in "ab"]
        initial = box.initial(f"mkdir -p /tmp\necho '{kept}  -' >/tmp/kept\n"
                              f"touch /tmp/rounds /tmp/looks\n{GUEST}")
        try:
            judge(box, neighbour, kept, migrate_all(box, places, initial))
        finally:
            for place in places:
                place.quit()
            neighbour.ended = True


if __name__ == "__main__":
    main()
