#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The vireo command from outside: what it says, how it ends, and how its sockets come and go.

  tests/cli/cli.py VIREO EXAMPLE_ADDER [CASE...]

Prints TAP, one line for each case.
"""

import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
import tap  # pylint: disable=wrong-import-position

VIREO, ADDER = sys.argv[1:3]
WAIT_S = 30
GET_FEATURES = 1
TYPES = ["adder", "blk", "caesar", "console", "input", "net", "rng", "vssd"]


def run(*arguments, program=None, **more):
    """Runs to the end: exit status, standard output, standard error."""
    done = subprocess.run([program or VIREO, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=WAIT_S, **more)
    return done.returncode, done.stdout, done.stderr


def refused(status, text, *arguments, **more):
    """The command fails with exactly that status and line of text."""
    result = run(*arguments, **more)
    assert result[0] == status, f"{arguments}: status {result[0]}, not {status}: {result[2]}"
    assert result[1] == "", f"{arguments}: said {result[1]!r} on standard output"
    assert result[2] == text + "\n", f"{arguments}: said {result[2]!r}, not {text!r}"


def until(condition, what):
    for _ in range(WAIT_S * 100):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"waited in vain: {what}")


class Daemon:
    """`vireo serve ...`, ready; ended by force when a case forgets it."""

    def __init__(self, *arguments, program=None, **more):
        self.log = tempfile.NamedTemporaryFile("w+", encoding="utf-8")
        self.log_path = arguments[arguments.index("--log") + 1] if "--log" in arguments else self.log.name
        words = [program] if program else [VIREO, "serve"]
        self.process = subprocess.Popen([*words, *arguments], stdin=subprocess.DEVNULL, stderr=self.log,
                                        **more)
        until(lambda: self.process.poll() is not None or " serves " in self.said(), f"{arguments} to start")
        assert self.process.poll() is None, f"{arguments} ended: {self.said()}"

    def said(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def wait(self):
        return self.process.wait(WAIT_S)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


def connect(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.connect(path)
    except OSError:
        client.close()
        raise
    client.settimeout(WAIT_S)
    return client


def features(client):
    """What a front end asks first."""
    client.sendall(b"".join(word.to_bytes(4, "little") for word in (GET_FEATURES, 1, 0)))
    reply = b""
    while len(reply) < 20:
        more = client.recv(20 - len(reply))
        assert more, "hung up before the reply"
        reply += more
    assert reply[:4] == GET_FEATURES.to_bytes(4, "little"), reply
    return int.from_bytes(reply[12:20], "little")


def control(path, line):
    with connect(path + ".control") as client:
        client.sendall(line.encode() + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            more = client.recv(65536)
            assert more, f"hung up after {reply!r}"
            reply += more
    return reply.decode().rstrip("\n")


def properties(name):
    _, out, _ = run("list", "--json", name)
    return json.loads(out)["properties"]


# Cases. Each gets a directory of its own, which is also where it runs.

def test_overview_without_command(_):
    status, out, err = run()
    assert status == 2 and out == "" and "serve" in err and "boot" in err, (status, out, err)
    status, out, err = run("help")
    assert status == 0 and "serve" in out and err == "", (status, out, err)


def test_unknown_command(_):
    refused(2, "vireo: command 'srve' is not known; did you mean 'serve'?", "srve")
    refused(2, "vireo: command 'frobnicate' is not known; `vireo help` lists them", "frobnicate")
    refused(2, "vireo: command 'lits' is not known; did you mean 'list'?", "help", "lits")


def test_unknown_type(_):
    refused(2, "vireo serve: device type 'blc' is not known; did you mean 'blk'? "
            "There are: " + ", ".join(TYPES), "serve", "blc", "--socket-path", "s")
    refused(2, "vireo list: device type 'gpu' is not known; there are: " + ", ".join(TYPES), "list",
            "gpu")
    refused(2, "vireo serve: which device type? `vireo list` lists them", "serve")
    refused(2, "vireo serve: the device type comes first: vireo serve TYPE --fd ...", "serve", "--fd", "3")


def test_unknown_property(_):
    names = ", ".join(item["name"] for item in properties("blk"))
    refused(2, f"vireo serve blk: property 'sice' is not known (did you mean 'size'?); blk has: {names}",
            "serve", "blk", "--socket-path", "s", "sice=3")
    names = ", ".join(item["name"] for item in properties("caesar"))
    refused(2, f"vireo serve caesar: property 'colour' is not known; caesar has: {names}",
            "serve", "caesar", "--socket-path", "s", "colour=red")
    assert not os.path.exists("s")


def test_wrong_values(_):
    for text, value in [
            ("property 'shift': 26 is out of range, 0 to 25", "shift=26"),
            ("property 'shift': 'x' is not a number", "shift=x"),
            ("property 'shift': '' is not a number", "shift="),
            ("property 'shift': '-1' is not a number", "shift=-1"),
            ("property 'mode': 'rot13' is not one of encipher, decipher", "mode=rot13"),
            ("property 'event-idx': 'maybe' is neither on nor off", "event-idx=maybe"),
            ("'shift' is not a property; write NAME=VALUE", "shift"),
            ("'=3' is not a property; write NAME=VALUE", "=3")]:
        refused(2, "vireo serve caesar: " + text, "serve", "caesar", "--socket-path", "s", value)
    refused(2, "vireo serve blk: property 'size': '12Q' is not a size; write a number with K, M, G or T, "
            "such as 64M", "serve", "blk", "--socket-path", "s", "size=12Q")
    refused(2, "vireo serve blk: property 'path': the text is 2000 bytes long, at most 1023 fit",
            "serve", "blk", "--socket-path", "s", "path=" + "x" * 2000)


def test_wrong_networks(directory):
    """What a network device or its backend can't work with, before anything is served."""
    path = os.path.join(directory, "s")
    for text, words in [
            ("mac '52:54:00:00:00' is no address such as 52:54:00:12:34:56", ["mac=52:54:00:00:00"]),
            ("mac '52:54:00:00:00:0g' is no address such as 52:54:00:12:34:56", ["mac=52:54:00:00:00:0g"]),
            ("mac '01:00:5e:00:00:01' is an address of a group; the lowest bit of its first byte is set",
             ["mac=01:00:5e:00:00:01"]),
            ("mtu 67 is below 68", ["mtu=67"]),
            ("backend 'socket' needs a path, for example path=/tmp/passt.sock", ["backend=socket"]),
            ("backend 'null' takes no interface, but it is 'tap0'; did you mean backend=tap?",
             ["backend=null", "interface=tap0"]),
            ("ports: '' is no path of a socket", ["ports=,"])]:
        refused(1, "vireo serve net: " + text, "serve", "net", "--socket-path", path, *words)
        assert not os.path.exists(path)


