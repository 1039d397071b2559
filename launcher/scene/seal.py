"""The last steps of every program that starts in a container, first process or `exec`: give up what it must
not have.

One place for both, so that `exec` can never be weaker than the container itself. Runs inside the container's
root: it imports nothing, resolves nothing through libc, and leaves by execve or with a `Failure` on the
status channel.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import json
import os
import signal
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

from launcher import defaults, syscalls
from launcher.scene import capabilities, terminal
from launcher.scene.confinement import Confinement
from launcher.scene.identity import Identity, read_identity
from launcher.scene.reaper import behind_reaper
from launcher.scene.rlimits import set_rlimits

STATUS_FD: Final = 3
LAST_CAPABILITY: Final = len(capabilities.NAMES) - 1
RESETTABLE: Final = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
T = TypeVar("T")


class Failure(Exception):
    """A step that failed, as it travels to the supervisor: kind, step, errno, what the kernel said about
    which path.
    """

    def __init__(self, kind: str, step: str, code: int, why: str) -> None:
        super().__init__(why)
        self.wire = {"kind": kind, "step": step, "errno": code, "why": why}


def failure_of(error: OSError, step: str) -> Failure:
    """What the kernel said, with the path it was about."""
    why = error.strerror or str(error)
    return Failure("failed", step, error.errno or 0, f"{error.filename}: {why}" if error.filename else why)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, as whom, with which capabilities, under what. `ambient` is for users other than root."""

    command: Sequence[str]
    env: Mapping[str, str]
    workdir: str
    user: str
    hostname: str
    capabilities: frozenset[str]
    ambient: frozenset[str]
    confinement: Confinement
    rlimits: Mapping[str, Sequence[int]] = field(default_factory=dict)
    reaped: bool = False
    oom_score_adj: int | None = None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Program:
        sets = {key: frozenset(wire[key]) for key in ("capabilities", "ambient")}
        return cls(**{**wire, **sets, "confinement": Confinement.from_wire(wire["confinement"])})

    def to_wire(self) -> dict[str, Any]:
        wire = {name: getattr(self, name) for name in self.__slots__}
        return wire | {
            "command": list(self.command),
            "env": dict(self.env),
            "capabilities": sorted(self.capabilities),
            "ambient": sorted(self.ambient),
            "confinement": self.confinement.to_wire(),
        }

    def describe(self) -> list[str]:
        return [
            "new session keyring",
            f"run as user {self.user} with {self._describe_capabilities()}",
            f"change to {self.workdir}, set no_new_privs, default signals, close descriptors",
            *self.confinement.describe(),
            "wait until the container is on record, then execute " + " ".join(self.command),
        ]

    def _describe_capabilities(self) -> str:
        """Root's come from the bounding set, another user's from the ambient one."""
        if self.user.partition(":")[0] in ("", "0", "root"):
            return f"capabilities: {' '.join(sorted(self.capabilities)) or 'none'}"
        return f"ambient capabilities: {' '.join(sorted(self.ambient)) or 'none'}"


def place_descriptors(fds: Sequence[int]) -> None:
    """Standard input, output, error at 0 to 2, the status channel at 3; every other one is closed
    (CVE-2024-21626).
    """
    high = [_above(fd) for fd in fds]
    for number, fd in enumerate(high):
        os.dup2(fd, number, inheritable=number != STATUS_FD)
    syscalls.close_range(STATUS_FD + 1)


def close_all_but(kept: Sequence[int]) -> None:
    """Every descriptor that is not among these."""
    first = 0
    for fd in sorted(set(kept)):
        if fd > first:
            syscalls.close_range(first, fd - 1)
        first = fd + 1
    syscalls.close_range(first)


def _above(fd: int) -> int:
    """The descriptor, or a copy of it that is out of the way of 0 to 3."""
    return fd if fd > STATUS_FD else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, STATUS_FD + 1)


def run_program(program: Program, status: socket.socket, wait_for_gate: Callable[[], None]) -> NoReturn:
    """Seal this process and become the program. `wait_for_gate` is called when only execve is left to do.

    The filter comes last of all, so that a profile need allow nothing of ours but execve.
    """
    _step("leave the session keyring", leave_keyring)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    identity = _step("look up the user", lambda: read_identity(root, program.user))
    os.close(root)
    _step("set capabilities and user", lambda: take_identity(identity, program))
    _step("change to the working directory", lambda: enter_workdir(program.workdir))
    _step("take the security label", program.confinement.take_labels)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    env = environment(program, identity)
    path, command = find_program(program.command[0], env["PATH"]), list(program.command)
    if program.reaped:
        path, command = behind_reaper(path, command)
    reset_signals()
    _step("set resource limits", lambda: set_rlimits(program.rlimits))
    wait_for_gate()
    _step("load the seccomp filter", program.confinement.close_in)
    try:
        os.execve(path, command, dict(env))
    except OSError as e:
        raise exec_failure(program.command[0], path, e) from None


