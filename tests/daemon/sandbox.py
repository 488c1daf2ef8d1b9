#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What daemons give up, that it is gone, and that they serve all the same.

  tests/daemon/sandbox.py VIREO TEMPTED INSTRUMENTED UNIT...

INSTRUMENTED is 1 for a build with sanitizers, which do more than serve. Prints TAP.
"""

import array
import errno
import fcntl
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
import tap  # pylint: disable=wrong-import-position

VIREO = os.path.abspath(sys.argv[1])
TEMPTED = os.path.abspath(sys.argv[2])
INSTRUMENTED = sys.argv[3] == "1"
UNITS = [os.path.abspath(path) for path in sys.argv[4:]]
WAIT_S = 60
NOBODY = "nobody"


def run(*words, status=0, **more):
    more = more or {"stdin": subprocess.DEVNULL}
    done = subprocess.run([VIREO, *words], capture_output=True, timeout=WAIT_S, check=False, **more)
    assert done.returncode == status, f"{words}: status {done.returncode}: {done.stderr}"
    return done.stdout


class Daemon:
    def __init__(self, *words, program=None, path="socket", **more):
        self.path = path
        self.log = open("daemon.log", "w+b")  # pylint: disable=consider-using-with
        where = ["--socket-path", path] if path else []
        self.process = subprocess.Popen([*(program or [VIREO, "serve"]), *words[:1 if program is None else 0],
                                         *where, *words[1 if program is None else 0:]],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
                                        **more)
        for _ in range(WAIT_S * 100):
            if " serves " in self.said() or self.process.poll() is not None:
                break
            time.sleep(0.01)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode()

    def __enter__(self):
        assert self.process.poll() is None, self.said()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        said = self.said()
        self.log.close()
        assert status == 0, f"status {status}: {said}"

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(WAIT_S)
            control.connect((self.path or "socket") + ".control")
            control.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                answer += control.recv(4096)
        assert answer.startswith(b"ok "), answer
        return answer[3:].decode().strip()

    def status(self):
        return json.loads(self.ask("status"))

    def field(self, name):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return re.search(rf"^{name}:\s*(.*)$", file.read(), re.M).group(1).split()


def tempted(*words):
    return Daemon(*words, program=[TEMPTED])


# What is tried, and what comes of it where nothing forbids it.
FREE = {"exec": errno.ENOENT, "fork": 0, "inet": 0, "unix": 0, "connect": errno.EBADF,
        "open /etc/passwd": 0, "create made": 0, "remove made": 0, "code": 0, "turn": 0,
        "shared": 0, "signal": 0, "peek": errno.ESRCH, "user": 0}
# Sanitizers do these.
KEPT = ["fork", "open", "create", "peek"] if INSTRUMENTED else []


def attempts():
    return [what for what in FREE if what.split()[0] not in KEPT]


def test_tempted():
    """Each is refused, the log names it, and the daemon goes on; also in a thread older than the sandbox."""
    with tempted("--verbose") as daemon:
        sandbox = daemon.status()["sandbox"]
        assert sandbox["on"], sandbox
        if not sandbox["calls"]:
            raise tap.Absent("no filter of system calls: built without libseccomp")
        for way in ("try", "old"):
            for what in attempts():
                if what.startswith("remove"):
                    continue
                before = daemon.status()["sandbox"]["refused"]
                result = int(daemon.ask(f"{way} {what}"))
                assert result in (errno.EPERM, errno.EACCES), (way, what, os.strerror(result))
                assert daemon.status()["sandbox"]["refused"] == before + 1, (way, what)
        assert not os.path.exists("made")
        said = daemon.said()
        for name in ("execve", "socket", "mmap", "mprotect", "kill", "setuid"):
            assert re.search(rf"sandbox: system call \d+ \({name}\) was refused", said), (name, said)
        if sandbox["landlock"]:
            with tempfile.NamedTemporaryFile() as elsewhere:
                assert int(daemon.ask(f"try remove {elsewhere.name}")) == errno.EACCES
        assert run("adder", "socket", "41") == b"42\n"
    assert not os.path.exists("socket") and not os.path.exists("socket.control")


def test_untempted():
    """Without a sandbox all of it works, so that the other test means something."""
    with tempted("--sandbox", "off") as daemon:
        assert not daemon.status()["sandbox"]["on"]
        for way in ("try", "old"):
            for what, result in FREE.items():
                assert int(daemon.ask(f"{way} {what}")) == result, (way, what)
        assert daemon.field("NoNewPrivs") == ["1"]


def test_client():
    """Who connects again and again may; to Unix sockets, as there are no others."""
    with listener("socket") as front, tempted("--client") as daemon:
        front.settimeout(WAIT_S)
        front.accept()[0].close()
        front.accept()[0].close()
        assert [int(daemon.ask(f"try {what}")) for what in ("unix", "connect", "inet")] == [
            0, errno.EBADF, errno.EPERM]


def test_peer_that_comes_back():
    """A network that connects to a socket does so again."""
    with listener("peer") as peer, Daemon("net", "backend=socket", "path=peer") as daemon:
        peer.settimeout(WAIT_S)
        peer.accept()[0].close()
        peer.accept()[0].close()
        assert daemon.status()["sandbox"]["refused"] == 0, daemon.said()


def test_given_sockets():
    """Files beside a socket that was given are as safe from who was taken over as all others."""
    os.mkdir("folder")
    os.mkdir("own")
    with listener("folder/given") as given, open("folder/kept", "wb"):
        path = os.path.abspath("folder/kept")
        words = ["--fd", str(given.fileno()), "--control-path", "own/socket.control"]
        daemon = Daemon(*words, program=[TEMPTED], path=None, pass_fds=[given.fileno()])
        daemon.path = "own/socket"
        with daemon:
            if not daemon.status()["sandbox"]["landlock"]:
                raise tap.Absent("no Landlock")
            assert int(daemon.ask(f"try remove {path}")) == errno.EACCES
            assert run("adder", "folder/given", "41") == b"42\n"
        assert not os.path.exists("own/socket.control")
    with tempted() as daemon, open("kept", "wb"):
        assert int(daemon.ask("try remove kept")) == 0


def test_ring():
    """No filter sees what a ring is asked for; the ring itself does no more than a daemon asks for."""
    for sandbox in ("on", "off"):
        with tempted("--sandbox", sandbox) as daemon:
            result = int(daemon.ask("ring nop"))
            if result == errno.ENOTSUP:
                raise tap.Absent("no io_uring")
            assert result == 0, os.strerror(result)
            with open("kept", "wb"):
                pass
            for what in ("open kept", "remove kept", "socket", "connect", "linked"):
                result = int(daemon.ask(f"ring {what}"))
                assert result == errno.EACCES, (sandbox, what, os.strerror(result))
            assert os.path.exists("kept")
            assert run("adder", "socket", "41") == b"42\n"


def test_everything_serves():
    """All types and what they stand on, with nothing refused."""
    with open("script", "w", encoding="ascii") as file:
        file.write("key KEY_A 1\n")
    cases = [
        (["adder"], lambda: run("adder", "socket", "1")),
        (["caesar"], lambda: run("caesar", "socket", "encipher", "3", input=b"abc")),
        (["rng"], lambda: run("rng", "socket", "5000")),
        (["console", "backend=pty", "path=link"],
         lambda: run("console", "socket", "--wait", "1", input=b"x")),
        (["console", "backend=socket", "path=tty"],
         lambda: run("console", "socket", "--wait", "1", input=b"x")),
        (["console", "backend=file", "path=written"],
         lambda: run("console", "socket", "--wait", "1", input=b"x")),
        (["net", "backend=hub", "ports=other,another", "capture=frames.pcapng"],
         lambda: run("probe", "other", "--type", "net")),
        (["net", "backend=echo"], lambda: run("probe", "socket", "--type", "net")),
        (["net", "backend=socket", "path=peer", "listen=on"],
         lambda: run("probe", "socket", "--type", "net")),
        (["input", "backend=null"], lambda: run("probe", "socket", "--type", "input")),
        (["vssd", "path=vssd.img", "size=16M", "unit=4K"], lambda: run("probe", "socket", "--type", "vssd")),
    ]
    for more in ([], ["--no-uring"], ["--threads", "2"], ["--threads", "2", "--no-uring"],
                 ["--poll-us", "50"]):
        cases.append((["blk", "path=disk.img", "num-queues=2", *more], drive_disk))
    for words, drive in cases:
        with open("disk.img", "wb") as file:
            file.truncate(1 << 20)
        with Daemon(*words) as daemon:
            drive()
            run("status", "--socket-path", "socket")
            sandbox = daemon.status()["sandbox"]
            assert sandbox["on"] and sandbox["refused"] == 0, (words, daemon.said())
        left = {"link", "tty", "peer", "other", "other.control", "socket"} & set(os.listdir("."))
        assert not left, (words, left)


def drive_disk():
    data = os.urandom(64 << 10)
    run("blk", "socket", "write", input=data)
    assert run("blk", "socket", "read", "--length", "64K") == data
    os.truncate("disk.img", 2 << 20)
    for _ in range(WAIT_S * 10):
        if len(run("blk", "socket", "read")) == 2 << 20:
            return
        time.sleep(0.1)
    raise AssertionError("the new size isn't noticed")


def test_vfio_user():
    with Daemon("rng", "--vfio-user", "vfio", path=None) as daemon:
        daemon.path = "vfio"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("vfio")
            version = struct.pack("<HH", 0, 1) + b'{"capabilities":{}}\0'
            client.sendall(struct.pack("<HHIII", 1, 1, 16 + len(version), 0, 0) + version)
            assert len(client.recv(4096)) > 16
        assert daemon.status()["sandbox"]["refused"] == 0, daemon.said()


def test_user():
    """Root becomes another user; the sockets and what is open go along."""
    if os.getuid():
        raise tap.Absent("only root can become another user")
    nobody = pwd.getpwnam(NOBODY)
    os.chmod(".", 0o755)
    with open("disk.img", "wb") as file:
        file.truncate(1 << 20)
    os.chmod("disk.img", 0o600)
    with Daemon("blk", "path=disk.img", "--user", NOBODY, "--threads", "1") as daemon:
        assert daemon.field("Uid") == [str(nobody.pw_uid)] * 4, daemon.field("Uid")
        assert daemon.field("Gid") == [str(nobody.pw_gid)] * 4
        assert int(daemon.field("CapEff")[0], 16) == int(daemon.field("CapPrm")[0], 16) == 0
        assert os.stat("socket").st_uid == os.stat("socket.control").st_uid == nobody.pw_uid
        drive_disk()
        assert daemon.status()["sandbox"]["refused"] == 0, daemon.said()
    # It may not remove them from a folder that isn't its own; the next one replaces them.
    with Daemon("blk", "path=disk.img"):
        drive_disk()


def refused(*words):
    daemon = Daemon(*words)
    assert daemon.process.wait(WAIT_S) in (1, 2)
    said = daemon.said()
    daemon.log.close()
    return said


def test_mistakes():
    assert "'--sandbox': 'maybe' is neither on nor off" in refused("adder", "--sandbox", "maybe")
    said = refused("adder", "--user", "no-such-user-here")
    assert "there is no user 'no-such-user-here'" in said, said


def give_memory(path, size):
    """A front end that shares so much; whether the back end takes it."""
    fd = os.memfd_create("memory")
    os.ftruncate(fd, size)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(WAIT_S)
        peer.connect(path)

        def ask(request, payload=b"", fds=(), flags=1):
            head = struct.pack("<III", request, flags, len(payload))
            peer.sendmsg([head + payload], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                         if fds else [])
        ask(1)
        features = peer.recv(4096)[12:20]
        ask(2, features)
        ask(15)
        peer.recv(4096)
        ask(16, struct.pack("<Q", 1 << 3))
        ask(5, struct.pack("<II", 1, 0) + struct.pack("<QQQQ", 0, size, 1 << 40, 0), [fd], 1 | 8)
        answer = peer.recv(4096)
        os.close(fd)
        return len(answer) == 20 and struct.unpack("<Q", answer[12:])[0] == 0, peer.dup()


def test_memory_limit():
    with Daemon("rng", "--max-memory", "32M"):
        taken, peer = give_memory("socket", 1 << 30)
        peer.close()
        assert not taken
        taken, peer = give_memory("socket", 32 << 20)
        peer.close()
        assert taken
        assert len(run("rng", "socket", "100")) == 100
    with Daemon("rng"):
        taken, peer = give_memory("socket", 1 << 30)
        peer.close()
        assert taken


def test_memory_of_front_ends():
    """It can't be run, and isn't in core dumps."""
    with Daemon("rng") as daemon:
        taken, peer = give_memory("socket", 1 << 20)
        with open(f"/proc/{daemon.process.pid}/smaps", encoding="utf-8") as file:
            maps = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", file.read(), flags=re.M)
        peer.close()
        theirs = [text for text in maps if "/memfd:memory" in text]
        assert taken and len(theirs) == 1, theirs
        assert theirs[0].split()[1] == "rw-s", theirs
        assert " dd" in re.search(r"VmFlags:(.*)", theirs[0]).group(1), theirs
        written = [text.splitlines()[0] for text in maps if re.match(r"\S+ .w.*x", text[:text.find("\n")])
                   and text.split()[1][1:3] == "wx"]
        assert not written, written


def listener(path):
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(8)
    return made


def test_service():
    """A service manager's sockets, and what it is told, at a file or at a name without one."""
    for notify in ("told", f"@vireo-{os.getpid()}"):
        serve_as_service(notify)


