#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The commands that drive a served device, against Vireo's daemons or against qemu-storage-daemon.

  tests/frontend/clients.py VIREO own BLK_CLIENT NET_CLIENT
  tests/frontend/clients.py VIREO qemu BLK_CLIENT

Prints TAP; ends with 77 where QEMU's daemon isn't there.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
import tap  # pylint: disable=wrong-import-position

VIREO = os.path.abspath(sys.argv[1])
BLK_CLIENT = os.path.abspath(sys.argv[3])
NET_CLIENT = os.path.abspath(sys.argv[4]) if len(sys.argv) > 4 else None
# Features by number, to be left out.
INDIRECT_DESC, EVENT_IDX, RING_PACKED, IN_ORDER = 28, 29, 34, 35
# Ends what hangs; whatever works may take as long as the machine lets it.
WAIT_S = 300
# Questions in the meantime are so many and no more, as each is a process that takes its time from the work.
QUESTIONS = 20
QEMU = "qemu-storage-daemon"
EXPORT = "type=vhost-user-blk,id=e,addr.type=unix,addr.path=socket"


def run(*arguments, status=0, **more):
    """What the command says on standard output, as bytes; or on standard error if it was to fail."""
    more = more or {"stdin": subprocess.DEVNULL}
    done = subprocess.run([VIREO, *arguments], capture_output=True, timeout=WAIT_S, check=False, **more)
    assert done.returncode == status, f"{arguments}: status {done.returncode}: {done.stderr}"
    return done.stderr.decode() if status else done.stdout


