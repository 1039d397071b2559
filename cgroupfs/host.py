"""What the host has that limits can name: CPUs, memory nodes, disks. Asked before a write."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from cgroupfs.errors import BadLimit
from cgroupfs.mounts import parse_proc_cgroups
from cgroupfs.values import Ranges, count_listed, parse_list


class Disk(NamedTuple):
    """A whole disk, by its name and by the number that sysfs gives to a thing while it is there."""

    name: str
    inode: int


class Host:
    """Facts of the host under `root`, read when asked, since CPUs and disks come and go."""

    def __init__(self, root: str = "/") -> None:
        self._sys = Path(root, "sys")
        self._proc = Path(root, "proc")

    def read_controllers(self) -> dict[str, int]:
        """v1 controller -> number of its mounted hierarchy, 0: nobody mounted it; of those that are on."""
        try:
            known = parse_proc_cgroups((self._proc / "cgroups").read_text())
        except FileNotFoundError:  # a kernel with the unified tree alone
            return {}
        return {controller.name: controller.hierarchy for controller in known if controller.enabled}

    def read_possible_cpus(self) -> int:
        """How many CPUs this host can have."""
        return count_listed(self._read_list("devices/system/cpu/possible"))

    def read_cpus(self) -> Ranges:
        """CPUs that are on."""
        return self._read_list("devices/system/cpu/online")

    def read_nodes(self) -> Ranges:
        """Memory nodes that are on; a kernel without NUMA has node 0."""
        try:
            return self._read_list("devices/system/node/online")
        except FileNotFoundError:
            return ((0, 0),)

    def list_disks(self) -> frozenset[Disk]:
        """Whole disks; one that goes and comes back under the same name is another."""
        try:
            with os.scandir(self._sys / "block") as entries:
                return frozenset(Disk(entry.name, entry.inode()) for entry in entries)
        except FileNotFoundError:
            return frozenset()

    def read_disk(self, disk: Disk) -> str | None:
        """``major:minor``; None if it holds nothing, or is just being taken away."""
        directory = self._sys / "block" / disk.name
        with contextlib.suppress(OSError):
            if (directory / "size").read_text().strip() != "0":
                return (directory / "dev").read_text().strip()
        return None

    def check_disk(self, field: str, device: str) -> str:
        """`device` (``major:minor``) if it is a whole disk here; `BadLimit` naming the disk if it is a part.

        The kernel is not asked: writing an unknown number can make it load a driver and create the device.
        """
        node = self._sys / "dev/block" / device
        if not node.exists():
            raise BadLimit(field, f"this host has no block device {device}")
        if (node / "partition").exists():
            disk = (node.resolve().parent / "dev").read_text().strip()
            raise BadLimit(field, f"{device} is a partition; throttles work on its disk {disk}")
        return device

    def _read_list(self, file: str) -> Ranges:
        return parse_list((self._sys / file).read_text(), file)