def test_ports_of_a_hub(directory):
    """Each has sockets of its own and is set by itself."""
    paths = [os.path.join(directory, name) for name in ("first", "second", "third")]
    with Daemon("net", "--socket-path", paths[0], f"ports={paths[1]},{paths[2]}",
                "mac=52:54:00:00:00:fe") as daemon:
        for path, mac in zip(paths, ("52:54:00:00:00:fe", "52:54:00:00:00:ff", "52:54:00:00:01:00")):
            assert run("get", "--socket-path", path, "mac")[1] == mac + "\n"
        assert run("set", "--socket-path", paths[1], "link=off")[0] == 0
        assert [run("get", "--socket-path", path, "link")[1] for path in paths] == ["on\n", "off\n", "on\n"]
        assert daemon.end() == 0
    assert not any(os.path.exists(path) for path in paths)


def test_wrong_options(_):
    for text, option in [
            ("option '--sokcet-path' is not known; did you mean --socket-path?", ["--sokcet-path", "s"]),
            ("option '--wibble' is not known; --help lists them", ["--wibble"]),
            ("option '-q' is not known; --help lists them", ["-q"]),
            ("option '--socket-path' needs PATH", ["--socket-path"]),
            ("option '--socket-path' needs PATH, not an empty text", ["--socket-path", ""]),
            ("option '--once' takes no argument", ["--once=yes"]),
            ("option '--fd': 'three' is not a number", ["--fd", "three"]),
            ("option '--fd': 99999999999 is out of range, 0 to 2147483647", ["--fd", "99999999999"]),
            ("where do front ends come from? Give --socket-path PATH or --fd N, or, for a client of "
             "vfio-user, --vfio-user PATH, or --vduse NAME for this kernel", []),
            ("--vduse and --socket-path exclude each other", ["--vduse", "n", "--socket-path", "s"]),
            ("--vduse-account is nothing without --vduse NAME", ["--vduse-account", "f"]),
            ("--socket-path and --fd exclude each other", ["--socket-path", "s", "--fd", "0"])]:
        refused(2, "vireo serve caesar: " + text, "serve", "caesar", *option)


