"""An end that cannot be dealt with is told: nobody else would hear of it."""

import logging
import os

import pytest

from launcher.lives.watcher import Watcher
from tests.launcher.conftest import eventually


def test_what_a_callback_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    read, write = os.pipe()
    watcher = Watcher()

    def fail() -> None:
        os.close(read)
        raise FileNotFoundError("no such directory")

    watcher.watch(read, fail)
    with caplog.at_level(logging.ERROR, "cgwarden.launcher"):
        os.write(write, b"x")
        assert eventually(lambda: bool(caplog.records))
        watcher.close()
    os.close(write)

    assert [record.getMessage() for record in caplog.records] == [
        "the end of a container could not be dealt with: no such directory"
    ]
