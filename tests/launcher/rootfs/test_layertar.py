"""A layer as it is written, held against the directory that it is written from."""

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.errors import CannotCommit
from launcher.rootfs.changes import read_changes
from launcher.rootfs.driver import OpenTrees
from launcher.rootfs.layertar import Bounds, write_layer


@contextmanager
def trees(tmp_path: Path) -> Iterator[OpenTrees]:
    """An empty one below `tmp_path/new`."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    base, tree = (os.open(tmp_path / name, os.O_RDONLY) for name in ("old", "new"))
    try:
        yield OpenTrees(base, tree, False)
    finally:
        os.close(base)
        os.close(tree)


@pytest.mark.parametrize(
    ("mtime_ns", "told"),
    [
        (-1, "-0.000000001"),
        (-500_000_000, "-0.5"),
        (-1_500_000_000, "-1.5"),
        (-10_000_000_000, "-10"),
        (1_500_000_000, "1.5"),
    ],
)
def test_times_have_their_sign_and_every_digit(tmp_path: Path, mtime_ns: int, told: str) -> None:
    out = io.BytesIO()
    with trees(tmp_path) as both:
        (tmp_path / "new" / "f").touch()
        os.utime(tmp_path / "new" / "f", ns=(mtime_ns, mtime_ns))
        write_layer(both, read_changes(both), out, Bounds(most_bytes=1 << 20))

    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        assert [one.pax_headers["mtime"] for one in archive] == [told]


def test_a_file_that_grows_after_it_was_counted_is_held_to_the_limit_too(tmp_path: Path) -> None:
    out = io.BytesIO()
    with trees(tmp_path) as both:
        file = tmp_path / "new" / "f"
        file.touch()
        found = read_changes(both)
        os.truncate(file, 8 << 20)

        with pytest.raises(CannotCommit, match="a layer may have 1048576"):
            write_layer(both, found, out, Bounds(most_bytes=1 << 20))

    assert len(out.getvalue()) <= 1 << 20