def listens(path):
    """There is a moment between a socket's coming into being and its being served."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


class Server:
    """A daemon, from the moment that its socket is served."""

    def __init__(self, path, *words):
        with open("server.log", "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=log)
        for _ in range(WAIT_S * 100):
            if self.serves() if words[0] == VIREO else listens(path):
                return
            assert self.process.poll() is None, f"{words} ended"
            time.sleep(0.01)
        raise AssertionError(f"{words}: no socket")

    @staticmethod
    def serves():
        """Ours says so, and would take who only looks for a front end."""
        with open("server.log", "rb") as log:
            return b" serves " in log.read()

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def serve(kind, *more):
    return Server("socket", VIREO, "serve", kind, "--socket-path", "socket", *more)


def drive_disk():
    """Writes, reads back, and sees that nothing else changed."""
    pattern = os.urandom(200 * 1024)
    run("blk", "socket", "write", "--offset", "4096", input=pattern)
    assert run("blk", "socket", "read", "--offset", "4K", "--length", "200K") == pattern
    whole = run("blk", "socket", "read")
    assert whole == bytes(4096) + pattern + bytes((1 << 20) - 4096 - len(pattern))
    with open("disk.img", "rb") as file:
        assert file.read() == whole
    run("blk", "socket", "write", "--offset", "1044480", input=b"x" * 4096)
    assert b"1048576" in run("blk", "socket", "info")
    said = run("blk", "socket", "write", "--offset", "1044480", input=b"x" * 8192, status=1)
    assert "write: value out of range" in said, said
    said = run("blk", "socket", "write", input=b"x" * 513, status=1)
    assert "1 bytes that are no whole sector" in said, said
    said = run("blk", "socket", "write", "--length", "1024", input=b"x" * 512, status=1)
    assert "512 bytes early" in said, said


def probe_disk():
    report = json.loads(run("probe", "socket", "--type", "blk", "--json"))
    assert report["type"] == "blk" and report["id"] == 2 and report["config"]["capacity"] == 2048, report
    assert "VERSION_1" in report["features"] and "FLUSH" in report["features"], report
    assert "CONFIG" in report["protocol-features"], report
    return report


def make_disk():
    with open("disk.img", "wb") as file:
        file.truncate(1 << 20)


def verify_disk(queues, *without):
    """Many requests at once on each queue, with every byte compared by the client and in the file."""
    with open("should.img", "wb") as should:
        words = [BLK_CLIENT, "socket", str(queues), *map(str, without)]
        done = subprocess.run(words, timeout=WAIT_S, check=False, stdout=should, stderr=subprocess.PIPE)
    assert done.returncode == 0, (words, done.stderr)
    accepted = int(done.stderr.split()[-1], 16)
    assert not any(accepted >> feature & 1 for feature in without), hex(accepted)
    with open("should.img", "rb") as should, open("disk.img", "rb") as disk:
        assert should.read() == disk.read()
    return accepted


def own_verify():
    """The whole of it with and without each ring option, by one queue and by four."""
    options = [(), (EVENT_IDX,), (INDIRECT_DESC,), (EVENT_IDX, INDIRECT_DESC)]
    for queues in (1, 4):
        for packed in ((), (RING_PACKED,)):
            for without in options:
                with open("disk.img", "wb") as file:
                    file.truncate(4 << 20)
                with serve("blk", "path=disk.img", f"num-queues={queues}"):
                    accepted = verify_disk(queues, *without, *packed)
                for feature in (EVENT_IDX, INDIRECT_DESC):
                    assert (accepted >> feature & 1) == (feature not in without), hex(accepted)


def own_threads():
    """Queues served by several threads, some of them polling, while others ask what they have done."""
    for backend in (["path=disk.img"], ["backend=memory", "size=4M"]):
        for options in (["--threads", "1"], ["--threads", "2"], ["--threads", "3", "--poll-us", "100"],
                        ["--threads", "2", "--no-uring"], ["--poll-us", "100"]):
            with open("disk.img", "wb") as file:
                file.truncate(4 << 20)
            ended = threading.Event()

            def ask():
                for _ in range(QUESTIONS):
                    counted.append(json.loads(run("stat", "--json", "socket")))
                    if ended.is_set():
                        break

            counted = []
            with serve("blk", *backend, "num-queues=4", *options):
                asker = threading.Thread(target=ask)
                asker.start()
                try:
                    if backend[0] == "path=disk.img":
                        verify_disk(4)
                    else:
                        subprocess.run([BLK_CLIENT, "socket", "4"], check=True, capture_output=True,
                                       timeout=WAIT_S)
                finally:
                    ended.set()
                    asker.join()
                counted.append(json.loads(run("stat", "--json", "socket")))
            assert all("read" in queue and "write" in queue for queue in counted[-1]), counted[-1]
            total = sum(queue[kind]["requests"] for queue in counted[-1] for kind in ("read", "write"))
            assert total >= 12000 and len(counted) > 1, (total, len(counted))


def own_limits():
    """What several threads take stays below the limit that they share."""
    rate = 6000
    for options in (["--threads", "2"], ["--threads", "3", "--no-uring"], []):
        with open("disk.img", "wb") as file:
            file.truncate(4 << 20)
        with serve("blk", "path=disk.img", "num-queues=4", f"iops={rate}", "bps=1G", *options):
            begun = time.monotonic()
            verify_disk(4)
            queues = json.loads(run("stat", "--json", "socket"))
            elapsed = time.monotonic() - begun
            total = sum(kind["requests"] for queue in queues for kind in queue.values())
            assert 6000 <= total <= rate * (elapsed + 0.1) + 1, (options, total, elapsed)
            assert all("read" in queue for queue in queues), queues
            # Off, in other threads than they are kept in.
            run("set", "--socket-path", "socket", "iops=1")
            run("set", "--socket-path", "socket", "iops=0", "bps=0")
            with open("disk.img", "r+b") as file:
                file.write(bytes(4 << 20))
            verify_disk(4)


def own_growth():
    """Threads hear of a new size, too."""
    with open("disk.img", "wb") as file:
        file.truncate(1 << 20)
    with serve("blk", "path=disk.img", "num-queues=2", "--threads", "2"):
        assert len(run("blk", "socket", "read")) == 1 << 20
        os.truncate("disk.img", 2 << 20)
        for _ in range(WAIT_S * 10):
            if len(run("blk", "socket", "read")) == 2 << 20:
                return
            time.sleep(0.1)
        raise AssertionError("still the old size")


def qemu_verify():
    for queues in (1, 4):
        for without in [(), (EVENT_IDX,), (INDIRECT_DESC,), (EVENT_IDX, INDIRECT_DESC)]:
            with open("disk.img", "wb") as file:
                file.truncate(4 << 20)
            with Server("socket", QEMU, "--blockdev", "driver=file,node-name=f,filename=disk.img",
                        "--export", EXPORT + f",node-name=f,writable=on,num-queues={queues}"):
                verify_disk(queues, *without)


def own_disk():
    make_disk()
    with serve("blk", "path=disk.img"):
        probe_disk()
        drive_disk()


def own_adder():
    with serve("adder"):
        assert run("adder", "socket", "41") == b"42\n"
        assert run("adder", "socket", "0xffffffff") == b"0\n"
        text = run("probe", "socket", "--id", "60").decode()
        assert text.splitlines()[0].split() == ["type", "adder"], text
        assert ["status", "99"] in [line.split() for line in text.splitlines()], text
        # Without a type the bits that all types share have names, and there are no fields.
        report = json.loads(run("probe", "--json", "socket"))
        assert "id" not in report and "config" not in report and report["queues"] == 1, report


def own_caesar():
    with serve("caesar"):
        text = b"Hello, World! " * 1000
        secret = run("caesar", "socket", "encipher", "5", input=text)
        assert secret[:13] == b"Mjqqt, Btwqi!", secret[:13]
        assert run("caesar", "socket", "decipher", "5", input=secret) == text


def own_rng():
    with serve("rng"):
        one, two = run("rng", "socket", "10000"), run("rng", "socket", "10000")
        assert len(one) == len(two) == 10000 and one != two
        assert run("rng", "socket", "0") == b""


def own_net():
    """Our driver and the network that sends every frame back, by one pair of queues and by several."""
    with serve("net", "backend=echo", "mac=52:54:00:00:00:01", "mtu=1500", "pairs=4"):
        report = json.loads(run("probe", "socket", "--type", "net", "--json"))
        assert report["config"]["mac"] == "52:54:00:00:00:01" and report["config"]["mtu"] == 1500, report
        assert report["config"]["max_virtqueue_pairs"] == 4, report
        assert {"MAC", "MQ", "CTRL_VQ", "MRG_RXBUF"} <= set(report["features"]), report
        for pairs in ("1", "4"):
            out = subprocess.run([NET_CLIENT, "socket", pairs], timeout=WAIT_S, check=True,
                                 capture_output=True).stdout.decode()
            assert out.startswith(f"{pairs} pairs of ") and out.endswith("4000 frames\n"), out


def own_probes():
    """Every type that can be served: its configuration has the names that the standard gives it."""
    fields = {"adder": ["status"], "blk": ["capacity", "blk_size", "num_queues"], "caesar": ["shift"],
              "console": ["cols", "rows"], "net": ["mac", "status"], "rng": [],
              "vssd": ["capacity", "total", "provisioned", "target", "block_bytes", "state", "ticket"]}
    for kind, names in fields.items():
        properties = {"blk": ["path=disk.img", "num-queues=2"], "net": ["backend=null"],
                      "vssd": ["path=disk.img", "unit=4K"]}.get(kind, [])
        make_disk()
        with serve(kind, *properties):
            report = json.loads(run("probe", "socket", "--type", kind, "--json"))
            assert report["type"] == kind and "VERSION_1" in report["features"], report
            assert set(names) <= set(report.get("config", {})), report
            if kind == "vssd":
                config = report["config"]
                assert config["state"] == "idle" and "RESIZE" in report["features"], report
                assert config["provisioned"] == config["target"] == config["total"], report


def own_refusals():
    for arguments, text in [
            (["adder", "nowhere", "1"], "socket 'nowhere': No such file or directory"),
            (["probe", "x" * 200], "is no path of a socket"),
            (["probe"], "give one SOCKET"),
            (["probe", "s", "--type", "blc"], "did you mean 'blk'?"),
            (["probe", "s", "--type", "blk", "--id", "2"], "give one of them"),
            (["blk", "s", "erase"], "'erase' is none of read, write and info"),
            (["blk", "s", "read", "--offset", "5"], "must be multiples of 512"),
            (["adder", "s", "-1"], "'-1' is no number from 0 to 4294967295"),
            (["adder", "s", "4294967296"], "is no number"),
            (["rng", "s", "many"], "'many' is no number of bytes"),
            (["caesar", "s", "encipher", "26"], "'26' is no shift from 0 to 25"),
            (["caesar", "s", "guess", "1"], "'guess' is neither encipher nor decipher")]:
        said = run(*arguments, status=1 if "nowhere" in arguments else 2)
        assert text in said, f"{arguments}: {said!r}"


def own_other_device():
    """A driver of another type than what is served finds that out."""
    with serve("rng"):
        assert "socket" in run("blk", "socket", "info", status=1)
        assert run("rng", "socket", "5")


def own_stopped_daemon():
    """A back end that doesn't answer is waited for so long and no longer."""
    with serve("adder") as process:
        process.send_signal(signal.SIGSTOP)
        since = time.monotonic()
        said = run("adder", "socket", "1", status=1)
        assert "no whole reply within 5000 ms" in said and time.monotonic() - since < 20, said


def qemu_disk():
    make_disk()
    with Server("socket", QEMU, "--blockdev", "driver=file,node-name=f,filename=disk.img", "--export",
                EXPORT + ",node-name=f,writable=on,num-queues=2"):
        assert probe_disk()["queues"] == 2
        drive_disk()


def qemu_null():
    with Server("socket", QEMU, "--blockdev", "driver=null-co,node-name=n,size=67108864,read-zeroes=on",
                "--export", EXPORT + ",node-name=n"):
        assert run("blk", "socket", "read", "--length", "1M") == bytes(1 << 20)
        assert "not allowed" in run("blk", "socket", "write", input=bytes(512), status=1)


def main():
    if sys.argv[2] == "qemu" and not shutil.which(QEMU):
        print(f"{QEMU} is absent")
        return 77
    return tap.run(tap.named(globals(), sys.argv[2] + "_"))


if __name__ == "__main__":
    sys.exit(main())
