"""Device mapper devices as sysfs shows them; small, since supervisors need it too."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator


def read_names() -> Iterator[tuple[str, str]]:
    """(name in device mapper, `dm-N`) of each of its devices."""
    for block in os.listdir("/sys/block"):
        if not block.startswith("dm-"):
            continue
        try:
            with open(f"/sys/block/{block}/dm/name") as file:
                yield file.read().rstrip("\n"), block
        except FileNotFoundError:  # removed meanwhile
            continue


def node_of(name: str) -> str:
    """Its device node; without udev there is no other than the kernel's own `dm-N`."""
    for found, block in read_names():
        if found == name:
            return f"/dev/{block}"
    raise OSError(errno.ENODEV, "there is no such device in device mapper", name)
