"""The one list of parsers: each with a fresh callable that takes what the kernel handed out, as bytes; and
those of what comes with an image, which anybody may have made.

A test compares it with the ``parse_*`` and ``make_*_parser`` functions of cgroupfs, so none can be forgotten.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cgroupfs import (
    ParseError,
    cpu,
    device_rules,
    devices,
    fields,
    freezer,
    io_limits,
    io_settings,
    io_traffic,
    memory,
    memory_events,
    misc,
    mounts,
    namespace,
    net,
    net_marks,
    net_messages,
    notices,
    numa,
    numa_nodes,
    pressure,
    statistic,
    values,
)
from launcher.errors import LauncherError
from launcher.images import docker_archive, layout, model, reference, tarball

Parse = Callable[[bytes], object]


class Target(NamedTuple):
    """A parser under its name below ``cgroupfs``; `make` gives one that has seen no input yet."""

    name: str
    parser: str
    make: Callable[[], Parse]


def _text(parser: Callable[..., object], *arguments: object, variant: str = "") -> Target:
    """A parser of text, which meets surrogates too, as mountinfo has them for undecodable bytes."""
    return _target(parser, lambda: lambda raw: parser(_decode(raw), *arguments), variant)


def _bytes(parser: Parse) -> Target:
    return _target(parser, lambda: parser, "")


def _raw(parser: Callable[..., object], *arguments: object) -> Target:
    return _target(parser, lambda: lambda raw: parser(raw, *arguments), "")


def _made(factory: Callable[..., Parse], *arguments: object) -> Target:
    """A parser that may learn from what it sees, made by `factory`."""
    return _target(factory, functools.partial(factory, *arguments), "")


def _hostile(
    parser: Callable[..., object], *arguments: object, read: Callable[[bytes], Any] = bytes
) -> Target:
    """A parser of an image's, whose refusals are the launcher's own."""

    def parse(raw: bytes) -> object:
        try:
            return parser(read(raw), *arguments)
        except LauncherError as e:
            raise ParseError(str(e), "") from e

    return _target(parser, lambda: parse, "")


class _Stream:
    """An archive in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def read(self, count: int) -> bytes:
        found = self._content[self.position : self.position + count]
        self.position += len(found)
        return found

    def skip(self, count: int) -> None:
        if count > len(self._content) - self.position:
            raise LauncherError("the archive ends in the middle of a file")
        self.position += count


def _entries(stream: _Stream) -> list[tarball.Entry]:
    return list(tarball.read_entries(stream, 100))


_entries.__module__, _entries.__name__ = tarball.__name__, tarball.read_entries.__name__


def _target(function: Callable[..., object], make: Callable[[], Parse], variant: str) -> Target:
    parser = f"{function.__module__.removeprefix('cgroupfs.')}.{function.__name__}"
    return Target(f"{parser}.{variant}" if variant else parser, parser, make)


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


_ALL: Final = (
    _text(values.parse_int, "x"),
    _raw(values.parse_word, "x"),
    _text(values.parse_signed, "x"),
    _text(values.parse_limit, "x"),
    _text(values.parse_v1_limit, "x"),
    _text(values.parse_flag, "x"),
    _text(values.parse_flat, "x"),
    _text(values.parse_pids, "x"),
    _text(values.parse_list, "x"),
    _made(statistic.parse_number, "x"),
    _made(cpu.make_v1_bandwidth_parser),
    _made(cpu.make_usage_parser),
    _made(cpu.make_cpu_stat_parser),
    _text(cpu.parse_cpu_max),
    _text(cpu.parse_percpu),
    _made(memory.make_v1_stat_parser),
    _made(memory.make_v2_stat_parser),
    _text(memory_events.parse_oom_control),
    _text(memory_events.parse_memory_events, None),
    _text(memory_events.parse_memory_reclaim, ""),
    _bytes(io_traffic.parse_operations),
    _bytes(io_traffic.parse_io_stat),
    _bytes(io_traffic.parse_wait),
    _bytes(io_traffic.parse_cost_wait),
    _text(io_limits.parse_throttle, "x"),
    _text(io_limits.parse_io_max),
    _text(io_settings.parse_weights, "x"),
    _text(io_settings.parse_latency),
    _text(io_settings.parse_nested, "x"),
    _text(device_rules.parse_rule, "x"),
    _text(device_rules.parse_rules),
    _text(devices.parse_devices_list),
    _text(fields.parse_fields),
    _text(freezer.parse_events),
    _text(freezer.parse_v1_state),
    _text(misc.parse_limits, "x"),
    _text(misc.parse_rdma, "x"),
    _text(mounts.parse_mountinfo),
    _text(mounts.parse_proc_cgroups),
    _text(namespace.parse_proc_cgroup),
    _bytes(net.parse_net_dev),
    _bytes(net_messages.parse_link),
    _raw(net_messages.parse_stats, {1: "lo"}),
    _bytes(net_messages.parse_namespace_id),
    _target(net_messages.split_messages, lambda: lambda raw: list(net_messages.split_messages(raw)), ""),
    _text(net_marks.parse_ifpriomap),
    _bytes(notices.parse_notices),
    _text(numa.parse_numa_stat, "hierarchical_anon", "hierarchical_file", 4096, variant="v1"),
    _text(numa.parse_numa_stat, "anon", "file", 1, variant="v2"),
    _text(numa_nodes.parse_meminfo),
    _text(numa_nodes.parse_distances),
    _bytes(pressure.parse_pressure),
    _hostile(_entries, read=_Stream),
    _hostile(tarball.parse_pax),
    _hostile(reference.parse_reference, read=_decode),
    _hostile(model.parse_config),
    _hostile(layout.parse_manifests, "x"),
    _hostile(docker_archive.parse_archive_manifest),
)
TARGETS: Final = {target.name: target for target in _ALL}
