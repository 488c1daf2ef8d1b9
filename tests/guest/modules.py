#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The modules of guest/linux under Linux: several openers, polls, removal while open, load and unload.

  tests/guest/modules.py VIREO DUMMY_DAEMON CASE [CYCLES]

Exits 0, 1, or 77 with a line that names what is absent.
"""

import glob
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest as g  # pylint: disable=wrong-import-position

VIREO, DUMMY = (os.path.abspath(path) for path in sys.argv[1:3])
CYCLES = int(sys.argv[4]) if len(sys.argv) > 4 else 20
SECONDS_CYCLE = 4  # on a busy machine

# Runs in the guest. DEVICE is /dev/adder0 or /dev/caesar0, whose requests are ASK and their answers.
USERS = """
import errno, os, select, struct, subprocess, sys, threading, time

def failing(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, error
        return
    raise AssertionError("should have failed with %s" % errno.errorcode[number])

class Adder:
    path, driver = "/dev/adder0", "virtio_adder"
    def ask(self, n): return struct.pack("=i", n)
    def answer(self, n): return struct.pack("=i", n + 1)

class Caesar:
    path, driver = "/dev/caesar0", "virtio_caesar"
    def ask(self, n): return b"%08d abc" % n
    def answer(self, n): return b"%08d def" % n

def events(fd, ms=0, what=select.POLLIN | select.POLLOUT):
    poll = select.poll()
    poll.register(fd, what)
    got = poll.poll(ms)
    return got[0][1] if got else 0

def nonblocking(kind):
    fd = os.open(kind.path, os.O_RDWR | os.O_NONBLOCK)
    failing(errno.EAGAIN, os.read, fd, 64)
    assert events(fd) == select.POLLOUT, events(fd)
    os.write(fd, kind.ask(1))
    assert events(fd, 10000, select.POLLIN) == select.POLLIN
    assert os.read(fd, 64) == kind.answer(1)
    failing(errno.EAGAIN, os.read, fd, 64)
    # Nobody reads: there is an end to what it takes, poll says so, and all of it comes back.
    sent = 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.write(fd, kind.ask(sent))
            sent += 1
        except BlockingIOError:
            time.sleep(0.05)
            if not events(fd) & select.POLLOUT:
                break
    assert sent and time.monotonic() < end, sent
    for n in range(sent):
        assert events(fd, 10000, select.POLLIN) & select.POLLIN
        want = kind.answer(n)
        assert os.read(fd, len(want)) == want, n
    assert events(fd) == select.POLLOUT
    os.close(fd)

def several(kind):
    def work(index):
        try:
            fd = os.open(kind.path, os.O_RDWR)
            for n in range(index * 1000, index * 1000 + 300):
                os.write(fd, kind.ask(n))
                want = kind.answer(n)
                assert os.read(fd, len(want)) == want, n
            os.close(fd)
            done.append(index)
        except BaseException as error:
            print("opener", index, error, flush=True)
    done = []
    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(done) == 6, done

def bind(kind, verb, device):
    with open("/sys/bus/virtio/drivers/%s/%s" % (kind.driver, verb), "w") as file:
        file.write(device)

def unbind(kind):
    names = os.listdir("/sys/bus/virtio/drivers/" + kind.driver)
    device = [name for name in names if name[:6] == "virtio"][0]
    ready = os.open(kind.path, os.O_RDWR)
    os.write(ready, kind.ask(7))
    assert events(ready, 10000, select.POLLIN) == select.POLLIN
    woken = []
    def reader():
        fd = os.open(kind.path, os.O_RDWR)
        try:
            os.read(fd, 64)
        except OSError as error:
            woken.append(error.errno)
        os.close(fd)
    threads = [threading.Thread(target=reader) for _ in range(3)]
    for thread in threads: thread.start()
    time.sleep(0.3)
    bind(kind, "unbind", device)
    for thread in threads: thread.join(20)
    assert woken == [errno.ENODEV] * 3, woken
    assert not os.path.exists(kind.path)
    # What was ready can still be read, nothing else can be done.
    assert events(ready) & (select.POLLERR | select.POLLHUP | select.POLLIN) == \\
        select.POLLERR | select.POLLHUP | select.POLLIN
    assert os.read(ready, 64) == kind.answer(7)
    failing(errno.ENODEV, os.read, ready, 64)
    failing(errno.ENODEV, os.write, ready, kind.ask(1))
    return device, ready

kind = {"adder": Adder, "caesar": Caesar}[sys.argv[1]]()
nonblocking(kind)
several(kind)
device, stale = unbind(kind)
if len(sys.argv) > 2:
    # The transport offers the device again, and the old file stays what it was.
    bind(kind, "bind", device)
    several(kind)
    failing(errno.ENODEV, os.write, stale, kind.ask(1))
os.close(stale)
print("good", sys.argv[1])
"""

# Loads and unloads the modules under I/O: some requests are always under way when the files are closed.
CYCLE = """
cat >io.py <<'PYTHON'
import os, select, struct, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDWR)
word = struct.pack("=i", 41)
want = struct.pack("=i", 42) if "adder" in path else word
while True:
    for _ in range(8):
        os.write(fd, word)
    print("x", end="", flush=True)
    for _ in range(8):
        os.read(fd, 4)
