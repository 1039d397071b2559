"""`diff` and `commit`: what a container has changed, told as a list, or kept as a new layer of an image.

A running container is frozen meanwhile, for milliseconds in the case of `diff`: what is told is one instant.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Final

from cgroupfs import CgroupGone
from launcher.container import Container
from launcher.errors import CannotCommit, LauncherError
from launcher.images import Image, ImageConfig, ImageStore
from launcher.registry import Registry
from launcher.rootfs.changes import Change
from launcher.rootfs.layertar import Bounds
from launcher.site import Site
from launcher.wanted import is_wanted

_FREEZE_SEC: Final = 10.0


class ChangesUnreadable(LauncherError):
    """The kernel refused to show what a container changed."""


class Layering:
    def __init__(self, site: Site, registry: Registry, images: ImageStore) -> None:
        self._site = site
        self._registry = registry
        self._images = images

    def diff(self, name: str) -> list[Change]:
        """What the container has changed, by path, a directory before what is in it."""
        entry = self._registry.entry(name)
        with entry.lock, _held_still(entry.container), _explained(name):
            return self._site.roots.diff(entry.container.spec, self._site.owners_of(entry.container.spec))

    def commit(self, name: str, ref: str) -> Image:
        """Its changes as one more layer over those of its image; `ref` names the result.

        A container over a root directory has no image below: there, the whole tree becomes the one layer.
        """
        entry = self._registry.entry(name)
        container = entry.container
        below = self._layers_below(container)
        # `rm -f` and `restart` end its processes, frozen or not, and then wait for the lock that we hold.
        bounds = Bounds(
            most_bytes=self._images.limits.layer_bytes, is_over=lambda: entry.held or not is_wanted()
        )
        os.makedirs(f"{self._site.state_dir}/layers", 0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=f"{self._site.state_dir}/layers") as file:
            with entry.lock, _held_still(container), _explained(name):
                ids = self._site.owners_of(container.spec)
                self._site.roots.commit(container.spec, file, bounds, whole=not below, ids=ids)
            file.seek(0)
            added = self._images.add_layer(file)
        return self._images.tag(ref, [*below, added], self._config(container))

    def _layers_below(self, container: Container) -> list[str]:
        spec = container.spec
        if not spec.rootfs:
            return self._site.roots.layer_ids(spec)
        if self._site.own.below(spec.rootfs):
            raise CannotCommit(
                f"container {container.name!r} stands on {spec.rootfs}, which holds cgwarden's own "
                "directories: only one over an image, or over a root of its own, can be committed"
            )
        return []

    def _config(self, container: Container) -> ImageConfig:
        """The image's own, with what was asked for otherwise when the container was made."""
        spec = container.spec
        before = ImageConfig()
        if not spec.rootfs:
            with contextlib.suppress(LauncherError):  # it may have been removed meanwhile
                before = self._images.resolve(spec.image).config
        return ImageConfig(
            entrypoint=before.entrypoint if spec.entrypoint is None else spec.entrypoint,
            command=spec.command or before.command,
            env={**before.env, **spec.env},
            workdir=spec.workdir or before.workdir,
            user=spec.user or before.user,
            stop_signal=spec.stop_signal or before.stop_signal,
            exposed_ports=before.exposed_ports,
            volumes=before.volumes,
            labels={**before.labels, **spec.labels},
            health=spec.health or before.health,
        )


@contextlib.contextmanager
def _held_still(container: Container) -> Iterator[None]:
    """Frozen, if it runs; one that was frozen before stays so."""
    cgroup = container.cgroup if container.state == "running" else None
    changed = False
    try:
        if cgroup is not None:
            with contextlib.suppress(CgroupGone):
                changed = cgroup.freeze(_FREEZE_SEC)
        yield
    finally:
        if cgroup is not None and changed:
            with contextlib.suppress(CgroupGone):
                cgroup.thaw(_FREEZE_SEC)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        raise ChangesUnreadable(f"the changes of {name!r} cannot be read: {where}{e.strerror or e}") from e