def test_missing_image(_):
    for name in ("absent.img", "no/such/folder.img"):
        refused(1, f"vireo serve blk: image '{name}' doesn't exist; make one, for example with "
                "truncate -s 1G", "serve", "blk", "--socket-path", "s", "path=" + name)
    assert os.listdir(".") == []


def test_directory_as_image(_):
    os.mkdir("folder")
    refused(1, "vireo serve blk: image 'folder' is a directory; give a regular file or a block device",
            "serve", "blk", "--socket-path", "s", "path=folder")
    assert os.listdir(".") == ["folder"]


def test_no_image(_):
    refused(1, "vireo serve blk: backend 'file' needs a path, for example path=disk.img",
            "serve", "blk", "--socket-path", "s")
    assert os.listdir(".") == []


def test_socket_in_use(_):
    with Daemon("adder", "--socket-path", "s", "--once") as first:
        refused(1, "vireo serve adder: socket 's' is in use by another process",
                "serve", "adder", "--socket-path", "s")
        # With --once the first would be gone had it taken that for a front end.
        with connect("s") as client:
            assert features(client)
        assert first.wait() == 0
        assert "connection 1 begins" in first.said() and "connection 2" not in first.said(), first.said()


def test_no_socket_at_path(_):
    with open("notes", "w", encoding="ascii") as file:
        file.write("keep me")
    text = "vireo serve adder: '{}' exists and is no socket; move it or choose another path"
    refused(1, text.format("notes"), "serve", "adder", "--socket-path", "notes")
    with open("notes", encoding="ascii") as file:
        assert file.read() == "keep me"
    os.mkdir("folder")
    refused(1, text.format("folder"), "serve", "adder", "--socket-path", "folder")
    os.symlink("nowhere", "link")
    refused(1, text.format("link"), "serve", "adder", "--socket-path", "link")
    assert sorted(os.listdir(".")) == ["folder", "link", "notes"]


def test_control_path_taken(_):
    with open("s.control", "w", encoding="ascii"):
        pass
    refused(1, "vireo serve adder: 's.control' exists and is no socket; move it or choose another path",
            "serve", "adder", "--socket-path", "s")
    assert os.listdir(".") == ["s.control"], "the other socket stayed behind"


def test_stale_socket(_):
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind("s")
    stale.close()
    with Daemon("adder", "--socket-path", "s") as daemon:
        with connect("s") as client:
            assert features(client)
        assert daemon.end() == 0
    assert os.listdir(".") == []


def test_live_datagram_socket(_):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind("s")
        refused(1, "vireo serve adder: socket 's' is in use by another process",
                "serve", "adder", "--socket-path", "s")


def test_long_path(_):
    path = "x" * 120
    refused(1, f"vireo serve adder: socket path '{'x' * 40}...' is 120 bytes long; the system's limit is 107",
            "serve", "adder", "--socket-path", path)