PYTHON
cat >disk.py <<'PYTHON'
import mmap, os, threading
page = mmap.mmap(-1, 65536)
def work(index):
    disk = os.open("/dev/vssd0", os.O_RDWR | os.O_DIRECT)
    at = index << 20
    while True:
        os.pwrite(disk, page, at)
        os.preadv(disk, [page], at)
        print("x", end="", flush=True)
for index in range(4):
    threading.Thread(target=work, args=(index,)).start()
PYTHON
slabs() { awk '/^Slab|^SUnreclaim/ { printf "%s ", $2 }' /proc/meminfo; echo; }
# cycle LAST: until then; every tenth under programs that are killed, the others under what the shell has open
cycle() {
    while [ $n -lt $1 ]; do
        n=$((n + 1))
        insmod $modules/virtio_adder.ko
        insmod $modules/virtio_caesar.ko
        insmod $modules/virtio_dummy.ko
        insmod $modules/virtio_vssd.ko
        if [ $((n % 10)) = 1 ]; then
            python3 io.py /dev/adder0 >one & a=$!
            python3 io.py /dev/caesar0 >two & c=$!
            python3 disk.py >three & v=$!
            while [ ! -s one ] || [ ! -s two ] || [ ! -s three ]; do :; done
            refused rmmod virtio_adder
            refused rmmod virtio_vssd
            kill -9 $a $c $v
            wait $a $c $v 2>/dev/null || true
            rm -f one two three
        else
            exec 3<>/dev/adder0 4<>/dev/caesar0
            dd if=/dev/zero bs=4 count=200 2>/dev/null >&3
            dd if=/dev/zero bs=9000 count=4 2>/dev/null >&4
            dd if=/dev/urandom of=/dev/vssd0 bs=64k count=16 2>/dev/null & v=$!
            refused rmmod virtio_caesar
            exec 3>&- 4>&-
            wait $v
        fi
        rmmod virtio_adder
        rmmod virtio_caesar
        rmmod virtio_dummy
        rmmod virtio_vssd
    done
}
n=0
"""


def modules():
    found = g.script("guest-modules", "test")
    assert found, "scripts/guest-modules test failed"
    return found


def users(guest, kind):
    with open(guest.path("users.py"), "w", encoding="ascii") as file:
        file.write(USERS)
    out = guest.boot(f"python3 users.py {kind}\ndmesg | grep -E 'BUG|WARNING|Oops' && exit 1\nexit 0\n",
                     *guest.modules(), "--device", kind)
    assert out == f"good {kind}\n", out


def case_adder(guest):
    """Openers of /dev/adder0: without blocking, several at once, while the driver is taken away."""
    users(guest, "adder")


def case_caesar(guest):
    """Openers of /dev/caesar0."""
    users(guest, "caesar")


def case_dummy(guest):
    """The driver of the kernel's guide finds the bytes counting up, in every buffer."""
    path = guest.path("dummy.sock")
    with g.serve(DUMMY, "--socket-path", path, "buffers=2500") as daemon:
        out = guest.boot("""
            tries=0
            while [ "$(cut -d' ' -f1 /sys/bus/virtio/devices/*/counts)" != 2500 ] && [ $tries -lt 100 ]; do
                sleep 0.1
                tries=$((tries + 1))
            done
            cat /sys/bus/virtio/devices/*/counts
            rmmod virtio_dummy
            dmesg | grep 'unused' | sed 's/.*: //'
            """, f"--module={modules()}/virtio_dummy.ko", "--append", f"virtio_uml.device={path}:62")
        daemon.terminate()
        daemon.wait()
    assert out.splitlines() == ["2500 250000 0", "2500 buffers, 250000 bytes, 0 damaged; 8 unused"], out


