# SPDX-License-Identifier: BSD-3-Clause
"""What the machine's surroundings do while guest/hobby runs: the network, the user, the host of the disk."""

import json
import os
import socket
import struct
import threading
import time


class Failure(Exception):
    """What went wrong, in words."""


class Qmp:
    """QEMU's monitor."""

    def __init__(self, path, deadline):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Failure("QEMU's monitor doesn't answer") from None
                time.sleep(0.02)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        """What is answered; None when the guest was content and ended the machine before that."""
        try:
            self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.file.flush()
            for line in self.file:
                answer = json.loads(line)
                if "error" in answer:
                    raise Failure(f"{command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
        except ConnectionError:
            pass
        return None


def key(code, down):
    return {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": code}}}


def button(name, down):
    return {"type": "btn", "data": {"down": down, "button": name}}


def move(kind, axis, value):
    return {"type": kind, "data": {"axis": axis, "value": value}}


# By the name of the device: groups of events, and how the guest is to report them.
INPUTS = {
    "Keyboard": ([[key("a", True)], [key("a", False)], [key("esc", True)], [key("esc", False)]],
                 "key30=1, key30=0, key1=1, key1=0"),
    "Tablet": ([[move("abs", "x", 100), move("abs", "y", 32767)], [button("left", True)],
                [button("left", False)], [move("abs", "x", 0)]],
               "abs0=100 abs1=32767, key272=1, key272=0, abs0=0"),
    "Mouse": ([[move("rel", "x", 5), move("rel", "y", -3)], [button("right", True)],
               [button("right", False)], [button("wheel-down", True)]],
              "rel0=5 rel1=-3, key273=1, key273=0, rel8=-1"),
}

MAC = bytes.fromhex("020000766972")
ADDRESS = "10.0.2.77"
PING_BYTES = (0, 1, 18, 56, 500, 1000, 1471, 1472)


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping_packet(number, payload, to):
    icmp = struct.pack(">BBHHH", 8, 0, 0, 0x1234, number) + payload
    icmp = icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), number, 0, 64, 1, 0,
                     socket.inet_aton(ADDRESS), socket.inet_aton(to))
    return ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:] + icmp


class Neighbour:
    """Another machine on the guest's network, and what was to be heard there."""

    def __init__(self, folder):
        self.to = os.path.join(folder, "net.qemu")
        self.path = os.path.join(folder, "net.peer")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.1)
        self.dhcp = []
        self.frames = []
        self.over = False
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def arguments(self):
        """The guest's card, QEMU's user network and this neighbour at one hub."""
        return ["-netdev", "user,id=user", "-netdev", "hubport,id=hub-user,hubid=0,netdev=user",
                "-netdev", f"dgram,id=peer,local.type=unix,local.path={self.to},"
                f"remote.type=unix,remote.path={self.path}",
                "-netdev", "hubport,id=hub-peer,hubid=0,netdev=peer", "-netdev", "hubport,id=card,hubid=0"]

    def listen(self):
        while not self.over:
            try:
                frame = self.socket.recv(65536)
            except OSError:
                continue
            # UDP from or to a DHCP server: which kind of message
            if len(frame) > 284 and frame[12:14] == b"\x08\0" and frame[23] == 17 and \
                    67 in struct.unpack(">HH", frame[34:38]) and frame[282:284] == b"\x35\x01":
                self.dhcp.append(frame[284])
            if frame[:6] == MAC:
                self.frames.append(frame)

    def close(self):
        self.over = True
        self.thread.join()
        self.socket.close()

    def ask(self, what, frame, is_answer):
        """Sends a frame until there is an answer, as networks may lose some."""
        for _ in range(20):
            try:
                self.socket.sendto(frame, self.to)
            except OSError as error:
                raise Failure(f"{what}: {error}") from None
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                while self.frames:
                    answer = self.frames.pop(0)
                    if is_answer(answer):
                        return answer
                time.sleep(0.01)
        raise Failure(f"{what}: the guest doesn't answer")

    def visit(self, address):
        """Finds the guest by ARP and pings it in several sizes."""
        whose = struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, MAC, socket.inet_aton(ADDRESS), bytes(6),
                            socket.inet_aton(address))
        answer = self.ask("ARP", b"\xff" * 6 + MAC + b"\x08\x06" + whose, lambda frame:
                          frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x02" and
                          frame[28:32] == socket.inet_aton(address))
        guest = answer[22:28]
        for number, length in enumerate(PING_BYTES):
            payload = bytes((number + at) % 251 for at in range(length))
            question = ping_packet(number, payload, address)
            answer = self.ask(f"a ping with {length} bytes", guest + MAC + b"\x08\0" + question, lambda frame:
                              frame[12:14] == b"\x08\0" and frame[23] == 1 and frame[34] == 0)
            packet = answer[14:14 + struct.unpack(">H", answer[16:18])[0]]
            if answer[6:12] != guest or checksum(packet[:20]) or checksum(packet[20:]) or \
                    packet[12:20] != question[16:20] + question[12:16] or packet[24:] != question[24:]:
                raise Failure(f"the answer to a ping with {length} bytes is wrong: {answer.hex()}")
        return len(PING_BYTES)
