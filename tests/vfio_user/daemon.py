#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Daemons behind --vfio-user: a client in another language drives the adder, leaves, and another comes.

  tests/vfio_user/daemon.py VIREO ADDER
"""

import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

VERSION, DMA_MAP, GET_REGION_INFO, SET_IRQS, REGION_READ, REGION_WRITE = 1, 2, 5, 8, 9, 10
BAR, CONFIG = 4, 7
EVENTFD_TRIGGER, MSIX = 0x24, 2
MEMORY, BYTES = 0x40000000, 0x10000


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.number = 0
        fd = os.memfd_create("machine")
        os.ftruncate(fd, BYTES)
        self.memory = mmap.mmap(fd, BYTES)
        self.event = os.eventfd(0, os.EFD_NONBLOCK)
        self.call(VERSION, struct.pack("=HH", 0, 0) + b'{"capabilities":{"max_msg_fds":8}}\0')
        self.call(DMA_MAP, struct.pack("=IIQQQ", 32, 3, 0, MEMORY, BYTES), [fd])
        os.close(fd)

    def call(self, command, payload, fds=()):
        self.number += 1
        header = struct.pack("=HHIII", self.number, command, 16 + len(payload), 0, 0)
        socket.send_fds(self.socket, [header + payload], list(fds))
        number, echoed, size, flags, error = struct.unpack("=HHIII", self.take(16))
        assert (number, echoed, flags, error) == (self.number, command, 1, 0), (command, flags, error)
        return self.take(size - 16)

    def take(self, size):
        got = b""
        while len(got) < size:
            more = self.socket.recv(size - len(got))
            assert more, "the server hung up"
            got += more
        return got

    def read(self, region, offset, count):
        data = self.call(REGION_READ, struct.pack("=QII", offset, region, count))[16:]
        return int.from_bytes(data, "little")

    def write(self, region, offset, count, value):
        self.call(REGION_WRITE,
                  struct.pack("=QII", offset, region, count) + value.to_bytes(count, "little"))

    def capability(self, wanted):
        """Offsets of capabilities for which wanted(offset) holds."""
        at = self.read(CONFIG, 0x34, 1)
        while at and not wanted(at):
            at = self.read(CONFIG, at + 1, 1)
        assert at
        return at

    def start(self):
        """The life of a driver up to DRIVER_OK; queue 0 with 4 entries and vector 0."""
        assert self.read(CONFIG, 0, 4) == 0x107c1af4
        msix = self.capability(lambda at: self.read(CONFIG, at, 1) == 0x11)
        notify = self.capability(
            lambda at: self.read(CONFIG, at, 1) == 9 and self.read(CONFIG, at + 3, 1) == 2)
        self.notify = self.read(CONFIG, notify + 8, 4)
        self.call(SET_IRQS, struct.pack("=IIIII", 20, EVENTFD_TRIGGER, MSIX, 0, 1), [self.event])
        self.write(CONFIG, 4, 2, 6)
        self.write(CONFIG, msix + 2, 2, 0x8000)
        for offset, count, value in ((0x14, 1, 0), (0x14, 1, 3), (0x08, 4, 1), (0x0c, 4, 1),
                                     (0x14, 1, 11), (0x18, 2, 4), (0x20, 8, MEMORY),
                                     (0x28, 8, MEMORY + 0x1000), (0x30, 8, MEMORY + 0x2000),
                                     (0x1a, 2, 0), (0x1c, 2, 1), (0x14, 1, 15)):
            self.write(BAR, offset, count, value)
        assert self.read(BAR, 0x14, 1) == 15

    def add(self, number, turn):
        struct.pack_into("<I", self.memory, 0x3000, number)
        struct.pack_into("<QIHHQIHH", self.memory, 0, MEMORY + 0x3000, 4, 1, 1, MEMORY + 0x3004, 4, 2, 0)
        struct.pack_into("<H", self.memory, 0x1002, turn)
        self.write(BAR, self.notify, 2, 0)
        assert struct.unpack_from("<H", self.memory, 0x2002)[0] == turn
        assert os.eventfd_read(self.event) == 1
        return struct.unpack_from("<I", self.memory, 0x3004)[0]


def drive(path):
    client = Client(path)
    client.start()
    for turn, number in enumerate((6, 99, 0xffffffff), 1):
        assert client.add(number, turn) == (number + 1) & 0xffffffff
    return client


def wait_for(path):
    for _ in range(1500):
        if os.path.exists(path):
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never appeared")


def serve(directory, *words):
    path = os.path.join(directory, "adder.sock")
    process = subprocess.Popen([*words, "--vfio-user", path], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(path + ".control")
        # The first leaves without a word, in the middle of things, and the next finds a device in reset.
        drive(path).socket.close()
        drive(path)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert said.count("begins") == 2 and said.count(" 0 faults") == said.count("ends:") > 0, said
    assert not os.path.exists(path)


def mistakes(vireo):
    for words, why in ((["--vfio-user", "s", "--socket-path", "s"], "exclude each other"),
                       (["--vfio-user", "s", "--fd", "0"], "exclude each other"),
                       (["--vfio-user", "s", "--poll-us", "50"],
                        "option '--poll-us': queues aren't polled over vfio-user"),
                       (["--vfio-user", ""], "not an empty text")):
        out = subprocess.run([vireo, "serve", "adder", *words], capture_output=True, text=True, timeout=30)
        assert out.returncode == 2 and why in out.stderr, out


def main():
    vireo, adder = (os.path.abspath(path) for path in sys.argv[1:3])
    mistakes(vireo)
    with tempfile.TemporaryDirectory(prefix="vireo-vfio-user-") as directory:
        serve(directory, vireo, "serve", "adder")
        serve(directory, adder)


if __name__ == "__main__":
    main()
