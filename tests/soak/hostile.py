# SPDX-License-Identifier: BSD-3-Clause
"""Front ends, clients of vfio-user and users of control sockets who mean no good."""

import ctypes
import os
import random
import socket
import struct
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
VRING_NUM, VRING_ADDR, VRING_BASE, GET_BASE, KICK, CALL = 8, 9, 10, 11, 12, 13
GET_PROTOCOL, SET_PROTOCOL, ENABLE, ADD_MEM = 15, 16, 18, 37
VERSION, NEED_REPLY = 1, 8
REQUESTS = 46
MEMORY = 1 << 20
BUS, USER = 0x40000000, 0x7e0000000000

libc = ctypes.CDLL(None, use_errno=True)


def eventfd():
    return libc.eventfd(0, 0o2000000)


def memory(size=MEMORY):
    fd = os.memfd_create("hostile")
    os.ftruncate(fd, size)
    return fd


def message(request, payload=b"", flags=VERSION, size=None):
    return struct.pack("<III", request, flags, len(payload) if size is None else size) + payload


class Peer:
    """A connection whose descriptors are all closed when it is over."""

    def __init__(self, path):
        self.fds = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(2)
        self.socket.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)

    def keep(self, fd):
        self.fds.append(fd)
        return fd

    def send(self, data, fds=()):
        """False when the other end is gone, which it has every right to be."""
        try:
            socket.send_fds(self.socket, [data], list(fds))
            return True
        except OSError:
            return False

    def ask(self, data, fds=()):
        try:
            return self.socket.recv(4096) if self.send(data, fds) else b""
        except OSError:
            return b""


def region(size=MEMORY):
    return struct.pack("<QQQQ", BUS, size, USER, 0)


def agree(peer):
    """What every front end says first."""
    answer = peer.ask(message(GET_FEATURES))
    features = struct.unpack("<Q", answer[12:20])[0] if len(answer) == 20 else 1 << 32
    peer.send(message(SET_OWNER))
    answer = peer.ask(message(GET_PROTOCOL))
    protocol = struct.unpack("<Q", answer[12:20])[0] if len(answer) == 20 else 0
    peer.send(message(SET_PROTOCOL, struct.pack("<Q", protocol)))
    peer.send(message(SET_FEATURES, struct.pack("<Q", features)))


def noise(draw, path):
    """Messages of all kinds with anything in them, and descriptors of all kinds."""
    with Peer(path) as peer:
        if draw.random() < 0.5:
            agree(peer)
        for _ in range(draw.randrange(1, 40)):
            payload = draw.randbytes(draw.choice([0, 4, 8, 8, 8, 16, 40, 40, draw.randrange(300)]))
            if len(payload) >= 8 and draw.random() < 0.7:
                payload = struct.pack("<II", draw.randrange(4), draw.randrange(300)) + payload[8:]
            fds = []
            for _ in range(draw.choice([0, 0, 0, 1, 1, 2, 9])):
                fds.append(peer.keep(draw.choice([eventfd, memory, lambda: os.open("/", os.O_RDONLY),
                                                  lambda: os.open("/dev/null", os.O_RDWR)])()))
            flags = draw.choice([VERSION, VERSION, VERSION | NEED_REPLY, 0, draw.randrange(1 << 32)])
            size = draw.choice([None] * 8 + [draw.randrange(1 << 32), len(payload) + 1])
            if not peer.send(message(draw.randrange(REQUESTS), payload, flags, size), fds):
                return


def queue(peer, index, descriptors=0, at=0x1000):
    for request, payload in [(VRING_NUM, struct.pack("<II", index, 256)),
                             (VRING_BASE, struct.pack("<II", index, 0)),
                             (VRING_ADDR, struct.pack("<IIQQQQ", index, 0, USER + descriptors,
                                                      USER + at + 0x2000, USER + at, 0))]:
        peer.send(message(request, payload))
    kick = peer.keep(eventfd())
    peer.send(message(CALL, struct.pack("<Q", index)), [peer.keep(eventfd())])
    peer.send(message(KICK, struct.pack("<Q", index)), [kick])
    peer.send(message(ENABLE, struct.pack("<II", index, 1)))
    os.eventfd_write(kick, 1)


def cut(draw, path):
    """Queues of nonsense in memory that is gone a moment later."""
    with Peer(path) as peer:
        agree(peer)
        fd = peer.keep(memory())
        os.pwrite(fd, draw.randbytes(0x1000), 0)
        os.pwrite(fd, struct.pack("<HH", 0, draw.randrange(1, 300)) + draw.randbytes(512), 0x1000)
        peer.send(message(SET_MEM_TABLE, struct.pack("<II", 1, 0) + region()), [fd])
        for index in range(draw.randrange(1, 3)):
            queue(peer, index)
        if draw.random() < 0.6:
            os.ftruncate(fd, draw.choice([0, 4096, 8192]))
        peer.ask(message(GET_BASE, struct.pack("<II", 0, 0)))


def half(draw, path):
    """Half a message and silence, or nothing at all and silence."""
    with Peer(path) as peer:
        peer.send(message(SET_FEATURES, bytes(8))[:draw.randrange(0, 20)])
        time.sleep(draw.random() * 0.3)


def flood(draw, path):
    """Questions whose answers nobody reads."""
    with Peer(path) as peer:
        peer.socket.settimeout(0.2)
        try:
            for _ in range(draw.randrange(100, 3000)):
                peer.socket.sendall(message(GET_FEATURES))
        except OSError:
            pass


def control(draw, path):
    """Lines that are none, on the control socket."""
    with Peer(path + ".control") as peer:
        for _ in range(draw.randrange(1, 20)):
            peer.send(draw.choice([b"status\n", b"get\n", b"set \xff\n", b"get " + b"x" * 3000 + b"\n", b"\n",
                                   draw.randbytes(40), b"statistics\n" * 50, b"set num-queues=9\n"]))
        if draw.random() < 0.5:
            peer.ask(b"status\n")


def vfio(draw, path):
    """Commands of vfio-user, some of which make sense."""
    with Peer(path) as peer:
        version = struct.pack("<HH", 0, 1) + b'{"capabilities":{"max_msg_fds":8}}\0'
        peer.ask(struct.pack("<HHIII", 0, 1, 16 + len(version), 0, 0) + version)
        for number in range(draw.randrange(1, 30)):
            payload = draw.randbytes(draw.choice([0, 16, 32, 32, draw.randrange(200)]))
            if len(payload) >= 8 and draw.random() < 0.7:
                payload = struct.pack("<II", len(payload), draw.randrange(4)) + payload[8:]
            fds = [peer.keep(memory())] if draw.random() < 0.3 else []
            head = struct.pack("<HHIII", number, draw.randrange(1, 18), 16 + len(payload), 0, 0)
            if not peer.send(head + payload, fds):
                return


VHOST_USER = [noise, noise, cut, half, flood]
VFIO_USER = [vfio, vfio, half]


def attack(seed, path, ways):
    draw = random.Random(seed)
    try:
        draw.choice(ways)(draw, path)
    except (ConnectionError, socket.timeout):
        pass
