"""The root file systems of all containers: which driver, what it made, and the way back to it after a
restart.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Set
from dataclasses import replace
from typing import BinaryIO, Final

from launcher.errors import BadSpec, LauncherError, LaunchFailed
from launcher.rootfs.btrfs import Btrfs
from launcher.rootfs.changes import Change, read_changes
from launcher.rootfs.changing import can_pivot
from launcher.rootfs.devmapper import DevMapper
from launcher.rootfs.driver import DriverUnavailable, OpenTrees, RootDriver
from launcher.rootfs.layertar import Bounds, write_layer
from launcher.rootfs.merged import opened_empty, opened_merged
from launcher.rootfs.overlay import Overlay
from launcher.rootfs.source import RootSource
from launcher.rootfs.vfs import Vfs
from launcher.spec import ContainerSpec

DRIVERS: Final = ("overlay", "btrfs", "vfs", "devmapper")
RECORD: Final = "root.json"


class RootNotRemoved(LauncherError):
    """The container stays on record, so that its removal can be tried again."""


class Roots:
    """One for each daemon; drivers hold no state but what is on disk and in the kernel."""

    def __init__(self, state_dir: str, default: str = "overlay") -> None:
        self._containers = f"{state_dir}/containers"
        self._default = default
        self.pivots: Final = can_pivot()
        """Whether pivot_root works here; else containers are entered by chroot."""
        made: list[RootDriver] = [
            Overlay(state_dir),
            Btrfs(state_dir),
            Vfs(state_dir),
            DevMapper(state_dir),
        ]
        self._drivers: Final = {driver.name: driver for driver in made}

    def check(self, spec: ContainerSpec) -> ContainerSpec:
        """The spec with its driver, and without what this host's way to change the root cannot allow; refuses
        what they cannot do, before all else.
        """
        name = spec.driver or self._default
        driver = self._drivers[name]
        if name != "overlay" and (why := driver.why_not()):
            raise DriverUnavailable(name, why)
        if spec.storage_bytes is not None and (why := driver.check_storage(spec.storage_bytes)):
            raise BadSpec("storage_bytes", why)
        spec = replace(spec, driver=name)
        return spec if self.pivots else _without_chroot(spec)

    def why_not(self, name: str) -> str | None:
        """None, or in one line what this host lacks for that driver."""
        return self._drivers[name].why_not()

    def plan(self, spec: ContainerSpec, layers: tuple[str, ...]) -> RootSource:
        """What `prepare` will make, or has made."""
        made = self._read(spec.name)
        if made is not None:
            return made
        driver = self._drivers[spec.driver or self._default]
        return driver.source(spec.name, layers, spec.storage_bytes)

    def describe(self, spec: ContainerSpec, layers: tuple[str, ...]) -> str:
        """What `prepare` will do, for people."""
        source = self.plan(spec, layers)
        size = f", held to {spec.storage_bytes} bytes" if spec.storage_bytes else ""
        made = {
            "overlay": "empty directories for changes" if not source.image else f"an ext4 in {source.image}",
            "btrfs": f"a snapshot at {source.tree}",
            "vfs": f"a copy at {source.tree}",
            "devmapper": f"a thin snapshot {source.device}",
        }
        return f"prepare its root with driver {source.driver}: {made[source.driver]}{size}"

    def prepare(self, spec: ContainerSpec, layers: tuple[str, ...]) -> RootSource:
        """Make the root of a container whose directory exists, or find it as it was left."""
        source = self.plan(spec, layers)
        if source.layers != (spec.rootfs,) or source.driver != "overlay":
            self._write(spec.name, source)
        try:
            self._drivers[source.driver].prepare(source, spec.name, spec.storage_bytes)
        except OSError as e:
            where = f"{e.filename}: " if e.filename else ""
            raise LaunchFailed(f"prepare its root with driver {source.driver}", f"{where}{e.strerror}") from e
        return source

    def wake(self, spec: ContainerSpec) -> None:
        """Before each run: a device has to be active, which it is no more after the host was booted."""
        source = self._read(spec.name)
        if source is not None and source.device:
            self.prepare(spec, source.layers)

    def _write(self, name: str, source: RootSource) -> None:
        path = f"{self._containers}/{name}/{RECORD}"
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w") as file:
            json.dump(source.to_wire(), file)
            file.flush()
            os.fsync(fd)  # what keeps its layers from being collected, should the host crash next
        os.rename(f"{path}.new", path)

    def _read(self, name: str) -> RootSource | None:
        try:
            with open(f"{self._containers}/{name}/{RECORD}") as file:
                return RootSource.from_wire(json.load(file))
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def recorded_layers(self, name: str) -> tuple[str, ...]:
        """What a container stands on, as its record has it; empty where it has none."""
        made = self._read(name)
        return () if made is None else made.layers

    @contextlib.contextmanager
    def opened(self, spec: ContainerSpec, ids: tuple[int, int]) -> Iterator[OpenTrees]:
        """The container's changes; the caller keeps it from changing them meanwhile. Overlay's upper layer
        has the host's `ids` of a container with a user namespace, every other tree those of its layers.
        """
        source = self.plan(spec, (spec.rootfs,))
        with self._drivers[source.driver].trees(source, spec.name) as trees:
            yield replace(trees, ids=ids) if trees.is_upper else trees

    def diff(self, spec: ContainerSpec, ids: tuple[int, int] = (0, 0)) -> list[Change]:
        """What the container has changed, by path."""
        with self.opened(spec, ids) as trees:
            return read_changes(trees)

    def commit(
        self,
        spec: ContainerSpec,
        out: BinaryIO,
        bounds: Bounds,
        *,
        whole: bool,
        ids: tuple[int, int] = (0, 0),
    ) -> str:
        """Write its changes as a layer, or with `whole` all that it sees; the diff id. CannotCommit."""
        with self.opened(spec, ids) as trees:
            if not whole:
                return write_layer(trees, read_changes(trees), out, bounds)
            with self._seen_whole(spec, trees) as seen:
                return write_layer(seen, read_changes(seen), out, bounds)

    @contextlib.contextmanager
    def seen(self, spec: ContainerSpec, ids: tuple[int, int]) -> Iterator[OpenTrees]:
        """All that a container that does not run would see, for reading."""
        with self.opened(spec, ids) as trees, self._seen_whole(spec, trees) as seen:
            yield seen

    @contextlib.contextmanager
    def _seen_whole(self, spec: ContainerSpec, trees: OpenTrees) -> Iterator[OpenTrees]:
        with contextlib.ExitStack() as held:
            tree = trees.tree
            if trees.is_upper:
                place = f"{self._containers}/{spec.name}/root"
                layers = self.plan(spec, (spec.rootfs,)).layers
                tree = held.enter_context(opened_merged(layers, place, above=trees.tree))
            yield OpenTrees(held.enter_context(opened_empty()), tree, False, trees.ids)

    def layer_ids(self, spec: ContainerSpec) -> list[str]:
        """The diff ids of the image's layers that this container stands on, bottom to top."""
        layers = self.plan(spec, ()).layers
        return [f"sha256:{os.path.basename(os.path.dirname(layer))}" for layer in layers]

    def remove(self, name: str) -> None:
        """What is not in the container's own directory; nothing there is fine."""
        source = self._read(name)
        if source is not None:
            try:
                self._drivers[source.driver].remove(name)
            except OSError as e:
                where = f"{e.filename}: " if e.filename else ""
                raise RootNotRemoved(f"the root of {name!r} could not be removed: {where}{e.strerror}") from e

    def sweep(self, used: Set[str]) -> list[tuple[str, str]]:
        """After a crash: whatever belongs to no container of `used` goes; (name, what it was) for each."""
        return [found for driver in self._drivers.values() for found in driver.sweep(used)]


def _without_chroot(spec: ContainerSpec) -> ContainerSpec:
    """A second chroot would lead out: the capability is dropped, on record and for `exec` too."""
    if "SYS_CHROOT" in spec.cap_add:
        why = "SYS_CHROOT cannot be given: pivot_root does not work here, and from a chroot it leads out"
        raise BadSpec("cap_add", why)
    return replace(spec, cap_drop=tuple(dict.fromkeys([*spec.cap_drop, "SYS_CHROOT"])))
