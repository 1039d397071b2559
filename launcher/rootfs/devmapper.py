"""Driver `devmapper`: a thin device with an ext4 for each chain of layers, a snapshot of it for each
container.

A changed byte costs 64 KiB, whatever the file's size. The file system is grown to what it holds and the
size that was asked for, so the limit is the device's own; `df` inside shows it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import threading
from collections.abc import Iterator, Set
from typing import Final

from launcher.failpoints import reach
from launcher.rootfs import dm, loop
from launcher.rootfs.copying import copy_layers_into
from launcher.rootfs.driver import OpenTrees
from launcher.rootfs.fingerprint import fingerprint
from launcher.rootfs.merged import opened_merged
from launcher.rootfs.overlay import make_ext4
from launcher.rootfs.source import RootSource
from launcher.rootfs.thinpool import ThinPool

EXT4_IOC_RESIZE_FS: Final = 0x40086610
DEFAULT_BYTES: Final = 10 << 30
_BLOCK: Final = 4096
_OF_DIRECTORY: Final = "basedir-"
_OF_LAYERS: Final = "baselayers-"
_CONTAINER: Final = "c-"


class DevMapper:
    name = "devmapper"

    def __init__(self, state_dir: str) -> None:
        self._state_dir = state_dir
        self._pool = ThinPool(f"{state_dir}/devmapper")
        self._lock = threading.Lock()

    def why_not(self) -> str | None:
        return None if dm.is_offered() else NOT_HERE

    def check_storage(self, storage_bytes: int) -> str | None:
        return None if storage_bytes >= 1 << 20 else "must be at least 1 MiB"

    def source(self, name: str, layers: tuple[str, ...], storage_bytes: int | None) -> RootSource:
        return RootSource(driver=self.name, layers=layers, device=self._pool.device(_CONTAINER + name))

    def prepare(self, source: RootSource, name: str, storage_bytes: int | None) -> None:
        who = _CONTAINER + name
        with self._lock:
            self._pool.bring_up()
            known = self._pool.read_table()
            if who not in known or not known[who].get("ready"):
                self._pool.delete(who)
                self._pool.refuse_when_full()
                self._make(who, self._base(source.layers), storage_bytes or DEFAULT_BYTES)
            self._pool.activate(who)

    def _make(self, who: str, base: str, free_bytes: int) -> None:
        held = self._pool.read_table()[base]
        sectors = (held["used_bytes"] + free_bytes) // _BLOCK * _BLOCK // dm.SECTOR
        self._pool.make(who, max(sectors, held["sectors"]), origin=base, base=base)
        with _mounted(self._pool.activate(who)) as top:
            blocks = max(sectors, held["sectors"]) * dm.SECTOR // _BLOCK
            fcntl.ioctl(top, EXT4_IOC_RESIZE_FS, bytearray(struct.pack("=Q", blocks)))
        self._pool.set_facts(who, ready=True)

    def _base(self, layers: tuple[str, ...]) -> str:
        """Its name; one that is not `ready` was cut short and is made anew."""
        key = self._key(layers)
        if self._pool.read_table().get(key, {}).get("ready"):
            return key
        self._pool.delete(key)
        content = sum(map(_measure, layers))
        size = (content * 5 // 4 + (64 << 20)) // _BLOCK * _BLOCK
        self._pool.make(key, size // dm.SECTOR)
        node = self._pool.activate(key)
        # The program's choice for so small a device would be other blocks, and fewer inodes than files.
        make_ext4(node, "-b", str(_BLOCK), "-i", str(_BLOCK))
        with _mounted(node) as top:
            os.rmdir("lost+found", dir_fd=top)
            copy_layers_into(layers, f"/proc/self/fd/{top}", fresh=True)
            found = os.fstatvfs(top)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize + size - found.f_blocks * found.f_frsize
        reach("root.copied")
        # An active origin would have to be suspended for each snapshot.
        self._pool.deactivate(key)
        self._pool.set_facts(key, ready=True, used_bytes=used)
        reach("root.base")
        return key

    def _key(self, layers: tuple[str, ...]) -> str:
        """Layers are named by their content; anything else is looked at."""
        ours = f"{self._state_dir}/layers/"
        if all(layer.startswith(ours) for layer in layers):
            kind, marks = _OF_LAYERS, list(layers)
        else:
            kind, marks = _OF_DIRECTORY, [fingerprint(layer) for layer in layers]
        return kind + hashlib.sha256("\0".join(marks).encode(errors="surrogateescape")).hexdigest()[:40]

    @contextlib.contextmanager
    def trees(self, source: RootSource, name: str) -> Iterator[OpenTrees]:
        who = _CONTAINER + name
        with self._lock:
            self._pool.bring_up()
            base = self._pool.read_table()[who]["base"]
            try:
                with (
                    _mounted(self._pool.activate(base), read_only=True) as before,
                    _mounted(self._pool.activate(who)) as now,
                ):
                    yield OpenTrees(before, now, False)
            finally:
                self._pool.deactivate(base)

    def remove(self, name: str) -> None:
        """Bases of layers stay, as layers do; one of a directory goes with its last container."""
        with self._lock:
            self._remove(_CONTAINER + name)
            self._pool.take_down()

    def _remove(self, who: str) -> None:
        entry = self._pool.read_table().get(who)
        self._pool.delete(who)
        base = (entry or {}).get("base", "")
        if base.startswith(_OF_DIRECTORY) and base not in self._bases_in_use():
            self._pool.delete(base)

    def _bases_in_use(self) -> set[str]:
        return {entry.get("base", "") for entry in self._pool.read_table().values()}

    def sweep(self, used: Set[str]) -> list[tuple[str, str]]:
        """Containers that are not known, bases that none uses, a pool that nobody needs."""
        if not dm.is_offered() or not self._pool.read_table():
            return []
        with self._lock:
            known = [who for who in self._pool.read_table() if who.startswith(_CONTAINER)]
            left = sorted({who.removeprefix(_CONTAINER) for who in known} - used)
            for name in left:
                self._remove(_CONTAINER + name)
            for who in set(self._pool.read_table()) - self._bases_in_use():
                if not who.startswith(_CONTAINER):
                    self._pool.delete(who)
            self._pool.take_down()
        return [(name, "thin snapshot") for name in left]


NOT_HERE: Final = (
    "this host's kernel has no device mapper (no /dev/mapper/control): load dm_mod and dm_thin_pool, "
    "or use overlay, btrfs or vfs"
)


@contextlib.contextmanager
def _mounted(node: str, *, read_only: bool = False) -> Iterator[int]:
    """The file system on a device, as an open directory of a mount that nobody else sees."""
    tree = loop.mount_device(node, read_only=read_only)
    try:
        top = os.open(f"/proc/self/fd/{tree}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield top
        finally:
            os.close(top)
    finally:
        os.close(tree)


def _measure(path: str) -> int:
    """What a layer takes on disk, in bytes, and an inode's worth for each of its files."""
    total = 0
    with opened_merged((path,), path) as top:  # without what is mounted inside
        for _, directories, names, fd in os.fwalk(".", dir_fd=top):
            for name in (*directories, *names):
                with contextlib.suppress(FileNotFoundError):
                    total += os.stat(name, dir_fd=fd, follow_symlinks=False).st_blocks * 512 + _BLOCK
    return total
