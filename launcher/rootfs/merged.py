"""Layers as one read-only tree: what a container began with."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Final

from launcher import syscalls
from launcher.rootfs.mounting import mount_overlay_fds

_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def opened_merged(layers: tuple[str, ...], place: str, above: int = -1) -> Iterator[int]:
    """A directory with what the layers (bottom to top) show together, with the layer `above` on top if given.

    Nothing that is mounted inside a layer is seen. `place` is an empty directory of ours, for old kernels.
    One layer alone is shown as it lies: whiteouts in it stand for nothing, and readers pass over them.
    """
    with contextlib.ExitStack() as held:
        lower = [] if above < 0 else [above]
        for path in reversed(layers):
            fd = os.open(path, _FLAGS)
            held.callback(os.close, fd)
            lower.append(fd)
        # A read-only overlay needs two layers.
        tree = syscalls.open_tree(lower[0], b"") if len(lower) == 1 else _overlay(lower, place)
        held.callback(os.close, tree)
        root = os.open(f"/proc/self/fd/{tree}", _FLAGS)
        held.callback(os.close, root)
        yield root


def _overlay(lower: list[int], place: str) -> int:
    return mount_overlay_fds(lower, os.fsencode(place))


@contextlib.contextmanager
def opened_empty() -> Iterator[int]:
    """An empty directory: compared with it, everything in a tree has been added."""
    with tempfile.TemporaryDirectory(prefix="cgwarden-empty-") as path:
        fd = os.open(path, _FLAGS)
        try:
            yield fd
        finally:
            os.close(fd)
