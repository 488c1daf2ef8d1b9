#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The console device in the hands of Linux: a login shell, and ports with names.

  tests/console/console.py VIREO - CASE

Exits 0, 1, or 77 with a line that names what is absent.
"""

import fcntl
import hashlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as boots  # pylint: disable=wrong-import-position
import guests  # pylint: disable=wrong-import-position

VIREO = boots.VIREO

# A login on the console, as inittab would have it; the guest ends when the shell does.
LOGIN = """
cat >login <<'SCRIPT'
#!/bin/busybox sh
PS1='ready> '
export PS1
exec /bin/busybox sh -i
SCRIPT
chmod +x login
touch up
busybox getty -n -L -l "$SHARE/login" 115200 hvc0 vt100
"""


class Terminal(guests.Terminal):
    def work(self):
        """A few commands with their answers."""
        self.type(b"\n")
        self.expect(b"ready> ")
        self.type(b"echo the answer is $((6 * 7)), $(busybox id -u)\n")
        self.expect(b"the answer is 42, 0")
        self.expect(b"ready> ")
        self.type(b"tty\n")
        self.expect(b"/dev/hvc0")
        self.expect(b"ready> ")

    def wait_for_size(self, rows, cols):
        self.type(b"while [ \"$(busybox stty size)\" != '%d %d' ]; do sleep 0.1; done; echo si''ze\n"
                  % (rows, cols))
        self.expect(b"\nsize")
        self.expect(b"ready> ")


def connect(path):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    return peer


def get(guest, name):
    return subprocess.run([VIREO, "get", "--socket-path", guest.path("c.sock"), name], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def put(guest, text):
    subprocess.run([VIREO, "set", "--socket-path", guest.path("c.sock"), text], check=True)


def serve(guest, *words):
    return boots.serve(VIREO, "serve", "console", "--socket-path", guest.path("c.sock"), *words)


def start(guest, text):
    return guest.start(text, "--append", f"virtio_uml.device={guest.path('c.sock')}:3")


def finish(guest, process):
    status = process.wait(boots.TIMEOUT_S)
    assert status == 0, (status, guest.said())


def case_shell(guest):
    """A login shell on a socket; clients come and go, and a window changes its size."""
    with serve(guest, "backend=socket", f"path={guest.path('port')}", "hold=on"):
        process = start(guest, LOGIN)
        boots.until(lambda: os.path.exists(guest.path("up")), "the guest")
        with connect(guest.path("port")) as peer:
            Terminal(peer.fileno()).work()
        with connect(guest.path("port")) as peer:
            terminal = Terminal(peer.fileno())
            terminal.work()
            put(guest, "cols=101")
            put(guest, "rows=33")
            terminal.wait_for_size(33, 101)
            # Much, read slowly: nothing of it is lost.
            terminal.type(b"busybox stty -onlcr; busybox seq 1 10000; echo e''nd\n")
            terminal.expect(b"\n1\n")
            time.sleep(1)
            said = b"1\n" + terminal.expect(b"end", 120)
            assert said == b"".join(b"%d\n" % n for n in range(1, 10001)), said[:200]
            terminal.type(b"exit\n")
            finish(guest, process)


def case_pty(guest):
    """The same on a pseudo terminal."""
    with serve(guest, f"path={guest.path('tty')}") as daemon:
        place = get(guest, "place")
        assert place.startswith("/dev/pts/") and os.readlink(guest.path("tty")) == place
        process = start(guest, LOGIN)
        boots.until(lambda: os.path.exists(guest.path("up")), "the guest")
        for size in ((120, 50), (90, 30)):
            fd = os.open(guest.path("tty"), os.O_RDWR | os.O_NOCTTY)
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            terminal = Terminal(fd)
            terminal.work()
            boots.until(lambda size=size: (get(guest, "cols"), get(guest, "rows")) ==
                        (str(size[0]), str(size[1])), "the size")
            terminal.wait_for_size(size[1], size[0])
            if size[0] == 90:
                terminal.type(b"exit\n")
                finish(guest, process)
            os.close(fd)
        daemon.terminate()
        assert daemon.wait(30) == 0
        assert not os.path.lexists(guest.path("tty"))


def case_absent(guest):
    """Nobody is there, or somebody who never reads: the guest goes on."""
    with serve(guest, "backend=socket", f"path={guest.path('port')}", "patience=200"):
        process = start(guest, """
            busybox seq 1 20000 >/dev/hvc0
            touch nobody
            while [ ! -e there ]; do sleep 0.1; done
            busybox seq 1 20000 >/dev/hvc0
            """)
        boots.until(lambda: os.path.exists(guest.path("nobody")), "the guest")
        with connect(guest.path("port")) as peer:
            time.sleep(0.2)
            with open(guest.path("there"), "w", encoding="ascii"):
                pass
            finish(guest, process)
            assert peer.recv(2) == b"1\r"


PORTS = """
tries=0
names() { cat /sys/class/virtio-ports/*/name 2>/dev/null | sort | tr '\\n' ' '; }
while [ "$(names)" != 'agent bulk first log ' ]; do
    sleep 0.1
    tries=$((tries + 1))
    [ $tries -lt 100 ]
done
port() { for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" != $1 ] || echo /dev/${p##*/}; done; }
cd "$SHARE"
echo "a line for the log" >$(port log)
# An agent that answers, until it is told to end.
exec 3<>$(port agent)
touch up
while read -r word <&3; do
    echo "heard $word" >&3
    [ "$word" != end ] || break
