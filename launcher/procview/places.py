"""Names that server, daemon and first process share: which files there are, and where they go."""

from __future__ import annotations

from typing import Final

# File in the served directory -> (the mount it lies over, path in it); the order is the numbering of nodes:
# append only, a server of this version may take over from one before it.
PLACES: Final = {
    "meminfo": ("proc", "meminfo"),
    "swaps": ("proc", "swaps"),
    "cpuinfo": ("proc", "cpuinfo"),
    "stat": ("proc", "stat"),
    "loadavg": ("proc", "loadavg"),
    "cpu_online": ("sys", "devices/system/cpu/online"),
    # sysconf(_SC_NPROCESSORS_CONF) counts the possible ones, lscpu the present ones.
    "cpu_possible": ("sys", "devices/system/cpu/possible"),
    "cpu_present": ("sys", "devices/system/cpu/present"),
}
FILES: Final = tuple(PLACES)


def directory_of(path: str) -> str:
    """The directory for a cgroup below our parent: `NAME`, or `GROUP@NAME`; no name has an @."""
    return path.replace("/", "@")


def cgroup_of(directory: str) -> str:
    """The way back."""
    return directory.replace("@", "/")
