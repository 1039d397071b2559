"""The log on disk: rebuilt byte by byte, rotated by size, followed over rotations."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher import syscalls
from launcher.logfile import PATIENCE, LogLine, LogWriter
from launcher.logreader import CHUNK_BYTES, LogReader


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def read_log(directory: Path, tail: int | None = None, since: str | None = None) -> list[LogLine]:
    return list(LogReader(str(directory)).read(tail, since, None))


def rebuilt(directory: Path, stream: str) -> bytes:
    lines = read_log(directory)
    return b"".join(line.data + (b"" if line.partial else b"\n") for line in lines if line.stream == stream)


@settings(max_examples=50)
@given(chunks=st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=300))))
def test_what_was_printed_is_rebuilt_byte_by_byte(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[str, bytes]]
) -> None:
    directory = tmp_path_factory.mktemp("log")
    fd = os.open(directory, os.O_RDONLY)
    log = LogWriter(fd)

    for stream, data in chunks:
        log.write(stream, data)
    log.flush()

    for stream in ("stdout", "stderr"):
        assert rebuilt(directory, stream) == b"".join(data for name, data in chunks if name == stream)
    log.close()
    os.close(fd)


def test_a_line_without_an_end_goes_out_in_pieces(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd)

    log.write("stdout", b"x" * 100_000)
    log.write("stdout", b"y\n")

    lines = read_log(tmp_path)
    assert [line.partial for line in lines] == [True] * 6 + [False]
    assert rebuilt(tmp_path, "stdout") == b"x" * 100_000 + b"y\n"
    log.close()


def test_a_full_log_makes_room_and_keeps_the_newest(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, max_bytes=1000)

    for number in range(100):
        log.write("stdout", b"line %d\n" % number)

    lines = read_log(tmp_path)
    assert lines[-1].data == b"line 99"
    assert len(lines) > 15
    assert all((tmp_path / name).stat().st_size <= 1000 for name in ("log", "log.1"))
    log.close()


def follow(directory: Path, steps: Iterable[Callable[[], object]]) -> list[bytes]:
    """What a follower reads while, whenever it waits, the next step is taken; it ends after the last."""
    waiting = iter(steps)

    def wait_for_end(_seconds: float) -> bool:
        step = next(waiting, None)
        if step is not None:
            step()
        return step is None

    return [line.data for line in LogReader(str(directory)).read(None, None, wait_for_end)]


def test_a_follower_misses_nothing_over_rotations(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, max_bytes=500)
    log.write("stdout", b"0\n")

    # Each step is written to a file of its own.
    writes = [partial(log.write, "stdout", b"%d\n" % number * 20) for number in range(1, 40)]

    assert follow(tmp_path, writes) == [b"0", *(b"%d" % number for number in range(1, 40) for _ in range(20))]
    log.close()


def test_a_reader_that_lags_behind_puts_rotations_off(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, max_bytes=500)
    log.write("stdout", b"first\n")
    lines = LogReader(str(tmp_path)).read(None, None, lambda _seconds: True)
    begun = next(lines)

    for number in range(70):
        log.write("stdout", b"%d\n" % number)

    assert [line.data for line in [begun, *lines]] == [b"first", *(b"%d" % number for number in range(70))]
    log.write("stdout", b"x" * 500 + b"\n")
    assert (tmp_path / "log").stat().st_size < 1000
    log.close()


def test_a_reader_that_is_stuck_does_not_fill_the_disk(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, max_bytes=500)
    log.write("stdout", b"first\n")
    stuck = LogReader(str(tmp_path))

    for number in range(1000):
        log.write("stdout", b"%d\n" % number)

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * PATIENCE * 500
    assert read_log(tmp_path)[-1].data == b"999"
    stuck.close()
    log.close()


def test_a_log_is_read_to_its_end_although_its_files_were_removed(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, max_bytes=500)
    log.write("stdout", b"first\n")
    reader = LogReader(str(tmp_path))
    log.write("stdout", b"second\n" * 20)
    log.write("stdout", b"last\n")

    reader.look()
    for name in ("log", "log.1"):
        (tmp_path / name).unlink()

    lines = [line.data for line in reader.read(None, None, lambda _seconds: True)]
    assert lines == [b"first", *[b"second"] * 20, b"last"]
    log.close()


def test_a_line_longer_than_a_chunk_is_read_whole(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd)
    log.write("stdout", b"x" * CHUNK_BYTES * 3 + b"\n")

    assert rebuilt(tmp_path, "stdout") == b"x" * CHUNK_BYTES * 3 + b"\n"
    log.close()


def test_a_reader_closes_what_it_holds_open_even_if_it_never_reads(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd)
    before = len(os.listdir("/proc/self/fd"))

    LogReader(str(tmp_path)).read(None, None, None)
    list(LogReader(str(tmp_path)).read(None, None, None))

    assert len(os.listdir("/proc/self/fd")) == before
    log.close()


def test_a_full_disk_loses_output_and_counts_it(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd)
    log.close()

    log.write("stdout", b"nobody keeps this\n")

    assert log.lost_bytes > 0


@pytest.mark.parametrize("max_files", [1, 2, 5])
def test_as_many_files_are_kept_as_was_asked_for(tmp_path: Path, dir_fd: int, max_files: int) -> None:
    log = LogWriter(dir_fd, max_bytes=1000, max_files=max_files)

    for number in range(1000):
        log.write("stdout", b"line %d\n" % number)

    names = ["log", *(f"log.{age}" for age in range(1, max_files))]
    assert sorted(os.listdir(tmp_path)) == names
    numbers = [int(line.data.split()[1]) for line in read_log(tmp_path)]
    assert numbers == list(range(numbers[0], 1000))
    assert len(numbers) > 15 * (max_files - 1)
    log.close()


def test_a_follower_misses_nothing_over_rotations_of_many_files(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, max_bytes=500, max_files=4)
    log.write("stdout", b"0\n")

    # Three rotations between two looks.
    writes = [partial(write_each, log, range(60 * step + 1, 60 * step + 61)) for step in range(10)]

    assert follow(tmp_path, writes) == [b"%d" % number for number in range(601)]
    log.close()


def write_each(log: LogWriter, numbers: range) -> None:
    for number in numbers:
        log.write("stdout", b"%d\n" % number)


@pytest.mark.kernel
def test_a_disk_that_runs_full_keeps_whole_lines_and_counts_the_rest() -> None:
    disk = syscalls.mount_fs(b"tmpfs", {b"size": b"64k", b"mode": b"700"}, 0)
    log = LogWriter(disk)

    for number in range(5000):
        log.write("stdout", b"line %d\n" % number)

    fd = os.open("log", os.O_RDONLY, dir_fd=disk)
    kept = os.read(fd, 1 << 20)
    os.close(fd)
    assert kept.endswith(b"\n")
    numbers = [int(line.rpartition(b" ")[2]) for line in kept.splitlines()]
    assert numbers == list(range(len(numbers)))
    assert log.lost_bytes > 0
    log.close()
    os.close(disk)


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path) == []
