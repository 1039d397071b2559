"""What others put among our records keeps no daemon from its start, and is neither read nor removed."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import Container, Launcher
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


@pytest.mark.parametrize("name", ["evil", ".removed-evil", "odd name\n", "-x", "\udcff", "x" * 100])
def test_a_start_leaves_alone_what_is_no_directory(
    place: Place, short_dir: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    place.launcher()
    (short_dir / "theirs").mkdir()
    (short_dir / "theirs/spec.json").write_text("{}")
    place.state_of(name).symlink_to(short_dir / "theirs")
    place.state_of(f"{name}.file").write_text("theirs")

    launcher = place.launcher()

    assert launcher.containers() == ()
    assert (short_dir / "theirs/spec.json").read_text() == "{}"
    assert place.state_of(f"{name}.file").read_text() == "theirs"
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert all("it is left alone" in record.getMessage() for record in caplog.records)
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_a_directory_without_any_part_of_a_container_is_left_alone(place: Place) -> None:
    place.launcher()
    place.state_of("backup").mkdir()
    (place.state_of("backup") / "theirs").write_text("theirs")

    place.launcher()

    assert (place.state_of("backup") / "theirs").read_text() == "theirs"


def test_a_half_removed_container_is_removed(place: Place) -> None:
    place.launcher()
    (place.state_of("t") / "upper/etc").mkdir(parents=True)

    place.launcher()

    assert place.remains("t") == []


@pytest.mark.parametrize("spoil", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_a_record_that_is_no_file_hides_no_other_container(
    place: Place, launcher: Launcher, run: Run, spoil: Callable[[Path], None]
) -> None:
    run("sleep 60")
    place.state_of("bad").mkdir()
    (place.state_of("bad") / "exit.json").write_text(json.dumps({"exit_code": 0}))
    spoil(place.state_of("bad") / "init.json")

    second = place.launcher()

    assert second.get("t").state == "running"
    assert place.state_of("bad").exists()


def test_an_intent_that_cannot_be_undone_keeps_no_daemon_from_its_start(
    place: Place, launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    place.state_of("t").mkdir()
    (place.state_of("t") / "spec.json").mkdir()

    place.launcher()

    assert "could not be taken over" in caplog.text
    (place.state_of("t") / "spec.json").rmdir()
    place.state_of("t").rmdir()
