"""Huge pages in use and allowed, per page size: controller ``hugetlb``.

The kernel rounds a limit down to whole pages: 1 becomes 0. Documentation/admin-guide/cgroup-v1/hugetlb.rst.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cgroupfs.errors import BadLimit, NotOffered
from cgroupfs.statistic import Dirs
from cgroupfs.values import UNLIMITED, Limit, parse_flat, parse_int, parse_v1_limit
from cgroupfs.wishes import Wanted, check_limit, is_lifted
from cgroupfs.writes import Write

MOST_BYTES: Final = 1 << 61
FIELD: Final = "hugetlb_max_bytes"
_SIZE: Final = re.compile(r"hugetlb\.([0-9]+[KMG]B)\.(?:usage_in_bytes|current)")
_UNIT_BYTES: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def read_page_sizes(dirs: Dirs) -> tuple[str, ...]:
    """The huge page sizes that the kernel has files for here, such as ``2MB``; it may have none."""
    files = dirs["hugetlb"].files() if "hugetlb" in dirs else ()
    return tuple(sorted(match[1] for file in files if (match := _SIZE.fullmatch(file))))


class HugetlbStat(NamedTuple):
    """Pages of one size, in bytes."""

    usage_bytes: int | None
    limit_bytes: Limit | None
    limit_hits: int | None


class HugetlbV1:
    """The hugetlb hierarchy."""

    slow_files: tuple[str, ...] = (
        "hugetlb.SIZE.usage_in_bytes",
        "hugetlb.SIZE.limit_in_bytes",
        "hugetlb.SIZE.failcnt",
    )
    no_limit = "-1"

    def read(self, dirs: Dirs, sizes: Sequence[str]) -> dict[str, HugetlbStat] | None:
        """Page size such as ``2MB`` -> numbers; None if not offered."""
        return {size: self._read_size(dirs, size) for size in sizes} or None

    def read_limits(self, dirs: Dirs, sizes: Sequence[str]) -> dict[str, Limit] | None:
        """Page size -> limit; None if not offered."""
        stats = self.read(dirs, sizes) or {}
        return {
            size: stat.limit_bytes for size, stat in stats.items() if stat.limit_bytes is not None
        } or None

    def plan_limits(self, dirs: Dirs, sizes: Sequence[str], wanted: Wanted) -> list[Write]:
        """Writes for ``hugetlb_max_bytes`` in `wanted`, a mapping of page sizes; BadLimit, NotOffered."""
        if FIELD not in wanted:
            return []
        now = self.read_limits(dirs, sizes)
        if now is None:
            raise NotOffered(dirs["hugetlb"].path if "hugetlb" in dirs else "hugetlb", self.slow_files[1])
        file = self.slow_files[1]
        return [
            Write("hugetlb", file.replace("SIZE", size), self.no_limit if limit is UNLIMITED else str(limit))
            for size, limit in _check_sizes(wanted[FIELD], now).items()
            if _rounded(size, limit) != now[size]
        ]

    def _read_size(self, dirs: Dirs, size: str) -> HugetlbStat:
        usage, limit, hits = (dirs["hugetlb"].read(file.replace("SIZE", size)) for file in self.slow_files)
        return HugetlbStat(
            None if usage is None else parse_int(usage, "hugetlb usage"),
            None if limit is None else self._parse_limit(limit),
            None if hits is None else self._parse_hits(hits),
        )

    def _parse_limit(self, text: str) -> Limit:
        return parse_v1_limit(text, "hugetlb limit")

    def _parse_hits(self, text: str) -> int | None:
        return parse_int(text, "hugetlb failcnt")


class HugetlbV2(HugetlbV1):
    """The hugetlb controller of the unified tree, where it has been enabled for the container's parent."""

    slow_files = ("hugetlb.SIZE.current", "hugetlb.SIZE.max", "hugetlb.SIZE.events")
    no_limit = "max"

    def _parse_limit(self, text: str) -> Limit:
        """A new group shows the most that the kernel can count and not "max" (seen on 6.18)."""
        return UNLIMITED if text.strip() == "max" else parse_v1_limit(text, "hugetlb limit")

    def _parse_hits(self, text: str) -> int | None:
        return parse_flat(text, "hugetlb events").get("max")


def _check_sizes(value: object, now: Mapping[str, Limit]) -> dict[str, Limit]:
    if is_lifted(value):
        return dict.fromkeys(now, UNLIMITED)
    if not isinstance(value, Mapping):
        raise BadLimit(FIELD, f"is a mapping such as {{{next(iter(now))!r}: 4194304}}")
    unknown = [str(size)[:20] for size in value if size not in now]
    if unknown:
        raise BadLimit(FIELD, f"there are no huge pages of {unknown[0]!r} here; there are {', '.join(now)}")
    return {size: check_limit(FIELD, limit, 0, MOST_BYTES) for size, limit in value.items()}


def _rounded(size: str, limit: Limit) -> Limit:
    page = int(size[:-2]) * _UNIT_BYTES[size[-2]]
    return UNLIMITED if limit is UNLIMITED else limit // page * page