done
exec 3>&-
# Both directions at once.
dd if=/dev/urandom of=sent bs=64k count=40 2>/dev/null
exec 3<>$(port bulk)
cat sent >&3 &
busybox head -c 2621440 <&3 >back
wait
exec 3>&-
# The log goes, and comes back.
touch moved
tries=0
while [ -n "$(port log 2>/dev/null)" ]; do sleep 0.1; tries=$((tries + 1)); [ $tries -lt 200 ]; done
touch gone
while [ -z "$(port log 2>/dev/null)" ]; do sleep 0.1; tries=$((tries + 1)); [ $tries -lt 400 ]; done
echo "again" >$(port log)
exec 4</dev/hvc0
tries=0
# Which of them comes first is another thing in each version of Linux.
while ! busybox stty size <&4 | grep -qE '^(41 123|123 41)$'; do
    sleep 0.1
    tries=$((tries + 1))
    [ $tries -lt 100 ]
done
"""


def echo_all(peer, size):
    """Sends back what comes, slowly at first."""
    total, digest = 0, hashlib.sha256()
    while total < size:
        got = peer.recv(65536)
        assert got
        if total < 200000:
            time.sleep(0.05)
        peer.sendall(got)
        digest.update(got)
        total += len(got)
    return digest.hexdigest()


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def case_ports(guest):
    """Several ports with names, opened, closed, pulled out and put back."""
    kinds = {"log": "file", "agent": "socket", "bulk": "socket"}
    ports = ",".join(f"{name}:{kind}:{guest.path(name)}" for name, kind in kinds.items())
    with serve(guest, "backend=null", "name=first", f"ports={ports}", "cols=123", "rows=41"):
        process = start(guest, PORTS)
        with connect(guest.path("agent")) as peer, connect(guest.path("bulk")) as bulk:
            boots.until(lambda: os.path.exists(guest.path("up")) or process.poll() is not None, "the guest")
            agent = Terminal(peer.fileno())
            for word in (b"one", b"two", b"end"):
                agent.type(word + b"\n")
                agent.expect(b"heard " + word + b"\n")
            digest = echo_all(bulk, 40 * 65536)
            boots.until(lambda: os.path.exists(guest.path("moved")) or process.poll() is not None, "the port")
            assert process.poll() is None, guest.said()
            assert digest == digest_of(guest.path("sent")) == digest_of(guest.path("back"))
            put(guest, "unplugged=2")
            boots.until(lambda: os.path.exists(guest.path("gone")), "the port to go")
            put(guest, "unplugged=0")
            finish(guest, process)
        with open(guest.path("log"), "rb") as file:
            assert file.read() == b"a line for the log\nagain\n"
        assert get(guest, "ignored") == "0" and get(guest, "lost") == "0"


def case_client(guest):
    """Our driver, in the shape of `vireo console`, and our device."""
    with serve(guest, "backend=socket", f"path={guest.path('port')}"):
        with connect(guest.path("port")) as peer:
            with subprocess.Popen([VIREO, "console", "--wait", "0", guest.path("c.sock")],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
                terminal = Terminal(peer.fileno())
                client.stdin.write(b"from the driver\n")
                client.stdin.flush()
                terminal.expect(b"from the driver\n")
                terminal.type(b"x" * 100000 + b"from the device\n")
                assert Terminal(client.stdout.fileno()).expect(b"from the device\n") == b"x" * 100000
                client.terminate()


def main():
    case = globals()[f"case_{sys.argv[3]}"]
    if boots.KERNEL is None and sys.argv[3] != "client":
        boots.absent("the test kernel isn't built; run scripts/guest-kernel")
    boots.need("busybox")
    with tempfile.TemporaryDirectory(prefix="vireo-console-") as directory:
        case(boots.Guest(directory))


if __name__ == "__main__":
    main()
