"""The host's families of /metrics: cAdvisor's `machine_*` as far as known, and its use under our names."""

from pathlib import Path
from typing import Final

import psutil

from monitor import HOST_METRICS, HostUsage
from web.exposition import Page, label_text

_IDENTITY: Final = {
    "machine_id": "/etc/machine-id",
    "system_uuid": "/sys/class/dmi/id/product_uuid",
    "boot_id": "/proc/sys/kernel/random/boot_id",
}
# Rates are left to Prometheus, which makes them from counters; sizes stand in the machine families.
_SHOWN: Final = tuple(
    name for name in HOST_METRICS if not name.endswith(("_per_sec", "_total", "total_bytes"))
)


def write_host(page: Page, host: HostUsage) -> None:
    """Size and use of the host."""
    machine = label_text(**{name: read_identity(path) for name, path in _IDENTITY.items()})
    page.gauge("machine_cpu_cores", "Logical CPUs.", host.cpu_cores_total, machine)
    page.gauge("machine_cpu_physical_cores", "Physical cores.", psutil.cpu_count(logical=False), machine)
    page.gauge("machine_memory_bytes", "Memory installed.", host.memory_total_bytes, machine)
    page.gauge("machine_swap_bytes", "Swap space.", host.swap_total_bytes, machine)
    page.family(
        "machine_node_memory_capacity_bytes",
        "gauge",
        "Memory of a NUMA node.",
        [(f'{machine},node_id="{node.node}"', node.memory_total_bytes) for node in host.nodes],
    )
    for name in _SHOWN:
        page.gauge(f"cgwarden_host_{name}", "As in GET /api/v1/host.", getattr(host, name))


def read_identity(path: str) -> str:
    """One line that names the machine; empty where the host has none."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
