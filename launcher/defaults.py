"""What every container gets unless it asks otherwise: device nodes, hidden paths, environment."""

from __future__ import annotations

from typing import Final, NamedTuple


class DeviceNode(NamedTuple):
    name: str
    major: int
    minor: int


DEVICE_NODES: Final = (
    DeviceNode("null", 1, 3),
    DeviceNode("zero", 1, 5),
    DeviceNode("full", 1, 7),
    DeviceNode("random", 1, 8),
    DeviceNode("urandom", 1, 9),
    DeviceNode("tty", 5, 0),
)
DEVICE_LINKS: Final = (
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)
# moby/moby daemon/pkg/oci/defaults.go; thermal_throttle is found per CPU.
MASKED: Final = (
    *(
        f"/proc/{name}"
        for name in (
            [
                "acpi",
                "asound",
                "interrupts",
                "kcore",
                "keys",
                "latency_stats",
                "sched_debug",
                "scsi",
                "timer_list",
                "timer_stats",
            ]
        )
    ),
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/fs/selinux",
)
READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
