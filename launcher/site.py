"""Where this daemon's containers live: on disk, in the run directory, in the cgroup tree; one value, passed
to all parts.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cgroupfs import CgroupGone, Hierarchies, ParseError
from launcher import defaults
from launcher.confiner import Confiner
from launcher.container import Container
from launcher.devices import check_devices, device_nodes
from launcher.errors import BadSpec, MissingRoot
from launcher.idranges import IdRanges
from launcher.images import Image, ImageStore
from launcher.klass import oom_score_of
from launcher.network.network import ContainerNetworks
from launcher.oom_score import read_host_bytes
from launcher.own import OwnDirectories
from launcher.procview.hint import quota_threads
from launcher.procview.view import ProcView, own_uptime
from launcher.rootfs.roots import Roots
from launcher.scene.confinement import Confinement
from launcher.scene.plan import LaunchFacts
from launcher.scene.reaper import find_reaper
from launcher.scene.rlimits import check_rlimits
from launcher.spec import ContainerSpec
from launcher.volumes import Volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """The paths to mask and to make read-only that this kernel has; they are the same in every container."""

    files: tuple[str, ...]
    directories: tuple[str, ...]
    read_only: tuple[str, ...]

    @classmethod
    def read(cls) -> Masks:
        thermal = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")
        paths = [path for path in (*defaults.MASKED, *map(str, thermal)) if os.path.exists(path)]
        directories = tuple(path for path in paths if stat.S_ISDIR(os.stat(path).st_mode))
        read_only = tuple(path for path in defaults.READ_ONLY if os.path.exists(path))
        return cls(
            files=tuple(path for path in paths if path not in directories),
            directories=directories,
            read_only=read_only,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    hierarchies: Hierarchies
    cgroup_parent: str
    run_dir: str
    state_dir: str
    boot_id: str
    masks: Masks
    roots: Roots
    images: ImageStore
    find: Callable[[str], Container]
    networks: ContainerNetworks
    confiner: Confiner
    proc_view: ProcView
    ids: IdRanges
    volumes: Volumes

    @property
    def containers_dir(self) -> str:
        return f"{self.state_dir}/containers"

    def state_of(self, name: str) -> str:
        return f"{self.state_dir}/containers/{name}"

    def run_of(self, name: str) -> str:
        return f"{self.run_dir}/containers/{name}"

    @property
    def own(self) -> OwnDirectories:
        return OwnDirectories(self.state_dir, self.run_dir)

    def owners_of(self, spec: ContainerSpec) -> tuple[int, int]:
        """The first of its range of host ids, and how many; (0, 0) without a user namespace."""
        found = self.ids.of(spec.name, spec.userns)
        return (0, 0) if found is None else (found.base, found.size)

    @property
    def host_bytes(self) -> int:
        return read_host_bytes()

    @property
    def parent_path(self) -> str:
        return f"/{self.cgroup_parent.strip('/')}"

    def group_path(self, name: str) -> str:
        return f"{self.parent_path}/{name}"

    def cgroup_of(self, spec: ContainerSpec) -> str:
        return f"{self.group_path(spec.group)}/{spec.name}" if spec.group else self.group_path(spec.name)

    def real_root(self, spec: ContainerSpec) -> str:
        """The root directory without symbolic links; `MissingRoot` if there is none."""
        path = os.path.realpath(spec.rootfs)
        try:
            mode = os.stat(path).st_mode
        except OSError as e:
            raise MissingRoot(spec.rootfs, (e.strerror or str(e)).lower()) from None
        if not stat.S_ISDIR(mode):
            raise MissingRoot(spec.rootfs, "is not a directory")
        if self.own.hold(path):
            raise BadSpec("rootfs", f"{spec.rootfs} is inside cgwarden's own directories")
        return path

    def facts(
        self, spec: ContainerSpec, created_at: str = "", confinement: Confinement | None = None
    ) -> LaunchFacts:
        """All that a supervisor must be told, and all of it is known before anything is made."""
        viewed = self.proc_view.wanted(spec)
        return LaunchFacts(
            state_dir=self.state_of(spec.name),
            run_dir=self.run_of(spec.name),
            boot_id=self.boot_id,
            created_at=created_at,
            cgroup_path=self.cgroup_of(spec),
            cgroup_binds=tuple(self._binds(self.cgroup_of(spec))),
            hidden=self._hidden(spec.rootfs),
            masked_files=self.masks.files,
            masked_directories=self.masks.directories,
            read_only_paths=self.masks.read_only,
            root=self.roots.plan(spec, self.layers_of(spec)),
            pivots=self.roots.pivots,
            confinement=confinement or Confinement(),
            proc_view=self.proc_view.directory(self.cgroup_of(spec)) if viewed else "",
            threads=self._threads(spec) if viewed else 0,
            oom_score_adj=oom_score_of(spec, self.host_bytes),
            time_offsets=spec.time_offsets or (own_uptime() if viewed else {}),
        )

    def _threads(self, spec: ContainerSpec) -> int:
        """A parent that is still to be made has no quota. What cannot be meant is refused by those who plan
        its writes.
        """
        above = os.path.dirname(self.cgroup_of(spec))
        with contextlib.suppress(ValueError, OverflowError, ParseError):
            try:
                return quota_threads(self.hierarchies, above, spec.limits)
            except CgroupGone:
                return quota_threads(self.hierarchies, "/", spec.limits)
        return 0

    def with_belongings(self, facts: LaunchFacts, spec: ContainerSpec) -> LaunchFacts:
        """What may have to be refused, by field: its ids, volumes and devices."""
        return replace(
            facts,
            reaper=find_reaper() if spec.init else "",
            ids=self.ids.of(spec.name, spec.userns),
            volumes=self.volumes.plan(spec),
            nodes=device_nodes(spec),
        )

    def check_belongings(self, spec: ContainerSpec) -> None:
        """The same before anything is made."""
        self.ids.of(spec.name, spec.userns)
        self.volumes.check(spec)
        check_devices(spec)
        check_rlimits(spec.rlimits)

    def layers_of(self, spec: ContainerSpec) -> tuple[str, ...]:
        """The directories that its root is made of, bottom to top, in overlay's format.

        Of a container over an image they are on record; only a dry run has to look them up.
        """
        if spec.rootfs:
            return (spec.rootfs,)
        return self.roots.recorded_layers(spec.name) or self.images.layer_dirs(
            self.images.resolve(spec.image)
        )

    @contextlib.contextmanager
    def image_of(self, spec: ContainerSpec) -> Iterator[Image | None]:
        """The image that it is to stand on, kept from collection meanwhile; None for a root directory."""
        if spec.rootfs:
            yield None
            return
        with self.images.using(spec.image) as image:
            yield image

    def _binds(self, cgroup: str) -> Iterator[tuple[str, str]]:
        """(name below /sys/fs/cgroup, host directory); no name where one tree is mounted right there."""
        for mounted_at in sorted({place.mounted_at for place in self.hierarchies.places.values()}):
            below = "" if mounted_at == "/sys/fs/cgroup" else os.path.basename(mounted_at)
            yield below, mounted_at + cgroup

    def _hidden(self, root: str) -> tuple[str, ...]:
        """As paths inside; an image's layers hold nothing of ours."""
        return tuple(f"/{below}" for below in self.own.below(root)) if root else ()
