"""Driver `btrfs`: a snapshot for each container of a subvolume that holds its layers.

    STATE_DIR/btrfs/bases/KEY        one for each chain of layers, read-only, shared by containers
                   /containers/NAME  a snapshot of it
                   /used/NAME        which base that is of

STATE_DIR must be on btrfs, or have a btrfs mounted at `btrfs/`. A base begins as a snapshot of the chain
that is one layer shorter. A root directory, which may change between two containers, is known by a
fingerprint of its files' inodes and change times.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator, Set
from typing import Final

from launcher.failpoints import reach
from launcher.rootfs import subvolumes
from launcher.rootfs.copying import copy_layers_into
from launcher.rootfs.driver import OpenTrees
from launcher.rootfs.fingerprint import fingerprint
from launcher.rootfs.source import RootSource

_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OF_DIRECTORY: Final = "dir-"
_OF_LAYERS: Final = "layers-"
_FRESH: Final = ".new-"


class Btrfs:
    name = "btrfs"

    def __init__(self, state_dir: str) -> None:
        self._state_dir = state_dir
        self._top = f"{state_dir}/btrfs"
        self._lock = threading.Lock()

    def why_not(self) -> str | None:
        place = self._top if os.path.isdir(self._top) else self._state_dir
        if subvolumes.is_btrfs(place):
            return None
        return f"{self._state_dir} is not on btrfs: move it there, or mount a btrfs at {self._top}"

    def check_storage(self, storage_bytes: int) -> str | None:
        return None if storage_bytes >= 1 << 20 else "must be at least 1 MiB"

    def source(self, name: str, layers: tuple[str, ...], storage_bytes: int | None) -> RootSource:
        return RootSource(driver=self.name, layers=layers, tree=f"{self._top}/containers/{name}")

    def prepare(self, source: RootSource, name: str, storage_bytes: int | None) -> None:
        for part in ("bases", "containers", "used"):
            os.makedirs(f"{self._top}/{part}", 0o700, exist_ok=True)
        if not os.path.isdir(source.tree):
            with self._lock:
                base = self._base(source.layers)
                self._write_used(name, base)
                reach("root.noted")
                subvolumes.snapshot(f"{self._top}/bases/{base}", source.tree)
        if storage_bytes:
            subvolumes.limit_exclusive(source.tree, storage_bytes)

    def _base(self, layers: tuple[str, ...]) -> str:
        """Its key; made where it is missing. A name without `.new-` is whole."""
        key = self._key(layers)
        path = f"{self._top}/bases/{key}"
        if os.path.isdir(path):
            return key
        fresh = f"{self._top}/bases/{_FRESH}{key}"
        subvolumes.destroy(fresh)
        if len(layers) > 1:
            subvolumes.snapshot(f"{self._top}/bases/{self._base(layers[:-1])}", fresh)
        else:
            subvolumes.create(fresh)
        copy_layers_into(layers[-1:], fresh)
        reach("root.copied")
        subvolumes.snapshot(fresh, path, read_only=True)
        reach("root.base")
        subvolumes.destroy(fresh)
        return key

    def _key(self, layers: tuple[str, ...]) -> str:
        """Layers are named by their content; anything else is looked at."""
        ours = f"{self._state_dir}/layers/"
        if all(layer.startswith(ours) for layer in layers):
            return _OF_LAYERS + hashlib.sha256("\0".join(layers).encode(errors="surrogateescape")).hexdigest()
        marks = [fingerprint(layer) for layer in layers]
        return _OF_DIRECTORY + hashlib.sha256("\0".join(marks).encode()).hexdigest()

    def _write_used(self, name: str, base: str) -> None:
        with open(f"{self._top}/used/{name}", "w") as file:
            file.write(base)

    def _read_used(self, name: str) -> str:
        try:
            with open(f"{self._top}/used/{name}") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    @contextlib.contextmanager
    def trees(self, source: RootSource, name: str) -> Iterator[OpenTrees]:
        base = os.open(f"{self._top}/bases/{self._read_used(name)}", _FLAGS)
        try:
            tree = os.open(source.tree, _FLAGS)
            try:
                yield OpenTrees(base, tree, False)
            finally:
                os.close(tree)
        finally:
            os.close(base)

    def remove(self, name: str) -> None:
        """Bases of layers stay, as layers do; one of a directory goes with its last container."""
        with self._lock:
            base = self._read_used(name)
            subvolumes.destroy(f"{self._top}/containers/{name}")
            reach("root.unmade")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._top}/used/{name}")
            if base.startswith(_OF_DIRECTORY) and base not in self._bases_in_use():
                subvolumes.destroy(f"{self._top}/bases/{base}")

    def _bases_in_use(self) -> set[str]:
        return {self._read_used(name) for name in os.listdir(f"{self._top}/used")}

    def sweep(self, used: Set[str]) -> list[tuple[str, str]]:
        """Bases of layers that no container uses go too: the next start of one makes it again."""
        if not os.path.isdir(f"{self._top}/bases"):
            return []
        left = sorted({*os.listdir(f"{self._top}/containers"), *os.listdir(f"{self._top}/used")} - used)
        for name in left:
            self.remove(name)
        bases = sorted(set(os.listdir(f"{self._top}/bases")) - self._bases_in_use())
        for base in bases:
            subvolumes.destroy(f"{self._top}/bases/{base}")
        return [(name, "btrfs snapshot") for name in left]
