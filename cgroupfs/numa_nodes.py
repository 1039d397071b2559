"""The host's memory nodes: which CPUs are near which memory, and how much of it is left.

Linux: Documentation/ABI/stable/sysfs-devices-node.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from cgroupfs.errors import ParseError
from cgroupfs.host import Host
from cgroupfs.values import format_list, parse_int, parse_list

KIB: Final = 1024


class Node(NamedTuple):
    """One memory node; `distances` to every node that is on, in their order: 10 is the node itself."""

    node: int
    cpus: str
    total_bytes: int
    free_bytes: int
    distances: tuple[int, ...]


def read_nodes(root: str = "/") -> tuple[Node, ...]:
    """The nodes that are on; none where the kernel was built without NUMA."""
    numbers = [n for low, high in Host(root).read_nodes() for n in range(low, high + 1)]
    return tuple(
        _read_node(number, directory)
        for number in numbers
        if (directory := Path(root, f"sys/devices/system/node/node{number}")).is_dir()
    )


def _read_node(number: int, directory: Path) -> Node:
    memory = parse_meminfo((directory / "meminfo").read_text())
    return Node(
        number,
        format_list(parse_list((directory / "cpulist").read_text(), "cpulist")),
        memory["MemTotal"],
        memory["MemFree"],
        parse_distances((directory / "distance").read_text()),
    )


def parse_meminfo(text: str) -> dict[str, int]:
    """A node's ``meminfo``: ``Node N Name: number [kB]`` a line; in bytes, of those that have a unit."""
    fields = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 5 and words[0] == "Node" and words[4] == "kB":
            fields[words[2].removesuffix(":")] = parse_int(words[3], "meminfo") * KIB
    if not {"MemTotal", "MemFree"} <= fields.keys():
        raise ParseError("meminfo", text)
    return fields


def parse_distances(text: str) -> tuple[int, ...]:
    """A node's ``distance``."""
    return tuple(parse_int(word, "distance") for word in text.split())
