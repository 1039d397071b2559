"""What a driver has prepared, as plain data: it travels to the supervisor and stays on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

UPPER_IMAGE = "upper.img"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSource:
    """One of four shapes: overlay over `layers`; the same with its upper layer in the file `image`; a
    directory `tree` that is the root itself; a block device, named by its device mapper name.

    `layers` are directories, bottom to top, in overlay's format; they stay on record in every shape, since
    changes are told against them.
    """

    driver: str
    layers: tuple[str, ...]
    image: str = ""
    tree: str = ""
    device: str = ""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> RootSource:
        """As `to_wire` wrote it."""
        return cls(**{**wire, "layers": tuple(wire["layers"])})

    def to_wire(self) -> dict[str, Any]:
        wire = {f.name: getattr(self, f.name) for f in fields(self)}
        return wire | {"layers": list(self.layers)}
