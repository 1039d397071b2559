"""Fixtures of the monitor's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor import EventLog
from tests.monitor.fakes import Clock, Source, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def events() -> Iterator[EventLog]:
    log = EventLog(None)
    yield log
    log.close()
