"""The step of the first process that lays the container's own numbers over its /proc and /sys."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from launcher import syscalls
from launcher.procview.places import PLACES
from launcher.scene.mounts import open_own
from launcher.scene.operations import Scene


@dataclass(frozen=True, slots=True)
class MountProcView:
    """`directory` is the container's in the served tree, as the host sees it."""

    directory: str

    def describe(self) -> str:
        places = " ".join(f"/{mount}/{path}" for mount, path in PLACES.values())
        return f"show the container's own limits and use in {places}"

    def execute(self, scene: Scene) -> None:
        served = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        for file, (mount, path) in PLACES.items():
            place = open_own(scene.proc_fd if mount == "proc" else scene.sys_fd, path.encode())
            if place is None:
                continue
            # The server outlives daemons: one of an earlier version knows fewer files.
            with contextlib.suppress(FileNotFoundError):
                tree = syscalls.open_tree(served, file.encode())
                syscalls.move_mount(tree, place)
                os.close(tree)
            os.close(place)
        os.close(served)
