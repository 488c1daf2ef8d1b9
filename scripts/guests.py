# SPDX-License-Identifier: BSD-3-Clause
"""Linux guests and what they talk to, for programs that use them: scripts/demo and the tests.

A guest runs a shell script; it shares one directory with this system, which is how the two tell each
other what they have done.
"""

import contextlib
import os
import select
import struct
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def script(name, *arguments):
    """What one of the project's scripts prints, or None when it fails."""
    done = subprocess.run([os.path.join(ROOT, "scripts", name), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def newest_qemu():
    """A QEMU that has vfio-user, newer than Debian 12's and its backports': its command, or None."""
    root = script("foreign-program", "trixie,trixie-backports", "qemu", "qemu-system-x86")
    return root and [f"{root}/run", "qemu-system-x86_64", "-L", f"{root}/usr/share/qemu",
                     "-L", f"{root}/usr/share/seabios"]


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def answers(vireo, path):
    """Whether the daemon at that socket is ready."""
    return subprocess.run([vireo, "status", "--socket-path", path], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


@contextlib.contextmanager
def serve(vireo, words):
    """A daemon, once `vireo` finds it ready; ended by force if nobody else does it."""
    path = next(words[at + 1] for at, word in enumerate(words) if word in ("--socket-path", "--vfio-user"))
    daemon = subprocess.Popen(words)  # pylint: disable=consider-using-with
    try:
        until(lambda: daemon.poll() is not None or answers(vireo, path), f"{words} to be ready")
        assert daemon.poll() is None, f"{words} ended"
        yield daemon
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


class Guest:
    """A directory that the guest can write, and the kernel to boot."""

    prelude = "#!/bin/sh\nset -eu\ncd \"$SHARE\"\n"

    def __init__(self, vireo, kernel, directory, timeout_s):
        self.vireo = vireo
        self.kernel = kernel
        self.directory = directory
        self.timeout_s = timeout_s
        self.run_dir = os.path.join(directory, "run")

    def path(self, name):
        return os.path.join(self.directory, name)

    def there(self, name):
        return os.path.exists(self.path(name))

    def tell(self, name):
        """Makes an empty file, for which a script may wait."""
        with open(self.path(name), "w", encoding="ascii"):
            pass

    def image(self, name, size):
        with open(self.path(name), "wb") as file:
            file.truncate(size)
        return self.path(name)

    def command(self, text, *arguments):
        with open(self.path("init"), "w", encoding="utf-8") as file:
            file.write(self.prelude + text)
        return [self.vireo, "boot", "--kernel", self.kernel, "--share", self.directory, "--env",
                f"SHARE={self.directory}", "--run-dir", self.run_dir, "--timeout", str(self.timeout_s),
                "--init", self.path("init"), *arguments]

    def start(self, text, *arguments):
        with open(self.path("out"), "w", encoding="utf-8") as out:
            return subprocess.Popen(self.command(text, *arguments), stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT)

    def said(self):
        with open(self.path("out"), encoding="utf-8", errors="replace") as file:
            return file.read()


class Terminal:
    """Somebody who types and reads."""

    def __init__(self, fd):
        self.fd = fd
        self.seen = b""

    def expect(self, word, seconds=60):
        end = time.monotonic() + seconds
        while word not in self.seen:
            assert select.select([self.fd], [], [], max(0, end - time.monotonic()))[0], \
                f"waited in vain for {word}; there was {self.seen}"
            got = os.read(self.fd, 65536)
            assert got, f"the end before {word}; there was {self.seen}"
            self.seen += got
        before, self.seen = self.seen.split(word, 1)
        return before

    def type(self, text):
        while text:
            text = text[os.write(self.fd, text):]


def packets(path):
    """(direction, bytes) of a pcapng file."""
    with open(path, "rb") as file:
        data = file.read()
    at, found = 0, []
    assert data[:4] == b"\x0a\x0d\x0d\x0a"
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size >= 12 and size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size
        if kind == 6:
            length, original = struct.unpack_from("<II", data, at + 20)
            assert length == original
            option = at + 28 + (length + 3) // 4 * 4
            assert struct.unpack_from("<HH", data, option) == (2, 4)
            found.append((struct.unpack_from("<I", data, option + 4)[0], data[at + 28:at + 28 + length]))
        at += size
    return found


def total(data):
    """The sum that the checksums of the Internet complement."""
    if len(data) % 2:
        data += b"\0"
    value = sum(struct.unpack(f">{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def checksum_is_right(packet):
    """None for what has none, as fragments."""
    if packet[12:14] == b"\x08\x00":
        header = (packet[14] & 15) * 4
        ip, rest = packet[14:14 + header], packet[14 + header:14 + int.from_bytes(packet[16:18], "big")]
        assert total(ip) == 0xFFFF, packet.hex()
        if int.from_bytes(ip[6:8], "big") & 0x3FFF or ip[9] not in (6, 17):
            return None
        pseudo = ip[12:20] + bytes((0, ip[9])) + len(rest).to_bytes(2, "big")
    elif packet[12:14] == b"\x86\xdd" and packet[20] in (6, 17):
        rest = packet[54:54 + int.from_bytes(packet[18:20], "big")]
        pseudo = packet[22:54] + len(rest).to_bytes(4, "big") + bytes((0, 0, 0, packet[20]))
    else:
        return None
    return total(pseudo + rest) == 0xFFFF