def test_folder_missing(_):
    refused(1, "vireo serve adder: can't listen on socket 'no/s': No such file or directory",
            "serve", "adder", "--socket-path", "no/s")


def test_bad_descriptors(_):
    refused(1, "vireo serve adder: option '--fd': descriptor 99 is not open", "serve", "adder", "--fd", "99")
    refused(1, "vireo serve adder: option '--fd': descriptor 0 is no Unix socket",
            "serve", "adder", "--fd", "0")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as inet, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram, \
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as idle:
        for sock, what in [(inet, "is no Unix socket"), (datagram, "is no stream socket"),
                           (idle, "neither listens nor is connected")]:
            fd = sock.fileno()
            refused(1, f"vireo serve adder: option '--fd': descriptor {fd} {what}",
                    "serve", "adder", f"--fd={fd}", pass_fds=[fd])


def test_listening_descriptor(_):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind("s")
        listener.listen()
        fd = listener.fileno()
        with Daemon("adder", f"--fd={fd}", "--control-path", "c", pass_fds=[fd]) as daemon:
            for _ in range(3):
                with connect("s") as client:
                    assert features(client)
            assert daemon.end() == 0
    assert os.listdir(".") == ["s"], "a socket that somebody else made is not ours to remove"


def test_connected_descriptor(_):
    ours, theirs = socket.socketpair()
    ours.settimeout(WAIT_S)
    with ours, theirs:
        with Daemon("adder", f"--fd={theirs.fileno()}", "--control-path", "c",
                    pass_fds=[theirs.fileno()]) as daemon:
            theirs.close()
            assert features(ours)
            ours.close()
            assert daemon.wait() == 0


def test_ends_on_signals(_):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Daemon("adder", "--socket-path", "s") as daemon:
            with connect("s") as client:
                assert features(client)
                assert daemon.end(number) == 0, daemon.said()
                assert client.recv(1) == b""
        assert os.listdir(".") == []


def test_leaves_anothers_socket(_):
    with Daemon("adder", "--socket-path", "s") as daemon:
        os.unlink("s")
        with open("s", "w", encoding="ascii") as file:
            file.write("new owner")
        assert daemon.end() == 0
    with open("s", encoding="ascii") as file:
        assert file.read() == "new owner"


def test_killed_and_restarted(_):
    for _ in range(2):
        with Daemon("adder", "--socket-path", "s") as daemon:
            with connect("s") as client:
                assert features(client)
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        assert sorted(os.listdir(".")) == ["s", "s.control"]


def test_reconnects(_):
    with Daemon("adder", "--reconnect", "--socket-path", "s") as daemon:
        for _ in range(10):
            with connect("s") as client:
                assert features(client)
        until(lambda: "connection 10 ends" in daemon.said(), "the last connection to end")
        assert json.loads(control("s", "status")[3:])["connections"] == 10
        assert daemon.end() == 0


def test_once(_):
    with Daemon("adder", "--once", "--socket-path", "s") as daemon:
        with connect("s") as client:
            assert features(client)
        assert daemon.wait() == 0
    assert os.listdir(".") == []


def test_next_front_end_waits(_):
    with Daemon("adder", "--socket-path", "s") as daemon:
        with connect("s") as first, connect("s") as second:
            assert features(first)
            second.sendall(b"".join(word.to_bytes(4, "little") for word in (GET_FEATURES, 1, 0)))
            second.settimeout(0.3)
            try:
                assert not second.recv(1), "served two at once"
                raise AssertionError("the second front end was sent away")
            except socket.timeout:
                pass
            assert features(first)
            first.close()
            second.settimeout(WAIT_S)
            assert len(second.recv(20)) > 0
        assert daemon.end() == 0


