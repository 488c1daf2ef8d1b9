#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`vireo console`, on pipes and on a terminal, against a console that answers in capitals.

  tests/frontend/console.py VIREO BACKEND

Prints TAP.
"""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
import tap  # pylint: disable=wrong-import-position

VIREO, BACKEND = (os.path.abspath(path) for path in sys.argv[1:3])
WAIT_S = 30


class Server:
    """The back end, from the moment that its socket is served."""

    def __init__(self):
        self.process = subprocess.Popen([BACKEND, "--socket-path", "socket"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(WAIT_S * 100):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                try:
                    client.connect("socket")
                    return
                except OSError:
                    assert self.process.poll() is None, "the back end ended"
            time.sleep(0.01)
        raise AssertionError("no socket")

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.unlink("socket")  # the kernel may listen there for a moment more


class Terminal:
    """The client on a terminal of its own."""

    def __init__(self):
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(self.ours)
        self.text = b""
        self.process = subprocess.Popen([VIREO, "console", "socket"], stdin=theirs, stdout=theirs,
                                        stderr=subprocess.PIPE)
        self.theirs = theirs

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.ours)
        os.close(self.theirs)

    def expect(self, text):
        until = time.monotonic() + WAIT_S
        while text not in self.text:
            assert time.monotonic() < until, f"{text} expected, not {self.text}"
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += os.read(self.ours, 4096)

    def type(self, text):
        os.write(self.ours, text)

    def end(self):
        status = self.process.wait(WAIT_S)
        assert termios.tcgetattr(self.ours) == self.before, "the keyboard isn't what it was"
        return status


def client(*arguments, data=b"", status=0):
    done = subprocess.run([VIREO, "console", *arguments], input=data, capture_output=True, timeout=WAIT_S,
                          check=False)
    assert done.returncode == status, f"{arguments}: status {done.returncode}: {done.stderr}"
    return done.stderr.decode() if status else done.stdout


def pipes():
    with Server():
        assert client("--wait", "300", "socket", data=b"abc\n") == b"hello\r\nABC\n"
        # Ctrl-] is a byte like others here, and much goes through.
        data = b"\x1dxyz" * 20000
        assert client("--wait", "1000", "socket", data=data) == b"hello\r\n" + data.upper()
        assert client("--wait", "100", "socket") == b"hello\r\n"


def keyboard():
    with Server(), Terminal() as terminal:
        terminal.expect(b"hello\r\n")
        terminal.expect(b"\033[8;43;132t")
        terminal.type(b"q")  # no line has to be ended
        terminal.expect(b"Q")
        terminal.type(b"\x03\x04")  # nor do these end anything
        terminal.expect(b"\x03\x04")
        terminal.type(b"bye\x1dxyz")
        terminal.expect(b"Q\x03\x04")
        assert terminal.end() == 0
        assert b"XYZ" not in terminal.text


def signals():
    for number in (signal.SIGTERM, signal.SIGHUP):
        with Server(), Terminal() as terminal:
            terminal.expect(b"hello\r\n")
            terminal.process.send_signal(number)
            status = terminal.end()
            assert status == -number, (status, number, terminal.process.stderr.read())


def hang_up():
    with Server() as server, Terminal() as terminal:
        terminal.expect(b"hello\r\n")
        server.kill()
        assert terminal.end() == 1
        said = terminal.process.stderr.read().decode()
        assert "socket: " in said, said


def refuses():
    assert "give a SOCKET" in client(status=2)
    assert "give a SOCKET" in client("a", "b", status=2)
    assert "'x'" in client("--wait", "x", "socket", status=2)
    assert "socket 'nowhere': No such file" in client("nowhere", status=1)
    assert b"Ctrl" in client("--help") or b"--wait" in client("--help")


def main():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and what is started here would, too
    sys.exit(tap.run({case.__name__: case for case in (pipes, keyboard, signals, hang_up, refuses)}))


main()
