# SPDX-License-Identifier: BSD-3-Clause
"""The parts of scripts/demo: for each what a guest does with the device, and what is seen from outside."""

import contextlib
import hashlib
import os
import shutil
import socket
import time

import guests

MIB = 1 << 20
TREE_BYTES = 24_000_000
TREE = ("include", "share/doc", "share/perl", "share/perl5", "share/zoneinfo", "lib/python3", "share/misc")
SENT_BYTES = 8 * MIB
NOISE_BYTES = 256 * 1024
# Linux's numbers of these keys.
KEYS = {"V": 47, "I": 23, "R": 19, "E": 18, "O": 24}
WORD = "VIREO"


def rows(number):
    """How many lines a part has: one that is left out is a failure, too."""
    def mark(function):
        function.rows = number
        return function
    return mark


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(MIB), b""):
            digest.update(piece)
    return digest.hexdigest()


def copy_tree(target):
    """Many files, such as every Debian system has; their number and size, and `sums` beside them."""
    found, size = [], 0
    for folder in TREE:
        for base, folders, names in os.walk(os.path.join("/usr", folder)):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(base, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) <= 1 << 19:
                    size += os.path.getsize(path)
                    if size > TREE_BYTES:
                        return link_files(found, target)
                    found.append(path)
    return link_files(found, target)


def link_files(paths, target):
    size = 0
    with open(target + ".sums", "w", encoding="utf-8") as sums:
        for path in paths:
            to = os.path.join(target, os.path.relpath(path, "/usr"))
            os.makedirs(os.path.dirname(to), exist_ok=True)
            with open(path, "rb") as file, open(to, "wb") as out:
                data = file.read()
                out.write(data)
            size += len(data)
            sums.write(f"{hashlib.sha256(data).hexdigest()}  {os.path.relpath(to, target)}\n")
    assert len(paths) >= 100, f"found only {len(paths)} files to copy"
    return len(paths), size


DISK = """
type=ext2
grep -qw ext4 /proc/filesystems && type=ext4
mkdir -p /run/disk
make() {
    mke2fs -q -t $type /dev/vda && much="$type, $(($(cat /sys/block/vda/size) / 2048)) MiB"
}
fill() {
    mount -t $type /dev/vda /run/disk && cp -a tree/. /run/disk && umount /run/disk &&
        much="$FILES files, $BYTES bytes"
}
compare() {
    echo 3 >/proc/sys/vm/drop_caches
    mount -t $type -o ro /dev/vda /run/disk || return 1
    (cd /run/disk && sha256sum -c "$SHARE/tree.sums") >compared || return 1
    umount /run/disk && e2fsck -fn /dev/vda && much="$(grep -c ': OK$' compared) checksums right"
}
try "make a file system" make
try "copy files in, unmount" fill
try "mount again, compare" compare
"""


@rows(4)
def disk(part, guest_type):
    guest = guest_type(part, "guest")
    files, size = copy_tree(guest.path("tree"))
    image = guest.image("disk.img", 128 * MIB)
    guest.boot(DISK, "--env", f"FILES={files}", "--env", f"BYTES={size}", "--device", f"blk,path={image}")
    guest.wait()

    def read_image():
        """By another implementation of the file system, without any of our code."""
        dump = guest.path("dump")
        os.mkdir(dump)
        part.run("e2fsck", "-fn", image)
        part.run("debugfs", "-R", f"rdump / {dump}", image)
        right = part.run("sha256sum", "-c", guest.path("tree.sums"), cwd=dump).count(": OK\n")
        assert right == files, f"{right} of {files} files"
        return f"{right} checksums right"
    part.check("read the image on the host", read_image)


