"""Named volumes as callers see them: made, listed with who mounts them, removed when nobody does."""

from __future__ import annotations

from typing import Any, NamedTuple

from launcher import records
from launcher.errors import UnknownVolume, VolumeInUse
from launcher.registry import Registry
from launcher.removal import remove_tree
from launcher.spec_values import parse_name
from launcher.volumes import Volumes


class NamedVolume(NamedTuple):
    name: str
    path: str
    """On the host."""
    created_at: str
    containers: tuple[str, ...]
    """Those that mount it, ended ones too."""

    def to_wire(self) -> dict[str, Any]:
        return self._asdict() | {"containers": list(self.containers)}


class NamedVolumes:
    """Every call looks at the disk and may block."""

    def __init__(self, volumes: Volumes, registry: Registry) -> None:
        self._volumes = volumes
        self._registry = registry

    def create(self, name: str) -> NamedVolume:
        """One that is there stays as it is, as in docker."""
        self._volumes.create(parse_name(name))
        return self.get(name)

    def get(self, name: str) -> NamedVolume:
        """Raises UnknownVolume."""
        for volume in self.all():
            if volume.name == name:
                return volume
        raise UnknownVolume(name)

    def all(self) -> list[NamedVolume]:
        """By name."""
        users: dict[str, list[str]] = {}
        for container in self._registry.all():
            for source in {volume["source"] for volume in container.spec.volumes}:
                users.setdefault(source, []).append(container.name)
        return [
            NamedVolume(
                found.name, found.path, records.rfc3339(found.created_at), tuple(users.get(found.name, ()))
            )
            for found in self._volumes.list()
        ]

    def remove(self, name: str) -> None:
        """With all that is in it. Raises VolumeInUse while a container mounts it, be it an ended one or
        one that is being made."""
        self.get(name)
        with self._registry.mounting(name) as users:
            if users:
                raise VolumeInUse(name, users)
            hidden = self._volumes.hide(name)
        if hidden is None:
            raise UnknownVolume(name)
        remove_tree(hidden)
