"""The cost model by which the kernel shares a disk out by ``io.weight``: the root group's, and only read.

Documentation/admin-guide/cgroup-v2.rst, "IO Interface Files".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cgroupfs.files import ControlDir
from cgroupfs.io_settings import parse_nested


class IoCost(NamedTuple):
    """One disk: is the model on, and its settings in the kernel's own words."""

    enabled: bool
    quality: Mapping[str, str]
    model: Mapping[str, str]


def read_io_cost(root: ControlDir) -> dict[str, IoCost] | None:
    """Disk -> settings, of those that have any; None without a cost model. `root`: the topmost group."""
    quality, model = root.read("io.cost.qos"), root.read("io.cost.model")
    if quality is None or model is None:
        return None
    by_disk, models = parse_nested(quality, "io.cost.qos"), parse_nested(model, "io.cost.model")
    return {
        disk: IoCost(fields.get("enable") == "1", fields, models.get(disk, {}))
        for disk, fields in by_disk.items()
    }
