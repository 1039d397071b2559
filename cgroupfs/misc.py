"""Scarce things counted by number: controllers ``misc`` (encryption keys and such) and ``rdma``.

Both have the same files in v1 and in the unified tree. Documentation/admin-guide/cgroup-v2.rst, "Misc" and
"RDMA".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from cgroupfs.errors import BadLimit, NotOffered, ParseError
from cgroupfs.statistic import Dirs
from cgroupfs.values import UNLIMITED, Limit, parse_flat, parse_limit
from cgroupfs.wishes import Wanted, check_limit, is_lifted
from cgroupfs.writes import Write

MOST: Final = (1 << 63) - 1
MOST_RDMA: Final = (1 << 31) - 1
RDMA_KEYS: Final = ("hca_handle", "hca_object")

MISC_FILES: Final = ("misc.max", "misc.current", "misc.events")
RDMA_FILES: Final = ("rdma.max", "rdma.current")


class MiscStat(NamedTuple):
    """Resource -> number; None: not offered."""

    current: Mapping[str, int] | None
    limits: Mapping[str, Limit] | None
    limit_hits: Mapping[str, int] | None


RdmaLimits = Mapping[str, Mapping[str, Limit]]


def parse_limits(text: str, what: str) -> dict[str, Limit]:
    """``misc.max``: one ``resource number|max`` a line."""
    limits = {}
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if not name:
            raise ParseError(what, line)
        limits[name] = parse_limit(number, what)
    return limits


def parse_rdma(text: str, what: str) -> dict[str, dict[str, Limit]]:
    """``rdma.max`` and ``rdma.current``: ``device hca_handle=N|max hca_object=N|max`` a line."""
    devices = {}
    for line in text.splitlines():
        device, *pairs = line.split() or [""]
        fields = dict(pair.partition("=")[::2] for pair in pairs)
        if not device or not fields:
            raise ParseError(what, line)
        devices[device] = {key: parse_limit(number, what) for key, number in fields.items()}
    return devices


def read_misc(dirs: Dirs) -> MiscStat | None:
    """None if the controller is not offered."""
    if "misc" not in dirs:
        return None
    limits, current, events = (dirs["misc"].read(file) for file in MISC_FILES)
    if limits is None and current is None:
        return None
    hits = None if events is None else parse_flat(events, "misc.events")
    return MiscStat(
        None if current is None else parse_flat(current, "misc.current"),
        None if limits is None else parse_limits(limits, "misc.max"),
        None if hits is None else {key.removesuffix(".max"): n for key, n in hits.items()},
    )


def read_rdma(dirs: Dirs, file: str = "rdma.max") -> RdmaLimits | None:
    """``rdma.max`` or ``rdma.current``; None if the controller is not offered."""
    text = dirs["rdma"].read(file) if "rdma" in dirs else None
    return None if text is None else parse_rdma(text, file)


def plan_limits(dirs: Dirs, wanted: Wanted) -> list[Write]:
    """Writes for ``misc_max`` and ``rdma_max`` in `wanted`; BadLimit, NotOffered."""
    return [*_plan_misc(dirs, wanted), *_plan_rdma(dirs, wanted)]


def _plan_misc(dirs: Dirs, wanted: Wanted) -> list[Write]:
    if "misc_max" not in wanted:
        return []
    stat = read_misc(dirs)
    if stat is None or stat.limits is None:
        raise _not_offered(dirs, "misc")
    limits = _check_names("misc_max", wanted["misc_max"], stat.limits)
    checked = {name: check_limit("misc_max", limit, 0, MOST) for name, limit in limits.items()}
    return [
        Write("misc", "misc.max", f"{name} {_text(limit)}", key=name)
        for name, limit in checked.items()
        if limit != stat.limits[name]
    ]


def _plan_rdma(dirs: Dirs, wanted: Wanted) -> list[Write]:
    if "rdma_max" not in wanted:
        return []
    now = read_rdma(dirs)
    if now is None:
        raise _not_offered(dirs, "rdma")
    writes = []
    for device, value in _check_names("rdma_max", wanted["rdma_max"], now).items():
        fields = _check_names("rdma_max", value, dict.fromkeys(RDMA_KEYS))
        limits = {key: check_limit("rdma_max", limit, 0, MOST_RDMA) for key, limit in fields.items()}
        changed = {key: limit for key, limit in limits.items() if limit != now[device].get(key)}
        if changed:
            pairs = " ".join(f"{key}={_text(limit)}" for key, limit in changed.items())
            writes.append(Write("rdma", "rdma.max", f"{device} {pairs}", key=device))
    return writes


def _check_names(field: str, value: object, known: Mapping[str, object]) -> Mapping[str, object]:
    if is_lifted(value):
        return dict.fromkeys(known)
    if not isinstance(value, Mapping):
        raise BadLimit(field, f"is a mapping of {', '.join(known) or 'names, of which there are none here'}")
    unknown = [str(name)[:40] for name in value if name not in known]
    if unknown:
        raise BadLimit(field, f"{unknown[0]!r} is not here; there are {', '.join(known) or 'none'}")
    return value


def _not_offered(dirs: Dirs, controller: str) -> NotOffered:
    return NotOffered(dirs[controller].path if controller in dirs else controller, f"{controller}.max")


def _text(limit: Limit) -> str:
    return "max" if limit is UNLIMITED else str(limit)
