"""What the enforcer refuses, each as one clear line; one tree, so that the web edge maps it in one table."""

from __future__ import annotations


class EnforcerError(Exception):
    """Anything the enforcer refuses or fails at. ``str(error)`` is always one line a person can act on."""


class UnknownTarget(EnforcerError):
    """No container of that name is running under this daemon."""

    def __init__(self, name: str) -> None:
        super().__init__(f'no such container "{name}" (`cgwarden ps` lists them)')
        self.name = name


class BadWish(EnforcerError):
    """A wanted limit that no kernel could take, found before any write."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class OwnerConflict(EnforcerError):
    """Somebody with a higher priority holds the field."""

    def __init__(self, field: str, owner: str, until: str | None = None) -> None:
        ends = f" until {until}" if until else ""
        super().__init__(f"{field} is held by {owner}{ends}; use force to take it over")
        self.field = field
        self.owner = owner
        self.until = until


class BelowUsage(EnforcerError):
    """A limit below what is used now: the kernel would refuse it or kill for it."""

    def __init__(self, field: str, wanted: int, usage: int) -> None:
        super().__init__(
            f"{field}: {wanted} is below the present usage of {usage}; "
            "free memory first, or use force: the kernel then reclaims; where it cannot, "
            "cgroup v1 changes nothing and v2 may kill"
        )
        self.field = field
        self.wanted = wanted
        self.usage = usage


class JournalUnavailable(EnforcerError):
    """The intent could not be made durable, so nothing was written to the kernel."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"the journal {path} cannot be written ({why}); no limit was changed")
        self.path = path
        self.why = why


class JournalFull(JournalUnavailable):
    """No space left for the journal: the one reason that a person solves by making room."""


class NewerJournal(EnforcerError):
    """The journal belongs to a later cgwarden. Refused, because guessing at its schema could lose leases."""

    def __init__(self, path: str, schema: str) -> None:
        super().__init__(
            f"the journal {path} has schema {schema}, written by a newer cgwarden; start that version"
        )


class WriteTimedOut(EnforcerError):
    """The kernel has not taken a write within the deadline; it goes on and is recorded when it ends."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(
            f"{name}: the kernel did not take the change within {seconds:g} s; it is still at it, "
            "and the decision will show how it ended"
        )
        self.name = name


class ContainerBusy(EnforcerError):
    """An earlier change of the same container still hangs in the kernel."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}: an earlier change is still waiting for the kernel; try again when it has ended"
        )
        self.name = name


class WriteFailed(EnforcerError):
    """The kernel refused a planned write; everything before it was taken back."""

    def __init__(self, name: str, why: str, decision: str | None) -> None:
        super().__init__(why)
        self.name = name
        self.decision = decision


class TargetGone(EnforcerError):
    """The cgroup went away, or a namesake took its place, before the write. Nothing was written."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: its cgroup is gone; nothing was written")
        self.name = name


class Forbidden(EnforcerError):
    """A cgroup that is never touched: the root, our own, and PID 1's."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f'cgroup "{path}" is never changed: {why}')


class GuardianLost(EnforcerError):
    """The guardian does not answer, so nothing that must end by itself may begin."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the guardian does not answer ({why}); no lease can begin")


class PolicyError(EnforcerError):
    """A policy file with a mistake, told as ``file:line:column: what (and a suggestion)``."""

    def __init__(self, file: str, line: int, column: int, what: str) -> None:
        place = f"{file}:{line}:{column}" if line else file
        super().__init__(f"{place}: {what}")
        self.file = file
        self.line = line
        self.column = column
        self.what = what


class UnknownDecision(UnknownTarget):
    """No decision of that id in the journal."""

    def __init__(self, identifier: str) -> None:
        super(UnknownTarget, self).__init__(
            f'no such decision "{identifier}" (`cgwarden why NAME` lists them)'
        )
        self.name = identifier
