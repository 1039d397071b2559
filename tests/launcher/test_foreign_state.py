"""What others put among our records keeps no daemon from its start, and is neither read nor removed."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import BadSpec, Container, Launcher
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
MIB = 1 << 20


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


def text(value: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(value)

    return write


SPOILS = [
    *(text(value) for value in ("", "{", "{}", "[]", '{"name": "g"}', '{"limits": 1}', "[" * 100_000)),
    text('{"limits": {"memory_max_bytes": "much"}}'),
    Path.mkdir,
    os.mkfifo,
    lambda path: path.symlink_to(path),
]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_damaged_record_of_a_group_keeps_no_daemon_from_its_start(
    place: Place, launcher: Launcher, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    launcher.groups.create("other", {})
    spoil(place.state_dir / "groups/g.json")

    second = place.launcher()

    assert [group.name for group in second.groups.all()] == ["other"]
    assert "groups/g.json is no record of a group; it is left alone" in caplog.text
    assert os.path.lexists(place.state_dir / "groups/g.json")
    second.groups.remove("other")


@pytest.mark.parametrize("spoil", [text("{"), text("{}"), Path.mkdir, os.mkfifo])
def test_a_damaged_record_hides_no_group_that_containers_run_in(
    place: Place,
    launcher: Launcher,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], None],
) -> None:
    launcher.groups.create("g", {"memory_max_bytes": 96 * MIB})
    run("sleep 60", group="g")
    (place.state_dir / "groups/g.json").unlink()
    spoil(place.state_dir / "groups/g.json")

    second = place.launcher()

    assert "g.json is damaged" in caplog.text
    assert second.groups.get("g").limits["memory_max_bytes"] == 96 * MIB
    assert second.groups.members("g") == ["t"]
    second.remove("t", force=True)
    second.groups.remove("g")
    assert place.cgroup_dirs("g") == []


def test_what_is_no_record_among_the_groups_is_left_alone(
    place: Place, launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    (place.state_dir / "groups/odd\n.json").write_text("{}")

    assert place.launcher().groups.all() == []
    assert "is no group of ours; it is left alone" in caplog.text


@pytest.mark.parametrize("made", [{}, {"created_at": 7}, {"created_at": "long ago"}])
def test_a_group_on_record_without_a_moment_has_that_of_its_record(
    place: Place, launcher: Launcher, made: dict[str, object]
) -> None:
    path = place.state_dir / "groups/g.json"
    path.write_text(json.dumps({"limits": {}} | made))
    os.utime(path, (0, 1000))

    second = place.launcher()

    assert second.groups.get("g").created_at == "1970-01-01T00:16:40.000000Z"
    second.groups.remove("g")


def test_a_container_of_a_group_that_could_not_be_read_does_not_run_without_its_limits(
    place: Place, launcher: Launcher, run: Run
) -> None:
    launcher.groups.create("g", {"memory_max_bytes": 96 * MIB})
    run("true", group="g")
    launcher.wait("t", 20)
    (place.state_dir / "groups/g.json").write_text("{")

    second = place.launcher()

    with pytest.raises(BadSpec, match="there is no group 'g'"):
        second.start("t")
    assert place.cgroup_dirs("g") == []


def test_a_pipe_with_a_silent_writer_is_not_waited_for(
    place: Place, launcher: Launcher, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = place.state_dir / "groups/g.json"
    os.mkfifo(pipe)
    fd = os.open(pipe, os.O_RDWR)

    assert place.launcher().groups.all() == []

    os.close(fd)
    assert "g.json is no record of a group" in caplog.text
