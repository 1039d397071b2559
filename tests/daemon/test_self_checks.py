"""What the daemon finds when it looks at itself: each fault is one degraded line, and a fact of /healthz."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgwarden.self_checks import SelfChecks
from enforcer import Journal
from monitor import EventLog
from web import Health


class Parts:
    """A journal and an event log below `directory`, with policies and a sweep as the test says."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.errors: list[str] = []
        self.unkept = 0
        self.journal = Journal(str(directory / "journal.db"))
        self.events = EventLog(str(directory / "events.db"))
        stack.callback(self.journal.close)
        stack.callback(self.events.close)

    def look(self) -> SelfChecks:
        enforcer = SimpleNamespace(policy_errors=lambda: self.errors, policies=list)
        snapshot = SimpleNamespace(cost=SimpleNamespace(unkept=self.unkept))
        monitor = SimpleNamespace(latest=lambda: snapshot)
        return SelfChecks(self.journal, self.events, cast(Any, enforcer), cast(Any, monitor))

    def degraded(self) -> dict[str, str]:
        return {
            check["name"]: check["detail"] for check in self.look().checks() if check["state"] == "degraded"
        }


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_nothing_is_degraded_where_all_is_well(tmp_path: Path, stack: ExitStack) -> None:
    parts = Parts(tmp_path, stack)

    assert parts.degraded() == {}
    assert parts.look().health() == Health()


def test_a_state_directory_that_takes_nothing_degrades_journal_and_events(
    tmp_path: Path, stack: ExitStack
) -> None:
    (tmp_path / "file").write_text("in the way")
    parts = Parts(tmp_path / "file", stack)

    assert parts.degraded().keys() == {"journal", "events"}
    assert parts.look().health() == Health(journal_writable=False, events_on_disk=False)


def test_broken_policies_are_told_with_their_places(tmp_path: Path, stack: ExitStack) -> None:
    parts = Parts(tmp_path, stack)
    parts.errors = [f"p.yaml:{line}:1: no" for line in range(1, 6)]

    told = parts.degraded()["policies"]

    assert told == "p.yaml:1:1: no; p.yaml:2:1: no; p.yaml:3:1: no; and 2 more"
    assert parts.look().health().policy_errors == 5


def test_containers_beyond_the_descriptor_budget_are_counted(tmp_path: Path, stack: ExitStack) -> None:
    parts = Parts(tmp_path, stack)
    parts.unkept = 12

    assert "12 containers" in parts.degraded()["descriptors"]
    assert parts.look().health().unkept == 12
