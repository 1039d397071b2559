"""Driver `vfs`: a full copy for each container, sharing blocks where the file system can (reflinks).

Works on every file system and costs time and space; nothing is shared between containers' page caches.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from launcher.failpoints import reach
from launcher.removal import remove_tree
from launcher.rootfs.copying import copy_layers
from launcher.rootfs.driver import OpenTrees, Plain
from launcher.rootfs.merged import opened_merged
from launcher.rootfs.source import RootSource

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Vfs(Plain):
    name = "vfs"

    def __init__(self, state_dir: str) -> None:
        self._containers = f"{state_dir}/containers"

    def check_storage(self, storage_bytes: int) -> str | None:
        return "driver vfs cannot hold a writable layer to a size; overlay, btrfs and devmapper can"

    def source(self, name: str, layers: tuple[str, ...], storage_bytes: int | None) -> RootSource:
        return RootSource(driver=self.name, layers=layers, tree=f"{self._containers}/{name}/tree")

    def prepare(self, source: RootSource, name: str, storage_bytes: int | None) -> None:
        if os.path.isdir(source.tree):
            return
        fresh = f"{source.tree}.new"
        remove_tree(fresh)
        copy_layers(source.layers, fresh)
        reach("root.copied")
        os.rename(fresh, source.tree)

    @contextlib.contextmanager
    def trees(self, source: RootSource, name: str) -> Iterator[OpenTrees]:
        with opened_merged(source.layers, f"{self._containers}/{name}/root") as base:
            tree = os.open(source.tree, _FLAGS)
            try:
                yield OpenTrees(base, tree, False)
            finally:
                os.close(tree)
