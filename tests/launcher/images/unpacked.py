"""A layer from bytes in memory, and what a store may hold afterwards."""

from __future__ import annotations

import os
from pathlib import Path

from launcher.images import ImageStore


def add(store: ImageStore, content: bytes) -> Path:
    """Unpack a layer; where its files are."""
    fd = os.memfd_create("layer")
    try:
        with open(fd, "wb", closefd=False) as out:
            out.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        return Path(store.layer_dir(store.add_layer(fd)))
    finally:
        os.close(fd)


def offers_user_attributes(path: Path) -> bool:
    """tmpfs has had `user.*` since Linux 6.6; where a file system has none they are dropped."""
    try:
        os.setxattr(path, "user.probe", b"")
    except OSError:
        return False
    os.removexattr(path, "user.probe")
    return True


def nothing_is_kept(store: ImageStore) -> bool:
    return os.listdir(f"{store.state_dir}/layers") == []
