"""The served tree: a directory for each live container of ours, the same few files in each.

Numbers of nodes follow from names, so that a server that takes over from a killed one knows what the kernel
means.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from cgroupfs import CgroupError, CgroupGone, Hierarchies
from launcher import records
from launcher.procview import texts
from launcher.procview.fuse import DIRECTORY, FILE, ROOT, Node
from launcher.procview.loads import Loads
from launcher.procview.numbers import AllNumbers, Numbers, parse_cpu_list
from launcher.procview.places import FILES, cgroup_of, directory_of

_INDEX_BITS: Final = 4
_TEXT_KEEPS: Final = 256
_ANY_SIZE: Final = 1 << 16
_SAME_SEC: Final = 0.01


class ContainerTree:
    """Everything in it is read from the kernel when it is asked for."""

    def __init__(self, hierarchies: Hierarchies, parent: str, containers_dir: str, loads: Loads) -> None:
        self._hierarchies = hierarchies
        self._parent = "/" + parent.strip("/")
        self._containers_dir = containers_dir
        self._loads = loads
        self._numbers = AllNumbers(hierarchies)
        places = hierarchies.places
        self._identity = places["unified" if "unified" in places else "memory"].mounted_at
        self._names: dict[int, str] = {}
        self._started: dict[str, float] = {}
        # Of a text longer than one read, the rest must be the rest of the same text.
        self._texts: dict[int, tuple[float, bytes]] = {}

    def find(self, parent: int, name: bytes) -> Node:
        """The kernel's LOOKUP."""
        if parent == ROOT:
            text = name.decode("utf-8", "surrogateescape")
            self._require(text)
            return self._directory(text)
        self._name(parent)
        if name.decode("ascii", "replace") not in FILES:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return Node(parent + FILES.index(name.decode()) + 1, FILE, _ANY_SIZE)

    def node(self, number: int) -> Node:
        """The kernel's GETATTR."""
        if number != ROOT and number & (1 << _INDEX_BITS) - 1:
            return Node(number, FILE, len(self._fresh(number)))
        self.require(number)
        return Node(number, DIRECTORY)

    def require(self, number: int) -> None:
        """The kernel's OPEN: ENODEV once the container has ended."""
        if number != ROOT:
            self._name(number)

    def names(self, number: int) -> list[tuple[bytes, Node]]:
        """The kernel's READDIR."""
        if number == ROOT:
            return [(name.encode(), self._directory(name)) for name in self._live()]
        self._name(number)
        return [(file.encode(), Node(number + index, FILE)) for index, file in enumerate(FILES, 1)]

    def read(self, number: int, offset: int, size: int) -> bytes:
        """From the start: what holds now. From further on: the rest of what was read last."""
        text = self._fresh(number) if offset == 0 or number not in self._texts else self._texts[number][1]
        return text[offset : offset + size]

    def _fresh(self, number: int) -> bytes:
        """Written now, or just now: most readers ask for the size and read right after."""
        now = time.monotonic()
        written_at, text = self._texts.get(number, (-math.inf, b""))
        if now - written_at < _SAME_SEC:
            return text
        if len(self._texts) >= _TEXT_KEEPS:
            self._texts.clear()
        text = self._write(number)
        self._texts[number] = now, text
        return text

    def _write(self, number: int) -> bytes:
        name, index = self._name(number), number & (1 << _INDEX_BITS) - 1
        if not 1 <= index <= len(FILES):
            raise IsADirectoryError(errno.EISDIR, "a directory")
        try:
            return _WRITERS[FILES[index - 1]](self, name, self._numbers.of(self._path(name))).encode()
        except CgroupGone:
            raise OSError(errno.ENODEV, "the container has ended") from None
        except CgroupError as e:
            raise OSError(errno.EIO, str(e)) from None

    def _directory(self, name: str) -> Node:
        number = number_of(name)
        self._names[number] = name
        return Node(number, DIRECTORY)

    def _name(self, number: int) -> str:
        """Whose node it is; after a change of servers this asks which containers there are."""
        base = number & ~((1 << _INDEX_BITS) - 1)
        if base not in self._names:
            for name in self._live():
                self._directory(name)
        if base not in self._names:
            raise OSError(errno.ENODEV, "the container has ended")
        return self._names[base]

    def _live(self) -> Iterator[str]:
        """Containers, and those in groups; a group itself looks like one and harms nobody."""
        for name in self._hierarchies.children(self._parent):
            yield name
            for inner in self._hierarchies.children(f"{self._parent}/{name}"):
                yield directory_of(f"{name}/{inner}")

    def has_containers(self) -> bool:
        """Is any cgroup left below our parent?"""
        return bool(self._hierarchies.children(self._parent))

    def _path(self, name: str) -> str:
        return f"{self._parent}/{cgroup_of(name)}"

    def _require(self, name: str) -> None:
        # One hierarchy suffices, and to open all of them would hold up a launch.
        if "/" in name or name in (".", "..") or not os.path.isdir(self._identity + self._path(name)):
            raise FileNotFoundError(errno.ENOENT, "no such container")

    def _started_at(self, name: str) -> float:
        if name not in self._started:
            container = cgroup_of(name).rpartition("/")[2]
            record = records.read_record(f"{self._containers_dir}/{container}", records.INIT)
            self._started[name] = _seconds(record["started_at"]) if record else time.time()
        return self._started[name]

    def _meminfo(self, _name: str, numbers: Numbers) -> str:
        return texts.meminfo(numbers.bounds(time.monotonic()), numbers.memory(), _host("/proc/meminfo"))

    def _swaps(self, _name: str, numbers: Numbers) -> str:
        bounds = numbers.bounds(time.monotonic())
        return texts.swaps(bounds, numbers.memory(), _host("/proc/swaps"), _host("/proc/meminfo"))

    def _cpuinfo(self, _name: str, numbers: Numbers) -> str:
        return texts.cpuinfo(numbers.bounds(time.monotonic()), _host("/proc/cpuinfo"))

    def _stat(self, name: str, numbers: Numbers) -> str:
        bounds, started_at = numbers.bounds(time.monotonic()), self._started_at(name)
        cpu, tasks = numbers.cpu(), numbers.tasks()
        return texts.stat(bounds, cpu, tasks, _host("/proc/stat"), started_at, time.time())

    def _online(self, _name: str, numbers: Numbers) -> str:
        host_cpus = sorted(parse_cpu_list(_host("/sys/devices/system/cpu/online")))
        return texts.cpu_online(numbers.bounds(time.monotonic()), host_cpus)

    def _loadavg(self, name: str, numbers: Numbers) -> str:
        averages, running = self._loads.read(self._path(name), time.monotonic())
        return texts.loadavg(averages, running, numbers.tasks())


_WRITERS: Final[dict[str, Callable[[ContainerTree, str, Numbers], str]]] = {
    "meminfo": ContainerTree._meminfo,
    "swaps": ContainerTree._swaps,
    "cpuinfo": ContainerTree._cpuinfo,
    "stat": ContainerTree._stat,
    "loadavg": ContainerTree._loadavg,
    "cpu_online": ContainerTree._online,
    "cpu_possible": ContainerTree._online,
    "cpu_present": ContainerTree._online,
}


def number_of(name: str) -> int:
    """The node of a container's directory; the low bits are for its files."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=7).digest()
    return int.from_bytes(digest, "big") << _INDEX_BITS


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _host(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")