def cycles(guest, rounds, leak_check):
    g.TIMEOUT_S = 400 + SECONDS_CYCLE * rounds
    path = guest.path("dummy.sock")
    check = f"cycle {rounds // 5}\nslabs >before\ncycle {rounds}\nslabs >after\n" if leak_check else \
        f"cycle {rounds}\n"
    with g.serve(DUMMY, "--socket-path", path) as daemon:
        out = guest.boot(CYCLE + check + "dmesg | grep -E 'BUG|WARNING|Oops' && exit 1\necho done $n\n",
                         "--env", f"modules={modules()}", "--device", "adder", "--device", "caesar",
                         "--device", f"vssd,path={guest.path('disk.img')},size=16M",
                         "--append", f"virtio_uml.device={path}:62", "--timeout", str(g.TIMEOUT_S - 100))
        daemon.terminate()
        daemon.wait()
    assert out == f"done {rounds}\n", out


def case_cycles(guest):
    """Loaded and unloaded again and again under I/O."""
    cycles(guest, CYCLES, False)


def case_cycles_long(guest):
    """The same many times more, and the kernel's slabs don't grow."""
    cycles(guest, CYCLES, True)
    before, after = ([int(word) for word in open(guest.path(name), encoding="ascii").read().split()]
                     for name in ("before", "after"))
    # Of 1000 cycles: one object of the smallest size lost in each of 800 would be 6 KiB; a request, or the
    # state of a device, 50 to 800. The rest of the kernel moves by some pages.
    print("slab KiB, all and unreclaimable, before and after:", before, after)
    assert after[1] - before[1] < 192, (before, after)


def built_without_warnings(kdir):
    with tempfile.TemporaryDirectory(prefix="vireo-modules-") as work:
        subprocess.run(["make", "-s", "-C", os.path.join(g.ROOT, "guest/linux"), "dkms-source",
                        f"DESTDIR={work}"], check=True)
        source = glob.glob(f"{work}/usr/src/vireo-drivers-*")[0]
        done = subprocess.run(["make", "-s", "-C", f"{source}/guest/linux", f"KDIR={kdir}",
                               "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = [line for line in done.stdout.splitlines() if "Skipping BTF" not in line]
        assert done.returncode == 0 and not any("warning" in line for line in said), done.stdout
        built = {os.path.basename(name) for name in glob.glob(f"{source}/guest/linux/*.ko")}
    want = {f"virtio_{name}.ko" for name in ("adder", "caesar", "dummy", "vssd")}
    assert built == want, built
    with open(os.path.join(g.ROOT, "guest/linux/dkms.conf"), encoding="ascii") as file:
        conf = file.read()
    assert all(f'"{name[:-3]}"' in conf for name in want), "dkms.conf doesn't name every module"


def case_build(guest):
    """They build for the distribution's kernel, from the folder that DKMS gets."""
    found = sorted(glob.glob("/usr/src/linux-headers-*-amd64"))
    if not found:
        g.absent("no kernel headers: linux-headers-amd64 is not installed")
    built_without_warnings(found[-1])


def case_build_backports(guest):
    """They build for the kernel of the distribution's backports."""
    root = g.script("foreign-tool", "bookworm-backports", "headers-6.12", "linux-headers-6.12.*-cloud-amd64$",
                    "linux-headers-6.12.*-common$", "linux-kbuild-6.12")
    if not root:
        g.absent("the headers of the backports kernel can't be downloaded")
    found = sorted(glob.glob(f"{root}/usr/src/linux-headers-6.12*-cloud-amd64"))
    assert found, f"no headers below {root}"
    kdir = found[-1]
    # It names its other half and its tools by where they would be installed.
    work = os.path.join(guest.directory, "kernel")
    subprocess.run(["cp", "-a", kdir, work], check=True)
    for name in ("Makefile", ".kernelvariables"):
        path = f"{work}/{name}"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("/usr/src/", f"{root}/usr/src/").replace("gcc-12", "gcc"))
    for name in ("scripts", "tools"):
        target = glob.glob(f"{root}/usr/lib/linux-kbuild-6.12*/{name}")
        if target and os.path.islink(f"{work}/{name}"):
            os.unlink(f"{work}/{name}")
            os.symlink(target[0], f"{work}/{name}")
    common = glob.glob(f"{root}/usr/src/linux-headers-6.12*-common")[0]
    for name in ("scripts", "tools"):
        target = glob.glob(f"{root}/usr/lib/linux-kbuild-6.12*/{name}")
        if target and os.path.islink(f"{common}/{name}") and not os.path.exists(f"{common}/{name}"):
            os.unlink(f"{common}/{name}")
            os.symlink(target[0], f"{common}/{name}")
    built_without_warnings(work)


def main():
    case = globals()[f"case_{sys.argv[3]}"]
    if "build" not in sys.argv[3] and g.KERNEL is None:
        g.absent("the test kernel isn't built; run scripts/guest-kernel")
    g.need("busybox")
    with tempfile.TemporaryDirectory(prefix="vireo-modules-") as directory:
        case(g.Guest(directory))


if __name__ == "__main__":
    main()
