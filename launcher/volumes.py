"""Where a description's volumes lie on the host: binds checked, named volumes made; daemon only.

STATE_DIR/volumes/NAME/data is the volume NAME; it outlives every container.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from launcher.errors import BadSpec
from launcher.own import OwnDirectories
from launcher.removal import REMOVED, remove_tree
from launcher.scene import places
from launcher.scene.volume_mounts import DEFAULT, AttachVolume, attributes_of
from launcher.spec import NAME, ContainerSpec

DATA: Final = "data"


class Volume(NamedTuple):
    name: str
    path: str
    created_at: float
    """Seconds since the epoch."""


class Volumes:
    """The named volumes of one state directory, and all that containers mount."""

    def __init__(self, state_dir: str, run_dir: str) -> None:
        self._own = OwnDirectories(state_dir, run_dir)
        self._directory = f"{state_dir}/volumes"

    def check(self, spec: ContainerSpec) -> None:
        """Refuse, by field, what cannot be mounted; nothing is made."""
        seen: set[str] = set()
        for field, item in _items(spec):
            target = _check_target(f"{field}/target", item["target"])
            if target in seen:
                raise BadSpec(f"{field}/target", f"{target} is the target of two mounts")
            seen.add(target)
        for _ in self._planned(spec):
            continue

    def prepare(self, spec: ContainerSpec) -> None:
        """Make the named volumes that are not there yet."""
        for volume in spec.volumes:
            if not volume["source"].startswith("/"):
                self.create(volume["source"])

    def plan(self, spec: ContainerSpec) -> tuple[AttachVolume, ...]:
        """What to mount where, a directory before what is below it."""
        return tuple(sorted(self._planned(spec), key=lambda volume: volume.target.count("/")))

    def _planned(self, spec: ContainerSpec) -> Iterator[AttachVolume]:
        for index, volume in enumerate(spec.volumes):
            named = not volume["source"].startswith("/")
            field = f"volumes/{index}/source"
            source = self.path_of(volume["source"]) if named else self._check_source(field, volume["source"])
            yield AttachVolume(
                source,
                places.normal(volume["target"]),
                attributes_of(volume["options"], DEFAULT),
                () if named else self._own.below(source),
                named and "nocopy" not in volume["options"],
            )

    def _check_source(self, field: str, path: str) -> str:
        source = os.path.realpath(path)
        try:
            mode = os.stat(source).st_mode
        except OSError as e:
            raise BadSpec(field, f"{path}: {(e.strerror or str(e)).lower()}") from None
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise BadSpec(field, f"{path} is a device; use --device")
        if self._own.hold(source):
            raise BadSpec(field, f"{path} is inside cgwarden's own directories")
        return source

    def path_of(self, name: str) -> str:
        """The directory that containers see."""
        return f"{self._directory}/{name}/{DATA}"

    def create(self, name: str) -> bool:
        """False if it was there. The name appears when the volume is whole."""
        final = f"{self._directory}/{name}"
        os.makedirs(self._directory, 0o700, exist_ok=True)
        if os.path.isdir(final):
            return False
        fresh = f"{self._directory}/{REMOVED}{name[:40]}-{os.urandom(4).hex()}"
        os.mkdir(fresh, 0o700)
        os.mkdir(f"{fresh}/{DATA}", 0o755)
        try:
            os.rename(fresh, final)
        except OSError:  # another request made it meanwhile
            remove_tree(fresh)
            return False
        return True

    def list(self) -> list[Volume]:
        """By name."""
        with contextlib.suppress(FileNotFoundError):
            names = sorted(name for name in os.listdir(self._directory) if NAME.fullmatch(name))
            return [
                Volume(name, self.path_of(name), os.stat(f"{self._directory}/{name}").st_ctime)
                for name in names
            ]
        return []

    def hide(self, name: str) -> str | None:
        """Out of sight in one step; the tree to be removed, None if there is none. Who uses it has been
        asked before.
        """
        hidden = f"{self._directory}/{REMOVED}{name[:40]}-{os.urandom(4).hex()}"
        try:
            os.rename(f"{self._directory}/{name}", hidden)
        except FileNotFoundError:
            return None
        return hidden

    def sweep(self) -> None:
        """What a crash left half made or half removed."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._directory):
                if name.startswith(REMOVED):
                    remove_tree(f"{self._directory}/{name}")


def _items(spec: ContainerSpec) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for field in ("volumes", "tmpfs"):
        for index, item in enumerate(getattr(spec, field)):
            yield f"{field}/{index}", item


def _check_target(field: str, path: str) -> str:
    target = places.normal(path)
    if places.is_kept(target):
        raise BadSpec(field, f"nothing can be mounted on {target}: what is there is the container's own")
    return target
