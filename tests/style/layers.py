#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who may include whom: every #include in src/ and include/vireo/ looks down, and never sideways.

  tests/style/layers.py [ROOT]

  spec < base < memory < ring < {driver, device} < {transport, drivers, devices, host} < link <
  {daemon, client} < cli

Siblings do not see each other, nor does one device type see another. The tables below are the whole law.
"""

import os
import re
import sys

import tree

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>]+)>|"([^"]+)")', re.M)

# What a layer may see beside itself.
RINGS = ["spec", "base", "memory", "ring"]
BELOW = {
    "spec": [],
    "base": ["spec"],
    "memory": ["spec", "base"],
    # Frames: what is in them, checksums, segments.
    "network": ["spec", "base", "memory"],
    "ring": ["spec", "base", "memory"],
    "driver": RINGS,
    "device": RINGS,
    # The kernel's names of headers, for drivers that include them.
    "linux-compat": ["spec", "driver"],
    "transport": RINGS + ["driver", "device"],
    # A protocol that carries registers instead of queues stands on a transport's model of them.
    "link": RINGS + ["driver", "device", "transport"],
    "drivers": RINGS + ["driver"],
    "devices": RINGS + ["network", "device"],
    "host": RINGS + ["network", "driver", "device"],
    # Programs in one call: the only code of the library that knows links, host and device types alike.
    "daemon": RINGS + ["network", "device", "devices", "link", "host"],
    # The other half: a device of somebody else's for a program.
    "client": RINGS + ["driver", "drivers", "link", "host"],
}

# In a file of this name only one of the two roles exists; only loopback brings both together.
ROLE_FILES = {"device.c": "driver", "backend.c": "driver", "driver.c": "device", "frontend.c": "device"}

# Folders of which every subfolder is a sibling to the others.
WINGS = ["transport", "link", "drivers", "devices"]

# A type that is another one and more may see that one.
MORE = {("drivers/vssd", "drivers/blk")}

# The layer of each public header; those in these folders are of the layer of that name.
PUBLIC_FOLDERS = ["spec", "devices", "drivers", "linux-compat"]
PUBLIC = {
    "base.h": "base",
    "config.h": "base",
    "fault.h": "base",
    "features.h": "base",
    "property.h": "base",
    "state.h": "base",
    "memory.h": "memory",
    "drvq.h": "ring",
    "devq.h": "ring",
    "driver.h": "driver",
    "platform.h": "driver",
    "linux.h": "driver",
    "linux_base.h": "driver",
    "linux_config.h": "driver",
    "device.h": "device",
    # What a device asks of the system under it, as tables of operations that host fills in.
    "block.h": "device",
    "network.h": "network",
    "frame.h": "network",
    "entropy.h": "base",
    "terminal.h": "base",
    "events.h": "base",
    "watch.h": "base",
    "mmio.h": "transport",
    "pci.h": "transport",
    "ccw.h": "transport",
    "pci_bus.h": "transport",
    "loopback.h": "transport",
    "guard.h": "link",
    "vfio_user.h": "link",
    "vhost_user.h": "link",
    "vhost_user_frontend.h": "link",
    "vhost_kernel.h": "link",
    "vduse.h": "link",
    "vdpa.h": "link",
    "crew.h": "host",
    "loop.h": "host",
    "host.h": "host",
    "host_network.h": "host",
    "host_terminal.h": "host",
    "host_events.h": "host",
    "options.h": "daemon",
    "daemon.h": "daemon",
    "client.h": "client",
}

# A C compiler has these without a C library; string.h, cut to four functions, is src/base/freestanding's.
FREESTANDING = {"float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h",
                "stddef.h", "stdint.h", "stdnoreturn.h", "string.h"}
# The wire layouts are those of Vireo's own Linux modules too.
EXCEPTIONS = {("include/vireo/spec/types.h", "linux/types.h")}
FREESTANDING_LAYERS = {"spec", *tree.CORE_FOLDERS}


def layer_of(path):
    """The layer of a file of this tree, or None where the law does not reach (tests, guest, examples)."""
    parts = path.split("/")
    if parts[:2] == ["include", "vireo"]:
        if len(parts) > 3 and parts[2] in PUBLIC_FOLDERS:
            return parts[2]
        return PUBLIC.get("/".join(parts[2:]), "unknown")
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    return None


def wing_of(path):
    """devices/blk of src/devices/blk/blk.c and its header; None for files that all of a layer share."""
    parts = path.removeprefix("src/").removeprefix("include/vireo/").removesuffix(".h").split("/")
    deep_enough = len(parts) > 2 or path.startswith("include/") and len(parts) > 1
    return "/".join(parts[:2]) if parts[0] in WINGS and deep_enough else None


def resolve(root, path, system, quoted):
    """The included file as a path from the root, or None if it is not of this tree."""
    if system:
        return f"include/{system}" if system.startswith("vireo/") else None
    for folder in (os.path.dirname(path), "src", "include"):
        candidate = os.path.normpath(os.path.join(folder, quoted))
        if os.path.exists(os.path.join(root, candidate)):
            return candidate
    return f"src/{quoted}" if quoted.split("/")[0] in BELOW else quoted


def judge_include(root, path, system, quoted):
    """A complaint, or None."""
    layer = layer_of(path)
    target = resolve(root, path, system, quoted)
    if target is None:
        known = system in FREESTANDING or (path, system) in EXCEPTIONS
        if layer in FREESTANDING_LAYERS and not known:
            return (f"<{system}> belongs to a C library or system; {layer} is freestanding and has "
                    f"{', '.join(sorted(FREESTANDING))} only")
        return None
    if quoted and target.startswith("include/"):
        return f"'{quoted}' is public; write <{target[len('include/'):]}>"
    below = layer_of(target)
    if below == "unknown":
        return f"<{system}> has no layer; give it one in PUBLIC in tests/style/layers.py"
    if below is None:
        return f"'{quoted}' is neither in src/ nor in include/vireo/; include what stands there"
    if layer == "cli":
        if target.startswith("src/") and below != "cli":
            return f"'{quoted}' is private to {below}; the command uses public headers only"
        return None
    if below != layer and below not in BELOW[layer]:
        return f"{layer} may not include {below} ({target}); it sees {', '.join(BELOW[layer]) or 'nothing'}"
    return judge_sideways(path, layer, target, below)


def judge_sideways(path, layer, target, below):
    ours, theirs = wing_of(path), wing_of(target)
    if ours and theirs and ours != theirs and not ours.endswith("/loopback") and (ours, theirs) not in MORE:
        return f"{ours} may not include {theirs} ({target}): siblings do not see each other"
    if target.startswith("src/") and path.startswith("include/"):
        return f"a public header may not include {target}"
    role = ROLE_FILES.get(os.path.basename(path))
    if role == below and layer in ("transport", "link") and ours and not ours.endswith("/loopback"):
        return f"this half has nothing to do with {below} ({target}); the other half has"
    return None


def judge(root):
    """{rule: [complaint, ...]}"""
    results = {"every include looks down": [], "every layer is known": []}
    for file in tree.files(root):
        if not file.is_c or file.is_test or not file.path.startswith(("src/", "include/vireo/")):
            continue
        layer = layer_of(file.path)
        if layer is None or layer not in list(BELOW) + ["cli"]:
            results["every layer is known"].append(
                f"{file.path}:1: of no layer; put it into a folder of src/, or a public header into "
                "PUBLIC in tests/style/layers.py")
            continue
        for match in INCLUDE.finditer(file.text):
            complaint = judge_include(root, file.path, match.group(1), match.group(2))
            if complaint:
                line = file.text.count("\n", 0, match.start()) + 1
                results["every include looks down"].append(f"{file.path}:{line}: {complaint}")
    return results


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(tree.tap(judge(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else f"{here}/../.."))))
