"""The log on disk: rebuilt byte by byte, rotated by size, followed over rotations."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.logfile import LogWriter, follow_log, read_log


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def rebuilt(directory: Path, stream: str) -> bytes:
    lines, _inode, _offset = read_log(str(directory), None, None)
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

    lines, _inode, _offset = read_log(str(tmp_path), None, None)
    assert [line.partial for line in lines] == [True] * 6 + [False]
    assert rebuilt(tmp_path, "stdout") == b"x" * 100_000 + b"y\n"
    log.close()


def test_a_full_log_makes_room_and_keeps_the_newest(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, rotate_bytes=1000)

    for number in range(100):
        log.write("stdout", b"line %d\n" % number)

    lines, _inode, _offset = read_log(str(tmp_path), None, None)
    assert lines[-1].data == b"line 99"
    assert len(lines) > 15
    assert all((tmp_path / name).stat().st_size <= 1000 for name in ("log", "log.1"))
    log.close()


def test_a_follower_misses_nothing_over_a_rotation(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd, rotate_bytes=500)
    log.write("stdout", b"0\n")
    lines, inode, offset = read_log(str(tmp_path), None, None)
    numbers = iter(range(1, 40))

    def write_more(_seconds: float) -> bool:
        number = next(numbers, None)
        if number is not None:
            log.write("stdout", b"%d\n" % number)
        return number is None

    followed = follow_log(str(tmp_path), inode, offset, None, write_more)

    assert [line.data for line in [*lines, *followed]] == [b"%d" % number for number in range(40)]
    log.close()


def test_a_full_disk_loses_output_and_counts_it(tmp_path: Path, dir_fd: int) -> None:
    log = LogWriter(dir_fd)
    log.close()

    log.write("stdout", b"nobody keeps this\n")

    assert log.lost_bytes > 0


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_log(str(tmp_path), None, None) == ([], 0, 0)