NET = """
ip link set lo up
ip link set eth0 up
ip addr add 10.9.0.$NUMBER/24 dev eth0
errors() {
    grep -H . /sys/class/net/eth0/statistics/*error* /sys/class/net/eth0/statistics/*dropped | grep -v ':0$'
}
cat >talk.py <<'PYTHON'
import hashlib, os, socket, sys, time
common = os.environ["COMMON"]
def receive(name):
    with socket.create_server(("", 7000)) as server:
        open(common + "/" + name, "w").close()
        with server.accept()[0] as peer:
            data = b"".join(iter(lambda: peer.recv(1 << 16), b""))
    assert data == sent, "%d bytes came, or others" % len(data)
    return hashlib.sha256(data).hexdigest()
def send(name, address):
    while not os.path.exists(common + "/" + name):
        time.sleep(0.05)
    with socket.create_connection((address, 7000)) as peer:
        peer.sendall(sent)
with open(common + "/sent", "rb") as file:
    sent = file.read()
if os.environ["NUMBER"] == "1":
    receive("there")
    send("back", "10.9.0.2")
else:
    send("there", "10.9.0.1")
    print("2 x %d bytes, sha256 %.8s" % (len(sent), receive("back")))
PYTHON
there_and_back() {
    python3 talk.py >talked && much=$(cat talked)
}
greet() {
    await ping -q -c 1 -W 1 10.9.0.1 &&
        ping -q -c 20 -i 0.05 -w 60 10.9.0.1 >pinged && grep -q ' 20 received' pinged &&
        much="20 of 20 back, $(sed -n 's|.*= [^/]*/\\([^/]*\\)/.*|\\1|p' pinged) ms each"
}
if [ $NUMBER = 1 ]; then
    there_and_back >>log 2>&1 || exit 1
else
    try "ping from guest to guest" greet
    try "TCP there and back" there_and_back
fi
touch "$COMMON/$NUMBER.done"
await [ -e "$COMMON/$((3 - NUMBER)).done" ]
! errors
"""


def check_capture(path):
    counts = {1: 0, 2: 0}
    for direction, packet in guests.packets(path):
        right = guests.checksum_is_right(packet)
        assert right is not False, f"a checksum is wrong: {packet.hex()}"
        counts[direction] += right is True
    assert min(counts.values()) > 100, f"captured only {counts}"
    return f"{counts[2]} + {counts[1]} TCP segments, all right"


@rows(3)
def net(part, guest_type):
    sockets = [os.path.join(part.directory, f"{name}.sock") for name in ("one", "two")]
    capture = os.path.join(part.directory, "talk.pcapng")
    with open(os.path.join(part.directory, "sent"), "wb") as file:
        file.write(os.urandom(SENT_BYTES))
    with guests.serve(part.demo.vireo, [
            part.demo.vireo, "serve", "net", "--socket-path", sockets[0], "backend=hub",
            f"ports={sockets[1]}", f"capture={capture}", "--log", part.log_file]) as daemon:
        for number, path in enumerate(sockets, 1):
            guest = guest_type(part, str(number))
            guest.boot(NET, "--share", part.directory, "--env", f"COMMON={part.directory}",
                       "--env", f"NUMBER={number}", "--append", f"virtio_uml.device={path}:1")
        while any([guest.running() for guest in part.guests]):
            assert daemon.poll() is None, f"the daemon of the hub ended with status {daemon.poll()}"
            time.sleep(0.05)
        for guest in part.guests:
            guest.wait()
        daemon.terminate()
        assert daemon.wait(60) == 0, "the daemon of the hub ended with a failure"
    part.check("TCP checksums on the wire", lambda: check_capture(capture))


CONSOLE = """
cat >shell <<'SCRIPT'
#!/bin/sh
HOME=$SHARE exec busybox sh -l
SCRIPT
echo "PS1='guest# '" >.profile
chmod +x shell
await [ -c /dev/hvc0 ] || exit 1
touch up
busybox getty -n -L -l "$SHARE/shell" 115200 hvc0 vt100 >>log 2>&1
"""


@rows(2)
def console(part, guest_type):
    guest = guest_type(part, "guest")
    port = guest.path("port")
    guest.boot(CONSOLE, "--device", f"console,backend=socket,path={port},hold=on")
    guest.wait_for("up")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(port)
        terminal = guests.Terminal(peer.fileno())

        def ask(command):
            """What the shell answers between the echo of the command and its next prompt."""
            terminal.type(command.encode() + b"\n")
            terminal.expect(command.encode() + b"\r\n", 300)
            return terminal.expect(b"guest# ", 300).decode().strip()

        def log_in():
            terminal.expect(b"guest# ", 300)
            where = ask("tty")
            assert where == "/dev/hvc0", f"the shell is on {where}"
            return f"a shell on {where}"

        def compute():
            answer = ask("echo $((6 * 7)) $(uname -s) $(uname -r)")
            assert answer.startswith("42 Linux "), f"the answer is '{answer}'"
            return f"answer: {answer}"
        part.check("log in on a socket of the host", log_in)
        part.check("type `echo $((6 * 7)) ...`", compute)
        terminal.type(b"exit\n")
        guest.wait()


