"""Driver `overlay`, the default: layers are shared as they lie on disk, changes go to a directory above them.

Costs nothing to prepare, and all containers of an image share its page cache; a large file that is changed is
copied whole. Held to a size, the directory is in an ext4 in a file, mounted in the container's namespace
alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from launcher.errors import LaunchFailed
from launcher.failpoints import reach
from launcher.rootfs import loop
from launcher.rootfs.driver import OpenTrees, Plain
from launcher.rootfs.merged import opened_merged
from launcher.rootfs.source import UPPER_IMAGE, RootSource

SMALLEST_IMAGE: Final = 4 << 20
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


class Overlay(Plain):
    name = "overlay"

    def __init__(self, state_dir: str) -> None:
        self._containers = f"{state_dir}/containers"

    def check_storage(self, storage_bytes: int) -> str | None:
        if storage_bytes < SMALLEST_IMAGE:
            return f"an ext4 file system needs at least {SMALLEST_IMAGE >> 20} MiB"
        if shutil.which("mkfs.ext4", path=_SBIN) is None:
            return "mkfs.ext4 is missing on this host (package e2fsprogs)"
        if not os.path.exists("/dev/loop-control"):
            return "this kernel has no loop devices, which hold a writable layer to its size"
        return None

    def source(self, name: str, layers: tuple[str, ...], storage_bytes: int | None) -> RootSource:
        image = f"{self._containers}/{name}/{UPPER_IMAGE}" if storage_bytes else ""
        return RootSource(driver=self.name, layers=layers, image=image)

    def prepare(self, source: RootSource, name: str, storage_bytes: int | None) -> None:
        if source.image and storage_bytes and not os.path.exists(source.image):
            make_image(source.image, storage_bytes)
            return
        for part in () if source.image else ("upper", "work"):
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{self._containers}/{name}/{part}", 0o755)

    @contextlib.contextmanager
    def trees(self, source: RootSource, name: str) -> Iterator[OpenTrees]:
        place = f"{self._containers}/{name}/root"
        with contextlib.ExitStack() as held:
            upper_dir = f"{self._containers}/{name}"
            if source.image:
                media = loop.mount_image(source.image)
                held.callback(os.close, media)
                upper_dir = f"/proc/self/fd/{media}"
            base = held.enter_context(opened_merged(source.layers, place))
            try:
                upper = os.open(f"{upper_dir}/upper", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:  # created and never started: nothing has changed
                yield OpenTrees(base, base, False)
                return
            held.callback(os.close, upper)
            yield OpenTrees(base, upper, True)


def make_image(path: str, size_bytes: int) -> None:
    """An ext4 of that size in a sparse file; the name appears when it is whole."""
    fresh = f"{path}.new"
    with open(fresh, "wb") as file:
        file.truncate(size_bytes)
    try:
        make_ext4(fresh)
        reach("root.copied")
        os.rename(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def make_ext4(path: str, *more: str) -> None:
    """mkfs of a file or a device, which must be ours and empty; LaunchFailed with what the program said."""
    # No blocks for root alone (a container's root is the user), nothing written that can be written later.
    options = ["-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=1,root_owner=0:0", *more]
    done = subprocess.run(
        ["mkfs.ext4", *options, path],
        env={"PATH": _SBIN},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise LaunchFailed(f"make a file system in {path}", why)
