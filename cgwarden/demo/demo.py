"""The demo's course: take the place, start the daemon and containers, watch, report, leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

from cgroupfs import CgroupError, NoCgroups
from cgwarden.cli import failures
from cgwarden.client import Daemon, NoDaemon, Problem
from cgwarden.demo.actions import Kernel, read_actions, settled
from cgwarden.demo.child import Child
from cgwarden.demo.place import CGROUP_PARENT, DemoRefused, Place
from cgwarden.demo.report import Result
from cgwarden.demo.screen import Screen
from cgwarden.demo.workloads import read_specs
from launcher import MountInTheWay

_LOOK_SEC = 0.5
_LINK_SEC = 50.0
_PAGE = 100
_UNFIT_HOST = 78


class _Ended(Exception):
    """Ctrl-C, or a polite request to end."""


def run_demo(*, for_sec: float | None, report_path: str | None, listen: str) -> int:
    """Run the demo; 0 when all went well and, with `for_sec`, policies provably changed limits."""
    if os.geteuid() != 0:
        return _refuse(DemoRefused("the demo starts containers and needs root: use sudo", 5))
    place, result, screen = Place(), Result(), Screen()
    started = time.monotonic()
    try:
        kernel = Kernel(CGROUP_PARENT)
        place.take()
        with _signals_end_it(), _running(place, kernel, listen, screen) as child:
            _start_containers(child.daemon, screen, started)
            _watch(child, kernel, result, screen, for_sec)
    except _Ended:
        screen.say("")
    except (DemoRefused, NoDaemon, Problem, CgroupError, MountInTheWay) as error:
        return _refuse(error)
    if result.sweeps:
        screen.say("\n".join(["", *result.lines()]))
    if report_path is not None:
        result.write(report_path)
    return 0 if for_sec is None or result.proven else 1


def _refuse(error: Exception) -> int:
    print(f"cgwarden demo: {' '.join(str(error).split())}", file=sys.stderr)
    if isinstance(error, NoCgroups):
        return _UNFIT_HOST
    return error.exit_code if isinstance(error, DemoRefused) else failures.exit_code(error)


@contextlib.contextmanager
def _signals_end_it() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into _Ended, once; the cleaning up after it is not to be cut short."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise _Ended

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, end)
    yield


@contextlib.contextmanager
def _running(place: Place, kernel: Kernel, listen: str, screen: Screen) -> Iterator[Child]:
    """A daemon without containers, those of a killed demo removed; nothing of it is left afterwards."""
    old = place.stop_old_daemon()
    if old is not None:
        screen.say(f"ended the daemon of a killed demo (pid {old})")
    child = Child(place, listen)
    try:
        child.wait_ready()
        for name in child.remove_containers():
            screen.say(f"removed {name}, left by a killed demo")
        yield child
    finally:
        screen.end()
        _clean_up(place, kernel, child, screen)


def _clean_up(place: Place, kernel: Kernel, child: Child, screen: Screen) -> None:
    if child.ended() and place.has_containers():
        child = Child(place, listen="")  # the first one died: this one finds its containers again
        child.wait_ready()
    if not child.ended():
        child.remove_containers()
    child.stop()
    kernel.remove_parent()
    place.remove()
    screen.say("removed the containers, the daemon, its directories and its cgroups")


def _start_containers(daemon: Daemon, screen: Screen, started: float) -> None:
    for spec in read_specs():
        daemon.call("POST", "/api/v1/containers", spec)
    screen.say(f"four containers run {time.monotonic() - started:.1f} s after the start")


def _watch(child: Child, kernel: Kernel, result: Result, screen: Screen, for_sec: float | None) -> None:
    """Look twice a second until the time is over, so that actions are compared while they are fresh."""
    began, link, link_until, after = time.monotonic(), "", 0.0, 0
    while True:
        if time.monotonic() >= link_until:
            first, link, link_until = not link, _read_link(child.daemon), time.monotonic() + _LINK_SEC
            if first:
                screen.start(link)
        after = _look(child, kernel, result, after)
        result.seconds = time.monotonic() - began
        screen.draw(result, link)
        if for_sec is not None and result.seconds >= for_sec:
            return
        time.sleep(_LOOK_SEC)


def _look(child: Child, kernel: Kernel, result: Result, after: int) -> int:
    """Take in new decisions and the newest usage; the last decision's number."""
    if child.ended():
        raise DemoRefused(f"the demo's daemon died: {child.last_words()}")
    page = settled(child.daemon.get("/api/v1/decisions", after=after, limit=_PAGE)["decisions"])
    result.actions += read_actions(page, kernel)
    result.see(child.daemon.get("/api/v1/containers")["containers"])
    result.sweeps = child.daemon.get("/api/v1/host").get("tick") or 0
    return max([after, *(int(decision["seq"]) for decision in page)])


def _read_link(daemon: Daemon) -> str:
    answer = daemon.call("POST", "/api/v1/login-codes", {})
    return str(answer["url"])