ADDER = """
# 32 bit numbers, little-endian, in and out; without a process for each, which takes long in this kernel.
octal() {
    bytes=
    for byte in $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); do
        bytes="$bytes\\\\0$((byte >> 6))$((byte >> 3 & 7))$((byte & 7))"
    done
}
add() {
    exec 3<>/dev/adder0 || return 1
    n=0
    while [ $n -lt 500 ]; do
        octal $((n * 4294967 + 41))
        printf %b "$bytes" >&3 || return 1
        n=$((n + 1))
    done
    dd bs=4 count=500 <&3 | od -An -v -w4 -td4 >sums
    exec 3>&-
    awk '$1 != (NR - 1) * 4294967 + 42 { print "sum", NR, "is", $1; wrong = 1 }
        END { exit wrong || NR != 500 }' sums || return 1
    much="500 of 500 right, the last $(tail -n 1 sums | tr -d ' ')"
}
try "adder: add one to numbers" add
"""

CAESAR = """
text="The quick brown fox jumps over the lazy dog, 1234567890 times."
# Writes $1 to the device and compares what comes back with $2.
through() {
    exec 4<>/dev/caesar0 || return 1
    printf %s "$1" >&4
    got=$(dd bs=${#1} count=1 <&4 2>/dev/null)
    exec 4>&-
    [ "$got" = "$2" ] || { echo "'$1' gave '$got'"; return 1; }
    much="${#1} letters: $(expr substr "$got" 1 15)..."
}
secret=$(echo "$text" | tr 'A-Za-z' 'D-ZABCd-zabc')
try "caesar: encipher a text (shift 3)" through "$text" "$secret"
echo 1 >/sys/class/misc/caesar0/mode
try "caesar: decipher it" through "$secret" "$text"
echo 0 >/sys/class/misc/caesar0/mode

# Now the host changes the shift; the driver learns of it by a configuration change.
touch ready
shifted() { [ "$(cat /sys/class/misc/caesar0/shift)" = 13 ]; }
await shifted || exit 1
secret=$(echo "$text" | tr 'A-Za-z' 'N-ZA-Mn-za-m')
try "caesar: after \\`vireo set shift=13\\`" through "$text" "$secret"
"""


@rows(4)
def custom(part, guest_type):
    """Devices of our own kind, with drivers of our own."""
    guest = guest_type(part, "guest")
    guest.boot(ADDER + CAESAR, *part.demo.module("virtio_adder", "virtio_caesar"), "--device", "adder",
               "--device", "caesar,shift=3")
    guest.wait_for("ready")
    part.run(part.demo.vireo, "set", "--socket-path", guest.resource("caesar0"), "shift=13")
    guest.wait()


RNG = """
choose() {
    for name in $(cat /sys/class/misc/hw_random/rng_available); do
        case $name in virtio*) echo "$name" >/sys/class/misc/hw_random/rng_current ;; esac
    done
    grep virtio /sys/class/misc/hw_random/rng_current
}
draw() {
    await choose || return 1
    for name in first second; do
        dd if=/dev/hwrng of=$name bs=4096 count=64 iflag=fullblock || return 1
    done
    cmp first second && return 1
    much="2 x $(wc -c <first) bytes, not the same"
}
try "entropy: read /dev/hwrng" draw
"""

INPUT = """
await [ -e /dev/input/event0 ] || exit 1
listen() {
    touch ready
    # An event: two words of time, type, code, value.
    dd if=/dev/input/event0 bs=24 count=$EVENTS iflag=fullblock | od -An -v -w24 -tu2 |
        awk '{ print $9, $10, $11 }' >events
    cmp events expected && much="$(wc -l <events) of $EVENTS events, in order"
}
try "input: type $WORD, read evdev" listen
"""


def check_noise(guest):
    """Of n random bytes each value comes about n / 256 times; chi-square says how much that is missed by."""
    seen = []
    for name in ("first", "second"):
        with open(guest.path(name), "rb") as file:
            noise = file.read()
        assert len(noise) == NOISE_BYTES, f"{len(noise)} bytes"
        mean = len(noise) / 256
        seen.append(sum((noise.count(bytes([value])) - mean) ** 2 / mean for value in range(256)))
        # One in ten thousand million is further off.
        assert 130 < seen[-1] < 430, f"chi-square is {seen[-1]:.1f}"
    return "chi-square " + " and ".join(f"{value:.0f}" for value in seen) + ", about 255"


