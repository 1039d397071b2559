"""Random wishes for limits of nested groups, and a model of what a kernel may refuse of them.

The model knows the rules and none of our code: a refusal that it cannot explain is a wrong order of writes.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cgroupfs import UNLIMITED, BadLimit, CgroupError, Limits, Refused

Wish = dict[str, object]

MIB: Final = 1 << 20
# Room for what a kernel allocates or keeps from being reclaimed between a look and a write.
SLACK_BYTES: Final = 4 * MIB
SHORTEST_QUOTA_USEC: Final = 1_000
LEAST_CORES: Final = 0.05
FIELDS_WITH_EFFECT_ON_OTHERS: Final[Mapping[str, frozenset[str]]] = {
    "cpu_idle": frozenset({"cpu_shares", "cpu_weight"}),
    "cpuset_cpus": frozenset({"cpuset_cpus_effective"}),
    "cpuset_mems": frozenset({"cpuset_mems_effective"}),
}


@dataclass(slots=True)
class Group:
    """A group as the test last saw it; `usage_bytes` from just before the change."""

    name: str
    parent: Group | None
    limits: Limits
    usage_bytes: int = 0
    children: list[Group] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.parent is not None:
            self.parent.children.append(self)

    def ancestors(self) -> Iterator[Group]:
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    def descendants(self) -> Iterator[Group]:
        for child in self.children:
            yield child
            yield from child.descendants()


@dataclass(frozen=True, slots=True)
class Wishes:
    """Draws wishes for a host with these CPUs and memory nodes, of what its groups offer."""

    rng: random.Random
    cpus: tuple[int, ...]
    nodes: tuple[int, ...]
    offered: frozenset[str]

    def for_one(self) -> Wish:
        """Any change of one group, possible or not."""
        areas = (
            self._bandwidth,
            self._weight,
            self._idle,
            self._cpuset,
            self._memory,
            self._others,
            self._pids,
        )
        wish: Wish = {}
        for area in self.rng.sample(areas, self.rng.choice((1, 1, 1, 2, 3))):
            wish |= area()
        return wish

    def for_all(self, groups: Sequence[Group]) -> dict[str, Wish]:
        """Changes of all groups at once (parents first in `groups`) that agree with each other."""
        wishes: dict[str, Wish] = {}
        most: dict[str, float] = {}
        for group in groups:
            above = wishes[group.parent.name] if group.parent is not None else {}
            ceiling = most[group.parent.name] if group.parent is not None else float(len(self.cpus))
            wish = self._bandwidth(ceiling)
            if group.parent is not None and self.rng.random() < 0.2:
                wish |= {"cpu_max_cores": UNLIMITED}  # which is as much as its parent has
            cores = wish["cpu_max_cores"]
            most[group.name] = cores if isinstance(cores, float) else ceiling
            for name, numbers in (("cpuset_cpus", self.cpus), ("cpuset_mems", self.nodes)):
                wish[name] = self._some_of(_numbers(str(above[name])) if above else numbers)
            wishes[group.name] = _consistent(wish | self._memory(least=64 * MIB))
        return wishes

    def _bandwidth(self, most: float | None = None) -> Wish:
        """At most `most` cores, and then never next to nothing, so that a child can have less."""
        ceiling = float(len(self.cpus)) if most is None else most
        any_period = self.rng.randint(1_000, 1_000_000)
        period = self.rng.choice((1_000, 5_000, 100_000, 250_000, 1_000_000, any_period))
        period = max(period, int(SHORTEST_QUOTA_USEC / ceiling) + 1)
        least = max(1.001 * SHORTEST_QUOTA_USEC / period, 0.0 if most is None else LEAST_CORES)
        quota = int(period * (self.rng.uniform(least, ceiling) if least < ceiling else ceiling))
        # One in twenty is above the quota, which no kernel takes.
        burst = quota + 1 if most is None and self.rng.random() < 0.05 else self.rng.randint(0, quota)
        lifted = most is None and self.rng.random() < 0.2
        return {
            "cpu_max_cores": UNLIMITED if lifted else quota / period,
            "cpu_period_usec": period,
            "cpu_burst_usec": burst,
        }

    def _weight(self) -> Wish:
        if "cpu_shares" in self.offered:
            return {"cpu_shares": self.rng.randint(2, 262_144)}
        return {"cpu_weight": self.rng.randint(1, 10_000)}

    def _idle(self) -> Wish:
        return {"cpu_idle": self.rng.random() < 0.5}

    def _cpuset(self) -> Wish:
        name, numbers = self.rng.choice((("cpuset_cpus", self.cpus), ("cpuset_mems", self.nodes)))
        return {name: UNLIMITED if self.rng.random() < 0.2 else self._some_of(numbers)}

    def _some_of(self, numbers: Sequence[int]) -> str:
        return ",".join(map(str, sorted(self.rng.sample(numbers, self.rng.randint(1, len(numbers))))))

    def _memory(self, least: int = 0) -> Wish:
        sizes = [size for size in (1 * MIB, 8 * MIB, 64 * MIB, 512 * MIB) if size >= least]
        memory = (
            UNLIMITED if self.rng.random() < 0.15 else self.rng.choice(sizes) + 4096 * self.rng.randint(0, 99)
        )
        # One in twenty limits swap alone, which v1 cannot.
        swaps = (0, 4 * MIB, 64 * MIB, UNLIMITED)
        swap = UNLIMITED if memory is UNLIMITED and self.rng.random() < 0.95 else self.rng.choice(swaps)
        return {"memory_max_bytes": memory, "memory_swap_max_bytes": swap}

    def _others(self) -> Wish:
        names = {"memory_soft_limit_bytes", "memory_high_bytes", "memory_low_bytes", "memory_min_bytes"}
        name = self.rng.choice(sorted(names & self.offered))
        return {name: self.rng.choice((0, 16, 100, 1000)) * MIB + 64 * MIB}

    def _pids(self) -> Wish:
        return {"pids_max": UNLIMITED if self.rng.random() < 0.2 else self.rng.randint(1, 4_194_304)}


def _numbers(listed: str) -> tuple[int, ...]:
    return tuple(int(word) for word in listed.split(","))


def _consistent(wish: Wish) -> Wish:
    """Swap cannot be limited alone on v1."""
    return wish | {"memory_swap_max_bytes": UNLIMITED} if wish["memory_max_bytes"] is UNLIMITED else wish


def is_explained(error: CgroupError, group: Group, wish: Wish, *, v1: frozenset[str]) -> bool:
    """Is this what a kernel with controllers `v1` must say to `wish`, by rules of its own?"""
    if isinstance(error, BadLimit):
        return _is_contradictory(wish, group, v1)
    if not isinstance(error, Refused):
        return False
    if error.file.startswith("memory.") and error.errno == errno.EBUSY:
        asked = [wish[name] for name in ("memory_max_bytes",) if isinstance(wish.get(name), int)]
        return any(isinstance(size, int) and size < group.usage_bytes + SLACK_BYTES for size in asked)
    if error.file.startswith("cpu.cfs_") and error.errno == errno.EINVAL:
        return "cpu" in v1 and not _fits_cpu(group, wish)
    if error.file.startswith("cpuset.") and error.errno in (errno.EACCES, errno.EBUSY):
        return "cpuset" in v1 and not _fits_cpuset(group, wish)
    return False


def _is_contradictory(wish: Wish, group: Group, v1: frozenset[str]) -> bool:
    cores, period, burst = (wish.get(f"cpu_{name}") for name in ("max_cores", "period_usec", "burst_usec"))
    if (
        isinstance(cores, float)
        and isinstance(period, int)
        and isinstance(burst, int)
        and burst > cores * period
    ):
        return True
    if {"cpu_shares", "cpu_weight"} & wish.keys() and wish.get("cpu_idle", group.limits.cpu_idle):
        return True
    no_swap_alone = "memory" in v1 and wish.get("memory_max_bytes") is UNLIMITED
    return no_swap_alone and wish.get("memory_swap_max_bytes") is not UNLIMITED


def _fits_cpu(group: Group, wish: Wish) -> bool:
    """A share is at most that of any group above and at least that of any below, where they have one."""
    cores = wish.get("cpu_max_cores")
    if not isinstance(cores, float):
        above = [each.limits.cpu_max_cores for each in group.ancestors()]
        cores = next((each for each in above if isinstance(each, float)), float("inf"))
    most = [each.limits.cpu_max_cores for each in group.ancestors()]
    least = [each.limits.cpu_max_cores for each in group.descendants()]
    return not any(isinstance(each, float) and each < cores for each in most) and not any(
        isinstance(each, float) and each > cores for each in least
    )


def _fits_cpuset(group: Group, wish: Wish) -> bool:
    """In v1 a set holds those of its children and lies in its parent's, at every instant."""
    for name in {"cpuset_cpus", "cpuset_mems"} & wish.keys():
        if wish[name] is UNLIMITED:
            continue
        wanted = set(_numbers(str(wish[name])))
        above = [set(expand(getattr(group.parent.limits, name)))] if group.parent is not None else []
        below = [set(expand(getattr(child.limits, name))) for child in group.children]
        if not all(wanted <= each for each in above) or not all(each <= wanted for each in below):
            return False
    return True