def _step(step: str, do: Callable[[], T]) -> T:
    try:
        return do()
    except OSError as e:
        raise failure_of(e, step) from None


def leave_keyring() -> None:
    """The starter's keys are none of the container's business; a process has no other way to lose them."""
    try:
        syscalls.join_session_keyring()
    except OSError as e:
        if e.errno not in (errno.ENOSYS, errno.EPERM):  # no keys here, or none for anybody
            raise


def give_up_early(program: Program) -> None:
    """Before other processes of the container can see this one: what the last steps need, and no more.

    We cannot be traced from inside, except with CAP_SYS_PTRACE; and that must not be worth the host's root.
    """
    needed = capabilities.capability_mask(program.capabilities | capabilities.DEFAULT)
    _bound_to(needed)
    syscalls.capset(needed & syscalls.capget_permitted())


def take_identity(identity: Identity, program: Program) -> None:
    """Bounding set first: execve as uid 0 recomputes from it, so root's inheritable and ambient stay empty.

    Another user keeps what was added by name: ambient, since execve drops what is not (capabilities(7)).
    """
    # Nobody can give what he has not; what was asked for by name was checked before the launch.
    mask = capabilities.capability_mask(program.capabilities) & syscalls.capget_permitted()
    kept = mask & capabilities.capability_mask(program.ambient) if identity.uid else 0
    _bound_to(mask)
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    for fd in (0, 1, 2):
        # /dev/stdout is opened anew through /proc/self/fd: the user must own the pipe behind it.
        terminal.give_to(fd, identity.uid, identity.gid)
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 0)
    syscalls.capset(mask if identity.uid == 0 else kept, kept)
    for number in range(LAST_CAPABILITY + 1):
        if kept >> number & 1:
            syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_RAISE, number)


def _bound_to(mask: int) -> None:
    for number in range(LAST_CAPABILITY + 1):
        if not mask >> number & 1:
            _drop_from_bounding(number)


def _drop_from_bounding(number: int) -> None:
    try:
        syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)
    except OSError as e:
        if e.errno != errno.EINVAL:  # a capability younger than this kernel
            raise


def enter_workdir(workdir: str) -> None:
    """OSError for a directory that is not there, or not inside the root (CVE-2024-21626)."""
    os.chdir(workdir)
    try:
        inside = os.getcwd().startswith("/")
    except FileNotFoundError:  # the kernel said "(unreachable)/…"
        inside = False
    if not inside:
        raise OSError(errno.EPERM, "is outside the container's root", workdir)


def environment(program: Program, identity: Identity) -> dict[str, str]:
    """What the spec says goes over our own defaults."""
    ours = {"PATH": defaults.PATH, "HOME": identity.home, "HOSTNAME": program.hostname}
    return ours | dict(program.env)


def find_program(command: str, search: str) -> str:
    """The file to execute, decided before the gate opens: what cannot be found or run leaves no container."""
    candidates = [command] if "/" in command else [f"{place or '.'}/{command}" for place in search.split(":")]
    blocked: Failure | None = None
    for path in candidates:
        why = _why_not(path)
        if why is None:
            return path
        if why:
            blocked = blocked or Failure("cannot-invoke", "find the program", errno.EACCES, why)
    raise blocked or Failure(
        "not-found", "find the program", errno.ENOENT, "no such program inside the container"
    )


def _why_not(path: str) -> str | None:
    """None: it can be executed. Empty: it is not there."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as e:
        return (e.strerror or str(e)).lower()
    if stat.S_ISDIR(mode):
        return "it is a directory"
    if not stat.S_ISREG(mode):
        return "it is not a regular file"
    return None if os.access(path, os.X_OK) else "permission denied"


def exec_failure(command: str, path: str, error: OSError) -> Failure:
    """Why execve refused, as shells count: 127 for what is missing, 126 for what cannot be executed."""
    if error.errno == errno.ENOENT:
        return Failure(
            "not-found",
            "execute the program",
            errno.ENOENT,
            "its interpreter or loader is missing in the root",
        )
    why = (
        "it is no program this kernel can run"
        if error.errno == errno.ENOEXEC
        else (error.strerror or "").lower()
    )
    return Failure("cannot-invoke", "execute the program", error.errno or 0, why)


def reset_signals() -> None:
    """Python ignores SIGPIPE and SIGXFSZ, the daemon's starter maybe more; ignored ones survive execve."""
    for number in RESETTABLE:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def report(status: _socket.socket, failure: Failure) -> None:
    """Tell the supervisor."""
    status.send(json.dumps(failure.wire).encode())