@rows(3)
def events(part, guest_type):
    """What a guest reads: random numbers, and what is typed."""
    guest = guest_type(part, "guest")
    keys = [(letter, down) for letter in WORD for down in (1, 0)]
    os.mkfifo(guest.path("keys"))
    with open(guest.path("expected"), "w", encoding="ascii") as file:
        for letter, down in keys:
            file.write(f"1 {KEYS[letter]} {down}\n0 0 0\n")
    # Open for both, or who opens it would wait for the other.
    pipe = os.open(guest.path("keys"), os.O_RDWR)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, pipe)
        guest.boot(RNG + INPUT, *part.demo.module("virtio-rng", "virtio_input", "evdev"), "--env",
                   f"WORD={WORD}", "--env", f"EVENTS={2 * len(keys)}", "--device", "rng", "--device",
                   f"input,backend=script,path={guest.path('keys')}")
        guest.wait_for("ready")
        # The reader has to have it open: there is no telling, but it has all the time it wants.
        time.sleep(1)
        for letter, down in keys:
            os.write(pipe, f"EV_KEY KEY_{letter} {down}\nEV_SYN SYN_REPORT 0\n".encode())
        guest.wait()
    part.check("entropy: count its bytes", lambda: check_noise(guest))


VSSD = """
# A file system in the first third; the rest is in use as well, but nobody will miss it. The end is written
# first, so it is the first to go.
mkdir -p /run/disk
size() { echo $(($(cat /sys/block/vssd0/size) / 2048)); }
fill() {
    mke2fs -q -t ext2 -E nodiscard -b 4096 /dev/vssd0 32M &&
        for at in 11 10 9 8 7 6 5 4; do
            dd if=/dev/zero of=/dev/vssd0 bs=8M seek=$at count=1 oflag=direct || return 1
        done &&
        mount -t ext2 /dev/vssd0 /run/disk && cp -a /usr/include/linux /run/disk || return 1
    (cd /run/disk && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums
    much="$(size) MiB, $(wc -l <sums) files" && sync
}
compare() {
    is() { [ $(size) = $1 ]; }
    await is $1 && umount /run/disk && e2fsck -fn /dev/vssd0 || return 1
    echo 3 >/proc/sys/vm/drop_caches
    mount -t ext2 /dev/vssd0 /run/disk || return 1
    (cd /run/disk && sha256sum -c "$SHARE/sums") >compared &&
        much="$(size) MiB, $(grep -c ': OK$' compared) checksums right"
}
(./vssd-evict -k 32M /dev/vssd0-control; echo "vssd-evict ended with status $?") >>log 2>&1 &
try "make a file system on it" fill
touch filled
await [ -e shrunk ] && try "compare the files" compare 40
touch small
await [ -e grown ] && try "compare the files" compare 96
umount /run/disk
"""


@rows(5)
def vssd(part, guest_type):
    """A disk that gives blocks back while a file system is mounted on it."""
    guest = guest_type(part, "guest")
    image = guest.path("disk.img")
    shutil.copy(part.demo.evict, guest.path("vssd-evict"))
    guest.boot(VSSD, *part.demo.module("virtio_vssd"), "--device",
               f"vssd,path={image},size=96M,deadline-ms=120000")

    def resize(size):
        before = os.stat(image).st_blocks * 512
        part.run(part.demo.vireo, "resize", "--quiet", guest.resource("vssd0"), "--to", f"{size}M")
        after = os.stat(image).st_blocks * 512
        assert size == 96 or after <= size * MIB < before, f"the image took up {before} bytes, now {after}"
        return f"image took {before // MIB} MiB, takes {after // MIB} MiB"
    guest.wait_for("filled")
    part.check("`vireo resize --to 40M`", lambda: resize(40))
    guest.tell("shrunk")
    guest.wait_for("small")
    part.check("`vireo resize --to 96M`", lambda: resize(96))
    guest.tell("grown")
    guest.wait()


PARTS = (("disk", disk), ("net", net), ("console", console), ("custom", custom), ("events", events),
         ("vssd", vssd))
