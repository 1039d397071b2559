"""Stopping all tasks of a container: the unified tree's freezer, or controller ``freezer``, or both at once.

On a hybrid host both exist and are independent: a task runs only when both are thawed, and one that v1 has
frozen does not die of SIGKILL until it is thawed. Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from cgroupfs.errors import CgroupGone, FreezeTimeout, NotOffered, ParseError
from cgroupfs.files import ControlDir
from cgroupfs.statistic import Dirs
from cgroupfs.values import parse_flag, parse_flat
from cgroupfs.writes import Written

RETRY_EVERY: Final = 50  # polls after which a v1 freeze is started over: a fork may have slipped by
POLL_SEC: Final = 0.001
LONGEST_POLL_MSEC: Final = 100
FREEZER_FILES: Final = ("freezer.state", "freezer.self_freezing", "freezer.parent_freezing")
THAWED, FREEZING, FROZEN = "thawed", "freezing", "frozen"
_HOLD: Final = {"cgroup.freeze": "1", "freezer.state": "FROZEN"}
_LET_GO: Final = {"cgroup.freeze": "0", "freezer.state": "THAWED"}


def parse_events(text: str) -> dict[str, int]:
    """``cgroup.events``: ``populated`` and ``frozen``."""
    return parse_flat(text, "cgroup.events")


def parse_v1_state(text: str) -> str:
    """v1 ``freezer.state``."""
    state = text.strip().lower()
    if state not in (THAWED, FREEZING, FROZEN):
        raise ParseError("freezer.state", text)
    return state


def read_state(dirs: Dirs) -> str | None:
    """``thawed``, ``freezing`` or ``frozen``, by whichever freezer holds it; None if there is no freezer."""
    return read_populated_and_state(dirs)[1]


def read_populated_and_state(dirs: Dirs) -> tuple[bool | None, str | None]:
    """Is any task left, in child groups too? And `read_state`. Each None if the kernel does not tell."""
    events = _read_events(dirs)
    populated = events.get("populated")
    states = [state for state in (_read_unified(dirs, events), _read_v1(dirs)) if state is not None]
    state = next((state for state in (FROZEN, FREEZING, THAWED) if state in states), None)
    return None if populated is None else populated == 1, state


def read_frozen_usec(dirs: Dirs) -> int | None:
    """How long it was frozen in all, counted from the request on; None if the kernel does not tell."""
    text = dirs["unified"].read("cgroup.stat.local") if "unified" in dirs else None
    return None if text is None else parse_flat(text, "cgroup.stat.local").get("frozen_usec")


class FreezerDetails(NamedTuple):
    """By whom it is held: by its own request, or by a group above; None: the kernel does not tell."""

    self_freezing: bool | None
    parent_freezing: bool | None


def read_details(dirs: Dirs) -> FreezerDetails:
    """v1 tells both; of the unified tree it is the own request and whether a group above has one."""
    own = parent = None
    if "freezer" in dirs:
        own, parent = (_read_flag(dirs["freezer"], file) for file in FREEZER_FILES[1:])
    if "unified" in dirs:
        wish = _read_flag(dirs["unified"], "cgroup.freeze")
        frozen = parse_events(dirs["unified"].read("cgroup.events") or "").get("frozen", 0) == 1
        own = bool(own) or wish if wish is not None else own
        parent = bool(parent) or (frozen and not wish) if wish is not None else parent
    return FreezerDetails(own, parent)


def _read_flag(directory: ControlDir, file: str) -> bool | None:
    text = directory.read(file)
    return None if text is None else parse_flag(text, file)


def file_of_requests(dirs: Dirs) -> str:
    """The file through which `freeze` asks now: the unified tree's where there is one."""
    # A task that v1 holds never counts as frozen in the unified tree: where v1 has begun, v1 must finish.
    offered = "unified" in dirs and dirs["unified"].read("cgroup.freeze") is not None
    return "cgroup.freeze" if offered and _read_v1(dirs) in (None, THAWED) else "freezer.state"


def freeze(dirs: Dirs, timeout_sec: float) -> bool:
    """Freeze and wait for it; False if it was frozen. On the deadline thaw, and raise `FreezeTimeout`.

    Whatever else ends the wait, an interrupt included, is raised after asking both freezers to let go.
    """
    if read_state(dirs) == FROZEN:
        return False
    unified = file_of_requests(dirs) == "cgroup.freeze"
    if not unified and "freezer" not in dirs:
        raise NotOffered(next(iter(dirs.values())).path, "cgroup.freeze")
    hold = dirs["unified" if unified else "freezer"]
    try:
        done = _freeze_unified(hold, timeout_sec) if unified else _freeze_v1(hold, timeout_sec)
    except BaseException:
        with contextlib.suppress(CgroupGone):
            request_thaw(dirs)
        raise
    if not done:
        blockers = _describe_blockers(hold)
        thaw(dirs, timeout_sec)
        raise FreezeTimeout(
            hold.path, f"not all tasks froze within {timeout_sec:g} s{blockers}; thawed again"
        )
    return True


