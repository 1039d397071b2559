"""Huge pages in use and allowed, per page size: controller ``hugetlb``. Read only, as few containers use any.

Documentation/admin-guide/cgroup-v1/hugetlb.rst.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from cgroupfs.statistic import Dirs
from cgroupfs.values import Limit, parse_flat, parse_int, parse_limit, parse_v1_limit

_SIZE: Final = re.compile(r"hugetlb\.([0-9]+[KMG]B)\.(?:usage_in_bytes|current)")


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

    slow_files = ("hugetlb.SIZE.usage_in_bytes", "hugetlb.SIZE.limit_in_bytes", "hugetlb.SIZE.failcnt")

    def read(self, dirs: Dirs, sizes: Sequence[str]) -> dict[str, HugetlbStat] | None:
        """Page size such as ``2MB`` -> numbers; None if not offered."""
        return {size: self._read_size(dirs, size) for size in sizes} or None

    def _read_size(self, dirs: Dirs, size: str) -> HugetlbStat:
        read = dirs["hugetlb"].read
        usage, limit = read(f"hugetlb.{size}.usage_in_bytes"), read(f"hugetlb.{size}.limit_in_bytes")
        hits = read(f"hugetlb.{size}.failcnt")
        return HugetlbStat(
            None if usage is None else parse_int(usage, "hugetlb usage"),
            None if limit is None else parse_v1_limit(limit, "hugetlb limit"),
            None if hits is None else parse_int(hits, "hugetlb failcnt"),
        )


class HugetlbV2:
    """The hugetlb controller of the unified tree, where it has been enabled for the container's parent."""

    slow_files = ("hugetlb.SIZE.current", "hugetlb.SIZE.max", "hugetlb.SIZE.events")

    def read(self, dirs: Dirs, sizes: Sequence[str]) -> dict[str, HugetlbStat] | None:
        """Page size such as ``2MB`` -> numbers; None if not offered."""
        return {size: self._read_size(dirs, size) for size in sizes} or None

    def _read_size(self, dirs: Dirs, size: str) -> HugetlbStat:
        read = dirs["hugetlb"].read
        usage, limit = read(f"hugetlb.{size}.current"), read(f"hugetlb.{size}.max")
        events = read(f"hugetlb.{size}.events")
        return HugetlbStat(
            None if usage is None else parse_int(usage, "hugetlb usage"),
            None if limit is None else parse_limit(limit, "hugetlb limit"),
            None if events is None else parse_flat(events, "hugetlb events").get("max"),
        )
