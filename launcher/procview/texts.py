"""A container's numbers in the formats of /proc and /sys (proc(5)); pure.

The host's own text gives form and order, so that every reader of this kernel's files finds its lines. What
the container's cgroup does not tell is 0 rather than the host's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from cgroupfs import CpuStat, MemoryStat
from launcher.procview.numbers import Bounds, visible_cpus

HZ: Final = os.sysconf("SC_CLK_TCK")
_HOST_LINES: Final = ("Hugepagesize", "VmallocTotal", "CommitLimit")


def meminfo(bounds: Bounds, used: MemoryStat | None, host: str) -> str:
    """Total is the least limit above it (of the host's memory), free what the limit leaves."""
    lines = _split(host)
    ours = {name: size // 1024 for name, size in _memory(bounds, used, lines).items()}
    shown = []
    for name, (kib, unit) in lines.items():
        value = ours.get(name, kib if name in _HOST_LINES else 0)
        shown.append(f"{name + ':':<15} {value:>8}{unit}")
    return "\n".join(shown) + "\n"


def _split(host: str) -> dict[str, tuple[int, str]]:
    lines = {}
    for line in host.splitlines():
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        lines[name] = int(number), f" {unit}" if unit else ""
    return lines


def _memory(bounds: Bounds, used: MemoryStat | None, host: Mapping[str, tuple[int, str]]) -> dict[str, int]:
    """Bytes by name of the line."""
    total = _bounded(bounds.memory_bytes, host, "MemTotal")
    swap = _bounded(bounds.swap_bytes, host, "SwapTotal")
    if used is None:
        return {
            "MemTotal": total,
            "MemFree": total,
            "MemAvailable": total,
            "SwapTotal": swap,
            "SwapFree": swap,
        }
    free = max(0, total - used.usage_bytes)
    reclaimable = used.inactive_file_bytes + used.active_file_bytes
    available = min(free + reclaimable, _host_bytes(host, "MemAvailable"))
    return {
        "MemTotal": total,
        "MemFree": free,
        "MemAvailable": available,
        "Cached": used.file_bytes,
        "Active": used.active_file_bytes,
        "Active(file)": used.active_file_bytes,
        "Inactive": used.inactive_file_bytes + used.anon_bytes,
        "Inactive(anon)": used.anon_bytes,
        "Inactive(file)": used.inactive_file_bytes,
        "AnonPages": used.anon_bytes,
        "Mapped": used.mapped_bytes,
        "Shmem": used.shmem_bytes or 0,
        "Dirty": used.dirty_bytes or 0,
        "Writeback": used.writeback_bytes or 0,
        "Slab": used.kernel_bytes or 0,
        "SUnreclaim": used.kernel_bytes or 0,
        "Committed_AS": used.anon_bytes,
        "SwapTotal": swap,
        "SwapFree": max(0, swap - (used.swap_bytes or 0)),
    }


def _bounded(limit: int | None, host: Mapping[str, tuple[int, str]], name: str) -> int:
    most = _host_bytes(host, name)
    return most if limit is None else min(limit, most)


def _host_bytes(host: Mapping[str, tuple[int, str]], name: str) -> int:
    return host.get(name, (0, ""))[0] * 1024


def swaps(bounds: Bounds, used: MemoryStat | None, host: str, host_meminfo: str) -> str:
    """One area of the size that it may use; none where the host has none."""
    memory = _memory(bounds, used, _split(host_meminfo))
    heading = host.splitlines()[0] if host else "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"
    if not memory["SwapTotal"]:
        return heading + "\n"
    total, free = memory["SwapTotal"] // 1024, memory["SwapFree"] // 1024
    return f"{heading}\n{'none':<40}virtual\t\t{total}\t\t{total - free}\t\t0\n"


def cpuinfo(bounds: Bounds, host: str) -> str:
    """The paragraphs of the CPUs that it may use, numbered from 0."""
    paragraphs = {number: text for text in host.split("\n\n") if (number := _processor(text)) is not None}
    chosen = visible_cpus(bounds, list(paragraphs))
    shown = [
        "\n".join(
            f"{line.partition(':')[0]}: {index}" if _processor(line) is not None else line
            for line in paragraphs[cpu].strip("\n").splitlines()
        )
        for index, cpu in enumerate(chosen)
    ]
    rest = [text.strip("\n") for text in host.split("\n\n") if text.strip() and _processor(text) is None]
    return "\n\n".join([*shown, *rest]) + "\n\n"


def _processor(text: str) -> int | None:
    """The number in the line `processor : N` that a paragraph begins with."""
    name, colon, value = text.strip().split("\n", 1)[0].partition(":")
    return int(value) if colon and name.strip() == "processor" and value.strip().isdigit() else None


def stat(bounds: Bounds, cpu: CpuStat | None, tasks: int, host: str, started_at: float, now: float) -> str:
    """Its CPU time spread over the CPUs that it sees; the rest of the time since its start was idle.

    `started_at` and `now` in seconds of the wall clock.
    """
    host_cpus = [
        int(line[3:].split()[0]) for line in host.splitlines() if line[:3] == "cpu" and line[3] != " "
    ]
    cpus = len(visible_cpus(bounds, host_cpus))
    user, system = _ticks(cpu)
    idle = max(0, int((now - started_at) * HZ) - (user + system) // cpus)
    lines = [f"cpu  {user} 0 {system} {idle * cpus} 0 0 0 0 0 0"]
    for index in range(cpus):
        lines.append(
            f"cpu{index} {_share(user, index, cpus)} 0 {_share(system, index, cpus)} {idle} 0 0 0 0 0 0"
        )
    lines += ["intr 0", "ctxt 0", f"btime {int(started_at)}", f"processes {tasks}"]
    return _padded("\n".join([*lines, "procs_running 1", "procs_blocked 0", "softirq 0"]), 512)


def _ticks(cpu: CpuStat | None) -> tuple[int, int]:
    if cpu is None:
        return 0, 0
    system = cpu.system_usec or 0
    user = cpu.usage_usec - system if cpu.user_usec is None else cpu.user_usec
    return user * HZ // 1_000_000, system * HZ // 1_000_000


def _share(ticks: int, index: int, cpus: int) -> int:
    """Parts that add up to the whole, each of which only ever grows."""
    return (ticks + cpus - 1 - index) // cpus


def cpu_online(bounds: Bounds, host_cpus: list[int]) -> str:
    """`0-1`, as /sys/devices/system/cpu/online."""
    last = len(visible_cpus(bounds, host_cpus)) - 1
    return f"0-{last}\n" if last else "0\n"


def loadavg(averages: tuple[float, float, float], running: int, tasks: int) -> str:
    """Averages, running of all, and no last pid, which would be the host's."""
    return _padded("{:.2f} {:.2f} {:.2f} {}/{} 0".format(*averages, max(1, running), tasks), 64)


def _padded(text: str, multiple: int) -> str:
    """Of a length that stays as numbers grow: sendfile(2) goes as far as the size that was last asked for."""
    return text + " " * (-(len(text) + 1) % multiple) + "\n"