def thaw(dirs: Dirs, timeout_sec: float) -> bool:
    """Thaw both freezers and wait for it; False if nothing was frozen."""
    changed = request_thaw(dirs)
    if not changed:
        return False
    deadline = time.monotonic() + timeout_sec
    while read_state(dirs) != THAWED:
        if time.monotonic() >= deadline:
            path = next(iter(dirs.values())).path
            raise FreezeTimeout(path, f"still not thawed after {timeout_sec:g} s; is a parent group frozen?")
        time.sleep(POLL_SEC)
    return True


def request_thaw(dirs: Dirs) -> bool:
    """Tell both freezers to let go, without waiting; False if neither held on."""
    changed = False
    unified = dirs.get("unified")
    if unified is not None and (unified.read("cgroup.freeze") or "0").strip() != "0":
        unified.write("cgroup.freeze", "0")
        changed = True
    if "freezer" in dirs and _read_v1(dirs) not in (None, THAWED):
        dirs["freezer"].write("freezer.state", "THAWED")
        changed = True
    return changed


def set_frozen(dirs: Dirs, frozen: bool, timeout_sec: float) -> list[Written]:
    """`freeze` or `thaw`, and each file that was written for it; none where it was so already."""
    before = _read_requests(dirs)
    asked = [file_of_requests(dirs)] if frozen else [file for file in before if before[file] != _LET_GO[file]]
    if not (freeze(dirs, timeout_sec) if frozen else thaw(dirs, timeout_sec)):
        return []
    after, wanted = _read_requests(dirs), _HOLD if frozen else _LET_GO
    return [Written("freezer", file, before[file], wanted[file], after[file]) for file in asked]


def _read_requests(dirs: Dirs) -> dict[str, str]:
    """The text of each freezer's file, as far as there is one."""
    files = (("unified", "cgroup.freeze"), ("freezer", "freezer.state"))
    found = {file: dirs[key].read(file) for key, file in files if key in dirs}
    return {file: text.strip() for file, text in found.items() if text is not None}


def is_v1_held(directory: ControlDir) -> bool:
    """Does the v1 freezer hold this directory by its own state?"""
    text = directory.read("freezer.state")
    return text is not None and parse_v1_state(text) != THAWED


def _read_events(dirs: Dirs) -> Mapping[str, int]:
    unified = dirs.get("unified")
    text = None if unified is None else unified.read("cgroup.events")
    return {} if text is None else parse_events(text)


def _read_unified(dirs: Dirs, events: Mapping[str, int]) -> str | None:
    unified = dirs.get("unified")
    wish = None if unified is None else unified.read("cgroup.freeze")
    if wish is None:
        return None
    return FROZEN if events.get("frozen") else FREEZING if wish.strip() == "1" else THAWED


def _read_v1(dirs: Dirs) -> str | None:
    text = dirs["freezer"].read("freezer.state") if "freezer" in dirs else None
    return None if text is None else parse_v1_state(text)


def _freeze_unified(unified: ControlDir, timeout_sec: float) -> bool:
    """Ask, then sleep on ``cgroup.events``, which wakes its pollers on every change."""
    deadline = time.monotonic() + timeout_sec
    events = unified.open_file("cgroup.events", os.O_RDONLY)
    try:
        poller = select.poll()
        poller.register(events, select.POLLPRI)
        unified.write("cgroup.freeze", "1")
        while True:
            if parse_events(unified.read_kept(events)).get("frozen") == 1:
                return True
            if time.monotonic() >= deadline:
                return False
            poller.poll(min(int(timeout_sec * 1000) + 1, LONGEST_POLL_MSEC))  # removal wakes no poller
    finally:
        os.close(events)


def _freeze_v1(freezer: ControlDir, timeout_sec: float) -> bool:
    """Ask and poll, starting over now and then (opencontainers/runc#2774)."""
    deadline = time.monotonic() + timeout_sec
    freezer.write("freezer.state", "FROZEN")
    tries = 0
    while parse_v1_state(freezer.read("freezer.state") or "") != FROZEN:
        if time.monotonic() >= deadline:
            return False
        tries += 1
        time.sleep(POLL_SEC)
        if tries % RETRY_EVERY == 0:
            freezer.write("freezer.state", "THAWED")
            time.sleep(10 * POLL_SEC)
            freezer.write("freezer.state", "FROZEN")
    return True


def _describe_blockers(directory: ControlDir) -> str:
    """Tasks in uninterruptible sleep, which no freezer can stop."""
    pids = (directory.read("cgroup.procs") or "").split()
    stuck = [pid for pid in pids if _read_process_state(pid) == "D"]
    return f" (in uninterruptible I/O: {', '.join(stuck[:5])})" if stuck else ""


def _read_process_state(pid: str) -> str | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode()
    except (FileNotFoundError, ProcessLookupError):
        return None