def serve_as_service(notify):
    for name in ("given", "given.control", "asked", "told"):
        if os.path.exists(name):
            os.unlink(name)
    with listener("given") as given, listener("asked") as asked, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(notify.replace("@", "\0"))
        told.settimeout(WAIT_S)
        script = ('exec 3<&"$1" 4<&"$2"; export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=control:device; '
                  'shift 2; exec "$@"')
        # Out of the way of those that they become.
        fds = [fcntl.fcntl(made, fcntl.F_DUPFD, 20) for made in (asked, given)]
        with open("daemon.log", "wb") as log:
            process = subprocess.Popen(
                ["bash", "-c", script, "-", *map(str, fds), VIREO, "serve", "rng"], stderr=log, pass_fds=fds,
                env={**os.environ, "NOTIFY_SOCKET": notify})
        try:
            assert told.recv(100) == b"READY=1"
            assert len(run("rng", "given", "100")) == 100
            os.rename("asked", "given.control")
            assert json.loads(run("status", "--socket-path", "given"))["sandbox"]["refused"] == 0
        finally:
            process.terminate()
            assert process.wait(WAIT_S) == 0
        assert told.recv(100) == b"STOPPING=1"
        assert stat.S_ISSOCK(os.stat("given").st_mode), "the socket is the service manager's"


def test_units():
    """What is installed for systemd is what it knows, and keeps nearly everything from the daemon."""
    if not shutil.which("systemd-analyze"):
        raise tap.Absent("systemd")
    for unit in UNITS:
        with open(unit, encoding="utf-8") as file:
            text = re.sub(r"^ExecStart=\S+", f"ExecStart={VIREO}", file.read(), flags=re.M)
        with open(os.path.basename(unit).replace("@.", "@disk."), "w", encoding="utf-8") as file:
            file.write(text)
    units = sorted(os.path.abspath(unit) for unit in os.listdir(".") if unit.startswith("vireo-"))
    assert len(units) == 3, units
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                          timeout=WAIT_S, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    service = [unit for unit in units if unit.endswith(".service")]
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=10",
                           *service], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def said():
    if not os.path.exists("daemon.log"):
        return ""
    with open("daemon.log", encoding="utf-8", errors="replace") as log:
        return log.read()[-2000:]


def main():
    return tap.run(tap.named(globals(), "test_"), said)


if __name__ == "__main__":
    sys.exit(main())
