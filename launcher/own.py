"""cgwarden's own directories: nothing of a container lies in them, and a root that holds them hides them."""

from __future__ import annotations

from typing import NamedTuple


class OwnDirectories(NamedTuple):
    """Absolute paths, without links."""

    state_dir: str
    run_dir: str

    def hold(self, path: str) -> bool:
        """Is the path one of them, or inside one?"""
        return any(f"{path}/".startswith(f"{own}/") for own in self)

    def below(self, directory: str) -> tuple[str, ...]:
        """Those inside the directory, relative to it."""
        prefix = directory.rstrip("/") + "/"
        return tuple(own.removeprefix(prefix) for own in self if own.startswith(prefix))
