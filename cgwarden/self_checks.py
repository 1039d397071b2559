"""What the daemon finds when it looks at itself, for `doctor` in full and for /healthz in short."""

from cgwarden.checks import Check, make_check
from enforcer import Enforcer, Journal
from monitor import EventLog, Monitor
from web import Health

_SHOWN = 3


class SelfChecks:
    """Asks the parts; every answer is at hand, nothing is tried out."""

    def __init__(self, journal: Journal, events: EventLog, enforcer: Enforcer, monitor: Monitor) -> None:
        self._journal = journal
        self._events = events
        self._enforcer = enforcer
        self._monitor = monitor

    def health(self) -> Health:
        """The faults, without their details."""
        return Health(
            journal_writable=self._journal.healthy(),
            events_on_disk=self._events.failure is None,
            policy_errors=len(self._enforcer.policy_errors()),
            unkept=self._unkept(),
        )

    def checks(self) -> list[Check]:
        """One line for each part, with what to do about it."""
        return [
            self._journal_check(),
            self._events_check(),
            self._policies_check(),
            self._descriptors_check(),
        ]

    def _journal_check(self) -> Check:
        if not self._journal.healthy():
            return make_check(
                "journal", "degraded", "cannot be written: limits stay as they are", "make room"
            )
        if self._journal.set_aside is not None:
            detail = f"a new one: the old was damaged and is set aside as {self._journal.set_aside}"
            return make_check("journal", "degraded", detail, "delete that file once it was looked at")
        return make_check("journal", "ok", "written to disk before each change")

    def _events_check(self) -> Check:
        if self._events.failure is None:
            return make_check("events", "ok", "written to disk")
        return make_check("events", "degraded", self._events.failure, "make room or repair the disk")

    def _policies_check(self) -> Check:
        errors = self._enforcer.policy_errors()
        if not errors:
            return make_check("policies", "ok", f"{len(self._enforcer.policies())} loaded")
        more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        advice = "mend the file, then send the daemon SIGHUP"
        return make_check("policies", "degraded", "; ".join(errors[:_SHOWN]) + more, advice)

    def _descriptors_check(self) -> Check:
        unkept = self._unkept()
        if not unkept:
            return make_check("descriptors", "ok", "enough for every container")
        detail = f"too few: {unkept} containers are opened anew for each sweep, which costs CPU time"
        return make_check("descriptors", "degraded", detail, "raise the daemon's limit of open files")

    def _unkept(self) -> int:
        latest = self._monitor.latest()
        return 0 if latest is None else latest.cost.unkept
