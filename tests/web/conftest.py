"""A running server for the tests of the web side."""

from collections.abc import Iterator

import pytest

from tests.web.rig import Rig, running


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A server of this test's own."""
    with running() as rig:
        yield rig


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """A server for tests that change nothing."""
    with running() as rig:
        rig.launcher.add("web", limits={"memory_max_bytes": 67108864})
        rig.monitor.sweep()
        yield rig
