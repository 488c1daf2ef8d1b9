#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A daemon in the test kernel serves that kernel a disk, by VDUSE.

  tests/vduse/run.py VIREO VIREO_IN_GUEST DRIVE_IN_GUEST CASE

Exits 0, 1, or 77 with a line that names what is absent.
"""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as boots  # pylint: disable=wrong-import-position

PROGRAMS = sys.argv[2:4]

# serve [WORD...]: starts the daemon. appear: its device gets a driver. ready FILE: waits for a file.
SERVE = """
serve() {
    ./vireo serve blk --vduse v --log log path=/run/image "$@" &
    daemon=$!
}
ready() {
    tries=0
    until [ -e "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 300 ]
        sleep 0.05
    done
}
appear() {
    ready /dev/vduse/v
    tries=0
    until vdpa dev add name v mgmtdev vduse 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 300 ]
        sleep 0.05
    done
}
"""


def boot(guest, text):
    """What the script says, with the programs beside it."""
    for program, name in zip(PROGRAMS, ("vireo", "drive")):
        shutil.copy(program, guest.path(name))
    return guest.boot(SERVE + text)


def log_of(guest):
    with open(guest.path("log"), encoding="utf-8") as file:
        return file.read()


def case_files(guest):
    """A file system on it; and when the daemon ends without a driver, nothing of it stays."""
    boots.need("mke2fs", "e2fsck")
    boot(guest, """
        truncate -s 32M /run/image
        serve serial=vduse-1
        appear
        ready /dev/vda
        test "$(cat /sys/block/vda/serial)" = vduse-1
        """ + boots.FILES + """
        vdpa dev del v
        kill $daemon
        wait $daemon
        test ! -e /dev/vduse/v
        test ! -e /run/vireo/vduse-v
        """)


def main():
    case = globals()[f"case_{sys.argv[4]}"]
    if boots.KERNEL is None:
        boots.absent("the test kernel isn't built; run scripts/guest-kernel")
    boots.need("busybox", "vdpa")
    with tempfile.TemporaryDirectory(prefix="vireo-vduse-") as directory:
        guest = boots.Guest(directory)
        try:
            case(guest)
        except BaseException:
            if os.path.exists(guest.path("log")):
                print(log_of(guest))
            raise


if __name__ == "__main__":
    main()
