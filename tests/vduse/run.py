#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A daemon in the test kernel serves that kernel a disk, by VDUSE.

  tests/vduse/run.py VIREO VIREO_IN_GUEST DRIVE_IN_GUEST CASE

Exits 0, 1, or 77 with a line that names what is absent.
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as boots  # pylint: disable=wrong-import-position

PROGRAMS = {"vireo": sys.argv[2], "drive": sys.argv[3]}

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
    return guest.boot_beside(PROGRAMS, SERVE + boots.LEND + text, "--memory", "512M")


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
        test ! -s /run/vireo/vduse-v
        """)


# Rounds of writes at random that are read and compared, until there is a file enough.
WRITE = """
write() {
    rounds=0
    until [ -e enough ]; do
        fio --name=f --filename=/dev/vda --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --thread \\
            --bssplit=4k/60:16k/30:64k/10 --size=8M --verify=crc32c --verify_fatal=1 --eta=never \\
            --loops=4 --randseed=$rounds --output=fio.log || {
            dmesg | tail -n 30
            exit 1
        }
        rounds=$((rounds + 1))
    done
    echo rounds $rounds
}
"""

# The daemon ends by a signal again and again, five of six by one that it doesn't see, and comes back.
KILL = """
appear
ready /dev/vda
# The kernel copies all data through pages that it must get at once, or the request fails: keep some.
echo 32768 >/proc/sys/vm/min_free_kbytes
cat /sys/bus/virtio/devices/virtio0/features
write &
writer=$!
kills=0
while [ $kills -lt COUNT ]; do
    sleep 0.$((kills % 3))$((kills % 7 + 1))
    signal=9
    if [ $((kills % 6)) = 5 ]; then
        signal=TERM
        sleep 0.3
    fi
    kill -$signal $daemon
    status=0
    wait $daemon 2>/dev/null || status=$?
    # One that hasn't begun to listen for signals ends by any.
    case $status in
    0 | 137 | 143) ;;
    *) exit $status ;;
    esac
    kill -0 $writer
    engine=
    [ $((kills % 2)) = 0 ] || engine=--no-uring
    serve $engine PROPERTIES
    kills=$((kills + 1))
done
touch enough
wait $writer
vdpa dev del v
kill $daemon
wait $daemon
test ! -e /dev/vduse/v
"""


def kill(guest, count, *properties):
    boots.need("fio")
    words = " ".join(properties)
    out = boot(guest, WRITE + f"truncate -s 8M /run/image\nserve {words}\n"
               + KILL.replace("COUNT", str(count)).replace("PROPERTIES", words))
    features, rounds = out.split()[0], int(out.split("rounds ")[1])
    log = log_of(guest)
    again = log.count("requests are taken once more")
    print(f"# {count} daemons, {rounds} rounds, {again} times requests were taken once more")
    # Few daemons may have died between two requests, each of them.
    assert rounds and (again or count < 100), log
    assert log.count("v is in use and stays") <= count // 6, log
    assert features[34] == ("0" if "packed=off" in properties else "1"), features


def case_kill(guest):
    kill(guest, 25)


def case_kill_split(guest):
    kill(guest, 25, "packed=off", "num-queues=2")


def case_kill_often(guest):
    kill(guest, 300)


def case_kill_often_split(guest):
    kill(guest, 300, "packed=off", "num-queues=2")


def case_vhost(guest):
    """The same device by vhost-vdpa, with our own driver at the other end."""
    out = boot(guest, """
        truncate -s 8M /run/image
        serve --poll-us 300 num-queues=2
        appear
        lend v
        ./vireo probe /dev/vhost-vdpa-0
        ./drive blk-slow /dev/vhost-vdpa-0
        head -c 204800 /dev/urandom >noise
        ./vireo blk /dev/vhost-vdpa-0 write --offset 1M <noise
        ./vireo blk /dev/vhost-vdpa-0 read --offset 1M --length 200K | cmp - noise
        cmp -n 204800 /run/image noise -i 1048576:0
        """)
    assert "blk: verified" in out and "num_queues                      2" in out, out


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
