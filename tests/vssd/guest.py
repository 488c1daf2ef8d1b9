#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A disk whose space is taken away and given again while Linux works on it.

  tests/vssd/guest.py VIREO VSSD_EVICT CASE [ROUNDS]

Boots the test kernel with the module virtio_vssd. Exits 0, 1, or 77 with a line that names what is absent.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "scripts"))
from guests import script, until  # pylint: disable=wrong-import-position

VIREO, EVICT = (os.path.abspath(path) for path in sys.argv[1:3])
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 2
TIMEOUT_S = 180 + 20 * ROUNDS  # on a busy machine
MIB = 1 << 20
UNIT = 1 << 16

PRELUDE = """#!/bin/sh
set -eu
cd "$SHARE"
await() { while [ ! -e "$1" ]; do sleep 0.02; done; }
"""


def absent(what):
    print(what)
    sys.exit(77)


class Guest:
    """A guest that runs, its disk, and what the host does to it."""

    def __init__(self, directory, properties=""):
        self.directory = directory
        self.properties = properties
        self.image = self.path("disk.img")
        self.socket = self.path("run/vssd0.sock")
        self.process = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def said(self):
        with open(self.path("out"), encoding="utf-8") as file:
            return file.read()

    @contextlib.contextmanager
    def run(self, text):
        """Boots with the script; it is over, without a failure, when the context is left."""
        shutil.copy(EVICT, self.path("vssd-evict"))
        with open(self.path("init"), "w", encoding="utf-8") as file:
            file.write(PRELUDE + text)
        modules = script("guest-modules", "test")
        assert modules, "scripts/guest-modules test failed"
        with open(self.path("out"), "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [VIREO, "boot", "--kernel", KERNEL, "--share", self.directory, "--env",
                 f"SHARE={self.directory}", "--run-dir", self.path("run"), "--timeout", str(TIMEOUT_S),
                 "--module", f"{modules}/virtio_vssd.ko", "--device",
                 f"vssd,path={self.image},size=96M{self.properties}", "--init", self.path("init")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield
            status = self.process.wait(TIMEOUT_S)
            assert status == 0, f"the guest ended with {status}"
        except BaseException:
            print(self.said())
            raise
        finally:
            if self.process.poll() is None:
                self.process.terminate()
                self.process.wait()

    def await_file(self, name):
        until(lambda: os.path.exists(self.path(name)) or self.process.poll() is not None, name)
        assert self.process.poll() is None, "the guest ended early"

    def tell(self, name):
        with open(self.path(name), "w", encoding="utf-8"):
            pass

    def resize(self, *words, expect=0):
        done = subprocess.run([VIREO, "resize", "-q", self.socket, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              timeout=60)
        assert done.returncode == expect, (words, done)
        return done.stdout.strip() if expect == 0 else done.stderr

    def start_resize(self, *words):
        return subprocess.Popen([VIREO, "resize", self.socket, *words], stderr=subprocess.DEVNULL)

    def goes_on(self):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.socket + ".control")
            control.sendall(b"resize\n")
            return b'"state":"idle"' not in control.recv(4096)

    def holds(self):
        """Bytes of the image that take up space."""
        return os.stat(self.image).st_blocks * 512


FIO = """fio --filename="$1" --name=v --ioengine=libaio --iodepth=8 --direct=1 --rw=randwrite --bs=4k \\
    --size=16M --io_size=16M --verify=crc32c --verify_fatal=1 --output=fio.out >/dev/null"""

WORK = """
./vssd-evict %s /dev/vssd0-control &
%s
touch ready
set -- %s
rounds=0
while [ ! -e stop ]; do
    """ + FIO + """ || { cat fio.out; exit 1; }
    rounds=$((rounds + 1))
    echo $rounds >worked.new && mv worked.new worked
done
%s
echo "fio ran $rounds times"
"""


def resize_under_load(guest):
    """Shrinks and grows at sizes that leave alone what fio works on."""
    chance = random.Random(1)
    for number in range(ROUNDS):
        small = chance.randrange(40 * MIB, 64 * MIB, UNIT)
        large = chance.randrange(80 * MIB, 96 * MIB + UNIT, UNIT)
        assert int(guest.resize("--to", str(small))) == small
        assert guest.holds() <= small, "what was handed back still takes up space"
        assert int(guest.resize("--to", str(large))) == large
        seen = os.path.exists(guest.path("worked")) and open(guest.path("worked"), encoding="utf-8").read()
        until(lambda seen=seen: os.path.exists(guest.path("worked")) and
              open(guest.path("worked"), encoding="utf-8").read() != seen, f"fio in round {number}", 120)
    guest.tell("stop")


def case_files(directory):
    """A file system in the first third keeps its files; the program is told to leave it alone."""
    # spec: VSSD-DRV-1, VSSD-DRV-3, VSSD-DRV-4
    guest = Guest(directory)
    with guest.run(WORK % (
            "-k 32M",
            "mke2fs -q -t ext2 -E nodiscard -b 4096 /dev/vssd0 32M\nmkdir -p /run/disk\n"
            "mount -t ext2 /dev/vssd0 /run/disk\ncp -a /usr/include/linux /run/disk\n"
            "(cd /run/disk && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums",
            "/run/disk/work",
            "umount /run/disk\ne2fsck -fn /dev/vssd0\nmount -t ext2 -o ro /dev/vssd0 /run/disk\n"
            "(cd /run/disk && sha256sum --quiet -c \"$SHARE/sums\")\numount /run/disk")):
        guest.await_file("ready")
        resize_under_load(guest)
    assert "fio ran" in guest.said(), guest.said()


def case_raw(directory):
    """Without a word, the program finds out that what fio writes is the last to be handed back."""
    guest = Guest(directory)
    with guest.run(WORK % ("", ":", "/dev/vssd0", ":")):
        guest.await_file("ready")
        until(lambda: os.path.exists(guest.path("worked")), "fio")
        resize_under_load(guest)
        assert guest.process.wait(60) == 0, guest.said()


def case_refusals(directory):
    """Nobody answers, the program declines, the user gives up: what the host is told."""
    # spec: VSSD-DRV-2, VSSD-DRV-5, VSSD-DEV-14
    guest = Guest(directory, ",deadline-ms=3000")
    with guest.run("""
            test "$(cat /sys/block/vssd0/size)" = 196608
            touch ready; await evict
            ./vssd-evict -k 90M /dev/vssd0-control &
            pid=$!
            await decline; kill $pid; wait $pid || true; touch declined
            ./vssd-evict -1 /dev/vssd0-control
            await end
            test "$(cat /sys/block/vssd0/size)" = 32768
            """):
        guest.await_file("ready")
        assert "out of range" in guest.resize("--to", "97M", expect=1)
        assert "multiple" in guest.resize("--to", "1000", expect=1)
        assert "didn't answer in time" in guest.resize("--to", "16M", expect=3)
        guest.resize("--cancel", expect=1)
        with guest.start_resize("--to", "16M") as one:
            until(guest.goes_on, "the resize to begin")
            assert "another resize" in guest.resize("--to", "17M", expect=1)
            one.send_signal(signal.SIGINT)
            assert one.wait(10) == 130
        with guest.start_resize("--to", "16M") as one:
            until(guest.goes_on, "the resize to begin")
            guest.resize("--cancel")
            assert one.wait(10) == 4
        guest.tell("evict")
        assert "nothing more" in guest.resize("--to", "16M", expect=3)
        assert int(guest.resize("--to", "90M")) == 90 * MIB
        guest.tell("decline")
        guest.await_file("declined")
        assert int(guest.resize("--to", "16M")) == 16 * MIB
        guest.tell("end")


def main():
    if KERNEL is None:
        absent("the test kernel isn't built; run scripts/guest-kernel")
    for program in ("busybox", "fio", "mke2fs", "e2fsck"):
        if not shutil.which(program):
            absent(f"{program} is not installed")
    with tempfile.TemporaryDirectory(prefix="vireo-vssd-") as directory:
        globals()[f"case_{sys.argv[3]}"](directory)


KERNEL = script("guest-kernel", "--path")

if __name__ == "__main__":
    main()
