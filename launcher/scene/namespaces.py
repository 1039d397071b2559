"""Which namespaces a container gets: new ones, another container's, or the host's; pure, and the same
answer for the clone, for the plan and for `--dry-run`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from launcher import syscalls
from launcher.spec import ContainerSpec

NEW: Final = "new"
HOST: Final = "host"
JOINED: Final = "joined"

# In the kernel's names, as below /proc/PID/ns; the order is that of the plan.
FLAGS: Final = {
    "user": syscalls.CLONE_NEWUSER,
    "pid": syscalls.CLONE_NEWPID,
    "mnt": syscalls.CLONE_NEWNS,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
    "net": syscalls.CLONE_NEWNET,
    "cgroup": syscalls.CLONE_NEWCGROUP,
    "time": syscalls.CLONE_NEWTIME,
}
# Which field of a description speaks of which kind.
FIELDS: Final = {"pid": "pid", "uts": "uts", "ipc": "ipc", "net": "network"}
# These come with the clone (or before it); the cgroup namespace follows once the cgroups are joined.
CLONED: Final = ("pid", "mnt", "uts", "ipc", "net")
# With ids of its own, a container's namespaces must belong to its user namespace: that one makes them.
OWNED: Final = ("uts", "ipc", "net")


def source_of(spec: ContainerSpec, kind: str) -> str:
    """`new`, `host`, or `joined` (whose namespace it is comes with the message that starts the container)."""
    if kind == "user":
        return HOST if spec.userns == "host" else NEW
    if kind == "time":
        return NEW if spec.time_offsets else HOST
    if kind == "cgroup":
        return HOST if spec.cgroupns == "host" else NEW
    if kind == "mnt":
        return NEW
    wish = getattr(spec, FIELDS[kind])
    if wish == "host":
        return HOST
    return JOINED if wish == "bridge" or joined_container(wish) else NEW


def joined_container(wish: str) -> str:
    """NAME of `container:NAME`; empty for any other wish."""
    kind, _, name = wish.partition(":")
    return name if kind == "container" else ""


def clone_flags(spec: ContainerSpec, joined: Collection[str] = ()) -> int:
    """What the clone makes: everything new that is not joined."""
    new = (kind for kind in CLONED if kind not in joined and source_of(spec, kind) == NEW)
    return sum(FLAGS[kind] for kind in new)


def describe(spec: ContainerSpec) -> list[str]:
    """For people, in a dry run."""
    by_source = {
        source: [kind for kind in FLAGS if source_of(spec, kind) == source] for source in (NEW, HOST)
    }
    lines = [f"clone the first process into new namespaces: {' '.join(by_source[NEW])}"]
    for kind, field in FIELDS.items():
        if name := joined_container(getattr(spec, field)):
            lines.append(f"join the {kind} namespace of container {name}")
    if shared := [kind for kind in by_source[HOST] if kind not in ("user", "time")]:
        lines.append(f"share with the host: {' '.join(shared)}")
    return lines
