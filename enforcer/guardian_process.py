"""The guardian: a tiny process that ends leases on time, also when the daemon was killed, and then goes away.

It knows nothing of policies or journals. It holds each leased cgroup by its open directories, so that a
namesake is never touched, and does at a deadline exactly what it was told before the change was made.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys

from cgroupfs import Cgroup, CgroupGone, Hierarchies
from enforcer.clocks import NSEC_PER_SEC, boottime_ns
from enforcer.lease import DRIFT, GONE, RETRY, CgroupField, Lease, compare_and_set, report_of

PROTOCOL = 1
# CLOCK_BOOTTIME goes on while the host sleeps, poll's clock does not: look at least this often.
LOOK_SEC = 0.5
# A daemon that never connected has died on its way here.
GRACE_SEC = 30.0
MAX_REPORTS = 1000
# What was ended while no daemon listened, a report a line, in the run directory.
ENDED = "guardian.ended"


class Holder:
    """The leases, each with its cgroup held open; reports of what was done wait here for a daemon."""

    def __init__(self, hierarchies: Hierarchies) -> None:
        self._hierarchies = hierarchies
        self._held: dict[str, tuple[Lease, Cgroup]] = {}
        self.reports: list[dict[str, object]] = []

    def __len__(self) -> int:
        return len(self._held)

    def leases(self) -> list[Lease]:
        """What is held."""
        return [lease for lease, _ in self._held.values()]

    def guard(self, lease: Lease) -> str | None:
        """Hold a lease, in place of an older one of the same key; a reason if it cannot be held."""
        try:
            cgroup = self._hierarchies.cgroup(lease.path)
        except CgroupGone as e:
            return str(e)
        if cgroup.inode != lease.inode:
            cgroup.close()
            return f"{lease.path} is another cgroup by now"
        self.forget(lease.key)
        if lease.steps:
            self._held[lease.key] = (lease, cgroup)
        else:
            cgroup.close()
        return None

    def forget(self, key: str) -> None:
        """Let go of a lease without doing anything."""
        held = self._held.pop(key, None)
        if held is not None:
            held[1].close()

    def next_deadline_ns(self) -> int | None:
        """When something must be done next."""
        return min((lease.steps[0][0] for lease, _ in self._held.values()), default=None)

    def end_due(self, now_ns: int) -> None:
        """Do every step whose time has come; let go of cgroups that are gone, whatever their deadline."""
        for lease, cgroup in list(self._held.values()):
            if lease.steps[0][0] <= now_ns:
                self._end(lease, cgroup, now_ns)
            elif not cgroup.alive():
                self.forget(lease.key)

    def _end(self, lease: Lease, cgroup: Cgroup, now_ns: int) -> None:
        wanted = lease.steps[0][1]
        result, why = compare_and_set(CgroupField(cgroup, lease.field), lease.field, lease.expect, wanted)
        self.reports = [*self.reports[-MAX_REPORTS:], report_of(lease, wanted, result, why, now_ns)]
        if result == RETRY:
            self._held[lease.key] = (lease.postponed(now_ns), cgroup)
            return
        rest = None if result in (DRIFT, GONE) else lease.advanced()
        if rest is None:
            self.forget(lease.key)
        else:
            self._held[lease.key] = (rest, cgroup)


class Server:
    """One listening socket, at most one daemon: a later connection takes the earlier one's place."""

    def __init__(self, listener: socket.socket, holder: Holder, ended_path: str) -> None:
        self._listener = listener
        self._ended_path = ended_path
        self._holder = holder
        self._daemon: socket.socket | None = None
        self._pending = b""
        self._started_ns = boottime_ns()
        self._ever_connected = False

    def run(self) -> None:
        """Serve until nothing is held and no daemon is there."""
        while not self._may_go():
            readable = self._wait()
            if self._listener in readable:
                self._accept()
            if self._daemon is not None and self._daemon in readable:
                self._receive(self._daemon)
            self._holder.end_due(boottime_ns())
            self._send_reports()

    def _may_go(self) -> bool:
        if self._daemon is not None or len(self._holder):
            return False
        waited = boottime_ns() - self._started_ns
        return self._ever_connected or waited > GRACE_SEC * NSEC_PER_SEC

    def _wait(self) -> list[socket.socket]:
        deadline_ns = self._holder.next_deadline_ns()
        timeout_sec = None if self._daemon is not None else LOOK_SEC
        if deadline_ns is not None:
            left_sec = (deadline_ns - boottime_ns()) / NSEC_PER_SEC
            timeout_sec = min(max(left_sec, 0.0), LOOK_SEC)
        sockets = [self._listener] + ([self._daemon] if self._daemon is not None else [])
        return select.select(sockets, [], [], timeout_sec)[0]

    def _accept(self) -> None:
        self._hang_up()
        self._daemon, _ = self._listener.accept()
        self._ever_connected = True
        hello = {"op": "hello", "version": PROTOCOL, "pid": os.getpid()}
        self._send({**hello, "held": [lease.to_wire() for lease in self._holder.leases()]})

    def _receive(self, daemon: socket.socket) -> None:
        try:
            data = daemon.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, message: dict[str, object]) -> None:
        why: str | None = None
        match message.get("op"):
            case "guard":
                why = self._holder.guard(Lease.from_wire(message))
            case "forget":
                self._holder.forget(str(message.get("key")))
            case other:
                why = f"unknown operation {other}"
        self._send({"op": "ack", "id": message.get("id"), "why": why})

    def _send_reports(self) -> None:
        while self._holder.reports:
            report = self._holder.reports[0]
            if not self._send(report) and not self._keep(report):
                return
            self._holder.reports.pop(0)

    def _keep(self, report: dict[str, object]) -> bool:
        """Leave a report for the next daemon; what is to be tried again will be reported again."""
        if report["result"] == RETRY:
            return True
        try:
            with open(self._ended_path, "a", opener=_private) as file:
                file.write(json.dumps({**report, "while_away": True}) + "\n")
        except OSError:  # told when a daemon comes, if it comes before the last lease has ended
            return False
        return True

    def _send(self, message: dict[str, object]) -> bool:
        if self._daemon is None:
            return False
        try:
            self._daemon.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._hang_up()
            return False
        return True

    def _hang_up(self) -> None:
        if self._daemon is not None:
            self._daemon.close()
        self._daemon, self._pending = None, b""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def main(arguments: list[str]) -> None:
    """Serve on the inherited listening socket; `arguments` are its descriptor and the path it is bound to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(fileno=int(arguments[0]))
    path = arguments[1]
    mine = os.stat(path).st_ino
    Server(listener, Holder(Hierarchies.read()), os.path.join(os.path.dirname(path), ENDED)).run()
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_ino == mine:
            os.unlink(path)


if __name__ == "__main__":
    main(sys.argv[1:])