def expand(listed: str | None) -> list[int]:
    """``0-2,5`` as numbers."""
    numbers: list[int] = []
    for word in (listed or "").split(","):
        low, _, high = word.partition("-")
        numbers += range(int(low), int(high or low) + 1) if low else []
    return numbers


def differences(wish: Wish, before: Limits, after: Limits) -> list[str]:
    """Where `after` is not what `wish` makes of `before`: what was asked for, and nothing else."""
    found = [
        f"{name}: wished {value!r}, is {getattr(after, name)!r}"
        for name, value in wish.items()
        if not _is_as_wished(name, value, after)
    ]
    touched = set(wish).union(*(FIELDS_WITH_EFFECT_ON_OTHERS.get(name, ()) for name in wish))
    return found + [
        f"{name}: nobody asked, was {getattr(before, name)!r}, is {getattr(after, name)!r}"
        for name in Limits.__dataclass_fields__
        if name not in touched
        and not name.endswith("_effective")
        and getattr(before, name) != getattr(after, name)
    ]


def _is_as_wished(name: str, value: object, after: Limits) -> bool:
    now = getattr(after, name)
    if name in ("cpuset_cpus", "cpuset_mems"):
        return value is UNLIMITED or expand(now) == expand(str(value))
    if name == "cpu_max_cores" and isinstance(value, float) and isinstance(now, float):
        return 0 <= value - now + 1e-9 <= 1.1 / (after.cpu_period_usec or 1)
    return bool(now == value)
