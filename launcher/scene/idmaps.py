"""A root whose files belong to root inside a container with ids of its own, and on disk have the host's.

Where the file system can, layers are mounted with their ids mapped (MOUNT_ATTR_IDMAP): nothing is copied and
the page cache stays shared. Overlay itself cannot be mapped, its layers can. Where a layer lies on a file
system without that ability, all layers are copied once for the container, with shifted owners.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from launcher import syscalls
from launcher.removal import remove_tree
from launcher.rootfs.copying import copy_layers
from launcher.scene.operations import Scene

SHIFTED: Final = "shifted"
"""Below the container's directory: the copy, where one was needed."""
NOBODY: Final = 65534
_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def map_mount(tree_fd: int, user_fd: int, path: str, *, recursive: bool = False) -> None:
    """Ids of a detached mount, as the user namespace maps them. OSError says which file systems can."""
    try:
        syscalls.mount_setattr(tree_fd, 0, recursive, userns_fd=user_fd)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        kinds = "ext4, xfs and btrfs can, tmpfs since Linux 6.3"
        why = f"is on, or holds a mount of, a file system that cannot map ids ({kinds}); use userns host"
        raise OSError(errno.EINVAL, why, path) from None


def open_layers(scene: Scene, layers: Sequence[str], state_dir: str) -> list[int]:
    """Descriptors for overlay, top to bottom, with owners inside the container's range."""
    try:
        return [_open_mapped(scene, layer, state_dir) for layer in reversed(layers)]
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
    return [os.open(_copy_shifted(layers, state_dir, scene.owner, scene.ids_size), _FLAGS)]


def _open_mapped(scene: Scene, layer: str, state_dir: str) -> int:
    tree = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(layer))
    map_mount(tree, scene.joins["user"], layer)
    # Before Linux 6.15 overlay takes no layer that is mounted nowhere; all this goes with the old root.
    place = os.open(f"{state_dir}/root", _FLAGS)
    syscalls.move_mount(tree, place)
    os.close(place)
    return tree


def give_upper(scene: Scene, upper_fd: int, lower_fd: int) -> None:
    """The root directory of an overlay is its upper one: it must belong to whom the lower one does."""
    if scene.owner and os.fstat(upper_fd).st_uid == 0:
        wanted = os.fstat(lower_fd)
        os.chown(f"/proc/self/fd/{upper_fd}", wanted.st_uid, wanted.st_gid)


def make_files_owned(scene: Scene) -> None:
    """What we make from here on belongs to root inside: where ids are mapped, the host's root could not even
    make it (EOVERFLOW). Without the securebit we would lose our capabilities over files.
    """
    if scene.owner:
        syscalls.prctl(syscalls.PR_SET_SECUREBITS, syscalls.SECBIT_NO_SETUID_FIXUP)
        syscalls.setfsids(scene.owner, scene.owner)


def _copy_shifted(layers: Sequence[str], state_dir: str, base: int, size: int) -> str:
    """Made once for the container; the name appears when all of it is there."""
    final = f"{state_dir}/{SHIFTED}"
    if not os.path.isdir(final):
        remove_tree(f"{final}.new")
        copy_layers(layers, f"{final}.new")
        shift_owners(f"{final}.new", base, size)
        os.rename(f"{final}.new", final)
    return final


def shift_owners(directory: str, base: int, size: int) -> None:
    """Add `base` to every owner; ids that the range does not have become nobody's."""
    seen: set[int] = set()
    for found, name, fd in _walk(directory):
        if stat.S_ISDIR(found.st_mode) or found.st_ino not in seen:
            seen.add(found.st_ino)
            owner, group = (
                base + (i if i < size else min(NOBODY, size - 1)) for i in (found.st_uid, found.st_gid)
            )
            os.chown(name, owner, group, dir_fd=fd, follow_symlinks=False)
            if found.st_mode & (stat.S_ISUID | stat.S_ISGID) and not stat.S_ISLNK(found.st_mode):
                os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=fd)  # chown clears these


def _walk(directory: str) -> Iterator[tuple[os.stat_result, str, int]]:
    above = os.open(os.path.dirname(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _path, directories, files, fd in os.fwalk(os.path.basename(directory), dir_fd=above):
            yield os.fstat(fd), ".", fd
            for name in (*files, *(d for d in directories if _is_link(d, fd))):
                yield os.stat(name, dir_fd=fd, follow_symlinks=False), name, fd
    finally:
        os.close(above)


def _is_link(name: str, fd: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
