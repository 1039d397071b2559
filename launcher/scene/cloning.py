"""The clone of a container's first process, into the namespaces that its description and the daemon name.

Two kinds cannot be entered by the first process itself: a pid namespace takes only those who are born there,
and the offsets of a time namespace can be written only while it is empty. For these the supervisor changes
what its children get, clones, and changes it back.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Final

from launcher import syscalls
from launcher.scene import namespaces, terminal, userns
from launcher.spec import ContainerSpec

CLOCKS: Final = {"monotonic_sec": "monotonic", "boottime_sec": "boottime"}


def clone_first(
    spec: ContainerSpec, offsets: Mapping[str, int], joins: Mapping[str, int], cgroup_fd: int | None
) -> tuple[int, int]:
    """(pid, pidfd) in the supervisor, (0, -1) in the child. An OSError leaves a supervisor that must end."""
    back = []
    if "pid" in joins:
        back.append(_leave("pid"))
        syscalls.setns(joins["pid"], syscalls.CLONE_NEWPID)
    if offsets:
        back.append(_leave("time"))
        _new_time(offsets)
    try:
        # A sibling, not a child: the supervisor that stays is its parent, and we end.
        flags = namespaces.clone_flags(spec, joins) | syscalls.CLONE_PARENT
        pid, pidfd = syscalls.clone3(flags, cgroup_fd)
    except OSError as e:
        if e.errno == errno.ENOMEM and "pid" in joins:
            why = "the container whose pid namespace was to be joined has ended"
            raise OSError(errno.ESRCH, why) from None
        raise
    for fd, flag in back:
        if pid:
            syscalls.setns(fd, flag)
        os.close(fd)
    return pid, pidfd


def _leave(kind: str) -> tuple[int, int]:
    """What leads back: a pid namespace's own and its descendants may be entered by its members."""
    return os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC), namespaces.FLAGS[kind]


def _new_time(offsets: Mapping[str, int]) -> None:
    """For our children; we keep our own time. Written before the first of them: afterwards it is EACCES."""
    syscalls.unshare(syscalls.CLONE_NEWTIME)
    lines = [f"{CLOCKS[clock]} {seconds} 0\n" for clock, seconds in offsets.items()]
    fd = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, "".join(lines).encode())
    except OSError as e:
        if e.errno == errno.ERANGE:
            raise OSError(e.errno, "a clock would stand before its own beginning", "time_offsets") from None
        raise
    finally:
        os.close(fd)


def enter(pidfd: int) -> int | None:
    """All namespaces of that process which are not ours, at once: no less and no more than it has.

    Its user namespace is left for `enter_user`, which needs what we give back: the host's id of root inside.
    """
    pid = _pid_of(pidfd)
    place = f"/proc/{pid}/ns/"
    known = (kind for kind in os.listdir("/proc/self/ns") if kind in namespaces.FLAGS)
    theirs = {kind: os.readlink(place + kind) for kind in known}
    other = [kind for kind, link in theirs.items() if link != os.readlink(f"/proc/self/ns/{kind}")]
    owner = userns.read_inside_root(pid) if "user" in other else None
    if flags := sum(namespaces.FLAGS[kind] for kind in other if kind != "user"):
        syscalls.setns(pidfd, flags)
    return owner


def enter_user(pidfd: int, owner: int, stdio: Sequence[int]) -> None:
    """After the clone into the container's cgroup, which the host's root alone may enter."""
    for fd in stdio:
        terminal.give_to(fd, owner, owner)
    syscalls.setns(pidfd, syscalls.CLONE_NEWUSER)
    userns.become_inside_root()


def _pid_of(pidfd: int) -> int:
    """ProcessLookupError for one that was reaped."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb") as file:
        (line,) = (line for line in file if line.startswith(b"Pid:"))
    if (pid := int(line.split()[1])) <= 0:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return pid