def test_rude_front_ends(_):
    """hostile: C3 H2: what a peer leaves half said doesn't trouble the next one."""
    with Daemon("adder", "--socket-path", "s") as daemon:
        for bytes_sent in (b"", b"\1", b"\1\0\0\0\1\0\0\0\0\0\0", b"\xff" * 12, b"GET / HTTP/1.0\r\n\r\n"):
            with connect("s") as client:
                client.sendall(bytes_sent)
            with connect("s") as client:
                assert features(client)
        # Replies that nobody is there to read.
        with connect("s") as client:
            client.sendall(b"".join(word.to_bytes(4, "little") for word in (GET_FEATURES, 1, 0)) * 50)
        with connect("s") as client:
            assert features(client)
        assert daemon.end() == 0, daemon.said()


def test_log_is_bounded(_):
    with Daemon("adder", "--socket-path", "s", "--log", "log") as daemon:
        for _ in range(100):
            with connect("s") as client:
                assert features(client)
        assert daemon.end() == 0
    with open("log", encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert 10 < len(lines) < 60, len(lines)
    assert re.search(r"^vireo serve adder: \d+ lines more were not written$", lines[-1]), lines[-1]


def test_unwritable_log(_):
    refused(1, "vireo serve adder: can't write the log 'no/log': No such file or directory",
            "serve", "adder", "--socket-path", "s", "--log", "no/log")


def test_capabilities(_):
    expected = {"blk": ("block", ["blk-file", "read-only"]), "rng": ("rng", []), "adder": ("adder", []),
                "caesar": ("caesar", [])}
    for name, (kind, features_expected) in expected.items():
        status, out, err = run("serve", name, "--print-capabilities")
        assert status == 0 and err == "", err
        found = json.loads(out)
        assert found["type"] == kind and sorted(found["features"]) == features_expected, found


def test_conventions(_):
    """As the tools that read the discovery file run it: by a name, with --blk-file and --read-only."""
    with open("disk", "wb") as file:
        file.truncate(1 << 20)
    os.symlink(os.path.abspath(VIREO), "vireo-blk")
    status, out, _ = run("--print-capabilities", program="./vireo-blk")
    assert status == 0 and json.loads(out)["type"] == "block"
    arguments = ("--socket-path", "s", "--blk-file", "disk", "--read-only")
    with Daemon(*arguments, program="./vireo-blk") as daemon:
        with connect("s") as client:
            assert features(client) >> 5 & 1, "VIRTIO_BLK_F_RO is not offered"
        assert control("s", "get path") == "ok disk"
        assert control("s", "get readonly") == "ok on"
        assert daemon.end() == 0


def test_set_and_get(_):
    with Daemon("caesar", "--socket-path", "s", "shift=7") as daemon:
        assert run("get", "--socket-path", "s", "shift") == (0, "7\n", "")
        assert run("set", "--socket-path", "s", "shift=13", "mode=decipher") == (0, "", "")
        assert run("get", "--socket-path", "s", "shift", "mode") == (0, "13\ndecipher\n", "")
        assert run("get", "--control-path", "s.control", "shift") == (0, "13\n", "")
        refused(1, "vireo set: property 'shift': 26 is out of range, 0 to 25",
                "set", "--socket-path", "s", "shift=26")
        refused(1, "vireo set: property 'queue-size' can't be changed while the device is served",
                "set", "--socket-path", "s", "queue-size=16")
        refused(1, "vireo set: 'shift' is not a property; write NAME=VALUE",
                "set", "--socket-path", "s", "shift")
        status, _, err = run("get", "--socket-path", "s", "shft")
        assert status == 1 and "'shft' is not known (did you mean 'shift'?)" in err, err
        assert run("get", "--socket-path", "s", "shift") == (0, "13\n", "")
        status, out, _ = run("status", "--socket-path", "s")
        found = json.loads(out)
        assert status == 0 and found["type"] == "caesar" and found["connected"] is False, found
        assert found["properties"]["shift"] == "13" and found["engine"] in ("io_uring", "epoll"), found
        assert daemon.end() == 0
    refused(1, "vireo get: control socket 's.control': No such file or directory",
            "get", "--socket-path", "s", "shift")
    refused(2, "vireo get: which device? Give --socket-path PATH as it was given to serve", "get", "shift")
    refused(2, "vireo set: NAME=VALUE is missing", "set", "--socket-path", "s")
    refused(2, "vireo status: 'now' is one argument too many", "status", "--socket-path", "s", "now")


def test_runtime_backend_property(_):
    with open("disk", "wb") as file:
        file.truncate(1 << 20)
    with Daemon("blk", "--socket-path", "s", "path=disk") as daemon:
        refused(1, "vireo set: property 'path' can't be changed while the device is served",
                "set", "--socket-path", "s", "path=other")
        assert daemon.end() == 0


def test_stat(_):
    disk = ["backend=memory", "size=1M", "num-queues=2", "iops=1000"]
    with Daemon("blk", "--socket-path", "s", *disk) as daemon:
        assert run("stat", "--json", "s") == (0, "[{},{}]\n", "")
        assert run("blk", "s", "read", "--length", "64K")[0] == 0
        status, out, _ = run("stat", "--json", "s")
        queues = json.loads(out)
        assert status == 0 and len(queues) == 2 and queues[1] == {}, queues
        read = queues[0]["read"]
        assert read["bytes"] == 65536 and read["errors"] == 0 and read["requests"] >= 1, read
        assert sum(count for _, count in read["latency-ns"]) == read["requests"], read
        status, out, _ = run("stat", "s")
        rows = [line.split() for line in out.splitlines()]
        assert status == 0 and rows[0][:3] == ["queue", "kind", "requests"], rows
        assert rows[1][:5] == ["0", "read", str(read["requests"]), "0", "65536"], rows
        assert run("stat", "--control-path", "s.control", "--json")[0] == 0
        assert run("set", "--socket-path", "s", "iops=0", "bps=64M") == (0, "", "")
        assert run("get", "--socket-path", "s", "iops", "bps") == (0, "0\n64M\n", "")
        assert daemon.end() == 0
    refused(1, "vireo stat: control socket 's.control': No such file or directory", "stat", "s")
    refused(2, "vireo stat: which device? Give one SOCKET, as it was given to serve", "stat")
    with Daemon("adder", "--socket-path", "s"):
        status, _, err = run("stat", "s")
        assert status == 1 and "'statistics' is not known" in err, err


def test_control_clients(_):
    with Daemon("caesar", "--socket-path", "s") as daemon:
        assert stat.S_IMODE(os.stat("s.control").st_mode) == 0o600
        assert control("s", "frobnicate").startswith("error 'frobnicate' is not known; there are set ")
        assert control("s", "") == "error '' is not known; there are set NAME=VALUE, get NAME and status"
        with connect("s.control") as client:
            client.sendall(b"x" * 5000)
            reply = client.recv(100)
            assert reply == b"error the line is too long\n", reply
        # A line in pieces, and two at once.
        with connect("s.control") as client:
            client.sendall(b"get sh")
            time.sleep(0.05)
            client.sendall(b"ift\nget mode\n")
            reply = b""
            while reply.count(b"\n") < 2:
                reply += client.recv(100)
            assert reply == b"ok 3\nok encipher\n", reply
        # Many that say nothing don't shut others out.
        idle = [connect("s.control") for _ in range(50)]
        assert control("s", "get shift") == "ok 3"
        for client in idle:
            client.close()
        assert daemon.end() == 0


def test_slow_control_clients(_):
    """Whoever reads late gets all of it, and whoever never reads holds up nobody else."""
    disk = ["backend=memory", "size=1M", "num-queues=256"]
    lines, at_once = 2000, 150
    with Daemon("blk", "--socket-path", "s", *disk) as daemon:
        deaf = [connect("s.control") for _ in range(2)]
        for client in deaf:
            client.setblocking(False)
            client.send(b"statistics\n" * (lines // 2))
        with connect("s.control") as client:
            client.setblocking(False)
            sent = 0
            # It says more than the answers find room for, and only then begins to listen.
            while sent < lines * 11:
                try:
                    sent += client.send((b"statistics\n" * at_once)[sent % 11:lines * 11 - sent])
                except BlockingIOError:
                    break
            time.sleep(0.5)
            assert control("s", "get readonly") == "ok off"
            client.settimeout(WAIT_S)
            reply = b""
            while reply.count(b"\n") < sent // 11:
                more = client.recv(65536)
                assert more, f"hung up after {len(reply)} bytes"
                reply += more
            assert len(reply) > 1 << 20 and set(reply.split(b"\n")[:sent // 11]) == \
                {b"ok [" + b",".join([b"{}"] * 256) + b"]"}
        # A place that is needed is taken from the oldest.
        idle = [connect("s.control") for _ in range(20)]
        assert control("s", "get readonly") == "ok off"
        for client in deaf + idle:
            client.close()
        assert daemon.end() == 0


def test_out_of_descriptors(_):
    """hostile: H8: without descriptors it waits instead of spinning, and goes on when there are some."""
    def processor_s(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with Daemon("adder", "--socket-path", "s") as daemon:
        # Room for one front end, and for nobody who wants to control it.
        used = max(map(int, os.listdir(f"/proc/{daemon.process.pid}/fd"))) + 1
        before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (used + 1, before[1]))
        with connect("s") as client:
            assert features(client)
            with connect("s.control") as other:
                other.sendall(b"get id\n")
                until(lambda: "can't accept a connection: Too many open files" in daemon.said(), "complaint")
                spent = processor_s(daemon.process.pid)
                time.sleep(1)
                assert processor_s(daemon.process.pid) - spent < 0.3, "it spins"
                assert features(client)
                client.close()
                assert other.recv(100) == b"ok 60\n"
        # A sanitizer looks around at the end, and needs some for that.
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)
        assert daemon.end() == 0


def test_list(_):
    status, out, _ = run("list")
    names = [line.split()[0] for line in out.splitlines()]
    assert status == 0 and names == TYPES, out
    status, out, _ = run("list", "--json")
    types = json.loads(out)
    assert [kind["name"] for kind in types] == TYPES
    for kind in types:
        status, out, _ = run("list", kind["name"])
        names = [item["name"] for item in kind["properties"]]
        assert status == 0 and len(set(names)) == len(names), names
        for item in kind["properties"]:
            assert re.search(rf"^{re.escape(item['name'])}\s.*{re.escape(item['help'])}", out, re.M), item
    refused(2, "vireo list: one type at a time, not 2", "list", "blk", "rng")


def test_documents_agree(_):
    """Help, manual and completion come from one table."""
    _, words, _ = run("document", "completion-bash")
    assert subprocess.run(["bash", "-n"], input=words, text=True, check=False).returncode == 0
    for command in ("list", "boot", "set", "get", "status", "serve"):
        status, shown, err = run(command, "--help")
        assert status == 0 and err == "", (command, err)
        options = re.findall(r"--([a-z-]+)", shown.split("options:")[1])
        assert "help" in options, shown
        _, manual, _ = run("document", "options", command)
        for option in options:
            if re.search(rf"^ +(?:-., )?--{option}\b", shown, re.M):
                assert "--" + option in words, option
                assert "\\-\\-" + option.replace("-", "\\-") in manual, option
    _, manual, _ = run("document", "types")
    for kind in json.loads(run("list", "--json")[1]):
        for item in kind["properties"]:
            assert "\\fB" + item["name"].replace("-", "\\-") + "\\fR" in manual, item
            assert f" {item['name']}=" in words, item


def test_completion(_):
    script = run("document", "completion-bash")[1]

    def complete(*words):
        shell = script + "\nCOMP_WORDS=(vireo " + " ".join(f"'{word}'" for word in words) + ")\n" \
            f"COMP_CWORD={len(words)}\n" "compopt() { :; }\n_vireo\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
        done = subprocess.run(["bash", "-c", shell], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.split()

    assert complete("ser") == ["serve"]
    assert complete("serve", "ca") == ["caesar"]
    assert complete("serve", "caesar", "sh") == ["shift="]
    assert complete("serve", "blk", "--onc") == ["--once"]
    assert "--root-image" in complete("boot", "--roo")


def test_example_adder(_):
    """examples/adder is a whole daemon in one small file."""
    status, out, _ = run("--help", program=ADDER)
    assert status == 0 and "--socket-path" in out and "queue-size=" in out, out
    status, out, _ = run("--print-capabilities", program=ADDER)
    assert status == 0 and json.loads(out) == {"type": "adder", "features": []}
    status, out, _ = run("--print-manual", program=ADDER)
    assert status == 0 and ".SH PROPERTIES" in out and "socket\\-path" in out
    with Daemon("--socket-path", "s", program=ADDER) as daemon:
        with connect("s") as client:
            assert features(client) >> 32 & 1, "VIRTIO_F_VERSION_1 is not offered"
        assert daemon.end() == 0


def test_boot_arguments(_):
    with open("init", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")
    for status, text, arguments in [
            (2, "what shall run in the guest? Give one of --init SCRIPT or --shell", []),
            (2, "what shall run in the guest? Give either --init SCRIPT or --shell",
             ["--init", "init", "--shell"]),
            (2, "'init' is no option; --help lists them", ["--shell", "init"]),
            (1, "option '--init': 'absent': No such file or directory", ["--init", "absent"]),
            (2, "option '--init': '.' is a directory", ["--init", "."]),
            (2, "option '--root': 'init' is no directory", ["--init", "init", "--root", "init"]),
            (2, "--root and --root-image exclude each other",
             ["--shell", "--root", ".", "--root-image", "init"]),
            (1, "option '--module': 'm.ko': No such file or directory",
             ["--init", "init", "--module", "m.ko"]),
            (2, "option '--env': '1=2' is not NAME=VALUE", ["--init", "init", "--env", "1=2"]),
            (2, "option '--vmm': 'xen' is not known; there is: uml, qemu",
             ["--init", "init", "--vmm", "xen"]),
            (1, "kernel 'absent/linux' can't be executed: No such file or directory",
             ["--init", "init", "--kernel", "absent/linux"]),
            (2, "option '--memory': 1M is out of range, 33554432 to 1099511627776 bytes",
             ["--init", "init", "--memory", "1M"])]:
        refused(status, "vireo boot: " + text, "boot", *arguments)


def test_boot_refuses_devices(directory):
    """A device that can't start ends it before the kernel starts, and nothing stays behind."""
    with open("init", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")
    os.mkdir("tmp")
    environment = dict(os.environ, TMPDIR=os.path.join(directory, "tmp"))

    def boot(*devices):
        words = [word for device in devices for word in ("--device", device)]
        return run("boot", "--kernel", "/bin/true", "--init", "init", *words, env=environment)

    status, _, err = boot("caesar,shift=99")
    assert status == 2 and err == "vireo serve caesar: property 'shift': 99 is out of range, 0 to 25\n" \
        "vireo boot: device caesar0 didn't start\n", (status, err)
    status, _, err = boot("blc,path=x")
    assert status == 2 and "device type 'blc' is not known; did you mean 'blk'?" in err, (status, err)
    status, _, err = boot("adder", "blk,path=absent.img")
    assert status == 1 and "absent.img" in err and "device blk0 didn't start" in err, (status, err)
    status, _, err = boot("adder")
    assert status == 125 and "the guest ended early, by status 0" in err, (status, err)
    assert os.listdir("tmp") == [], os.listdir("tmp")


def main():
    cases = tap.named(globals(), "test_")
    return tap.run({name: lambda case=case: case(os.getcwd()) for name, case in cases.items()
                    if not sys.argv[3:] or name in sys.argv[3:]})


if __name__ == "__main__":
    VIREO, ADDER = os.path.abspath(VIREO), os.path.abspath(ADDER)
    sys.exit(main())
