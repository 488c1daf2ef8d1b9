#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Devices in the hands of Linux: boots the test kernel with `vireo boot` and works with what it sees.

  tests/guest/guest.py VIREO EXAMPLE_ADDER CASE

Exits 0, 1, or 77 with a line that names what is absent.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "scripts"))
import guests  # pylint: disable=wrong-import-position
from guests import ROOT, script, until  # pylint: disable=wrong-import-position,unused-import

VIREO, ADDER = (os.path.abspath(path) for path in sys.argv[1:3])
TIMEOUT_S = 240
MIB = 1 << 20


# What every script begins with.
PRELUDE = """#!/bin/sh
set -eu
cd "$SHARE"
# A command that has to fail.
refused() {
    if "$@" 2>/dev/null; then
        echo "should have failed: $*"
        exit 1
    fi
}
"""


def absent(what):
    print(what)
    sys.exit(77)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            absent(f"{program} is not installed")


def serve(*words):
    """A daemon that is ended by force if the case doesn't end it."""
    return guests.serve(VIREO, words)


def answers(path):
    return guests.answers(VIREO, path)


def get(path, name):
    """A property of a device that is served."""
    return subprocess.run([VIREO, "get", "--socket-path", path, name], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def sha256(path, size):
    """Of the beginning of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()


class Guest(guests.Guest):
    prelude = PRELUDE

    def __init__(self, directory):
        super().__init__(VIREO, KERNEL, directory, TIMEOUT_S - 20)

    def modules(self):
        found = script("guest-modules", "test")
        assert found, "scripts/guest-modules test failed"
        return [f"--module={found}/{name}.ko" for name in ("virtio_adder", "virtio_caesar")]

    def boot(self, text, *arguments, expect=0):
        """Runs the script in a guest to its end; what it wrote."""
        done = subprocess.run(self.command(text, *arguments), stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
        if done.returncode != expect:
            raise AssertionError(f"status {done.returncode}, not {expect}\n{done.stdout}{done.stderr}")
        assert not os.path.exists(self.run_dir), "the directory of the sockets stayed behind"
        return done.stdout

    def boot_beside(self, programs, text, *arguments):
        """The same with programs of the machine, by name, beside the script."""
        for name, path in programs.items():
            shutil.copy(path, self.path(name))
        return self.boot(text, *arguments)


# lend NAME: gives a vDPA device to vhost in place of the kernel's driver.
LEND = """
lend() {
    device=/sys/bus/vdpa/devices/$1
    if [ -e "$device/driver" ]; then
        echo "$1" >"$device/driver/unbind"
    fi
    echo vhost_vdpa >"$device/driver_override"
    echo "$1" >/sys/bus/vdpa/drivers/vhost_vdpa/bind
}
"""

FILES = """
mke2fs -q -t ext2 -E nodiscard /dev/vda
mkdir -p /run/disk
mount -t ext2 /dev/vda /run/disk
cp -a /usr/include/linux /run/disk
dd if=/dev/urandom of=/run/disk/noise bs=64k count=100 2>/dev/null
(cd /run/disk && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums
umount /run/disk
e2fsck -fn /dev/vda
echo 3 >/proc/sys/vm/drop_caches
mount -t ext2 -o ro /dev/vda /run/disk
(cd /run/disk && sha256sum --quiet -c "$SHARE/sums")
umount /run/disk
wc -l <sums
"""


def check_dump(guest, image):
    """The same files, read without any of our code."""
    os.mkdir(guest.path("dump"))
    subprocess.run(["debugfs", "-R", f"rdump / {guest.path('dump')}", image], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["sha256sum", "--quiet", "-c", guest.path("sums")], check=True, cwd=guest.path("dump"))


def case_files(guest):
    """A file system is made, filled and compared, in the guest and afterwards outside."""
    need("mke2fs", "e2fsck", "debugfs")
    image = guest.image("disk", 64 * MIB)
    out = guest.boot(FILES, "--device", f"blk,path={image}")
    assert int(out.split()[-1]) > 100, out
    check_dump(guest, image)


def case_files_plain(guest):
    """The same with every optional feature off and small requests."""
    need("mke2fs", "e2fsck", "debugfs")
    image = guest.image("disk", 64 * MIB)
    guest.boot(FILES, "--device", f"blk,path={image},indirect-desc=off,event-idx=off,seg-max=2,"
               "write-cache=off,config-wce=off,discard=off,write-zeroes=off")
    check_dump(guest, image)


def case_blk_details(guest):
    """Geometry, identity, read-only, discard and zeroes as the driver sees them."""
    image = guest.image("disk", 32 * MIB)
    readonly = guest.image("readonly", MIB)
    with open(image, "r+b") as file:
        file.write(b"\xa5" * 32 * MIB)
    out = guest.boot("""
        q=/sys/block/vda/queue
        cd /sys/block
        cat vda/size vda/serial
        echo "" $(cat vda/ro vdb/ro)
        refused dd if=/dev/zero of=/dev/vdb bs=4096 count=1 oflag=direct
        test "$(cat $q/write_cache)" = "write back"
        test "$(cat $q/discard_max_bytes)" -gt 0
        dd if=/dev/zero of=/dev/vda bs=1M count=1 seek=31 oflag=direct 2>/dev/null
        blkdiscard -o 8M -l 8M /dev/vda
        blkdiscard -z -o 16M -l 4M /dev/vda
        cmp -n 4194304 -i 16777216:0 /dev/vda /dev/zero
        blockdev --flushbufs /dev/vda
        """, "--device", f"blk,path={image},serial=vireo-test-1", f"--device=blk,path={readonly},readonly=on")
    assert out.split() == ["65536", "vireo-test-1", "0", "1"], out
    with open(image, "rb") as file:
        content = file.read()
    assert content[:8 * MIB] == b"\xa5" * 8 * MIB and content[20 * MIB:31 * MIB] == b"\xa5" * 11 * MIB
    assert content[16 * MIB:20 * MIB] == bytes(4 * MIB) and content[31 * MIB:] == bytes(MIB)


def case_rng(guest):
    """The kernel takes our random numbers, and they are none it could foresee."""
    guest.boot("""
        cat /sys/class/misc/hw_random/rng_current
        grep -q virtio /sys/class/misc/hw_random/rng_current
        dd if=/dev/hwrng of=first bs=4096 count=64 iflag=fullblock 2>/dev/null
        dd if=/dev/hwrng of=second bs=4096 count=64 iflag=fullblock 2>/dev/null
        """, "--device", "rng")
    with open(guest.path("first"), "rb") as first, open(guest.path("second"), "rb") as second:
        first, second = first.read(), second.read()
    assert len(first) == len(second) == 256 * 1024 and first != second
    # Of 2^18 random bytes each value comes about 1024 times, with a deviation of 32.
    for noise in (first, second):
        counts = [noise.count(bytes([value])) for value in range(256)]
        assert 1024 - 320 < min(counts) and max(counts) < 1024 + 320, counts


ADD = """
cat >add.py <<'PYTHON'
import os, random, struct
adder = os.open("/dev/adder0", os.O_RDWR)
numbers = [0, 1, -1, 2**31 - 1, -2**31] + [random.randrange(-2**31, 2**31) for _ in range(5000)]
for number in numbers:
    os.write(adder, struct.pack("=i", number))
    got = struct.unpack("=i", os.read(adder, 4))[0]
    want = (number + 1 + 2**31) % 2**32 - 2**31
    assert got == want, (number, got)
# Many in flight.
for start in range(0, 5000, 500):
    os.write(adder, struct.pack("=i", 0)); os.read(adder, 4)
    for number in range(start, start + 500):
        os.write(adder, struct.pack("=i", number))
    for number in range(start, start + 500):
        assert struct.unpack("=i", os.read(adder, 4))[0] == number + 1
print("added", len(numbers) + 5000)
PYTHON
python3 add.py
"""


def case_adder(guest):
    """Numbers through the module and `vireo serve adder`."""
    out = guest.boot(ADD + "cat /sys/class/misc/adder0/status /sys/bus/virtio/devices/virtio0/features\n",
                     *guest.modules(), "--device", "adder")
    assert out.split()[:3] == ["added", "10005", "99"], out
    # Lowest first. Linux takes packed rings, and says that they begin at 0 without a wrap counter.
    assert out.split()[3][34] == "1", out


def case_adder_split(guest):
    """The same over the other format."""
    out = guest.boot(ADD + "cat /sys/bus/virtio/devices/virtio0/features\n", *guest.modules(),
                     "--device", "adder,packed=off")
    assert "added 10005" in out and out.split()[2][34] == "0", out


def case_example_adder(guest):
    """The example's small daemon is as good as ours."""
    path = guest.path("adder.sock")
    with serve(ADDER, "--socket-path", path, "--once") as daemon:
        out = guest.boot(ADD, *guest.modules(), "--append", f"virtio_uml.device={path}:60")
        assert daemon.wait(30) == 0
    assert "added 10005" in out, out


def case_caesar(guest):
    """Text through the cipher; driver and host both change the shift, and each hears of the other."""
    process = guest.start("""
        s=/sys/class/misc/caesar0
        through() {
            exec 3<>/dev/caesar0
            printf %s "$1" >&3
            head -c ${#1} <&3
            exec 3>&-
            echo
        }
        through 'Hello, World!'
        echo 13 >$s/shift
        through 'Hello, World!'
        refused sh -c "echo 26 >$s/shift"
        cat $s/shift
        touch ready
        tries=0
        while [ "$(cat $s/shift) $(cat $s/mode)" != '5 1' ] && [ $tries -lt 300 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        through 'Mjqqt, Btwqi!'
        # A long text in many requests.
        head -c 1000000 /dev/urandom | od -An -tx1 >plain
        exec 3<>/dev/caesar0
        cat plain >&3 &
        head -c $(wc -c <plain) <&3 >cipher
        tr a-z v-za-u <plain | cmp - cipher
        echo same
        """, *guest.modules(), "--device", "caesar,shift=3")
    sock = os.path.join(guest.run_dir, "caesar0.sock")
    until(lambda: os.path.exists(guest.path("ready")) or process.poll() is not None, "the guest")
    try:
        assert process.poll() is None, guest.said()
        shift = subprocess.run([VIREO, "get", "--socket-path", sock, "shift"], check=True, text=True,
                               stdout=subprocess.PIPE).stdout
        subprocess.run([VIREO, "set", "--socket-path", sock, "shift=5", "mode=decipher"], check=True)
    finally:
        status = process.wait(TIMEOUT_S)
    said = guest.said()
    assert status == 0, said
    assert said.split("\n")[:6] == ["Khoor, Zruog!", "Uryyb, Jbeyq!", "13", "Hello, World!", "same", ""], said
    assert shift == "3\n" or shift == "13\n", shift


FIO = ("fio --filename=/dev/vda --direct=1 --verify=crc32c --do_verify=1 --verify_fatal=1 --iodepth=32 "
       "--minimal --output=fio.log")


def case_fio(guest):
    """Random writes of four jobs, deep queues, every block verified."""
    need("fio")
    image = guest.image("disk", 128 * MIB)
    common = FIO + " --numjobs=4 --size=12M --offset_increment=32M"
    guest.boot(f"""
        {common} --name=aio --ioengine=libaio --rw=randwrite --bs=4k
        {common} --name=ring --ioengine=io_uring --rw=randrw --bsrange=4k-64k
        """, "--device", f"blk,path={image}")


def case_fio_epoll(guest):
    """The same where the kernel has no io_uring to offer, as in many containers."""
    need("fio")
    image = guest.image("disk", 64 * MIB)
    path = guest.path("blk.sock")
    with serve(VIREO, "serve", "blk", "--no-uring", "--socket-path", path, f"path={image}") as daemon:
        guest.boot(f"""
            {FIO} --numjobs=4 --size=6M --offset_increment=16M --name=w --ioengine=libaio --rw=randrw --bs=4k
            """, "--append", f"virtio_uml.device={path}:2")
        daemon.terminate()
        assert daemon.wait(30) == 0


def case_fio_memory(guest):
    """The same on a disk in the daemon's memory with blocks of 4096 bytes."""
    need("fio")
    guest.boot(f"""
        {FIO} --numjobs=4 --size=12M --offset_increment=16M --name=w --ioengine=libaio --rw=randwrite --bs=4k
        """, "--device", "blk,backend=memory,size=64M,block-size=4096")


# Four writers at once. Each write that the device reported done is noted in a file of the host, at once:
# when the device is gone, its requests hang in this kernel for ever.
WRITER = """
cat >writer.py <<'PYTHON'
import mmap, os, struct, threading
BLOCK, COUNT, THREADS = 4096, 1024, 4
def work(index):
    disk = os.open("/dev/vda", os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)
    notes = os.open("done%d" % index, os.O_WRONLY | os.O_CREAT | os.O_SYNC)
    page = mmap.mmap(-1, BLOCK)
    number = 0
    while True:
        block = index * COUNT + number % COUNT
        number += 1
        page[:] = struct.pack("<QQ", block, number) * (BLOCK // 16)
        os.pwrite(disk, page, block * BLOCK)
        os.write(notes, b"%d %d\\n" % (block, number))
threads = [threading.Thread(target=work, args=(index,)) for index in range(THREADS)]
for thread in threads: thread.start()
for thread in threads: thread.join()
PYTHON
python3 writer.py
"""


def check_acknowledged(guest, image):
    """Every write that the guest knows to be done is in the image, whole; how many there were."""
    last = {}
    for index in range(4):
        with open(guest.path(f"done{index}"), encoding="ascii") as file:
            # Nobody promised that the last line is whole.
            for line in file.read().split("\n")[:-1]:
                block, number = map(int, line.split())
                last[block] = number
    with open(image, "rb") as disk:
        for block, number in last.items():
            disk.seek(block * 4096)
            content = disk.read(4096)
            words = {content[at:at + 16] for at in range(0, 4096, 16)}
            assert len(words) == 1, f"block {block} is torn"
            word = words.pop()
            # One more write may have reached the disk without being acknowledged.
            assert int.from_bytes(word[:8], "little") == block, f"block {block} has another's content"
            assert int.from_bytes(word[8:], "little") >= number, f"block {block}: write {number} is lost"
    return len(last)


def interrupted_writers(guest, number, status_expected):
    """Signals a daemon while the guest writes."""
    image = guest.image("disk", 16 * MIB)
    path = guest.path("blk.sock")
    with serve(VIREO, "serve", "blk", "--socket-path", path, f"path={image}") as daemon:
        process = guest.start(WRITER, "--append", f"virtio_uml.device={path}:2")
        noted = [guest.path(f"done{index}") for index in range(4)]
        try:
            until(lambda: process.poll() is not None or
                  all(os.path.exists(name) and os.path.getsize(name) > 500 for name in noted), "the writers")
            assert process.poll() is None, guest.said()
            daemon.send_signal(number)
            assert daemon.wait(60) == status_expected
            time.sleep(0.5)
        finally:
            process.terminate()
            process.wait(60)
    found = check_acknowledged(guest, image)
    assert found >= 200, found


def case_kill(guest):
    """hostile: H10: the daemon dies while the guest writes; what it had acknowledged is in the image."""
    interrupted_writers(guest, signal.SIGKILL, -signal.SIGKILL)


def case_sigterm(guest):
    """SIGTERM while the guest writes: what was acknowledged is there, and the exit status is 0."""
    interrupted_writers(guest, signal.SIGTERM, 0)
    assert not os.path.exists(guest.path("blk.sock")) and not os.path.exists(guest.path("blk.sock.control"))


def case_restart(guest):
    """After kill -9 the same command serves the same disk on the same path."""
    image = guest.image("disk", 16 * MIB)
    path = guest.path("blk.sock")
    for turn in range(2):
        with serve(VIREO, "serve", "blk", "--socket-path", path, f"path={image}") as daemon:
            out = guest.boot(f"""
                dd if=/dev/vda bs=512 count=1 skip=7 iflag=direct 2>/dev/null | head -c 6
                printf 'turn {turn}%0505d\\n' 0 >block
                dd if=block of=/dev/vda bs=512 count=1 seek=7 oflag=direct 2>/dev/null
                """, "--append", f"virtio_uml.device={path}:2")
            assert out.strip("\0") == ("" if turn == 0 else "turn 0"), out
            daemon.kill()
            daemon.wait()


def case_truncated(guest):
    """The image shrinks under the daemon: the guest gets errors, the daemon goes on."""
    image = guest.image("disk", 16 * MIB)
    process = guest.start("""
        dd if=/dev/vda of=/dev/null bs=1M iflag=direct 2>/dev/null
        touch ready
        while [ ! -e cut ]; do sleep 0.1; done
        dd if=/dev/vda of=/dev/null bs=4096 count=1 skip=3000 iflag=direct 2>error && exit 1
        cat error
        dd if=/dev/vda of=/dev/null bs=4096 count=16 iflag=direct 2>/dev/null
        dd if=/dev/zero of=/dev/vda bs=4096 count=16 oflag=direct 2>/dev/null
        dd if=/dev/vda of=/dev/null bs=4096 skip=3000 count=1 iflag=direct 2>/dev/null && exit 1
        echo alive
        """, "--device", f"blk,path={image}")
    until(lambda: os.path.exists(guest.path("ready")) or process.poll() is not None, "the guest")
    os.truncate(image, MIB)
    with open(guest.path("cut"), "w", encoding="ascii"):
        pass
    status = process.wait(TIMEOUT_S)
    said = guest.said()
    # The read is refused by the daemon, or by a driver that has heard of the new size already.
    assert status == 0 and ("Input/output error" in said or "cannot skip" in said) and "alive" in said, said


def processes_of(guest):
    """Processes that have our directory on their command line."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue
        if guest.directory.encode() in words:
            found.append((int(entry), words.split(b"\0")[:3]))
    return found


def case_boot(guest):
    """What `vireo boot` promises: exit status, environment, shares, an untouched root, no remains."""
    os.mkdir(guest.path("root"))
    for name in ("proc", "sys", "dev", "run", "tmp", "bin"):
        os.mkdir(guest.path(f"root/{name}"))
    shutil.copy(shutil.which("busybox"), guest.path("root/bin/sh"))
    out = guest.boot("""
        printf '%s' "$WORD"
        echo "$#" >written
        refused touch /etc/vireo-test
        echo x >/tmp/x && echo x >/run/x
        exit 42
        """, "--env", "WORD=it's \"two\" words", expect=42)
    assert out == "it's \"two\" words", out
    assert os.path.exists(guest.path("written")) and not os.path.exists("/etc/vireo-test")
    with open(guest.path("plain"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho /*\necho x >/x && exit 1\necho y >/tmp/y\nexit 3\n")
    done = subprocess.run([VIREO, "boot", "--kernel", guest.kernel, "--root", guest.path("root"), "--init",
                           guest.path("plain"), "--timeout", "60"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3 and done.stdout.startswith("/bin /dev /proc /run /sys /tmp\n"), done
    assert sorted(os.listdir(guest.path("root"))) == ["bin", "dev", "proc", "run", "sys", "tmp"]
    assert processes_of(guest) == []


def case_boot_image(guest):
    """A disk image as root."""
    need("mke2fs", "debugfs")
    os.mkdir(guest.path("root"))
    for name in ("proc", "sys", "dev", "run", "tmp", "bin"):
        os.mkdir(guest.path(f"root/{name}"))
    shutil.copy(shutil.which("busybox"), guest.path("root/bin/sh"))
    image = guest.image("disk, with a comma", 32 * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-d", guest.path("root"), image], check=True)
    with open(guest.path("plain"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho kept >/kept\n")
    subprocess.run([VIREO, "boot", "--kernel", guest.kernel, "--root-image", image, "--timeout", "60",
                    "--init", guest.path("plain")], stdin=subprocess.DEVNULL, check=True)
    out = subprocess.run(["debugfs", "-R", "cat /kept", image], check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    assert out == "kept\n", out
    subprocess.run(["e2fsck", "-fn", image], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def case_boot_ends(guest):
    """Time-out, panic, signals, a device that dies: all is torn down, and the exit status tells why."""
    def boot(text, *arguments):
        return guest.start(text, *arguments)

    forever = "touch running\nwhile :; do sleep 1; done\n"
    process = boot(forever, "--device", "adder", "--timeout", "3")
    assert process.wait(60) == 124 and "ran for longer than 3 s" in guest.said(), guest.said()

    process = boot("exit 0\n", "--append", "init=/nonexistent/init")
    assert process.wait(60) == 125, guest.said()
    assert "the guest ended early" in guest.said() and "panic" in guest.said(), guest.said()

    for number in (signal.SIGTERM, signal.SIGINT):
        if os.path.exists(guest.path("running")):
            os.unlink(guest.path("running"))
        process = boot(forever, "--device", "adder")
        until(lambda: os.path.exists(guest.path("running")), "the guest")
        process.send_signal(number)
        assert process.wait(60) == 128 + number, guest.said()
        assert not os.path.exists(guest.run_dir)

    os.unlink(guest.path("running"))
    process = boot(forever, "--device", "adder")
    until(lambda: os.path.exists(guest.path("running")), "the guest")
    daemons = [pid for pid, words in processes_of(guest) if words[1:2] == [b"serve"]]
    assert len(daemons) == 1, processes_of(guest)
    os.kill(daemons[0], signal.SIGKILL)
    assert process.wait(60) == 1 and "device adder0 ended early, by signal 9" in guest.said(), guest.said()
    assert not os.path.exists(guest.run_dir)
    until(lambda: processes_of(guest) == [], "all processes to end", 10)


def main():
    case = globals()[f"case_{sys.argv[3]}"]
    if KERNEL is None:
        absent("the test kernel isn't built; run scripts/guest-kernel")
    need("busybox")
    with tempfile.TemporaryDirectory(prefix="vireo-guest-") as directory:
        case(Guest(directory))


KERNEL = script("guest-kernel", "--path")

if __name__ == "__main__":
    main()
