"""One row per container for /metrics: what the sweep saw, with label strings made once per container."""

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cgroupfs import DeviceIo, Limits, SlowStats
from launcher import Container
from monitor import Observation, Sample, Snapshot
from web.exposition import escape, label_text
from web.parts import Services

_BLOCK: Final = "/sys/dev/block"


@dataclass(frozen=True, slots=True)
class ContainerLabels:
    """A container's label strings: cAdvisor's three, and ours."""

    cadvisor: str  # id, name, image
    own: str  # container
    info: str


@dataclass(frozen=True, slots=True)
class Row:
    """A container in one sweep. `gone` rows are tombstones: only what must outlive it is told of them."""

    labels: ContainerLabels
    sample: Sample
    limits: Limits
    frozen: bool
    container: Container | None
    devices: tuple[tuple[str, DeviceIo], ...]  # label string, counters
    gone: bool

    @property
    def slow(self) -> SlowStats | None:
        """The counters of the slower round."""
        return self.sample.slow


class Labels:
    """Label strings by container, kept as long as the container is told of."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], ContainerLabels] = {}
        self._devices: dict[str, str] = {}

    def of(self, seen: Observation, container: Container | None) -> ContainerLabels:
        """The strings of one container; the identity of its cgroup tells namesakes apart."""
        key = (seen.sample.name, seen.sample.inode)
        labels = self._known.get(key)
        if labels is None:
            labels = self._known[key] = make_labels(seen, container)
        return labels

    def device(self, device: str) -> str:
        """The label string of a block device."""
        text = self._devices.get(device)
        if text is None:
            text = self._devices[device] = device_label(device)
        return text

    def forget_all_but(self, seen: Mapping[tuple[str, int], object]) -> None:
        """Let go of containers that are told of no more."""
        self._known = {key: labels for key, labels in self._known.items() if key in seen}


def rows_of(services: Services, snapshot: Snapshot, labels: Labels) -> list[Row]:
    """Live containers by name, then those that went in the past minutes."""
    containers = {container.name: container for container in services.launcher.containers()}
    rows = [
        _row(seen, containers.get(name), labels, gone=False)
        for name, seen in sorted(snapshot.containers.items())
    ]
    rows += [
        _row(tomb.observation, None, labels, gone=True)
        for name, tomb in sorted(services.monitor.tombstones().items())
        if name not in snapshot.containers
    ]
    labels.forget_all_but({(row.sample.name, row.sample.inode): None for row in rows})
    return rows


def make_labels(seen: Observation, container: Container | None) -> ContainerLabels:
    """The label strings; `image` is never empty, since dashboards leave out what has none."""
    name = seen.sample.name
    path = name if container is None or container.cgroup is None else container.cgroup.path
    image = (None if container is None else container.image) or "unknown"
    return ContainerLabels(
        cadvisor=label_text(id=path, image=image, name=name),
        own=label_text(container=name),
        info=label_text(container=name, id=path, image=image, runtime="cgwarden", class_=seen.klass),
    )


def device_label(device: str) -> str:
    """`8:0` as the labels device, major and minor; the name comes from sysfs."""
    major, _, minor = device.partition(":")
    return f'device="{escape(device_name(device))}",major="{escape(major)}",minor="{escape(minor)}"'


def device_name(device: str) -> str:
    """`/dev/sda` for `8:0`; the numbers themselves where sysfs does not know it (any more)."""
    try:
        return "/dev/" + os.path.basename(os.readlink(f"{_BLOCK}/{device}"))
    except OSError:
        return device


def unix_time(rfc3339: str | None) -> float | None:
    """A document's time as seconds since 1970."""
    return None if rfc3339 is None else datetime.datetime.fromisoformat(rfc3339).timestamp()


def _row(seen: Observation, container: Container | None, labels: Labels, *, gone: bool) -> Row:
    io = seen.sample.io
    return Row(
        labels=labels.of(seen, container),
        sample=seen.sample,
        limits=seen.limits,
        frozen=seen.freezer == "frozen",
        container=container,
        devices=() if io is None else tuple((labels.device(one.device), one) for one in io.devices),
        gone=gone,
    )
