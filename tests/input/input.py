#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The input device in the hands of Linux: events of scripts, in order, and lights.

  tests/input/input.py VIREO - CASE
  tests/input/input.py VIREO EVDEV_IN_GUEST evdev VIREO_IN_GUEST

Exits 0, 1, or 77 with a line that names what is absent.
"""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as boots  # pylint: disable=wrong-import-position

VIREO = boots.VIREO

# Shows what a device is and each of its events, until a key that ends it; with "led" it lights one.
READER = """
cat >reader.py <<'PYTHON'
import fcntl, os, struct, sys
device = os.open("/dev/input/event0", os.O_RDWR)
def ask(number, size):
    buffer = bytearray(size)
    fcntl.ioctl(device, 2 << 30 | size << 16 | ord("E") << 8 | number, buffer)
    return bytes(buffer)
print("name", ask(0x06, 256).rstrip(b"\\0").decode())
print("ids", *struct.unpack("4H", ask(0x02, 8)))
print("properties", ask(0x09, 8).hex())
print("types", ask(0x20, 8).hex())
for kind in (1, 2, 3, 4, 0x11):
    print("codes", kind, ask(0x20 + kind, 96).hex().rstrip("0"))
for axis in range(64):
    if ask(0x23, 8)[axis // 8] >> axis % 8 & 1:
        print("axis", axis, *struct.unpack("6i", ask(0x40 + axis, 24))[1:])
sys.stdout.flush()
if "led" in sys.argv:
    os.write(device, struct.pack("qqHHi", 0, 0, 0x11, 1, 1) + struct.pack("qqHHi", 0, 0, 0, 0, 0))
last = int(sys.argv[1])
count, note = 0, os.open("count", os.O_WRONLY | os.O_CREAT)
os.write(note, b"0")
while True:
    data = os.read(device, 24 * 64)
    for at in range(0, len(data), 24):
        kind, code, value = struct.unpack_from("HHi", data, at + 16)
        print("event", kind, code, value)
        if (kind, code, value) == (1, last, 0):
            sys.exit()
    count += len(data) // 24
    os.pwrite(note, b"%d" % count, 0)
PYTHON
tries=0
while [ ! -e /dev/input/event0 ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
"""


def serve(guest, *words):
    return boots.serve(VIREO, "serve", "input", "--socket-path", guest.path("i.sock"), *words)


def start(guest, arguments):
    return guest.start(READER + f"python3 reader.py {arguments}\n", "--append",
                       f"virtio_uml.device={guest.path('i.sock')}:18")


def shown(text):
    """What the reader showed, as lists of words by their first one."""
    found = {}
    for line in text.splitlines():
        first, *rest = line.split()
        found.setdefault(first, []).append(rest)
    return found


def get(guest, name):
    return subprocess.run([VIREO, "get", "--socket-path", guest.path("i.sock"), name], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def script(guest, lines):
    with open(guest.path("script"), "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return f"path={guest.path('script')}"


def events(found):
    return [tuple(int(word) for word in words) for words in found["event"]]


def read_count(guest):
    try:
        with open(guest.path("count"), encoding="ascii") as file:
            return int(file.read() or 0)
    except FileNotFoundError:
        return -1


def case_keyboard(guest):
    """Thousands of events through a pipe, and a light. A reader in Linux has room for some dozens."""
    os.mkfifo(guest.path("pipe"))
    expected = [(0x11, 1, 1), (0, 0, 0)]
    with serve(guest, "backend=script", f"path={guest.path('pipe')}", "name=a keyboard"):
        process = start(guest, "88 led")
        pipe = os.open(guest.path("pipe"), os.O_RDWR)
        try:
            for batch in range(150):
                boots.until(lambda: read_count(guest) == len(expected) or process.poll() is not None,
                            f"the events before batch {batch}")
                for number in range(10):
                    key = 2 + (batch * 10 + number) // 2 % 50
                    expected += [(1, key, 1 - number % 2), (0, 0, 0)]
                    os.write(pipe, f"EV_KEY {key} {1 - number % 2}\nEV_SYN SYN_REPORT 0\n".encode())
            boots.until(lambda: read_count(guest) == len(expected) or process.poll() is not None, "the end")
            assert get(guest, "leds") == "2"
            os.write(pipe, b"EV_KEY KEY_F12 1\nEV_SYN 0 0\nEV_KEY KEY_F12 0  # the last one\nEV_SYN 0 0\n")
            expected += [(1, 88, 1), (0, 0, 0), (1, 88, 0)]
            assert process.wait(boots.TIMEOUT_S) == 0, guest.said()
        finally:
            os.close(pipe)
        found = shown(guest.said())
        assert found["name"] == [["a", "keyboard"]] and found["ids"] == [["6", "22098", "1", "1"]], found
        assert found["types"] == [["1300120000000000"]], found["types"]
        assert events(found) == expected or report(events(found), expected)
        assert (get(guest, "lost"), get(guest, "unknown")) == ("0", "0")


def report(got, expected):
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    raise AssertionError(f"{len(got)} events, not {len(expected)}; at {at}: {got[at:at + 5]}, "
                         f"not {expected[at:at + 5]}")


def boot_and_write(guest, lines, last, *words):
    """What a reader shows of a script that is written to a pipe once it reads."""
    path = guest.path("pipe")
    os.mkfifo(path)
    if guest.there("count"):
        os.unlink(guest.path("count"))
    with serve(guest, "backend=script", f"path={path}", *words), open(path, "w", encoding="ascii") as pipe:
        process = start(guest, str(last))
        boots.until(lambda: read_count(guest) == 0 or process.poll() is not None, "somebody who reads",
                    boots.TIMEOUT_S)
        pipe.write("".join(f"{line}\n" for line in lines))
        pipe.flush()
        assert process.wait(boots.TIMEOUT_S) == 0, guest.said()
    os.unlink(path)
    return shown(guest.said())


def check_kind(guest, kind, lines, expected, last, axes):
    found = boot_and_write(guest, lines, last, f"kind={kind}")
    assert found["name"] == [["Vireo", kind]], found["name"]
    assert [int(words[0]) for words in found.get("axis", [])] == axes, found.get("axis")
    assert events(found) == expected or report(events(found), expected)


def case_pointers(guest):
    """A mouse and a tablet."""
    check_kind(guest, "mouse",
               ["EV_REL REL_X 5", "EV_REL REL_Y -7", "EV_SYN SYN_REPORT 0", "EV_REL REL_WHEEL 1",
                "EV_SYN 0 0", "EV_KEY BTN_LEFT 1", "EV_SYN 0 0", "EV_KEY BTN_LEFT 0", "EV_SYN 0 0"],
               [(2, 0, 5), (2, 1, -7), (0, 0, 0), (2, 8, 1), (0, 0, 0), (1, 272, 1), (0, 0, 0), (1, 272, 0)],
               272, [])
    check_kind(guest, "tablet",
               ["EV_ABS ABS_X 100", "EV_ABS ABS_Y 32767", "EV_KEY BTN_TOUCH 1", "EV_SYN 0 0",
                "EV_KEY BTN_TOUCH 0", "EV_SYN 0 0"],
               [(3, 0, 100), (3, 1, 32767), (1, 330, 1), (0, 0, 0), (1, 330, 0)], 330, [0, 1])


def case_touches(guest):
    """Two fingers, and a gamepad."""
    check_kind(guest, "multitouch",
               ["EV_ABS ABS_MT_SLOT 0", "EV_ABS ABS_MT_TRACKING_ID 7", "EV_ABS ABS_MT_POSITION_X 10",
                "EV_ABS ABS_MT_SLOT 1", "EV_ABS ABS_MT_TRACKING_ID 8", "EV_ABS ABS_MT_POSITION_X 20",
                "EV_KEY BTN_TOUCH 1", "EV_SYN 0 0", "EV_ABS ABS_MT_TRACKING_ID -1", "EV_KEY BTN_TOUCH 0",
                "EV_SYN 0 0"],
               [(3, 0x39, 7), (3, 0x35, 10), (3, 0x2f, 1), (3, 0x39, 8), (3, 0x35, 20), (1, 330, 1),
                (0, 0, 0), (3, 0x39, -1), (1, 330, 0)], 330, [0, 1, 0x2f, 0x35, 0x36, 0x39])
    check_kind(guest, "gamepad",
               ["EV_ABS ABS_X -32768", "EV_ABS ABS_HAT0X -1", "EV_SYN 0 0", "EV_KEY BTN_SOUTH 1",
                "EV_SYN 0 0", "EV_KEY BTN_SOUTH 0", "EV_SYN 0 0"],
               [(3, 0, -32768), (3, 16, -1), (0, 0, 0), (1, 304, 1), (0, 0, 0), (1, 304, 0)],
               304, [0, 1, 2, 3, 4, 5, 16, 17])


def case_pipe(guest):
    """A pipe, written to while the guest reads; what makes no sense is left out."""
    lines = ["EV_KEY KEY_NONE_SUCH 1", "EV_KEY KEY_A", "EV_KEY KEY_A 1", "EV_SYN 0 0", "EV_KEY KEY_A 0",
             "EV_SYN 0 0"]
    assert events(boot_and_write(guest, lines, 30)) == [(1, 30, 1), (0, 0, 0), (1, 30, 0)]


def case_evdev(guest):
    """A device of uinput's behind our daemon, both in the guest: events, lights, overflow, removal."""
    for program, name in ((sys.argv[4], "vireo"), (sys.argv[2], "evdev")):
        shutil.copy(program, guest.path(name))
    out = guest.boot("./evdev ./vireo /tmp/i.sock\n")
    assert out.endswith("good\n") and "4200 events in order" in out, out


def refuses(*words, why):
    done = subprocess.run([VIREO, "serve", "input", "--socket-path", "/nonexistent/i.sock", *words],
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode in (1, 2) and why in done.stderr, (words, done)


def case_refusals(guest):
    """What can't be is refused with the reason."""
    refuses(why="backend 'evdev' needs a path")
    refuses("path=/dev/null", why="'/dev/null' is no input device")
    refuses("path=/nonexistent", why="can't open the input device '/nonexistent'")
    refuses("--evdev-path", "/dev/null", why="'/dev/null' is no input device")
    refuses("backend=null", "path=/x", why="backend 'null' takes no path, but it is '/x'")
    refuses("backend=script", "path=/nonexistent", why="can't read the script '/nonexistent'")
    refuses("backend=script", "path=/tmp", why="script '/tmp' is a directory")
    refuses("backend=script", "path=-", "loop=on", why="loop needs a file")
    for line, word in (("EV_NONE KEY_A 1", "EV_NONE"), ("EV_KEY KEY_NONE 1", "KEY_NONE"),
                       ("EV_KEY KEY_A one", "one"), ("EV_KEY KEY_A 4294967296", "4294967296"),
                       ("EV_KEY KEY_A", "KEY_A"), ("EV_KEY", "EV_KEY"), ("wait", "wait"),
                       ("wait -1", "-1"), ("32 1 1", "32"), ("EV_KEY KEY_A 1 2", "1")):
        path = script(guest, ["", "EV_KEY KEY_A 1 # is sound", line])
        refuses("backend=script", path, why=f"line 3: '{word}' is not understood")


def main():
    case = globals()[f"case_{sys.argv[3]}"]
    if boots.KERNEL is None and sys.argv[3] != "refusals":
        boots.absent("the test kernel isn't built; run scripts/guest-kernel")
    boots.need("busybox")
    with tempfile.TemporaryDirectory(prefix="vireo-input-") as directory:
        case(boots.Guest(directory))


if __name__ == "__main__":
    main()
