"""A lease as the guardian holds it: what a field must become at which instants, by compare-and-set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from cgroupfs import UNLIMITED, Cgroup, CgroupError, CgroupGone
from enforcer.fields import FREEZER, FROZEN, THAWED, from_wire, same_value, to_wire

# What became of a step.
RESTORED = "restored"
ALREADY = "already"
DRIFT = "drift"
GONE = "gone"
RETRY = "retry"

RETRY_NS = 10_000_000_000
MIB = 1 << 20
MARGIN_FRACTION = 0.02
_MEMORY = "memory_max_bytes"


@dataclass(frozen=True, slots=True)
class Lease:
    """One field of one cgroup: `steps` are (boottime ns, value) in order; `expect` is what we put there."""

    key: str
    path: str
    inode: int
    field: str
    expect: object
    steps: tuple[tuple[int, object], ...]

    def to_wire(self) -> dict[str, object]:
        """The guardian's protocol."""
        return {
            "key": self.key,
            "path": self.path,
            "inode": self.inode,
            "field": self.field,
            "expect": to_wire(self.expect),
            "steps": [[at, to_wire(value)] for at, value in self.steps],
        }

    @classmethod
    def from_wire(cls, message: dict[str, object]) -> Lease:
        """The inverse of `to_wire`; ValueError, KeyError or TypeError for anything else."""
        steps = message["steps"]
        if not isinstance(steps, list):
            raise TypeError("steps is no list")
        return cls(
            key=str(message["key"]),
            path=str(message["path"]),
            inode=int(str(message["inode"])),
            field=str(message["field"]),
            expect=from_wire(message["expect"]),
            steps=tuple((int(at), from_wire(value)) for at, value in steps),
        )

    def advanced(self) -> Lease | None:
        """The lease after its first step was done; None when that was the last."""
        return None if len(self.steps) < 2 else replace(self, expect=self.steps[0][1], steps=self.steps[1:])

    def postponed(self, now_ns: int) -> Lease:
        """The lease with its first step tried again later."""
        return replace(self, steps=((now_ns + RETRY_NS, self.steps[0][1]), *self.steps[1:]))


class FieldAccess(Protocol):
    """Reading and writing one field of one cgroup; what compare-and-set needs of the kernel."""

    def read(self) -> object: ...
    def write(self, value: object) -> None: ...
    def usage_bytes(self) -> int | None: ...


class CgroupField:
    """A field of a held cgroup."""

    def __init__(self, cgroup: Cgroup, field: str) -> None:
        self._cgroup = cgroup
        self._field = field

    def read(self) -> object:
        """The kernel's value; for the freezer `frozen` (also while freezing) or `thawed`."""
        if self._field == FREEZER:
            return THAWED if self._cgroup.read_freezer() == THAWED else FROZEN
        return getattr(self._cgroup.read_limits(), self._field)

    def write(self, value: object) -> None:
        """Make it so."""
        if self._field == FREEZER:
            self._cgroup.thaw() if value == THAWED else self._cgroup.freeze()
        else:
            self._cgroup.apply(self._cgroup.plan_limits({self._field: value}))

    def usage_bytes(self) -> int | None:
        """Memory in use; None where it is not told."""
        hot = self._cgroup.hot(keep=False)
        try:
            memory = hot.read().memory
        finally:
            hot.close()
        return None if memory is None else memory.usage_bytes


def compare_and_set(access: FieldAccess, field: str, expect: object, wanted: object) -> tuple[str, str]:
    """Put `wanted` there if the field still is what we left; returns the result and a reason.

    A memory limit is not put back below usage: one kernel would refuse, another kill. It is tried again.
    """
    try:
        present = access.read()
        if same_value(field, wanted, present):
            return ALREADY, ""
        if not same_value(field, expect, present):
            return DRIFT, f"{field} is {to_wire(present)}, not {to_wire(expect)}: somebody else changed it"
        if field == _MEMORY and wanted is not UNLIMITED and isinstance(wanted, int):
            usage = access.usage_bytes()
            if usage is not None and usage * (1 + MARGIN_FRACTION) > wanted:
                freed = usage * (1 + MARGIN_FRACTION) - wanted
                return (
                    RETRY,
                    f"waiting until {freed / MIB:.0f} MiB are freed, so that {wanted / MIB:g} MiB fit",
                )
        access.write(wanted)
    except CgroupGone:
        return GONE, "the cgroup is gone"
    except CgroupError as e:
        return RETRY, f"tried again every {RETRY_NS // 1_000_000_000} s: {e}"
    return RESTORED, ""


def report_of(lease: Lease, wanted: object, result: str, why: str, now_ns: int) -> dict[str, object]:
    """What became of a lease's step, as the daemon hears it."""
    return {
        "op": "ended",
        "key": lease.key,
        "path": lease.path,
        "inode": lease.inode,
        "field": lease.field,
        "before": to_wire(lease.expect),
        "wanted": to_wire(wanted),
        "result": result,
        "why": why,
        "at_ns": now_ns,
    }
