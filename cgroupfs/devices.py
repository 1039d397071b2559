"""Which devices a container may open or make: controller ``devices``, or a program in the unified tree.

The list that v1 shows is honest only once ``a`` was denied: until then it is ``a *:* rwm``, whatever was
denied. The unified tree has no file: a program is attached, and the rules are read back out of it. On a host
with both, both must allow. Open files stay open, whatever is denied later.
Documentation/admin-guide/cgroup-v1/devices.rst; cgroup-v2.rst, "Device controller".
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from typing import Final

from cgroupfs import bpf
from cgroupfs.device_program import assemble, disassemble
from cgroupfs.device_rules import DeviceRule, check_rule, format_rules, parse_rule, parse_rules
from cgroupfs.errors import CgroupGone, NotOffered, Refused
from cgroupfs.files import ControlDir
from cgroupfs.statistic import Dirs
from cgroupfs.writes import Write

ALLOW: Final = "devices.allow"
DENY: Final = "devices.deny"
LIST: Final = "devices.list"
PROGRAM: Final = "device program"  # no file of the kernel, but written, read back and undone like one
PROGRAM_NAME: Final = "cgw_devices"


def parse_devices_list(text: str) -> tuple[DeviceRule, ...]:
    """``devices.list``: what is allowed, one rule a line."""
    return tuple(parse_rule(line, LIST) for line in text.splitlines())


class DevicesV1:
    """The devices hierarchy."""

    files: tuple[str, ...] = (LIST, ALLOW, DENY)

    def read_rules(self, dirs: Dirs) -> tuple[DeviceRule, ...] | None:
        text = dirs["devices"].read(LIST) if "devices" in dirs else None
        return None if text is None else parse_devices_list(text)

    def plan_rules(self, dirs: Dirs, rules: Sequence[DeviceRule]) -> list[Write]:
        """Deny all, then one rule per write: of several lines the kernel takes the first, silently."""
        if self.read_rules(dirs) is None:
            raise NotOffered(dirs["devices"].path if "devices" in dirs else "devices", LIST)
        return [Write("devices", DENY, "a"), *(self._plan_rule(rule) for rule in rules)]

    def _plan_rule(self, rule: DeviceRule) -> Write:
        check_rule(rule)
        return Write("devices", ALLOW if rule.allow else DENY, "a" if rule.kind == "a" else rule.text())


class DevicesV2:
    """A program of ours, attached to the cgroup beside those of others."""

    files: tuple[str, ...] = ()

    def read_rules(self, dirs: Dirs) -> tuple[DeviceRule, ...] | None:
        """Our rules; None if there is no program of ours, or no asking for it: nothing is denied by us."""
        try:
            text = read_program_rules(dirs["unified"]) if "unified" in dirs else ""
        except NotOffered:
            return None
        return parse_rules(text) if text else None

    def plan_rules(self, dirs: Dirs, rules: Sequence[DeviceRule]) -> list[Write]:
        """One program for all rules; none if the same is attached already."""
        if "unified" not in dirs:
            raise NotOffered("devices", PROGRAM)
        return plan_program(read_program_rules(dirs["unified"]), rules)


def plan_program(now: str, rules: Sequence[DeviceRule]) -> list[Write]:
    """The write that makes a program of `rules`, whose value is now `now`; BadLimit."""
    for rule in rules:
        check_rule(rule)
    # As it will be read back: what can never be reached is not in a program.
    value = format_rules(disassemble(assemble(rules)) or ())
    return [] if value == now else [Write("unified", PROGRAM, value)]


def read_program_rules(directory: ControlDir) -> str:
    """The rules of our program as a value to be written; empty if there is none of ours. `NotOffered`."""
    try:
        with directory.held() as fd:
            found = _find_ours(fd)
    except OSError as e:
        if not directory.alive():
            raise CgroupGone(directory.path) from e
        raise NotOffered(directory.path, PROGRAM) from e
    rules = None if found is None else disassemble(found.code)
    return "" if rules is None else format_rules(rules)


def write_program_rules(directory: ControlDir, value: str) -> None:
    """Attach a program of the rules `value`, in one step in the place of our last; empty: take it away."""
    with _refused_in_words(directory, value) as fd:
        found = _find_ours(fd)
        with contextlib.ExitStack() as stack:
            last = None if found is None else stack.enter_context(bpf.opened(found.id))
            if value:
                program = bpf.load(assemble(parse_rules(value)), PROGRAM_NAME)
                stack.callback(os.close, program)
                _attach(fd, program, last)
            elif last is not None:
                bpf.detach(fd, last)


def _attach(directory: int, program: int, last: int | None) -> None:
    try:
        bpf.attach(directory, program, last)
    except OSError as e:
        # Replacing came with Linux commit 7dd68b3279f1 ("bpf: Support replacing cgroup-bpf program in MULTI
        # mode") (in v5.6).
        if e.errno != errno.EINVAL or last is None:
            raise
        bpf.attach(directory, program)  # for a moment both must allow: stricter, never looser
        bpf.detach(directory, last)


def _find_ours(directory: int) -> bpf.Program | None:
    for program_id in bpf.query(directory):
        with contextlib.suppress(FileNotFoundError), bpf.opened(program_id) as fd:
            program = bpf.read_program(fd)
            if program.name == PROGRAM_NAME:
                return program
    return None


@contextlib.contextmanager
def _refused_in_words(directory: ControlDir, value: str) -> Iterator[int]:
    try:
        with directory.held() as fd:
            yield fd
    except OSError as e:
        if not directory.alive():
            raise CgroupGone(directory.path) from e
        if e.errno in (errno.ENOSYS, errno.EINVAL, errno.EBADF):  # the last: not in the unified tree
            raise NotOffered(directory.path, PROGRAM) from e
        raise Refused(directory.path, PROGRAM, value, e.errno or 0, _explain(e)) from e


def _explain(e: OSError) -> str:
    if e.errno == errno.EPERM:
        return (
            "it needs CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN), memory to lock on older kernels"
            " (ulimit -l), and that no program is attached which suffers no other beside it"
        )
    if e.errno == errno.E2BIG:
        return "there are too many rules, or 64 programs are attached already"
    return e.strerror or "no reason given"


def plan_restore(text: str) -> list[tuple[str, str]]:
    """(file, value) pairs that bring back the rules of a ``devices.list`` text."""
    rules = parse_devices_list(text)
    if any(rule.kind == "a" for rule in rules):
        return [(ALLOW, "a")]
    return [(DENY, "a"), *((ALLOW, rule.text()) for rule in rules if rule.access)]
